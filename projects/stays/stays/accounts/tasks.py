"""What is done in the background."""

import uuid
from typing import Any

from celery import shared_task
from django.conf import settings

from stays.accounts import emails, services

PATIENTLY: dict[str, Any] = {
    "autoretry_for": (OSError,),  # what smtplib raises is one, too
    "max_retries": 6,  # two minutes at most; then the user has to ask again
    "retry_backoff": 2,
    "retry_backoff_max": settings.TASK_LONGEST_PAUSE,
    "retry_jitter": True,
}


@shared_task(name="accounts.clear_sessions", expires=86_400)
def clear_sessions() -> None:
    """Delete the sessions that have expired."""
    services.clear_sessions()


@shared_task(name="accounts.send_reset", **PATIENTLY)
def send_reset(email: str) -> None:
    """Send a token for a new password. Run again, it sends another one, which is good too."""
    emails.send_reset(email=email)


@shared_task(name="accounts.send_verification", **PATIENTLY)
def send_verification(user_id: str) -> None:
    """Send a token for an address. Run again, it sends another one; the first that comes counts."""
    emails.send_verification(user_id=uuid.UUID(user_id))
