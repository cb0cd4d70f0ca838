"""Judges of "Caching": a copy, a stampede, a slow reader, headers.

Each judgement has a Valkey of its own, and the last one an nginx and a site behind it.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, cast

import httpx
import psutil
import redis

from nexus.judging import NotYet, judge, limits
from nexus.judging.clock import Clock
from nexus.judging.dying import Eventful, mortal
from nexus.judging.limits import Run, all_of, within
from nexus.judging.sandbox import own_valkey
from nexus.judging.workers import OtherProcessError, Worker, worker
from nexus.services import Nginx, Valkey, nginx
from nexus.services.listener import Handler, Listener
from nexus.services.process import wait_for

PEOPLE = 12
"""How many come at once."""

PATIENCE = 2.0
"""How long one who has looked is held back, if the others do not get through without him."""

MOST_KEYS = 8
"""Of how many keys that an answer writes each is evicted once."""

MOST_COMMANDS = 8
"""How many commands that a reader sends come late once."""

HOUR = 3600

Load = Callable[[], object]
Remember = Callable[[redis.Redis, str, int, Load], object]
There = tuple[object, int, dict[str, str]]


class Source:
    """What is cached: says how often it was asked, and may do something while it is."""

    def __init__(self, value: object) -> None:
        self.value = value
        self.calls = 0
        self.then: Callable[[], None] = lambda: None
        self.meanwhile = self.then

    def load(self) -> object:
        """Returns the value as it was when the call began; what it raises, if it is an error."""
        self.calls += 1
        value = self.value
        meanwhile, self.meanwhile = self.meanwhile, self.then
        meanwhile()
        if isinstance(value, Exception):
            raise value
        return value


def connect(server: Valkey, seconds: float | None = None) -> redis.Redis:
    """A client as the chapter's; it waits for an answer as long as the answer's limit is."""
    return server.connect(decode_responses=True, socket_timeout=seconds or limits.SECONDS)


def endless(client: redis.Redis) -> list[str]:
    """The keys that have no end; a hash has one if each of its fields does."""

    def ends(key: str) -> bool:
        if client.type(key) != "hash":
            return False
        fields = cast(list[str], client.hkeys(key))
        return bool(fields) and -1 not in cast(list[int], client.hpttl(key, *fields))

    keys = sorted(cast(list[str], client.keys()))
    return [key for key in keys if client.pttl(key) == -1 and not ends(key)]


def content(client: redis.Redis, key: str) -> str:
    """What a key holds, as one text."""
    kind = client.type(key)
    if kind == "hash":
        return str(client.hgetall(key))
    if kind == "list":
        return str(client.lrange(key, 0, -1))
    return str(client.get(key)) if kind == "string" else ""


GIVEN_1 = """
def remember(client, key, seconds, load):
    value = client.get(key)
    if not value:
        value = load()
        client.set(key, value)
    return value
