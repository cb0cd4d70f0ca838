"""Judges of "Background jobs": a task run twice, retries, an outbox."""

import logging
import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from statistics import fmean
from typing import Any, cast

import psycopg
from celery import Celery, Task
from celery.exceptions import Retry

from nexus.judging import NotYet, first_line, judge
from nexus.judging.limits import Guard, Run, all_of, within
from nexus.judging.meeting import come_to_rest, holding, waiting
from nexus.judging.sandbox import Connection, Sandbox, another, database, keeps_a_lock
from nexus.judging.workers import OtherProcessError, Worker, worker

RUNS = 8
"""How often a task that fails is run again."""

PAUSE = 0.5
"""Seconds after which a worker runs it again: whoever was in its way may be gone by then."""


# -- 1. A task that may be run again


def bookings(connection: Connection) -> None:
    """Makes a booking that waits for its payment; no constraint keeps a second one away."""
    connection.execute("""
        CREATE TABLE booking (id int PRIMARY KEY, status text NOT NULL DEFAULT 'waiting');
        CREATE TABLE payment (booking int NOT NULL REFERENCES booking, cents int NOT NULL);
        INSERT INTO booking (id) VALUES (1), (2), (3), (4), (5);
    """)


Charge = Callable[[Connection, int, int], object]


GIVEN_1 = """
def charge(connection, booking, cents):
    connection.execute("INSERT INTO payment VALUES (%s, %s)", [booking, cents])
    connection.execute("UPDATE booking SET status = 'paid' WHERE id = %s", [booking])
"""


@judge(
    "background-jobs.1",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a connection, a booking's id and an amount: it adds the payment and "
    "sets the booking to 'paid', once, however often it is run",
    stub=GIVEN_1,
)
def idempotent(answer: Charge) -> str:
    """One payment after two runs, after a run that died half-way, and after two at once."""
    with (
        database("background_bookings", bookings) as box,
        worker(lambda booking: run(answer, box, booking)) as other,
    ):
        run(answer, box, 1)
        expect(box, 1, "after one run")
        others_wait(box)
        run(answer, box, 1)
        expect(box, 1, "the task was run a second time, and then")
        run(answer, box, 1, cents=8_000)
        expect(box, 1, "the task came again with another amount, and then")
        for booking, table in ((2, "payment"), (3, "booking")):
            fails_once(box, table)
            try:
                run(answer, box, booking, times=1)
            except psycopg.Error:
                run(answer, box, booking)
                when = f"the first run died when it wrote into {table}; after the second"
            else:
                when = f"a write into {table} failed, the worker was told that all is well, and"
            expect(box, booking, when)
        at_once(answer, box, 4, other)
        expect(box, 4, "two runs came at the same moment, and then")
        first_dies(answer, box, 5, other)
        expect(box, 5, "two runs came at the same moment, the first one died for good, and then")
    return (
        "one payment for each booking, whether a run is repeated, dies half-way, or meets another"
    )


def run(
    answer: Charge, box: Sandbox, booking: int, *, times: int = RUNS, cents: int = 9_000
) -> None:
    """Runs the task as a worker would: on a connection of its own, and again if it fails.

    Raises:
        psycopg.Error: what the last run ended with.
    """
    for left in reversed(range(times)):
        with another(box) as client:
            try:
                within(lambda client=client: answer(client, booking, cents))
            except psycopg.Error:
                if not client.closed and keeps_a_lock(box, client):
                    raise NotYet(
                        "a run failed and left an advisory lock behind. A worker keeps its "
                        "connection, so nobody would ever get this lock: unlock also after an "
                        "error, or take pg_advisory_xact_lock"
                    ) from None
                if not left:
                    raise
            else:
                still_idle(client)
                unlocked(box, client)
                return
        threading.Event().wait(PAUSE)


def unlocked(box: Sandbox, client: Connection) -> None:
    """Raises NotYet if an answer has left a lock on its session."""
    if not client.closed and keeps_a_lock(box, client):
        raise NotYet(
            "when your function has returned, it still holds an advisory lock. A worker keeps its "
            "connection, so another one would wait for ever: unlock, or take pg_advisory_xact_lock"
        )


