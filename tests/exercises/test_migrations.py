"""The judges of "Migrations": stubs, right answers, wrong ones."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import psycopg
import pytest

import nexus
from nexus.judging.sandbox import Connection
from tests.exercises import tables

ONE, TWO, THREE = (f"migrations.{number}" for number in (1, 2, 3))


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with nexus.postgres(fsync="off"):  # databases come and go
        yield


INDEX = "booking_guest ON booking (guest_id)"
VALID = (
    "SELECT indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
    " WHERE relname = 'booking_guest'"
)


def by_the_catalogue(connection: Connection) -> None:
    found = connection.execute(VALID).fetchone()
    if found == (True,):
        return
    if found:
        connection.execute("DROP INDEX CONCURRENTLY booking_guest")
    connection.execute(f"CREATE INDEX CONCURRENTLY {INDEX}")


def by_reindex(connection: Connection) -> None:
    connection.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {INDEX}")
    if connection.execute(VALID).fetchone() == (False,):
        connection.execute("REINDEX INDEX CONCURRENTLY booking_guest")


def under_another_name(connection: Connection) -> None:
    if connection.execute(VALID).fetchone() != (True,):
        connection.execute("CREATE INDEX CONCURRENTLY new_one ON booking USING btree (guest_id)")
        connection.execute("DROP INDEX CONCURRENTLY IF EXISTS booking_guest")
        connection.execute("ALTER INDEX new_one RENAME TO booking_guest")


def plain(connection: Connection) -> None:
    connection.execute(f"CREATE INDEX {INDEX}")


def if_not_exists(connection: Connection) -> None:
    connection.execute(f"CREATE INDEX IF NOT EXISTS {INDEX}")


def without_a_look(connection: Connection) -> None:
    connection.execute(f"CREATE INDEX CONCURRENTLY {INDEX}")


def only_if_not_there(connection: Connection) -> None:
    connection.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {INDEX}")


def dropped_plainly(connection: Connection) -> None:
    if connection.execute(VALID).fetchone() != (True,):
        connection.execute("DROP INDEX IF EXISTS booking_guest")
        connection.execute(f"CREATE INDEX CONCURRENTLY {INDEX}")


def always_anew(connection: Connection) -> None:
    connection.execute("DROP INDEX CONCURRENTLY IF EXISTS booking_guest")
    connection.execute(f"CREATE INDEX CONCURRENTLY {INDEX}")


def always_reindexed(connection: Connection) -> None:
    connection.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {INDEX}")
    connection.execute("REINDEX INDEX CONCURRENTLY booking_guest")


def only_reindexed(connection: Connection) -> None:
    connection.execute("REINDEX INDEX CONCURRENTLY booking_guest")


def in_a_transaction(connection: Connection) -> None:
    with connection.transaction():
        by_the_catalogue(connection)


def in_a_hurry(connection: Connection) -> None:
    connection.execute("SET lock_timeout = '100ms'")
    by_the_catalogue(connection)


def swallowing(connection: Connection) -> None:
    with suppress(psycopg.Error):
        connection.execute(f"CREATE INDEX CONCURRENTLY {INDEX}")


def if_any_is_invalid(connection: Connection) -> None:
    if connection.execute("SELECT FROM pg_index WHERE NOT indisvalid").fetchone() is not None:
        connection.execute("DROP INDEX CONCURRENTLY booking_guest")
    connection.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {INDEX}")


def of_another_column(connection: Connection) -> None:
    connection.execute("CREATE INDEX CONCURRENTLY booking_guest ON booking (nights)")


def declared_valid(connection: Connection) -> None:
    connection.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {INDEX}")
    connection.execute(
        "UPDATE pg_index SET indisvalid = true WHERE indexrelid = 'booking_guest'::regclass"
    )


def anew_but_plainly(connection: Connection) -> None:
    if connection.execute(VALID).fetchone() == (False,):
        connection.execute("DROP INDEX CONCURRENTLY booking_guest")
        connection.execute(f"CREATE INDEX {INDEX}")
    else:
        connection.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {INDEX}")


def old_one_dropped_plainly(connection: Connection) -> None:
    if connection.execute(VALID).fetchone() != (True,):
        connection.execute("CREATE INDEX CONCURRENTLY new_one ON booking (guest_id)")
        connection.execute("DROP INDEX IF EXISTS booking_guest")
        connection.execute("ALTER INDEX new_one RENAME TO booking_guest")


def once_more_plainly(connection: Connection) -> None:
    by_the_catalogue(connection)
    connection.execute(f"CREATE INDEX IF NOT EXISTS {INDEX}")


def plainly_if_valid(connection: Connection) -> None:
    if connection.execute(VALID).fetchone() == (True,):
        connection.execute(f"CREATE INDEX IF NOT EXISTS {INDEX}")
    by_the_catalogue(connection)


def drops_all_invalid(connection: Connection) -> None:
    invalid = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
    for (name,) in connection.execute(invalid).fetchall():
        connection.execute(f"DROP INDEX CONCURRENTLY {name}")  # type: ignore[arg-type]
    connection.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {INDEX}")


def rest_is_renamed(connection: Connection) -> None:
    if connection.execute(VALID).fetchone() != (True,):
        connection.execute("ALTER INDEX IF EXISTS booking_guest RENAME TO old_one")
        connection.execute(f"CREATE INDEX CONCURRENTLY {INDEX}")


def rest_is_renamed_and_dropped(connection: Connection) -> None:
    rest_is_renamed(connection)
    connection.execute("DROP INDEX CONCURRENTLY IF EXISTS old_one")


def again_and_again(connection: Connection) -> None:
    connection.execute("SET lock_timeout = '50ms'")
    while connection.execute(VALID).fetchone() != (True,):
        with suppress(psycopg.errors.LockNotAvailable):
            connection.execute("DROP INDEX CONCURRENTLY IF EXISTS booking_guest")
            connection.execute(f"CREATE INDEX CONCURRENTLY {INDEX}")


def by_ready(connection: Connection) -> None:
    if connection.execute(VALID.replace("indisvalid", "indisready")).fetchone() != (True,):
        connection.execute("DROP INDEX CONCURRENTLY IF EXISTS booking_guest")
        connection.execute(f"CREATE INDEX CONCURRENTLY {INDEX}")


DEFAULT = "ALTER TABLE booking ALTER status SET DEFAULT 'new'"
BATCHES = [
    f"UPDATE booking SET status = 'new' WHERE status IS NULL AND id > {n} AND id <= {n + 1000}"
    for n in range(0, 6000, 1000)
]
LOOP = """
DO $$
DECLARE n int := 0;
BEGIN
    WHILE n < (SELECT max(id) FROM booking) LOOP
        UPDATE booking SET status = 'new' WHERE id > n AND id <= n + 500 AND status IS NULL;
        COMMIT;
        n := n + 500;
    END LOOP;
