"""Tasks for bookings."""

import uuid

from celery import shared_task

from stays.bookings import emails


@shared_task(
    name="bookings.send_confirmation",
    autoretry_for=(OSError,),  # what smtplib raises is one, too
    max_retries=8,
    retry_backoff=2,
    retry_backoff_max=300,
    retry_jitter=True,
)
def send_confirmation(booking_id: str) -> None:
    """Tell a guest that the booking is confirmed. Run again, it sends nothing again."""
    emails.send_confirmation(booking_id=uuid.UUID(booking_id))
