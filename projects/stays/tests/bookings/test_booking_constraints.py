from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.backends.postgresql.psycopg_any import DateRange

from stays.bookings import models as bookings
from stays.bookings.models import Booking
from stays.common.constraints import constraint_of
from stays.payments import models as payments
from stays.payments.models import Payment
from tests.factories import day, make_booking, make_property

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC)

REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("booking_stay_bounded", {"stay": DateRange(day(1), None, "[)")}),
    ("booking_stay_bounded", {"stay": DateRange(None, day(1), "[)")}),
    ("booking_stay_bounded", {"stay": DateRange(empty=True)}),
    ("booking_nights", {"nights": 91}),
    ("booking_guests", {"guests": 0}),
    ("booking_total", {"total_minor": 1}),
    ("booking_prices", {"nightly_minor": 0, "cleaning_minor": 0, "total_minor": 0}),
    ("booking_prices", {"nightly_minor": 2, "cleaning_minor": -1, "total_minor": 5}),
    ("booking_currency", {"currency": "eur"}),
    ("booking_currency", {"currency": "EU"}),
    ("booking_status_known", {"status": "odd"}),
    ("booking_confirmed_is_paid", {"status": "confirmed", "paid_at": None}),
    ("booking_confirmed_is_paid", {"status": "confirmed", "confirmed_at": None}),
    ("booking_cancelled_when", {"status": "cancelled", "cancelled_at": None}),
    ("booking_cancelled_when", {"status": "pending", "cancelled_at": NOW}),
]


@pytest.mark.parametrize(("constraint", "fields"), REFUSED)
def test_the_database_refuses(constraint: str, fields: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        make_booking(**fields)
    assert constraint_of(refused.value) == constraint
    assert not Booking.objects.exists()


def test_every_check_is_tried() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conname FROM pg_constraint WHERE contype = 'c' AND conrelid = %s::regclass",
            [Booking._meta.db_table],
        )
        checks = {name for (name,) in cursor.fetchall()}
    of_the_field = {"bookings_booking_guests_check"}  # Django's own: PositiveSmallIntegerField
    assert checks - of_the_field == {name for name, _ in REFUSED}


def test_that_the_longest_stay_is_possible() -> None:
    assert make_booking(nights=90).pk


@pytest.mark.parametrize("status", [bookings.Status.PENDING, bookings.Status.CONFIRMED])
@pytest.mark.parametrize(("begin", "nights"), [(10, 3), (8, 3), (12, 5), (11, 1), (1, 30)])
def test_the_database_refuses_two_at_once(status: str, begin: int, nights: int) -> None:
    place = make_property()
    make_booking(property=place, check_in=10, nights=3, status=status)
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        make_booking(property=place, check_in=begin, nights=nights)
    assert constraint_of(refused.value) == "booking_no_overlap"


@pytest.mark.parametrize("status", [bookings.Status.CANCELLED, bookings.Status.EXPIRED])
def test_what_is_let_go_of_holds_no_dates(status: str) -> None:
    place = make_property()
    make_booking(property=place, status=status)
    assert make_booking(property=place).pk


def test_one_leaves_on_the_day_that_another_comes() -> None:
    place = make_property()
    make_booking(property=place, check_in=10, nights=3)
    make_booking(property=place, check_in=13)
    make_booking(property=place, check_in=8, nights=2)
    make_booking(check_in=10)
    assert Booking.objects.count() == 4


def test_a_cancelled_booking_cannot_come_back_over_another() -> None:
    place = make_property()
    gone = make_booking(property=place, status="cancelled")
    make_booking(property=place)
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        Booking.objects.filter(id=gone.id).update(status="pending", cancelled_at=None)
    assert constraint_of(refused.value) == "booking_transition"


NEEDED: dict[str, dict[str, Any]] = {
    bookings.Status.CONFIRMED: {"paid_at": NOW, "confirmed_at": NOW},
    bookings.Status.CANCELLED: {"cancelled_at": NOW},
}


@pytest.mark.parametrize("now", bookings.Status.values)
@pytest.mark.parametrize("then", bookings.Status.values)
def test_the_database_knows_the_states_of_bookings(now: str, then: str) -> None:
    booking = make_booking(status=now, **NEEDED.get(now, {}))
    change = {"status": then, "cancelled_at": None} | NEEDED.get(then, {})
    allowed = now == then or then in bookings.TRANSITIONS[now]
    assert update(Booking, booking.pk, change) == (None if allowed else "booking_transition")


@pytest.mark.parametrize("now", payments.Status.values)
@pytest.mark.parametrize("then", payments.Status.values)
def test_the_database_knows_the_states_of_payments(now: str, then: str) -> None:
    payment = Payment.objects.create(
        booking=make_booking(),
        amount_minor=1,
        currency="EUR",
        method="tok_ok",
        status=now,
        provider_reference="ch_1",
    )
    allowed = now == then or then in payments.TRANSITIONS[now]
    refusal = None if allowed else "payment_transition"
    assert update(Payment, payment.pk, {"status": then}) == refusal


def test_the_tables_of_states_are_complete() -> None:
    assert set(bookings.TRANSITIONS) == set(bookings.Status)
    assert set(payments.TRANSITIONS) == set(payments.Status)


def update(model: Any, pk: Any, change: dict[str, Any]) -> str | None:
    """Change a row with SQL, and return the constraint that refuses it, if one does."""
    try:
        with transaction.atomic():
            assert model.objects.filter(pk=pk).update(**change) == 1
    except IntegrityError as error:
        return constraint_of(error)
    return None
