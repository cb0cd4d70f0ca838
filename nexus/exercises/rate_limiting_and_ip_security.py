"""Judges of "Rate limiting and IP security": a limiter, a client's key, a list of blocks."""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any, cast

import psycopg
import redis

from nexus.judging import NotYet, judge, limits
from nexus.judging.dying import Eventful, mortal
from nexus.judging.limits import Run, all_of, within
from nexus.judging.meeting import come_to_rest, holding, queueing
from nexus.judging.sandbox import Connection, Sandbox, another, database, own_valkey
from nexus.judging.verdict import first_line
from nexus.judging.workers import OtherProcessError, Worker, worker
from nexus.services import Valkey
from nexus.services.process import wait_for

START = 1_900_000_000.5
"""When the traces begin: far from the real time, and no whole second."""

PATIENCE = 2.0
"""How long a call is held back, if the other process does not get through without it."""

MOST_COMMANDS = 8
"""Before how many commands of a call another process comes once."""

ROOM = 4_000
"""Bytes of memory for a key with a limit of five, whatever its form."""

Allow = Callable[[redis.Redis, str, int, int, float], object]


class Log:
    """What should happen: the times of calls that passed, by key."""

    def __init__(self, limit: int, window: int) -> None:
        self.limit, self.window = limit, window
        self._passed: dict[str, list[float]] = {}

    def allows(self, key: str, now: float) -> bool:
        """Whether a call should pass; it then counts."""
        times = [before for before in self._passed.get(key, []) if before + self.window > now]
        passes = len(times) < self.limit
        self._passed[key] = [*times, now] if passes else times
        return passes


TRACES: dict[str, tuple[int, int, list[tuple[str, float]]]] = {
    "calls at the same time": (5, 60, [("a", 0.0)] * 7),
    "a call exactly one window later": (
        1,
        60,
        [("a", 0.0), ("a", 59.998), ("a", 60.0), ("a", 119.998), ("a", 120.0)],
    ),
    "a burst at the end of one minute and another at the start of the next": (
        5,
        60,
        [("a", 18.0)] * 5 + [("a", 21.0)] * 5 + [("a", 77.75), ("a", 78.0), ("a", 78.0)],
    ),
    "calls at a steady pace": (3, 30, [("a", 5.0 * step) for step in range(24)]),
    "calls that come unevenly": (
        3,
        60,
        [("a", t) for t in (0.0, 50.0, 58.0, 59.0, 61.0, 62.0, 110.25, 119.0, 121.5, 122.0, 400.0)],
    ),
    "refused calls between": (
        2,
        60,
        [("a", float(t)) for t in (0, 1, *range(2, 60, 3), 60, 61, 61, 62)],
    ),
    "two keys": (2, 60, [("a", 0.0), ("b", 0.0), ("a", 1.0), ("b", 1.0), ("a", 2.0), ("b", 2.0)]),
    "keys that begin alike": (
        1,
        60,
        [("a", 0.0), ("a:1", 0.0), ("a:a", 0.0), ("a:1:1", 1.0), ("a", 1.0)],
    ),
    "a key that begins like one before": (1, 60, [("a:1", 0.0), ("a", 0.0), ("a:1", 1.0)]),
    "keys with signs that have a meaning in a pattern": (
        1,
        60,
        [("ab", 0.0), ("a?", 0.0), ("a[b]", 0.0), ("a*", 0.0), ("a*", 1.0)],
    ),
    "many calls at the same time": (200, 60, [("a", 0.0)] * 202),
}


GIVEN_1 = """
def allow(client, key, limit, window, now):
    count = client.incr(key)
    if count == 1:
        client.expire(key, window)
    return count <= limit
"""


@judge(
    "rate-limiting-and-ip-security.1",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a client, a key, a limit, a window and the time: it says whether "
    "the call may pass",
    stub=GIVEN_1,
)
def allow(answer: Allow) -> str:
    """It keeps a sliding window, in one step, in few bytes, for more than one process."""
    # The other process is forked before the answer is called for the first time.
    with own_valkey() as server, worker(partial(_calls_there, answer, server)) as other:
        client = server.connect(decode_responses=True, socket_timeout=limits.SECONDS)
        for number, (name, (limit, window, calls)) in enumerate(TRACES.items()):
            client.flushall()
            # Each trace has keys of its own: an answer may remember them in its process.
            own = [(f"{key[0]}{number}{key[1:]}", second) for key, second in calls]
            _follow(answer, client, name, limit, window, own)
        client.flushall()
        _elsewhere(answer, client, other)
        client.flushall()
        _twins(answer, client, server)
        client.flushall()
        _small(answer, client)
        client.flushall()
        _ends(answer, client)
        _meets(answer, server, client, other)
        _dies(answer, server, client)
        _down(answer, server, client)
    return (
        "at most so many passed in any window, also when another process came between two "
        "commands; it needs little memory, and every key ends by itself"
    )


