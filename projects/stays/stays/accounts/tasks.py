"""What is done in the background."""

import uuid

from celery import shared_task
from django.core.management import call_command
from django.utils import timezone

from stays.accounts import emails
from stays.accounts.models import Session
from stays.common.pruning import delete_in_batches
from stays.common.tasks import retrying

MAILS = retrying(OSError, times=6)  # what smtplib raises is one; after that the user asks again


@shared_task(name="accounts.clear_sessions", expires=86_400)
def clear_sessions() -> int:
    """Delete the sessions that have expired: those of the API, and the admin's."""
    call_command("clearsessions")
    return delete_in_batches(Session.objects.filter(expires_at__lte=timezone.now()))


@shared_task(name="accounts.send_reset", **MAILS)
def send_reset(email: str) -> None:
    """Send a token for a new password. Run again, it sends another one, which is good too."""
    emails.send_reset(email=email)


@shared_task(name="accounts.send_verification", **MAILS)
def send_verification(user_id: str) -> None:
    """Send a token for an address. Run again, it sends another one; the first that comes counts."""
    emails.send_verification(user_id=uuid.UUID(user_id))
