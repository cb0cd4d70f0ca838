"""Judges of "Message queues": a topology, an idempotent consumer, a relay with confirms."""

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pika
import psycopg
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError

from nexus.judging import NotYet, first_line, judge
from nexus.judging.brokers import Broker, Gone, Stepwise, Watched, broker, shut, swallower, take
from nexus.judging.limits import Run, all_of, within
from nexus.judging.meeting import come_to_rest, holding
from nexus.judging.sandbox import Connection, Sandbox, another, database
from nexus.judging.workers import worker
from nexus.services.process import wait_for

PATIENCE = 5.0
"""Seconds that RabbitMQ has to move a message from one queue to another."""

PERSISTENT = 2

# -- 1. A topology

GIVEN_1 = """
def declare(channel):
    channel.exchange_declare("orders", "topic", durable=True)
    channel.queue_declare("shipping", durable=True)
    channel.queue_bind("shipping", "orders", routing_key="order.paid.#")
"""

QUEUES = ("shipping", "audit", "unrouted", "dead")

KEYS = (
    "order.paid.de",
    "order.paid.et",
    "order.paid.xk",
    "order.paid",
    "order.paid.de.berlin",
    "order.paid.de.berlin.mitte.7.left",
    "order.cancelled.de",
    "order",
    "order.",
    "refund.paid.de",
    "orders.paid.de",
    "shop.order.paid.de",
    "refund",
    "shipping",
    "dead",
    "audit",
    "Order.paid.de",
    "a.b.c.d.e.f.g",
    "",
)
"""Keys that messages are sent with."""

MANY = 300
"""Messages that wait in a queue at once."""

LIMITS = {
    "x-message-ttl": "a message must be able to wait for days",
    "x-expires": "a queue that nobody uses for a while must stay",
    "x-max-length": "many messages may have to wait",
    "x-max-length-bytes": "many messages may have to wait",
}
"""Arguments of a queue that lose messages, and what the exercise says."""

Declare = Callable[[BlockingChannel], object]


def wanted(key: str) -> set[str]:
    """The queues of a message with a key."""
    words = key.split(".")
    if words[0] != "order":
        return {"unrouted"}
    return {"audit", "shipping"} if words[1:2] == ["paid"] and len(words) == 3 else {"audit"}


@judge(
    "message-queues.1",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a channel: it declares the exchanges, the queues and their bindings",
    stub=GIVEN_1,
)
def topology(answer: Declare) -> str:
    """Each message is where it must be, nothing is twice, and all of it survives a restart."""
    with broker() as box:
        _declare(answer, box, "")
        _lasting(box)
        with box.channel() as channel:
            for name in QUEUES:
                if waiting(channel, name):
                    raise NotYet(f"nobody has sent anything, and a message is in the queue {name}")
            _in_use(answer, box, channel)
            for name in QUEUES:
                channel.basic_publish("", name, b"it waits")
        _declare(answer, box, "it was called again: ")
        _lasting(box)
        with box.channel() as channel:
            _keeps(channel)
            _routes(box, channel)
            _dead_letters(box, channel)
            _many(channel)
            _between(answer, box, channel)
    return (
        "each message is in its queues, once, also when it is rejected or wanted by no queue, or "
        "comes while the function runs again, and everything is durable"
    )


def _declare(
    answer: Declare, box: Broker, attempt: str, then: Callable[[], None] | None = None
) -> None:
    """Calls the answer on a connection of its own, as a program that starts does.

    Args:
        answer: the function.
        box: where.
        attempt: how a complaint begins.
        then: what happens after each call on its channel.
    """
    connection = box.connect()
    try:
        channel = connection.channel()
        given: Any = Stepwise(channel, then) if then else channel
        within(lambda: answer(given))
    except AMQPError as error:
        said = getattr(error, "reply_text", first_line(error)) or type(error).__name__
        raise NotYet(f"{attempt}RabbitMQ says: {said}") from None
    finally:
        shut(connection)


def _lasting(box: Broker) -> None:
    """Raises NotYet unless everything is there without a client, and would be after a restart."""
    queues = {queue["name"]: queue for queue in box.server.api(f"queues/{box.name}")}
    for name in QUEUES:
        queue = queues.get(name)
        if queue is None:
            raise NotYet(
                f"the program that declared it has ended, and there is no queue {name}: declare "
                "it, and so that it stays without its connection"
            )
        if not queue["durable"]:
            raise NotYet(f"the queue {name} would be gone after a restart: it is not durable")
        if queue.get("type") == "stream":
            raise NotYet(f"the queue {name} is a stream: a consumer cannot get or reject from it")
        if queue.get("auto_delete"):
            raise NotYet(f"the queue {name} would go with its last consumer: it is auto_delete")
        for argument, why in LIMITS.items():
            if argument in queue["arguments"]:
                raise NotYet(f"the queue {name} has {argument}: {why}")
    for exchange in box.server.api(f"exchanges/{box.name}"):
        name = exchange["name"]
        if name.startswith("amq.") or not name:
            continue
        if not exchange["durable"]:
            raise NotYet(f"the exchange {name} would be gone after a restart: it is not durable")
        if exchange.get("auto_delete"):
            raise NotYet(f"the exchange {name} would go with its last binding: it is auto_delete")
    if "orders" not in {each["name"] for each in box.server.api(f"exchanges/{box.name}")}:
        raise NotYet("there is no exchange orders")