def _calls_there(answer: Allow, server: Valkey, key: str, calls: int, now: float) -> int:
    """Calls it in another process, with a limit of five a minute; how often it passed."""
    options: dict[str, Any] = {"decode_responses": True, "socket_timeout": limits.SECONDS}
    with redis.Redis.from_url(server.url, **options) as client:
        return sum(bool(answer(client, key, 5, 60, now)) for _ in range(calls))


def _follow(
    answer: Allow,
    client: redis.Redis,
    name: str,
    limit: int,
    window: int,
    calls: list[tuple[str, float]],
) -> None:
    """Compares an answer with a log, call by call."""
    log = Log(limit, window)
    for number, (key, second) in enumerate(calls, 1):
        now = START + second
        expected = log.allows(key, now)
        if bool(within(partial(answer, client, key, limit, window, now))) != expected:
            raise NotYet(
                f"{name}, with a limit of {limit} in {window} seconds: call number {number}, for "
                f"key {key!r} at {second:g} s, should have "
                f"{'passed' if expected else 'been refused'}. "
                f"{_listed([time for _, time in calls[:number]])}"
            )


def _listed(times: list[float]) -> str:
    """When calls came, the last dozen of them."""
    said = ", ".join(f"{time:g}" for time in times[-12:])
    return f"The {'last ' if len(times) > 12 else ''}calls came at {said} s"


def _elsewhere(answer: Allow, client: redis.Redis, other: Worker) -> None:
    """One process uses the limit up, and another one is refused."""
    for _ in range(5):
        within(partial(answer, client, "shared", 5, 60, START))
    if other.said("a call in another process", "shared", 3, START):
        raise NotYet(
            "this process had used the limit up, and another process let a call for the same key "
            "pass: count in Valkey"
        )


def _twins(answer: Allow, client: redis.Redis, server: Valkey) -> None:
    """Two processes that have done the same call at the same time, and are not one caller.

    The other one is forked here: a counter of calls in this process goes on from the same number
    in both, as it does in two workers that have served as many requests.
    """
    with worker(partial(_calls_there, answer, server)) as twin:
        passed = twin.said("a call in another process", "twins", 3, START)
        passed += sum(bool(within(partial(answer, client, "twins", 5, 60, START))) for _ in "123")
    if passed != 5:
        raise NotYet(
            "with a limit of five, each of two processes called three times at the same moment, "
            f"and {passed} of six passed: two calls are two, also if each process would give "
            "them the same name"
        )


def _memory(client: redis.Redis) -> int:
    """Bytes that all keys take."""
    keys = cast(list[str], client.keys())
    return sum(cast(int, client.memory_usage(key, samples=0)) for key in keys)


def _small(answer: Allow, client: redis.Redis) -> None:
    """Neither refused calls nor old ones are kept."""

    def many(step: float) -> None:
        for number in range(400):
            answer(client, "busy", 5, 60, START + number * step)

    for step, what in (
        (0.0625, "400 calls in half a minute, nearly all refused"),
        (20.0, "400 calls, one each 20 seconds"),
    ):
        client.flushall()
        within(partial(many, step))
        if (used := _memory(client)) > ROOM:
            raise NotYet(
                f"after {what}, Valkey keeps {used:,} bytes for this key, and its limit is five: "
                "remove what no longer counts, and do not store what is refused"
            )


def _ends(answer: Allow, client: redis.Redis) -> None:
    """Each key has a TTL: a call that passes renews it, and a refused one does not shorten it."""
    for window in (60, 600):
        client.flushall()
        for at, turn, least in (
            (0.0, "the first call that passed", 1.0),
            (0.5, "a later call that passed", 1.0),
            (0.75, "a refused call", 0.75),  # the call before counts for three quarters more
        ):
            _age(client, int(250 * window if least < 1 else 500 * window))
            began = time.monotonic()
            within(partial(answer, client, "ends", 2, window, START + at * window))
            late = time.monotonic() - began + 1
            _lives(client, window, least * window - late, turn)


