"""A cache in Valkey that answers when the outside does not, and asks the outside once.

An entry passes through three windows, named as in RFC 5861:

- fresh: it is the answer;
- stale-while-revalidate: it is the answer, and one request asks the outside behind it;
- stale-if-error: the outside is asked first, and the entry is the answer if that fails.

Single flight has two levels. Inside a process, all who miss wait for one task. Between processes, a
lock in Valkey says who asks. Who gets the lock reads once more: the one before may just have stored
what is missing. Without that second look, one miss in many makes a second request.
"""

import asyncio
import json
import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

import redis.asyncio
from redis.exceptions import RedisError

from movies.outside import NotFound, OutsideError

logger = logging.getLogger(__name__)
State = Literal["fetched", "fresh", "stale", "stale-if-error"]
Value = dict[str, Any]
Fetch = Callable[[], Awaitable[Value]]

POLL = 0.02
"""Seconds between looks of a process that waits for another one's answer."""
UNLOCK = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end"
"""Deletes a lock if it is still ours. One that ended by itself may be another's by now."""


@dataclass(frozen=True)
class Windows:
    """How long an entry is good for, in seconds. Each window begins where the last one ends.

    Attributes:
        fresh: It is the answer.
        while_revalidate: It is the answer, and is asked for anew.
        if_error: It is the answer if the outside gives none.
        absent: So long we believe that there is no such thing.
        failure: So long nobody asks again after a failure.
    """

    fresh: float
    while_revalidate: float
    if_error: float
    absent: float
    failure: float


@dataclass(frozen=True)
class Entry:
    """What the outside said, and when. None: it said that there is no such thing."""

    value: Value | None
    fetched_at: float


@dataclass(frozen=True)
class Found:
    """An answer, with its age in seconds."""

    value: Value
    fetched_at: float
    age: float
    state: State


class StaleCache:
    """The cache.

    Args:
        valkey: Its server. Without it everything is asked for, once for each process at a time.
        windows: How long entries are good for.
        patience: Seconds that a request may take. A lock outlives it a little, so that the death
            of its holder stops nobody for long.
        clock: The time of day, which processes share.
    """

    def __init__(
        self,
        valkey: "redis.asyncio.Redis",
        *,
        windows: Windows,
        patience: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._valkey = valkey
        self._windows = windows
        self._patience = patience
        self._clock = clock
        self._flights: dict[str, asyncio.Task[Entry]] = {}

    async def get(self, key: str, fetch: Fetch) -> Found:
        """Return what is behind a key.

        Args:
            key: Its name.
            fetch: Asks the outside.

        Raises:
            NotFound: If the outside says, or lately said, that there is no such thing.
            OutsideError: If the outside gives no answer, and none is kept.
        """
        kept = await self._read(key)
        if kept is None:
            return self._found(await self._fly(key, fetch), "fetched")
        age = self._clock() - kept.fetched_at
        if kept.value is None or age < self._windows.fresh:
            return self._found(kept, "fresh")
        if age < self._windows.fresh + self._windows.while_revalidate:
            self._take_off(key, fetch)
            return self._found(kept, "stale")
        try:
            return self._found(await self._fly(key, fetch), "fetched")
        except OutsideError as error:
            logger.warning("%s is answered with an age of %.0f s: %s", key, age, error)
            return self._found(kept, "stale-if-error")

    async def close(self) -> None:
        """Let the requests that are under way end."""
        await asyncio.gather(*self._flights.values(), return_exceptions=True)

    def _found(self, entry: Entry, state: State) -> Found:
        if entry.value is None:
            raise NotFound
        age = max(self._clock() - entry.fetched_at, 0.0)
        return Found(entry.value, entry.fetched_at, age, state)

    async def _fly(self, key: str, fetch: Fetch) -> Entry:
        """Wait for the one flight. A client that goes away does not end it for the others."""
        return await asyncio.shield(self._take_off(key, fetch))

    def _take_off(self, key: str, fetch: Fetch) -> "asyncio.Task[Entry]":
        """Return the flight for this key in this process: the one under way, or a new one."""
        if (flight := self._flights.get(key)) is None:
            flight = asyncio.create_task(self._lead(key, fetch))
            self._flights[key] = flight
            flight.add_done_callback(lambda done: self._land(key, done))
        return flight

    def _land(self, key: str, flight: "asyncio.Task[Entry]") -> None:
        del self._flights[key]
        if not flight.cancelled() and (error := flight.exception()):
            logger.info("%s was not fetched: %s", key, error)

    async def _lead(self, key: str, fetch: Fetch) -> Entry:
        """Ask the outside if no other process does, or else wait for what that one stores."""
        token = uuid.uuid4().hex
        began = time.monotonic()
        while time.monotonic() - began < self._patience:
            try:
                if reason := await self._valkey.get(f"failure:{key}"):
                    raise OutsideError(
                        reason if isinstance(reason, str) else reason.decode(errors="replace")
                    )
                lease = int((self._patience + 1) * 1000)
                won = await self._valkey.set(f"lock:{key}", token, nx=True, px=lease)
            except RedisError as error:
                logger.warning("Valkey does not answer: %s", error)
                return await self._ask(key, fetch)
            if won:
                try:
                    return await self._current(key) or await self._ask(key, fetch)
                finally:
                    await self._unlock(key, token)
            await asyncio.sleep(POLL)
            if current := await self._current(key):
                return current
        raise OutsideError("another process asks, and has no answer yet")

    async def _current(self, key: str) -> Entry | None:
        """Return what is kept if it is fresh."""
        kept = await self._read(key)
        if kept and (kept.value is None or self._clock() - kept.fetched_at < self._windows.fresh):
            return kept
        return None

    async def _ask(self, key: str, fetch: Fetch) -> Entry:
        """Ask the outside, and store what came of it: the answer, the absence or the failure."""
        try:
            entry = Entry(await fetch(), self._clock())
            keep = self._windows.fresh + self._windows.while_revalidate + self._windows.if_error
        except NotFound:
            entry, keep = Entry(None, self._clock()), self._windows.absent
        except OutsideError as error:
            await self._write(f"failure:{key}", str(error)[:200], self._windows.failure)
            raise
        await self._write(f"entry:{key}", json.dumps([entry.value, entry.fetched_at]), keep)
        return entry

    async def _read(self, key: str) -> Entry | None:
        """Return what is kept. What cannot be read is not kept."""
        try:
            text = await self._valkey.get(f"entry:{key}")
            return Entry(*json.loads(text)) if text else None
        except (RedisError, ValueError, TypeError) as error:
            logger.warning("nothing kept of %s can be read: %s", key, error)
            return None

    async def _write(self, name: str, text: str, seconds: float) -> None:
        try:
            await self._valkey.set(name, text, px=max(int(seconds * 1000), 1))
        except RedisError as error:
            logger.warning("%s was not stored: %s", name, error)

    async def _unlock(self, key: str, token: str) -> None:
        try:
            await self._valkey.eval(UNLOCK, 1, f"lock:{key}", token)
        except RedisError as error:
            logger.warning("the lock of %s ends by itself: %s", key, error)
