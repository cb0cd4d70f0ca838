"""The judges of "Message queues": stubs, right answers, wrong ones, and no RabbitMQ."""

# ruff: noqa: ARG001 (an answer gets what it does not need, too)

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pika
import psycopg
import pytest
from pika.exceptions import AMQPError, NackError, UnroutableError

import nexus
from nexus.judging import brokers, judge_answer, limits
from nexus.judging.registry import find
from nexus.services.errors import MissingProgram
from tests.exercises import tables
from tests.programs import need

ONE, TWO, THREE = (f"message-queues.{number}" for number in range(1, 4))
Channel = Any  # pika's, or the judge's own around it
Db = Any
Method = Any
Properties = Any
Option = Any


pytestmark = need("rabbitmq")


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with nexus.postgres(fsync="off"), nexus.rabbitmq(management=True):
        yield


# -- 1. A topology


def shop(
    kind: str = "topic",
    paid: tuple[str, ...] = ("order.paid.*",),
    audit: tuple[str, ...] = ("order.#",),
    unrouted: str = "fanout",
    refused: str = "fanout",
    durable: bool = True,
    alternate: bool = True,
    dead: bool = True,
    bind_dead: bool = True,
    queue: dict[str, Any] | None = None,
    arguments: dict[str, Any] | None = None,
    dead_letters: dict[str, Any] | None = None,
) -> Callable[[Channel], None]:
    """A topology with some things different."""

    def declare(channel: Channel) -> None:
        channel.exchange_declare("unrouted", unrouted, durable=durable)
        channel.exchange_declare("refused", refused, durable=True)
        other = {"alternate-exchange": "unrouted"} if alternate else {}
        channel.exchange_declare("orders", kind, durable=durable, arguments=other)
        letters = {"x-dead-letter-exchange": "refused"} if dead_letters is None else dead_letters
        mine = (letters if dead else {}) | (arguments or {})
        options = {"durable": True} | (queue or {})
        channel.queue_declare("shipping", arguments=mine, **options)
        for name in ("audit", "unrouted", "dead"):
            channel.queue_declare(name, durable=True)
        for key in paid:
            channel.queue_bind("shipping", "orders", key)
        for key in audit:
            channel.queue_bind("audit", "orders", key)
        channel.queue_bind("unrouted", "unrouted", "#")
        if bind_dead:
            channel.queue_bind("dead", "refused", "#" if refused == "topic" else "order.paid.de")

    return declare


def shop_of(name: str, **different: Option) -> Callable[[Channel], None]:
    """A topology with a name for its test."""
    declare = shop(**different)
    declare.__name__ = name
    return declare


def by_topics(channel: Channel) -> None:
    """Everything by topics, quorum queues, and the default exchange for dead letters."""
    channel.exchange_declare("rest", "topic", durable=True)
    rest = {"alternate-exchange": "rest"}
    channel.exchange_declare("orders", "topic", durable=True, arguments=rest)
    quorum = {"x-queue-type": "quorum"}
    letters = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}
    channel.queue_declare("shipping", durable=True, arguments=quorum | letters)
    for name in ("dead", "audit", "unrouted"):
        channel.queue_declare(name, durable=True, arguments=quorum)
    channel.queue_bind("shipping", "orders", "order.paid.*")
    channel.queue_bind("audit", "orders", "order.#")
    channel.queue_bind("unrouted", "rest", "#")


def by_exchanges(channel: Channel) -> None:
    """A second exchange behind the first one, and a headers exchange that wants everything."""
    channel.exchange_declare("rest", "headers", durable=True)
    channel.exchange_declare("dead", "fanout", durable=True)
    channel.exchange_declare("paid", "topic", durable=True)
    rest = {"alternate-exchange": "rest"}
    channel.exchange_declare("orders", "topic", durable=True, arguments=rest)
    channel.exchange_bind("paid", "orders", "order.#")
    channel.queue_declare("shipping", durable=True, arguments={"x-dead-letter-exchange": "dead"})
    for name in ("dead", "audit", "unrouted"):
        channel.queue_declare(name, durable=True)
    channel.queue_bind("shipping", "paid", "order.paid.*")
    channel.queue_bind("audit", "paid", "#")
    channel.queue_bind("unrouted", "rest", arguments={"x-match": "all"})
    channel.queue_bind("dead", "dead")


def stub_1(channel: Channel) -> None:
    channel.exchange_declare("orders", "topic", durable=True)
    channel.queue_declare("shipping", durable=True)
    channel.queue_bind("shipping", "orders", routing_key="order.paid.#")


def deletes_first(channel: Channel) -> None:
    """Runs twice, and the second time it throws away what waits."""
    channel.queue_delete("shipping")
    shop()(channel)


def binds_anew(channel: Channel) -> None:
    """Bindings of an older version of the program are gone then."""
    shop()(channel)
    for queue, key in (("shipping", "order.paid.*"), ("audit", "order.#")):
        channel.queue_unbind(queue, "orders", key)
        channel.queue_bind(queue, "orders", key)


def purges(channel: Channel) -> None:
    """An empty queue is a tidy queue."""
    shop()(channel)
    channel.queue_purge("audit")


def without_keys(channel: Channel) -> None:
    """pika binds with the name of the queue then."""
    shop(audit=())(channel)
    channel.queue_bind("audit", "orders")


def swallows(channel: Channel) -> None:
    with suppress(Exception):
        channel.exchange_declare("orders", "topic", arguments={"alternate-exchange": 7})
    with suppress(Exception):
        shop()(channel)


def other_the_second_time(channel: Channel) -> None:
    """Declares a queue with other properties each time."""
    shop()(channel)
    channel.queue_declare("mine", arguments={"x-max-length": time.monotonic_ns() % 2**31})


def asks_first(channel: Channel) -> None:
    """Passive declarations fail the first time."""
    channel.exchange_declare("orders", passive=True)
    shop()(channel)


def no_exchange(channel: Channel) -> None:
    for name in ("shipping", "audit", "unrouted", "dead"):
        channel.queue_declare(name, durable=True)


def dead_by_shipping(channel: Channel) -> None:
    """Dead letters come back to the exchange of the orders."""
    shop(dead_letters={"x-dead-letter-exchange": "orders", "x-dead-letter-routing-key": "dead"})(
        channel
    )
    channel.queue_bind("dead", "orders", "dead")


def unrouted_by_binding(channel: Channel) -> None:
    """`#` wants everything, not only the rest."""
    shop(alternate=False)(channel)
    channel.queue_bind("unrouted", "orders", "#")


def forever(channel: Channel) -> None:
    while True:
        channel.queue_declare("audit", durable=True)


def closes(channel: Channel) -> None:
    channel.connection.close()


def ends_process(channel: Channel) -> None:
    raise SystemExit


