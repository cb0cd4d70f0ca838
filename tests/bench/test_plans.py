"""Plans agree with what the server says in its own words and counters."""

import re
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from nexus import postgres
from nexus.plans import Plan, explain

Connection = psycopg.Connection[tuple[object, ...]]

TABLES = """
    CREATE TABLE guest (id int PRIMARY KEY, name text NOT NULL);
    CREATE TABLE booking (
        id int PRIMARY KEY, guest_id int REFERENCES guest, city int, country int, note text);
    INSERT INTO guest SELECT n, 'Guest ' || n FROM generate_series(1, 2000) n;
    INSERT INTO booking SELECT n, n % 2000 + 1, n % 100, n % 100 / 5, repeat('x', 60)
        FROM generate_series(1, 20000) n;
    CREATE INDEX booking_guest_id_idx ON booking (guest_id);
    -- Writes go here: rolled back or not, they leave dead rows.
    CREATE TABLE scribble AS SELECT * FROM guest;
    ALTER TABLE scribble ADD PRIMARY KEY (id);
    CREATE TABLE ledger (id int PRIMARY KEY);
    INSERT INTO ledger VALUES (0);
"""

QUERIES = """
    SELECT * FROM booking WHERE city = 7 ORDER BY id LIMIT 3
    SELECT * FROM booking b JOIN guest g ON g.id = b.guest_id WHERE g.id < 50
    SELECT * FROM guest g LEFT JOIN booking b ON b.guest_id = g.id AND b.city = 3
    SELECT * FROM booking FULL JOIN guest ON guest.id = booking.guest_id
    SELECT * FROM guest g WHERE NOT EXISTS (SELECT FROM booking b WHERE b.guest_id = g.id)
    SELECT * FROM guest WHERE id IN (3, 5) OR name = 'x' OR id = 9
    SELECT * FROM booking WHERE guest_id = 3 OR id = 9
    SELECT id FROM guest ORDER BY id DESC LIMIT 5
    SELECT city, count(*) FROM booking GROUP BY city ORDER BY 2
    SELECT city, country, count(*) FROM booking GROUP BY CUBE (city, country)
    SELECT id FROM guest EXCEPT SELECT guest_id FROM booking
    SELECT id FROM guest UNION ALL SELECT id FROM booking
    SELECT * FROM generate_series(1, 3) n, (VALUES (1)) v(x)
    SELECT * FROM (SELECT * FROM guest ORDER BY name LIMIT 9) s WHERE id > 5
    SELECT g.*, (SELECT count(*) FROM booking b WHERE b.guest_id = g.id) FROM guest g WHERE id < 9
    SELECT * FROM booking WHERE guest_id = (SELECT max(id) FROM guest WHERE name > 'b') LIMIT 1
    WITH g AS MATERIALIZED (SELECT * FROM guest WHERE id < 9) SELECT * FROM g JOIN g h USING (id)
    WITH RECURSIVE r AS (SELECT 1 n UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT * FROM r
    INSERT INTO scribble VALUES (1, 'x') ON CONFLICT DO NOTHING
    UPDATE scribble g SET name = 'x' FROM booking b WHERE b.guest_id = g.id AND b.id < 5
    WITH gone AS (DELETE FROM scribble WHERE id < 3 RETURNING *) SELECT * FROM gone
"""
SETTINGS = {
    "as it is": "RESET ALL",
    "sorted": "SET enable_hashjoin = off; SET enable_hashagg = off; SET enable_seqscan = off",
    "parallel": "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; "
    "SET min_parallel_table_scan_size = 0; SET min_parallel_index_scan_size = 0",
}


@pytest.fixture(scope="module")
def server() -> Iterator[Connection]:
    with postgres(autovacuum=False) as server, server.connect(autocommit=True) as connection:
        connection.execute(TABLES)
        connection.execute("VACUUM ANALYZE")
        yield connection


@pytest.fixture
def connection(server: Connection) -> Iterator[Connection]:
    yield server
    assert server.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    server.execute("RESET ALL")


def pages(connection: Connection, table: str) -> int:
    """How big a table is, in pages."""
    query = "SELECT pg_relation_size(%s) / current_setting('block_size')::int"
    return connection.execute(query, (table,)).fetchone()[0]


def test_counts_of_a_sequential_scan(connection: Connection) -> None:
    plan = explain(connection, "SELECT * FROM booking WHERE city = 7")
    size = pages(connection, "booking")
    assert repr(plan) == f"Seq Scan on booking: 200 rows, {size} buffers"
    (scan,) = plan.scans("booking")
    assert (scan.kind, scan.relation, scan.index) == ("Seq Scan", "booking", None)
    assert (scan.rows, scan.removed, scan.loops) == (200, 19_800, 1)
    assert scan.buffers == scan.own == plan.buffers == size
    assert scan.conditions == {"Filter": "(city = 7)"}
    assert (plan.wal_records, plan.indexes) == (0, frozenset())


