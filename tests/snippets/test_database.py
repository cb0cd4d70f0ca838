"""Each schema is loaded into PostgreSQL by psql, and refuses what its head says."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

import nexus
from nexus.services import programs
from nexus.services.postgres import Postgres

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "snippets" / "database"
SCHEMAS = sorted(path.stem for path in FOLDER.glob("*.sql"))

Database = psycopg.Connection[dict[str, Any]]


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with nexus.postgres() as pg:
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


def load(server: Postgres, db: Database, schema: str) -> None:
    """As a reader does."""
    options = ("--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--single-transaction")
    done = subprocess.run(
        [programs.postgres() / "psql", *options, f"--file={FOLDER / schema}.sql"],
        env=server.env | {"PGDATABASE": db.info.dbname},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_head_says_what_it_answers_for_which_version_and_what_to_watch_out_for(
    schema: str,
) -> None:
    text = (FOLDER / f"{schema}.sql").read_text()
    head = text[: text.index("\nCREATE ")]
    assert re.match(r"-- [A-Z].*\?\n--\n-- PostgreSQL \d\d", head)
    assert "\n-- Watch out:\n-- * " in head


def test_the_page_lists_them() -> None:
    page = (FOLDER.parent / "README.md").read_text()
    listed = re.findall(r"^\| \[[^\]]+\]\(database/([\w-]+)\.sql\)", page, re.MULTILINE)
    assert sorted(listed) == SCHEMAS


# -- marketplace

ACCOUNT = {"email": "ada@example.com", "name": "Ada"}
LISTING = {
    "slug": "sea-house",
    "title": "Sea house",
    "guests": 4,
    "nightly_minor": 9_000,
    "currency": "EUR",
}
BOOKING = {
    "stay": "[2030-05-01,2030-05-04)",
    "guests": 2,
    "nightly_minor": 9_000,
    "total_minor": 27_000,
    "currency": "EUR",
}


def add(db: Database, table: str, row: dict[str, Any]) -> Any:  # noqa: ANN401
    names = ", ".join(row)
    holes = ", ".join(f"%({name})s" for name in row)
    statement = f"INSERT INTO {table} ({names}) VALUES ({holes}) RETURNING id"
    (added,) = db.execute(statement.encode(), row).fetchall()
    return added["id"]


@pytest.fixture
def market(server: Postgres, db: Database) -> Database:
    load(server, db, "marketplace")
    return db


def a_listing(db: Database) -> dict[str, Any]:
    """Keys of a new listing and a guest, for bookings."""
    host = add(db, "account", ACCOUNT)
    guest = add(db, "account", {"email": "grace@example.com", "name": "Grace"})
    return {"listing_id": add(db, "listing", LISTING | {"host_id": host}), "guest_id": guest}


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"email": "ada"}, "account_email"),
        ({"email": "a b@example.com"}, "account_email"),
        ({"email": "a@" + "b" * 260}, "account_email"),
        ({"name": ""}, "account_name"),
        ({"name": " Ada"}, "account_name"),
        ({"name": "\n"}, "account_name"),
        ({"name": "Ada\t"}, "account_name"),
        ({"name": "A" * 101}, "account_name"),
        ({"email": "ADA@example.com"}, "account_email_once"),
    ],
)
def test_no_such_account(market: Database, changes: dict[str, Any], constraint: str) -> None:
    add(market, "account", ACCOUNT)
    new = ACCOUNT | {"email": "other@example.com"} | changes
    with pytest.raises(psycopg.errors.IntegrityError) as refused:
        add(market, "account", new)
    assert refused.value.diag.constraint_name == constraint


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"slug": "sea-house"}, "listing_slug_once"),
        ({"slug": "Sea house"}, "listing_slug"),
        ({"slug": "-"}, "listing_slug"),
        ({"title": "  "}, "listing_title"),
        ({"guests": 0}, "listing_guests"),
        ({"nightly_minor": 0}, "listing_price"),
        ({"currency": "eur"}, "listing_currency"),
        ({"host_id": "00000000-0000-0000-0000-000000000000"}, "listing_host_id_fkey"),
    ],
)
def test_no_such_listing(market: Database, changes: dict[str, Any], constraint: str) -> None:
    host = add(market, "account", ACCOUNT)
    listing = LISTING | {"host_id": host}
    add(market, "listing", listing)
    with pytest.raises(psycopg.errors.IntegrityError) as refused:
        add(market, "listing", listing | {"slug": "another"} | changes)
    assert refused.value.diag.constraint_name == constraint


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"stay": "[2030-05-03,2030-05-06)"}, "booking_no_overlap"),
        ({"stay": "[2030-05-01,2030-05-04)", "status": "pending"}, "booking_no_overlap"),
        ({"stay": "empty"}, "booking_stay_bounded"),
        ({"stay": "[2030-05-01,)"}, "booking_stay_bounded"),
        ({"stay": "[2031-01-01,2031-06-01)"}, "booking_nights"),
        ({"guests": 0}, "booking_guests"),
        ({"status": "maybe"}, "booking_status"),
        ({"nightly_minor": 0, "total_minor": 0}, "booking_price"),
        ({"total_minor": 1}, "booking_total"),
        ({"currency": "€"}, "booking_currency"),
        ({"status": "confirmed"}, "booking_confirmed_is_paid"),
        ({"status": "cancelled"}, "booking_cancelled_when"),
        ({"cancelled_at": "2030-01-01"}, "booking_cancelled_when"),
        ({"guest_id": "00000000-0000-0000-0000-000000000000"}, "booking_guest_id_fkey"),
    ],
)
def test_no_such_booking(market: Database, changes: dict[str, Any], constraint: str) -> None:
    booking = BOOKING | a_listing(market)
    add(market, "booking", booking)
    new = booking | {"stay": "[2030-06-01,2030-06-04)"} | changes
    with pytest.raises(psycopg.errors.IntegrityError) as refused:
        add(market, "booking", new)
    assert refused.value.diag.constraint_name == constraint


def test_what_is_right_is_taken(market: Database) -> None:
    booking = BOOKING | a_listing(market)
    first = add(market, "booking", booking)
    add(market, "booking", booking | {"stay": "[2030-05-04,2030-05-07)"})
    market.execute(
        "UPDATE booking SET status = 'cancelled', cancelled_at = now() WHERE id = %s", [first]
    )
    add(market, "booking", booking)
    rows = market.execute("SELECT nights, updated_at > created_at AS touched, status FROM booking")
    assert sorted(rows, key=lambda row: row["status"]) == [
        {"nights": 3, "touched": True, "status": "cancelled"},
        *[{"nights": 3, "touched": False, "status": "pending"}] * 2,
    ]


def test_an_unpaid_booking_gives_its_dates_free_again(server: Postgres, market: Database) -> None:
    booking = BOOKING | a_listing(market)
    in_time = add(market, "booking", booking)
    expired = {"expires_at": "2020-01-01"}
    late, paid, held = (
        add(market, "booking", booking | expired | {"stay": f"[2030-0{month}-01,2030-0{month}-04)"})
        for month in (6, 7, 8)
    )
    market.execute("UPDATE booking SET paid_at = now() WHERE id = %s", [paid])
    with server.connect(dbname=market.info.dbname) as other:
        # It is being paid: its row is locked, and nobody waits for it.
        other.execute("SELECT FROM booking WHERE id = %s FOR UPDATE", [held])
        done = market.execute("SELECT expire_bookings() AS n").fetchone()
        other.rollback()
    assert done == {"n": 1}
    rows = market.execute("SELECT id, status FROM booking").fetchall()
    assert {row["id"]: row["status"] for row in rows} == {
        in_time: "pending",
        late: "cancelled",
        paid: "pending",
        held: "pending",
    }
    add(market, "booking", booking | {"stay": "[2030-06-01,2030-06-04)"})


def test_who_is_referred_to_stays(market: Database) -> None:
    add(market, "booking", BOOKING | a_listing(market))
    for table in ("account", "listing"):
        with pytest.raises(psycopg.errors.IntegrityError):
            market.execute(f"DELETE FROM {table}".encode())


def test_every_foreign_key_has_an_index(market: Database) -> None:
    missing = market.execute(
        """
        SELECT conname FROM pg_constraint AS c
        WHERE contype = 'f' AND NOT EXISTS (
            SELECT FROM pg_index AS i
            WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1] AND i.indpred IS NULL
        )
        """
    ).fetchall()
    assert missing == []


# -- audit-log


@pytest.fixture
def audited(server: Postgres, db: Database) -> Database:
    load(server, db, "audit-log")
    db.execute("CREATE TABLE person (id int PRIMARY KEY, name text, password text)")
    db.execute("SELECT audit.follow('person', 'password')")
    return db


def entries(db: Database) -> list[tuple[Any, ...]]:
    rows = db.execute("SELECT actor, action, old, new FROM audit.entry ORDER BY id")
    return [tuple(row.values()) for row in rows]


def test_every_change_is_noted_and_no_secret(audited: Database) -> None:
    with audited.transaction():
        audited.execute("SELECT set_config('app.actor', 'account:42', true)")
        audited.execute("INSERT INTO person VALUES (1, 'Ada', 'secret')")
        audited.execute("UPDATE person SET name = 'Grace'")
    audited.execute("DELETE FROM person")
    audited.execute("TRUNCATE person")
    ada, grace = {"id": 1, "name": "Ada"}, {"id": 1, "name": "Grace"}
    assert entries(audited) == [
        ("account:42", "INSERT", None, ada),
        ("account:42", "UPDATE", ada, grace),
        (None, "DELETE", grace, None),
        (None, "TRUNCATE", None, None),
    ]
    together = audited.execute("SELECT count(DISTINCT transaction) FROM audit.entry").fetchone()
    assert together == {"count": 3}


def test_a_table_without_secrets_is_noted_as_a_whole(audited: Database) -> None:
    audited.execute("CREATE TABLE place (id int PRIMARY KEY, name text)")
    audited.execute("SELECT audit.follow('place')")
    audited.execute("INSERT INTO place VALUES (1, 'Sea house')")
    audited.execute("DELETE FROM place")
    house = {"id": 1, "name": "Sea house"}
    assert entries(audited) == [(None, "INSERT", None, house), (None, "DELETE", house, None)]


def test_the_history_of_one_row_reads_its_own_entries_only(audited: Database) -> None:
    audited.execute("INSERT INTO person SELECT n, 'Ada' FROM generate_series(1, 5000) AS n")
    audited.execute("UPDATE person SET name = 'Grace' WHERE id = 42")
    audited.execute("DELETE FROM person WHERE id = 42")
    audited.execute("VACUUM ANALYZE audit.entry")
    (question,) = re.findall(
        r"^--   (SELECT \* FROM audit\.entry .*);$",
        (FOLDER / "audit-log.sql").read_text(),
        re.MULTILINE,
    )
    question = question.replace("account", "person")
    actions = [row["action"] for row in audited.execute(question.encode())]
    assert actions == ["INSERT", "UPDATE", "DELETE"]
    explain = "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) "
    plan = "\n".join(str(row) for row in audited.execute((explain + question).encode()))
    assert "entry_of_row" in plan
    assert "Rows Removed by Filter" not in plan


def test_a_key_may_have_several_columns_or_none(audited: Database) -> None:
    audited.execute("CREATE TABLE seat (hall text, number int, PRIMARY KEY (hall, number))")
    audited.execute('CREATE TABLE visit ("it\'s" text)')
    audited.execute("SELECT audit.follow('seat'), audit.follow('visit', 'it''s')")
    audited.execute("INSERT INTO seat VALUES ('A', 1)")
    audited.execute("UPDATE seat SET number = 2")
    audited.execute("INSERT INTO visit VALUES ('x')")
    rows = audited.execute("SELECT key, new FROM audit.entry ORDER BY id").fetchall()
    first, second = {"hall": "A", "number": 1}, {"hall": "A", "number": 2}
    assert [tuple(row.values()) for row in rows] == [(first, first), (first, second), (None, {})]


def test_what_changes_nothing_is_not_noted_and_a_new_secret_is(audited: Database) -> None:
    audited.execute("INSERT INTO person VALUES (1, 'Ada', 'secret')")
    audited.execute("UPDATE person SET name = name")
    assert len(entries(audited)) == 1
    audited.execute("UPDATE person SET password = 'other'")
    ada = {"id": 1, "name": "Ada"}
    assert entries(audited)[1:] == [(None, "UPDATE", ada, ada)]


def test_a_column_to_hide_that_is_not_there_is_refused(audited: Database) -> None:
    audited.execute("CREATE TABLE place (id int PRIMARY KEY, code text)")
    with pytest.raises(psycopg.errors.UndefinedColumn, match="place has no column kode"):
        audited.execute("SELECT audit.follow('place', 'id', 'kode')")


def test_what_is_taken_back_is_not_noted(audited: Database) -> None:
    with audited.transaction(force_rollback=True):
        audited.execute("INSERT INTO person VALUES (1, 'Ada', 'secret')")
    assert entries(audited) == []


@pytest.mark.parametrize(
    "change",
    ["UPDATE audit.entry SET actor = 'other'", "DELETE FROM audit.entry", "TRUNCATE audit.entry"],
)
def test_not_even_its_owner_changes_an_entry_by_mistake(audited: Database, change: str) -> None:
    audited.execute("INSERT INTO person VALUES (1, 'Ada', 'secret')")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        audited.execute(change.encode())
    assert len(entries(audited)) == 1


def test_the_program_can_be_followed_and_can_neither_read_nor_write_the_log(
    audited: Database,
) -> None:
    audited.execute("CREATE ROLE program")
    try:
        audited.execute("GRANT ALL ON person TO program")
        audited.execute("SET ROLE program")
        audited.execute("INSERT INTO person VALUES (1, 'Ada', 'secret')")
        for attempt in (
            "SELECT FROM audit.entry",
            "INSERT INTO audit.entry (relation, action) VALUES ('x', 'y')",
            "SELECT audit.follow('person')",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                audited.execute(attempt.encode())
        audited.execute("RESET ROLE")
        assert len(entries(audited)) == 1
    finally:
        audited.execute("RESET ROLE")
        audited.execute("DROP OWNED BY program")
        audited.execute("DROP ROLE program")


# -- outbox


@pytest.fixture
def outbox(server: Postgres, db: Database) -> Database:
    load(server, db, "outbox")
    return db


def write(db: Database, number: int) -> None:
    db.execute(
        "INSERT INTO outbox (topic, payload)"
        " SELECT 'booking.confirmed', jsonb_build_object('booking', n)"
        " FROM generate_series(1, %s) AS n",
        [number],
    )


def take(db: Database, most: int, lent_for: str = "1 hour") -> list[int]:
    rows = db.execute("SELECT id FROM outbox_take(%s, %s)", [most, lent_for])
    return sorted(row["id"] for row in rows)


@pytest.mark.parametrize(
    ("topic", "payload", "constraint"),
    [("Booking confirmed", "{}", "outbox_topic"), ("booking", "[]", "outbox_payload")],
)
def test_no_such_message(outbox: Database, topic: str, payload: str, constraint: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        add(outbox, "outbox", {"topic": topic, "payload": payload})
    assert refused.value.diag.constraint_name == constraint


def test_a_message_exists_if_its_transaction_commits(outbox: Database) -> None:
    with outbox.transaction(force_rollback=True):
        write(outbox, 1)
    assert take(outbox, 10) == []
    with outbox.transaction():
        write(outbox, 1)
    assert len(take(outbox, 10)) == 1


def test_two_relays_take_different_messages(server: Postgres, outbox: Database) -> None:
    write(outbox, 5)
    with server.connect(dbname=outbox.info.dbname, row_factory=dict_row) as other:
        first = take(other, 2)  # its transaction is open
        second = take(outbox, 10)
        other.commit()
    assert (len(first), len(second)) == (2, 3)
    assert not set(first) & set(second)


def test_what_is_lent_is_not_read_by_who_takes(outbox: Database) -> None:
    """Many messages wait for a relay that has them; to look for others reads next to nothing."""
    write(outbox, 20_000)
    assert len(take(outbox, 20_000)) == 20_000
    outbox.execute("VACUUM ANALYZE outbox")
    with outbox.transaction():
        outbox.execute("SET LOCAL enable_seqscan = off")
        (text,) = outbox.execute(
            "SELECT substring(prosrc FROM 'SELECT id.*SKIP LOCKED') AS query FROM pg_proc"
            " WHERE proname = 'outbox_take'"
        ).fetchall()
        query = "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) " + text["query"]
        plan = outbox.execute(query.replace("most", "10").encode()).fetchall()
    said = "\n".join(str(row) for row in plan)
    assert "Index Cond: (due_at <= statement_timestamp())" in said
    assert "Rows Removed by Filter" not in said


def test_what_a_dead_relay_had_comes_again_and_what_is_done_does_not(outbox: Database) -> None:
    write(outbox, 2)
    kept, lost = take(outbox, 2, lent_for="0")
    done = outbox.execute("SELECT outbox_done(%s) AS n", [[kept]]).fetchone()
    assert done == {"n": 1}
    assert take(outbox, 2) == [lost]
    assert take(outbox, 2) == []
    again = outbox.execute("SELECT attempts FROM outbox WHERE id = %s", [lost]).fetchone()
    assert again == {"attempts": 2}


def failed(db: Database, message: int, attempt: int) -> bool:
    row = db.execute("SELECT outbox_failed(%s, %s, 'refused') AS it", [message, attempt]).fetchone()
    assert row
    return bool(row["it"])


@pytest.mark.parametrize(("attempt", "least", "most"), [(1, 2.5, 5), (4, 20, 40), (40, 1800, 3600)])
def test_what_failed_comes_again_after_a_pause_that_grows_and_has_an_end(
    outbox: Database, attempt: int, least: float, most: float
) -> None:
    write(outbox, 1)
    (message,) = take(outbox, 1)
    outbox.execute("UPDATE outbox SET attempts = %s", [attempt])
    with outbox.transaction():  # in which now() stands still
        assert failed(outbox, message, attempt)
        row = outbox.execute(
            "SELECT extract(epoch FROM due_at - now())::float AS pause, last_error FROM outbox"
        ).fetchone()
    assert row
    assert least <= row["pause"] <= most + 5  # and the time until the statement ran
    assert row["last_error"] == "refused"
    assert take(outbox, 1) == []
    outbox.execute("UPDATE outbox SET due_at = now()")
    assert take(outbox, 1) == [message]


def test_a_relay_whose_lease_is_over_does_not_put_off_anothers_message(outbox: Database) -> None:
    write(outbox, 1)
    (message,) = take(outbox, 1, lent_for="0")
    assert take(outbox, 1) == [message]  # by another relay
    before = outbox.execute("SELECT due_at FROM outbox").fetchone()
    assert not failed(outbox, message, attempt=1)
    assert outbox.execute("SELECT due_at FROM outbox").fetchone() == before
    assert outbox.execute("SELECT outbox_done(%s) AS n", [[message]]).fetchone() == {"n": 1}
    assert not failed(outbox, message, attempt=2)
