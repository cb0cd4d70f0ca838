"""What was lost behind the broker's back is found by its effect, which is not there."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import shared_task
from celery.exceptions import Retry
from django.conf import settings
from django.core import mail
from django.db import InterfaceError, OperationalError
from django.test import override_settings
from django.utils import timezone
from zeal import zeal_ignore

from stays.accounts import services as accounts
from stays.bookings import services as bookings
from stays.bookings import tasks as booking_tasks
from stays.bookings.models import Booking
from stays.bookings.models import Status as BookingStatus
from stays.celery import app
from stays.common.tasks import LONGEST_PAUSE, Task
from stays.listings import tasks as listing_tasks
from stays.listings.models import Property
from stays.payments import tasks as payment_tasks
from stays.payments.models import Payment, Status
from stays.payments.provider import Temporary
from tests.factories import PASSWORD, make_booking, make_host, make_property, make_user
from tests.payments.events import make_payment
from tests.programs import ROOT

pytestmark = pytest.mark.django_db(transaction=True)
Queue = Callable[[], list[tuple[str, dict[str, Any], dict[str, Any]]]]


@pytest.fixture(autouse=True)
def _one_row_at_a_time() -> Iterator[None]:
    with zeal_ignore():
        yield


def take(broker: redis.Redis) -> None:
    """Fetch all messages, and die before it is noted that they were fetched."""
    while broker.rpop("celery"):
        pass
    assert broker.hlen("unacked") == 0


def age(minutes: int = 6) -> None:
    """Have all that was done be so long ago."""
    ago = timezone.now() - timedelta(minutes=minutes)
    Booking.objects.update(updated_at=ago)
    Booking.objects.filter(status=BookingStatus.CONFIRMED).update(confirmed_at=ago)
    Payment.objects.update(updated_at=ago)


def waiting(queue: Queue) -> list[tuple[str, dict[str, Any]]]:
    return [(task, arguments) for task, arguments, _ in queue()]


def lost_refund(broker: redis.Redis) -> Booking:
    payment = make_payment(make_booking(paid_at=timezone.now()), status=Status.SUCCEEDED)
    bookings.cancel_booking(actor=payment.booking.guest, booking_id=payment.booking_id)
    take(broker)
    return payment.booking


def lost_confirmation(broker: redis.Redis, **fields: Any) -> Booking:
    booking = make_booking(paid_at=timezone.now(), **fields)
    bookings.confirm_booking(actor=booking.property.host, booking_id=booking.id)
    take(broker)
    return booking


SWEPT = {
    "payments.charge": "payments.ask_provider",
    "payments.refund": "payments.refund_what_is_owed",
    "bookings.send_confirmation": "bookings.send_missing",
    "listings.unlist_places": "listings.unlist_deleted_hosts",
}


def test_all_that_the_outbox_sends_is_swept() -> None:
    code = "\n".join(path.read_text() for path in Path(ROOT / "stays").rglob("*.py"))
    sent = set(re.findall(r'\bsend\(\s*task="([^"]+)"', code))
    asked_again = {"accounts.send_reset", "accounts.send_verification"}  # who gets no code asks
    assert sent - asked_again == SWEPT.keys()
    assert set(SWEPT.values()) <= {entry["task"] for entry in app.conf.beat_schedule.values()}


def test_a_lost_charge_is_sent_again(queue: Queue) -> None:
    payment = make_payment(status=Status.CREATED)
    age()
    payment_tasks.ask_provider()
    assert waiting(queue) == [("payments.charge", {"payment_id": str(payment.id)})]


def test_a_lost_refund_is_sent_again(broker: redis.Redis, queue: Queue) -> None:
    booking = lost_refund(broker)
    assert payment_tasks.refund_what_is_owed() == 0  # it may be under way
    age()
    assert payment_tasks.refund_what_is_owed() == 1
    assert waiting(queue) == [("payments.refund", {"booking_id": str(booking.id)})]
    assert payment_tasks.refund_what_is_owed() == 0  # until it has waited again
    take(broker)
    age()
    assert payment_tasks.refund_what_is_owed() == 1


@pytest.mark.parametrize("status", [BookingStatus.PENDING, BookingStatus.CONFIRMED])
def test_what_is_held_is_not_refunded(queue: Queue, status: BookingStatus) -> None:
    make_payment(make_booking(status=status, paid_at=timezone.now()), status=Status.SUCCEEDED)
    age()
    assert payment_tasks.refund_what_is_owed() == 0
    assert queue() == []


def test_a_lost_confirmation_is_sent_again(broker: redis.Redis, queue: Queue) -> None:
    booking = lost_confirmation(broker)
    assert booking_tasks.send_missing() == 0
    age()
    assert booking_tasks.send_missing() == 1
    assert waiting(queue) == [("bookings.send_confirmation", {"booking_id": str(booking.id)})]
    assert booking_tasks.send_missing() == 0
    booking_tasks.send_confirmation(booking_id=str(booking.id))
    take(broker)
    age()
    assert booking_tasks.send_missing() == 0
    assert len(mail.outbox) == 1


def test_a_mail_server_that_is_away_for_longer_than_the_retries(
    broker: redis.Redis, queue: Queue
) -> None:
    booking = lost_confirmation(broker)
    smtp = "django.core.mail.backends.smtp.EmailBackend"
    with override_settings(EMAIL_BACKEND=smtp, EMAIL_HOST="127.0.0.1", EMAIL_PORT=9):
        for _ in range(3):
            result = booking_tasks.send_confirmation.apply(kwargs={"booking_id": str(booking.id)})
            assert isinstance(result.result, ConnectionRefusedError)
            age()
            assert booking_tasks.send_missing() == 1
    ((_, arguments), *_) = waiting(queue)
    booking_tasks.send_confirmation.apply(kwargs=arguments).get()
    assert len(mail.outbox) == 1


def test_the_retries_of_an_email_end_before_the_sweep_comes() -> None:
    task = booking_tasks.send_confirmation
    longest = sum(2 * 2**retries for retries in range(task.max_retries))
    assert timedelta(seconds=longest) < settings.SWEEP_AFTER


def test_no_guest_is_told_of_a_stay_that_is_over_or_of_a_closed_account(
    broker: redis.Redis,
) -> None:
    over = make_booking(status="confirmed", check_in=-10, nights=5)
    lost_confirmation(broker, guest=make_user(is_active=False))
    age()
    assert not over.confirmation_sent_at
    assert booking_tasks.send_missing() == 0


def test_places_of_a_deleted_host_do_not_stay_on_the_list(broker: redis.Redis) -> None:
    host = make_host()
    places = [make_property(host=host) for _ in range(2)]
    other = make_property(host=make_host(is_active=False))  # closed by an administrator
    accounts.delete_account(actor=host, password=PASSWORD, address="127.0.0.1")
    take(broker)
    assert Property.objects.filter(is_listed=True).count() == 3
    assert listing_tasks.unlist_deleted_hosts() == len(places)
    assert Property.objects.get(is_listed=True) == other
    assert listing_tasks.unlist_deleted_hosts() == 0


def test_bookings_of_a_deleted_guest_are_let_go_of(broker: redis.Redis, queue: Queue) -> None:
    guest = make_user()
    now = timezone.now()
    ahead = make_booking(guest=guest, status="confirmed", check_in=10)
    make_payment(ahead, status=Status.SUCCEEDED)
    pending = make_booking(guest=guest, check_in=20)
    begun = make_booking(guest=guest, status="confirmed", check_in=-1)
    others = make_booking(guest=make_user(is_active=False), paid_at=now)
    assert booking_tasks.cancel_of_deleted_guests() == 0
    accounts.delete_account(actor=guest, password=PASSWORD, address="127.0.0.1")
    take(broker)
    assert booking_tasks.cancel_of_deleted_guests() == 2
    statuses = dict(Booking.objects.values_list("id", "status"))
    assert (statuses[ahead.id], statuses[pending.id]) == ("cancelled", "cancelled")
    assert (statuses[begun.id], statuses[others.id]) == ("confirmed", "pending")
    assert waiting(queue) == [("payments.refund", {"booking_id": str(ahead.id)})]


# -- The base of all tasks


@pytest.fixture
def failing() -> Iterator[tuple[Any, list[Exception]]]:
    """A task that fails as told, and then not; and what it still fails with."""
    errors: list[Exception] = []

    @shared_task(name="test.failing", autoretry_for=(Temporary,), max_retries=2, retry_backoff=1)
    def task() -> str:
        if errors:
            raise errors.pop(0)
        return "done"

    app.finalize()
    yield app.tasks["test.failing"], errors
    app.tasks.pop("test.failing")


def test_every_task_waits_for_the_database() -> None:
    app.loader.import_default_modules()
    ours = [task for name, task in app.tasks.items() if not name.startswith("celery.")]
    assert len(ours) > 10
    assert [task.name for task in ours if not isinstance(task, Task)] == []


@pytest.mark.parametrize("error", [OperationalError("gone"), InterfaceError("closed")])
def test_database_errors_are_retried_without_an_end(failing: Any, error: Exception) -> None:
    task, errors = failing
    errors += [error] * 30
    assert task.apply().get() == "done"


def test_other_retries_keep_their_end(failing: Any) -> None:
    task, errors = failing
    errors += [OperationalError("gone")]
    assert task.apply().get() == "done"
    errors += [Temporary("503")] * 4
    assert isinstance(task.apply().result, Temporary)
    assert errors == [errors[0]]  # it was tried three times


def test_called_directly_a_task_raises_what_it_meets(failing: Any) -> None:
    task, errors = failing
    errors += [OperationalError("gone")]
    with pytest.raises(OperationalError):
        task()


def test_the_pauses_for_the_database_grow_to_a_minute(
    failing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, errors = failing
    bounds: list[int] = []
    monkeypatch.setattr("celery.utils.time.random.randrange", lambda end: bounds.append(end) or 0)

    def pause(**_: object) -> None:
        raise Retry

    monkeypatch.setattr(task, "retry", pause)
    for retries in (0, 1, 4, 5, 1000):
        errors += [OperationalError("gone")]
        task.push_request(retries=retries, called_directly=False)
        with pytest.raises(Retry):
            task()
        task.pop_request()
    assert bounds == [3, 5, 33, LONGEST_PAUSE + 1, LONGEST_PAUSE + 1]


def test_a_sweep_that_is_too_late_is_not_run() -> None:
    """While the database is away, the retries of sweeps must not heap up."""
    app.loader.import_default_modules()
    named = {entry["task"] for entry in app.conf.beat_schedule.values()}
    assert {name for name in named if not app.tasks[name].expires} == set()
