"""Tasks for payments. Each may run several times, and at the same time, with one effect."""

import uuid
from datetime import timedelta
from typing import Any

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from stays.common.pruning import delete_in_batches
from stays.common.tasks import retrying
from stays.payments import services
from stays.payments.models import ProviderEvent
from stays.payments.provider import Temporary, UnknownOutcome

PATIENTLY = retrying(Temporary, UnknownOutcome, times=8)
"""How to call again a provider that is down. When the retries end, `payments.ask_provider` goes on.
"""
SWEEP: dict[str, Any] = {"expires": settings.SWEEP_EVERY}
"""The next one does what one that is late would have done."""


@shared_task(name="payments.charge", **PATIENTLY)
def charge(payment_id: str) -> None:
    """Ask the provider for the money of a payment."""
    services.charge(payment_id=uuid.UUID(payment_id))


@shared_task(name="payments.refund", **PATIENTLY)
def refund(booking_id: str) -> None:
    """Give back what was paid for a booking."""
    services.refund(booking_id=uuid.UUID(booking_id))


@shared_task(name="payments.time_out", **SWEEP)
def time_out() -> None:
    """Let go of bookings whose time has run out."""
    services.time_out(now=timezone.now())


@shared_task(name="payments.ask_provider", **SWEEP)
def ask_provider() -> None:
    """Find what was lost on the way from the provider, or to it."""
    services.ask_provider(now=timezone.now())


@shared_task(name="payments.refund_what_is_owed", **SWEEP)
def refund_what_is_owed() -> int:
    """Find refunds that were lost on the way to a worker, or in it."""
    return services.refund_what_is_owed(now=timezone.now())


@shared_task(name="payments.forget_events", expires=86_400)
def forget_events() -> int:
    """Delete the provider's messages of long ago, which it sends no more."""
    old = ProviderEvent.objects.filter(received_at__lt=timezone.now() - timedelta(days=90))
    return delete_in_batches(old)
