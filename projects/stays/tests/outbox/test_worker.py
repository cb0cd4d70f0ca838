"""The whole way with real workers: commit, outbox, Valkey, worker, effect; and workers that die."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import psycopg
import pytest
import redis
import structlog
from celery import Celery
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from zeal import zeal_ignore

from local.provider import FakeProvider
from local.servers import valkey as valkey_server
from stays.bookings import services
from stays.bookings.models import Booking
from stays.outbox import services as outbox
from stays.outbox.models import OutboxMessage
from stays.payments import services as payments
from stays.payments.models import Payment, Status
from tests.factories import make_booking
from tests.outbox.conftest import BROKER
from tests.payments.conftest import fake  # noqa: F401
from tests.payments.events import KEY, SECRET, event, make_payment, signed
from tests.programs import DEADLINE, Program, Start, wait_for

pytestmark = pytest.mark.django_db(transaction=True)
TASK = "bookings.send_confirmation"


@pytest.fixture
def work(start: Start) -> Iterator[Callable[..., Program]]:
    """Starts workers; what is left of them is killed at the end of the test."""
    workers: list[Program] = []

    def begin(pool: str, *arguments: str, broker: str = BROKER, **environment: str) -> Program:
        worker = start(
            "celery",
            "--app=stays",
            "worker",
            f"--pool={pool}",
            "--concurrency=1",
            "--without-mingle",
            "--without-gossip",
            *arguments,
            BROKER_URL=broker,
            LOCK_TIMEOUT_MS="60000",  # for the tests' own lock, which keeps a task from ending
            STATEMENT_TIMEOUT_MS="60000",
            **environment,
        )
        workers.append(worker)
        wait_for(lambda: "ready." in worker.text())
        return worker

    yield begin
    for worker in workers:
        if worker.process.poll() is None:
            for process in psutil.Process(worker.process.pid).children(recursive=True):
                process.kill()
            worker.process.kill()
            worker.process.wait()


def confirm() -> Booking:
    """Confirm a booking: its guest is to be told, by a task."""
    booking = make_booking(paid_at=timezone.now())
    with structlog.contextvars.bound_contextvars(request_id="confirm-1"):
        return services.confirm_booking(actor=booking.property.host, booking_id=booking.id)


def is_told(booking: Booking) -> bool:
    with zeal_ignore():
        booking.refresh_from_db(fields=["confirmation_sent_at"])
    return booking.confirmation_sent_at is not None


@contextmanager
def held(booking: Booking) -> Iterator[None]:
    """Keep a task that wants the booking's row waiting in the middle of its work."""
    with transaction.atomic():
        Booking.objects.select_for_update().get(id=booking.id)
        yield


def is_waited_for() -> bool:
    """Whether somebody waits for a row."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


@contextmanager
def refusing_database() -> Iterator[None]:
    """Cut all connections to the database but this one, and refuse new ones: it looks down."""
    name = connection.settings_dict["NAME"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (ours,) = cursor.fetchone()
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as server:
        server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        try:
            server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = %s AND pid <> %s",
                [name, ours],
            )
            yield
        finally:
            server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


def begun(worker: Program, *tasks: str) -> list[dict[str, Any]]:
    tasks = tasks or (TASK,)
    return [line for line in worker.events(event="task_started") if line["task"] in tasks]


def test_a_worker_does_what_a_transaction_decided(work: Callable[..., Program]) -> None:
    worker = work("solo")
    booking = confirm()
    wait_for(lambda: is_told(booking))
    message = OutboxMessage.objects.get()
    (line,) = begun(worker)
    assert (line["task_id"], line["request_id"]) == (str(message.id), "confirm-1")
    (done,) = wait_for(lambda: worker.events(event="task_succeeded", task_id=str(message.id)))
    assert done["request_id"] == "confirm-1"
    assert worker.text().count("Your stay is confirmed:") == 1


def begin_and_kill(booking: Booking, *victims: Any) -> None:
    """Have the task of a booking begun, and kill processes in the middle of it."""
    with held(booking):
        assert outbox.relay() == 1
        wait_for(is_waited_for)
        for victim in victims:
            victim.send_signal(signal.SIGKILL)
            victim.wait(DEADLINE)
    assert not is_told(booking)


@pytest.fixture
def _only_the_relay_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "_try_now", lambda _: None)


@pytest.mark.usefixtures("_only_the_relay_sends")
def test_a_task_whose_process_is_killed_is_run_again_at_once(work: Callable[..., Program]) -> None:
    """CELERY_TASK_REJECT_ON_WORKER_LOST: the worker's main process puts the task back."""
    worker = work("prefork")
    (child,) = psutil.Process(worker.process.pid).children()
    booking = confirm()
    begin_and_kill(booking, child)
    wait_for(lambda: is_told(booking))
    assert len(begun(worker)) == 2
    assert worker.text().count("Your stay is confirmed:") == 1


