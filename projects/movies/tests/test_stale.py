"""The cache: its windows, and single flight in one process and between several."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis
import redis.asyncio
from django.conf import settings

from fake_tmdb.program import Fake
from movies.outside import NotFound, OutsideError
from movies.services import running, services
from movies.stale import Found, StaleCache, Windows
from tests.conftest import run

WINDOWS = Windows(fresh=10, while_revalidate=100, if_error=1000, absent=10, failure=5)


class Source:
    """An outside that says what it is told to say, and counts."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: Exception | None = None
        self.gate: asyncio.Event | None = None

    async def __call__(self) -> dict[str, Any]:
        self.asked += 1
        if self.gate:
            await self.gate.wait()
        if self.error:
            raise self.error
        return {"number": self.asked}


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def caching(
    clock: Clock | None = None, url: str = "", patience: float = 5.0
) -> AsyncIterator[StaleCache]:
    async with redis.asyncio.Redis.from_url(url or settings.VALKEY_URL) as client:
        cache = StaleCache(client, windows=WINDOWS, patience=patience, clock=clock or Clock())
        yield cache
        await cache.close()


def test_each_window_does_what_its_name_says(valkey: "redis.Redis") -> None:
    async def action() -> None:
        clock, source = Clock(), Source()
        async with caching(clock) as cache:

            async def get() -> tuple[str, int, float]:
                found = await cache.get("k", source)
                return found.state, found.value["number"], round(found.age)

            assert await get() == ("fetched", 1, 0)
            clock.now += 9
            assert await get() == ("fresh", 1, 9)
            assert source.asked == 1
            clock.now += 2  # no longer fresh: the old one now, a new one behind it
            assert await get() == ("stale", 1, 11)
            await cache.close()
            assert source.asked == 2
            assert await get() == ("fresh", 2, 0)
            clock.now += 111  # too old for that: it is asked for first
            assert await get() == ("fetched", 3, 0)
            source.error = OutsideError("down")
            clock.now += 50
            assert await get() == ("stale", 3, 50)
            await cache.close()
            clock.now += 500
            assert await get() == ("stale-if-error", 3, 550)

    run(action)
    [name] = valkey.keys("entry:*")
    assert 1000 < valkey.ttl(name) <= 1110


def test_a_failure_is_shared_for_a_while(valkey: "redis.Redis") -> None:
    async def action() -> None:
        source = Source()
        source.error = OutsideError("down")
        async with caching() as cache:
            for _ in range(3):
                with pytest.raises(OutsideError, match="down"):
                    await cache.get("k", source)
            assert source.asked == 1
            valkey.delete("failure:k")
            source.error = None
            assert (await cache.get("k", source)).value == {"number": 2}

    run(action)


def test_that_there_is_no_such_thing_is_kept_too(valkey: "redis.Redis") -> None:
    async def action() -> None:
        source = Source()
        source.error = NotFound("k")
        async with caching() as cache:
            for _ in range(3):
                with pytest.raises(NotFound):
                    await cache.get("k", source)
        assert source.asked == 1

    run(action)
    assert 0 < valkey.ttl("entry:k") <= 10


def test_a_hundred_who_miss_at_once_ask_once() -> None:
    async def action() -> list[Found]:
        source = Source()
        source.gate = asyncio.Event()
        async with caching() as cache:
            waiting = [asyncio.create_task(cache.get("k", source)) for _ in range(100)]
            while not source.asked:
                await asyncio.sleep(0.01)
            source.gate.set()
            found = await asyncio.gather(*waiting)
            assert source.asked == 1
            return found

    assert [found.value for found in run(action)] == [{"number": 1}] * 100


def test_a_hundred_in_four_processes_ask_once(fake: Fake) -> None:
    """Four event loops with clients of their own, as four processes have them."""
    fake.behave(then={"kind": "slow", "seconds": 0.3})
    barrier = threading.Barrier(4)

    async def action() -> list[Found]:
        async with running() as own:
            await asyncio.to_thread(barrier.wait, 30)
            return list(await asyncio.gather(*(own.tmdb.trending("week", 1) for _ in range(25))))

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(asyncio.run, action()) for _ in range(4)]
        found = [one for future in futures for one in future.result(30)]
    assert len(found) == 100
    assert {one.value["results"][0]["title"] for one in found} == {
        found[0].value["results"][0]["title"]
    }
    assert fake.total == 1


def test_many_who_see_it_stale_ask_once(valkey: "redis.Redis") -> None:
    async def action() -> None:
        clock, source = Clock(), Source()
        async with caching(clock) as one, caching(clock) as other:
            await one.get("k", source)
            clock.now += 11
            source.gate = asyncio.Event()
            for cache in (one, other):
                found = await asyncio.gather(*(cache.get("k", source) for _ in range(50)))
                assert {each.state for each in found} == {"stale"}
            while source.asked < 2:
                await asyncio.sleep(0.01)
            source.gate.set()
            await one.close()
            await other.close()
            assert source.asked == 2

    run(action)


