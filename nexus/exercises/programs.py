"""An answer that is a program: run apart from the kernel, with an end, and nothing left of it."""

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from nexus.exercises.judging import NotYet

SECONDS = 20.0
"""How long a program may take."""


def program(
    command: list[str], folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Runs a program in a session of its own; nothing of it is left afterwards.

    Raises:
        NotYet: if it takes too long.
    """
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
            env=own | {"PYTHONDONTWRITEBYTECODE": "1"} | dict(environment),
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
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(
            command, process.returncode, out.read(100_000), err.read(100_000)
        )


def last_line(text: str) -> str:
    """The end of a traceback, without the places of files."""
    lines = text.strip().splitlines() or ["it ended without a word"]
    return re.sub(r" \(/[^)]*\)", "", lines[-1])[:300]