"""


@judge(
    "caching.1",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a client, a key, seconds and a function load: it returns what load "
    "returns, and calls it only if the cache does not know",
    stub=GIVEN_1,
)
def remember(answer: Remember) -> str:
    """It remembers everything, also nothing, for a time, and needs no Valkey."""
    # The other process is forked before the answer is called for the first time.
    with own_valkey() as server, worker(partial(_asks_there, answer, server)) as other:
        client = connect(server)
        for number, value in enumerate(("a page", None, "", "0", "None", "null", "-")):
            source = Source(value)
            key = f"page:{number}"
            client.flushall()  # so that each value's TTL is seen
            for turn in ("first", "second"):
                try:
                    got = within(partial(answer, client, key, 60, source.load))
                except redis.DataError:
                    raise NotYet(
                        f"load returned {value!r}, and redis-py cannot send that: store a text "
                        "from which you can tell what it was"
                    ) from None
                if got != value:
                    raise NotYet(f"load returned {value!r}, and the {turn} call returned {got!r}")
                if client.dbsize() or client.info("stats")["expired_keys"]:
                    _long_enough(client, 60)
            if source.calls != 1:
                raise NotYet(
                    f"load returned {value!r}, and the next reader called load again: remember "
                    "this value too"
                )
        if client.dbsize() == 0:
            raise NotYet("Valkey holds nothing: another process would have to load it all again")
        if found := endless(client):
            raise NotYet(f"{found[0]} has no TTL, so Valkey keeps it for ever: give it `seconds`")
        _elsewhere(answer, client, other)
        _like_nothing(answer, client)
        _for_seconds(answer, client)
        _failing(answer, client)
        _dies(answer, server, client, FOR_EVER)
        _expires(answer, server, client)
        psutil.Process(server.pid).suspend()
        _without_valkey(answer, connect(server, seconds=0.2), "Valkey does not answer in time")
        server.kill()
        _without_valkey(answer, client, "Valkey is down")
        server.start()
        _is_back(answer, server)
        _hangs_meanwhile(answer, server)
    return (
        "it remembers any text and None, for `seconds` and not longer, in Valkey where another "
        "process finds it, it works without Valkey, and uses Valkey again when it is back"
    )


def _without_valkey(answer: Remember, client: redis.Redis, what: str) -> None:
    """The page can be had without Valkey."""
    source = Source("a page")
    try:
        got = within(lambda: answer(client, "page:0", 60, source.load))
    except redis.RedisError as error:
        raise NotYet(
            f"{what}, and the caller got {type(error).__name__}: return what load returns instead"
        ) from None
    if got != "a page":
        raise NotYet(f"{what}, load returned 'a page', and the caller got {got!r}")
    if source.calls != 1:
        raise NotYet(
            f"{what}, and load was called {source.calls} times. It should be called once: a copy "
            "in this process alone would never hear that it is old"
        )


def _is_back(answer: Remember, server: Valkey) -> None:
    """Valkey answers again: an hour later at the latest, it is used."""
    clock, source = Clock(), Source("a page")
    clock.sleep(HOUR)  # who has given Valkey a rest may have ended it by now
    for _ in range(2):
        got = within(lambda: answer(connect(server), "page:back", 60, source.load), clock)
    if got != "a page" or source.calls != 1:
        raise NotYet(
            "Valkey was down and is back for an hour. Two readers came one after the other, and "
            f"load was called {source.calls} times: ask Valkey again after a while"
        )


def _asks_there(
    answer: Remember, server: Valkey, key: str = "page:of two"
) -> tuple[object, int, dict[str, str]]:
    """Asks in another process.

    Returns:
        What it got, how often it had to load it, and the texts that Valkey held while it loaded.
    """
    source, held = Source("a page of the other process"), {}
    options: dict[str, Any] = {"decode_responses": True, "socket_timeout": limits.SECONDS}
    with redis.Redis.from_url(server.url, **options) as client:
        source.meanwhile = lambda: held.update(_texts(connect(server)))
        return answer(client, key, 60, source.load), source.calls, held


def _texts(client: redis.Redis) -> dict[str, str]:
    """All texts in Valkey, by their keys."""
    keys = [key for key in cast(list[str], client.keys()) if client.type(key) == "string"]
    return {key: cast(str, client.get(key)) for key in keys}


def _elsewhere(answer: Remember, client: redis.Redis, other: Worker) -> None:
    """One process stores it, and another one finds it."""
    within(lambda: answer(client, "page:of two", 60, Source("a page").load))
    other.ask()
    got, calls, _ = cast(There, other.answer("a call in another process"))
    if calls or got != "a page":
        raise NotYet(
            "this process stored a page, and another process that asked for the same key called "
            f"load {calls} times and got {got!r}: it must find what this one has stored"
        )


def _like_nothing(answer: Remember, client: redis.Redis) -> None:
    """A text that looks in Valkey as nothing does is a text all the same."""
    client.flushall()
    within(lambda: answer(client, "page:none", 60, Source(None).load))
    for text in _texts(client).values():
        source = Source(text)
        key = "page:looks like none"
        got = [within(lambda: answer(client, key, 60, source.load)) for _ in range(2)]  # noqa: B023
        if got != [text, text]:
            raise NotYet(
                f"load returned {text!r}, and the second call returned {got[1]!r}: load may "
                "return any text, also the one that stands for None in Valkey"
            )


def _for_seconds(answer: Remember, client: redis.Redis) -> None:
    """Something is kept for as long as was said, and nothing for longer."""
    for seconds in (60, 3600):
        client.flushall()
        source = Source("a page")
        within(lambda: answer(client, f"page:{seconds}", seconds, source.load))  # noqa: B023
        lives = {key: _life(client, key) for key in sorted(cast(list[str], client.keys()))}
        if late := [key for key, life in lives.items() if life > seconds]:
            raise NotYet(f"seconds was {seconds}, and the TTL of {late[0]} is longer")
        _long_enough(client, seconds)
        aged = [key for key in lives if client.type(key) == "string"]
        for key in aged:
            client.pexpire(key, 20_000)  # as if it had been there for a while
        within(lambda: answer(client, f"page:{seconds}", seconds, source.load))  # noqa: B023
        if any(_life(client, key) > 20 for key in aged):
            raise NotYet(
                "a read made the TTL longer: a page that is read often would be kept for ever"
            )


def _long_enough(client: redis.Redis, seconds: int) -> None:
    """What was stored a moment ago is still there, for about as long as was said."""
    keys = cast(list[str], client.keys())
    if all(_life(client, key) < seconds / 2 for key in keys):
        raise NotYet(
            f"seconds was {seconds}, and the TTL of what was stored is less than half of it"
        )


def _life(client: redis.Redis, key: str) -> float:
    """For how many seconds a key, or a field of it, is still there: math.inf without a TTL."""
    times = [cast(int, client.pttl(key))]
    if client.type(key) == "hash":
        times += cast(list[int], client.hpttl(key, *cast(list[str], client.hkeys(key))))
    return math.inf if max(times) == -1 else max(times) / 1000


def _failing(answer: Remember, client: redis.Redis) -> None:
    """An error of load reaches the caller, and is not remembered."""
    source = Source(LookupError("the database is down"))
    try:
        got = within(lambda: answer(client, "page:x", 60, source.load))
    except LookupError:
        pass
    else:
        raise NotYet(f"load failed with LookupError, and the caller got {got!r}")
    if source.calls != 1:
        raise NotYet(f"load failed, and was called {source.calls} times: it should be called once")
    source.value = "a page"
    if within(lambda: answer(client, "page:x", 60, source.load)) != "a page":
        raise NotYet("load failed once, and the next caller got no page: do not remember errors")


FOR_EVER = "Valkey keeps it for ever. Store it and set its TTL in one command"
LOCKED_OUT = "nobody will ever compute again. Take the lock and set its TTL in one command"


def _dies(answer: Remember, server: Valkey, admin: redis.Redis, advice: str) -> None:
    """Its process is gone before each of its commands in turn: nothing without an end is left.

    Args:
        answer: the function.
        server: where it stores.
        admin: the judge's client.
        advice: how the complaint ends.
    """
    for number in range(1, MOST_COMMANDS + 1):
        admin.flushall()
        source = Source("a page")
        with mortal(server, number, limits.SECONDS) as client, suppress(NotYet):  # it dies
            within(partial(answer, client, "page", 60, source.load))
        if found := endless(admin):
            raise NotYet(
                f"a process died just before command number {number}, and left {found[0]} "
                f"without a TTL: {advice}"
            )
        if client.sent < number:
            return  # it does not send so many


def _expires(answer: Remember, server: Valkey, client: redis.Redis) -> None:
    """What is remembered ends just before each command of a reader in turn, found or not."""
    for is_there, advice in (
        (True, "look and read in one command"),
        (False, "return what load returned, and do not read it back"),
    ):
        for number in range(1, MOST_COMMANDS + 1):
            client.flushall()
            source = Source("a page")
            if is_there:
                within(lambda: answer(client, "page", 60, source.load))  # noqa: B023

            def expire(_: str) -> None:
                client.flushall()

            with Eventful.of(server, number, expire, limits.SECONDS) as reader:
                try:
                    got: object = within(partial(answer, reader, "page", 60, source.load))
                except NotYet:
                    raise
                except Exception as error:
                    got = f"{type(error).__name__}: {error}"
            if got != "a page":
                raise NotYet(
                    f"the page expired just before command number {number} of a reader, and the "
                    f"caller got {got}: {advice}"
                )
            if reader.sent < number:
                break  # it does not send so many


def _hangs_meanwhile(answer: Remember, server: Valkey) -> None:
    """Valkey stops answering while the page is loaded."""
    source, valkey = Source("a page"), psutil.Process(server.pid)
    source.meanwhile = valkey.suspend
    try:
        got = within(lambda: answer(connect(server, seconds=0.2), "page:y", 60, source.load))
    except redis.RedisError as error:
        got = type(error).__name__
    finally:
        valkey.resume()
    if got != "a page" or source.calls != 1:
        raise NotYet(
            f"Valkey stopped answering while load ran. The caller got {got!r}, and load was called "
            f"{source.calls} times: call it once, and return what it returned"
        )


class Caller(redis.Redis):
    """A client that counts what it was answered."""

    answered = 0

    def execute_command(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        """Sends a command."""
        try:
            return super().execute_command(*args, **options)
        finally:
            self.answered += 1


class Held(redis.Redis):
    """A client whose first command is answered late: when the others are done, or after a while."""

    go_on: threading.Event | None = None
    has_looked: threading.Event

    def execute_command(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        """Sends a command, and holds the first one's answer back."""
        result = super().execute_command(*args, **options)
        if self.go_on is not None:
            held, self.go_on = self.go_on, None
            self.has_looked.set()
            held.wait(PATIENCE)
        return result


