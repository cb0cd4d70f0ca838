"""Reckoning what a day brought."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Count, Q, Sum
from django.db.models.functions import Coalesce

from stays.bookings.models import Booking
from stays.statistics.models import DailyFigures

FIGURES = (
    "bookings_made",
    "bookings_confirmed",
    "bookings_cancelled",
    "nights_confirmed",
    "revenue_minor",
)


@transaction.atomic
def reckon(*, day: date) -> int:
    """Reckon a day's figures for each currency that something happened in, in place of older ones.

    A booking counts on the day (UTC) on which it was made, confirmed, cancelled: what was
    confirmed on one day and cancelled later stays with that day's nights and revenue. So a day that
    is reckoned again has the same figures.

    Args:
        day: The day; one that is not over gives what there is until now.

    Returns:
        How many currencies there are figures for.
    """
    begin = datetime.combine(day, time.min, UTC)
    end = begin + timedelta(days=1)

    def on_the_day(moment: str) -> Q:
        return Q(**{f"{moment}__gte": begin, f"{moment}__lt": end})

    made, confirmed, cancelled = map(on_the_day, ("created_at", "confirmed_at", "cancelled_at"))
    sums: dict[str, Any] = {
        "bookings_made": Count("id", filter=made),
        "bookings_confirmed": Count("id", filter=confirmed),
        "bookings_cancelled": Count("id", filter=cancelled),
        "nights_confirmed": Coalesce(Sum("nights", filter=confirmed), 0),
        "revenue_minor": Coalesce(Sum("total_minor", filter=confirmed), 0),
    }
    rows = (
        Booking.objects.filter(made | confirmed | cancelled)
        .values("currency")
        .annotate(**sums)
        .order_by("currency")  # several at once lock the rows in one order
    )
    figures = [DailyFigures(day=day, **row) for row in rows]
    DailyFigures.objects.bulk_create(
        figures,
        update_conflicts=True,
        unique_fields=["day", "currency"],
        update_fields=[*FIGURES, "reckoned_at"],
    )
    currencies = [row.currency for row in figures]
    DailyFigures.objects.filter(day=day).exclude(currency__in=currencies).delete()
    return len(figures)
