"""Judges of "Indexes and plans": an index is judged by the plans it makes."""

from collections.abc import Iterable
from datetime import date, timedelta

import psycopg
from psycopg import sql

from nexus import plans
from nexus.judging import NotYet, judge
from nexus.judging.sandbox import Connection, Sandbox, database

CALENDAR = (
    "SELECT id, check_in, check_out FROM booking "
    "WHERE property_id = {} AND status = 'confirmed' AND check_in >= '2025-03-01' "
    "ORDER BY check_in LIMIT 10"
)
PROPERTIES = (42, 7, 1, 2000)
"""One with one booking in twenty, and some of the many with few, the first and the last."""
REPORT = (
    "SELECT count(*), sum(total_cents) FROM booking "
    "WHERE extract(year FROM created_at) = 2025 AND extract(month FROM created_at) = 3"
)
PENDING = (
    "SELECT id, guest_id, created_at FROM booking "
    "WHERE status = 'pending' ORDER BY created_at LIMIT 20"
)
WORKLOAD = (
    "SELECT * FROM booking WHERE id = 4711",
    "SELECT * FROM booking WHERE guest_id = 815",
    "SELECT count(*) FROM booking WHERE property_id = 42",
    "SELECT * FROM booking WHERE property_id = 42 AND check_in = '2025-03-09'",
)
SUPERFLUOUS = frozenset({"by_property", "by_guest_again", "by_total"})

# One booking in twenty is for property 42; two in a thousand are pending; created_at rises.
BOOKINGS = """
    SELECT setseed(0.42);
    CREATE TABLE booking (
        id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        reference   text NOT NULL,
        property_id int NOT NULL,
        guest_id    int NOT NULL,
        status      text NOT NULL,
        check_in    date NOT NULL,
        check_out   date NOT NULL,
        total_cents int NOT NULL,
        created_at  timestamptz NOT NULL
    );
    INSERT INTO booking (
        reference, property_id, guest_id, status, check_in, check_out, total_cents, created_at)
    SELECT 'B' || i,
           CASE WHEN random(1, 20) = 1 THEN 42 ELSE random(1, 2000) END,
           random(1, 5000),
           CASE WHEN i % 500 = 250 THEN 'pending' WHEN i % 10 = 0 THEN 'cancelled'
                ELSE 'confirmed' END,
           at::date + days, at::date + days + 3, random(3000, 90000), at
    FROM generate_series(1, 50000) AS i,
         LATERAL (SELECT timestamptz '2025-01-01 00:00Z' + i * interval '5 minutes' AS at) AS clock,
         LATERAL (SELECT random(0, 90) AS days WHERE i > 0) AS draw;
"""
CLEANING = """
    ALTER TABLE booking ADD CONSTRAINT reference_key UNIQUE (reference);
    CREATE INDEX by_property ON booking (property_id);
    CREATE INDEX by_property_day ON booking (property_id, check_in);
    CREATE INDEX by_guest ON booking (guest_id);
    CREATE INDEX by_guest_again ON booking (guest_id);
    CREATE INDEX by_total ON booking (total_cents);
"""
PEOPLE = "SELECT id, name, email FROM guest WHERE id <> 8 ORDER BY id"
RULES = (
    "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint "
    "WHERE conrelid IN ('guest'::regclass, 'booking'::regclass) ORDER BY 1, 2"
)
GUESTS = """
    CREATE TABLE guest (id int PRIMARY KEY, name text NOT NULL, email text NOT NULL);
    INSERT INTO guest SELECT i, 'Guest ' || i, 'Guest' || i || '@example.org'
    FROM generate_series(1, 20) AS i;
    UPDATE guest SET name = 'Grace Mensah', email = 'GRACE.MENSAH@example.org' WHERE id = 7;
    UPDATE guest SET name = 'Grace Mensah', email = 'grace.mensah@example.org' WHERE id = 8;
    CREATE TABLE booking (
        id       int PRIMARY KEY,
        guest_id int NOT NULL REFERENCES guest,
        check_in date NOT NULL
    );
    INSERT INTO booking SELECT i, 1 + i % 20, date '2025-03-01' + i
    FROM generate_series(1, 200) AS i;
"""


def bookings(connection: Connection) -> None:
    """Builds the booking table of exercises 1 to 3."""
    connection.execute(BOOKINGS)
    analyze(connection)


def cleaning(connection: Connection) -> None:
    """Builds the booking table of exercise 4, with its seven indexes."""
    connection.execute(BOOKINGS + CLEANING)
    analyze(connection)


def analyze(connection: Connection) -> None:
    """Vacuums, and takes statistics of all 50,000 rows (300 for each unit of the target)."""
    connection.execute("SET default_statistics_target = 200")
    connection.execute("VACUUM (ANALYZE) booking")


