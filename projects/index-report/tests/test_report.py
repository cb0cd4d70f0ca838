"""What the report says about the server, and why it could not look."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import psycopg
import pytest
from index_report import report
from index_report.report import LookError, look
from psycopg.conninfo import make_conninfo


def reason(url: str, **options: float) -> str:
    with pytest.raises(LookError) as caught:
        look(url, **options)
    return str(caught.value)


@contextmanager
def listener(answer: bytes | None) -> Iterator[str]:
    """Something on a port: it answers once and hangs up, or is silent."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with server.accept()[0] as connection:
                connection.recv(1024)
                if answer is not None:
                    connection.sendall(answer)
                else:
                    done.wait(30)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"postgresql://u:secret@127.0.0.1:{server.getsockname()[1]}/d"
        done.set()
        thread.join(10)


@pytest.fixture
def role(server: str, name: str) -> Iterator[str]:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name}_role LOGIN PASSWORD 'x'".encode())
        yield f"{name}_role"
        connection.execute(f"DROP ROLE {name}_role".encode())


def test_an_empty_database(database: str, name: str) -> None:
    found = look(database)
    assert (found.findings, found.database, found.replica) == (0, name, False)
    assert found.server[:2].isdigit()


def test_when_the_statistics_were_reset(db: psycopg.Connection, database: str) -> None:
    assert look(database).counted_since is None
    db.execute("SELECT pg_stat_reset()")
    (now,) = db.execute("SELECT now()").fetchone()
    since = look(database).counted_since
    assert abs((now - since).total_seconds()) < 60


def test_it_can_only_read(database: str) -> None:
    with mock.patch.object(report, "_report") as looked:
        looked.side_effect = lambda connection: connection.execute("CREATE TABLE x ()")
        assert "read-only transaction" in reason(database)


def test_an_ordinary_role_may_look(database: str, role: str, db: psycopg.Connection) -> None:
    db.execute("CREATE EXTENSION pg_stat_statements")
    db.execute("CREATE SCHEMA secret CREATE TABLE t (a int) CREATE INDEX unused ON t (a)")
    found = look(make_conninfo(database, user=role, password="x"))
    assert [row["index"] for section in found.sections[1:] for row in section.rows] == [
        "secret.unused"
    ]


def test_a_role_that_may_not_read_the_statements(
    database: str, role: str, db: psycopg.Connection
) -> None:
    db.execute("CREATE EXTENSION pg_stat_statements")
    db.execute("REVOKE SELECT ON pg_stat_statements FROM PUBLIC")
    (statements, *_) = look(make_conninfo(database, user=role, password="x")).sections
    assert "may not read" in statements.note


def test_an_extension_that_the_server_has_not_loaded(database: str) -> None:
    with (
        mock.patch.object(report, "_rows", side_effect=not_loaded),
        mock.patch.object(report, "FINDINGS", ()),
        psycopg.connect(database, autocommit=True) as connection,
    ):
        connection.execute("CREATE EXTENSION pg_stat_statements")
        (statements,) = look(database).sections
    assert "has not loaded" in statements.note


def not_loaded(*_: object) -> None:
    raise psycopg.errors.ObjectNotInPrerequisiteState


def test_a_locked_table(db: psycopg.Connection, database: str) -> None:
    db.execute("CREATE TABLE t (a int)")
    db.execute("CREATE INDEX ON t (a)")
    with psycopg.connect(database) as migration, mock.patch.object(report, "LOCK_TIMEOUT", 50):
        migration.execute("ALTER TABLE t ADD b int")
        migration.execute("DROP INDEX t_a_idx")
        assert "A table is locked" in reason(database)
        migration.rollback()
    assert look(database).findings == 1


def test_a_query_that_takes_too_long(database: str) -> None:
    with mock.patch.object(report, "_report") as looked:
        looked.side_effect = lambda connection: connection.execute("SELECT pg_sleep(60)")
        assert "--timeout" in reason(database, timeout=0.05)


def test_a_connection_that_breaks(database: str) -> None:
    with mock.patch.object(report, "_report") as looked:
        looked.side_effect = lambda connection: connection.execute(
            "SELECT pg_terminate_backend(pg_backend_pid())"
        )
        assert "terminating connection" in reason(database)


def test_no_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert "No server listens there" in reason(f"postgresql://127.0.0.1:{port}/d")
    assert "no server's socket" in reason("postgresql:///d?host=/nowhere/at/all")


def test_a_server_that_is_silent() -> None:
    with listener(None) as url:
        assert "Nothing that speaks PostgreSQL" in reason(url, timeout=2)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+OK\r\n"])
def test_a_server_of_another_kind(answer: bytes) -> None:
    with listener(answer) as url:
        assert "not PostgreSQL" in reason(f"{url}?gssencmode=disable")


def test_no_such_host() -> None:
    assert "no host of this name" in reason("postgresql://nowhere.invalid/d")


def test_no_such_database(server: str) -> None:
    assert "Check the names" in reason(make_conninfo(server, dbname="no_such_database"))


def test_a_role_that_may_not_connect(
    database: str, name: str, role: str, db: psycopg.Connection
) -> None:
    db.execute(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC".encode())
    assert "GRANT CONNECT" in reason(make_conninfo(database, user=role, password="x"))


@pytest.mark.parametrize(("given", "hint"), [("wrong", "~/.pgpass"), ("", "set PGPASSWORD")])
def test_a_wrong_password(
    server: str, database: str, role: str, monkeypatch: pytest.MonkeyPatch, given: str, hint: str
) -> None:
    monkeypatch.setenv("PGPASSFILE", "/nowhere/at/all")
    with psycopg.connect(server, autocommit=True) as connection:
        (file, rules) = connection.execute(
            "SELECT current_setting('hba_file'), pg_read_file(current_setting('hba_file'))"
        ).fetchone()
        rewrite(connection, file, f"local all {role} scram-sha-256\n{rules}")
        try:
            text = reason(make_conninfo(database, user=role, password=given))
        finally:
            rewrite(connection, file, rules)
    assert hint in text
    assert "wrong" not in text


def rewrite(connection: psycopg.Connection, file: str, rules: str) -> None:
    """Writes pg_hba.conf through the server, which may be another user's process."""
    connection.execute("CREATE TEMP TABLE rules (line text)")
    with connection.cursor().copy("COPY rules FROM STDIN") as copy:
        for line in rules.splitlines():
            copy.write_row([line.replace("\t", " ")])
    connection.execute(f"COPY rules TO '{file}'".encode())
    connection.execute("DROP TABLE rules")
    connection.execute("SELECT pg_reload_conf()")


@pytest.mark.parametrize(
    "url", ["mysql://ada:secret@db/shop", "postgresql://ada:secret@db:port/shop", "secret"]
)
def test_what_is_no_url_is_not_repeated(url: str) -> None:
    assert "secret" not in reason(url)


@pytest.mark.parametrize(
    ("version", "number", "said"),
    [
        ("CockroachDB CCL v25.1", 130000, "not PostgreSQL, but: CockroachDB"),
        ("PostgreSQL 8.0.2 on i686, Redshift 1.0", 80002, "not PostgreSQL"),
        ("PostgreSQL 13.22", 130022, "PostgreSQL 14 or newer is needed"),
    ],
)
def test_other_servers(version: str, number: int, said: str) -> None:
    connection = mock.MagicMock()
    connection.__enter__.return_value = connection
    connection.execute.return_value.fetchone.return_value = {"version": version}
    connection.info.server_version = number
    with mock.patch.object(report, "_connect", return_value=connection):
        assert said in reason("")
