"""Each judge of transactions-and-locks: the stub, right answers of several kinds, wrong ones."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import IsolationLevel
from psycopg.errors import DeadlockDetected, SerializationFailure

import nexus
from nexus.exercises import judge_answer
from nexus.exercises.sandbox import Connection

EXERCISES = [f"transactions.{number}" for number in range(1, 5)]
Work = Callable[[Connection], object]


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with nexus.postgres():
        yield


def by_transaction(connection: Connection, work: Work) -> object:
    connection.isolation_level = IsolationLevel.SERIALIZABLE
    for attempt in range(10):
        try:
            with connection.transaction():
                return work(connection)
        except (SerializationFailure, DeadlockDetected):
            if attempt == 9:
                raise
            time.sleep(0.001)
    raise AssertionError


def by_hand(connection: Connection, work: Work) -> object:
    left = 3
    while True:
        connection.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
        try:
            result = work(connection)
            connection.execute("COMMIT")
            return result
        except psycopg.Error as error:
            connection.execute("ROLLBACK")
            left -= 1
            if error.sqlstate != "40001" and "SerializationFailure" not in type(error).__name__:
                raise
            if not left:
                raise


def once(connection: Connection, work: Work) -> object:
    connection.isolation_level = IsolationLevel.SERIALIZABLE
    with connection.transaction():
        return work(connection)


def at_the_default_level(connection: Connection, work: Work) -> object:
    with connection.transaction():
        return work(connection)


def everything_again(connection: Connection, work: Work) -> object:
    connection.isolation_level = IsolationLevel.SERIALIZABLE
    while True:
        try:
            with connection.transaction():
                return work(connection)
        except psycopg.Error:
            continue


def for_ever(connection: Connection, work: Work) -> object:
    connection.isolation_level = IsolationLevel.SERIALIZABLE
    for _ in range(1_000):
        try:
            with connection.transaction():
                return work(connection)
        except SerializationFailure:
            continue
    return None


def same_transaction(connection: Connection, work: Work) -> object:
    connection.isolation_level = IsolationLevel.SERIALIZABLE
    with connection.transaction():
        for _ in range(5):
            try:
                return work(connection)
            except SerializationFailure:
                continue
    return None


def no_result(connection: Connection, work: Work) -> None:
    by_transaction(connection, work)


FIRST = "SELECT id FROM job WHERE status = 'waiting' ORDER BY id LIMIT 1"
TAKE = "UPDATE job SET status = 'running' WHERE id = ({}) RETURNING id"
CTE = f"WITH next AS MATERIALIZED ({FIRST} FOR NO KEY UPDATE SKIP LOCKED) " + (
    "UPDATE job SET status = 'running' FROM next WHERE job.id = next.id RETURNING job.id;"
)

MOVE = "UPDATE account SET cents = cents + %s WHERE owner = %s"


def ordered(connection: Connection, giver: str, taker: str, cents: int) -> None:
    with connection.transaction():
        for owner in sorted((giver, taker)):
            change = -cents if owner == giver else cents
            connection.execute(MOVE, [change, owner])


def locked_first(connection: Connection, giver: str, taker: str, cents: int) -> None:
    with connection.transaction():
        connection.execute(
            "SELECT 1 FROM account WHERE owner IN (%s, %s) ORDER BY owner DESC FOR UPDATE",
            [giver, taker],
        )
        connection.execute(MOVE, [-cents, giver])
        connection.execute(MOVE, [cents, taker])


def one_after_the_other(connection: Connection, giver: str, taker: str, cents: int) -> None:
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(1)")
        connection.execute(MOVE, [-cents, giver])
        connection.execute(MOVE, [cents, taker])


def tried_again(connection: Connection, giver: str, taker: str, cents: int) -> None:
    while True:
        try:
            return giver_first(connection, giver, taker, cents)
        except DeadlockDetected:
            continue


def giver_first(connection: Connection, giver: str, taker: str, cents: int) -> None:
    with connection.transaction():
        connection.execute(MOVE, [-cents, giver])
        connection.execute(MOVE, [cents, taker])


def without_transaction(connection: Connection, giver: str, taker: str, cents: int) -> None:
    connection.execute(MOVE, [cents, taker])
    connection.execute(MOVE, [-cents, giver])


def left_open(connection: Connection, giver: str, taker: str, cents: int) -> None:
    connection.execute("BEGIN")
    for owner, change in sorted([(giver, -cents), (taker, cents)]):
        connection.execute(MOVE, [change, owner])
    connection.execute("COMMIT")


def half(connection: Connection, giver: str, _taker: str, cents: int) -> None:
    connection.execute(MOVE, [-cents, giver])


EXCLUDE = "ALTER TABLE shift ADD EXCLUDE USING gist ({}) {}"
TRIGGER = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    {}
    IF NOT NEW.cancelled AND EXISTS (SELECT 1 FROM shift WHERE cleaner = NEW.cleaner
            AND NOT cancelled AND during && NEW.during) THEN
        RAISE EXCEPTION 'two houses';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse BEFORE INSERT ON shift FOR EACH ROW EXECUTE FUNCTION refuse();
"""