def still_idle(client: Connection) -> None:
    """Raises NotYet if an answer has left a transaction open."""
    if not client.closed and client.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        raise NotYet(
            "when your function has returned, its transaction is still open: nothing is committed"
        )


def expect(box: Sandbox, booking: int, when: str) -> None:
    """Raises NotYet unless a booking is paid, once."""
    query = "SELECT count(*), coalesce(sum(cents), 0) FROM payment WHERE booking = %s"
    payments, cents = box.admin.execute(query, [booking]).fetchone() or (0, 0)
    status = box.admin.execute("SELECT status FROM booking WHERE id = %s", [booking]).fetchone()
    if not payments:
        raise NotYet(f"{when} there are no payments for the booking: it must be paid in the end")
    if payments != 1:
        raise NotYet(
            f"{when} there are {payments} payments for the booking: a run must find out, in one "
            "step with its own payment, whether there is one"
        )
    if cents != 9_000:
        raise NotYet(f"{when} the payment is {cents} cents, and 9000 were asked for")
    if status != ("paid",):
        raise NotYet(f"{when} the booking is {status[0] if status else 'gone'}, and not paid")


def others_wait(box: Sandbox) -> None:
    """Raises NotYet if a run has changed a booking that it was not asked to pay for."""
    changed = box.admin.execute("""
        SELECT id FROM booking WHERE id <> 1 AND status <> 'waiting'
        UNION SELECT booking FROM payment WHERE booking <> 1
    """).fetchall()
    if changed:
        raise NotYet(
            "you were asked to pay for booking 1 only, and then "
            f"{len(changed)} other bookings are paid: use the booking's id"
        )


def slow_commits(box: Sandbox, table: str) -> None:
    """Lets each commit of a change take a moment, in which its locks are held and nobody sees it.

    Whoever lets another one in before that is found out.
    """
    box.admin.execute(f"""
        CREATE FUNCTION linger_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            PERFORM pg_sleep(0.2);
            RETURN NULL;
        END $$;
        CREATE CONSTRAINT TRIGGER linger AFTER INSERT OR UPDATE OR DELETE ON {table}
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION linger_{table}();
    """)  # type: ignore[arg-type]


def fails_once(box: Sandbox, table: str) -> None:
    """Lets the next write to a table fail, and no later one."""
    # A sequence does not roll back: it remembers that there was a first time.
    box.admin.execute(f"""
        CREATE SEQUENCE writes_to_{table};
        GRANT USAGE ON SEQUENCE writes_to_{table} TO PUBLIC;
        CREATE FUNCTION fail_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('writes_to_{table}') = 1 THEN RAISE EXCEPTION 'the worker dies'; END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER fail BEFORE INSERT OR UPDATE ON {table}
            FOR EACH ROW EXECUTE FUNCTION fail_{table}();
    """)  # type: ignore[arg-type]


def at_once(answer: Charge, box: Sandbox, booking: int, other: Worker) -> None:
    """Lets two runs, in two processes, come to their first write before either may write."""
    slow_commits(box, "payment")
    with holding(
        box,
        "LOCK TABLE payment IN SHARE MODE",  # it can be read
        f"SELECT 1 FROM booking WHERE id = {booking} FOR UPDATE",  # noqa: S608 (the judge's number)
    ):
        here = Run(lambda: run(answer, box, booking))
        other.ask(booking)
        come_to_rest(box, [lambda: here.is_running, lambda: not other.is_done()])
    all_of([here], "of two runs at the same moment, one")
    here.value()
    try:
        other.answer("of two runs at the same moment, one")
    except OtherProcessError as error:
        raise NotYet(
            f"of two runs at the same moment, one ended with {error.kind[0]}: {error}"
        ) from None


