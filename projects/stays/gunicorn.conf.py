"""How gunicorn serves the project. It finds this file by itself, in the directory it starts in.

Environment: BIND, WEB_CONCURRENCY (processes), WEB_THREADS (threads of each), LOG_FORMAT,
LOG_LEVEL, PROMETHEUS_MULTIPROC_DIR.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

from stays.operations import logs

wsgi_app = "stays.wsgi"
bind = os.environ.get("BIND", "127.0.0.1:8000")

workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
worker_class = "gthread"
threads = int(os.environ.get("WEB_THREADS", "4"))
preload_app = False  # a forked worker must not inherit connections, or the thread of the traces
timeout = 30  # seconds until a worker that does not report is killed
graceful_timeout = 25  # seconds that running requests have when it is to end
keepalive = 5  # seconds; a proxy in front should close first
max_requests = 10_000  # then a worker is replaced, so that no leak lasts
max_requests_jitter = 1_000  # not all at the same time

# The heartbeat's file must not be on a disk: a slow one would look like a hanging worker.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108

accesslog = None  # stays.operations.middleware writes a line about each request
control_socket_disable = True  # it would be made in the home directory, which may be read-only
logconfig_dict = logs.configuration(
    form=os.environ.get("LOG_FORMAT", "json"), level=os.environ.get("LOG_LEVEL", "INFO")
) | {"loggers": {name: {"handlers": [], "propagate": True} for name in ("gunicorn.error",)}}

# -- Metrics: each worker counts in files of its own, and any of them can add all up.
_own_directory = "PROMETHEUS_MULTIPROC_DIR" not in os.environ
if _own_directory:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="stays-metrics-")
_directory = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])


def on_starting(server: Any) -> None:  # noqa: ARG001
    """Forget what an earlier gunicorn counted; not on a reload, when workers still count."""
    _directory.mkdir(parents=True, exist_ok=True)
    for file in _directory.glob("*.db"):
        file.unlink()


def pre_fork(server: Any, worker: Any) -> None:
    """Give the worker the lowest number that no living one has.

    By default the files are named by the process's id, and those of dead workers stay, or the
    counters would go back: each replaced worker would leave some for ever.
    """
    taken = {other.slot for other in server.WORKERS.values()}
    worker.slot = next(slot for slot in range(len(taken) + 1) if slot not in taken)


def post_fork(server: Any, worker: Any) -> None:  # noqa: ARG001
    """Have the worker count under its number. The application is not loaded yet."""
    from prometheus_client import values

    values.ValueClass = values.MultiProcessValue(lambda: worker.slot)


def child_exit(server: Any, worker: Any) -> None:  # noqa: ARG001
    """Take back the gauges of a worker that has ended; its counters stay, for the next one."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.slot)


def on_exit(server: Any) -> None:  # noqa: ARG001
    """Remove the directory, if it was made here."""
    if _own_directory:
        for file in _directory.glob("*.db"):
            file.unlink()
        _directory.rmdir()
