"""Judges of "Partitioning": a key for some queries, a live table, a job for each night."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from datetime import date
from typing import Any, NamedTuple

import psycopg
import sqlparse

from nexus.judging import NotYet, judge
from nexus.judging.limits import Run, all_of, within
from nexus.judging.meeting import come_to_rest, holding, waiting
from nexus.judging.migrating import note_ddl, texts
from nexus.judging.sandbox import Connection, Sandbox, database
from nexus.judging.verdict import first_line
from nexus.plans import explain
from nexus.services.process import wait_for

IDLE, BROKEN = psycopg.pq.TransactionStatus.IDLE, psycopg.pq.TransactionStatus.INERROR

STUB_1 = """
CREATE TABLE message (
    room_id int NOT NULL, ref text NOT NULL, sent_at timestamptz NOT NULL, body text NOT NULL,
    UNIQUE (room_id, ref, sent_at)
) PARTITION BY RANGE (sent_at);
CREATE TABLE message_2026 PARTITION OF message FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
"""
PAGES = 40
ROOMS = {
    "with small ids": ("n % 600 + 1", 9999),
    "with large and negative ids": ("(n % 600 - 300) * 7000000", 2147483000),
}
"""The rooms of 12,000 messages, and one room more, which has 2,000 messages."""


@judge(
    "partitioning.1",
    takes=str,
    called="SQL in quotes, one statement or more",
    hint="create the table message with its partitions and indexes, in quotes",
    stub=STUB_1,
)
def key(answer: str) -> str:
    """The key fits the constraint and the query, whatever the rooms' ids are."""
    for rooms, (expression, busy) in ROOMS.items():
        with database("partitioning_key", lambda _: None) as box:
            try:
                box.run(answer)
            except psycopg.Error as error:
                raise NotYet(f"PostgreSQL refused a statement: {first_line(error)}") from None
            _look_at_partitioned(box, "message")
            _look_at_types(box)
            _fill(box, rooms, expression, busy)
            _look_at_shares(box, rooms)
            for room in (busy, 1 if expression.endswith("1") else -7000000):
                _look_at_query(box, rooms, room)
            _look_at_edges_of_types(box)
            _look_at_refs(box)
            _look_at_each(box, rooms)
    return (
        "a room's query looked into one partition, messages were spread over the partitions, and "
        "a second message with the same ref was refused, also months later and at once"
    )


def _look_at_partitioned(box: Sandbox, table: str) -> None:
    """Raises NotYet if there is no such partitioned table."""
    kind = box.admin.execute(
        "SELECT relkind FROM pg_class WHERE oid = to_regclass(%s)", [f"public.{table}"]
    ).fetchone()
    if kind is None:
        raise NotYet(f"at the end, there is no table {table}")
    if kind != ("p",):
        raise NotYet(f"at the end, {table} is not a partitioned table")


TYPES = {
    "room_id": {"integer", "bigint"},
    "ref": {"text", "character varying"},
    "sent_at": {"timestamp with time zone"},
    "body": {"text", "character varying"},
}


def _look_at_types(box: Sandbox) -> None:
    """Raises NotYet if a column is missing or has another type."""
    columns = dict(
        box.admin.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = 'message'::regclass AND attnum > 0 AND NOT attisdropped"
        ).fetchall()
    )
    for name, types in TYPES.items():
        if columns.get(name) not in types:
            said = f"has the type {columns[name]}" if name in columns else "is missing"
            raise NotYet(f"the column {name} {said}")


ADD = "INSERT INTO message (room_id, ref, sent_at, body) "


def _fill(box: Sandbox, rooms: str, expression: str, busy: int) -> None:
    """Adds messages of twenty years.

    Raises:
        NotYet: if one is refused, or is not there afterwards.
    """
    sent = "timestamptz '2015-01-01' + n * 7919 % 20000 * interval '9 hours'"
    try:
        for room, count in ((expression, 12000), (str(busy), 2000)):
            box.admin.execute(
                f"{ADD} SELECT {room}, 'ref ' || n, {sent}, repeat('word ', 40) "  # type: ignore[arg-type] # noqa: S608
                f"FROM generate_series(1, {count}) AS n"
            )
    except psycopg.Error as error:
        detail = f" ({error.diag.message_detail})" if error.diag.message_detail else ""
        raise NotYet(
            f"messages of rooms {rooms}, sent between 2015 and 2035, are refused: "
            f"{first_line(error)}{detail}"
        ) from None
    stored = box.admin.execute("SELECT count(*) FROM message").fetchone() or (0,)
    if stored != (14000,):
        raise NotYet(f"14,000 messages were added, and {stored[0]:,} are in the table")
    box.admin.execute("ANALYZE message")


def _look_at_shares(box: Sandbox, rooms: str) -> None:
    """Raises NotYet if a partition has more than half of the messages."""
    shares = "SELECT tableoid::regclass::text, count(*) FROM message GROUP BY 1 ORDER BY 2 DESC"
    name, most = box.admin.execute(shares).fetchone() or ("", 0)
    if most > 7000:
        raise NotYet(
            f"with rooms {rooms}, {name} has {most:,} of 14,000 messages, which is more than half"
        )


