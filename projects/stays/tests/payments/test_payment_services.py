import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from structlog.testing import capture_logs

from local.provider import FakeProvider
from stays.bookings.models import Booking
from stays.bookings.models import Status as BookingStatus
from stays.bookings.services import cancel_booking
from stays.common.constraints import constraint_of
from stays.common.errors import Conflict, Forbidden, NotFound, Refusal
from stays.outbox.models import OutboxMessage
from stays.payments import services
from stays.payments.models import TRANSITIONS, Payment, ProviderEvent, Status
from stays.payments.provider import NotAnEvent, ProviderError, Temporary, UnknownOutcome
from tests.factories import make_admin, make_booking, make_property, make_user
from tests.payments.events import event, forget, make_payment, signed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("one_row_at_a_time")]


def sent() -> list[tuple[str, dict[str, Any]]]:
    """The tasks that were decided on, in order."""
    return list(OutboxMessage.objects.order_by("id").values_list("task", "arguments"))


def refund_of(payment: Payment) -> tuple[str, dict[str, Any]]:
    return "payments.refund", {"booking_id": str(payment.booking_id)}


def charge_of(payment: Payment) -> tuple[str, dict[str, Any]]:
    return "payments.charge", {"payment_id": str(payment.id)}


def close(booking: Booking, status: str = BookingStatus.CANCELLED) -> None:
    cancelled_at = timezone.now() if status == BookingStatus.CANCELLED else None
    Booking.objects.filter(id=booking.id).update(status=status, cancelled_at=cancelled_at)


# -- start_payment


def test_a_payment_is_of_the_whole_price_and_is_charged_later() -> None:
    booking = make_booking()
    payment = services.start_payment(
        actor=booking.guest, booking_id=booking.id, method="tok_whatever"
    )
    payment.refresh_from_db()
    assert (payment.amount_minor, payment.currency) == (booking.total_minor, booking.currency)
    assert (payment.status, payment.method) == (Status.CREATED, "tok_whatever")
    assert sent() == [charge_of(payment)]


@pytest.mark.parametrize(
    ("change", "who", "refusal", "code"),
    [
        ({}, "stranger", NotFound, "not_found"),
        ({}, "host", Forbidden, "permission_denied"),
        ({}, "admin", Forbidden, "permission_denied"),
        ({"status": BookingStatus.CANCELLED}, "guest", Conflict, "not_pending"),
        ({"status": BookingStatus.EXPIRED}, "guest", Conflict, "not_pending"),
        ({"status": BookingStatus.CONFIRMED}, "guest", Conflict, "not_pending"),
        ({"paid_at": timezone.now()}, "guest", Conflict, "already_paid"),
        ({"expires_at": timezone.now()}, "guest", Conflict, "expired"),
    ],
)
def test_who_cannot_pay_what(
    change: dict[str, Any], who: str, refusal: type[Refusal], code: str
) -> None:
    booking = make_booking(**change)
    actor = {
        "stranger": make_user(),
        "host": booking.property.host,
        "admin": make_admin(),
        "guest": booking.guest,
    }[who]
    with pytest.raises(refusal) as refused:
        services.start_payment(actor=actor, booking_id=booking.id, method="tok_ok")
    assert refused.value.code == code
    assert not Payment.objects.exists()
    assert sent() == []


@pytest.mark.parametrize("status", [Status.CREATED, Status.PROCESSING])
def test_one_payment_at_a_time(status: Status) -> None:
    payment = make_payment(status=status)
    booking = payment.booking
    with pytest.raises(Conflict) as refused:
        services.start_payment(actor=booking.guest, booking_id=booking.id, method="tok_ok")
    assert refused.value.code == "payment_running"
    assert list(Payment.objects.all()) == [payment]


def test_after_a_failure_another_card_may_be_tried() -> None:
    failed = make_payment(status=Status.FAILED)
    payment = services.start_payment(
        actor=failed.booking.guest, booking_id=failed.booking_id, method="tok_ok"
    )
    assert sent() == [charge_of(payment)]


# -- charge


