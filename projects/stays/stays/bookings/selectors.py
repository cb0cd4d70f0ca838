"""Reading bookings."""

import uuid

from django.db.models import Q, QuerySet

from stays.accounts.models import User
from stays.bookings.models import Booking
from stays.common.errors import NotFound


def visible_to(*, user: User) -> QuerySet[Booking]:
    """Return the bookings that a user may know of: one's own, those of one's places, or all.

    What every list shows of a booking comes with it.
    """
    bookings = Booking.objects.select_related("property__city", "guest")
    if user.is_admin:
        return bookings
    return bookings.filter(Q(guest=user) | Q(property__host=user))


def get(*, user: User, booking_id: uuid.UUID) -> Booking:
    """Return a booking.

    Raises:
        NotFound: if there is none, or none that the user may know of.
    """
    try:
        return visible_to(user=user).get(id=booking_id)
    except Booking.DoesNotExist:
        raise NotFound("There is no such booking.") from None