def _age(client: redis.Redis, milliseconds: int) -> None:
    """Makes all keys older, as if the time had really passed."""
    for key in cast(list[str], client.keys()):
        if (left := cast(int, client.pttl(key))) > 0:
            client.pexpire(key, left - milliseconds)


def _lives(client: redis.Redis, window: int, least: float, turn: str) -> None:
    """Looks at the TTL of every key after a call."""
    lives = {key: cast(int, client.pttl(key)) / 1000 for key in cast(list[str], client.keys())}
    if endless := [key for key, life in lives.items() if life < 0]:
        raise NotYet(f"the key {endless[0]!r} has no TTL, so Valkey keeps it for ever")
    if not lives:
        raise NotYet(f"after {turn}, Valkey holds nothing")
    longest = round(max(lives.values()))
    if max(lives.values()) < least:
        raise NotYet(
            f"the window was {window} seconds. After {turn}, the longest TTL was {longest} "
            "seconds: Valkey would forget a call while it still counts"
        )
    if max(lives.values()) > 3 * window + 1:
        raise NotYet(
            f"the window was {window} seconds, and after {turn} a TTL is {longest} seconds: that "
            "is more than three windows"
        )


def _meets(answer: Allow, server: Valkey, admin: redis.Redis, other: Worker) -> None:
    """Before each of a call's commands in turn, another process calls five times."""
    for is_full, what in (
        (False, "another process made five calls"),
        (True, "the limit was used up a minute ago, and another process made five calls"),
    ):
        # A call that is refused, half a second before all may pass again, must not count.
        here_at, there_at = (START + 59.5, START + 60) if is_full else (START, START)
        for number in range(1, MOST_COMMANDS + 1):
            admin.flushall()
            if is_full:
                for _ in range(5):
                    within(partial(answer, admin, "met", 5, 60, START))

            def come_between(_: str, at: float = there_at) -> None:
                other.ask("met", 5, at)
                with suppress(TimeoutError):  # it may wait for this one
                    wait_for(other.is_done, PATIENCE, "the other process")

            client = Eventful.of(server, number, come_between, limits.SECONDS)
            with client:
                here = bool(within(partial(answer, client, "met", 5, 60, here_at)))
            if client.sent < number:
                break
            passed = here + other.heard("a call in another process")
            if passed > 5:
                raise NotYet(
                    f"with a limit of five, {what} just before command number {number} of a call "
                    f"here, and {passed} of six passed: read and count in one step, such as in a "
                    "script"
                )
            if passed < 5:
                raise NotYet(
                    f"with a limit of five, {what} just before command number {number} of a call "
                    f"here, and only {passed} of six passed: a refused call must not count, not "
                    "even for a moment"
                )


def _dies(answer: Allow, server: Valkey, admin: redis.Redis) -> None:
    """Its process is gone before each of its commands in turn: nothing without an end is left."""
    for number in range(1, MOST_COMMANDS + 1):
        admin.flushall()
        with mortal(server, number, limits.SECONDS) as client, suppress(NotYet):  # it dies
            within(partial(answer, client, "dies", 5, 60, START))
        if found := [key for key in cast(list[str], admin.keys()) if admin.pttl(key) == -1]:
            raise NotYet(
                f"a process died just before command number {number} of a call, and left "
                f"{found[0]!r} without a TTL: count and set the TTL in one step"
            )
        if client.sent < number:
            return


def _down(answer: Allow, server: Valkey, admin: redis.Redis) -> None:
    """Valkey answers nothing from each of a call's commands on: a full limit stays full."""

    def fail(_: str) -> None:
        client.at += 1  # the next one as well
        raise redis.ConnectionError("Connection refused")

    for number in range(1, MOST_COMMANDS + 1):
        admin.flushall()
        for _ in range(5):
            within(partial(answer, admin, "down", 5, 60, START))
        with Eventful.of(server, number, fail, limits.SECONDS) as client:
            try:
                passed = within(partial(answer, client, "down", 5, 60, START))
            except NotYet:
                raise
            except Exception:
                passed = False
        if passed:
            raise NotYet(
                f"the limit was used up, Valkey was down from command number {number} of a call "
                "on, and the call passed: raise the error, or return false"
            )
        if client.sent < number:
            return


Who = tuple[str, str | None, int, str, str]

