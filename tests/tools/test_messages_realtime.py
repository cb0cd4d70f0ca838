"""What the rows on WebSockets, streams and channel layers say, the real programs say."""

import asyncio
import logging
import socket
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from channels_redis.core import RedisChannelLayer
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

import nexus
from nexus.services.process import wait_for
from nexus.services.web import Web
from tools import messages

ROWS = {row.id: row for group in messages.load() for row in group.rows}
PROVOKED = {
    "websockets-rejected",
    "channels-no-route",
    "uvicorn-websocket-400",
    "streaming-sync-iterator",
    "websockets-no-close-frame",
    "channels-over-capacity",
    "notify-payload-too-long",
}
SITE = """
import warnings
from channels.routing import URLRouter
from django.conf import settings

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], LOGGING_CONFIG=None)
import django

django.setup()
warnings.simplefilter("always")
from django.core.asgi import get_asgi_application
from django.http import StreamingHttpResponse
from django.urls import path

urlpatterns = [path("", lambda request: StreamingHttpResponse(iter(["a"])))]
http, websocket = get_asgi_application(), URLRouter([])


async def application(scope, receive, send):
    await (websocket if scope["type"] == "websocket" else http)(scope, receive, send)
"""


def is_said(name: str, text: str) -> None:
    assert messages.pattern(ROWS[name].message).search(text), text


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    folder: Path = tmp_path_factory.mktemp("site")
    (folder / "silent.py").write_text(SITE)
    # Its lifespan is refused, as by most Django projects.
    with nexus.serve("silent", interface="asgi", cwd=folder, options=["--lifespan=off"]) as running:
        yield running


def raised(url: str) -> str:
    """What a client raises, as a traceback shows it."""
    try:
        with connect(url, open_timeout=60) as client:
            client.recv(timeout=60)
    except WebSocketException as error:
        return "".join(traceback.format_exception_only(error))
    return "nothing was raised"


def test_a_path_without_a_route(site: Web) -> None:
    is_said("websockets-rejected", raised(site.url.replace("http", "ws") + "/ws/poll"))
    wait_for(lambda: "No route found" in site.log, 60, "the exception")
    is_said("channels-no-route", site.log)


def test_a_handshake_without_its_key(site: Web) -> None:
    hello = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    with socket.create_connection(("127.0.0.1", site.port), timeout=60) as wire:
        wire.sendall(f"{hello}Sec-WebSocket-Version: 13\r\n\r\n".encode())
        said = b""
        while chunk := wire.recv(4096):
            said += chunk
    is_said("uvicorn-websocket-400", said.decode())


def test_a_sync_iterator(site: Web) -> None:
    wait_for(lambda: "StreamingHttpResponse" in site.log, 60, "the warning of the first request")
    is_said("streaming-sync-iterator", site.log)


def test_a_connection_that_is_cut() -> None:
    """A server that answers the handshake, and closes without a close frame."""
    import base64
    import hashlib

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            wire, _ = listener.accept()
            with wire:
                text = wire.recv(4096).decode()
                (key,) = (
                    line.split(": ")[1]
                    for line in text.splitlines()
                    if line.startswith("Sec-WebSocket-Key")
                )
                whole = f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()
                accept = base64.b64encode(hashlib.sha1(whole).digest()).decode()
                wire.sendall(
                    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                    f"Upgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n".encode()
                )

        thread = threading.Thread(target=serve)
        thread.start()
        said = raised(f"ws://127.0.0.1:{listener.getsockname()[1]}/")
        thread.join()
    is_said("websockets-no-close-frame", said)


def test_a_channel_that_is_full(caplog: pytest.LogCaptureFixture) -> None:
    async def overfill(url: str) -> None:
        layer = RedisChannelLayer(hosts=[url], capacity=1)
        await layer.group_add("poll", await layer.new_channel())
        for _ in range(2):
            await layer.group_send("poll", {"type": "vote"})
        await layer.close_pools()

    with nexus.valkey(tcp=True) as server, caplog.at_level(logging.INFO):
        asyncio.run(overfill(server.url))
    is_said("channels-over-capacity", caplog.text)


def test_a_payload_that_is_too_long() -> None:
    with (
        nexus.postgres(fsync="off") as server,
        server.connect(autocommit=True) as connection,
        pytest.raises(psycopg.Error) as refused,
    ):
        connection.execute("SELECT pg_notify('votes', repeat('x', 8000))")
    is_said("notify-payload-too-long", f"ERROR:  {refused.value}".replace("  ", " "))
    assert refused.value.sqlstate == ROWS["notify-payload-too-long"].code
