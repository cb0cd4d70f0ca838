"""A database of its own for each judgement, so that no answer can spoil another's, or the chapter.

The answer runs as a role that owns the tables of its database and nothing else; it is cancelled
when it takes too long; and database and role are dropped when the judgement is over.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast

import psycopg
import sqlparse
from psycopg import sql

from nexus.judging import limits, memory
from nexus.judging.verdict import NotYet
from nexus.services import MariaDB, Postgres, Valkey, current, mariadb, valkey

Connection = psycopg.Connection[Any]

KINDLY = 0.2
"""Seconds that a statement has to end after it was cancelled: it may catch that."""

_templates: dict[tuple[str, str], int] = {}
"""How many databases were made from the template of a server (its directory) and a name."""


@contextmanager
def own_valkey(*, tcp: bool = False) -> Iterator[Valkey]:
    """A Valkey for one judgement; it is gone as soon as the answer's time is over.

    Args:
        tcp: whether it listens at 127.0.0.1, for programs that know no socket.
    """
    with valkey(tcp=tcp) as server, limits.when_late(server.kill):
        yield server


@contextmanager
def own_mariadb(**settings: Any) -> Iterator[MariaDB]:  # noqa: ANN401 (the server's own)
    """A MariaDB for one judgement; it is gone as soon as the answer's time is over.

    Args:
        **settings: the server's own settings, as for `nexus.mariadb`.
    """
    with mariadb(**settings) as server, limits.when_late(server.kill):
        yield server


@dataclass(frozen=True)
class Sandbox:
    """A database made for one judgement.

    Attributes:
        server: the PostgreSQL that it is on.
        admin: the judge's connection, which no setting of the answer's role reaches.
        learner: the answer's connection.
    """

    server: Postgres
    admin: Connection
    learner: Connection

    def run(self, statements: str) -> None:
        """Runs an answer as the role that owns the tables.

        Raises:
            NotYet: if it takes too long.
            psycopg.Error: if PostgreSQL refuses it.
        """
        with self.watched():
            for statement in sqlparse.split(statements):
                # One by one: CREATE INDEX CONCURRENTLY refuses to run in a transaction.
                self.learner.execute(statement)  # type: ignore[arg-type]

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Stops what the answer runs on its connection when it takes too long; see `watched`."""
        with watched(self, self.learner):
            yield

    def stop(self, *connections: Connection) -> None:
        """Ends sessions from outside, whatever they do or wait for; by default all of the answer's.

        Whoever waits for them in another thread comes back. The judge's own session stays.
        """
        pids = [connection.info.backend_pid for connection in connections if not connection.closed]
        own = self.admin.info
        with self.server.connect(dbname=own.dbname, autocommit=True) as another_one:
            another_one.execute(
                "SELECT pg_terminate_backend(pid, 500) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid NOT IN (pg_backend_pid(), %s) "
                "AND (pid = ANY(%s) OR %s)",
                [own.backend_pid, pids, not connections],
            )


def django_settings(connection: Connection) -> dict[str, str]:
    """Django's settings of the database, and of the role, that a connection is on."""
    info = connection.info
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": info.dbname,
        "USER": info.user,
        "PASSWORD": info.password,
        "HOST": info.host,
        "PORT": str(info.port),
    }


@contextmanager
def watched(box: Sandbox, connection: Connection) -> Iterator[None]:
    """Stops what runs on a connection when it takes too long; no setting of it prevents that.

    It is cancelled; and ended, if it goes on all the same.

    Raises:
        NotYet: if it was stopped.
    """
    left = threading.Event()

    def stop() -> None:
        with suppress(psycopg.Error):
            connection.cancel_safe(timeout=1)
        if not left.wait(KINDLY):
            box.stop(connection)

    memory.hold()  # rows come in the kernel's memory
    try:
        with limits.watchdog(stop, limits.SECONDS) as fired:
            try:
                yield
            except psycopg.Error:
                if fired.is_set():
                    raise NotYet(f"it was stopped after {limits.SECONDS:g} seconds") from None
                raise
            finally:
                left.set()
    finally:
        memory.let_go()


