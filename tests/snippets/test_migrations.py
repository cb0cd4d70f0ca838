"""The pair is applied up and down, by psql and by Django, while both programs write."""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

import nexus
from nexus.services import programs
from nexus.services.postgres import Postgres
from nexus.services.process import wait_for

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "snippets" / "migrations"
STEPS = ("expand.up", "backfill", "contract.up", "contract.down", "expand.down")
ROWS = 5_000  # several batches
SECONDS = 60
"""How long a test waits for a condition on a busy machine."""

Database = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with nexus.postgres() as pg:
        yield pg


@pytest.fixture
def db(server: Postgres) -> Iterator[Database]:
    """The table as the old program knows it."""
    with server.connect(autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE account (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
            " name text NOT NULL)"
        )
        connection.execute(
            "INSERT INTO account (name) SELECT 'account ' || n FROM generate_series(1, %s) AS n",
            [ROWS],
        )
        yield connection
        connection.execute("DROP TABLE account")
        connection.execute("DROP FUNCTION IF EXISTS account_names_in_step")


def psql(server: Postgres, step: str) -> subprocess.CompletedProcess[str]:
    options = ("--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--file={FOLDER / step}.sql")
    return subprocess.run(
        [programs.postgres() / "psql", *options],
        env=server.env,
        capture_output=True,
        text=True,
        timeout=120,
    )


def apply(server: Postgres, *steps: str) -> None:
    for step in steps:
        done = psql(server, step)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), step


class Program:
    """Inserts and updates accounts, one after the other, and remembers what it wrote."""

    def __init__(self, server: Postgres, column: str, ids: range) -> None:
        self.server, self.column, self.ids = server, column, ids
        self.wrote: dict[int, str] = {}
        self.rounds = 0
        self.refused: Exception | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        change = f"UPDATE account SET {self.column} = %s WHERE id = %s".encode()
        add = f"INSERT INTO account ({self.column}) VALUES (%s) RETURNING id".encode()
        try:
            with self.server.connect(autocommit=True) as db:
                while not self._stop.is_set():
                    key = self.ids[self.rounds * 37 % len(self.ids)]
                    text = f"{self.column} {self.rounds}"
                    db.execute(change, [text, key])
                    self.wrote[key] = text
                    (added,) = db.execute(add, [text]).fetchone() or ()
                    self.wrote[added] = text
                    self.rounds += 1
        except psycopg.Error as error:
            self.refused = error

    def goes_on(self) -> None:
        """Waits until it has written again, several times."""
        until = self.rounds + 3
        wait_for(lambda: self.refused or self.rounds >= until, SECONDS, "a program to write")
        assert self.refused is None

    @contextmanager
    def running(self) -> Iterator["Program"]:
        self._thread.start()
        try:
            self.goes_on()
            yield self
            self.goes_on()
        finally:
            self._stop.set()
            self._thread.join()

    def check(self, db: Database, *columns: str) -> None:
        """What it wrote is there."""
        for column in columns:
            query = f"SELECT id, {column} FROM account WHERE id = ANY (%s)".encode()
            assert dict(db.execute(query, [list(self.wrote)]).fetchall()) == self.wrote, column


def old(server: Postgres) -> Program:
    return Program(server, "name", range(1, ROWS, 2))


def new(server: Postgres) -> Program:
    return Program(server, "display_name", range(2, ROWS, 2))


def shape(db: Database) -> tuple[set[tuple[Any, ...]], ...]:
    """Columns, constraints and triggers."""
    return tuple(
        set(db.execute(query).fetchall())
        for query in (
            b"SELECT attname, atttypid::regtype::text, attnotnull FROM pg_attribute"
            b" WHERE attrelid = 'account'::regclass AND attnum > 0 AND NOT attisdropped",
            b"SELECT conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint"
            b" WHERE conrelid = 'account'::regclass AND contype <> 'n'",
            b"SELECT tgname FROM pg_trigger WHERE tgrelid = 'account'::regclass",
            b"SELECT proname FROM pg_proc WHERE proname LIKE 'account%'",
        )
    )


@pytest.mark.parametrize("step", STEPS)
def test_the_head_says_what_it_answers_for_which_version_and_what_to_watch_out_for(
    step: str,
) -> None:
    head = re.split(r"\n(?!--)", (FOLDER / f"{step}.sql").read_text())[0]
    assert re.match(r"-- [A-Z].*\?.*\n--\n-- PostgreSQL \d\d or newer; tried on 15 and 18", head)
    assert "\n-- Watch out:\n-- * " in head


def test_there_is_no_other_step() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.sql")) == sorted(STEPS)
    page = (FOLDER.parent / "README.md").read_text()
    for step in STEPS:
        assert f"(migrations/{step}.sql)" in page
    assert "(migrations/django)" in page


