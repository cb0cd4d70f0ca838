"""Each judge of indexes-and-plans: the stub, right answers of several kinds, and wrong ones."""

import itertools
from collections.abc import Iterator

import pytest

import nexus
from nexus.judging import judge_answer, limits
from nexus.services import Postgres

EXERCISES = [f"indexes-and-plans.{number}" for number in range(1, 6)]
ONE, TWO, THREE, FOUR, FIVE = EXERCISES

RANGE = "SELECT count(*), sum(total_cents) FROM booking WHERE created_at {}"
MERGE = "UPDATE booking SET guest_id = 7 WHERE guest_id = 8; DELETE FROM guest WHERE id = 8;"
REBUILD = "CREATE UNIQUE INDEX guest_email_unique ON guest (lower(email))"


@pytest.fixture(scope="module", autouse=True)
def pg() -> Iterator[Postgres]:
    with nexus.postgres(fsync="off") as server:  # databases come and go
        yield server


@pytest.mark.parametrize("exercise", EXERCISES)
@pytest.mark.parametrize("stub", [None, ..., "", "  \n"])
def test_a_stub_gets_a_hint(exercise: str, stub: object) -> None:
    verdict = judge_answer(exercise, stub)
    assert not verdict.right
    assert "?" in verdict.message or "Say what" in verdict.message, "it asks or tells something"


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        (ONE, "CREATE INDEX ON booking (property_id, status, check_in)"),
        (ONE, "create index concurrently x on booking (property_id, check_in);"),
        (
            ONE,
            "CREATE INDEX ON booking (property_id, check_in) WHERE status = 'confirmed'",
        ),
        (ONE, "CREATE INDEX ON booking (status, property_id, check_in DESC)"),
        (TWO, RANGE.format(">= '2025-03-01' AND created_at < '2025-04-01'")),
        (
            TWO,
            RANGE.format(
                ">= date '2025-03-01' AND created_at < date '2025-03-01' + interval '1 month'"
            ),
        ),
        (
            TWO,
            RANGE.format("BETWEEN '2025-03-01' AND '2025-03-31 23:59:59.999999'"),
        ),
        (THREE, "CREATE INDEX ON booking (created_at) WHERE status = 'pending'"),
        (
            THREE,
            "CREATE INDEX ON booking (created_at, id) WHERE status IN ('pending')",
        ),
        (FOUR, ["by_property", "by_guest_again", "by_total"]),
        (FOUR, ("by_property", "by_guest", "by_total")),
        (FOUR, "by_total, by_property, by_guest"),
        (FIVE, MERGE + "REINDEX INDEX CONCURRENTLY guest_email_unique"),
        (FIVE, MERGE + "DROP INDEX guest_email_unique;" + REBUILD),
        (FIVE, f"BEGIN; DROP INDEX guest_email_unique; {MERGE} {REBUILD}; COMMIT"),
    ],
)
def test_right_answers(exercise: str, answer: object) -> None:
    verdict = judge_answer(exercise, answer)
    assert verdict.right, verdict.message


