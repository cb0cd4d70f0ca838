"""Each judge of rate limiting: the stub, right answers of several kinds, wrong ones."""
# ruff: noqa: ARG001 (an answer has the arguments that its exercise names)

import ipaddress
import itertools
import json
import re
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

import nexus
from nexus.judging.sandbox import Connection
from tests.exercises import tables

ONE, TWO, THREE = (f"rate-limiting-and-ip-security.{number}" for number in (1, 2, 3))
Client = redis.Redis


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with nexus.postgres(fsync="off"):  # databases come and go
        yield


# -- 1: allow


def allow_stub(client: Client, key: str, limit: int, window: int, now: float) -> bool:
    count = client.incr(key)
    if count == 1:
        client.expire(key, window)
    return count <= limit


def script(body: str, *, member: str = "uuid") -> Callable[..., object]:
    """An answer that is one script, with `key`, `limit`, `window`, `now` and `member` in it."""
    head = """
        local key, limit, window = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
        local now, member = tonumber(ARGV[3]), ARGV[4]
    """

    def allow(client: Client, key: str, limit: int, window: int, now: float) -> object:
        own = uuid.uuid4().hex if member == "uuid" else repr(now)
        return client.eval(head + body, 1, key, limit, window, repr(now), own)

    return allow


LOG = """
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now - window)
    if redis.call('ZCARD', key) >= limit then return 0 end
    redis.call('ZADD', key, now, member)
    redis.call('EXPIRE', key, window)
    return 1
"""
LIST = """
    local times = redis.call('LRANGE', key, 0, -1)
    while times[1] and tonumber(times[1]) + window <= now do
        redis.call('LPOP', key)
        table.remove(times, 1)
    end
    if #times >= limit then return 0 end
    redis.call('RPUSH', key, ARGV[3])
    redis.call('PEXPIRE', key, 2000 * window)
    return 1
"""
OLDEST = """
    local oldest = redis.call('LINDEX', key, limit - 1)
    if oldest and tonumber(oldest) + window > now then return 0 end
    redis.call('LPUSH', key, ARGV[3])
    redis.call('LTRIM', key, 0, limit - 1)
    redis.call('EXPIRE', key, window)
    return 1
"""

by_a_log = script(LOG)
by_a_list = script(LIST)
by_the_oldest_of_a_list = script(OLDEST)


def by_watch(client: Client, key: str, limit: int, window: int, now: float) -> bool:
    """Another form: a transaction that is tried again if the key has changed."""
    with client.pipeline() as pipe:
        while True:
            with suppress(redis.WatchError):
                pipe.watch(key)
                times = [t for t in json.loads(pipe.get(key) or "[]") if t + window > now]
                if len(times) >= limit:
                    return False
                pipe.multi()
                pipe.set(key, json.dumps([*times, now]), ex=window)
                pipe.execute()
                return True


def by_a_lock(client: Client, key: str, limit: int, window: int, now: float) -> bool:
    """Another form: one at a time."""
    with client.lock(f"lock:{key}", timeout=5, sleep=0.005):
        times = [float(t) for t in client.lrange(key, 0, -1)]
        times = [t for t in times if t + window > now]
        if len(times) >= limit:
            return False
        pipe = client.pipeline()
        pipe.delete(key)
        pipe.rpush(key, *map(repr, [*times, now]))
        pipe.expire(key, 2 * window)
        pipe.execute()
        return True


COUNTS: dict[str, list[float]] = defaultdict(list)
LOCK = threading.Lock()


def in_this_process(client: Client, key: str, limit: int, window: int, now: float) -> bool:
    with LOCK:
        COUNTS[key] = [t for t in COUNTS[key] if now >= t > now - window]
        if len(COUNTS[key]) < limit:
            COUNTS[key].append(now)
            return True
    return False


def in_two_steps(client: Client, key: str, limit: int, window: int, now: float) -> bool:
    client.zremrangebyscore(key, "-inf", now - window)
    if client.zcard(key) >= limit:
        return False
    pipe = client.pipeline()
    pipe.zadd(key, {uuid.uuid4().hex: now})
    pipe.expire(key, window)
    pipe.execute()
    return True


def with_a_threading_lock(client: Client, key: str, limit: int, window: int, now: float) -> bool:
    with LOCK:
        return in_two_steps(client, key, limit, window, now)


def adds_and_then_looks(client: Client, key: str, limit: int, window: int, now: float) -> bool:
    """One transaction, but what is refused counts too."""
    pipe = client.pipeline()
    pipe.zremrangebyscore(key, "-inf", now - window)
    pipe.zadd(key, {uuid.uuid4().hex: now})
    pipe.zcard(key)
    pipe.expire(key, window)
    return bool(pipe.execute()[2] <= limit)


def adds_and_takes_back(client: Client, key: str, limit: int, window: int, now: float) -> bool:
    """Until it takes its own entry back, what is refused counts."""
    member = uuid.uuid4().hex
    pipe = client.pipeline()
    pipe.zremrangebyscore(key, "-inf", now - window)
    pipe.zadd(key, {member: now})
    pipe.zcard(key)
    pipe.expire(key, window)
    if pipe.execute()[2] <= limit:
        return True
    client.zrem(key, member)
    return False