def _in_use(answer: Declare, box: Broker, channel: BlockingChannel) -> None:
    """Calls the answer while other programs use what it has declared.

    Raises:
        NotYet: if that takes their queues or their bindings away.
    """
    channel.queue_declare("of another program", exclusive=True)
    channel.queue_bind("of another program", "orders", "of.another.program")
    tags = [channel.basic_consume(name, lambda *_: None) for name in QUEUES]
    _declare(answer, box, "it was called a second time: ")
    _lasting(box)
    for name in QUEUES:
        said: Any = channel.queue_declare(name, passive=True)
        if not said.method.consumer_count:
            raise NotYet(
                f"a consumer of the queue {name} was at work, and after a second call of your "
                "function it has no queue any more: do not delete what other programs use"
            )
    for tag in tags:
        channel.basic_cancel(tag)
    channel.basic_publish("orders", "of.another.program", b"")
    if not waiting(channel, "of another program"):
        raise NotYet(
            "another program had bound its own queue to the exchange orders, and after a second "
            "call of your function the binding is gone: do not delete what other programs use"
        )
    channel.queue_delete("of another program")


def _keeps(channel: BlockingChannel) -> None:
    """Raises NotYet unless the queues still have what waited at the last call."""
    for name in QUEUES:
        if not take(channel, name):
            raise NotYet(
                f"a message waited in the queue {name}, and after another call of your function "
                "it is gone"
            )


def _keys(box: Broker) -> list[str]:
    """The keys that are sent, and those that the answer itself has bound or given."""
    given = [each["routing_key"] for each in box.server.api(f"bindings/{box.name}")]
    for queue in box.server.api(f"queues/{box.name}"):
        given.append(str(queue["arguments"].get("x-dead-letter-routing-key", "")))
    plain = (key.replace("*", "de").replace("#", "de") for key in given)
    return list(dict.fromkeys((*KEYS, *plain)))


def _routes(box: Broker, channel: BlockingChannel) -> None:
    """Raises NotYet if a message with one of the keys is where it should not be."""
    keys = _keys(box)
    for key in keys:
        channel.basic_publish("orders", key, key.encode())
    found = {name: Counter(body.decode() for _, _, body in take(channel, name)) for name in QUEUES}
    for key in keys:
        for name in QUEUES:
            times = found[name][key]
            if name in wanted(key) and not times:
                raise NotYet(f"a message with the key {key!r} is not in the queue {name}")
            if name not in wanted(key) and times:
                raise NotYet(f"a message with the key {key!r} is in the queue {name}")
            if times > 1:
                raise NotYet(f"a message with the key {key!r} is in the queue {name} {times} times")


def _dead_letters(box: Broker, channel: BlockingChannel) -> None:
    """Raises NotYet unless what is rejected from shipping goes to dead, and only there."""
    others = {queue["name"] for queue in box.server.api(f"queues/{box.name}")} - {*QUEUES}
    for name in others:
        channel.queue_purge(name)
    keys = ["order.paid.de", "order.paid.et"]
    for key in keys:
        channel.basic_publish("orders", key, key.encode())
    take(channel, "audit")
    before = {name: waiting(channel, name) for name in others}
    for _ in keys:
        method: Any = channel.basic_get("shipping")[0]
        channel.basic_reject(method.delivery_tag, requeue=False)

    def arrived() -> bool:
        return sum(waiting(channel, name) for name in QUEUES) >= len(keys)

    with suppress(TimeoutError):
        wait_for(arrived, PATIENCE, "dead letters")
    more = [name for name in others if waiting(channel, name) > before[name]]
    found = {name: [body.decode() for _, _, body in take(channel, name)] for name in QUEUES}
    if sorted(found["dead"]) != keys:
        elsewhere = [name for name in QUEUES if name != "dead" and found[name]]
        said = f"they are in {', '.join(elsewhere)}" if elsewhere else "they are gone"
        if found["dead"]:
            said = f"there is only {', '.join(found['dead'])}"
        raise NotYet(
            f"messages with the keys {' and '.join(keys)} were rejected from shipping, and are not "
            f"in the queue dead: {said}"
        )
    for name in (*QUEUES[:-1], *more):
        if name in more or found[name]:
            raise NotYet(f"a message was rejected from shipping, and then it was in {name}, too")


def _many(channel: BlockingChannel) -> None:
    """Raises NotYet if a queue, by a policy or an argument, does not keep many messages."""
    for _ in range(MANY):
        channel.basic_publish("orders", "order.paid.de", b"")
    for name in ("shipping", "audit"):
        if (kept := waiting(channel, name)) != MANY:
            raise NotYet(f"{MANY} messages were sent, and {kept} of them wait in {name}")