def _look_at_query(box: Sandbox, rooms: str, room: int) -> None:
    """Raises NotYet if the query of a room looks into several partitions, or reads too much."""
    plan = explain(
        box.admin,
        f"SELECT * FROM message WHERE room_id = {room} ORDER BY sent_at DESC LIMIT 20",  # noqa: S608
    )
    partitions = {node.relation for node in plan.nodes if node.relation}
    if len(partitions) != 1:
        raise NotYet(
            f"the query of the newest messages of one room has {len(partitions)} partitions in "
            "its plan. It has no condition but room_id"
        )
    if (plan.buffers or 0) > PAGES:
        raise NotYet(
            f"with rooms {rooms}, the query of the newest 20 messages of room {room} reads "
            f"{plan.buffers} pages. An index can give them in their order"
        )


def _refused(connection: Connection, statement: str) -> psycopg.Error | None:
    """The error of a statement, which waits for a moment at most; None if it was done."""
    try:
        connection.execute("SET lock_timeout = '300ms'")
        if connection.execute(statement).rowcount == 0:  # type: ignore[arg-type]
            raise NotYet(
                "a second message with the same ref is dropped without an error, and the client "
                "learns nothing. PostgreSQL should refuse it"
            )
    except psycopg.Error as error:
        return error
    finally:
        connection.execute("SET lock_timeout = 0")
    return None


def _look_at_refs(box: Sandbox) -> None:
    """Raises NotYet if a ref can come twice in a room, or cannot come in another room."""
    message = ADD + "VALUES ({}, '{}', timestamptz '{}', 'hello')"
    box.admin.execute(message.format(5, "one", "2026-01-01"))  # type: ignore[arg-type]
    for when, sent in {
        "at the same time": "2026-01-01",
        "200 days later": "2026-07-20",
        "ten years before": "2016-01-01",
    }.items():
        error = _refused(box.admin, message.format(5, "one", sent))
        if error is None:
            raise NotYet(f"a second message of a room with the same ref, {when}, is accepted")
        if not isinstance(error, psycopg.IntegrityError | psycopg.errors.RaiseException):
            raise NotYet(f"a second message with the same ref ends with: {first_line(error)}")
    for what, other in {
        "the same ref in another room": message.format(6, "one", "2026-01-01"),
        "another ref at the same time": message.format(5, "two", "2026-01-01"),
        "a ref in capitals": message.format(5, "ONE", "2026-01-01"),
        "a ref with a space at its end": message.format(5, "one ", "2026-01-01"),
        "a long ref": message.format(5, "long " * 40 + "one", "2026-01-01"),
        "a long ref that ends in another way": message.format(
            5, "long " * 40 + "two", "2026-01-01"
        ),
        f"the ref '{SAME_HASH[0]}'": message.format(5, SAME_HASH[0], "2026-01-01"),
        f"the ref '{SAME_HASH[1]}', which is another one with the same hash,": message.format(
            5, SAME_HASH[1], "2026-01-01"
        ),
    }.items():
        if (error := _refused(box.admin, other)) is not None:
            raise NotYet(f"{what} is refused: {first_line(error)}")
    _look_at_meeting(box, *(message.format(5, "three", f"2026-0{n}-01") for n in (1, 2)))
    change = "UPDATE message SET ref = 'one' WHERE room_id = 5 AND ref = 'two'"
    if _refused(box.admin, change) is None:
        raise NotYet("an UPDATE can give a message the ref of another message of its room")
    for column in ("room_id", "ref", "sent_at", "body"):
        values = {"room_id": "5", "ref": "'four'", "sent_at": "now()", "body": "'hello'"}
        values[column] = "NULL"
        given = f"INSERT INTO message ({', '.join(values)}) VALUES ({', '.join(values.values())})"  # noqa: S608
        if _refused(box.admin, given) is None:
            raise NotYet(f"a message without {column} is accepted")


SAME_HASH = ("ref 116070", "ref 267896")
"""Two texts for which PostgreSQL's hashtext gives the same number."""


def _look_at_meeting(box: Sandbox, first: str, second: str) -> None:
    """Raises NotYet if a message is stored that came while the first one was not committed."""
    with holding(box, first) as connection:
        run = Run(lambda: box.learner.execute(second))  # type: ignore[arg-type]
        come_to_rest(box, [lambda: run.is_running])
        has_waited = run.is_running
        connection.commit()
        all_of([run], "the second of two messages with the same ref")
    if run.error is None:
        what = (
            "waited for the first, and did not look again after that"
            if has_waited
            else "did not wait for the first"
        )
        raise NotYet(
            "two connections send a message with the same ref at once, and both are stored: "
            f"the second one {what}"
        )


def _look_at_edges_of_types(box: Sandbox) -> None:
    """Raises NotYet if a room_id or a sent_at is refused, whatever it is."""
    for column, room, sent in (
        *(("room_id", room, "2026-01-01") for room in (-2147483648, -1, 0, 2147483647)),
        *(
            ("sent_at", 5, sent)
            for sent in ("1066-10-14", "1999-12-31", "2100-01-01", "9999-12-31")
        ),
    ):
        value = room if column == "room_id" else sent
        try:
            box.admin.execute(f"{ADD} VALUES ({room}, 'edge {value}', '{sent}', 'hello')")  # type: ignore[arg-type]
        except psycopg.Error as error:
            raise NotYet(f"{column} = {value} is refused: {first_line(error)}") from None


