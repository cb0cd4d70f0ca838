"""Set-up, with its faults: each interpreter and installer here is a small script of the test's own.

What the scripts say in a fault is what pip 23 and uv 0.13 say in it, recorded once.
"""

import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nexus.services.process import wait_for
from tools import environment

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE = 60.0  # seconds for what takes a moment, on a machine that is busy with other things
BASE = sys._base_executable  # no environment's, so that it needs no site-packages

PIP_OFFLINE = """\
WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) after \
connection broken by 'NewConnectionError('<pip._vendor.urllib3.connection.HTTPSConnection object \
at 0x7fa44b42a2d0>: Failed to establish a new connection: [Errno -2] Name or service not known')'\
: /simple/uv/
ERROR: Could not find a version that satisfies the requirement uv==0.13.9 (from versions: none)
ERROR: No matching distribution found for uv==0.13.9
"""
UV_OFFLINE = """\
error: Request failed after 3 retries in 8.1s
  cause: Failed to fetch: https://packages.example/simple/six/
  cause: error sending request for url (https://packages.example/simple/six/)
  cause: client error (Connect)
  cause: dns error
"""
PIP_FULL = """\
ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device
"""
UV_FULL = """\
error: Failed to install: matplotlib-3.11.2-cp311-cp311-manylinux.whl (matplotlib==3.11.2)
  cause: failed to copy file from a to b: No space left on device (os error 28)
"""
UV_DENIED = """\
error: Failed to initialize cache at `cache`
  cause: failed to write to file `cache/CACHEDIR.TAG`: Permission denied (os error 13)
"""
PIP_NO_SUCH_VERSION = """\
ERROR: Could not find a version that satisfies the requirement uv==0.13.9 (from versions: 0.1.0)
"""


def script(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


class Checkout:
    """A copy of the set-up in a folder with a space, and a Python that installs nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "a checkout"
        (self.folder / "tools").mkdir(parents=True)
        for name in ("setup", "environment.py"):
            shutil.copy(ROOT / "tools" / name, self.folder / "tools")
        (self.folder / "requirements.txt").write_text("six==1.17.0\nuv==0.13.9\n")
        (self.folder / "requirements-heavy.txt").write_text("boto3==1.44.8\n")
        (self.folder / "requirements-semgrep.txt").write_text("semgrep==1.185.0\n")
        self.bin = folder / "bin"
        self.calls = folder / "calls"
        self.calls.touch()
        self.starts = folder / "starts"
        # `python -m venv` makes an environment whose Python is the same script again.
        self.python = script(
            self.bin / "python3",
            f"""
echo "$*" >> "{self.starts}"
case "$*" in
    "-m venv .venv") echo venv >> "{self.calls}"; mkdir -p .venv/bin
                     cp "$0" .venv/bin/python; . "{folder}/on-venv" ;;
    *"-m pip"*)      echo pip >> "{self.calls}"; . "{folder}/on-pip" ;;
    *"-m uv"*)       echo uv >> "{self.calls}"; . "{folder}/on-uv" ;;
    "-m tools.lab") echo lab >> "{self.calls}"; . "{folder}/on-lab" ;;
    *tools/environment.py) exec "{BASE}" -I -c "
import runpy, sys
sys._base_executable = '$0'
sys.argv = ['tools/environment.py']
runpy.run_path('tools/environment.py', run_name='__main__')" ;;
    *)               exec "{BASE}" "$@" ;;
