from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
import time_machine
from rest_framework.test import APIClient

from stays.accounts.models import User
from stays.bookings.models import Booking, Status
from stays.celery import app
from stays.statistics import services, tasks
from stays.statistics.models import DailyFigures
from tests.factories import make_admin, make_booking, make_host, make_property, make_user
from tests.racing import race

pytestmark = pytest.mark.django_db
DAY = date(2026, 3, 29)  # Lisbon's clocks change on it; UTC's do not
URL = "/api/v1/statistics"
As = Callable[[User], APIClient]


def at(hours: float, day: date = DAY) -> datetime:
    return datetime.combine(day, time.min, UTC) + timedelta(hours=hours)


def make(made: datetime, currency: str = "EUR", nights: int = 3, **fields: Any) -> Booking:
    """A booking that was made at a moment."""
    booking = make_booking(property=make_property(currency=currency), nights=nights, **fields)
    Booking.objects.filter(id=booking.id).update(created_at=made)
    return booking


def figures() -> list[tuple[Any, ...]]:
    names = ("day", "currency", *services.FIGURES)
    return list(DailyFigures.objects.order_by("day", "currency").values_list(*names))


def confirmed(moment: datetime, **fields: Any) -> Booking:
    return make(at(-48), status=Status.CONFIRMED, paid_at=moment, confirmed_at=moment, **fields)


def test_each_booking_counts_on_the_days_of_its_changes() -> None:
    make(at(-0.001))
    make(at(0))
    make(at(23.999), currency="JPY")
    make(at(24))
    confirmed(at(-0.001))
    confirmed(at(0), nights=2)
    confirmed(at(23.999), nights=5)
    confirmed(at(24))
    make(at(-48), status=Status.CANCELLED, cancelled_at=at(12))
    make(at(12), status=Status.CANCELLED, cancelled_at=at(36), currency="USD")
    assert services.reckon(day=DAY) == 3
    assert figures() == [
        (DAY, "EUR", 1, 2, 1, 7, 2 * 9_000 + 3_000 + 5 * 9_000 + 3_000),
        (DAY, "JPY", 1, 0, 0, 0, 0),
        (DAY, "USD", 1, 0, 0, 0, 0),
    ]


def test_what_was_confirmed_counts_also_if_it_is_cancelled_later() -> None:
    booking = confirmed(at(1))
    services.reckon(day=DAY)
    before = figures()
    Booking.objects.filter(id=booking.id).update(status=Status.CANCELLED, cancelled_at=at(30))
    services.reckon(day=DAY)
    assert figures() == before
    services.reckon(day=DAY + timedelta(days=1))
    assert figures()[1] == (DAY + timedelta(days=1), "EUR", 0, 0, 1, 0, 0)


def test_reckoned_again_a_day_has_its_figures_once() -> None:
    make(at(1))
    services.reckon(day=DAY)
    first = DailyFigures.objects.get()
    make(at(2))
    services.reckon(day=DAY)
    again = DailyFigures.objects.get()
    assert (again.id, again.bookings_made) == (first.id, 2)
    assert again.reckoned_at > first.reckoned_at


def test_figures_that_have_no_booking_any_more_go() -> None:
    other = DAY - timedelta(days=1)
    for day in (DAY, other):
        DailyFigures.objects.create(day=day, currency="EUR", **dict.fromkeys(services.FIGURES, 1))
    assert services.reckon(day=DAY) == 0
    assert figures() == [(other, "EUR", 1, 1, 1, 1, 1)]


@pytest.mark.django_db(transaction=True)
def test_ten_at_once_reckon_one_row_a_currency() -> None:
    for currency in ("EUR", "JPY", "USD"):
        make(at(1), currency=currency)
    assert race(lambda _: services.reckon(day=DAY), 10) == [3] * 10
    assert len(figures()) == 3


def test_at_night_the_day_before_is_reckoned() -> None:
    make(at(23))
    with time_machine.travel(at(24.25), tick=False):
        tasks.nightly()
        tasks.nightly()
    assert figures() == [(DAY, "EUR", 1, 0, 0, 0, 0)]