END $$
"""
NOT_NULL = [
    "ALTER TABLE booking ADD CONSTRAINT has_status NOT NULL status NOT VALID",
    "ALTER TABLE booking VALIDATE CONSTRAINT has_status",
]
CHECKED = [
    "ALTER TABLE booking ADD CONSTRAINT checked CHECK (status IS NOT NULL) NOT VALID",
    "ALTER TABLE booking VALIDATE CONSTRAINT checked",
]
SET = "ALTER TABLE booking ALTER status SET NOT NULL"
GUEST = [
    "ALTER TABLE booking ADD CONSTRAINT has_guest FOREIGN KEY (guest_id) REFERENCES guest"
    " NOT VALID",
    "ALTER TABLE booking VALIDATE CONSTRAINT has_guest",
]
GONE = (
    "WITH gone AS (DELETE FROM booking WHERE status IS NULL RETURNING *)"
    " INSERT INTO booking SELECT id, guest_id, nights, 'new' FROM gone"
)
COALESCE = [
    "CREATE FUNCTION news() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN NEW.status := coalesce(NEW.status, 'new'); RETURN NEW; END $$",
    "CREATE TRIGGER news BEFORE INSERT OR UPDATE ON booking FOR EACH ROW EXECUTE FUNCTION news()",
]
COPY = [
    "ALTER TABLE booking ADD COLUMN s2 text NOT NULL DEFAULT 'new'",
    *(
        batch.replace("status = 'new'", "s2 = status").replace("IS NULL", "IS NOT NULL")
        for batch in BATCHES
    ),
    "BEGIN; ALTER TABLE booking DROP COLUMN status;"
    " ALTER TABLE booking RENAME s2 TO status; COMMIT",
]
STUB = [
    "UPDATE booking SET status = 'new' WHERE status IS NULL",
    "ALTER TABLE booking ALTER status SET NOT NULL",
    "ALTER TABLE booking ADD FOREIGN KEY (guest_id) REFERENCES guest",
]


def note(before: Callable[[], list[Any]], after: Callable[[], list[Any]]) -> Callable[[], object]:
    """An answer from two functions: Django is imported when it is set up."""

    def remove_note() -> object:
        return before(), after()

    remove_note.__name__ = f"{before.__name__}-{after.__name__}"
    return remove_note


def nothing() -> list[Any]:
    return []


def remove() -> list[Any]:
    from django.db.migrations import RemoveField

    return [RemoveField("booking", "note")]


def alter(**options: Any) -> Callable[[], list[Any]]:  # noqa: ANN401 (options of any field)
    def altered() -> list[Any]:
        from django.db import models
        from django.db.migrations import AlterField

        return [AlterField("booking", "note", models.TextField(**options))]

    altered.__name__ = f"altered-{'-'.join(options)}"
    return altered


def sql(statement: str) -> Callable[[], list[Any]]:
    def run_sql() -> list[Any]:
        from django.db.migrations import RunSQL

        return [RunSQL(statement)]

    run_sql.__name__ = "_".join(statement.split()[:1] + statement.split()[3:5])
    return run_sql


def forgotten() -> list[Any]:
    """Out of Django's state, and the column stays."""
    from django.db.migrations import SeparateDatabaseAndState

    return [SeparateDatabaseAndState(state_operations=remove())]