GIVEN_2 = """
def one_for_all(client, key, seconds, load):
    value = client.get(key)
    if value is None and client.setnx(f"lock:{key}", 1):
        value = load()
        client.set(key, value, ex=seconds)
        client.delete(f"lock:{key}")
    return value
"""


@judge(
    "caching.2",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a client, a key, seconds and a function load: of many who call it at "
    "once, one calls load, and all return what it got",
    stub=GIVEN_2,
)
def one_for_all(answer: Remember) -> str:
    """One computes, all get it; nobody who fails, dies or comes late spoils it."""
    # The other process is forked before the answer is called for the first time.
    with own_valkey() as server, worker(partial(_asks_there, answer, server)) as other:
        admin = connect(server)
        _stores_first(answer, server, admin)  # before many ask at once: there it is seen by chance
        admin.flushall()
        _at_once(answer, server, admin)
        admin.flushall()
        _late(answer, server)
        admin.flushall()
        _fails(answer, server, admin)
        admin.flushall()
        _fails_before_others(answer, server, admin, other)
        _for_seconds(answer, admin)
        admin.flushall()
        _loads_nothing(answer, server)
        admin.flushall()
        _overtaken(answer, server, admin, other)
        admin.flushall()
        _of_another_key(answer, server, other)
        admin.flushall()
        _takes_long(answer, server, other)
        admin.flushall()
        _of_another_thread(answer, server, admin)
        admin.flushall()
        _dies(answer, server, admin, LOCKED_OUT)
    return (
        "one caller computes and all get its page: those who came together, one that looked "
        "before and went on afterwards, and another process; errors and deaths block nobody, and "
        "no caller releases another's lock"
    )