def _between(answer: Declare, box: Broker, channel: BlockingChannel) -> None:
    """Raises NotYet if a message that comes between two calls of the function goes astray."""
    keys = ("order.paid.de", "order.cancelled.de", "refund")
    for name in QUEUES:
        channel.queue_purge(name)
    sent = 0

    def send() -> None:
        nonlocal sent
        sent += 1
        for key in keys:
            channel.basic_publish("orders", key, key.encode())

    _declare(answer, box, "it was called again: ", send)
    for name in QUEUES:
        found = Counter(body.decode() for _, _, body in take(channel, name, 10 * sent + 10))
        for key in keys:
            due = sent if name in wanted(key) else 0
            if found[key] != due:
                raise NotYet(
                    f"your function ran again, and other programs published {sent} messages with "
                    f"the key {key!r} meanwhile: {found[key]} of them are in the queue {name}, and "
                    f"{due} should be. Declare and bind, and take nothing away, not even for a "
                    "moment"
                )


def waiting(channel: BlockingChannel, queue: str) -> int:
    """How many messages are ready in a queue."""
    said: Any = channel.queue_declare(queue, passive=True)
    return int(said.method.message_count)


# -- 2. A consumer

GIVEN_2 = """
def handle(channel, method, properties, body, db):
    channel.basic_ack(method.delivery_tag)
    db.execute("INSERT INTO parcel VALUES (%s)", [json.loads(body)["order"]])
"""

BAD = [
    b"not JSON",
    b"",
    b"\xff\xfe\x00",
    b"{}",
    b"7",
    b"[7]",
    b"null",
    b'{"order": "seven"}',
    b'{"order": null}',
    b'{"order": 7.5}',
    b'{"order": [7]}',
    b'{"order": "7"}',
    b'{"order": true}',
    b'{"order": 3000000000}',
    b'{"order": -9000000000000000000000}',
]
"""Bodies that will never be good."""

ROUNDS = 6
"""How often a consumer is started again at most, until its queue is empty."""

Handle = Callable[[Any, Any, Any, bytes, Connection], object]


def _parcels(connection: Connection) -> None:
    connection.execute("""
        CREATE TABLE parcel (order_id int NOT NULL);
        CREATE TABLE inbox (message_id text PRIMARY KEY);
    """)


@judge(
    "message-queues.2",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a channel, a method, properties, a body and a connection to "
    "PostgreSQL: it adds one parcel for each message id, and then acknowledges",
    stub=GIVEN_2,
)
def consumer(answer: Handle) -> str:
    """One parcel an id, whoever dies or meets, and what is bad is in the dead letters."""
    with broker() as queue:
        for attempt in (_plain, _dies, _again, _database_fails, _bad_bodies, _two_at_once):
            with queue.channel() as channel:
                for name in ("parcels", "dead"):
                    channel.queue_delete(name)
                channel.queue_declare("dead", durable=True)
                arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}
                channel.queue_declare("parcels", durable=True, arguments=arguments)
            with database("queues_parcels", _parcels) as box:
                attempt(answer, queue, box)
    return (
        "one parcel for each message id, whether the consumer dies, the database fails or two "
        "meet, and bad messages are in the dead letters"
    )


def _send(queue: Broker, *messages: tuple[str, bytes]) -> None:
    """Sends messages with their ids."""
    with queue.channel() as channel:
        for message, body in messages:
            properties = pika.BasicProperties(message_id=message, delivery_mode=PERSISTENT)
            channel.basic_publish("", "parcels", body, properties)


def _order(number: int) -> bytes:
    return json.dumps({"order": number}).encode()


@contextmanager
def _process(queue: Broker, box: Sandbox) -> Iterator[tuple[BlockingChannel, Connection]]:
    """The connections of a consumer; at its end they are closed, and nothing is committed."""
    connection = queue.connect()
    try:
        with another(box) as db:
            try:
                yield connection.channel(), db
            finally:
                if not db.closed and db.info.transaction_status != 0:
                    box.stop(db)  # psycopg's own end would commit
    finally:
        shut(connection)


def _consume(
    answer: Handle,
    queue: Broker,
    box: Sandbox,
    *,
    dies: str = "",
    most: int = 100,
    seen: list[bytes] | None = None,
) -> BaseException | None:
    """Handles messages until the queue is empty or the answer raises.

    Args:
        answer: the consumer.
        queue: where the messages are.
        box: where the parcels go.
        dies: "before" or "after" it has settled its first message, its process is gone. Another
            message is with it then, as by a prefetch of two.
        most: how many messages it handles.
        seen: gets the body of each message that comes.

    Returns:
        What it raised, if it did.

    Raises:
        NotYet: if it returns and has not settled its message.
    """
    with _process(queue, box) as (channel, db):

        def die() -> None:
            box.stop(db)
            raise Gone("its process is gone")

        watched = Watched(
            channel,
            before=die if dies == "before" else None,
            after=die if dies == "after" else None,
        )
        for _ in range(most):
            method, properties, body = channel.basic_get("parcels")
            if method is None:
                return None
            if dies:
                channel.basic_get("parcels")
            if seen is not None:
                seen.append(body)
            already = len(watched.settled)
            try:
                within(lambda m=method, p=properties, b=body: _call(answer, watched, m, p, b, db))
            except _GoneError:
                return None
            except NotYet:
                raise
            except Exception as error:
                return error
            said = len(watched.settled) - already
            if said != 1:
                raise NotYet(
                    "your function has returned, and has not settled its message: acknowledge it, "
                    "or reject it"
                    if not said
                    else f"one message was settled {said} times: RabbitMQ closes the channel for it"
                )
            if not channel.is_open:
                raise NotYet("your function has closed its channel")
            if db.broken:  # by the server, and the answer has said what becomes of the message
                return None
            if db.closed:
                raise NotYet("your function has closed its connection to PostgreSQL")
            if db.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                raise NotYet(
                    "your function has returned, and its transaction is still open: nothing is "
                    "committed"
                )
    return None


