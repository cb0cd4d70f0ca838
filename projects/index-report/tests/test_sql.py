"""Each query finds what it should, and nothing else."""

import time
from collections.abc import Callable

import psycopg
import pytest
from index_report.report import Section

Sections = Callable[[str], Section]
Database = psycopg.Connection


def names(section: Section, column: str = "index") -> list[str]:
    return [row[column] for row in section.rows]


def test_statements_are_there_with_their_work(db: Database, section: Sections) -> None:
    db.execute("CREATE SCHEMA tools")
    db.execute("CREATE EXTENSION pg_stat_statements SCHEMA tools")
    db.execute("CREATE TABLE few AS SELECT generate_series(1, 10) AS n")
    db.execute("CREATE TABLE many AS SELECT generate_series(1, 50000) AS n")
    db.execute("SELECT tools.pg_stat_statements_reset()")
    for _ in range(3):
        db.execute("SELECT count(*) FROM few WHERE n < 5")
        db.execute("SELECT count(*) FROM many WHERE n < 5")
    found = section("slow-queries")
    assert found.rows[0]["query"] == "SELECT count(*) FROM many WHERE n < $1"
    assert found.rows[0]["calls"] == 3
    assert found.rows[0]["buffers"] == 3 * found.rows[0]["buffers_a_call"]
    assert "SELECT count(*) FROM few WHERE n < $1" in names(found, "query")


def test_statements_of_other_databases_are_not_there(
    server: str, db: Database, section: Sections
) -> None:
    db.execute("CREATE EXTENSION pg_stat_statements")
    with psycopg.connect(server) as elsewhere:
        elsewhere.execute("SELECT 'elsewhere' AS in_another_database")
    assert not [query for query in names(section("slow-queries"), "query") if "another" in query]


def test_without_the_extension_one_line_says_so(section: Sections) -> None:
    found = section("slow-queries")
    assert found.rows == ()
    assert "CREATE EXTENSION pg_stat_statements" in found.note


def test_unused_indexes(db: Database, section: Sections) -> None:
    db.execute("""
        CREATE TABLE guest (id int PRIMARY KEY, email text UNIQUE, name text, city text);
        CREATE INDEX used ON guest (name);
        CREATE INDEX unused ON guest (city);
        CREATE TABLE booking (
            guest_id int REFERENCES guest, stay daterange, EXCLUDE USING gist (stay WITH &&)
        );
        CREATE INDEX for_foreign_key ON booking (guest_id);
    """)
    use(db, "SELECT FROM guest WHERE name = 'x'")
    found = section("unused-indexes")
    assert sorted(names(found)) == ["public.for_foreign_key", "public.unused"]
    keys = {row["index"]: row["foreign_key"] for row in found.rows}
    assert keys == {"public.for_foreign_key": "booking_guest_id_fkey", "public.unused": None}


def test_a_partitioned_index_is_used_if_that_of_one_partition_is(
    db: Database, section: Sections
) -> None:
    db.execute("""
        CREATE TABLE stay (day int, city text) PARTITION BY RANGE (day);
        CREATE TABLE stay_1 PARTITION OF stay FOR VALUES FROM (1) TO (10);
        CREATE TABLE stay_2 PARTITION OF stay FOR VALUES FROM (10) TO (20);
        CREATE INDEX by_day ON stay (day);
        CREATE INDEX by_city ON stay (city);
    """)
    use(db, "SELECT FROM stay WHERE day = 5")
    assert names(section("unused-indexes")) == ["public.by_city"]


def use(db: Database, query: str) -> None:
    """Runs a query by an index, and waits until that is counted."""
    with psycopg.connect(db.info.dsn, password=db.info.password, autocommit=True) as reader:
        reader.execute("SET enable_seqscan = off")
        reader.execute(query.encode())
    deadline = time.monotonic() + 10
    while not db.execute("SELECT 1 FROM pg_stat_user_indexes WHERE idx_scan > 0").fetchone():
        assert time.monotonic() < deadline, "the scan is not counted"


