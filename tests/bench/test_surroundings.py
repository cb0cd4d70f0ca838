"""Programs get the same plain environment everywhere: no colours, no folder they cannot enter."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nexus.judging.programs import program
from nexus.services import surroundings

ASKED_FOR_COLOURS = {"FORCE_COLOR": "1", "CLICOLOR": "1", "CLICOLOR_FORCE": "1", "TERM": "xterm"}
RAISES = [sys.executable, "-c", "1 / 0"]


def test_nothing_asks_for_colours() -> None:
    wanted = surroundings.plain(ASKED_FOR_COLOURS | {"HOME": "/home/ada"})
    assert wanted == surroundings.PLAIN | {"HOME": "/home/ada"}


@pytest.mark.parametrize("number", [0, 1, 2])
def test_folders_of_path_that_cannot_be_entered_are_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int
) -> None:
    """For root they all can: so what cannot is played."""
    closed = tmp_path / "closed"
    (closed / "bin").mkdir(parents=True)
    real = os.stat

    def stat(path: str | Path, **options: bool) -> os.stat_result:
        if str(path).startswith(f"{closed}/bin"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, **options)

    monkeypatch.setattr(os, "stat", stat)
    folders = ["/bin", "/no/such/folder"]
    folders.insert(number, f"{closed}/bin")
    wanted = surroundings.plain({"PATH": os.pathsep.join(folders)})
    assert wanted["PATH"] == "/bin:/no/such/folder"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may enter every folder")
def test_a_folder_without_the_right_to_enter_is_left_out(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o600)
    assert surroundings.plain({"PATH": f"{closed}:/bin"})["PATH"] == "/bin"


def test_an_environment_without_path_gets_none() -> None:
    assert "PATH" not in surroundings.plain({})


def test_the_environment_of_a_kernel_is_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "environ", os.environ.copy() | ASKED_FOR_COLOURS)
        surroundings.settle()
        assert os.environ == surroundings.plain(os.environ)
        assert "FORCE_COLOR" not in os.environ


def test_a_traceback_has_no_escape_codes() -> None:
    """Python 3.13 and later colour it, if they are asked to."""
    env = surroundings.plain(os.environ | ASKED_FOR_COLOURS)
    done = subprocess.run(RAISES, env=env, capture_output=True, text=True)
    assert "ZeroDivisionError" in done.stderr
    assert "\x1b" not in done.stderr


def test_a_judged_program_is_not_asked_for_colours(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in ASKED_FOR_COLOURS.items():
        monkeypatch.setenv(name, value)
    done = program(RAISES, tmp_path, {"PATH": f"{tmp_path}:/bin"})
    assert "ZeroDivisionError" in done.stderr
    assert "\x1b" not in done.stderr