@pytest.mark.parametrize(
    ("exercise", "answer", "hint"),
    [
        (
            ONE,
            "CREATE INDEX ON booking (property_id)",
            "1,945 rows are read and sorted",
        ),
        (
            ONE,
            "CREATE INDEX ON booking (check_in, property_id, status)",
            "property 7 ",
        ),
        (
            ONE,
            "BEGIN; CREATE INDEX ON booking (property_id, check_in)",
            "commit it?",
        ),
        (ONE, "SELECT 1", "no index was left behind"),
        (
            ONE,
            "CREATE INDEX ON booking (check_in)",
            "begin with what is compared with =",
        ),
        (ONE, "CREATE INDEX ON booking (status)", "still reads the whole table"),
        (
            ONE,
            "DELETE FROM booking WHERE property_id <> 42",
            "leaves the rows alone",
        ),
        (ONE, "CREATE INDEX ON booking (property_id, status)", "read and sorted"),
        (
            ONE,
            "CREATE INDEX ON booking (property_id) INCLUDE (status, check_in)",
            "read and sorted",
        ),
        (ONE, "CREATE INDEX ON booking USING hash (property_id)", "read and sorted"),
        (ONE, "CREATE INDEX ON booking (property_id, check_out)", "read and sorted"),
        (ONE, "CREATE INDEX ON booking (status, check_in, property_id)", "pages are read"),
        (
            ONE,
            "CREATE INDEX ON booking (property_id); CREATE INDEX ON booking (check_in)",
            "pages are read",
        ),
        (
            ONE,
            "CREATE INDEX ON booking (property_id, check_in) "
            "WHERE status = 'confirmed' AND property_id = 42",
            "still reads the whole table",
        ),
        (
            ONE,
            "CREATE INDEX ON booking (property_id, status, check_in) WHERE property_id < 1000",
            "still reads the whole table",
        ),
        (
            ONE,
            "CREATE INDEX ON booking (check_in) WHERE status = 'confirmed'",
            "begin with what is compared with =",
        ),
        (
            TWO,
            RANGE.format("BETWEEN '2025-03-01' AND '2025-04-01'"),
            "your query says",
        ),
        (
            TWO,
            RANGE.format(">= '2025-03-01' AND created_at < '2025-03-31'"),
            "says",
        ),
        (TWO, "SELECT 8928, 414002037", "when a booking is changed"),
        (
            TWO,
            RANGE.format("BETWEEN '2025-03-01' AND '2025-03-31 23:59:59'"),
            "last moment",
        ),
        (TWO, RANGE.format("::text LIKE '2025-03%'"), "516 pages are read"),
        (TWO, RANGE.format("> '2025-03-01' AND created_at < '2025-04-01'"), "the first and the"),
        (TWO, RANGE.format(">= '2025-03-01' AND created_at <= '2025-04-01'"), "the first and the"),
        (
            TWO,
            RANGE.format("BETWEEN '2025-03-01' AND '2025-03-31 23:59:59.999'"),
            "last moment",
        ),
        (
            TWO,
            RANGE.format(">= '2025-03-01' AND created_at < date '2025-03-01' + 30"),
            "says",
        ),
        (TWO, RANGE.format("::date BETWEEN '2025-03-01' AND '2025-03-31'"), "516 pages are read"),
        (TWO, RANGE.format("IS NOT NULL") + " GROUP BY id", "gives 50,000 rows"),
        (TWO, "DELETE FROM booking", "write a SELECT"),
        (
            TWO,
            RANGE.format(">= '2025-03-01' AND created_at < '2025-04-01' AND total_cents > 0"),
            "when a booking is changed",
        ),
        (
            TWO,
            RANGE.format(">= '2025-03-01' AND created_at < '2025-04-01'").replace(
                "sum(total_cents)", "coalesce(sum(total_cents), 0)"
            ),
            "the report says (0, None)",
        ),
        (
            TWO,
            RANGE.format(">= '2025-03-01' AND created_at < '2025-04-01'").replace(
                "sum(total_cents)", "sum(total_cents)::int"
            ),
            "integer out of range",
        ),
        (
            TWO,
            "WITH gone AS (DELETE FROM booking) " + RANGE.format("> now()"),
            "says",
        ),
        (
            THREE,
            "CREATE INDEX ON booking (status, created_at)",
            "2,008 kB of index",
        ),
        (THREE, "CREATE INDEX ON booking (created_at)", "129 pages are read"),
        (
            THREE,
            "CREATE INDEX ON booking (id) WHERE status = 'pending'",
            "in the order",
        ),
        (THREE, "CREATE INDEX ON booking (status)", "pages are read"),
        (
            THREE,
            "CREATE INDEX ON booking (created_at) WHERE status <> 'confirmed'",
            "in the order of the list, and no others?",
        ),
        (
            THREE,
            "CREATE INDEX ON booking (created_at) WHERE status = 'confirmed'",
            "still reads the whole table",
        ),
        (
            THREE,
            "CREATE INDEX ON booking (created_at) "
            "WHERE status = 'pending' AND created_at < '2025-02-01'",
            "still reads the whole table",
        ),
        (
            THREE,
            "CREATE INDEX ON booking USING brin (created_at) WHERE status = 'pending'",
            "still reads the whole table",
        ),
        (
            THREE,
            "CREATE INDEX ON booking (created_at) WHERE status = 'pending';"
            "CREATE INDEX ON booking (status)",
            "the query is quick, but",
        ),
        (
            THREE,
            "DELETE FROM booking WHERE status <> 'pending'",
            "leaves the rows alone",
        ),
        (FOUR, ["by_total"], "2 more can go"),
        (FOUR, ["by_property", "by_total"], "one more can go"),
        (FOUR, ["by_guest", "by_guest_again"], "guest_id = 815 read 11 buffers"),
        (FOUR, ["by_property_day"], "now reads"),
        (FOUR, ["by_total", "by_guest", "by_property_day"], "now reads"),
        (FOUR, ["by_total", "by_property", "by_guest", "by_guest_again"], "guest_id = 815 read"),
        (FOUR, ["by_property", "by_guest_again"], "one more can go"),
        (FOUR, ["by_total", "by_property", "by_guest", "reference_key"], "it has to stay"),
        (FOUR, ["booking_pkey"], "it has to stay"),
        (FOUR, ["reference_key"], "it has to stay"),
        (FOUR, ["by_nothing"], "there is no index 'by_nothing'"),
        (FOUR, [1, 2], "each as text in quotes"),
        (FOUR, itertools.count(), "each as text in quotes"),
        (
            FIVE,
            "REINDEX INDEX guest_email_unique",
            "two guests still share an address",
        ),
        (FIVE, MERGE, "still invalid"),
        (
            FIVE,
            MERGE + "ALTER INDEX guest_email_unique RENAME TO guest_email_old;" + REBUILD,
            "guest_email_old is still there, and invalid",
        ),
        (
            FIVE,
            MERGE + "DROP INDEX guest_email_unique; "
            "CREATE INDEX guest_email_unique ON guest (lower(email))",
            "written differently, is let in",
        ),
        (
            FIVE,
            MERGE + "DROP INDEX guest_email_unique; CREATE TABLE copy AS TABLE guest; "
            "CREATE UNIQUE INDEX guest_email_unique ON copy (lower(email))",
            "no index guest_email_unique",
        ),
        (
            FIVE,
            "UPDATE booking SET guest_id = 8 WHERE guest_id = 7; DELETE FROM guest WHERE id = 7;"
            "REINDEX INDEX guest_email_unique",
            "guest 8 is still there",
        ),
        (
            FIVE,
            "UPDATE guest SET email = 'grace@example.org' WHERE id = 8;"
            "REINDEX INDEX guest_email_unique",
            "guest 8 is still there",
        ),
        (
            FIVE,
            MERGE + "DROP INDEX guest_email_unique;" + REBUILD + " WHERE id < 1000",
            "leaves some guests out",
        ),
        (
            FIVE,
            MERGE + "DROP INDEX guest_email_unique",
            "no index guest_email_unique",
        ),
        (
            FIVE,
            MERGE + "DROP INDEX guest_email_unique;" + REBUILD.replace("lower(email)", "email"),
            "written differently, is let in",
        ),
        (
            FIVE,
            MERGE + "DROP INDEX guest_email_unique;" + REBUILD.replace("(email)", "(email), id"),
            "written differently, is let in",
        ),
        (
            FIVE,
            MERGE + "DROP INDEX guest_email_unique; CREATE UNIQUE INDEX guest_email_unique "
            "ON guest (right(lower(email), 3))",
            "two guests still share",
        ),
        (
            FIVE,
            "ALTER TABLE booking DROP CONSTRAINT booking_guest_id_fkey;"
            + MERGE
            + "REINDEX INDEX guest_email_unique",
            "keep the foreign key",
        ),
        (
            FIVE,
            MERGE + "ALTER TABLE guest DROP COLUMN name; REINDEX INDEX guest_email_unique",
            "the columns of guest",
        ),
        (
            FIVE,
            MERGE + "UPDATE guest SET email = lower(email); REINDEX INDEX guest_email_unique",
            "names or addresses of guests were changed",
        ),
        *(
            (
                FIVE,
                MERGE + "DROP INDEX guest_email_unique;" + REBUILD.replace("lower(email)", other),
                "compares lower(email)",
            )
            for other in ("upper(email)", "lower(trim(email))")
        ),
        (
            FIVE,
            MERGE.replace("= 7 ", "= 7, check_in = check_in + 1 ", 1)
            + "REINDEX INDEX guest_email_unique",
            "all others as they were",
        ),
        (
            FIVE,
            "ALTER TABLE booking DROP CONSTRAINT booking_guest_id_fkey, "
            "ADD FOREIGN KEY (guest_id) REFERENCES guest ON DELETE CASCADE;"
            + MERGE
            + "REINDEX INDEX guest_email_unique",
            "no ON DELETE",
        ),
        (
            FIVE,
            "DELETE FROM booking WHERE guest_id = 8; DELETE FROM guest WHERE id = 8;"
            "REINDEX INDEX guest_email_unique",
            "now there are 190",
        ),
        (
            FIVE,
            "UPDATE booking SET guest_id = 7; DELETE FROM guest WHERE id = 8;"
            "REINDEX INDEX guest_email_unique",
            "all others as they were",
        ),
    ],
)
def test_wrong_answers(exercise: str, answer: object, hint: str) -> None:
    verdict = judge_answer(exercise, answer)
    assert not verdict.right
    assert hint in verdict.message


