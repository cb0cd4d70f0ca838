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

from nexus.judging import limits
from nexus.judging.verdict import NotYet
from nexus.services import Postgres, current

Connection = psycopg.Connection[Any]
_templates: dict[tuple[str, str], int] = {}
"""How many databases were made from the template of a server (its directory) and a name."""


@dataclass(frozen=True)
class Sandbox:
    """A database made for one judgement.

    Attributes:
        admin: the judge's connection, which no setting of the answer's role reaches.
        learner: the answer's connection.
    """

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
        """Cancels what the answer runs on its connection when it takes too long; see `watched`."""
        with watched(self.learner):
            yield


@contextmanager
def watched(connection: Connection) -> Iterator[None]:
    """Cancels what runs on a connection when it takes too long; no setting of it prevents that.

    Raises:
        NotYet: if it was cancelled.
    """
    watchdog = threading.Timer(limits.SECONDS, connection.cancel)
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    except psycopg.errors.QueryCanceled:
        raise NotYet(f"it was stopped after {limits.SECONDS:g} seconds") from None
    finally:
        watchdog.cancel()


@contextmanager
def another(box: Sandbox) -> Iterator[Connection]:
    """A second connection of the answer's role, as a second client would have."""
    server = cast(Postgres, current("postgres"))
    info = box.learner.info
    with server.connect(dbname=info.dbname, user=info.user, autocommit=True) as connection:
        yield connection


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
        if key not in _templates:
            make_template(server, cluster, name, build)
            _templates[key] = 0
        _templates[key] += 1
        own = f"{name}_{_templates[key]}"
        role, template = sql.Identifier(own), sql.Identifier(name)
        cluster.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
        cluster.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(role, template))
        try:
            with (
                server.connect(dbname=own, autocommit=True) as admin,
                server.connect(dbname=own, user=own, autocommit=True) as learner,
            ):
                give(admin, role)
                yield Sandbox(admin, learner)
        finally:
            cluster.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(role))
            with suppress(psycopg.Error):
                cluster.execute(sql.SQL("DROP ROLE {}").format(role))


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