def sets_the_ttl_afterwards(client: Client, key: str, limit: int, window: int, now: float) -> bool:
    passes = client.eval(
        """
        redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
        if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
        redis.call('ZADD', KEYS[1], ARGV[3], ARGV[4])
        return 1
        """,
        *(1, key, now - window, limit, repr(now), uuid.uuid4().hex),
    )
    client.expire(key, window)
    return bool(passes)


def swallows_errors(client: Client, key: str, limit: int, window: int, now: float) -> bool:
    try:
        return bool(client.eval("return redis.call('NO', KEYS[1])", 1, key))
    except Exception:
        return True


def always(client: Client, key: str, limit: int, window: int, now: float) -> bool:
    return True


def never(client: Client, key: str, limit: int, window: int, now: float) -> bool:
    return False


def by_servers_time(client: Client, key: str, limit: int, window: int, now: float) -> object:
    return by_a_log(client, key, limit, window, time.time())


def with_one_key_for_all(client: Client, key: str, limit: int, window: int, now: float) -> object:
    return by_a_log(client, "limit", limit, window, now)


def with_whole_seconds(client: Client, key: str, limit: int, window: int, now: float) -> object:
    return by_a_log(client, key, limit, window, round(now))


def cuts_the_key(client: Client, key: str, limit: int, window: int, now: float) -> object:
    return by_a_log(client, key.split(":")[0], limit, window, now)


def raises(client: Client, key: str, limit: int, window: int, now: float) -> object:
    raise RuntimeError("not today")


CALLS = itertools.count()


def named_by_a_counter(client: Client, key: str, limit: int, window: int, now: float) -> object:
    """The same name for two calls, if they come in two processes."""
    own = f"{now}:{next(CALLS)}"
    return client.eval(
        LOG.replace("key", "KEYS[1]")
        .replace("window", "ARGV[2]")
        .replace("now, member", "ARGV[3], ARGV[4]")
        .replace("now", "tonumber(ARGV[3])")
        .replace(">= limit", ">= tonumber(ARGV[1])"),
        *(1, key, limit, window, repr(now), own),
    )


FIFTY = itertools.cycle(range(50))


def named_by_few(client: Client, key: str, limit: int, window: int, now: float) -> object:
    """One of fifty names, in turn: of many calls, two have the same one."""
    return client.eval(
        LOG.replace("key", "KEYS[1]")
        .replace("window", "ARGV[2]")
        .replace("now, member", "ARGV[3], ARGV[4]")
        .replace("now", "tonumber(ARGV[3])")
        .replace(">= limit", ">= tonumber(ARGV[1])"),
        *(1, key, limit, window, repr(now), next(FIFTY)),
    )


def with_tenths(client: Client, key: str, limit: int, window: int, now: float) -> object:
    return by_a_log(client, key, limit, window, round(now, 1))


def with_hundredths(client: Client, key: str, limit: int, window: int, now: float) -> object:
    return by_a_log(client, key, limit, window, round(now, 2))


def with_thousandths(client: Client, key: str, limit: int, window: int, now: float) -> object:
    """Right: the exercise allows whole milliseconds."""
    return by_a_log(client, key, limit, window, round(now, 3))


A_KEY_A_CALL = """
    local n = 0
    for _, name in ipairs(redis.call('KEYS', key .. ':*')) do
        if redis.call('GET', name) <= tostring(now - window) then
            redis.call('DEL', name)
        else
            n = n + 1
        end
    end
    if n >= limit then return 0 end
    redis.call('SET', key .. ':' .. member, ARGV[3], 'EX', window)
    return 1
"""
REFUSED = "then return 0 end"
FIXED = """
    local start = now - now % window
    local name = key .. ':' .. start
    local count = tonumber(redis.call('GET', name) or 0)
    if count >= limit then return 0 end
    redis.call('INCR', name)
    redis.call('EXPIRE', name, 2 * window)
    return 1
"""
FROM_THE_FIRST = """
    local first = tonumber(redis.call('HGET', key, 'first') or -1)
    if first < 0 or first + window <= now then redis.call('HSET', key, 'first', ARGV[3], 'n', 0) end
    if tonumber(redis.call('HGET', key, 'n')) >= limit then return 0 end
    redis.call('HINCRBY', key, 'n', 1)
    redis.call('EXPIRE', key, 2 * window)
    return 1
"""
COUNTER = """
    local start = now - now % window
    local seen = tonumber(redis.call('HGET', key, 's') or -1)
    if seen ~= start then
        local old = seen == start - window and redis.call('HGET', key, 'n') or 0
        redis.call('HSET', key, 's', start, 'n', 0, 'o', old)
    end
    local n = redis.call('HGET', key, 'n')
    if n + (1 - (now - start) / window) * redis.call('HGET', key, 'o') + 1 > limit then
        return 0
    end
    redis.call('HINCRBY', key, 'n', 1)
    redis.call('EXPIRE', key, 2 * window)
    return 1
"""
BUCKET = """
    local at = tonumber(redis.call('HGET', key, 'at') or now)
    local tokens = tonumber(redis.call('HGET', key, 'tokens') or limit)
    tokens = math.min(limit, tokens + (now - at) * limit / window)
    local passes = tokens >= 1
    if passes then tokens = tokens - 1 end
    redis.call('HSET', key, 'tokens', tokens, 'at', ARGV[3])
    redis.call('EXPIRE', key, 2 * window)
    return passes and 1 or 0
"""
GCRA = """
    local every = window / limit
    local due = math.max(tonumber(redis.call('GET', key) or now), now)
    if due + every - now > window then return 0 end
    redis.call('SET', key, string.format('%.6f', due + every), 'EX', window)
    return 1
"""


