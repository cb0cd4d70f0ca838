"""Send tasks if and only if the transaction that decided on them commits.

`send` writes the task into the outbox, in the caller's transaction. After the commit the message
goes to the broker at once. If that fails, or the process dies in between, the row is still there,
unsent, and the relay (a task of Celery beat's) sends it later.

So the broker gets every message at least once: every task must be idempotent. What it got may
still be lost: a worker that is killed between fetching a message and noting that it has it takes
the message along, and a task that cannot be retried fails. `sent_at` says that the broker had the
message, not that the task was done. So every task that is sent from here needs a sweep, which finds
by the data itself what was not done (see CELERY_BEAT_SCHEDULE).
"""

import uuid
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from stays.celery import app
from stays.outbox.models import OutboxMessage

logger = structlog.get_logger(__name__)


def send(*, task: str, arguments: dict[str, Any]) -> OutboxMessage:
    """Decide, within a transaction, that a task is to run.

    Args:
        task: Its name.
        arguments: Its keyword arguments; JSON.

    Returns:
        The message, which is not sent yet.

    Raises:
        RuntimeError: outside of a transaction there is nothing that the message could belong to.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("outbox.send needs a transaction")
    message = OutboxMessage.objects.create(
        task=task,
        arguments=arguments,
        request_id=structlog.contextvars.get_contextvars().get("request_id", ""),
    )
    transaction.on_commit(lambda: _try_now(message.id), robust=True)
    return message


def _try_now(message_id: uuid.UUID) -> None:
    """Send one message right after its commit. If the broker is down, the relay will."""
    try:
        relay(only=message_id)
    except OperationalError as error:
        logger.warning("outbox_broker_down", message_id=str(message_id), error=str(error))


def relay(*, only: uuid.UUID | None = None, limit: int = 500) -> int:
    """Send what waits, oldest first. Several relays at once share the work.

    Args:
        only: One message, instead of all that wait.
        limit: How many at most.

    Returns:
        How many were sent.

    Raises:
        kombu.exceptions.OperationalError: if the broker cannot be reached. What was sent until then
            is marked as sent.
    """
    sent: list[uuid.UUID] = []
    failure: OperationalError | None = None
    with transaction.atomic():
        waiting = OutboxMessage.objects.select_for_update(skip_locked=True).filter(
            sent_at__isnull=True
        )
        if only is not None:
            waiting = waiting.filter(id=only)
        for message in waiting.order_by("id")[:limit]:
            try:
                _publish(message)
            except OperationalError as error:
                failure = error  # raised after the commit: it would take the marks with it
                break
            sent.append(message.id)
        if sent:
            OutboxMessage.objects.filter(id__in=sent).update(sent_at=timezone.now())
    if failure is not None:
        raise failure
    return len(sent)


def _publish(message: OutboxMessage) -> None:
    """Hand a message to the broker, with the request's id in a header, for the task's logs.

    A connection that the broker has closed is opened again, once. A broker that is down is not
    waited for: a request would have to. (`retry=False` would wait: kombu 5.7 then opens its channel
    with retries of its own, for seconds.)

    Raises:
        kombu.exceptions.OperationalError: if the broker cannot be reached.
    """
    app.send_task(
        message.task,
        kwargs=message.arguments,
        task_id=str(message.id),
        headers={"request_id": message.request_id} if message.request_id else {},
        retry_policy={"max_retries": 1, "interval_start": 0},
    )