def test_the_provider_takes_the_money_and_tells_later(fake: FakeProvider) -> None:
    payment = make_payment(status=Status.CREATED)
    services.charge(payment_id=payment.id)
    payment.refresh_from_db()
    charged = fake.charges[str(payment.id)]
    assert (payment.status, payment.provider_reference) == (Status.PROCESSING, charged["id"])
    assert (charged["amount"], charged["currency"]) == (payment.amount_minor, payment.currency)


@pytest.mark.parametrize(
    ("method", "error"),
    [
        ("tok_slow", UnknownOutcome),
        ("tok_lost_answer", UnknownOutcome),
        ("tok_garbled", UnknownOutcome),
        ("tok_error_500", UnknownOutcome),
        ("tok_error_503", Temporary),
    ],
)
def test_without_an_answer_a_payment_is_neither_failed_nor_paid(
    fake: FakeProvider, method: str, error: type[Exception]
) -> None:
    payment = make_payment(status=Status.CREATED, method=method)
    with pytest.raises(error):
        services.charge(payment_id=payment.id)
    payment.refresh_from_db()
    assert (payment.status, payment.failure) == (Status.PROCESSING, "")
    assert fake.requests == ["POST /charges"]


def test_charging_again_takes_the_money_once(fake: FakeProvider) -> None:
    payment = make_payment(status=Status.CREATED, method="tok_lost_answer")
    for _ in range(3):
        with pytest.raises(UnknownOutcome):
            services.charge(payment_id=payment.id)
    assert len(fake.requests) == 3
    assert list(fake.charges) == [str(payment.id)]


def test_each_call_is_noted(fake: FakeProvider) -> None:
    payment = make_payment()
    forget(payment)
    services.charge(payment_id=payment.id)
    payment.refresh_from_db()
    assert payment.updated_at > timezone.now() - timedelta(minutes=1)
    assert fake.requests == ["POST /charges"]


@pytest.mark.usefixtures("fake")
def test_a_refused_card_fails_the_payment_and_leaves_the_booking_to_be_paid() -> None:
    payment = make_payment(status=Status.CREATED, method="tok_declined")
    services.charge(payment_id=payment.id)
    payment.refresh_from_db()
    assert (payment.status, payment.failure) == (Status.FAILED, "card_declined")
    assert payment.booking.status == BookingStatus.PENDING


@pytest.mark.parametrize(
    "status", [Status.SUCCEEDED, Status.FAILED, Status.TIMED_OUT, Status.REFUNDED]
)
def test_what_is_over_is_not_charged(fake: FakeProvider, status: Status) -> None:
    payment = make_payment(status=status)
    services.charge(payment_id=payment.id)
    assert fake.requests == []


@pytest.mark.parametrize(
    ("before", "after"),
    [(Status.CREATED, (Status.FAILED, "booking_closed")), (Status.PROCESSING, ("processing", ""))],
)
def test_a_closed_booking_is_not_charged(
    fake: FakeProvider, before: Status, after: tuple[str, str]
) -> None:
    payment = make_payment(status=before)
    close(payment.booking)
    services.charge(payment_id=payment.id)
    payment.refresh_from_db()
    assert (payment.status, payment.failure) == after
    assert fake.requests == []


def test_a_booking_whose_time_has_run_out_is_not_charged(fake: FakeProvider) -> None:
    payment = make_payment(make_booking(expires_at=timezone.now()), status=Status.CREATED)
    services.charge(payment_id=payment.id)
    payment.refresh_from_db()
    assert (payment.status, fake.requests) == (Status.FAILED, [])


def test_there_must_be_a_payment() -> None:
    with pytest.raises(NotFound):
        services.charge(payment_id=uuid.uuid4())


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("status", [Status.CREATED, Status.SUCCEEDED])
def test_the_provider_is_not_called_in_a_transaction(fake: FakeProvider, status: Status) -> None:
    payment = make_payment(status=status)
    forget(payment)
    for call in (
        lambda: services.charge(payment_id=payment.id),
        lambda: services.refund(booking_id=payment.booking_id),
    ):
        with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
            call()
    assert fake.requests == []


# -- record_event


