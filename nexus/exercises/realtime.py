"""Judges of "Real time": a page without a hole, a ticket for a socket, a stream of events."""

import gc
import json
import random
import re
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from functools import partial
from typing import Any, cast
from unittest import mock

import psycopg
import redis

from nexus.judging import NotYet, judge, limits
from nexus.judging.dying import Eventful
from nexus.judging.foretelling import standing_still
from nexus.judging.limits import within
from nexus.judging.sandbox import Connection, Sandbox, another, database, own_valkey
from nexus.judging.workers import Worker, worker
from nexus.services import Valkey

# -- 1. Snapshot and changes

GIVEN_1 = """
class Live:
    def __init__(self):
        self.version, self.counts = 0, {}

    def snapshot(self, version, counts):
        self.version, self.counts = version, counts

    def change(self, version, option, votes):
        self.version = version
        self.counts[option] = self.counts.get(option, 0) + votes

    def shown(self):
        return self.version, self.counts

    def behind(self):
        return False
"""

MOST_OBJECTS = 1500
"""What a page may hold that keeps a hundred changes, however it keeps them."""

MORE_CHANGES, MORE_BYTES = 1000, 4_000
"""How many changes arrive once more, and how much memory they may take for good: four bytes each
are a number of every change, and a page that keeps a hundred takes none."""

Counts = dict[str, int]
Change = tuple[int, str, int]


def counts_at(changes: list[Change], version: int) -> Counts:
    """The counts after some of the changes, without what is zero."""
    counts: Counts = {}
    for number, option, votes in changes:
        if number <= version:
            counts[option] = counts.get(option, 0) + votes
    return {option: votes for option, votes in counts.items() if votes}


class Page:
    """What a page should show: it knows all changes, and which of them have arrived."""

    def __init__(self, answer: Callable[[], Any], changes: list[Change], what: str) -> None:
        self.live, self.changes, self.what = answer(), changes, what
        self.version, self.newest = -1, -1
        self.here: set[int] = set()

    def snapshot(self, version: int) -> None:
        """A snapshot arrives."""
        counts = counts_at(self.changes, version)
        self.live.snapshot(version, counts)
        counts["tea"] = 999_999  # it is the caller's, who goes on with it
        self.version = max(self.version, version)
        self._then(version)

    def change(self, version: int) -> None:
        """A change arrives."""
        self.live.change(*self.changes[version - 1])
        self.here.add(version)
        self._then(version)

    def _then(self, version: int) -> None:
        self.newest = max(self.newest, version)
        while self.version >= 0 and self.version + 1 in self.here:
            self.version += 1
        self.check()

    def check(self) -> None:
        """Compares what is shown.

        Raises:
            NotYet: if it is something else.
        """
        shown = self.live.shown()
        if self.version < 0:
            if shown is not None:
                raise NotYet(f"{self.what}: there was no snapshot yet, and shown() is {shown!r}")
        else:
            self._compare(shown)
        is_behind = self.version < 0 or self.newest > self.version
        if bool(self.live.behind()) != is_behind:
            raise NotYet(
                f"{self.what}: version {max(self.newest, 0)} has been heard of, and "
                f"{'nothing' if self.version < 0 else f'version {self.version}'} is shown: "
                f"behind() should be {is_behind}"
            )

    def _compare(self, shown: object) -> None:
        if not isinstance(shown, tuple) or len(shown) != 2 or not isinstance(shown[1], dict):
            raise NotYet(
                f"{self.what}: shown() should be a pair of version and dict, not {shown!r}"
            )
        version, counts = shown[0], {k: v for k, v in shown[1].items() if v}
        wanted = counts_at(self.changes, self.version)
        if (version, counts) != (self.version, wanted):
            raise NotYet(
                f"{self.what}: shown() should be version {self.version} with {wanted}, and is "
                f"version {version!r} with {counts}"
            )
        shown[1]["tea"] = -1  # whoever gets it may change it


CASES: dict[str, list[int]] = {
    "a snapshot, and changes in order": [-2, 3, 4, 5],
    "a poll without votes": [-100, 1, 2],
    "a change came between the snapshot and its arrival": [1, 2, 3, -2, 4],
    "changes came before the snapshot, and it contains all of them": [1, 2, -2, 3],
    "a change came twice": [-1, 2, 2, 3, 2, 3],
    "two changes of the same option and number": [-4, 5, 6, 7],
    "a change came twice before the snapshot": [3, 3, -2, 4],
    "two changes changed their places": [-1, 3, 2, 4],
    "changes came in the opposite order": [6, 5, 4, 3, -1, 2, 7],
    "an old snapshot came late": [-3, 4, -2, 5],
    "an old snapshot came late, while a change was missing": [-3, 5, -2, 4],
    "a change was lost, and a new snapshot came": [-1, 3, 4, -4, 5],
    "a change was lost, and the new snapshot does not have the newest one": [-1, 3, 4, 5, -3, 6],
    "a snapshot that is newer than the change after which it came": [-1, 2, -5, 3, 4, 6],
    "a snapshot of the same version came again": [-3, -3, 4],
    "a change that the snapshot contains came late": [-5, 2, 6],
    "a snapshot that does not help": [-1, 5, 6, -2, 3, 4, 7],
}
"""What arrives: a change by its version, a snapshot by minus its version; -100 is version 0."""

CHANGES: list[Change] = [
    (1, "tea", 1),
    (2, "coffee", 1),
    (3, "tea", 2),
    (4, "coffee", -1),
    (5, "tea", 1),
    (6, "tea", 1),
    (7, "water", 3),
]


def arrive(page: Page, arrivals: list[int]) -> None:
    """Lets snapshots and changes arrive."""
    page.check()
    for number in arrivals:
        if number < 0:
            page.snapshot(0 if number == -100 else -number)
        else:
            page.change(number)


