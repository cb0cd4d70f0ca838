"""What is done in the background."""

from celery import shared_task

from stays.accounts import services


@shared_task(name="accounts.clear_sessions", expires=86_400)
def clear_sessions() -> None:
    """Delete the sessions that have expired."""
    services.clear_sessions()