class _GoneError(Exception):
    """Gone, in the judge's own thread."""


def _call(answer: Handle, *given: Any) -> None:  # noqa: ANN401
    try:
        answer(*given)
    except Gone:
        raise _GoneError from None


def _until_empty(answer: Handle, queue: Broker, box: Sandbox, when: str) -> None:
    """Starts a consumer again and again, as long as messages are there.

    Raises:
        NotYet: if that has no end.
    """
    problem: BaseException | None = None
    for _ in range(ROUNDS):
        problem = _consume(answer, queue, box)
        with queue.channel() as channel:
            if problem is None and not waiting(channel, "parcels"):
                return
    said = f"; it raised {type(problem).__name__}: {first_line(problem)}" if problem else ""
    raise NotYet(f"{when} the message comes again and again, and is never done{said}")


def _expect(queue: Broker, box: Sandbox, orders: list[int], when: str, dead: int = 0) -> None:
    """Raises NotYet unless there are these parcels, and so many dead letters."""
    found = [number for (number,) in box.admin.execute("SELECT order_id FROM parcel ORDER BY 1")]
    with queue.channel() as channel:
        letters = len(take(channel, "dead"))
        left = waiting(channel, "parcels")
    if letters > dead:
        raise NotYet(
            f"{when} {letters - dead} good messages are in the dead letters: only a message that "
            "will never be good belongs there"
        )
    if letters < dead:
        raise NotYet(f"{when} {letters} of {dead} bad messages are in the dead letters")
    for number in sorted(set(orders)):
        wanted, there = orders.count(number), found.count(number)
        if there < wanted:
            raise NotYet(
                f"{when} there are {there} parcels for order {number}, and {wanted} are due: "
                "a message was acknowledged and its work is lost, or it was taken for another one"
            )
        if there > wanted:
            raise NotYet(
                f"{when} there are {there} parcels for order {number}, and {wanted} are due: note "
                "the message's id in the transaction of the parcel"
            )
    if extra := set(found) - set(orders):
        raise NotYet(f"{when} there are parcels that nobody ordered, for order {min(extra)}")
    if left:
        raise NotYet(f"{when} {left} messages are still in the queue")


def _plain(answer: Handle, queue: Broker, box: Sandbox) -> None:
    _send(queue, ("a", _order(7)), ("b", _order(8)), ("c", _order(7)))
    problem = _consume(answer, queue, box)
    if problem:
        raise NotYet(
            f"three good messages came, and your function raised {type(problem).__name__}: "
            f"{first_line(problem)}"
        )
    _expect(queue, box, [7, 7, 8], "three messages with different ids came, two for order 7, and")


def _again(answer: Handle, queue: Broker, box: Sandbox) -> None:
    """The same message twice, in this process and in another one."""

    def elsewhere() -> str | None:
        with _process(queue, box) as (channel, db):
            method, properties, body = channel.basic_get("parcels")
            if method is not None:
                answer(Watched(channel), method, properties, body, db)
        return None

    with worker(elsewhere) as other:
        _send(queue, ("a", _order(7)), ("a", _order(7)), ("b", _order(8)))
        _until_empty(answer, queue, box, "a message came twice, and")
        _expect(queue, box, [7, 8], "a message came twice, and")
        _send(queue, ("a", b'{"order":7}'))  # the same, as another program writes it
        other.said("your function, in another process,")
    with queue.channel() as channel, suppress(TimeoutError):
        wait_for(lambda: not waiting(channel, "parcels"), 0.5, "it")
    _until_empty(answer, queue, box, "a message came again in another process, and")
    _expect(queue, box, [7, 8], "a message came again, in another process, and")


def _dies(answer: Handle, queue: Broker, box: Sandbox) -> None:
    for number, moment in enumerate(("before", "after"), 1):
        later = f"prefetched {number}", _order(10 + number)
        _send(queue, (f"d{number}", _order(number)), later)
        _consume(answer, queue, box, dies=moment, most=1)
        when = f"the process died just {moment} its acknowledgement, the next one went on, and"
        _settle_down(queue)
        _until_empty(answer, queue, box, when)
        orders = [order for each in range(1, number + 1) for order in (each, 10 + each)]
        _expect(queue, box, orders, when)


