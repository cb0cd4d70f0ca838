"""Each judge of transactions-and-locks: the stub, right answers of several kinds, wrong ones."""

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import IsolationLevel
from psycopg.errors import DeadlockDetected, SerializationFailure

import nexus
from nexus.judging import judge_answer
from nexus.judging.sandbox import Connection
from nexus.services.process import wait_for
from tests.exercises import tables
from tests.leftovers import no_threads_beyond, threads

EXERCISES = [f"transactions-and-locks.{number}" for number in range(1, 5)]
ONE, TWO, THREE, FOUR = EXERCISES
Work = Callable[[Connection], object]


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with nexus.postgres(fsync="off"):  # databases come and go
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
        except BaseException as error:
            connection.execute("ROLLBACK")
            left -= 1
            if not isinstance(error, SerializationFailure) or not left:
                raise


def by_hand_for_errors_of_postgresql(connection: Connection, work: Work) -> object:
    """Another error leaves the transaction open, and its locks with it."""
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
            if error.sqlstate != "40001" or not left:
                raise


def commits_what_failed(connection: Connection, work: Work) -> object:
    for left in reversed(range(9)):
        connection.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
        try:
            result = work(connection)
            connection.execute("COMMIT")
            return result
        except SerializationFailure:
            connection.execute("ROLLBACK")
            if not left:
                raise
        except Exception:
            connection.execute("COMMIT")
            raise
    return None


def to_a_savepoint(connection: Connection, work: Work) -> object:
    connection.isolation_level = IsolationLevel.SERIALIZABLE
    with connection.transaction():
        for _ in range(9):
            with contextlib.suppress(SerializationFailure), connection.transaction():
                return work(connection)
        raise SerializationFailure


def until_there_is_a_result(connection: Connection, work: Work) -> object:
    connection.isolation_level = IsolationLevel.SERIALIZABLE
    result, refused = None, None
    for _ in range(9):
        try:
            with connection.transaction():
                result = work(connection)
        except SerializationFailure as error:
            result, refused = None, error
        if result:
            return result
    if refused:
        raise refused
    return result


def in_other_words(connection: Connection, work: Work) -> object:
    try:
        return by_transaction(connection, work)
    except SerializationFailure as error:
        raise RuntimeError("another one was always faster") from error


def others_in_other_words(connection: Connection, work: Work) -> object:
    try:
        return by_transaction(connection, work)
    except psycopg.Error:
        raise
    except Exception as error:
        raise RuntimeError("work failed") from error


def the_level_once(connection: Connection, work: Work) -> object:
    connection.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
    for left in reversed(range(9)):
        try:
            result = work(connection)
            connection.execute("COMMIT")
            return result
        except BaseException as error:
            connection.execute("ROLLBACK")
            if not isinstance(error, SerializationFailure) or not left:
                raise
            connection.execute("BEGIN")
    return None


def broken_rules_too(connection: Connection, work: Work) -> object:
    connection.isolation_level = IsolationLevel.SERIALIZABLE
    for left in reversed(range(9)):
        try:
            with connection.transaction():
                return work(connection)
        except (SerializationFailure, psycopg.IntegrityError):
            if not left:
                raise
    return None


def once(connection: Connection, work: Work) -> object:
    connection.isolation_level = IsolationLevel.SERIALIZABLE
    with connection.transaction():
        return work(connection)


def at_the_default_level(connection: Connection, work: Work) -> object:
    with connection.transaction():
        return work(connection)


def by_the_connection(connection: Connection, work: Work) -> object:
    connection.isolation_level = IsolationLevel.SERIALIZABLE
    with connection:
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


def retried(connection: Connection, work: Work, attempts: int = 20) -> object:
    """The chapter's own."""
    connection.isolation_level = IsolationLevel.SERIALIZABLE
    attempt = 1
    while True:
        try:
            with connection.transaction():
                return work(connection)
        except (SerializationFailure, DeadlockDetected):
            if attempt == attempts:
                raise
        attempt += 1
        time.sleep(random.uniform(0, 0.01 * 2 ** min(attempt, 5)))


