"""What the rows on MariaDB say, a real MariaDB says: each message is provoked here."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pymysql
import pytest

import nexus
from nexus.services import MariaDB
from nexus.services.process import wait_for
from tests.programs import need
from tools import messages

(GROUP,) = (group for group in messages.load() if group.name == "mariadb")
ROWS = {row.id: row for row in GROUP.rows}
needs_mariadb = need("mariadb")
PATIENCE = 60

SCHEMA = (
    "DROP DATABASE IF EXISTS site",
    "CREATE DATABASE site",
    "USE site",
    "CREATE TABLE room (id int PRIMARY KEY, name varchar(5), day date, UNIQUE (name))",
    "CREATE TABLE note (body text) CHARACTER SET utf8mb3",
    "CREATE TABLE ghost (id int) ENGINE = MyISAM",
    "CREATE TABLE visit (room int NOT NULL REFERENCES room (id), nights int CHECK (nights > 0))",
    "INSERT INTO room VALUES (1, 'Attic', '2026-01-01')",
    "INSERT INTO visit VALUES (1, 2)",
)
STATEMENTS = {
    "mariadb-duplicate-entry": "INSERT INTO room (id, name) VALUES (2, 'ATTIC')",
    "mariadb-syntax": "SELECT id::int FROM room",
    "mariadb-incorrect-string": "INSERT INTO note VALUES ('\N{PARTY POPPER}')",
    "mariadb-too-long": "INSERT INTO room (id, name) VALUES (2, 'Lighthouse')",
    "mariadb-out-of-range": "INSERT INTO room (id) VALUES (9999999999)",
    "mariadb-incorrect-date": "INSERT INTO room (id, day) VALUES (2, '2026-02-30')",
    "mariadb-algorithm": "ALTER TABLE room MODIFY id bigint, ALGORITHM=INPLACE",
    "mariadb-column-null": "INSERT INTO visit VALUES (NULL, 1)",
    "mariadb-no-default": "INSERT INTO visit (nights) VALUES (1)",
    "mariadb-check-failed": "INSERT INTO visit VALUES (1, -1)",
    "mariadb-foreign-key-add": "INSERT INTO visit VALUES (9, 1)",
    "mariadb-foreign-key-delete": "DELETE FROM room",
    "mariadb-foreign-key-form": "CREATE TABLE bill (room bigint REFERENCES room (id))",
    "mariadb-no-table": "SELECT * FROM rooms",
    "mariadb-unknown-column": "SELECT colour FROM room",
    "mariadb-unknown-database": "USE nowhere",
    "mariadb-key-too-long": "CREATE TABLE page (url varchar(1000) PRIMARY KEY) "
    "CHARACTER SET utf8mb4",
    "mariadb-key-without-length": "CREATE TABLE page (url text PRIMARY KEY)",
    "mariadb-illegal-mix": "SELECT 'a' COLLATE utf8mb4_bin = 'a' COLLATE utf8mb4_general_ci",
}

Client = Any  # a connection of PyMySQL


def run(client: Client, *statements: str) -> Any:  # noqa: ANN401 (a row)
    with client.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchone() if cursor.description else None


def grouped(_server: MariaDB, one: Client, _other: Client) -> None:
    run(one, "SET sql_mode = 'ONLY_FULL_GROUP_BY'", "SELECT id, day FROM room GROUP BY day")


def locked(_server: MariaDB, one: Client, other: Client) -> None:
    run(one, "BEGIN", "SELECT id FROM room FOR UPDATE")
    run(other, "SET innodb_lock_wait_timeout = 0", "UPDATE room SET day = NULL")


def changed(_server: MariaDB, one: Client, other: Client) -> None:
    run(one, "SET innodb_snapshot_isolation = ON", "BEGIN", "SELECT id FROM room")
    run(other, "UPDATE room SET day = NULL")
    run(one, "UPDATE room SET day = '2026-01-02'")


def crossed(server: MariaDB, one: Client, other: Client) -> None:
    """Two look for a row that is not there, and both insert it."""
    for client in (one, other):
        run(client, "BEGIN", "SELECT id FROM room WHERE id = 7 FOR UPDATE")
    waits = "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'"
    with ThreadPoolExecutor() as pool, server.connect() as asked:
        first = pool.submit(run, one, "INSERT INTO room (id) VALUES (7)")
        wait_for(lambda: run(asked, waits)[1] == "1", PATIENCE, "the first to wait")
        second = pool.submit(run, other, "INSERT INTO room (id) VALUES (7)")
        errors = [done.exception(PATIENCE) for done in (first, second)]
    raise next(error for error in errors if error)


def gone(server: MariaDB, one: Client, _other: Client) -> None:
    (number,) = run(one, "SELECT connection_id()")
    run(one, "SET wait_timeout = 1")
    still = f"SELECT count(*) FROM information_schema.processlist WHERE id = {number}"
    with server.connect() as asked:
        wait_for(lambda: run(asked, still) == (0,), PATIENCE, "the server to close it")
    run(one, "SELECT 1")


BY_HAND: dict[str, Callable[[MariaDB, Client, Client], None]] = {
    "mariadb-group-by": grouped,
    "mariadb-lock-wait": locked,
    "mariadb-record-changed": changed,
    "mariadb-deadlock": crossed,
    "mariadb-gone-away": gone,
}
WARNING = "mariadb-not-rolled-back"
DRIVER = "mariadb-driver-missing"


@pytest.fixture(scope="module")
def server() -> Iterator[MariaDB]:
    with nexus.mariadb() as running:
        yield running


@pytest.fixture
def clients(server: MariaDB) -> Iterator[tuple[Client, Client]]:
    with server.connect(autocommit=True) as admin:
        run(admin, *SCHEMA)
    one, other = (server.connect(autocommit=True, database="site") for _ in range(2))
    yield one, other
    for client in (one, other):
        if client.open:
            client.close()


@needs_mariadb
@pytest.mark.parametrize("name", [*STATEMENTS, *BY_HAND])
def test_the_server_says_it(name: str, server: MariaDB, clients: tuple[Client, Client]) -> None:
    row = ROWS[name]
    provoke = BY_HAND.get(name, lambda _, one, __: run(one, STATEMENTS[name]))
    with pytest.raises(pymysql.Error) as caught:
        provoke(server, *clients)
    number, said = caught.value.args
    assert messages.pattern(row.message).search(said), said
    assert row.code == str(number)


@needs_mariadb
def test_a_rollback_warns(clients: tuple[Client, Client]) -> None:
    run(clients[0], "BEGIN", "INSERT INTO ghost VALUES (1)", "ROLLBACK")
    ((_, number, said),) = clients[0].show_warnings()
    assert messages.pattern(ROWS[WARNING].message).search(said), said
    assert ROWS[WARNING].code == str(number)


def test_django_misses_its_driver() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import django.db.backends.mysql.base"],
        capture_output=True,
        text=True,
    )
    said = " ".join(done.stderr.split())
    assert messages.pattern(ROWS[DRIVER].message).search(said), said


def test_what_is_said_to_be_reproduced_is_reproduced() -> None:
    reproduced = {row.id for row in GROUP.rows if row.shown == "ci"}
    assert reproduced == {*STATEMENTS, *BY_HAND, WARNING, DRIVER}
