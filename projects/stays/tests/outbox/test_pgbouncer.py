"""The project behind pgbouncer, which hands out a connection for one transaction at a time.

A session then has nothing of its own: neither what a connection was opened with, nor what was set
in it. With three connections for all, two requests of one process seldom get the same.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import psycopg
import pytest
from django.db import connection, transaction
from django.utils import timezone
from zeal import zeal_ignore

from stays.bookings.models import Booking
from tests.accounts.tokens import log_in
from tests.factories import day, make_booking, make_property, make_user
from tests.outbox.conftest import BROKER
from tests.outbox.test_worker import work  # noqa: F401
from tests.programs import DEADLINE, ROOT, Program, Start, wait_for

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not PGBOUNCER, reason="pgbouncer (Debian: pgbouncer) is not installed"),
]
ROLE = "behind_pgbouncer"
CONNECTIONS = 3


@dataclass
class Pooler:
    """pgbouncer, in transaction mode."""

    directory: Path
    port: int
    processes: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    @property
    def url(self) -> str:
        """What DATABASE_URL is behind it."""
        name = connection.settings_dict["NAME"]
        options = "conn_max_age=0&disable_server_side_cursors=true"
        return f"postgresql://{ROLE}@127.0.0.1:{self.port}/{name}?{options}"

    def start(self) -> None:
        """Start it, and wait until it passes something on."""
        server = urlsplit(os.environ["DATABASE_URL"])
        query = parse_qs(server.query)
        host = server.hostname or query["host"][0]
        port = server.port or query.get("port", ["5432"])[0]
        configuration = self.directory / "pgbouncer.ini"
        configuration.write_text(
            f"""
[databases]
* = host={host} port={port} user={ROLE}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {CONNECTIONS}
server_login_retry = 1
ignore_startup_parameters = options
"""
        )
        command = [str(PGBOUNCER), "--quiet", str(configuration)]
        if os.geteuid() == 0:  # which it refuses to run as
            command.append("--user=" + (Path(host).owner() if host[0] == "/" else "nobody"))
        self.processes.append(subprocess.Popen(command))
        wait_for(self._answers)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url.partition("?")[0]).close()
        except psycopg.OperationalError:
            return False
        return True

    def kill(self) -> None:
        """Kill it, with all connections."""
        process = self.processes.pop()
        process.kill()
        process.wait()


def server(statement: str) -> None:
    """Have the server do something, as its superuser."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as superuser:
        superuser.execute(statement)


@pytest.fixture
def pooler(tmp_path: Path) -> Iterator[Pooler]:
    """A running pgbouncer. The limits are set for the role, as .env.example asks for."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    pooler = Pooler(tmp_path, port)
    server(f"CREATE ROLE {ROLE} SUPERUSER LOGIN")
    server(f"ALTER ROLE {ROLE} SET statement_timeout = '20s'")
    server(f"ALTER ROLE {ROLE} SET lock_timeout = '2s'")
    try:
        pooler.start()
        yield pooler
    finally:
        if pooler.processes:
            pooler.kill()
        server(f"DROP ROLE {ROLE}")


def check(pooler: Pooler) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "manage.py", "check", "--database=default"],
        env=os.environ | {"DATABASE_URL": pooler.url, "DJANGO_SETTINGS_MODULE": "stays.settings"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )


def test_it_is_told_if_the_limits_do_not_arrive(pooler: Pooler) -> None:
    good = check(pooler)
    assert good.returncode == 0, good.stderr
    server(f"ALTER ROLE {ROLE} RESET ALL")
    pooler.kill()  # its connections still have the limits
    pooler.start()
    bad = check(pooler)
    assert bad.returncode == 1
    assert "The database did not take lock_timeout and statement_timeout." in bad.stderr


@dataclass(frozen=True)
class Site:
    """gunicorn, and a client that tries again what was refused because something is down."""

    url: str

    def post(self, path: str, token: str, key: str, body: Any = None) -> int:
        """Return the status that is not 503, and not the end of a connection."""
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}

        def status() -> int | None:
            try:
                answer = httpx.post(
                    f"{self.url}/api/v1{path}", headers=headers, json=body or {}, timeout=DEADLINE
                )
            except httpx.TransportError:
                return None
            return None if answer.status_code == 503 else answer.status_code

        found: int = wait_for(status)
        return found


@pytest.fixture
def site(pooler: Pooler, start: Start) -> Site:
    """gunicorn behind pgbouncer."""
    gunicorn = start(
        "gunicorn",
        WEB_CONCURRENCY="2",
        DATABASE_URL=pooler.url,
        BROKER_URL=BROKER,
    )
    return Site(gunicorn.url())


def at_once(actions: list[Callable[[], int]]) -> list[int]:
    with ThreadPoolExecutor(len(actions)) as pool:
        return [future.result() for future in [pool.submit(action) for action in actions]]


@zeal_ignore()
def test_of_twelve_guests_who_book_a_night_one_gets_it_and_locks_are_not_waited_for(
    site: Site,
) -> None:
    place = make_property()
    wish = {
        "property": place.slug,
        "check_in": day(5).isoformat(),
        "check_out": day(6).isoformat(),
        "guests": 1,
    }
    tokens = [log_in(make_user()).access for _ in range(12)]

    def book(token: str) -> Callable[[], int]:
        return lambda: site.post("/bookings", token, "one", wish)

    assert Counter(at_once([book(token) for token in tokens])) == {201: 1, 409: 11}
    assert sorted(at_once([book(token) for token in tokens])) == [201] + [409] * 11  # the same keys
    assert Booking.objects.count() == 1
    with transaction.atomic():
        type(place).objects.select_for_update().get(id=place.id)
        answer = httpx.post(
            f"{site.url}/api/v1/bookings",
            headers={"Authorization": f"Bearer {tokens[0]}"},
            json=wish | {"check_in": day(7).isoformat(), "check_out": day(8).isoformat()},
            timeout=DEADLINE,
        )
    assert (answer.status_code, answer.json()["code"]) == (503, "busy")


@zeal_ignore()
def test_nothing_is_lost_when_pgbouncer_is_killed(
    site: Site,
    pooler: Pooler,
    work: Callable[..., Program],  # noqa: F811
) -> None:
    worker = work("prefork", DATABASE_URL=pooler.url)
    place = make_property()
    token = log_in(place.host).access
    bookings = [
        make_booking(property=place, check_in=10 * n, paid_at=timezone.now()) for n in range(1, 13)
    ]

    def confirm(booking: Booking) -> Callable[[], int]:
        return lambda: site.post(f"/bookings/{booking.id}/confirm", token, str(booking.id))

    assert at_once([confirm(booking) for booking in bookings[:6]]) == [200] * 6
    with ThreadPoolExecutor(1) as pool:
        pooler.kill()
        others = pool.submit(at_once, [confirm(booking) for booking in bookings[6:]])
        wait_for(lambda: worker.process.poll() is None)
        pooler.start()
        assert others.result() == [200] * 6
    wait_for(lambda: not Booking.objects.filter(confirmation_sent_at=None).exists())
    # One that was sent and could not be noted is sent again, with the same Message-ID.
    told = set(
        re.findall(r"^Message-ID: <confirmed\.([0-9a-f-]{36})@", worker.text(), re.MULTILINE)
    )
    assert told == {str(booking.id) for booking in bookings}