def by_recursion(connection: Connection, work: Work, left: int = 9) -> object:
    try:
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
            return work(connection)
    except psycopg.Error as error:
        if error.sqlstate == "40001" and left:
            return by_recursion(connection, work, left - 1)
        raise


def until_a_deadline(connection: Connection, work: Work) -> object:
    connection.execute("SET default_transaction_isolation = 'serializable'")
    end = time.monotonic() + 1
    while True:
        try:
            with connection.transaction():
                return work(connection)
        except SerializationFailure:
            if time.monotonic() > end:
                raise
            time.sleep(0.005)


def without_autocommit(connection: Connection, work: Work) -> object:
    connection.autocommit = False
    connection.isolation_level = IsolationLevel.SERIALIZABLE
    refused = None
    for _ in range(6):
        try:
            result = work(connection)
            connection.commit()
            return result
        except SerializationFailure as error:
            connection.rollback()
            refused = error
        except BaseException:
            connection.rollback()
            raise
    assert refused is not None
    raise refused


def a_thousand_times(connection: Connection, work: Work) -> object:
    connection.isolation_level = IsolationLevel.SERIALIZABLE
    for _ in range(1_000):
        try:
            with connection.transaction():
                return work(connection)
        except SerializationFailure as error:
            refused = error
    raise refused


def keeps_the_first_result(connection: Connection, work: Callable[[Connection], object]) -> object:
    """A result of an attempt that was refused at its commit."""
    connection.isolation_level = IsolationLevel.SERIALIZABLE
    result = None
    for left in reversed(range(10)):
        try:
            with connection.transaction():
                result = result or work(connection)
        except SerializationFailure:
            if not left:
                raise
        else:
            return result
    return None


def commit_outside(connection: Connection, work: Work) -> object:
    for _ in range(9):
        connection.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
        try:
            result = work(connection)
        except SerializationFailure as error:
            connection.execute("ROLLBACK")
            refused = error
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        else:
            connection.execute("COMMIT")
            return result
    raise refused


def never_gives_up(connection: Connection, work: Work) -> object:
    connection.isolation_level = IsolationLevel.SERIALIZABLE
    while True:
        try:
            with connection.transaction():
                return work(connection)
        except SerializationFailure:
            pass


def whatever_it_is(connection: Connection, work: Work) -> object:
    connection.isolation_level = IsolationLevel.SERIALIZABLE
    for _ in range(3):
        try:
            with connection.transaction():
                return work(connection)
        except psycopg.OperationalError as error:
            refused = error
    raise refused


def at_repeatable_read(connection: Connection, work: Work) -> object:
    connection.isolation_level = IsolationLevel.REPEATABLE_READ
    return by_recursion_at_its_level(connection, work)


def by_recursion_at_its_level(connection: Connection, work: Work) -> object:
    try:
        with connection.transaction():
            return work(connection)
    except SerializationFailure:
        return by_recursion_at_its_level(connection, work)


def closes(connection: Connection, work: Work) -> object:
    connection.isolation_level = IsolationLevel.SERIALIZABLE
    connection.autocommit = False
    with connection:
        return work(connection)


def left_open_by(connection: Connection, work: Work) -> object:
    connection.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
    for _ in range(5):
        try:
            return work(connection)
        except SerializationFailure:
            connection.execute("ROLLBACK")
            connection.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
    return None


def never_ends(*_: object) -> None:
    while True:
        pass


def leaves(*_: object) -> None:
    raise SystemExit(3)


def interrupts(*_: object) -> None:
    raise KeyboardInterrupt


def breaks(*_: object) -> None:
    raise ValueError("no")


def takes_nothing() -> None: ...


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


def one_statement(connection: Connection, giver: str, taker: str, cents: int) -> None:
    connection.execute(
        "WITH rows AS (SELECT owner FROM account WHERE owner IN (%s, %s) ORDER BY owner FOR UPDATE)"
        " UPDATE account SET cents = cents + CASE account.owner WHEN %s THEN -%s ELSE %s END"
        " FROM rows WHERE account.owner = rows.owner",
        [giver, taker, giver, cents, cents],
    )


