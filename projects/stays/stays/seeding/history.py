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
from typing import NamedTuple

YEAR = 52 * 7
FIRST_NOW, FIRST_TODAY = 90 * 7, date(2024, 1, 1)
"""A day of the files' clock, and a date that it stands for: both Mondays. See data/make.py."""
DAY = 24 * 60


class Booking(NamedTuple):
    """A booking. `booked` is a minute of the clock, `arrives` a day.

    What became of it is told in minutes after it was booked; None: never.
    """

    booked: int
    property: int
    guest: int
    arrives: int
    nights: int
    guests: int
    failures: int
    paid: int | None
    confirmed: int | None
    ended: int | None
    ending: str


class Review(NamedTuple):
    """A review of a booking, by its number."""

    booking: int
    written: int
    rating: int
    text: str


class Message(NamedTuple):
    """A message between a guest and a property's host; `read` counts minutes after `sent`."""

    sent: int
    property: int
    guest: int
    sender: str
    read: int
    text: str


@dataclass(frozen=True)
class History:
    """All that the files tell, each in the order of time. Things refer to others by number."""

    cities: list[dict[str, str]]
    amenities: list[dict[str, str]]
    users: list[dict[str, str]]
    properties: list[dict[str, str]]
    bookings: list[Booking]
    reviews: list[Review]
    messages: list[Message]


@cache
def read(directory: Path) -> History:
    """Return what the files of a directory tell."""
    return History(
        cities=list(_rows(directory / "cities.csv")),
        amenities=list(_rows(directory / "amenities.csv")),
        users=list(_rows(directory / "users.csv.gz")),
        properties=list(_rows(directory / "properties.csv.gz")),
        bookings=[
            Booking._make(
                [
                    *(int(row[name]) for name in Booking._fields[:7]),
                    *(int(row[name]) if row[name] else None for name in Booking._fields[7:10]),
                    row["ending"],
                ]
            )
            for row in _rows(directory / "bookings.csv.gz")
        ],
        reviews=[
            Review(int(row["booking"]), int(row["written"]), int(row["rating"]), row["text"])
            for row in _rows(directory / "reviews.csv.gz")
        ],
        messages=[
            Message(
                **{name: int(row[name]) for name in ("sent", "property", "guest", "read")},
                sender=row["sender"],
                text=row["text"],
            )
            for row in _rows(directory / "messages.csv.gz")
        ],
    )


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