@judge(
    "realtime.1",
    takes=type,
    called="a class",
    hint="give a class with snapshot, change, shown and behind: shown() is the newest state that "
    "is certainly right",
    stub=GIVEN_1,
)
def live(answer: Callable[[], Any]) -> str:
    """It never shows what was not, never goes back, and keeps little."""
    for what, arrivals in CASES.items():
        within(partial(_case, answer, what, arrivals))
    within(partial(_shuffled, answer))
    within(partial(_two_pages, answer))
    within(partial(_bounded, answer))
    for is_gap in (False, True):
        # Another thread of the kernel may have taken memory, so the smaller of two looks counts.
        if min(within(partial(_grown, answer, is_gap, look)) for look in range(2)) > MORE_BYTES:
            raise NotYet(
                f"{MORE_CHANGES:,} more changes came"
                + (" after one that was lost" if is_gap else " in order")
                + ", and the memory that your code holds grew with them: what was applied need "
                "not be kept, in no text and no global either"
            )
    return (
        "the page shows only states that the poll had, whether changes come before the snapshot, "
        "twice, in another order or never, and it keeps a bounded number of them"
    )


def _case(answer: Callable[[], Any], what: str, arrivals: list[int]) -> None:
    arrive(Page(answer, CHANGES, what), arrivals)


def _shuffled(answer: Callable[[], Any]) -> None:
    """Many orders of sixty changes, each some times, with snapshots in between."""
    for seed in range(20):
        rng = random.Random(seed)  # noqa: S311 (the same orders each time)
        options = ["tea", "coffee", "water", "Schwarztee ☕"]
        changes = [(n, rng.choice(options), rng.choice([1, 1, 2, -1])) for n in range(1, 61)]
        arrivals = [n for n in range(1, 61) for _ in range(rng.choice([1, 1, 2]))]
        arrivals += [-rng.randrange(1, 50) for _ in range(3)]
        arrivals.sort(key=lambda n, rng=rng: abs(n) + rng.uniform(0, 12))  # type: ignore[misc]
        arrive(Page(answer, changes, "changes and snapshots in a mixed order"), arrivals)


def _two_pages(answer: Callable[[], Any]) -> None:
    """Two pages have nothing in common."""
    first = Page(answer, CHANGES, "one page of two")
    arrive(first, [-2, 3, 5])
    second = Page(answer, CHANGES, "a second page in the same program")
    arrive(second, [2, -1, 3, 4])
    first.check()


def _bounded(answer: Callable[[], Any]) -> None:
    """Neither what waits nor what was applied is kept without end."""
    many = [(n, "tea", 1) for n in range(1, 6001)]
    for arrivals, what in (
        ([-1, *range(2, 3000)], "3,000 changes came in order"),
        ([-1, *range(3, 3000)], "version 2 never came, and 3,000 changes after it did"),
        (list(range(1, 3000)), "3,000 changes came, and no snapshot"),
    ):
        live = answer()
        for n in arrivals:
            if n < 0:
                live.snapshot(-n, counts_at(many, -n))
            else:
                live.change(*many[n - 1])
            if n > 100 and bool(live.behind()) != (arrivals[:2] != [-1, 2]):
                _is_stuck(live, [each for each in arrivals if each <= n], many, what)
        _is_stuck(live, arrivals, many, what)
        if held(live) > MOST_OBJECTS:
            raise NotYet(f"{what}, and the page keeps more than a hundred of them: set a bound")
        live.snapshot(4000, {"tea": 4000})
        for n in (4001, 4002):
            live.change(*many[n - 1])
        if live.shown() != (4002, {"tea": 4002}) or live.behind():
            raise NotYet(
                f"{what}, and then a snapshot of version 4000 and the changes 4001 and 4002: "
                f"shown() is {live.shown()!r} and behind() is {live.behind()!r}"
            )


def _grown(answer: Callable[[], Any], is_gap: bool, look: int = 0) -> int:
    """The bytes that more and more changes take for good, wherever an answer keeps them."""
    live = answer()
    first = 1_000_000 * (1 + is_gap + 2 * look)  # a cache may know the versions of the last look
    live.snapshot(first, {"tea": 1})
    first += is_gap
    is_tracing = tracemalloc.is_tracing()
    if not is_tracing:
        tracemalloc.start()
    try:
        used = []
        for count in (200, MORE_CHANGES):
            for _ in range(count):
                first += 1
                live.change(first, "tea", 1)
            gc.collect()
            used.append(tracemalloc.get_traced_memory()[0])
    finally:
        if not is_tracing:
            tracemalloc.stop()
    return used[1] - used[0]


def _is_stuck(live: Any, arrivals: list[int], many: list[Change], what: str) -> None:  # noqa: ANN401
    """What was forgotten is neither shown nor forgotten to be missing."""
    shown: object = None
    if arrivals[0] < 0:
        version = 1 if arrivals[1] == 3 else arrivals[-1]
        shown = (version, counts_at(many, version))
    if live.shown() != shown:
        raise NotYet(f"{what}: shown() should be {shown!r}, and is {live.shown()!r}")
    is_behind = shown is None or arrivals[1] == 3
    if bool(live.behind()) != is_behind:
        raise NotYet(
            f"{what}: behind() should be {is_behind}, also if the page has forgotten some of them"
        )


def held(thing: object) -> int:
    """How many objects something holds, up to twice the most that it may."""
    seen: set[int] = set()
    found: list[object] = [vars(thing) if hasattr(thing, "__dict__") else thing]
    count = 0
    while found and count <= 2 * MOST_OBJECTS:
        here = found.pop()
        if id(here) in seen or isinstance(here, type):
            continue
        seen.add(id(here))
        count += 1
        found += gc.get_referents(here)
    return count


# -- 2. A ticket for a socket

GIVEN_2 = """
def issue(client, user, poll):
    ticket = f"{user}:{poll}"
    client.set(ticket, user, ex=30)
    return ticket


def admit(client, origins, origin, ticket, poll):
    if any(origin.startswith(own) for own in origins):
        return client.get(ticket)
    return None
"""

ORIGINS = ["https://polls.example", "https://staff.polls.example:8443"]