def record(message: Any) -> bool:
    return services.record_event(**signed(message))


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(
    ("instant", "then"), [(True, BookingStatus.CONFIRMED), (False, BookingStatus.PENDING)]
)
def test_success_pays_the_booking_once(instant: bool, then: BookingStatus) -> None:
    payment = make_payment(make_booking(property=make_property(instant_book=instant)))
    told = event(payment)
    assert [record(told), record(told), record(told | {"id": "evt_2"})] == [True, False, True]
    payment.refresh_from_db()
    booking = Booking.objects.get()
    assert (payment.status, payment.provider_reference) == (Status.SUCCEEDED, told["data"]["id"])
    assert (booking.status, booking.paid_at is None) == (then, False)
    assert len(sent()) == (1 if instant else 0)  # the confirmation
    kept = ProviderEvent.objects.order_by("id").values_list("id", "kind", "payment", "payload")
    assert list(kept) == [
        ("evt_1", "charge.succeeded", payment.id, told),
        ("evt_2", "charge.succeeded", payment.id, told | {"id": "evt_2"}),
    ]


@pytest.mark.usefixtures("fake")
def test_failure_leaves_the_booking_to_be_paid() -> None:
    payment = make_payment()
    assert record(event(payment, "failed"))
    assert record(event(payment, "failed", event_id="evt_2"))
    payment.refresh_from_db()
    assert (payment.status, payment.failure) == (Status.FAILED, "insufficient_funds")
    assert Booking.objects.get().status == BookingStatus.PENDING


@pytest.mark.usefixtures("fake")
def test_failure_without_a_word_for_it() -> None:
    payment = make_payment()
    record(event(payment, "failed", failure=None))
    payment.refresh_from_db()
    assert (payment.status, payment.failure) == (Status.FAILED, "failed")


@pytest.mark.usefixtures("fake")
def test_what_comes_late_does_not_undo_what_came_first() -> None:
    payment = make_payment()
    record(event(payment))
    record(event(payment, "pending", event_id="evt_2"))
    payment.refresh_from_db()
    assert payment.status == Status.SUCCEEDED


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("status", [BookingStatus.CANCELLED, BookingStatus.EXPIRED])
def test_money_for_a_closed_booking_is_given_back(status: BookingStatus) -> None:
    payment = make_payment()
    close(payment.booking, status)
    record(event(payment))
    payment.refresh_from_db()
    assert payment.status == Status.SUCCEEDED
    assert sent() == [refund_of(payment)]
    assert (Booking.objects.get().status, Booking.objects.get().paid_at) == (status, None)


@pytest.mark.usefixtures("fake")
def test_money_after_the_time_is_given_back() -> None:
    payment = make_payment(status=Status.TIMED_OUT)
    close(payment.booking, BookingStatus.EXPIRED)
    record(event(payment))
    payment.refresh_from_db()
    assert payment.status == Status.REFUNDING
    assert sent() == [refund_of(payment)]


@pytest.mark.usefixtures("fake")
def test_failure_after_the_time_is_noted() -> None:
    payment = make_payment(status=Status.TIMED_OUT)
    record(event(payment, "failed"))
    payment.refresh_from_db()
    assert (payment.status, payment.failure) == (Status.TIMED_OUT, "insufficient_funds")


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Status.CREATED, "succeeded"),
        (Status.FAILED, "succeeded"),
        (Status.SUCCEEDED, "failed"),
        (Status.REFUNDING, "failed"),
        (Status.REFUNDED, "failed"),
    ],
)
def test_a_contradiction_changes_nothing_and_is_an_error_in_the_log(
    ours: Status, theirs: str
) -> None:
    payment = make_payment(status=ours)
    with capture_logs() as logs:
        assert record(event(payment, theirs))
    payment.refresh_from_db()
    assert (payment.status, sent()) == (ours, [])
    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("payment_contradiction", "error")
    ]


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("change", [{"amount": 1}, {"currency": "USD"}, {"id": "ch_another"}])
def test_another_amount_is_kept_and_pays_nothing(change: dict[str, Any]) -> None:
    payment = make_payment(provider_reference="ch_1")
    with capture_logs() as logs:
        assert record(event(payment, **change))
    payment.refresh_from_db()
    assert (payment.status, payment.failure) == (Status.PROCESSING, "mismatch")
    assert (Booking.objects.get().paid_at, ProviderEvent.objects.count()) == (None, 1)
    assert [(line["event"], line["log_level"]) for line in logs] == [("payment_mismatch", "error")]