CLIENTS: list[Who] = [
    ("203.0.113.9", None, 0, "203.0.113.9", "there is no proxy"),
    ("203.0.113.9", "198.51.100.1", 0, "203.0.113.9", "there is no proxy, so the header is forged"),
    ("10.0.0.1", "203.0.113.9", 1, "203.0.113.9", "there is one proxy"),
    ("10.0.0.1", "192.0.2.1, 203.0.113.9", 1, "203.0.113.9", "a client has forged an entry"),
    (
        "10.0.0.1",
        "203.0.113.9, 10.0.0.2",
        2,
        "203.0.113.9",
        "there are two proxies, and the first one added the client",
    ),
    (
        "10.0.0.1",
        "192.0.2.1, 192.0.2.2, 203.0.113.9, 10.0.0.2",
        2,
        "203.0.113.9",
        "a client behind two proxies has forged two entries",
    ),
    (
        "10.0.0.1",
        "192.0.2.1,203.0.113.9 ,\t10.0.0.3,10.0.0.2",
        3,
        "203.0.113.9",
        "there are three proxies, and spaces differ",
    ),
    ("203.0.113.9", None, 1, "203.0.113.9", "the header is missing"),
    ("203.0.113.9", None, 2, "203.0.113.9", "the header is missing"),
    (
        "203.0.113.9",
        "198.51.100.1",
        2,
        "203.0.113.9",
        "the header has fewer entries than there are proxies",
    ),
    ("203.0.113.9", "", 1, "203.0.113.9", "the header is empty"),
    ("10.0.0.1", "192.0.2.1, " * 12 + "203.0.113.9", 1, "203.0.113.9", "many entries are forged"),
    (
        "10.0.0.1",
        "192.0.2.1, 203.0.113.9, 10.0.0.5, 10.0.0.4, 10.0.0.3, 10.0.0.2",
        5,
        "203.0.113.9",
        "there are five proxies",
    ),
    ("192.31.196.1", "203.0.113.9", 1, "203.0.113.9", "the proxy has a public address"),
    ("10.0.0.1", "192.0.2.1, 10.1.2.3", 1, "10.1.2.3", "the client has a private address"),
    ("10.0.0.1", "10.1.2.3, 10.0.0.2", 2, "10.1.2.3", "the client has a private address"),
    ("10.0.0.1", "what is this, 203.0.113.9", 1, "203.0.113.9", "the forged entry is no address"),
    ("10.0.0.1", "203.0.113.9:4711", 1, "203.0.113.9", "the proxy adds the port"),
    ("10.0.0.1", "203.0.113.9:54321", 1, "203.0.113.9", "a port may have five digits"),
    (
        "10.0.0.1",
        "192.0.2.1, [2001:db8:0:1::7]:4711",
        1,
        "2001:db8:0:1::/64",
        "the proxy adds the port",
    ),
    ("2001:db8:0:1::7", None, 0, "2001:db8:0:1::/64", "the client has IPv6"),
    ("2001:DB8:0:1:ffff:0:0:42", None, 0, "2001:db8:0:1::/64", "IPv6 is written in another way"),
    (
        "10.0.0.1",
        "2001:0db8:0000:0002:0000:0000:0000:0042",
        1,
        "2001:db8:0:2::/64",
        "IPv6 is written in full",
    ),
    ("2001:db8::1", None, 0, "2001:db8::/64", "the client has IPv6"),
    ("fe80::7%eth0", None, 0, "fe80::/64", "an IPv6 address has a zone"),
    ("10.0.0.1", "fe80::7%2", 1, "fe80::/64", "an IPv6 address has a zone"),
    ("fd00::1", "2001:db8:0:1:2:3:4:5", 1, "2001:db8:0:1::/64", "the proxy has IPv6 too"),
    (
        "2001:db8:0:1::7",
        "198.51.100.1",
        2,
        "2001:db8:0:1::/64",
        "a client with IPv6 went around a proxy",
    ),
    ("::ffff:203.0.113.9", None, 0, "203.0.113.9", "the address is IPv4-mapped"),
    ("10.0.0.1", "::ffff:203.0.113.9", 1, "203.0.113.9", "the address is IPv4-mapped"),
    ("10.0.0.1", "[::ffff:203.0.113.9]:80", 1, "203.0.113.9", "an IPv4-mapped address has a port"),
    (
        "::ffff:203.0.113.9",
        "192.0.2.1",
        2,
        "203.0.113.9",
        "an IPv4-mapped client went around a proxy",
    ),
    ("10.0.0.1", "::ffff:cb00:7109", 1, "203.0.113.9", "the IPv4-mapped address is in hexadecimal"),
    (
        "10.0.0.1",
        "2001:db8:0:1::203.0.113.9",
        1,
        "2001:db8:0:1::/64",
        "an IPv6 address may end in four decimal numbers",
    ),
    ("2002:cb00:7109::1", None, 0, "2002:cb00:7109::/64", "6to4 is IPv6"),
    ("64:ff9b::cb00:7109", None, 0, "64:ff9b::/64", "an address of NAT64 is IPv6"),
    ("2001:0:cb00:7109::1", None, 0, "2001:0:cb00:7109::/64", "Teredo is IPv6"),
    ("::203.0.113.9", None, 0, "::/64", "without ffff, it is not IPv4-mapped"),
    ("2001:db8::ffff:203.0.113.9", None, 0, "2001:db8::/64", "only ::ffff:0:0/96 is IPv4-mapped"),
    ("10.0.0.1", "203.0.113.9, , 10.0.0.2", 2, "unknown", "the client's entry is empty"),
    ("10.0.0.1", "192.0.2.1, unknown", 1, "unknown", "the proxy's entry is no address"),
    ("10.0.0.1", "192.0.2.1, _hidden", 1, "unknown", "the proxy's entry is no address"),
    ("10.0.0.1", "203.0.113.999", 1, "unknown", "the entry is no address"),
    ("10.0.0.1", "203.0.113", 1, "unknown", "the entry is no address"),
    ("10.0.0.1", "010.0.0.9", 1, "unknown", "a leading zero may mean octal, so it is no address"),
    ("10.0.0.1", "2001:db8::1::2", 1, "unknown", "the entry is no address"),
    ("10.0.0.1", "203.0.113.9/32", 1, "unknown", "the entry is a network, and no address"),
    ("10.0.0.1", "3405803785", 1, "unknown", "a number is no address"),
]
"""Peer, header, proxies, what is right, and what is special about it."""