def keeps_a_lock(box: Sandbox, connection: Connection) -> bool:
    """Whether a session still has an advisory lock, which no end of a transaction gives back.

    A judge closes the connection soon, and that hides it. A worker, or a pool, does not. The
    question has a connection of its own, since it is asked in other processes, too.
    """
    query = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND pid = %s"
    with box.server.connect(dbname=box.learner.info.dbname, autocommit=True) as another_one:
        return another_one.execute(query, [connection.info.backend_pid]).fetchone() is not None


@contextmanager
def another(box: Sandbox) -> Iterator[Connection]:
    """A second connection of the answer's role, as a second client would have."""
    info = box.learner.info
    connection = box.server.connect(dbname=info.dbname, user=info.user, autocommit=True)
    try:
        yield connection
    finally:
        _let_go(box, connection)


def _let_go(box: Sandbox, connection: Connection) -> None:
    """Closes a connection without waiting for who may still use it.

    psycopg's own `with` begins with a ROLLBACK, and waits for the lock of a statement that runs.
    """
    if connection.info.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
        box.stop(connection)
    connection.close()


@contextmanager
def database(name: str, build: Callable[[Connection], None]) -> Iterator[Sandbox]:
    """A fresh database on the PostgreSQL that is running, dropped at the end.

    Args:
        name: the template's name; it is built once for each server.
        build: makes the tables; gets a superuser's connection to the empty template.

    Yields:
        The sandbox.

    Raises:
        ServiceError: if no PostgreSQL is running.
    """
    server = cast(Postgres, current("postgres"))
    key = (str(server.directory), name)
    with server.connect(autocommit=True) as cluster:
        with limits.undisturbed():
            if key not in _templates:
                make_template(server, cluster, name, build)
                _templates[key] = 0
            _templates[key] += 1
            own = f"{name}_{_templates[key]}"
            role, template = sql.Identifier(own), sql.Identifier(name)
            cluster.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
            cluster.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(role, template))
        try:
            with _sessions(server, own) as box, limits.when_late(box.stop):
                give(box.admin, role)
                yield box
        finally:
            with limits.undisturbed():
                cluster.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(role))
                with suppress(psycopg.Error):
                    cluster.execute(sql.SQL("DROP ROLE {}").format(role))


@contextmanager
def _sessions(server: Postgres, name: str) -> Iterator[Sandbox]:
    """The judge's and the answer's session in a database."""
    admin = server.connect(dbname=name, autocommit=True)
    try:
        # The judge may meet a lock that an answer holds, or a trigger of its.
        milliseconds = round(1000 * limits.SECONDS)
        admin.execute(f"SET statement_timeout = {milliseconds}")  # type: ignore[arg-type]
        learner = server.connect(dbname=name, user=name, autocommit=True)
        box = Sandbox(server, admin, learner)
        try:
            yield box
        finally:
            _let_go(box, learner)
    finally:
        admin.close()


def make_template(
    server: Postgres, cluster: Connection, name: str, build: Callable[[Connection], None]
) -> None:
    """Builds the database that each judgement gets a copy of."""
    identifier = sql.Identifier(name)
    cluster.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(identifier))
    cluster.execute(sql.SQL("CREATE DATABASE {}").format(identifier))
    with server.connect(dbname=name, autocommit=True) as connection:
        build(connection)


def give(admin: Connection, role: sql.Identifier) -> None:
    """Makes a role the owner of all tables in the schema public, and lets it create more."""
    admin.execute(sql.SQL("GRANT ALL ON SCHEMA public TO {}").format(role))
    tables = admin.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    for (table,) in tables:
        admin.execute(sql.SQL("ALTER TABLE {} OWNER TO {}").format(sql.Identifier(table), role))
