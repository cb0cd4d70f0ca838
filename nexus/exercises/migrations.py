"""Judges of "Migrations": an index built again, a plan of SQL, a column that goes away."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg

from nexus.judging import NotYet, judge
from nexus.judging.limits import Run, all_of, within
from nexus.judging.meeting import come_to_rest, holding
from nexus.judging.migrating import migrated, two_lists
from nexus.judging.querying import django
from nexus.judging.sandbox import Connection, Sandbox, database
from nexus.judging.verdict import first_line
from nexus.services.process import wait_for

OPEN_FOR = 0.8
"""Seconds that an old transaction stays open: longer than a lock_timeout of half a second."""


def _bookings(connection: Connection) -> None:
    """Makes a table with an index that an earlier migration has left invalid."""
    connection.execute("""
        CREATE TABLE booking (
            id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, guest_id int, nights int NOT NULL
        );
        INSERT INTO booking (guest_id, nights)
        SELECT nullif(n % 20, 0), n % 7 + 1 FROM generate_series(1, 200) AS n;
        CREATE INDEX booking_nights ON booking (nights);
        UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'booking_nights'::regclass;
    """)


GIVEN_1 = """
def build(connection):
    connection.execute("CREATE INDEX IF NOT EXISTS booking_guest ON booking (guest_id)")
"""
Build = Callable[[Connection], object]


@judge(
    "migrations.1",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a connection: it leaves a valid index booking_guest",
    stub=GIVEN_1,
)
def index(answer: Build) -> str:
    """It builds, keeps or mends the index, and nobody who writes waits for that."""
    for found in ("no index", "an invalid index"):
        with database("migrations_index", _bookings) as box:
            if found != "no index":
                _make_index(box)
                box.admin.execute(
                    "UPDATE pg_index SET indisvalid = false "
                    "WHERE indexrelid = 'booking_guest'::regclass"
                )
            _beside_an_old_transaction(answer, box, found)
            _look_at_index(box, found)
    with database("migrations_index", _bookings) as box:
        _make_index(box)
        before = _index(box)
        try:
            within(lambda: answer(box.learner))
        except psycopg.Error as error:
            raise NotYet(
                f"a valid index was there, and your function failed: {first_line(error)}"
            ) from None
        _look_at_index(box, "a valid index")
        if _index(box) != before:
            raise NotYet(
                "a valid index was there, and your function has built it again. On a large table "
                "that is hours of work in each deployment: look first whether it is valid"
            )
    return (
        "it built the index, built an invalid one anew, and left a valid one alone, and programs "
        "could write meanwhile"
    )


def _make_index(box: Sandbox) -> None:
    """The index that is asked for, as an earlier deployment has left it."""
    box.learner.execute("CREATE INDEX booking_guest ON booking (guest_id)")


def _index(box: Sandbox) -> tuple[Any, ...] | None:
    """The index's definition, whether it is valid, and the file that it is in."""
    return box.admin.execute("""
        SELECT pg_get_indexdef(indexrelid), indisvalid AND indisready,
               pg_relation_filenode(indexrelid)
        FROM pg_index WHERE indexrelid = to_regclass('booking_guest')
    """).fetchone()


def _beside_an_old_transaction(answer: Build, box: Sandbox, found: str) -> None:
    """Lets an answer run while a transaction is open that has written, and others write.

    Raises:
        NotYet: if somebody cannot write, or the answer does not wait for the transaction.
    """
    with holding(box, "UPDATE booking SET nights = 2 WHERE id = 1") as holder:
        run = Run(lambda: answer(box.learner))
        come_to_rest(box, [lambda: run.is_running])
        refused = _write(box, "INSERT INTO booking (guest_id, nights) VALUES (7, 3)")
        if refused is None:
            with suppress(TimeoutError):
                wait_for(lambda: not run.is_running, OPEN_FOR, "an answer that gives up")
        gave_up = run.error
        holder.commit()
        all_of([run], "your function")
    if refused is not None:
        raise NotYet(
            f"{found} was there, and an old transaction was open. While your function ran, a "
            f"program could not add a booking: {refused}. Use statements that let others write"
        )
    if gave_up is not None and isinstance(gave_up, psycopg.errors.LockNotAvailable):
        raise NotYet(
            f"{found} was there, and a transaction that had written stayed open for a while. Your "
            f"function gave up: {first_line(gave_up)}. A concurrent build must wait for such "
            "transactions, and nobody queues behind it"
        )
    try:
        run.value()
    except psycopg.Error as error:
        raise NotYet(f"{found} was there, and your function failed: {first_line(error)}") from None