def first_dies(answer: Charge, box: Sandbox, booking: int, other: Worker) -> None:
    """Two runs are at work when the first one's session is ended, and it is never run again."""
    with holding(
        box,
        "LOCK TABLE payment IN SHARE MODE",
        f"SELECT 1 FROM booking WHERE id = {booking} FOR UPDATE",  # noqa: S608 (the judge's number)
    ):
        here = Run(lambda: run(answer, box, booking, times=1))
        come_to_rest(box, [lambda: here.is_running])
        first = waiting(box)
        other.ask(booking)
        come_to_rest(box, [lambda: here.is_running, lambda: not other.is_done()])
        for pid in first:
            box.admin.execute("SELECT pg_terminate_backend(%s, 1000)", [pid])
        with suppress(psycopg.Error):
            all_of([here], "of two runs at the same moment, one")[0].value()
    try:
        other.answer("of two runs at the same moment, one")
    except OtherProcessError as error:
        raise NotYet(
            f"of two runs at the same moment, the first one died, and the other one ended with "
            f"{error.kind[0]}: {error}"
        ) from None


# -- 2. The options of a task that tries again

TASKS = 200
LONGEST = 300
"""Seconds; the longest pause that the exercise allows."""
OUTAGE = 60
"""Seconds that the provider may be down for."""
MOST = 20
"""Retries after which it has to give up."""


OURS = {"bind", "base", "name", "shared", "lazy"}
"""Arguments of `app.task` that an answer cannot choose."""

RETRYING = {
    "autoretry_for",
    "dont_autoretry_for",
    "retry_kwargs",
    "retry_backoff",
    "retry_backoff_max",
    "retry_jitter",
}
"""What a Celery task may have besides the attributes of its class; see celery/app/autoretry.py."""


GIVEN_2 = {"autoretry_for": (Exception,), "max_retries": 3}


@judge(
    "background-jobs.2",
    takes=dict,
    called="a dictionary of the task's options",
    hint="give the options of the task, such as {'max_retries': 3}",
    stub=GIVEN_2,
)
def patient(answer: Mapping[str, Any]) -> str:
    """It tries again what passes, and nothing else, with pauses that grow and differ, to an end."""
    if not all(isinstance(name, str) for name in answer):
        raise NotYet("an option's name is a word in quotes")
    state = random.getstate()
    random.seed(1)
    try:
        pauses = cast(list[list[float]], within(lambda: pauses_of(answer, ConnectionError, TASKS)))
        if not pauses[0]:
            raise NotYet("the provider was down for a moment, and the task gave up at once")
        if not pauses_of(answer, TimeoutError)[0]:
            raise NotYet("the provider took too long to answer, and the task gave up at once")
        if pauses_of(answer, ValueError)[0]:
            raise NotYet("a wrong card number was tried again: it will be wrong the next time, too")
    finally:
        random.setstate(state)
    expires = answer.get("expires")
    if isinstance(expires, int | float) and expires < OUTAGE * 2:
        raise NotYet(
            f"the options say expires={expires}. A retry keeps that moment, so after {expires} "
            f"seconds no worker runs the task any more; the provider may be down for {OUTAGE}"
        )
    try:
        weigh(pauses)
    except NotYet as problem:
        raise NotYet(f"{problem}{unknown(answer)}") from None
    return "it waits longer each time, never for too long, not in step with others, and gives up"


def unknown(options: Mapping[str, Any]) -> str:
    """Says which options Celery does not know, should there be any."""
    known = RETRYING | OURS
    strange = sorted(name for name in options if not hasattr(Task, name) and name not in known)
    names = ", ".join(map(repr, strange))
    return f" (Celery has no option {names}, and ignores it)" if strange else ""