def _look_at_each(box: Sandbox, rooms: str) -> None:
    """Looks at a room of each partition: an index may be missing in one of them.

    Raises:
        NotYet: if a ref can come twice there, or the query of a large room reads too much.
    """
    found = box.admin.execute(
        "SELECT DISTINCT ON (tableoid) tableoid::regclass::text, room_id, ref FROM message "
        "ORDER BY tableoid, room_id, ref LIMIT 16"
    ).fetchall()
    for name, room, ref in found:
        again = f"{ADD} VALUES ({room}, '{ref}', '2031-01-01', 'hello')"
        if _refused(box.admin, again) is None:
            raise NotYet(f"in {name}, a second message with the same ref is accepted")
    box.admin.execute(
        f"{ADD} SELECT room, 'more ' || n, timestamptz '2015-01-01' + n * interval '2 days', "  # type: ignore[arg-type] # noqa: S608
        "repeat('word ', 40) FROM unnest(%s::bigint[]) AS room, generate_series(1, 2000) AS n",
        [[room for _, room, _ in found]],
    )
    box.admin.execute("ANALYZE message")
    for _, room, _ in found:
        _look_at_query(box, rooms, room)


PLAN = [
    "CREATE TABLE event_new (LIKE event INCLUDING ALL) PARTITION BY RANGE (at)",
    "INSERT INTO event_new SELECT * FROM event",
    "ALTER TABLE event RENAME TO event_old; ALTER TABLE event_new RENAME TO event",
]
MOST = 1000
"""Rows that a transaction may read, or lock, while programs wait."""


def _live(connection: Connection) -> None:
    """Makes the table, and triggers that note what statements read while they stop programs."""
    connection.execute("""
        CREATE TABLE event (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            at timestamptz NOT NULL, property_id int NOT NULL, kind text NOT NULL
        );
        INSERT INTO event (at, property_id, kind)
        SELECT timestamptz '2025-11-20 00:00+00' + n * interval '107 minutes', n % 50, 'view'
        FROM generate_series(1, 5000) AS n;
        ANALYZE event;
    """)
    note_ddl(connection)
    connection.execute(f"""
        -- What a statement has read before its first lock does not count, as in a DO block that
        -- copies rows and commits, and ends with the swap.
        CREATE FUNCTION judge.begins() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
        AS $$ BEGIN
            IF judge.held() IS NULL THEN
                PERFORM set_config('judge.read', (judge.rows_read() + {MOST})::text, false);
            END IF;
        END $$;
        CREATE EVENT TRIGGER judge_begins ON ddl_command_start EXECUTE FUNCTION judge.begins();
    """)


@judge(
    "partitioning.2",
    takes=list,
    called="a list of statements in quotes",
    hint="give a list of SQL statements, in their order",
    stub=PLAN,
)
def move(answer: list[object]) -> str:
    """Programs write all the time, and at the end the table is partitioned and whole."""
    pieces = [
        piece for one in texts(answer) for piece in sqlparse.split(one) if piece.strip(" ;\n")
    ]
    if not pieces:
        raise NotYet("the list has no statement")
    with database("partitioning_live", _live) as box:
        programs = _Programs(box)
        programs.work("before your plan")
        for number, piece in enumerate(pieces, 1):
            _step(box, programs, number, piece)
        if box.learner.info.transaction_status != IDLE:
            raise NotYet("after the last statement, a transaction is still open")
        _look_at_partitioned(box, "event")
        programs.work("at the end")
        _look_at_months(box, programs)
        programs.compare()
        _look_at_shape(box)
    with database("partitioning_live", _live) as box:
        try:
            last = _more_ids(box)
            _delete_during(box, pieces)
            _look_at_ids(box, last)
        except psycopg.Error as error:
            raise NotYet(
                "a second time, with a program that has changed an event and has not committed, "
                f"PostgreSQL refused a statement: {first_line(error)}"
            ) from None
    return (
        f"programs wrote {programs.written} times, before, between and after your {len(pieces)} "
        "statements. None was refused, no write was lost, and each month goes where it should"
    )