def test_up_and_down_while_programs_write(server: Postgres, db: Database) -> None:
    before = shape(db)
    with old(server).running() as first:
        apply(server, "expand.up")
        first.goes_on()
        apply(server, "backfill")
        with new(server).running() as second:  # both versions, while it is rolled out
            first.goes_on()
            second.goes_on()
    for program in (first, second):
        program.check(db, "name", "display_name")
    assert db.execute("SELECT FROM account WHERE name IS DISTINCT FROM display_name").rowcount == 0
    expanded = shape(db)

    with new(server).running() as program:
        apply(server, "contract.up")
        program.goes_on()
        contracted = shape(db)
        apply(server, "contract.down")
        with old(server).running() as again:  # it has to come back
            program.goes_on()
    program.check(db, "name", "display_name")
    again.check(db, "name", "display_name")
    assert db.execute("SELECT FROM account WHERE name IS DISTINCT FROM display_name").rowcount == 0
    assert contracted[0] == {("id", "bigint", True), ("display_name", "text", True)}
    assert shape(db) == expanded

    with old(server).running() as program:
        apply(server, "expand.down")
    program.check(db, "name")
    assert shape(db) == before


def test_a_rename_would_have_broken_the_old_program(server: Postgres, db: Database) -> None:
    """What all of this is for."""
    program = old(server)
    with pytest.raises(AssertionError), program.running():
        db.execute("ALTER TABLE account RENAME COLUMN name TO display_name")
    assert isinstance(program.refused, psycopg.errors.UndefinedColumn)


def test_it_does_not_queue_for_long_and_changes_nothing_then(
    server: Postgres, db: Database
) -> None:
    before = shape(db)
    with server.connect() as holder:
        holder.execute("SELECT FROM account")
        done = psql(server, "expand.up")
        holder.rollback()
    assert done.returncode != 0
    assert "canceling statement due to lock timeout" in done.stderr
    assert shape(db) == before
    apply(server, "expand.up")


def test_it_does_not_contract_what_is_not_filled(server: Postgres, db: Database) -> None:
    apply(server, "expand.up")
    expanded = shape(db)
    done = psql(server, "contract.up")
    assert "account.display_name is not filled: run backfill.sql first" in done.stderr
    assert shape(db) == expanded


def test_it_does_not_contract_if_nobody_knows_whether_it_is_filled(
    server: Postgres, db: Database
) -> None:
    db.execute("ALTER TABLE account ADD COLUMN display_name text")
    done = psql(server, "contract.up")
    assert "account.display_name is not filled: run backfill.sql first" in done.stderr


def test_a_time_out_for_locks_ends_with_its_transaction() -> None:
    """Django runs all steps on one connection: in the others a row may be waited for longer."""
    for step in STEPS:
        text = (FOLDER / f"{step}.sql").read_text()
        assert "\nSET lock_timeout" not in text
        assert text.count("\nSET LOCAL lock_timeout") == text.count("\nBEGIN;\n")


def test_the_way_back_can_be_stopped_and_run_again(server: Postgres, db: Database) -> None:
    """It waits for a row in the second batch, for longer than for a lock, and is ended there."""
    apply(server, "expand.up", "backfill")
    expanded = shape(db)
    apply(server, "contract.up")
    with server.connect() as holder:
        # A lock on the row is one on the table too, and the first step would not get past it.
        db.execute(
            "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " IF NEW.id = 1500 THEN PERFORM pg_advisory_xact_lock(7); END IF;"
            " RETURN NEW; END $$"
        )
        db.execute(
            "CREATE TRIGGER hold BEFORE UPDATE ON account FOR EACH ROW EXECUTE FUNCTION hold()"
        )
        holder.execute("SELECT pg_advisory_lock(7)")
        done: list[subprocess.CompletedProcess[str]] = []
        thread = threading.Thread(target=lambda: done.append(psql(server, "contract.down")))
        thread.start()
        waits = (
            "SELECT FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted"
            " AND clock_timestamp() - query_start > interval '2.5 seconds'"
        )
        wait_for(lambda: db.execute(waits).fetchone() is not None, SECONDS, "more than 2 seconds")
        filled = db.execute("SELECT count(*) FROM account WHERE name IS NOT NULL").fetchone()
        db.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted")
        thread.join()
        holder.execute("SELECT pg_advisory_unlock(7)")
    assert filled == (1_000,)
    assert done[0].returncode != 0
    db.execute("DROP TRIGGER hold ON account")
    db.execute("DROP FUNCTION hold")
    apply(server, "contract.down", "contract.down")
    assert db.execute("SELECT FROM account WHERE name IS DISTINCT FROM display_name").rowcount == 0
    assert shape(db) == expanded


