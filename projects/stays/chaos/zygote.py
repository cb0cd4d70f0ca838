"""Starts the project's processes by forking itself, so that each restart costs no import.

It reads a line of JSON for each process: what it is called, and its command. A module of Python
runs in the fork, and an absolute path is executed. It answers with the process's id. At the end of
its input, which also comes when the program that started it is killed, it kills all of them.
"""

import ctypes
import json
import os
import runpy
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import django
import psutil

from local.tied import PR_SET_PDEATHSIG


def main(directory: Path) -> None:
    """Start what is asked for, until the end of the input."""
    import_all()
    print("ready", flush=True)  # noqa: T201
    signal.signal(signal.SIGCHLD, bury)
    started: list[int] = []
    for line in sys.stdin:
        name, *command = json.loads(line)
        pid = os.fork()
        if not pid:
            become(command, directory / f"{name}.log")
        started.append(pid)
        print(pid, flush=True)  # noqa: T201
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # no number gets free from now on
    ours = {child.pid for child in psutil.Process().children()}
    for pid in started:
        # The number of one that has ended was free, if its group has no member any more. A process
        # that has it now is a stranger's, and its group too.
        if pid in ours or not psutil.pid_exists(pid):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)


def import_all() -> None:
    """Import what the processes need. Nothing is connected to anything yet."""
    django.setup()
    for module in ("celery.bin.celery", "gunicorn.app.wsgiapp", "stays.celery", "stays.urls"):
        __import__(module)


def bury(*_: Any) -> None:
    """Take note of the ends of processes."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def become(command: list[str], log: Path) -> None:
    """Run a command in this process, which is a fork, and end with it."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number, file in enumerate((os.open(os.devnull, os.O_RDONLY), output, output)):
        os.dup2(file, number)
    status = 1
    try:
        if command[0].startswith("/"):
            os.execv(command[0], command)  # noqa: S606
        sys.argv = command
        runpy.run_module(command[0], run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