def purges_dead(channel: Channel) -> None:
    shop()(channel)
    channel.queue_purge("dead")


def deletes_dead(channel: Channel) -> None:
    channel.queue_delete("dead")
    shop()(channel)


def deletes_unrouted(channel: Channel) -> None:
    channel.queue_delete("unrouted")
    shop()(channel)


def deletes_if_empty(channel: Channel) -> None:
    """Careful with messages, and not with consumers."""
    for name in ("shipping", "audit", "unrouted", "dead"):
        with suppress(AMQPError):
            channel.connection.channel().queue_delete(name, if_empty=True)
    shop()(channel)


def deletes_exchange(channel: Channel) -> None:
    """The bindings of other programs go with it."""
    channel.exchange_delete("orders")
    shop()(channel)


def tries_itself(channel: Channel) -> None:
    shop()(channel)
    channel.basic_publish("orders", "order.paid.de", b"does it work?")


def dead_by_orders(channel: Channel) -> None:
    """A key that nobody will guess, on an exchange that everybody uses."""
    letters = {"x-dead-letter-exchange": "orders", "x-dead-letter-routing-key": "shipping.dead"}
    shop(dead_letters=letters)(channel)
    channel.queue_bind("dead", "orders", "shipping.dead")


def dead_by_unrouted(channel: Channel) -> None:
    letters = {"x-dead-letter-exchange": "unrouted", "x-dead-letter-routing-key": "rejected"}
    shop(unrouted="topic", dead_letters=letters)(channel)
    channel.queue_bind("dead", "unrouted", "rejected")


def unrouted_by_list(channel: Channel) -> None:
    """Each key that somebody has thought of."""
    shop(unrouted="topic")(channel)
    channel.queue_unbind("unrouted", "unrouted", "#")
    for key in ("refund.#", "orders.#", "shop.#", "shipping", "dead", "audit"):
        channel.queue_bind("unrouted", "unrouted", key)


def dead_and_graveyard(channel: Channel) -> None:
    shop()(channel)
    channel.queue_declare("graveyard", durable=True)
    channel.queue_bind("graveyard", "refused")


def stream_for_audit(channel: Channel) -> None:
    channel.queue_declare("audit", durable=True, arguments={"x-queue-type": "stream"})
    with suppress(AMQPError):
        shop()(channel.connection.channel())
    other = channel.connection.channel()
    for name in ("unrouted", "dead"):
        other.queue_declare(name, durable=True)
    other.queue_bind("audit", "orders", "order.#")


# -- 2. A consumer

NEW = "INSERT INTO inbox VALUES (%s) ON CONFLICT DO NOTHING"
ADD = "INSERT INTO parcel VALUES (%s)"


def order_of(body: bytes) -> int | None:
    try:
        number = json.loads(body)["order"]
    except (ValueError, KeyError, TypeError):
        return None
    return number if type(number) is int and abs(number) < 2**31 else None


def consume(
    channel: Channel,
    method: Method,
    properties: Properties,
    body: bytes,
    db: Db,
    work: Callable[[int], None],
) -> None:
    """A consumer that is right if its work is."""
    number = order_of(body)
    if number is None:
        channel.basic_reject(method.delivery_tag, requeue=False)
        return
    work(number)
    channel.basic_ack(method.delivery_tag)


def by_inbox(channel: Channel, method: Method, properties: Properties, body: bytes, db: Db) -> None:
    def work(number: int) -> None:
        with db.transaction():
            if db.execute(NEW, [properties.message_id]).rowcount:
                db.execute(ADD, [number])

    consume(channel, method, properties, body, db, work)


def one_statement(
    channel: Channel, method: Method, properties: Properties, body: bytes, db: Db
) -> None:
    both = f"WITH new AS ({NEW} RETURNING 1) INSERT INTO parcel SELECT %s FROM new"
    consume(
        channel,
        method,
        properties,
        body,
        db,
        lambda number: db.execute(both, [properties.message_id, number]),
    )


def by_hash(channel: Channel, method: Method, properties: Properties, body: bytes, db: Db) -> None:
    """A short id, which each process computes in its own way."""

    def work(number: int) -> None:
        with db.transaction():
            if db.execute(NEW, [str(hash(properties.message_id))]).rowcount:
                db.execute(ADD, [number])

    consume(channel, method, properties, body, db, work)


def by_unique_violation(
    channel: Channel, method: Method, properties: Properties, body: bytes, db: Db
) -> None:
    def work(number: int) -> None:
        with suppress(psycopg.errors.UniqueViolation), db.transaction():
            db.execute("INSERT INTO inbox VALUES (%s)", [properties.message_id])
            db.execute(ADD, [number])

    consume(channel, method, properties, body, db, work)


def requeues(channel: Channel, method: Method, properties: Properties, body: bytes, db: Db) -> None:
    """Says that the message shall come again, and does not raise."""
    try:
        by_inbox(channel, method, properties, body, db)
    except psycopg.Error:
        channel.basic_nack(method.delivery_tag, requeue=True)


def by_advisory_lock(
    channel: Channel, method: Method, properties: Properties, body: bytes, db: Db
) -> None:
    def work(number: int) -> None:
        with db.transaction():
            lock = "SELECT pg_advisory_xact_lock(hashtext(%s))"
            db.execute(lock, [properties.message_id])
            seen = "SELECT 1 FROM inbox WHERE message_id = %s"
            if not db.execute(seen, [properties.message_id]).fetchone():
                db.execute(ADD, [number])
                db.execute(NEW, [properties.message_id])

    consume(channel, method, properties, body, db, work)


Handle = Callable[[Channel, Method, Properties, bytes, Db], None]
Work = Callable[[Db, Channel, Method, Properties, bytes, int], None]


def is_order(body: bytes) -> bool:
    return order_of(body) is not None


def working(name: str, work: Work, is_good: Callable[[bytes], bool] = is_order) -> Handle:
    """A consumer whose work, or whose idea of a good message, is different."""

    def handle(
        channel: Channel, method: Method, properties: Properties, body: bytes, db: Db
    ) -> None:
        if not is_good(body):
            channel.basic_reject(method.delivery_tag, requeue=False)
            return
        work(db, channel, method, properties, body, json.loads(body)["order"])
        channel.basic_ack(method.delivery_tag)

    handle.__name__ = name
    return handle


def add_once(
    db: Db, channel: Channel, method: Method, properties: Properties, body: bytes, number: int
) -> None:
    with db.transaction():
        if db.execute(NEW, [properties.message_id]).rowcount:
            db.execute(ADD, [number])


def has_int(body: bytes) -> bool:
    """True is an int in Python."""
    try:
        return isinstance(json.loads(body)["order"], int)
    except (ValueError, KeyError, TypeError):
        return False


