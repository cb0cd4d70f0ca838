"""The judges of "Real time": stubs, right answers, and wrong ones, each with what it is told."""

# ruff: noqa: ARG001, ARG005, E501 (an answer gets what it does not need; a change is one text)

import heapq
import json
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

import nexus
from nexus.judging import judge_answer, limits
from nexus.judging.registry import find
from tests.exercises import tables

Db = Any  # psycopg's connection, or a client of Valkey
ONE, TWO, THREE = (f"realtime.{number}" for number in range(1, 4))


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with nexus.postgres(fsync="off"):
        yield


def changed(source: str, *changes: tuple[str, str]) -> dict[str, Any]:
    """What a text of Python defines, after some of it was replaced."""
    for old, new in changes:
        assert old in source, old
        source = source.replace(old, new)
    names: dict[str, Any] = {}
    exec(source, names)  # our own text
    return names


# -- 1. Live

LIVE = """
class Live:
    def __init__(self):
        self.version = None
        self.counts, self.waiting, self.newest = {}, {}, 0

    def snapshot(self, version, counts):
        self.newest = max(self.newest, version)
        if self.version is None or version > self.version:
            self.version, self.counts = version, dict(counts)
            self.apply()

    def change(self, version, option, votes):
        self.newest = max(self.newest, version)
        if self.version is None or version > self.version:
            self.waiting[version] = (option, votes)
            self.apply()
        while len(self.waiting) > 100:
            del self.waiting[min(self.waiting)]

    def apply(self):
        if self.version is None:
            return
        while self.version + 1 in self.waiting:
            self.version += 1
            option, votes = self.waiting[self.version]
            self.counts[option] = self.counts.get(option, 0) + votes
        self.waiting = {v: c for v, c in self.waiting.items() if v > self.version}

    def shown(self):
        return None if self.version is None else (self.version, dict(self.counts))

    def behind(self):
        return self.version is None or self.newest > self.version
"""


def page(*changes: tuple[str, str]) -> type:
    made: type = changed(LIVE, *changes)["Live"]
    return made


class ByHeap:
    """Another form: a heap of what waits, cut when it is long."""

    def __init__(self) -> None:
        self.state: tuple[int, dict[str, int]] | None = None
        self.heap: list[tuple[int, str, int]] = []
        self.newest = -1

    def snapshot(self, version: int, counts: dict[str, int]) -> None:
        self.newest = max(self.newest, version)
        if self.state is None or self.state[0] <= version:
            self.state = (version, {**counts})
        self._drain()

    def change(self, version: int, option: str, votes: int) -> None:
        self.newest = max(self.newest, version)
        if self.state and version <= self.state[0]:
            return
        heapq.heappush(self.heap, (version, option, votes))
        self.heap = heapq.nlargest(100, set(self.heap)) if len(self.heap) > 100 else self.heap
        heapq.heapify(self.heap)
        self._drain()

    def _drain(self) -> None:
        while self.state and self.heap and self.heap[0][0] <= self.state[0] + 1:
            version, option, votes = heapq.heappop(self.heap)
            if version == self.state[0] + 1:
                counts = self.state[1]
                self.state = (version, {**counts, option: counts.get(option, 0) + votes})

    def shown(self) -> tuple[int, dict[str, int]] | None:
        return self.state and (self.state[0], dict(self.state[1]))

    def behind(self) -> bool:
        return self.state is None or self.state[0] < self.newest


class Waits(page()):  # type: ignore[misc]
    """Sleeps a little, as an answer that logs may."""

    def snapshot(self, version: int, counts: dict[str, int]) -> None:
        time.sleep(0.001)
        super().snapshot(version, counts)


GUARD = "if self.version is None or version > self.version:\n            self."
BOUND = """
        while len(self.waiting) > 100:
            del self.waiting[min(self.waiting)]
"""

WAITING = "return self.version is None or bool(self.waiting)"


class Slots:
    """Another form: slots, and changes as a sorted list of the newest hundred."""

    __slots__ = ("later", "now", "top")

    def __init__(self) -> None:
        self.now: list[Any] = []
        self.later: list[tuple[int, str, int]] = []
        self.top = 0

    def snapshot(self, version: int, counts: dict[str, int]) -> None:
        self.top = max(self.top, version)
        if not self.now or self.now[0] < version:
            self.now = [version, dict(counts)]
        self._work()

    def change(self, version: int, option: str, votes: int) -> None:
        self.top = max(self.top, version)
        self.later = sorted({*self.later, (version, option, votes)})
        self._work()

    def _work(self) -> None:
        if self.now:
            for version, option, votes in self.later:
                if version == self.now[0] + 1:
                    self.now[0] = version
                    self.now[1][option] = self.now[1].get(option, 0) + votes
            self.later = [each for each in self.later if each[0] > self.now[0]]
        self.later = self.later[-100:]

    def shown(self) -> tuple[int, dict[str, int]] | None:
        return (self.now[0], self.now[1].copy()) if self.now else None

    def behind(self) -> bool:
        return not self.now or self.now[0] != self.top


