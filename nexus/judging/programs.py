"""An answer that is a program: run apart from the kernel, with an end, and nothing left of it."""

import os
import re
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from nexus.judging.verdict import NotYet
from nexus.services.surroundings import plain

SECONDS = 20.0
"""How long a program may take."""

MARK = "NEXUS_PROGRAM"
"""A variable that a program and all it starts have, so that they are found afterwards."""


SHELLS = {
    None: "bash -e {0}",
    "bash": "bash --noprofile --norc -eo pipefail {0}",
    "sh": "sh -e {0}",
    "python": "python {0}",
}
"""How GitHub's runner calls a shell; None is for a step that names none."""


def program(
    command: list[str], folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Runs a program in a session of its own; nothing of it is left afterwards.

    Raises:
        NotYet: if it takes too long.
    """
    mark = uuid.uuid4().hex
    # A title that setproctitle gives a process otherwise overwrites the mark in its environment.
    marked = {MARK: mark, "SPT_NOENV": "1"}
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DJANGO", "PYTHON", "PG"))
    }
    with (
        tempfile.TemporaryFile("w+") as out,
        tempfile.TemporaryFile("w+") as err,
        subprocess.Popen(
            command,
            cwd=folder,
            env=plain(own | {"PYTHONDONTWRITEBYTECODE": "1"} | dict(environment) | marked),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        ) as process,
    ):
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            raise NotYet(f"it had not come to an end after {SECONDS:g} seconds") from None
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            _end_all_with(mark)
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(
            command, process.returncode, out.read(100_000), err.read(100_000)
        )


def _end_all_with(mark: str) -> None:
    """Ends what a program has left in sessions of its own.

    It looks until it has found nobody twice: a process that is just becoming another program has
    no environment to be read for a moment.
    """
    clean = 0
    while clean < 2:
        found = [process for process in psutil.process_iter() if _has(process, mark)]
        for process in found:
            with suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(found, timeout=1)
        clean = 0 if found else clean + 1
        time.sleep(0.02)


def _has(process: psutil.Process, mark: str) -> bool:
    with suppress(psutil.Error, OSError):
        return bool(process.environ().get(MARK) == mark)
    return False


def last_line(text: str) -> str:
    """The end of a traceback, without the places of files."""
    lines = text.strip().splitlines() or ["it ended without a word"]
    return re.sub(r" \(/[^)]*\)", "", lines[-1])[:300]
