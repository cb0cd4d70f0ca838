"""Payments, and the provider's messages about them."""

from django.db import models
from django.db.models import Q

from stays.bookings.models import Booking
from stays.common.fields import CURRENCY_PATTERN, currency, identifier, minor_units
from stays.common.states import Transitions


class Status(models.TextChoices):
    """Where a payment stands."""

    CREATED = "created"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    REFUNDING = "refunding"
    REFUNDED = "refunded"


LIVE = (Status.CREATED, Status.PROCESSING, Status.SUCCEEDED, Status.REFUNDING)
"""A booking has at most one payment in these. After a failure another one may be tried."""

PAID = (Status.SUCCEEDED, Status.REFUNDING, Status.REFUNDED)
"""The provider has the money, or had it."""
UNSETTLED = (Status.CREATED, Status.PROCESSING, Status.TIMED_OUT, Status.REFUNDING)
"""Something is still to be done for these, or to be learnt from the provider, unless they have a
failure, which is the last word."""
TRANSITIONS: Transitions = {
    Status.CREATED: frozenset({Status.PROCESSING, Status.FAILED, Status.TIMED_OUT}),
    Status.PROCESSING: frozenset({Status.SUCCEEDED, Status.FAILED, Status.TIMED_OUT}),
    Status.SUCCEEDED: frozenset({Status.REFUNDING}),
    Status.FAILED: frozenset(),
    # The provider may still have taken the money: then it is given back.
    Status.TIMED_OUT: frozenset({Status.REFUNDING}),
    Status.REFUNDING: frozenset({Status.REFUNDED}),
    Status.REFUNDED: frozenset(),
}


class Payment(models.Model):
    """A guest's attempt to pay a booking. Its id is the idempotency key towards the provider."""

    id = identifier()
    booking = models.ForeignKey(Booking, on_delete=models.PROTECT, related_name="payments")
    amount_minor = minor_units()
    currency = currency()
    method = models.CharField(max_length=100, help_text="The provider's token for a card")
    status = models.CharField(max_length=10, choices=Status, default=Status.CREATED)
    provider_reference = models.CharField(max_length=100, unique=True, null=True)  # noqa: DJ001 (several may lack one)
    failure = models.CharField(
        max_length=100, blank=True, help_text="Why no money was taken, in a word of the provider's"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["booking"], condition=Q(status__in=LIVE), name="payment_one_live"
            ),
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="payment_amount"),
            models.CheckConstraint(
                condition=Q(currency__regex=CURRENCY_PATTERN), name="payment_currency"
            ),
            models.CheckConstraint(
                condition=Q(status__in=Status.values), name="payment_status_known"
            ),
            models.CheckConstraint(
                condition=~Q(status__in=PAID) | Q(provider_reference__isnull=False),
                name="payment_paid_has_reference",
            ),
        )
        indexes = (
            models.Index(
                fields=["updated_at"],
                condition=Q(status__in=UNSETTLED, failure=""),
                name="payment_unsettled",
            ),
        )

    def __str__(self) -> str:
        return f"{self.amount_minor} {self.currency} ({self.status})"


class ProviderEvent(models.Model):
    """A message of the provider's webhook. That its id is unique is what refuses a replay."""

    id = models.CharField(primary_key=True, max_length=100)
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, null=True, related_name="events")
    kind = models.CharField(max_length=50)
    payload = models.JSONField()
    received_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"