esac""",
        )
        for step in ("venv", "pip", "uv", "lab"):
            self.on(step, "")

    def on(self, step: str, body: str) -> None:
        (self.calls.parent / f"on-{step}").write_text(body)

    def on_hold(self, step: str) -> tuple[Path, Path]:
        """Let a step wait; return the file that it makes then, and the one that it waits for."""
        reached, go = self.folder / "reached", self.folder / "go"
        self.on(step, f'echo > "{reached}"; until [ -e "{go}" ]; do sleep 0.02; done')
        return reached, go

    def fail(self, step: str, said: str) -> None:
        (self.calls.parent / f"{step}-said").write_text(said)
        self.on(step, f'cat "{self.calls.parent}/{step}-said"; exit 2')

    def start(self, shell: str = "sh", **env: str) -> subprocess.Popen:
        return subprocess.Popen(
            [shell, "tools/setup"],
            cwd=self.folder,
            env={"PATH": f"{self.bin}:/usr/bin:/bin", "HOME": str(self.folder.parent), **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, shell: str = "sh", **env: str) -> tuple[int, str]:
        with self.start(shell, **env) as process:
            return end(process)

    def called(self) -> list[str]:
        return self.calls.read_text().split()


def end(process: subprocess.Popen) -> tuple[int, str]:
    """Wait until a set-up has ended, with all that it started, and return what came of it."""
    try:
        said, _ = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return process.returncode, said


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


SHELLS = [name for name in ("sh", "dash", "bash") if shutil.which(name)]


@pytest.mark.parametrize("shell", SHELLS)
def test_makes_the_environment_once(checkout: Checkout, shell: str) -> None:
    status, said = checkout.run(shell)
    assert (status, "set-up: done" in said) == (0, True), said
    assert checkout.called() == ["venv", "pip", "uv", "uv", "uv", "lab"]
    checkout.starts.unlink()
    assert checkout.run(shell) == (0, "")
    assert len(checkout.starts.read_text().splitlines()) == 1, "one look, which takes a moment"
    assert checkout.called() == ["venv", "pip", "uv", "uv", "uv", "lab"]


def test_what_is_installed_is_compiled_once(checkout: Checkout) -> None:
    checkout.run(PYTHONDONTWRITEBYTECODE="1")
    installs = [line for line in checkout.starts.read_text().splitlines() if "-m uv" in line]
    assert len(installs) == 3
    assert all("--compile-bytecode" in line for line in installs), installs


@pytest.mark.parametrize(
    ("option", "pins"),
    [
        ("requirement", "requirements.txt"),
        ("requirement", "requirements-heavy.txt"),
        ("constraints", "requirements-semgrep.txt"),
    ],
)
def test_remakes_when_requirements_change(checkout: Checkout, option: str, pins: str) -> None:
    checkout.run()
    assert f"--{option}={pins}" in checkout.starts.read_text()
    with (checkout.folder / pins).open("a") as file:
        file.write("wheel==0.48.0\n")
    checkout.run()
    assert checkout.called().count("venv") == 2


def test_remakes_when_moved(checkout: Checkout) -> None:
    checkout.run()
    checkout.folder = checkout.folder.rename(checkout.folder.parent / "moved")
    assert checkout.run()[0] == 0
    assert checkout.called().count("venv") == 2


@pytest.mark.parametrize(
    "damage",
    [
        "rm .venv/bin/python",
        "printf '#!/gone/python\\n' > .venv/bin/python",
        "rm .venv/set-up-complete",
        ": > .venv/set-up-complete",
        "rm -r .venv; ln -s /nowhere .venv",
        "rm -r .venv; mkdir elsewhere; ln -s elsewhere .venv",
        "rm -r .venv; echo a file > .venv",
    ],
)
def test_remakes_a_broken_environment(checkout: Checkout, damage: str) -> None:
    checkout.run()
    subprocess.run(damage, shell=True, cwd=checkout.folder, check=True)
    status, said = checkout.run()
    assert status == 0, said
    assert checkout.called().count("venv") == 2
    assert checkout.run() == (0, "")


def test_another_python_is_used_when_asked_for_and_kept_when_not(checkout: Checkout) -> None:
    checkout.run()
    assert checkout.run(PYTHON=str(checkout.python)) == (0, "")
    other = script(
        checkout.bin / "other",
        f'case "$*" in *sys.version\\)) echo 3.12.99 ;; *) exec "{checkout.python}" "$@" ;; esac',
    )
    checkout.run(PYTHON=str(other))
    assert checkout.called().count("venv") == 2


@pytest.mark.parametrize("version", ["Python 3.9.18", "Python 3.14.0", "Python 2.7.18"])
def test_says_that_python_does_not_suit(checkout: Checkout, version: str) -> None:
    for name in ("python3", "python3.11", "python3.12", "python3.13"):
        script(checkout.bin / name, f'[ "$1" = --version ] && echo {version} || exit 1')
    status, said = checkout.run()
    assert status == 1
    assert f"Python 3.11, 3.12 or 3.13 is needed; this machine has {version}." in said
    assert "apt-get install python3 python3-venv" in said


def test_finds_a_newer_python_beside_an_old_one(checkout: Checkout) -> None:
    checkout.python.rename(checkout.bin / "python3.12")
    script(checkout.bin / "python3", "exit 1")
    assert checkout.run()[0] == 0


@pytest.mark.parametrize("asked", ["/no/such/python", "python3.9"])
def test_refuses_an_asked_for_python_that_does_not_suit(checkout: Checkout, asked: str) -> None:
    script(checkout.bin / "python3.9", '[ "$1" = --version ] && echo Python 3.9.18 || exit 1')
    status, said = checkout.run(PYTHON=asked)
    assert status == 1
    assert ("has no /no/such/python" in said) or ("has Python 3.9.18" in said)
    assert checkout.called() == []


def test_says_that_the_venv_module_is_missing(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(environment, "ROOT", checkout.folder)
    monkeypatch.chdir(checkout.folder)
    monkeypatch.setattr(sys, "argv", ["environment.py"])
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    assert environment.main() == 1
    assert "sudo apt-get install python3-venv" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("step", "text", "expected"),
    [
        ("pip", PIP_OFFLINE, "index could not be reached"),
        ("uv", UV_OFFLINE, "index could not be reached"),
        ("pip", PIP_FULL, "disk is full"),
        ("uv", UV_FULL, "disk is full"),
        ("uv", UV_DENIED, "must be yours"),
        ("pip", PIP_NO_SUCH_VERSION, "the last lines above say why"),
        ("venv", "Error: ensurepip returned non-zero exit status 1.\n", "last lines above say why"),
    ],
)
def test_explains_what_failed(checkout: Checkout, step: str, text: str, expected: str) -> None:
    checkout.fail(step, text)
    status, said = checkout.run()
    assert status == 1
    assert expected in said
    assert "Traceback" not in said
    assert text.splitlines()[-1] in said, "the installer's own words are shown too"
    assert (checkout.folder / ".cache" / "set-up.log").read_text() == text
    assert not (checkout.folder / ".venv").exists(), "nothing half-made is left"
    checkout.on(step, "")
    assert checkout.run()[0] == 0, "and the next try succeeds"


def test_a_disk_with_nothing_left_is_named_even_if_the_installer_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usage = shutil.disk_usage("/")._replace(free=1024)
    monkeypatch.setattr(shutil, "disk_usage", lambda _place: usage)
    assert environment.explain("ensurepip returned 1") == environment.FULL_ADVICE


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.EACCES, "must be yours"),
        (errno.EROFS, "must be yours"),
        (errno.ENOSPC, "disk is full"),
        (errno.ENOTDIR, "Not a directory"),
    ],
)
def test_explains_what_the_system_refused(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    number: int,
    expected: str,
) -> None:
    def refuse() -> None:
        raise OSError(number, os.strerror(number), ".venv")

    monkeypatch.chdir(environment.ROOT)
    monkeypatch.setattr(environment, "make", refuse)
    monkeypatch.setattr(sys, "argv", ["environment.py"])
    assert environment.main() == 1
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_set_up_is_made_again(checkout: Checkout, how: signal.Signals) -> None:
    reached, _ = checkout.on_hold("uv")
    with checkout.start() as process:
        wait_for(reached.exists, PATIENCE, "the installer to be at work")
        os.killpg(process.pid, how)
        status, said = end(process)
    assert status != 0
    assert "Traceback" not in said
    assert not (checkout.folder / ".venv" / "set-up-complete").exists()
    checkout.on("uv", "")
    assert checkout.run()[0] == 0
    assert checkout.called().count("venv") == 2


def test_two_at_once_make_it_once(checkout: Checkout) -> None:
    reached, go = checkout.on_hold("uv")
    with checkout.start() as one:
        wait_for(reached.exists, PATIENCE, "the installer to be at work")
        with checkout.start() as other:
            assert "waiting for it" in other.stdout.readline()
            go.touch()
            results = [end(one), end(other)]
    assert [status for status, _ in results] == [0, 0], results
    assert checkout.called() == ["venv", "pip", "uv", "uv", "uv", "lab"]
    assert "waiting for it" not in results[0][1]


def test_an_installer_left_behind_by_a_killed_set_up_is_waited_for(checkout: Checkout) -> None:
    reached, go = checkout.on_hold("uv")
    with checkout.start() as process:
        wait_for(reached.exists, PATIENCE, "the installer to be at work")
        process.kill()  # the parent only: its installer works on
        process.wait()
        lock = (checkout.folder / ".cache" / "set-up.lock").open()
        with lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        go.touch()
        end(process)
    checkout.on("uv", "")
    assert checkout.run()[0] == 0


def test_what_jupyterlab_lacks_does_not_fail_the_set_up(checkout: Checkout) -> None:
    checkout.fail("lab", "lab: the chapters could not be marked as trusted: database is locked.\n")
    status, said = checkout.run()
    assert status == 0
    assert "database is locked" in said
    assert checkout.run() == (0, "")