def weigh(pauses: list[list[float]]) -> None:
    """Raises NotYet if the pauses of many tasks do not do.

    Args:
        pauses: for each task that failed at the same moment, its pauses in seconds.
    """
    if len(pauses[0]) > MOST:
        raise NotYet(f"it has not given up after {MOST} retries")
    longest = max(map(max, pauses))
    if longest > LONGEST:
        raise NotYet(f"one pause is {longest:,.0f} seconds; {LONGEST} are the most")
    lasted = fmean(map(sum, pauses))
    if lasted < OUTAGE:
        raise NotYet(
            f"after {lasted:.0f} seconds, on average, it has given up; the provider may be down "
            f"for {OUTAGE}"
        )
    early = sum(sum(task) < OUTAGE for task in pauses)
    if early > TASKS / 4:
        raise NotYet(
            f"{TASKS} tasks failed at the same moment, and {early} of them have given up within "
            f"{OUTAGE} seconds; the provider may be down for that long. With jitter a pause is a "
            "random part of what you count on"
        )
    times = Counter(sum(task[:3]) for task in pauses)
    together = max(times.values())
    if together > TASKS / 4:
        raise NotYet(
            f"{TASKS} tasks failed at the same moment, and {together} of them come back at the "
            "same second for the third time"
        )
    first, fourth = (fmean(task[min(n, len(task) - 1)] for task in pauses) for n in (0, 3))
    if fourth < 2 * first:
        raise NotYet("the fourth pause is no longer than the first: a provider that is down stays")


def pauses_of(
    options: Mapping[str, Any], failure: type[Exception], tasks: int = 1
) -> list[list[float]]:
    """The pauses of tasks that fail each time, until they give up; nothing is sent or waited for.

    Raises:
        NotYet: if Celery does not take the options.
    """
    app = Celery("exercise", broker="memory://", set_as_current=False)
    pauses: list[float] = []

    class Noting(app.Task):  # type: ignore[name-defined,misc]
        """Notes a retry instead of sending it."""

        def retry(self, *_: object, exc: Exception | None = None, **given: Any) -> object:  # noqa: ANN401
            limit = given.get("max_retries", self.max_retries)
            if not isinstance(limit, int | float | None):
                raise NotYet(f"max_retries is {limit!r}, and should be a number")
            if limit is not None and len(pauses) >= limit:
                raise exc or AssertionError
            pause = given.get("countdown")
            pauses.append(float(self.default_retry_delay if pause is None else pause))
            raise Retry

    def ask_provider() -> None:
        raise failure("no")

    given = {name: value for name, value in options.items() if name not in OURS}
    try:
        app.task(ask_provider, base=Noting, name="ask", shared=False, **given)
        task = app.tasks["ask"]
    except Exception as error:
        problem = f"{type(error).__name__}: {first_line(error)}"
        raise NotYet(f"Celery does not take these options ({problem})") from None
    found = []
    for _ in range(tasks):
        pauses.clear()
        while len(pauses) <= MOST:
            task.push_request(retries=len(pauses), called_directly=False)
            try:
                task.run()
            except Retry:
                continue
            except failure:
                break
            else:
                raise NotYet("a task that fails returned as if it had not: leave `run` to Celery")
            finally:
                task.pop_request()
        found.append(list(pauses))
    return found


# -- 3. A relay that empties an outbox


def outbox(connection: Connection) -> None:
    """Makes an outbox with four messages, one of them sent."""
    connection.execute("""
        CREATE TABLE outbox (id int PRIMARY KEY, task text NOT NULL, sent boolean NOT NULL);
        INSERT INTO outbox VALUES (3, 'third', false), (1, 'first', true), (4, 'fourth', false),
            (2, 'second', false);
    """)


Publish = Callable[[str], object]
Relay = Callable[[Connection, Publish], object]


GIVEN_3 = """
def relay(connection, publish):
    waiting = "SELECT id, task FROM outbox WHERE NOT sent ORDER BY id"
    for number, task in connection.execute(waiting).fetchall():
        connection.execute("UPDATE outbox SET sent = true WHERE id = %s", [number])
        publish(task)
"""


