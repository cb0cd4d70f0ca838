"""Tasks for bookings."""

import uuid

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from stays.bookings import emails, services
from stays.common.tasks import retrying


# What smtplib raises is an OSError, too. When the retries end, `bookings.send_missing` goes on.
@shared_task(name="bookings.send_confirmation", **retrying(OSError, times=6))
def send_confirmation(booking_id: str) -> None:
    """Tell a guest that the booking is confirmed. Run again, it sends nothing again."""
    emails.send_confirmation(booking_id=uuid.UUID(booking_id))


@shared_task(name="bookings.send_missing", expires=settings.SWEEP_EVERY)
def send_missing() -> int:
    """Find confirmations that no guest was told of."""
    return services.send_missing_confirmations(now=timezone.now())


@shared_task(name="bookings.cancel_of_deleted_guests", expires=5 * settings.SWEEP_EVERY)
def cancel_of_deleted_guests() -> int:
    """Let go of the bookings of guests whose accounts are gone."""
    return services.cancel_bookings_of_deleted_guests()
