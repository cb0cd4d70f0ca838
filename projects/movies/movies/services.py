"""What lives as long as the process: the clients of TMDb and of Valkey."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import redis.asyncio
from django.conf import settings

from movies.outside import Breaker, Outside, Policy
from movies.stale import StaleCache, Windows
from movies.tmdb import Tmdb


@dataclass(frozen=True)
class Services:
    """All of them."""

    valkey: "redis.asyncio.Redis"
    outside: Outside
    cache: StaleCache
    tmdb: Tmdb


_running: list[Services] = []


def services() -> Services:
    """Return those of this process."""
    return _running[-1]


@asynccontextmanager
async def running() -> AsyncIterator[Services]:
    """Have them until the block ends. Each belongs to the event loop that it was made in."""
    given = settings.OUTSIDE
    async with (
        httpx.AsyncClient(
            base_url=f"{settings.TMDB_URL.rstrip('/')}/3/",
            # In a header: addresses end up in logs.
            headers={
                "Authorization": f"Bearer {settings.TMDB_TOKEN}",
                "Accept": "application/json",
                "Accept-Encoding": "identity",  # what is packed small may be large
            },
            timeout=httpx.Timeout(given["read"], connect=given["connect"]),
            limits=httpx.Limits(
                max_connections=given["connections"],
                max_keepalive_connections=given["connections"] // 2,
            ),
            trust_env=False,
        ) as client,
        redis.asyncio.Redis.from_url(
            settings.VALKEY_URL, socket_timeout=1, socket_connect_timeout=0.5
        ) as valkey,
    ):
        outside = Outside(
            client,
            breaker=Breaker(given["failures"], given["open"]),
            policy=Policy(given["deadline"], given["attempts"]),
        )
        cache = StaleCache(
            valkey, windows=Windows(**settings.KEPT), patience=given["deadline"] + 0.5
        )
        own = Services(valkey, outside, cache, Tmdb(outside, cache))
        _running.append(own)
        try:
            yield own
        finally:
            await cache.close()
            _running.remove(own)