def guests(connection: Connection) -> None:
    """Builds exercise 5: two guests with one address, and the index that failed on them."""
    connection.execute(GUESTS)
    try:
        connection.execute(
            "CREATE UNIQUE INDEX CONCURRENTLY guest_email_unique ON guest (lower(email))"
        )
    except psycopg.errors.UniqueViolation:
        return
    raise AssertionError("the index of the set-up was to fail")


@judge(
    "indexes-and-plans.1",
    takes=str,
    called="SQL in quotes",
    hint="give the CREATE INDEX as text in quotes. Which columns are compared with =, which is "
    "compared with >= and ordered by?",
)
def calendar(answer: str) -> str:
    """Right if the ten rows come without a sort and from few pages."""
    with database("nexus_indexes", bookings) as sandbox:
        run_index(sandbox, answer)
        most = 0
        for number in PROPERTIES:
            plan = plans.explain(sandbox.admin, CALENDAR.format(number))
            if not plan.indexes:
                raise NotYet("PostgreSQL still reads the whole table: " + repr(plan))
            if sorting := plan.find("Sort") + plan.find("Incremental Sort"):
                (below,) = sorting[0].children
                raise NotYet(
                    f"the index finds property {number}, but {below.rows:,} rows are read and "
                    "sorted to give ten. Let the index hold them in the wanted order"
                )
            if plan.buffers > 40:
                raise NotYet(
                    f"the order is right, but for property {number} {plan.buffers:,} pages are "
                    "read. Let the index begin with what is compared with ="
                )
            most = max(most, plan.buffers)
        return f"ten rows from {most} buffers at most, and no sort"


@judge(
    "indexes-and-plans.2",
    takes=str,
    called="SQL in quotes",
    hint="give a SELECT as text in quotes. Say what March 2025 is as a range of created_at itself.",
)
def report(answer: str) -> str:
    """Right if it gives what the report gives, for other rows too, and reads few pages."""

    def with_index(connection: Connection) -> None:
        bookings(connection)
        connection.execute("CREATE INDEX booking_created_at ON booking (created_at)")

    with database("nexus_indexes_created", with_index) as sandbox:
        before = fingerprint(sandbox)
        table = table_pages(sandbox)
        with sandbox.watched():
            plan = plans.explain(sandbox.learner, answer)  # one statement, rolled back
        for change in (
            None,
            # The first and the last moment of March, and their neighbours.
            "UPDATE booking SET created_at = '2025-03-01 00:00Z' WHERE id = 1",
            "UPDATE booking SET created_at = '2025-03-31 23:59:59.999999Z' WHERE id = 2",
            "UPDATE booking SET created_at = '2025-04-01' WHERE id = 3",
            "UPDATE booking SET created_at = '2025-02-28 23:59:59.999999Z' WHERE id = 4",
            "UPDATE booking SET created_at = created_at + interval '1 year' WHERE id % 7 = 0",
            "UPDATE booking SET total_cents = -total_cents WHERE id % 5 = 0",  # paid back
            "UPDATE booking SET total_cents = 2000000000 WHERE id < 9000",  # more than an int holds
            "UPDATE booking SET created_at = '2024-01-01'",  # no booking at all in March 2025
        ):
            if change:
                sandbox.admin.execute(change)
            wanted = query(sandbox, REPORT)
            given = rows_of(sandbox, answer)
            if given != wanted:
                when = "on this table" if change is None else "when a booking is changed"
                raise NotYet(
                    f"{when}, the report says {wanted[0]} and your query {shown(given)}. Look at "
                    "the first and the last moment of March, and give count(*), then "
                    "sum(total_cents)"
                )
            if change is None and fingerprint(sandbox) != before:
                raise NotYet("your query changed the table. A report only reads")
        if plan.buffers * 2 > table:
            raise NotYet(
                f"the figures are right, but {plan.buffers:,} pages are read of {table:,}. Compare "
                "created_at itself, and not the result of a function"
            )
        return f"the same figures from {plan.buffers} buffers instead of {table:,}"


@judge(
    "indexes-and-plans.3",
    takes=str,
    called="SQL in quotes",
    hint="give the CREATE INDEX as text in quotes. Only two in a thousand bookings are pending: "
    "does the index need the others?",
)
def pending(answer: str) -> str:
    """Right if the query reads few pages and the answer's indexes are small."""
    with database("nexus_indexes", bookings) as sandbox:
        run_index(sandbox, answer)
        plan = plans.explain(sandbox.admin, PENDING)
        size = sandbox.admin.execute(
            "SELECT coalesce(sum(pg_relation_size(indexrelid)), 0)::bigint FROM pg_index "
            "WHERE indrelid = 'booking'::regclass AND NOT indisprimary"
        ).fetchone()
        kilobytes = (size[0] if size else 0) // 1024
        if not plan.indexes:
            raise NotYet("PostgreSQL still reads the whole table: " + repr(plan))
        if plan.buffers > 30:
            raise NotYet(
                f"{plan.buffers:,} pages are read, at most 30 are wanted: does the index hold the "
                "pending bookings in the order of the list, and no others?"
            )
        if kilobytes > 24:
            raise NotYet(f"the query is quick, but {kilobytes:,} kB of index is more than 24")
        return f"{plan.buffers} buffers, with {kilobytes} kB of index"