class Hostile:
    """An answer that raises whatever is asked of it."""

    def __getattribute__(self, name: str) -> object:
        if name == "__class__":
            return type(self)
        raise ZeroDivisionError

    def __repr__(self) -> str:
        raise ZeroDivisionError


@pytest.mark.parametrize("exercise", EXERCISES)
@pytest.mark.parametrize(
    "answer",
    [
        *(0, 1.5, b"CREATE", True, {}, {"a": 1}, [], [None], object, lambda: 1, Hostile()),
        "x" * 100_000_000,
        "'",
        "nonsense",
        "\0",
        "\ud800",
        ";;;",
        "-- nothing",
        "DROP TABLE booking CASCADE",
        "DROP SCHEMA public CASCADE",
        "DROP DATABASE postgres",
        "ALTER SYSTEM SET work_mem = '1GB'",
        "COPY booking TO PROGRAM 'cat'",
        "ALTER TABLE booking RENAME TO other",
        "ALTER TABLE booking DROP COLUMN guest_id",
        "SET ROLE postgres",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity",
        "COMMIT; ROLLBACK",
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else value[:12],
)
def test_whatever_the_answer_is_the_verdict_is_a_sentence(exercise: str, answer: object) -> None:
    verdict = judge_answer(exercise, answer)
    assert not verdict.right
    assert len(verdict.message) < 500


def test_an_answer_that_breaks_the_set_up_does_not_reach_the_next(pg: Postgres) -> None:
    right = "CREATE INDEX ON booking (property_id, status, check_in)"
    spoil = (
        "DROP TABLE booking; DO $$ BEGIN EXECUTE format("
        "'ALTER ROLE %I SET enable_indexscan = off', current_user); END $$;"
    )
    assert not judge_answer(ONE, spoil).right
    assert judge_answer(ONE, right).right
    with pg.connect() as connection:
        left = connection.execute(
            "SELECT datname FROM pg_database WHERE datname ~ '^nexus_.*_[0-9]+$' "
            "UNION ALL SELECT rolname FROM pg_roles WHERE rolname ~ '^nexus_'"
        ).fetchall()
    assert left == [], "databases and roles of judgements are dropped"


@pytest.mark.parametrize("exercise", [ONE, TWO])
def test_an_endless_answer_is_stopped(exercise: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SECONDS", 1.5)  # it bounds the judge's own statements, too
    verdict = judge_answer(
        exercise, "SELECT count(*), sum(length(pg_sleep(60)::text)) FROM booking"
    )
    assert not verdict.right
    assert verdict.message == "it was stopped after 1.5 seconds"


def test_the_chapters_own_tables_are_never_touched(pg: Postgres) -> None:
    with pg.connect(autocommit=True) as connection:
        connection.execute("CREATE TABLE booking (mine int)")
        judge_answer(ONE, "DROP TABLE booking")
        assert connection.execute("SELECT count(*) FROM booking").fetchone() == (0,)
        connection.execute("DROP TABLE booking")
