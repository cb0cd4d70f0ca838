"""Tasks for statistics."""

from datetime import UTC, date, timedelta

from celery import shared_task
from django.utils import timezone

from stays.statistics import services


@shared_task(name="statistics.nightly", expires=86_400)
def nightly(day: str | None = None) -> int:
    """Reckon the day before, or another one. Run again, it replaces the figures by the same."""
    yesterday = timezone.now().astimezone(UTC).date() - timedelta(days=1)
    return services.reckon(day=date.fromisoformat(day) if day else yesterday)
