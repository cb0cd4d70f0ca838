"""Things to test with. Every default is right, and every unique value new."""

import itertools
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db.backends.postgresql.psycopg_any import DateRange

from stays.accounts.models import User
from stays.bookings.models import Booking, Status
from stays.listings.models import City, Property

_numbers = itertools.count(1)
PASSWORD = "a long enough password"


def make_user(**fields: Any) -> User:
    number = next(_numbers)
    defaults = {"email": f"user{number}@example.com", "name": f"User {number}"}
    return User.objects.create_user(password=PASSWORD, **(defaults | fields))


def make_host(**fields: Any) -> User:
    return make_user(**({"role": "host"} | fields))


def make_admin(**fields: Any) -> User:
    return make_user(**({"role": "admin", "is_staff": True} | fields))


def make_city(**fields: Any) -> City:
    number = next(_numbers)
    defaults = {
        "slug": f"city-{number}",
        "name": f"City {number}",
        "country": "PT",
        "timezone": "Europe/Lisbon",
        "latitude": 38.7,
        "longitude": -9.1,
    }
    return City.objects.create(**(defaults | fields))


def make_property(**fields: Any) -> Property:
    number = next(_numbers)
    defaults = {
        "slug": f"place-{number}",
        "title": f"Place {number}",
        "description": "A quiet place.",
        "kind": "entire",
        "address": "Rua Augusta 1",
        "latitude": 38.71,
        "longitude": -9.14,
        "max_guests": 4,
        "bedrooms": 2,
        "nightly_minor": 9_000,
        "cleaning_minor": 3_000,
        "currency": "EUR",
    }
    fields.setdefault("host", None)
    fields["host"] = fields["host"] or make_host()
    if "city" not in fields:
        fields["city"] = make_city()
    return Property.objects.create(**(defaults | fields))


def day(ahead: int) -> date:
    """The day that is so many days from now."""
    return datetime.now(UTC).date() + timedelta(days=ahead)


def make_booking(*, check_in: int = 10, nights: int = 3, **fields: Any) -> Booking:
    """A booking, by default a pending one; `check_in` counts days from now."""
    place = fields.pop("property", None) or make_property()
    now = datetime.now(UTC)
    status = fields.get("status", Status.PENDING)
    defaults: dict[str, Any] = {
        "property": place,
        "stay": DateRange(day(check_in), day(check_in + nights), "[)"),
        "guests": 2,
        "nightly_minor": place.nightly_minor,
        "cleaning_minor": place.cleaning_minor,
        "total_minor": place.nightly_minor * nights + place.cleaning_minor,
        "currency": place.currency,
        "expires_at": now + timedelta(minutes=30),
    }
    if status == Status.CONFIRMED:
        defaults |= {"paid_at": now, "confirmed_at": now}
    if status == Status.CANCELLED:
        defaults |= {"cancelled_at": now}
    if "guest" not in fields:
        fields["guest"] = make_user()
    return Booking.objects.create(**(defaults | fields))
