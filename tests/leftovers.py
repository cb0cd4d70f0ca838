"""Finds what a test's servers have left behind."""

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil

from nexus.services.process import wait_for

PATIENCE = 60.0
"""Seconds to wait for what takes a moment, on a machine that is busy with other things."""


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


def expect_nothing(directory: Path, seconds: float = PATIENCE) -> None:
    """Waits until no process and no file of a directory is left; says which, if any is."""

    def files() -> list[str]:
        return [str(path) for path in directory.iterdir()]

    try:
        # To look at every process of the machine takes time: once, if all is as it should be.
        wait_for(lambda: not files(), seconds, "every file to be gone")
        wait_for(lambda: not processes(directory), seconds, "every process to be gone")
    except TimeoutError:
        raise AssertionError(f"left behind: {processes(directory) + files()}") from None


def threads() -> set[threading.Thread]:
    """The running threads, without the keeper's own.

    The first server that a process starts begins that one, whichever test starts it, and it lasts.
    """
    return {thread for thread in threading.enumerate() if thread.name != "nexus-keeper"}


def no_threads_beyond(before: set[threading.Thread], seconds: float = PATIENCE) -> bool:
    """Waits until only these threads run; says which others do, if any does."""
    try:
        wait_for(lambda: threads() <= before, seconds, "its threads to end")
    except TimeoutError:
        raise AssertionError(f"left behind: {threads() - before}") from None
    return True


@contextlib.contextmanager
def run_directory() -> Iterator[Path]:
    """A short-named directory for servers' directories, as NEXUS_RUN_DIR, which must end empty."""
    with tempfile.TemporaryDirectory(prefix="nx-", dir="/tmp") as name:
        directory = Path(name).resolve()
        directory.chmod(0o755)
        yield directory
        expect_nothing(directory)