class _Programs:
    """What programs do with the events, and how the table should be after that.

    Attributes:
        written: how often they have written.
    """

    def __init__(self, box: Sandbox) -> None:
        self.written = 0
        self._box, self._number = box, 0
        self._first, self._tables = 0, list[Any]()
        rows = box.admin.execute("SELECT id, at, property_id, kind FROM event")
        self._events: dict[int, tuple[Any, ...]] = {row[0]: tuple(row[1:]) for row in rows}

    def work(self, when: str, *, patient: bool = True) -> None:
        """Reads, adds, changes and deletes events.

        Args:
            when: for the verdict.
            patient: whether it may not have to wait; else it stops at the first lock.

        Raises:
            NotYet: if a program is refused, or does not find its event.
        """
        self._number += 1
        admin = self._box.admin
        admin.execute(f"SET lock_timeout = '{300 if patient else 30}ms'")  # type: ignore[arg-type]
        try:
            for what, act in {
                "read an event": lambda: self._read(4990 - self._number),
                "add an event": self._add,
                "change an event": lambda: self._change(10 + self._number),
                "change a late event": lambda: self._change(4000 + self._number),
                "delete an event": lambda: self._delete(1010 + self._number),
            }.items():
                try:
                    act()
                except psycopg.errors.LockNotAvailable as error:
                    if patient:
                        raise NotYet(f"{when}, a program could not {what}: {error}") from None
                    return
                except psycopg.Error as error:
                    raise NotYet(
                        f"{when}, a program could not {what}: {first_line(error)}"
                    ) from None
                except LookupError as error:
                    raise NotYet(f"{when}, a program could not {what}: {error}") from None
        finally:
            admin.execute("SET lock_timeout = 0")

    def begin(self) -> None:
        """Notes which tables there are, and which transactions, before one of the answer's."""
        row = self._box.admin.execute(
            "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint % 4294967296"
        ).fetchone() or (0,)
        self._first = int(row[0])
        self._tables = self._box.admin.execute(
            "SELECT oid::int FROM pg_class WHERE relkind = 'r' "
            "AND oid IN (SELECT oid FROM judge.watched)"
        ).fetchall()

    def most_locked(self) -> int:
        """How many rows one transaction has locked or changed since then, at most."""
        counts = [0]
        for (oid,) in self._tables:
            name = self._box.admin.execute(
                "SELECT format('%%I.%%I', nspname, relname) FROM pg_class "
                "JOIN pg_namespace AS n ON n.oid = relnamespace WHERE pg_class.oid = %s",
                [oid],
            ).fetchone()
            if name:
                counts += [
                    count
                    for mark in ("xmin", "xmax")
                    for (count,) in self._box.admin.execute(
                        f"SELECT count(*) FROM {name[0]} WHERE {mark}::text::bigint >= %s "  # type: ignore[arg-type] # noqa: S608
                        f"GROUP BY {mark}",
                        [self._first],
                    )
                ]
        return max(counts)

    def _read(self, number: int) -> None:
        found = self._box.admin.execute("SELECT FROM event WHERE id = %s", [number]).rowcount
        if found != 1:
            raise LookupError(f"it found {found} events with id {number}")

    def _add(self) -> None:
        self.add(f"2026-11-27 12:00:{self._number % 60:02}+00")

    def add(self, at: str) -> str:
        """Adds an event, and returns the partition that it is in."""
        kind = f"added {self.written}"
        row = self._box.admin.execute(
            "INSERT INTO event (at, property_id, kind) VALUES (%s, 7, %s) "
            "RETURNING id, at, property_id, kind, tableoid::regclass::text",
            [at, kind],
        ).fetchone()
        if row is None:
            raise LookupError("PostgreSQL dropped it without an error")
        if row[0] in self._events:
            raise LookupError(f"it got id {row[0]}, which another event has")
        self._events[row[0]] = tuple(row[1:4])
        self.written += 1
        return str(row[4])

    def _change(self, number: int) -> None:
        done = self._box.admin.execute(
            "UPDATE event SET kind = 'changed' WHERE id = %s", [number]
        ).rowcount
        if done != 1:
            raise LookupError(f"it changed {done} events with id {number}")
        self._events[number] = (*self._events[number][:2], "changed")
        self.written += 1

    def _delete(self, number: int) -> None:
        done = self._box.admin.execute("DELETE FROM event WHERE id = %s", [number]).rowcount
        if done != 1:
            raise LookupError(f"it deleted {done} events with id {number}")
        del self._events[number]
        self.written += 1

    def compare(self) -> None:
        """Raises NotYet if the table is not as the programs have left it."""
        rows = self._box.admin.execute("SELECT id, at, property_id, kind FROM event").fetchall()
        now = {row[0]: tuple(row[1:]) for row in rows}
        if gone := self._events.keys() - now.keys():
            new = [number for number in gone if self._events[number][2].startswith("added")]
            which = f"{len(new)} that programs added meanwhile" if new else "old ones"
            raise NotYet(f"{len(gone):,} events are gone, {which}")
        if more := now.keys() - self._events.keys():
            raise NotYet(
                f"{len(more):,} events are there that should not be, such as id {min(more)}: a "
                "program has deleted it, or it was never there"
            )
        if len(rows) != len(now):
            raise NotYet(f"{len(rows) - len(now):,} events are in the table more than once")
        for number, event in self._events.items():
            if now[number] != event:
                raise NotYet(
                    f"event {number} should be {event[1:]} at {event[0]}, and is "
                    f"{now[number][1:]} at {now[number][0]}"
                )


ADD_ONE = """
    INSERT INTO event (at, property_id, kind) VALUES ('2026-11-25 00:00+00', 7, 'view')
    RETURNING id
"""


def _more_ids(box: Sandbox) -> int:
    """Uses ids up, as programs do that add events, and returns the last one, which is there."""
    box.admin.execute("SELECT setval(pg_get_serial_sequence('event', 'id'), 5500)")
    (last,) = box.admin.execute(ADD_ONE).fetchone() or (0,)
    return int(last)


def _look_at_ids(box: Sandbox, last: int) -> None:
    """Raises NotYet if a new event does not get a new id."""
    (number,) = box.admin.execute(ADD_ONE).fetchone() or (0,)
    if number <= last:
        raise NotYet(
            f"a second time, programs had added events up to id {last} before your plan. After it, "
            f"a new event got id {number}, so an id comes twice: begin after the last id that is "
            "there when your plan runs"
        )


def _delete_during(box: Sandbox, pieces: list[str]) -> None:
    """Deletes events while a statement copies them.

    A program has changed an event, and has not committed. A copy that meets what a trigger has
    stored of that waits for the program. Events that come later in the copy are deleted then.

    Raises:
        NotYet: if they are there at the end.
    """
    deleted: dict[int, int] = {}
    for number, piece in enumerate(pieces, 1):
        is_copy = piece.upper().startswith(("INSERT", "MERGE", "WITH", "DO", "CALL"))
        if deleted or not is_copy or box.learner.info.transaction_status != IDLE:
            with box.watched():
                box.learner.execute(piece)  # type: ignore[arg-type]
            continue
        with holding(box, "UPDATE event SET kind = 'seen' WHERE id = 60") as program:
            run = Run(lambda piece=piece: box.learner.execute(piece))  # type: ignore[misc]
            come_to_rest(box, [lambda run=run: run.is_running])  # type: ignore[misc]
            if waiting(box):
                for event in (70, 4000):
                    with suppress(psycopg.errors.LockNotAvailable):
                        box.admin.execute("SET lock_timeout = '100ms'")
                        box.admin.execute("DELETE FROM event WHERE id = %s", [event])
                        deleted[event] = number
            program.commit()
            all_of([run], "it")
        run.value()
    box.admin.execute("SET lock_timeout = 0")
    for event, number in deleted.items():
        if box.admin.execute("SELECT FROM event WHERE id = %s", [event]).rowcount:
            raise NotYet(
                f"a program deleted event {event} while statement {number} "
                f"({_short(pieces[number - 1])}) ran, and the event is there at the end: the "
                "statement copied what it had seen before. Lock the rows that you copy, a part of "
                "them at a time"
            )