@pytest.mark.usefixtures("_only_the_relay_sends")
def test_a_task_whose_whole_worker_is_killed_is_run_again_after_the_visibility_timeout(
    work: Callable[..., Program], broker: redis.Redis
) -> None:
    """Nobody is left who could put it back: Valkey does not know that a client is gone.

    Ten minutes are too long for a test: it turns back the moment at which the task was taken.
    The pool matters: a solo worker's loop gets to acknowledge a task only when it is done, whatever
    CELERY_TASK_ACKS_LATE says.
    """
    first = work("prefork")
    (child,) = psutil.Process(first.process.pid).children()
    booking = confirm()
    begin_and_kill(booking, first.process, child)
    assert first.process.poll() == -signal.SIGKILL
    assert len(begun(first)) == 1
    assert (broker.hlen("unacked"), broker.llen("celery")) == (1, 0)

    second = work("solo")
    assert begun(second) == []
    assert second.end() == 0
    assert broker.hlen("unacked") == 1
    assert not is_told(booking)

    ((tag, taken),) = broker.zrange("unacked_index", 0, -1, withscores=True)
    visible_again = settings.CELERY_BROKER_TRANSPORT_OPTIONS["visibility_timeout"]
    broker.zadd("unacked_index", {tag: taken - visible_again})
    third = work("solo")
    wait_for(lambda: is_told(booking))
    wait_for(lambda: broker.hlen("unacked") == 0)
    assert len(begun(third)) == 1
    assert third.text().count("Your stay is confirmed:") == 1


def test_a_worker_that_does_not_end_is_ended(work: Callable[..., Program]) -> None:
    """Its pool's process is suspended, and would be waited for until it goes on."""
    worker = work("prefork", TASK_SECONDS="1")
    (child,) = psutil.Process(worker.process.pid).children()
    child.suspend()
    worker.process.terminate()
    try:
        assert worker.process.wait(DEADLINE) == os.EX_SOFTWARE
    finally:
        child.kill()


@pytest.fixture
def own_valkey(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Another Valkey, which may be killed, as the broker that the outbox sends to."""
    with valkey_server() as url:
        app = Celery("stays", broker=url, set_as_current=False)
        monkeypatch.setattr(outbox, "app", app)
        yield url
        app.close()


@pytest.mark.usefixtures("_only_the_relay_sends")
def test_a_worker_survives_the_end_of_its_broker_in_the_middle_of_a_task(
    work: Callable[..., Program], own_valkey: str
) -> None:
    """It learns of it when it acknowledges a task while it waits for the next one.

    Stopped meanwhile, it finds first the end of the task, and then the end of the connection.
    """
    worker = work("prefork", "--concurrency=2", broker=own_valkey)
    with redis.Redis.from_url(own_valkey) as client:
        valkey = client.info("server")["process_id"]
    booking = confirm()
    with held(booking):
        assert outbox.relay() == 1
        wait_for(is_waited_for)
        worker.process.send_signal(signal.SIGSTOP)
    wait_for(lambda: worker.events(event="task_succeeded"))
    os.kill(valkey, signal.SIGKILL)
    worker.process.send_signal(signal.SIGCONT)
    wait_for(lambda: "Trying again" in worker.text() or worker.process.poll() is not None)
    assert worker.process.poll() is None, worker.text()
    assert is_told(booking)


@pytest.mark.usefixtures("_only_the_relay_sends")
def test_tasks_wait_for_a_database_that_is_away(
    work: Callable[..., Program],
    fake: FakeProvider,  # noqa: F811
) -> None:
    """A refund and an e-mail whose tasks begin while PostgreSQL refuses connections."""
    payment = make_payment(status=Status.CREATED)
    with zeal_ignore():
        payments.charge(payment_id=payment.id)
        payments.record_event(**signed(event(Payment.objects.get())))
        services.cancel_booking(actor=payment.booking.guest, booking_id=payment.booking_id)
    booking = confirm()
    worker = work(
        "prefork",
        PAYMENT_PROVIDER_URL=fake.url,
        PAYMENT_PROVIDER_KEY=KEY,
        PAYMENT_WEBHOOK_SECRET=SECRET,
    )
    with refusing_database():
        with zeal_ignore():
            assert outbox.relay() == 2
        wait_for(
            lambda: (
                {line["task"] for line in begun(worker, TASK, "payments.refund")}
                == {TASK, "payments.refund"}
            )
        )
        wait_for(lambda: len(worker.events(event="task_retrying")) >= 2)
        assert worker.events(event="task_failed") == []
    wait_for(lambda: is_told(booking))
    with zeal_ignore():
        wait_for(lambda: Payment.objects.get().status == Status.REFUNDED)
    assert len(fake.refunds) == 1
    assert worker.text().count("Your stay is confirmed:") == 1
