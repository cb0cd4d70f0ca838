"""The judges of "Connections and pools": stubs, right answers, wrong ones."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import partial
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

import nexus
from nexus.judging.sandbox import Connection
from tests.exercises import tables
from tests.programs import need

ONE, TWO, THREE = (f"connections-and-pools.{number}" for number in (1, 2, 3))

Fleet = dict[str, int]
Pool = ConnectionPool[Any]
Charge = Callable[[str], object]


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with nexus.postgres(fsync="off"):  # databases come and go
        yield


# 1: the size of a pool


def free(fleet: Fleet) -> int:
    return fleet["max_connections"] - fleet["reserved"] - fleet["others"]


def processes(fleet: Fleet) -> int:
    return (fleet["copies"] + fleet["surge"]) * fleet["processes"]


def by_division(fleet: Fleet) -> int:
    return max(0, min(fleet["threads"], free(fleet) // processes(fleet)))


def by_trying(fleet: Fleet) -> int:
    best = 0
    for size in range(1, fleet["threads"] + 1):
        if processes(fleet) * size <= free(fleet):
            best = size
    return best


def as_given(fleet: Fleet) -> int:
    return fleet["max_connections"] // (fleet["copies"] * fleet["processes"])


def without_surge(fleet: Fleet) -> int:
    return max(0, min(fleet["threads"], free(fleet) // (fleet["copies"] * fleet["processes"])))


def without_reserved(fleet: Fleet) -> int:
    left = fleet["max_connections"] - fleet["others"]
    return max(0, min(fleet["threads"], left // processes(fleet)))


def without_others(fleet: Fleet) -> int:
    left = fleet["max_connections"] - fleet["reserved"]
    return max(0, min(fleet["threads"], left // processes(fleet)))


def without_processes(fleet: Fleet) -> int:
    copies = fleet["copies"] + fleet["surge"]
    return max(0, min(fleet["threads"], free(fleet) // copies))


def surge_as_processes(fleet: Fleet) -> int:
    count = fleet["copies"] * fleet["processes"] + fleet["surge"]
    return max(0, min(fleet["threads"], free(fleet) // count))


def more_than_threads(fleet: Fleet) -> int:
    return max(0, free(fleet) // processes(fleet))


def below_zero(fleet: Fleet) -> int:
    return min(fleet["threads"], free(fleet) // processes(fleet))


def at_least_one(fleet: Fleet) -> int:
    return max(1, by_division(fleet))


def a_fraction(fleet: Fleet) -> float:
    return max(0, min(fleet["threads"], free(fleet) / processes(fleet)))


def rounded(fleet: Fleet) -> int:
    return max(0, min(fleet["threads"], round(free(fleet) / processes(fleet))))


def rounded_up(fleet: Fleet) -> int:
    return max(0, min(fleet["threads"], -(-free(fleet) // processes(fleet))))


def one_spare(fleet: Fleet) -> int:
    return max(0, min(fleet["threads"], (free(fleet) - 1) // processes(fleet)))


def a_tenth_spare(fleet: Fleet) -> int:
    return max(0, min(fleet["threads"], free(fleet) * 9 // 10 // processes(fleet)))


def always_ten(fleet: Fleet) -> int:
    return 10 + 0 * fleet["copies"]


def by_threads(fleet: Fleet) -> int:
    return free(fleet) // (processes(fleet) * fleet["threads"])


def of_the_whole_site(fleet: Fleet) -> int:
    return max(0, free(fleet))


def a_text(fleet: Fleet) -> str:
    return str(by_division(fleet))


def printed(fleet: Fleet) -> None:
    print(by_division(fleet))  # noqa: T201


def misspelt(fleet: Fleet) -> int:
    return fleet["connections"]


def changes_the_fleet(fleet: Fleet) -> int:
    fleet["threads"] = 1
    return by_division(fleet)


# 2: a booking

INSERT = "INSERT INTO booking (guest, status) VALUES (%s, 'pending') RETURNING id"
UPDATE = "UPDATE booking SET status = %s WHERE id = %s"


def add(pool: Pool, guest: str | None) -> int:
    with pool.connection() as connection:
        row = connection.execute(INSERT, [guest]).fetchone()
    return int(row[0]) if row else 0


def note(pool: Pool, status: str, number: int) -> None:
    with pool.connection() as connection:
        connection.execute(UPDATE, [status, number])


def with_finally(pool: Pool, charge: Charge, guest: str) -> int:
    number, status = add(pool, guest), "failed"
    try:
        charge(guest)
        status = "paid"
    finally:
        note(pool, status, number)
    return number


def with_except(pool: Pool, charge: Charge, guest: str) -> int:
    number = add(pool, guest)
    try:
        charge(guest)
    except Exception:
        note(pool, "failed", number)
        raise
    note(pool, "paid", number)
    return number


def by_hand(pool: Pool, charge: Charge, guest: str) -> int:
    @contextmanager
    def lent() -> Iterator[Connection]:
        connection = pool.getconn()
        try:
            yield connection
            connection.commit()
        finally:
            connection.rollback()
            pool.putconn(connection)

    with lent() as connection:
        row = connection.execute(INSERT, [guest]).fetchone()
    number = int(row[0]) if row else 0
    try:
        charge(guest)
    except BaseException:
        with lent() as connection:
            connection.execute(UPDATE, ["failed", number])
        raise
    with lent() as connection:
        connection.execute(UPDATE, ["paid", number])
    return number


def in_one_block(pool: Pool, charge: Charge, guest: str) -> int:
    with pool.connection() as connection:
        row = connection.execute(INSERT, [guest]).fetchone()
        connection.commit()
        charge(guest)
        connection.execute(UPDATE, ["paid", row[0] if row else 0])
    return int(row[0]) if row else 0


def kept_for_later(pool: Pool, charge: Charge, guest: str) -> int:
    connection = pool.getconn()
    try:
        row = connection.execute(INSERT, [guest]).fetchone()
        connection.commit()
        number = int(row[0]) if row else 0
        try:
            charge(guest)
        except Exception:
            connection.execute(UPDATE, ["failed", number])
            connection.commit()
            raise
        connection.execute(UPDATE, ["paid", number])
        connection.commit()
        return number
    finally:
        pool.putconn(connection)


def lost_if_refused(pool: Pool, charge: Charge, guest: str) -> int:
    connection = pool.getconn()
    row = connection.execute(INSERT, [guest]).fetchone()
    connection.commit()
    pool.putconn(connection)
    return with_the_rest(pool, charge, guest, int(row[0]) if row else 0)


def with_the_rest(pool: Pool, charge: Charge, guest: str, number: int) -> int:
    try:
        charge(guest)
    except Exception:
        note(pool, "failed", number)
        raise
    note(pool, "paid", number)
    return number


def lost_if_paid(pool: Pool, charge: Charge, guest: str) -> int:
    number = add(pool, guest)
    try:
        charge(guest)
    except Exception:
        note(pool, "failed", number)
        raise
    connection = pool.getconn()
    connection.execute(UPDATE, ["paid", number])
    connection.commit()
    return number


def lost_if_failed(pool: Pool, charge: Charge, guest: str) -> int:
    number = add(pool, guest)
    try:
        charge(guest)
    except Exception:
        connection = pool.getconn()
        connection.execute(UPDATE, ["failed", number])
        connection.commit()
        raise
    note(pool, "paid", number)
    return number


def stays_pending(pool: Pool, charge: Charge, guest: str) -> int:
    number = add(pool, guest)
    charge(guest)
    note(pool, "paid", number)
    return number


def swallows(pool: Pool, charge: Charge, guest: str) -> int:
    number = add(pool, guest)
    try:
        charge(guest)
        note(pool, "paid", number)
    except Exception:
        note(pool, "failed", number)
    return number


def another_error(pool: Pool, charge: Charge, guest: str) -> int:
    number = add(pool, guest)
    try:
        charge(guest)
    except Exception as error:
        note(pool, "failed", number)
        raise RuntimeError("not paid") from error
    note(pool, "paid", number)
    return number


def some_errors(pool: Pool, charge: Charge, guest: str) -> int:
    number = add(pool, guest)
    try:
        charge(guest)
    except (ConnectionError, TimeoutError):
        note(pool, "failed", number)
        raise
    note(pool, "paid", number)
    return number


def by_guest(pool: Pool, charge: Charge, guest: str) -> int:
    number, status = add(pool, guest), "failed"
    try:
        charge(guest)
        status = "paid"
    finally:
        with pool.connection() as connection:
            connection.execute("UPDATE booking SET status = %s WHERE guest = %s", [status, guest])
    return number


def all_pending(pool: Pool, charge: Charge, guest: str) -> int:
    number = add(pool, guest)
    charge(guest)
    with pool.connection() as connection:
        connection.execute("UPDATE booking SET status = 'paid' WHERE status = 'pending'")
    return number


def not_committed(pool: Pool, charge: Charge, guest: str) -> int:
    connection = pool.getconn()
    try:
        row = connection.execute(INSERT, [guest]).fetchone()
    finally:
        pool.putconn(connection)
    return with_the_rest(pool, charge, guest, int(row[0]) if row else 0)


def charged_first(pool: Pool, charge: Charge, guest: str) -> int:
    charge(guest)
    number = add(pool, guest)
    note(pool, "paid", number)
    return number


def paid_at_once(pool: Pool, charge: Charge, guest: str) -> int:
    number = add(pool, guest)
    note(pool, "paid", number)
    try:
        charge(guest)
    except Exception:
        note(pool, "failed", number)
        raise
    return number


def deletes(pool: Pool, charge: Charge, guest: str) -> int:
    number = add(pool, guest)
    try:
        charge(guest)
    except Exception:
        with pool.connection() as connection:
            connection.execute("DELETE FROM booking WHERE id = %s", [number])
        raise
    note(pool, "paid", number)
    return number


def closes_the_pool(pool: Pool, charge: Charge, guest: str) -> int:
    with pool:
        return with_finally(pool, charge, guest)


def closes_connections(pool: Pool, charge: Charge, guest: str) -> int:
    connection = pool.getconn()
    row = connection.execute(INSERT, [guest]).fetchone()
    connection.commit()
    connection.close()
    return with_the_rest(pool, charge, guest, int(row[0]) if row else 0)


def connects_itself(pool: Pool, charge: Charge, guest: str) -> int:
    with psycopg.connect(pool.conninfo) as connection:
        row = connection.execute(INSERT, [guest]).fetchone()
        connection.commit()
        number = int(row[0]) if row else 0
        return with_the_rest(pool, charge, guest, number)


def tries_twice(pool: Pool, charge: Charge, guest: str) -> int:
    number = add(pool, guest)
    try:
        try:
            charge(guest)
        except Exception:
            charge(guest)
    except Exception:
        note(pool, "failed", number)
        raise
    note(pool, "paid", number)
    return number


def never_charges(pool: Pool, charge: Charge, guest: str) -> int:  # noqa: ARG001
    number = add(pool, guest)
    note(pool, "paid", number)
    return number


def charges_the_booking(pool: Pool, charge: Callable[[object], object], guest: str) -> int:
    number = add(pool, guest)
    charge(number)
    note(pool, "paid", number)
    return number


def in_a_thread(pool: Pool, charge: Charge, guest: str) -> int:
    number = add(pool, guest)

    def later() -> None:
        with suppress(Exception):
            with_the_rest(pool, charge, guest, number)

    threading.Timer(0.5, later).start()
    return number


def returns_the_row(pool: Pool, charge: Charge, guest: str) -> object:
    return (with_finally(pool, charge, guest),)


def returns_nothing(pool: Pool, charge: Charge, guest: str) -> None:
    with_finally(pool, charge, guest)


def hides_a_refusal(pool: Pool, charge: Charge, guest: str) -> int | None:
    with suppress(psycopg.Error):
        return with_finally(pool, charge, guest)
    return None


def checks_the_guest(pool: Pool, charge: Charge, guest: str) -> int:
    if guest is None:
        raise ValueError("a guest has a name")
    return with_finally(pool, charge, guest)


def fills_in_a_name(pool: Pool, charge: Charge, guest: str | None) -> int:
    return with_finally(pool, charge, guest or "nobody")


def leaves_autocommit(pool: Pool, charge: Charge, guest: str) -> int:
    with pool.connection() as connection:
        connection.autocommit = True
        row = connection.execute(INSERT, [guest]).fetchone()
    return with_the_rest(pool, charge, guest, int(row[0]) if row else 0)


def by_an_f_string(pool: Pool, charge: Charge, guest: str | None) -> int:
    name = "NULL" if guest is None else f"'{guest}'"
    with pool.connection() as connection:
        statement = f"INSERT INTO booking (guest, status) VALUES ({name}, 'pending') RETURNING id"
        row = connection.execute(statement).fetchone()  # type: ignore[call-overload]
    return with_the_rest(pool, charge, str(guest), row[0])


def sleeps_for_ever(pool: Pool, charge: Charge, guest: str) -> int:  # noqa: ARG001
    with pool.connection() as connection:
        connection.execute("SELECT pg_sleep(3600)")
    return 1


def by_pending_guest(pool: Pool, charge: Charge, guest: str) -> int:
    number, status = add(pool, guest), "failed"
    try:
        charge(guest)
        status = "paid"
    finally:
        with pool.connection() as connection:
            connection.execute(
                "UPDATE booking SET status = %s WHERE guest = %s AND status = 'pending'",
                [status, guest],
            )
    return number


def whatever_is_pending(pool: Pool, charge: Charge, guest: str) -> int:
    number, status = add(pool, guest), "failed"
    try:
        charge(guest)
        status = "paid"
    finally:
        with pool.connection() as connection:
            connection.execute("UPDATE booking SET status = %s WHERE status = 'pending'", [status])
    return number


def the_last_one(pool: Pool, charge: Charge, guest: str) -> int:
    add(pool, guest)
    status = "failed"
    try:
        charge(guest)
        status = "paid"
    finally:
        with pool.connection() as connection:
            row = connection.execute("SELECT max(id) FROM booking").fetchone()
            connection.execute(UPDATE, [status, row[0] if row else 0])
    return int(row[0]) if row else 0


def returns_the_last_one(pool: Pool, charge: Charge, guest: str) -> int:
    with_finally(pool, charge, guest)
    with pool.connection() as connection:
        row = connection.execute("SELECT max(id) FROM booking").fetchone()
    return int(row[0]) if row else 0


ONE_AT_A_TIME = threading.Lock()
SHARED: dict[str, int] = {}


def one_at_a_time(pool: Pool, charge: Charge, guest: str) -> int:
    with ONE_AT_A_TIME:
        return with_finally(pool, charge, guest)


def in_a_global(pool: Pool, charge: Charge, guest: str) -> int:
    SHARED["number"] = add(pool, guest)
    status = "failed"
    try:
        charge(guest)
        status = "paid"
    finally:
        note(pool, status, SHARED["number"])
    return SHARED["number"]


def two_at_once(pool: Pool, charge: Charge, guest: str) -> int:
    with pool.connection() as connection:
        connection.execute("SELECT 1")  # such as a look at the guest
        number = add(pool, guest)
    return with_the_rest(pool, charge, guest, number)


def connects_before(pool: Pool, charge: Charge, guest: str) -> int:
    with psycopg.connect(pool.conninfo) as connection:
        row = connection.execute(INSERT, [guest]).fetchone()
    return with_the_rest(pool, charge, guest, int(row[0]) if row else 0)


def connects_afterwards(pool: Pool, charge: Charge, guest: str) -> int:
    number, status = add(pool, guest), "failed"
    try:
        charge(guest)
        status = "paid"
    finally:
        with psycopg.connect(pool.conninfo) as connection:
            connection.execute(UPDATE, [status, number])
    return number


def closes_what_it_gives_back(pool: Pool, charge: Charge, guest: str) -> int:
    connection = pool.getconn()
    try:
        row = connection.execute(INSERT, [guest]).fetchone()
        connection.commit()
    finally:
        connection.close()
        pool.putconn(connection)
    return with_the_rest(pool, charge, guest, int(row[0]) if row else 0)


def closes_after_all(pool: Pool, charge: Charge, guest: str) -> int:
    number = with_finally(pool, charge, guest)
    with pool.connection() as connection:
        connection.close()
    return number


def a_pool_of_its_own(pool: Pool, charge: Charge, guest: str) -> int:
    with ConnectionPool(pool.conninfo, min_size=1, max_size=1, open=True) as own:
        number = add(own, guest)
    return with_the_rest(pool, charge, guest, number)


def a_larger_pool(pool: Pool, charge: Charge, guest: str) -> int:
    pool.resize(2, 10)
    return with_finally(pool, charge, guest)


def leaves_a_setting(pool: Pool, charge: Charge, guest: str) -> int:
    with pool.connection() as connection:
        connection.execute("SET statement_timeout = '2s'")
        row = connection.execute(INSERT, [guest]).fetchone()
    return with_the_rest(pool, charge, guest, int(row[0]) if row else 0)


def leaves_a_row_factory(pool: Pool, charge: Charge, guest: str) -> int:
    with pool.connection() as connection:
        connection.row_factory = dict_row
        row = connection.execute(INSERT, [guest]).fetchone()
    return with_the_rest(pool, charge, guest, row["id"])


def leaves_serializable(pool: Pool, charge: Charge, guest: str) -> int:
    with pool.connection() as connection:
        connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
        row = connection.execute(INSERT, [guest]).fetchone()
    return with_the_rest(pool, charge, guest, int(row[0]) if row else 0)


def leaves_a_lock(pool: Pool, charge: Charge, guest: str) -> int:
    with pool.connection() as connection:
        connection.execute("SELECT pg_advisory_lock_shared(hashtext(%s))", [guest])
        row = connection.execute(INSERT, [guest]).fetchone()
    return with_the_rest(pool, charge, guest, int(row[0]) if row else 0)


def lost_if_refused_otherwise(pool: Pool, charge: Charge, guest: str) -> int:
    connection = pool.getconn()
    try:
        row = connection.execute(INSERT, [guest]).fetchone()
    except psycopg.errors.NotNullViolation:
        connection.rollback()
        pool.putconn(connection)
        raise
    connection.commit()
    pool.putconn(connection)
    return with_the_rest(pool, charge, guest, int(row[0]) if row else 0)


def raises_it_itself(pool: Pool, charge: Charge, guest: str) -> int:
    if guest is None:
        raise psycopg.errors.NotNullViolation("a guest has a name")
    return with_finally(pool, charge, guest)


def returns_in_finally(pool: Pool, charge: Charge, guest: str) -> int:
    number, status = add(pool, guest), "failed"
    try:
        charge(guest)
        status = "paid"
    finally:
        note(pool, status, number)
        return number  # noqa: B012


def raises_a_copy(pool: Pool, charge: Charge, guest: str) -> int:
    number = add(pool, guest)
    try:
        charge(guest)
    except Exception as error:
        note(pool, "failed", number)
        raise type(error)(str(error)) from error
    note(pool, "paid", number)
    return number


def by_a_cursor_and_a_stack(pool: Pool, charge: Charge, guest: str) -> int:
    with ExitStack() as stack:
        cursor = stack.enter_context(stack.enter_context(pool.connection()).cursor())
        row = cursor.execute(INSERT, [guest]).fetchone()
    number, outcome = (int(row[0]) if row else 0), ExitStack()
    outcome.callback(note, pool, "failed", number)
    with outcome:
        charge(guest)
        outcome.pop_all()
    note(pool, "paid", number)
    return number


def charged_in_a_thread(pool: Pool, charge: Charge, guest: str) -> int:
    number = add(pool, guest)
    with ThreadPoolExecutor(1) as threads:
        error = threads.submit(charge, guest).exception()
    note(pool, "failed" if error else "paid", number)
    if error:
        raise error
    return number


# 3: a report behind PgBouncer

TOP = "SELECT guest, count(*) AS n FROM booking GROUP BY guest ORDER BY n DESC, guest LIMIT 3"
LOCAL = "SET LOCAL statement_timeout = '1s'"
TRY = "SELECT pg_try_advisory_xact_lock(7)"
TEMP = "CREATE TEMP TABLE busy {} AS SELECT guest, count(*) AS n FROM booking GROUP BY guest"
BUSY = "SELECT guest, n FROM busy ORDER BY n DESC, guest LIMIT 3"
Answer = Callable[[Connection], object]


def report(
    connection: Connection,
    *,
    limit: str | None = LOCAL,
    lock: str | None = TRY,
    prepare: int | None = None,
    read: tuple[str, ...] = (TOP,),
    transaction: bool = True,
    after: str = "",
) -> object:
    """The parts of an answer, each of which can be another one."""
    if prepare != 5:
        connection.prepare_threshold = prepare
    with connection.transaction() if transaction else nullcontext():
        if limit:
            connection.execute(limit)  # type: ignore[call-overload]
        if lock:
            row = connection.execute(lock).fetchone()  # type: ignore[call-overload]
            if row[0] is False:
                return None
        for statement in read:
            cursor = connection.execute(statement)
        rows = cursor.fetchall()
        if after:
            connection.execute(after)  # type: ignore[call-overload]
        return rows


def variant(name: str, **parts: object) -> Answer:
    """An answer with other parts, and a name for its test."""
    answer = partial(report, **parts)

    def function(connection: Connection) -> object:
        return answer(connection)

    function.__name__ = name
    return function


def as_stub(connection: Connection) -> object:
    connection.execute("SET statement_timeout = '1s'")
    lock = connection.execute("SELECT pg_try_advisory_lock(7)").fetchone()
    if lock != (True,):
        return None
    connection.execute(TEMP.format(""))
    rows = connection.execute(BUSY).fetchall()
    connection.execute("SELECT pg_advisory_unlock(7)")
    return rows


def begun_by_hand(connection: Connection) -> object:
    connection.prepare_threshold = None
    connection.execute("BEGIN")
    try:
        connection.execute(LOCAL)
        if connection.execute(TRY).fetchone() != (True,):
            return None
        return connection.execute(TOP).fetchall()
    finally:
        connection.execute("ROLLBACK")


def begun_and_left(connection: Connection) -> object:
    connection.prepare_threshold = None
    connection.execute("BEGIN")
    connection.execute(LOCAL)
    if connection.execute(TRY).fetchone() != (True,):
        connection.execute("ROLLBACK")
        return None
    rows = connection.execute(TOP).fetchall()
    connection.execute("COMMIT")  # not after an error
    return rows


def left_if_locked(connection: Connection) -> object:
    connection.prepare_threshold = None
    connection.execute("BEGIN")
    connection.execute(LOCAL)
    if connection.execute(TRY).fetchone() != (True,):
        return None
    rows = connection.execute(TOP).fetchall()
    connection.execute("COMMIT")
    return rows


def by_a_cursor(connection: Connection) -> object:
    connection.prepare_threshold = None
    with connection.transaction():
        connection.execute(LOCAL)
        if connection.execute(TRY).fetchone() == (False,):
            return None
        with connection.cursor("top") as cursor:
            cursor.execute(TOP)
            return [tuple(row) for row in cursor]


def not_prepared_by_name(connection: Connection) -> object:
    with connection.transaction():
        connection.execute(LOCAL, prepare=False)
        if connection.execute(TRY, prepare=False).fetchone() == (False,):
            return None
        return connection.execute(TOP, prepare=False).fetchall()


def swallows_the_limit(connection: Connection) -> object:
    try:
        return report(connection)
    except psycopg.errors.QueryCanceled:
        return None


def closes_it(connection: Connection) -> object:
    rows = report(connection)
    connection.close()
    return rows


def no_autocommit(connection: Connection) -> object:
    connection.autocommit = False
    connection.prepare_threshold = None
    connection.execute(LOCAL)
    if connection.execute(TRY).fetchone() == (False,):
        connection.rollback()
        return None
    rows = connection.execute(TOP).fetchall()
    connection.commit()
    return rows


def with_a_python_lock() -> Answer:
    mine = threading.Lock()

    def python_lock(connection: Connection) -> object:
        if not mine.acquire(blocking=False):
            return None
        try:
            return report(connection, lock=None)
        finally:
            mine.release()

    return python_lock


def reset_afterwards(connection: Connection) -> object:
    connection.prepare_threshold = None
    connection.execute("SET statement_timeout = '1s'")
    try:
        return report(connection, limit=None)
    finally:
        connection.execute("RESET statement_timeout")


def set_and_reset_inside(connection: Connection) -> object:
    connection.prepare_threshold = None
    with connection.transaction():
        connection.execute("SET statement_timeout = '1s'")
        if connection.execute(TRY).fetchone() == (False,):
            return None
        rows = connection.execute(TOP).fetchall()
        connection.execute("RESET statement_timeout")
        return rows


def lock_in_its_own_transaction(connection: Connection) -> object:
    connection.prepare_threshold = None
    if connection.execute(TRY).fetchone() == (False,):
        return None
    return report(connection, lock=None)


def as_dictionaries(connection: Connection) -> object:
    rows = report(connection)
    assert rows is None or isinstance(rows, list)
    return rows and [{"guest": guest, "n": n} for guest, n in rows]


def remembers() -> Answer:
    known: list[object] = []

    def remembered(connection: Connection) -> object:
        if not known:
            known.append(report(connection))
        return known[0]

    return remembered


def restored(connection: Connection) -> object:
    """SET for the session, in a transaction that is always rolled back."""
    connection.prepare_threshold = None
    with connection.transaction(force_rollback=True):
        connection.execute("SET statement_timeout = '1s'")
        if connection.execute(TRY).fetchone() == (False,):
            return None
        return connection.execute(TOP).fetchall()


def a_block_without_autocommit(connection: Connection) -> object:
    connection.prepare_threshold = None
    connection.autocommit = False
    try:
        connection.execute(LOCAL)
        if connection.execute(TRY).fetchone() == (False,):
            return None
        return connection.execute(TOP).fetchall()
    finally:
        connection.rollback()
        connection.autocommit = True


def sorted_in_python(connection: Connection) -> object:
    rows = report(connection, read=("SELECT guest, count(*) FROM booking GROUP BY guest",))
    assert rows is None or isinstance(rows, list)
    return rows and sorted(rows, key=lambda row: (-row[1], row[0]))[:3]


def waits_for_a_second(connection: Connection) -> object:
    connection.prepare_threshold = None
    with connection.transaction():
        connection.execute(LOCAL)
        try:
            connection.execute("SELECT pg_advisory_xact_lock(7)")
        except psycopg.errors.QueryCanceled:
            raise psycopg.Rollback from None
        return connection.execute(TOP).fetchall()
    return None


def looks_first(connection: Connection) -> object:
    connection.prepare_threshold = None
    with connection.transaction():
        connection.execute(LOCAL)
        row = connection.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7"
        ).fetchone()
        if row != (0,):
            return None
        connection.execute("SELECT pg_advisory_xact_lock(7)")
        return connection.execute(TOP).fetchall()


def tries_again(connection: Connection) -> object:
    for _ in range(2):
        with suppress(psycopg.errors.QueryCanceled):
            return report(connection)
    return report(connection)


def leaves_dictionaries(connection: Connection) -> object:
    rows = report(connection)
    connection.row_factory = dict_row
    return rows


def leaves_a_cursor(connection: Connection) -> object:
    connection.prepare_threshold = None
    with connection.transaction():
        connection.execute(LOCAL)
        if connection.execute(TRY).fetchone() == (False,):
            return None
        connection.execute(f"DECLARE c{time.monotonic_ns()} CURSOR WITH HOLD FOR {TOP}")
        return connection.execute(TOP).fetchall()


def prepares_by_itself(connection: Connection) -> object:
    connection.prepare_threshold = None
    with connection.transaction():
        connection.execute(LOCAL)
        if connection.execute(TRY).fetchone() == (False,):
            return None
        connection.execute(f"PREPARE p{time.monotonic_ns()} AS {TOP}")
        return connection.execute(TOP).fetchall()


def or_nothing(connection: Connection) -> object:
    return report(connection) or None


EMPTIED = TEMP.format("ON COMMIT DELETE ROWS")
KEPT = TEMP.format("")
VIEW = "CREATE OR REPLACE TEMP VIEW busy AS SELECT guest, count(*) AS n FROM booking GROUP BY guest"
DROPPED = (TEMP.format("ON COMMIT DROP"), BUSY)
RIGHT = [
    (ONE, by_division),
    (ONE, by_trying),
    (TWO, with_finally),
    (TWO, with_except),
    (TWO, by_hand),
    (TWO, by_a_cursor_and_a_stack),
    (TWO, charged_in_a_thread),
]
RIGHT_3 = [
    (THREE, variant("in_one_transaction")),
    (THREE, variant("with_a_temporary_table", read=DROPPED)),
    (THREE, begun_by_hand),
    (THREE, by_a_cursor),
    (THREE, restored),
    (THREE, a_block_without_autocommit),
    (THREE, sorted_in_python),
    (THREE, variant("dropped_by_hand", read=(KEPT, BUSY), after="DROP TABLE busy")),
    (THREE, not_prepared_by_name),
    (THREE, variant("set_config", limit="SELECT set_config('statement_timeout', '900ms', true)")),
]
NOT_YET = [
    (ONE, None, "give a function"),
    (ONE, 10, "of type int"),
    (ONE, as_given, "Only 80 are free for them: 100 less 3 reserved and 17 of others"),
    (ONE, without_surge, "there are 3 + 1 copies"),
    (ONE, without_reserved, "reserved"),
    (ONE, without_others, "of others"),
    (ONE, without_processes, "2 processes each"),
    (ONE, surge_as_processes, "there are 3 + 1 copies"),
    (ONE, more_than_threads, "A process has 8 threads"),
    (ONE, below_zero, "cannot be smaller than 0"),
    (ONE, at_least_one, "it returned 1. During a deployment"),
    (ONE, a_fraction, "whole number"),
    (ONE, rounded, "During a deployment"),
    (ONE, rounded_up, "During a deployment"),
    (ONE, one_spare, "10 would fit, too"),
    (ONE, a_tenth_spare, "10 would fit, too"),
    (ONE, always_ten, "During a deployment"),
    (ONE, by_threads, "10 would fit, too"),
    (ONE, of_the_whole_site, "A process has 20 threads"),
    (ONE, a_text, "whole number"),
    (ONE, printed, "returned None"),
    (ONE, misspelt, "KeyError"),
    (ONE, changes_the_fleet, "would fit, too"),
    (TWO, None, "give a function"),
    (TWO, "UPDATE booking SET status = 'paid'", "of type str"),
    (TWO, in_one_block, "your function held a connection"),
    (TWO, kept_for_later, "your function held a connection"),
    (TWO, lost_if_refused, "which PostgreSQL refuses, and afterwards 1 of 2 connections had not"),
    (TWO, lost_if_paid, "charge returned, and afterwards 1 of 2 connections had not"),
    (TWO, lost_if_failed, "charge raised ConnectionError, and afterwards 1 of 2"),
    (TWO, stays_pending, "('Amina', 'failed')]"),
    (TWO, swallows, "the caller has to get the error of charge"),
    (TWO, another_error, "raised RuntimeError: not paid; the caller"),
    (TWO, some_errors, "charge raised _ProviderError. Afterwards"),
    (TWO, by_guest, "expected is [('Amina', 'paid'), ('Amina', 'failed')]"),
    (TWO, all_pending, "expected is [('Amina', 'paid'), ('Amina', 'failed')]"),
    (TWO, not_committed, "other clients saw the bookings []"),
    (TWO, charged_first, "other clients saw the bookings []"),
    (TWO, paid_at_once, "other clients saw the bookings [('Amina', 'paid')]"),
    (TWO, deletes, "expected is [('Amina', 'paid'), ('Amina', 'failed')]"),
    (TWO, closes_the_pool, "closed the pool"),
    (TWO, closes_connections, "connection"),
    (TWO, connects_itself, "not of the pool"),
    (TWO, tries_twice, "charge was called 2 times"),
    (TWO, never_charges, "charge was called 0 times"),
    (TWO, charges_the_booking, "charge was called with 1"),
    (TWO, in_a_thread, "charge was called 0 times"),
    (TWO, returns_the_row, "the id of the booking is 1, and it returned (1,)"),
    (TWO, returns_nothing, "returned None"),
    (TWO, hides_a_refusal, "the guest was None, which PostgreSQL refuses, and your function ret"),
    (TWO, checks_the_guest, "raised ValueError"),
    (TWO, fills_in_a_name, "charge was called, though the guest was None"),
    (TWO, leaves_autocommit, "autocommit was False, and is True"),
    (TWO, by_an_f_string, "O'Hara; Amina booked, and charge was called 0 times"),
    (TWO, by_pending_guest, "the same guest booked again. Afterwards the bookings are"),
    (TWO, whatever_is_pending, "the same guest booked again. Afterwards the bookings are"),
    (TWO, the_last_one, "the same guest booked again. Afterwards the bookings are"),
    (TWO, returns_the_last_one, "the same guest booked again. The id of one booking is 13, and"),
    (TWO, one_at_a_time, "This second call had to wait"),
    (TWO, in_a_global, "the same guest booked again. Afterwards"),
    (TWO, two_at_once, "it takes a second connection while it has one"),
    (TWO, connects_before, "a connection that"),
    (TWO, connects_afterwards, "a connection that"),
    (TWO, closes_what_it_gives_back, "a connection that"),
    (TWO, closes_after_all, "a connection that"),
    (TWO, a_pool_of_its_own, "a connection that"),
    (TWO, a_larger_pool, "changed the size of the pool"),
    (TWO, leaves_a_setting, "statement_timeout = 2000"),
    (TWO, leaves_a_row_factory, "row_factory was tuple_row, and is dict_row"),
    (TWO, leaves_serializable, "isolation_level was None, and is SERIALIZABLE"),
    (TWO, leaves_a_lock, "its advisory locks was 0, and is 1"),
    (
        TWO,
        lost_if_refused_otherwise,
        "the guest was '', which PostgreSQL refuses, and afterwards 1 of 2",
    ),
    (TWO, raises_it_itself, "the caller has to get PostgreSQL's error"),
    (TWO, returns_in_finally, "the caller has to get the error of charge"),
    (TWO, raises_a_copy, "the caller has to get the error of charge"),
    (TWO, sleeps_for_ever, "had not come to an end after 10 seconds"),
]
SESSION_LOCK = "SELECT pg_try_advisory_lock(7)"
NOT_YET_3 = [
    (THREE, None, "give a function"),
    (THREE, TOP, "of type str"),
    (THREE, as_stub, "at call 1 on the same connection, it failed: relation"),
    (THREE, variant("prepares", prepare=5), "prepared statement"),
    (THREE, variant("sets_for_the_session", limit="SET statement_timeout = '1s'"), "has statement"),
    (THREE, variant("no_transaction", transaction=False), "advisory lock 7"),
    (THREE, variant("lock_of_the_session", lock=SESSION_LOCK), "an advisory lock is left"),
    (
        THREE,
        variant("unlocked_but_not_after_an_error", lock=SESSION_LOCK,
                after="SELECT pg_advisory_unlock(7)"),
        "after a statement was stopped, an advisory lock is left",
    ),
    (THREE, variant("no_lock", lock=None), "another client held the advisory lock 7"),
    (THREE, variant("waits", lock="SELECT pg_advisory_xact_lock(7)"), "waited for it"),
    (
        THREE,
        variant("waits_without_limit", limit=None, lock="SELECT pg_advisory_xact_lock(7)"),
        "had not come to an end",
    ),
    (THREE, variant("another_number", lock="SELECT pg_try_advisory_xact_lock(8)"), "returned ["),
    (THREE, variant("shared", lock="SELECT pg_try_advisory_xact_lock_shared(7)"), "a second"),
    (THREE, variant("no_limit", limit=None), "its limit of one second did not hold"),
    (THREE, variant("milliseconds", limit="SET LOCAL statement_timeout = 10000"), "did not hold"),
    (
        THREE,
        variant("of_idle_ones", limit="SET LOCAL idle_in_transaction_session_timeout = '1s'"),
        "did not hold",
    ),
    (THREE, variant("kept_table", read=(KEPT, BUSY)), "a temporary table busy is left"),
    (
        THREE,
        variant("if_not_exists", read=(KEPT.replace("TABLE", "TABLE IF NOT EXISTS"), BUSY)),
        "a temporary table busy is left",
    ),
    (THREE, variant("rows_deleted", read=(EMPTIED, BUSY)), "temporary"),
    (THREE, variant("a_real_table", read=(KEPT.replace("TEMP ", ""), BUSY)), "it failed"),
    (THREE, variant("in_another_order", read=(TOP.replace(", guest L", " L"),)), "expected is"),
    (THREE, variant("of_all", read=(TOP.replace("LIMIT 3", ""),)), "expected is"),
    (THREE, begun_and_left, "after a statement was stopped, a transaction is still open"),
    (THREE, left_if_locked, "a transaction is still open"),
    (THREE, swallows_the_limit, "do not catch the error"),
    (THREE, closes_it, "the connection is closed"),
    (THREE, no_autocommit, "no longer in autocommit"),
    (THREE, with_a_python_lock(), "another client held the advisory lock 7"),
    (THREE, reset_afterwards, "did not hold"),
    (THREE, set_and_reset_inside, "has statement_timeout = 1000"),
    (THREE, lock_in_its_own_transaction, "it did not hold the advisory lock 7"),
    (THREE, as_dictionaries, "expected is"),
    (THREE, waits_for_a_second, "waited for it, instead of"),
    (THREE, looks_first, "before your function did, and your function waited for it"),
    (THREE, tries_again, "came back only after more than 1.8 seconds"),
    (THREE, leaves_dictionaries, "another row_factory"),
    (THREE, leaves_a_cursor, "a cursor, a prepared statement or a LISTEN is left"),
    (THREE, prepares_by_itself, "a cursor, a prepared statement or a LISTEN is left"),
    (THREE, or_nothing, "it returned None; expected is []"),
    (
        THREE,
        variant("two_seconds", limit="SET LOCAL statement_timeout = '2s'"),
        "only after more than 1.8 seconds",
    ),
    (
        THREE,
        variant("three_seconds", limit="SET LOCAL statement_timeout = 3000"),
        "only after more than 1.8 seconds",
    ),
    (
        THREE,
        variant("ten_milliseconds", limit="SET LOCAL statement_timeout = 10"),
        "canceling statement due to statement timeout",
    ),
    (
        THREE,
        variant("tenth", limit="SET LOCAL statement_timeout = '100ms'"),
        "less than half a second was stopped",
    ),
    (
        THREE,
        variant("of_the_transaction", limit="SET LOCAL transaction_timeout = '1s'"),
        "due to transaction timeout",
    ),
    (THREE, variant("of_locks", limit="SET LOCAL lock_timeout = '1s'"), "due to lock timeout"),
    (
        THREE,
        variant("other_setting_left", limit=f"{LOCAL}; SET lock_timeout = '1s'"),
        "has lock_timeout = 1000",
    ),
    (
        THREE,
        variant("work_mem_left", limit=f"{LOCAL}; SET work_mem = '64MB'"),
        "has work_mem = 65536",
    ),
    (
        THREE,
        variant("not_local", limit="SELECT set_config('statement_timeout', '1s', false)"),
        "has statement_timeout = 1000",
    ),
    (THREE, variant("kept_view", read=(VIEW, BUSY)), "a temporary view busy is left"),
    (
        THREE,
        variant("truncated", read=(KEPT, BUSY), after="TRUNCATE busy"),
        "a temporary table busy is left",
    ),
    (THREE, variant("listens", after="LISTEN news"), "or a LISTEN is left"),
    (
        THREE,
        variant("of_two_keys", lock="SELECT pg_try_advisory_xact_lock(0, 7)"),
        "another client held the advisory lock 7",
    ),
    (
        THREE,
        variant("of_two_keys_7", lock="SELECT pg_try_advisory_xact_lock(7, 0)"),
        "another client held the advisory lock 7",
    ),
    (
        THREE,
        variant("of_the_role", limit="ALTER ROLE CURRENT_USER SET statement_timeout = '1s'"),
        "had not come to an end",
    ),
    (THREE, remembers(), "at call 2 on the same connection, it returned"),
]  # fmt: skip

test_right, test_not_yet = tables.tests(RIGHT, NOT_YET)
_right_3, _not_yet_3 = tables.tests(RIGHT_3, NOT_YET_3)
with_pgbouncer = need("pgbouncer")
test_right_3, test_not_yet_3 = with_pgbouncer(_right_3), with_pgbouncer(_not_yet_3)
