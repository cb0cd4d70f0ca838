"""Reading bookings."""

import uuid
from typing import Literal

from django.db.models import Q, QuerySet

from stays.accounts.models import User
from stays.bookings.models import Booking
from stays.common.finding import get_or_refuse
from stays.listings.models import Property

Role = Literal["guest", "host"]


def visible_to(*, user: User) -> QuerySet[Booking]:
    """Return the bookings that a user may know of: one's own, those of one's places, or all.

    What every list shows of a booking comes with it.
    """
    bookings = Booking.objects.select_related("property__city", "guest")
    if user.is_admin:
        return bookings
    # Two ways into the table, each by its own index. "guest or host" in one condition has none.
    booked = Booking.objects.filter(guest=user).values("id")
    offered = Booking.objects.filter(property__host=user).values("id")
    return bookings.filter(id__in=booked.union(offered, all=True))


def listed(*, user: User, role: Role | None = None, status: str | None = None) -> QuerySet[Booking]:
    """Return the bookings that a user may know of, or some of them, for pages of a list.

    Args:
        user: Who asks.
        role: Only those where the user is this.
        status: Only those that stand so.
    """
    bookings = Booking.objects.select_related("property__city", "guest")
    if role is not None or not user.is_admin:
        bookings = bookings.filter(_whose(user, role))
    return bookings.filter(status=status) if status else bookings


def _whose(user: User, role: Role | None) -> Q:
    """Return the condition for bookings that are a user's, as guest, as host, or as either.

    The places are read first. Of places whose number it does not know, PostgreSQL guesses that
    they have many bookings, and goes through all bookings by age until a page is full; of places
    that it is told, it knows, and takes the indexes.
    """
    if role == "guest":
        return Q(guest=user)
    offered = Q(property__in=list(Property.objects.filter(host=user).values_list("id", flat=True)))
    return offered if role == "host" else offered | Q(guest=user)


def get(*, user: User, booking_id: uuid.UUID) -> Booking:
    """Return a booking.

    Raises:
        NotFound: if there is none, or none that the user may know of.
    """
    return get_or_refuse(visible_to(user=user), id=booking_id)
