"""What the rows on RabbitMQ say, a real RabbitMQ, pika or kombu says: each is provoked here."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress

import kombu
import pika
import pytest

import nexus
from nexus.services import RabbitMQ
from nexus.services.ports import free_port
from nexus.services.process import wait_for
from tests.programs import need
from tools import messages

(GROUP,) = (group for group in messages.load() if group.name == "workers")
ROWS = {row.id: row for row in GROUP.rows}
PATIENCE = 60

pytestmark = need("rabbitmq")
Channel = pika.adapters.blocking_connection.BlockingChannel


@pytest.fixture(scope="module")
def node() -> Iterator[RabbitMQ]:
    with nexus.rabbitmq(management=True) as running:
        running.api("users/ada", "PUT", {"password": "ada", "tags": ""})
        yield running


def connect(url: str) -> pika.BlockingConnection:
    return pika.BlockingConnection(pika.URLParameters(url))


def refused(node: RabbitMQ, action: Callable[[Channel], object]) -> str:
    """What a call on a channel raises, with the error's name as a traceback shows it."""
    connection = connect(node.url)
    try:
        action(connection.channel())
    except pika.exceptions.AMQPError as error:
        return f"pika.exceptions.{type(error).__name__}: {error}"
    finally:
        if connection.is_open:
            connection.close()
    return "nothing was refused"


def of_a_connection(url: str) -> str:
    try:
        connect(url).close()
    except pika.exceptions.AMQPError as error:
        return f"pika.exceptions.{error!r}\n{error.args[0]}"
    return "nothing was refused"


def other_properties(channel: Channel) -> None:
    channel.queue_declare("letters", durable=True)
    channel.queue_declare("letters", durable=False)


def twice_acknowledged(channel: Channel) -> None:
    channel.basic_ack(7)
    channel.queue_declare("later")


def unroutable(channel: Channel) -> None:
    channel.confirm_delivery()
    channel.basic_publish("", "nobody", b"", mandatory=True)


def unknown_exchange(channel: Channel) -> None:
    channel.confirm_delivery()
    channel.basic_publish("nobody", "", b"")


def closed_before(channel: Channel) -> None:
    with suppress(pika.exceptions.ChannelClosedByBroker):
        channel.queue_declare("none", passive=True)
    channel.queue_declare("letters")


CALLS: dict[str, Callable[[Channel], object]] = {
    "amqp-precondition-arg": other_properties,
    "amqp-unknown-delivery-tag": twice_acknowledged,
    "amqp-not-found-queue": lambda channel: channel.queue_declare("none", passive=True),
    "amqp-not-found-exchange": unknown_exchange,
    "pika-unroutable": unroutable,
    "pika-channel-is-closed": closed_before,
}

CONNECTIONS: dict[str, Callable[[RabbitMQ], str]] = {
    "amqp-not-allowed-vhost": lambda node: node.url.replace("guest:guest", "ada:ada"),
    "amqp-vhost-not-found": lambda node: node.vhost("none"),
    "pika-connection-refused": lambda _: f"amqp://guest:guest@127.0.0.1:{free_port()}/",
}


PROVOKED = {
    *CALLS,
    *CONNECTIONS,
    "amqp-access-refused",
    "amqp-resource-locked",
    "amqp-delivery-timeout",
    "amqp-connection-closed-abruptly",
    "amqp-connection-blocked",
}

# Shown by a cell of "Message queues".
IN_A_CHAPTER = {"pika-blocked-timeout", "pika-nacked"}


def has(row: str, said: str) -> bool:
    return messages.pattern(ROWS[row].message).search(said) is not None


@pytest.mark.parametrize("row", sorted(CALLS))
def test_a_call_is_refused_in_these_words(node: RabbitMQ, row: str) -> None:
    said = refused(node, CALLS[row])
    assert has(row, said), said


@pytest.mark.parametrize("row", sorted(CONNECTIONS))
def test_a_connection_is_refused_in_these_words(node: RabbitMQ, row: str) -> None:
    said = of_a_connection(CONNECTIONS[row](node))
    assert has(row, said), said


def test_kombu_says_that_a_login_was_refused(node: RabbitMQ) -> None:
    url = node.url.replace("guest:guest", "guest:wrong")
    with pytest.raises(Exception, match="ACCESS_REFUSED") as failure:
        kombu.Connection(url).connect()
    assert has("amqp-access-refused", str(failure.value)), str(failure.value)


def test_an_exclusive_queue_is_locked(node: RabbitMQ) -> None:
    owner = connect(node.url)
    owner.channel().queue_declare("mine", exclusive=True)
    said = refused(node, lambda channel: channel.queue_declare("mine", passive=True))
    owner.close()
    assert has("amqp-resource-locked", said), said


def test_an_acknowledgement_comes_too_late(node: RabbitMQ) -> None:
    def set_to(milliseconds: int, tick: int) -> None:
        settings = {"consumer_timeout": milliseconds, "channel_tick_interval": tick}
        code = ", ".join(f"application:set_env(rabbit, {k}, {v})" for k, v in settings.items())
        node.ctl("eval", code + ".")

    def hold(channel: Channel) -> None:
        channel.queue_declare("slow")
        channel.basic_publish("", "slow", b"")
        channel.basic_consume("slow", lambda *_: None)
        channel.start_consuming()

    set_to(300, 300)
    try:
        said = refused(node, hold).replace("300 ms", "1800000 ms")
    finally:
        set_to(30 * 60 * 1000, 60_000)
    assert has("amqp-delivery-timeout", said), said


def test_a_connection_that_ends_without_a_close_is_logged(node: RabbitMQ) -> None:
    dies = "import os, pika, sys; pika.BlockingConnection(pika.URLParameters(sys.argv[1])); "
    subprocess.run([sys.executable, "-c", f"{dies}os._exit(0)", node.url], check=True)
    wait_for(
        lambda: has("amqp-connection-closed-abruptly", node.log), PATIENCE, "a line in the log"
    )


def test_an_alarm_of_memory_is_logged(node: RabbitMQ) -> None:
    node.ctl("set_vm_memory_high_watermark", "0.00001")
    try:
        wait_for(lambda: has("amqp-connection-blocked", node.log), PATIENCE, "a line in the log")
    finally:
        node.ctl("set_vm_memory_high_watermark", "0.4")


def test_what_is_said_to_be_reproduced_is_reproduced() -> None:
    reproduced = {
        row.id
        for row in ROWS.values()
        if row.shown == "ci" and row.id.startswith(("amqp-", "pika-"))
    }
    assert reproduced == PROVOKED | IN_A_CHAPTER