@pytest.mark.usefixtures("fake")
def test_what_is_not_ours_is_kept_and_has_no_effect() -> None:
    stranger = event(make_payment(), reference=str(uuid.uuid4()))
    with capture_logs() as logs:
        assert [record(stranger), record(stranger)] == [True, False]
    assert [line["event"] for line in logs] == ["payment_unknown"]
    assert record({"id": "evt_2", "type": "payout.paid", "data": 7})
    assert list(ProviderEvent.objects.values_list("payment", flat=True)) == [None, None]
    assert Payment.objects.get().status == Status.PROCESSING


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("text", ["\0", "\ud800"])
def test_json_that_the_database_does_not_have_is_refused(text: str) -> None:
    payment = make_payment()
    with pytest.raises(NotAnEvent):
        record(event(payment) | {"note": text})
    assert not ProviderEvent.objects.exists()
    assert Payment.objects.get().status == Status.PROCESSING


@pytest.mark.usefixtures("fake")
def test_what_is_not_signed_changes_nothing() -> None:
    told = signed(event(make_payment()))
    with pytest.raises(Forbidden):
        services.record_event(body=told["body"] + b" ", signature=told["signature"])
    with pytest.raises(NotAnEvent):
        services.record_event(**signed(event(Payment.objects.get()), seconds_ago=302))
    assert not ProviderEvent.objects.exists()
    assert Payment.objects.get().status == Status.PROCESSING


# -- refund


def paid_at_the_provider(**fields: Any) -> Payment:
    """A payment whose money the fake provider has, of a booking that was cancelled."""
    payment = make_payment(status=Status.CREATED, **fields)
    services.charge(payment_id=payment.id)
    payment.refresh_from_db()
    record(event(payment))
    close(payment.booking)
    payment.refresh_from_db()
    return payment


def test_money_is_given_back_once(fake: FakeProvider) -> None:
    payment = paid_at_the_provider()
    for _ in range(3):
        services.refund(booking_id=payment.booking_id)
    payment.refresh_from_db()
    assert payment.status == Status.REFUNDED
    (given,) = fake.refunds.values()
    assert (given["charge"], given["amount"], given["currency"]) == (
        payment.provider_reference,
        payment.amount_minor,
        payment.currency,
    )
    assert fake.requests.count("POST /refunds") == 1


@pytest.mark.parametrize(("status", "error"), [(503, Temporary), (500, UnknownOutcome)])
def test_a_refund_that_did_not_work_is_tried_again(
    fake: FakeProvider, status: int, error: type[Exception]
) -> None:
    payment = paid_at_the_provider()
    fake.misbehave(status)
    with pytest.raises(error):
        services.refund(booking_id=payment.booking_id)
    payment.refresh_from_db()
    assert payment.status == Status.REFUNDING
    services.refund(booking_id=payment.booking_id)
    payment.refresh_from_db()
    assert (payment.status, len(fake.refunds)) == (Status.REFUNDED, 1)


