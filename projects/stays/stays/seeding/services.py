"""Filling an empty database with a made-up marketplace."""

import itertools
import secrets
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.core.cache import cache
from django.db import connection, models, transaction

from stays.accounts.models import Role, User
from stays.bookings.models import Booking, Status
from stays.common.errors import Conflict, Forbidden, Invalid
from stays.listings.models import Amenity, City, Property
from stays.messaging.models import Conversation, Message
from stays.payments.models import Payment
from stays.payments.models import Status as PaymentStatus
from stays.reviews.models import Review
from stays.seeding import history
from stays.seeding.history import Clock, History
from stays.statistics import services as statistics

Row = dict[str, Any]
"""The values of a row, by their columns."""
BOOKINGS = 20_000
"""How many bookings one copy of the history makes."""
DAYS_OF_FIGURES = 30
"""Of how many days before today the statistics are made, as if the nightly task had run."""
LOG_INS = {role: f"{role}@example.com" for role in Role}
CITY = ("slug", "name", "country", "timezone", "latitude", "longitude")
AS_TOLD = (
    *("title", "description", "kind", "address", "latitude", "longitude"),
    *("max_guests", "bedrooms", "currency", "instant_book", "is_listed"),
)
"""What a property has as the files tell it."""
REASONS = {
    "guest": ("My plans have changed.", "I have fallen ill.", "We found another place.", ""),
    "host": ("A pipe has burst.", "I need the place myself. I am sorry."),
}


def check_permitted() -> None:
    """Refuse where made-up users with a known password have no place.

    Raises:
        Forbidden: unless the settings are those of a machine of one's own.
    """
    if not (settings.DEBUG or settings.PLAIN_HTTP):
        raise Forbidden(
            "Made-up users with a known password, an administrator among them, belong on a "
            "machine of one's own only: there DEBUG or PLAIN_HTTP is true."
        )


def holds_data() -> bool:
    """Tell whether the database is in use."""
    return City.objects.exists() or User.objects.exists()