def _at_once(answer: Remember, server: Valkey, admin: redis.Redis) -> None:
    """Many at once; what one at work leaves in Valkey has an end."""
    source = Source("a page")
    seen: list[object] = []

    callers: dict[int, Caller] = {}
    at_rest: set[int] = set()  # in load, or done

    def all_at_rest() -> bool:
        # After PING, what an answer reads and how it takes a lock have been answered.
        return len(callers) == PEOPLE and all(
            thread in at_rest or caller.answered > 2 for thread, caller in list(callers.items())
        )

    def until_all_are_at_rest() -> None:
        at_rest.add(threading.get_ident())
        with suppress(TimeoutError):  # who waits for something else than Valkey sends nothing
            wait_for(all_at_rest, PATIENCE, "the others to wait, or to be done")

    def at_work() -> None:
        seen.append(admin.dbsize())
        seen.append(endless(admin))
        until_all_are_at_rest()

    source.meanwhile, source.then = at_work, until_all_are_at_rest
    everybody = threading.Barrier(PEOPLE)
    options = {"decode_responses": True, "socket_timeout": limits.SECONDS}

    def one() -> object:
        thread = threading.get_ident()
        with cast(Caller, Caller.from_url(server.url, **options)) as client:  # type: ignore[arg-type]
            client.ping()
            callers[thread] = client
            everybody.wait(limits.SECONDS)
            try:
                return answer(client, "page", 60, source.load)
            finally:
                at_rest.add(thread)

    got = _together([one] * PEOPLE)
    if source.calls != 1:
        raise NotYet(
            f"{PEOPLE} asked at once, and load was called {source.calls} times: it should be once"
        )
    if wrong := [value for value in got if value != "a page"]:
        raise NotYet(
            f"{PEOPLE} asked at once, and {len(wrong)} of them got {wrong[0]!r}: they must wait "
            "until the page is there"
        )
    if seen[0] == 0:
        raise NotYet(
            "while one computes, Valkey knows nothing of it: another process would compute too"
        )
    if seen[1]:
        raise NotYet(
            f"while one computes, {cast(list[str], seen[1])[0]} has no TTL: if its process dies, "
            "nobody will ever compute again"
        )
    if found := endless(admin):
        raise NotYet(f"{found[0]} has no TTL: it is kept for ever")


def _stores_first(answer: Remember, server: Valkey, admin: redis.Redis) -> None:
    """Who keeps others out during load does so until there is the page."""
    for number in range(1, MOST_COMMANDS + 1):
        admin.flushall()
        source = Source("a page")
        bare: list[str] = []
        kept_out: list[bool] = []

        def look(command: str) -> None:
            if any(kept_out) and admin.dbsize() == 0:  # noqa: B023
                bare.append(command)  # noqa: B023

        with Eventful.of(server, 0, look, limits.SECONDS) as client:

            def loaded() -> None:
                kept_out.append(admin.dbsize() > 0)  # noqa: B023
                client.at = client.sent + number  # noqa: B023

            source.meanwhile = loaded
            within(lambda: answer(client, "page", 60, source.load))  # noqa: B023
            if bare:
                raise NotYet(
                    "the lock was released before the page was stored: whoever comes in between "
                    "computes again"
                )
            if client.sent < client.at:
                return  # it does not send so many


def _of_another_key(answer: Remember, server: Valkey, other: Worker) -> None:
    """While one page is computed, another process gets another page."""
    source = Source("a page")
    waited: list[bool] = []

    def ask_for_another() -> None:
        other.ask("another page")
        try:
            wait_for(other.is_done, PATIENCE, "the other process")
        except TimeoutError:
            waited.append(True)

    source.meanwhile = ask_for_another
    within(lambda: answer(connect(server), "page", 60, source.load))
    other.answer("a call in another process")
    if waited:
        raise NotYet(
            "one caller computed a page, and another process that asked for another key had to "
            "wait for it: give each key its own lock"
        )


LONG = 2.0
"""Seconds that a load takes which takes its time."""


def _takes_long(answer: Remember, server: Valkey, other: Worker) -> None:
    """One computes for a while, and another process asks meanwhile: it waits for the page.

    The page is kept for a second only. That says nothing of the time that load takes.
    """
    source = Source("a page")
    early: list[bool] = []

    def slowly() -> None:
        other.ask()
        threading.Event().wait(LONG)
        early.append(other.is_done())

    source.meanwhile = slowly
    mine = within(lambda: answer(connect(server), "page:of two", 1, source.load))
    got, calls, _ = cast(There, other.answer("a call in another process"))
    if calls and any(early):
        raise NotYet(
            f"load takes {LONG:g} seconds, and another process that asked meanwhile called it as "
            "well: is the lock in Valkey, and does its TTL last longer than load? (The page itself "
            "was to be kept for one second.)"
        )
    # On a busy machine the page may be gone before the other process has looked for it.
    if mine != "a page" or got != ("a page of the other process" if calls else "a page"):
        raise NotYet(
            f"load takes {LONG:g} seconds, and another process that asked meanwhile got {got!r}: "
            "it must wait until the page is there"
        )


def _late(answer: Remember, server: Valkey) -> None:
    """One has looked, and then comes to nothing until another one is done."""
    source = Source("a page")
    done, looked = threading.Event(), threading.Event()
    options = {"decode_responses": True, "socket_timeout": limits.SECONDS}
    held = cast(Held, Held.from_url(server.url, **options))  # type: ignore[arg-type]
    held.go_on, held.has_looked = done, looked

    def late() -> object:
        return answer(held, "page", 60, source.load)

    def quick() -> object:
        looked.wait(limits.SECONDS)
        try:
            with connect(server) as client:
                return answer(client, "page", 60, source.load)
        finally:
            done.set()

    got = _together([late, quick])
    if source.calls != 1:
        raise NotYet(
            "one looked, another one computed and was done, and then the first one went on and "
            "computed again: look once more when you have the lock"
        )
    if got != ["a page", "a page"]:
        raise NotYet(f"two callers came one after the other, and got {got[0]!r} and {got[1]!r}")