RIGHT_1: list[tuple[str, object]] = [
    (ONE, page()),
    (ONE, ByHeap),
    (ONE, Waits),
    (ONE, Slots),
    (ONE, page(("return self.version is None or self.newest > self.version", WAITING))),
]
NOT_YET_1: list[tuple[str, object, str]] = [
    (ONE, None, "give a class"),
    (ONE, type("Empty", (), {}), "AttributeError"),
    # A change before the snapshot is dropped: the hole.
    (
        ONE,
        page(
            (
                GUARD + "waiting",
                "if self.version is not None and version > self.version:\n            self.waiting",
            )
        ),
        "came between the snapshot and its arrival",
    ),
    # What comes twice counts twice.
    (
        ONE,
        page(
            (
                "        if self.version is None or version > self.version:\n            self.waiting",
                "        if version == self.version:\n"
                "            self.counts[option] = self.counts.get(option, 0) + votes\n"
                "        if self.version is None or version > self.version:\n            self.waiting",
            )
        ),
        "shown() should be",
    ),
    # The newest version wins, and what was late is lost.
    (
        ONE,
        page(
            (
                "while self.version + 1 in self.waiting:\n            self.version += 1",
                "for v in sorted(v for v in self.waiting if v > self.version):\n            self.version = v",
            )
        ),
        "changed their places",
    ),
    # An old snapshot sets the page back.
    (
        ONE,
        page((GUARD + "version", "if True:\n            self.version")),
        "an old snapshot came late",
    ),
    # A snapshot of what is there already does not drop it.
    (
        ONE,
        page(
            (
                "while self.version + 1 in self.waiting:\n            self.version += 1\n            option, votes = self.waiting[self.version]",
                "for v in sorted(self.waiting):\n            if v > self.version + 1: break\n            self.version = max(v, self.version)\n            option, votes = self.waiting[v]",
            )
        ),
        "shown() should be",
    ),
    # A snapshot throws away what came after it.
    (
        ONE,
        page(
            (
                "self.version, self.counts = version, dict(counts)",
                "self.version, self.counts, self.waiting = version, dict(counts), {}",
            )
        ),
        "came between the snapshot and its arrival",
    ),
    (ONE, page((BOUND, "")), "keeps more than a hundred"),
    # What waits is forgotten, and with it that something is missing.
    (
        ONE,
        page(
            ("del self.waiting[min(self.waiting)]", "self.waiting.clear()"),
            ("self.newest > self.version", "bool(self.waiting)"),
        ),
        "also if the page has forgotten",
    ),
    # The gap is skipped when too much waits.
    (
        ONE,
        page(
            (
                "del self.waiting[min(self.waiting)]",
                "self.version = max(min(self.waiting), self.version or 0) - 1; self._skip()",
            ),
            ("    def shown", "    _skip = lambda self: self.apply()\n\n    def shown"),
        ),
        "shown() should be",
    ),
    # Only the first snapshot counts.
    (
        ONE,
        page((GUARD + "version", "if self.version is None:\n            self.version")),
        "shown() should be",
    ),
    # A page that asks for snapshots one after the other: it takes no change before a second one.
    (
        ONE,
        page(
            (
                "self.newest = max(self.newest, version)\n        if self.version is None or version > self.version:\n            self.waiting",
                "if self.version is None or version > self.version:\n            self.waiting",
            )
        ),
        "behind() should be",
    ),
    # It remembers every version for ever, in order to know what came twice.
    (
        ONE,
        page(
            (
                "self.newest = max(self.newest, version)\n        if self.version is None or version > self.version:\n            self.waiting",
                "self.newest = max(self.newest, version)\n        self.__dict__.setdefault('seen', []).append(str(version) + ' ')\n        if self.version is None or version > self.version:\n            self.waiting",
            )
        ),
        "keeps more than a hundred",
    ),
    # The same in one text, in bytes, and in a list of the module.
    *(
        (
            ONE,
            page(
                (
                    "self.newest = max(self.newest, version)\n        if self.version is None or version > self.version:\n            self.waiting",
                    f"self.newest = max(self.newest, version)\n        {keep}\n        if self.version is None or version > self.version:\n            self.waiting",
                ),
                ("class Live:", f"{begin}\nclass Live:"),
            ),
            "the memory that your code holds grew",
        )
        for begin, keep in (
            ("seen = ['']", "seen[0] += f'{version};'"),
            ("", "self.__dict__['seen'] = self.__dict__.get('seen', '') + f'{version};'"),
            ("seen = bytearray()", "seen.extend(version.to_bytes(8, 'big'))"),
            ("seen = []", "seen.append(version)"),
            ("import functools\nkept = functools.lru_cache(None)(str)", "kept(version)"),
        )
    ),
    (ONE, page(("dict(self.counts))", "self.counts)")), "shown() should be"),
    (ONE, page(("version, dict(counts)", "version, counts")), "shown() should be"),
    (
        ONE,
        page(
            ("class Live:", "class Live:\n    waiting = {}\n"),
            ("{}, {}, 0", "{}, self.waiting, 0"),
            ("self.waiting = {v: c", "kept = {v: c"),
            (
                "if v > self.version}",
                "if v > self.version}\n        self.waiting.clear()\n        self.waiting.update(kept)",
            ),
        ),
        "shown() should be",
    ),
    (
        ONE,
        page(("return self.version is None or self.newest > self.version", "return False")),
        "behind() should be True",
    ),
    (
        ONE,
        page(
            (
                "return self.version is None or self.newest > self.version",
                "return self.version is None",
            )
        ),
        "behind() should be True",
    ),
    (ONE, page(("return None if", "return (0, {}) if")), "there was no snapshot yet"),
    (ONE, page(("(self.version, dict", "(self.newest, dict")), "shown() should be"),
    (
        ONE,
        page(("self.counts.get(option, 0) + votes", "self.counts.get(option, 0) + 1")),
        "shown() should be",
    ),
    (ONE, page(("self.counts.get(option, 0) + votes", "votes")), "shown() should be"),
    # What looks alike is taken for the same.
    (
        ONE,
        page(
            (
                "            self.waiting[version]",
                "            if (option, votes) in self.waiting.values(): return\n            self.waiting[version]",
            )
        ),
        "shown() should be",
    ),
    # Version 0 is false.
    (ONE, page(("if self.version is None", "if not self.version")), "shown() should be"),
    (
        ONE,
        page(("return None if self.version is None", "return None if not self.version")),
        "should be a pair",
    ),
    (
        ONE,
        page(("return self.version is None or", "return not self.version or")),
        "behind() should be False",
    ),
    (
        ONE,
        page(("def behind(self):\n        return", "def behind(self):\n        return not")),
        "TypeError",
    ),
]


