import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from django.db import connection, transaction
from kombu.exceptions import OperationalError
from rest_framework.test import APIClient
from zeal import zeal_ignore

from stays.accounts.models import User
from stays.outbox import services, tasks
from stays.outbox.models import OutboxMessage
from tests.factories import make_admin, make_booking
from tests.racing import race

pytestmark = pytest.mark.django_db(transaction=True)
Queue = Callable[[], list[tuple[str, dict[str, Any], dict[str, Any]]]]
TASK = "a.task"


def send(**arguments: Any) -> OutboxMessage:
    with transaction.atomic():
        return services.send(task=TASK, arguments=arguments)


def unsent() -> int:
    return OutboxMessage.objects.filter(sent_at=None).count()


def lose(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on, the process dies between commit and sending."""
    monkeypatch.setattr(services, "_try_now", lambda _: None)


def test_a_message_is_sent_at_its_commit(queue: Queue) -> None:
    with transaction.atomic():
        message = services.send(task=TASK, arguments={"number": 1})
        assert queue() == []
    ((task, arguments, headers),) = queue()
    assert (task, arguments, headers["id"]) == (TASK, {"number": 1}, str(message.id))
    message.refresh_from_db()
    assert message.sent_at is not None
    assert str(message) == "a.task (sent)"
    assert tasks.relay() == 0
    assert len(queue()) == 1


def test_what_is_rolled_back_is_not_sent(queue: Queue) -> None:
    with transaction.atomic():
        services.send(task=TASK, arguments={})
        transaction.set_rollback(True)
    assert queue() == []
    assert not OutboxMessage.objects.exists()
    assert tasks.relay() == 0


def test_a_message_needs_a_transaction(queue: Queue) -> None:
    with pytest.raises(RuntimeError, match="needs a transaction"):
        services.send(task=TASK, arguments={})
    assert queue() == []


@zeal_ignore()
def test_what_a_crash_after_the_commit_leaves_is_sent_by_the_relay(
    monkeypatch: pytest.MonkeyPatch, queue: Queue
) -> None:
    lose(monkeypatch)
    for number in range(3):
        send(number=number)
    assert queue() == []
    assert str(OutboxMessage.objects.first()) == "a.task (waiting)"
    assert tasks.relay() == 3
    assert [arguments["number"] for _, arguments, _ in queue()] == [0, 1, 2]
    assert unsent() == 0
    assert tasks.relay() == 0


def test_a_request_does_not_need_the_broker(
    no_broker: Callable[[], None], queue: Queue, as_user: Callable[[User], APIClient]
) -> None:
    booking = make_booking(paid_at=datetime.now(UTC))
    begin = time.monotonic()
    answer = as_user(booking.property.host).post(f"/api/v1/bookings/{booking.id}/confirm")
    assert time.monotonic() - begin < 2.5  # kombu's own retries would take 6 and more
    assert answer.status_code == 200
    assert unsent() == 1
    with pytest.raises(OperationalError), zeal_ignore():
        services.relay()
    assert unsent() == 1
    no_broker()
    assert tasks.relay() == 1
    ((task, arguments, headers),) = queue()
    assert (task, arguments) == ("bookings.send_confirmation", {"booking_id": str(booking.id)})
    assert headers["request_id"] == answer["X-Request-ID"]


@zeal_ignore()
def test_what_was_sent_before_the_broker_went_away_is_not_sent_again(
    monkeypatch: pytest.MonkeyPatch, queue: Queue
) -> None:
    lose(monkeypatch)
    for number in range(3):
        send(number=number)
    publish = services._publish

    def publish_two(message: OutboxMessage) -> None:
        if message.arguments["number"] == 2:
            raise OperationalError("gone")
        publish(message)

    monkeypatch.setattr(services, "_publish", publish_two)
    with pytest.raises(OperationalError, match="gone"):
        services.relay()
    assert unsent() == 1
    monkeypatch.setattr(services, "_publish", publish)
    assert services.relay() == 1
    assert [arguments["number"] for _, arguments, _ in queue()] == [0, 1, 2]


@zeal_ignore()
def test_the_relay_sends_so_many_at_once(monkeypatch: pytest.MonkeyPatch, queue: Queue) -> None:
    lose(monkeypatch)
    for number in range(3):
        send(number=number)
    assert services.relay(limit=2) == 2
    assert [arguments["number"] for _, arguments, _ in queue()] == [0, 1]


@zeal_ignore()
def test_several_relays_send_each_message_once(
    monkeypatch: pytest.MonkeyPatch, queue: Queue
) -> None:
    lose(monkeypatch)
    for number in range(40):
        send(number=number)
    outcomes = race(lambda _: services.relay(limit=10), 8)
    assert all(isinstance(sent, int) for sent in outcomes), outcomes
    services.relay()  # what was locked while the others looked
    numbers = sorted(arguments["number"] for _, arguments, _ in queue())
    assert numbers == list(range(40))


def test_a_relay_passes_over_what_another_one_sends(
    monkeypatch: pytest.MonkeyPatch, queue: Queue
) -> None:
    lose(monkeypatch)
    message = send(number=1)
    with transaction.atomic():
        OutboxMessage.objects.select_for_update().get(id=message.id)
        assert race(lambda _: services.relay(), 1) == [0]
    assert queue() == []


def test_the_requests_id_goes_along(monkeypatch: pytest.MonkeyPatch, queue: Queue) -> None:
    lose(monkeypatch)
    with structlog.contextvars.bound_contextvars(request_id="request-1"):
        send()
    with zeal_ignore():
        send()
    services.relay()
    assert [headers.get("request_id") for _, _, headers in queue()] == ["request-1", None]


@zeal_ignore()
def test_old_messages_are_deleted_if_they_were_sent() -> None:
    now = datetime.now(UTC)
    kept = []
    for days, was_sent in ((6, True), (8, True), (8, False)):
        message = OutboxMessage.objects.create(
            task=TASK, arguments={}, sent_at=now - timedelta(days=days) if was_sent else None
        )
        OutboxMessage.objects.filter(id=message.id).update(created_at=now - timedelta(days=days))
        kept += [message.id] if days < 7 or not was_sent else []
    assert tasks.prune() == 1
    assert set(OutboxMessage.objects.values_list("id", flat=True)) == set(kept)


def test_the_relay_reads_only_what_waits() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        cursor.execute(
            "EXPLAIN SELECT * FROM outbox_outboxmessage WHERE sent_at IS NULL ORDER BY id LIMIT 500"
        )
        plan = "\n".join(line for (line,) in cursor.fetchall())
        cursor.execute("RESET enable_seqscan")
    assert "outbox_unsent" in plan


def test_the_admin_shows_messages(client: Any) -> None:
    message = send()
    with zeal_ignore():
        client.force_login(make_admin(is_superuser=True))
        address = "/admin/outbox/outboxmessage/"
        assert client.get(address).status_code == 200
        assert client.get(f"{address}{message.id}/change/").status_code == 200
        assert client.post(f"{address}{message.id}/change/", {}).status_code == 403
        assert client.get(f"{address}{message.id}/delete/").status_code == 403
        assert client.get(f"{address}add/").status_code == 403
