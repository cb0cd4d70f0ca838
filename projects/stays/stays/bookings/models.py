"""Bookings. The database itself refuses two that overlap."""

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateRangeField, RangeOperators
from django.db import models
from django.db.models import F, Q

from stays.accounts.models import User
from stays.common.fields import CURRENCY_PATTERN, Nights, currency, identifier, minor_units
from stays.common.states import Transitions
from stays.listings.models import Property


class Status(models.TextChoices):
    """Where a booking stands. Pending and confirmed ones hold their dates."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


HOLDING = (Status.PENDING, Status.CONFIRMED)
LET_GO = (Status.CANCELLED, Status.EXPIRED)
TRANSITIONS: Transitions = {
    Status.PENDING: frozenset({Status.CONFIRMED, Status.CANCELLED, Status.EXPIRED}),
    Status.CONFIRMED: frozenset({Status.CANCELLED}),
    Status.CANCELLED: frozenset(),
    Status.EXPIRED: frozenset(),
}
MAX_NIGHTS = 90
MAX_DAYS_AHEAD = 550
"""A year and a half: for how long nobody can have a price or a plan."""
MAX_REASON = 500


class Booking(models.Model):
    """A guest's stay at a property. Prices are those of the moment of booking."""

    id = identifier()
    property = models.ForeignKey(Property, on_delete=models.PROTECT, related_name="bookings")
    guest = models.ForeignKey(User, on_delete=models.PROTECT, related_name="bookings")
    stay = DateRangeField(help_text="From the day of arrival to the day of departure, [)")
    nights = models.GeneratedField(
        expression=Nights("stay"), output_field=models.IntegerField(), db_persist=True
    )
    guests = models.PositiveSmallIntegerField()
    status = models.CharField(max_length=9, choices=Status, default=Status.PENDING)
    nightly_minor = minor_units()
    cleaning_minor = minor_units()
    total_minor = minor_units()
    currency = currency()
    expires_at = models.DateTimeField(
        help_text="Until when a pending one waits: for payment, then for the host"
    )
    paid_at = models.DateTimeField(null=True, blank=True)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    cancelled_at = models.DateTimeField(null=True, blank=True)
    cancelled_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    cancellation_reason = models.CharField(max_length=MAX_REASON, blank=True)
    confirmation_sent_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = (
            ExclusionConstraint(
                name="booking_no_overlap",
                expressions=[
                    ("property", RangeOperators.EQUAL),
                    ("stay", RangeOperators.OVERLAPS),
                ],
                condition=Q(status__in=HOLDING),
            ),
            models.CheckConstraint(
                condition=Q(stay__isempty=False)
                & Q(stay__lower_inf=False)
                & Q(stay__upper_inf=False),
                name="booking_stay_bounded",
            ),
            models.CheckConstraint(
                condition=Q(nights__range=(1, MAX_NIGHTS)), name="booking_nights"
            ),
            models.CheckConstraint(condition=Q(guests__gte=1), name="booking_guests"),
            models.CheckConstraint(
                condition=Q(total_minor=F("nightly_minor") * F("nights") + F("cleaning_minor")),
                name="booking_total",
            ),
            models.CheckConstraint(
                condition=Q(nightly_minor__gt=0) & Q(cleaning_minor__gte=0), name="booking_prices"
            ),
            models.CheckConstraint(
                condition=Q(currency__regex=CURRENCY_PATTERN), name="booking_currency"
            ),
            models.CheckConstraint(
                condition=Q(status__in=Status.values), name="booking_status_known"
            ),
            models.CheckConstraint(
                condition=~Q(status=Status.CONFIRMED)
                | Q(confirmed_at__isnull=False, paid_at__isnull=False),
                name="booking_confirmed_is_paid",
            ),
            models.CheckConstraint(
                condition=Q(status=Status.CANCELLED, cancelled_at__isnull=False)
                | (~Q(status=Status.CANCELLED) & Q(cancelled_at__isnull=True)),
                name="booking_cancelled_when",
            ),
            # For the reviews' foreign key on both: a review is of the property that was booked.
            models.UniqueConstraint(fields=["id", "property"], name="booking_id_property"),
        )
        indexes = (
            models.Index(fields=["guest", "id"], name="booking_guest"),
            models.Index(fields=["property", "id"], name="booking_property"),
            models.Index(
                fields=["expires_at"],
                condition=Q(status=Status.PENDING),
                name="booking_expiry",
            ),
            # Of what changes only when the status does: an update of an indexed column writes new
            # entries into all indexes, and the exclusion constraint's is checked then. To note that
            # an e-mail is sent must not wait for others who book.
            models.Index(
                fields=["confirmed_at"],
                condition=Q(status=Status.CONFIRMED),
                name="booking_confirmed",
            ),
        )

    def __str__(self) -> str:
        return f"{self.property_id} {self.stay.lower} to {self.stay.upper} ({self.status})"
