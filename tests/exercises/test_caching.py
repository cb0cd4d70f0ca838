"""Each judge of caching: the stub, right answers of several kinds, wrong ones."""

import contextlib
import gc
import json
import os
import secrets
import threading
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest
import redis

from nexus.judging import judge_answer
from tests.leftovers import no_threads_beyond, threads

EXERCISES = [f"caching.{number}" for number in range(1, 5)]
ONE, TWO, THREE, FOUR = EXERCISES
Client = redis.Redis
Load = Callable[[], Any]


# -- 1: remember


def remember_stub(client: Client, key: str, _: int, load: Load) -> object:
    value = client.get(key)
    if not value:
        value = load()
        client.set(key, value)
    return value


def remember_json(client: Client, key: str, seconds: int, load: Load) -> object:
    try:
        stored = client.get(key)
    except redis.RedisError:
        return load()
    if stored is not None:
        return json.loads(stored)
    value = load()
    with contextlib.suppress(redis.RedisError):
        client.set(key, json.dumps(value), ex=seconds)
    return value


def remember_hash(client: Client, key: str, seconds: int, load: Load) -> object:
    """Another form: a hash that is there, with a field that may not be."""
    stored: dict[str, str] = {}
    with contextlib.suppress(redis.ConnectionError, redis.TimeoutError):
        stored = client.hgetall(key)
    if "known" in stored:
        return stored.get("value")
    value = load()
    fields = {"known": "1"} if value is None else {"known": "1", "value": value}
    with contextlib.suppress(redis.ConnectionError, redis.TimeoutError):
        pipe = client.pipeline()
        pipe.delete(key)
        pipe.hset(key, mapping=fields)
        pipe.expire(key, seconds)
        pipe.execute()
    return value


def remember_marked(client: Client, key: str, seconds: int, load: Load) -> object:
    """Another form: the first letter says which."""
    try:
        stored = client.get(key)
    except Exception:
        stored = None
    if stored:
        return None if stored[0] == "n" else stored[1:]
    value = load()
    with contextlib.suppress(Exception):
        client.set(key, "n" if value is None else f"v{value}", ex=seconds)
    return value


def remember_if_connected(client: Client, key: str, seconds: int, load: Load) -> object:
    """A server that hangs is a time-out, which is no ConnectionError."""
    try:
        stored = client.get(key)
    except redis.ConnectionError:
        return load()
    if stored is not None:
        return json.loads(str(stored))
    value = load()
    with contextlib.suppress(redis.ConnectionError):
        client.set(key, json.dumps(value), ex=seconds)
    return value


def remember_if_it_hangs(client: Client, key: str, seconds: int, load: Load) -> object:
    try:
        return remember_needs_valkey(client, key, seconds, load)
    except redis.TimeoutError:
        return load()


def remember_without_none(client: Client, key: str, seconds: int, load: Load) -> object:
    try:
        value = client.get(key)
        if value is None:
            value = load()
            if value is not None:
                client.set(key, value, ex=seconds)
    except redis.RedisError:
        return load()
    return value


def remember_as_text(client: Client, key: str, seconds: int, load: Load) -> object:
    value = client.get(key)
    if value is None:
        value = load()
        client.set(key, str(value), ex=seconds)
    return None if value == "None" else value


def remember_if_true(client: Client, key: str, seconds: int, load: Load) -> object:
    stored = client.get(key)
    if stored and json.loads(stored):
        return json.loads(stored)
    value = load()
    client.set(key, json.dumps(value), ex=seconds)
    return value


def remember_for_ever(client: Client, key: str, _: int, load: Load) -> object:
    stored = client.get(key)
    if stored is not None:
        return json.loads(stored)
    value = load()
    client.set(key, json.dumps(value))
    return value


def remember_needs_valkey(client: Client, key: str, seconds: int, load: Load) -> object:
    stored = client.get(key)
    if stored is not None:
        return json.loads(stored)
    value = load()
    client.set(key, json.dumps(value), ex=seconds)
    return value


def remember_catches_all(client: Client, key: str, seconds: int, load: Load) -> object:
    try:
        return remember_needs_valkey(client, key, seconds, load)
    except Exception:
        return load()


def remember_swallows(client: Client, key: str, seconds: int, load: Load) -> object:
    try:
        return remember_json(client, key, seconds, load)
    except LookupError:
        return None


def remember_loads_twice(client: Client, key: str, seconds: int, load: Load) -> object:
    try:
        return remember_needs_valkey(client, key, seconds, load)
    except redis.RedisError:
        load()
        return load()


def remember_longer(client: Client, key: str, seconds: int, load: Load) -> object:
    return remember_json(client, key, 2 * seconds, load)


def remember_for_a_blink(client: Client, key: str, seconds: int, load: Load) -> object:
    stored = client.get(key)
    if stored is not None:
        return json.loads(stored)
    value = load()
    client.set(key, json.dumps(value), px=seconds)
    return value


