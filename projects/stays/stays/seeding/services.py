"""Filling an empty database with a made-up marketplace."""

import itertools
import secrets
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.core.cache import cache
from django.db import connection, models, transaction
from django.db.models import Q

from stays.accounts.models import Role, User
from stays.bookings.models import Booking, Status
from stays.common.errors import Conflict, Forbidden
from stays.listings.models import Amenity, City, Property
from stays.messaging.models import Conversation, Message
from stays.payments.models import Payment
from stays.payments.models import Status as PaymentStatus
from stays.reviews.models import Review
from stays.seeding import history
from stays.seeding.history import Clock, History
from stays.statistics import services as statistics

Row = Sequence[Any]
BOOKINGS = 20_000
"""How many bookings one copy of the history makes."""
DAYS_OF_FIGURES = 30
"""Of how many days before today the statistics are made, as if the nightly task had run."""
LOG_INS = {Role.ADMIN: "admin@example.com", Role.HOST: "host@example.com"} | {
    Role.GUEST: "guest@example.com"
}
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
    """Tell whether there is a row in any of the project's tables."""
    return any(model._default_manager.exists() for model in _models())


@transaction.atomic
def seed(
    *,
    now: datetime,
    bookings: int = BOOKINGS,
    password: str,
    flush: bool = False,
    on_booking: Callable[[int], object] = lambda _: None,
) -> Counter[str]:
    """Fill the database, all or nothing.

    Every BOOKINGS bookings bring their own users and properties, so that more of them find room.

    Args:
        now: The moment up to which the history is played, in UTC.
        bookings: How many bookings to make.
        password: Every user's.
        flush: Whether to remove first what an earlier seed has left.
        on_booking: Is called with 1 for each booking that is sent.

    Returns:
        How many rows were made, by the model's plural name.

    Raises:
        Forbidden: if this is not a machine of one's own.
        Conflict: if there is data already; with `flush`, if it is not all made up.
    """
    check_permitted()
    if flush:
        _flush()
    elif holds_data():
        raise Conflict("The database holds data already.", code="not_empty")
    told = history.read(settings.BASE_DIR / "data")
    made: Counter[str] = Counter()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        # Foreign keys are checked after each COPY: the list of a million rows that are to be
        # checked at the end would lie in PostgreSQL's memory.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    made += _ground(told)
    encoded = make_password(password)  # one for all: two thousand would take minutes
    for number in range(-(-bookings // BOOKINGS)):
        size = min(BOOKINGS, bookings - number * BOOKINGS)
        made += _Copy(told, Clock.at(now), number, size).load(encoded, on_booking)
    for days in range(1, DAYS_OF_FIGURES + 1):
        statistics.reckon(day=now.astimezone(UTC).date() - timedelta(days=days))
    with connection.cursor() as cursor:
        for model in _models():
            cursor.execute(f"ANALYZE {connection.ops.quote_name(model._meta.db_table)}")
    transaction.on_commit(cache.clear, robust=True)
    return made


def _models() -> list[type[models.Model]]:
    """Return the models of the project, with the tables between them."""
    return [
        model
        for model in apps.get_models(include_auto_created=True)
        if model.__module__.startswith("stays.")
    ]


def _flush() -> None:
    """Empty the project's tables, if every account is made up."""
    made_up = Q(email__endswith="@example.com") | Q(email__endswith="@example.org")
    others = User.objects.exclude(made_up).count()
    if others:
        raise Conflict(
            f"Nothing was removed: {others} accounts are not at example.com or example.org, so "
            "they may be somebody's. Make a new database instead.",
            code="not_made_up",
        )
    tables = ", ".join(connection.ops.quote_name(model._meta.db_table) for model in _models())
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {tables} RESTART IDENTITY CASCADE")


def _ground(told: History) -> Counter[str]:
    """Make the cities and the amenities."""
    return Counter(
        _copy(
            City,
            "slug name country timezone latitude longitude",
            (list(row.values())[:6] for row in told.cities),
        )
    ) + Counter(_copy(Amenity, "slug name", (row.values() for row in told.amenities)))


def _copy(model: type[models.Model], columns: str, rows: Iterable[Iterable[Any]]) -> dict[str, int]:
    """Send rows by COPY, as they come.

    Returns:
        How many, by the model's plural name.
    """
    names = ", ".join(columns.split())
    table = connection.ops.quote_name(model._meta.db_table)
    count = 0
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(tuple(row))
            count += 1
    return {str(model._meta.verbose_name_plural): count}


class _Copy:
    """One copy of the history, played up to now.

    Attributes:
        told: The history.
        clock: What tells the moments.
        number: The copy's number. All but the first have it in addresses, slugs and prices.
        first, last: The bookings that have been made: numbers in the history.
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
        self.prices = [
            (self._price(place["nightly_minor"]), self._price(place["cleaning_minor"]))
            for place in told.properties
        ]

    def load(self, password: str, on_booking: Callable[[int], object]) -> Counter[str]:
        """Send everything.

        Args:
            password: Every user's, encoded.
            on_booking: Is called with 1 for each booking.

        Returns:
            How many rows, by the model's plural name.
        """
        made: Counter[str] = Counter()
        made.update(
            _copy(
                User,
                "id password is_superuser email name role is_active is_staff date_joined",
                self._users(password),
            )
        )
        made.update(
            _copy(
                Property,
                "id slug host_id city_id title description kind address latitude longitude"
                " max_guests bedrooms nightly_minor cleaning_minor currency instant_book is_listed"
                " rating_sum rating_count version created_at updated_at",
                self._properties(),
            )
        )
        _copy(Property.amenities.through, "property_id amenity_id", self._amenities())
        made.update(
            _copy(
                Booking,
                "id property_id guest_id stay guests status nightly_minor cleaning_minor"
                " total_minor currency expires_at paid_at confirmed_at cancelled_at"
                " cancelled_by_id cancellation_reason confirmation_sent_at created_at updated_at",
                self._bookings(on_booking),
            )
        )
        made.update(
            _copy(
                Payment,
                "id booking_id amount_minor currency method status provider_reference failure"
                " created_at updated_at",
                self._payments(),
            )
        )
        made.update(
            _copy(Review, "id booking_id property_id rating text created_at", self._reviews())
        )
        conversations = self._conversations()
        made.update(
            _copy(
                Conversation,
                "id property_id guest_id created_at",
                (
                    (identifier, self.properties[place], self.users[guest], self._at(sent))
                    for (place, guest), (identifier, sent) in conversations.items()
                ),
            )
        )
        made.update(
            _copy(
                Message,
                "id conversation_id sender_id text created_at read_at",
                self._messages(conversations),
            )
        )
        return made

    def _users(self, password: str) -> Iterator[Row]:
        known = set(LOG_INS.values())
        for identifier, user in zip(self.users, self.told.users, strict=True):
            name, _, domain = user["email"].partition("@")
            email = f"{name}.{self.number}@{domain}" if self.number else user["email"]
            # One administrator is enough, and the one with the right to everything.
            role = user["role"] if email in known or user["role"] != Role.ADMIN else Role.GUEST
            rights = role == Role.ADMIN
            joined = self._at(int(user["joined"]))
            yield identifier, password, rights, email, user["name"], role, True, rights, joined

    def _properties(self) -> Iterator[Row]:
        ratings: Counter[int] = Counter()
        counts: Counter[int] = Counter()
        for review in self._written():
            number = self.told.bookings[review.booking].property
            ratings[number] += review.rating
            counts[number] += 1
        for at, place in enumerate(self.told.properties):
            opened = self._at(int(place["opened"]))
            yield (
                self.properties[at],
                f"{place['slug']}-{self.number}" if self.number else place["slug"],
                self.hosts[at],
                self.cities[place["city"]],
                *(place[name] for name in ("title", "description", "kind", "address")),
                *(place[name] for name in ("latitude", "longitude", "max_guests", "bedrooms")),
                *self.prices[at],
                *(place[name] for name in ("currency", "instant_book", "is_listed")),
                ratings[at],
                counts[at],
                1 + counts[at],
                opened,
                opened,
            )

    def _amenities(self) -> Iterator[Row]:
        for identifier, place in zip(self.properties, self.told.properties, strict=True):
            for slug in place["amenities"].split():
                yield identifier, self.amenities[slug]

    def _bookings(self, on_booking: Callable[[int], object]) -> Iterator[Row]:
        for identifier, booking in self._made():
            nightly, cleaning = self.prices[booking.property]
            status, ended = self._status(booking), self._past(booking, booking.ended)
            paid = self._past(booking, booking.paid)
            confirmed = self._past(booking, booking.confirmed)
            created = self._at(booking.booked)
            waits = paid + settings.HOST_WINDOW if paid else created + settings.PAYMENT_WINDOW
            cancelled = status == Status.CANCELLED
            reasons = REASONS.get(booking.ending, ("",))
            by = {"guest": self.users[booking.guest], "host": self.hosts[booking.property]}
            arrives = self.clock.day(booking.arrives)
            on_booking(1)
            yield (
                identifier,
                self.properties[booking.property],
                self.users[booking.guest],
                f"[{arrives},{arrives + timedelta(days=booking.nights)})",
                booking.guests,
                status,
                nightly,
                cleaning,
                nightly * booking.nights + cleaning,
                self.told.properties[booking.property]["currency"],
                waits,
                paid,
                confirmed,
                ended if cancelled else None,
                by[booking.ending] if cancelled else None,
                reasons[booking.booked % len(reasons)] if cancelled else "",
                confirmed,
                created,
                ended or confirmed or paid or created,
            )

    def _payments(self) -> Iterator[Row]:
        for identifier, booking in self._made():
            nightly, cleaning = self.prices[booking.property]
            amount = nightly * booking.nights + cleaning
            currency = self.told.properties[booking.property]["currency"]
            tried = self._past(booking, 1)
            if booking.failures and tried:
                failed = (PaymentStatus.FAILED, None, "card_declined", tried, tried)
                key = self._id(booking.booked + 1)
                yield key, identifier, amount, currency, "tok_declined", *failed
            paid, ended = self._past(booking, booking.paid), self._past(booking, booking.ended)
            if paid and booking.paid:
                key = self._id(booking.booked + booking.paid)
                status = PaymentStatus.REFUNDED if ended else PaymentStatus.SUCCEEDED
                yield (
                    *(key, identifier, amount, currency, "tok_ok", status),
                    *(f"seed_{key}", "", paid, ended or paid),
                )

    def _reviews(self) -> Iterator[Row]:
        for review in self._written():
            place = self.told.bookings[review.booking].property
            yield (
                self._id(review.written),
                self.bookings[review.booking - self.shown.start],
                self.properties[place],
                review.rating,
                review.text,
                self._at(review.written),
            )

    def _conversations(self) -> dict[tuple[int, int], tuple[str, int]]:
        """Return id and beginning of each conversation, by property and guest."""
        began: dict[tuple[int, int], tuple[str, int]] = {}
        for message in self._sent():
            pair = (message.property, message.guest)
            if pair not in began:
                began[pair] = self._id(message.sent), message.sent
        return began

    def _messages(self, conversations: dict[tuple[int, int], tuple[str, int]]) -> Iterator[Row]:
        for message in self._sent():
            read = message.sent + message.read
            host = message.sender == "host"
            yield (
                self._id(message.sent),
                conversations[message.property, message.guest][0],
                self.hosts[message.property] if host else self.users[message.guest],
                message.text,
                self._at(message.sent),
                self._at(read) if read <= self.clock.now else None,
            )

    # -- What has happened so far
    def _made(self) -> Iterator[tuple[str, history.Booking]]:
        """Yield the bookings with their ids."""
        made = itertools.islice(self.told.bookings, self.shown.start, self.shown.stop)
        return zip(self.bookings, made, strict=True)

    def _written(self) -> Iterator[history.Review]:
        """Yield the reviews of these bookings."""
        for review in self.told.reviews:
            if review.written <= self.clock.now and review.booking in self.shown:
                yield review

    def _sent(self) -> Iterator[history.Message]:
        """Yield the messages of the time of these bookings."""
        first = self.told.bookings[self.shown.start].booked
        for message in self.told.messages:
            if first <= message.sent <= self.clock.now:
                yield message

    def _past(self, booking: history.Booking, minutes: int | None) -> datetime | None:
        """Return the moment so many minutes after a booking, if it has come."""
        if minutes is None or booking.booked + minutes > self.clock.now:
            return None
        return self._at(booking.booked + minutes)

    def _status(self, booking: history.Booking) -> Status:
        """Return where a booking stands."""
        if self._past(booking, booking.ended):
            return Status.EXPIRED if booking.ending == "expired" else Status.CANCELLED
        return Status.CONFIRMED if self._past(booking, booking.confirmed) else Status.PENDING

    def _at(self, minute: int) -> datetime:
        return self.clock.moment(minute)

    def _price(self, minor: str) -> int:
        """Return an amount, up to 10 % more or less, the same for all in this copy."""
        return int(minor) * (100 + (7 * self.number + 10) % 21 - 10) // 100

    def _id(self, minute: int) -> str:
        """Return a UUIDv7 of a minute, so that ids are in the order of time (RFC 9562, 5.7)."""
        milliseconds = int(self._at(minute).timestamp() * 1000)
        random = secrets.randbits(74)
        return f"{milliseconds:012x}7{random >> 62:03x}{1 << 63 | random & (1 << 62) - 1:016x}"