def _fails(answer: Remember, server: Valkey, admin: redis.Redis) -> None:
    """Who fails gets the error, and is out of the others' way."""
    source = Source(LookupError("the database is down"))
    client = connect(server)
    try:
        got = within(lambda: answer(client, "page", 60, source.load))
    except LookupError:
        pass
    else:
        raise NotYet(f"load failed with LookupError, and its caller got {got!r}")
    source.value = "a page"
    if found := endless(admin):
        raise NotYet(f"load failed, and {found[0]} stays in Valkey for ever")
    try:
        got = within(lambda: answer(client, "page", 60, source.load))
    except NotYet:
        raise NotYet(
            "load failed, and the next caller waits for nobody: release the lock also when load "
            "fails"
        ) from None
    if got != "a page":
        raise NotYet(f"load failed once, and the next caller got {got!r}")


IDLE = {"hello", "client|setinfo", "client|setname", "select", "auth", "ping", "info"}
"""Commands that a client sends when it connects, and the judge's own question."""


def _asked(admin: redis.Redis) -> int:
    """How many commands of answers Valkey has been given."""
    stats = cast(dict[str, dict[str, int]], admin.info("commandstats"))
    names = {name: name.removeprefix("cmdstat_").lower() for name in stats}
    return sum(stats[name]["calls"] for name, called in names.items() if called not in IDLE)


def _fails_before_others(
    answer: Remember, server: Valkey, admin: redis.Redis, other: Worker
) -> None:
    """One computes and fails, and another process has waited for its page."""
    source = Source(LookupError("the database is down"))

    def others_wait() -> None:
        before = _asked(admin)
        other.ask("page")
        with suppress(TimeoutError):  # who waits for something else than Valkey sends nothing
            wait_for(lambda: other.is_done() or _asked(admin) > before + 2, PATIENCE, "the other")

    source.meanwhile = others_wait
    with suppress(LookupError):
        within(lambda: answer(connect(server), "page", 60, source.load))
    try:
        got = cast(There, other.answer("a call in another process"))[0]
    except OtherProcessError as error:
        got = error.kind[0]
    if got != "a page of the other process":
        raise NotYet(
            "one caller computed and failed while another process waited for the page, and the "
            f"other process got {got!r}: who has waited must look again, and compute if there is "
            "no page"
        )


def _loads_nothing(answer: Remember, server: Valkey) -> None:
    """An empty text is a page like any other."""
    source = Source("")
    got = [within(lambda: answer(connect(server), "page", 60, source.load)) for _ in range(2)]
    if got != ["", ""] or source.calls != 1:
        raise NotYet(
            f"load returned an empty text, two callers came one after the other, and load was "
            f"called {source.calls} times: an empty text is a page, and only None is a miss"
        )


def _overtaken(answer: Remember, server: Valkey, admin: redis.Redis, other: Worker) -> None:
    """The lock ends and another process takes it, before each command after load: it is left alone.

    The other one's lock is what this answer writes there. If both write one text, nobody can tell
    whose the lock is.
    """
    other.ask("page")
    written = cast(There, other.answer("a call in another process"))[2]
    _leaves_alone(answer, server, admin, written)


def _of_another_thread(answer: Remember, server: Valkey, admin: redis.Redis) -> None:
    """The same, when a thread of this process takes it: one that computes another page now."""
    source = Source("another page")
    waits: list[bool] = []

    def others() -> None:
        texts = {key.replace("another ", ""): text for key, text in _texts(admin).items()}
        page = Source("a page").load
        run = Run(lambda: answer(connect(server), "page", 60, page))
        with suppress(TimeoutError):
            wait_for(lambda: not run.is_running, PATIENCE, "the other thread")
        waits.append(run.is_running)
        if not run.is_running:
            _leaves_alone(answer, server, admin, texts)

    source.meanwhile = others
    with suppress(redis.exceptions.LockError, redis.WatchError):  # its own lock is gone by then
        within(lambda: answer(connect(server), "another page", 60, source.load))
    if any(waits):
        raise NotYet(
            "one caller computed a page, and another thread that asked for another key had to "
            "wait for it: give each key its own lock"
        )


def _leaves_alone(
    answer: Remember, server: Valkey, admin: redis.Redis, written: dict[str, str]
) -> None:
    """Looks whether a caller leaves a lock alone that has become another one's.

    Args:
        answer: the function.
        server: where it locks.
        admin: the judge's client.
        written: what the other one has written, by its key.
    """
    for number in range(1, MOST_COMMANDS + 1):
        admin.flushall()
        source = Source("a page")
        theirs: dict[str, str] = {}

        def lock_ends(_: str) -> None:
            for key in _texts(admin).keys() - {"page"}:
                theirs[key] = written.get(key, "somebody else's")  # noqa: B023
                admin.set(key, theirs[key], px=60_000)  # noqa: B023

        with Eventful.of(server, 0, lock_ends, limits.SECONDS) as client:

            def loaded() -> None:
                client.at = client.sent + number  # noqa: B023

            source.meanwhile = loaded
            # To be told that the lock is gone is fine too.
            with suppress(redis.exceptions.LockError, redis.WatchError):
                within(lambda: answer(client, "page", 60, source.load))  # noqa: B023
            if client.sent < client.at:
                return  # it does not send so many
        if gone := [key for key, text in theirs.items() if admin.get(key) != text]:
            raise NotYet(
                f"load took so long that {gone[0]} expired and another caller took it, and this "
                "one released it: release a lock only if it is still yours, in one command, by a "
                "text that no other caller writes, neither in another process nor in another "
                "thread of this one"
            )