def remember_a_minute(client: Client, key: str, _: int, load: Load) -> object:
    return remember_json(client, key, 60, load)


def remember_by_field(client: Client, key: str, seconds: int, load: Load) -> object:
    """Another form: one hash, of which each field has an end."""
    try:
        stored = client.hget("pages", key)
    except redis.RedisError:
        return load()
    if stored is not None:
        return json.loads(stored)
    value = load()
    with contextlib.suppress(redis.RedisError), client.pipeline() as together:  # MULTI … EXEC
        together.hset("pages", key, json.dumps(value))
        together.hexpire("pages", seconds, key)
        together.execute()
    return value


def remember_in_a_hash_for_ever(client: Client, key: str, _: int, load: Load) -> object:
    stored = client.hget("pages", key)
    if stored is not None:
        return json.loads(stored)
    value = load()
    client.hset("pages", key, json.dumps(value))
    return value


here: dict[str, object] = {}


def remember_here(_: Client, key: str, __: int, load: Load) -> object:
    if key not in here:
        here[key] = load()
    return here[key]


# -- 2: one for all


def one_stub(client: Client, key: str, seconds: int, load: Load) -> object:
    value = client.get(key)
    if value is None and client.setnx(f"lock:{key}", 1):
        value = load()
        client.set(key, value, ex=seconds)
        client.delete(f"lock:{key}")
    return value


def one_by_token(client: Client, key: str, seconds: int, load: Load) -> object:
    ours = secrets.token_hex(8)
    while (value := client.get(key)) is None:
        if not client.set(f"lock:{key}", ours, nx=True, px=10_000):
            time.sleep(0.01)
            continue
        try:
            if (value := client.get(key)) is None:
                value = load()
                client.set(key, value, ex=seconds)
            return value
        finally:
            client.execute_command("DELIFEQ", f"lock:{key}", ours)
    return value


def one_by_library(client: Client, key: str, seconds: int, load: Load) -> object:
    value = client.get(key)
    if value is not None:
        return value
    with client.lock(f"lock:{key}", timeout=10):
        value = client.get(key)
        if value is None:
            value = load()
            client.set(key, value, ex=seconds)
    return value


def one_by_lock_first(client: Client, key: str, seconds: int, load: Load) -> object:
    """Another form: everybody takes the lock before looking."""
    ours = secrets.token_hex(8)
    while not client.set(f"lock:{key}", ours, nx=True, px=5_000):
        time.sleep(0.01)
    try:
        value = client.get(key)
        if value is None:
            value = load()
            client.set(key, value, ex=seconds)
        return value
    finally:
        script = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"
        client.eval(script, 1, f"lock:{key}", ours)


def one_naive(client: Client, key: str, seconds: int, load: Load) -> object:
    value = client.get(key)
    if value is None:
        value = load()
        client.set(key, value, ex=seconds)
    return value


def one_without_second_look(client: Client, key: str, seconds: int, load: Load) -> object:
    ours = secrets.token_hex(8)
    value = client.get(key)
    while value is None:
        if client.set(f"lock:{key}", ours, nx=True, px=10_000):
            value = load()
            client.set(key, value, ex=seconds)
            client.execute_command("DELIFEQ", f"lock:{key}", ours)
            return value
        time.sleep(0.01)
        value = client.get(key)
    return value


def one_without_end(client: Client, key: str, seconds: int, load: Load) -> object:
    while (value := client.get(key)) is None:
        if not client.setnx(f"lock:{key}", 1):
            time.sleep(0.01)
            continue
        try:
            if (value := client.get(key)) is None:
                value = load()
                client.set(key, value, ex=seconds)
        finally:
            client.delete(f"lock:{key}")
    return value


def one_deletes_any_lock(client: Client, key: str, seconds: int, load: Load) -> object:
    while (value := client.get(key)) is None:
        if not client.set(f"lock:{key}", 1, nx=True, px=10_000):
            time.sleep(0.01)
            continue
        try:
            if (value := client.get(key)) is None:
                value = load()
                client.set(key, value, ex=seconds)
        finally:
            client.delete(f"lock:{key}")
    return value


def one_keeps_lock_after_error(client: Client, key: str, seconds: int, load: Load) -> object:
    ours = secrets.token_hex(8)
    while (value := client.get(key)) is None:
        if not client.set(f"lock:{key}", ours, nx=True, px=60_000):
            time.sleep(0.01)
            continue
        if (value := client.get(key)) is None:
            value = load()
            client.set(key, value, ex=seconds)
        client.execute_command("DELIFEQ", f"lock:{key}", ours)
    return value