@judge(
    "indexes-and-plans.4",
    takes=object,
    called="a list of names",
    hint='give a list of index names, such as ["by_total"]. What can an index find that no other '
    "can?",
)
def spring_cleaning(answer: object) -> str:
    """Right if all that is superfluous is dropped, and nothing that is needed."""
    names = index_names(answer)
    with database("nexus_indexes_cleaning", cleaning) as sandbox:
        names_there = (
            "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'booking'::regclass"
        )
        there = {str(row[0]) for row in query(sandbox, names_there)}
        if unknown := sorted(names - there):
            raise NotYet(f"there is no index {unknown[0]!r}: give the names only")
        before = {text: plans.explain(sandbox.admin, text).buffers for text in WORKLOAD}
        for name in sorted(names):
            drop(sandbox, name)
        for text in WORKLOAD:
            after = plans.explain(sandbox.admin, text).buffers
            if after > 2 * before[text] + 10:
                raise NotYet(f"{text} read {before[text]} buffers, and now reads {after:,}")
        if left := len(SUPERFLUOUS - names) - len(names - SUPERFLUOUS):
            more = "one more can" if left == 1 else f"{left} more can"
            raise NotYet(f"nothing got slower so far, and {more} go")
        return f"{len(names)} indexes gone, and every query reads what it read before"


@judge(
    "indexes-and-plans.5",
    takes=str,
    called="SQL in quotes",
    hint="give the statements as text in quotes, separated by semicolons. Which rows must change "
    "before the index can be built again?",
)
def repair(answer: str) -> str:
    """Right if the index is valid, guest 8 is gone, and no booking is lost."""
    with database("nexus_indexes_guests", guests) as sandbox:
        columns = (
            "SELECT attname FROM pg_attribute WHERE attrelid = 'guest'::regclass AND attnum > 0"
        )
        before = query(sandbox, columns), query(sandbox, RULES)
        people = query(sandbox, PEOPLE)
        try:
            sandbox.run(answer)
        except psycopg.errors.UniqueViolation:
            raise NotYet("the index cannot be built: two guests still share an address") from None
        kept = query(sandbox, "SELECT id, guest_id, check_in::text FROM booking ORDER BY id")
        ids = {row[0] for row in query(sandbox, "SELECT id FROM guest")}
        if query(sandbox, columns) != before[0]:
            raise NotYet("the columns of guest should stay as they are")
        if 8 in ids:
            raise NotYet("guest 8 is still there")
        if ids != set(range(1, 21)) - {8}:
            raise NotYet("other guests than 8 were removed or added")
        if query(sandbox, PEOPLE) != people:
            raise NotYet("names or addresses of guests were changed: leave them as they are")
        if len(kept) != 200:
            raise NotYet(f"there were 200 bookings, and now there are {len(kept)}")
        first = date(2025, 3, 1)
        if kept != [
            (i, 7 if 1 + i % 20 == 8 else 1 + i % 20, str(first + timedelta(i)))
            for i in range(1, 201)
        ]:
            raise NotYet("the bookings of 7 and 8 should be guest 7's, and all others as they were")
        index = query(
            sandbox,
            "SELECT indisvalid FROM pg_index "
            "WHERE indexrelid = to_regclass('guest_email_unique') AND indrelid = 'guest'::regclass",
        )
        if not index:
            raise NotYet("there is no index guest_email_unique any more")
        if index == [(False,)]:
            raise NotYet(
                "the data are correct now, but guest_email_unique is still invalid "
                "(REINDEX TABLE CONCURRENTLY would skip it)"
            )
        invalid = query(
            sandbox,
            "SELECT indexrelid::regclass::text FROM pg_index "
            "WHERE indrelid = 'guest'::regclass AND NOT indisvalid",
        )
        if invalid:
            raise NotYet(
                f"{invalid[0][0]} is still there, and invalid: it serves no query, and may refuse "
                "rows. Drop it"
            )
        if not refused(
            sandbox, "INSERT INTO guest VALUES (21, 'Grace', 'Grace.Mensah@example.ORG')"
        ):
            raise NotYet("a second guest with guest 7's address, written differently, is let in")
        whole = (
            "SELECT indpred IS NULL FROM pg_index WHERE indexrelid = 'guest_email_unique'::regclass"
        )
        if query(sandbox, whole) != [(True,)]:
            raise NotYet("the index leaves some guests out: it must hold every address")
        if refused(sandbox, "INSERT INTO guest VALUES (21, 'Grace Mensah', 'grace@example.org')"):
            raise NotYet("a guest with an address of her own is refused")
        if not refused(sandbox, "INSERT INTO booking VALUES (201, 8, '2026-01-01')"):
            raise NotYet("a booking for guest 8, who is gone, is let in: keep the foreign key")
        if query(sandbox, RULES) != before[1]:
            raise NotYet("the keys of guest and booking should stay as they are: no ON DELETE")
        expression = query(
            sandbox,
            "SELECT pg_get_indexdef(indexrelid, 1, true) FROM pg_index "
            "WHERE indexrelid = 'guest_email_unique'::regclass",
        )
        if expression != [("lower(email)",)]:
            raise NotYet(
                f"the index holds {expression[0][0]}, and a log-in compares lower(email). No query "
                "for lower(email) could use it"
            )
        return "the index is valid, and no booking was lost"


