"""Finds what a test's servers have left behind."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from nexus.services.process import wait_for


def processes(directory: Path) -> list[str]:
    """Running processes with a directory in their command, working directory or environment."""
    needle = str(directory)
    found = []
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        traces = []
        for look in (process.cmdline, process.environ, process.cwd):
            with contextlib.suppress(psutil.Error, OSError):
                traces.append(str(look()))
        if any(needle in trace for trace in traces) and process.is_running():
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.status() != psutil.STATUS_ZOMBIE:
                    found.append(f"{process.pid} {' '.join(process.cmdline())[:80]}")
    return found


def expect_nothing(directory: Path, seconds: float = 15) -> None:
    """Waits until no process and no file of a directory is left; says which, if any is."""

    def left() -> list[str]:
        return processes(directory) + [str(path) for path in directory.iterdir()]

    try:
        wait_for(lambda: not left(), seconds, "everything to be gone")
    except TimeoutError:
        raise AssertionError(f"left behind: {left()}") from None


@contextlib.contextmanager
def run_directory() -> Iterator[Path]:
    """A short-named directory for servers' directories, as NEXUS_RUN_DIR, which must end empty."""
    with tempfile.TemporaryDirectory(prefix="nx-", dir="/tmp") as name:
        directory = Path(name).resolve()
        directory.chmod(0o755)
        yield directory
        expect_nothing(directory)
