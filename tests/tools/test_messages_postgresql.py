"""What the rows on PostgreSQL say, a real PostgreSQL says: each message is provoked here."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import psycopg
import pytest
from psycopg import Connection

import nexus
from nexus.services import Postgres
from nexus.services.ports import free_port
from nexus.services.process import wait_for
from tools import messages

(GROUP,) = (group for group in messages.load() if group.name == "postgresql")
ROWS = {row.id: row for row in GROUP.rows}
# The server says why before it closes the connection, and the client does not always read it.
OR_ELSE = {"idle-in-transaction-timeout": "server-closed"}
IN_A_CHAPTER = {
    "deadlock-detected",
    "icu-not-supported",
    "notify-payload-too-long",
    "nul-byte-django",
    "out-of-shared-memory",
    "partition-pending-detach",
    "pg-too-many-parameters",
    "pgbouncer-statement-mode",
    "pool-timeout",
    "removing-partition-foreign-key",
    "role-connection-limit",
    "slots-reserved",
    "starting-up",
    "text-search-stop-words",
    "too-many-clients",
    "unique-index-duplicated",
}

SCHEMA = """
DROP SCHEMA IF EXISTS public CASCADE;
CREATE SCHEMA public;
CREATE EXTENSION IF NOT EXISTS btree_gist;
CREATE TABLE guest (id int PRIMARY KEY, email varchar(20) NOT NULL, age int CHECK (age > 0));
CREATE TABLE stay (guest int REFERENCES guest, during daterange,
    EXCLUDE USING gist (guest WITH =, during WITH &&));