def one_by_hash(client: Client, key: str, seconds: int, load: Load) -> object:
    """The lock is a field, and has no end."""
    while (value := client.get(key)) is None:
        if not client.hsetnx("locks", key, 1):
            time.sleep(0.01)
            continue
        try:
            if (value := client.get(key)) is None:
                value = load()
                client.set(key, value, ex=seconds)
        finally:
            client.hdel("locks", key)
    return value


in_this_process = threading.Lock()


def one_in_this_process(client: Client, key: str, seconds: int, load: Load) -> object:
    with in_this_process:
        return one_naive(client, key, seconds, load)


# -- 3: never for ever


def read_stub(client: Client, key: str, load: Load) -> object:
    value = client.get(key)
    if value is None:
        value = load()
        client.set(key, value, ex=60)
    return value


def deleted(client: Client, key: str) -> None:
    client.delete(key)


def read_by_token(client: Client, key: str, load: Load) -> object:
    client.set(f"{key}:version", secrets.token_hex(8), nx=True, ex=3600)
    version = client.get(f"{key}:version")
    value = client.get(f"{key}:{version}")
    if value is None:
        value = load()
        client.set(f"{key}:{version}", value, ex=60)
    return value


def new_token(client: Client, key: str) -> None:
    client.set(f"{key}:version", secrets.token_hex(8), ex=3600)


LEASE = """
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2], 'EX', 60) end
"""


def read_by_lease(client: Client, key: str, load: Load) -> object:
    """Another form, Facebook's: who misses gets a lease, and a change takes it away."""
    value = client.get(key)
    if value is None:
        lease = secrets.token_hex(8)
        client.set(f"lease:{key}", lease, ex=60)
        value = load()
        client.eval(LEASE, 2, key, f"lease:{key}", lease, value)
    return value


def end_lease(client: Client, key: str) -> None:
    client.delete(f"lease:{key}", key)


def read_by_watch(client: Client, key: str, load: Load) -> object:
    """Another form: the transaction is refused if the mark was changed since."""
    with client.pipeline() as pipe:
        pipe.watch(key, f"{key}:changed")
        value = pipe.get(key)
        if value is None:
            value = load()
            pipe.multi()
            pipe.set(key, value, ex=60)
            with contextlib.suppress(redis.WatchError):
                pipe.execute()
    return value


def mark(client: Client, key: str) -> None:
    client.set(f"{key}:changed", secrets.token_hex(8), ex=60)
    client.delete(key)


def read_by_counter(client: Client, key: str, load: Load) -> object:
    version = client.get(f"{key}:version")
    return read_stub(client, f"{key}:{version}", load)


def count_up(client: Client, key: str) -> None:
    client.incr(f"{key}:version")


def read_never(_: Client, __: str, load: Load) -> object:
    return load()


def read_version_late(client: Client, key: str, load: Load) -> object:
    client.set(f"{key}:version", secrets.token_hex(8), nx=True, ex=3600)
    value = client.get(f"{key}:{client.get(f'{key}:version')}")
    if value is None:
        value = load()
        client.set(f"{key}:{client.get(f'{key}:version')}", value, ex=60)
    return value


def read_without_end(client: Client, key: str, load: Load) -> object:
    client.set(f"{key}:version", secrets.token_hex(8), nx=True)
    version = client.get(f"{key}:version")
    value = client.get(f"{key}:{version}")
    if value is None:
        value = load()
        client.set(f"{key}:{version}", value)
    return value


def nothing(client: Client, key: str) -> None:
    pass


def read_and_check(client: Client, key: str, load: Load) -> object:
    """Looks once more, but another moment passes before it stores."""
    value = client.get(key)
    if value is None:
        before = client.get(f"{key}:changed")
        value = load()
        if client.get(f"{key}:changed") == before:
            client.set(key, value, ex=60)
    return value


def read_under_lock(client: Client, key: str, load: Load) -> object:
    with client.lock(f"lock:{key}", timeout=10):
        return read_stub(client, key, load)


def delete_under_lock(client: Client, key: str) -> None:
    with client.lock(f"lock:{key}", timeout=10):
        client.delete(key)


def read_hash_without_end(client: Client, key: str, load: Load) -> object:
    client.set(f"{key}:version", secrets.token_hex(8), nx=True)
    version = client.get(f"{key}:version")
    value = client.hget(key, version)
    if value is None:
        value = load()
        client.hset(key, version, value)
    return value


# -- 4: headers


def headers_stub(_: str) -> dict[str, str]:
    return {"Cache-Control": "max-age=60"}


def headers_plain(path: str) -> dict[str, str]:
    return {
        "/best": {"Cache-Control": "max-age=0, s-maxage=60"},
        "/greeting": {"Cache-Control": "max-age=60", "Vary": "Accept-Language"},
        "/bookings": {"Cache-Control": "private, no-cache"},
    }[path]


