"""What the API shows.

A type holds only what everybody who can reach it may see: there are two for users, and what is
private (bookings, payments, conversations) can be reached from the viewer's own only. So there is
no check that a field could forget. The two fields that depend on who asks say so.

Fields that follow a relation are read by the optimizer, one query for all items of a list.
"""

import datetime
from typing import Any, cast

import strawberry
import strawberry_django
from django.db.models import QuerySet
from strawberry import relay
from strawberry_django.relay import DjangoCursorConnection

from stays.accounts import models as account_models
from stays.bookings import models as booking_models
from stays.graph.context import Info, viewer
from stays.graph.fields import field
from stays.graph.scalars import MinorUnits
from stays.listings import models as listing_models
from stays.messaging import models as message_models
from stays.payments import models as payment_models
from stays.reviews import models as review_models

strawberry.enum(account_models.Role)
strawberry.enum(booking_models.Status, name="BookingStatus")
strawberry.enum(listing_models.Kind, name="PropertyKind")
strawberry.enum(payment_models.Status, name="PaymentStatus")


class NewestFirst:
    """The order of what is listed at another object."""

    @classmethod
    def get_queryset(cls, queryset: QuerySet[Any], info: Info) -> QuerySet[Any]:  # noqa: ARG003
        """Return it in this order."""
        return queryset.order_by("-id")


@strawberry_django.type(account_models.User, description="Another user, as everybody sees one.")
class User:
    """Another user."""

    name: str


@strawberry_django.type(listing_models.City)
class City:
    """A place that one searches by."""

    slug: str
    name: str
    country: str
    timezone: str
    latitude: float
    longitude: float


@strawberry_django.type(listing_models.Amenity)
class Amenity:
    """Something that a place may have."""

    slug: str
    name: str


@strawberry_django.type(review_models.Review)
class Review(NewestFirst, relay.Node):
    """What a guest says after a stay."""

    rating: int
    text: str
    created_at: datetime.datetime

    @field(select_related=["booking__guest"], only=["booking__guest__name"])
    def author(self: review_models.Review) -> str:
        """The guest's first name."""
        return next(iter(self.booking.guest.name.split()), "")


@strawberry_django.type(listing_models.Property)
class Property(relay.Node):
    """A place to stay."""

    slug: str
    title: str
    description: str
    kind: listing_models.Kind
    max_guests: int
    bedrooms: int
    nightly_minor: MinorUnits
    cleaning_minor: MinorUnits
    currency: str
    instant_book: bool
    is_listed: bool
    rating: float
    rating_count: int
    version: int
    created_at: datetime.datetime
    updated_at: datetime.datetime
    host: User
    city: City
    amenities: list[Amenity]
    reviews: DjangoCursorConnection[Review] = strawberry_django.connection()

    @field(only=["address", "host"])
    def address(self: listing_models.Property, info: Info) -> str | None:
        """Where it is; for its host. A guest finds it at the booking."""
        return self.address if _is_exact(self, info) else None

    @field(only=["latitude", "host"])
    def latitude(self: listing_models.Property, info: Info) -> float:
        """Rounded to two decimals, about a kilometre; exact for its host."""
        return self.latitude if _is_exact(self, info) else round(self.latitude, 2)

    @field(only=["longitude", "host"])
    def longitude(self: listing_models.Property, info: Info) -> float:
        """Rounded to two decimals, about a kilometre; exact for its host."""
        return self.longitude if _is_exact(self, info) else round(self.longitude, 2)


def _is_exact(place: listing_models.Property, info: Info) -> bool:
    """Tell whether the one who asks may know where a place is; as PropertySerializer does."""
    user = info.context.user
    return user is not None and (user.id == place.host_id or user.is_admin)


@strawberry_django.type(payment_models.Payment)
class Payment(relay.Node):
    """A guest's attempt to pay a booking."""

    amount_minor: MinorUnits
    currency: str
    status: payment_models.Status
    failure: str
    created_at: datetime.datetime


@strawberry_django.type(booking_models.Booking)
class Booking(relay.Node):
    """A guest's stay at a property."""

    status: booking_models.Status
    nights: int
    guests: int
    nightly_minor: MinorUnits
    cleaning_minor: MinorUnits
    total_minor: MinorUnits
    currency: str
    expires_at: datetime.datetime
    paid_at: datetime.datetime | None
    confirmed_at: datetime.datetime | None
    cancelled_at: datetime.datetime | None
    cancellation_reason: str
    created_at: datetime.datetime
    property: Property
    guest: User
    review: Review | None

    @field(graphql_type=list[Payment] | None, prefetch_related=["payments"], only=["guest"])
    def payments(self: booking_models.Booking, info: Info) -> list[payment_models.Payment] | None:
        """For the guest; how a guest pays is not the host's affair."""
        user = viewer(info)
        shown = user.id == self.guest_id or user.is_admin
        return list(self.payments.all()) if shown else None

    @strawberry_django.field(only=["stay"])
    def check_in(self: booking_models.Booking) -> datetime.date:
        """Return the day of arrival."""
        return cast(datetime.date, self.stay.lower)

    @strawberry_django.field(only=["stay"])
    def check_out(self: booking_models.Booking) -> datetime.date:
        """Return the day of departure."""
        return cast(datetime.date, self.stay.upper)

    @field(select_related=["property"], only=["status", "property__address"])
    def address(self: booking_models.Booking) -> str | None:
        """Where to go; null until the booking is confirmed."""
        confirmed = self.status == booking_models.Status.CONFIRMED
        return self.property.address if confirmed else None


@strawberry_django.type(message_models.Message)
class Message(NewestFirst, relay.Node):
    """One text of a conversation."""

    text: str
    created_at: datetime.datetime
    read_at: datetime.datetime | None
    sender: User

    @field(only=["sender"])
    def is_mine(self: message_models.Message, info: Info) -> bool:
        """Whether one has sent it oneself."""
        return self.sender_id == viewer(info).id


@strawberry_django.type(message_models.Conversation)
class Conversation(relay.Node):
    """What a guest and a host write to each other about a property."""

    created_at: datetime.datetime
    property: Property
    guest: User
    messages: DjangoCursorConnection[Message] = strawberry_django.connection()

    @field()
    def unread(self: message_models.Conversation) -> int:
        """How many messages one has not read."""
        # `conversations_of` has counted them: a conversation comes from nowhere else.
        return cast(int, vars(self)["unread"])


@strawberry_django.type(account_models.User, description="The one who asks.")
class Viewer:
    """The one who asks."""

    name: str
    email: str
    email_verified: bool = strawberry_django.field(
        description="Whether one has shown that the address is one's own.",
        only=["email", "verified_email"],
    )
    role: account_models.Role
    date_joined: datetime.datetime
