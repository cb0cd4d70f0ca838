import itertools
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.db import transaction
from redis.backoff import NoBackoff
from redis.retry import Retry
from structlog.testing import capture_logs

from stays.common import cache
from stays.common.cache import cached, invalidate
from tests.racing import race

pytestmark = pytest.mark.django_db


class Counter:
    """A computation that counts how often it is done."""

    def __init__(self, seconds: float = 0) -> None:
        self.seconds = seconds
        self.numbers = itertools.count(1)
        self.calls = 0

    def __call__(self) -> bytes:
        self.calls = next(self.numbers)
        time.sleep(self.seconds)
        return b"value %d\n\nwith lines" % self.calls


@pytest.fixture(autouse=True)
def breaker(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Every test has a circuit breaker of its own."""
    fresh = cache._Breaker()
    monkeypatch.setattr(cache, "_breaker", fresh)
    return fresh


def grow_old(valkey: redis.Redis, key: str) -> None:
    """Let the time of a value be up, as its clock sees it."""
    stored = valkey.get(f"cache:value:{key}")
    assert isinstance(stored, bytes)
    valkey.set(f"cache:value:{key}", b"1.0\n" + stored.split(b"\n", 1)[1])


def test_a_value_is_computed_once() -> None:
    compute = Counter()
    for _ in range(3):
        assert cached("k", tags=["t"], seconds=60, compute=compute) == b"value 1\n\nwith lines"
    assert cached("other", tags=["t"], seconds=60, compute=compute).startswith(b"value 2")
    assert compute.calls == 2


def test_a_hit_is_one_command(valkey: redis.Redis) -> None:
    cached("k", tags=["a", "b"], seconds=60, compute=Counter())
    valkey.config_resetstat()
    cached("k", tags=["a", "b"], seconds=60, compute=Counter())
    stats = valkey.info("commandstats")
    assert stats["cmdstat_mget"]["calls"] == 1
    assert set(stats) <= {"cmdstat_mget", "cmdstat_config|resetstat", "cmdstat_info"}


def test_nothing_stays_for_ever(valkey: redis.Redis) -> None:
    cached("k", tags=["t"], seconds=60, compute=Counter())
    invalidate("u")
    times = {key: valkey.ttl(key) for key in valkey.scan_iter()}
    assert set(times) >= {b"cache:value:k", b"cache:tag:t"}
    assert all(0 < seconds <= cache.TAG_SECONDS for seconds in times.values())
    assert not valkey.exists("cache:lock:k")


@pytest.mark.parametrize("tag", ["a", "b"])
def test_each_tag_invalidates(commits: Any, tag: str) -> None:
    compute = Counter()
    cached("k", tags=["a", "b"], seconds=60, compute=compute)
    with commits():
        invalidate(tag, "unrelated")
    assert cached("k", tags=["a", "b"], seconds=60, compute=compute).startswith(b"value 2")
    with commits():
        invalidate("unrelated")
    assert cached("k", tags=["a", "b"], seconds=60, compute=compute).startswith(b"value 2")


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_invalidates_nothing() -> None:
    compute = Counter()
    cached("k", tags=["t"], seconds=60, compute=compute)
    with transaction.atomic():
        invalidate("t")
        transaction.set_rollback(True)
    cached("k", tags=["t"], seconds=60, compute=compute)
    assert compute.calls == 1
    with transaction.atomic():
        invalidate("t")
        cached("k", tags=["t"], seconds=60, compute=compute)
        assert compute.calls == 1
    cached("k", tags=["t"], seconds=60, compute=compute)
    assert compute.calls == 2


@pytest.mark.django_db(transaction=True)
def test_who_read_old_rows_cannot_publish_them() -> None:
    """The reader has read; the writer commits and invalidates; then the reader stores."""
    row = b"old"

    def compute_while_another_writes() -> bytes:
        nonlocal row
        read = row
        row = b"new"
        invalidate("t")
        return read

    def compute() -> bytes:
        return row

    args: dict[str, Any] = {"tags": ["t"], "seconds": 60}
    assert cached("k", compute=compute_while_another_writes, **args) == b"old"
    assert cached("k", compute=compute, **args) == b"new"
    row = b"newer"
    assert cached("k", compute=compute, **args) == b"new"


@pytest.mark.django_db(transaction=True)
def test_a_forgotten_tag_makes_nothing_valid_again(valkey: redis.Redis) -> None:
    compute = Counter()
    cached("k", tags=["t"], seconds=60, compute=compute)
    stored = valkey.get("cache:value:k")
    invalidate("t")
    valkey.delete("cache:tag:t")
    cached("k", tags=["t"], seconds=60, compute=compute)
    assert compute.calls == 2
    valkey.delete("cache:tag:t")
    valkey.set("cache:value:k", stored or b"")
    cached("k", tags=["t"], seconds=60, compute=compute)
    assert compute.calls == 3


@pytest.mark.parametrize("state", ["missing", "old", "invalid"])
@pytest.mark.django_db(transaction=True)
def test_of_fifty_threads_one_computes(valkey: redis.Redis, state: str) -> None:
    compute = Counter(0.05)
    if state != "missing":
        cached("k", tags=["t"], seconds=60, compute=Counter())
    if state == "old":
        grow_old(valkey, "k")
    if state == "invalid":
        compute()
        invalidate("t")
    before = compute.calls
    values = race(lambda _: cached("k", tags=["t"], seconds=60, compute=compute), 50)
    assert compute.calls == before + 1
    assert set(values) == {b"value %d\n\nwith lines" % compute.calls}


def test_an_old_value_is_shown_while_a_new_one_is_made(valkey: redis.Redis) -> None:
    args: dict[str, Any] = {"tags": ["t"], "seconds": 60}
    cached("k", compute=lambda: b"old", **args)
    grow_old(valkey, "k")
    seen: list[bytes] = []

    def compute() -> bytes:
        seen.append(cached("k", compute=lambda: b"another", **args))
        return b"new"

    assert cached("k", compute=compute, **args) == b"new"
    assert seen == [b"old"]
    assert cached("k", compute=lambda: b"another", **args) == b"new"


@pytest.mark.django_db(transaction=True)
def test_an_invalid_value_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even while another one computes; and nobody waits for that one for ever."""
    monkeypatch.setattr(cache, "WAIT_SECONDS", 0.05)
    args: dict[str, Any] = {"tags": ["t"], "seconds": 60}
    cached("k", compute=lambda: b"old", **args)
    invalidate("t")
    seen: list[bytes] = []

    def compute() -> bytes:
        seen.append(cached("k", compute=lambda: b"my own", **args))
        return b"new"

    assert cached("k", compute=compute, **args) == b"new"
    assert seen == [b"my own"]
    assert cached("k", compute=lambda: b"another", **args) == b"new"


def test_an_error_is_the_callers_and_lets_the_next_one_compute(valkey: redis.Redis) -> None:
    with pytest.raises(ZeroDivisionError):
        cached("k", tags=["t"], seconds=60, compute=lambda: b"%d" % (1 / 0))
    assert not valkey.exists("cache:lock:k", "cache:value:k")
    assert cached("k", tags=["t"], seconds=60, compute=lambda: b"right") == b"right"


def test_a_lock_that_was_lost_is_not_taken_from_its_new_holder(valkey: redis.Redis) -> None:
    def compute() -> bytes:
        valkey.set("cache:lock:k", "another's")
        return b"value"

    cached("k", tags=["t"], seconds=60, compute=compute)
    assert valkey.get("cache:lock:k") == b"another's"


def test_who_finds_the_value_after_taking_the_lock_computes_nothing(
    valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the lock another one was done."""
    acquire = cache._Entry.acquire

    def acquire_late(entry: Any) -> bool:
        monkeypatch.setattr(cache._Entry, "acquire", acquire)
        cached("k", tags=["t"], seconds=60, compute=lambda: b"another's")
        return acquire(entry)

    monkeypatch.setattr(cache._Entry, "acquire", acquire_late)
    compute = Counter()
    assert cached("k", tags=["t"], seconds=60, compute=compute) == b"another's"
    assert compute.calls == 0
    assert not valkey.exists("cache:lock:k")


def client_of(port: int) -> redis.Redis:
    """The cache's client, but of another server."""
    return redis.Redis(
        port=port,
        socket_timeout=0.2,
        socket_connect_timeout=0.2,
        retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
    )


@pytest.fixture
def silent_server() -> Iterator[int]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def closed_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@pytest.mark.parametrize("server", ["closed_port", "silent_server"])
@pytest.mark.django_db(transaction=True)
def test_without_valkey_all_is_computed(
    server: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(request.getfixturevalue(server))
    monkeypatch.setattr(cache, "_client", lambda: client)
    compute = Counter()
    begin = time.monotonic()
    with capture_logs() as logs:
        for number in range(1, 101):
            value = cached("k", tags=["t"], seconds=60, compute=compute)
            assert value.startswith(b"value %d\n" % number)
    assert time.monotonic() - begin < 2  # one of them waited, not a hundred
    assert [entry["event"] for entry in logs] == ["cache_down"]
    with capture_logs() as logs:
        invalidate("t")
    assert [entry["event"] for entry in logs] == ["cache_not_invalidated"]
    assert logs[0]["tags"] == ("t",)


def test_after_a_pause_one_tries_again(
    monkeypatch: pytest.MonkeyPatch, closed_port: int, breaker: Any
) -> None:
    real = cache._client()
    absent = client_of(closed_port)
    compute = Counter()
    ask = lambda: cached("k", tags=["t"], seconds=60, compute=compute)  # noqa: E731
    with capture_logs() as logs:
        monkeypatch.setattr(cache, "_client", lambda: absent)
        ask()
        breaker.retry_at = time.monotonic()  # the pause is over: one tries, and fails
        ask()
        assert not breaker.allows()
        monkeypatch.setattr(cache, "_client", lambda: real)
        ask()
        assert breaker.is_down
        breaker.retry_at = time.monotonic()
        ask()
        assert not breaker.is_down
        ask()
    assert compute.calls == 4
    assert [entry["event"] for entry in logs] == ["cache_down", "cache_up"]


def test_of_many_only_one_tries_a_valkey_that_was_down(breaker: Any) -> None:
    breaker.failed(redis.ConnectionError("down"))
    breaker.retry_at = time.monotonic()
    assert [breaker.allows() for _ in range(3)] == [True, False, False]


def test_a_valkey_that_goes_while_one_computes_costs_nothing(
    monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    absent = client_of(closed_port)

    def compute() -> bytes:
        monkeypatch.setattr(cache, "_client", lambda: absent)
        return b"value"

    with capture_logs() as logs:
        assert cached("k", tags=["t"], seconds=60, compute=compute) == b"value"
    assert [entry["event"] for entry in logs] == ["cache_down"]


def test_an_error_of_redis_in_the_computation_is_not_the_caches(breaker: Any) -> None:
    calls = []

    def compute() -> bytes:
        calls.append(1)
        raise redis.ConnectionError("the computation's own")

    with pytest.raises(redis.ConnectionError, match="own"):
        cached("k", tags=["t"], seconds=60, compute=compute)
    assert len(calls) == 1
    assert not breaker.is_down


def test_a_connection_that_valkey_closed_is_opened_again(valkey: redis.Redis, breaker: Any) -> None:
    cached("k", tags=["t"], seconds=60, compute=lambda: b"value")
    valkey.client_kill_filter(_type="normal", skipme=True)
    assert cached("k", tags=["t"], seconds=60, compute=lambda: b"another") == b"value"
    assert not breaker.is_down