def fails(passes: bool) -> Callable[..., object]:
    """An answer that says what it likes when Valkey is down."""

    def allow(client: Client, key: str, limit: int, window: int, now: float) -> object:
        try:
            return by_a_log(client, key, limit, window, now)
        except redis.RedisError:
            return passes

    return allow


RIGHT_1 = [
    (ONE, fails(passes=False)),
    (ONE, by_a_log),
    (ONE, by_a_list),
    (ONE, by_the_oldest_of_a_list),
    (ONE, by_watch),
    (ONE, by_a_lock),
    (ONE, with_thousandths),
]
NOT_YET_1: list[tuple[str, object, str]] = [
    (ONE, None, "give a function"),
    (ONE, allow_stub, "should have passed"),
    (ONE, always, "should have been refused"),
    (ONE, never, "should have passed"),
    (ONE, raises, "not today"),
    (ONE, swallows_errors, "should have been refused"),
    (ONE, fails(passes=True), "Valkey was down from command number 1"),
    (ONE, script(FIXED), "should have been refused"),
    (ONE, script(FROM_THE_FIRST), "should have been refused"),
    (ONE, script(COUNTER), "should have"),
    (ONE, script(BUCKET), "should have been refused"),
    (ONE, script(GCRA), "should have been refused"),
    (ONE, script(LOG, member="now"), "calls at the same time"),
    (ONE, script(LOG.replace("now - window)", "'(' .. now - window)")), "one window later"),
    (ONE, script(LOG.replace(">= limit", "> limit")), "calls at the same time"),
    (ONE, script(LOG.replace("return 0 end", "end")), "should have been refused"),
    (ONE, by_servers_time, "one window later"),
    (ONE, with_one_key_for_all, "two keys"),
    (ONE, with_whole_seconds, "should have"),
    (ONE, cuts_the_key, "keys that begin alike"),
    (ONE, in_this_process, "another process let a call"),
    (ONE, in_two_steps, "read and count in one step"),
    (ONE, with_a_threading_lock, "read and count in one step"),
    (ONE, adds_and_then_looks, "should have passed"),
    (ONE, adds_and_takes_back, "a refused call must not count"),
    (ONE, script(LOG.replace("redis.call('EXPIRE', key, window)", "")), "has no TTL"),
    (ONE, script(LOG.replace("key, window)", "key, 1)")), "would forget a call"),
    (ONE, script(LOG.replace("key, window)", "key, 60)")), "would forget a call"),
    (ONE, script(LOG.replace("key, window)", "key, 86400)")), "more than three windows"),
    (ONE, script(LOG.replace("key, window)", "key, window, 'NX')")), "would forget a call"),
    (
        ONE,
        script(
            LOG.replace("redis.call('ZREMRANGEBYSCORE', key, '-inf', now - window)", "").replace(
                "redis.call('ZCARD', key)", "redis.call('ZCOUNT', key, '(' .. now - window, '+inf')"
            )
        ),
        "remove what no longer counts",
    ),
    (
        ONE,
        script(
            LOG.replace(
                "then return 0 end",
                "then redis.call('RPUSH', key .. ':no', now) "
                "redis.call('EXPIRE', key .. ':no', window) return 0 end",
            )
        ),
        "do not store what is refused",
    ),
    (ONE, sets_the_ttl_afterwards, "without a TTL"),
    (ONE, named_by_a_counter, "two calls are two"),
    (ONE, named_by_few, "many calls at the same time"),
    (ONE, with_tenths, "one window later"),
    (ONE, with_hundredths, "one window later"),
    (ONE, script(A_KEY_A_CALL), "begins like one before"),
    (ONE, script(LOG.replace(">= limit", ">= math.min(limit, 20)")), "many calls"),
    (
        ONE,
        script(LOG.replace("return 1", "redis.call('ZREMRANGEBYRANK', key, 0, -101) return 1")),
        "many calls",
    ),
    (
        ONE,
        script(LOG.replace(REFUSED, "then redis.call('EXPIRE', key, 1) return 0 end")),
        "After a refused call",
    ),
    (
        ONE,
        script(
            LOG.replace(
                REFUSED,
                "then local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2] "
                "redis.call('PEXPIRE', key, math.ceil(1000 * (first + window - now))) "
                "return 0 end",
            )
        ),
        "After a refused call",
    ),
    (
        ONE,
        script(LOG.replace(REFUSED, "then redis.call('EXPIRE', key, 10 * window) return 0 end")),
        "more than three windows",
    ),
]


# -- 2: client_key


def client_stub(peer: str, forwarded: str | None, proxies: int) -> str:
    if forwarded:
        return forwarded.split(",")[0]
    return peer