def _settle_down(queue: Broker) -> None:
    """Waits until RabbitMQ has seen the end of a consumer's connection."""
    with queue.channel() as channel, suppress(TimeoutError):
        wait_for(lambda: waiting(channel, "parcels"), 0.3, "a message to be back")


FAILURES = {
    "failed twice, because the disk was full,": (
        2,
        "RAISE EXCEPTION 'the disk is full' USING ERRCODE = 'disk_full'",
    ),
    "was the last word of the connection to PostgreSQL,": (
        1,
        "PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(30)",
    ),
}
"""How a write fails, how often, and what PostgreSQL does then."""


def _database_fails(answer: Handle, queue: Broker, box: Sandbox) -> None:
    """The first writes into each table fail, or end the connection, and no later ones."""
    orders = list[int]()
    for how, (times, action) in FAILURES.items():
        for table in ("parcel", "inbox"):
            orders.append(len(orders) + 1)
            box.admin.execute(f"""
                DROP SEQUENCE IF EXISTS writes_to_{table};
                CREATE SEQUENCE writes_to_{table};
                CREATE OR REPLACE FUNCTION fail_{table}() RETURNS trigger
                LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
                    IF nextval('writes_to_{table}') <= {times} THEN
                        {action};
                    END IF;
                    RETURN NEW;
                END $$;
                CREATE OR REPLACE TRIGGER fail BEFORE INSERT ON {table}
                    FOR EACH ROW EXECUTE FUNCTION fail_{table}();
            """)  # type: ignore[arg-type]
            _send(queue, (f"f{orders[-1]}", _order(orders[-1])))
            when = f"a write into {table} {how} and"
            with _no_warnings():
                _until_empty(answer, queue, box, when)
            _expect(queue, box, orders, when)


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Keeps psycopg from warning the reader of a connection that the judge has ended."""
    logger = logging.getLogger("psycopg")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _bad_bodies(answer: Handle, queue: Broker, box: Sandbox) -> None:
    """Good messages and bad ones come by turns."""
    for number, body in enumerate(BAD):
        _send(queue, (f"bad{number}", body), (f"good{number}", _order(100 + number)))
    seen = list[bytes]()
    problem = _consume(answer, queue, box, most=3 * len(BAD), seen=seen)
    when = "a message with the body {!r} came, and"
    if problem:
        raise NotYet(
            f"{when.format(seen[-1])} your function raised {type(problem).__name__}: "
            f"{first_line(problem)}. The message is back in the queue, and will do the same to "
            "each consumer"
        )
    with queue.channel() as channel:
        letters = {body: properties for _, properties, body in take(channel, "dead")}
    for number, body in enumerate(BAD):
        if body not in letters:
            raise NotYet(f"{when.format(body)} it is not in the dead letters")
        died = (letters[body].headers or {}).get("x-death", [{}])[0]
        if died.get("queue") != "parcels":
            raise NotYet(
                f"{when.format(body)} your function published it again, and did not reject it: "
                "there is no x-death, and the message can get lost or come twice"
            )
        letters.pop(body)
        _only_parcel(box, 100 + number, when.format(body))
    good = [100 + number for number in range(len(BAD))]
    if letters:
        raise NotYet(f"good messages are in the dead letters, such as {min(letters)!r}")
    _expect(queue, box, good, "good messages and bad ones came, and")


def _only_parcel(box: Sandbox, number: int, when: str) -> None:
    """Raises NotYet unless the good message after a bad one has its parcel."""
    sql = "SELECT count(*) FROM parcel WHERE order_id = %s"
    row: Any = box.admin.execute(sql, [number]).fetchone()
    if row[0] != 1:
        raise NotYet(f"{when} the good message after it, for order {number}, has {row[0]} parcels")


def _two_at_once(answer: Handle, queue: Broker, box: Sandbox) -> None:
    """Two consumers come to their first write with the same message."""
    _send(queue, ("a", _order(7)), ("a", _order(7)))
    when = "two copies of a message were handled at the same moment, and"
    with holding(box, "LOCK TABLE parcel, inbox IN SHARE MODE"):
        runs = [Run(lambda: _consume_one(answer, queue, box)) for _ in range(2)]
        come_to_rest(box, [lambda run=run: run.is_running for run in runs])
    all_of(runs, "of two consumers at the same moment, one")
    for run in runs:
        if isinstance(run.error, NotYet):
            raise run.error
    _settle_down(queue)
    _until_empty(answer, queue, box, when)
    _expect(queue, box, [7], when)


def _consume_one(answer: Handle, queue: Broker, box: Sandbox) -> None:
    with _process(queue, box) as (channel, db):
        method, properties, body = channel.basic_get("parcels")
        answer(Watched(channel), method, properties, body, db)


# -- 3. A relay

GIVEN_3 = """
def relay(db, connect):
    waiting = "SELECT id, key, body FROM outbox WHERE NOT sent ORDER BY id"
    with connect() as connection:
        channel = connection.channel()
        for number, key, body in db.execute(waiting).fetchall():
            properties = pika.BasicProperties(message_id=str(number))
            channel.basic_publish("orders", key, body, properties)
            db.execute("UPDATE outbox SET sent = true WHERE id = %s", [number])
