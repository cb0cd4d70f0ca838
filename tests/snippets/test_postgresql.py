"""Every snippet does what its head says, on a real server.

The four that the index report uses too are tested more closely there; here stands that they are
the same files, and that a snippet works as a whole.
"""

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

import nexus
from nexus.services.postgres import Postgres
from nexus.services.process import wait_for

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "snippets" / "postgresql"
SNIPPETS = sorted(path.stem for path in FOLDER.glob("*.sql"))
SECONDS = 20
"""How long a test waits for a condition on a busy machine."""

Database = psycopg.Connection[dict[str, Any]]


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with nexus.postgres(shared_preload_libraries="pg_stat_statements", autovacuum=False) as pg:
        yield pg


@pytest.fixture
def db(server: Postgres, request: pytest.FixtureRequest) -> Iterator[Database]:
    """A connection to a database of the test's own."""
    name = re.sub(r"\W", "_", request.node.name).lower()[:60]
    with server.connect(autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        with server.connect(autocommit=True, dbname=name, row_factory=dict_row) as mine:
            yield mine
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def run(db: Database, snippet: str) -> list[dict[str, Any]]:
    return db.execute((FOLDER / f"{snippet}.sql").read_bytes()).fetchall()


def column(db: Database, snippet: str, name: str = "index") -> list[Any]:
    return [row[name] for row in run(db, snippet)]


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_the_head_says_what_it_answers_from_which_version_and_what_to_watch_out_for(
    snippet: str,
) -> None:
    text = (FOLDER / f"{snippet}.sql").read_text()
    head = text[: text.index("\n", text.rindex("\n-- *"))]
    assert re.match(r"-- [A-Z].*\?\n--\n-- PostgreSQL \d\d or newer", head)
    assert "\n-- Watch out:\n-- * " in head


def test_the_page_lists_every_snippet_once() -> None:
    page = (ROOT / "snippets" / "README.md").read_text()
    listed = re.findall(r"^\| \[[^\]]+\]\(postgresql/([\w-]+)\.sql\)", page, re.MULTILINE)
    assert sorted(listed) == SNIPPETS


def test_a_project_s_copy_is_the_snippet() -> None:
    copies = [path for path in ROOT.glob("projects/**/*.sql") if path.stem in SNIPPETS]
    assert len(copies) >= 4
    for copy in copies:
        assert copy.read_bytes() == (FOLDER / copy.name).read_bytes(), copy


def test_slow_queries(db: Database) -> None:
    db.execute("CREATE EXTENSION pg_stat_statements")
    db.execute("CREATE TABLE large AS SELECT generate_series(1, 50000) AS n")
    db.execute("CREATE TABLE small AS SELECT 1 AS n")
    db.execute("SELECT pg_stat_statements_reset()")
    for n in (1, 2, 3):
        db.execute(f"SELECT FROM small WHERE n = {n}".encode())
        db.execute(f"SELECT FROM large WHERE n = {n}".encode())
    rows = run(db, "slow-queries")
    assert (rows[0]["query"], rows[0]["calls"]) == ("SELECT FROM large WHERE n = $1", 3)
    assert rows[0]["buffers"] == rows[0]["buffers_a_call"] * 3 > rows[1]["buffers"]
    assert "SELECT FROM small WHERE n = $1" in [row["query"] for row in rows]


def test_unused_indexes(server: Postgres, db: Database) -> None:
    db.execute("CREATE TABLE guest (id int PRIMARY KEY, email text UNIQUE, name text, city text)")
    db.execute("CREATE INDEX used ON guest (name)")
    db.execute("CREATE INDEX unused ON guest (city)")
    with server.connect(autocommit=True, dbname=db.info.dbname) as reader:
        reader.execute("SET enable_seqscan = off")
        reader.execute("SELECT FROM guest WHERE name = 'Ada'")
        reader.execute("SELECT pg_stat_force_next_flush()")
        reader.execute("SELECT 1")
    assert column(db, "unused-indexes") == ["unused"]


def test_superfluous_indexes(db: Database) -> None:
    db.execute("CREATE TABLE booking (a int, b int, t text)")
    for definition in (
        "INDEX superfluous ON booking (a)",
        "INDEX longer ON booking (a, b)",
        "UNIQUE INDEX one_each ON booking (a)",
        "INDEX for_t ON booking (a) INCLUDE (t)",
        "INDEX by_pattern ON booking (t text_pattern_ops)",
        "INDEX by_t ON booking (t, a)",
        "INDEX few ON booking (b) WHERE a > 0",
        "INDEX all_of_b ON booking (b, t)",
        "INDEX hashed ON booking USING hash (a)",
    ):
        db.execute(f"CREATE {definition}".encode())
    found = {row["index"]: row["covered_by"] for row in run(db, "superfluous-indexes")}
    assert found == {"superfluous": "for_t, longer, one_each"}


def test_invalid_indexes(db: Database) -> None:
    db.execute("CREATE TABLE guest AS SELECT 'same' AS email FROM generate_series(1, 2)")
    db.execute("CREATE INDEX fine ON guest (email)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        db.execute("CREATE UNIQUE INDEX CONCURRENTLY failed ON guest (email)")
    (row,) = run(db, "invalid-indexes")
    assert (row["table"], row["index"]) == ("guest", "failed")
    db.execute("DELETE FROM guest WHERE ctid = (SELECT min(ctid) FROM guest)")
    db.execute(row["cure"].encode())
    assert run(db, "invalid-indexes") == []


def test_an_index_that_is_being_built_is_not_a_leftover(server: Postgres, db: Database) -> None:
    db.execute("CREATE TABLE guest (email text)")
    with (
        server.connect(dbname=db.info.dbname) as old,
        server.connect(autocommit=True, dbname=db.info.dbname) as builder,
    ):
        old.execute("LOCK TABLE guest IN ROW EXCLUSIVE MODE")
        query = "CREATE INDEX CONCURRENTLY growing ON guest (email)"
        thread = threading.Thread(target=builder.execute, args=[query])
        thread.start()
        invalid = "SELECT 1 FROM pg_index WHERE NOT indisvalid"
        wait_for(lambda: db.execute(invalid).fetchone(), SECONDS, "the index to be begun")
        found = run(db, "invalid-indexes")
        old.rollback()
        thread.join()
    assert found == []


def test_table_and_index_sizes(db: Database) -> None:
    db.execute("CREATE TABLE large AS SELECT generate_series(1, 10000) AS n")
    db.execute("CREATE INDEX ON large (n)")
    db.execute("CREATE TABLE small (n int) PARTITION BY RANGE (n)")
    db.execute("CREATE TABLE small_1 PARTITION OF small FOR VALUES FROM (1) TO (10)")
    db.execute("CREATE VIEW seen AS SELECT n FROM large")
    db.execute("ANALYZE large")
    rows = run(db, "table-and-index-sizes")
    assert [(row["table"], row["estimated_rows"], row["indexes"]) for row in rows] == [
        ("large", 10000, 1),
        ("small_1", None, 0),
    ]
    (exact,) = db.execute("SELECT pg_total_relation_size('large') AS bytes").fetchall()
    assert rows[0]["bytes"] == exact["bytes"]


def test_blocked_by_whom(server: Postgres, db: Database) -> None:
    db.execute("CREATE TABLE booking AS SELECT 1 AS id")
    assert run(db, "blocked-by-whom") == []
    change = "UPDATE booking SET id = id"
    name = db.info.dbname
    with server.connect(dbname=name) as holder, server.connect(dbname=name) as waiter:
        holder.execute(change)
        thread = threading.Thread(target=waiter.execute, args=[change])
        thread.start()
        waits = "SELECT 1 FROM pg_locks WHERE pid = %s AND NOT granted"
        pid, holding = waiter.info.backend_pid, holder.info.backend_pid
        wait_for(lambda: db.execute(waits, [pid]).fetchone(), SECONDS, "the update to wait")
        (row,) = run(db, "blocked-by-whom")
        holder.rollback()
        thread.join()
        assert run(db, "blocked-by-whom") == []
    assert (row["blocked_pid"], row["blocker_pid"]) == (pid, holding)
    assert (row["blocked_query"], row["blocker_state"]) == (change, "idle in transaction")