def whole_table(connection: Connection, giver: str, taker: str, cents: int) -> None:
    with connection.transaction():
        connection.execute("LOCK TABLE account IN EXCLUSIVE MODE")
        connection.execute(MOVE, [-cents, giver])
        connection.execute(MOVE, [cents, taker])


def serialized(connection: Connection, giver: str, taker: str, cents: int) -> None:
    connection.isolation_level = IsolationLevel.SERIALIZABLE
    for _ in range(20):
        try:
            return giver_first(connection, giver, taker, cents)
        except (SerializationFailure, DeadlockDetected):
            time.sleep(0.01)
    return giver_first(connection, giver, taker, cents)


def without_waiting(connection: Connection, giver: str, taker: str, cents: int) -> None:
    while True:
        try:
            with connection.transaction():
                connection.execute(
                    "SELECT 1 FROM account WHERE owner IN (%s, %s) FOR UPDATE NOWAIT",
                    [giver, taker],
                )
                return giver_first(connection, giver, taker, cents)
        except psycopg.errors.LockNotAvailable:
            time.sleep(random.uniform(0, 0.01))


def by_begin(connection: Connection, giver: str, taker: str, cents: int) -> None:
    connection.execute("BEGIN")
    try:
        for owner, change in sorted([(giver, -cents), (taker, cents)]):
            connection.execute(MOVE, [change, owner])
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def locked_in_no_order(connection: Connection, giver: str, taker: str, cents: int) -> None:
    """The table's order, or that of its index: whichever the plan has."""
    with connection.transaction():
        connection.execute(
            "SELECT 1 FROM account WHERE owner IN (%s, %s) FOR UPDATE", [giver, taker]
        )
        connection.execute(MOVE, [-cents, giver])
        connection.execute(MOVE, [cents, taker])


def one_update(connection: Connection, giver: str, taker: str, cents: int) -> None:
    """One statement takes its rows in the order of its plan, too."""
    connection.execute(
        "UPDATE account SET cents = cents + CASE owner WHEN %s THEN -%s ELSE %s END"
        " WHERE owner IN (%s, %s)",
        [giver, cents, cents, giver, taker],
    )


def locked_one_by_one(connection: Connection, giver: str, taker: str, cents: int) -> None:
    with connection.transaction():
        for owner in sorted((giver, taker)):
            connection.execute("SELECT 1 FROM account WHERE owner = %s FOR UPDATE", [owner])
        connection.execute(MOVE, [-cents, giver])
        connection.execute(MOVE, [cents, taker])


def taker_first(connection: Connection, giver: str, taker: str, cents: int) -> None:
    with connection.transaction():
        connection.execute(MOVE, [cents, taker])
        connection.execute(MOVE, [-cents, giver])


def closes_it(connection: Connection, giver: str, taker: str, cents: int) -> None:
    with connection:
        giver_first(connection, giver, taker, cents)


def forgets(connection: Connection, giver: str, taker: str, cents: int) -> None:
    connection.autocommit = False
    for owner, change in sorted([(giver, -cents), (taker, cents)]):
        connection.execute(MOVE, [change, owner])


def computed_outside(connection: Connection, giver: str, taker: str, cents: int) -> None:
    query, update = "SELECT cents FROM account WHERE owner = %s", "UPDATE account SET cents = %s"
    with connection.transaction():
        for owner, change in sorted([(giver, -cents), (taker, cents)]):
            (now,) = connection.execute(query, [owner]).fetchone() or (0,)
            connection.execute(f"{update} WHERE owner = %s", [now + change, owner])


def swallows(connection: Connection, giver: str, taker: str, cents: int) -> None:
    with contextlib.suppress(psycopg.Error):
        ordered(connection, giver, taker, cents)


def locks_the_giver(connection: Connection, giver: str, taker: str, cents: int) -> None:
    with connection.transaction():
        connection.execute("SELECT 1 FROM account WHERE owner = %s FOR UPDATE", [giver])
        connection.execute(MOVE, [-cents, giver])
        connection.execute(MOVE, [cents, taker])


def locks_the_first_of_both(connection: Connection, giver: str, taker: str, cents: int) -> None:
    """Another form: who has the first one's lock may take both rows in any order."""
    with connection.transaction():
        first = [min(giver, taker)]
        connection.execute("SELECT 1 FROM account WHERE owner = %s FOR UPDATE", first)
        connection.execute(MOVE, [-cents, giver])
        connection.execute(MOVE, [cents, taker])