FOREIGN: list[str | None] = [
    "https://evil.example",
    "https://polls.example.evil.example",
    "https://polls.example:8443",
    "https://staff.polls.example",
    "http://polls.example",
    "https://evilpolls.example",
    "https://evil.polls.example",
    "https://polls-example",
    "https://pollsxexample",
    "https://polls.example/",
    "HTTPS://POLLS.EXAMPLE",
    " https://polls.example",
    "https://polls.example, https://evil.example",
    "https://evil.example/https://polls.example",
    "https://polls.example@evil.example",
    "https://polls",
    "s://polls.example",
    "polls.example",
    "null",
    "",
    None,
]

NAMES = ("bode", "a:b", "a", "Émilie\n☕", '"; DROP', "0")

MOST_CUTS = 150
"""At how many places a ticket is cut, and joined with another one."""

SECONDS = 30
"""How long a ticket is valid."""

Ticket = tuple[Callable[[redis.Redis, str, str], str], Callable[..., object]]


@judge(
    "realtime.2",
    takes=tuple,
    called="a pair of functions",
    hint="give the pair (issue, admit): admit returns the user of a ticket that is valid, once",
    stub=GIVEN_2,
)
def ticket(answer: tuple[Any, ...]) -> str:
    """A ticket opens one socket of its user and poll, soon, from an own page."""
    if len(answer) != 2 or not all(callable(part) for part in answer):
        raise NotYet("give a pair of two functions: (issue, admit)")
    issue, admit = cast(Ticket, answer)
    with (
        own_valkey() as server,
        worker(partial(_there, answer, server)) as other,
        worker(partial(_foretold, answer, server)) as one,
        worker(partial(_foretold, answer, server)) as two,
    ):
        client = server.connect(decode_responses=True, socket_timeout=limits.SECONDS)
        client.set("session:7", "amina")
        client.hset("profile", "name", "amina")
        door = Door(issue, admit, client)
        door.opens()
        door.is_for_one_poll()
        door.cannot_be_forged()
        door.knows_pages()
        door.refuses_garbage()
        door.cannot_be_guessed()
        _cannot_be_foretold(door, one, two)
        door.ends()
        door.leaves_nothing(server)
        _other_process(door, other)
        _at_once(door, server, other)
    return (
        "a ticket opens one socket, of its user and poll, for 30 seconds and from your own pages, "
        "also when two present it at once"
    )


def _there(answer: Ticket, server: Valkey, what: str, *given: str) -> object:
    """Calls a part of the answer in another process."""
    options: dict[str, Any] = {"decode_responses": True, "socket_timeout": limits.SECONDS}
    with redis.Redis.from_url(server.url, **options) as client:
        if what == "issue":
            random.seed(7)
            return answer[0](client, *given)
        return answer[1](client, ORIGINS, ORIGINS[0], *given)