def chosen(peer: str, forwarded: str | None, proxies: int) -> str:
    entries = (forwarded or "").split(",") if forwarded else []
    return entries[-proxies].strip() if 0 < proxies <= len(entries) else peer


def host_of(text: str) -> str:
    if text.startswith("["):
        return text[1 : text.index("]")]
    return text.split(":")[0] if text.count(":") == 1 else text


def key_of(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "unknown"
    if address.version == 6:
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((int(address), 64), strict=False))
    return str(address)


def by_parts(peer: str, forwarded: str | None, proxies: int) -> str:
    return key_of(host_of(chosen(peer, forwarded, proxies)))


def from_the_right(peer: str, forwarded: str | None, proxies: int) -> str:
    """Another form: it walks from the connection over the header, and masks by hand."""
    hops = [peer, *reversed(forwarded.split(",") if forwarded else [])]
    text = hops[proxies].strip() if proxies < len(hops) else peer
    if found := re.fullmatch(r"\[([^]]+)\]:\d+|([\d.]+):\d+", text):
        text = found[1] or found[2]
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        with suppress(ValueError):
            return str(ipaddress.IPv4Address(text))
        return "unknown"
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))


Choose = Callable[[str, str | None, int], str]


def choosing(choose: Choose) -> Choose:
    return lambda *given: key_of(host_of(choose(*given)))


def keyed(key: Callable[[str], str]) -> Choose:
    return lambda *given: key(chosen(*given))


def first_entry(peer: str, forwarded: str | None, proxies: int) -> str:
    return forwarded.split(",")[0].strip() if forwarded and proxies else peer


def first_entry_always(peer: str, forwarded: str | None, proxies: int) -> str:
    return forwarded.split(",")[0].strip() if forwarded else peer


def last_entry(peer: str, forwarded: str | None, proxies: int) -> str:
    return forwarded.split(",")[-1].strip() if forwarded and proxies else peer


def one_too_many(peer: str, forwarded: str | None, proxies: int) -> str:
    return chosen(peer, forwarded, proxies + 1) if proxies else peer


def as_drf(peer: str, forwarded: str | None, proxies: int) -> str:
    if not proxies or not forwarded:
        return peer
    entries = forwarded.split(",")
    return entries[-min(proxies, len(entries))].strip()


def only_peer(peer: str, forwarded: str | None, proxies: int) -> str:
    return peer


def whole_header(peer: str, forwarded: str | None, proxies: int) -> str:
    return "".join(forwarded.split()) if forwarded else peer


def first_public(peer: str, forwarded: str | None, proxies: int) -> str:
    for entry in reversed((forwarded or "").split(",")):
        with suppress(ValueError):
            if proxies and ipaddress.ip_address(host_of(entry.strip())) not in ipaddress.ip_network(
                "10.0.0.0/8"
            ):
                return entry.strip()
    return peer


def header_must_be_there(peer: str, forwarded: str | None, proxies: int) -> str:
    return forwarded.split(",")[-proxies].strip() if proxies else peer  # type: ignore[union-attr]


def with_blanks(peer: str, forwarded: str | None, proxies: int) -> str:
    entries = forwarded.split(",") if forwarded else []
    return entries[-proxies] if 0 < proxies <= len(entries) else peer


def skips_forged(peer: str, forwarded: str | None, proxies: int) -> str:
    """Takes the client from the entries that are addresses; the others do not count."""
    entries = [e.strip() for e in (forwarded or "").split(",")]
    entries = [entry for entry in entries if key_of(host_of(entry)) != "unknown"]
    return entries[-proxies] if 0 < proxies <= len(entries) else peer


def as_text(text: str) -> str:
    return host_of(text)


def whole_ipv6(text: str) -> str:
    with suppress(ValueError):
        return str(ipaddress.ip_address(host_of(text)))
    return "unknown"


def mapped_as_ipv6(text: str) -> str:
    address = ipaddress.ip_address(host_of(text)) if key_of(host_of(text)) != "unknown" else None
    if address is None:
        return "unknown"
    bits = 64 if address.version == 6 else 32
    network = ipaddress.ip_network(f"{address}/{bits}", strict=False)
    return str(network) if bits == 64 else str(address)


def ipv4_as_network(text: str) -> str:
    found = key_of(host_of(text))
    return found if "/" in found or found == "unknown" else f"{found}/32"


def without_ports(text: str) -> str:
    return key_of(text)


def cut_at_the_colon(text: str) -> str:
    return key_of(text.split(":")[0])


def from_the_last_colon(text: str) -> str:
    return key_of(text.rpartition(":")[0].strip("[]") or text)


def mapped_by_text(text: str) -> str:
    return key_of(host_of(text).removeprefix("::ffff:"))


def mapped_if_dotted(text: str) -> str:
    host = host_of(text)
    return key_of(host.rpartition(":")[2] if "." in host else host)


def with_octal(text: str) -> str:
    host = host_of(text)
    if host.count(".") == 3:
        host = ".".join(part.lstrip("0") or "0" for part in host.split("."))
    return key_of(host)