def locks_to_read(connection: Connection, giver: str, taker: str, cents: int) -> None:
    query = "SELECT 1 FROM account WHERE owner IN (%s, %s) ORDER BY owner FOR SHARE"
    with connection.transaction():
        connection.execute(query, [giver, taker])
        for owner, change in sorted([(giver, -cents), (taker, cents)]):
            connection.execute(MOVE, [change, owner])


def locks_before_the_transaction(
    connection: Connection, giver: str, taker: str, cents: int
) -> None:
    """In autocommit the locks are gone when the SELECT is done."""
    query = "SELECT 1 FROM account WHERE owner IN (%s, %s) ORDER BY owner FOR UPDATE"
    connection.execute(query, [giver, taker])
    giver_first(connection, giver, taker, cents)


def a_lock_for_each_name(connection: Connection, giver: str, taker: str, cents: int) -> None:
    with connection.transaction():
        for owner in (giver, taker):
            connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [owner])
        connection.execute(MOVE, [-cents, giver])
        connection.execute(MOVE, [cents, taker])


def serializable_once(connection: Connection, giver: str, taker: str, cents: int) -> None:
    connection.isolation_level = IsolationLevel.SERIALIZABLE
    giver_first(connection, giver, taker, cents)


def waits_for_half_a_second(connection: Connection, giver: str, taker: str, cents: int) -> None:
    with connection.transaction():
        connection.execute("SET LOCAL lock_timeout = '500ms'")
        connection.execute(MOVE, [-cents, giver])
        connection.execute(MOVE, [cents, taker])


def passes_over(connection: Connection, giver: str, taker: str, cents: int) -> None:
    query = "SELECT 1 FROM account WHERE owner IN (%s, %s) ORDER BY owner FOR UPDATE SKIP LOCKED"
    with connection.transaction():
        if len(connection.execute(query, [giver, taker]).fetchall()) < 2:
            raise RuntimeError("somebody else is at work")
        giver_first(connection, giver, taker, cents)


def says_no(connection: Connection, giver: str, taker: str, cents: int) -> bool:
    query = "SELECT owner, cents FROM account WHERE owner IN (%s, %s) ORDER BY owner FOR UPDATE"
    with connection.transaction():
        had = dict(connection.execute(query, [giver, taker]).fetchall())
        if had[giver] < cents:
            return False
        giver_first(connection, giver, taker, cents)
    return True


def forgets_its_lock_after_an_error(
    connection: Connection, giver: str, taker: str, cents: int
) -> None:
    connection.execute("SELECT pg_advisory_lock(1)")
    giver_first(connection, giver, taker, cents)
    connection.execute("SELECT pg_advisory_unlock(1)")


in_this_process = threading.Lock()


def alone_in_this_process(connection: Connection, giver: str, taker: str, cents: int) -> None:
    with in_this_process:
        giver_first(connection, giver, taker, cents)


def gives_up(connection: Connection, giver: str, taker: str, cents: int) -> None:
    try:
        giver_first(connection, giver, taker, cents)
    except psycopg.Error:
        return


def says_it_moved(*_: object) -> str:
    return "moved"


def without_transaction(connection: Connection, giver: str, taker: str, cents: int) -> None:
    connection.execute(MOVE, [cents, taker])
    connection.execute(MOVE, [-cents, giver])


def in_order_without_transaction(
    connection: Connection, giver: str, taker: str, cents: int
) -> None:
    for owner, change in sorted([(giver, -cents), (taker, cents)]):
        connection.execute(MOVE, [change, owner])


def checked_without_transaction(connection: Connection, giver: str, taker: str, cents: int) -> None:
    row = connection.execute("SELECT cents FROM account WHERE owner = %s", [giver]).fetchone()
    if not row or row[0] < cents:
        raise ValueError("there is not enough")
    in_order_without_transaction(connection, giver, taker, cents)