GIVEN_2 = """
def client_key(peer, forwarded, proxies):
    if forwarded:
        return forwarded.split(",")[0]
    return peer
"""


@judge(
    "rate-limiting-and-ip-security.2",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of the connection's address, the header and the number of proxies: it "
    "returns the text to count by",
    stub=GIVEN_2,
)
def client_key(answer: Callable[[str, str | None, int], object]) -> str:
    """It believes the proxies and nobody else, and one network has one key."""
    for peer, forwarded, proxies, right, what in CLIENTS:
        asked = f"client_key({peer!r}, {forwarded!r}, {proxies})"
        try:
            got = within(partial(answer, peer, forwarded, proxies))
        except NotYet:
            raise
        except Exception as error:
            raise NotYet(
                f"{what}: {asked} raised {type(error).__name__}: {first_line(error)}"
            ) from None
        if got != right:
            raise NotYet(f"{what}: {asked} should return {right!r}, and returned {got!r}")
    return (
        "it believes the entries of your own proxies and no forged one, and IPv4-mapped "
        "addresses, ports and IPv6 networks have the right key"
    )


def _logs(connection: Connection) -> None:
    """Makes the log of attempts, the allow list and the list of blocks."""
    connection.execute("""
        CREATE TABLE login_log (
            id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            at timestamptz NOT NULL, client inet NOT NULL, account text NOT NULL, ok bool NOT NULL
        );
        CREATE TABLE allowed (network cidr PRIMARY KEY);
        CREATE TABLE blocked (network cidr PRIMARY KEY, until timestamptz NOT NULL);
    """)


NOW = datetime(2031, 6, 1, 15, 20, 7, 250_000, tzinfo=timezone(timedelta(hours=3)))
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
Row = tuple[datetime, str, str, bool]
Blocks = dict[str, datetime]


def _failures(client: str, accounts: int, minutes: float = 30, *, first: int = 0) -> list[Row]:
    """Failed attempts for so many accounts, some minutes before now."""
    at = NOW - timedelta(minutes=minutes)
    return [(at, client, f"user {first + n}", False) for n in range(accounts)]


def _successes(client: str, accounts: int, minutes: float = 30) -> list[Row]:
    return [
        (at, who, account, True) for at, who, account, _ in _failures(client, accounts, minutes)
    ]


ATTACKER, CAMPUS = "203.0.113.9", "192.0.2.1"
ONE = {f"{ATTACKER}/32": NOW + DAY}
NOBODY: Blocks = {}
Case = tuple[str, list[Row], list[str], Blocks, Blocks]