def by_a_pattern(text: str) -> str:
    host = host_of(text)
    return host if re.fullmatch(r"\d+\.\d+\.\d+\.\d+", host) else key_of(host)


def by_a_network(text: str) -> str:
    with suppress(ValueError):
        network = ipaddress.ip_network(host_of(text), strict=False)
        return key_of(str(network.network_address))
    return "unknown"


def with_numbers(text: str) -> str:
    host = host_of(text)
    return key_of(str(ipaddress.ip_address(int(host)))) if host.isdigit() else key_of(host)


def of_48_bits(text: str) -> str:
    found = key_of(host_of(text))
    return str(ipaddress.ip_network(found).supernet(new_prefix=48)) if "/" in found else found


def raising(text: str) -> str:
    host = host_of(text)
    ipaddress.ip_address(host)
    return key_of(host)


def empty_if_unknown(text: str) -> str:
    found = key_of(host_of(text))
    return "" if found == "unknown" else found


def network_by_text(text: str) -> str:
    host = host_of(text)
    if ":" in host and not key_of(host).count("."):
        return ":".join(host.split(":")[:4]) + "::/64"
    return key_of(host)


def peer_if_unknown(peer: str, forwarded: str | None, proxies: int) -> str:
    found = by_parts(peer, forwarded, proxies)
    return key_of(peer) if found == "unknown" else found


def as_object(peer: str, forwarded: str | None, proxies: int) -> object:
    found = by_parts(peer, forwarded, proxies)
    return found if found == "unknown" else ipaddress.ip_network(found)


def skips_empty(peer: str, forwarded: str | None, proxies: int) -> str:
    entries = [entry.strip() for entry in (forwarded or "").split(",") if entry.strip()]
    return entries[-proxies] if 0 < proxies <= len(entries) else peer


def empty_is_an_entry(peer: str, forwarded: str | None, proxies: int) -> str:
    if forwarded is None:
        return peer
    entries = [entry.strip() for entry in forwarded.split(",")]
    return entries[-proxies] if 0 < proxies <= len(entries) else peer


def at_most_three(peer: str, forwarded: str | None, proxies: int) -> str:
    return chosen(peer, forwarded, min(proxies, 3))


def of_the_first_entries(peer: str, forwarded: str | None, proxies: int) -> str:
    return chosen(peer, forwarded and ",".join(forwarded.split(",")[:10]), proxies)


def behind_private_peers(peer: str, forwarded: str | None, proxies: int) -> str:
    is_public = ipaddress.ip_address(peer).is_global
    return chosen(peer, None if is_public else forwarded, proxies)


def no_zones(text: str) -> str:
    return "unknown" if "%" in text else key_of(host_of(text))


def four_digits(text: str) -> str:
    found = re.fullmatch(r"\[(.+)\]:\d{1,4}|([\d.]+):\d{1,4}", text)
    return key_of((found[1] or found[2]) if found else text)


def embedded(
    inner: Callable[[ipaddress.IPv6Address], ipaddress.IPv4Address | None],
) -> Callable[[str], str]:
    """A key that takes more for IPv4 than what is IPv4-mapped."""

    def key(text: str) -> str:
        with suppress(ValueError):
            if found := inner(ipaddress.IPv6Address(host_of(text))):
                return str(found)
        return key_of(host_of(text))

    return key


def last_bits(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)


NAT64 = ipaddress.ip_network("64:ff9b::/96")

RIGHT_2: list[tuple[str, object]] = [(TWO, by_parts), (TWO, from_the_right)]
NOT_YET_2: list[tuple[str, object, str]] = [
    (TWO, None, "give a function"),
    (TWO, client_stub, "there is no proxy, so the header is forged"),
    (TWO, choosing(first_entry), "a client has forged an entry"),
    (TWO, choosing(first_entry_always), "so the header is forged"),
    (TWO, choosing(last_entry), "there are two proxies"),
    (TWO, choosing(one_too_many), "should return '203.0.113.9'"),
    (TWO, choosing(as_drf), "fewer entries"),
    (TWO, choosing(only_peer), "there is one proxy"),
    (TWO, choosing(whole_header), "so the header is forged"),
    (TWO, choosing(first_public), "should return"),
    (TWO, choosing(header_must_be_there), "the header is missing"),
    (TWO, choosing(with_blanks), "should return"),
    (TWO, choosing(skips_forged), "should return 'unknown'"),
    (TWO, peer_if_unknown, "should return 'unknown'"),
    (TWO, as_object, "should return '203.0.113.9'"),
    (TWO, keyed(as_text), "should return '2001:db8:0:1::/64'"),
    (TWO, keyed(whole_ipv6), "should return '2001:db8:0:1::/64'"),
    (TWO, keyed(mapped_as_ipv6), "IPv4-mapped"),
    (TWO, keyed(ipv4_as_network), "should return '203.0.113.9'"),
    (TWO, keyed(without_ports), "the proxy adds the port"),
    (TWO, keyed(cut_at_the_colon), "should return '2001:db8:0:1::/64'"),
    (TWO, keyed(from_the_last_colon), "should return"),
    (TWO, keyed(mapped_by_text), "in hexadecimal"),
    (TWO, keyed(mapped_if_dotted), "four decimal numbers"),
    (TWO, keyed(with_octal), "octal"),
    (TWO, keyed(by_a_pattern), "should return 'unknown'"),
    (TWO, keyed(by_a_network), "is a network"),
    (TWO, keyed(with_numbers), "a number is no address"),
    (TWO, keyed(of_48_bits), "should return '2001:db8:0:1::/64'"),
    (TWO, keyed(raising), "raised ValueError"),
    (TWO, keyed(empty_if_unknown), "should return 'unknown'"),
    (TWO, keyed(network_by_text), "should return '2001:db8"),
    (TWO, choosing(skips_empty), "entry is empty"),
    (TWO, choosing(empty_is_an_entry), "the header is empty"),
    (TWO, choosing(at_most_three), "five proxies"),
    (TWO, choosing(of_the_first_entries), "many entries are forged"),
    (TWO, choosing(behind_private_peers), "public address"),
    (TWO, keyed(no_zones), "has a zone"),
    (TWO, keyed(four_digits), "five digits"),
    (TWO, keyed(embedded(lambda a: a.sixtofour)), "6to4"),
    (TWO, keyed(embedded(lambda a: a.teredo and a.teredo[1])), "Teredo"),
    (TWO, keyed(embedded(lambda a: last_bits(a) if a in NAT64 else None)), "NAT64"),
    (
        TWO,
        keyed(embedded(lambda a: last_bits(a) if 2**16 < int(a) < 2**32 else None)),
        "without ffff",
    ),
    (
        TWO,
        keyed(embedded(lambda a: last_bits(a) if int(a) >> 32 & 0xFFFF == 0xFFFF else None)),
        "only ::ffff",
    ),
]


