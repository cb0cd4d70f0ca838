"""How does gunicorn serve a WSGI application: how many at once, how long, and how does it end?

gunicorn 25.1 or newer. Put this file where gunicorn starts: gunicorn finds it by its name. Name
your application in `wsgi_app`. Read from the environment: BIND, WEB_CONCURRENCY, WEB_THREADS.

Watch out:
* Workers times threads is the number of requests that are served at one time. It is also the number
  of connections that PostgreSQL must hold for each of these servers. If there are too many, clients
  see `FATAL: sorry, too many clients already`.
* `timeout` is not a limit on a request. It ends a worker whose main loop is silent. With threads, a
  request that hangs keeps its thread. Set a time-out where your code waits: `statement_timeout` for
  queries, `timeout=` for HTTP calls.
* Your platform must wait longer than `graceful_timeout` before it kills gunicorn:
  `stop_grace_period` in Compose, `terminationGracePeriodSeconds` in Kubernetes, `TimeoutStopSec` in
  systemd.
* A proxy in front must set X-Forwarded-Proto and X-Forwarded-For itself, whatever the client sent.
  Behind a proxy, the first address of a log line is the proxy, and the last field is the client.
  Without a proxy a client can write anything into that last field.
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
threads = int(os.environ.get("WEB_THREADS", "4"))  # of each process; a request that waits has one
preload_app = False  # forked workers must not share connections that the import has opened

timeout = 30  # seconds until a worker whose main loop is silent is replaced
graceful_timeout = 25  # seconds that running requests have when gunicorn is told to stop
keepalive = 75  # seconds; longer than the proxy keeps a connection, so that the proxy closes first
max_requests = 10_000  # then a new worker: a leak of memory ends here
max_requests_jitter = 1_000  # not all at the same time

# The heartbeat is a file. On a slow disk, a busy worker would look like a worker that hangs.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
control_socket_disable = True  # it would be made in the home directory, which may be read-only

accesslog = "-"  # on standard output, where your platform collects it
# Without the query, which may hold a token.
access_log_format = (
    '%(h)s "%(m)s %(U)s" %(s)s %(B)s bytes %(M)s ms %({x-request-id}i)s %({x-forwarded-for}i)s'
)


class OneLine(Logger):
    """Writes a path as it was sent. Decoded, a %0A in a path would begin a forged line."""

    def atoms(
        self, resp: object, req: Request, environ: dict[str, object], request_time: object
    ) -> dict[str, object]:
        """Return the parts that a log line can have."""
        told: dict[str, object] = super().atoms(resp, req, environ, request_time)
        return told | {"U": req.path}


logger_class = OneLine


def worker_abort(worker: object) -> None:  # noqa: ARG001
    """Log where each thread is, before a silent worker is replaced."""
    faulthandler.dump_traceback()
