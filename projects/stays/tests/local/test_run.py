import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from local.kept import ROOT
from local.run import Processes, Stopped
from local.servers import StartError

SLEEPER = "tests.local.sleeper"
whole_project = pytest.mark.xdist_group("whole project")
"""One at a time, and among the first: the largest groups begin, and these tests take longest."""
NAMED = ("PORT", "DATABASE_URL", "CACHE_URL", "BROKER_URL")


@pytest.fixture
def processes() -> Iterator[Processes]:
    some = Processes(threading.Event())
    yield some
    some.end()


def environment(**named: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in NAMED} | named


def test_the_end_of_one_is_told(processes: Processes) -> None:
    processes.start("one", SLEEPER, environment=environment())
    processes.start("other", SLEEPER, "3", environment=environment())
    assert processes.wait() == "other (exit status 3)"


def test_all_end_together_and_their_children_too(processes: Processes) -> None:
    running = [processes.start(name, SLEEPER, environment=environment()) for name in "ab"]
    assert processes.hear("a", "here") == " I am"
    processes.end()
    assert [each.returncode for each in running] == [-signal.SIGTERM] * 2


def test_a_step_that_fails_says_what_it_said_last(processes: Processes) -> None:
    processes.do("step", SLEEPER, "0", environment=environment())
    with pytest.raises(StartError, match="step failed:\nhere I am"):
        processes.do("step", SLEEPER, "1", environment=environment())


def test_a_step_is_given_up(processes: Processes) -> None:
    threading.Timer(0.3, processes.ending.set).start()
    with pytest.raises(Stopped):
        processes.do("step", SLEEPER, environment=environment())


def test_what_is_waited_for_and_never_said(processes: Processes) -> None:
    processes.start("one", SLEEPER, "4", environment=environment())
    with pytest.raises(StartError, match="one ended:\nhere I am"):
        processes.hear("one", "something else")


def run(**named: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "local.run"],
        cwd=ROOT,
        env=environment(**named),
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_port_that_cannot_be_had_is_said_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run(PORT=port)
    assert (done.returncode, done.stderr) == (1, "")
    assert f"{port} is taken. Name another port: make run PORT=8001" in done.stdout
    assert "many is no port" in run(PORT="many").stdout
    assert "70000 is no port" in run(PORT="70000").stdout


def test_a_database_that_is_not_there_is_said() -> None:
    done = run(
        DATABASE_URL="postgresql://nobody@127.0.0.1:9/nothing",
        CACHE_URL=os.environ["CACHE_URL"],
        BROKER_URL=os.environ["BROKER_URL"],
    )
    assert done.returncode == 1
    assert "manage.py migrate failed:" in done.stdout
    assert "Connection refused" in done.stdout


@contextmanager
def started() -> "Iterator[tuple[subprocess.Popen[str], str, list[psutil.Process]]]":
    """The whole project: the program in front, what it said, and everything that runs for it."""
    program = subprocess.Popen(
        [sys.executable, "-m", "local.run"],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert program.stdout
    said = ""
    try:
        while "Ctrl-C ends everything" not in said:
            line = program.stdout.readline()
            assert line, said
            said += line
        threading.Thread(target=program.stdout.read, daemon=True).start()
        found = psutil.Process(program.pid).children(recursive=True)
        folders = {Path(each.cwd()) for each in found if each.name() == "valkey-server"}
        [directory] = {folder.parent for folder in folders}
        pid = int((directory / "data/postmaster.pid").read_text().split()[0])
        yield program, said, [*found, psutil.Process(pid)]
        assert not directory.exists()
    finally:
        with suppress(ProcessLookupError):
            program.kill()
        program.communicate()


def assert_gone(found: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(found, timeout=20)
    assert alive == []


@whole_project
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=lambda number: number.name)
def test_all_runs_and_ends_with_the_program_in_front(number: signal.Signals) -> None:
    with started() as (program, said, found):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        addresses = re.findall(r"http://127\.0\.0\.1:\d+\S*", said)
        assert [address.partition("/")[2].partition("/")[2] for address in addresses]
        for address in addresses:
            if "/api/docs" in address or "/admin/" in address:
                assert opener.open(address, timeout=10).status == 200
        [graphql] = [address for address in addresses if address.endswith("/graphql")]
        answer = opener.open(f"{graphql}?query=%7B__schema%7BqueryType%7Bname%7D%7D%7D", timeout=10)
        assert json.load(answer)["data"]["__schema"]["queryType"]["name"] == "Query"
        names = {" ".join(each.cmdline()) for each in found}
        assert sum("celery" in name for name in names) >= 2
        program.send_signal(number)
        program.wait(30)
        assert_gone(found)
        if number != signal.SIGKILL:
            assert program.returncode == 128 + number


@whole_project
def test_one_that_dies_ends_all() -> None:
    with started() as (program, _, found):
        # With setproctitle installed, Celery writes its own words there, in one piece.
        beat = next(each for each in found if re.search(r"\bbeat\b", " ".join(each.cmdline())))
        beat.kill()
        assert program.wait(30) == 1
        assert_gone(found)


def test_set_up_says_which_python_it_needs(tmp_path: Path) -> None:
    folder = tmp_path / "a copy"
    (folder / "local").mkdir(parents=True)
    (folder / "local" / "setup").write_text((ROOT / "local" / "setup").read_text())
    (folder / "requirements-test.txt").write_text("")
    done = subprocess.run(
        ["sh", str(folder / "local" / "setup")],
        env={"PATH": os.environ["PATH"], "PYTHON": "no-such-python"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "this machine has no no-such-python" in done.stderr
    assert not (folder / ".venv").exists()