# -- 3: block

TASK = """
    INSERT INTO blocked (network, until)
    SELECT attacker, %(now)s::timestamptz + interval '1 day' FROM (
        SELECT network(set_masklen(client, CASE family(client) WHEN 4 THEN 32 ELSE 64 END))
               AS attacker, account, ok
        FROM login_log
        WHERE at > %(now)s::timestamptz - interval '1 hour' AND at <= %(now)s
    ) AS attempt
    WHERE NOT EXISTS (SELECT FROM allowed WHERE allowed.network && attacker)
    GROUP BY attacker
    HAVING count(DISTINCT account) FILTER (WHERE NOT ok) >= 20
       AND 2 * count(*) FILTER (WHERE NOT ok) > count(*)
    ON CONFLICT (network) DO UPDATE SET until = greatest(blocked.until, EXCLUDED.until)
"""
CONFLICT = "DO UPDATE SET until = greatest(blocked.until, EXCLUDED.until)"


def task(*changes: tuple[str, str]) -> Callable[[Connection, datetime], None]:
    """The task with some of its text changed."""
    statement = TASK
    for old, new in changes:
        assert old in statement, old
        statement = statement.replace(old, new)

    def block(connection: Connection, now: datetime) -> None:
        connection.execute(statement, {"now": now})  # type: ignore[arg-type]

    return block


def attackers(connection: Connection, now: datetime) -> list[Any]:
    """The networks that attack, found in Python."""
    failed, tries = defaultdict(set), defaultdict(list)
    rows = connection.execute(
        "SELECT client, account, ok FROM login_log WHERE at > %s AND at <= %s",
        [now - timedelta(hours=1), now],
    ).fetchall()
    for client, account, ok in rows:
        bits = 32 if client.version == 4 else 64
        address = getattr(client, "ip", client)
        network = ipaddress.ip_network(f"{address}/{bits}", strict=False)
        tries[network].append(ok)
        if not ok:
            failed[network].add(account)
    allowed = [row[0] for row in connection.execute("SELECT network FROM allowed").fetchall()]
    return [
        network
        for network, accounts in failed.items()
        if len(accounts) >= 20
        and sum(tries[network]) * 2 < len(tries[network])
        and not any(own.version == network.version and own.overlaps(network) for own in allowed)
    ]


def in_python(connection: Connection, now: datetime) -> None:
    """Another form: only the reading and writing is SQL."""
    with connection.transaction():
        for network in attackers(connection, now):
            connection.execute(
                "INSERT INTO blocked VALUES (%s, %s) ON CONFLICT (network) "
                "DO UPDATE SET until = EXCLUDED.until WHERE blocked.until < EXCLUDED.until",
                [network, now + timedelta(days=1)],
            )


def looks_first(connection: Connection, now: datetime) -> None:
    """Inserts what it has not found."""
    until = now + timedelta(days=1)
    for network in attackers(connection, now):
        found = connection.execute("SELECT until FROM blocked WHERE network = %s", [network])
        if row := found.fetchone():
            connection.execute(
                "UPDATE blocked SET until = %s WHERE network = %s", [max(row[0], until), network]
            )
        else:
            connection.execute("INSERT INTO blocked VALUES (%s, %s)", [network, until])


def compares_in_python(connection: Connection, now: datetime) -> None:
    """Inserts safely, and writes the later of two ends, as it was when it looked."""
    until = now + timedelta(days=1)
    for network in attackers(connection, now):
        found = connection.execute("SELECT until FROM blocked WHERE network = %s", [network])
        row = found.fetchone()
        connection.execute(
            "INSERT INTO blocked VALUES (%s, %s) ON CONFLICT (network) "
            "DO UPDATE SET until = EXCLUDED.until",
            [network, max(row[0], until) if row else until],
        )