def nobody_else_reads(connection: Connection, giver: str, taker: str, cents: int) -> None:
    with connection.transaction():
        connection.execute("LOCK TABLE account")
        in_order_without_transaction(connection, giver, taker, cents)


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
            AND id <> NEW.id AND NOT cancelled AND during && NEW.during) THEN
        RAISE EXCEPTION 'two houses';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse BEFORE {} ON shift FOR EACH ROW EXECUTE FUNCTION refuse();
"""

TAKE_TURNS = "PERFORM pg_advisory_xact_lock(hashtext(NEW.cleaner));"
WITHOUT_OVERLAPS = """
ALTER TABLE shift
    ADD COLUMN takes_place tsrange
        GENERATED ALWAYS AS (CASE WHEN NOT cancelled THEN during END) STORED,
    ADD UNIQUE (cleaner, takes_place WITHOUT OVERLAPS)
"""


def exponentially(connection: Connection, work: Work) -> object:
    """Eight attempts, and after the last 12.8 seconds: no limit was said."""
    connection.isolation_level = IsolationLevel.SERIALIZABLE
    for attempt in range(8):
        try:
            with connection.transaction():
                return work(connection)
        except SerializationFailure:
            if attempt == 7:
                raise
            time.sleep(0.1 * 2**attempt)
    raise AssertionError


def waits_in_the_server(connection: Connection, *_: object) -> None:
    connection.execute("SELECT pg_sleep(35)")


def keeps_a_lock(connection: Connection, giver: str, taker: str, cents: int) -> None:
    """An advisory lock lives as long as its session, and not as its transaction."""
    connection.execute("SELECT pg_advisory_lock(1)")
    with connection.transaction():
        for owner, change in sorted([(giver, -cents), (taker, cents)]):
            update = "UPDATE account SET cents = cents + %s WHERE owner = %s"
            connection.execute(update, [change, owner])


RIGHT: list[tuple[str, Any]] = [
    (ONE, exponentially),
    (
        TWO,
        TAKE.format(FIRST + " FOR UPDATE SKIP LOCKED").replace(
            "RETURNING id", "RETURNING id AS job_id"
        ),
    ),
    (TWO, TAKE.format(FIRST + " FOR NO KEY UPDATE SKIP LOCKED")),
    (ONE, by_transaction),
    (ONE, by_hand),
    (ONE, retried),
    (ONE, by_recursion),
    (ONE, until_a_deadline),
    (ONE, without_autocommit),
    (ONE, a_thousand_times),
    (TWO, TAKE.format(FIRST + " FOR UPDATE SKIP LOCKED")),
    (TWO, CTE),
    (
        TWO,
        TAKE.format(FIRST + " FOR UPDATE SKIP LOCKED").replace("= (", "IN ("),
    ),
    (
        TWO,
        TAKE.format(FIRST + " FOR UPDATE SKIP LOCKED").replace("RETURNING id", "RETURNING *"),
    ),
    (
        TWO,
        TAKE.format(FIRST + " FOR UPDATE SKIP LOCKED").replace("RETURNING", "RETURNING status,"),
    ),
    (
        TWO,
        TAKE.format(FIRST.replace("LIMIT 1", "FETCH FIRST ROW ONLY") + " FOR UPDATE SKIP LOCKED"),
    ),
    (
        TWO,
        f"WITH mine AS ({TAKE.format(FIRST + ' FOR UPDATE SKIP LOCKED')}) SELECT id FROM mine",
    ),
    (THREE, ordered),
    (THREE, locks_the_first_of_both),
    (THREE, locked_first),
    (THREE, locked_one_by_one),
    (THREE, one_after_the_other),
    (THREE, tried_again),
    (THREE, one_statement),
    (THREE, whole_table),
    (THREE, nobody_else_reads),
    (THREE, serialized),
    (THREE, without_waiting),
    (THREE, by_begin),
    (
        FOUR,
        EXCLUDE.format("cleaner WITH =, during WITH &&", "WHERE (NOT cancelled)"),
    ),
    (
        FOUR,
        EXCLUDE.format("cleaner WITH =, during WITH &&", "WHERE (cancelled IS FALSE)"),
    ),
    (
        FOUR,
        EXCLUDE.format(
            "cleaner WITH =, during WITH &&",
            "WHERE (NOT cancelled) DEFERRABLE INITIALLY DEFERRED",
        ),
    ),
    (
        FOUR,
        EXCLUDE.format("cleaner WITH =, (CASE WHEN NOT cancelled THEN during END) WITH &&", ""),
    ),
    (FOUR, WITHOUT_OVERLAPS),
    (FOUR, TRIGGER.format(TAKE_TURNS, "INSERT OR UPDATE")),
]

NOT_YET: list[tuple[str, Any, str]] = [
    (TWO, TAKE.format(FIRST + " FOR SHARE SKIP LOCKED"), "were inside the statement at once"),
    (THREE, waits_in_the_server, "had not come to an end after 1 seconds"),
    (THREE, keeps_a_lock, "after a transfer, it still holds an advisory lock"),
    (THREE, forgets_its_lock_after_an_error, "after it failed, it still holds an advisory lock"),
    (THREE, locks_the_giver, "deadlock detected"),
    (THREE, locks_to_read, "deadlock detected"),
    (THREE, locks_before_the_transaction, "deadlock detected"),
    (THREE, a_lock_for_each_name, "deadlock detected"),
    (THREE, serializable_once, "two opposite transfers met, and one ended with"),
    (THREE, waits_for_half_a_second, "lock timeout"),
    (THREE, passes_over, "somebody else is at work"),
    (THREE, says_no, "the caller got no error"),
    (ONE, by_hand_for_errors_of_postgresql, "its transaction is still open"),
    (ONE, commits_what_failed, "roll back after every error"),
    (ONE, to_a_savepoint, "in the same transaction"),
    (ONE, until_there_is_a_result, "work was called 9 times and returned None"),
    (ONE, in_other_words, "another one was always faster"),
    (ONE, others_in_other_words, "the caller got RuntimeError instead"),
    (ONE, the_level_once, "ran at read committed"),
    (ONE, broken_rules_too, "only a serialization failure is worth another attempt"),
    (
        TWO,
        "UPDATE job SET status = 'running' WHERE status = 'waiting' "
        "AND id = (SELECT min(id) FROM job WHERE status = 'waiting') RETURNING id",
        "the next one waits",
    ),
    (TWO, TAKE.format(FIRST + " FOR KEY SHARE SKIP LOCKED"), "the next one waits"),
    (
        TWO,
        TAKE.format(FIRST.replace("BY id", "BY ctid") + " FOR UPDATE SKIP LOCKED"),
        "the lowest id is 4",
    ),
    (
        FOUR,
        TRIGGER.format(TAKE_TURNS, "INSERT OR UPDATE OF during, cancelled"),
        "another cleaner's shift can be given to Chidi",
    ),
    (
        FOUR,
        TRIGGER.format(
            "PERFORM 1 FROM shift WHERE cleaner = NEW.cleaner FOR UPDATE;", "INSERT OR UPDATE"
        ),
        "did not see each other",
    ),
    (
        FOUR,
        "CREATE UNIQUE INDEX ON shift (cleaner, lower(during)) WHERE NOT cancelled",
        "at 11:30 was accepted",
    ),
    (
        FOUR,
        EXCLUDE.format("cleaner WITH =, during WITH -|-", "WHERE (NOT cancelled)"),
        "begins when the one before ends",
    ),
    (
        FOUR,
        EXCLUDE.format(
            "cleaner WITH =, daterange(lower(during)::date, upper(during)::date, '[]') WITH &&",
            "WHERE (NOT cancelled)",
        ),
        "begins when the one before ends",
    ),
    (
        FOUR,
        "ALTER TABLE shift ADD EXCLUDE USING gist"
        " (cleaner WITH =, during WITH &&, (cancelled::int) WITH =)",
        "a second cancelled shift",
    ),
    (ONE, once, "gave up after 1"),
    (ONE, at_the_default_level, "ran at read committed"),
    (
        ONE,
        by_the_connection,
        "ran in no transaction: the connection is in auto",
    ),
    (ONE, everything_again, "again and again"),
    (ONE, for_ever, "the caller got no error"),
    (ONE, same_transaction, "in the same transaction"),
    (ONE, no_result, "returned None"),
    (ONE, "a loop", "should be a function"),
    (ONE, lambda connection, work: None, "was the work done"),  # noqa: ARG005
    (ONE, commit_outside, "the refusal came with the COMMIT"),
    (ONE, keeps_the_first_result, "returned as if it had worked"),
    (ONE, never_gives_up, "never gives up"),
    (ONE, whatever_it_is, "statement_timeout 3 times"),
    (ONE, at_repeatable_read, "ran at repeatable read"),
    (ONE, closes, "gave up after 1"),
    (ONE, left_open_by, "still open"),
    (ONE, leaves, "raised SystemExit"),
    (ONE, interrupts, "raised KeyboardInterrupt"),
    (ONE, breaks, "raised ValueError: no"),
    (ONE, takes_nothing, "raised TypeError"),
    (TWO, TAKE.format(FIRST), "the next one waits"),
    (TWO, TAKE.format(FIRST + " FOR UPDATE"), "the next one waits"),
    (
        TWO,
        TAKE.format(FIRST.replace("id LIMIT", "id DESC LIMIT")),
        "the lowest id is 4",
    ),
    (TWO, FIRST + " FOR UPDATE SKIP LOCKED", "has not set it to 'running'"),
    (
        TWO,
        TAKE.format(FIRST).removesuffix(" RETURNING id"),
        "returns no rows",
    ),
    (
        TWO,
        "UPDATE job SET status = 'running' RETURNING id",
        "the first client got",
    ),
    (
        TWO,
        TAKE.format(FIRST.replace(" ORDER BY id", "") + " FOR UPDATE SKIP LOCKED"),
        "the lowest id is 4",
    ),
    (
        TWO,
        TAKE.format(FIRST + " FOR UPDATE NOWAIT"),
        "the next one is refused",
    ),
    (
        TWO,
        TAKE.format(FIRST.replace("= 'waiting'", "<> 'done'") + " FOR UPDATE SKIP LOCKED"),
        "the other jobs came as",
    ),
    (
        TWO,
        TAKE.format(FIRST + " FOR UPDATE SKIP LOCKED").replace("RETURNING id", "RETURNING status"),
        "no column that is called id",
    ),
    (
        TWO,
        f"DELETE FROM job WHERE id = ({FIRST} FOR UPDATE SKIP LOCKED) RETURNING id",
        "has not set it to 'running'",
    ),
    (
        TWO,
        TAKE.format("SELECT min(id) FROM job WHERE status = 'waiting' FOR UPDATE SKIP LOCKED"),
        "not allowed with aggregate",
    ),
    (TWO, "UPDATE jobs SET status = 'running'", "PostgreSQL says: relation"),
    (TWO, never_ends, "should be one statement"),
    (THREE, giver_first, "deadlock detected"),
    (THREE, without_transaction, "gave 500"),
    (THREE, in_order_without_transaction, "Bode had 130 and gave 500"),
    (
        THREE,
        checked_without_transaction,
        "in the middle of a transfer, others saw 210",
    ),
    (THREE, left_open, "still open"),
    (THREE, half, "Amina gave 30 to Bode"),
    (THREE, taker_first, "deadlock detected"),
    (THREE, locked_in_no_order, "deadlock detected. Lock both rows in an order"),
    (THREE, one_update, "deadlock detected. Lock both rows in an order"),
    (THREE, closes_it, "`with connection:` closes it"),
    (THREE, forgets, "still open"),
    (THREE, computed_outside, "They should have 80"),
    (THREE, gives_up, "the caller got no error"),
    (THREE, swallows, "the caller got no error"),
    (THREE, alone_in_this_process, "deadlock detected"),
    (THREE, says_it_moved, "Amina gave 30 to Bode"),
    (THREE, leaves, "raised SystemExit"),
    (THREE, interrupts, "raised KeyboardInterrupt"),
    (THREE, breaks, "raised ValueError: no"),
    (THREE, "UPDATE account SET cents = 0", "should be a function"),
    (FOUR, "SELECT 1", "another one at 11:30 was accepted"),
    (
        FOUR,
        EXCLUDE.format("cleaner WITH =, during WITH &&", ""),
        "a cancelled shift",
    ),
    (
        FOUR,
        EXCLUDE.format("during WITH &&", "WHERE (NOT cancelled)"),
        "another cleaner",
    ),
    (FOUR, "ALTER TABLE shift ADD UNIQUE (cleaner, during)", "at 11:30 was accepted"),
    (FOUR, TRIGGER.format("", "INSERT OR UPDATE"), "did not see each other"),
    (FOUR, TRIGGER.format(TAKE_TURNS, "INSERT"), "can come back"),
    (
        FOUR,
        TRIGGER.format(TAKE_TURNS, "INSERT OR UPDATE OF cancelled"),
        "can be moved",
    ),
    (
        FOUR,
        EXCLUDE.format(
            "cleaner WITH =, tsrange(lower(during), upper(during), '[]') WITH &&",
            "WHERE (NOT cancelled)",
        ),
        "begins when the one before ends",
    ),
    (
        FOUR,
        "ALTER TABLE shift ADD UNIQUE (cleaner, during WITHOUT OVERLAPS)",
        "a cancelled shift",
    ),
    (FOUR, "ALTER TABLE shift ADD EXCLUDE (cleaner WITH =)", "begins when"),
    (
        FOUR,
        "EXCLUDE USING gist (cleaner WITH =)",
        "PostgreSQL says: syntax error",
    ),
    (FOUR, "DROP TABLE shift", 'relation "shift" does not exist'),
    (FOUR, 42, "should be SQL in quotes"),
]


@pytest.mark.parametrize("exercise", EXERCISES)
@pytest.mark.parametrize("stub", [None, ..., "", " \n"])
def test_a_stub_gets_a_hint(exercise: str, stub: object) -> None:
    verdict = judge_answer(exercise, stub)
    assert not verdict.right
    assert len(verdict.message) > 20


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """What will never end need not be waited for as long as a learner's answer may take."""
    if any(answer in request.node.name for answer in ("waits_in_the_server", "keeps_a_lock")):
        monkeypatch.setattr("nexus.judging.limits.SECONDS", 1.0)


