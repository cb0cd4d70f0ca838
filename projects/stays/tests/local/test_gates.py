import os
import signal
import sys
from pathlib import Path

import pytest

from local.gates import Gate, Running, Stopped, run_all

WAIT = """
import pathlib, sys, time
end = time.monotonic() + 30
while not pathlib.Path(sys.argv[1]).exists():
    assert time.monotonic() < end
    time.sleep(0.01)
"""
TOUCH = "import pathlib, sys; pathlib.Path(sys.argv[1]).touch()"
SLEEP = "import time; print('here', flush=True); time.sleep(600)"


def gate(name: str, code: str, *arguments: object) -> Gate:
    return Gate(name, (sys.executable, "-c", code, *map(str, arguments)), "its number")


def test_the_tests_run_beside_the_others_and_what_tells_of_them_after(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    gates = [
        gate("ruff", WAIT, one),
        gate("mypy", TOUCH, other),
        gate("tests", TOUCH + WAIT, one),
        gate("coverage", "import pathlib, sys; assert pathlib.Path(sys.argv[1]).exists()", one),
        gate("services", WAIT, other),
        gate("zizmor", "print('why'); raise SystemExit(3)"),
    ]
    held = run_all(gates, os.environ)
    assert list(held) == [each.name for each in gates]
    assert [name for name, holds in held.items() if not holds] == ["zizmor"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[[line.split()[0] for line in lines].index("zizmor") + 1] == "why"
    assert sum(line.endswith("its number") for line in lines) == 5


def test_all_end_together_and_none_begins_after() -> None:
    running, ended = Running(), []

    def interrupted() -> None:
        with running.program((sys.executable, "-c", SLEEP), os.environ) as program:
            assert program.stdout
            program.stdout.readline()
            running.end()
            ended.append(program.wait(30))

    with pytest.raises(Stopped):
        interrupted()
    assert ended == [-signal.SIGTERM]
    with pytest.raises(Stopped):
        interrupted()
    assert len(ended) == 1