"""

Connect = Callable[[], pika.BlockingConnection]
Relay = Callable[[Connection, Connect], object]

ROWS = [
    (14, "order.paid", "fourteen", False),
    (11, "order.paid", "eleven", False),
    (9, "order.paid", "nine", True),
    (12, "order.cancelled", "twelve ☂", False),
]

UNROUTABLE = 110
"""Rows that no queue wants, more than a relay is likely to take at once."""


def _outbox(connection: Connection) -> None:
    connection.execute("""
        CREATE TABLE outbox (
            id int PRIMARY KEY, key text NOT NULL, body text NOT NULL,
            sent boolean NOT NULL DEFAULT false
        )
    """)


@judge(
    "message-queues.3",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a connection to PostgreSQL and a function connect: it publishes what "
    "is not sent, and marks what RabbitMQ has confirmed",
    stub=GIVEN_3,
)
def relay(answer: Relay) -> str:
    """What is marked is in a queue, whatever becomes of the broker, and the rest is sent later."""
    attempts = (
        _all_well,
        _no_rows,
        _unroutable,
        _refused,
        _goes_away,
        _confirm_lost,
        _no_node,
        _no_exchange,
        _new_row_meanwhile,
        _many_unroutable,
    )
    with broker() as queue, queue.channel() as channel:
        channel.exchange_declare("orders", "topic", durable=True)
        for attempt in attempts:
            for name in ("all", "full"):
                channel.queue_delete(name)
            channel.queue_declare("all", durable=True)
            channel.queue_bind("all", "orders", "order.#")
            with database("queues_outbox", _outbox) as box:
                attempt(answer, queue, box, channel)
    return (
        "what counts as sent is in a queue, also when RabbitMQ goes away, refuses a message or has "
        "no queue for it, and nothing else keeps the rest from being sent"
    )


def _fill(box: Sandbox, rows: list[tuple[int, str, str, bool]]) -> None:
    with box.admin.cursor() as cursor:
        cursor.executemany("INSERT INTO outbox VALUES (%s, %s, %s, %s)", rows)


def _relay(
    answer: Relay,
    queue: Broker,
    box: Sandbox,
    port: int | None = None,
    at_publish: Callable[[], object] | None = None,
) -> Exception | None:
    """Calls the relay, and gives what it raised.

    Args:
        answer: the relay.
        queue: the broker.
        box: where the outbox is.
        port: where it connects to, if not straight to the node.
        at_publish: called before it publishes for the first time.

    Raises:
        NotYet: if it leaves a connection or a transaction open.
    """
    opened: list[pika.BlockingConnection] = []

    def connect() -> pika.BlockingConnection:
        opened.append(queue.connect(port))
        if at_publish:
            _before_publish(opened[-1], at_publish)
        return opened[-1]

    problem: Exception | None = None
    with another(box) as db:
        try:
            within(lambda: answer(db, connect))
        except NotYet:
            raise
        except Exception as error:
            problem = error
        is_open = not db.closed and db.info.transaction_status != 0
        if is_open:
            box.stop(db)
    left = [connection for connection in opened if connection.is_open]
    for connection in left:
        shut(connection)
    if isinstance(problem, psycopg.Error):
        raise NotYet(f"PostgreSQL says: {first_line(problem)}")
    if is_open and problem is None:
        raise NotYet("your function has returned, and its transaction is still open")
    if left:
        raise NotYet(
            f"your function has {'raised' if problem else 'returned'}, and its connection to "
            "RabbitMQ is still open"
        )
    return problem


def _before_publish(connection: pika.BlockingConnection, action: Callable[[], object]) -> None:
    """Lets something happen before each publish on a connection."""
    open_channel = connection.channel

    def channel(*given: Any, **named: Any) -> BlockingChannel:  # noqa: ANN401
        opened: Any = open_channel(*given, **named)
        publish = opened.basic_publish

        def basic_publish(*given: object, **named: object) -> object:
            action()
            return publish(*given, **named)

        opened.basic_publish = basic_publish
        return opened

    connection.channel = channel  # type: ignore[method-assign]


def _sent(box: Sandbox) -> set[int]:
    return {number for (number,) in box.admin.execute("SELECT id FROM outbox WHERE sent")}


def _must_not_raise(problem: Exception | None, when: str) -> None:
    if problem:
        raise NotYet(
            f"{when}, and your function raised {type(problem).__name__}: {first_line(problem)}"
        )


def _ids(messages: list[tuple[Any, Any, bytes]]) -> list[str]:
    return [str(properties.message_id) for _, properties, _ in messages]


def _all_well(answer: Relay, queue: Broker, box: Sandbox, channel: BlockingChannel) -> None:
    _fill(box, ROWS)
    problem = _relay(answer, queue, box)
    _must_not_raise(problem, "three rows were not sent, and RabbitMQ was well")
    got = take(channel, "all")
    wanted = sorted(row for row in ROWS if not row[3])
    bodies = [body.decode(errors="replace") for _, _, body in got]
    if sorted(bodies) != sorted(row[2] for row in wanted):
        raise NotYet(f"the bodies {[row[2] for row in wanted]} were due, and {bodies} came")
    if bodies != [row[2] for row in wanted]:
        raise NotYet(f"the messages came in the order {', '.join(bodies)}: the lowest id first")
    for (method, properties, body), (number, key, _, _) in zip(got, wanted, strict=True):
        what = f"the message {body.decode()!r}"
        if method.routing_key != key:
            raise NotYet(f"{what} has the key {method.routing_key!r}, and not {key!r}")
        if properties.message_id != str(number):
            raise NotYet(f"{what} has the message_id {properties.message_id!r}, and not '{number}'")
        if properties.delivery_mode != PERSISTENT:
            raise NotYet(f"{what} is not persistent: a restart of RabbitMQ would lose it")
        if properties.expiration:
            raise NotYet(f"{what} expires, and would be lost if it has to wait")
    if _sent(box) != {row[0] for row in ROWS}:
        raise NotYet("all messages are in a queue, and not all rows count as sent")
    _fill(box, [(20, "order.paid", "twenty", False), (10, "order.paid", "ten", False)])
    _must_not_raise(_relay(answer, queue, box), "it was called a second time")
    if (ids := _ids(take(channel, "all"))) != ["10", "20"]:
        raise NotYet(f"it was called again with two new rows, 10 and 20, and sent {ids}")
    if waiting_rows := {10, 20} - _sent(box):
        raise NotYet(f"row {min(waiting_rows)} was sent, and does not count as sent")


def _no_rows(answer: Relay, queue: Broker, box: Sandbox, channel: BlockingChannel) -> None:
    _must_not_raise(_relay(answer, queue, box), "nothing was to be sent")
    if take(channel, "all"):
        raise NotYet("the outbox was empty, and a message came")


def _others_go_on(
    answer: Relay, queue: Broker, box: Sandbox, channel: BlockingChannel, when: str
) -> None:
    """Row 2 cannot be sent, and rows 1 and 3 can."""
    problem = _relay(answer, queue, box)
    if 2 in (sent := _sent(box)):
        raise NotYet(f"{when} it counts as sent: it is lost")
    _must_not_raise(problem, f"{when} it is still to be sent")
    ids = _ids(take(channel, "all"))
    for number in (1, 3):
        if str(number) not in ids:
            raise NotYet(f"{when} row {number} was not sent, although a queue waits for it")
        if number not in sent:
            raise NotYet(f"{when} row {number} was sent, and does not count as sent")
    if len(ids) > 2:
        raise NotYet(f"{when} the messages {ids} came: each once, please")


def _unroutable(answer: Relay, queue: Broker, box: Sandbox, channel: BlockingChannel) -> None:
    rows = [(1, "order.paid", "a", False), (2, "nobody", "b", False), (3, "order.paid", "c", False)]
    _fill(box, rows)
    when = "no queue wanted the message of row 2, and"
    _others_go_on(answer, queue, box, channel, when)
    channel.queue_bind("all", "orders", "nobody")
    _must_not_raise(_relay(answer, queue, box), "a queue for row 2 was there later")
    if (ids := _ids(take(channel, "all"))) != ["2"] or 2 not in _sent(box):
        raise NotYet(f"{when} later a queue was there: the next call sent {ids or 'nothing'}")


def _refused(answer: Relay, queue: Broker, box: Sandbox, channel: BlockingChannel) -> None:
    arguments = {"x-max-length": 1, "x-overflow": "reject-publish"}
    channel.queue_declare("full", durable=True, arguments=arguments)
    channel.queue_bind("full", "orders", "full")
    channel.basic_publish("orders", "full", b"")
    rows = [(1, "order.paid", "a", False), (2, "full", "b", False), (3, "order.paid", "c", False)]
    _fill(box, rows)
    when = "RabbitMQ refused the message of row 2, because its queue was full, and"
    _others_go_on(answer, queue, box, channel, when)
    channel.queue_purge("full")
    _relay(answer, queue, box)
    if _ids(take(channel, "full")) != ["2"] or 2 not in _sent(box):
        raise NotYet(f"{when} later there was room: the next call must send it")


def _goes_away(answer: Relay, queue: Broker, box: Sandbox, channel: BlockingChannel) -> None:
    for at in (1, 2, 3):
        box.admin.execute("TRUNCATE outbox")
        rows = [(10 * at + n, "order.paid", str(n), False) for n in range(1, 4)]
        _fill(box, rows)
        with swallower(queue, at, deliver=False) as between:
            _relay(answer, queue, box, between.port)
            if not between.swallowed:
                raise NotYet(f"three rows were not sent, and it did not publish {at} of them")
        when = f"RabbitMQ went away at message {at}"
        _nothing_lost(answer, queue, box, channel, rows, when, confirmed=at - 1)


def _confirm_lost(answer: Relay, queue: Broker, box: Sandbox, channel: BlockingChannel) -> None:
    rows = [(n, "order.paid", str(n), False) for n in range(1, 4)]
    _fill(box, rows)
    with swallower(queue, 2, deliver=True) as between:
        _relay(answer, queue, box, between.port)
    when = "RabbitMQ went away before its confirm of row 2"
    _nothing_lost(answer, queue, box, channel, rows, when, confirmed=1, lost_confirm=2)


def _nothing_lost(
    answer: Relay,
    queue: Broker,
    box: Sandbox,
    channel: BlockingChannel,
    rows: list[tuple[int, str, str, bool]],
    when: str,
    confirmed: int,
    lost_confirm: int = 0,
) -> None:
    """What counts as sent is there, and after the next call everything is.

    Args:
        answer: the relay.
        queue: the broker.
        box: where the outbox is.
        channel: the judge's.
        rows: what was in the outbox.
        when: what has happened.
        confirmed: how many of the first rows were confirmed, and may not come twice.
        lost_confirm: the row whose first confirm was lost.
    """
    there = _ids(take(channel, "all"))
    if lost_confirm in _sent(box) and there.count(str(lost_confirm)) == 1:
        raise NotYet(f"{when}, and the row counts as sent: only a confirm says that it is")
    first = [str(row[0]) for row in rows[:confirmed]]
    if lost := {str(number) for number in _sent(box)} - set(there):
        raise NotYet(f"{when}: row {min(lost)} counts as sent, and is in no queue: it is lost")
    problem = _relay(answer, queue, box)
    _must_not_raise(problem, f"{when}, and it was called again when RabbitMQ was back")
    there += _ids(take(channel, "all"))
    if lost := {str(row[0]) for row in rows} - set(there):
        raise NotYet(f"{when}, and came back: the next call did not send row {min(lost)}")
    if len(_sent(box)) != len(rows):
        raise NotYet(f"{when}, and came back: then all were sent, and not all rows count as sent")
    for number in first:
        if there.count(number) > 1:
            raise NotYet(
                f"{when}: row {number} was confirmed before that, and the next call sent it again. "
                "Mark each row when its confirm is here, so that nothing takes it back"
            )
    most = max(Counter(there).values())
    if most > 2:
        raise NotYet(f"{when}: one message came {most} times")


def _no_node(answer: Relay, queue: Broker, box: Sandbox, channel: BlockingChannel) -> None:
    """Nobody listens: the relay may raise, and must not mark anything."""
    _fill(box, [(1, "order.paid", "a", False)])

    def refuse() -> pika.BlockingConnection:
        raise pika.exceptions.AMQPConnectionError("Connection refused")

    with another(box) as db, suppress(Exception):
        within(lambda: answer(db, refuse))
    if _sent(box):
        raise NotYet("RabbitMQ could not be reached, and a row counts as sent")
    _must_not_raise(_relay(answer, queue, box), "RabbitMQ was back")
    if _ids(take(channel, "all")) != ["1"]:
        raise NotYet("RabbitMQ could not be reached, and then it was back: nothing was sent")


def _no_exchange(answer: Relay, queue: Broker, box: Sandbox, channel: BlockingChannel) -> None:
    """RabbitMQ closes the channel, and the connection is still open."""
    _fill(box, [(1, "order.paid", "a", False), (2, "order.paid", "b", False)])
    channel.exchange_delete("orders")
    _relay(answer, queue, box)
    if _sent(box):
        raise NotYet("there was no exchange orders, and a row counts as sent: it is lost")
    channel.exchange_declare("orders", "topic", durable=True)
    channel.queue_bind("all", "orders", "order.#")
    when = "there was no exchange orders, and then there was one again"
    _must_not_raise(_relay(answer, queue, box), when)
    if (ids := _ids(take(channel, "all"))) != ["1", "2"]:
        raise NotYet(f"{when}: the next call sent {ids or 'nothing'}")


def _new_row_meanwhile(
    answer: Relay, queue: Broker, box: Sandbox, channel: BlockingChannel
) -> None:
    _fill(box, [(1, "order.paid", "a", False), (3, "order.paid", "c", False)])

    at_first = list[set[int]]()

    def insert() -> None:
        at_first.append(_sent(box))
        box.admin.execute(
            "INSERT INTO outbox VALUES (2, 'order.paid', 'b', false) ON CONFLICT DO NOTHING"
        )

    when = "row 2 was inserted while your function was publishing row 1"
    problem = _relay(answer, queue, box, at_publish=insert)
    _must_not_raise(problem, when)
    if at_first[:1] != [set()]:
        raise NotYet(
            "row 1 counted as sent before your function had published it: if the relay dies just "
            "then, the message is lost"
        )
    if "2" not in _ids(take(channel, "all")) and 2 in _sent(box):
        raise NotYet(f"{when}, and it counts as sent, although it was never sent: it is lost")


def _many_unroutable(answer: Relay, queue: Broker, box: Sandbox, channel: BlockingChannel) -> None:
    rows = [(number, "nobody", "", False) for number in range(1, UNROUTABLE + 1)]
    _fill(box, [*rows, (UNROUTABLE + 1, "order.paid", "a", False)])
    when = f"no queue wanted the first {UNROUTABLE} rows"
    _must_not_raise(_relay(answer, queue, box), when)
    if not take(channel, "all"):
        raise NotYet(f"{when}, and the next row was not sent: publish each row, not the first ones")
