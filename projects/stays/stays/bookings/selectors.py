"""Reading bookings."""

import uuid
from typing import Literal

from django.db.models import QuerySet

from stays.accounts.models import User
from stays.bookings.models import Booking
from stays.common.errors import NotFound

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
    """Return the bookings that a user may know of, or some of them.

    Args:
        user: Who asks.
        role: Only those where the user is this.
        status: Only those that stand so.
    """
    if role is None:
        bookings = visible_to(user=user)
    else:
        whose = {"guest": "guest", "host": "property__host"}[role]
        bookings = Booking.objects.select_related("property__city", "guest").filter(**{whose: user})
    return bookings.filter(status=status) if status else bookings


def get(*, user: User, booking_id: uuid.UUID) -> Booking:
    """Return a booking.

    Raises:
        NotFound: if there is none, or none that the user may know of.
    """
    try:
        return visible_to(user=user).get(id=booking_id)
    except Booking.DoesNotExist:
        raise NotFound("There is no such booking.") from None