def test_who_gets_the_lock_late_looks_once_more(valkey: "redis.Redis") -> None:
    """The other process stores its answer and lets go between our look and our lock."""

    async def action() -> None:
        source = Source()
        async with caching() as cache:
            valkey.set("lock:k", "another")
            waiting = asyncio.create_task(cache.get("k", source))
            real = cache._read

            async def blind(key: str) -> Any:  # the look of one who waits comes too early
                cache._read = real  # type: ignore[method-assign]
                valkey.set("entry:k", json.dumps([{"number": 99}, time.time()]))
                valkey.delete("lock:k")
                return None

            while not cache._flights:
                await asyncio.sleep(0)
            cache._read = blind  # type: ignore[method-assign]
            assert (await waiting).value == {"number": 99}
            assert source.asked == 0

    run(action)


def test_a_waiter_takes_what_the_other_process_stores(valkey: "redis.Redis") -> None:
    async def action() -> None:
        source = Source()
        async with caching() as cache:
            valkey.set("lock:k", "another")
            waiting = asyncio.create_task(cache.get("k", source))
            while not cache._flights:
                await asyncio.sleep(0)
            valkey.set("entry:k", json.dumps([{"number": 99}, time.time()]))
            assert (await waiting).value == {"number": 99}
            assert source.asked == 0

    run(action)


def test_a_waiter_does_not_wait_for_ever(valkey: "redis.Redis") -> None:
    async def action() -> None:
        valkey.set("lock:k", "dead")
        async with caching(patience=0.1) as cache:
            with pytest.raises(OutsideError, match="another process"):
                await cache.get("k", Source())

    run(action)


def test_a_lock_outlives_its_holder_only_a_little(valkey: "redis.Redis") -> None:
    async def action() -> None:
        source = Source()
        source.gate = asyncio.Event()
        async with caching(patience=5.0) as cache:
            waiting = asyncio.create_task(cache.get("k", source))
            while not source.asked:
                await asyncio.sleep(0.01)
            assert 0 < valkey.pttl("lock:k") <= 6000
            source.gate.set()
            await waiting
            assert valkey.exists("lock:k") == 0

    run(action)


def test_a_lock_of_another_is_not_released(valkey: "redis.Redis") -> None:
    async def action() -> None:
        source = Source()
        source.gate = asyncio.Event()
        async with caching() as cache:
            waiting = asyncio.create_task(cache.get("k", source))
            while not source.asked:
                await asyncio.sleep(0.01)
            valkey.set("lock:k", "another")
            source.gate.set()
            await waiting

    run(action)
    assert valkey.get("lock:k") == b"another"


def test_a_client_that_goes_away_does_not_end_the_flight_of_others() -> None:
    async def action() -> None:
        source = Source()
        source.gate = asyncio.Event()
        async with caching() as cache:
            first, second = (asyncio.create_task(cache.get("k", source)) for _ in range(2))
            while not source.asked:
                await asyncio.sleep(0.01)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            source.gate.set()
            assert (await second).value == {"number": 1}

    run(action)


def test_without_valkey_each_process_asks_once_at_a_time() -> None:
    async def action() -> None:
        source = Source()
        async with caching(url="redis://127.0.0.1:1/0") as cache:
            found = await asyncio.gather(*(cache.get("k", source) for _ in range(50)))
            assert {one.value["number"] for one in found} == {1}
            assert (await cache.get("k", source)).value == {"number": 2}

    run(action)


def test_valkey_that_goes_away_in_between_costs_only_the_storing(valkey: "redis.Redis") -> None:
    async def action() -> None:
        source = Source()
        async with caching() as cache:

            async def fetch() -> dict[str, Any]:
                cache._valkey = redis.asyncio.Redis.from_url("redis://127.0.0.1:1/0")
                return await source()

            assert (await cache.get("k", fetch)).value == {"number": 1}

    run(action)


@pytest.mark.parametrize("text", ["no JSON", "7", "[1, 2, 3]", "null"])
def test_what_cannot_be_read_is_not_kept(valkey: "redis.Redis", text: str) -> None:
    async def action() -> None:
        valkey.set("entry:k", text)
        async with caching() as cache:
            assert (await cache.get("k", Source())).state == "fetched"

    run(action)


def test_services_are_those_of_the_innermost_block() -> None:
    async def action() -> None:
        async with running() as own:
            assert services() is own

    run(action)
    with pytest.raises(IndexError):
        services()
