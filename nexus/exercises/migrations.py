"""Judges of "Migrations": an index built again, a plan of SQL, a column that goes away."""

from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

import psycopg

from nexus.judging import NotYet, judge
from nexus.judging.limits import Run, all_of, within
from nexus.judging.meeting import come_to_rest, holding
from nexus.judging.migrating import migrated, note_ddl, texts, two_lists
from nexus.judging.querying import django
from nexus.judging.sandbox import Connection, Sandbox, database
from nexus.judging.verdict import first_line
from nexus.services.process import wait_for

OPEN_FOR = 0.8
"""Seconds that an old transaction stays open: longer than a lock_timeout of half a second."""

MEETINGS = 8
"""How many old transactions follow each other at most: each statement of an answer meets one."""


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


OTHERS = {"booking_pkey", "booking_nights"}
"""The indexes that are none of the answer's business."""

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
            _beside_old_transactions(answer, box, found)
            _look_at_index(box, found)
    with database("migrations_index", _bookings) as box:
        _make_index(box)
        before = _index(box)
        _beside_old_transactions(answer, box, "a valid index")
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


def _beside_old_transactions(answer: Build, box: Sandbox, found: str) -> None:
    """Lets an answer run while a transaction is open that has written, and others write.

    A next such transaction begins before the last one ends, and so a second statement of the
    answer that locks the table is met too.

    Raises:
        NotYet: if somebody cannot write, or the answer does not wait for the transactions.
    """
    refused: str | None = None
    gave_up: BaseException | None = None
    with ExitStack() as stack:
        holder = stack.enter_context(holding(box, _old_write(1)))
        run = Run(lambda: answer(box.learner))
        for number in range(2, MEETINGS + 1):
            is_at_rest = come_to_rest(box, [lambda: run.is_running])
            refused = _write(box, "INSERT INTO booking (guest_id, nights) VALUES (7, 3)")
            if refused is not None or not is_at_rest:
                break
            if number == 2:  # the first one stays open for a while
                with suppress(TimeoutError):
                    wait_for(lambda: not run.is_running, OPEN_FOR, "an answer that gives up")
                gave_up = run.error
            if not run.is_running:
                break
            try:
                following = stack.enter_context(holding(box, _old_write(number)))
            except psycopg.Error as error:
                refused = first_line(error)
                break
            holder.commit()
            holder = following
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
            "transactions, and no read or write queues behind it"
        )
    try:
        run.value()
    except psycopg.Error as error:
        raise NotYet(f"{found} was there, and your function failed: {first_line(error)}") from None


