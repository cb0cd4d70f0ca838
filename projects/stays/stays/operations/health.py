"""The probes: does the process live, and can it do its work?

`/healthz` asks nothing of others: a process is not to be killed because its database is down.
`/readyz` looks at what is needed. Without PostgreSQL, or with a migration missing, nothing works:
503. Without Valkey pages come uncached and tasks wait in the outbox: 200, and `degraded`.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import cache

import structlog
from django.conf import settings
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, HttpResponse, JsonResponse
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from stays.rest.problems import MEDIA_TYPE, only_reads, problem

PROBE = "ready:probe"
"""A key. One that is full, or cannot save, answers a PING, and refuses to be written to."""
SECONDS = 2.0  # for all checks together
Check = Callable[[], None]
logger = structlog.get_logger(__name__)


class NotMigrated(Exception):
    """The database lacks migrations that this code needs."""


def check_database() -> None:
    """Ask PostgreSQL something, on a connection of this check's own."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        connection.close()


def check_migrations() -> None:
    """Look whether every migration of this code is applied.

    More than that may be: before a deployment, the next version's migrations run first.

    Raises:
        NotMigrated: if one is missing.
    """
    try:
        missing = _migrations() - set(MigrationRecorder(connection).applied_migrations())
    finally:
        connection.close()
    if missing:
        raise NotMigrated(", ".join(sorted(".".join(name) for name in missing)))


@cache
def _migrations() -> frozenset[tuple[str, str]]:
    """Return the last migrations of every application. They do not change while a process lives."""
    return frozenset(MigrationLoader(None).graph.leaf_nodes())


def valkey(url: str) -> Redis:
    """Return a client that gives up soon."""
    once = Retry(NoBackoff(), 0)
    return Redis.from_url(url, socket_timeout=1.0, socket_connect_timeout=1.0, retry=once)


def check_valkey(url: str) -> None:
    """Write to a Valkey."""
    with valkey(url) as client:
        client.set(PROBE, 1, ex=10)


NEEDED: dict[str, Check] = {"database": check_database, "migrations": check_migrations}
USEFUL: dict[str, Check] = {
    "cache": lambda: check_valkey(settings.CACHES["default"]["LOCATION"]),
    "broker": lambda: check_valkey(settings.CELERY_BROKER_URL),
}
_running: dict[Check, "Future[None]"] = {}
_lock = threading.Lock()


def _begin(check: Check) -> "Future[None]":
    """Run a check in a thread of its own, unless it runs already.

    A server that takes connections and never answers can hold a thread for ever; so there is at
    most one for each check, which later requests wait for too, and none keeps the process alive.
    """
    with _lock:
        future = _running.get(check)
        if future is None or future.done():
            future = _running[check] = Future()
            threading.Thread(target=_run, args=(check, future), daemon=True).start()
        return future


def _run(check: Check, future: "Future[None]") -> None:
    try:
        check()
    except Exception as error:
        future.set_exception(error)
    else:
        future.set_result(None)


def results() -> dict[str, bool]:
    """Run all checks at once and return, by name, which are fine; in little more than SECONDS."""
    deadline = time.monotonic() + SECONDS
    futures = {name: _begin(check) for name, check in (NEEDED | USEFUL).items()}
    found = {}
    for name, future in futures.items():
        try:
            future.result(timeout=max(0.0, deadline - time.monotonic()))
            found[name] = True
        except Exception as error:
            logger.warning("check_failed", check=name, error=f"{type(error).__name__}: {error}")
            found[name] = False
    return found


@only_reads
def alive(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """`/healthz`: the process answers."""
    return _uncached(JsonResponse({"status": "ok"}))


@only_reads
def ready(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """`/readyz`: what is needed is there. A client is told which check failed, not why."""
    found = results()
    checks = {name: "ok" if fine else "down" for name, fine in found.items()}
    if not all(found[name] for name in NEEDED):
        body = problem(503, "not_ready", "Something that every request needs is down.")
        return _uncached(
            JsonResponse(body | {"checks": checks}, status=503, content_type=MEDIA_TYPE)
        )
    status = "ok" if all(found.values()) else "degraded"
    return _uncached(JsonResponse({"status": status, "checks": checks}))


def _uncached(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "no-store"
    return response


PROBES: dict[str, Callable[[HttpRequest], HttpResponse]] = {"/healthz": alive, "/readyz": ready}