def _write(box: Sandbox, statement: str) -> str | None:
    """Writes as a program does that waits for a moment; the error if it cannot."""
    try:
        box.admin.execute("SET lock_timeout = '300ms'")
        box.admin.execute(statement)  # type: ignore[arg-type]
    except psycopg.Error as error:
        return first_line(error)
    finally:
        box.admin.execute("SET lock_timeout = 0")
    return None


def _look_at_index(box: Sandbox, found: str) -> None:
    """Compares the index with what it should be.

    Raises:
        NotYet: if it is not there, not valid, or another one.
    """
    index = _index(box)
    if index is None:
        raise NotYet(f"{found} was there before, and at the end none is called booking_guest")
    definition, is_valid, _ = index
    if not is_valid:
        raise NotYet(
            f"{found} was there before, and at the end booking_guest is invalid: PostgreSQL keeps "
            "it up to date, and no query can use it"
        )
    if not definition.endswith(" USING btree (guest_id)"):
        raise NotYet(f"booking_guest is another index: {definition}")
    if box.learner.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        raise NotYet("when your function has returned, its transaction is still open")


def _live(connection: Connection) -> None:
    """Makes two tables, and triggers that note what a statement reads, rewrites and changes."""
    connection.execute("""
        CREATE TABLE guest (id int PRIMARY KEY, name text NOT NULL);
        CREATE TABLE booking (
            id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
            guest_id int, nights int NOT NULL, status text
        );
        CREATE SCHEMA judge;
        CREATE TABLE judge.log (what text NOT NULL, said text NOT NULL);
        CREATE TABLE judge.changed (tx xid8 NOT NULL, rows int NOT NULL);

        CREATE FUNCTION judge.rows_read() RETURNS bigint LANGUAGE sql AS $$
            SELECT coalesce(sum(seq_tup_read), 0)::bigint FROM pg_stat_xact_user_tables
            WHERE schemaname = 'public' AND relname IN ('booking', 'guest')
        $$;
        CREATE FUNCTION judge.begins() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
        AS $$ BEGIN
            PERFORM set_config('judge.read', judge.rows_read()::text, true);
        END $$;
        CREATE FUNCTION judge.ends() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
        AS $$ DECLARE held text; BEGIN
            SELECT relation::regclass || ' is locked in ' || mode INTO held FROM pg_locks
            WHERE pid = pg_backend_pid() AND granted
              AND relation IN ('public.booking'::regclass, 'public.guest'::regclass)
              AND mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
                           'AccessExclusiveLock')
            ORDER BY mode LIMIT 1;
            IF held IS NOT NULL
               AND judge.rows_read()
                   > coalesce(nullif(current_setting('judge.read', true), ''), '0')::bigint
            THEN
                INSERT INTO judge.log VALUES ('reads', held);
            END IF;
        END $$;
        CREATE FUNCTION judge.rewrites() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
        AS $$ BEGIN
            INSERT INTO judge.log
            VALUES ('rewrites', pg_event_trigger_table_rewrite_oid()::regclass);
        END $$;
        CREATE FUNCTION judge.counts() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        AS $$ BEGIN
            INSERT INTO judge.changed SELECT pg_current_xact_id(), count(*) FROM changed;
            RETURN NULL;
        END $$;
        CREATE EVENT TRIGGER judge_begins ON ddl_command_start EXECUTE FUNCTION judge.begins();
        CREATE EVENT TRIGGER judge_ends ON ddl_command_end EXECUTE FUNCTION judge.ends();
        CREATE EVENT TRIGGER judge_rewrites ON table_rewrite EXECUTE FUNCTION judge.rewrites();
        CREATE TRIGGER judge_counts AFTER UPDATE ON booking REFERENCING NEW TABLE AS changed
        FOR EACH STATEMENT EXECUTE FUNCTION judge.counts();
    """)


FILL = """
    INSERT INTO guest SELECT n, 'guest ' || n FROM generate_series(1, 50) AS n;
    INSERT INTO booking (id, guest_id, nights, status)
    SELECT n, nullif(n % 51, 0), n % 7 + 1,
           CASE n % 10 WHEN 3 THEN 'paid' WHEN 4 THEN '' WHEN 5 THEN 'new' END
    FROM generate_series(1, 5000) AS n WHERE n % 5 <> 2 AND n NOT BETWEEN 1000 AND 2000;
    SELECT setval(pg_get_serial_sequence('booking', 'id'), 5000);
"""
"""3,200 bookings, with gaps, without a guest, with an empty status."""

MOST = 1_000
PLAN = [
    "UPDATE booking SET status = 'new' WHERE status IS NULL",
    "ALTER TABLE booking ALTER status SET NOT NULL",
    "ALTER TABLE booking ADD FOREIGN KEY (guest_id) REFERENCES guest",
]