class Still(redis.Redis):
    """A client whose server has a clock that stands still."""

    def execute_command(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        """Sends a command, but for TIME."""
        if str(args[0]).upper() == "TIME":
            return (1_800_000_000, 0)
        return super().execute_command(*args, **options)


def _foretold(answer: Ticket, server: Valkey) -> list[str]:
    """Tickets that another process issues, in which nothing differs but real randomness."""
    options: dict[str, Any] = {"decode_responses": True, "socket_timeout": limits.SECONDS}
    with Still.from_url(server.url, **options) as client, standing_still(*answer):
        return [answer[0](client, "bode", "1") for _ in range(2)]


def _cannot_be_foretold(door: "Door", one: Worker, two: Worker) -> None:
    """Two workers that were forked at the same moment issue different tickets."""
    tickets = []
    for each in (one, two):
        if kept := door.keys():
            door.client.delete(*kept)  # a counter in Valkey begins again, too
        tickets += each.said("issue in another worker")
    if len(set(tickets)) < len(tickets):
        raise NotYet(
            "two workers issued the same ticket to the same user at the same moment, so whoever "
            "knows the time can compute it, also through a hash: use the module secrets"
        )


class Door:
    """The two functions, with the judge's client."""

    def __init__(
        self, issue: Callable[..., str], admit: Callable[..., object], client: redis.Redis
    ) -> None:
        self._issue, self._admit, self.client = issue, admit, client

    def issue(self, user: str = "bode", poll: str = "1") -> str:
        """A new ticket."""
        ticket = within(partial(self._issue, self.client, user, poll))
        if not isinstance(ticket, str):
            raise NotYet(f"issue should return text, and returned {ticket!r}")
        return ticket

    def admit(self, ticket: str | None, poll: str = "1", origin: str | None = ORIGINS[0]) -> object:
        """Who may come in."""
        try:
            return within(partial(self._admit, self.client, list(ORIGINS), origin, ticket, poll))
        except NotYet:
            raise
        except Exception as error:
            raise NotYet(
                f"admit(…, {origin!r}, {str(ticket)[:30]!r}, {poll!r}) raised "
                f"{type(error).__name__}: return None for what is not valid"
            ) from None

    def refuses(self, why: str, *given: Any) -> None:  # noqa: ANN401
        """Raises NotYet unless it is refused."""
        if (said := self.admit(*given)) is not None:
            raise NotYet(f"{why}: admit should return None, and returned {said!r}")

    def opens(self) -> None:
        """Each user comes in once for each ticket, whatever the name."""
        for user in NAMES:
            first, second = self.issue(user, "poll:1"), self.issue(user, "poll:1")
            for ticket in (second, first):
                if (said := self.admit(ticket, "poll:1")) != user:
                    raise NotYet(
                        f"{user!r} got two tickets, for two tabs, and presented them: admit "
                        f"should return {user!r}, and returned {said!r}"
                    )
                self.refuses("the ticket was presented a second time", ticket, "poll:1")

    def is_for_one_poll(self) -> None:
        """A ticket is for its poll."""
        self.refuses("the ticket is for another poll", self.issue("bode", "1"), "2")
        self.refuses("the ticket is for another poll", self.issue("a", "b:1"), "1")
        self.refuses("the ticket is for another poll", self.issue("bode", "12"), "1")
        for between in ("", ":", ".", "/", "-", "_", "|", ",", " ", "\0"):
            ticket = self.issue("bode", f"x{between}y")
            self.refuses(
                f"the poll 'x{between}y' and its ticket were presented as the poll 'x' and "
                f"'y{between}…': the ticket is for another poll",
                f"y{between}{ticket}",
                "x",
            )
            ticket = self.issue("bode", f"x{between}y")
            self.refuses(
                f"the poll 'x{between}y' and its ticket were presented as the poll 'y' and "
                f"'…{between}x': the ticket is for another poll",
                f"{ticket}{between}x",
                "y",
            )
        self.refuses("this was never issued", "7", "session")

    def cannot_be_forged(self) -> None:
        """Two tickets do not make a third one."""
        for user, poll in (("dora", "1"), ("bode", "2")):
            spent = self.issue(user, poll)
            if self.admit(spent, poll) != user:
                raise NotYet("a good ticket was refused")
            for cut in range(1, min(len(spent), MOST_CUTS)):
                for turned in (False, True):
                    mine = self.issue("bode", "1")
                    first, last = (spent, mine) if turned else (mine, spent)
                    made = first[:cut] + last[cut:]
                    said = None if made in (mine, spent) else self.admit(made, poll)
                    if said is not None and poll == "1" and said != user:
                        continue  # it is still the own ticket, with a part that says nothing
                    if said is not None:
                        raise NotYet(
                            f"bode put a part of a used ticket, of {user} and poll {poll}, into "
                            f"a new ticket of poll 1, and came in as {said!r} to poll {poll}: "
                            "believe what Valkey holds, and not what a client says"
                        )

    def knows_pages(self) -> None:
        """The origin is compared as a whole."""
        for origin in FOREIGN:
            self.refuses(f"the Origin is {origin!r}", self.issue(), "1", origin)
        for origin in ORIGINS:
            if self.admit(self.issue(), "1", origin) != "bode":
                raise NotYet(f"the Origin is {origin!r}, which is one of your own: let it in")

    def refuses_garbage(self) -> None:
        """What is no ticket opens nothing, and takes nothing from others."""
        good = self.issue()
        keys = list(cast(list[str], self.client.keys()))
        for garbage in (None, "", "*", "bode", "session:7", "profile", "x" * 100_000, "é\n", *keys):
            if garbage == good:
                raise NotYet(
                    "the ticket itself is a key in Valkey, so a client can name any key, such as "
                    "a session: put a prefix of your own before it"
                )
            self.refuses("this was never issued", garbage)
        if self.client.get("session:7") != "amina" or not self.client.exists("profile"):
            raise NotYet(
                "a client presented 'session:7', and another program's key of that name is gone: "
                "put a prefix of your own before the ticket"
            )
        if self.admit(good) != "bode":
            raise NotYet("somebody presented garbage, and a good ticket is not valid any more")

    def cannot_be_guessed(self) -> None:
        """Tickets have enough that nobody knows."""
        tickets = []
        now = time.time()
        with (
            mock.patch("time.time", return_value=now),  # who knows when it was knows this number
            mock.patch("time.time_ns", return_value=int(now * 1e9)),
        ):
            if len({self.issue() for _ in range(3)}) < 3:
                raise NotYet(
                    "a ticket issued at the same moment is the same, so whoever knows the time "
                    "can compute it: use the module secrets"
                )
        for _ in range(3):
            random.seed(7)  # who knows the seed of a worker knows all its numbers
            tickets.append(self.issue())
        if len(set(tickets)) < 3:
            raise NotYet(
                "the module random gave the same ticket again after random.seed(7), as it does in "
                "two workers that were forked: use the module secrets"
            )
        if any(len(ticket) < 20 for ticket in tickets):
            raise NotYet(f"a ticket such as {tickets[0]!r} is so short that it can be guessed")
        rest = re.sub(r"[^A-Za-z0-9]", "", _differing(tickets))
        if len(rest) < 16:
            raise NotYet(
                f"tickets such as {tickets[0]!r} and {tickets[1]!r} differ so little that they "
                "can be guessed"
            )
        if not all(re.fullmatch(r"[A-Za-z0-9._~-]+", ticket) for ticket in tickets):
            raise NotYet(f"a ticket such as {tickets[0]!r} cannot be put into a URL as it is")

    def ends(self) -> None:
        """Valkey forgets tickets after thirty seconds."""
        for key in self.keys():
            self.client.delete(key)
        began = time.monotonic()
        ticket = self.issue()
        keys = self.keys()
        if not keys:
            raise NotYet("a ticket was issued, and Valkey holds nothing: other workers admit, too")
        for key in keys:
            left = cast(int, self.client.pttl(key))
            if left < 0:
                raise NotYet(f"the key {key!r} has no TTL, so its ticket is valid for ever")
            passed = time.monotonic() - began
            if not 1000 * (SECONDS - 1.5 - passed) < left <= 1000 * SECONDS:
                raise NotYet(f"the TTL of a ticket is {left / 1000:.0f} seconds, and not {SECONDS}")
            self.client.pexpire(key, 1000 * (SECONDS - 20))  # twenty seconds later
        self.issue("dora", "2")
        self.issue("bode", "1")
        for key in keys:
            if cast(int, self.client.pttl(key)) > 1000 * (SECONDS - 20):
                raise NotYet(
                    "a ticket was issued, and an older one became valid for longer: give each "
                    "ticket a key of its own"
                )
        for key in keys:
            self.client.delete(key)  # as time does
        self.refuses("30 seconds have passed", ticket)
        self.admit(self.issue())
        for key in self.keys():
            if not 0 < cast(int, self.client.pttl(key)) <= 1000 * SECONDS:
                raise NotYet(f"the key {key!r} stays in Valkey for more than {SECONDS} seconds")

    def keys(self) -> list[str]:
        """The keys in Valkey, without those of the other program."""
        keys = cast(list[str], self.client.keys())
        return sorted(key for key in keys if key not in ("session:7", "profile"))

    def leaves_nothing(self, server: Valkey) -> None:
        """Between two commands of issue, no key is without a TTL: a worker may die there."""
        for number in range(1, 9):
            found: list[str] = []

            def look(_: str, found: list[str] = found) -> None:
                found += [key for key in self.keys() if cast(int, self.client.pttl(key)) < 0]

            with Eventful.of(server, number, look, limits.SECONDS) as client:
                Door(self._issue, self._admit, client).issue()
            if found:
                raise NotYet(
                    f"before command number {number} of issue, the key {found[0]!r} has no TTL, "
                    "and a worker that dies there leaves it for ever: set both in one step"
                )
            if client.sent < number:
                return


def _differing(tickets: list[str]) -> str:
    """The characters of the first ticket that the others do not have in the same place."""
    first, *others = tickets
    return "".join(
        char
        for place, char in enumerate(first)
        if all(place >= len(other) or other[place] != char for other in others)
    )


def _other_process(door: Door, other: Worker) -> None:
    """One worker issues, and another one admits."""
    ticket = other.said("issue in another worker", "issue", "bode", "1")
    if door.admit(ticket) != "bode":
        raise NotYet("another worker issued the ticket, and this one does not know it")
    ticket = door.issue()
    if door.admit(ticket) != "bode":
        raise NotYet("a good ticket was refused")
    if other.said("admit in another worker", "admit", ticket, "1") is not None:
        raise NotYet("a ticket was used here, and another worker let it in again")


def _at_once(door: Door, server: Valkey, other: Worker) -> None:
    """Before each command of a call, another worker presents the same ticket."""
    for number in range(1, 9):
        ticket = door.issue()
        heard: list[object] = []

        def come_between(_: str, ticket: str = ticket, heard: list[object] = heard) -> None:
            heard.append(other.said("admit in another worker", "admit", ticket, "1"))

        with Eventful.of(server, number, come_between, limits.SECONDS) as client:
            here = Door(door._issue, door._admit, client).admit(ticket)
        if client.sent < number:
            return
        if (here, *heard).count("bode") != 1:
            raise NotYet(
                f"a ticket was presented to two workers at once, just before command number "
                f"{number} of one of them, and {(here, *heard).count('bode')} let it in: read and "
                "delete in one step"
            )


# -- 3. A stream of events

GIVEN_3 = """
def stream(db, poll, user, last_id):
    seen = int(last_id or 0)
    while True:
        rows = db.execute(
            "SELECT version, option, votes FROM change WHERE version > %s ORDER BY version", [seen]
        ).fetchall()
        for seen, option, votes in rows:
            yield f"id: {seen}\\ndata: {option} {votes}\\n\\n"
"""

HOSTILE = 'tea\n\nid: 999\ndata: {"votes": 9}'
"""An option whose name would be an event of its own."""

START = """
    INSERT INTO poll VALUES (1, 0), (2, 0);
    INSERT INTO member VALUES (1, 'bode'), (2, 'amina');
"""

GARBAGE = (
    "",
    "x",
    "-1",
    "1.5",
    "0x1",
    "1_0",
    "+5",
    "99",
    "9" * 40,
    "1; DROP TABLE poll",
    "null",
    "²",
)

MOST_STATEMENTS = 8
"""Before how many statements of a stream something happens once."""

MOST_LATE = 20
"""What a stream may yield after its connection has broken, such as what it had read before."""

MOST_CHUNKS = 200
"""What a stream may yield without an event or two comments in it."""

MOST_EVENTS = 300
"""More than any reader of the judge should get."""

Stream = Callable[[Connection, int, str, str | None], Iterator[str]]


def _polls(connection: Connection) -> None:
    connection.execute("""
        CREATE TABLE poll (id int PRIMARY KEY, version int NOT NULL);
        CREATE TABLE member (poll int NOT NULL, name text NOT NULL, PRIMARY KEY (poll, name));
        CREATE TABLE tally (poll int, option text, votes int, PRIMARY KEY (poll, option));
        CREATE TABLE change (
            poll int, version int, option text, votes int, PRIMARY KEY (poll, version)
        );
    """)
    connection.execute(START)


class Poll:
    """The poll of the judge, who votes in it."""

    def __init__(self, box: Sandbox) -> None:
        self.box = box
        box.admin.execute("SET lock_timeout = '2s'")

    def begin_again(self) -> None:
        """Takes all votes away.

        Raises:
            NotYet: if the answer holds a lock.
        """
        try:
            with self.box.admin.transaction():
                self.box.admin.execute("TRUNCATE poll, member, tally, change")
                self.box.admin.execute(START)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled):
            raise NotYet("a stream has ended, and a lock of its is still held") from None

    def vote(self, option: str = "tea", votes: int = 1, poll: int = 1) -> int:
        """A vote is committed.

        Raises:
            NotYet: if it has to wait.
        """
        try:
            return self._vote(option, votes, poll)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled):
            raise NotYet(
                "a vote waited for a lock of the stream: no reader may hold up the voters"
            ) from None

    def _vote(self, option: str, votes: int, poll: int) -> int:
        with self.box.admin.transaction():
            row = self.box.admin.execute(
                "UPDATE poll SET version = version + 1 WHERE id = %s RETURNING version", [poll]
            ).fetchone()
            version = int(cast(Any, row)[0])
            self.box.admin.execute(
                "INSERT INTO tally VALUES (%s, %s, %s) ON CONFLICT (poll, option) "
                "DO UPDATE SET votes = tally.votes + EXCLUDED.votes",
                [poll, option, votes],
            )
            self.box.admin.execute(
                "INSERT INTO change VALUES (%s, %s, %s, %s)", [poll, version, option, votes]
            )
        return version

    def forget(self, before: int) -> None:
        """Deletes old changes."""
        self.box.admin.execute("DELETE FROM change WHERE poll = 1 AND version < %s", [before])

    @property
    def state(self) -> tuple[int, Counts]:
        """The version and the counts."""
        row: Any = self.box.admin.execute("SELECT version FROM poll WHERE id = 1").fetchone()
        rows = self.box.admin.execute("SELECT option, votes FROM tally WHERE poll = 1").fetchall()
        return row[0], dict(rows)