def headers_otherwise(path: str) -> dict[str, str]:
    """Another form: nginx's own header for nginx, and no-store."""
    if path == "/best":
        return {"X-Accel-Expires": "60", "Cache-Control": "no-cache"}
    if path == "/greeting":
        return {"cache-control": "public, s-maxage=60", "vary": "Accept-Language"}
    return {"Cache-Control": "no-store"}


def but(path: str, **headers: str) -> Callable[[str], dict[str, str]]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda asked: named if asked == path else headers_plain(asked)


def remember_by_sentinel(client: Client, key: str, seconds: int, load: Load) -> object:
    with contextlib.suppress(redis.RedisError):
        if (kept := client.get(key)) is not None:
            return None if kept == "__none__" else kept
    value = load()
    with contextlib.suppress(redis.RedisError):
        client.set(key, "__none__" if value is None else value, ex=seconds)
    return value


def remember_for(
    *, nothing: int | None = None, two_steps: bool = False, looks_first: bool = False
) -> Callable[[Client, str, int, Load], object]:
    """As JSON, with one fault."""

    def remember(client: Client, key: str, seconds: int, load: Load) -> object:
        with contextlib.suppress(redis.RedisError):
            if looks_first:
                if client.exists(key):
                    return json.loads(client.get(key))
            elif (kept := client.get(key)) is not None:
                return json.loads(kept)
        value = load()
        with contextlib.suppress(redis.RedisError):
            if two_steps:
                client.set(key, json.dumps(value))
                client.expire(key, seconds)
            else:
                client.set(key, json.dumps(value), ex=(nothing if not value else None) or seconds)
        return value

    return remember


def remember_in_one_try(client: Client, key: str, seconds: int, load: Load) -> object:
    """Calls load again if what it returned cannot be stored."""
    try:
        if (kept := client.get(key)) is not None:
            return json.loads(kept)
        value = load()
        client.set(key, json.dumps(value), ex=seconds)
    except redis.RedisError:
        return load()
    return value


def remember_as_long_as_it_is_read(client: Client, key: str, seconds: int, load: Load) -> object:
    with contextlib.suppress(redis.RedisError):
        if (kept := client.getex(key, ex=seconds)) is not None:
            return json.loads(kept)
    value = load()
    with contextlib.suppress(redis.RedisError):
        client.set(key, json.dumps(value), ex=seconds)
    return value


def one_waiting(
    *, lives: int = 10_000, rounds: int = 400, two_steps: bool = False
) -> Callable[[Client, str, int, Load], object]:
    """A lock of one's own that is waited for; with one fault."""

    def one(client: Client, key: str, seconds: int, load: Load) -> object:
        mine, lock = secrets.token_hex(8), f"{key}:lock"
        for _ in range(rounds):
            if (value := client.get(key)) is not None:
                return value
            if two_steps:
                taken = client.setnx(lock, mine)
                if taken:
                    client.pexpire(lock, lives)
            else:
                taken = client.set(lock, mine, nx=True, px=lives)
            if taken:
                try:
                    if (value := client.get(key)) is None:
                        value = load()
                        client.set(key, value, ex=seconds)
                    return value
                finally:
                    client.execute_command("DELIFEQ", lock, mine)
            time.sleep(0.01)
        return None

    return one


def flushed(client: Client, _: str) -> None:
    client.flushall()


def remember_by_process(client: Client, key: str, seconds: int, load: Load) -> object:
    return remember_json(client, f"{key}:{os.getpid()}", seconds, load)


nearer: dict[str, object] = {}


def remember_here_and_there(client: Client, key: str, seconds: int, load: Load) -> object:
    """What is in this process is asked first, and never ends."""
    if key not in nearer:
        nearer[key] = remember_json(client, key, seconds, load)
    return nearer[key]


def one_token(
    *, lock: str = "lock:{}", patience: float = 60, stores_late: bool = False
) -> Callable[[Client, str, int, Load], object]:
    """The chapter's solution, with one fault."""

    def one(client: Client, key: str, seconds: int, load: Load) -> object:
        mine, name, begin = secrets.token_hex(8), lock.format(key), time.monotonic()
        while (value := client.get(key)) is None:
            if time.monotonic() - begin > patience:
                return load()
            if not client.set(name, mine, nx=True, px=10_000):
                time.sleep(0.01)
                continue
            try:
                if (value := client.get(key)) is None:
                    value = load()
                    if not stores_late:
                        client.set(key, value, ex=seconds)
            finally:
                client.execute_command("DELIFEQ", name, mine)
            if stores_late:
                client.set(key, value, ex=seconds)
            return value
        return value

    return one


