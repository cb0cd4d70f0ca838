"""Threads that meet at a payment. Every one of these ends, and in one of the outcomes named."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from local.provider import FakeProvider
from stays.bookings.models import Booking
from stays.bookings.models import Status as BookingStatus
from stays.bookings.services import cancel_booking
from stays.outbox.models import OutboxMessage
from stays.payments import services
from stays.payments.models import Payment, ProviderEvent, Status
from tests.factories import make_booking, make_property
from tests.payments.events import event, make_payment, signed
from tests.racing import race

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("fake", "one_row_at_a_time"),
]


def sent() -> list[str]:
    return sorted(OutboxMessage.objects.values_list("task", flat=True))


def outcomes(results: list[Any]) -> Counter[Any]:
    return Counter(getattr(got, "code", got) for got in results)


def test_the_webhook_ten_times_at_once_has_one_effect() -> None:
    payment = make_payment(make_booking(property=make_property(instant_book=True)))
    told = signed(event(payment))
    results = race(lambda _: services.record_event(**told), 10)
    assert Counter(results) == {True: 1, False: 9}
    assert Payment.objects.get().status == Status.SUCCEEDED
    assert Booking.objects.get().status == BookingStatus.CONFIRMED
    assert sent() == ["bookings.send_confirmation"]
    assert ProviderEvent.objects.count() == 1


def test_an_event_that_is_not_ours_ten_times_at_once_is_kept_once() -> None:
    told = signed({"id": "evt_1", "type": "payout.paid"})
    results = race(lambda _: services.record_event(**told), 10)
    assert Counter(results) == {True: 1, False: 9}


def test_ten_payments_at_once_are_one() -> None:
    booking = make_booking()
    results = race(
        lambda _: type(
            services.start_payment(actor=booking.guest, booking_id=booking.id, method="tok_ok")
        ),
        10,
    )
    assert outcomes(results) == {Payment: 1, "payment_running": 9}
    assert sent() == ["payments.charge"]


def test_ten_charges_at_once_take_the_money_once(fake: FakeProvider) -> None:
    payment = make_payment(status=Status.CREATED)
    assert race(lambda _: services.charge(payment_id=payment.id), 10) == [None] * 10
    assert list(fake.charges) == [str(payment.id)]
    assert Payment.objects.get().status == Status.PROCESSING


def test_ten_refunds_at_once_give_the_money_back_once(fake: FakeProvider) -> None:
    payment = make_payment(status=Status.CREATED)
    services.charge(payment_id=payment.id)
    services.record_event(**signed(event(Payment.objects.get())))
    cancel_booking(actor=payment.booking.guest, booking_id=payment.booking_id)
    assert race(lambda _: services.refund(booking_id=payment.booking_id), 10) == [None] * 10
    assert len(fake.refunds) == 1
    assert Payment.objects.get().status == Status.REFUNDED


def meet(first: Callable[[], Any], second: Callable[[], Any]) -> list[Any]:
    """Five threads do the one, five the other."""
    return race(lambda number: (first, second)[number % 2](), 10)


@pytest.mark.parametrize("attempt", range(5))
def test_success_against_the_end_of_the_time(attempt: int) -> None:  # noqa: ARG001
    now = timezone.now()
    payment = make_payment(make_booking(expires_at=now))
    told = signed(event(payment))
    results = meet(
        lambda: services.record_event(**told),
        lambda: services.time_out(now=now),
    )
    assert not [got for got in results if isinstance(got, Exception)]
    status, booking = Payment.objects.get().status, Booking.objects.get()
    assert (status, booking.status, booking.paid_at is None, sent()) in [
        (Status.SUCCEEDED, BookingStatus.PENDING, False, []),
        (Status.REFUNDING, BookingStatus.EXPIRED, True, ["payments.refund"]),
    ]


@pytest.mark.parametrize("attempt", range(5))
def test_success_against_a_cancellation(attempt: int) -> None:  # noqa: ARG001
    payment = make_payment()
    guest, booking_id = payment.booking.guest, payment.booking_id
    told = signed(event(payment))
    results = meet(
        lambda: services.record_event(**told),
        lambda: cancel_booking(actor=guest, booking_id=booking_id).status,
    )
    counted = outcomes(results)
    assert counted == {True: 1, False: 4, "cancelled": 1, "illegal_transition": 4}
    # Whoever was first: the money is at the provider, the booking is cancelled, and one task
    # gives the money back.
    assert Payment.objects.get().status == Status.SUCCEEDED
    assert Booking.objects.get().status == BookingStatus.CANCELLED
    assert sent() == ["payments.refund"]


def test_time_outs_share_the_work() -> None:
    now = timezone.now()
    for _ in range(12):
        make_payment(make_booking(expires_at=now - timedelta(minutes=1)))
    results = race(lambda _: services.time_out(now=now), 6)
    assert sum(results) == 12
    assert set(Payment.objects.values_list("status", flat=True)) == {Status.TIMED_OUT}
    assert set(Booking.objects.values_list("status", flat=True)) == {BookingStatus.EXPIRED}


def test_everything_at_once_ends_without_a_deadlock() -> None:
    now = timezone.now()
    payments = [make_payment(status=Status.CREATED) for _ in range(4)]
    for payment in payments:
        services.charge(payment_id=payment.id)
    payments = list(Payment.objects.select_related("booking__guest"))
    Booking.objects.update(expires_at=now)
    Payment.objects.update(updated_at=now - timedelta(hours=1))
    guests = {payment.id: payment.booking.guest for payment in payments}

    def act(number: int) -> list[Any]:
        done: list[Any] = []
        turned = payments[number % 4 :] + payments[: number % 4]  # each begins with another one
        for payment in turned:
            actions = [
                lambda p=payment: services.record_event(**signed(event(p, event_id=f"e{p.id}"))),
                lambda: services.time_out(now=now),
                lambda: services.ask_provider(now=now),
                lambda p=payment: services.charge(payment_id=p.id),
                lambda p=payment: services.refund(booking_id=p.booking_id),
                lambda p=payment: (
                    cancel_booking(actor=guests[p.id], booking_id=p.booking_id).status
                ),
            ]
            try:
                done.append(actions[number % 6]())
            except Exception as error:
                done.append(error)
        return done

    results = [got for done in race(act, 12) for got in done]  # type: ignore[union-attr]
    refusals = [got for got in results if isinstance(got, Exception)]
    assert {getattr(refusal, "code", repr(refusal)) for refusal in refusals} <= {
        "illegal_transition"
    }
    assert ProviderEvent.objects.count() == 4
