"""Tasks for bookings."""

import uuid

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from stays.bookings import emails, services


@shared_task(
    name="bookings.send_confirmation",
    autoretry_for=(OSError,),  # what smtplib raises is one, too
    max_retries=6,  # two minutes at most; then `bookings.send_missing` goes on
    retry_backoff=2,
    retry_backoff_max=settings.TASK_LONGEST_PAUSE,
    retry_jitter=True,
)
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
