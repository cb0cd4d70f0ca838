"""Looks at a database, read-only and within a time limit, and says what it found."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import errors, sql
from psycopg.rows import dict_row

SQL = Path(__file__).parent / "sql"
OLDEST = 140000
"""The oldest PostgreSQL that this was made for, as the server numbers its versions."""
LOCK_TIMEOUT = 1000
"""Milliseconds to wait for a locked table; whoever queues behind this waits as long."""

Row = dict[str, Any]


class LookError(Exception):
    """The database cannot be looked at. The text says why, and what to do."""


@dataclass(frozen=True)
class Section:
    """One question, and the rows that answer it.

    Attributes:
        name: names the section in JSON, and its query in `sql/`.
        title: its heading.
        advice: what to consider before acting on a row.
        rows: what was found.
        note: why there is nothing to see, if that is not because all is well.
        information: whether the rows are there to be read and are no findings.
    """

    name: str
    title: str
    advice: str
    rows: tuple[Row, ...] = ()
    note: str = ""
    information: bool = False


@dataclass(frozen=True)
class Report:
    """What was found in one database.

    Attributes:
        server: the version of PostgreSQL.
        database: its name.
        counted_since: when its statistics were last reset; None if they never were.
        replica: whether the server is a replica.
        sections: the questions, in the order in which they are printed.
    """

    server: str
    database: str
    counted_since: datetime | None
    replica: bool
    sections: tuple[Section, ...]

    @property
    def findings(self) -> int:
        """How many rows call for a decision."""
        return sum(len(section.rows) for section in self.sections if not section.information)


STATEMENTS = Section(
    "slow-queries",
    "Costliest statements",
    "By buffers, which are pages of 8 kB asked for. Try the first ones with EXPLAIN (ANALYZE, "
    "BUFFERS).",
    information=True,
)
FINDINGS = (
    Section(
        "unused-indexes",
        "Unused indexes",
        "Before you drop one: has the counter seen a month's end? Does a replica use it? Each "
        "replica counts for itself. Primary keys, unique indexes and exclusion constraints are "
        "not listed: they refuse rows.",
    ),
    Section(
        "superfluous-indexes",
        "Superfluous indexes",
        "Another index can find all that these find. It is larger: compare the plans, then DROP "
        "INDEX CONCURRENTLY.",
    ),
    Section(
        "invalid-indexes",
        "Invalid indexes",
        "No query uses them. A unique one failed because of rows that exist twice: mend those "
        "first.",
    ),
    Section(
        "indexes-larger-than-their-table",
        "Indexes larger than their table",
        "Wide columns or expressions, or room left by deleted rows: REINDEX INDEX CONCURRENTLY "
        "makes only the latter smaller.",
    ),
    Section(
        "foreign-keys-without-index",
        "Foreign keys without an index",
        "Deleting a row of the table referred to reads the whole table that refers to it.",
    ),
)


def look(url: str, *, timeout: float = 30) -> Report:
    """Looks at a database.

    Args:
        url: where it is: a connection URL, or libpq's key=value pairs. What it leaves out comes
            from libpq's variables, such as PGHOST.
        timeout: seconds that connecting may take, and then each query.

    Returns:
        What was found.

    Raises:
        LookError: if there is no such database, or it cannot be looked at.
    """
    with _connect(url, timeout) as connection:
        try:
            _must_be_postgresql(connection)
            with connection.transaction():
                milliseconds = (
                    ("statement_timeout", timeout * 1000),
                    ("lock_timeout", LOCK_TIMEOUT),
                )
                for name, value in milliseconds:
                    connection.execute("SELECT set_config(%s, %s, true)", [name, str(int(value))])
                # Names are printed with their schema, and nobody's functions stand before ours.
                connection.execute("SET LOCAL search_path = pg_catalog")
                return _report(connection)
        except errors.QueryCanceled as error:
            raise LookError(
                f"A query was ended after {timeout:g} s. Give it longer with --timeout."
            ) from error
        except errors.LockNotAvailable as error:
            raise LookError(
                "A table is locked, perhaps by a migration. Try again when that is over; "
                "pg_blocking_pids() tells who holds the lock."
            ) from error
        except psycopg.Error as error:
            raise LookError(f"The server ended the look: {_first_line(error)}") from error


HINTS = (
    ("password authentication failed", "Wrong user or password: see PGPASSWORD or ~/.pgpass."),
    ("no password supplied", "The server wants a password: set PGPASSWORD, or use ~/.pgpass."),
    ("permission denied for database", "Ask its owner for: GRANT CONNECT ON DATABASE … TO …"),
    ("no pg_hba.conf entry", "The server does not let this user in from here: see pg_hba.conf."),
    ("SSL negotiation", "What answers there is not PostgreSQL: check host and port."),
    ("expected authentication request", "What answers there is not PostgreSQL: check the port."),
    ("timeout", "Nothing that speaks PostgreSQL answers there: check host and port."),
    ("Connection refused", "No server listens there: is it running, and are host and port right?"),
    ("No such file or directory", "There is no server's socket: is it running on this machine?"),
    ("resolve host", "There is no host of this name."),
    ("translate host", "There is no host of this name."),
    ("does not exist", "Check the names of user and database."),
)
"""What to do, by a part of the message. A server in another language gets its message only."""


def _connect(url: str, timeout: float) -> "psycopg.Connection[Row]":
    """Connects, for reading only."""
    try:
        options = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        # The library's message repeats what it was given, password included.
        raise LookError(
            "This is no connection URL. It should look like postgresql://user@host:5432/database"
        ) from None
    options.setdefault("connect_timeout", max(2, int(timeout)))
    options.setdefault("application_name", "index-report")
    try:
        # PgBouncer may give each transaction another server connection: prepare nothing.
        connection = psycopg.connect(
            **options, autocommit=True, prepare_threshold=None, row_factory=dict_row
        )
    except psycopg.Error as error:
        text = str(error)
        hint = next((hint for part, hint in HINTS if part in text), "")
        raise LookError(f"Cannot connect: {_first_line(error)}\n{hint}".rstrip()) from error
    connection.read_only = True
    return connection


def _must_be_postgresql(connection: "psycopg.Connection[Row]") -> None:
    """Refuses other servers that speak PostgreSQL's protocol, and versions that are too old."""
    version = connection.execute("SELECT version() AS version").fetchone()["version"]
    if not version.startswith("PostgreSQL ") or "Redshift" in version:
        raise LookError(f"This is not PostgreSQL, but: {version}")
    if connection.info.server_version < OLDEST:
        raise LookError(f"PostgreSQL {OLDEST // 10000} or newer is needed. This is {version}")


