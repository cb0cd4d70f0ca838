"""Reading payments."""

import uuid

from django.db.models import QuerySet

from stays.accounts.models import User
from stays.bookings import selectors as bookings
from stays.common.errors import Forbidden
from stays.payments.models import Payment


def of_booking(*, user: User, booking_id: uuid.UUID) -> QuerySet[Payment]:
    """Return the payments of a booking, for its guest or an admin.

    Raises:
        NotFound: if there is no such booking for the user.
        Forbidden: if the user is its host: how a guest pays is not the host's affair.
    """
    booking = bookings.get(user=user, booking_id=booking_id)
    if booking.guest_id != user.id and not user.is_admin:
        raise Forbidden("Only the guest sees the payments.")
    return Payment.objects.filter(booking_id=booking_id)