def has_big_int(body: bytes) -> bool:
    """Any whole number, also one for which the column has no room."""
    try:
        return type(json.loads(body)["order"]) is int
    except (ValueError, KeyError, TypeError):
        return False


def has_bigint(body: bytes) -> bool:
    """Room in a bigint, and the column is an int."""
    return has_big_int(body) and abs(json.loads(body)["order"]) < 2**63


def has_digits(body: bytes) -> bool:
    """7 and "7" are the same to it."""
    try:
        number = str(json.loads(body)["order"])
        return number.isdigit() and int(number) < 2**31
    except (ValueError, KeyError, TypeError):
        return False


def by_data_error(
    channel: Channel, method: Method, properties: Properties, body: bytes, db: Db
) -> None:
    """PostgreSQL says what does not fit."""
    try:
        working("inner", add_once, has_big_int)(channel, method, properties, body, db)
    except psycopg.DataError:
        channel.basic_nack(method.delivery_tag, requeue=False)


def publishes_dead(
    channel: Channel, method: Method, properties: Properties, body: bytes, db: Db
) -> None:
    """Knows the name of the dead letters' queue, and not what rejecting is for."""
    if order_of(body) is None:
        channel.basic_publish("", "dead", body)
        channel.basic_ack(method.delivery_tag)
        return
    by_inbox(channel, method, properties, body, db)


def acks_outstanding(
    channel: Channel, method: Method, properties: Properties, body: bytes, db: Db
) -> None:
    """Zero with multiple is everything that the channel has."""
    number = order_of(body)
    if number is None:
        channel.basic_reject(method.delivery_tag, requeue=False)
        return
    add_once(db, channel, method, properties, body, number)
    channel.basic_ack(multiple=True)


def compensates(
    db: Db, channel: Channel, method: Method, properties: Properties, body: bytes, number: int
) -> None:
    """Takes the id back, if it lives long enough."""
    if db.execute(NEW, [properties.message_id]).rowcount:
        try:
            db.execute(ADD, [number])
        except psycopg.Error:
            db.execute("DELETE FROM inbox WHERE message_id = %s", [properties.message_id])
            raise


def takes_parcel_back(
    db: Db, channel: Channel, method: Method, properties: Properties, body: bytes, number: int
) -> None:
    with suppress(psycopg.errors.UniqueViolation):
        db.execute("SELECT pg_advisory_lock(1)")
        seen = "SELECT 1 FROM inbox WHERE message_id = %s"
        if db.execute(seen, [properties.message_id]).fetchone() is None:
            db.execute(ADD, [number])
            try:
                db.execute(NEW, [properties.message_id])
            except psycopg.Error:
                last = "(SELECT max(ctid) FROM parcel WHERE order_id = %s)"
                db.execute(f"DELETE FROM parcel WHERE ctid = {last}", [number])
                raise
            finally:
                if not db.closed:
                    db.execute("SELECT pg_advisory_unlock(1)")
        else:
            db.execute("SELECT pg_advisory_unlock(1)")


def tries_three_times(
    db: Db, channel: Channel, method: Method, properties: Properties, body: bytes, number: int
) -> None:
    """Patient, and without a transaction."""
    if db.execute(NEW, [properties.message_id]).rowcount:
        for attempt in (1, 2, 3):
            try:
                db.execute(ADD, [number])
                return
            except psycopg.Error:
                if attempt == 3:
                    raise


def by_id_and_body(
    db: Db, channel: Channel, method: Method, properties: Properties, body: bytes, number: int
) -> None:
    with db.transaction():
        if db.execute(NEW, [f"{properties.message_id} {body!r}"]).rowcount:
            db.execute(ADD, [number])


def keeps_last_id(
    db: Db, channel: Channel, method: Method, properties: Properties, body: bytes, number: int
) -> None:
    """A tidy inbox forgets."""
    with db.transaction():
        if db.execute(NEW, [properties.message_id]).rowcount:
            db.execute(ADD, [number])
            db.execute("DELETE FROM inbox WHERE message_id <> %s", [properties.message_id])


def gives_up(channel: Channel, method: Method, properties: Properties, body: bytes, db: Db) -> None:
    """Two tries are enough."""
    try:
        by_inbox(channel, method, properties, body, db)
    except psycopg.Error:
        channel.basic_nack(method.delivery_tag, requeue=not method.redelivered)


def notes_bad_first(
    channel: Channel, method: Method, properties: Properties, body: bytes, db: Db
) -> None:
    if not db.execute(NEW, [properties.message_id]).rowcount:
        channel.basic_ack(method.delivery_tag)
        return
    consume(channel, method, properties, body, db, lambda number: db.execute(ADD, [number]))


def inserts_raw(
    channel: Channel, method: Method, properties: Properties, body: bytes, db: Db
) -> None:
    """PostgreSQL rounds 7.5."""
    try:
        with db.transaction():
            if db.execute(NEW, [properties.message_id]).rowcount:
                db.execute(ADD, [json.loads(body)["order"]])
    except (ValueError, KeyError, TypeError, psycopg.DataError, psycopg.ProgrammingError):
        channel.basic_reject(method.delivery_tag, requeue=False)
    except psycopg.IntegrityError:
        channel.basic_reject(method.delivery_tag, requeue=False)
    else:
        channel.basic_ack(method.delivery_tag)


def stub_2(channel: Channel, method: Method, properties: Properties, body: bytes, db: Db) -> None:
    channel.basic_ack(method.delivery_tag)
    db.execute("INSERT INTO parcel VALUES (%s)", [json.loads(body)["order"]])


def acks_first(
    channel: Channel, method: Method, properties: Properties, body: bytes, db: Db
) -> None:
    channel.basic_ack(method.delivery_tag)
    with db.transaction():
        if db.execute(NEW, [properties.message_id]).rowcount:
            db.execute(ADD, [json.loads(body)["order"]])


def acks_in_transaction(
    channel: Channel, method: Method, properties: Properties, body: bytes, db: Db
) -> None:
    """The acknowledgement is out before the commit."""
    with db.transaction():
        by_inbox(channel, method, properties, body, db)


def no_inbox(channel: Channel, method: Method, properties: Properties, body: bytes, db: Db) -> None:
    consume(channel, method, properties, body, db, lambda number: db.execute(ADD, [number]))


def inbox_apart(
    channel: Channel, method: Method, properties: Properties, body: bytes, db: Db
) -> None:
    """Notes the id in one transaction, and does the work in the next one."""

    def work(number: int) -> None:
        if db.execute(NEW, [properties.message_id]).rowcount:
            db.execute(ADD, [number])

    consume(channel, method, properties, body, db, work)