INSERT INTO guest VALUES (1, 'amina@example.org', 30), (2, 'bode@example.org', 40);
INSERT INTO stay VALUES (1, '[2026-01-01,2026-01-05)');
"""

STATEMENTS = {
    "unique-violation": "INSERT INTO guest VALUES (1, 'x', 1)",
    "foreign-key-violation": "INSERT INTO stay VALUES (9, NULL)",
    "foreign-key-delete": "DELETE FROM guest WHERE id = 1",
    "not-null-violation": "INSERT INTO guest VALUES (3, NULL, 1)",
    "index-not-immutable": "CREATE INDEX ON guest ((now()::text))",
    "generation-not-immutable": "ALTER TABLE guest ADD words tsvector "
    "GENERATED ALWAYS AS (to_tsvector(email)) STORED",
    "json-table-empty": "SELECT FROM JSON_TABLE(jsonb '{}', '$' "
    "COLUMNS (euros int PATH '$.euros' ERROR ON EMPTY))",
    "check-violation": "INSERT INTO guest VALUES (3, 'x', -1)",
    "exclusion-violation": "INSERT INTO stay VALUES (1, '[2026-01-04,2026-01-06)')",
    "enum-new-value": "CREATE TYPE mood AS ENUM ('a'); COMMIT; BEGIN; "
    "ALTER TYPE mood ADD VALUE 'b'; SELECT 'b'::mood",
    "enum-value-dropped": "CREATE TYPE mood AS ENUM ('a'); ALTER TYPE mood DROP VALUE 'a'",
    "enum-default-cast": "CREATE TYPE mood AS ENUM ('a'); CREATE TYPE less AS ENUM ('a'); "
    "CREATE TABLE job (mood mood DEFAULT 'a'); "
    "ALTER TABLE job ALTER mood TYPE less USING mood::text::less",
    "enum-invalid-value": "CREATE TYPE mood AS ENUM ('a'); SELECT 'b'::mood",
    "identity-always": "CREATE TABLE bill (id int GENERATED ALWAYS AS IDENTITY); "
    "INSERT INTO bill VALUES (1)",
    "no-unique-for-reference": "CREATE TABLE card (email varchar REFERENCES guest (email))",
    "restrict-violation": "CREATE TABLE card (guest int REFERENCES guest ON DELETE RESTRICT); "
    "INSERT INTO card VALUES (2); DELETE FROM guest WHERE id = 2",
    "row-level-security": "CREATE ROLE r4; GRANT USAGE ON SCHEMA public TO r4; "
    "GRANT INSERT ON stay TO r4; ALTER TABLE stay ENABLE ROW LEVEL SECURITY; SET ROLE r4; "
    "INSERT INTO stay VALUES (1, NULL)",
    "date-out-of-range": "SELECT '2026-02-30'::date",
    "statement-timeout": "SET statement_timeout = 1; SELECT pg_sleep(60)",
    "undefined-table": "SELECT * FROM guests",
    "undefined-column": 'SELECT * FROM guest WHERE email = "amina"',
    "syntax-error": "SELEC 1",
    "matview-concurrently": "CREATE MATERIALIZED VIEW total AS SELECT 1 AS n; COMMIT; "
    "REFRESH MATERIALIZED VIEW CONCURRENTLY total",
    "matview-not-populated": "CREATE MATERIALIZED VIEW total AS SELECT 1 AS n WITH NO DATA; "
    "SELECT * FROM total",
    "extension-not-available": "CREATE EXTENSION nobody_wrote_it",
    "extension-permission": "CREATE ROLE r5; GRANT ALL ON SCHEMA public TO r5; SET ROLE r5; "
    "CREATE EXTENSION pg_stat_statements",
    "type-does-not-exist": "CREATE TABLE doc (body embedding)",
    "other-objects-depend": "DROP TABLE guest",
    "role-objects-depend": "CREATE ROLE r6; CREATE TABLE mine (n int); "
    "ALTER TABLE mine OWNER TO r6; DROP ROLE r6",
    "invalid-byte-sequence": r"SELECT convert_from('\xe9'::bytea, 'UTF8')",
    "no-matching-function": "SELECT round(1.5::float8, 2)",
    "on-conflict-no-constraint": "INSERT INTO stay VALUES (1, NULL) ON CONFLICT (guest) DO NOTHING",
    "missing-from-clause": "SELECT stay.guest FROM guest",
    "invalid-reference-from": "SELECT guest.id FROM guest g",
    "ambiguous-column": "SELECT id FROM guest a, guest b",
    "group-by": "SELECT id, count(*) FROM guest GROUP BY email",
    "no-operator": "SELECT * FROM guest WHERE email = 7",
    "invalid-text": "SELECT 'abc'::int",
    "numeric-out-of-range": "SELECT 2147483647 + 1",
    "string-too-long": "INSERT INTO guest VALUES (3, 'abcdefghijklmnopqrstuvwxyz', 1)",
    "permission-schema-public": "CREATE ROLE r1; SET ROLE r1; CREATE TABLE public.x ()",
    "permission-table": "CREATE ROLE r2; GRANT USAGE ON SCHEMA public TO r2; SET ROLE r2; "
    "SELECT * FROM guest",
    "must-be-owner": "CREATE ROLE r3; GRANT USAGE ON SCHEMA public TO r3; SET ROLE r3; "
    "ALTER TABLE guest ADD x int",
    "relation-exists": "CREATE TABLE guest (id int)",
    "prepared-statement-exists": "PREPARE a AS SELECT 1; PREPARE a AS SELECT 1",
    "prepared-statement-missing": "EXECUTE nothing",
    "cursor-missing": "FETCH nothing",
    "read-only-transaction": "SET TRANSACTION READ ONLY; DELETE FROM stay",
    "cannot-cast-automatically": "ALTER TABLE guest ALTER COLUMN email TYPE int",
    "foreign-key-types": "CREATE TABLE bad (guest text REFERENCES guest)",
    "pending-trigger-events": "ALTER TABLE stay ALTER CONSTRAINT stay_guest_fkey DEFERRABLE "
    "INITIALLY DEFERRED; BEGIN; INSERT INTO stay VALUES (2, NULL); ALTER TABLE stay ADD x int",
    "column-contains-null": "INSERT INTO stay VALUES (NULL, NULL); "
    "ALTER TABLE stay ALTER COLUMN guest SET NOT NULL",
    "constraint-exists": "ALTER TABLE guest ADD CONSTRAINT guest_pkey CHECK (id > 0)",
    "constraint-missing": "ALTER TABLE guest DROP CONSTRAINT guest_email_uniq",
    "column-in-primary-key": "ALTER TABLE guest ALTER COLUMN id DROP NOT NULL",
    "aggregate-in-where": "SELECT id FROM guest WHERE count(*) > 1 GROUP BY id",
    "window-in-where": "SELECT id FROM guest WHERE row_number() OVER (ORDER BY id) = 1",
    "subquery-many-rows": "SELECT (SELECT id FROM guest)",
    "division-by-zero": "SELECT sum(age) / count(*) FILTER (WHERE age > 99) FROM guest",
    "on-conflict-twice": "INSERT INTO guest VALUES (3, 'x', 1), (3, 'y', 1) "
    "ON CONFLICT (id) DO UPDATE SET email = EXCLUDED.email",
    "merge-twice": "MERGE INTO guest USING (VALUES (1), (1)) AS v(id) ON guest.id = v.id "
    "WHEN MATCHED THEN UPDATE SET age = 1",
    "cached-plan": "PREPARE p AS SELECT * FROM guest; EXECUTE p; ALTER TABLE guest ADD x int; "
    "EXECUTE p",
    "sequence-maximum": "CREATE TABLE many (id serial); SELECT setval('many_id_seq', 2147483647); "
    "INSERT INTO many DEFAULT VALUES",
    "column-used-by-view": "CREATE VIEW ages AS SELECT age FROM guest; "
    "ALTER TABLE guest ALTER age TYPE bigint",
    "constraint-violated-by-some-row": "ALTER TABLE guest ADD CHECK (age > 35) NOT VALID; "
    "ALTER TABLE guest VALIDATE CONSTRAINT guest_age_check1",
}

BY_MONTH = (
    "CREATE TABLE event (id int, at date) PARTITION BY RANGE (at); "
    "CREATE TABLE march PARTITION OF event FOR VALUES FROM ('2026-03-01') TO ('2026-04-01'); "
)
STATEMENTS |= {
    "no-partition-found": BY_MONTH + "INSERT INTO event VALUES (1, '2026-05-01')",
    "default-partition-violated": BY_MONTH + "CREATE TABLE rest PARTITION OF event DEFAULT; "
    "INSERT INTO event VALUES (1, '2026-05-01'); CREATE TABLE may PARTITION OF event "
    "FOR VALUES FROM ('2026-05-01') TO ('2026-06-01')",
    "unique-lacks-partition-key": BY_MONTH + "ALTER TABLE event ADD PRIMARY KEY (id)",
    "attached-identity-column": BY_MONTH + "CREATE TABLE old (id int GENERATED ALWAYS AS IDENTITY, "
    "at date); ALTER TABLE event ATTACH PARTITION old FOR VALUES FROM (MINVALUE) TO ('2026-03-01')",
}

STATEMENTS |= {
    "pg-unrecognized-parameter": "SET transaction_timeouts = 0",
    "pg-syntax-pgdmp": "PGDMP",
    "pg-schema-exists": "CREATE SCHEMA public",
    "pg-multiple-primary-keys": "ALTER TABLE guest ADD PRIMARY KEY (email)",
    "pg-permission-sequence": "CREATE SEQUENCE number; CREATE ROLE r7; "
    "GRANT USAGE ON SCHEMA public TO r7; SET ROLE r7; SELECT nextval('number')",
    "pg-role-exists": "CREATE ROLE postgres",
    "pg-set-role": "CREATE ROLE r8; GRANT ALL ON SCHEMA public TO r8; CREATE TABLE mine (); "
    "ALTER TABLE mine OWNER TO r8; CREATE ROLE r9; SET ROLE r8; ALTER TABLE mine OWNER TO r9",
    "pg-index-row-size": "CREATE TABLE page (body text); CREATE INDEX ON page (body); INSERT "
    "INTO page SELECT string_agg(md5(n::text), '') FROM generate_series(1, 150) AS n",
    "pg-stack-depth": "CREATE FUNCTION deep() RETURNS int AS 'BEGIN RETURN deep(); END' "
    "LANGUAGE plpgsql; SELECT deep()",
    "pg-insert-more-expressions": "INSERT INTO stay (guest) VALUES (1, NULL)",
    "pg-column-exists": "ALTER TABLE guest ADD age int",
    "pg-column-twice": "CREATE VIEW pairs AS SELECT a.id, b.id FROM guest a, guest b",
    "pg-subquery-one-column": "SELECT (SELECT id, age FROM guest)",
    "pg-argument-boolean": "SELECT FROM guest WHERE age",
    "pg-invalid-json": "SELECT lower('{''A'': 1}')::json",
    "pg-malformed-array": "SELECT '[1, 2]'::int[]",
    "pg-extract-elements": "SELECT jsonb_array_elements('{}')",
    "pg-value-out-of-range": "SELECT '2147483648'::int",
    "pg-numeric-overflow": "SELECT 1000::numeric(3)",
    "pg-time-zone-unknown": "SET timezone = 'Europe/Atlantis'",
    "pg-time-zone-not-recognized": "SELECT now() AT TIME ZONE 'Europe/Atlantis'",
    "pg-no-equivalent": "SELECT convert_to('\u2713', 'LATIN1')",
    "pg-unicode-escape": r"""SELECT lower('"\u0000"')::jsonb""",
    "pg-view-drop-columns": "CREATE VIEW v AS SELECT id, age FROM guest; "
    "CREATE OR REPLACE VIEW v AS SELECT id FROM guest",
    "pg-view-change-column": "CREATE VIEW v AS SELECT id FROM guest; "
    "CREATE OR REPLACE VIEW v AS SELECT age FROM guest",
    "pg-truncate-referenced": "TRUNCATE guest",
    "pg-not-in-block": "VACUUM",
    "pg-invalid-termination": "CREATE PROCEDURE ends() AS 'BEGIN COMMIT; END' LANGUAGE plpgsql; "
    "CALL ends()",
    "pg-no-destination": "DO 'BEGIN SELECT 1; END'",
    "pg-record-no-field": "CREATE FUNCTION stamp() RETURNS trigger AS "
    "'BEGIN NEW.changed := now(); RETURN NEW; END' LANGUAGE plpgsql; CREATE TRIGGER stamp "
    "BEFORE UPDATE ON guest FOR EACH ROW EXECUTE FUNCTION stamp(); UPDATE guest SET age = 1",
    "pg-function-not-unique": "CREATE FUNCTION f(a date) RETURNS int AS 'SELECT 1' LANGUAGE sql; "
    "CREATE FUNCTION f(a jsonb) RETURNS int AS 'SELECT 1' LANGUAGE sql; SELECT f('x')",
    "pg-policy-recursion": "CREATE ROLE r10; GRANT USAGE ON SCHEMA public TO r10; "
    "GRANT SELECT ON guest TO r10; ALTER TABLE guest ENABLE ROW LEVEL SECURITY; "
    "CREATE POLICY mine ON guest USING (id IN (SELECT id FROM guest)); SET ROLE r10; "
    "SELECT FROM guest",
    "pg-set-parameter": "CREATE ROLE r11; SET ROLE r11; SET log_statement = 'all'",
    "pg-owner-extension": "CREATE ROLE r12; SET ROLE r12; "
    "COMMENT ON EXTENSION btree_gist IS 'mine'",
    "pg-wal-level-logical": "SELECT pg_create_logical_replication_slot('changes', 'pgoutput')",
    "pg-copy-server-file": "COPY guest FROM '/nowhere/guests.csv'",
}

STATEMENTS |= {
    "pg-needs-restart": "SET shared_buffers = '1GB'",
    "pg-invalid-parameter-value": "SET work_mem = 'much'",
    "pg-uuid-function": "SELECT uuid_generate_v4()",
    "pg-operator-class": "CREATE INDEX ON guest USING gin (email gin_words)",
    "pg-no-default-class": "CREATE INDEX ON guest USING gin (email)",
    "pg-equality-operator": "CREATE TABLE doc (body json); SELECT DISTINCT body FROM doc",
    "pg-distinct-order-by": "SELECT DISTINCT email FROM guest ORDER BY age",
    "pg-union-types": "SELECT id FROM guest UNION SELECT email FROM guest",
    "pg-insert-more-targets": "INSERT INTO stay (guest, during) VALUES (1)",
    "pg-values-length": "INSERT INTO stay VALUES (1, NULL), (2)",
    "pg-zero-length-identifier": 'SELECT ""',
    "pg-dollar-quoted": "DO $$ BEGIN",
    "pg-schema-missing": "CREATE TABLE shop.guest ()",
    "pg-no-schema-selected": "SET search_path = ''; CREATE TABLE x ()",
    "pg-cross-database": "SELECT * FROM shop.public.guest",
    "pg-index-missing": "DROP INDEX guest_email",
    "pg-constraint-requires": "DROP INDEX guest_pkey",
    "pg-savepoint-missing": "ROLLBACK TO SAVEPOINT before",
    "pg-isolation-after-query": "SELECT 1; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    "pg-cannot-insert-view": "CREATE VIEW n AS SELECT count(*) FROM guest; "
    "INSERT INTO n VALUES (1)",
    "pg-generated-default": "ALTER TABLE guest ADD twice int GENERATED ALWAYS AS (2 * age) STORED; "
    "UPDATE guest SET twice = 1",
    "pg-trigger-exists": "CREATE FUNCTION stamp() RETURNS trigger AS 'BEGIN RETURN NEW; END' "
    "LANGUAGE plpgsql; CREATE TRIGGER t BEFORE UPDATE ON guest EXECUTE FUNCTION stamp(); "
    "CREATE TRIGGER t BEFORE UPDATE ON guest EXECUTE FUNCTION stamp()",
    "pg-nested-aggregate": "SELECT max(count(*)) FROM guest",
    "pg-set-returning": "SELECT 1 FROM guest WHERE generate_series(1, 2) = 1",
    "pg-operator-not-unique": "SELECT '1' + '1'",
    "pg-end-of-input": "SELECT * FROM guest WHERE",
    "pg-expression-type": "CREATE TABLE t (n int); INSERT INTO t SELECT email FROM guest",
}


@dataclass
class Bench:
    """A server, two clients, and what is to be tried."""

    server: Postgres
    one: Connection
    two: Connection


Provoke = Callable[[Bench], object]
SERIALIZABLE = psycopg.IsolationLevel.SERIALIZABLE


def refused(bench: Bench, **others: object) -> None:
    psycopg.connect(**{**psycopg.conninfo.conninfo_to_dict(bench.server.url), **others}).close()


def concurrent_update(bench: Bench) -> None:
    bench.one.isolation_level = SERIALIZABLE
    bench.one.execute("SELECT * FROM guest")
    bench.two.execute("UPDATE guest SET age = 50 WHERE id = 1")
    bench.two.commit()
    bench.one.execute("UPDATE guest SET age = 60 WHERE id = 1")


def dependencies(bench: Bench) -> None:
    for client in (bench.one, bench.two):
        client.isolation_level = SERIALIZABLE
        client.execute("SELECT sum(age) FROM guest")
    for number, client in enumerate((bench.one, bench.two), 1):
        client.execute("UPDATE guest SET age = 99 WHERE id = %s", [number])
        client.commit()


def locked(bench: Bench) -> None:
    bench.two.execute("SELECT * FROM guest WHERE id = 1 FOR UPDATE")


def lock_timeout(bench: Bench) -> None:
    locked(bench)
    bench.one.execute("SET lock_timeout = 1")
    bench.one.execute("UPDATE guest SET age = 1 WHERE id = 1")


def no_wait(bench: Bench) -> None:
    locked(bench)
    bench.one.execute("SELECT * FROM guest WHERE id = 1 FOR UPDATE NOWAIT")


def on_partitioned(bench: Bench, statement: str) -> None:
    """Run outside of a transaction what works only there, on a table with a default partition."""
    bench.one.execute(BY_MONTH + "CREATE TABLE rest PARTITION OF event DEFAULT")
    bench.one.commit()
    bench.one.autocommit = True
    bench.one.execute(statement)


def moved(bench: Bench) -> None:
    """Change the key of a row, and let another client wait for that row."""
    bench.two.execute(BY_MONTH + "CREATE TABLE rest PARTITION OF event DEFAULT")
    bench.two.execute("INSERT INTO event VALUES (1, '2026-03-05')")
    bench.two.commit()
    bench.two.execute("UPDATE event SET at = '2026-09-01'")
    waits = "SELECT FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
    pid = bench.one.info.backend_pid

    def act() -> None:
        with psycopg.connect(bench.server.url, autocommit=True) as third:
            wait_for(lambda: third.execute(waits, [pid]).rowcount, 30, "nobody waits")
        bench.two.commit()

    thread = threading.Thread(target=act)
    thread.start()
    try:
        bench.one.execute("UPDATE event SET id = 2")
    finally:
        thread.join()


def failed_before(bench: Bench) -> None:
    with suppress(psycopg.Error):
        bench.one.execute("SELECT 1/0")
    bench.one.execute("SELECT 1")


def gone(bench: Bench) -> None:
    """Leave a transaction open for longer than it may be, then go on."""
    pid = bench.one.info.backend_pid
    bench.one.execute("SET idle_in_transaction_session_timeout = 1")
    bench.two.autocommit = True
    there = "SELECT 1 FROM pg_stat_activity WHERE pid = %s"
    wait_for(lambda: not bench.two.execute(there, [pid]).fetchone(), 30, "it is still there")
    bench.one.execute("SELECT 1")


def ended(bench: Bench) -> None:
    """End a client from another one, while it runs a statement."""
    meanwhile(bench, "SELECT pg_terminate_backend(%s)")


def cancelled(bench: Bench) -> None:
    meanwhile(bench, "SELECT pg_cancel_backend(%s)")


def meanwhile(bench: Bench, statement: str) -> None:
    """Let one client sleep, and the other run a statement on it."""
    pid = bench.one.info.backend_pid
    bench.two.autocommit = True
    sleeps = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'"

    def act() -> None:
        wait_for(lambda: bench.two.execute(sleeps, [pid]).fetchone(), 30, "nobody sleeps")
        bench.two.execute(statement, [pid])

    thread = threading.Thread(target=act)
    thread.start()
    try:
        bench.one.execute("SELECT pg_sleep(60)")
    finally:
        thread.join()


def in_a_block(bench: Bench) -> None:
    bench.one.execute("CREATE INDEX CONCURRENTLY ON guest (age)")


def alone(bench: Bench, statement: str) -> None:
    bench.one.rollback()
    bench.one.autocommit = True
    bench.one.execute(statement)


def published(bench: Bench) -> None:
    """Update a table without a key, whose changes go to other servers."""
    bench.one.execute("CREATE TABLE keyless (n int); CREATE PUBLICATION all_of_it FOR ALL TABLES")
    bench.one.execute("UPDATE keyless SET n = 1")


def copied(bench: Bench, line: str) -> None:
    with bench.one.cursor().copy("COPY guest FROM STDIN") as copy:
        copy.write(f"{line}\n")


def in_use(bench: Bench) -> None:
    bench.two.rollback()
    bench.two.autocommit = True
    bench.two.execute("DROP DATABASE IF EXISTS used")
    bench.two.execute("CREATE DATABASE used")
    with psycopg.connect(bench.server.url, dbname="used"):
        bench.two.execute("DROP DATABASE used")


PROVOKED: dict[str, Provoke] = {
    **{name: lambda b, sql=sql: b.one.execute(sql) for name, sql in STATEMENTS.items()},
    "connection-refused": lambda b: refused(b, host="127.0.0.1", port=free_port()),
    "socket-missing": lambda b: refused(b, host="/not/there"),
    "database-missing": lambda b: refused(b, dbname="nothing"),
    "role-missing": lambda b: refused(b, user="nobody"),
    "serialization-update": concurrent_update,
    "serialization-dependencies": dependencies,
    "lock-timeout": lock_timeout,
    "lock-not-available": no_wait,
    "user-request-cancel": cancelled,
    "in-failed-transaction": failed_before,
    "detach-concurrently-default": lambda b: on_partitioned(
        b, "ALTER TABLE event DETACH PARTITION march CONCURRENTLY"
    ),
    "index-partitioned-concurrently": lambda b: on_partitioned(
        b, "CREATE INDEX CONCURRENTLY ON event (id)"
    ),
    "moved-to-another-partition": moved,
    "idle-in-transaction-timeout": gone,
    "admin-shutdown": ended,
    "concurrent-index-in-transaction": in_a_block,
    "database-in-use": in_use,
    "nul-byte": lambda b: b.one.execute("SELECT %s::text", ["a\0b"]),
    "pg-parameter-type": lambda b: b.one.execute("SELECT %s IS NULL", [None]),
    "pg-multiple-commands": lambda b: b.one.execute("SELECT %s; SELECT 1", [1]),
    "pg-drop-open-database": lambda b: alone(b, "DROP DATABASE postgres"),
    "pg-no-replica-identity": lambda b: published(b),
    "pg-copy-missing-data": lambda b: copied(b, "1"),
    "pg-copy-extra-data": lambda b: copied(b, "1\tx\t1\tmore"),
    "pg-missing-equals": lambda _: psycopg.connect("postgresql+psycopg://shop"),
    "pg-invalid-port": lambda _: psycopg.connect("host=/tmp port=secret"),
    "pg-percent-token": lambda _: psycopg.connect("postgresql://amina:100%@localhost/shop"),
    "pg-uri-query-parameter": lambda _: psycopg.connect(
        "postgresql://localhost/shop?schema=public"
    ),
    "pg-connection-option": lambda _: psycopg.connect("dbname=shop charset=utf8"),
}


@pytest.fixture(scope="module")
def server() -> Postgres:
    return nexus.postgres(fsync="off")


@pytest.fixture
def bench(server: Postgres) -> Iterator[Bench]:
    with psycopg.connect(server.url, autocommit=True) as admin:
        admin.execute(SCHEMA)
    with suppress(psycopg.OperationalError), server.connect() as one, server.connect() as two:
        yield Bench(server, one, two)
        for client in (one, two):
            with suppress(psycopg.Error):
                client.rollback()


@pytest.mark.parametrize("name", PROVOKED)
def test_the_server_says_what_the_row_says(bench: Bench, name: str) -> None:
    row = ROWS[name]
    with pytest.raises(psycopg.Error) as caught:
        PROVOKED[name](bench)
    said = caught.value
    whole = f"{said}"
    if said.diag.severity:
        hint = said.diag.message_hint
        whole = f"{said.diag.severity}: {whole}" + (f" HINT: {hint}" if hint else "")
    rows = [row, ROWS[OR_ELSE.get(name, name)]]
    assert any(messages.pattern(each.message).search(whole) for each in rows), whole
    if row.code and said.sqlstate:
        assert said.sqlstate == row.code


def test_what_is_said_to_be_reproduced_is_reproduced() -> None:
    reproduced = {row.id for row in GROUP.rows if row.shown == "ci"}
    assert reproduced == {*PROVOKED, *IN_A_CHAPTER}