def _step(box: Sandbox, programs: _Programs, number: int, piece: str) -> None:
    """Runs one statement of a plan, and lets programs work after it.

    Raises:
        NotYet: if it is refused, or reads much while programs wait, or a program is refused.
    """
    if box.learner.info.transaction_status == IDLE:
        box.admin.execute("TRUNCATE judge.watched")
        box.admin.execute(
            "INSERT INTO judge.watched SELECT relid FROM pg_partition_tree('event') "
            "UNION SELECT to_regclass('event') WHERE to_regclass('event') IS NOT NULL"
        )
        box.learner.execute("SELECT pg_stat_force_next_flush()")
        programs.begin()
    was_locked = _locked(box)
    if (
        box.learner.info.transaction_status != BROKEN
        and not piece.upper().startswith("SET ")
        and not was_locked  # what a transaction reads under its lock counts together
    ):
        # SET TRANSACTION must come before any query, and no SET reads a table.
        box.learner.execute(
            "SELECT set_config('judge.read', (judge.rows_read() + %s)::text, false)", [MOST]
        )
    files = dict(box.admin.execute(FILES).fetchall())
    try:
        has_waited = _run_piece(box, piece, is_locked=bool(was_locked))
    except psycopg.Error as error:
        raise NotYet(
            f"PostgreSQL refused statement {number} ({_short(piece)}): {first_line(error)}"
        ) from None
    is_open = box.learner.info.transaction_status != IDLE
    if has_waited or (is_open and was_locked):
        read = box.learner.execute(
            "SELECT judge.rows_read() > current_setting('judge.read')::bigint"
        ).fetchone()
        if read == (True,):
            _reads(number, piece, was_locked or "it holds a lock on event that stops programs")
    for oid, file in box.admin.execute(FILES).fetchall():
        if files.get(oid, file) != file:  # an event trigger hears nothing of VACUUM FULL
            raise NotYet(f"statement {number} ({_short(piece)}) writes a whole table anew")
    noted = box.admin if not is_open else box.learner
    for what, said in noted.execute("SELECT what, said FROM judge.read_log()").fetchall():
        if what == "rewrites":
            raise NotYet(f"statement {number} ({_short(piece)}) writes {said} anew")
        _reads(number, piece, said)
    if not is_open and (rows := programs.most_locked()) > MOST:
        raise NotYet(
            f"statement {number} ({_short(piece)}) ends a transaction that locked {rows:,} rows of "
            "event. A program that changes or deletes one of them waits for its end"
        )
    programs.work(f"after statement {number} ({_short(piece)})", patient=not is_open)


def _run_piece(box: Sandbox, piece: str, *, is_locked: bool) -> bool:
    """Runs a statement, and says whether it took a lock that stops programs, as no DDL does.

    A block of code may lock the table and read it, and a lock is gone when it has ended. So a
    program writes meanwhile: who waits for it wants such a lock.
    """
    if is_locked or not piece.upper().startswith(("DO", "CALL", "SELECT", "WITH")):
        with box.watched():
            box.learner.execute(piece)  # type: ignore[arg-type]
        return False
    with holding(box) as program:
        if box.admin.execute("SELECT to_regclass('event')").fetchone() != (None,):
            program.execute("LOCK TABLE event IN ROW EXCLUSIVE MODE")
        run = Run(lambda: box.learner.execute(piece))  # type: ignore[arg-type]
        come_to_rest(box, [lambda: run.is_running])
        has_waited = bool(waiting(box))
        program.commit()
        all_of([run], "it")
    run.value()
    return has_waited


FILES = """
    SELECT oid, pg_relation_filenode(oid) FROM pg_class
    WHERE relkind = 'r' AND oid IN (SELECT oid FROM judge.watched)
"""
"""Where the tables are that programs use."""


def _reads(number: int, piece: str, held: str) -> None:
    raise NotYet(
        f"statement {number} ({_short(piece)}) reads more than {MOST:,} rows while {held}. On a "
        "large table, programs wait for minutes"
    )


def _short(piece: str) -> str:
    """The beginning of a statement, for a verdict."""
    text = " ".join(piece.split())
    return text if len(text) <= 50 else f"{text[:49]}…"


def _locked(box: Sandbox) -> str:
    """Which lock of the answer stops writers; nothing if none does."""
    found = box.admin.execute(
        "SELECT 'event is locked in ' || mode FROM pg_locks WHERE pid = %s AND granted AND "
        "relation IN (SELECT oid FROM judge.watched) AND mode IN ('ShareLock', "
        "'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock') ORDER BY mode LIMIT 1",
        [box.learner.info.backend_pid],
    ).fetchone()
    return str(found[0]) if found else ""