def with_a_lock(connection: Connection, now: datetime) -> None:
    """Another form: one run at a time."""
    with connection.transaction():
        connection.execute("LOCK TABLE blocked IN SHARE ROW EXCLUSIVE MODE")
        looks_first(connection, now)


def anew(connection: Connection, now: datetime) -> None:
    """Deletes all blocks first."""
    with connection.transaction():
        connection.execute("DELETE FROM blocked")
        task()(connection, now)


def tidies_up(connection: Connection, now: datetime) -> None:
    with connection.transaction():
        connection.execute("DELETE FROM blocked WHERE until < %s", [now])
        task()(connection, now)


def empties_the_log(connection: Connection, now: datetime) -> None:
    with connection.transaction():
        task()(connection, now)
        connection.execute("DELETE FROM login_log WHERE at < %s", [now - timedelta(hours=1)])


def naive(connection: Connection, now: datetime) -> None:
    connection.execute(TASK, {"now": now.replace(tzinfo=None)})  # type: ignore[arg-type]


def naive_in_utc(connection: Connection, now: datetime) -> None:
    connection.execute(TASK, {"now": now.astimezone(UTC).replace(tzinfo=None)})  # type: ignore[arg-type]


def of_the_clocks_hour(connection: Connection, now: datetime) -> None:
    connection.execute(  # type: ignore[arg-type]
        TASK.replace("at > %(now)s::timestamptz - interval '1 hour'", "at >= %(start)s"),
        {"now": now, "start": now.replace(minute=0)},
    )


def once_seen(connection: Connection, now: datetime) -> None:
    """Remembers the last row that it has seen, and so misses what comes late."""
    connection.execute("CREATE TABLE IF NOT EXISTS seen (id int)")
    task(("at <= %(now)s", "at <= %(now)s AND id > (SELECT coalesce(max(id), 0) FROM seen)"))(
        connection, now
    )
    connection.execute("INSERT INTO seen SELECT max(id) FROM login_log")


def rewrites_the_log(connection: Connection, now: datetime) -> None:
    with connection.transaction():
        connection.execute(
            "UPDATE login_log SET client = "
            "set_masklen(client, CASE family(client) WHEN 4 THEN 32 ELSE 64 END)"
        )
        task()(connection, now)


def without_autocommit(connection: Connection, now: datetime) -> None:
    connection.autocommit = False
    task()(connection, now)
    connection.commit()


def keeps_a_lock(connection: Connection, now: datetime) -> None:
    connection.execute("SELECT pg_advisory_lock(1)")
    task()(connection, now)


def in_whole_seconds(connection: Connection, now: datetime) -> None:
    task()(connection, now.replace(microsecond=0))


def tidies_smaller_ones(connection: Connection, now: datetime) -> None:
    with connection.transaction():
        task()(connection, now)
        connection.execute(
            "DELETE FROM blocked AS small USING blocked AS large "
            "WHERE small.network << large.network AND small.until <= large.until"
        )


def swallowing(connection: Connection, now: datetime) -> None:
    with suppress(Exception):
        task(
            (
                f"ON CONFLICT (network) {CONFLICT}",
                "",
            )
        )(connection, now)


def left_open(connection: Connection, now: datetime) -> None:
    connection.execute("BEGIN")
    task()(connection, now)


def nothing(connection: Connection, now: datetime) -> None:
    """Does nothing at all, and so blocks nobody."""
    connection.execute("SELECT 1")


def block_stub(connection: Connection, now: datetime) -> None:
    connection.execute(
        """
        INSERT INTO blocked
        SELECT client, %s + interval '1 day' FROM login_log
        GROUP BY client HAVING count(*) > 100
        """,
        [now],
    )


HOUR = "at > %(now)s::timestamptz - interval '1 hour'"
FAILED = "count(DISTINCT account) FILTER (WHERE NOT ok) >= 20"
SHARE = "AND 2 * count(*) FILTER (WHERE NOT ok) > count(*)"