SUPERFLUOUS = {
    "the beginning of another": ("(a)", "(a, b)"),
    "the same again, the newer one goes": ("(b, c)", "(b, c)"),
    "beside a unique one": ("(a)", "UNIQUE (a)"),
    "an expression": ("(lower(t))", "(lower(t), a)"),
    "the same WHERE": ("(a) WHERE b > 0", "(a, c) WHERE b > 0"),
    "the other includes more": ("(a)", "(a) INCLUDE (b)"),
    "what it includes is a column of the other": ("(a) INCLUDE (b)", "(a, b)"),
    "what it includes, the other includes too": ("(a) INCLUDE (b)", "(a, c) INCLUDE (b)"),
    "the same operator class": ("(t text_pattern_ops)", "(t text_pattern_ops, a)"),
    "the same collation": ('(t COLLATE "C")', '(t COLLATE "C", a)'),
    "all reversed": ("(a DESC, b)", "(a, b DESC, c)"),
    "nulls reversed with it": ("(a DESC NULLS LAST)", "(a NULLS FIRST, b)"),
}
NOT_SUPERFLUOUS = {
    "not the beginning": ("(b)", "(a, b)"),
    "unique": ("UNIQUE (a)", "(a, b)"),
    "unique twice": ("UNIQUE (a)", "UNIQUE (a)"),
    "what it includes is not in the other": ("(a) INCLUDE (b)", "(a, c)"),
    "an included column is no key": ("(a, b)", "(a, c) INCLUDE (b)"),
    "another expression": ("(lower(t))", "(upper(t), a)"),
    "an expression and its column": ("(t)", "(lower(t), a)"),
    "only the other has a WHERE": ("(a)", "(a, b) WHERE b > 0"),
    "only this one has a WHERE": ("(a) WHERE b > 0", "(a, b)"),
    "another WHERE": ("(a) WHERE b > 0", "(a, b) WHERE b > 1"),
    "another operator class": ("(t text_pattern_ops)", "(t, a)"),
    "another collation": ('(t COLLATE "C")', '(t COLLATE "POSIX", a)'),
    "one column of two reversed": ("(a DESC, b)", "(a, b, c)"),
    "only nulls elsewhere": ("(a NULLS FIRST)", "(a, b)"),
    "hash": ("USING hash (a)", "(a, b)"),
    "brin": ("(a)", "USING brin (a, b)"),
}


def create(db: Database, *definitions: str) -> None:
    db.execute("CREATE TABLE stay (a int NOT NULL, b int, c int, t text)")
    for name, definition in zip(("first", "second"), definitions, strict=True):
        unique = "UNIQUE " if definition.startswith("UNIQUE") else ""
        on = definition.removeprefix("UNIQUE ")
        db.execute(f"CREATE {unique}INDEX {name} ON stay {on}".encode())


@pytest.mark.parametrize("definitions", SUPERFLUOUS.values(), ids=SUPERFLUOUS)
def test_superfluous(db: Database, section: Sections, definitions: tuple[str, str]) -> None:
    create(db, *definitions)
    newer = definitions[0] == definitions[1]
    (row,) = section("superfluous-indexes").rows
    pair = ["public.first", "public.second"]
    assert [row["index"], row["covered_by"]] == (pair[::-1] if newer else pair)


@pytest.mark.parametrize("definitions", NOT_SUPERFLUOUS.values(), ids=NOT_SUPERFLUOUS)
def test_not_superfluous(db: Database, section: Sections, definitions: tuple[str, str]) -> None:
    create(db, *definitions)
    assert section("superfluous-indexes").rows == ()


def test_a_superfluous_index_is_listed_once_with_all_that_cover_it(
    db: Database, section: Sections
) -> None:
    db.execute("CREATE TABLE stay (a int, b int, c int, EXCLUDE USING btree (c WITH =))")
    db.execute("CREATE INDEX one ON stay (a)")
    db.execute("CREATE INDEX two ON stay (a, b)")
    db.execute("CREATE INDEX three ON stay (a, b, c)")
    db.execute("CREATE INDEX longer ON stay (c, a)")
    db.execute("CREATE TABLE elsewhere (a int, b int)")
    db.execute("CREATE INDEX elsewhere_index ON elsewhere (a)")
    found = {row["index"]: row["covered_by"] for row in section("superfluous-indexes").rows}
    assert found == {
        "public.one": "public.three, public.two",
        "public.two": "public.three",
    }


def test_the_index_of_a_partition_is_not_listed_apart(db: Database, section: Sections) -> None:
    db.execute("""
        CREATE TABLE stay (a int, b int) PARTITION BY RANGE (a);
        CREATE TABLE stay_1 PARTITION OF stay FOR VALUES FROM (1) TO (10);
        CREATE INDEX one ON stay (a);
        CREATE INDEX two ON stay (a, b);
    """)
    assert names(section("superfluous-indexes")) == ["public.one"]


