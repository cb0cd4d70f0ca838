"""Clients that meet inside a statement: locks are held from outside until all wait for them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Thread

import psycopg

from nexus.judging.sandbox import Connection, Sandbox
from nexus.services.process import wait_for

PATIENCE = 2.0
"""How long to wait for clients to wait for a lock: who asks again and again never does."""


@contextmanager
def holding(box: Sandbox, *statements: str) -> Iterator[Connection]:
    """Holds what some statements lock, in a session of the judge's own.

    Args:
        box: where.
        statements: such as `SELECT … FOR UPDATE` or `LOCK TABLE …`.

    Yields:
        The session. A commit lets go; leaving the block does too.
    """
    connection = box.server.connect(dbname=box.admin.info.dbname)
    try:
        connection.execute("SET statement_timeout = '2s'")  # an answer may hold it already
        for statement in statements:
            connection.execute(statement)  # type: ignore[arg-type]
        yield connection
    finally:
        connection.close()


@contextmanager
def queueing(box: Sandbox, statement: str) -> Iterator[None]:
    """Has a session of the judge's own ask for a lock, and keep it until the block ends.

    PostgreSQL gives locks in the order in which they were asked for. So who waits already comes
    first, and who asks within the block comes after it.

    Args:
        box: where.
        statement: such as `LOCK TABLE …`.
    """
    connection = box.server.connect(dbname=box.admin.info.dbname)
    number = connection.info.backend_pid

    def ask() -> None:
        with suppress(psycopg.Error):  # it is cancelled, if its turn never comes
            connection.execute(statement)  # type: ignore[arg-type]

    def has_asked() -> bool:
        blockers = box.admin.execute("SELECT cardinality(pg_blocking_pids(%s))", [number])
        return not asking.is_alive() or blockers.fetchone() != (0,)

    asking = Thread(target=ask)
    asking.start()
    try:
        with suppress(TimeoutError):
            wait_for(has_asked, PATIENCE, "the judge's session to have its lock, or to wait for it")
        yield
    finally:
        if asking.is_alive():
            connection.cancel_safe()
        asking.join()
        connection.close()


def waiting(box: Sandbox) -> set[int]:
    """The sessions of the answer's role that wait for a lock, by their backends' numbers."""
    found = box.admin.execute(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND usename = %s "
        "AND cardinality(pg_blocking_pids(pid)) > 0",
        [box.learner.info.user],
    )
    return {pid for (pid,) in found}


def come_to_rest(box: Sandbox, going: Sequence[Callable[[], bool]]) -> bool:
    """Waits until each client has ended or waits for a lock.

    Args:
        box: where.
        going: for each client, whether it has not come to its end.

    Returns:
        Whether that came about; who asks again and again never rests.
    """
    with suppress(TimeoutError):
        wait_for(
            lambda: len(waiting(box)) >= sum(is_going() for is_going in going),
            PATIENCE,
            "clients to wait or to end",
        )
        return True
    return False
