"""How does gunicorn serve a WSGI application: how many at once, how long, and how does it end?

gunicorn 25.1 or newer. Put it where gunicorn starts, which finds it by its name, and name your
application in `wsgi_app`. Read from the environment: BIND, WEB_CONCURRENCY, WEB_THREADS.

Watch out:
* Workers times threads is how many requests are in work at one time, and how many connections
  PostgreSQL has to hold for each of these servers.
* `timeout` is not a limit for a request. It ends a worker whose main loop is silent; with threads,
  a request that hangs keeps its thread. Give what it waits for a time-out: queries, HTTP calls.
* Whoever starts it has to wait longer than `graceful_timeout` before killing it:
  `stop_grace_period` in Compose, `terminationGracePeriodSeconds` in Kubernetes, `TimeoutStopSec` in
  systemd.
* A proxy in front has to set X-Forwarded-Proto itself, and let no client do it.
"""

import faulthandler
import os
from pathlib import Path

from gunicorn.glogging import Logger
from gunicorn.http.message import Request

wsgi_app = "mysite.wsgi"
bind = os.environ.get("BIND", "127.0.0.1:8000")

workers = int(os.environ.get("WEB_CONCURRENCY", "2"))  # processes: about one a core
worker_class = "gthread"
threads = int(os.environ.get("WEB_THREADS", "4"))  # of each process, for requests that wait
preload_app = False  # forked workers must not share connections that the import has opened

timeout = 30  # seconds until a worker whose main loop is silent is replaced
graceful_timeout = 25  # seconds that requests under way have when it is to end
keepalive = 75  # seconds; longer than the proxy keeps a connection, so that the proxy closes first
max_requests = 10_000  # then a worker is replaced, so that no leak lasts
max_requests_jitter = 1_000  # not all at the same time

# The heartbeat is a file. On a slow disk, a worker that works would look like one that hangs.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
control_socket_disable = True  # it would be made in the home directory, which may be read-only

accesslog = "-"  # on standard output, for whoever runs the process to collect
access_log_format = '%(h)s "%(m)s %(U)s" %(s)s %(B)s bytes %(M)s ms %({x-request-id}i)s'  # no query


class OneLine(Logger):
    """Writes a path as it was sent: decoded, a %0A in it would begin a line that never was."""

    def atoms(
        self, resp: object, req: Request, environ: dict[str, object], request_time: object
    ) -> dict[str, object]:
        """Return what a line can tell of a request."""
        told: dict[str, object] = super().atoms(resp, req, environ, request_time)
        return told | {"U": req.path}


logger_class = OneLine


def worker_abort(worker: object) -> None:  # noqa: ARG001
    """Say where each thread is, in a worker that is replaced because it was silent."""
    faulthandler.dump_traceback()