@judge(
    "background-jobs.3",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a connection and a function publish: it calls publish(task) for what "
    "is not sent, oldest first, and marks it",
    stub=GIVEN_3,
)
def relay(answer: Relay) -> str:
    """It loses nothing when publishing fails or it dies; two at once send nothing twice."""
    attempts = (
        plainly,
        twins,
        many,
        broker_down,
        broker_away,
        dies,
        written_meanwhile,
        committed_late,
        two_relays,
    )
    for number, attempt in enumerate(attempts):
        with database("background_outbox", outbox) as box:
            # Other ids each time: an answer may remember those that it has seen.
            box.admin.execute("UPDATE outbox SET id = id + %s", [1_000 * number])
            attempt(answer, box)
    return "everything is sent, whoever fails or dies, and two relays do not send the same"


def sent_by(answer: Relay, box: Sandbox, publish: Publish | None = None) -> list[str]:
    """What a relay publishes, on a connection of its own."""
    published: list[str] = []

    def note(task: str) -> None:
        published.append(task)
        if publish:
            publish(task)

    with another(box) as client:
        try:
            within(lambda: answer(client, note))
        except ConnectionError:
            unlocked(box, client)
            raise
        still_idle(client)
        unlocked(box, client)
    return published


def plainly(answer: Relay, box: Sandbox) -> None:
    """Nothing goes wrong."""
    first = sent_by(answer, box)
    if first != ["second", "third", "fourth"]:
        raise NotYet(f"second, third, fourth wait in the outbox; it published {first or 'nothing'}")
    again = sent_by(answer, box)
    if again:
        raise NotYet(f"run again, it published {again} once more: is what is sent marked?")


def twins(answer: Relay, box: Sandbox) -> None:
    """Two rows hold the same text, and each of them is a task."""
    box.admin.execute(
        "INSERT INTO outbox SELECT (SELECT max(id) FROM outbox) + n, 'remind Amina', false "
        "FROM generate_series(1, 2) AS n"
    )
    arrived = sent_by(answer, box) + sent_by(answer, box)
    if (times := arrived.count("remind Amina")) != 2:
        raise NotYet(
            "two tasks of the outbox have the same text, remind Amina, and it was published "
            f"{times} times: mark the row that you have published, by its id"
        )


MANY = 150
"""More rows than a relay may think of; one of them is there to be sent last."""


def many(answer: Relay, box: Sandbox) -> None:
    """There are many rows, and one call sends them all."""
    box.admin.execute(
        "INSERT INTO outbox SELECT (SELECT max(id) FROM outbox) + n, 'task ' || n, false "
        "FROM generate_series(1, %s) AS n",
        [MANY],
    )
    if (count := len(sent_by(answer, box))) != MANY + 3:
        raise NotYet(
            f"{MANY + 3} tasks wait in the outbox, and one call published {count}: publish each "
            "task that is not sent"
        )


def broker_away(answer: Relay, box: Sandbox) -> None:
    """The broker refuses everything: the relay comes to an end, and a later one sends it all."""
    guard = Guard(
        PATIENT,
        f"the broker was away, and publish was called more than {PATIENT} times in one call",
    )

    def refuse(_: str) -> None:
        guard.tick()
        raise ConnectionError("the broker is away")

    try:
        with suppress(ConnectionError):
            sent_by(answer, box, refuse)
    finally:
        guard.check()
    if missing := {"second", "third", "fourth"} - set(sent_by(answer, box)):
        raise NotYet(
            f"the broker was away for one call, and the next one did not send "
            f"{', '.join(sorted(missing))}"
        )


PATIENT = 100
"""Calls of publish for three tasks: whoever makes more would go on for as long as the broker is
away."""


def broker_down(answer: Relay, box: Sandbox) -> None:
    """The broker refuses one message, and then works again."""
    arrived: list[str] = []

    def refuse(task: str) -> None:
        if task == "third" and task not in refused:
            refused.append(task)
            raise ConnectionError("the broker is down")
        arrived.append(task)

    refused: list[str] = []
    with suppress(ConnectionError):  # to tell the caller is fine, to go on later as well
        sent_by(answer, box, refuse)
    sent_by(answer, box, refuse)
    missing = {"second", "third", "fourth"} - set(arrived)
    if missing:
        raise NotYet(
            f"the broker refused one message and then worked again; {', '.join(sorted(missing))} "
            "was never sent: mark a task when it has been published, and not before"
        )