def one_by_get_and_delete(client: Client, key: str, seconds: int, load: Load) -> object:
    """It looks whether the lock is its own, and then deletes it: two commands."""
    ours, lock = secrets.token_hex(8), f"lock:{key}"
    while (value := client.get(key)) is None:
        if not client.set(lock, ours, nx=True, px=10_000):
            time.sleep(0.01)
            continue
        try:
            if (value := client.get(key)) is None:
                value = load()
                client.set(key, value, ex=seconds)
        finally:
            if client.get(lock) == ours:
                client.delete(lock)
    return value


def one_by_one_mark(client: Client, key: str, seconds: int, load: Load) -> object:
    """It releases its own lock only, and everybody's mark is the same."""
    while (value := client.get(key)) is None:
        if not client.set(f"lock:{key}", "mine", nx=True, px=10_000):
            time.sleep(0.01)
            continue
        try:
            if (value := client.get(key)) is None:
                value = load()
                client.set(key, value, ex=seconds)
        finally:
            client.execute_command("DELIFEQ", f"lock:{key}", "mine")
    return value


def one_if_true(client: Client, key: str, seconds: int, load: Load) -> object:
    """An empty text is taken for no text."""
    ours = secrets.token_hex(8)
    while not (value := client.get(key)):
        if not client.set(f"lock:{key}", ours, nx=True, px=10_000):
            time.sleep(0.01)
            continue
        try:
            if not (value := client.get(key)):
                value = load()
                client.set(key, value, ex=seconds)
            return value
        finally:
            client.execute_command("DELIFEQ", f"lock:{key}", ours)
    return value


def one_in_this_process_and_a_note(client: Client, key: str, seconds: int, load: Load) -> object:
    """What Valkey holds has an end, but keeps nobody out."""
    with in_this_process:
        if (value := client.get(key)) is None:
            client.set(f"lock:{key}", 1, px=10_000)
            value = load()
            client.set(key, value, ex=seconds)
        return value


def one_swallows(client: Client, key: str, seconds: int, load: Load) -> object:
    try:
        return one_by_token(client, key, seconds, load)
    except LookupError:
        return None


def one_by_watch(client: Client, key: str, seconds: int, load: Load) -> object:
    """Another form: the lock is released in a transaction that is refused if it has changed."""
    ours, lock = secrets.token_hex(8), f"lock:{key}"
    while (value := client.get(key)) is None:
        if not client.set(lock, ours, nx=True, px=10_000):
            time.sleep(0.01)
            continue
        try:
            if (value := client.get(key)) is None:
                value = load()
                client.set(key, value, ex=seconds)
        finally:
            with client.pipeline() as pipe, contextlib.suppress(redis.WatchError):
                pipe.watch(lock)
                if pipe.get(lock) == ours:
                    pipe.multi()
                    pipe.delete(lock)
                    pipe.execute()
    return value


versions: dict[str, str] = {}


def read_by_own_version(client: Client, key: str, load: Load) -> object:
    """The version is known to this process only."""
    return read_stub(client, f"{key}:{versions.get(key)}", load)


def own_version(_: Client, key: str) -> None:
    versions[key] = secrets.token_hex(8)


def deleted_twice(client: Client, key: str) -> None:
    client.delete(key)
    time.sleep(0.05)
    client.delete(key)


def deleted_and_swallowed(client: Client, key: str) -> None:
    with contextlib.suppress(Exception):
        client.delete(key, f"{key}:version", None)


# -- What was tried later, by a reader who had not seen the tables


def remember_with_a_rest(pause: float) -> Callable[[Client, str, int, Load], object]:
    """A circuit breaker: after an error nobody asks Valkey for a while."""
    closed_until = [0.0]

    def remember(client: Client, key: str, seconds: int, load: Load) -> object:
        if time.monotonic() < closed_until[0]:
            return load()
        try:
            if (kept := client.get(key)) is not None:
                return json.loads(kept)
        except redis.RedisError:
            closed_until[0] = time.monotonic() + pause
            return load()
        value = load()
        try:
            client.set(key, json.dumps(value), ex=seconds)
        except redis.RedisError:
            closed_until[0] = time.monotonic() + pause
        return value

    return remember


def remember_and_read_back(client: Client, key: str, seconds: int, load: Load) -> object:
    """Returns what Valkey says of what was stored a moment ago."""
    try:
        kept = client.get(key)
    except redis.RedisError:
        return load()
    if kept is None:
        value = load()
        try:
            client.set(key, json.dumps(value), ex=seconds)
            kept = client.get(key)
        except redis.RedisError:
            return value
    return json.loads(kept)


def remember_up_to(client: Client, key: str, seconds: int, load: Load) -> object:
    return remember_json(client, key, min(seconds, 300), load)


