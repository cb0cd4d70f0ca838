"""Every query for a report gives the right rows on a real server."""

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

import nexus

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "snippets" / "sql"
SNIPPETS = sorted(path.stem for path in FOLDER.glob("*.sql"))

Database = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture(scope="module")
def server() -> Iterator[Database]:
    with nexus.postgres(fsync="off") as pg, pg.connect(autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_trgm")
        yield connection


@pytest.fixture
def db(server: Database) -> Iterator[Database]:
    """A connection of which nothing stays."""
    with server.transaction(force_rollback=True):
        yield server


def run(db: Database, snippet: str) -> list[tuple[Any, ...]]:
    return db.execute((FOLDER / f"{snippet}.sql").read_bytes()).fetchall()


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_the_head_says_what_it_answers_from_which_version_and_what_to_watch_out_for(
    snippet: str,
) -> None:
    text = (FOLDER / f"{snippet}.sql").read_text()
    assert re.match(r"-- [A-Z].*\?\n--\n-- PostgreSQL \d\d or newer", text)
    assert "\n-- Watch out:\n-- * " in text


def test_the_list_has_every_query_once() -> None:
    page = (ROOT / "snippets" / "README.md").read_text()
    listed = re.findall(r"^\| \[[^\]]+\]\(sql/([\w-]+)\.sql\)", page, re.MULTILINE)
    assert sorted(listed) == SNIPPETS


def test_sessions(db: Database) -> None:
    db.execute("CREATE TABLE page_view (visitor int, at timestamptz)")
    db.execute("""
        INSERT INTO page_view VALUES
            (1, '2026-03-01 10:00Z'), (1, '2026-03-01 10:30Z'), (1, '2026-03-01 11:00:01Z'),
            (1, '2026-03-01 11:00:01Z'), (2, '2026-03-01 10:10Z'), (1, '2026-03-02 09:00Z')
    """)
    rows = [(visitor, visit, pages) for visitor, visit, _, _, pages in run(db, "sessions")]
    # Exactly 30 minutes are still one visit, a second more is not.
    assert rows == [(1, 1, 2), (1, 2, 2), (1, 3, 1), (2, 1, 1)]


def test_retention(db: Database) -> None:
    db.execute("CREATE TABLE booking (guest_id int, created_at timestamptz)")
    db.execute("""
        INSERT INTO booking VALUES
            (1, '2026-01-10 00:00Z'), (1, '2026-01-11 00:00Z'), (1, '2026-02-11 00:00Z'),
            (1, '2026-02-12 00:00Z'), (1, '2026-04-12 00:00Z'), (2, '2026-01-10 00:00Z'),
            (3, '2026-01-20 00:00Z'), (3, '2026-03-20 00:00Z'),
            (4, '2026-01-31 23:30Z'), (4, '2026-02-28 23:30Z'), (NULL, '2026-01-01 00:00Z')
    """)
    db.execute("SET LOCAL timezone = 'America/New_York'")
    percents = tuple(map(Decimal, ("33.3", "33.3", "33.3")))
    assert run(db, "retention") == [
        (date(2026, 1, 1), 3, *percents),
        (date(2026, 2, 1), 1, Decimal("100.0"), Decimal(0), Decimal(0)),  # in Lagos
    ]


def test_json_to_rows(db: Database) -> None:
    db.execute("CREATE TABLE event (id int, body jsonb)")
    db.execute("""
        INSERT INTO event VALUES
            (1, '{"orders": [
                {"id": "a", "lines": [{"sku": "x", "quantity": 2}, {"sku": "y", "quantity": "?"}]},
                {"id": "b", "lines": []}]}'),
            (2, '{"orders": []}'),
            (3, '{}')
    """)
    assert run(db, "json-to-rows") == [
        (1, "a", 1, "x", 2),
        (1, "a", 2, "y", None),
        (1, "b", None, None, None),
    ]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("houses", [2, 3]),  # in the name before the description
        ("cabbin", [1]),
        ("cabin lake", [1]),
        ("castle", []),
    ],
)
def test_ranked_search(db: Database, words: str, found: list[int]) -> None:
    db.execute("CREATE TABLE place (id int, name text, description text)")
    db.execute("""
        INSERT INTO place VALUES
            (1, 'Cabin', 'At the lake'), (2, 'House of houses', 'A house with a garden'),
            (3, 'Villa', 'A large house'), (4, 'Tent', NULL)
    """)
    db.execute("SELECT set_config('search.words', %s, true)", [words])
    assert [row[0] for row in run(db, "ranked-search")] == found


def test_the_indexes_that_the_search_names_are_used(db: Database) -> None:
    db.execute("CREATE TABLE place (id int, name text, description text)")
    db.execute("INSERT INTO place SELECT i, md5(i::text), NULL FROM generate_series(1, 5000) i")
    text = (FOLDER / "ranked-search.sql").read_text()
    statements = re.sub(r"^-- *", "", text, flags=re.MULTILINE)
    created = re.findall(r"CREATE INDEX[^;]+;", statements)
    assert len(created) == 2
    for statement in created:
        db.execute(statement.encode())
    db.execute("ANALYZE place")
    db.execute("SELECT set_config('search.words', 'cabin', true)")
    plan = "\n".join(row[0] for row in db.execute(f"EXPLAIN {text}".encode()))
    assert plan.count("Bitmap Index Scan") == 2