def dies(answer: Relay, box: Sandbox) -> None:
    """The relay's process is gone when it is about to publish."""

    def die(_: str) -> None:
        box.admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND pid <> %s",
            [box.learner.info.backend_pid],
        )
        raise ConnectionError("the relay dies")

    psycopg_says = logging.getLogger("psycopg")
    level = psycopg_says.level
    psycopg_says.setLevel(logging.CRITICAL)  # it would say that there is nothing to roll back
    try:
        with suppress(ConnectionError, psycopg.Error):
            sent_by(answer, box, die)
    finally:
        psycopg_says.setLevel(level)
    missing = {"second", "third", "fourth"} - set(sent_by(answer, box))
    if missing:
        raise NotYet(
            "the relay died when it was about to publish, and the next one did not send "
            f"{', '.join(sorted(missing))}"
        )


def written_meanwhile(answer: Relay, box: Sandbox) -> None:
    """A guest books while the relay is publishing."""
    write = "INSERT INTO outbox SELECT max(id) + 1, 'fifth', false FROM outbox"
    written = False

    def publish(task: str) -> None:
        nonlocal written
        if task == "second":
            with suppress(psycopg.errors.LockNotAvailable):  # then it comes after the relay
                box.admin.execute("SET lock_timeout = '200ms'")
                box.admin.execute(write)
                written = True

    arrived = sent_by(answer, box, publish)
    box.admin.execute("RESET lock_timeout")
    if not written:
        box.admin.execute(write)
    arrived += sent_by(answer, box)
    if "fifth" not in arrived:
        raise NotYet(
            "fifth was written while the relay was publishing, and no relay ever sent it: mark "
            "only what you have published"
        )


def committed_late(answer: Relay, box: Sandbox) -> None:
    """A transaction with a low id is committed when higher ones are already sent."""
    (number,) = box.admin.execute("SELECT min(id) - 1 FROM outbox").fetchone() or (0,)
    write = "INSERT INTO outbox VALUES (%s, 'late', false)"
    written = False

    def publish(task: str) -> None:
        nonlocal written
        if task == "third":
            with suppress(psycopg.errors.LockNotAvailable):  # then it comes after the relay
                box.admin.execute("SET lock_timeout = '200ms'")
                box.admin.execute(write, [number])
                written = True

    arrived = sent_by(answer, box, publish)
    box.admin.execute("RESET lock_timeout")
    if not written:
        box.admin.execute(write, [number])
    if "late" not in [*arrived, *sent_by(answer, box)]:
        raise NotYet(
            "a task with a low id was committed when tasks with higher ids had been published, and "
            "no relay ever sent it. Ids are given out before the commit, so ask for `NOT sent`, "
            "and mark by the id of each row that you have published"
        )


def two_relays(answer: Relay, box: Sandbox) -> None:
    """A second relay comes, in another process, while the first one is publishing."""
    slow_commits(box, "outbox")
    published: list[str] = []

    def publish(task: str) -> None:
        published.append(task)
        if len(published) == 1:
            second.ask()
            come_to_rest(box, [lambda: not second.is_done()])

    with worker(lambda: sent_by(answer, box)) as second:
        first = all_of([Run(lambda: sent_by(answer, box, publish))], "of two relays, one")[0]
        try:
            published += cast(list[str], second.answer("of two relays, one")) if published else []
        except OtherProcessError as error:
            raise NotYet(f"of two relays, one ended with {error.kind[0]}: {error}") from None
    first.value()
    twice = sorted(task for task, times in Counter(published).items() if times > 1)
    if twice:
        raise NotYet(
            f"two relays ran at the same time, and both published {', '.join(twice)}: a relay "
            "must keep what it publishes from the other one until its mark is committed"
        )
    missing = {"second", "third", "fourth"} - set(published)
    if missing:
        raise NotYet(f"two relays ran at the same time, and {', '.join(sorted(missing))} is lost")