def inbox_after(
    channel: Channel, method: Method, properties: Properties, body: bytes, db: Db
) -> None:
    def work(number: int) -> None:
        seen = "SELECT 1 FROM inbox WHERE message_id = %s"
        if not db.execute(seen, [properties.message_id]).fetchone():
            db.execute(ADD, [number])
            db.execute(NEW, [properties.message_id])

    consume(channel, method, properties, body, db, work)


def looks_first(
    channel: Channel, method: Method, properties: Properties, body: bytes, db: Db
) -> None:
    """Right for one consumer, and wrong for two."""

    def work(number: int) -> None:
        with db.transaction():
            seen = "SELECT 1 FROM inbox WHERE message_id = %s"
            if not db.execute(seen, [properties.message_id]).fetchone():
                db.execute(ADD, [number])
                db.execute(NEW, [properties.message_id])

    consume(channel, method, properties, body, db, work)


def by_redelivered(
    channel: Channel, method: Method, properties: Properties, body: bytes, db: Db
) -> None:
    def work(number: int) -> None:
        if not method.redelivered:
            db.execute(ADD, [number])

    consume(channel, method, properties, body, db, work)


def by_order(channel: Channel, method: Method, properties: Properties, body: bytes, db: Db) -> None:
    """One parcel for each order, and not for each message."""

    def work(number: int) -> None:
        with db.transaction():
            if db.execute(NEW, [f"order-{number}"]).rowcount:
                db.execute(ADD, [number])

    consume(channel, method, properties, body, db, work)


def by_body(channel: Channel, method: Method, properties: Properties, body: bytes, db: Db) -> None:
    def work(number: int) -> None:
        with db.transaction():
            if db.execute(NEW, [body.decode()]).rowcount:
                db.execute(ADD, [number])

    consume(channel, method, properties, body, db, work)


def by_delivery_tag(
    channel: Channel, method: Method, properties: Properties, body: bytes, db: Db
) -> None:
    def work(number: int) -> None:
        with db.transaction():
            if db.execute(NEW, [str(method.delivery_tag)]).rowcount:
                db.execute(ADD, [number])

    consume(channel, method, properties, body, db, work)


SEEN: set[str] = set()
LOCK = threading.Lock()


def in_memory(
    channel: Channel, method: Method, properties: Properties, body: bytes, db: Db
) -> None:
    def work(number: int) -> None:
        with LOCK:
            key = f"{db.info.dbname} {properties.message_id}"
            if key not in SEEN:
                db.execute(ADD, [number])
                SEEN.add(key)

    consume(channel, method, properties, body, db, work)


def swallows_errors(
    channel: Channel, method: Method, properties: Properties, body: bytes, db: Db
) -> None:
    with suppress(Exception), db.transaction():
        if db.execute(NEW, [properties.message_id]).rowcount:
            db.execute(ADD, [json.loads(body)["order"]])
    channel.basic_ack(method.delivery_tag)


def rejects_all_errors(
    channel: Channel, method: Method, properties: Properties, body: bytes, db: Db
) -> None:
    try:
        by_inbox(channel, method, properties, body, db)
    except Exception:
        channel.basic_reject(method.delivery_tag, requeue=False)


def acks_on_error(
    channel: Channel, method: Method, properties: Properties, body: bytes, db: Db
) -> None:
    try:
        by_inbox(channel, method, properties, body, db)
    except psycopg.Error:
        channel.basic_ack(method.delivery_tag)


def acks_in_finally(
    channel: Channel, method: Method, properties: Properties, body: bytes, db: Db
) -> None:
    try:
        with db.transaction():
            if db.execute(NEW, [properties.message_id]).rowcount:
                db.execute(ADD, [json.loads(body)["order"]])
    finally:
        channel.basic_ack(method.delivery_tag)


def requeues_bad(
    channel: Channel, method: Method, properties: Properties, body: bytes, db: Db
) -> None:
    if order_of(body) is None:
        channel.basic_nack(method.delivery_tag)  # requeue is pika's default
        return
    by_inbox(channel, method, properties, body, db)


def acks_bad(channel: Channel, method: Method, properties: Properties, body: bytes, db: Db) -> None:
    if order_of(body) is None:
        channel.basic_ack(method.delivery_tag)
        return
    by_inbox(channel, method, properties, body, db)


def raises_on_bad(
    channel: Channel, method: Method, properties: Properties, body: bytes, db: Db
) -> None:
    number = json.loads(body)["order"]
    with db.transaction():
        if db.execute(NEW, [properties.message_id]).rowcount:
            db.execute(ADD, [number])
    channel.basic_ack(method.delivery_tag)


def only_json(
    channel: Channel, method: Method, properties: Properties, body: bytes, db: Db
) -> None:
    """JSON that is no order still kills it."""
    try:
        json.loads(body)
    except ValueError:
        channel.basic_reject(method.delivery_tag, requeue=False)
        return
    raises_on_bad(channel, method, properties, body, db)


def takes_numbers(
    channel: Channel, method: Method, properties: Properties, body: bytes, db: Db
) -> None:
    """7.5 becomes 7, and "seven" is refused."""
    try:
        number = int(json.loads(body)["order"])
        if abs(number) >= 2**31:
            raise ValueError
    except (ValueError, KeyError, TypeError):
        channel.basic_reject(method.delivery_tag, requeue=False)
        return
    with db.transaction():
        if db.execute(NEW, [properties.message_id]).rowcount:
            db.execute(ADD, [number])
    channel.basic_ack(method.delivery_tag)


def never_settles(
    channel: Channel, method: Method, properties: Properties, body: bytes, db: Db
) -> None:
    with db.transaction():
        if db.execute(NEW, [properties.message_id]).rowcount:
            db.execute(ADD, [json.loads(body)["order"]])


def settles_new_only(
    channel: Channel, method: Method, properties: Properties, body: bytes, db: Db
) -> None:
    """A message that comes again is never acknowledged."""
    number = order_of(body)
    if number is None:
        channel.basic_reject(method.delivery_tag, requeue=False)
        return
    with db.transaction():
        is_new = db.execute(NEW, [properties.message_id]).rowcount
        if is_new:
            db.execute(ADD, [number])
    if is_new:
        channel.basic_ack(method.delivery_tag)


def rejects_duplicates(
    channel: Channel, method: Method, properties: Properties, body: bytes, db: Db
) -> None:
    number = order_of(body)
    if number is None:
        channel.basic_reject(method.delivery_tag, requeue=False)
        return
    with db.transaction():
        is_new = db.execute(NEW, [properties.message_id]).rowcount
        if is_new:
            db.execute(ADD, [number])
    if is_new:
        channel.basic_ack(method.delivery_tag)
    else:
        channel.basic_reject(method.delivery_tag, requeue=False)


def acks_twice(
    channel: Channel, method: Method, properties: Properties, body: bytes, db: Db
) -> None:
    by_inbox(channel, method, properties, body, db)
    channel.basic_ack(method.delivery_tag)