def one_of(token: Callable[[], str], lock_seconds: str = "ten") -> Callable[..., object]:
    """The chapter's solution with another token, or another end of the lock."""

    def one(client: Client, key: str, seconds: int, load: Load) -> object:
        ours = token()
        while (value := client.get(key)) is None:
            lives = seconds if lock_seconds == "as the page" else 10
            if not client.set(f"lock:{key}", ours, nx=True, ex=lives):
                time.sleep(0.01)
                continue
            try:
                if (value := client.get(key)) is None:
                    value = load()
                    client.set(key, value, ex=seconds)
                return value
            finally:
                client.execute_command("DELIFEQ", f"lock:{key}", ours)
        return value

    return one


def one_waits_for_the_lock(client: Client, key: str, seconds: int, load: Load) -> object:
    """When the lock is gone there is a page, unless its owner failed."""
    if (value := client.get(key)) is not None:
        return value
    ours = secrets.token_hex(8)
    if client.set(f"lock:{key}", ours, nx=True, px=10_000):
        try:
            if (value := client.get(key)) is None:
                value = load()
                client.set(key, value, ex=seconds)
            return value
        finally:
            client.execute_command("DELIFEQ", f"lock:{key}", ours)
    while client.exists(f"lock:{key}"):
        time.sleep(0.01)
    return client.get(key)


def one_tells_all_of_the_error(client: Client, key: str, seconds: int, load: Load) -> object:
    ours = secrets.token_hex(8)
    while (value := client.get(key)) is None:
        if said := client.get(f"error:{key}"):
            raise LookupError(said)
        if not client.set(f"lock:{key}", ours, nx=True, px=10_000):
            time.sleep(0.01)
            continue
        try:
            if (value := client.get(key)) is None:
                value = load()
                client.set(key, value, ex=seconds)
            return value
        except LookupError as error:
            client.set(f"error:{key}", str(error), px=300)
            raise
        finally:
            client.execute_command("DELIFEQ", f"lock:{key}", ours)
    return value


def one_kept(much: Callable[[int], int]) -> Callable[..., object]:
    """Stores the page for another time than was said."""

    def one(client: Client, key: str, seconds: int, load: Load) -> object:
        return one_by_token(client, key, much(seconds), load)

    return one


def read_by_one_version(client: Client, key: str, load: Load) -> object:
    """One version for all keys."""
    new = secrets.token_hex(8)
    version = client.set("version", new, nx=True, get=True, ex=3600) or new
    return read_stub(client, f"{key}:{version}", load)


def new_version_of_all(client: Client, _: str) -> None:
    client.set("version", secrets.token_hex(8), ex=3600)


def read_under_one_name(client: Client, _: str, load: Load) -> object:
    return read_by_token(client, "page", load)


def new_token_and_tidy(client: Client, key: str) -> None:
    """Deletes all old copies by a pattern, and those of other keys with them."""
    for name in list(client.scan_iter(f"{key}*")):
        client.delete(name)
    new_token(client, key)


def end_version(client: Client, key: str) -> None:
    client.delete(f"{key}:version")


RIGHT = [
    (ONE, remember_with_a_rest(30)),
    (TWO, one_of(lambda: f"{os.getpid()}-{threading.get_ident()}")),
    (THREE, (read_by_token, end_version)),
    (TWO, one_waiting()),
    (FOUR, but("/best", Cache_Control="s-maxage=60", Expires="Thu, 01 Jan 1970 00:00:00 GMT")),
    (ONE, remember_for()),
    (TWO, one_token()),
    (ONE, remember_json),
    (ONE, remember_hash),
    (ONE, remember_marked),
    (ONE, remember_by_field),
    (TWO, one_by_token),
    (TWO, one_by_library),
    (TWO, one_by_lock_first),
    (TWO, one_by_watch),
    (THREE, (read_by_token, new_token)),
    (THREE, (read_by_lease, end_lease)),
    (THREE, (read_by_watch, mark)),
    (FOUR, headers_plain),
    (FOUR, headers_otherwise),
]