def _look_at_months(box: Sandbox, programs: _Programs) -> None:
    """Adds events at the edges of months, and looks where they go.

    Raises:
        NotYet: if that is refused, or a month has not a partition of its own.
    """
    edges = {
        "November": ["2026-11-30 23:59:59.999999+00"],
        "December": ["2026-12-01 00:00:00+00", "2026-12-31 23:59:59.999999+00"],
        "January": ["2027-01-01 00:00:00+00", "2027-01-31 23:59:59.999999+00"],
    }
    there: dict[str, set[str]] = {}
    for month, moments in edges.items():
        try:
            there[month] = {programs.add(moment) for moment in moments}
        except (psycopg.Error, LookupError) as error:
            raise NotYet(
                f"at the end, an event of {month} is refused: {first_line(error)}"
            ) from None
    for month, tables in there.items():
        if len(tables) > 1:
            raise NotYet(f"{month} in UTC is in {len(tables)} partitions: {_list(tables)}")
        others = set().union(*(there[other] for other in there if other != month))
        if shared := tables & others:
            raise NotYet(f"{_list(shared)} has events of {month} and of another month")
        bound = box.admin.execute(
            "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE oid = %s::regclass",
            [next(iter(tables))],
        ).fetchone()
        if month != "November" and bound == ("DEFAULT",):
            raise NotYet(f"events of {month} go into a default partition")
    try:
        with box.admin.transaction(force_rollback=True):
            row = box.admin.execute(
                "INSERT INTO event (at, property_id, kind) VALUES ('2027-02-01 00:00+00', 7, 'x') "
                "RETURNING tableoid::regclass::text"
            ).fetchone()
    except psycopg.Error:
        return  # nothing was asked of February
    if row and row[0] in there["January"]:
        raise NotYet(f"{row[0]} has events of January and of another month")


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names))


def _look_at_shape(box: Sandbox) -> None:
    """Looks at the key, the columns, the primary key, and what a query by id reads.

    Raises:
        NotYet: if one is not as it should be.
    """
    by_at = box.admin.execute("""
        SELECT partstrat = 'r' AND partattrs::text = (
            SELECT attnum::text FROM pg_attribute WHERE attrelid = partrelid AND attname = 'at')
        FROM pg_partitioned_table WHERE partrelid = 'event'::regclass
    """).fetchone()
    if by_at != (True,):
        raise NotYet("event is not partitioned by range of at")
    columns = box.admin.execute("""
        SELECT attname FROM pg_attribute WHERE attrelid = 'event'::regclass AND attnum > 0
          AND NOT attisdropped AND attnotnull
    """)
    there = {name for (name,) in columns}
    if missing := {"id", "at", "property_id", "kind"} - there:
        raise NotYet(f"at the end, {_list(missing)} may be NULL")
    primary = box.admin.execute("""
        SELECT array_agg(attname::text ORDER BY attname), bool_and(indisvalid)
        FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
        WHERE indrelid = 'event'::regclass AND indisprimary
    """).fetchone()
    if primary != (["at", "id"], True):
        raise NotYet("at the end, the primary key of event is not (id, at)")
    box.admin.execute("ANALYZE event")
    buffers = explain(box.admin, "SELECT * FROM event WHERE id = 3000").buffers or 0
    if buffers > 30:
        raise NotYet(f"at the end, a query by id reads {buffers} pages, and not 30 at most")


STUB_3 = """
def keep(connection, today):
    after = today + timedelta(days=31)
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS event_{after:%Y_%m} PARTITION OF event "
        f"FOR VALUES FROM ('{after:%Y-%m}-01') TO ('{after + timedelta(days=31):%Y-%m}-01')"
    )
    old = today.replace(year=today.year - 1)
    connection.execute(f"DELETE FROM event WHERE at < '{old:%Y-%m}-01'")
"""
Keep = Callable[[Connection, date], object]

OPEN_FOR = 0.8
"""Seconds for which a report stays open: longer than a lock_timeout of half a second."""


class Night(NamedTuple):
    """A state that a job may find.

    Attributes:
        what: for the verdict.
        today: the day of the first run.
        first: the oldest partition, counted in months from the month of that day.
        last: the newest one; with one below the oldest, there is none.
        zone: the time zone of the session.
        later: the days of further runs.
        gap: months between the oldest and the newest one that have no partition.
    """

    what: str
    today: date
    first: int = -13
    last: int = 1
    zone: str = "UTC"
    later: tuple[date, ...] = ()
    gap: tuple[int, ...] = ()


NIGHTS = [
    Night("the month is November", date(2026, 11, 5), later=(date(2026, 11, 5),)),
    Night("the year ends", date(2026, 12, 31), later=(date(2027, 1, 1), date(2027, 1, 31))),
    Night("it is 29 February", date(2028, 2, 29), later=(date(2028, 3, 31),)),
    Night("the session is in Berlin", date(2026, 3, 31), zone="Europe/Berlin"),
    Night("the job did not run for five months", date(2027, 3, 2), first=-18, last=-3),
    Night("there is no partition", date(2026, 8, 5), 0, -1, "America/Los_Angeles"),
    Night("there are partitions for five months ahead", date(2026, 8, 30), last=5),
    Night("the table is two months old", date(2026, 9, 1), first=-2, last=0),
    Night(
        "some months between others have no partition",
        date(2026, 10, 1),
        zone="America/Los_Angeles",
        gap=(-8, -7, -1),
    ),
]