LOGS: list[Case] = [
    ("an attacker failed for 30 accounts", _failures(ATTACKER, 30), [], {}, ONE),
    ("the log is empty", [], [], {}, NOBODY),
    (
        "25 students of a campus of 300 mistyped, behind one address",
        _failures(CAMPUS, 25) + _successes(CAMPUS, 300),
        [],
        {},
        NOBODY,
    ),
    (
        "one person failed 200 times for one account",
        _failures(ATTACKER, 1) * 200,
        [],
        {},
        NOBODY,
    ),
    ("somebody failed for 19 accounts", _failures(ATTACKER, 19) * 5, [], {}, NOBODY),
    ("somebody failed for exactly 20 accounts", _failures(ATTACKER, 20), [], {}, ONE),
    (
        "exactly half of the attempts failed",
        _failures(ATTACKER, 40) + _successes(ATTACKER, 40),
        [],
        {},
        NOBODY,
    ),
    (
        "21 of 41 attempts failed, each for another account",
        _failures(ATTACKER, 21) + _successes(ATTACKER, 20),
        [],
        {},
        ONE,
    ),
    (
        "attempts for 15 accounts failed, and for 10 other accounts none did",
        _failures(ATTACKER, 15) * 4
        + _failures(ATTACKER, 0)
        + [(NOW - HOUR / 2, ATTACKER, f"other {n}", True) for n in range(10)],
        [],
        {},
        NOBODY,
    ),
    (
        "25 accounts failed once, and one account logged in 30 times",
        _failures(ATTACKER, 25) + _successes(ATTACKER, 1) * 30,
        [],
        {},
        NOBODY,
    ),
    (
        "20 accounts failed three times each, and 30 other accounts logged in once",
        _failures(ATTACKER, 20) * 3
        + [(NOW - HOUR / 2, ATTACKER, f"other {n}", True) for n in range(30)],
        [],
        {},
        ONE,
    ),
    (
        "19 accounts in the last hour, and one exactly an hour ago",
        _failures(ATTACKER, 19) + _failures(ATTACKER, 1, 60, first=19),
        [],
        {},
        NOBODY,
    ),
    (
        "19 accounts in the last hour, and one exactly now",
        _failures(ATTACKER, 19) + _failures(ATTACKER, 1, 0, first=19),
        [],
        {},
        ONE,
    ),
    (
        "19 accounts in the last hour, and one half a second after now",
        _failures(ATTACKER, 19) + _failures(ATTACKER, 1, -0.5 / 60, first=19),
        [],
        {},
        NOBODY,
    ),
    (
        "an attack began in one hour of the clock and ended in the next",
        _failures(ATTACKER, 15, 35) + _failures(ATTACKER, 15, 5, first=15),
        [],
        {},
        ONE,
    ),
    (
        "an attack two hours ago",
        _failures(ATTACKER, 50, 125) + _failures(ATTACKER, 2, 5),
        [],
        {},
        NOBODY,
    ),
    (
        "many good log-ins yesterday, and an attack now",
        _successes(ATTACKER, 100, 60 * 24) + _failures(ATTACKER, 30),
        [],
        {},
        ONE,
    ),
    (
        "30 addresses of one IPv6 network of 64 bits",
        [row for n in range(30) for row in _failures(f"2001:db8:0:1:{n:x}::7", 1, first=n)],
        [],
        {},
        {"2001:db8:0:1::/64": NOW + DAY},
    ),
    (
        "four addresses of one IPv6 network failed for the same 10 accounts",
        [row for n in range(4) for row in _failures(f"2001:db8:0:1::{n:x}", 10)],
        [],
        {},
        NOBODY,
    ),
    (
        "one address of an IPv6 network failed for 30 accounts, and another one logged in 40",
        _failures("2001:db8:0:1::7", 30) + _successes("2001:db8:0:1::8", 40),
        [],
        {},
        NOBODY,
    ),
    (
        "101 of 201 attempts failed",
        _failures(ATTACKER, 101) + _successes(ATTACKER, 100),
        [],
        {},
        ONE,
    ),
    (
        "15 accounts each of two neighbouring IPv6 networks",
        _failures("2001:db8:0:2::1", 15) + _failures("2001:db8:0:3::1", 15, first=15),
        [],
        {},
        NOBODY,
    ),
    (
        "15 accounts each of two IPv4 neighbours",
        _failures("203.0.113.9", 15) + _failures("203.0.113.10", 15, first=15),
        [],
        {},
        NOBODY,
    ),
    (
        "two attackers and a campus",
        _failures(ATTACKER, 30)
        + _failures("198.51.100.7", 30)
        + _failures(CAMPUS, 25)
        + _successes(CAMPUS, 300),
        [],
        {},
        {**ONE, "198.51.100.7/32": NOW + DAY},
    ),
    (
        "an attacker's network is on the allow list",
        _failures("192.0.2.77", 30) + _failures(ATTACKER, 30),
        ["192.0.2.0/24", "2001:db8::/32"],
        {},
        ONE,
    ),
    (
        "an attacking IPv6 network lies in one on the allow list",
        _failures("2001:db8:0:1::7", 30),
        ["192.0.2.0/24", "2001:db8::/32"],
        {},
        NOBODY,
    ),
    (
        "one address of the attacking IPv6 network is on the allow list",
        _failures("2001:db8:0:1::7", 30),
        ["2001:db8:0:1::99/128"],
        {},
        NOBODY,
    ),
    (
        "the attacker is blocked until next week already",
        _failures(ATTACKER, 30),
        [],
        {f"{ATTACKER}/32": NOW + 7 * DAY},
        {f"{ATTACKER}/32": NOW + 7 * DAY},
    ),
    (
        "the attacker's block ends in an hour",
        _failures(ATTACKER, 30),
        [],
        {f"{ATTACKER}/32": NOW + HOUR},
        ONE,
    ),
    (
        "the attacker's last block ended yesterday",
        _failures(ATTACKER, 30),
        [],
        {f"{ATTACKER}/32": NOW - DAY},
        ONE,
    ),
    (
        "a larger network, with the attacker in it, is blocked for longer",
        _failures(ATTACKER, 30),
        [],
        {"203.0.113.0/24": NOW + 3 * DAY},
        {"203.0.113.0/24": NOW + 3 * DAY, **ONE},
    ),
    (
        "one address of the attacking IPv6 network is blocked",
        _failures("2001:db8:0:1::7", 30),
        [],
        {"2001:db8:0:1::7/128": NOW + HOUR},
        {"2001:db8:0:1::7/128": NOW + HOUR, "2001:db8:0:1::/64": NOW + DAY},
    ),
    (
        "other networks are blocked too",
        _failures(ATTACKER, 30),
        [],
        {"198.51.100.0/24": NOW + 3 * DAY, "203.0.113.0/24": NOW - DAY},
        {"198.51.100.0/24": NOW + 3 * DAY, "203.0.113.0/24": NOW - DAY, **ONE},
    ),
]