def _together(actions: list[Callable[[], object]]) -> list[object]:
    """Runs actions in threads, and returns what they return.

    Raises:
        NotYet: if one does not come to an end.
        Exception: what the first one of them raised.
    """
    runs = [Run(action) for action in actions]
    all_of(runs, "one of those who came together")
    return [run.value() for run in runs]


Read = Callable[[redis.Redis, str, Load], object]
Changed = Callable[[redis.Redis, str], object]


class Story:
    """A value that changes, and readers of it; each reader and writer is a process of its own."""

    def __init__(self, answer: tuple[Read, Changed], server: Valkey) -> None:
        self._read, self._changed = answer
        self._server = server
        self.admin = connect(server)
        self.source = Source("version 1")
        self.is_changing = False

    def read_another(self, source: Source) -> object:
        """What a reader of another key gets."""
        client = connect(self._server)
        return within(lambda: self._read(client, "page:two", source.load))

    def read(self, late: int = 0, then: Callable[[str], None] = print) -> object:
        """What a reader gets.

        Args:
            late: which of the commands that the reader sends comes late; 0 for none.
            then: what happens before it; gets its name.

        Raises:
            NotYet: if it does not come to an end.
        """
        with Eventful.of(self._server, late, then, limits.SECONDS) as client:
            try:
                return within(lambda: self._read(client, "page", self.source.load))
            except NotYet as error:
                if self.is_changing:
                    raise NotYet(
                        f"`changed` waits until a slow reader is done, and {error}: let the "
                        "reader find out that it is too late, not the writer wait"
                    ) from None
                raise

    def change(self, value: str) -> None:
        """Changes the value, commits, and says so."""
        self.source.value = value
        self.is_changing = True
        within(lambda: self._changed(connect(self._server), "page"))
        self.is_changing = False

    def expect(self, value: str, otherwise: str) -> None:
        """Raises NotYet if a reader gets something else."""
        if (got := self.read()) != value:
            raise NotYet(f"{otherwise}: the reader should get {value!r}, and got {got!r}")


GIVEN_3 = """
def read(client, key, load):
    value = client.get(key)
    if value is None:
        value = load()
        client.set(key, value, ex=60)
    return value


def changed(client, key):
    client.delete(key)
"""


@judge(
    "caching.3",
    takes=tuple,
    called="two functions, (read, changed)",
    hint="give two functions, (read, changed): read(client, key, load) returns the value, and "
    "changed(client, key) is called after each commit",
    stub=GIVEN_3,
)
def never_for_ever(answer: tuple[Read, Changed]) -> str:
    """No reader gets a value that is older than the last change, and hits are hits."""
    if len(answer) != 2 or not all(callable(function) for function in answer):
        raise NotYet("give two functions: (read, changed)")
    # The other process is forked before the answer is called for the first time.
    with own_valkey() as shared, worker(partial(_there, answer, shared)) as other:
        _scenes(answer)
        _in_another_process(Story(answer, shared), other)
    return (
        "no reader got an old value after a change: not after a slow reader, not after a change "
        "in another process, and not after Valkey forgot a key; and hits are hits"
    )


def _scenes(answer: tuple[Read, Changed]) -> None:
    """What can be seen in one process, each on a Valkey of its own."""
    for scene in (_changes, _of_each_key, _slow, _slow_anywhere, _overtaken_twice, _forgets):
        with own_valkey() as server:
            scene(Story(answer, server))


def _there(answer: tuple[Read, Changed], server: Valkey, value: str) -> object:
    """In another process: tells of a change if there is no value, else reads."""
    options: dict[str, Any] = {"decode_responses": True, "socket_timeout": limits.SECONDS}
    with redis.Redis.from_url(server.url, **options) as client:
        read, changed = answer
        return read(client, "page", lambda: value) if value else changed(client, "page")


def _in_another_process(story: Story, other: Worker) -> None:
    """A change in one process reaches the readers in another one, both ways."""
    story.read()
    story.source.value = "version 2"
    other.ask("")
    other.answer("`changed` in another process")
    story.expect(
        "version 2", "another process called `changed`, and this one read: Valkey must know of it"
    )
    other.ask("version 2")
    other.answer("`read` in another process")
    story.change("version 3")
    other.ask("version 3")
    if (got := other.answer("`read` in another process")) != "version 3":
        raise NotYet(
            "this process called `changed`, and another one read: it should get 'version 3', and "
            f"got {got!r}. Valkey must know of the change"
        )


def _changes(story: Story) -> None:
    """Reads and changes, one after the other."""
    story.admin.set("somebody else's", "value", ex=600)
    for number in (1, 2, 3):
        if number > 1:
            story.change(f"version {number}")
        for _ in range(3):
            story.expect(f"version {number}", "it was read, changed and read again")
        if story.source.calls != number:
            raise NotYet(
                f"it changed {number - 1} times and was read three times after each change, and "
                f"load was called {story.source.calls} times"
            )
    if not story.admin.exists("somebody else's"):
        raise NotYet("`changed` deleted keys of others: they are not this function's to delete")
    if story.admin.dbsize() == 1:
        raise NotYet("Valkey holds nothing: another process would have to load it again")
    values = [key for key in endless(story.admin) if "version 3" in content(story.admin, key)]
    if values:
        raise NotYet(
            f"{values[0]} has no TTL: if a process dies between its commit and `changed`, the "
            "site shows the old value for ever"
        )


