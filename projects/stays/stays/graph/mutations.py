"""What can be done. Each mutation calls one service, and returns what it did or a refusal.

There is no registering and no logging in here: the answer to these is a secret, which must not pass
through a query language's aliases, logs and caches. REST's four addresses for tokens are enough.
"""

import datetime
import uuid
from typing import Annotated, Any

import strawberry
import strawberry_django
from django.db.models import Model, QuerySet
from strawberry import relay

from stays.bookings import models as booking_models
from stays.bookings import services as booking_services
from stays.bookings.serializers import CancellationSerializer, NewBookingSerializer
from stays.common.errors import PreconditionFailed
from stays.graph import types
from stays.graph.context import Info, viewer
from stays.graph.errors import Refusal
from stays.graph.fields import mutation
from stays.graph.inputs import NewProperty, PropertyChanges, key, read
from stays.graph.queries import NODES
from stays.listings import models as listing_models
from stays.listings import services as listing_services
from stays.listings.serializers import NewPropertySerializer, PropertyChangeSerializer
from stays.messaging import models as message_models
from stays.messaging import services as message_services
from stays.messaging.serializers import NewConversationSerializer, NewMessageSerializer
from stays.payments import models as payment_models
from stays.payments import services as payment_services
from stays.payments.serializers import StartPaymentSerializer
from stays.rest.conditional import CHANGED
from stays.reviews import models as review_models
from stays.reviews import services as review_services
from stays.reviews.serializers import NewReviewSerializer


def _row(model: type[Model]) -> Any:
    """Return the field for a row that was written: it is read anew, with what is selected of it."""

    def rows(self: Any) -> QuerySet[Any]:
        return model._default_manager.filter(pk=self.key)

    return strawberry_django.field(resolver=rows)


@strawberry.type
class BookingSaved:
    """A booking was made or changed."""

    key: strawberry.Private[uuid.UUID]
    booking: types.Booking = _row(booking_models.Booking)


@strawberry.type
class PaymentStarted:
    """A payment was started."""

    key: strawberry.Private[uuid.UUID]
    payment: types.Payment = _row(payment_models.Payment)


@strawberry.type
class PropertySaved:
    """A place was offered or changed."""

    key: strawberry.Private[uuid.UUID]
    property: types.Property = _row(listing_models.Property)


@strawberry.type
class ReviewWritten:
    """A review was written."""

    key: strawberry.Private[uuid.UUID]
    review: types.Review = _row(review_models.Review)


@strawberry.type
class ConversationSaved:
    """A conversation was begun, goes on, or was read."""

    key: strawberry.Private[uuid.UUID]

    @strawberry_django.field(graphql_type=types.Conversation)
    def conversation(self, info: Info) -> QuerySet[message_models.Conversation]:
        """Return it, with what is selected of it."""
        return NODES[types.Conversation](info).filter(id=self.key)


@strawberry.type
class MessageSent:
    """A message was sent."""

    key: strawberry.Private[uuid.UUID]
    message: types.Message = _row(message_models.Message)


BookingResult = Annotated[BookingSaved | Refusal, strawberry.union("BookingResult")]
PaymentResult = Annotated[PaymentStarted | Refusal, strawberry.union("PaymentResult")]
ReviewResult = Annotated[ReviewWritten | Refusal, strawberry.union("ReviewResult")]
ConversationResult = Annotated[ConversationSaved | Refusal, strawberry.union("ConversationResult")]
MessageResult = Annotated[MessageSent | Refusal, strawberry.union("MessageResult")]
PropertyResult = Annotated[PropertySaved | Refusal, strawberry.union("PropertyResult")]