def with_a_default_and_forgotten() -> list[Any]:
    return [*sql("ALTER TABLE site_booking ALTER note SET DEFAULT ''")(), *forgotten()]


def renamed() -> list[Any]:
    from django.db.migrations import RenameField

    return [RenameField("booking", "note", "old_note")]


def made_anew() -> list[Any]:
    from django.db import models
    from django.db.migrations import AddField

    return [*remove(), AddField("booking", "note", models.TextField(null=True))]


def model_deleted() -> list[Any]:
    from django.db.migrations import DeleteModel

    return [DeleteModel("booking")]


def nights_null() -> list[Any]:
    from django.db import models
    from django.db.migrations import AlterField

    return [AlterField("booking", "nights", models.IntegerField(null=True))]


def too_much() -> list[Any]:
    return [*alter(db_default="")(), *nights_null()]


def too_much_of_the_state() -> list[Any]:
    from django.db.migrations import SeparateDatabaseAndState

    return [*alter(db_default="")(), SeparateDatabaseAndState(state_operations=nights_null())]


def short() -> list[Any]:
    from django.db import models
    from django.db.migrations import AlterField

    return [AlterField("booking", "note", models.CharField(max_length=200, null=True))]


def zeros() -> list[Any]:
    from django.db.migrations import RunSQL

    return [RunSQL("UPDATE site_booking SET nights = 0"), *remove()]


TRIGGER = """
CREATE FUNCTION notes() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN NEW.note := coalesce(NEW.note, ''); RETURN NEW; END $$;
CREATE TRIGGER notes BEFORE INSERT ON site_booking FOR EACH ROW EXECUTE FUNCTION notes()
"""


def trigger_dropped() -> list[Any]:
    from django.db.migrations import RunSQL

    return [RunSQL("DROP TRIGGER notes ON site_booking"), *remove()]


def dropped_with_state() -> list[Any]:
    from django.db.migrations import RunSQL

    drop = "ALTER TABLE site_booking DROP COLUMN IF EXISTS note CASCADE"
    return [RunSQL(drop, state_operations=remove())]


def only_one_list() -> object:
    return remove()


def with_text() -> object:
    return ["ALTER TABLE site_booking DROP COLUMN note"], []


DROP = sql("ALTER TABLE site_booking DROP COLUMN note")