RIGHT_3: list[tuple[str, object]] = [(THREE, task()), (THREE, in_python), (THREE, with_a_lock)]
NOT_YET_3: list[tuple[str, object, str]] = [
    (THREE, None, "give a function"),
    (THREE, block_stub, "203.0.113.9/32 should be in blocked"),
    (THREE, nothing, "203.0.113.9/32 should be in blocked"),
    (THREE, looks_first, "two runs overlapped: one of them failed"),
    (THREE, compares_in_python, "two runs overlapped: the block of 203.0.113.9/32 should end"),
    (THREE, task((FAILED, "count(*) > 25"), (SHARE, "")), "25 students"),
    (THREE, task((SHARE, "")), "25 students"),
    (THREE, task((FAILED, "count(*) FILTER (WHERE NOT ok) >= 20")), "one person failed"),
    (THREE, task((FAILED, "count(DISTINCT account) FILTER (WHERE NOT ok) > 20")), "exactly 20"),
    (THREE, task((FAILED, "count(DISTINCT account) FILTER (WHERE NOT ok) >= 19")), "19 accounts"),
    (THREE, task((FAILED, "count(DISTINCT account) >= 20")), "for 15 accounts failed"),
    (THREE, task(("> count(*)", ">= count(*)")), "exactly half"),
    (THREE, task((SHARE, "AND bool_and(NOT ok)")), "21 of 41"),
    (
        THREE,
        task((SHARE, f"AND 2 * {FAILED.removesuffix(' >= 20')} > count(DISTINCT account)")),
        "exactly half",
    ),
    (THREE, task((HOUR, HOUR.replace(">", ">="))), "exactly an hour ago"),
    (THREE, task(("at <= %(now)s", "at < %(now)s")), "one exactly now"),
    (THREE, task(("AND at <= %(now)s", "")), "a second after now"),
    (THREE, task((HOUR, "true")), "exactly an hour ago"),
    (THREE, task((HOUR, HOUR.replace("1 hour", "2 hours"))), "an hour ago"),
    (THREE, of_the_clocks_hour, "and is not"),
    (
        THREE,
        task(("%(now)s::timestamptz", "now()"), ("at <= %(now)s", "at <= now()")),
        "and is not",
    ),
    (THREE, naive, "and is not"),
    (THREE, naive_in_utc, "and is not"),
    (THREE, task(("CASE family(client) WHEN 4 THEN 32 ELSE 64 END", "masklen(client)")), "64 bits"),
    (THREE, task(("ELSE 64", "ELSE 48")), "2001:db8:0:1::/64 should be in blocked"),
    (THREE, task(("THEN 32", "THEN 24")), "should be in blocked"),
    (
        THREE,
        task(("WHERE NOT EXISTS (SELECT FROM allowed WHERE allowed.network && attacker)", "")),
        "allow list",
    ),
    (THREE, task(("allowed.network && attacker", "allowed.network = attacker")), "allow list"),
    (
        THREE,
        task(("allowed.network && attacker", "allowed.network >>= attacker")),
        "one address of",
    ),
    (THREE, task(("allowed.network && attacker", "allowed.network <<= attacker")), "allow list"),
    (THREE, task(("WHERE NOT EXISTS", "WHERE EXISTS")), "and is not"),
    (THREE, task((f"ON CONFLICT (network) {CONFLICT}", "")), "the task ran a second time"),
    (THREE, task((CONFLICT, "DO NOTHING")), "ends in an hour"),
    (THREE, task((CONFLICT, "DO UPDATE SET until = EXCLUDED.until")), "until next week"),
    (
        THREE,
        task((CONFLICT, "DO UPDATE SET until = blocked.until + interval '1 day'")),
        "the task ran a second time",
    ),
    (THREE, task(("interval '1 day'", "interval '1 hour'")), "should end at"),
    (THREE, anew, "should end at"),
    (THREE, tidies_up, "should be in blocked"),
    (THREE, empties_the_log, "has changed login_log"),
    (THREE, once_seen, "and is not"),
    (THREE, swallowing, "should end at"),
    (THREE, left_open, "still open"),
    (THREE, rewrites_the_log, "has changed login_log"),
    (THREE, without_autocommit, "autocommit off"),
    (THREE, keeps_a_lock, "advisory lock"),
    (THREE, in_whole_seconds, "should end at"),
    (THREE, tidies_smaller_ones, "should be in blocked"),
    (
        THREE,
        task(
            (FAILED, FAILED.replace("DISTINCT account", "DISTINCT (client, account)")),
            ("AS attacker, account", "AS attacker, client, account"),
        ),
        "the same 10 accounts",
    ),
    (
        THREE,
        task(
            ("account, ok\n", "account, ok, bool_or(ok) OVER (PARTITION BY client) AS fine\n"),
            ("WHERE NOT EXISTS", "WHERE NOT fine AND NOT EXISTS"),
        ),
        "and is not",
    ),
    (
        THREE,
        task(
            (
                "account, ok\n",
                "account, ok, avg(ok::int) OVER (PARTITION BY client) AS share\n",
            ),
            ("WHERE NOT EXISTS", "WHERE share < 0.5 AND NOT EXISTS"),
        ),
        "another one logged in 40",
    ),
    (
        THREE,
        task((SHARE, "AND 100 * count(*) FILTER (WHERE NOT ok) / count(*) > 50")),
        "101 of 201",
    ),
    (THREE, task((SHARE, "AND round(avg((NOT ok)::int), 2) > 0.5")), "101 of 201"),
    (
        THREE,
        task(
            (
                "WHERE NOT EXISTS",
                "WHERE NOT EXISTS (SELECT FROM blocked AS b WHERE b.network >> attacker AND "
                "b.until >= %(now)s::timestamptz + interval '1 day') AND NOT EXISTS",
            )
        ),
        "a larger network",
    ),
    (THREE, task(("at <= %(now)s", "date_trunc('second', at) <= %(now)s")), "second after now"),
]

RIGHT: list[tuple[str, object]] = [*RIGHT_1, *RIGHT_2, *RIGHT_3]
test_right, test_not_yet = tables.tests(RIGHT, [*NOT_YET_1, *NOT_YET_2, *NOT_YET_3])