def test_it_runs_every_night() -> None:
    app.loader.import_default_modules()
    assert "statistics.nightly" in app.tasks
    (entry,) = (
        entry for entry in app.conf.beat_schedule.values() if entry["task"] == "statistics.nightly"
    )
    assert entry["schedule"].hour == {0}
    assert entry["schedule"].minute == {15}


def test_by_hand() -> None:
    make(at(1))
    with time_machine.travel(at(100), tick=False):
        assert tasks.nightly(day=DAY.isoformat()) == 1
    assert figures() == [(DAY, "EUR", 1, 0, 0, 0, 0)]
    with pytest.raises(ValueError, match="yesterday"):
        tasks.nightly(day="yesterday")


# -- REST


def make_figures(*days: int, currency: str = "EUR") -> None:
    for day in days:
        DailyFigures.objects.create(
            day=date(2026, 3, day), currency=currency, **dict.fromkeys(services.FIGURES, day)
        )


def test_admins_read_the_figures(as_user: As) -> None:
    make_figures(3)
    response = as_user(make_admin()).get(URL)
    assert response.status_code == 200
    (row,) = response.json()["results"]
    assert row.pop("reckoned_at")
    assert row == {"day": "2026-03-03", "currency": "EUR"} | dict.fromkeys(services.FIGURES, 3)


@pytest.mark.parametrize(
    ("query", "days"),
    [
        ({}, [4, 3, 3, 2, 1]),
        ({"first_day": "2026-03-03"}, [4, 3, 3]),
        ({"last_day": "2026-03-02"}, [2, 1]),
        ({"first_day": "2026-03-02", "last_day": "2026-03-03"}, [3, 3, 2]),
        ({"first_day": "2026-03-02", "last_day": "2026-03-02"}, [2]),
        ({"currency": "JPY"}, [3]),
        ({"currency": "USD"}, []),
    ],
)
def test_which_figures(as_user: As, query: dict[str, str], days: list[int]) -> None:
    make_figures(1, 2, 3, 4)
    make_figures(3, currency="JPY")
    rows = as_user(make_admin()).get(URL, query).json()["results"]
    assert [row["bookings_made"] for row in rows] == days


def test_figures_come_in_pages(as_user: As, django_assert_num_queries: Callable[..., Any]) -> None:
    make_figures(1, 2, 3)
    make_figures(2, currency="JPY")
    client = as_user(make_admin())
    with django_assert_num_queries(1):
        page = client.get(URL, {"limit": 2, "first_day": "2026-03-02"}).json()
    assert [row["day"] for row in page["results"]] == ["2026-03-03", "2026-03-02"]
    page = client.get(page["next"]).json()
    assert ([row["day"] for row in page["results"]], page["next"]) == (["2026-03-02"], None)


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        ({"first_day": "2026-02-30"}, 400, "first_day"),
        ({"first_day": "today"}, 400, "first_day"),
        ({"last_day": ""}, 400, "last_day"),
        ({"currency": "eur"}, 400, "currency"),
        ({"currency": "EUR\n"}, 400, "currency"),
        ({"currency": "EURO"}, 400, "currency"),
        ({"day": "2026-03-01"}, 400, "day"),
        ({"limit": "0"}, 400, "limit"),
        ({"cursor": "x"}, 400, "cursor"),
        ({"first_day": "2026-03-02", "last_day": "2026-03-01"}, 400, "last_day"),
    ],
)
def test_wrong_queries(as_user: As, query: dict[str, str], status: int, field: str) -> None:
    response = as_user(make_admin()).get(URL, query)
    assert response.status_code == status
    assert [error["field"] for error in response.json()["errors"]] == [field]


def test_others_see_no_figures(as_user: As, api: APIClient) -> None:
    make_figures(3)
    assert api.get(URL).status_code == 401
    for user in (make_user(), make_host()):
        response = as_user(user).get(URL)
        assert (response.status_code, response.json()["code"]) == (403, "permission_denied")