NOT_YET = [
    (ONE, remember_with_a_rest(1e9), "ask Valkey again after a while"),
    (ONE, remember_and_read_back, "do not read it back"),
    (ONE, remember_up_to, "seconds was 3600, and the TTL of what was stored is less"),
    (TWO, one_of(lambda: str(os.getpid())), "nor in another thread of this one"),
    (TWO, one_of(lambda: "", "as the page"), "by a text that no other caller writes"),
    (TWO, one_of(secrets.token_hex, "as the page"), "does its TTL last longer than load?"),
    (TWO, one_waits_for_the_lock, "the other process got None: who has waited must look again"),
    (TWO, one_tells_all_of_the_error, "the answer raised LookupError"),
    (TWO, one_kept(lambda _: 60), "seconds was 3600, and the TTL of what was stored is less"),
    (TWO, one_kept(lambda seconds: 2 * seconds), "is longer"),
    (THREE, (read_by_one_version, new_version_of_all), "another key called load again"),
    (THREE, (read_under_one_name, new_token), "got the value of the other key"),
    (THREE, (read_by_token, new_token_and_tidy), "another key called load again"),
    (
        FOUR,
        but("/greeting", Cache_Control="max-age=60", Vary="Accept-Language, Cookie"),
        "one copy for each language is enough",
    ),
    (
        FOUR,
        but("/greeting", Cache_Control="max-age=60", Vary="Accept-Language, User-Agent"),
        "one copy for each language is enough",
    ),
    (FOUR, but("/greeting", Vary="Accept-Language"), "no header says for how long"),
    (
        FOUR,
        but("/greeting", Cache_Control="public", Vary="Accept-Language"),
        "no header says for how long",
    ),
    (
        FOUR,
        but("/greeting", Vary="Accept-Language", Expires=formatdate(2**32, usegmt=True)),
        "instead of a minute",
    ),
    (ONE, remember_by_process, "another process that asked for the same key called load 1 times"),
    (ONE, remember_here_and_there, "load was called 0 times"),
    (TWO, one_by_get_and_delete, "release a lock only if it is still yours, in one command"),
    (TWO, one_in_this_process_and_a_note, "another process that asked meanwhile called it"),
    (TWO, one_by_one_mark, "by a text that no other caller writes"),
    (TWO, one_if_true, "an empty text is a page"),
    (ONE, remember_for(nothing=5), "the TTL of what was stored is less than half"),
    (ONE, remember_for(two_steps=True), "Store it and set its TTL in one command"),
    (ONE, remember_for(looks_first=True), "look and read in one command"),
    (ONE, remember_in_one_try, "Valkey stopped answering while load ran"),
    # On a busy machine these two are found out as soon as twelve ask at once.
    (TWO, one_waiting(lives=1500), "called"),
    (TWO, one_token(patience=1.5), "called"),
    (TWO, one_token(lock="lock"), "give each key its own lock"),
    (TWO, one_token(stores_late=True), "released before the page was stored"),
    (FOUR, but("/best", Cache_Control="max-age=0, s-maxage=60", Vary="Cookie"), "Look at Vary"),
    (
        FOUR,
        but("/greeting", Cache_Control="private", X_Accel_Expires="60", Vary="Accept-Language"),
        "it forbids them to keep the page",
    ),
    (TWO, one_swallows, "load failed with LookupError, and its caller got None"),
    (THREE, (read_by_own_version, own_version), "another process called `changed`"),
    (THREE, (read_stub, deleted_twice), "a slow reader stored an old value"),
    (THREE, (read_by_token, deleted_and_swallowed), "it was read, changed and read again"),
    (FOUR, but("/bookings", Cache_Control='private="Set-Cookie"'), "neither private nor no-store"),
    (FOUR, but("/greeting", Cache_Control="private, max-age=60"), "both requests reached"),
    (ONE, remember_by_sentinel, "load returned '__none__'"),
    (ONE, remember_as_long_as_it_is_read, "a read made the TTL longer"),
    (TWO, one_waiting(lives=100), "does its TTL last longer than load?"),
    (TWO, one_waiting(rounds=3), "got None"),
    (TWO, one_waiting(two_steps=True), "left page:lock without a TTL"),
    (THREE, (read_by_token, flushed), "they are not this function's to delete"),
    (FOUR, but("/bookings", Cache_Control="public, max-age=60", X_Accel_Expires="0"), "neither"),
    (FOUR, but("/bookings", Set_Cookie="a=b"), "neither private nor no-store"),
    (FOUR, but("/bookings", Expires="0"), "neither private nor no-store"),
    (ONE, remember_stub, "load returned None, and redis-py cannot send that"),
    (ONE, remember_without_none, "load returned None, and the next reader called load"),
    (ONE, remember_as_text, "load returned 'None', and the first call returned None"),
    (ONE, remember_if_true, "the next reader called load again"),
    (ONE, remember_for_ever, "has no TTL"),
    (ONE, remember_needs_valkey, "Valkey does not answer in time, and the caller got TimeoutError"),
    (ONE, remember_if_connected, "Valkey does not answer in time, and the caller got TimeoutError"),
    (ONE, remember_if_it_hangs, "Valkey is down, and the caller got ConnectionError"),
    (ONE, remember_catches_all, "load failed, and was called 2 times"),
    (ONE, remember_swallows, "load failed with LookupError, and the caller got None"),
    (ONE, remember_loads_twice, "Valkey does not answer in time, and load was called 2"),
    (ONE, remember_longer, "is longer"),
    (ONE, remember_for_a_blink, "is less than half of it"),
    (ONE, remember_a_minute, "seconds was 3600, and the TTL of what was stored is less"),
    (ONE, remember_in_a_hash_for_ever, "pages has no TTL"),
    (ONE, remember_here, "Valkey holds nothing"),
    (ONE, lambda *_: None, "load returned 'a page', and the first call returned None"),
    (TWO, one_stub, "11 of them got None"),
    (TWO, one_naive, "12 asked at once, and load was called 12 times"),
    (TWO, one_without_second_look, "look once more when you have the lock"),
    (TWO, one_without_end, "while one computes, lock:page has no TTL"),
    (TWO, one_deletes_any_lock, "release a lock only if it is still yours"),
    (TWO, one_keeps_lock_after_error, "the next caller waits for nobody"),
    (TWO, one_by_hash, "while one computes, locks has no TTL"),
    (TWO, one_in_this_process, "Valkey knows nothing of it"),
    (THREE, (read_stub, deleted), "a slow reader stored an old value"),
    (THREE, (read_stub, nothing), "it was read, changed and read again"),
    (THREE, (read_never, nothing), "load was called 3 times"),
    (THREE, (read_by_counter, count_up), "Valkey had no room for page:version"),
    (THREE, (read_version_late, new_token), "a slow reader stored an old value"),
    (THREE, (read_without_end, new_token), "has no TTL"),
    (THREE, (read_hash_without_end, new_token), "page has no TTL"),
    (THREE, (read_and_check, mark), "the change came just before a slow reader's SET"),
    (THREE, (read_by_watch, deleted), "a slow reader stored an old value"),
    (THREE, (read_stub, 7), "give two functions"),
    (THREE, (read_stub,), "give two functions"),
    (FOUR, headers_stub, "Bode asked for /bookings, and saw the bookings of Amina"),
    (FOUR, lambda _: {}, "Bode asked for /bookings, and saw the bookings of Amina"),
    (FOUR, but("/bookings", Cache_Control="max-age=60", Vary="Authorization"), "disk"),
    (FOUR, but("/best", Cache_Control="max-age=60"), "without asking"),
    (FOUR, but("/best", Cache_Control="no-cache"), "both requests reached the site"),
    (FOUR, but("/greeting", Cache_Control="max-age=60"), "in en, and said bonjour"),
    (FOUR, but("/greeting", Cache_Control="max-age=60", Vary="*"), "both requests reached"),
    (FOUR, but("/best", Cache_Control="max-age=0, s-maxage=3600"), "for 3600 seconds"),
    (FOUR, but("/greeting", Content_Length="2", Vary="Accept-Language"), "answered 502"),
    (FOUR, lambda _: {"Cache Control": "private"}, "which is no header"),
    (FOUR, lambda _: "private", "not a dictionary"),
    (FOUR, lambda _: {"Cache-Control": 60}, "which is no header"),
    (FOUR, lambda _: {"Cache-Control": "a\r\nSet-Cookie: b"}, "which is no header"),
]


