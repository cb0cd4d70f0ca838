import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import Count, F, Q, Sum

from stays.accounts.models import User
from stays.bookings.models import Booking, Status
from stays.common.errors import Conflict
from stays.listings.models import City, Property
from stays.messaging.models import Conversation, Message
from stays.payments.models import PAID, Payment
from stays.reviews.models import Review
from stays.seeding import services
from stays.seeding.history import DAY, FIRST_NOW, Clock
from stays.statistics.models import DailyFigures
from tests.factories import make_user

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 7, 15, 13, 30, tzinfo=UTC)
PASSWORD = "only for these tests"


def seed(**options: Any) -> str:
    out = StringIO()
    call_command("seed", password=PASSWORD, stdout=out, **options)
    return out.getvalue()


def test_the_whole_history_is_loaded() -> None:
    made = services.seed(now=NOW, password=PASSWORD)
    assert made == {
        "cities": City.objects.count(),
        "amenities": 16,
        "users": User.objects.count(),
        "properties": Property.objects.count(),
        "bookings": Booking.objects.count(),
        "payments": Payment.objects.count(),
        "reviews": Review.objects.count(),
        "conversations": Conversation.objects.count(),
        "messages": Message.objects.count(),
    }
    figures = DailyFigures.objects.values_list("day", flat=True).distinct().order_by("day")
    yesterday = NOW.date() - timedelta(days=1)
    assert (figures[0], figures.last()) == (NOW.date() - timedelta(days=30), yesterday)
    counted = {name: made[name] for name in ("cities", "users", "properties", "bookings")}
    assert counted == {"cities": 62, "users": 2_000, "properties": 500, "bookings": 20_000}
    roles = dict(User.objects.values_list("role").annotate(Count("id")))
    assert roles == {"admin": 1, "host": 180, "guest": 1_819}

    # Every constraint and trigger was on; what follows is what none of them says.
    today = NOW.date()
    assert set(Booking.objects.values_list("status", flat=True)) == set(Status.values)
    assert Booking.objects.filter(stay__endswith__lte=today).count() > 10_000
    assert Booking.objects.filter(stay__startswith__gt=today).count() > 1_000
    assert not Booking.objects.exclude(currency=F("property__currency")).exists()
    assert not Booking.objects.filter(guest=F("property__host")).exists()
    assert not Booking.objects.filter(guests__gt=F("property__max_guests")).exists()
    assert not Booking.objects.filter(created_at__gt=NOW).exists()
    assert not Booking.objects.filter(status=Status.PENDING, expires_at__lte=NOW).exists()
    assert not Payment.objects.exclude(
        amount_minor=F("booking__total_minor"), currency=F("booking__currency")
    ).exists()
    paid = Payment.objects.filter(status__in=PAID)
    assert paid.count() == Booking.objects.filter(paid_at__isnull=False).count()
    assert not paid.filter(booking__paid_at__isnull=True).exists()
    assert not paid.filter(status="succeeded", booking__cancelled_at__isnull=False).exists()

    sums = {
        place: (total, count)
        for place, total, count in Review.objects.order_by()
        .values_list("property")
        .annotate(Sum("rating"), Count("id"))
    }
    for place in Property.objects.all():
        assert (place.rating_sum, place.rating_count) == sums.get(place.pk, (0, 0))
    not_stayed = Review.objects.exclude(
        booking__status=Status.CONFIRMED, booking__stay__endswith__lte=today
    )
    assert not not_stayed.exists()
    assert Review.objects.values("text").distinct().count() > 3_000

    assert not Message.objects.exclude(
        Q(sender=F("conversation__guest")) | Q(sender=F("conversation__property__host"))
    ).exists()
    assert not Message.objects.filter(created_at__gt=NOW).exists()
    assert Message.objects.filter(read_at=None).exists()
    # The order of the ids is the order of time, as with those that the database makes.
    ids = Booking.objects.order_by("created_at", "id").values_list("id", flat=True)
    assert list(ids) == sorted(ids)


