"""How tasks fare: counted by a worker's main process, and served to Prometheus by it.

Celery's signals of failures are sent in the processes of the pool, each of which would count for
itself. The main process hears of every end, also of those of killed processes, in `Request`.
"""

import os
import threading
from typing import Any
from wsgiref.simple_server import make_server

import structlog
from billiard.einfo import ExceptionWithTraceback
from celery import bootsteps, current_app
from celery.exceptions import Ignore, Reject, Retry, WorkerLostError
from celery.signals import task_received, task_unknown, worker_ready
from celery.worker.request import Request as CeleryRequest
from django.conf import settings
from prometheus_client import CollectorRegistry, Counter, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer, _SilentHandler

from stays.operations.metrics import knows_token

logger = structlog.get_logger(__name__)

REGISTRY = CollectorRegistry()
"""Not the default one: the pool's processes count what is in that, and are forked while the thread
of the server may hold its locks."""
TASKS = Counter(
    "stays_tasks_total",
    "Tasks by what became of them: received (each retry is received again), retried, failed (for "
    "good), or lost (with the process that ran it; it is run again)",
    ["task", "outcome"],
    registry=REGISTRY,
)
OUTCOMES = ("received", "retried", "failed", "lost")
UNKNOWN = "unknown"
"""What a message is counted by whose task this worker does not have: it is thrown away."""


class EndsInTime(bootsteps.StartStopStep):  # type: ignore[misc]
    """Ends a worker for good that was told to end, or failed, and does not.

    After an error that it cannot recover from, Celery's main process may wait for ever for its
    pool. It does nothing then, and nobody starts it again, because it is still there.
    """

    requires = ("celery.worker.components:Pool",)

    def close(self, worker: Any) -> None:  # noqa: ARG002
        """Give the worker as long as a task may run, and a little more."""
        seconds = settings.CELERY_TASK_TIME_LIMIT + 10
        timer = threading.Timer(seconds, os._exit, [os.EX_SOFTWARE])
        timer.daemon = True
        timer.start()


class Request(CeleryRequest):  # type: ignore[misc]
    """A message that is being worked at. `stays.common.tasks.Task` names this class."""

    def on_failure(self, exc_info: Any, *args: Any, **options: Any) -> Any:
        """Count what did not succeed."""
        error = exc_info.exception
        if isinstance(error, ExceptionWithTraceback):
            error = error.exc
        if isinstance(error, Retry):
            count(self.name, "retried")
        elif isinstance(error, (WorkerLostError, SystemExit, KeyboardInterrupt)):
            count(self.name, "lost")
        elif not isinstance(error, (Ignore, Reject)):
            count(self.name, "failed")
        return super().on_failure(exc_info, *args, **options)


def count(task: str, outcome: str) -> None:
    """Count one more."""
    TASKS.labels(task, outcome).inc()


@task_received.connect
def count_received(request: Any, **_: Any) -> None:
    """Count a message that has come."""
    count(request.name, "received")


@task_unknown.connect
def count_unknown(**_: Any) -> None:
    """Count a message that nobody here can do anything with."""
    count(UNKNOWN, "failed")


def guarded(environ: dict[str, Any], start_response: Any) -> Any:
    """Answer Prometheus, if it knows METRICS_TOKEN."""
    if knows_token(environ.get("HTTP_AUTHORIZATION", "")):
        return make_wsgi_app(REGISTRY)(environ, start_response)
    start_response("401 Unauthorized", [("WWW-Authenticate", "Bearer"), ("Content-Length", "0")])
    return []


@worker_ready.connect
def serve(**_: Any) -> None:
    """Answer Prometheus from now on, in a thread, at WORKER_METRICS; if that is empty, nowhere.

    All tasks begin at 0: of a counter that begins at 1, Prometheus sees no increase, and the first
    failure would raise no alarm.
    """
    tasks = [name for name in current_app.tasks if not name.startswith("celery.")]
    for task in (*tasks, UNKNOWN):
        for outcome in OUTCOMES:
            TASKS.labels(task, outcome)
    host, _, port = settings.WORKER_METRICS.rpartition(":")
    if not port:
        return
    try:
        server = make_server(host, int(port), guarded, ThreadingWSGIServer, _SilentHandler)
    except OSError as error:  # without figures it can still work
        logger.error("worker_metrics_not_served", address=settings.WORKER_METRICS, error=str(error))
        return
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    logger.info("worker_metrics_served", address=f"{host}:{server.server_port}")