def test_a_writer_that_waits_for_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nexus.judging.limits.SECONDS", 2.0)
    verdict = judge_answer(THREE, (read_under_lock, delete_under_lock))
    assert not verdict.right
    assert "`changed` waits until a slow reader is done" in verdict.message, verdict


def name_of(answer: object) -> str:
    return getattr(answer, "__name__", None) or type(answer).__name__


@pytest.mark.parametrize(("name", "answer"), RIGHT, ids=map(name_of, (a for _, a in RIGHT)))
def test_right(name: str, answer: object) -> None:
    verdict = judge_answer(name, answer)
    assert verdict.right, verdict


@pytest.mark.parametrize(("name", "answer", "hint"), NOT_YET)
def test_not_yet(name: str, answer: object, hint: str) -> None:
    verdict = judge_answer(name, answer)
    assert not verdict.right
    assert hint in verdict.message, verdict


@pytest.mark.parametrize("name", EXERCISES)
@pytest.mark.parametrize("answer", [None, 7, "an answer"])
def test_other_types(name: str, answer: object) -> None:
    verdict = judge_answer(name, answer)
    assert not verdict.right
    assert "give " in verdict.message or "this is of type" in verdict.message


def leaves(*_: object) -> None:
    raise SystemExit(0)


def loops(*_: object) -> None:
    while True:
        pass


def waits(client: Client, key: str, *_: object) -> None:
    client.blpop(f"never:{key}", timeout=0)


@pytest.mark.parametrize("name", EXERCISES)
def test_answers_that_leave(name: str) -> None:
    answer = (leaves, leaves) if name == THREE else leaves
    verdict = judge_answer(name, answer)
    assert not verdict.right
    assert "SystemExit" in verdict.message


# An answer that is ended while it waits for Valkey may leave its socket to the garbage collection.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize("name", EXERCISES)
@pytest.mark.parametrize("answer", [loops, waits])
def test_answers_that_never_end(
    name: str, answer: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nexus.judging.limits.SECONDS", 0.5)
    before = threads()
    given: object = (answer, answer) if name == THREE else answer
    verdict = judge_answer(name, given)
    assert not verdict.right
    assert no_threads_beyond(before)
    gc.collect()