def refused(sandbox: Sandbox, statement: str) -> bool:
    """Whether a rule of the database refuses a statement; nothing of it stays."""
    try:
        with sandbox.admin.transaction(force_rollback=True):
            sandbox.admin.execute(statement)  # type: ignore[arg-type]
    except psycopg.errors.IntegrityError:
        return True
    return False


def run_index(sandbox: Sandbox, answer: str) -> None:
    """Runs an answer that must leave an index behind, and the bookings alone.

    Raises:
        NotYet: if it does not.
    """
    before = fingerprint(sandbox)
    sandbox.run(answer)
    if fingerprint(sandbox) != before:
        raise NotYet("your answer changed the bookings. An index leaves the rows alone")
    indexes = "SELECT count(*) FROM pg_index WHERE indrelid = 'booking'::regclass AND indisvalid"
    if query(sandbox, indexes) == [(1,)]:
        raise NotYet("no index was left behind: did the answer create one, and commit it?")


def fingerprint(sandbox: Sandbox) -> object:
    """What the booking table holds, as one value; its place and kind too."""
    return query(
        sandbox,
        "SELECT count(*), sum(hashtextextended(booking::text, 0)), "
        "(SELECT relkind FROM pg_class WHERE oid = 'booking'::regclass) FROM booking",
    )


def query(sandbox: Sandbox, text: str) -> list[tuple[object, ...]]:
    """A question of the judge's; tables that are gone are the answer's doing.

    Raises:
        NotYet: if a table is not there any more.
    """
    try:
        return sandbox.admin.execute(text).fetchall()  # type: ignore[arg-type]
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        problem = str(error).partition("\n")[0]
        raise NotYet(f"the tables should stay as they are: {problem}") from None


def rows_of(sandbox: Sandbox, answer: str) -> list[tuple[object, ...]]:
    """The rows that an answer's SELECT gives; a second statement is refused by PostgreSQL.

    Raises:
        NotYet: if it gives none.
    """
    with sandbox.watched():
        cursor = sandbox.learner.execute(answer, binary=True)  # type: ignore[arg-type]
    if cursor.description is None:
        raise NotYet("that statement gives no rows: write a SELECT")
    return cursor.fetchall()


def shown(rows: list[tuple[object, ...]]) -> str:
    """What a query gave, in few words."""
    if len(rows) != 1:
        return f"gives {len(rows):,} rows"
    return f"says {str(rows[0])[:80]}"


def table_pages(sandbox: Sandbox) -> int:
    """How many pages the booking table has."""
    return int(str(query(sandbox, "SELECT pg_relation_size('booking') / 8192")[0][0]))


def index_names(answer: object) -> set[str]:
    """The names in a list, a tuple, a set, or in text with commas.

    Raises:
        NotYet: if it is none of these, or is empty.
    """
    if isinstance(answer, str):
        answer = answer.replace(",", " ").split()
    if not isinstance(answer, Iterable) or isinstance(answer, bytes | dict):
        raise NotYet(
            f"the answer should be a list of names; this is of type {type(answer).__name__}"
        )
    names = list(zip(range(100), answer, strict=False))  # an endless one is cut short
    if not names or not all(isinstance(name, str) for _, name in names):
        raise NotYet("the answer should be a list of names, each as text in quotes")
    return {str(name).strip().strip(";") for _, name in names}


def drop(sandbox: Sandbox, name: str) -> None:
    """Drops an index of exercise 4.

    Raises:
        NotYet: if it keeps a rule.
    """
    try:
        sandbox.admin.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
    except psycopg.errors.DependentObjectsStillExist:
        raise NotYet(f"{name} also refuses rows that break a rule, so it has to stay") from None