def _month(number: int) -> date:
    """The first day of a month, whose number counts from the year 0."""
    return date(number // 12, number % 12 + 1, 1)


def _number(day: date) -> int:
    return day.year * 12 + day.month - 1


def _name(number: int) -> str:
    return f"event_{_month(number):%Y_%m}"


def _bounds(number: int) -> str:
    return (
        f"FOR VALUES FROM ('{_month(number)} 00:00:00+00') TO ('{_month(number + 1)} 00:00:00+00')"
    )


def _by_month(connection: Connection) -> None:
    """Makes the table without a partition, and some tables whose names look like partitions."""
    connection.execute("""
        CREATE TABLE event (
            id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL,
            property_id int NOT NULL, kind text NOT NULL, PRIMARY KEY (id, at)
        ) PARTITION BY RANGE (at);
        CREATE INDEX ON event (property_id);
        CREATE TABLE event_archive (id bigint, at timestamptz);
        CREATE TABLE event_2019_05 (id bigint, at timestamptz);
        CREATE TABLE event_kinds (kind text);
        INSERT INTO event_archive VALUES (1, '2020-01-01');
        INSERT INTO event_2019_05 VALUES (2, '2019-05-01');
        INSERT INTO event_kinds VALUES ('view');
    """)
    note_ddl(connection)


OTHERS = {"event", "event_archive", "event_2019_05", "event_kinds"}


@judge(
    "partitioning.3",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give the function itself, without calling it: it gets a connection and a date",
    stub=STUB_3,
)
def job(answer: Keep) -> str:
    """The partitions are right after each night, and nobody had to wait for the job."""
    for night in NIGHTS:
        with database("partitioning_job", _by_month) as box:
            start = _number(night.today)
            numbers = set(range(night.first, night.last + 1)) - set(night.gap)
            _add_months(box.learner, [start + number for number in sorted(numbers)])
            box.learner.execute(f"SET timezone = '{night.zone}'")  # type: ignore[arg-type]
            _run_once(answer, box, night.what, night.today)
            for day in night.later:
                when = f"{night.what}, and the job runs again on {day}"
                _run_once(answer, box, when, day)
    with database("partitioning_job", _by_month) as box:
        _beside_report(answer, box)
    return (
        f"the months were right on {sum(1 + len(night.later) for night in NIGHTS)} nights, with "
        "leap days, ends of years, missed runs and two time zones. No program had to wait"
    )


def _add_months(connection: Connection, numbers: Iterable[int]) -> None:
    """Makes partitions, each with an event at its beginning and one at its end."""
    for number in numbers:
        start, end = f"{_month(number)} 00:00+00", f"{_month(number + 1)} 00:00+00"
        connection.execute(
            f"CREATE TABLE {_name(number)} PARTITION OF event {_bounds(number)};"  # type: ignore[arg-type] # noqa: S608
            "INSERT INTO event (at, property_id, kind) VALUES "
            f"('{start}', 1, 'first'), "
            f"(timestamptz '{end}' - interval '1 microsecond', 1, 'last')"
        )


class _State(NamedTuple):
    """The tables in the schema public, and the files of tables and indexes by their numbers."""

    oids: dict[str, int]
    bounds: dict[str, str]
    rows: dict[str, list[tuple[Any, ...]]]
    files: dict[str, int]


def _state(box: Sandbox) -> _State:
    tables = box.admin.execute(
        "SELECT relname, oid::int, "
        "CASE WHEN relispartition THEN pg_get_expr(relpartbound, oid) END FROM pg_class "
        " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
    ).fetchall()
    rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name, *_ in tables}
    for name, *event in box.admin.execute(
        "SELECT tableoid::regclass::text, id, at, property_id, kind FROM event ORDER BY id"
    ):
        rows[name].append(tuple(event))
    for name in (OTHERS - {"event"}) & rows.keys():
        others = box.admin.execute(f'SELECT * FROM public."{name}" ORDER BY 1')  # type: ignore[arg-type] # noqa: S608
        rows[name] = others.fetchall()
    return _State(
        {name: oid for name, oid, _ in tables},
        {name: bound for name, _, bound in tables if bound is not None},
        rows,
        dict(
            box.admin.execute(
                "SELECT oid::regclass || ' (' || oid || ')', pg_relation_filenode(oid)::int "
                "FROM pg_class WHERE relnamespace = 'public'::regnamespace "
                "AND relkind IN ('r', 'i')"
            ).fetchall()
        ),
    )


def _run_once(answer: Keep, box: Sandbox, what: str, today: date) -> None:
    """Runs the job once, and looks at what it has done.

    Raises:
        NotYet: if something is wrong.
    """
    before, this = _state(box), _number(today)
    wanted = {_name(number): _bounds(number) for number in range(this - 12, this + 3)}
    later = {name: bound for name, bound in before.bounds.items() if name > _name(this + 2)}
    staying = [before.oids[name] for name in before.bounds if name in wanted | later]
    box.admin.execute("TRUNCATE judge.watched, judge.log")
    box.admin.execute(
        "INSERT INTO judge.watched SELECT unnest(%s::oid[])", [[*staying, before.oids["event"]]]
    )
    box.learner.execute("SELECT set_config('judge.read', '-1', false)")  # any lock is noted
    try:
        within(lambda: answer(box.learner, today))
    except psycopg.Error as error:
        raise NotYet(f"{what}, and today is {today}: {first_line(error)}") from None
    what = f"{what}, and today is {today}"
    if box.learner.info.transaction_status != IDLE:
        raise NotYet(f"{what}: when your function has returned, its transaction is still open")
    _look_at_state(what, before, _state(box), wanted | later)
    if noted := box.admin.execute("SELECT said FROM judge.log").fetchone():
        raise NotYet(
            f"{what}: during a statement of your function, {noted[0]}. Programs wait for that, "
            "and the statement waits for every open transaction that has used the table"
        )
    _look_at_edges(box, what, this)


