"""systemd's own programs read the units, and what the units start runs on real servers."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

import nexus
from nexus.services.ports import free_port
from nexus.services.process import wait_for

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "snippets" / "systemd"
FILES = {path.name: path.read_text() for path in sorted(FOLDER.iterdir()) if path.suffix != ".md"}
SERVICES = [name for name in FILES if name.endswith(".service")]
BIN = Path(sys.executable).parent
PROGRAM = re.compile(r"/srv/mysite/venv/bin/\w+|/usr/local/bin/mysite-backup")
SAFE = 2.0
"""The worst score that a unit may have, from 0 to 10."""

with_systemd = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="needs systemd-analyze: apt-get install systemd"
)


def line(name: str, key: str) -> str:
    """What a unit says, with systemd's %% resolved."""
    (value,) = re.findall(rf"^{key}=(.*)$", FILES[name], re.MULTILINE)
    return value.replace("%%", "%")


def program(name: str) -> list[str]:
    """What a unit starts, from this environment."""
    path, *options = shlex.split(line(name, "ExecStart"))
    assert path.startswith("/srv/mysite/venv/bin/")
    return [str(BIN / Path(path).name), *options]


def analyze(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *words], cwd=folder, capture_output=True, text=True, timeout=120
    )


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """Writes the units, with programs that are there."""

    def write(name: str = "", old: str = "", new: str = "") -> Path:
        for each, text in FILES.items():
            if name == each:
                assert old in text
                text = text.replace(old, new)
            text = re.sub(
                r"/srv/mysite/venv/bin/\w+|/usr/local/bin/mysite-backup", "/bin/true", text
            )
            (tmp_path / each).write_text(text)
        return tmp_path

    return write


@pytest.mark.parametrize("name", FILES)
def test_the_head_says_what_it_answers_and_what_to_watch_out_for(name: str) -> None:
    head = FILES[name].removeprefix("#!/bin/sh\n").partition("\n[Unit]")[0].partition("\nset ")[0]
    assert re.match(r"# [A-Z].*\?\n#\n# (systemd \d|pg_dump)", head)
    assert "\n# Watch out:\n# * " in head
    assert f"(systemd/{name})" in (ROOT / "snippets" / "README.md").read_text()
    for path in re.findall(r"\.\./[\w/.-]+\.\w+", head):
        assert (FOLDER / path).is_file(), path


@with_systemd
def test_systemd_finds_nothing_wrong(written: Callable[..., Path]) -> None:
    units = [f"./{name}" for name in FILES if not name.endswith(".sh")]
    done = analyze("verify", *units, folder=written())
    assert (done.returncode, done.stderr) == (0, "")


@with_systemd
@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("mysite-web.service", "KillMode=mixed", "KilMode=mixed", "Unknown key"),
        ("mysite-web.service", "KillMode=mixed", "KillMode=both", "Failed to parse kill mode"),
        ("mysite-worker.service", "TimeoutStopSec=330", "TimeoutStopSec=5 mins!", "parse"),
        ("mysite-web.service", "bin/gunicorn\n", "bin/gunicorn/absent\n", "not executable"),
        ("mysite-backup.timer", "02:30:00", "02:60:00", "calendar spec"),
    ],
)
def test_systemd_finds_what_is_wrong(
    written: Callable[..., Path], name: str, old: str, new: str, said: str
) -> None:
    assert said in analyze("verify", f"./{name}", folder=written(name, old, new)).stderr


@with_systemd
@pytest.mark.parametrize("name", SERVICES)
def test_a_unit_may_do_little(written: Callable[..., Path], name: str) -> None:
    words = ("security", "--offline=true", f"--threshold={SAFE * 10:.0f}", f"./{name}")
    done = analyze(*words, folder=written())
    assert done.returncode == 0, done.stdout
    bare = re.search(r"\n# What it may not do.*?(?=\n\n|\Z)", FILES[name], re.DOTALL)[0]
    open_to_all = analyze(*words, folder=written(name, bare, ""))
    assert open_to_all.returncode != 0
    score = float(re.search(r"exposure level for \S+: ([\d.]+)", open_to_all.stdout)[1])
    assert score > (7 if name == "mysite-backup.service" else 9)  # it has a user of its own


@with_systemd
def test_the_timer_runs_every_night(tmp_path: Path) -> None:
    when = line("mysite-backup.timer", "OnCalendar")
    assert f'"{when}"' in FILES["mysite-backup.timer"]  # the head has it as an example
    done = analyze("calendar", "--base-time=2026-03-01", "--iterations=3", when, folder=tmp_path)
    assert done.returncode == 0
    assert len(re.findall(r"2026-03-0[1-4] 02:30:00 UTC", done.stdout)) >= 3


