"""Tasks for statistics."""

from datetime import UTC, timedelta

from celery import shared_task
from django.utils import timezone

from stays.statistics import services


@shared_task(name="statistics.nightly", expires=86_400)
def nightly() -> None:
    """Reckon the day before. Run again, it replaces the figures by the same."""
    services.reckon(day=timezone.now().astimezone(UTC).date() - timedelta(days=1))
