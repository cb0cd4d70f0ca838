"""Payments, and what the provider tells of them."""

import json
import time
from datetime import timedelta
from typing import Any

from django.utils import timezone

from local.provider import sign
from stays.bookings.models import Booking
from stays.payments.models import Payment, Status
from tests.factories import make_booking

KEY = "key-of-this-test"
SECRET = "secret-of-this-test"
WEBHOOK = "/api/v1/webhooks/payments"


def make_payment(booking: Booking | None = None, **fields: Any) -> Payment:
    """A payment; by default of a new booking, and processing."""
    booking = booking or make_booking()
    defaults = {
        "amount_minor": booking.total_minor,
        "currency": booking.currency,
        "method": "tok_ok",
        "status": Status.PROCESSING,
    }
    if fields.get("status") in (Status.SUCCEEDED, Status.REFUNDING, Status.REFUNDED):
        fields.setdefault("provider_reference", f"ch_{booking.id}")
    return Payment.objects.create(booking=booking, **(defaults | fields))


def forget(payment: Payment, minutes: int = 6) -> None:
    """Have nobody touched a payment for so long."""
    long_ago = timezone.now() - timedelta(minutes=minutes)
    Payment.objects.filter(id=payment.id).update(updated_at=long_ago)


def event(
    payment: Payment, status: str = "succeeded", *, event_id: str = "evt_1", **data: Any
) -> dict[str, Any]:
    """What the webhook is told of a payment."""
    charge = {
        "id": payment.provider_reference or f"ch_{payment.id}",
        "reference": str(payment.id),
        "amount": payment.amount_minor,
        "currency": payment.currency,
        "status": status,
        "failure": "insufficient_funds" if status == "failed" else None,
    }
    return {"id": event_id, "type": f"charge.{status}", "data": charge | data}


def signed(message: Any, *, seconds_ago: int = 0) -> dict[str, Any]:
    """The message as bytes, with the signature of the moment: `record_event`'s arguments."""
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    timestamp = int(time.time()) - seconds_ago
    return {"body": body, "signature": sign(body, secret=SECRET, timestamp=timestamp)}
