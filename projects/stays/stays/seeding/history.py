"""The history in data/, and what of it has happened by a given moment.

The files tell what happens over some years, on a clock of their own, in minutes. To load them is to
play them up to now: what is later has not happened yet, so that some bookings are still to come and
some still wait for payment. Which day of the clock is today goes by the place in the year, so that
summer stays summer and a Friday a Friday. Nothing grows old.
"""

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from types import SimpleNamespace

YEAR = 52 * 7
FIRST_NOW, FIRST_TODAY = 90 * 7, date(2024, 1, 1)
"""A day of the files' clock, and a date that it stands for: both Mondays. See data/make.py."""
DAY = 24 * 60
TEXTS = {"ending", "sender", "text"}


Row = SimpleNamespace
"""A row of what happens. Its attributes are the columns of its file: see data/README.md."""


@dataclass(frozen=True)
class History:
    """All that the files tell, each in the order of time. Things refer to others by number."""

    cities: list[dict[str, str]]
    amenities: list[dict[str, str]]
    users: list[dict[str, str]]
    properties: list[dict[str, str]]
    bookings: list[Row]
    reviews: list[Row]
    messages: list[Row]


@cache
def read(directory: Path) -> History:
    """Return what the files of a directory tell."""
    return History(
        cities=list(_rows(directory / "cities.csv")),
        amenities=list(_rows(directory / "amenities.csv")),
        users=list(_rows(directory / "users.csv.gz")),
        properties=list(_rows(directory / "properties.csv.gz")),
        bookings=[_typed(row) for row in _rows(directory / "bookings.csv.gz")],
        reviews=[_typed(row) for row in _rows(directory / "reviews.csv.gz")],
        messages=[_typed(row) for row in _rows(directory / "messages.csv.gz")],
    )


def _typed(row: dict[str, str]) -> Row:
    """Return a row whose columns are numbers, but for TEXTS. One that is empty is None."""
    numbers = {name: int(text) if text else None for name, text in row.items() if name not in TEXTS}
    return Row(**(row | numbers))


def _rows(path: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV file by the names in its head line."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


@dataclass(frozen=True)
class Clock:
    """The files' clock, set to a moment.

    Attributes:
        beginning: When its first minute was.
        now: The minute that it is.
    """

    beginning: datetime
    now: int

    @classmethod
    def at(cls, moment: datetime) -> "Clock":
        """Set the clock to a moment (UTC)."""
        today = FIRST_NOW + (moment.date() - FIRST_TODAY).days % YEAR
        midnight = datetime.combine(moment.date(), time(), UTC)
        now = today * DAY + moment.hour * 60 + moment.minute
        return cls(midnight - timedelta(days=today), now)

    def moment(self, minute: int) -> datetime:
        """Return when a minute was, or will be."""
        return self.beginning + timedelta(minutes=minute)

    def day(self, day: int) -> date:
        """Return the date of a day."""
        return self.beginning.date() + timedelta(days=day)
