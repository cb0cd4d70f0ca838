from datetime import timedelta

import pytest
from celery.exceptions import Retry
from django.utils import timezone

from local.provider import FakeProvider
from stays.bookings.models import Booking
from stays.celery import app
from stays.payments import tasks
from stays.payments.models import Payment, Status
from stays.payments.provider import ProviderError, Temporary, UnknownOutcome
from tests.factories import make_booking
from tests.payments.events import forget, make_payment

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("one_row_at_a_time")]


def test_the_tasks_have_the_names_that_others_send() -> None:
    app.loader.import_default_modules()
    names = {"payments.charge", "payments.refund", "payments.time_out", "payments.ask_provider"}
    assert names <= set(app.tasks)
    assert {entry["task"] for entry in app.conf.beat_schedule.values()} >= {
        "payments.time_out",
        "payments.ask_provider",
    }


def test_charge_and_refund(fake: FakeProvider) -> None:
    payment = make_payment(status=Status.CREATED, method="tok_never")
    tasks.charge(payment_id=str(payment.id))
    forget(payment)
    tasks.ask_provider()
    payment.refresh_from_db()
    assert payment.status == Status.SUCCEEDED
    Booking.objects.update(status="cancelled", cancelled_at=timezone.now())
    tasks.refund(booking_id=str(payment.booking_id))
    payment.refresh_from_db()
    assert (payment.status, len(fake.refunds)) == (Status.REFUNDED, 1)


def test_time_out() -> None:
    make_booking(expires_at=timezone.now() - timedelta(seconds=1))
    tasks.time_out()
    assert Booking.objects.get().status == "expired"


def test_a_provider_that_comes_back_is_charged_at_last(fake: FakeProvider) -> None:
    payment = make_payment(status=Status.CREATED)
    fake.misbehave(503, 500, 429, 502)
    tasks.charge.apply(kwargs={"payment_id": str(payment.id)})
    assert fake.requests == ["POST /charges"] * 5
    assert list(fake.charges) == [str(payment.id)]


@pytest.mark.parametrize(
    ("method", "error"), [("tok_error_503", Temporary), ("tok_error_500", UnknownOutcome)]
)
def test_retries_end_and_the_payment_stays_open(
    fake: FakeProvider, method: str, error: type[Exception]
) -> None:
    payment = make_payment(status=Status.CREATED, method=method)
    result = tasks.charge.apply(kwargs={"payment_id": str(payment.id)})
    assert type(result.result) is error
    assert len(fake.requests) == 9
    assert Payment.objects.get().status == Status.PROCESSING


def test_a_request_that_is_at_fault_is_not_repeated(fake: FakeProvider) -> None:
    payment = make_payment(status=Status.CREATED)
    fake.misbehave(401)
    with pytest.raises(ProviderError, match="401"):
        tasks.charge.apply(kwargs={"payment_id": str(payment.id)}, throw=True)
    assert len(fake.requests) == 1


def test_the_pauses_grow_and_are_random(
    fake: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Full jitter: of 2, 4, 8, … seconds a random part, at most 300."""
    payment = make_payment(status=Status.CREATED, method="tok_error_503")
    bounds: list[int] = []
    monkeypatch.setattr("celery.utils.time.random.randrange", lambda end: bounds.append(end) or 0)

    def pause(*_: object, **__: object) -> None:
        raise Retry

    monkeypatch.setattr(tasks.charge, "retry", pause)
    for retries in range(8):
        tasks.charge.push_request(retries=retries)
        with pytest.raises(Retry):
            tasks.charge.run(payment_id=str(payment.id))
        tasks.charge.pop_request()
    assert bounds == [3, 5, 9, 17, 33, 65, 129, 257]
    assert len(fake.requests) == 8