GIVEN_3 = """
def block(connection, now):
    connection.execute(
        \"\"\"
        INSERT INTO blocked
        SELECT client, %s + interval '1 day' FROM login_log
        GROUP BY client HAVING count(*) > 100
        \"\"\",
        [now],
    )
"""
Block = Callable[[Connection, datetime], object]


@judge(
    "rate-limiting-and-ip-security.3",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a connection and the time: it writes who attacks into blocked",
    stub=GIVEN_3,
)
def block(answer: Block) -> str:
    """It blocks who attacks, for a day, once; and nobody else."""
    with database("rate_limiting_block", _logs) as box:
        box.learner.execute("SET timezone = 'Asia/Tokyo'")
        for what, rows, allowed, before, after in LOGS:
            box.admin.execute("TRUNCATE login_log, allowed, blocked")
            _fill(box, rows, allowed, before)
            given = _given(box)
            for turn in ("", " and the task ran a second time"):
                _run(answer, box, NOW, f"{what}{turn}")
                _compare(box, what + turn, after)
            if _given(box) != given:
                raise NotYet(f"{what}: your task has changed login_log or allowed")
        _late_rows(answer, box)
        # The other process is forked here: it begins with what the answer has kept in this one.
        with worker(partial(_block_there, answer, box)) as other:
            _overlap(answer, box, other)
    return (
        "it blocks networks that fail for many accounts, also with late rows and when two runs "
        "overlap, and leaves a campus, the allow list and longer blocks alone"
    )


def _fill(box: Sandbox, rows: list[Row], allowed: list[str], before: Blocks) -> None:
    with box.admin.cursor() as cursor:
        for table, values in (
            ("login_log (at, client, account, ok)", rows),
            ("allowed", [(network,) for network in allowed]),
            ("blocked", list(before.items())),
        ):
            marks = ", ".join(["%s"] * (len(values[0]) if values else 0))
            if values:
                cursor.executemany(f"INSERT INTO {table} VALUES ({marks})", values)  # type: ignore[arg-type]  # noqa: S608


