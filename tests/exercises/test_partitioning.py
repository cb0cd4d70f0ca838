"""The judges of "Partitioning": stubs, right answers, wrong ones."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date, timedelta
from itertools import pairwise

import psycopg
import pytest

import nexus
from nexus.exercises.partitioning import PLAN, STUB_1
from nexus.judging.sandbox import Connection
from tests.exercises import tables

ONE, TWO, THREE = (f"partitioning.{number}" for number in (1, 2, 3))


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with nexus.postgres(fsync="off"):  # databases come and go
        yield


COLUMNS = (
    "room_id int NOT NULL, ref text NOT NULL, sent_at timestamptz NOT NULL, body text NOT NULL"
)
REFS = ", UNIQUE (room_id, ref)"
NEWEST = "CREATE INDEX ON message (room_id, sent_at);"
BY_ROOM = "HASH (room_id)"


def message(by: str, *partitions: str, more: str = "", columns: str = COLUMNS) -> str:
    """The table with partitions of some bounds."""
    made = "".join(
        f"CREATE TABLE message_{number} PARTITION OF message {bounds};"
        for number, bounds in enumerate(partitions)
    )
    return f"CREATE TABLE message ({columns}{more}) PARTITION BY {by};{made}"


def hashed(modulus: int = 4) -> list[str]:
    return [f"FOR VALUES WITH (MODULUS {modulus}, REMAINDER {rest})" for rest in range(modulus)]


LOOPED = f"""
CREATE TABLE message ({COLUMNS}, PRIMARY KEY (room_id, ref)) PARTITION BY HASH (room_id);
DO $$ BEGIN
    FOR i IN 0..7 LOOP
        EXECUTE format('CREATE TABLE m%s PARTITION OF message
                        FOR VALUES WITH (MODULUS 8, REMAINDER %s)', i, i);
    END LOOP;
END $$;
CREATE INDEX newest ON message (room_id, sent_at DESC) INCLUDE (ref)
"""
ATTACHED = (
    message(BY_ROOM, *hashed(8)[:7])
    + f"""
CREATE TABLE last_one ({COLUMNS});
ALTER TABLE message ATTACH PARTITION last_one FOR VALUES WITH (MODULUS 8, REMAINDER 7);
ALTER TABLE message ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY;
CREATE UNIQUE INDEX ON message (ref, room_id);
{NEWEST}
"""
)
NESTED = (
    message(BY_ROOM, *hashed(4)[:3], more=REFS)
    + "CREATE TABLE rest PARTITION OF message FOR VALUES WITH (MODULUS 4, REMAINDER 3)"
    " PARTITION BY HASH (room_id);"
    "CREATE TABLE rest_0 PARTITION OF rest FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
    "CREATE TABLE rest_1 PARTITION OF rest FOR VALUES WITH (MODULUS 2, REMAINDER 1);" + NEWEST
)
YEARS = [f"FOR VALUES FROM ('{year}-01-01') TO ('{year + 1}-01-01')" for year in range(2014, 2037)]
LOOK = """
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF EXISTS (SELECT FROM message WHERE room_id = NEW.room_id AND ref = NEW.ref) THEN
        {}
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER look BEFORE INSERT ON message FOR EACH ROW EXECUTE FUNCTION look();
CREATE INDEX ON message (room_id, ref);
"""
RAISE = LOOK.format("RAISE EXCEPTION 'it is there already';")
LOCKED = RAISE.replace(
    "BEGIN\n", "BEGIN\n    PERFORM pg_advisory_xact_lock(NEW.room_id);\n"
).replace("BEFORE INSERT", "BEFORE {}")
"""It looks while it has a lock of the room."""


def on_all_but(number: int, unique: str, column: str) -> str:
    """An index in three of four partitions."""
    return "".join(
        f"CREATE {unique}INDEX ON message_{one} (room_id, {column});"
        for one in range(4)
        if one != number
    )


TWICE = ", UNIQUE (room_id, ref, sent_at)"

INDEX = "CREATE UNIQUE INDEX CONCURRENTLY event_id_at ON event (id, at)"
OLD = "ALTER TABLE event ADD CONSTRAINT old CHECK (at < '2026-12-01 00:00+00') NOT VALID"
VALIDATE = "ALTER TABLE event VALIDATE CONSTRAINT old"
RENAME = "ALTER TABLE event RENAME TO event_old;"
KEY = (
    "ALTER TABLE event_old ALTER id DROP IDENTITY, DROP CONSTRAINT event_pkey,"
    " ADD PRIMARY KEY USING INDEX event_id_at;"
)
CREATE = "CREATE TABLE event (LIKE event_old, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);"
IDENTITY = "ALTER TABLE event ALTER id ADD GENERATED ALWAYS AS IDENTITY;"
SETVAL = "SELECT setval(pg_get_serial_sequence('event', 'id'), max(id)) FROM event_old;"
MONTHS = """
CREATE TABLE december PARTITION OF event
FOR VALUES FROM ('2026-12-01 00:00+00') TO ('2027-01-01 00:00+00');
CREATE TABLE january PARTITION OF event
FOR VALUES FROM ('2027-01-01 00:00+00') TO ('2027-02-01 00:00+00');
"""
ATTACH = (
    "ALTER TABLE event ATTACH PARTITION event_old"
    " FOR VALUES FROM (MINVALUE) TO ('2026-12-01 00:00+00');"
)
PARTS = [RENAME, KEY, CREATE, IDENTITY, SETVAL, MONTHS, ATTACH]


def swap(
    *without: str, instead: str = "", prepare: tuple[str, ...] = (INDEX, OLD, VALIDATE)
) -> list[object]:
    """The solution, without some of its parts or with others."""
    parts = [instead if part in without else part for part in PARTS]
    return [*prepare, f"BEGIN; {''.join(parts)} COMMIT;"]


NEW = [
    "CREATE TABLE event_new (LIKE event, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)",
    "CREATE TABLE before_2026 PARTITION OF event_new"
    " FOR VALUES FROM (MINVALUE) TO ('2026-01-01 00:00+00')",
    "CREATE TABLE in_2026 PARTITION OF event_new"
    " FOR VALUES FROM ('2026-01-01 00:00+00') TO ('2026-12-01 00:00+00')",
    MONTHS.replace("OF event", "OF event_new"),
]
COPIES = """
CREATE FUNCTION copies() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF TG_OP <> 'INSERT' THEN DELETE FROM event_new WHERE id = OLD.id; END IF;
    IF TG_OP <> 'DELETE' THEN INSERT INTO event_new VALUES (NEW.*); END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER copies AFTER INSERT OR UPDATE OR DELETE ON event
FOR EACH ROW EXECUTE FUNCTION copies();
"""
COPY = "INSERT INTO event_new SELECT * FROM event ON CONFLICT DO NOTHING"
SWAP = """
BEGIN;
ALTER TABLE event RENAME TO event_old;
ALTER TABLE event_new RENAME TO event;
ALTER TABLE event ALTER id ADD GENERATED ALWAYS AS IDENTITY;
SELECT setval(pg_get_serial_sequence('event', 'id'), max(id)) FROM event_old;
COMMIT;
DROP TABLE event_old;
DROP FUNCTION copies;
"""
BATCHES = [
    f"INSERT INTO event_new SELECT * FROM event WHERE id > {n} AND id <= {n + 900}"
    " ON CONFLICT DO NOTHING"
    for n in range(0, 6000, 900)
]
LOCKING = [batch.replace(" ON CONFLICT", " FOR UPDATE ON CONFLICT") for batch in BATCHES]
"""What a program deletes during a batch is not copied by it."""

LOCK = "LOCK TABLE event IN {} MODE;"


LOOP = (
    "DO $$ BEGIN FOR n IN 0..6 LOOP INSERT INTO event_new SELECT * FROM event"
    " WHERE id > n * 900 AND id <= n * 900 + 900 FOR UPDATE ON CONFLICT DO NOTHING; COMMIT;"
    " END LOOP; {} END $$"
)
IN_THE_BLOCK = "".join(SWAP.replace("SELECT", "PERFORM").splitlines()[2:5]) + (
    "PERFORM setval(pg_get_serial_sequence('event', 'id'), max(id)) FROM event_old;"
)
BLOCK = f"DO $$ BEGIN {''.join(PARTS).replace('SELECT', 'PERFORM')} END $$"


def attached_later() -> list[object]:
    """The old table has no CHECK on its name, and gets the identity of the new one first."""
    return [
        "START TRANSACTION; SET TRANSACTION ISOLATION LEVEL READ COMMITTED; COMMIT",
        INDEX,
        "ALTER TABLE event ADD CHECK (at < '2026-12-01 00:00+00' AND at IS NOT NULL) NOT VALID",
        "ALTER TABLE event VALIDATE CONSTRAINT event_at_check",
        "BEGIN; SET LOCAL lock_timeout = '1s';"
        + RENAME
        + KEY
        + "CREATE TABLE event (id bigint GENERATED ALWAYS AS IDENTITY (START 100000),"
        " at timestamptz NOT NULL, property_id int NOT NULL, kind text NOT NULL,"
        " PRIMARY KEY (id, at)) PARTITION BY RANGE (at);" + ATTACH + "COMMIT",
        MONTHS,
    ]


PARTITIONS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'event'::regclass"
Keep = Callable[[Connection, date], object]


def month(number: int) -> date:
    return date(number // 12, number % 12 + 1, 1)


def this(today: date) -> int:
    return today.year * 12 + today.month - 1


def names(connection: Connection) -> set[str]:
    return {name for (name,) in connection.execute(PARTITIONS).fetchall()}


def make(connection: Connection, number: int, zone: str = " 00:00+00") -> None:
    name = f"event_{month(number):%Y_%m}"
    connection.execute(f"CREATE TABLE {name} (LIKE event)")  # type: ignore[arg-type]
    connection.execute(
        f"ALTER TABLE event ATTACH PARTITION {name} "  # type: ignore[arg-type]
        f"FOR VALUES FROM ('{month(number)}{zone}') TO ('{month(number + 1)}{zone}')"
    )


def remove(connection: Connection, name: str) -> None:
    connection.execute(f"ALTER TABLE event DETACH PARTITION {name} CONCURRENTLY")  # type: ignore[arg-type]
    connection.execute(f"DROP TABLE {name}")  # type: ignore[arg-type]


def keeps(
    *,
    wanted: Callable[[date], list[int]] = lambda today: list(
        range(this(today) - 12, this(today) + 3)
    ),
    is_old: Callable[[str, date], bool] = lambda name, today: (
        name < f"event_{month(this(today) - 12):%Y_%m}"
    ),
    there: Callable[[Connection], set[str]] = names,
    make: Callable[[Connection, int], None] = make,
    remove: Callable[[Connection, str], None] = remove,
    name: str = "keep",
) -> Keep:
    """A job from its parts."""

    def keep(connection: Connection, today: date) -> None:
        found = there(connection)
        for number in wanted(today):
            if f"event_{month(number):%Y_%m}" not in found:
                make(connection, number)
        for one in sorted(found):
            if is_old(one, today):
                remove(connection, one)

    keep.__name__ = name
    return keep


def by_bounds(connection: Connection, today: date) -> None:
    """Works with what the catalogue says of bounds, in the session's zone."""
    connection.execute("SET timezone = 'UTC'")
    bounds = {
        bound: name
        for name, bound in connection.execute(
            "SELECT oid::regclass::text, pg_get_expr(relpartbound, oid) FROM pg_class"
            " WHERE oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'event'::regclass)"
        ).fetchall()
    }
    for number in range(this(today) - 12, this(today) + 3):
        start, end = f"{month(number)} 00:00:00+00", f"{month(number + 1)} 00:00:00+00"
        if f"FOR VALUES FROM ('{start}') TO ('{end}')" not in bounds:
            make(connection, number, "")
    for bound, name in bounds.items():
        if bound.split("'")[3][:10] <= str(month(this(today) - 12)):
            remove(connection, name)


def in_sql(connection: Connection, today: date) -> None:
    """Lets PostgreSQL compute the months."""
    months = connection.execute(
        "SELECT to_char(m, '\"event_\"YYYY_MM'), m::date::text,"
        " (m + interval '1 month')::date::text"
        " FROM generate_series(date_trunc('month', %(d)s::timestamp) - interval '12 months',"
        " date_trunc('month', %(d)s::timestamp) + interval '2 months', '1 month') AS m",
        {"d": today},
    ).fetchall()
    there = names(connection)
    for name, first, after in months:
        if name not in there:
            connection.execute(
                f"CREATE TABLE {name} (LIKE event INCLUDING ALL EXCLUDING IDENTITY);"
                f"ALTER TABLE {name} ADD CONSTRAINT c CHECK"
                f" (at >= '{first} 00:00Z' AND at < '{after} 00:00Z');"
                f"ALTER TABLE event ATTACH PARTITION {name}"
                f" FOR VALUES FROM ('{first} 00:00Z') TO ('{after} 00:00Z')"
            )
    for name in there:
        if name < months[0][0]:
            remove(connection, name)


def in_utc(connection: Connection, number: int) -> None:
    connection.execute("SET timezone = 'UTC'")
    make(connection, number, "")


def local(connection: Connection, number: int) -> None:
    make(connection, number, "")


def partition_of(connection: Connection, number: int) -> None:
    connection.execute(
        f"CREATE TABLE event_{month(number):%Y_%m} PARTITION OF event "  # type: ignore[arg-type]
        f"FOR VALUES FROM ('{month(number)} 00:00+00') TO ('{month(number + 1)} 00:00+00')"
    )


def impatient(connection: Connection, name: str) -> None:
    connection.execute("SET lock_timeout = '50ms'")
    remove(connection, name)


def swallowing(connection: Connection, name: str) -> None:
    connection.execute("SET lock_timeout = '50ms'")
    with suppress(psycopg.Error):
        remove(connection, name)


def sql(statement: str, name: str = "") -> Callable[[Connection, str], None]:
    """Removes with a statement."""

    def run(connection: Connection, name: str) -> None:
        for one in statement.format(name=name).split(";"):
            connection.execute(one)  # type: ignore[arg-type]

    run.__name__ = name or "run"
    return run


def like_names(connection: Connection) -> set[str]:
    rows = connection.execute("SELECT relname FROM pg_class WHERE relname LIKE 'event\\_20%'")
    return {name for (name,) in rows.fetchall() if len(name) == len("event_2026_11")}


def all_like(connection: Connection) -> set[str]:
    rows = connection.execute("SELECT tablename FROM pg_tables WHERE tablename LIKE 'event_%'")
    return {name for (name,) in rows.fetchall()}


def if_there(statement: str) -> Callable[[Connection, str], None]:
    def run(connection: Connection, name: str) -> None:
        if name in names(connection):
            remove(connection, name)
        else:
            connection.execute(statement.format(name=name))  # type: ignore[arg-type]

    return run


def by_days(today: date) -> list[int]:
    return [this(today + timedelta(days=30 * number)) for number in range(-12, 3)]


def by_31_days(today: date) -> list[int]:
    return sorted({this(today + timedelta(days=31 * number)) for number in range(-12, 3)})


def by_replace(today: date) -> list[int]:
    return [
        this(
            today.replace(
                year=today.year + (today.month - 1 + n) // 12, month=(today.month - 1 + n) % 12 + 1
            )
        )
        for n in range(-12, 3)
    ]


def in_the_year(today: date) -> list[int]:
    return [today.year * 12 + number - 1 for number in range(1, 13)]


def in_one_transaction(connection: Connection, today: date) -> None:
    with connection.transaction():
        keeps()(connection, today)


def only_next(connection: Connection, today: date) -> None:
    number = this(today) + 2
    if f"event_{month(number):%Y_%m}" not in names(connection):
        make(connection, number)
    old = f"event_{month(this(today) - 13):%Y_%m}"
    if old in names(connection):
        remove(connection, old)


def from_the_newest(connection: Connection, today: date) -> None:
    """Makes what comes after the newest partition, and all if there is none."""
    there = [int(name[6:10]) * 12 + int(name[11:]) - 1 for name in names(connection)]
    first = max(there) + 1 if there else this(today) - 12
    keeps(wanted=lambda today: list(range(first, this(today) + 3)))(connection, today)


def recent(connection: Connection, today: date) -> None:
    """Looks for gaps in the last months only, unless there are few partitions."""
    first = this(today) - (5 if len(names(connection)) > 9 else 12)
    keeps(wanted=lambda today: list(range(first, this(today) + 3)))(connection, today)


def deleting_local(connection: Connection, today: date) -> None:
    """Deletes old events too, by a month of the session's zone."""
    connection.execute(f"DELETE FROM event WHERE at < '{month(this(today) - 12)}'")
    keeps()(connection, today)


def and_then(statement: str) -> Keep:
    def keep(connection: Connection, today: date) -> None:
        keeps()(connection, today)
        connection.execute(statement)  # type: ignore[arg-type]

    keep.__name__ = statement
    return keep


def locked_first(connection: Connection, today: date) -> None:
    """Stops writers for a moment, without DDL."""
    with connection.transaction():
        connection.execute("LOCK TABLE event IN SHARE MODE")
    keeps()(connection, today)


def locked_last(connection: Connection, today: date) -> None:
    """Stops writers for a moment, when nothing is left to do."""
    keeps()(connection, today)
    with connection.transaction():
        connection.execute("LOCK TABLE event IN SHARE MODE")


def locked_partition(connection: Connection, today: date) -> None:
    """Stops readers of one month, when nothing is left to do."""
    keeps()(connection, today)
    with connection.transaction():
        connection.execute(f"LOCK TABLE event_{today:%Y_%m}")


def without_a_look(connection: Connection, today: date) -> None:
    for number in range(this(today) - 12, this(today) + 3):
        make(connection, number)


def all_anew(connection: Connection, today: date) -> None:
    keeps(wanted=lambda _: [], is_old=lambda _name, _today: True)(connection, today)
    keeps()(connection, today)


def with_default(connection: Connection, today: date) -> None:
    keeps(remove=sql("ALTER TABLE event DETACH PARTITION {name}; DROP TABLE {name}"))(
        connection, today
    )
    connection.execute("CREATE TABLE IF NOT EXISTS event_default PARTITION OF event DEFAULT")


def locking(connection: Connection, today: date) -> None:
    keeps()(connection, today)
    connection.execute("CREATE INDEX IF NOT EXISTS by_kind ON event (kind)")


def by_the_clock(connection: Connection, _today: date) -> None:
    keeps()(connection, date.today())


def nothing(connection: Connection, _today: date) -> None:
    connection.execute("SELECT 1")


def open_end(connection: Connection, today: date) -> None:
    keeps()(connection, today)
    connection.execute("BEGIN")


def deleting(connection: Connection, today: date) -> None:
    keeps(is_old=lambda _name, _today: False)(connection, today)
    connection.execute(
        "DELETE FROM event WHERE at < %s::text::timestamptz",
        [f"{month(this(today) - 12)} 00:00+00"],
    )


RIGHT: list[tuple[str, object]] = [
    (ONE, message(BY_ROOM, *hashed(), more=REFS) + NEWEST),
    (ONE, LOOPED),
    (ONE, ATTACHED),
    (ONE, NESTED),
    (ONE, message(BY_ROOM, *hashed()) + LOCKED.format("INSERT OR UPDATE") + NEWEST),
    (ONE, message(BY_ROOM, *hashed(3), more=", EXCLUDE (room_id WITH =, ref WITH =)") + NEWEST),
    (ONE, message(BY_ROOM, *hashed(), more=REFS + " DEFERRABLE INITIALLY DEFERRED") + NEWEST),
    (TWO, swap()),
    (TWO, attached_later()),
    (TWO, [*NEW, COPIES, *LOCKING, SWAP]),
    (TWO, [*NEW, COPIES, *[one.replace("UPDATE", "KEY SHARE") for one in LOCKING], SWAP]),
    (TWO, [INDEX, OLD, VALIDATE, "BEGIN", *PARTS, "COMMIT"]),
    (TWO, [*NEW, COPIES, LOOP.format("CREATE INDEX ON event_new (property_id);"), SWAP]),
    (TWO, [*NEW, COPIES, LOOP.format(IN_THE_BLOCK)]),
    (TWO, [INDEX, OLD, VALIDATE, BLOCK]),
    (THREE, keeps()),
    (THREE, by_bounds),
    (THREE, in_sql),
    (THREE, keeps(make=in_utc, name="in_utc")),
]

NOT_YET: list[tuple[str, object, str]] = [
    (ONE, None, "create the table message"),
    (ONE, STUB_1.replace("2027", "2028"), "no partition of relation"),
    (ONE, message("RANGE (sent_at)", *YEARS, more=REFS) + NEWEST, "must include all partitioning"),
    (ONE, message("RANGE (sent_at)", *YEARS, more=TWICE) + NEWEST, "23 partitions in its plan"),
    (
        ONE,
        message("RANGE (sent_at)", *YEARS[9:12], "DEFAULT", more=TWICE) + NEWEST,
        "which is more than half",
    ),
    (ONE, f"CREATE TABLE message ({COLUMNS}{REFS});{NEWEST}", "not a partitioned table"),
    (ONE, "CREATE TABLE messages (id int)", "there is no table message"),
    (ONE, message(BY_ROOM, more=REFS) + NEWEST, "no partition of relation"),
    (ONE, message(BY_ROOM, *hashed(1), more=REFS) + NEWEST, "more than half"),
    (ONE, message(BY_ROOM, *hashed(2), more=REFS) + NEWEST, "more than half"),
    (ONE, message(BY_ROOM, *hashed()[:3], more=REFS) + NEWEST, "no partition of relation"),
    (ONE, message(BY_ROOM, *hashed(), "DEFAULT", more=REFS), "may not have a default partition"),
    (ONE, message(BY_ROOM, *hashed(), more=REFS), "reads"),
    (ONE, message(BY_ROOM, *hashed(), more=REFS) + "CREATE INDEX ON message (ref)", "reads"),
    (ONE, message(BY_ROOM, *hashed()) + NEWEST, "at the same time, is accepted"),
    (ONE, message(BY_ROOM, *hashed(), more=TWICE) + NEWEST, "200 days later, is accepted"),
    (ONE, message(BY_ROOM, *hashed(), more=", UNIQUE (ref)") + NEWEST, "must include all"),
    (ONE, message(BY_ROOM, *hashed(), more=", PRIMARY KEY (room_id)"), "duplicate key"),
    (
        ONE,
        message(BY_ROOM, *hashed(), more=", UNIQUE (room_id, sent_at)") + NEWEST,
        "200 days later, is accepted",
    ),
    (ONE, message("HASH (ref)", *hashed(), more=REFS) + NEWEST, "4 partitions in its plan"),
    (ONE, message("HASH (room_id, ref)", *hashed(), more=REFS) + NEWEST, "4 partitions in its"),
    (ONE, message("HASH (sent_at)", *hashed(), more=TWICE) + NEWEST, "4 partitions in its plan"),
    (ONE, message("LIST (room_id)", "DEFAULT", more=REFS) + NEWEST, "more than half"),
    (
        ONE,
        message(
            "LIST (room_id)",
            *(f"FOR VALUES IN ({', '.join(str(4 * n + r) for n in range(200))})" for r in range(4)),
            "DEFAULT",
            more=REFS,
        )
        + NEWEST,
        "with rooms with large and negative ids, message_4 has 13,980",
    ),
    (
        ONE,
        message(
            "RANGE (room_id)",
            *(f"FOR VALUES FROM ({n}) TO ({n + 200})" for n in range(0, 1000, 200)),
            "FOR VALUES FROM (1000) TO (MAXVALUE)",
            "FOR VALUES FROM (MINVALUE) TO (0)",
            more=REFS,
        )
        + NEWEST,
        "with rooms with large and negative ids, message_5 has",
    ),
    (ONE, message("LIST ((room_id % 4))", "DEFAULT", more=REFS), "unsupported"),
    (
        ONE,
        message(
            BY_ROOM,
            *hashed(),
            columns=COLUMNS.replace("body text NOT NULL", "body text"),
            more=REFS,
        )
        + NEWEST,
        "without body is accepted",
    ),
    (
        ONE,
        message(BY_ROOM, *hashed(), columns=COLUMNS.replace(" NOT NULL", ""), more=REFS) + NEWEST,
        "without room_id is accepted",
    ),
    (ONE, message(BY_ROOM, *hashed()) + RAISE + NEWEST, "two connections send"),
    (
        ONE,
        message(BY_ROOM, *hashed()) + LOOK.format("RETURN NULL;") + NEWEST,
        "is dropped without an error",
    ),
    (
        ONE,
        message(BY_ROOM, *hashed(), more=REFS + ", CHECK (room_id > 0)") + NEWEST,
        "violates check constraint",
    ),
    (
        ONE,
        "CREATE TABLE message (room_id int, ref text) PARTITION BY RANGE (ref) "
        "(PARTITION p0 VALUES LESS THAN ('m'))",
        "PostgreSQL refused a statement: syntax error",
    ),
    (
        ONE,
        message(BY_ROOM, *hashed(), more=REFS, columns=COLUMNS.replace("timestamptz", "timestamp")),
        "sent_at has the type timestamp without time zone",
    ),
    (
        ONE,
        message(
            BY_ROOM, *hashed(), more=REFS, columns=COLUMNS.replace("body text", "content text")
        ),
        "the column body is missing",
    ),
    (
        ONE,
        message(BY_ROOM, *hashed())
        + "CREATE UNIQUE INDEX ON message (room_id, lower(ref));"
        + NEWEST,
        "a ref in capitals is refused",
    ),
    (
        ONE,
        message(BY_ROOM, *hashed())
        + "CREATE UNIQUE INDEX ON message (room_id, ref) WHERE sent_at > '2025-01-01';"
        + NEWEST,
        "ten years before, is accepted",
    ),
    *(
        (
            ONE,
            message(BY_ROOM, *hashed()) + f"CREATE UNIQUE INDEX ON message ({columns});" + NEWEST,
            hint,
        )
        for columns, hint in {
            "room_id, left(ref, 20)": "a long ref that ends in another way is refused",
            "room_id, btrim(ref)": "a ref with a space at its end is refused",
            "room_id, hashtext(ref)": "which is another one with the same hash, is refused",
        }.items()
    ),
    *(
        (ONE, message(BY_ROOM, *hashed()) + on_all_but(number, "UNIQUE ", "ref") + NEWEST, hint)
        for number, hint in {0: "in message_0, a second", 3: "in message_3, a second"}.items()
    ),
    *(
        (
            ONE,
            message(BY_ROOM, *hashed(), more=REFS) + on_all_but(number, "", "sent_at"),
            "An index can give them in their order",
        )
        for number in range(4)
    ),
    (
        ONE,
        message(BY_ROOM, *hashed(), more=REFS + ", CHECK (sent_at > '2000-01-01')") + NEWEST,
        "sent_at = 1066-10-14 is refused",
    ),
    (
        ONE,
        message(
            "RANGE (room_id)",
            *(
                f"FOR VALUES FROM ({start}) TO ({end})"
                for start, end in pairwise(
                    [-2147483648, -1000000000, 0, 300, 1000, 1000000000, 2147483647]
                )
            ),
            more=REFS,
        )
        + NEWEST,
        "room_id = 2147483647 is refused",
    ),
    (
        ONE,
        message(BY_ROOM, *hashed())
        + RAISE.replace("RETURN NEW", "PERFORM pg_advisory_xact_lock(NEW.room_id); RETURN NEW")
        + NEWEST,
        "waited for the first, and did not look again",
    ),
    (ONE, message(BY_ROOM, *hashed()) + LOCKED.format("INSERT") + NEWEST, "an UPDATE can give"),
    (TWO, [], "the list is empty"),
    (TWO, "; ".join(PLAN), "of type str"),
    (TWO, [7], "of type int"),
    (TWO, [*PLAN[:1]], "must include all partitioning"),
    (TWO, ["SELECT 1"], "event is not a partitioned table"),
    (TWO, ["ALTER TABLE event PARTITION BY RANGE (at)"], "syntax error"),
    (TWO, [*NEW, COPY, SWAP.replace("DROP FUNCTION copies;", "")], "that programs added meanwhile"),
    (
        TWO,
        [*NEW, COPY, RENAME, "ALTER TABLE event_new RENAME TO event", *PARTS[3:5]],
        'a program could not read an event: relation "event" does not exist',
    ),
    (TWO, [*NEW, COPIES, COPY, SWAP], "a program deleted event 70 while statement 8"),
    (TWO, [*NEW, COPIES, *BATCHES, SWAP], "a program deleted event 70 while statement 8"),
    (TWO, [*NEW, COPIES, SWAP], "a program could not read an event: it found 0"),
    (
        TWO,
        [
            *NEW,
            COPIES,
            COPY,
            SWAP.replace(
                "ALTER TABLE event ALTER id ADD GENERATED ALWAYS AS IDENTITY;", ""
            ).replace(SETVAL, ""),
        ],
        "null value in column",
    ),
    (TWO, [*NEW, COPIES, COPY, SWAP.replace(SETVAL, "")], "it got id 1, which another event has"),
    (
        TWO,
        [
            INDEX,
            OLD,
            VALIDATE,
            "BEGIN",
            *(RENAME, KEY, CREATE),
            IDENTITY.replace("IDENTITY;", "IDENTITY (START 5100);"),
            *(MONTHS, ATTACH),
            "COMMIT",
        ],
        "up to id 5501 before your plan. After it, a new event got id 5100",
    ),
    (TWO, [*NEW, COPIES.replace("INSERT OR ", ""), COPY, SWAP], "that programs added meanwhile"),
    (TWO, [*NEW, COPIES.replace("UPDATE OR ", ""), COPY, SWAP], "should be"),
    (TWO, [*NEW, COPIES.replace(" OR DELETE", ""), COPY, SWAP], "a program has deleted it"),
    (TWO, [*NEW, COPY, COPIES, SWAP], "are gone"),
    (
        TWO,
        [
            "BEGIN",
            LOCK.format("ACCESS EXCLUSIVE"),
            *NEW,
            COPY,
            SWAP.replace("BEGIN;", "").replace("DROP FUNCTION copies;", ""),
        ],
        "reads more than 1,000 rows while event is locked in AccessExclusiveLock",
    ),
    (
        TWO,
        [*NEW, "BEGIN", LOCK.format("SHARE"), COPY, "COMMIT"],
        "reads more than 1,000 rows while event is locked in ShareLock",
    ),
    (
        TWO,
        [
            *NEW,
            f"DO $$ BEGIN LOCK TABLE event; {COPY}; ALTER TABLE event RENAME TO event_old;"
            " ALTER TABLE event_new RENAME TO event; END $$",
        ],
        "reads more than 1,000 rows while",
    ),
    (
        TWO,
        [*NEW, "BEGIN", LOCK.format("ACCESS EXCLUSIVE"), *BATCHES, SWAP.replace("BEGIN;", "")],
        "reads more than 1,000 rows while event is locked in AccessExclusiveLock",
    ),
    (
        TWO,
        [*NEW, COPIES, "BEGIN", LOCK.format("SHARE"), *BATCHES, "COMMIT", SWAP],
        "reads more than 1,000 rows while event is locked in ShareLock",
    ),
    (
        TWO,
        [*NEW, COPIES, f"DO $$ BEGIN {LOCK.format('SHARE')} {COPY}; END $$", SWAP],
        "while it holds a lock on event that stops programs",
    ),
    (
        TWO,
        [
            *NEW,
            COPIES,
            f"CREATE PROCEDURE copy() LANGUAGE plpgsql AS $$ BEGIN {LOCK.format('SHARE')} {COPY};"
            " END $$",
            "BEGIN",
            "CALL copy()",
            "COMMIT",
            SWAP,
        ],
        "while it holds a lock on event that stops programs",
    ),
    (
        TWO,
        [
            *NEW,
            "DO $$ BEGIN ALTER TABLE event RENAME TO event_old; ALTER TABLE event_new RENAME TO"
            " event; INSERT INTO event SELECT * FROM event_old; END $$",
        ],
        "while it holds a lock on event that stops programs",
    ),
    *(
        (TWO, [*NEW, COPIES, *statements, SWAP], "locked 5,000 rows of event")
        for statements in (
            ["UPDATE event SET kind = kind"],
            ["BEGIN", "UPDATE event SET kind = kind", "COMMIT"],
            [COPY.replace("FROM event", "FROM event FOR UPDATE")],
            ["BEGIN", "SELECT count(*) FROM (SELECT FROM event FOR SHARE)", COPY, "COMMIT"],
        )
    ),
    (TWO, swap(prepare=(INDEX.replace(" CONCURRENTLY", ""), OLD, VALIDATE)), "statement 1 (CREATE"),
    (TWO, swap(prepare=(INDEX,)), "(ALTER TABLE event ATTACH PARTITION event_old FOR …) reads"),
    (TWO, swap(prepare=(INDEX, OLD)), "ATTACH PARTITION event_old FOR …) reads more"),
    (
        TWO,
        swap(prepare=(INDEX, OLD.replace(" NOT VALID", ""))),
        "statement 2 (ALTER TABLE event ADD CONSTRAINT old CHECK (at < …) reads",
    ),
    (
        TWO,
        swap(
            KEY,
            instead="ALTER TABLE event_old ALTER id DROP IDENTITY, DROP CONSTRAINT event_pkey,"
            " ADD PRIMARY KEY (id, at);",
            prepare=(OLD, VALIDATE),
        ),
        "reads more than 1,000 rows",
    ),
    (
        TWO,
        swap(KEY, instead="ALTER TABLE event_old ALTER id DROP IDENTITY;"),
        'multiple primary keys for table "event_old"',
    ),
    (
        TWO,
        swap(KEY, instead=KEY.replace("ALTER id DROP IDENTITY, ", "")),
        "contains an identity column",
    ),
    (TWO, swap(IDENTITY, SETVAL), "null value in column"),
    (TWO, swap(SETVAL), "it got id 1, which another event has"),
    (TWO, swap(MONTHS), "an event of December is refused"),
    (TWO, swap(MONTHS, instead=MONTHS.partition(";")[0] + ";"), "an event of January is refused"),
    (TWO, swap(ATTACH), "a program could not read an event: it found 0"),
    (
        TWO,
        swap(MONTHS, instead="CREATE TABLE rest PARTITION OF event DEFAULT;"),
        "has events of December and of another month",
    ),
    (
        TWO,
        swap(
            MONTHS,
            instead="CREATE TABLE next PARTITION OF event"
            " FOR VALUES FROM ('2026-12-01 00:00+00') TO (MAXVALUE);",
        ),
        "next has events of December and of another month",
    ),
    (
        TWO,
        swap(MONTHS, instead=MONTHS.replace("('2027-02-01 00:00+00')", "(MAXVALUE)")),
        "january has events of January and of another month",
    ),
    (
        TWO,
        swap(MONTHS, instead=MONTHS.replace("2027-02-01", "2027-01-31")),
        "an event of January is refused",
    ),
    (
        TWO,
        swap(
            MONTHS,
            instead=MONTHS.partition(";")[0] + "; CREATE TABLE x PARTITION OF event DEFAULT;",
        ),
        "events of January go into a default partition",
    ),
    (
        TWO,
        [
            "SET timezone = 'America/New_York'",
            *swap(
                MONTHS,
                ATTACH,
                instead=(MONTHS + ATTACH).replace(" 00:00+00", ""),
            ),
        ],
        "",
    ),
    (
        TWO,
        [*swap(), "ALTER TABLE event ALTER kind DROP NOT NULL"],
        "kind may be NULL",
    ),
    (TWO, [*swap(), "ALTER TABLE event DROP CONSTRAINT event_pkey"], "primary key of event is not"),
    (TWO, [*swap()[:3], str(swap()[3]).replace("COMMIT;", "")], "a transaction is still open"),
    (TWO, [*swap(), "DELETE FROM event WHERE id = 77"], "are gone, old ones"),
    (TWO, [*swap(), "UPDATE event SET kind = 'x' WHERE id = 77"], "event 77 should be"),
    (TWO, ["LOCK TABLE event", *swap()], "LOCK TABLE can only be used in transaction blocks"),
    (TWO, [*swap(), "VACUUM FULL event_old"], "writes a whole table anew"),
    (
        TWO,
        [
            "CREATE TABLE part (LIKE event) PARTITION BY RANGE (at)",
            "DELETE FROM event",
        ],
        "a program could not read an event",
    ),
    (THREE, None, "give the function itself"),
    (THREE, "event", "of type str"),
    (THREE, by_the_clock, "today is"),
    (THREE, nothing, "there should be a partition event_2027_01"),
    (THREE, keeps(wanted=by_days, name="by_days"), "and there is none"),
    (THREE, keeps(wanted=by_31_days, name="by_31_days"), "event_2025_10 is still a partition"),
    (THREE, keeps(wanted=by_replace, name="by_replace"), "day is out of range for month"),
    (THREE, keeps(wanted=in_the_year, name="in_the_year"), "there should be a partition"),
    (
        THREE,
        keeps(wanted=lambda today: [this(today) + 1, this(today) + 2], name="only_ahead"),
        "and there is none",
    ),
    (
        THREE,
        keeps(
            wanted=lambda today: list(range(this(today) - 12, this(today) + 2)), name="one_short"
        ),
        "there should be a partition event_2027_01",
    ),
    (
        THREE,
        keeps(wanted=lambda today: list(range(this(today) - 11, this(today) + 3)), name="eleven"),
        "there should be a partition",
    ),
    (
        THREE,
        keeps(wanted=lambda today: list(range(this(today) - 12, this(today) + 4)), name="too_many"),
        "is still a partition, or is one too many",
    ),
    (
        THREE,
        keeps(
            is_old=lambda name, today: name <= f"event_{month(this(today) - 12):%Y_%m}", name="le"
        ),
        "there should be a partition event_2025_11",
    ),
    (
        THREE,
        keeps(
            is_old=lambda name, today: name < f"event_{month(this(today) - 13):%Y_%m}", name="late"
        ),
        "event_2025_10 is still a partition",
    ),
    (THREE, keeps(is_old=lambda _name, _today: False, name="never"), "event_2025_10 is still"),
    (
        THREE,
        keeps(
            is_old=lambda name, today: name < f"event_{today - timedelta(days=365):%Y_%m}",
            name="d365",
        ),
        "it is 29 February, and today is 2028-02-29: there should be a partition event_2027_02",
    ),
    (THREE, keeps(make=local, name="local"), "the session is in Berlin"),
    (
        THREE,
        keeps(make=partition_of, name="partition_of"),
        "event is locked in AccessExclusiveLock",
    ),
    (
        THREE,
        keeps(remove=sql("DROP TABLE {name}"), name="plain_drop"),
        "event is locked in AccessExclusiveLock",
    ),
    (
        THREE,
        keeps(
            remove=sql("ALTER TABLE event DETACH PARTITION {name};DROP TABLE {name}"), name="plain"
        ),
        "event is locked in AccessExclusiveLock",
    ),
    (
        THREE,
        keeps(remove=sql("ALTER TABLE event DETACH PARTITION {name} CONCURRENTLY"), name="kept"),
        "event_2025_10 is not a partition, and the table is still there",
    ),
    (
        THREE,
        keeps(remove=sql("DELETE FROM {name}"), name="emptied"),
        "event_2025_10 is still a partition",
    ),
    (THREE, keeps(remove=sql("TRUNCATE {name}"), name="truncated"), "event_2025_10 is still"),
    (THREE, keeps(remove=impatient, name="impatient"), "your function gave up"),
    (THREE, keeps(remove=swallowing, name="swallowing"), "a report was open while"),
    (THREE, deleting, "event_2025_10 is still a partition"),
    (THREE, in_one_transaction, "cannot run inside a transaction block"),
    (THREE, only_next, "there should be a partition"),
    (THREE, without_a_look, "already exists"),
    (THREE, from_the_newest, "the table is two months old"),
    (THREE, recent, "some months between others have no partition"),
    (THREE, deleting_local, "has other rows than before"),
    (THREE, and_then("LOCK TABLE event IN SHARE MODE"), "LOCK TABLE can only be used in"),
    (THREE, locked_first, "a program could not add an event"),
    (THREE, locked_last, "asked for a lock on event in ShareLock"),
    (THREE, locked_partition, "asked for a lock on event_2026_11 in AccessExclusiveLock"),
    (THREE, and_then("VACUUM FULL event"), "anew. Programs wait for that"),
    (THREE, and_then("REINDEX TABLE event"), "anew. Programs wait for that"),
    (THREE, all_anew, "was made anew"),
    (THREE, with_default, "event_default is still a partition, or is one too many"),
    (THREE, locking, "is locked in ShareLock"),
    (THREE, open_end, "its transaction is still open"),
    (THREE, keeps(there=like_names, name="like_names"), "is not a partition of relation"),
    (
        THREE,
        keeps(there=like_names, remove=if_there("DROP TABLE {name}"), name="drop_like"),
        "event_2019_05 is gone",
    ),
    (
        THREE,
        keeps(
            there=all_like,
            is_old=lambda name, today: (
                name
                not in {f"event_{month(n):%Y_%m}" for n in range(this(today) - 12, this(today) + 3)}
            ),
            remove=if_there("DROP TABLE {name}"),
            name="drop_all",
        ),
        "is gone, which was not a partition",
    ),
    (
        THREE,
        keeps(
            is_old=lambda name, today: (
                name
                not in {f"event_{month(n):%Y_%m}" for n in range(this(today) - 12, this(today) + 3)}
            ),
            name="drop_later",
        ),
        "there are partitions for five months ahead",
    ),
]


test_right, test_not_yet = tables.tests(RIGHT, NOT_YET)