def test_counts_of_an_index_scan(connection: Connection) -> None:
    plan = explain(connection, "SELECT id FROM guest WHERE id < 11 ORDER BY id")
    assert plan.indexes == {"guest_pkey"}
    assert plan.root.kind == "Index Only Scan"
    assert plan.root.label == "Index Only Scan using guest_pkey on guest"
    assert plan.root.heap_fetches == 0  # the table was just vacuumed
    assert (plan.rows, plan.root.raw["Index Searches"]) == (10, 1)
    assert plan.buffers < pages(connection, "guest")


def test_rows_and_removed_are_totals_over_loops(connection: Connection) -> None:
    connection.execute("SET enable_hashjoin = off; SET enable_mergejoin = off")
    connection.execute("SET enable_material = off; SET enable_memoize = off")
    connection.execute("SET enable_indexscan = off; SET enable_bitmapscan = off")
    plan = explain(
        connection, "SELECT * FROM guest a JOIN guest b ON b.id > a.id - 3 WHERE a.id < 5"
    )
    inner = plan.find("Nested Loop")[0].children[1]
    assert inner.loops == 4
    assert inner.rows + inner.removed == 4 * 2000
    assert inner.buffers == 4 * pages(connection, "guest")


@pytest.mark.parametrize("settings", SETTINGS)
def test_labels_are_those_of_the_text_format(connection: Connection, settings: str) -> None:
    connection.execute(SETTINGS[settings])
    for query in QUERIES.strip().splitlines():
        first, *rest = [line for (line,) in connection.execute(f"EXPLAIN (COSTS OFF) {query}")]
        names = [found[1] for line in rest if (found := re.match(r"\s*->\s+(.*)", line))]
        plan = explain(connection, query, analyze=False)
        assert [node.label for node in plan.nodes] == [first, *names], query


@pytest.mark.parametrize("settings", SETTINGS)
def test_what_the_nodes_ask_for_is_what_the_plan_asks_for(
    connection: Connection, settings: str
) -> None:
    connection.execute(SETTINGS[settings])
    for query in QUERIES.strip().splitlines():
        plan = explain(connection, query)
        assert sum(node.own for node in plan.nodes) == plan.buffers, query


def test_pages_read_for_an_init_plan_are_its_own(connection: Connection) -> None:
    query = (
        "SELECT * FROM booking WHERE city = (SELECT max(id) FROM guest WHERE name > 'b') LIMIT 1"
    )
    plan = explain(connection, query)
    (scan,) = plan.scans("booking")
    (inside,) = plan.scans("guest")
    assert inside.own == pages(connection, "guest")
    assert scan.own == pages(connection, "booking")
    assert scan.buffers == scan.own + inside.own
    assert plan.costliest is scan


def test_a_gross_misestimate_shows(connection: Connection) -> None:
    # The planner takes city and country to be independent; each city is in one country.
    plan = explain(connection, "SELECT * FROM booking WHERE city = 7 AND country = 1")
    assert plan.rows == 200
    assert plan.root.misestimate == pytest.approx(20, rel=0.2)
    plan = explain(connection, "SELECT * FROM booking WHERE city = 7 AND country = 2")
    assert plan.root.misestimate == pytest.approx(1 / 10, rel=0.2)


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("SELECT * FROM booking LIMIT 5", "Seq Scan"),
        ("SELECT EXISTS (SELECT FROM booking)", "Seq Scan"),
        ("SELECT * FROM booking WHERE guest_id = 3 OR id = 9", "BitmapOr"),
        ("UPDATE scribble SET name = 'x'", "ModifyTable"),
        ("SELECT * FROM guest WHERE false AND id = 1", "Seq Scan"),
    ],
)
def test_no_misestimate_where_the_count_says_nothing(
    connection: Connection, query: str, kind: str
) -> None:
    for node in explain(connection, query).find(kind):
        assert node.misestimate is None


def test_a_merge_join_that_ends_early_is_no_misestimate(connection: Connection) -> None:
    connection.execute("SET enable_hashjoin = off; SET enable_nestloop = off")
    query = "SELECT * FROM guest g JOIN booking b ON b.guest_id = g.id WHERE g.id < 10"
    plan = explain(connection, query)
    assert plan.root.kind == "Merge Join"
    (scan,) = plan.scans("booking")
    assert scan.rows < scan.estimated / 10
    assert scan.misestimate is None


def test_a_sort_below_a_limit_still_reads_all(connection: Connection) -> None:
    query = "SELECT * FROM booking WHERE city = 7 AND country = 2 ORDER BY note, id LIMIT 1"
    (scan,) = explain(connection, query).scans("booking")
    assert scan.misestimate == pytest.approx(1 / 10, rel=0.2)


