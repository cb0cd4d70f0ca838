"""A PostgreSQL server for the whole run, and a database of its own for each test.

The server is the wheel's, PostgreSQL 18. To test on another version, name one in
TEST_DATABASE_URL: a superuser's, with pg_stat_statements loaded.
"""

import os
import signal
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext

import psycopg
import pytest
from index_report.demo import throwaway_server
from index_report.report import FINDINGS, STATEMENTS, Row, Section, look
from psycopg.conninfo import make_conninfo

Query = Callable[[str], Sequence[Row]]


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_is_heard() -> None:
    """A shell lets what it starts in the background ignore SIGINT, and children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    named = os.environ.get("TEST_DATABASE_URL")
    with nullcontext(named) if named else throwaway_server() as url:
        yield url


@pytest.fixture
def name() -> str:
    """A name that no other test has, for roles and databases."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def database(server: str, name: str) -> Iterator[str]:
    """The connection URL of a new database."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield make_conninfo(server, dbname=name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def db(database: str) -> Iterator[psycopg.Connection]:
    """A connection to the new database."""
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def section(database: str) -> Callable[[str], Section]:
    """Looks, and gives one section."""

    def get(wanted: str) -> Section:
        assert wanted in {section.name for section in (STATEMENTS, *FINDINGS)}
        return next(found for found in look(database).sections if found.name == wanted)

    return get