test_right, test_not_yet = tables.tests(RIGHT, NOT_YET)


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        (ONE, never_ends),
        (TWO, "SELECT pg_sleep(3600) AS id"),
        (THREE, never_ends),
        (FOUR, "SELECT pg_sleep(3600)"),
    ],
)
def test_an_answer_that_never_ends_is_ended(
    exercise: str, answer: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nexus.judging.limits.SECONDS", 1.0)
    before = threads()
    verdict = judge_answer(exercise, answer)
    assert not verdict.right
    assert "after 1 seconds" in verdict.message
    assert no_threads_beyond(before)


def test_a_deadlock_is_found_on_a_machine_where_a_client_is_slow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who may go on still looks as if it waited, until the processor has time for it."""
    meets: list[int] = []
    commit = psycopg.Connection.commit

    def giver_first_seen(connection: Connection, giver: str, taker: str, cents: int) -> None:
        if (giver, cents) == ("Amina", 10):
            meets.append(connection.info.backend_pid)
        giver_first(connection, giver, taker, cents)

    def lets_go(holder: psycopg.Connection) -> None:
        if meets:
            pid = meets.pop()
            os.kill(pid, signal.SIGSTOP)
            threading.Timer(0.5, os.kill, (pid, signal.SIGCONT)).start()
        commit(holder)

    monkeypatch.setattr(psycopg.Connection, "commit", lets_go)
    verdict = judge_answer(THREE, giver_first_seen)
    assert not verdict.right
    assert "deadlock detected" in verdict.message


@pytest.mark.usefixtures("server")
def test_no_judgement_leaves_a_database_or_a_client() -> None:
    for exercise, answer in [
        *RIGHT[-2:],
        (ONE, once),
        (THREE, forgets),
    ]:
        judge_answer(exercise, answer)
    with nexus.services.current("postgres").connect(autocommit=True) as connection:  # type: ignore[attr-defined]
        query = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        wait_for(lambda: connection.execute(query).fetchone() == (1,), 10, "it to be alone")
        query = r"SELECT datname FROM pg_database WHERE datname ~ '^transactions_\w+_\d+$'"
        assert connection.execute(query).fetchall() == []