def _run(answer: Block, box: Sandbox, now: datetime, what: str) -> None:
    """Runs the task."""
    try:
        within(partial(answer, box.learner, now))
    except psycopg.Error as error:
        raise NotYet(f"{what}: your task failed: {first_line(error)}") from None
    if box.learner.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        raise NotYet(f"{what}: when your task has returned, its transaction is still open")
    if not box.learner.autocommit:
        raise NotYet(f"{what}: your task has turned autocommit off, and left it off")
    if box.admin.execute(
        "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND pid = %s",
        [box.learner.info.backend_pid],
    ).fetchone():
        raise NotYet(f"{what}: when your task has returned, it still holds an advisory lock")


def _given(box: Sandbox) -> list[tuple[Any, ...]]:
    """What the task has to leave alone."""
    return [
        *box.admin.execute("SELECT id, at, client, account, ok FROM login_log ORDER BY id"),
        *box.admin.execute("SELECT network FROM allowed ORDER BY network"),
    ]


def _compare(box: Sandbox, what: str, right: Blocks) -> None:
    """Compares the list of blocks with what it should be."""
    found = dict(box.admin.execute("SELECT network::text, until FROM blocked").fetchall())
    if missing := sorted(right.keys() - found.keys()):
        raise NotYet(f"{what}: {missing[0]} should be in blocked, and is not")
    if more := sorted(found.keys() - right.keys()):
        raise NotYet(f"{what}: {more[0]} is in blocked, and should not be")
    for network, until in sorted(right.items()):
        if found[network] != until:
            should, does = (
                f"{end.astimezone(UTC):%d %B %H:%M:%S.%f} UTC" for end in (until, found[network])
            )
            raise NotYet(
                f"{what}: the block of {network} should end at {should}, and ends at {does}"
            )


def _late_rows(answer: Block, box: Sandbox) -> None:
    """Rows of the last hour that were written after the task had run."""
    what = "half of an attack's rows came after the task had run, and then it ran again"
    box.admin.execute("TRUNCATE login_log, allowed, blocked")
    _fill(box, _failures(ATTACKER, 10, 10), [], {})
    _run(answer, box, NOW, what)
    _fill(box, _failures(ATTACKER, 10, 20, first=10), [], {})
    later = NOW + timedelta(minutes=30)
    _run(answer, box, later, what)
    _compare(box, what, {f"{ATTACKER}/32": later + DAY})
    what = "an attack went on for two hours, and the task ran each hour"
    box.admin.execute("TRUNCATE login_log, allowed, blocked")
    _fill(box, _failures(ATTACKER, 30, 30) + _failures(ATTACKER, 30, -30), [], {})
    _run(answer, box, NOW, what)
    _run(answer, box, NOW + HOUR, what)
    _compare(box, what, {f"{ATTACKER}/32": NOW + HOUR + DAY})


def _block_there(answer: Block, box: Sandbox, now: datetime) -> None:
    """Runs the task in another process."""
    with another(box) as connection:
        answer(connection, now)


def _overlap(answer: Block, box: Sandbox, other: Worker) -> None:
    """Two runs read before either may write, and the earlier one is the last to write."""
    later = NOW + timedelta(minutes=30)
    lock = "LOCK TABLE blocked IN SHARE MODE"  # it can be read
    for what, before in (
        ("nothing was blocked", {}),
        ("the attacker's block ended in an hour", {f"{ATTACKER}/32": NOW + HOUR}),
    ):
        said = f"{what}, and two runs overlapped"
        box.admin.execute("TRUNCATE login_log, allowed, blocked")
        _fill(box, _failures(ATTACKER, 30, 10), [], before)
        with holding(box, lock) as first:
            other.ask(later)
            come_to_rest(box, [lambda: not other.is_done()])
            with queueing(box, lock):  # between the two: the other run writes, and then this one
                here = Run(partial(answer, box.learner, NOW))
                going = [lambda: here.is_running, lambda: not other.is_done()]  # noqa: B023
                come_to_rest(box, going)
                first.commit()
                come_to_rest(box, going)
        all_of([here], "of two runs that overlap, one")
        try:
            here.value()
            other.answer("of two runs that overlap, one")
        except (OtherProcessError, psycopg.Error) as error:
            raise NotYet(f"{said}: one of them failed: {first_line(error)}") from None
        _compare(box, said, {f"{ATTACKER}/32": later + DAY})