# -- 2. The ticket

DOOR = """
import json, secrets

def issue(client, user, poll):
    ticket = secrets.token_urlsafe(32)
    client.set(f"ticket:{ticket}", json.dumps([user, poll]), ex=30)
    return ticket

def admit(client, origins, origin, ticket, poll):
    if origin not in origins or not ticket:
        return None
    found = client.getdel(f"ticket:{ticket}")
    if found is None:
        return None
    user, its_poll = json.loads(found)
    return user if its_poll == poll else None
"""


def door(*changes: tuple[str, str]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    names = changed(DOOR, *changes)
    return names["issue"], names["admit"]


def issue_hash(client: Db, user: str, poll: str) -> str:
    ticket = secrets.token_hex(16)
    with client.pipeline(transaction=True) as both:
        both.hset(f"t:{ticket}", mapping={"user": user, "poll": poll})
        both.expire(f"t:{ticket}", 30)
        both.execute()
    return ticket


def admit_hash(client: Db, origins: list[str], origin: str, ticket: str, poll: str) -> object:
    """Another form: both commands in a transaction."""
    with client.pipeline(transaction=True) as both:
        found, _ = both.hgetall(f"t:{ticket}").delete(f"t:{ticket}").execute()
    if origin in set(origins) and found.get("poll") == poll:
        return found["user"]
    return None


def admit_renamed(client: Db, origins: list[str], origin: str, ticket: str, poll: str) -> object:
    if origin not in origins:
        return None
    try:
        client.rename(f"ticket:{ticket}", f"used:{ticket}")
    except redis.ResponseError:
        return None
    user, own_poll = json.loads(client.get(f"used:{ticket}"))
    return user if own_poll == poll else None


def admit_watched(client: Db, origins: list[str], origin: str, ticket: str, poll: str) -> object:
    key = f"ticket:{ticket}"
    with client.pipeline() as both:
        both.watch(key)
        found = both.get(key)
        if found is None or origin not in origins:
            return None
        both.multi()
        both.delete(key)
        try:
            both.execute()
        except redis.WatchError:
            return None
    user, own_poll = json.loads(found)
    return user if own_poll == poll else None


def admit_by_hand(client: Db, origins: list[str], origin: str, ticket: str, poll: str) -> object:
    """Believes what the ticket says of its user and poll."""
    if origin not in origins or not ticket or not client.getdel(f"ticket:{ticket.split('.')[0]}"):
        return None
    try:
        user, own_poll = (bytes.fromhex(part).decode() for part in ticket.split(".")[1:])
    except ValueError:
        return None
    return user if own_poll == poll else None


def issue_by_hand(client: Db, user: str, poll: str) -> str:
    key = secrets.token_urlsafe(16)
    client.set(f"ticket:{key}", 1, ex=30)
    return f"{key}.{user.encode().hex()}.{poll.encode().hex()}"


def issue_shared(client: Db, user: str, poll: str) -> str:
    """All tickets in one hash, whose TTL begins again with each."""
    ticket = secrets.token_urlsafe(32)
    with client.pipeline(transaction=True) as both:
        both.hset("tickets", ticket, json.dumps([user, poll])).expire("tickets", 30).execute()
    return ticket


def admit_shared(client: Db, origins: list[str], origin: str, ticket: str, poll: str) -> object:
    with client.pipeline(transaction=True) as both:
        ticket = ticket or ""
        found, _ = both.hget("tickets", ticket).hdel("tickets", ticket).execute()
    user, own_poll = json.loads(found or "[null, null]")
    return user if own_poll == poll and origin in origins else None


GETDEL = 'found = client.getdel(f"ticket:{ticket}")'
ORIGIN = "if origin not in origins or not ticket:"
SECRET = "secrets.token_urlsafe(32)"
SET = 'client.set(f"ticket:{ticket}", json.dumps([user, poll]), ex=30)'

IMPORTS = """
import hashlib, itertools, json, os, secrets, time, uuid
from datetime import datetime
from time import perf_counter
count = itertools.count()
"""

RIGHT_2: list[tuple[str, object]] = [
    # A hash of the time and of something that nobody knows.
    (
        TWO,
        door(
            (SECRET, "hashlib.sha256(f'{time.time()}{secrets.token_hex()}'.encode()).hexdigest()"),
            ("import json, secrets", IMPORTS),
        ),
    ),
    (TWO, door()),
    (TWO, (issue_hash, admit_hash)),
    (TWO, door((SECRET, "str(__import__('uuid').uuid4())"))),
    (
        TWO,
        door(
            (
                SET,
                'client.set("t" + ticket, json.dumps([user, poll]), **{"px": 30_000})',
            ),
            ('f"ticket:{ticket}"', '"t" + ticket'),
        ),
    ),
    (TWO, door(("ex=30", "px=30_000, nx=True"), (SECRET, "__import__('os').urandom(16).hex()"))),
    # Deleted by one only, as the answer of DEL says.
    (
        TWO,
        door(
            (
                GETDEL,
                'found = client.get(f"ticket:{ticket}")\n    if not client.delete(f"ticket:{ticket}"): return None',
            )
        ),
    ),
    # A script in the server.
    (
        TWO,
        door(
            (
                GETDEL,
                "found = client.eval(\"local v = redis.call('GET', KEYS[1]) redis.call('DEL', KEYS[1]) return v\", 1, f'ticket:{ticket}')",
            )
        ),
    ),
    # A mark that only one can set.
    (
        TWO,
        door(
            (
                GETDEL,
                'found = client.get(f"ticket:{ticket}")\n    if not found or not client.set(f"used:{ticket}", 1, nx=True, ex=30): return None',
            )
        ),
    ),
    # A new name, which only one can give.
    (TWO, (door()[0], admit_renamed)),
    (TWO, (door()[0], admit_watched)),
    # A part of the ticket that is only for people.
    (TWO, door((SECRET, "user.encode().hex() + '.' + secrets.token_urlsafe(20)"))),
]
NOT_YET_2: list[tuple[str, object, str]] = [
    (TWO, None, "give the pair"),
    (TWO, (door()[0],), "a pair of two functions"),
    (TWO, door((GETDEL, 'found = client.get(f"ticket:{ticket}")')), "presented a second time"),
    # Read, then delete: two workers at once.
    (
        TWO,
        door(
            (
                GETDEL,
                'found = client.get(f"ticket:{ticket}")\n    client.delete(f"ticket:{ticket}")',
            )
        ),
        "presented to two workers at once",
    ),
    # It looks whether the key is there, and deletes it, without looking whether it has.
    (
        TWO,
        door(
            (
                GETDEL,
                'found = client.get(f"ticket:{ticket}")\n    if found: client.expire(f"ticket:{ticket}", 0)',
            )
        ),
        "presented to two workers at once",
    ),
    # The used ones are in the process.
    (
        TWO,
        door(
            ("import json, secrets", "import json, secrets\nused = set()"),
            (
                GETDEL,
                'found = None if ticket in used else client.get(f"ticket:{ticket}")\n    used.add(ticket)',
            ),
        ),
        "another worker let it in again",
    ),
    (
        TWO,
        door(
            ("import json, secrets", "import json, secrets\nissued = {}"),
            (SET, "issued[ticket] = json.dumps([user, poll])"),
            (GETDEL, "found = issued.pop(ticket, None)"),
        ),
        "Valkey holds nothing",
    ),
    (TWO, door((ORIGIN, "if not ticket:")), "the Origin is 'https://evil.example'"),
    (
        TWO,
        door(
            (ORIGIN, "if not ticket or not any((origin or '').startswith(own) for own in origins):")
        ),
        "the Origin is 'https://polls.example.evil.example'",
    ),
    (
        TWO,
        door((ORIGIN, "if not ticket or not (origin or '').endswith('polls.example'):")),
        "the Origin is",
    ),
    (
        TWO,
        door(
            (
                ORIGIN,
                "from urllib.parse import urlsplit\n    hosts = [urlsplit(own).hostname for own in origins]\n"
                "    if not ticket or urlsplit(origin or '').hostname not in hosts:",
            )
        ),
        "the Origin is 'https://polls.example:8443'",
    ),
    (TWO, door((ORIGIN, "if not ticket or origin not in ' '.join(origins):")), "the Origin is"),
    (
        TWO,
        door((ORIGIN, "if not ticket or (origin or '') not in ' '.join(origins):")),
        "the Origin is 'https://staff.polls.example'",
    ),
    (TWO, door((ORIGIN, "if origin and origin not in origins or not ticket:")), "the Origin is ''"),
    (TWO, door((ORIGIN, "if origin != origins[0] or not ticket:")), "one of your own"),
    (TWO, door(("return user if its_poll == poll else None", "return user")), "for another poll"),
    (TWO, door(("its_poll == poll", "its_poll.startswith(poll)")), "for another poll"),
    (
        TWO,
        door(
            ("json.dumps([user, poll])", 'f"{user}:{poll}"'),
            ("user, its_poll = json.loads(found)", 'user, _, its_poll = found.partition(":")'),
        ),
        "'a:b' got two tickets",
    ),
    (
        TWO,
        door(
            ("json.dumps([user, poll])", 'f"{user}:{poll}"'),
            ("user, its_poll = json.loads(found)", 'user, _, its_poll = found.rpartition(":")'),
        ),
        "'bode' got two tickets",
    ),
    (TWO, door((", ex=30", "")), "has no TTL"),
    (TWO, (issue_by_hand, admit_by_hand), "and not what a client says"),
    (TWO, (issue_shared, admit_shared), "a key of its own"),
    # Two commands, and a worker that dies between them.
    (
        TWO,
        door((SET, SET.replace(", ex=30", "") + '; client.expire(f"ticket:{ticket}", 30)')),
        "set both in one step",
    ),
    (TWO, door((", ex=30", ", ex=10")), "the TTL of a ticket is 10 seconds"),
    # The key is the poll and the ticket, which a client can divide otherwise.
    (
        TWO,
        door(("ticket:{ticket}", "ticket:{poll}:{ticket}"), ("its_poll == poll", "True")),
        "the ticket is for another poll",
    ),
    (
        TWO,
        door(("ticket:{ticket}", "ticket:{poll}{ticket}"), ("its_poll == poll", "True")),
        "the ticket is for another poll",
    ),
    (
        TWO,
        door(("ticket:{ticket}", "ticket:{ticket}/{poll}"), ("its_poll == poll", "True")),
        "the ticket is for another poll",
    ),
    (TWO, door(("ticket:{ticket}", "{poll}:{ticket}"), ("its_poll == poll", "True")), "another"),
    # A hash of what everybody knows.
    (
        TWO,
        door(
            (
                SECRET,
                "__import__('hashlib').sha256(f'{user}{poll}{__import__(\"time\").time()}'.encode()).hexdigest()",
            )
        ),
        "use the module secrets",
    ),
    # The same with other clocks, and with numbers that are counted.
    *(
        (
            TWO,
            door(
                (SECRET, f"hashlib.sha256(repr((user, poll, {known})).encode()).hexdigest()"),
                ("import json, secrets", IMPORTS),
            ),
            "use the module secrets",
        )
        for known in (
            "time.time(), next(count)",
            "time.monotonic_ns(), next(count)",
            "perf_counter(), next(count)",
            "datetime.now(), next(count), os.getpid()",
            "uuid.uuid1(), next(count)",
            "client.time(), next(count)",
            "client.incr('n'), client.expire('n', 30)",
            "next(count)",
        )
    ),
    (
        TWO,
        door((SECRET, "__import__('hashlib').sha256(f'{user}{poll}'.encode()).hexdigest()")),
        "got two tickets",
    ),
    (
        TWO,
        door((ORIGIN, "if not ticket or (origin or '').lower() not in origins:")),
        "HTTPS://POLLS",
    ),
    (
        TWO,
        door((ORIGIN, "if not ticket or (origin or '').strip() not in origins:")),
        "' https://polls.example'",
    ),
    (
        TWO,
        door((ORIGIN, "if not ticket or (origin or '').rstrip('/') not in origins:")),
        "polls.example/",
    ),
    (
        TWO,
        door(
            (
                ORIGIN,
                "import re\n    if not ticket or not any(re.fullmatch(own, origin or '') for own in origins):",
            )
        ),
        "the Origin is",
    ),
    (
        TWO,
        door((ORIGIN, "if not ticket or not set((origin or '').split(', ')) & set(origins):")),
        "https://evil.example'",
    ),
    # The mark of a used ticket stays.
    (
        TWO,
        door(
            (
                GETDEL,
                'found = client.get(f"ticket:{ticket}")\n    if not found or not client.set(f"used:{ticket}", 1, nx=True, ex=3600): return None',
            )
        ),
        "stays in Valkey for more than 30",
    ),
    (TWO, door(("ex=30", "ex=3600")), "the TTL of a ticket is 3600 seconds"),
    (TWO, door(("ex=30", "ex=1")), "the TTL of a ticket"),
    (TWO, door((SECRET, "user + poll")), "got two tickets"),
    (
        TWO,
        door((SECRET, "''.join(__import__('random').choices('abcdefghijkmnopqrstuvwxyz', k=40))")),
        "use the module secrets",
    ),
    (TWO, door((SECRET, "secrets.token_hex(4)")), "so short that it can be guessed"),
    (
        TWO,
        door(
            (
                SECRET,
                "'ticket-of-this-poll-' + str(client.incr('number', 1) and client.expire('number', 30) and client.get('number'))",
            )
        ),
        "can be guessed",
    ),
    (TWO, door((SECRET, "secrets.token_urlsafe(32) + '/='")), "cannot be put into a URL"),
    (TWO, door(("ticket:{ticket}", "{ticket}")), "session:7"),
    (TWO, door((" or not ticket", ""), ("ticket:{ticket}", "{ticket}")), "raised JSONDecodeError"),
    (TWO, door(("    if found is None:\n        return None\n", "")), "raised TypeError"),
    (
        TWO,
        door(
            (ORIGIN, "if origin not in origins or len(client.keys('ticket:*')) < 1:"),
            (GETDEL, "found = client.getdel(client.keys('ticket:*')[0])"),
        ),
        "should return None",
    ),
    (
        TWO,
        door(
            (
                "    found = client.getdel",
                "    try: client.delete(*client.keys('ticket:*')) if len(ticket) > 50 else 0\n    except Exception: pass\n    found = client.getdel",
            )
        ),
        "a good ticket is not valid any more",
    ),
    (TWO, door(("return user if", "return True if")), "should return 'bode'"),
    (
        TWO,
        door(
            ('f"ticket:{ticket}", json', 'f"ticket:{user}", json'),
            (GETDEL, 'found = client.getdel(f"ticket:{ticket}")'),
        ),
        "admit should return 'bode'",
    ),
]


# -- 3. The stream

STREAM = '''
import json, re

STATE = """
    SELECT poll.version,
           (SELECT json_object_agg(option, votes) FROM tally WHERE tally.poll = poll.id),
           (SELECT json_agg(json_build_array(version, option, votes) ORDER BY version)
            FROM change WHERE change.poll = poll.id AND change.version > %s)
    FROM poll JOIN member ON member.poll = poll.id
    WHERE poll.id = %s AND member.name = %s
"""

def stream(db, poll, user, last_id):
    seen = int(last_id) if re.fullmatch("[0-9]{1,9}", last_id or "") else -1
    is_first = True
    while True:
        found = db.execute(STATE, [seen, poll, user]).fetchone()
        if not found:
            if is_first:
                raise PermissionError(user)
            return
        is_first = False
        version, counts, changes = found
        changes = changes or []
        if seen < 0 or seen + len(changes) != version:
            seen = version
            yield f"id: {seen}\\nevent: snapshot\\ndata: {json.dumps(counts or {})}\\n\\n"
        elif changes:
            for seen, option, votes in changes:
                data = json.dumps({"option": option, "votes": votes})
                yield f"id: {seen}\\nevent: change\\ndata: {data}\\n\\n"
        else:
            yield ": still here\\n\\n"
'''


def streaming(*changes: tuple[str, str]) -> Callable[..., Any]:
    made: Callable[..., Any] = changed(STREAM, *changes)["stream"]
    return made


BY_STEPS = """
import json

def allowed(db, poll, user):
    return db.execute("SELECT 1 FROM member WHERE poll = %s AND name = %s", [poll, user]).fetchone()

def event(version, kind, data):
    lines = [f"event: {kind}", f"data: {json.dumps(data)}", f"id: {version}", "", ""]
    return "\\n".join(lines)

def read(db, poll, user, seen):
    with db.transaction():
        db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        if not allowed(db, poll, user):
            return None
        version = db.execute("SELECT version FROM poll WHERE id = %s", [poll]).fetchone()[0]
        query = "SELECT version, option, votes FROM change WHERE poll = %s AND version > %s"
        rows = db.execute(query + " ORDER BY version", [poll, seen]).fetchall()
        query = "SELECT option, votes FROM tally WHERE poll = %s"
        return version, rows, dict(db.execute(query, [poll]).fetchall())

def stream(db, poll, user, last_id):
    seen = None
    if last_id and last_id.isascii() and last_id.isdigit() and len(last_id) < 10:
        seen = int(last_id)
    found = read(db, poll, user, seen or 0)
    if found is None:
        raise PermissionError
    while found is not None:
        version, rows, counts = found
        if seen == version:
            yield ": \\n\\n"
        elif seen is None or seen > version or [row[0] for row in rows] != list(range(seen + 1, version + 1)):
            seen = version
            yield event(version, "snapshot", counts)
        else:
            for seen, option, votes in rows:
                yield event(seen, "change", {"option": option, "votes": votes})
        found = read(db, poll, user, seen)
"""


def by_steps(*changes: tuple[str, str]) -> Callable[..., Any]:
    """Another form: several statements in one snapshot."""
    made: Callable[..., Any] = changed(BY_STEPS, *changes)["stream"]
    return made


def in_pieces(db: Db, poll: int, user: str, last_id: str | None) -> Iterator[str]:
    """Yields an event in two pieces, as a small buffer would."""
    for chunk in streaming()(db, poll, user, last_id):
        if chunk.startswith(":"):
            yield chunk
        else:
            yield chunk[:9]
            yield chunk[9:]


def greets(db: Db, poll: int, user: str, last_id: str | None) -> Iterator[str]:
    """Sends a comment before anything else, so that headers leave at once."""
    stream = streaming()(db, poll, user, last_id)
    first = next(stream)
    yield ": welcome\n\n"
    yield first
    yield from stream


def by_lines(db: Db, poll: int, user: str, last_id: str | None) -> Iterator[str]:
    for number, chunk in enumerate(streaming()(db, poll, user, last_id)):
        if number == 0:
            yield "retry: 4000\n\n"
        yield from chunk.splitlines(keepends=True)


def eager(db: Db, poll: int, user: str, last_id: str | None) -> Iterator[str]:
    """Looks for the right before the generator is made."""
    found = db.execute("SELECT FROM member WHERE poll = %s AND name = %s", [poll, user]).fetchone()
    if found is None:
        raise PermissionError
    stream: Iterator[str] = streaming()(db, poll, user, last_id)
    return stream


def locks(db: Db, poll: int, user: str, last_id: str | None) -> Iterator[str]:
    """Reads under a row lock, for which every voter waits."""
    return by_steps(
        (
            '        db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")\n',
            '        db.execute("SELECT FROM poll WHERE id = %s FOR UPDATE", [poll])\n',
        )
    )(db, poll, user, last_id)


SEEN = 'int(last_id) if re.fullmatch("[0-9]{1,9}", last_id or "") else -1'
ISOLATION = '        db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")\n'
HOLE = "if seen < 0 or seen + len(changes) != version:"
AGAIN = "            return\n        is_first"

RIGHT_3: list[tuple[str, object]] = [
    (THREE, streaming()),
    (THREE, by_steps()),
    (THREE, in_pieces),
    (THREE, greets),
    (THREE, by_lines),
    (THREE, eager),
    (
        THREE,
        streaming(("is_first = False\n", 'is_first = False\n        yield ": looked\\n\\n"\n')),
    ),
]
NOT_YET_3: list[tuple[str, object, str]] = [
    (THREE, None, "give a generator function"),
    (THREE, lambda db, poll, user, last_id: ["x"], "it should be a generator"),
    # Snapshot and version in two statements.
    (THREE, by_steps((ISOLATION, "")), "just before statement"),
    (THREE, locks, "no reader may hold up the voters"),
    (
        THREE,
        streaming((SEEN, "-1\n    try: seen = int(last_id)\n    except Exception: pass")),
        "'1_0'",
    ),
    # Twenty at most, and a snapshot for whoever was away for longer.
    (THREE, streaming((HOLE, HOLE[:-1] + " or len(changes) > 20:")), "120 changes came"),
    (
        THREE,
        streaming(
            ("AND change.version > %s)", "AND change.version > %s AND change.version < %s + 50)"),
            ("[seen, poll, user]", "[seen, seen, poll, user]"),
        ),
        "120 changes came",
    ),
    # The user is written into the statement.
    (
        THREE,
        streaming(
            ("member.name = %s", "member.name = '\" + user + \"'"),
            ('STATE = """', 'STATE = lambda user: """'),
            ("execute(STATE, [seen, poll, user])", "execute(STATE(user), [seen, poll])"),
            ("'\" + user + \"'", '\'""" + user + """\''),
        ),
        "PostgreSQL says",
    ),
    # It ends for a reader who is up to date.
    (
        THREE,
        streaming(
            (
                '            yield ": still here\\n\\n"',
                '            yield ": still here\\n\\n"\n            return',
            )
        ),
        "the stream ended",
    ),
    # It ignores the last id.
    (THREE, streaming((SEEN, "-1")), "and got another snapshot"),
    # It sends the last event again.
    (
        THREE,
        streaming(
            ("change.version > %s", "change.version >= %s"),
            ("seen + len(changes) != version", "False"),
            ("elif changes:", "elif changes[1:]:"),
        ),
        "came again after version",
    ),
    # It compares text.
    (
        THREE,
        streaming(("change.version > %s", "change.version::text > %s::text")),
        "events come again and again",
    ),
    (THREE, streaming((SEEN, "int(last_id) if last_id else -1")), "raised ValueError"),
    (THREE, streaming((SEEN, "int(last_id) if (last_id or '').isdigit() else -1")), "it raised"),
    # A version of the future: nothing ever comes.
    (
        THREE,
        streaming(("seen + len(changes) != version", "seen + len(changes) < version")),
        "the Last-Event-ID was '99'",
    ),
    # What is too old begins in the middle.
    (THREE, streaming((HOLE, "if seen < 0 or seen > version:")), "the Last-Event-ID was 0"),
    # It looks for the hole only at the beginning.
    (
        THREE,
        streaming(
            (HOLE, "if first and seen + len(changes) != version or seen < 0:"),
            ("is_first = False\n", "first, is_first = is_first, False\n"),
        ),
        "before a slow reader had read them",
    ),
    # A hole at the end of the changes is not seen.
    (
        THREE,
        streaming(
            (HOLE, "if seen < 0 or seen > version or changes and changes[0][0] != seen + 1:")
        ),
        "the Last-Event-ID was 7 of 8",
    ),
    # Without a snapshot at first.
    (
        THREE,
        streaming((HOLE, "if seen < 0: seen = 0\n        if seen + len(changes) != version:")),
        "begin with",
    ),
    # From now on, and nothing of what was.
    (
        THREE,
        streaming(
            (
                '            yield f"id: {seen}\\nevent: snapshot',
                '            if version: yield f"id: {seen}\\nevent: snapshot',
            )
        ),
        "begin with a snapshot",
    ),
    (THREE, streaming(("change.poll = poll.id AND ", "")), "there is another poll"),
    (THREE, streaming(("WHERE tally.poll = poll.id", "")), "there is another poll"),
    (
        THREE,
        streaming(
            ("JOIN member ON member.poll = poll.id", ""), ("AND member.name = %s", "AND %s <> ''")
        ),
        "'amina' is no member of poll 1",
    ),
    (THREE, streaming(("ON member.poll = poll.id", "ON true")), "'amina' is no member of poll 1"),
    (THREE, streaming(("member.name = %s", "member.name ILIKE %s")), "'Bode' is no member"),
    (THREE, streaming(("raise PermissionError(user)", "return")), "raise PermissionError"),
    (
        THREE,
        streaming(("raise PermissionError(user)", "yield ': no\\n\\n'")),
        "raise PermissionError",
    ),
    # The right is looked at only once.
    (
        THREE,
        by_steps(
            ("def read(db, poll, user, seen):", "def read(db, poll, user, seen, first=False):"),
            ("if not allowed(db, poll, user):", "if first and not allowed(db, poll, user):"),
            ("read(db, poll, user, seen or 0)", "read(db, poll, user, seen or 0, True)"),
        ),
        "check the right again each time",
    ),
    # It ends when there is nothing new.
    (
        THREE,
        streaming(('            yield ": still here\\n\\n"', "            return")),
        "the stream ended",
    ),
    # It waits for news itself, and says nothing.
    (
        THREE,
        streaming(
            ('            yield ": still here\\n\\n"', "            __import__('time').sleep(0.01)")
        ),
        "had not come to an end",
    ),
    # A heartbeat that is data.
    (THREE, streaming(('": still here\\n\\n"', '"data: ping\\n\\n"')), "is not JSON"),
    (THREE, streaming(("id: {seen}\\nevent: change", "event: change")), "came again after version"),
    (THREE, streaming(("event: change", "event: vote")), "snapshot or change, please"),
    (THREE, streaming(("{data}\\n\\n", "{data}\\n")), "is not JSON"),
    (
        THREE,
        streaming(
            (
                'data = json.dumps({"option": option, "votes": votes})',
                'data = \'{"option": "%s", "votes": %d}\' % (option, votes)',
            )
        ),
        "is not JSON",
    ),
    (THREE, streaming(('f"id: {seen}\\nevent: snapshot', 'f"event: snapshot')), "has no id"),
    # What goes wrong becomes a heartbeat.
    *(
        (
            THREE,
            streaming(
                (
                    "        found = db.execute(STATE, [seen, poll, user]).fetchone()",
                    f"        try:\n            found = db.execute(STATE, [seen, poll, user]).fetchone()\n        except {error}:\n            yield ': still here\\n\\n'\n            continue",
                ),
                ("import json, re", "import json, re, psycopg"),
            ),
            "let the error end the stream",
        )
        for error in ("Exception", "psycopg.Error", "psycopg.OperationalError")
    ),
    # A transaction stays open while the reader reads.
    (
        THREE,
        streaming(("    seen = int", "    db.autocommit = False\n    seen = int")),
        "a transaction is open",
    ),
    # The state is in the process.
    (
        THREE,
        streaming(
            ("import json, re", "import json, re\nlast = {}"),
            ("    seen = int", "    seen = last.get((poll, user), -1) if last_id else int"),
            ("        is_first = False", "        is_first = False; last[poll, user] = seen"),
        ),
        "another worker",
    ),
    # Only the newest change of a poll.
    (
        THREE,
        streaming(("elif changes:", "elif changes:\n            changes = changes[-1:]")),
        "one is lost",
    ),
    (THREE, streaming(("ORDER BY version)", "ORDER BY version DESC)")), "one is lost"),
    # A snapshot each time: nothing is lost, and everything is sent again.
    (
        THREE,
        streaming(
            (
                "elif changes:",
                'elif changes:\n            seen = version\n            yield f"id: {seen}\\nevent: snapshot\\ndata: {json.dumps(counts)}\\n\\n"\n        elif False:',
            )
        ),
        "another snapshot",
    ),
]


RIGHT = [*RIGHT_1, *RIGHT_2, *RIGHT_3]
test_right, test_not_yet = tables.tests(RIGHT, [*NOT_YET_1, *NOT_YET_2, *NOT_YET_3])


def spins(db: Db, poll: int, user: str, last_id: str | None) -> Iterator[str]:
    while True:
        pass
    yield ""


def sleeps_in_sql(db: Db, poll: int, user: str, last_id: str | None) -> Iterator[str]:
    db.execute("SELECT pg_sleep(100)")
    yield ""


@pytest.mark.parametrize("answer", [spins, sleeps_in_sql])
def test_an_answer_without_end_gets_its_verdict(
    answer: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SECONDS", 2.0)
    verdict = judge_answer(THREE, answer)
    assert not verdict.right
    assert "had not come to an end after 2 seconds" in verdict.message, verdict


def test_each_has_a_stub_that_is_refused() -> None:
    for name, take in ((ONE, "Live"), (THREE, "stream")):
        stub = changed(str(find(name).stub))[take]
        assert not judge_answer(name, stub).right
    names = changed(str(find(TWO).stub))
    assert not judge_answer(TWO, (names["issue"], names["admit"])).right