def acks_all(channel: Channel, method: Method, properties: Properties, body: bytes, db: Db) -> None:
    """Nothing but the acknowledgement."""
    channel.basic_ack(method.delivery_tag)


def leaves_open(
    channel: Channel, method: Method, properties: Properties, body: bytes, db: Db
) -> None:
    db.execute("BEGIN")
    if db.execute(NEW, [properties.message_id]).rowcount:
        db.execute(ADD, [json.loads(body)["order"]])
    channel.basic_ack(method.delivery_tag)


def closes_database(
    channel: Channel, method: Method, properties: Properties, body: bytes, db: Db
) -> None:
    with db:
        by_inbox(channel, method, properties, body, db)


def wrong_table(
    channel: Channel, method: Method, properties: Properties, body: bytes, db: Db
) -> None:
    db.execute("INSERT INTO parcels VALUES (1)")


def too_few() -> None:
    """Takes nothing."""


def sleeps(channel: Channel, method: Method, properties: Properties, body: bytes, db: Db) -> None:
    db.execute("SELECT pg_sleep(3600)")


def spins(channel: Channel, method: Method, properties: Properties, body: bytes, db: Db) -> None:
    while True:
        with suppress(BaseException):
            time.sleep(0.01)


# -- 3. A relay

WAITING = "SELECT id, key, body FROM outbox WHERE NOT sent ORDER BY id"
MARK = "UPDATE outbox SET sent = true WHERE id = %s"
CANNOT = (UnroutableError, NackError)


def properties_of(number: int, **different: Option) -> pika.BasicProperties:
    given: dict[str, Any] = {"message_id": str(number), "delivery_mode": 2} | different
    return pika.BasicProperties(**given)


def relaying(
    name: str,
    *,
    confirms: bool = True,
    mandatory: bool = True,
    query: str = WAITING,
    cannot: tuple[type[BaseException], ...] = CANNOT,
    first_mark: bool = False,
    stops: bool = False,
    eats: tuple[type[BaseException], ...] = (),
    exchange: str = "orders",
    key_of: Callable[[str], str] = lambda key: key,
    body_of: Callable[[str], Any] = lambda body: body,
    mark: str = MARK,
    **properties: Option,
) -> Callable[[Db, Callable[[], Any]], None]:
    """A relay with something different."""

    def relay(db: Db, connect: Callable[[], Any]) -> None:
        with connect() as connection:
            channel = connection.channel()
            if confirms:
                channel.confirm_delivery()
            for number, key, body in db.execute(query).fetchall():
                if first_mark:
                    db.execute(mark, [number])
                try:
                    channel.basic_publish(
                        exchange,
                        key_of(key),
                        body_of(body),
                        properties_of(number, **properties),
                        mandatory=mandatory,
                    )
                except cannot:
                    if stops:
                        break
                    continue
                except eats:
                    pass
                if not first_mark:
                    db.execute(mark, [number])

    relay.__name__ = name
    return relay


def one_by_one(db: Db, connect: Callable[[], Any]) -> None:
    """A transaction for each row, which it holds until the confirm."""
    connection = connect()
    skipped = [0]
    try:
        channel = connection.channel()
        channel.confirm_delivery()
        take = """
            SELECT id, key, body FROM outbox WHERE NOT sent AND id <> ALL(%s)
            ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
        """
        while True:
            with db.transaction():
                row = db.execute(take, [skipped]).fetchone()
                if row is None:
                    return
                try:
                    channel.basic_publish(
                        "orders", row[1], row[2].encode(), properties_of(row[0]), mandatory=True
                    )
                    db.execute(MARK, [row[0]])
                except CANNOT:
                    skipped.append(row[0])
    finally:
        if connection.is_open:
            connection.close()


def all_at_the_end(db: Db, connect: Callable[[], Any]) -> None:
    """Marks what was confirmed when it is done, and also if the broker goes away."""
    rows = db.execute(WAITING).fetchall()
    confirmed: list[int] = []
    try:
        with connect() as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            for number, key, body in rows:
                with suppress(*CANNOT):
                    channel.basic_publish("orders", key, body, properties_of(number), True)
                    confirmed.append(number)
    finally:
        db.execute("UPDATE outbox SET sent = true WHERE id = ANY(%s)", [confirmed])


def quiet_without_broker(db: Db, connect: Callable[[], Any]) -> None:
    with suppress(AMQPError):
        relaying("inner")(db, connect)


def a_connection_each(db: Db, connect: Callable[[], Any]) -> None:
    """Slow, and right."""
    for number, key, body in db.execute(WAITING).fetchall():
        with connect() as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            try:
                channel.basic_publish("orders", key, body, properties_of(number), mandatory=True)
            except CANNOT:
                continue
        db.execute(MARK, [number])


def transaction_each(db: Db, connect: Callable[[], Any]) -> None:
    """Marks first, and what is not confirmed rolls that back."""
    with connect() as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for number, key, body in db.execute(WAITING).fetchall():
            with suppress(*CANNOT), db.transaction():
                db.execute(MARK, [number])
                channel.basic_publish("orders", key, body, properties_of(number), mandatory=True)


def by_pages(db: Db, connect: Callable[[], Any]) -> None:
    page = WAITING.replace("ORDER", "AND id > %s ORDER") + " LIMIT 2"
    last = -1
    with connect() as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        while rows := db.execute(page, [last]).fetchall():
            for last, key, body in rows:
                with suppress(*CANNOT):
                    channel.basic_publish("orders", key, body, properties_of(last), mandatory=True)
                    db.execute(MARK, [last])


def comes_back(db: Db, connect: Callable[[], Any]) -> None:
    """Connects again, and goes on."""
    for _ in range(3):
        with suppress(AMQPError):
            relaying("inner")(db, connect)
            return


def whole_transaction(db: Db, connect: Callable[[], Any]) -> None:
    """The end of the broker rolls back what was confirmed."""
    with db.transaction():
        relaying("inner")(db, connect)


def marks_at_the_end(db: Db, connect: Callable[[], Any]) -> None:
    """If it comes to the end."""
    confirmed: list[int] = []
    with connect() as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for number, key, body in db.execute(WAITING).fetchall():
            with suppress(*CANNOT):
                channel.basic_publish("orders", key, body, properties_of(number), mandatory=True)
                confirmed.append(number)
    db.execute("UPDATE outbox SET sent = true WHERE id = ANY(%s)", [confirmed])


def closes_at_the_end(db: Db, connect: Callable[[], Any]) -> None:
    """Knows two errors, and a third one leaves the connection open."""
    connection = connect()
    channel = connection.channel()
    channel.confirm_delivery()
    for number, key, body in db.execute(WAITING).fetchall():
        try:
            channel.basic_publish("orders", key, body, properties_of(number), mandatory=True)
        except CANNOT:
            continue
        db.execute(MARK, [number])
    connection.close()


