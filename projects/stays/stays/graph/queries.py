"""What can be asked for. Every queryset comes from a selector, which knows what the viewer may see.

A single object is returned as a queryset too, for the optimizer to add what is selected of it.
"""

from collections.abc import Iterable
from typing import Any

import strawberry
import strawberry_django
from django.db.models import QuerySet
from strawberry import relay
from strawberry_django.relay import DjangoCursorConnection

from stays.accounts import models as account_models
from stays.bookings import models as booking_models
from stays.bookings import selectors as booking_selectors
from stays.graph import types
from stays.graph.context import Info, viewer
from stays.graph.inputs import PropertyOrder, PropertySearch, criteria, key
from stays.listings import models as listing_models
from stays.listings import selectors as listing_selectors


@strawberry.type
class Query:
    """The queries."""

    @strawberry.field(graphql_type=types.Viewer, description="The one whose token was sent.")
    def me(self, info: Info) -> account_models.User:
        """Return who asks."""
        return viewer(info)

    @strawberry_django.connection(
        DjangoCursorConnection[types.City], description="All cities, by name."
    )
    def cities(self) -> Iterable[listing_models.City]:
        """Return all cities."""
        return listing_selectors.cities().order_by("name", "id")

    @strawberry_django.field(
        graphql_type=list[types.Amenity], description="All amenities, by name."
    )
    def amenities(self) -> QuerySet[listing_models.Amenity]:
        """Return all amenities."""
        return listing_selectors.amenities().order_by("name", "id")

    @strawberry_django.connection(
        DjangoCursorConnection[types.Property], description="The places that are offered."
    )
    def properties(
        self, search: PropertySearch | None = None, order: PropertyOrder = PropertyOrder.NEWEST
    ) -> Iterable[listing_models.Property]:
        """Return the places that meet the criteria."""
        wanted, sort = criteria(search, order)
        return _bare(listing_selectors.search(criteria=wanted)).order_by(*sort)

    @strawberry_django.field(
        graphql_type=types.Property | None, description="A place that is offered."
    )
    def property(self, slug: str) -> QuerySet[listing_models.Property]:
        """Return the place of a slug."""
        places = listing_selectors.search(criteria=listing_selectors.Search())
        return _bare(places).filter(slug=slug)

    @strawberry_django.connection(
        DjangoCursorConnection[types.Booking],
        description="One's own bookings and those of one's places, newest first.",
    )
    def bookings(self, info: Info) -> Iterable[booking_models.Booking]:
        """Return the bookings that the viewer may know of."""
        return _bare(booking_selectors.visible_to(user=viewer(info))).order_by("-id")

    @strawberry_django.field(graphql_type=types.Booking | None)
    def booking(self, info: Info, id: relay.GlobalID) -> QuerySet[booking_models.Booking]:
        """Return a booking that the viewer may know of."""
        visible = booking_selectors.visible_to(user=viewer(info))
        return _bare(visible).filter(id=key(id, types.Booking))


def _bare(queryset: QuerySet[Any]) -> QuerySet[Any]:
    """Return a selector's queryset without what it loads for a page of REST.

    The optimizer loads what is selected, and that only.
    """
    return queryset.select_related(None).prefetch_related(None)