@transaction.atomic
def seed(*, now: datetime, bookings: int = BOOKINGS, password: str) -> Counter[str]:
    """Fill the database, all or nothing.

    Every BOOKINGS bookings bring their own users and properties, so that more of them find room.

    Args:
        now: The moment up to which the history is played, in UTC.
        bookings: How many bookings to make.
        password: Every user's.

    Returns:
        How many rows were made, by the model's plural name.

    Raises:
        Forbidden: if this is not a machine of one's own.
        Conflict: if there is data already.
        Invalid: if there is to be no booking.
    """
    check_permitted()
    if bookings < 1:
        raise Invalid("At least one booking.")
    if holds_data():
        raise Conflict("The database holds data already.", code="not_empty")
    told = history.read(settings.BASE_DIR / "data")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        # Foreign keys are checked after each COPY: the list of a million rows that are to be
        # checked at the end would lie in PostgreSQL's memory.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    cities = ({name: row[name] for name in CITY} for row in told.cities)
    made = _copy(City, cities) + _copy(Amenity, iter(told.amenities))
    encoded = make_password(password)  # one for all: two thousand would take minutes
    for number in range(-(-bookings // BOOKINGS)):
        size = min(BOOKINGS, bookings - number * BOOKINGS)
        made += _Copy(told, Clock.at(now), number, size).load(encoded)
    for days in range(1, DAYS_OF_FIGURES + 1):
        statistics.reckon(day=now.astimezone(UTC).date() - timedelta(days=days))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    transaction.on_commit(cache.clear, robust=True)
    return made


def _copy(model: type[models.Model], rows: Iterator[Row]) -> Counter[str]:
    """Send rows by COPY, as they come, and return how many, by the model's plural name."""
    made: Counter[str] = Counter()
    first = next(rows, None)
    if first is None:
        return made
    table = connection.ops.quote_name(model._meta.db_table)
    command = f"COPY {table} ({', '.join(first)}) FROM STDIN"
    with connection.cursor() as cursor, cursor.copy(command) as copy:
        for row in itertools.chain([first], rows):
            copy.write_row(tuple(row.values()))
            made[str(model._meta.verbose_name_plural)] += 1
    return made


class _Copy:
    """One copy of the history, played up to now.

    Attributes:
        told: The history.
        clock: What tells the moments.
        number: The copy's number. All but the first have it in addresses, slugs and prices.
        shown: The bookings that have been made: their numbers in the history.
    """

    def __init__(self, told: History, clock: Clock, number: int, size: int) -> None:
        self.told = told
        self.clock = clock
        self.number = number
        made = bisect_right(told.bookings, clock.now, key=lambda booking: booking.booked)
        self.shown = range(made - size, made)
        self.users = [self._id(int(user["joined"])) for user in told.users]
        self.properties = [self._id(int(place["opened"])) for place in told.properties]
        # Read here: while a COPY runs, the connection takes no query.
        self.cities = dict(City.objects.values_list("slug", "id"))
        self.amenities = dict(Amenity.objects.values_list("slug", "id"))
        self.hosts = [self.users[int(place["host"])] for place in told.properties]
        self.bookings = [self._id(told.bookings[at].booked) for at in self.shown]
        self.conversations: dict[tuple[int, int], str] = {}

    def load(self, password: str) -> Counter[str]:
        """Send everything.

        Args:
            password: Every user's, encoded.

        Returns:
            How many rows, by the model's plural name.
        """
        made = _copy(User, self._users(password)) + _copy(Property, self._properties())
        _copy(Property.amenities.through, self._amenities())
        made += _copy(Booking, self._bookings()) + _copy(Payment, self._payments())
        made += _copy(Review, self._reviews()) + _copy(Conversation, self._conversations())
        return made + _copy(Message, self._messages())

    def _users(self, password: str) -> Iterator[Row]:
        known = set(LOG_INS.values())
        for identifier, user in zip(self.users, self.told.users, strict=True):
            name, _, domain = user["email"].partition("@")
            email = f"{name}.{self.number}@{domain}" if self.number else user["email"]
            # One administrator is enough, and the one with the right to everything.
            role = user["role"] if email in known or user["role"] != Role.ADMIN else Role.GUEST
            yield {
                "id": identifier,
                "password": password,
                "email": email,
                "name": user["name"],
                "role": role,
                "is_superuser": role == Role.ADMIN,
                "is_staff": role == Role.ADMIN,
                "is_active": True,
                "date_joined": self._at(int(user["joined"])),
            }

    def _properties(self) -> Iterator[Row]:
        ratings: dict[int, list[int]] = defaultdict(list)
        for review in self._written():
            ratings[self.told.bookings[review.booking].property].append(review.rating)
        for at, place in enumerate(self.told.properties):
            opened = self._at(int(place["opened"]))
            yield {name: place[name] for name in AS_TOLD} | {
                "id": self.properties[at],
                "slug": f"{place['slug']}-{self.number}" if self.number else place["slug"],
                "host_id": self.hosts[at],
                "city_id": self.cities[place["city"]],
                "nightly_minor": self._price(at, "nightly_minor"),
                "cleaning_minor": self._price(at, "cleaning_minor"),
                "rating_sum": sum(ratings[at]),
                "rating_count": len(ratings[at]),
                "version": 1 + len(ratings[at]),
                "created_at": opened,
                "updated_at": opened,
            }

    def _amenities(self) -> Iterator[Row]:
        for identifier, place in zip(self.properties, self.told.properties, strict=True):
            for slug in place["amenities"].split():
                yield {"property_id": identifier, "amenity_id": self.amenities[slug]}

    def _bookings(self) -> Iterator[Row]:
        for identifier, booking in self._made():
            status, ended = self._status(booking), self._past(booking, booking.ended)
            paid = self._past(booking, booking.paid)
            confirmed = self._past(booking, booking.confirmed)
            created = self._at(booking.booked)
            waits = paid + settings.HOST_WINDOW if paid else created + settings.PAYMENT_WINDOW
            cancelled = status == Status.CANCELLED
            reasons = REASONS.get(booking.ending, ("",))
            by = {"guest": self.users[booking.guest], "host": self.hosts[booking.property]}
            arrives = self.clock.day(booking.arrives)
            yield {
                "id": identifier,
                "property_id": self.properties[booking.property],
                "guest_id": self.users[booking.guest],
                "stay": f"[{arrives},{arrives + timedelta(days=booking.nights)})",
                "guests": booking.guests,
                "status": status,
                "nightly_minor": self._price(booking.property, "nightly_minor"),
                "cleaning_minor": self._price(booking.property, "cleaning_minor"),
                "total_minor": self._total(booking),
                "currency": self.told.properties[booking.property]["currency"],
                "expires_at": waits,
                "paid_at": paid,
                "confirmed_at": confirmed,
                "cancelled_at": ended if cancelled else None,
                "cancelled_by_id": by[booking.ending] if cancelled else None,
                "cancellation_reason": reasons[booking.booked % len(reasons)] if cancelled else "",
                "confirmation_sent_at": confirmed,
                "created_at": created,
                "updated_at": ended or confirmed or paid or created,
            }

    def _payments(self) -> Iterator[Row]:
        for identifier, booking in self._made():
            row = {
                "booking_id": identifier,
                "amount_minor": self._total(booking),
                "currency": self.told.properties[booking.property]["currency"],
            }
            tried = self._past(booking, 1)
            if booking.failures and tried:
                yield row | {
                    "id": self._id(booking.booked + 1),
                    "method": "tok_declined",
                    "status": PaymentStatus.FAILED,
                    "provider_reference": None,
                    "failure": "card_declined",
                    "created_at": tried,
                    "updated_at": tried,
                }
            paid, ended = self._past(booking, booking.paid), self._past(booking, booking.ended)
            if paid and booking.paid:
                key = self._id(booking.booked + booking.paid)
                yield row | {
                    "id": key,
                    "method": "tok_ok",
                    "status": PaymentStatus.REFUNDED if ended else PaymentStatus.SUCCEEDED,
                    "provider_reference": f"seed_{key}",
                    "failure": "",
                    "created_at": paid,
                    "updated_at": ended or paid,
                }

    def _reviews(self) -> Iterator[Row]:
        for review in self._written():
            place = self.told.bookings[review.booking].property
            yield {
                "id": self._id(review.written),
                "booking_id": self.bookings[review.booking - self.shown.start],
                "property_id": self.properties[place],
                "rating": review.rating,
                "text": review.text,
                "created_at": self._at(review.written),
            }

    def _conversations(self) -> Iterator[Row]:
        for message in self._sent():
            pair = message.property, message.guest
            if pair not in self.conversations:
                self.conversations[pair] = self._id(message.sent)
                yield {
                    "id": self.conversations[pair],
                    "property_id": self.properties[message.property],
                    "guest_id": self.users[message.guest],
                    "created_at": self._at(message.sent),
                }

    def _messages(self) -> Iterator[Row]:
        for message in self._sent():
            read = message.sent + message.read
            host = message.sender == "host"
            yield {
                "id": self._id(message.sent),
                "conversation_id": self.conversations[message.property, message.guest],
                "sender_id": self.hosts[message.property] if host else self.users[message.guest],
                "text": message.text,
                "created_at": self._at(message.sent),
                "read_at": self._at(read) if read <= self.clock.now else None,
            }

    # -- What has happened so far
    def _made(self) -> Iterator[tuple[str, history.Row]]:
        """Yield the bookings with their ids."""
        made = itertools.islice(self.told.bookings, self.shown.start, self.shown.stop)
        return zip(self.bookings, made, strict=True)

    def _written(self) -> Iterator[history.Row]:
        """Yield the reviews of these bookings."""
        for review in self.told.reviews:
            if review.written <= self.clock.now and review.booking in self.shown:
                yield review

    def _sent(self) -> Iterator[history.Row]:
        """Yield the messages of the time of these bookings."""
        first = self.told.bookings[self.shown.start].booked
        for message in self.told.messages:
            if first <= message.sent <= self.clock.now:
                yield message

    def _past(self, booking: history.Row, minutes: int | None) -> datetime | None:
        """Return the moment so many minutes after a booking, if it has come."""
        if minutes is None or booking.booked + minutes > self.clock.now:
            return None
        return self._at(booking.booked + minutes)

    def _status(self, booking: history.Row) -> Status:
        """Return where a booking stands."""
        if self._past(booking, booking.ended):
            return Status.EXPIRED if booking.ending == "expired" else Status.CANCELLED
        return Status.CONFIRMED if self._past(booking, booking.confirmed) else Status.PENDING

    def _at(self, minute: int) -> datetime:
        return self.clock.moment(minute)

    def _price(self, place: int, name: str) -> int:
        """Return an amount, up to 10 % more or less, the same for all in this copy."""
        percent = 100 + (7 * self.number + 10) % 21 - 10
        return int(self.told.properties[place][name]) * percent // 100

    def _total(self, booking: history.Row) -> int:
        nightly = self._price(booking.property, "nightly_minor")
        return nightly * int(booking.nights) + self._price(booking.property, "cleaning_minor")

    def _id(self, minute: int) -> str:
        """Return a UUIDv7 of a minute, so that ids are in the order of time (RFC 9562, 5.7)."""
        milliseconds = int(self._at(minute).timestamp() * 1000)
        random = secrets.randbits(74)
        return f"{milliseconds:012x}7{random >> 62:03x}{1 << 63 | random & (1 << 62) - 1:016x}"