def marks_the_rest(db: Db, connect: Callable[[], Any]) -> None:
    """All but what has failed, so also what has come since."""
    failed = [0]
    with connect() as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for number, key, body in db.execute(WAITING).fetchall():
            try:
                channel.basic_publish("orders", key, body, properties_of(number), mandatory=True)
            except CANNOT:
                failed.append(number)
            else:
                db.execute(MARK, [number])
        db.execute("UPDATE outbox SET sent = true WHERE id <> ALL(%s)", [failed])


def tries_each_three_times(db: Db, connect: Callable[[], Any]) -> None:
    """And then gives up, with the rest of the rows."""
    with connect() as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for number, key, body in db.execute(WAITING).fetchall():
            for _ in range(3):
                with suppress(AMQPError):
                    channel.basic_publish("orders", key, body, properties_of(number), True)
                    db.execute(MARK, [number])
                    break
            else:
                break


def has_catch_all(db: Db, connect: Callable[[], Any]) -> None:
    """Makes a queue that wants everything."""
    with connect() as connection:
        channel = connection.channel()
        channel.queue_declare("rest", durable=True)
        channel.queue_bind("rest", "orders", "#")
    relaying("inner")(db, connect)


def unmarks(db: Db, connect: Callable[[], Any]) -> None:
    """Takes the mark back, if it lives long enough."""
    with connect() as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for number, key, body in db.execute(WAITING).fetchall():
            db.execute(MARK, [number])
            try:
                channel.basic_publish("orders", key, body, properties_of(number), mandatory=True)
            except AMQPError as error:
                db.execute("UPDATE outbox SET sent = false WHERE id = %s", [number])
                if not isinstance(error, CANNOT):
                    raise


def stub_3(db: Db, connect: Callable[[], Any]) -> None:
    waiting = "SELECT id, key, body FROM outbox WHERE NOT sent ORDER BY id"
    with connect() as connection:
        channel = connection.channel()
        for number, key, body in db.execute(waiting).fetchall():
            properties = pika.BasicProperties(message_id=str(number))
            channel.basic_publish("orders", key, body, properties)
            db.execute("UPDATE outbox SET sent = true WHERE id = %s", [number])


def leaves_connection(db: Db, connect: Callable[[], Any]) -> None:
    channel = connect().channel()
    channel.confirm_delivery()
    for number, key, body in db.execute(WAITING).fetchall():
        with suppress(*CANNOT):
            channel.basic_publish("orders", key, body, properties_of(number), mandatory=True)
            db.execute(MARK, [number])


def leaves_connection_on_error(db: Db, connect: Callable[[], Any]) -> None:
    """Closed only if all is well."""
    connection = connect()
    channel = connection.channel()
    channel.confirm_delivery()
    for number, key, body in db.execute(WAITING).fetchall():
        channel.basic_publish("orders", key, body, properties_of(number), mandatory=True)
        db.execute(MARK, [number])
    connection.close()


def one_transaction(db: Db, connect: Callable[[], Any]) -> None:
    """One row that cannot be sent rolls back what was confirmed, and it comes again and again."""
    with db.transaction():
        relaying("inner", cannot=())(db, connect)


def leaves_transaction(db: Db, connect: Callable[[], Any]) -> None:
    db.execute("BEGIN")
    relaying("inner")(db, connect)


def marks_all(db: Db, connect: Callable[[], Any]) -> None:
    """All rows of the table, also those that nobody could send."""
    relaying("inner", mark="SELECT %s")(db, connect)
    db.execute("UPDATE outbox SET sent = true")


def deletes(db: Db, connect: Callable[[], Any]) -> None:
    relaying("inner", mark="DELETE FROM outbox WHERE id = %s")(db, connect)


def publishes_twice(db: Db, connect: Callable[[], Any]) -> None:
    """To be sure."""
    with connect() as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for number, key, body in db.execute(WAITING).fetchall():
            with suppress(*CANNOT):
                channel.basic_publish("orders", key, body, properties_of(number), mandatory=True)
                channel.basic_publish("orders", key, body, properties_of(number), mandatory=True)
                db.execute(MARK, [number])


def only_one(db: Db, connect: Callable[[], Any]) -> None:
    relaying("inner", query=f"{WAITING} LIMIT 1")(db, connect)


def tries_for_ever(db: Db, connect: Callable[[], Any]) -> None:
    while db.execute(WAITING).fetchone():
        with suppress(AMQPError):
            relaying("inner")(db, connect)


def sends_sql(db: Db, connect: Callable[[], Any]) -> None:
    db.execute("SELECT sent FROM outboxes")


def to_queue(db: Db, connect: Callable[[], Any]) -> None:
    """Past the exchange."""
    relaying("inner", exchange="", key_of=lambda _: "all")(db, connect)


RIGHT = [
    (ONE, shop_of("by_arguments")),
    (ONE, by_topics),
    (ONE, by_exchanges),
    (ONE, shop_of("dead_by_topic", refused="topic")),
    (TWO, by_inbox),
    (TWO, by_data_error),
    (TWO, one_statement),
    (TWO, by_unique_violation),
    (TWO, requeues),
    (TWO, by_advisory_lock),
    (THREE, relaying("straight")),
    (THREE, one_by_one),
    (THREE, all_at_the_end),
    (THREE, quiet_without_broker),
    (THREE, a_connection_each),
    (THREE, transaction_each),
    (THREE, by_pages),
    (THREE, comes_back),
]