def _of_each_key(story: Story) -> None:
    """Two keys have two values, and a change of one leaves the other alone."""
    other = Source("another value")
    story.read()
    got = story.read_another(other)
    story.change("version 2")
    if (got, story.read_another(other)) != ("another value", "another value"):
        raise NotYet("two keys were read, and one reader got the value of the other key")
    story.expect("version 2", "it was changed, and another key was read")
    if other.calls != 1:
        raise NotYet(
            "`changed` was called for one key, and the next reader of another key called load "
            "again: nothing has changed there"
        )


def _slow(story: Story) -> None:
    """A reader has read the old value, and stores it when the new one is committed."""
    story.source.meanwhile = lambda: story.change("version 2")
    story.read()
    story.expect("version 2", "a slow reader stored an old value after the change")
    story.expect("version 2", "a slow reader stored an old value after the change")


def _slow_anywhere(story: Story) -> None:
    """The change comes before each command of the reader in turn."""
    late: list[str] = []

    def change(command: str) -> None:
        late.append(command)
        story.change("version 2")

    for number in range(1, MOST_COMMANDS + 1):
        story.admin.flushall()
        story.source.value = "version 1"
        story.read(number, change)
        if len(late) < number:
            return  # it does not send so many
        story.expect(
            "version 2",
            f"the change came just before a slow reader's {late[-1]}, command number {number} of "
            "those it sends when it finds nothing; then it was read again",
        )


def _overtaken_twice(story: Story) -> None:
    """The slow one is overtaken by a change and by a quick reader; first from a warm cache."""

    def others() -> None:
        story.change("version 3")
        story.expect("version 3", "it was changed and read while a slow reader had not stored yet")

    story.read()
    story.change("version 2")
    story.source.meanwhile = others
    story.read()
    story.expect("version 3", "a slow reader stored an old value over a new one")
    story.change("version 4")
    story.expect("version 4", "and when it changed again")


def _forgets(story: Story) -> None:
    """Valkey evicts a key: each in turn, when there was a change before."""
    for number in range(MOST_KEYS):
        story.admin.flushall()
        story.source.value = "version 1"
        story.read()
        story.change("version 2")
        story.expect("version 2", "it was changed")
        keys = sorted(cast(list[str], story.admin.keys()), key=len)
        if number >= len(keys):
            return
        # Names may hold something random, but their order by length does not.
        story.admin.delete(keys[number])
        told = f"Valkey had no room for {keys[number]} and evicted it, and it was read again"
        story.expect("version 2", told)
        story.change("version 3")
        story.expect("version 3", f"{told}; then it was changed and read")


class Site(Listener):
    """A site that answers with the headers of an answer, and counts what reaches it."""

    def __init__(self, headers: Callable[[str], object]) -> None:
        self.headers = headers
        self.count = 0
        super().__init__(Page)


class Page(Handler):
    """Says for whom a page is, in which language, and which number it has."""

    def do_GET(self) -> None:
        """Answers."""
        site = cast(Site, self.server)
        site.count += 1
        who = self.headers.get("Authorization", "nobody")
        french = self.headers.get("Accept-Language", "en").startswith("fr")
        text = {"/best": "best", "/greeting": "bonjour" if french else "hello"}
        body = text.get(self.path, f"the bookings of {who}").encode()
        self.reply(body=body, headers=cast(dict[str, str], site.headers(self.path)))


MINUTE = 60

PROXY = """
proxy_cache_path cache keys_zone=pages:1m;
server {
    listen 127.0.0.1:{port};
    location / {
        proxy_pass http://127.0.0.1:SITE;
        proxy_cache pages;
        proxy_cache_valid 200 1m;
    }
}
"""


@contextmanager
def proxied(headers: Callable[[str], object]) -> Iterator[tuple[Nginx, Site]]:
    """A site with an nginx before it."""
    with Site(headers) as site, nginx(PROXY.replace("SITE", str(site.server_port))) as proxy:
        yield proxy, site


GIVEN_4 = """
def headers(path):
    return {"Cache-Control": "max-age=60"}
"""