@judge(
    "migrations.2",
    takes=list,
    called="a list of statements in quotes",
    hint="give a list of SQL statements, in their order",
    stub=PLAN,
)
def plan(answer: list[object]) -> str:
    """The old release writes all the time, no lock lasts, and the rules hold at the end."""
    if wrong := [one for one in answer if not isinstance(one, str)]:
        raise NotYet(f"a statement is text in quotes; this is of type {type(wrong[0]).__name__}")
    if not answer:
        raise NotYet("the list is empty")
    written = 0
    for is_empty in (False, True):
        with database("migrations_plan", _live) as box:
            if not is_empty:
                box.admin.execute(FILL)
            written += _run(box, [str(one) for one in answer], is_empty=is_empty)
    return (
        f"the old release wrote {written} times, before, between and after your {len(answer)} "
        "statements, and was never refused. No statement kept writers waiting while it read a "
        "table, and both rules hold"
    )


def _run(box: Sandbox, statements: list[str], *, is_empty: bool) -> int:
    """Runs a plan between the writes of the old release, and looks at what comes of it.

    Returns:
        How often the old release has written.

    Raises:
        NotYet: if something is wrong.
    """
    tables = "the tables were empty" if is_empty else "the tables had rows"
    before = dict(box.admin.execute("SELECT id, (guest_id, nights, status)::text FROM booking"))
    statuses = dict(box.admin.execute("SELECT id, status FROM booking"))
    times = _old_release(box, "before your plan")
    for number, statement in enumerate(statements, 1):
        start = box.admin.execute("SELECT count(*) FROM judge.log").fetchone() or (0,)
        try:
            with box.watched():
                box.learner.execute(statement)  # type: ignore[arg-type]
        except psycopg.Error as error:
            raise NotYet(
                f"{tables}, and PostgreSQL refused statement {number}: {first_line(error)}"
            ) from None
        times += _old_release(box, f"after statement {number}")
        _look_at_log(box, number, start[0])
    if box.learner.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        raise NotYet("after the last statement, a transaction is still open")
    most = box.admin.execute(
        "SELECT coalesce(max(n), 0) "
        "FROM (SELECT sum(rows) AS n FROM judge.changed GROUP BY tx) AS transactions"
    ).fetchone()
    if most and most[0] > MOST:
        raise NotYet(
            f"one transaction changed {most[0]:,} bookings. Until its end, nobody else can change "
            f"one of them: at most {MOST:,} at a time"
        )
    _look_at_rows(box, before, statuses)
    _look_at_rules(box, tables)
    return times


def _old_release(box: Sandbox, when: str) -> int:
    """Writes as the old release does, which knows no rule about status, and returns how often.

    Raises:
        NotYet: if PostgreSQL refuses that.
    """
    writes = {
        "add a booking": "INSERT INTO booking (guest_id, nights) VALUES (NULL, 3)",
        "change an old booking": "UPDATE booking SET nights = nights WHERE id IN (1, 5000)",
    }
    for what, statement in writes.items():
        if (refused := _write(box, statement)) is not None:
            raise NotYet(f"{when}, the old release could not {what}: {refused}")
    return len(writes)


def _look_at_log(box: Sandbox, number: int, start: int) -> None:
    """What the triggers have noted of a statement.

    Raises:
        NotYet: if it read or rewrote a table while writers had to wait.
    """
    log = box.admin.execute("SELECT what, said FROM judge.log").fetchall()[start:]
    for what, said in log:
        if what == "rewrites":
            raise NotYet(f"statement {number} writes the whole table {said} anew; all others wait")
        raise NotYet(
            f"statement {number} reads all rows while {said}. On a large table, writers wait for "
            "minutes"
        )


def _look_at_rows(box: Sandbox, before: dict[int, str], statuses: dict[int, str | None]) -> None:
    """Compares the rows with what they should be.

    Raises:
        NotYet: if one is gone, or has a wrong status.
    """
    now = dict(box.admin.execute("SELECT id, (guest_id, nights, status)::text FROM booking"))
    if gone := before.keys() - now.keys():
        raise NotYet(f"{len(gone):,} bookings are gone")
    found = dict(box.admin.execute("SELECT id, status FROM booking"))
    for key, status in found.items():
        wanted = statuses.get(key) if statuses.get(key) is not None else "new"
        if status != wanted:
            was = statuses.get(key, "added by the old release, without a status")
            raise NotYet(
                f"the status of booking {key} was {was!r}, and is {status!r} at the end; expected "
                f"is {wanted!r}"
            )
        if key in before and status == statuses[key] and now[key] != before[key]:
            raise NotYet(f"booking {key} was {before[key]}, and is {now[key]} at the end")