def test_invalid_indexes(db: Database, section: Sections) -> None:
    db.execute("CREATE TABLE guest (email text)")
    db.execute("CREATE INDEX fine ON guest (email)")
    db.execute("INSERT INTO guest VALUES ('a'), ('a')")
    with pytest.raises(psycopg.errors.UniqueViolation):
        db.execute('CREATE UNIQUE INDEX CONCURRENTLY "Email" ON guest (email)')
    db.execute("CREATE TABLE stay (day int) PARTITION BY RANGE (day)")
    db.execute("CREATE TABLE stay_1 PARTITION OF stay FOR VALUES FROM (1) TO (10)")
    db.execute("CREATE INDEX by_day ON ONLY stay (day)")
    rows = section("invalid-indexes").rows
    assert [(row["index"], row["maintained"]) for row in rows] == [
        ('public."Email"', False),
        ("public.by_day", True),
    ]
    assert rows[0]["cure"] == 'REINDEX INDEX CONCURRENTLY public."Email"'
    assert "ATTACH PARTITION" in rows[1]["cure"]
    with pytest.raises(psycopg.errors.UniqueViolation):
        db.execute(rows[0]["cure"].encode())
    copies = [row for row in section("invalid-indexes").rows if "_cc" in row["index"]]
    assert [row["cure"] for row in copies] == ['DROP INDEX CONCURRENTLY public."Email_ccnew"']
    for row in copies:
        db.execute(row["cure"].encode())
    db.execute("DELETE FROM guest")
    db.execute(rows[0]["cure"].encode())
    db.execute("CREATE INDEX by_day_1 ON stay_1 (day)")
    db.execute("ALTER INDEX by_day ATTACH PARTITION by_day_1")
    assert section("invalid-indexes").rows == ()


def test_indexes_larger_than_their_table(db: Database, section: Sections) -> None:
    db.execute("CREATE TABLE guest AS SELECT generate_series(1, 10000) AS n")
    db.execute("CREATE INDEX large ON guest (repeat(n::text, 40))")
    db.execute("CREATE INDEX ordinary ON guest (n)")
    db.execute("CREATE TABLE empty (n int)")
    db.execute("CREATE INDEX on_nothing ON empty (n)")
    (row,) = section("indexes-larger-than-their-table").rows
    assert row["index"] == "public.large"
    assert row["bytes"] > row["table_bytes"]


FOREIGN_KEYS = {
    "no index": ("", True),
    "an index": ("CREATE INDEX ON child (a, b)", False),
    "hash is enough for one column, not for two": ("CREATE INDEX ON child USING hash (a)", True),
    "the other order": ("CREATE INDEX ON child (b, a)", False),
    "a longer index": ("CREATE INDEX ON child (a, b, t)", False),
    "not at its beginning": ("CREATE INDEX ON child (t, a, b)", True),
    "only one of the columns": ("CREATE INDEX ON child (a)", True),
    "included is not indexed": ("CREATE INDEX ON child (a) INCLUDE (b)", True),
    "some rows only": ("CREATE INDEX ON child (a, b) WHERE a > 0", True),
    "all rows that refer": ("CREATE INDEX ON child (a, b) WHERE a IS NOT NULL", False),
    "brin": ("CREATE INDEX ON child USING brin (a, b)", True),
}


@pytest.mark.parametrize(("index", "found"), FOREIGN_KEYS.values(), ids=FOREIGN_KEYS)
def test_foreign_keys(db: Database, section: Sections, index: str, found: bool) -> None:
    db.execute("CREATE TABLE parent (a int, b int, PRIMARY KEY (a, b))")
    db.execute("CREATE TABLE child (t text, b int, a int, FOREIGN KEY (a, b) REFERENCES parent)")
    if index:
        db.execute(index.encode())
    rows = section("foreign-keys-without-index").rows
    assert [row["columns"] for row in rows] == (["a, b"] if found else [])


def test_a_foreign_key_on_text_needs_an_index_in_its_collation(
    db: Database, section: Sections
) -> None:
    db.execute('CREATE TABLE parent (code text COLLATE "C" PRIMARY KEY)')
    db.execute('CREATE TABLE child (code text COLLATE "C" REFERENCES parent)')
    db.execute('CREATE INDEX other ON child (code COLLATE "POSIX")')
    assert names(section("foreign-keys-without-index"), "columns") == ["code"]
    db.execute("CREATE INDEX right_one ON child (code)")
    assert section("foreign-keys-without-index").rows == ()


def test_a_foreign_key_of_a_partitioned_table_is_listed_once(
    db: Database, section: Sections
) -> None:
    db.execute("""
        CREATE TABLE guest (id int PRIMARY KEY);
        CREATE TABLE stay (day int, guest int REFERENCES guest) PARTITION BY RANGE (day);
        CREATE TABLE stay_1 PARTITION OF stay FOR VALUES FROM (1) TO (10);
        INSERT INTO guest VALUES (1);
        INSERT INTO stay VALUES (1, 1);
    """)
    (row,) = section("foreign-keys-without-index").rows
    assert (row["table"], row["refers_to"]) == ("public.stay", "public.guest")
    assert row["table_bytes"] > 0


def test_a_foreign_key_that_is_not_enforced_needs_no_index(db: Database, section: Sections) -> None:
    if db.info.server_version < 180000:
        pytest.skip("NOT ENFORCED foreign keys are there since PostgreSQL 18")
    db.execute("CREATE TABLE parent (a int PRIMARY KEY)")
    db.execute("CREATE TABLE child (a int REFERENCES parent NOT ENFORCED)")
    assert section("foreign-keys-without-index").rows == ()