def _report(connection: "psycopg.Connection[Row]") -> Report:
    about = connection.execute(
        "SELECT current_setting('server_version') AS server, current_database() AS database,"
        " pg_is_in_recovery() AS replica, stats_reset AS counted_since"
        " FROM pg_stat_database WHERE datname = current_database()"
    ).fetchone()
    return Report(**about, sections=(_statements(connection), *_findings(connection)))


def _findings(connection: "psycopg.Connection[Row]") -> Iterator[Section]:
    for section in FINDINGS:
        yield _with(section, rows=_rows(connection, section))


def _statements(connection: "psycopg.Connection[Row]") -> Section:
    """The costliest statements, or why they are not known."""
    extension = connection.execute(
        "SELECT nspname FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace"
        " WHERE extname = 'pg_stat_statements'"
    ).fetchone()
    if not extension:
        return _with(
            STATEMENTS,
            note="Not known: pg_stat_statements is not there. Add it to shared_preload_libraries, "
            "restart, and run CREATE EXTENSION pg_stat_statements.",
        )
    path = sql.SQL("SET LOCAL search_path = pg_catalog, {}").format(
        sql.Identifier(extension["nspname"])
    )
    try:
        with connection.transaction():
            connection.execute(path)
            rows = _rows(connection, STATEMENTS)
            connection.execute("SET LOCAL search_path = pg_catalog")
    except errors.ObjectNotInPrerequisiteState:
        return _with(
            STATEMENTS,
            note="Not known: pg_stat_statements was created here, but the server has not loaded "
            "it. Add it to shared_preload_libraries and restart.",
        )
    except errors.InsufficientPrivilege:
        return _with(STATEMENTS, note="Not known: this role may not read pg_stat_statements.")
    return _with(STATEMENTS, rows=rows)


def _rows(connection: "psycopg.Connection[Row]", section: Section) -> tuple[Row, ...]:
    query = (SQL / f"{section.name}.sql").read_text("utf-8")
    return tuple(connection.execute(query.encode()).fetchall())


def _with(section: Section, **changes: Any) -> Section:  # noqa: ANN401
    return Section(**{**vars(section), **changes})


def _first_line(error: psycopg.Error) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