def _look_at_rules(box: Sandbox, tables: str) -> None:
    """Looks into the catalogue whether both rules are there, and valid.

    Raises:
        NotYet: if one is not.
    """
    for name, query in {
        "status is NOT NULL": "SELECT attnotnull AND NOT EXISTS (SELECT FROM pg_constraint WHERE "
        "conrelid = attrelid AND contype = 'n' AND attnum = ANY (conkey) AND NOT convalidated), "
        "attnotnull FROM pg_attribute WHERE attrelid = 'booking'::regclass AND attname = 'status'",
        "guest_id refers to guest": "SELECT bool_or(convalidated), count(*) > 0 FROM pg_constraint "
        "WHERE conrelid = 'booking'::regclass AND confrelid = 'guest'::regclass AND contype = 'f'",
    }.items():
        valid, there = box.admin.execute(query).fetchone() or (False, False)  # type: ignore[arg-type]
        if not there:
            raise NotYet(f"{tables}; at the end, the catalogue does not say that {name}")
        if not valid:
            raise NotYet(f"{tables}; at the end, the rule that {name} is there, and not validated")


def _notes(connection: Connection) -> None:
    """Makes the table of a model with three fields, and two rows."""
    connection.execute("""
        CREATE TABLE site_booking (
            id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
            nights integer NOT NULL, note text NOT NULL
        );
        INSERT INTO site_booking (nights, note) VALUES (2, 'late arrival'), (3, '');
    """)


GIVEN_3 = """
def remove_note():
    before = [RemoveField("booking", "note")]
    after = []
    return before, after
"""
OLD = {
    "add a booking": "INSERT INTO site_booking (nights, note) VALUES (4, 'a note')",
    "read the bookings": "SELECT id, nights, note FROM site_booking",
    "change a booking": "UPDATE site_booking SET nights = nights, note = note",
}
NEW = {
    "add a booking": "INSERT INTO site_booking (nights) VALUES (5)",
    "read the bookings": "SELECT id, nights FROM site_booking",
    "change a booking": "UPDATE site_booking SET nights = nights",
}


@judge(
    "migrations.3",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function that returns two lists of operations, before and after",
    stub=GIVEN_3,
)
def removal(answer: Callable[[], object]) -> str:
    """Both releases work between the lists, and at the end the column is gone for everybody."""
    with django(), database("migrations_notes", _notes) as box:
        before, after = two_lists(within(answer))
        state = _change(box, _state(), before, "before")
        _release(box, OLD, "after the list before, the old release")
        _release(box, NEW, "after the list before, the new release")
        _release(box, OLD, "beside the new release, the old release")
        notes = box.admin.execute("SELECT note FROM site_booking WHERE id <= 2 ORDER BY id")
        if [note for (note,) in notes] != ["late arrival", ""]:
            raise NotYet("the list before has changed notes, and the old release still shows them")
        state = _change(box, state, after, "after")
        columns = "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass('site_booking')"
        there = {name for (name,) in box.admin.execute(f"{columns} AND NOT attisdropped")}
        if "note" in there:
            raise NotYet("at the end, the table still has the column note")
        _release(box, NEW, "at the end, the new release")
        kept = box.admin.execute("SELECT count(*), count(nights) FROM site_booking").fetchone()
        if kept != (6, 6):
            raise NotYet("at the end, some bookings are gone")
        model = state.models.get(("site", "booking"))
        if model is None or set(model.fields) != {"id", "nights"}:
            fields = ", ".join(model.fields) if model else "nothing"
            raise NotYet(
                f"PostgreSQL is right. But Django's state of the model has {fields}, and the next "
                "makemigrations would write another migration"
            )
    return "both releases worked between the two lists, and at the end the column is gone"


def _state() -> Any:  # noqa: ANN401
    """Django's state of the model, as the old release has it."""
    from django.db import models
    from django.db.migrations.state import ModelState, ProjectState

    state = ProjectState()
    fields = [
        ("id", models.BigAutoField(primary_key=True)),
        ("nights", models.IntegerField()),
        ("note", models.TextField()),
    ]
    state.add_model(ModelState("site", "Booking", fields))
    return state


def _change(box: Sandbox, state: Any, operations: list[Any], name: str) -> Any:  # noqa: ANN401
    """Runs one of the lists.

    Raises:
        NotYet: if Django or PostgreSQL refuses it.
    """
    try:
        return migrated(box, "site", state, operations)
    except NotYet:
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {first_line(error)}"
        raise NotYet(f"the list {name} is refused: {what}") from None


def _release(box: Sandbox, statements: dict[str, str], who: str) -> None:
    """Works as a release does.

    Raises:
        NotYet: if PostgreSQL refuses a statement.
    """
    for what, statement in statements.items():
        if (refused := _write(box, statement)) is not None:
            raise NotYet(f"{who} cannot {what}: {refused}")