def test_a_write_leaves_nothing(connection: Connection) -> None:
    write = "INSERT INTO ledger VALUES (1)"
    assert explain(connection, write).wal_records == 2  # the row, and its entry in the index
    with connection.transaction(force_rollback=True):
        connection.execute("INSERT INTO ledger VALUES (2)")
        plan = explain(connection, write)
        left = connection.execute("SELECT id FROM ledger WHERE id > 0").fetchall()
    assert left == [(2,)]
    assert (plan.rows, plan.root.label) == (0, "Insert on ledger")
    assert plan.scans("ledger") == ()
    assert plan.wal_bytes > 0


def test_a_warm_up_leaves_out_what_only_a_first_run_takes(connection: Connection) -> None:
    query = "INSERT INTO ledger VALUES (4)"

    def first(warm_up: bool) -> Plan:
        connection.execute("CHECKPOINT")
        with psycopg.connect(connection.info.dsn) as fresh:
            return explain(fresh, query, warm_up=warm_up)

    cold, warmed = first(warm_up=False), first(warm_up=True)
    assert cold.buffers > warmed.buffers
    assert cold.root.raw["WAL FPI"] > 0 == warmed.root.raw["WAL FPI"]
    assert cold.wal_bytes > warmed.wal_bytes
    assert cold.wal_records == warmed.wal_records
    again = explain(connection, query)
    assert (again.buffers, again.wal_bytes) == (warmed.buffers, warmed.wal_bytes)


def test_a_write_stays_if_asked_to(connection: Connection) -> None:
    try:
        explain(connection, "INSERT INTO ledger VALUES (3)", keep=True)
        assert connection.execute("SELECT id FROM ledger WHERE id > 0").fetchall() == [(3,)]
    finally:
        connection.execute("DELETE FROM ledger WHERE id > 0")


def test_without_analyze_nothing_runs(connection: Connection) -> None:
    plan = explain(connection, "SELECT 1 / (id - 1) FROM guest", analyze=False)
    assert (plan.rows, plan.buffers, plan.wal_records, plan.estimated) == (None, None, None, 2000)
    assert repr(plan) == "Seq Scan on guest: 2,000 rows estimated, not run"


def test_parameters_compositions_and_row_factories(server: Connection) -> None:
    query = "SELECT * FROM guest WHERE id = %(id)s"
    assert explain(server, query, {"id": 5}).rows == 1
    assert explain(server, "SELECT * FROM guest WHERE name LIKE 'Guest 1%'").rows == 1111
    composed = sql.SQL("SELECT * FROM {} WHERE id = %s").format(sql.Identifier("guest"))
    server.row_factory = dict_row
    try:
        assert explain(server, composed, (5,)).rows == 1
    finally:
        server.row_factory = psycopg.rows.tuple_row


def test_options_pass_through(connection: Connection) -> None:
    plan = explain(connection, "SELECT id FROM guest", verbose=True)
    assert plan.root.raw["Output"] == ["id"]
    plan = explain(connection, "SELECT id FROM guest", buffers=False)
    assert (plan.buffers, repr(plan)) == (None, "Seq Scan on guest: 2,000 rows")


@pytest.mark.parametrize(
    "option", [{"format": "xml"}, {"costs": False}, {"serialize": "a) SELECT"}]
)
def test_options_that_would_break_the_report_are_refused(
    connection: Connection, option: dict[str, str]
) -> None:
    with pytest.raises(ValueError, match=next(iter(option))):
        explain(connection, "SELECT 1", **option)


@pytest.mark.parametrize("keep", [False, True])
def test_what_comes_after_a_semicolon_is_refused(connection: Connection, keep: bool) -> None:
    with pytest.raises(psycopg.errors.SyntaxError, match="multiple commands"):
        explain(connection, "SELECT 1; COMMIT; DELETE FROM ledger", keep=keep)


def test_an_error_of_the_statement_comes_through(connection: Connection) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        explain(connection, "SELECT 1 / (id - 1) FROM guest")


def test_pages_count_whether_they_were_cached_or_not(connection: Connection) -> None:
    connection.execute("CREATE EXTENSION IF NOT EXISTS pg_buffercache")
    query = "SELECT * FROM booking WHERE city = 7"
    connection.execute("SELECT pg_buffercache_evict_relation('booking')")
    plan = explain(connection, query, warm_up=False)
    assert plan.root.raw["Shared Read Blocks"] > 0
    assert plan.buffers == pages(connection, "booking")


def test_local_buffers_count(connection: Connection) -> None:
    connection.execute("CREATE TEMP TABLE scratch AS SELECT * FROM guest")
    try:
        plan = explain(connection, "SELECT * FROM scratch")
        assert plan.buffers == pages(connection, "scratch")
    finally:
        connection.execute("DROP TABLE scratch")
