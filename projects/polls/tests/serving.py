"""The ASGI application as a server calls it, and streams that are read event by event."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from polls.asgi import application

SECONDS = 300  # a guard against hanging


class Exchange:
    """One request and what comes back."""

    def __init__(self, address: str, method: str = "GET", **headers: str) -> None:
        path, _, query = address.partition("?")
        named = {"host": "testserver"} | {
            name.replace("_", "-").lower(): value for name, value in headers.items()
        }
        self.scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in named.items()],
            "server": ("testserver", 80),
            "client": ("192.0.2.1", 50_000),
            "http_version": "1.1",
            "scheme": "http",
        }
        self.body: asyncio.Queue[bytes] = asyncio.Queue()
        self.sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.gone = asyncio.Event()
        self.chunks: list[bytes] = []

    async def receive(self) -> dict[str, Any]:
        if not self.body.empty():
            chunk = await self.body.get()
            more = not self.body.empty()
            return {"type": "http.request", "body": chunk, "more_body": more}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        await self.sent.put(dict(message))

    async def next(self) -> dict[str, Any]:
        return await asyncio.wait_for(self.sent.get(), SECONDS)

    async def chunk(self) -> str | None:
        """The next part of the body; None at its end."""
        message = await self.next()
        text = message.get("body", b"").decode()
        return text if message.get("more_body") else None

    async def event(self) -> dict[str, str]:
        """The next event, without comments."""
        while (text := await self.chunk()) is not None:
            lines = [line for line in text.splitlines() if line and not line.startswith(":")]
            fields = dict(line.split(": ", 1) for line in lines)
            if "data" in fields:
                return fields
        return {}

    async def total(self) -> int:
        return int(json.loads((await self.event())["data"])["total"])


@asynccontextmanager
async def exchange(
    address: str, method: str = "GET", *, body: tuple[bytes, ...] = (b"",), **headers: str
) -> AsyncIterator[tuple[Exchange, int]]:
    """Send a request and yield it with its status; at the end of the block the client is gone."""
    one = Exchange(address, method, **headers)
    for part in body:
        one.body.put_nowait(part)
    task = asyncio.create_task(application(one.scope, one.receive, one.send))
    try:
        start = await one.next()
        one.headers = {k.decode().lower(): v.decode() for k, v in start["headers"]}
        yield one, start["status"]
    finally:
        one.gone.set()
        await asyncio.wait_for(task, SECONDS)