def test_two_refunds_at_once_end_as_one(
    fake: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one is done while this one waits for its answer."""
    payment = paid_at_the_provider()
    original = services.provider.HttpPaymentProvider.refund

    def slow(self: Any, **arguments: Any) -> None:
        original(self, **arguments)
        Payment.objects.filter(id=payment.id).update(status=Status.REFUNDED)

    monkeypatch.setattr(services.provider.HttpPaymentProvider, "refund", slow)
    services.refund(booking_id=payment.booking_id)
    payment.refresh_from_db()
    assert (payment.status, len(fake.refunds)) == (Status.REFUNDED, 1)


@pytest.mark.parametrize("status", [Status.CREATED, Status.FAILED, Status.TIMED_OUT])
def test_what_was_not_paid_is_not_given_back(fake: FakeProvider, status: Status) -> None:
    payment = make_payment(status=status)
    close(payment.booking)
    services.refund(booking_id=payment.booking_id)
    assert fake.requests == []


def test_a_booking_that_still_stands_keeps_its_money(fake: FakeProvider) -> None:
    payment = make_payment(make_booking(status=BookingStatus.CONFIRMED), status=Status.SUCCEEDED)
    services.refund(booking_id=payment.booking_id)
    payment.refresh_from_db()
    assert (payment.status, fake.requests) == (Status.SUCCEEDED, [])


def test_cancelling_a_paid_booking_gives_the_money_back(fake: FakeProvider) -> None:
    payment = make_payment(status=Status.CREATED)
    services.charge(payment_id=payment.id)
    record(event(Payment.objects.get()))
    cancel_booking(actor=payment.booking.guest, booking_id=payment.booking_id)
    assert sent() == [refund_of(payment)]
    services.refund(booking_id=payment.booking_id)
    assert (Payment.objects.get().status, len(fake.refunds)) == (Status.REFUNDED, 1)


# -- time_out


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Status.CREATED, (Status.TIMED_OUT, "not_charged")),
        (Status.PROCESSING, (Status.TIMED_OUT, "")),
        (Status.FAILED, (Status.FAILED, "")),
    ],
)
def test_a_booking_that_is_not_paid_in_time_is_let_go_of(
    before: Status, after: tuple[Status, str]
) -> None:
    now = timezone.now()
    payment = make_payment(make_booking(expires_at=now), status=before)
    assert [services.time_out(now=now), services.time_out(now=now)] == [1, 0]
    payment.refresh_from_db()
    assert (payment.status, payment.failure) == after
    assert Booking.objects.get().status == BookingStatus.EXPIRED
    assert sent() == []


def test_a_booking_that_the_host_does_not_confirm_is_let_go_of_and_given_back() -> None:
    now = timezone.now()
    booking = make_booking(expires_at=now, paid_at=now - timedelta(days=1))
    payment = make_payment(booking, status=Status.SUCCEEDED)
    assert services.time_out(now=now) == 1
    payment.refresh_from_db()
    assert payment.status == Status.SUCCEEDED
    assert sent() == [refund_of(payment)]


def test_whose_time_has_not_run_out_stays() -> None:
    now = timezone.now()
    payment = make_payment(make_booking(expires_at=now + timedelta(seconds=1)))
    make_booking(expires_at=now, status=BookingStatus.CONFIRMED)
    assert services.time_out(now=now) == 0
    payment.refresh_from_db()
    assert payment.status == Status.PROCESSING


def test_a_booking_that_was_paid_at_the_last_moment_stays() -> None:
    """It was due when the list was read, and is not when its row is locked."""
    now = timezone.now()
    booking = make_booking(expires_at=now + timedelta(seconds=1))
    assert not services._time_out(booking.id, now)
    booking.refresh_from_db()
    assert booking.status == BookingStatus.PENDING


# -- ask_provider


def ask() -> int:
    return services.ask_provider(now=timezone.now())


@pytest.mark.parametrize("method", ["tok_never", "tok_slow", "tok_lost_answer", "tok_garbled"])
def test_a_lost_message_is_asked_for(fake: FakeProvider, method: str) -> None:
    payment = make_payment(status=Status.CREATED, method=method)
    try:
        services.charge(payment_id=payment.id)
    except UnknownOutcome:
        assert method != "tok_never"
    assert ask() == 0  # it may still come
    forget(payment)
    assert [ask(), ask()] == [1, 0]
    payment.refresh_from_db()
    assert (payment.status, payment.provider_reference) == (
        Status.SUCCEEDED,
        fake.charges[str(payment.id)]["id"],
    )
    assert Booking.objects.get().paid_at is not None


def test_what_is_not_decided_is_asked_for_again_later(fake: FakeProvider) -> None:
    payment = make_payment(status=Status.CREATED, method="tok_never_decided")
    services.charge(payment_id=payment.id)
    forget(payment)
    assert [ask(), ask()] == [1, 0]
    payment.refresh_from_db()
    assert payment.status == Status.PROCESSING
    assert len(fake.requests) == 2


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("status", [Status.CREATED, Status.PROCESSING])
def test_what_the_provider_never_got_is_sent_again(status: Status) -> None:
    payment = make_payment(status=status)
    forget(payment)
    assert [ask(), ask()] == [1, 0]
    payment.refresh_from_db()
    assert payment.status == status
    assert sent() == [charge_of(payment)]


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Status.CREATED, Status.FAILED),
        (Status.PROCESSING, Status.FAILED),
        (Status.TIMED_OUT, Status.TIMED_OUT),
    ],
)
def test_what_the_provider_never_got_for_a_closed_booking_is_over(
    before: Status, after: Status
) -> None:
    payment = make_payment(status=before)
    close(payment.booking)
    forget(payment)
    assert ask() == 1
    forget(payment)
    assert ask() == 0
    payment.refresh_from_db()
    assert (payment.status, payment.failure, sent()) == (after, "not_charged", [])


def test_money_that_was_taken_after_the_time_is_found_and_given_back(fake: FakeProvider) -> None:
    now = timezone.now()
    payment = make_payment(status=Status.CREATED, method="tok_never")
    services.charge(payment_id=payment.id)
    Booking.objects.update(expires_at=now)
    services.time_out(now=now)
    forget(payment)
    assert ask() == 1
    assert sent() == [refund_of(payment)]
    services.refund(booking_id=payment.booking_id)
    payment.refresh_from_db()
    assert (payment.status, len(fake.refunds)) == (Status.REFUNDED, 1)


def test_a_refund_that_was_lost_is_sent_again(fake: FakeProvider) -> None:
    payment = make_payment(status=Status.REFUNDING)
    close(payment.booking)
    forget(payment)
    assert [ask(), ask()] == [1, 0]
    assert sent() == [refund_of(payment)]
    assert fake.requests == []


@pytest.mark.parametrize("status", [503, 500, 401])
def test_who_asks_in_vain_goes_to_the_end_of_the_queue(fake: FakeProvider, status: int) -> None:
    first, second = make_payment(method="tok_never"), make_payment(method="tok_never")
    for payment, minutes in ((first, 9), (second, 8)):
        services.charge(payment_id=payment.id)
        forget(payment, minutes)
    fake.misbehave(status)
    with pytest.raises(ProviderError):
        ask()
    assert ask() == 1
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, second.status) == (Status.PROCESSING, Status.SUCCEEDED)


@pytest.mark.usefixtures("fake")
def test_an_answer_that_is_out_of_date_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider is called again between its answer and our lock."""
    payment = make_payment()
    close(payment.booking)
    forget(payment)
    find = services.provider.HttpPaymentProvider.find

    def overtaken(self: Any, **arguments: Any) -> Any:
        found = find(self, **arguments)
        Payment.objects.filter(id=payment.id).update(updated_at=timezone.now())
        return found

    monkeypatch.setattr(services.provider.HttpPaymentProvider, "find", overtaken)
    assert ask() == 1
    payment.refresh_from_db()
    assert (payment.status, payment.failure) == (Status.PROCESSING, "")


# -- The state machine


def test_the_database_has_the_same_state_machine() -> None:
    for before in Status:
        for after in Status:
            if before == after:
                continue
            payment = make_payment(status=before, provider_reference=f"{before}-{after}")
            allowed = after in TRANSITIONS[before]
            try:
                with transaction.atomic():
                    Payment.objects.filter(id=payment.id).update(status=after)
                refused = None
            except IntegrityError as error:
                refused = constraint_of(error)
            assert refused == (None if allowed else "payment_transition"), (before, after)


@pytest.mark.parametrize(
    ("fields", "constraint"),
    [
        ({"amount_minor": 0}, "payment_amount"),
        ({"currency": "eur"}, "payment_currency"),
        ({"status": "lost"}, "payment_status_known"),
        ({"status": "succeeded", "provider_reference": None}, "payment_paid_has_reference"),
    ],
)
def test_what_the_database_refuses(fields: dict[str, Any], constraint: str) -> None:
    booking = make_booking()
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        make_payment(booking, **fields)


@pytest.mark.usefixtures("fake")
def test_a_charge_of_another_payment_is_a_contradiction_and_no_error() -> None:
    """An error would make the provider send the event again, for days."""
    other = make_payment(status=Status.SUCCEEDED)
    payment = make_payment()
    with capture_logs() as logs:
        assert record(event(payment, id=other.provider_reference))
    payment.refresh_from_db()
    assert (payment.status, payment.failure) == (Status.PROCESSING, "mismatch")
    assert payment.provider_reference is None
    assert "payment_mismatch" in [line["event"] for line in logs]
