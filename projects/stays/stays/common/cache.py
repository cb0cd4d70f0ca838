"""A cache of bytes in Valkey, with tags that make values invalid.

Each tag has a random token. A value is stored with its tags' tokens as they were before its
computation began, and is good only while they are the same. `invalidate` gives a tag a new token
after the commit: whoever computed from rows that were read before can no longer publish the result
as good. A hit is one MGET.

A value that is only old is computed anew by one of those who ask; the others get the old one. A
value that is invalid is shown to nobody: the others wait for the new one.

Nothing here raises because of Valkey. If it is down or slow, values are computed, and for a few
seconds nobody tries it again. A process that cannot tell Valkey of a change says so in its log;
what was cached before is then shown until its time is up.
"""

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple, cast

import structlog
from django.conf import settings
from django.db import transaction
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, RedisError
from redis.retry import Retry

from stays.common.metrics import CACHE_READS

TAG_SECONDS = 3_600  # a tag that Valkey has forgotten makes values invalid, never valid again
LOCK_MS = 10_000  # longer than a computation takes: the database ends statements before
WAIT_SECONDS = 2.0  # for another's computation
PAUSE_SECONDS = 5.0  # after an error
RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end"
logger = structlog.get_logger(__name__)


def cached(key: str, *, tags: Sequence[str], seconds: int, compute: Callable[[], bytes]) -> bytes:
    """Return the value of a key: the cached one, or a new one.

    Args:
        key: The value's name. It is one for all users: the value must be for everyone.
        tags: What the value depends on.
        seconds: How long it is good, if nothing invalidates it.
        compute: Makes the value. What it raises goes on to the caller, and nothing is cached.
    """
    entry = _Entry(key, tags, seconds)
    value = tokens = None
    result = "down"
    if _breaker.allows():
        with _breaker.noting_errors():
            value, tokens = _find_or_claim(entry)
            result = "miss" if value is None else "hit"
    CACHE_READS.labels(result).inc()
    if value is not None:
        return value
    try:
        value = compute()
        return value
    finally:
        if tokens is not None:
            with _breaker.noting_errors():
                entry.publish(value, tokens)


def _find_or_claim(entry: "_Entry") -> tuple[bytes | None, bytes | None]:
    """Return the value, or the tokens if it is on the caller to compute and publish it.

    Neither of them, if another computes for too long: the caller computes for itself then.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    pause = 0.005
    while True:
        found = entry.read()
        if found and found.is_fresh:
            return found.value, None
        if entry.acquire():
            found, tokens = entry.prepare()
            if found and found.is_fresh:  # another one was done just before the lock was taken
                entry.publish(None, tokens)
                return found.value, None
            return None, tokens
        if found:
            return found.value, None
        if time.monotonic() > deadline:
            return None, None
        time.sleep(pause)
        pause = min(2 * pause, 0.1)


def invalidate(*tags: str) -> None:
    """Make what depends on any of the tags invalid, after the commit if there is a transaction."""
    transaction.on_commit(lambda: _renew(tags))


def _renew(tags: Sequence[str]) -> None:
    """Give tags new tokens. This is tried even if Valkey was just found to be down."""
    try:
        pipeline = _client().pipeline()
        for tag in tags:
            pipeline.set(_tag_key(tag), _token(), ex=TAG_SECONDS)
        pipeline.execute()
    except RedisError as error:
        logger.warning("cache_not_invalidated", tags=tags, error=str(error))
        _breaker.failed(error)


class _Found(NamedTuple):
    """A value that is not invalid."""

    value: bytes
    is_fresh: bool


class _Entry:
    """What Valkey holds of one key."""

    def __init__(self, key: str, tags: Sequence[str], seconds: int) -> None:
        self.value_key = f"cache:value:{key}"
        self.lock_key = f"cache:lock:{key}"
        self.tag_keys = [_tag_key(tag) for tag in tags]
        self.seconds = seconds
        self.lock = _token()

    def read(self) -> _Found | None:
        """Return the value, unless there is none or it is invalid."""
        stored, *tokens = self._get(_client())
        _breaker.succeeded()
        return self._good(stored, tokens)

    def _get(self, client: Redis) -> list[bytes | None]:
        """Return the stored value and the tags' tokens, all of the same moment."""
        return cast("list[bytes | None]", client.mget(self.value_key, *self.tag_keys))

    def _good(self, stored: bytes | None, tokens: list[bytes | None]) -> _Found | None:
        """Return the value if it belongs to the tokens. None belongs to a tag that has none."""
        if stored is None:
            return None
        until, then, value = stored.split(b"\n", 2)
        if then != _joined(tokens):
            return None
        return _Found(value, float(until) > time.time())

    def acquire(self) -> bool:
        """Become the one who computes, if nobody else is."""
        return bool(_client().set(self.lock_key, self.lock, nx=True, px=LOCK_MS))

    def prepare(self) -> tuple[_Found | None, bytes]:
        """Return the value, again, and the tokens to publish a new one with.

        A tag that has no token gets one.
        """
        pipeline = _client().pipeline()
        for tag_key in self.tag_keys:
            pipeline.set(tag_key, _token(), nx=True, ex=TAG_SECONDS)
        self._get(pipeline)
        stored, *tokens = pipeline.execute()[-1]
        return self._good(stored, tokens), _joined(tokens)

    def publish(self, value: bytes | None, tokens: bytes) -> None:
        """Store a value, if there is one, and let the next one compute."""
        pipeline = _client().pipeline()
        if value is not None:
            until = b"%.3f" % (time.time() + self.seconds)
            stored = b"\n".join([until, tokens, value])
            pipeline.set(self.value_key, stored, ex=2 * self.seconds)
        pipeline.eval(RELEASE, 1, self.lock_key, self.lock)
        pipeline.execute()


def _tag_key(tag: str) -> str:
    return f"cache:tag:{tag}"


def _joined(tokens: list[bytes | None]) -> bytes:
    return b",".join(token or b"" for token in tokens)


def _token() -> str:
    return secrets.token_hex(8)


@cache
def _client() -> Redis:
    """A client with the settings of Django's cache, but without redis-py's ten patient retries.

    One retry, of a broken connection only: Valkey may have closed it since it was last used.
    """
    options: dict[str, Any] = settings.CACHES["default"].get("OPTIONS", {})
    retry = Retry(NoBackoff(), 1, supported_errors=(ConnectionError,))
    return Redis.from_url(settings.CACHES["default"]["LOCATION"], **options, retry=retry)


class _Breaker:
    """Keeps a process from asking a Valkey that is down, and from saying so in every line."""

    def __init__(self) -> None:
        self.is_down = False
        self.retry_at = 0.0
        self.lock = threading.Lock()

    def allows(self) -> bool:
        """Tell whether to try: always, or when the pause is over, and then only one."""
        if not self.is_down:
            return True
        with self.lock:
            if time.monotonic() < self.retry_at:
                return False
            self.retry_at = time.monotonic() + PAUSE_SECONDS
            return True

    @contextmanager
    def noting_errors(self) -> Iterator[None]:
        """Run a block that asks Valkey; an error of it begins a pause, and goes no further."""
        try:
            yield
        except RedisError as error:
            self.failed(error)

    def failed(self, error: RedisError) -> None:
        """Begin a pause."""
        with self.lock:
            if not self.is_down:
                logger.warning("cache_down", error=str(error))
            self.is_down = True
            self.retry_at = time.monotonic() + PAUSE_SECONDS

    def succeeded(self) -> None:
        """End it."""
        if self.is_down:
            with self.lock:
                self.is_down = False
                logger.info("cache_up")


_breaker = _Breaker()
