"""What can be asked for. Every queryset comes from a selector, which knows what the viewer may see.

A single object is returned as a queryset too, for the optimizer to add what is selected of it.
"""

from collections.abc import Callable, Iterable
from typing import Any

import strawberry
import strawberry_django
from django.db.models import DecimalField, ExpressionWrapper, F, QuerySet
from strawberry import relay
from strawberry_django.optimizer import optimize

from stays.accounts import models as account_models
from stays.bookings import models as booking_models
from stays.bookings import selectors as booking_selectors
from stays.graph import types
from stays.graph.context import Info, viewer
from stays.graph.fields import connection, field
from stays.graph.inputs import BookingRole, PropertyOrder, PropertySearch, criteria, key
from stays.listings import models as listing_models
from stays.listings import selectors as listing_selectors
from stays.messaging import models as message_models
from stays.messaging import selectors as message_selectors
from stays.payments import models as payment_models
from stays.reviews import models as review_models

# Strawberry takes a column's name from its output field, and that of a generated column has none.
BY_RATING = ExpressionWrapper(F("rating"), output_field=DecimalField()).desc()


@strawberry.type
class Query:
    """The queries."""

    @strawberry.field(graphql_type=types.Viewer, description="The one whose token was sent.")
    def me(self, info: Info) -> account_models.User:
        """Return who asks."""
        return viewer(info)

    @connection(types.City)
    def cities(self) -> Iterable[listing_models.City]:
        """All cities, by name."""
        return listing_models.City.objects.order_by("name", "id")

    @field(graphql_type=list[types.Amenity])
    def amenities(self) -> QuerySet[listing_models.Amenity]:
        """All amenities, by name."""
        return listing_models.Amenity.objects.order_by("name", "id")

    @connection(types.Property)
    def properties(
        self, search: PropertySearch | None = None, order: PropertyOrder = PropertyOrder.NEWEST
    ) -> Iterable[listing_models.Property]:
        """The places that are offered."""
        wanted, sort = criteria(search, order)
        found = _bare(listing_selectors.search(criteria=wanted))
        return found.order_by(*(BY_RATING if name == "-rating" else name for name in sort))

    @field(graphql_type=types.Property | None)
    def property(self, slug: str) -> QuerySet[listing_models.Property]:
        """A place that is offered."""
        return _offered().filter(slug=slug)

    @connection(types.Booking)
    def bookings(
        self,
        info: Info,
        role: BookingRole | None = None,
        status: booking_models.Status | None = None,
    ) -> Iterable[booking_models.Booking]:
        """One's own bookings and those of one's places, newest first."""
        listed = booking_selectors.listed(
            user=viewer(info),
            role=role.value if role else None,
            status=status.value if status else None,
        )
        return _bare(listed).order_by("-id")

    @strawberry_django.field(graphql_type=types.Booking | None)
    def booking(self, info: Info, id: relay.GlobalID) -> QuerySet[booking_models.Booking]:
        """Return a booking that the viewer may know of."""
        return NODES[types.Booking](info).filter(id=key(id, types.Booking))

    @connection(types.Conversation)
    def conversations(self, info: Info) -> Iterable[message_models.Conversation]:
        """One's conversations, the one with the newest message first."""
        return NODES[types.Conversation](info)

    @strawberry.field(description="What has a global id, if one may see it.")
    def node(self, info: Info, id: relay.GlobalID) -> relay.Node | None:
        """Return an object of any type, from the selector that every other way leads through."""
        for kind, visible in NODES.items():
            if kind.__name__ == id.type_name:
                found = optimize(visible(info).filter(pk=key(id, kind)), info).first()
                return strawberry.cast(kind, found) if found else None
        return None


def _bare(queryset: QuerySet[Any]) -> QuerySet[Any]:
    """Return a selector's queryset without what it loads for a page of REST.

    The optimizer loads what is selected, and that only.
    """
    return queryset.select_related(None).prefetch_related(None)


def _offered() -> QuerySet[listing_models.Property]:
    """Return the places that everybody may see."""
    return _bare(listing_selectors.search(criteria=listing_selectors.Search()))


def _visible_bookings(info: Info) -> QuerySet[booking_models.Booking]:
    """Return the bookings that the viewer may know of."""
    return _bare(booking_selectors.visible_to(user=viewer(info)))


def _visible_payments(info: Info) -> QuerySet[payment_models.Payment]:
    """Return the payments that the viewer may see: how a guest pays is not the host's affair."""
    user = viewer(info)
    every = payment_models.Payment.objects.all()
    return every if user.is_admin else every.filter(booking__guest=user)


NODES: dict[type[relay.Node], Callable[[Info], QuerySet[Any]]] = {
    types.Property: lambda _: _offered(),
    types.Review: lambda _: review_models.Review.objects.filter(property__in=_offered()),
    types.Booking: _visible_bookings,
    types.Payment: _visible_payments,
    types.Conversation: lambda info: _bare(message_selectors.conversations_of(user=viewer(info))),
    types.Message: lambda info: message_models.Message.objects.filter(
        conversation__in=message_selectors.joined_by(user=viewer(info))
    ),
}
"""What of each type the one who asks may see."""