RIGHT = [
    (ONE, by_the_catalogue),
    (ONE, by_reindex),
    (ONE, under_another_name),
    (ONE, rest_is_renamed_and_dropped),
    (ONE, again_and_again),
    (TWO, [DEFAULT, *BATCHES, *NOT_NULL, *GUEST]),
    (TWO, ["SET lock_timeout = '2s'", *COALESCE, *BATCHES, *NOT_NULL, *GUEST]),
    (
        TWO,
        [
            DEFAULT,
            "CREATE INDEX CONCURRENTLY todo ON booking (id) WHERE status IS NULL",
            *(
                "UPDATE booking SET status = 'new' WHERE id IN"
                " (SELECT id FROM booking WHERE status IS NULL ORDER BY id LIMIT 900)",
            )
            * 4,
            "DROP INDEX CONCURRENTLY todo",
            *NOT_NULL,
            *GUEST,
            "VACUUM booking",
        ],
    ),
    (TWO, [*GUEST, DEFAULT, LOOP, *CHECKED, SET, "ALTER TABLE booking DROP CONSTRAINT checked"]),
    (THREE, note(alter(db_default=""), remove)),
    (THREE, note(alter(null=True), remove)),
    (THREE, note(with_a_default_and_forgotten, DROP)),
    (THREE, note(sql(TRIGGER), trigger_dropped)),
    (THREE, note(alter(null=True, db_default="-"), dropped_with_state)),
]