@with_systemd
@pytest.mark.parametrize(
    ("status", "said"), [("203", "EXEC"), ("217", "USER"), ("226", "NAMESPACE")]
)
def test_statuses_mean_what_the_head_says(tmp_path: Path, status: str, said: str) -> None:
    assert f"status={status}/{said}" in FILES["mysite-web.service"]
    assert said in analyze("exit-status", status, folder=tmp_path).stdout


def test_each_has_more_time_to_end_than_it_needs() -> None:
    gunicorn = (ROOT / "snippets/gunicorn/gunicorn.conf.py").read_text()
    graceful = int(re.search(r"^graceful_timeout = (\d+)", gunicorn, re.MULTILINE)[1])
    assert int(line("mysite-web.service", "TimeoutStopSec")) >= graceful + 5
    celery = (ROOT / "snippets/celery/app.py").read_text()
    longest = 60 * int(re.search(r"task_time_limit=(\d+) \* MINUTES", celery)[1])
    assert int(line("mysite-worker.service", "TimeoutStopSec")) >= longest + 5
    for name in ("mysite-web.service", "mysite-worker.service"):
        assert line(name, "KillMode") == "mixed"
        assert line(name, "Restart") == "always"
        assert line(name, "StartLimitIntervalSec") == "0"


def test_gunicorn_says_when_it_is_ready_and_ends(tmp_path: Path) -> None:
    """This test is systemd: it has the socket that NOTIFY_SOCKET names."""
    assert line("mysite-web.service", "Type") == "notify"
    shutil.copy(ROOT / "snippets/gunicorn/gunicorn.conf.py", tmp_path)
    (tmp_path / "mysite").mkdir()
    (tmp_path / "mysite/wsgi.py").write_text("def application(*_): ...\n")
    port = free_port()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        # A name without a file, as systemd may give it: a path can be too long for a socket.
        name = f"nexus-test-{os.getpid()}"
        told.bind(f"\0{name}")
        told.settimeout(60)
        process = subprocess.Popen(
            program("mysite-web.service"),
            cwd=tmp_path,
            env={"NOTIFY_SOCKET": f"@{name}", "BIND": f"127.0.0.1:{port}"},
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert b"READY=1" in told.recv(1024)
            socket.create_connection(("127.0.0.1", port), 10).close()
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()
            process.communicate()


def test_the_worker_starts_and_ends(tmp_path: Path) -> None:
    with nexus.valkey(tcp=True) as valkey, (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            program("mysite-worker.service"),
            cwd=ROOT / "snippets" / "celery",
            env={
                "BROKER_URL": valkey.url,
                "DATABASE": str(tmp_path / "database"),
                "PYTHONDONTWRITEBYTECODE": "1",
                "C_FORCE_ROOT": "1",
            },
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            read = (tmp_path / "log").read_text
            wait_for(lambda: " ready." in read() or process.poll() is not None, 90, "the worker")
            assert f"worker@{socket.gethostname()} ready." in read()
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0, read()
        finally:
            process.kill()
            process.wait()


def test_a_backup_is_whole_and_can_be_restored(tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    old = folder / "postgres-2020-01-01T000000Z.dump"
    old.touch()
    with nexus.postgres() as pg:
        env = pg.env | {"STATE_DIRECTORY": str(folder), "KEEP_DAYS": "14"}
        env |= {"PATH": f"{Path(pg.program('pg_dump')).parent}:/usr/bin:/bin"}
        subprocess.run(["touch", "-d", "15 days ago", old], check=True)

        def backup(**more: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                ["sh", FOLDER / "backup.sh"],
                env=env | more,
                capture_output=True,
                text=True,
                timeout=120,
            )

        failed = backup(PGDATABASE="absent")
        assert failed.returncode != 0
        assert 'database "absent" does not exist' in failed.stderr
        assert list(folder.iterdir()) == [old]  # no half file, and the old one stays

        with pg.connect() as db:
            db.execute("CREATE TABLE booking AS SELECT generate_series(1, 1000) AS id")
            db.execute("CREATE ROLE saver LOGIN IN ROLE pg_read_all_data")
        done = backup(PGUSER="saver")
        assert done.returncode == 0, done.stderr
        (dump,) = folder.iterdir()
        assert dump.stat().st_mode & 0o077 == 0
        assert done.stdout == f"{dump.name}: {dump.stat().st_size} bytes\n"
        restore = ["--exit-on-error", "--no-owner", "--dbname=restored", str(dump)]
        assert " ".join(restore[:2]) in (FOLDER / "README.md").read_text()
        subprocess.run([pg.program("createdb"), "restored"], env=env, check=True, timeout=60)
        subprocess.run([pg.program("pg_restore"), *restore], env=env, check=True, timeout=60)
        with psycopg.connect(pg.url, dbname="restored") as db:
            assert db.execute("SELECT count(*) FROM booking").fetchone() == (1000,)