def _old_write(number: int) -> str:
    """A write of an old transaction, to a booking of its own."""
    return f"UPDATE booking SET nights = 2 WHERE id = {number}"  # noqa: S608


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
    others = {
        name
        for (name,) in box.admin.execute(
            "SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid "
            "WHERE indrelid = to_regclass('booking')"
        )
    } - {"booking_guest"}
    if more := others - OTHERS:
        raise NotYet(
            f"{found} was there before, and at the end the table also has {', '.join(more)}. "
            "PostgreSQL updates it with each write: drop it"
        )
    if less := OTHERS - others:
        raise NotYet(
            f"your function has dropped {', '.join(less)} too. It has to do with booking_guest "
            "only: another invalid index may be one that somebody builds at this moment"
        )
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
    """)
    note_ddl(connection)
    connection.execute("""
        INSERT INTO judge.watched VALUES ('booking'::regclass), ('guest'::regclass);
        CREATE TABLE judge.changed (tx xid8 NOT NULL, rows int NOT NULL);

        CREATE FUNCTION judge.begins() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
        AS $$ BEGIN
            PERFORM set_config('judge.read', judge.rows_read()::text, true);
        END $$;
        CREATE FUNCTION judge.counts() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        AS $$ BEGIN
            INSERT INTO judge.changed SELECT pg_current_xact_id(), count(*) FROM changed;
            RETURN NULL;
        END $$;
        CREATE EVENT TRIGGER judge_begins ON ddl_command_start EXECUTE FUNCTION judge.begins();
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
    statements = texts(answer)
    written = 0
    for is_empty in (False, True):
        with database("migrations_plan", _live) as box:
            if not is_empty:
                box.admin.execute(FILL)
            written += _run(box, statements, is_empty=is_empty)
    return (
        f"the old release wrote {written} times, before, between and after your {len(statements)} "
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
    before = _Bookings(box)
    times = _old_release(box, "before your plan", 0)
    for number, statement in enumerate(statements, 1):
        start = box.admin.execute("SELECT count(*) FROM judge.log").fetchone() or (0,)
        try:
            with box.watched():
                box.learner.execute(statement)  # type: ignore[arg-type]
        except psycopg.Error as error:
            raise NotYet(
                f"{tables}, and PostgreSQL refused statement {number}: {first_line(error)}"
            ) from None
        times += _old_release(box, f"after statement {number}", number)
        _look_at_log(box, number, start[0])
        if box.admin.execute(FILES).fetchone() != before.files:
            # An event trigger hears nothing of VACUUM FULL and CLUSTER.
            raise NotYet(f"statement {number} writes a whole table anew; all others wait")
    if box.learner.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        raise NotYet("after the last statement, a transaction is still open")
    _look_at_transactions(box, before.transactions)
    _look_at_rows(box, before, len(statements) + 1)
    _look_at_rules(box, tables)
    return times


class _Bookings:
    """The tables before a plan.

    Attributes:
        rows: The guest, the nights and the status of each booking.
        guests: The table of guests.
        files: Where the tables are.
        transactions: Who has written the rows.
    """

    def __init__(self, box: Sandbox) -> None:
        self.rows = _rows(box)
        self.guests = box.admin.execute(GUESTS).fetchall()
        self.files = box.admin.execute(FILES).fetchone()
        self.transactions = [
            tx for (tx,) in box.admin.execute("SELECT DISTINCT xmin::text FROM booking")
        ]


FILES = "SELECT pg_relation_filenode('booking'::regclass), pg_relation_filenode('guest'::regclass)"
GUESTS = "SELECT id, name FROM guest ORDER BY id"
CANCEL = "UPDATE booking SET status = 'cancelled' WHERE id = {}"
CHANGED = range(2003, 5000, 10)
"""Paid bookings, which the old release cancels one after the other, so that none is copied late."""


def _rows(box: Sandbox) -> dict[int, tuple[int | None, int, str | None]]:
    rows = box.admin.execute("SELECT id, guest_id, nights, status FROM booking")
    return {key: (guest, nights, status) for key, guest, nights, status in rows}


def _old_release(box: Sandbox, when: str, number: int) -> int:
    """Writes as the old release does, which knows no rule about status, and returns how often.

    Raises:
        NotYet: if PostgreSQL refuses that.
    """
    writes = {
        "add a booking": "INSERT INTO booking (guest_id, nights) VALUES (NULL, 3)",
        "change an old booking": "UPDATE booking SET nights = nights WHERE id IN (1, 5000)",
        "cancel a booking": CANCEL.format(CHANGED.start + CHANGED.step * number),
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


def _look_at_transactions(box: Sandbox, known: list[str]) -> None:
    """Looks how many bookings one transaction has changed.

    A trigger counts what is updated, also in subtransactions. The rows themselves tell of those
    that were deleted and added again, or changed while the trigger was off.

    Raises:
        NotYet: if they are too many.
    """
    for count, parameters in {
        "SELECT sum(rows) FROM judge.changed GROUP BY tx": [],
        "SELECT count(*) FROM booking WHERE xmin::text <> ALL(%s) GROUP BY xmin::text": [known],
    }.items():
        counts = [rows for (rows,) in box.admin.execute(count, parameters)]  # type: ignore[arg-type]
        if max(counts, default=0) > MOST:
            raise NotYet(
                f"one transaction changed {max(counts):,} bookings. Until its end, nobody else can "
                f"change one of them: at most {MOST:,} at a time"
            )


def _look_at_rows(box: Sandbox, before: _Bookings, added: int) -> None:
    """Compares the rows with what they should be.

    Raises:
        NotYet: if one is gone, or has a wrong status, or is another one.
    """
    now = _rows(box)
    if gone := before.rows.keys() - now.keys():
        raise NotYet(f"{len(gone):,} bookings are gone")
    new = len(now) - len(before.rows)
    if new != added:
        raise NotYet(
            f"the old release has added {added} bookings, and {new} of them are there at the end"
            if new < added
            else f"at the end there are {new - added} bookings that the old release has not added"
        )
    for key, row in now.items():
        guest, nights, status = before.rows.get(key, (None, 3, None))
        if key in before.rows and key in CHANGED[:added]:
            status = "cancelled"
        wanted = status if status is not None else "new"
        if row[2] != wanted:
            was = repr(status) if key in before.rows else "not given by the old release"
            raise NotYet(
                f"the status of booking {key} was {was}, and is {row[2]!r} at the end; expected "
                f"is {wanted!r}"
            )
        if row[:2] != (guest, nights):
            raise NotYet(
                f"guest_id and nights of booking {key} were {guest} and {nights}, and are "
                f"{row[0]} and {row[1]} at the end"
            )
    if box.admin.execute(GUESTS).fetchall() != before.guests:
        raise NotYet("the table guest has other rows than before")


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
    "add a booking": "INSERT INTO site_booking (nights, note) VALUES (4, repeat('a note, ', 99))",
    "read the bookings": "SELECT id, nights, note FROM site_booking",
    "change a booking": "UPDATE site_booking SET nights = nights, note = note",
}
KEPT = "SELECT nights FROM site_booking ORDER BY nights"
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
        kept = [nights for (nights,) in box.admin.execute(KEPT)]
        if len(kept) != 6:
            raise NotYet("at the end, some bookings are gone")
        as_before = box.admin.execute(
            "SELECT FROM pg_attribute WHERE attrelid = to_regclass('site_booking') "
            "AND attname = 'nights' AND attnotnull AND atttypid = 'int'::regtype"
        ).fetchone()
        if kept != [2, 3, 4, 4, 5, 5] or as_before is None:
            raise NotYet("at the end, the column nights is not as it was before")
        model = state.models.get(("site", "booking"))
        if model and "nights" in model.fields and model.fields["nights"].null:
            raise NotYet("at the end, nights may be null in Django's state of the model")
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
    fields: list[tuple[str, models.Field[Any, Any]]] = [
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