def test_the_backfill_can_be_stopped_and_run_again(server: Postgres, db: Database) -> None:
    """It waits for a row that a program holds; all the others are there, and visible."""
    apply(server, "expand.up")
    filled = "SELECT count(*) FROM account WHERE display_name IS NOT NULL"
    with server.connect() as holder:
        holder.execute("SELECT FROM account WHERE id = 1500 FOR UPDATE")
        done: list[subprocess.CompletedProcess[str]] = []
        thread = threading.Thread(target=lambda: done.append(psql(server, "backfill")))
        thread.start()
        waits = "SELECT pid FROM pg_locks WHERE NOT granted"
        wait_for(lambda: db.execute(waits).fetchone(), SECONDS, "the backfill to wait")
        assert db.execute(filled).fetchone() == (ROWS - 1,)
        db.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted")
        thread.join()
        holder.rollback()
    assert done[0].returncode != 0
    apply(server, "backfill")
    assert db.execute(filled).fetchone() == (ROWS,)


@pytest.mark.parametrize("step", ["backfill", "contract.down"])
def test_it_does_not_deadlock_with_a_program_that_has_one_row_and_wants_another(
    server: Postgres, db: Database, step: str
) -> None:
    """The program has row 900, the step fills up to there, and then the program wants row 100."""
    apply(server, "expand.up")
    column = "name"
    if step == "contract.down":
        apply(server, "backfill", "contract.up")
        column = "display_name"
        # The step first needs the table for itself; it gets the rows to fill by hand.
        text = (FOLDER / "contract.down.sql").read_text()
        first, _, second = text.partition("COMMIT;\n")
        db.execute(first.encode() + b"COMMIT")
        program = second.partition("-- Both read")[0]
    else:
        program = (FOLDER / "backfill.sql").read_text().partition("-- This reads")[0]
    change = f"UPDATE account SET {column} = 'changed' WHERE id = %s".encode()
    with server.connect() as holder, server.connect(autocommit=True) as filler:
        holder.execute(change, [900])
        refused: list[psycopg.Error] = []

        def fill() -> None:
            try:
                filler.execute(program.encode())
            except psycopg.Error as error:
                refused.append(error)

        thread = threading.Thread(target=fill)
        thread.start()
        waits = "SELECT FROM pg_locks WHERE NOT granted"
        wait_for(lambda: db.execute(waits).fetchone() is not None, SECONDS, "the step to wait")
        holder.execute(change, [100])
        holder.commit()
        thread.join()
    assert refused == []
    assert db.execute("SELECT FROM account WHERE name IS DISTINCT FROM display_name").rowcount == 0
    changed = db.execute("SELECT id FROM account WHERE display_name = 'changed' ORDER BY id")
    assert changed.fetchall() == [(100,), (900,)]


# -- The same with Django

SETTINGS = """
import os

SECRET_KEY = "for-this-test-only"
INSTALLED_APPS = ["people"]
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": os.environ["DBNAME"]}}
"""
MODEL = """
from django.db import models


class Account(models.Model):
    {} = models.TextField()

    class Meta:
        db_table = "account"
"""
DJANGO = FOLDER / "django"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with the model of the table that is there, and no migrations yet."""
    (tmp_path / "settings_of_test.py").write_text(SETTINGS)
    people = tmp_path / "people"
    people.mkdir()
    (people / "__init__.py").touch()
    (people / "models.py").write_text(MODEL.format("name"))
    (people / "migrations").mkdir()
    (people / "migrations" / "__init__.py").touch()
    return tmp_path


def django(server: Postgres, project: Path, *words: str) -> str:
    env = {
        **os.environ,
        **server.env,
        "DBNAME": server.env.get("PGDATABASE", "postgres"),
        "DJANGO_SETTINGS_MODULE": "settings_of_test",
        "PYTHONPATH": str(project),
    }
    done = subprocess.run(
        [sys.executable, "-m", "django", *words],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_django_does_the_same_up_and_down(server: Postgres, db: Database, project: Path) -> None:
    before = shape(db)
    django(server, project, "makemigrations", "people")
    django(server, project, "migrate", "--fake", "people")
    for file in (*FOLDER.glob("*.sql"), *DJANGO.glob("*.py")):
        shutil.copy(file, project / "people" / "migrations")
    (project / "people" / "models.py").write_text(MODEL.format("display_name"))
    assert "No changes" in django(server, project, "makemigrations", "--check", "--dry-run")

    with old(server).running() as first:
        django(server, project, "migrate", "people", "0003")
        with new(server).running():
            first.goes_on()
    expanded = shape(db)
    with new(server).running() as program:
        django(server, project, "migrate", "people")
        program.goes_on()
        assert shape(db)[0] == {("id", "bigint", True), ("display_name", "text", True)}
        django(server, project, "migrate", "people", "0003")
    assert shape(db) == expanded
    program.check(db, "name", "display_name")
    with old(server).running() as program:
        django(server, project, "migrate", "people", "0001")
    program.check(db, "name")
    assert shape(db) == before
    db.execute("DROP TABLE django_migrations")