def _look_at_state(what: str, before: _State, after: _State, wanted: dict[str, str]) -> None:
    """Compares the tables with what they should be.

    Raises:
        NotYet: if one is missing, too old, new, or has other events.
    """
    for name, bounds in wanted.items():
        if name not in after.oids:
            raise NotYet(f"{what}: there should be a partition {name}, and there is none")
        if name not in after.bounds:
            raise NotYet(f"{what}: there is a table {name}, and it is not a partition of event")
        if after.bounds[name] != bounds:
            raise NotYet(f"{what}: {name} has other bounds: {after.bounds[name]}")
    if missing := (OTHERS & before.oids.keys()) - after.oids.keys():
        raise NotYet(f"{what}: {_list(missing)} is gone, which was not a partition that is too old")
    for name in sorted(after.oids.keys() - wanted.keys() - OTHERS):
        if name in after.bounds:
            raise NotYet(f"{what}: {name} is still a partition, or is one too many")
        raise NotYet(f"{what}: {name} is not a partition, and the table is still there")
    for name, rows in before.rows.items():
        if name in wanted | dict.fromkeys(OTHERS, ""):
            if after.oids[name] != before.oids[name]:
                raise NotYet(f"{what}: {name} was there and right, and was made anew")
            if after.rows[name] != rows:
                raise NotYet(f"{what}: {name} has other rows than before")
    for name, file in before.files.items():  # an event trigger hears nothing of VACUUM FULL
        if after.files.get(name, file) != file:
            raise NotYet(
                f"{what}: a statement of your function wrote {name.split()[0]} anew. Programs wait "
                "for that"
            )


def _look_at_edges(box: Sandbox, what: str, this: int) -> None:
    """Raises NotYet if an event of a month cannot be added."""
    firsts = [f"{_month(number)} 00:00+00" for number in range(this - 12, this + 3)]
    try:
        with box.admin.transaction(force_rollback=True):
            box.admin.execute(
                "INSERT INTO event (at, property_id, kind) "
                "SELECT at, 2, 'now' FROM unnest(%s::timestamptz[]) AS at",
                [firsts],
            )
    except psycopg.Error as error:
        raise NotYet(f"{what}: an event is refused: {first_line(error)}") from None


COUNT = "SELECT count(*) FROM event"
ADD_EVENT = "INSERT INTO event (at, property_id, kind) VALUES ('2026-11-05', 3, '{}')"
"""The report notes that it has run, so a lock that stops writers has to wait for it, too."""


def _relieve(box: Sandbox, run: Run, report: Connection, today: date) -> str | None:
    """Lets the job go on beside programs of which one always has an open transaction.

    Each one ends when a newer one has begun. So the job, which may wait for those that were there
    before it, comes to its end, and a lock that stops programs always has one to wait for.

    Args:
        box: where.
        run: the job.
        report: the first of these programs.
        today: the day of the job.

    Returns:
        For which lock the job waits, if it is one that stops programs.
    """
    oldest = _name(_number(today) - 12)
    with ExitStack() as reports:
        while come_to_rest(box, [lambda: run.is_running]) and run.is_running:
            asked = box.admin.execute(
                "SELECT relation::regclass || ' in ' || mode FROM pg_locks "
                "WHERE NOT granted AND locktype = 'relation' AND pid = ANY (%s) "
                "AND (relation = 'event'::regclass OR relation::regclass::text >= %s)",
                [list(waiting(box)), oldest],
            ).fetchone()
            if asked:
                return str(asked[0])
            newer = reports.enter_context(holding(box, COUNT, ADD_EVENT.format("report")))
            report.commit()
            report = newer
    return None


def _beside_report(answer: Keep, box: Sandbox) -> None:
    """Runs the job while a report has an open transaction, and a program adds events.

    Raises:
        NotYet: if the program must wait, or the job gives up.
    """
    today = date(2026, 11, 5)
    _add_months(box.learner, range(_number(today) - 14, _number(today) + 2))
    with holding(box, COUNT, ADD_EVENT.format("report")) as report:
        run = Run(lambda: answer(box.learner, today))
        come_to_rest(box, [lambda: run.is_running])
        error = _refused(box.admin, ADD_EVENT.format("now"))
        with suppress(TimeoutError):  # the report stays open for a while
            wait_for(lambda: not run.is_running, OPEN_FOR, "an answer that gives up")
        has_ended, gave_up = not run.is_running, run.error
        stopped = None if error else _relieve(box, run, report, today)
        report.commit()
        all_of([run], "your function")
    if stopped is not None:
        raise NotYet(
            f"a program had an open transaction while your function ran, and your function asked "
            f"for a lock on {stopped}, which stays. Programs that come later wait behind it"
        )
    if error is not None:
        raise NotYet(
            f"a report was open while your function ran, and a program could not add an event: "
            f"{first_line(error)}"
        )
    if gave_up is not None:
        raise NotYet(
            f"a report was open while your function ran, and your function gave up: "
            f"{first_line(gave_up)}. Let it wait, where nobody waits for it"
        )
    run.value()
    after = _state(box)
    if stays := {name for name in after.bounds if name < _name(_number(today) - 12)}:
        why = ", because your function did not wait" if has_ended else ""
        raise NotYet(f"a report was open while your function ran, and {_list(stays)} stayed{why}")
    if left := {name for name in after.oids if name not in after.bounds} - OTHERS:
        raise NotYet(
            f"a report was open while your function ran, and the table {_list(left)} is left"
        )
