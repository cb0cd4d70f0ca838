"""Threads that begin at the same moment, and transactions that are seen to wait."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar
from uuid import UUID

from django.db import connection, transaction

T = TypeVar("T")
DEADLINE = 300  # seconds; a guard against hanging, whatever the load is


def race(action: Callable[[int], T], threads: int) -> list[T | Exception]:
    """Call an action in many threads at once, each with its own database connection."""
    barrier = threading.Barrier(threads)

    def one(number: int) -> T | Exception:
        try:
            connection.ensure_connection()
            barrier.wait(DEADLINE)
            return action(number)
        except Exception as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, range(threads), timeout=DEADLINE))


@contextmanager
def background() -> Iterator[Callable[..., "Future[Any]"]]:
    """Run actions in threads of their own, which are over when the block is."""

    def closed(action: Callable[..., Any], *args: Any, **options: Any) -> Any:
        try:
            return action(*args, **options)
        finally:
            connection.close()

    with ThreadPoolExecutor() as pool:
        yield lambda action, *args, **options: pool.submit(closed, action, *args, **options)


def until(condition: Callable[[], Any]) -> Any:
    """Wait for a condition."""
    ends = time.monotonic() + DEADLINE
    while time.monotonic() < ends:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError("the condition was never met")


def waiting(mode: str) -> int:
    """How many transactions of this database wait for an advisory lock in a mode."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            " AND mode = %s AND database = (SELECT oid FROM pg_database"
            " WHERE datname = current_database())",
            [mode],
        )
        return int(cursor.fetchone()[0])


VOTER, ALONE = "ShareLock", "ExclusiveLock"


@contextmanager
def alone_with(poll: UUID) -> Iterator[None]:
    """Hold a poll's lock, in a transaction that commits at the end."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(polls_lock_key(%s))", [poll])
        yield


def let_the_deadline_pass(poll: UUID) -> None:
    """Move a poll's deadline to this moment: to everybody else, time has passed.

    The triggers, which forbid it, do not run for a replica.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("UPDATE polls_poll SET closes_at = clock_timestamp() WHERE id = %s", [poll])
        cursor.execute("SET session_replication_role = DEFAULT")