@judge(
    "caching.4",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a path that returns a dictionary of headers, such as Cache-Control",
    stub=GIVEN_4,
)
def who_may_keep(answer: Callable[[str], object]) -> str:
    """A proxy keeps what is for everyone, and a browser asks again."""
    said = {path: _said(answer, path) for path in ("/best", "/greeting", "/bookings")}
    with (
        proxied(lambda path: said[path]) as (proxy, site),
        httpx.Client(base_url=proxy.url, timeout=limits.SECONDS) as client,
    ):

        def get(path: str, **headers: str) -> str:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            response = client.get(path, headers=named)
            if response.status_code != 200:
                raise NotYet(
                    f"nginx answered {response.status_code} for {path}: it cannot use these headers"
                )
            return response.text

        for name in ("Amina", "Bode"):
            if (got := get("/bookings", Authorization=name)) != f"the bookings of {name}":
                raise NotYet(f"{name} asked for /bookings, and saw {got}")
        before = site.count
        get("/bookings", Authorization="Amina")
        if site.count == before:
            raise NotYet(
                "Amina asked for /bookings again, and the proxy answered from its disk: it must "
                "not keep her page"
            )
        if not _is_private(said["/bookings"]):
            raise NotYet(
                "this nginx does not keep /bookings, but other caches obey Cache-Control, and it "
                "says neither private nor no-store"
            )
        get("/best")
        before = site.count
        get("/best")
        if site.count > before:
            raise NotYet(
                "/best was asked for twice, and both requests reached the site: let the proxy keep "
                "it"
            )
        for name in ("Amina", "Bode"):
            get("/best", Authorization=name, Cookie=f"name={name}", User_Agent=name)
        if site.count > before:
            raise NotYet(
                "two more visitors asked for /best, and it reached the site again: it is the same "
                "for everyone, so one copy is enough. Look at Vary"
            )
        if _browser_keeps(said["/best"]):
            raise NotYet(
                "a browser may show /best without asking: max-age is for all caches, and "
                "s-maxage for shared ones only"
            )
        for language, word in (("fr", "bonjour"), ("en", "hello")):
            if (got := get("/greeting", Accept_Language=language)) != word:
                raise NotYet(f"/greeting was asked for in {language}, and said {got}")
        before = site.count
        get("/greeting", Accept_Language="fr")
        if site.count > before:
            raise NotYet(
                "/greeting was asked for twice in fr, and both requests reached the site: let the "
                "proxy keep one copy for each language"
            )
        for name in ("Amina", "Bode"):
            get("/greeting", Accept_Language="fr", Cookie=f"name={name}", User_Agent=name)
        if site.count > before:
            raise NotYet(
                "two more visitors asked for /greeting in fr, and it reached the site again: one "
                "copy for each language is enough. Look at Vary"
            )
    for path in ("/best", "/greeting"):
        if _is_private(said[path]):
            raise NotYet(
                f"this nginx keeps {path}, but other proxies obey Cache-Control, and it forbids "
                "them to keep the page"
            )
        if (seconds := _proxy_keeps(said[path])) is None:
            raise NotYet(
                f"no header says for how long a proxy may keep {path}. This nginx takes the minute "
                "from its configuration, and another proxy would guess"
            )
        if abs(seconds - MINUTE) > (SLOW if _is_a_date(said[path]) else 0):
            raise NotYet(f"a proxy would keep {path} for {seconds} seconds instead of a minute")
    return (
        "the proxy keeps /best and each language's /greeting for a minute, a browser asks each "
        "time for /best, and no shared cache may keep /bookings"
    )


def _is_private(headers: dict[str, str]) -> bool:
    """Whether no shared cache may keep an answer (RFC 9111, 5.2.2.5 and 5.2.2.7)."""
    return any(_directives(headers).get(name) == "" for name in ("private", "no-store"))


def _said(answer: Callable[[str], object], path: str) -> dict[str, str]:
    """The headers that an answer gives.

    Raises:
        NotYet: if they are none.
    """
    given = within(lambda: answer(path))
    if not isinstance(given, dict):
        raise NotYet(f"for {path} it returned {given!r}, and not a dictionary")
    for name, value in given.items():
        if not isinstance(name, str) or not isinstance(value, str) or not _is_header(name, value):
            raise NotYet(f"for {path} it returned {name!r}: {value!r}, which is no header")
    return given


def _is_header(name: str, value: str) -> bool:
    """Whether a header can be sent: one line of plain characters."""
    text = name + value
    plain = name.replace("-", "").replace("_", "").isalnum()
    return plain and text.isascii() and text.isprintable()


def _browser_keeps(headers: dict[str, str]) -> bool:
    """Whether a browser may use the answer again without asking (RFC 9111, 4.2.1 and 5.2.2)."""
    directives = _directives(headers)
    if "no-cache" in directives or "no-store" in directives:
        return False
    if "max-age" in directives:
        return directives["max-age"] != "0"
    expires = next((v for name, v in headers.items() if name.lower() == "expires"), None)
    if expires is None:
        return True  # it may guess
    try:
        return parsedate_to_datetime(expires).timestamp() > time.time()
    except ValueError:
        return False  # what is no date, such as 0, is over


def _proxy_keeps(headers: dict[str, str]) -> int | None:
    """For how many seconds an answer says that a proxy may keep it; None if it does not say."""
    lower = {name.lower(): value for name, value in headers.items()}
    directives = _directives(headers)
    said = (lower.get("x-accel-expires"), directives.get("s-maxage"), directives.get("max-age"))
    found = next((int(value) for value in said if value and value.isdigit()), None)
    if found is None and "expires" in lower:
        with suppress(ValueError):
            found = round(parsedate_to_datetime(lower["expires"]).timestamp() - time.time())
    return found


SLOW = 15
"""Seconds that may pass between the answer's look at the clock and the judge's."""


def _is_a_date(headers: dict[str, str]) -> bool:
    """Whether only a moment says for how long an answer may be kept."""
    return not any(
        "x-accel-expires" in name.lower() or "max-age" in value or "s-maxage" in value
        for name, value in headers.items()
    )


def _directives(headers: dict[str, str]) -> dict[str, str]:
    """What Cache-Control says."""
    control = next((v for name, v in headers.items() if name.lower() == "cache-control"), "")
    return {
        name.strip().lower(): value.strip().strip('"')
        for name, _, value in (part.partition("=") for part in control.split(","))
    }