NOT_YET = [
    (ONE, None, "give a function"),
    (ONE, f"CREATE INDEX CONCURRENTLY {INDEX}", "of type str"),
    (ONE, if_not_exists, "could not add a booking: canceling statement due to lock timeout"),
    (ONE, plain, "could not add a booking"),
    (ONE, without_a_look, 'an invalid index was there, and your function failed: relation "book'),
    (ONE, only_if_not_there, "at the end booking_guest is invalid"),
    (ONE, dropped_plainly, "an invalid index was there, and an old transaction was open"),
    (ONE, always_anew, "built it again"),
    (ONE, always_reindexed, "built it again"),
    (ONE, only_reindexed, "no index was there, and your function failed"),
    (ONE, in_a_transaction, "cannot run inside a transaction block"),
    (ONE, in_a_hurry, "Your function gave up: canceling statement due to lock timeout"),
    (ONE, swallowing, "at the end booking_guest is invalid"),
    (ONE, if_any_is_invalid, 'index "booking_guest" does not exist'),
    (ONE, of_another_column, "another index"),
    (ONE, declared_valid, "permission denied"),
    (ONE, anew_but_plainly, "could not add a booking"),
    (ONE, old_one_dropped_plainly, "could not add a booking"),
    (ONE, once_more_plainly, "could not add a booking"),
    (ONE, plainly_if_valid, "a valid index was there, and an old transaction was open. While"),
    (ONE, drops_all_invalid, "has dropped booking_nights too"),
    (ONE, rest_is_renamed, "the table also has old_one"),
    (ONE, by_ready, "at the end booking_guest is invalid"),
    (TWO, [], "the list is empty"),
    (TWO, "; ".join(STUB), "of type str"),
    (TWO, [7], "of type int"),
    (TWO, STUB, 'refused statement 2: column "status"'),
    (TWO, [*BATCHES, *NOT_NULL, *GUEST], "after statement 7, the old release could not add"),
    (TWO, [DEFAULT, STUB[0], *NOT_NULL, *GUEST], "one transaction changed"),
    (TWO, [DEFAULT, LOOP.replace("COMMIT;", ""), *NOT_NULL, *GUEST], "one transaction changed"),
    (TWO, [DEFAULT, *BATCHES, SET, *GUEST], "statement 8 reads all rows while booking is locked"),
    (TWO, [DEFAULT, *BATCHES, *NOT_NULL, STUB[2]], "statement 10 reads all rows"),
    (TWO, [DEFAULT, *BATCHES, *NOT_NULL, GUEST[0]], "guest is there, and not validated"),
    (TWO, [DEFAULT, *BATCHES, NOT_NULL[0], *GUEST], "NOT NULL is there, and not validated"),
    (TWO, [DEFAULT, *BATCHES, *NOT_NULL], "does not say that guest_id refers"),
    (TWO, [DEFAULT, *BATCHES, *CHECKED, *GUEST], "does not say that status is NOT NULL"),
    (TWO, [DEFAULT, NOT_NULL[0], *BATCHES, NOT_NULL[1], *GUEST], "could not change an old booking"),
    (TWO, [DEFAULT, *BATCHES, CHECKED[0], SET, *GUEST], "statement 9 reads all rows"),
    (TWO, ["BEGIN", DEFAULT, *BATCHES, *NOT_NULL, *GUEST, "COMMIT"], "lock timeout"),
    (TWO, ["; ".join([DEFAULT, *BATCHES, *NOT_NULL, *GUEST])], "statement 1 reads all rows"),
    (TWO, [DEFAULT, *BATCHES[:3], *NOT_NULL, *GUEST], "could not change an old booking"),
    (
        TWO,
        [DEFAULT, *(batch.replace("status IS NULL AND", "") for batch in BATCHES), *NOT_NULL],
        "was 'paid', and is 'new'",
    ),
    (
        TWO,
        [
            "ALTER TABLE booking DROP COLUMN status",
            "ALTER TABLE booking ADD COLUMN status text NOT NULL DEFAULT 'new'",
            *GUEST,
        ],
        "could not cancel a booking",
    ),
    (TWO, [DEFAULT, "DELETE FROM booking WHERE status IS NULL", *NOT_NULL, *GUEST], "are gone"),
    (
        TWO,
        [DEFAULT, "ALTER TABLE booking ALTER status TYPE text USING coalesce(status, 'new')"],
        "writes the whole table booking anew",
    ),
    (
        TWO,
        [
            f"{DEFAULT}, ALTER nights SET DEFAULT 1",
            *BATCHES,
            *NOT_NULL,
            "UPDATE booking SET guest_id = 1 WHERE guest_id IS NULL AND id < 900",
            *GUEST,
        ],
        "at the end",
    ),
    (TWO, [*BATCHES, DEFAULT, *NOT_NULL, *GUEST], "contains null values"),
    (TWO, [DEFAULT, *BATCHES[:5], *NOT_NULL, *GUEST], "contains null values"),
    (TWO, [DEFAULT, *BATCHES, NOT_NULL[0], SET, *GUEST], "statement 9 reads all rows"),
    (
        TWO,
        [
            DEFAULT,
            *BATCHES[:5],
            "DELETE FROM booking WHERE status IS NULL",
            *NOT_NULL,
            *GUEST,
        ],
        "has added 12 bookings, and 11 of them are there",
    ),
    (
        TWO,
        [
            DEFAULT,
            *(batch.replace("SET", "SET guest_id = NULL,") for batch in BATCHES),
            *NOT_NULL,
            *GUEST,
        ],
        "guest_id and nights of booking",
    ),
    (
        TWO,
        ["INSERT INTO guest VALUES (0, 'nobody')", DEFAULT, *BATCHES, *NOT_NULL, *GUEST],
        "guest h",
    ),
    (TWO, [DEFAULT, GONE, *NOT_NULL, *GUEST], "one transaction changed"),
    (
        TWO,
        ["ALTER TABLE booking DISABLE TRIGGER USER", DEFAULT, STUB[0], *NOT_NULL, *GUEST],
        "one transaction changed",
    ),
    (TWO, [*COPY, *GUEST], "was 'cancelled', and is 'paid'"),
    (
        TWO,
        [DEFAULT, *BATCHES, *NOT_NULL, *GUEST, "VACUUM FULL booking"],
        "statement 12 writes a whole table anew",
    ),
    (THREE, None, "two lists"),
    (THREE, only_one_list, "two lists"),
    (THREE, with_text, "no operation"),
    (THREE, note(remove, nothing), 'cannot add a booking: column "note" of relation'),
    (THREE, note(nothing, remove), 'the new release cannot add a booking: null value in column "n'),
    (THREE, note(alter(default=""), remove), "the new release cannot add a booking: null value"),
    (THREE, note(alter(blank=True), remove), "the new release cannot add a booking: null value"),
    (THREE, note(alter(null=True), nothing), "still has the column note"),
    (THREE, note(forgotten, DROP), "the new release cannot add a booking: null value"),
    (THREE, note(with_a_default_and_forgotten, nothing), "still has the column note"),
    (THREE, note(alter(db_default=""), DROP), "the next makemigrations"),
    (THREE, note(alter(db_default=""), forgotten), "still has the column note"),
    (THREE, note(renamed, remove), "the old release cannot add a booking"),
    (THREE, note(made_anew, remove), "has changed notes"),
    (THREE, note(alter(null=True), model_deleted), "at the end, the new release cannot"),
    (THREE, note(with_a_default_and_forgotten, remove), "is refused"),
    (THREE, note(too_much, remove), "the column nights is not as it was"),
    (THREE, note(too_much_of_the_state, remove), "nights may be null in Django's state"),
    (THREE, note(short, remove), "value too long"),
    (THREE, note(alter(db_default=""), zeros), "the column nights is not as it was"),
    (THREE, note(sql(TRIGGER), remove), 'record "new" has no field "note"'),
]


test_right, test_not_yet = tables.tests(RIGHT, NOT_YET)