@strawberry.type
class Mutation:
    """The mutations."""

    @mutation
    def create_booking(
        self,
        info: Info,
        property: str,
        check_in: datetime.date,
        check_out: datetime.date,
        guests: int,
    ) -> BookingResult:
        """Book a place. The dates are held until the time for payment has passed."""
        actor = viewer(info)
        given = read(
            NewBookingSerializer,
            property=property,
            check_in=check_in,
            check_out=check_out,
            guests=guests,
        )
        booking = booking_services.book(actor=actor, property_slug=given.pop("property"), **given)
        return BookingSaved(key=booking.id)

    @mutation
    def confirm_booking(self, info: Info, id: relay.GlobalID) -> BookingResult:
        """Confirm a paid booking, as the host."""
        booking = booking_services.confirm_booking(
            actor=viewer(info), booking_id=key(id, types.Booking)
        )
        return BookingSaved(key=booking.id)

    @mutation
    def cancel_booking(
        self,
        info: Info,
        id: relay.GlobalID,
        reason: str = "",
    ) -> BookingResult:
        """Cancel a booking, before the stay begins. What was paid is given back."""
        actor = viewer(info)
        booking = booking_services.cancel_booking(
            actor=actor,
            booking_id=key(id, types.Booking),
            **read(CancellationSerializer, reason=reason),
        )
        return BookingSaved(key=booking.id)

    @mutation
    def start_payment(self, info: Info, booking: relay.GlobalID, method: str) -> PaymentResult:
        """Have a booking paid with the provider's token for a card."""
        actor = viewer(info)
        payment = payment_services.start_payment(
            actor=actor,
            booking_id=key(booking, types.Booking),
            **read(StartPaymentSerializer, method=method),
        )
        return PaymentStarted(key=payment.id)

    @mutation
    def write_review(
        self, info: Info, booking: relay.GlobalID, rating: int, text: str = ""
    ) -> ReviewResult:
        """Say what a stay was like, from the day of departure on."""
        actor = viewer(info)
        review = review_services.write_review(
            actor=actor,
            booking_id=key(booking, types.Booking),
            **read(NewReviewSerializer, rating=rating, text=text),
        )
        return ReviewWritten(key=review.id)

    @mutation
    def start_conversation(self, info: Info, property: str, text: str) -> ConversationResult:
        """Write to the host of a place, for the first time or again."""
        actor = viewer(info)
        given = read(NewConversationSerializer, property=property, text=text)
        conversation = message_services.start_conversation(
            actor=actor, property_slug=given["property"], text=given["text"]
        )
        return ConversationSaved(key=conversation.id)

    @mutation
    def send_message(self, info: Info, conversation: relay.GlobalID, text: str) -> MessageResult:
        """Write to the other one of a conversation."""
        actor = viewer(info)
        message = message_services.send_message(
            actor=actor,
            conversation_id=key(conversation, types.Conversation),
            **read(NewMessageSerializer, text=text),
        )
        return MessageSent(key=message.id)

    @mutation
    def mark_read(self, info: Info, conversation: relay.GlobalID) -> ConversationResult:
        """Note that one has read all that the other one has written."""
        conversation_id = key(conversation, types.Conversation)
        message_services.mark_read(actor=viewer(info), conversation_id=conversation_id)
        return ConversationSaved(key=conversation_id)

    @mutation
    def create_property(self, info: Info, input: NewProperty) -> PropertyResult:
        """Offer a place."""
        actor = viewer(info)
        place = listing_services.create_property(
            actor=actor, **read(NewPropertySerializer, **vars(input))
        )
        return PropertySaved(key=place.id)

    @mutation
    def update_property(
        self, info: Info, slug: str, expected_version: int, changes: PropertyChanges
    ) -> PropertyResult:
        """Change a place, if it still is at the version that the client has read."""
        actor = viewer(info)

        def unchanged(place: listing_models.Property) -> None:
            if place.version != expected_version:
                raise PreconditionFailed(CHANGED)

        place = listing_services.update_property(
            actor=actor,
            slug=slug,
            precondition=unchanged,
            **read(PropertyChangeSerializer, partial=True, **vars(changes)),
        )
        return PropertySaved(key=place.id)
