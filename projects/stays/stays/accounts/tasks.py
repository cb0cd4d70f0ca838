"""What is done in the background."""

from celery import shared_task
from django.conf import settings

from stays.accounts import emails, services


@shared_task(name="accounts.clear_sessions", expires=86_400)
def clear_sessions() -> None:
    """Delete the sessions that have expired."""
    services.clear_sessions()


@shared_task(
    name="accounts.send_reset",
    autoretry_for=(OSError,),  # what smtplib raises is one, too
    max_retries=6,  # two minutes at most; then the user has to ask again
    retry_backoff=2,
    retry_backoff_max=settings.TASK_LONGEST_PAUSE,
    retry_jitter=True,
)
def send_reset(email: str) -> None:
    """Send a token for a new password. Run again, it sends another one, which is good too."""
    emails.send_reset(email=email)