RIGHT: list[tuple[str, Any]] = [
    ("transactions.1", by_transaction),
    ("transactions.1", by_hand),
    ("transactions.2", TAKE.format(FIRST + " FOR UPDATE SKIP LOCKED")),
    ("transactions.2", CTE),
    ("transactions.3", ordered),
    ("transactions.3", locked_first),
    ("transactions.3", one_after_the_other),
    ("transactions.3", tried_again),
    (
        "transactions.4",
        EXCLUDE.format("cleaner WITH =, during WITH &&", "WHERE (NOT cancelled)"),
    ),
    ("transactions.4", TRIGGER.format("PERFORM pg_advisory_xact_lock(hashtext(NEW.cleaner));")),
]

NOT_YET: list[tuple[str, Any, str]] = [
    ("transactions.1", once, "gave up after 1"),
    ("transactions.1", at_the_default_level, "ran at read committed"),
    ("transactions.1", everything_again, "again and again"),
    ("transactions.1", for_ever, "the caller was not told"),
    ("transactions.1", same_transaction, "in the same transaction"),
    ("transactions.1", no_result, "returned None"),
    ("transactions.1", "a loop", "should be a function"),
    ("transactions.1", lambda connection, work: None, "was the work done"),  # noqa: ARG005
    ("transactions.2", TAKE.format(FIRST), "the next one waits"),
    ("transactions.2", TAKE.format(FIRST + " FOR UPDATE"), "the next one waits"),
    ("transactions.2", TAKE.format(FIRST.replace("id LIMIT", "id DESC LIMIT")), "waits longest"),
    ("transactions.2", FIRST + " FOR UPDATE SKIP LOCKED", "has not set to 'running'"),
    ("transactions.2", TAKE.format(FIRST).removesuffix(" RETURNING id"), "returns nothing"),
    ("transactions.2", "UPDATE job SET status = 'running' RETURNING id", "the first client got"),
    ("transactions.3", giver_first, "deadlock detected"),
    ("transactions.3", without_transaction, "gave 500"),
    ("transactions.3", left_open, "still open"),
    ("transactions.3", half, "went from Amina to Bode"),
    ("transactions.4", "SELECT 1", "in two houses"),
    ("transactions.4", EXCLUDE.format("cleaner WITH =, during WITH &&", ""), "a cancelled shift"),
    (
        "transactions.4",
        EXCLUDE.format("during WITH &&", "WHERE (NOT cancelled)"),
        "another cleaner",
    ),
    ("transactions.4", "ALTER TABLE shift ADD UNIQUE (cleaner, during)", "in two houses"),
    ("transactions.4", TRIGGER.format(""), "do not see each other"),
]


@pytest.mark.parametrize("exercise", EXERCISES)
@pytest.mark.parametrize("stub", [None, ..., "", " \n"])
def test_a_stub_gets_a_hint(exercise: str, stub: object) -> None:
    verdict = judge_answer(exercise, stub)
    assert not verdict.right
    assert len(verdict.message) > 20


@pytest.mark.parametrize(("exercise", "answer"), RIGHT)
def test_right_answers(exercise: str, answer: object) -> None:
    verdict = judge_answer(exercise, answer)
    assert verdict.right, verdict.message


@pytest.mark.parametrize(("exercise", "answer", "hint"), NOT_YET)
def test_wrong_answers_get_a_hint(exercise: str, answer: object, hint: str) -> None:
    verdict = judge_answer(exercise, answer)
    assert not verdict.right
    assert hint in verdict.message