class Client:
    """A browser: it applies events, remembers the last id, and connects again.

    Attributes:
        events: what has come, each as id, kind and data.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self.events: list[tuple[str, str, Any]] = []
        self.last_id: str | None = None
        self.version = -1
        self.counts: Counts = {}
        self._rest = ""
        self.quiet = 0

    def reads(self, chunk: object) -> bool:
        """Takes a chunk, and says whether there was an event in it.

        Raises:
            NotYet: if it is no text, or an event is wrong, lost or there again.
        """
        if not isinstance(chunk, str):
            raise NotYet(f"{self.what}: yield text, not {chunk!r}")
        *blocks, self._rest = re.split(r"\n\n", self._rest + chunk)
        before = len(self.events)
        for block in blocks:
            self._block(block)
        return len(self.events) > before

    def _block(self, block: str) -> None:
        kind, data = "message", list[str]()
        for line in block.split("\n"):
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "id":
                self.last_id = value
            elif field == "event":
                kind = value
            elif field == "data":
                data.append(value)
        if not data:
            return
        text = "\n".join(data)
        try:
            content = json.loads(text)
        except ValueError:
            raise NotYet(f"{self.what}: the data {text[:60]!r} is not JSON") from None
        self.events.append((self.last_id or "", kind, content))
        if len(self.events) > MOST_EVENTS:
            raise NotYet(f"{self.what}: events come again and again, and nothing is new")
        self._apply(kind, content)

    def _apply(self, kind: str, content: object) -> None:
        if not (self.last_id or "").isdecimal():
            raise NotYet(f"{self.what}: an event of the kind {kind} has no id that is a version")
        version = int(self.last_id or "")
        if not isinstance(content, Mapping):
            raise NotYet(f"{self.what}: the data {content!r} is not a JSON object")
        if kind == "snapshot":
            self.version, self.counts = version, dict(content)
            return
        if kind != "change":
            raise NotYet(f"{self.what}: an event has the kind {kind!r}: snapshot or change, please")
        if set(content) != {"option", "votes"}:
            raise NotYet(f"{self.what}: the data of a change is {dict(content)!r}")
        if self.version < 0:
            raise NotYet(f"{self.what}: the first event is a change: begin with a snapshot")
        if version <= self.version:
            raise NotYet(f"{self.what}: change {version} came again after version {self.version}")
        if version > self.version + 1:
            raise NotYet(f"{self.what}: after version {self.version} came {version}: one is lost")
        self.version = version
        option = str(content["option"])
        self.counts[option] = self.counts.get(option, 0) + int(content["votes"])


@judge(
    "realtime.3",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a generator function of a connection, a poll, a user and the last id: it yields "
    "events as text, and a comment when there is nothing new",
    stub=GIVEN_3,
)
def stream(answer: Stream) -> str:
    """Nothing is lost or there twice, whoever reconnects when, and nobody else reads."""
    scenes: list[Callable[[Stream, Poll], None]] = [
        _first,
        _others,
        _cut_anywhere,
        _strange_ids,
        _too_old,
        _far_behind,
        _forgotten_meanwhile,
        _member_no_more,
        _hostile_option,
        _polite,
        _connection_lost,
    ]
    with database("realtime_polls", _polls) as box:
        poll = Poll(box)
        with worker(partial(_first_events, answer, box)) as other:
            _in_another_worker(answer, poll, other)
        for scene in scenes:
            poll.begin_again()
            within(partial(scene, answer, poll))
        poll.begin_again()
        for number in range(1, MOST_STATEMENTS + 1):
            if _meets(answer, poll, number):
                break
    return (
        "every change came once and in order, over cuts, workers and forgotten changes; "
        "heartbeats came in between, and who may not read did not"
    )


def follow(
    answer: Stream,
    poll: Poll,
    client: Client,
    *,
    most: int = 10_000,
    connection: Connection | None = None,
) -> None:
    """Reads until there is nothing new, or so many chunks, and then cuts the connection."""
    db = connection or poll.box.learner
    chunks = answer(db, 1, "bode", client.last_id)
    if not hasattr(chunks, "__next__"):
        raise NotYet(f"it should be a generator, and returned {type(chunks).__name__}")
    with closing(cast(Any, chunks)):
        for _ in range(most):
            if not advance(chunks, client, db):
                return


def advance(chunks: Iterator[str], client: Client, db: Connection) -> bool:
    """Takes the next chunk, and says whether it had an event.

    Raises:
        NotYet: if it ends, or leaves a transaction open while the reader reads.
    """
    client.quiet = 0
    for _ in range(MOST_CHUNKS):  # a chunk may be a part of an event
        try:
            chunk = next(chunks)
        except StopIteration:
            raise NotYet(f"{client.what}: the stream ended: yield a comment, and go on") from None
        if db.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            raise NotYet(
                f"{client.what}: a transaction is open while the stream waits for its reader: end "
                "it before you yield"
            )
        if client.reads(chunk):
            return True
        if chunk.startswith(":"):
            client.quiet += 1
            if client.quiet > 1:  # one comment may also be a greeting
                return False
    raise NotYet(
        f"{client.what}: there was nothing new, and no comment came: yield a line that begins "
        "with a colon, and an empty line"
    )


def read_on(chunks: Iterator[str], client: Client, db: Connection) -> None:
    """Reads until there is nothing new; see `advance`."""
    while advance(chunks, client, db):
        pass


def is_right(poll: Poll, client: Client) -> None:
    """Raises NotYet unless a client shows what the poll has."""
    version, counts = poll.state
    if (client.version, client.counts) != (version, counts):
        raise NotYet(
            f"{client.what}: the poll is at version {version} with {counts}, and the page at "
            f"version {client.version} with {client.counts}"
        )


def _first(answer: Stream, poll: Poll) -> None:
    empty = Client("a new reader of a poll without votes")
    follow(answer, poll, empty)
    if [event[1] for event in empty.events] != ["snapshot"]:
        raise NotYet(f"{empty.what}: begin with a snapshot, not {empty.events}")
    is_right(poll, empty)
    for option in ("tea", "coffee", "tea"):
        poll.vote(option)
    client = Client("a new reader")
    chunks = answer(poll.box.learner, 1, "bode", None)
    with closing(cast(Any, chunks)):
        advance(chunks, client, poll.box.learner)
        if [event[1] for event in client.events] != ["snapshot"]:
            raise NotYet(f"{client.what}: begin with one snapshot, not {client.events}")
        is_right(poll, client)
        for number in range(3):
            read_on(chunks, client, poll.box.learner)
            poll.vote("water", number + 1)
        for _ in range(3):
            poll.vote("tea")
            poll.vote("tea", -1)
        read_on(chunks, client, poll.box.learner)
        is_right(poll, client)
        if sum(event[1] == "snapshot" for event in client.events) > 1:
            raise NotYet(f"{client.what}: nothing was missing, and another snapshot came")


def _others(answer: Stream, poll: Poll) -> None:
    """Another poll has changes, too, and its members and ours are not the same."""
    for number in range(6):
        poll.vote(f"red {number}", poll=2)
        if number % 2:
            poll.vote("tea")
    client = Client("there is another poll")
    follow(answer, poll, client)
    poll.vote("red", poll=2)
    poll.vote("tea")
    follow(answer, poll, client)
    is_right(poll, client)
    for user in ("amina", "", "Bode", "b%", "x' OR '1' = '1", "bode' --"):
        _refused(answer, poll, 1, user, None)
        _refused(answer, poll, 1, user, "1")
    _refused(answer, poll, 3, "bode", None)


def _refused(answer: Stream, poll: Poll, number: int, user: str, last_id: str | None) -> None:
    try:
        chunks = answer(poll.box.learner, number, user, last_id)
        with closing(cast(Any, chunks)):
            said = next(chunks)
    except PermissionError:
        return
    except StopIteration:
        said = "nothing"
    raise NotYet(
        f"{user!r} is no member of poll {number}: raise PermissionError before you yield; it "
        f"yielded {said!r}"
    )


def _cut_anywhere(answer: Stream, poll: Poll) -> None:
    """The connection is cut after each number of chunks, and votes are committed while away."""
    for most in (1, 3):
        client = Client(f"the connection was cut after {most} chunks, again and again")
        for number in range(6):
            follow(answer, poll, client, most=most)
            if number % 2 == 0:
                poll.vote("tea")
                poll.vote(f"option {number}", 2)
        for _ in range(12):
            follow(answer, poll, client, most=most)
            if client.version == poll.state[0]:
                break
        is_right(poll, client)
        if sum(event[1] == "snapshot" for event in client.events) != 1:
            raise NotYet(
                f"{client.what}: it knew its last id, and nothing was too old: send the changes "
                "after it, and no other snapshot"
            )


def _strange_ids(answer: Stream, poll: Poll) -> None:
    for _ in range(12):
        poll.vote("tea")
    for garbage in GARBAGE:
        client = Client(f"the Last-Event-ID was {garbage[:20]!r}")
        client.last_id = garbage
        try:
            follow(answer, poll, client)
        except NotYet:
            raise
        except Exception as error:
            raise NotYet(
                f"{client.what}: it raised {type(error).__name__}: any client can send that, so "
                "begin with a snapshot"
            ) from None
        if not client.events or client.events[0][1] != "snapshot":
            raise NotYet(f"{client.what}: begin with a snapshot, as for a new reader")
        is_right(poll, client)
    for last in ("9", "10", "12"):
        client = Client(f"the Last-Event-ID was {last!r} of 12 versions")
        client.last_id, client.version = last, int(last)
        client.counts = {"tea": int(last)}
        follow(answer, poll, client)
        is_right(poll, client)
        if any(event[1] == "snapshot" for event in client.events):
            raise NotYet(f"{client.what}: the changes after it are all there: no snapshot, please")


def _too_old(answer: Stream, poll: Poll) -> None:
    for _ in range(8):
        poll.vote("tea")
    poll.forget(before=5)
    for last in range(9):
        needs = last < 4
        client = Client(f"the Last-Event-ID was {last}, and the changes up to 4 were deleted")
        client.last_id, client.version = str(last), last
        client.counts = {"tea": last}
        follow(answer, poll, client)
        is_right(poll, client)
        if any(event[1] == "snapshot" for event in client.events) != needs:
            raise NotYet(
                f"{client.what}: {'a snapshot was needed' if needs else 'no snapshot was needed'}"
            )
    poll.forget(before=100)
    for last in (7, 8):
        client = Client(f"the Last-Event-ID was {last} of 8, and all changes were deleted")
        client.last_id, client.version, client.counts = str(last), last, {"tea": last}
        follow(answer, poll, client)
        is_right(poll, client)
        if any(event[1] == "snapshot" for event in client.events) != (last == 7):
            raise NotYet(f"{client.what}: a snapshot is right only for one that is behind")


def _far_behind(answer: Stream, poll: Poll) -> None:
    """Many changes came while a reader was away."""
    poll.vote("tea")
    client = Client("120 changes came while the reader was away")
    follow(answer, poll, client)
    for number in range(120):
        poll.vote(f"option {number % 7}")
    follow(answer, poll, client)
    is_right(poll, client)
    if sum(event[1] == "snapshot" for event in client.events) != 1:
        raise NotYet(f"{client.what}, and all of them are there: send them, and no other snapshot")


def _forgotten_meanwhile(answer: Stream, poll: Poll) -> None:
    """A slow reader: what it has not read yet is deleted while its stream is open."""
    poll.vote("tea")
    client = Client("changes were deleted before a slow reader had read them")
    chunks = answer(poll.box.learner, 1, "bode", None)
    with closing(cast(Any, chunks)):
        read_on(chunks, client, poll.box.learner)
        for keep in (True, False):
            for _ in range(5):
                poll.vote("coffee")
            version = poll.state[0]
            poll.forget(before=version if keep else version + 1)
            read_on(chunks, client, poll.box.learner)
            is_right(poll, client)


class Meeting(psycopg.Cursor[Any]):
    """A cursor that lets a vote be committed before one of its statements."""

    left = 0
    then: Callable[[], object]

    def execute(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        """Sends a statement, before which something may happen."""
        kind = type(self)
        kind.left -= 1
        if kind.left == 0:
            kind.then()
        return super().execute(*args, **options)


def _meets(answer: Stream, poll: Poll, number: int) -> bool:
    """A vote is committed, or old changes are deleted, just before a statement.

    Returns:
        Whether there were fewer statements.

    Raises:
        NotYet: if something is lost or there twice then.
    """
    poll.vote("tea")

    def happen() -> None:
        poll.vote("coffee")
        poll.vote("water")

    def forget() -> None:
        poll.vote("coffee")
        poll.forget(before=poll.state[0] + 1)

    for then, what in (
        (happen, "two votes were committed"),
        (forget, "a vote was committed, and old changes were deleted"),
    ):
        for comes_back in (False, True):
            client = Client(f"{what} just before statement {number}")
            if comes_back:
                client.version, client.counts = poll.state
                client.last_id = str(client.version)
            kind = type("Meeting", (Meeting,), {"left": number, "then": staticmethod(then)})
            within(partial(_reads_thrice, answer, poll, client, kind))
            if cast(Any, kind).left > 0:
                return True
            is_right(poll, client)
    return False


def _reads_thrice(answer: Stream, poll: Poll, client: Client, kind: type) -> None:
    """Reads with cursors of a kind until there was nothing new three times."""
    with another(poll.box) as db:
        db.cursor_factory = kind
        chunks = answer(db, 1, "bode", client.last_id)
        with closing(cast(Any, chunks)):
            for _ in range(3):
                read_on(chunks, client, db)


def _member_no_more(answer: Stream, poll: Poll) -> None:
    poll.vote("tea")
    client = Client("the reader is a member no more")
    chunks = answer(poll.box.learner, 1, "bode", None)
    with closing(cast(Any, chunks)):
        read_on(chunks, client, poll.box.learner)
        poll.box.admin.execute("DELETE FROM member WHERE name = 'bode'")
        poll.vote("secret")
        with suppress(StopIteration, PermissionError):
            for _ in range(5):
                client.reads(next(chunks))
                if "secret" in client.counts:
                    raise NotYet(
                        f"{client.what}, since before the last vote, and still got it: check the "
                        "right again each time"
                    )
            raise NotYet(f"{client.what}: end the stream")


def _hostile_option(answer: Stream, poll: Poll) -> None:
    client = Client("an option's name has line breaks")
    for option in (HOSTILE, "a\r\nb", "é ☕", '"', "\u2028"):
        poll.vote(option)
    follow(answer, poll, client)
    for option in (HOSTILE, "a\r\nb", "é ☕", '"', "\u2028"):
        poll.vote(option, 2)
    follow(answer, poll, client)
    is_right(poll, client)


def _polite(answer: Stream, poll: Poll) -> None:
    """Two streams on two connections of one worker do not disturb each other."""
    poll.vote("tea")
    first, second = Client("the first of two readers"), Client("the second of two readers")
    with another(poll.box) as db:
        one = answer(poll.box.learner, 1, "bode", None)
        two = answer(db, 1, "bode", None)
        with closing(cast(Any, one)), closing(cast(Any, two)):
            for number in range(4):
                poll.vote(f"option {number}")
                read_on(one, first, poll.box.learner)
                poll.vote("tea")
                read_on(two, second, db)
            read_on(one, first, poll.box.learner)
    is_right(poll, first)
    is_right(poll, second)


def _connection_lost(answer: Stream, poll: Poll) -> None:
    """The connection to the database breaks, and the reader must notice it."""
    poll.vote("tea")
    what = "the connection to PostgreSQL was lost while a stream was open"
    client = Client(what)
    with another(poll.box) as db:
        chunks = answer(db, 1, "bode", None)
        with closing(cast(Any, chunks)):
            read_on(chunks, client, db)
            poll.box.stop(db)
            poll.vote("coffee")
            try:
                for _ in range(MOST_LATE):
                    chunk = next(chunks)
            except (StopIteration, psycopg.Error):
                return
            except Exception as error:
                raise NotYet(
                    f"{what}: it raised {type(error).__name__}: let the error through"
                ) from None
    raise NotYet(
        f"{what}, and it went on and yielded {chunk!r}: the page stands still, and nobody "
        "notices; let the error end the stream"
    )


def _first_events(answer: Stream, box: Sandbox, last_id: str | None) -> list[str]:
    """Reads in another process until there is nothing new."""
    came = []
    with another(box) as db:
        chunks = answer(db, 1, "bode", last_id)
        for chunk in chunks:
            came.append(chunk)
            if len(came) > 100 or [each[:1] for each in came[-2:]] == [":", ":"]:
                break
    return came


def _in_another_worker(answer: Stream, poll: Poll, other: Worker) -> None:
    poll.vote("tea")
    client = Client("the reader came back to another worker")
    within(partial(follow, answer, poll, client))
    for _ in range(3):
        poll.vote("coffee")
        for chunk in other.said("a stream in another worker", client.last_id):
            client.reads(chunk)
        poll.vote("tea")
        within(partial(follow, answer, poll, client))
    is_right(poll, client)
    if sum(event[1] == "snapshot" for event in client.events) != 1:
        raise NotYet(f"{client.what}, with its last id, and got another snapshot")