NOT_YET = [
    (ONE, None, "give a function of a channel"),
    (ONE, "orders", "this is of type str"),
    (ONE, stub_1, "there is no queue audit"),
    (ONE, no_exchange, "there is no exchange orders"),
    (ONE, binds_anew, "your function ran again, and other programs published"),
    (ONE, shop_of("hash", paid=("order.paid.#",)), "'order.paid' is in the queue shipping"),
    (ONE, shop_of("exact", paid=("order.paid",)), "'order.paid.de' is not in the queue shipping"),
    (ONE, shop_of("star", paid=("order.*",)), "'order.paid.de' is not in the queue shipping"),
    (ONE, shop_of("all_orders", paid=("order.#",)), "'order.paid' is in the queue shipping"),
    (ONE, shop_of("two_stars", paid=("order.*.*",)), "'order.cancelled.de' is in the queue shippi"),
    (ONE, shop_of("countries", paid=("order.paid.de",)), "'order.paid.et' is not in the queue"),
    (ONE, shop_of("any_shop", paid=("#.paid.*",)), "'refund.paid.de' is in the queue shipping"),
    (ONE, shop_of("glob", audit=("order*",)), "is not in the queue audit"),
    (ONE, shop_of("one_word", audit=("order.*",)), "'order.paid.de' is not in the queue audit"),
    (
        ONE,
        shop_of("three_words", audit=("order.*", "order.*.*")),
        "'order.paid.de.berlin' is not in the queue audit",
    ),
    (ONE, shop_of("everything", audit=("#",)), "'refund.paid.de' is in the queue audit"),
    (ONE, without_keys, "is not in the queue audit"),
    (ONE, shop_of("direct", kind="direct"), "'order.paid.de' is not in the queue shipping"),
    (ONE, shop_of("fanout", kind="fanout"), "'order.paid' is in the queue shipping"),
    (ONE, shop_of("no_alternate", alternate=False), "'refund.paid.de' is not in the queue unrou"),
    (ONE, shop_of("alternate_direct", unrouted="direct"), "'refund.paid.de' is not in the queue"),
    (ONE, unrouted_by_binding, "is in the queue unrouted"),
    (ONE, shop_of("no_dead", dead=False), "are not in the queue dead: they are gone"),
    (ONE, shop_of("dead_unbound", bind_dead=False), "are not in the queue dead: they are gone"),
    (ONE, shop_of("dead_direct", refused="direct"), "there is only order.paid.de"),
    (
        ONE,
        shop_of("dead_to_orders", dead_letters={"x-dead-letter-exchange": "orders"}),
        "are not in the queue dead: they are in",
    ),
    (
        ONE,
        shop_of("dead_to_nowhere", dead_letters={"x-dead-letter-exchange": "deads"}),
        "are not in the queue dead: they are gone",
    ),
    (ONE, dead_by_shipping, "'dead' is not in the queue unrouted"),
    (ONE, shop_of("transient_queue", queue={"durable": False}), "shipping would be gone after a"),
    (ONE, shop_of("auto_delete", queue={"auto_delete": True}), "it is auto_delete"),
    (ONE, shop_of("exclusive", queue={"exclusive": True}), "there is no queue shipping"),
    (ONE, shop_of("transient_exchange", durable=False), "would be gone after a restart"),
    (ONE, shop_of("ttl", arguments={"x-message-ttl": 3_600_000}), "able to wait for days"),
    (ONE, shop_of("expires", arguments={"x-expires": 3_600_000}), "must stay"),
    (ONE, shop_of("short", arguments={"x-max-length": 100}), "many messages may have to wait"),
    (ONE, shop_of("bytes", arguments={"x-max-length-bytes": 1000}), "many messages may have to"),
    (ONE, deletes_first, "a consumer of the queue shipping was at work"),
    (ONE, purges, "a message waited in the queue audit, and after another call of your function"),
    (ONE, asks_first, "NOT_FOUND - no exchange 'orders'"),
    (ONE, other_the_second_time, "it was called a second time: RabbitMQ says: PRECONDITION"),
    (ONE, swallows, "there is no queue shipping"),
    (ONE, closes, "there is no queue shipping"),
    (ONE, ends_process, "raised SystemExit"),
    (ONE, lambda: None, "TypeError"),
    (ONE, shop_of("listed", paid=("order.paid.de", "order.paid.et")), "'order.paid.xk' is not in"),
    (
        ONE,
        shop_of("to_four_words", audit=("order", "order.*", "order.*.*", "order.*.*.*")),
        "'order.paid.de.berlin.mitte.7.left' is not in the queue audit",
    ),
    (ONE, purges_dead, "a message waited in the queue dead"),
    (ONE, deletes_dead, "a consumer of the queue dead was at work"),
    (ONE, deletes_unrouted, "a consumer of the queue unrouted was at work"),
    (ONE, deletes_if_empty, "a consumer of the queue shipping was at work"),
    (ONE, deletes_exchange, "bound its own queue to the exchange orders"),
    (ONE, tries_itself, "nobody has sent anything, and a message is in the queue shipping"),
    (ONE, dead_by_orders, "'shipping.dead' is not in the queue unrouted"),
    (ONE, dead_by_unrouted, "'rejected' is in the queue dead"),
    (ONE, unrouted_by_list, "'Order.paid.de' is not in the queue unrouted"),
    (ONE, dead_and_graveyard, "and then it was in graveyard, too"),
    (ONE, stream_for_audit, "the queue audit is a stream"),
    (TWO, None, "give a function of a channel, a method"),
    (TWO, 7, "this is of type int"),
    (TWO, stub_2, "died just after its acknowledgement"),
    (TWO, acks_first, "died just after its acknowledgement"),
    (TWO, acks_in_transaction, "died just after its acknowledgement"),
    (TWO, no_inbox, "died just before its acknowledgement, the next one went on, and there are 2"),
    (TWO, inbox_apart, "a write into parcel failed twice"),
    (TWO, inbox_after, "a write into inbox failed twice"),
    (TWO, looks_first, "two copies of a message were handled at the same moment"),
    (TWO, by_redelivered, "died just before its acknowledgement, the next one went on, and"),
    (TWO, by_order, "two for order 7, and there are 1 parcels for order 7, and 2 are due"),
    (TWO, by_body, "two for order 7, and there are 1 parcels for order 7, and 2 are due"),
    (TWO, by_delivery_tag, "parcels for order"),
    (TWO, in_memory, "in another process, and there are 2 parcels for order 7"),
    (TWO, by_hash, "in another process, and there are 2 parcels for order 7"),
    (TWO, swallows_errors, "a write into parcel failed twice"),
    (TWO, rejects_all_errors, "1 good messages are in the dead letters"),
    (TWO, acks_on_error, "a write into parcel failed twice"),
    (TWO, acks_in_finally, "a write into parcel failed twice"),
    (TWO, requeues_bad, "b'not JSON' came, and it is not in the dead letters"),
    (TWO, acks_bad, "b'not JSON' came, and it is not in the dead letters"),
    (TWO, raises_on_bad, "your function raised JSONDecodeError"),
    (TWO, only_json, "with the body b'{}' came, and your function raised KeyError"),
    (TWO, takes_numbers, "b'{\"order\": 7.5}' came, and it is not in the dead letters"),
    (TWO, never_settles, "has not settled its message"),
    (TWO, settles_new_only, "has not settled its message"),
    (TWO, rejects_duplicates, "1 good messages are in the dead letters"),
    (TWO, acks_twice, "one message was settled 2 times"),
    (TWO, acks_all, "there are 0 parcels for order 7, and 2 are due"),
    (TWO, leaves_open, "its transaction is still open"),
    (TWO, closes_database, "closed its connection to PostgreSQL"),
    (TWO, wrong_table, 'relation "parcels" does not exist'),
    (TWO, too_few, "TypeError"),
    (TWO, working("has_int", add_once, has_int), "true}' came, and your function raised"),
    (
        TWO,
        working("any_size", add_once, has_big_int),
        "3000000000}' came, and your function raised",
    ),
    (TWO, working("bigint", add_once, has_bigint), "3000000000}' came, and your function raised"),
    (TWO, working("digits", add_once, has_digits), '"7"}\' came, and it is not in the dead'),
    (TWO, publishes_dead, "your function published it again, and did not reject it"),
    (TWO, acks_outstanding, "there are 0 parcels for order 12, and 1 are due"),
    (TWO, working("compensates", compensates), "a write into parcel was the last word"),
    (TWO, working("takes_parcel_back", takes_parcel_back), "a write into inbox was the last word"),
    (TWO, working("tries_three_times", tries_three_times), "a write into parcel was the last word"),
    (TWO, working("by_id_and_body", by_id_and_body), "came again, in another process, and there"),
    (TWO, working("keeps_last_id", keeps_last_id), "came again, in another process, and there"),
    (TWO, gives_up, "1 good messages are in the dead letters"),
    (TWO, notes_bad_first, "a write into parcel failed twice"),
    (TWO, inserts_raw, "b'{\"order\": 7.5}' came, and it is not in the dead letters"),
    (THREE, None, "give a function of a connection to PostgreSQL"),
    (THREE, {}, "this is of type dict"),
    (THREE, stub_3, "is not persistent"),
    (THREE, relaying("no_confirms", confirms=False), "it counts as sent: it is lost"),
    (
        THREE,
        relaying("neither", confirms=False, mandatory=False),
        "no queue wanted the message of row 2, and it counts as sent: it is lost",
    ),
    (THREE, relaying("not_mandatory", mandatory=False), "it counts as sent: it is lost"),
    (THREE, relaying("marks_first", first_mark=True), "it counts as sent: it is lost"),
    (THREE, relaying("stops", stops=True), "row 3 was not sent, although a queue waits for it"),
    (THREE, relaying("raises", cannot=()), "is still to be sent, and your function raised Unrou"),
    (
        THREE,
        relaying("no_nack", cannot=(UnroutableError,)),
        "its queue was full, and it is still to be sent, and your function raised NackError",
    ),
    (
        THREE,
        relaying("marks_unroutable", cannot=(), eats=CANNOT),
        "no queue wanted the message of row 2, and it counts as sent: it is lost",
    ),
    (
        THREE,
        relaying("marks_refused", cannot=(UnroutableError,), eats=(NackError,)),
        "because its queue was full, and it counts as sent: it is lost",
    ),
    (
        THREE,
        relaying("swallows_all", eats=(Exception,)),
        "row 11 counts as sent, and is in no queue: it is lost",
    ),
    (THREE, relaying("transient", delivery_mode=1), "is not persistent"),
    (THREE, relaying("no_id", message_id=None), "has the message_id None"),
    (THREE, relaying("expires", expiration="60000"), "expires"),
    (THREE, relaying("unsorted", query=WAITING[: -len(" ORDER BY id")]), "the lowest id first"),
    (THREE, relaying("newest", query=f"{WAITING} DESC"), "the lowest id first"),
    (THREE, relaying("by_key", query=WAITING.replace("BY id", "BY key, id")), "the lowest id"),
    (
        THREE,
        relaying("all_rows", query=WAITING.replace("NOT sent", "true")),
        "the bodies ['eleven'",
    ),
    (THREE, relaying("as_repr", body_of=repr), "the bodies ['eleven'"),
    (THREE, relaying("one_key", key_of=lambda _: "order.paid"), "has the key 'order.paid', and"),
    (THREE, relaying("other_exchange", exchange="order"), "NOT_FOUND - no exchange 'order'"),
    (THREE, to_queue, "has the key 'all'"),
    (THREE, relaying("never_marks", mark="SELECT %s"), "not all rows count as sent"),
    (THREE, relaying("marks_one", mark=f"{MARK} AND id <> 14"), "not all rows count as sent"),
    (THREE, marks_all, "no queue wanted the message of row 2, and it counts as sent"),
    (THREE, deletes, "not all rows count as sent"),
    (THREE, leaves_connection, "its connection to RabbitMQ is still open"),
    (THREE, leaves_connection_on_error, "has raised, and its connection to RabbitMQ is still"),
    (THREE, one_transaction, "no queue wanted the message of row 2"),
    (THREE, leaves_transaction, "its transaction is still open"),
    (THREE, publishes_twice, "the bodies ['eleven'"),
    (THREE, only_one, "the bodies ['eleven'"),
    (THREE, sends_sql, 'relation "outboxes" does not exist'),
    (THREE, whole_transaction, "was confirmed before that, and the next call sent it again"),
    (THREE, marks_at_the_end, "was confirmed before that, and the next call sent it again"),
    (THREE, closes_at_the_end, "has raised, and its connection to RabbitMQ is still open"),
    (THREE, marks_the_rest, "row 2 was inserted while your function was publishing row 1"),
    (THREE, unmarks, "row 1 counted as sent before your function had published it"),
    (THREE, tries_each_three_times, "row 3 was not sent, although a queue waits for it"),
    (THREE, has_catch_all, "no queue wanted the message of row 2, and it counts as sent"),
    (
        THREE,
        relaying("marks_up_to", mark="UPDATE outbox SET sent = true WHERE id <= %s"),
        "no queue wanted the message of row 2, and it counts as sent: it is lost",
    ),
    (THREE, relaying("first_ten", query=f"{WAITING} LIMIT 10"), "the next row was not sent"),
    (THREE, relaying("first_100", query=f"{WAITING} LIMIT 100"), "the next row was not sent"),
    (THREE, lambda: None, "TypeError"),
]

test_right, test_not_yet = tables.tests(RIGHT, NOT_YET)


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [(ONE, forever), (TWO, sleeps), (TWO, spins), (THREE, tries_for_ever)],
    ids=["1-forever", "2-sleeps", "2-spins", "3-for-ever"],
)
def test_an_answer_without_end_gets_its_verdict(
    exercise: str, answer: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SECONDS", 2.0)
    verdict = judge_answer(exercise, answer)
    assert not verdict.right
    assert "had not come to an end after 2 seconds" in verdict.message, verdict


def test_nothing_is_left_on_the_node() -> None:
    judge_answer(ONE, shop_of("left"))
    assert [vhost["name"] for vhost in brokers.node().api("vhosts")] == ["/"]


def test_without_rabbitmq_the_judge_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing() -> None:
        raise MissingProgram("rabbitmq-server is not on this machine: apt-get install it")

    monkeypatch.setattr(brokers, "current", lambda _: missing())
    monkeypatch.setattr(brokers, "rabbitmq", lambda **_: missing())
    with pytest.raises(MissingProgram, match="is not on this machine: apt-get install"):
        judge_answer(ONE, shop_of("missing"))
    assert find(ONE).stub
