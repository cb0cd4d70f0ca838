"""Whoever changes a booking's status waits for its place first, as one who books does."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone
from rest_framework.test import APIClient

from stays.accounts.models import User
from stays.bookings import services as bookings
from stays.bookings.models import Booking
from stays.listings.models import Property
from stays.payments import services
from stays.payments.models import Payment
from stays.reviews.services import write_review
from tests.factories import make_booking
from tests.payments.events import event, forget, make_payment, signed
from tests.programs import wait_for

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("fake", "one_row_at_a_time"),
]


def confirm() -> Callable[[], Any]:
    booking = make_booking(paid_at=timezone.now())
    host = booking.property.host
    return lambda: bookings.confirm_booking(actor=host, booking_id=booking.id)


def cancel() -> Callable[[], Any]:
    booking = make_booking()
    guest = booking.guest
    return lambda: bookings.cancel_booking(actor=guest, booking_id=booking.id)


def mark_paid() -> Callable[[], Any]:
    booking = make_booking()
    return lambda: bookings.mark_paid(booking_id=booking.id)


def expire() -> Callable[[], Any]:
    booking = make_booking(expires_at=timezone.now())
    return lambda: bookings.expire_booking(booking_id=booking.id, now=timezone.now())


def time_out() -> Callable[[], Any]:
    make_booking(expires_at=timezone.now())
    return lambda: services.time_out(now=timezone.now())


def succeed() -> Callable[[], Any]:
    payment = make_payment()
    told = signed(event(payment))
    return lambda: services.record_event(**told)


def ask() -> Callable[[], Any]:
    forget(make_payment())
    return lambda: services.ask_provider(now=timezone.now())


def review() -> Callable[[], Any]:
    booking = make_booking(status="confirmed", check_in=-5)
    guest = booking.guest
    return lambda: write_review(actor=guest, booking_id=booking.id, rating=5)


def is_waited_for() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


@pytest.mark.parametrize(
    "change", [confirm, cancel, mark_paid, expire, time_out, succeed, ask, review]
)
def test_a_change_waits_for_the_place_before_it_locks_the_booking(
    change: Callable[[], Callable[[], Any]],
) -> None:
    act = change()
    done = threading.Event()

    def run() -> None:
        try:
            act()
        finally:
            connection.close()
            done.set()

    thread = threading.Thread(target=run)
    with transaction.atomic():  # as one who books the place
        Property.objects.select_for_update(no_key=True).get()
        thread.start()
        wait_for(lambda: done.is_set() or is_waited_for())
        assert not done.is_set()
        # What it would need of us and we of it is free: no deadlock.
        Booking.objects.select_for_update(nowait=True).get()
        list(Payment.objects.select_for_update(nowait=True))
    thread.join(30)
    assert done.is_set()


@pytest.mark.parametrize("sqlstate", ["40P01", "40001", "55P03"])
def test_requests_that_meet_are_not_told_that_the_database_is_down(
    as_user: Callable[[User], APIClient], monkeypatch: pytest.MonkeyPatch, sqlstate: str
) -> None:
    booking = make_booking(paid_at=timezone.now())

    def meet(**_: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{sqlstate}'; END $$")

    monkeypatch.setattr("stays.bookings.views.services.confirm_booking", meet)
    answer = as_user(booking.property.host).post(f"/api/v1/bookings/{booking.id}/confirm")
    assert (answer.status_code, answer.json()["code"]) == (503, "busy")
    assert answer["Retry-After"] == "5"
    assert "database" not in answer.json()["detail"]


def test_a_database_that_is_away_is_told(
    as_user: Callable[[User], APIClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    booking = make_booking(paid_at=timezone.now())

    def fail(**_: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr("stays.bookings.views.services.confirm_booking", fail)
    answer = as_user(booking.property.host).post(f"/api/v1/bookings/{booking.id}/confirm")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