def test_it_makes_as_many_bookings_as_are_wanted() -> None:
    made = services.seed(now=NOW, bookings=20_003, password=PASSWORD)
    assert (made["users"], made["properties"], made["bookings"]) == (4_000, 1_000, 20_003)
    assert Booking.objects.filter(property__slug__endswith="-1").count() == 3
    assert User.objects.filter(role="admin").count() == 1


def test_numbers_may_be_written_as_people_write_them() -> None:
    call_command("seed", "--bookings=1_20", stdout=StringIO())
    assert Booking.objects.count() == 120


def test_a_few_are_enough() -> None:
    made = services.seed(now=NOW, bookings=1, password=PASSWORD)
    assert (made["users"], made["properties"], made["bookings"]) == (2_000, 500, 1)


def test_it_is_analysed() -> None:
    seed(bookings=100)
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE relname = 'listings_property'")
        assert cursor.fetchone() == (500,)


@pytest.mark.parametrize("today", [date(2024, 1, 1), date(2026, 11, 30), date(2033, 8, 7)])
def test_the_data_never_grows_old(today: date) -> None:
    seed(bookings=2_000, today=today)
    made = Booking.objects.order_by("created_at").values_list("created_at", flat=True)
    assert made.count() == 2_000
    assert made.last().date() in (today, today - timedelta(days=1))
    assert Booking.objects.filter(stay__endswith__lte=today).exists()
    assert Booking.objects.filter(stay__startswith__gt=today, status="confirmed").exists()


def test_a_day_of_the_week_and_a_season_stay_what_they_are() -> None:
    for year in range(2020, 2040):
        clock = Clock.at(datetime(year, 7, 15, 12, tzinfo=UTC))
        assert clock.day(0).weekday() == 0
        assert abs(clock.now // DAY - FIRST_NOW - 196) < 22  # 196 days after 1 January
        assert clock.moment(clock.now) == datetime(year, 7, 15, 12, tzinfo=UTC)


def test_one_can_log_in() -> None:
    told = seed(bookings=10)
    for email in ("admin@example.com", "host@example.com", "guest@example.com"):
        assert email in told
        assert authenticate(email=email, password=PASSWORD) or authenticate(
            username=email, password=PASSWORD
        )
    assert User.objects.get(email="admin@example.com").is_superuser


def test_a_password_of_ones_own_need_not_be_given() -> None:
    out = StringIO()
    call_command("seed", bookings=10, stdout=out)
    (password,) = re.findall(r"with the password (\S+)", out.getvalue())
    assert User.objects.get(email="guest@example.com").check_password(password)


def test_a_database_with_data_is_left_alone() -> None:
    user = make_user()
    with pytest.raises(CommandError, match="holds data already"):
        seed(bookings=10)
    assert "nothing was done" in seed(bookings=10, if_empty=True)
    assert list(User.objects.all()) == [user]


def test_a_deployment_for_others_is_refused(settings: Any) -> None:
    settings.DEBUG = settings.PLAIN_HTTP = False
    for options in ({}, {"if_empty": True}):
        with pytest.raises(CommandError, match="known password"):
            seed(bookings=10, **options)
    assert not User.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_an_interruption_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(services._Copy, "_status", interrupt)
    with pytest.raises(KeyboardInterrupt):
        services.seed(now=NOW, bookings=50, password=PASSWORD)
    assert not User.objects.exists()
    assert not City.objects.exists()


def test_what_was_cached_before_is_forgotten(commits: Callable[..., Any]) -> None:
    cache.set("page", "old")
    with commits():
        seed(bookings=10)
    assert cache.get("page") is None


def test_a_second_seed_at_the_same_time_is_refused() -> None:
    seed(bookings=10)
    with pytest.raises(Conflict):
        services.seed(now=NOW, bookings=10, password=PASSWORD)


@pytest.mark.parametrize("bookings", ["0", "-5", "many"])
def test_a_number_that_cannot_be_is_refused(bookings: str) -> None:
    with pytest.raises(CommandError):
        call_command("seed", "--bookings", bookings)
