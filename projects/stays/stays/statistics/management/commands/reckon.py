"""Reckon a day's figures by hand."""

from argparse import ArgumentParser
from datetime import UTC, date, timedelta
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from stays.statistics import services


class Command(BaseCommand):
    """What the task statistics.nightly does, for any day."""

    help = "Reckon a day's figures, in place of those that there are."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the day."""
        parser.add_argument(
            "--day", type=date.fromisoformat, help="as YYYY-MM-DD (UTC); yesterday if not given"
        )

    def handle(self, *_: Any, day: date | None, **__: Any) -> None:
        """Reckon it."""
        day = day or timezone.now().astimezone(UTC).date() - timedelta(days=1)
        currencies = services.reckon(day=day)
        self.stdout.write(f"{day}: figures for {currencies} currencies")
