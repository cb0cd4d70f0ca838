"""Judges of "Challenges with caches and workers": five broken things, each tried for real.

A worker on a Valkey of its own, a cache between two processes, a page in an event loop, a payment
whose provider says nothing, and a database that comes later.
"""

import asyncio
import json
import mmap
import os
import re
import socket
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psycopg
import redis

from nexus.judging import NotYet, judge, limits
from nexus.judging.clock import Clock
from nexus.judging.limits import within
from nexus.judging.programs import last_line, program
from nexus.judging.querying import own_django
from nexus.judging.sandbox import (
    Connection,
    Sandbox,
    another,
    database,
    django_settings,
    own_valkey,
)
from nexus.judging.verdict import first_line
from nexus.judging.workers import OtherProcessError, Worker, worker
from nexus.services import Postgres, ServiceError, Valkey
from nexus.services.listener import Handler, Listener
from nexus.services.process import wait_for
from nexus.services.web import Web

# -- 1. A worker that does nothing

LETTER, REPORT = "letters.confirm", "reports.yearly"

DEPLOYED = """
import json, os
from celery import Celery

app = Celery("deployed")
app.conf.update(json.loads(os.environ["SETTINGS"]))
"""
LETTERS = """
import os
import redis
from deployed import app

@app.task
def confirm(guest):
    notes = redis.Redis.from_url(os.environ["NOTES"])
    notes.rpush("sent", os.environ["ROLE"] + " " + guest)
"""
REPORTS = """
from deployed import app

@app.task
def yearly(year): ...
"""
WEB = """
import letters, reports

letters.confirm.delay("Amina")
reports.yearly.delay(2026)
letters.confirm.delay("Bode")
"""

QUIET = ("--without-mingle", "--without-gossip", "--without-heartbeat", "--loglevel=INFO")


class _CeleryWorker(Web):
    """A worker that has less time to get ready than a server of a chapter."""

    patience = 30.0


GIVEN_1 = {
    "web": {"broker_url": "VALKEY/0", "task_routes": {"letters.*": {"queue": "letters"}}},
    "worker": {"broker_url": "VALKEY/1", "include": []},
    "queues": ["celery"],
}


@judge(
    "challenges-async.1",
    takes=dict,
    called="a dictionary with the keys web, worker and queues",
    hint="give the dictionary of the chapter, with other values: web and worker are settings of "
    "Celery, queues is a list of names",
    stub=GIVEN_1,
)
def deployment(answer: Mapping[str, Any]) -> str:
    """A worker sends the letters of the web process, and leaves the reports where they are."""
    web, mine, queues = _parts(answer)
    with tempfile.TemporaryDirectory() as name, own_valkey(tcp=True) as server:
        folder = Path(name)
        files = {"deployed": DEPLOYED, "letters": LETTERS, "reports": REPORTS, "web": WEB}
        for module, text in files.items():
            (folder / f"{module}.py").write_text(text)
        address = server.url.removesuffix("/0")
        notes = redis.Redis.from_url(f"{address}/9", decode_responses=True)

        def environment(role: str, settings: Mapping[str, Any]) -> dict[str, str]:
            text = json.dumps(settings).replace("VALKEY", address)
            return {"SETTINGS": text, "ROLE": role, "NOTES": f"{address}/9"}

        done = program(
            [sys.executable, "web.py"], folder, environment("web", web) | {"PYTHONPATH": name}
        )
        if done.returncode:
            raise NotYet(f"the web process ended with {last_line(done.stderr)}")
        place = _of_the_letters(server, cast(list[str], notes.lrange("sent", 0, -1)))
        command = [sys.executable, "-m", "celery", "--app", "deployed", "worker", "--pool=solo"]
        command += [*QUIET, *([f"--queues={','.join(queues)}"] if queues else [])]
        try:
            running = _CeleryWorker(
                command,
                ready=re.compile(r" ready\.|Cannot connect to"),
                env=environment("worker", mine),
                cwd=folder,
            )
        except ServiceError as error:
            lines = [line for line in str(error).splitlines() if "Error" in line] or [str(error)]
            raise NotYet(f"the worker did not start: {last_line(lines[-1])}") from None
        with running:
            _wait_for_letters(server, notes, running)
            _weigh(server, notes, running, place, queues)
    return "both letters were sent, by the worker, and the report still waits for the other worker"


def _parts(answer: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    if set(answer) != {"web", "worker", "queues"}:
        raise NotYet("the keys of the dictionary are web, worker and queues")
    web, mine, queues = answer["web"], answer["worker"], answer["queues"]
    if not isinstance(web, dict) or not isinstance(mine, dict):
        raise NotYet("web and worker are dictionaries of Celery's settings")
    if not isinstance(queues, list) or not all(isinstance(name, str) for name in queues):
        raise NotYet("queues is a list of names")
    try:
        json.dumps(answer)
    except (TypeError, ValueError):
        raise NotYet("a setting here is a text, a number, a list or a dictionary") from None
    return web, mine, queues


def _lists(server: Valkey, text: str) -> dict[tuple[int, str], int]:
    """How many messages with a text wait, by database and queue."""
    found = {}
    for number in range(9):
        url = f"{server.url.removesuffix('/0')}/{number}"
        with redis.Redis.from_url(url, decode_responses=True) as client:
            for key in cast(list[str], client.keys()):
                if client.type(key) == "list":
                    messages = cast(list[str], client.lrange(key, 0, -1))
                    if count := sum(f'"{text}"' in message for message in messages):
                        found[number, key.partition("\x06")[0]] = count
    return found


def _of_the_letters(server: Valkey, sent: list[str]) -> tuple[int, str]:
    """In which database and queue the web process has put the letters."""
    if sent:
        raise NotYet(
            "the web process has sent the letters itself, while its guest waited: a worker must"
        )
    letters, reports = _lists(server, LETTER), _lists(server, REPORT)
    if (0, "celery") not in reports:
        raise NotYet(
            "the report must go on to queue celery of database 0, where the other worker reads it; "
            f"it is in {_places(reports)}"
        )
    if sum(letters.values()) != 2:
        raise NotYet(f"of two letters, {sum(letters.values())} are in a queue of this Valkey")
    (place,) = letters
    if place == (0, "celery"):
        raise NotYet(
            "the letters are in queue celery, which the other worker reads: it does not know "
            "letters.confirm, and discards them"
        )
    return place


def _places(lists: Mapping[tuple[int, str], int]) -> str:
    return ", ".join(f"queue {q} of database {d}" for d, q in sorted(lists)) or "no queue"


def _waiting_in(server: Valkey) -> list[int]:
    """The databases in which a worker waits for a message: its queues have none for it."""
    with server.connect() as client:
        return [
            int(one["db"])
            for one in client.client_list()
            if one["cmd"] == "brpop" and "b" in one["flags"]
        ]


def _wait_for_letters(server: Valkey, notes: redis.Redis, running: Web) -> None:
    """Waits until both letters are sent, or the worker will send none any more."""
    resting = 0

    def at_rest() -> bool:
        nonlocal resting
        if cast(int, notes.llen("sent")) >= 2 or not running.running:
            return True
        if "Cannot connect to" in running.log:
            return True
        resting = resting + 1 if _waiting_in(server) else 0
        return resting > 20  # twenty looks in a row

    with suppress(TimeoutError):
        wait_for(at_rest, limits.SECONDS, "the letters")


def _weigh(
    server: Valkey, notes: redis.Redis, running: Web, place: tuple[int, str], queues: list[str]
) -> None:
    """Raises NotYet unless the worker has sent the letters, and nothing else was done."""
    number, queue = place
    log = running.log
    if not running.running:
        raise NotYet(f"the worker ended: {last_line(log)}")
    if "Cannot connect to" in log:
        raise NotYet("the worker says: Cannot connect to its broker_url, where nobody answers")
    if f"Received unregistered task of type '{LETTER}'" in log:
        raise NotYet(
            f"Received unregistered task of type '{LETTER}': the letter came to the worker, which "
            "has not imported the module letters, and the letter is discarded"
        )
    if (0, "celery") not in _lists(server, REPORT):
        raise NotYet(
            "your worker took the report from queue celery, did not know reports.yearly, and "
            "discarded it: that queue belongs to the other worker"
        )
    sent = cast(list[str], notes.lrange("sent", 0, -1))
    if sorted(sent) == ["worker Amina", "worker Bode"]:
        return
    if sent:
        raise NotYet(f"of two letters, these were sent: {', '.join(sent)}")
    databases = _waiting_in(server)
    if databases and number not in databases:
        raise NotYet(
            f"no letter is sent: two wait in queue {queue} of database {number}, and no worker "
            f"asks there, for the worker asks database {databases[0]}"
        )
    raise NotYet(
        f"no letter is sent: they wait in queue {queue}, and the worker reads "
        f"{', '.join(queues) or 'its default queue'}"
    )


# -- 2. A cache that shows yesterday

LANGUAGES = ("en", "fr")

GIVEN_2 = """
def caches(valkey):
    return {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}


def price(cache, place, language, load):
    text = cache.get(f"price:{place}")
    if text is None:
        text = load()
        cache.set(f"price:{place}", text, timeout=86_400)
    return text


def change(cache, place, save):
    save()
"""

Three = tuple[Callable[[str], Any], Callable[..., Any], Callable[..., Any]]


class DatabaseRefusesError(Exception):
    """What `save` raises when the database takes no change."""


@judge(
    "challenges-async.2",
    takes=tuple,
    called="a tuple of the three functions caches, price and change",
    hint="give (caches, price, change): the settings of a cache, a function that reads through it, "
    "and one that changes a price",
    stub=GIVEN_2,
)
def fresh(answer: Three) -> str:
    """Two processes show each reader the price that was saved last, and keep it meanwhile."""
    if len(answer) != 3 or not all(map(callable, answer)):
        raise NotYet("give three functions: (caches, price, change)")
    with database("challenges_async_prices", _prices) as box, own_valkey(tcp=True) as server:
        shop = partial(_in_shop, answer, box, server.url, {})
        with worker(shop) as a, worker(shop) as b:
            _try_shop(Shop(a, b), server)
    return (
        "both workers show the newest price in each language, a price is loaded once for both, "
        "and a change leaves the rest of the cache alone"
    )


def _prices(connection: Connection) -> None:
    connection.execute("""
        CREATE TABLE place (id int PRIMARY KEY, cents int NOT NULL);
        INSERT INTO place VALUES (1, 9000), (2, 5000);
    """)


def _in_shop(
    answer: Three,
    box: Sandbox,
    url: str,
    state: dict[str, Any],
    do: str,
    *arguments: Any,  # noqa: ANN401
) -> object:
    """What a worker of the site does, in a process of its own."""
    caches, price, change = answer
    if not state:
        import django.core.cache
        from django.core.cache import CacheHandler

        own_django({})
        info = box.learner.info
        state["db"] = box.server.connect(dbname=info.dbname, user=info.user, autocommit=True)
        settings = caches(url)
        if not isinstance(settings, dict) or "BACKEND" not in settings:
            raise NotYet("caches returns a dictionary with a BACKEND, as in Django's CACHES")
        state["cache"] = CacheHandler({"default": settings})["default"]
        django.core.cache.caches = CacheHandler({"default": settings})
    cache, db = state["cache"], state["db"]
    if do == "set":
        return cache.set(*arguments)
    if do == "get":
        return cache.get(*arguments)
    loads: list[str] = []

    def load(place: int, language: str) -> str:
        loads.append(language)
        row = db.execute("SELECT cents FROM place WHERE id = %s", [place]).fetchone()
        return f"{language} {place}: {row[0]}"

    if do == "price":
        place, language = arguments
        return price(cache, place, language, partial(load, place, language)), len(loads)
    place, cents = arguments
    saved = []

    def save() -> None:
        if cents < 0:
            raise DatabaseRefusesError("the database does not take this price")
        if do == "change while others read":  # who comes now loads the old price
            for language in LANGUAGES:
                price(cache, place, language, partial(load, place, language))
        db.execute("UPDATE place SET cents = %s WHERE id = %s", [cents, place])
        saved.append(cents)

    change(cache, place, save)
    return len(saved)


class Shop:
    """The two workers of the site, as the judge talks to them."""

    def __init__(self, a: Worker, b: Worker) -> None:
        self.workers = {"A": a, "B": b}

    def do(self, where: str, *what: object) -> Any:  # noqa: ANN401
        """Lets a worker do something."""
        return self.workers[where].said("it", *what)

    def price(self, where: str, place: int, language: str) -> tuple[object, int]:
        """What a worker shows, and how often it has loaded that from the database."""
        return cast(tuple[object, int], self.do(where, "price", place, language))

    def expect(self, place: int, cents: int, when: str) -> None:
        """Raises NotYet unless both workers show a price in both languages."""
        for language in LANGUAGES:
            for where in self.workers:
                shown, _ = self.price(where, place, language)
                if shown != f"{language} {place}: {cents}":
                    raise NotYet(
                        f"{when}, worker {where} shows {shown!r} to a guest who reads {language}; "
                        f"the database has {cents}"
                    )


def _try_shop(shop: Shop, server: Valkey) -> None:
    """Lets guests and hosts come to both workers."""
    shown, loads = shop.price("A", 1, "en")
    if (shown, loads) != ("en 1: 9000", 1):
        raise NotYet(f"the first guest sees {shown!r}, after {loads} calls of load()")
    for language in ("fr", "en"):
        shown, _ = shop.price("A", 1, language)
        if shown != f"{language} 1: 9000":
            raise NotYet(
                f"worker A shows {shown!r} to a guest who reads {language}: of what does a text "
                "depend?"
            )
    if shop.price("A", 1, "en")[1]:
        raise NotYet("the same worker loads the same text again: nothing is kept")
    if shop.price("B", 1, "en")[1]:
        raise NotYet(
            "worker B loads again what worker A has kept a moment ago: each has its own cache"
        )
    with server.connect() as client:
        if not client.info("keyspace"):  # in any of its databases
            raise NotYet("nothing of it is in Valkey: workers on another machine would not find it")
    shop.expect(2, 5_000, "with the texts of place 1 in the cache")
    shop.do("B", "set", "session:amina", "logged in", 600)
    shop.do("A", "change", 1, 12_000)
    shop.expect(1, 12_000, "after worker A has changed the price")
    if shop.price("A", 2, "en")[1] or shop.do("A", "get", "session:amina") != "logged in":
        raise NotYet(
            "the change of one price has thrown away what the cache had for others, such as the "
            "session of a guest"
        )
    shop.do("B", "change", 1, 13_000)
    shop.expect(1, 13_000, "after worker B has changed it again")
    shop.do("A", "change while others read", 1, 14_000)
    shop.expect(1, 14_000, "a guest read the old price just before it was saved. Afterwards")
    shop.workers["A"].ask("change", 1, -1)
    try:
        shop.workers["A"].answer("it")
    except OtherProcessError as error:
        if error.kind[0] != DatabaseRefusesError.__name__:
            raise NotYet(f"it raised {error.kind[0]}: {error}") from None
    else:
        raise NotYet("save() raised an error, and the host was told that all is well")
    shop.expect(1, 14_000, "after a change that was refused")


# -- 3. SynchronousOnlyOperation

GIVEN_3 = """
async def page(bookings, number):
    booking = await bookings.aget(id=number)
    extras = [extra.name for extra in booking.extras.order_by("name")]
    return {"guest": booking.guest.name, "extras": extras}
"""

Page = Callable[[Any, int], Awaitable[Any]]

TURNS = 5
"""How many turns of the event loop show that others go on."""

STATEMENTS = 4


@cache
def _inn() -> SimpleNamespace:
    """The models; they belong to no application."""
    from django.apps.registry import Apps
    from django.db import models
    from django.db.migrations.state import AppConfigStub

    registry = Apps([AppConfigStub("challenge")])

    class Common:
        app_label = "challenge"
        apps = registry

    class Guest(models.Model):
        id = models.IntegerField(primary_key=True)
        name = models.TextField()

        class Meta(Common):
            db_table = "guest"

    class Booking(models.Model):
        id = models.IntegerField(primary_key=True)
        guest = models.ForeignKey(Guest, models.PROTECT)

        class Meta(Common):
            db_table = "booking"

    class Extra(models.Model):
        id = models.IntegerField(primary_key=True)
        booking = models.ForeignKey(Booking, models.PROTECT, related_name="extras")
        name = models.TextField()

        class Meta(Common):
            db_table = "extra"

    return SimpleNamespace(Booking=Booking, Guest=Guest, Extra=Extra)


def _bookings(connection: Connection) -> None:
    connection.execute("""
        CREATE TABLE guest (id int PRIMARY KEY, name text NOT NULL);
        CREATE TABLE booking (id int PRIMARY KEY, guest_id int NOT NULL REFERENCES guest);
        CREATE TABLE extra (
            id int PRIMARY KEY, booking_id int NOT NULL REFERENCES booking, name text NOT NULL);
        INSERT INTO guest VALUES (1, 'Amina'), (2, 'Bode');
        INSERT INTO booking VALUES (1, 1), (2, 2), (3, 2);
        INSERT INTO extra VALUES (1, 1, 'sauna'), (2, 1, 'breakfast'), (3, 2, 'bicycle');
    """)


@judge(
    "challenges-async.3",
    takes=Callable,  # type: ignore[arg-type]
    called="an async function",
    hint="give an async function of a manager of bookings and a number",
    stub=GIVEN_3,
)
def in_a_loop(answer: Page) -> str:
    """The page comes out of an event loop, which goes on while the database lets wait."""
    with (
        database("challenges_async_bookings", _bookings) as box,
        worker(partial(_in_loop, answer, django_settings(box.learner), {})) as process,
    ):
        expect = partial(_expect_page, process)
        expect(1, {"guest": "Amina", "extras": ["breakfast", "sauna"]})
        expect(2, {"guest": "Bode", "extras": ["bicycle"]})
        expect(3, {"guest": "Bode", "extras": []})
        process.ask("page", 4)
        try:
            process.answer("it")
        except OtherProcessError as error:
            if error.kind[0] != "DoesNotExist":
                raise NotYet(
                    f"for a booking that does not exist it raised {error.kind[0]}, and "
                    "before it raised DoesNotExist"
                ) from None
        else:
            raise NotYet("for a booking that does not exist it returned something")
        box.admin.execute("UPDATE guest SET name = 'Chidi' WHERE id = 1")
        expect(1, {"guest": "Chidi", "extras": ["breakfast", "sauna"]})
        process.said("it", "two at once", 1)
        process.said("it", "while locked", 1)
    return "guest and extras are right, and the event loop serves others while the database works"


def _expect_page(process: Worker, number: int, expected: object) -> None:
    shown, statements = cast(tuple[object, int], process.said("it", "page", number))
    if shown != expected:
        raise NotYet(f"for booking {number} it returned {shown!r}; expected is {expected!r}")
    if statements > STATEMENTS:
        raise NotYet(f"it sent {statements} statements for one page")


def _in_loop(
    answer: Page, settings: Mapping[str, object], state: dict[str, str], do: str, number: int
) -> tuple[object, int]:
    """Shows a page in an event loop, in a process of its own.

    Raises:
        NotYet: if the loop did not go on.
    """
    from asgiref.sync import SyncToAsync

    if not state:
        # The threads of what was forked are not here.
        SyncToAsync.single_thread_executor = ThreadPoolExecutor(max_workers=1)
        own_django(settings)
        state["django"] = "set up"
    os.environ.pop("DJANGO_ALLOW_ASYNC_UNSAFE", None)
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append((True, asyncio.run(_visit(answer, settings, do, number))))
        except BaseException as error:
            outcome.append((False, error))

    thread = threading.Thread(target=run, daemon=True)  # a thread that has no loop yet
    thread.start()
    thread.join()
    fine, value = outcome[0]
    if "DJANGO_ALLOW_ASYNC_UNSAFE" in os.environ:
        raise NotYet(
            "it switched Django's check off with DJANGO_ALLOW_ASYNC_UNSAFE: then each query stops "
            "the event loop, and with it all other guests"
        )
    if not fine:
        raise value
    return cast(tuple[object, int], value)


async def _visit(
    answer: Page, settings: Mapping[str, Any], do: str, number: int
) -> tuple[object, int]:
    """One visit, or two at once, or one while the table is locked."""
    from asgiref.sync import sync_to_async
    from django.db import connection

    manager = _inn().Booking.objects
    sent: list[str] = []

    def note(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:  # noqa: ANN401
        sent.append(sql)
        return execute(sql, *rest)

    def begin() -> None:
        connection.execute_wrappers[:] = [note]

    await sync_to_async(begin)()
    begun = answer(manager, number)
    if not isinstance(begun, Awaitable):
        raise NotYet("nothing can be awaited: write `async def`")
    if do == "two at once":
        one, two = await asyncio.gather(begun, answer(manager, number + 1))
        if (one["guest"], two["guest"]) != ("Chidi", "Bode"):
            raise NotYet("two visits at once got in each other's way")
        return None, 0
    if do == "while locked":
        return await _while_locked(begun, settings), 0
    return await begun, len(sent)


async def _while_locked(visit: Awaitable[Any], settings: Mapping[str, Any]) -> object:
    """Awaits a visit while the table is locked, until the loop has taken some turns.

    Raises:
        NotYet: if the loop took none.
    """
    # Its owner's session: the answer's role owns the tables.
    address = {
        "dbname": settings["NAME"],
        "user": settings["USER"],
        "password": settings["PASSWORD"] or None,
        "host": settings["HOST"],
        "port": settings["PORT"],
    }
    lock = psycopg.connect(**address)
    lock.execute("LOCK TABLE booking IN ACCESS EXCLUSIVE MODE")
    turned, unlocked = threading.Event(), threading.Lock()

    def let_go() -> None:
        with unlocked:
            if not lock.closed:
                lock.close()

    def give_up() -> None:
        if not turned.wait(LOOP_STANDS):
            let_go()

    threading.Thread(target=give_up, daemon=True).start()
    task = asyncio.ensure_future(visit)
    turns = 0
    try:
        while turns < TURNS and not task.done():
            await asyncio.sleep(0.02)
            if lock.closed:
                break
            blocked = lock.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                "AND datname = current_database()"
            ).fetchone()
            turns += blocked != (0,)
    finally:
        turned.set()
        let_go()
    await task
    if turns < TURNS:
        raise NotYet(
            "while the database let it wait, the event loop stood still: no other guest was "
            "served. Await the query"
        )
    return None


LOOP_STANDS = 2.0
"""Seconds without a turn after which an event loop stands still."""


# -- 4. A third party that hangs

GIVEN_4 = """
import requests


def pay(connection, provider, number):
    with connection.transaction():
        connection.execute("SELECT FROM booking WHERE id = %s FOR UPDATE", [number])
        status = requests.post(provider, json={"booking": number}).json()["status"]
        connection.execute("UPDATE booking SET status = %s WHERE id = %s", [status, number])
    return status
"""

Pay = Callable[[Connection, str, int], object]

PATIENCE = 4.9
"""Seconds in which `pay` comes back; three are asked for, and the machine may be busy. It is less
than a time-out of five."""


class Provider:
    """A payment provider that answers, hangs up, or says nothing at all.

    Attributes:
        mode: the status that it answers with; or "hangs up", or "silent".
        asked: the requests that came.
    """

    def __init__(self) -> None:
        self.mode = "paid"
        self.asked: list[object] = []
        self.over = threading.Event()
        provider = self

        class Charges(Handler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                provider.asked.append(body)
                mode = provider.mode
                if mode == "silent":
                    provider.over.wait()
                if mode in {"silent", "hangs up"}:
                    self.close_connection = True
                    return
                self.reply(200, json.dumps({"status": mode}).encode(), kind="application/json")

        self._listener = Listener(Charges)
        self.url = f"{self._listener.url}/charges"

    def __enter__(self) -> "Provider":
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._listener.close()


@judge(
    "challenges-async.4",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a connection, the provider's address and a booking's number",
    stub=GIVEN_4,
)
def bounded(answer: Pay) -> str:
    """It asks the provider once, for a short time, and holds nothing meanwhile."""
    with database("challenges_async_payments", _payments) as box:
        there = partial(_pay_there, answer, box)
        with worker(there) as one, worker(there) as other, Provider() as provider:
            for number, status in ((1, "paid"), (2, "declined")):
                provider.mode = status
                _expect_status(box, one, provider, number, status, f"the provider says {status}")
                _expect_asked(provider, 1, "for one booking")
            provider.mode = "silent"
            _while_silent(box, one, other, provider)
            provider.mode = "hangs up"
            when = "the provider hung up without an answer"
            _expect_status(box, one, provider, 4, "unknown", when)
            _expect_asked(provider, 1, when)
            _pays_no_second_time(one, provider, 1)
    return (
        "one request for each booking, nothing is locked while the provider thinks, and a silent "
        "provider costs a few seconds and leaves the status unknown"
    )


def _payments(connection: Connection) -> None:
    connection.execute("""
        CREATE TABLE booking (id int PRIMARY KEY, status text NOT NULL DEFAULT 'open'
            CHECK (status IN ('open', 'paying', 'paid', 'declined', 'unknown')));
        INSERT INTO booking (id) SELECT generate_series(1, 5);
    """)


def _pay_there(answer: Pay, box: Sandbox, url: str, number: int) -> object:
    """Pays on a connection of its own, in another process.

    Raises:
        NotYet: if a transaction is left open.
    """
    with another(box) as connection:
        value = answer(connection, url, number)
        if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            raise NotYet("when it has returned, its transaction is still open")
        return value if isinstance(value, str | None) else repr(value)


def _status(box: Sandbox, number: int) -> object:
    row = box.admin.execute("SELECT status FROM booking WHERE id = %s", [number]).fetchone()
    return row[0] if row else "gone"


def _expect_status(
    box: Sandbox, one: Worker, provider: Provider, number: int, status: str, when: str
) -> None:
    """Pays for a booking, and raises NotYet unless that comes to a status."""
    provider.asked.clear()
    value = one.said("it", provider.url, number)
    _weigh_status(box, number, value, status, when)


def _weigh_status(box: Sandbox, number: int, value: object, status: str, when: str) -> None:
    stored = _status(box, number)
    if stored != status:
        raise NotYet(f"{when}, and the booking is {stored!r} in the database, not {status!r}")
    if value != status:
        raise NotYet(f"{when}, and pay returned {value!r}: it returns the booking's status")


def _expect_asked(provider: Provider, times: int, when: str) -> None:
    if len(provider.asked) != times:
        raise NotYet(f"{when} the provider got {len(provider.asked)} requests")


def _pays_no_second_time(one: Worker, provider: Provider, number: int) -> None:
    """Pays again for a booking that is paid."""
    provider.mode = "paid"
    provider.asked.clear()
    one.ask(provider.url, number)
    with suppress(OtherProcessError):  # it may refuse
        one.answer("a call for a booking that is paid")
    if provider.asked:
        raise NotYet("the booking was paid, pay was called again, and the provider was asked again")


def _while_silent(box: Sandbox, one: Worker, other: Worker, provider: Provider) -> None:
    """Lets two pay for the same booking while the provider says nothing."""
    provider.asked.clear()
    begun = time.monotonic()
    one.ask(provider.url, 3)
    with suppress(TimeoutError):
        wait_for(lambda: provider.asked or one.is_done(), limits.SECONDS, "the request")
    if not provider.asked:
        one.heard("it")
        raise NotYet("it came back without asking the provider")
    if not one.is_done():
        _holds_nothing(box)
    other.ask(provider.url, 3)
    until = begun + min(PATIENCE, limits.SECONDS)
    with suppress(TimeoutError):
        wait_for(lambda: one.is_done() and other.is_done(), until - time.monotonic(), "both")
    if len(provider.asked) > 1:
        raise NotYet(
            f"the provider got {len(provider.asked)} requests for one booking, which may be "
            "charged each time: let one call take the booking, and send one request"
        )
    if not one.is_done():
        raise NotYet(
            "the provider said nothing, and the worker still waited for it after more than three "
            "seconds"
        )
    value = one.heard("the provider said nothing, and pay")
    with suppress(OtherProcessError):  # it may refuse
        other.answer("the second of two calls")
    _weigh_status(box, 3, value, "unknown", "the provider said nothing")
    other.ask(provider.url, 3)
    with suppress(OtherProcessError):
        other.answer("a call for a booking whose status is unknown")
    _expect_asked(provider, 1, "the status was unknown, pay was called again, and then")


def _holds_nothing(box: Sandbox) -> None:
    """Raises NotYet if a session of the answer's has a transaction or a lock."""
    who = [box.learner.info.user, box.learner.info.backend_pid]
    open_ones = box.admin.execute(
        "SELECT state FROM pg_stat_activity WHERE usename = %s AND pid <> %s AND state <> 'idle'",
        who,
    ).fetchall()
    if open_ones:
        raise NotYet(
            f"while it waits for the provider, its session is {open_ones[0][0]!r} and keeps its "
            "locks: commit first"
        )
    locks = box.admin.execute(
        "SELECT locktype FROM pg_locks JOIN pg_stat_activity USING (pid) "
        "WHERE usename = %s AND pid <> %s",
        who,
    ).fetchall()
    if locks:
        raise NotYet(f"while it waits for the provider, its session holds a lock ({locks[0][0]})")


# -- 5. A database that is not ready

GIVEN_5 = """
import psycopg


def connect(url, seconds):
    return psycopg.connect(url)
"""

Connect = Callable[[str, float], Any]

LONGEST = 60
"""Seconds that an answer may sleep in all."""

BUSY = 300
"""The most questions while it starts up."""

SHARE = 1 / 2
"""The most of that time that may go to questions: a busy machine asks seldom without a pause."""

TRIES = 10
"""How many questions show how long one takes on this machine, now."""

NEVER = 1e9

STARTING_UP = "the database system is starting up"


SHARED = struct.Struct("dq")
"""What the gate and its judge both see: the seconds slept, and the questions that came early."""


class _GateClock(Clock):
    """The answer's time; the gate, in its own process, goes by it."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = mmap.mmap(-1, SHARED.size)
        self.begun = time.monotonic()
        self.later: Callable[[], None] = lambda: None

    def sleep(self, seconds: float) -> None:
        """Notes a pause instead of making it."""
        super().sleep(seconds)
        struct.pack_into("d", self.shared, 0, self.slept)
        self.later()
        if self.slept > LONGEST:
            raise limits.Enough(f"it had slept for {LONGEST} seconds, and did not give up")

    @property
    def passed(self) -> float:
        """Seconds since the beginning, slept ones included; the same in both processes."""
        slept: float = SHARED.unpack_from(self.shared)[0]
        return time.monotonic() - self.begun + slept


class Gate:
    """An address where first nobody listens, then PostgreSQL starts up, and then it is there.

    It has its own process, because libpq may keep the interpreter while it waits for an answer.

    Attributes:
        port: where.
    """

    def __init__(self, server: Postgres, clock: _GateClock, ready: float, refuses: float) -> None:
        self._server, self._clock, self._ready, self._refuses = server, clock, ready, refuses
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))  # and does not listen: it refuses
        self.port = self._listener.getsockname()[1]
        self._lock = threading.Lock()

    @property
    def asked(self) -> int:
        """How many connections came while it was starting up."""
        return cast(int, SHARED.unpack_from(self._clock.shared)[1])

    @contextmanager
    def open(self) -> Iterator[None]:
        """Lets it serve, until the block is left."""
        try:
            self._listen_in_time()
            self._clock.later = self._listen_in_time  # the other process may be late
            # Closed before the process is killed: who came then would wait for nobody, for ever.
            with worker(self._serve) as process, limits.when_late(self._listener.close):
                process.ask()
                try:
                    yield
                finally:
                    self._listener.close()
        finally:
            self._listener.close()

    def _listen_in_time(self) -> None:
        """Lets no more connections be refused, if the time has come."""
        if self._clock.passed >= self._refuses:
            self._listener.listen(64)

    def _serve(self) -> None:
        """What the other process does, until it is killed."""
        while self._clock.passed < self._refuses:
            time.sleep(0.002)
        self._listener.listen(64)
        while True:
            client, _ = self._listener.accept()
            threading.Thread(target=self._meet, args=(client,), daemon=True).start()

    def _meet(self, client: socket.socket) -> None:
        with suppress(OSError):
            if self._clock.passed >= self._ready:
                self._pass_on(client)
                return
            with self._lock:
                _, asked = SHARED.unpack_from(self._clock.shared)
                struct.pack_into("q", self._clock.shared, 8, asked + 1)
            while True:
                length = int.from_bytes(_exactly(client, 4), "big")
                body = _exactly(client, length - 4)
                if body[:4] in {b"\x04\xd2\x16\x2f", b"\x04\xd2\x16\x30"}:  # asks for encryption
                    client.sendall(b"N")
                    continue
                break
            fields = f"SFATAL\0VFATAL\0C57P03\0M{STARTING_UP}\0\0".encode()
            client.sendall(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)
            client.close()

    def _pass_on(self, client: socket.socket) -> None:
        info = self._server
        if info.tcp:
            behind = socket.create_connection(("127.0.0.1", info.port))
        else:
            behind = socket.socket(socket.AF_UNIX)
            behind.connect(f"{info.directory}/.s.PGSQL.{info.port}")
        threading.Thread(target=_pour, args=(behind, client), daemon=True).start()
        _pour(client, behind)


def _exactly(source: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        more = source.recv(length - len(data))
        if not more:
            raise OSError("it hung up")
        data += more
    return data


def _pour(source: socket.socket, target: socket.socket) -> None:
    """Passes on all that comes."""
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for one in (source, target):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


@judge(
    "challenges-async.5",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a database's address and of seconds: it returns a connection",
    stub=GIVEN_5,
)
def patient(answer: Connect) -> str:
    """It connects soon after the database is ready, and gives up in time with the last message."""
    with database("challenges_async_late", lambda _: None) as box:
        for ready, when in (
            (0.0, "the database was ready at once"),
            (1.0, "the database was ready after 1 second"),
            (6.0, "the database was ready after 6 seconds"),
        ):
            _comes(answer, box, ready, when)
        _never_comes(answer, box)
        _does_not_exist(answer, box)
    return (
        "it connects soon after the database is ready, gives up at the deadline with the last "
        "message, and does not wait for what no waiting cures"
    )


@contextmanager
def _late_database(
    box: Sandbox, ready: float, *, refuses: float = 0, name: str = ""
) -> Iterator[tuple[str, Gate, _GateClock]]:
    """The address of a database that is ready later."""
    clock = _GateClock()
    info = box.learner.info
    gate = Gate(box.server, clock, ready, refuses)
    with gate.open():
        yield (
            f"postgresql://{info.user}@127.0.0.1:{gate.port}/{name or info.dbname}"
            "?sslmode=disable&gssencmode=disable",
            gate,
            clock,
        )


def _comes(answer: Connect, box: Sandbox, ready: float, when: str) -> None:
    with _late_database(box, ready, refuses=ready / 2) as (url, gate, clock):
        try:
            connection = cast(Any, within(lambda: answer(url, 30), clock))
        except psycopg.OperationalError as error:
            raise NotYet(f"{when}, and it raised: {_message(error)}") from None
        took = clock.passed
        if not isinstance(connection, psycopg.Connection):
            raise NotYet(f"{when}, and it returned {type(connection).__name__}, no connection")
        with ExitStack() as until_seen:
            until_seen.callback(connection.close)
            try:
                within(lambda: connection.execute("SELECT 1").fetchone())
            except psycopg.Error as error:
                raise NotYet(
                    f"{when}, and the connection does not work: {first_line(error)}"
                ) from None
        if took > ready + 4:
            raise NotYet(
                f"{when}, and it connected after {took:.0f}: ask again and again, with short pauses"
            )
        _not_too_often(gate)


def _not_too_often(gate: Gate) -> None:
    if gate.asked > BUSY:
        raise NotYet(
            f"it asked more than {BUSY} times while the database was starting, which slows the "
            "start: make a pause after each time"
        )


def _has_paused(gate: Gate, clock: _GateClock, url: str, seconds: float) -> None:
    """Raises NotYet if it did little else than ask, while the database was starting.

    Args:
        gate: where the database is still starting.
        clock: the answer's time.
        url: the address.
        seconds: how long the answer met it starting.
    """
    if clock.slept > seconds / 10:
        return
    asked = gate.asked  # it may have waited in another way than by time.sleep
    begun = time.monotonic()
    for _ in range(TRIES):
        with suppress(psycopg.OperationalError):
            psycopg.connect(url).close()
    one = (time.monotonic() - begun) / TRIES
    if asked * one > SHARE * seconds:
        raise NotYet(
            f"it asked {asked} times in {seconds:.0f} seconds while the database was starting, and "
            "did nothing else, which slows the start: make a pause after each time"
        )


def _message(error: BaseException) -> str:
    """What an error says, without the number of a port."""
    said = re.sub(r"\s+", " ", str(error))
    return re.sub(r"^.*failed: ", "", said).partition(" Is the server")[0]


def _never_comes(answer: Connect, box: Sandbox) -> None:
    when, refuses = "the database was never ready, 5 seconds were given", 0.5
    with _late_database(box, NEVER, refuses=refuses) as (url, gate, clock):
        try:
            within(lambda: answer(url, 5), clock)
        except NotYet:
            raise
        except Exception as error:
            chain, one = "", cast(BaseException | None, error)
            while one is not None:
                chain += str(one)
                one = one.__cause__ or one.__context__
            if STARTING_UP not in chain:
                raise NotYet(
                    f"{when}, and the error does not hold the last message of the server, so that "
                    f"nobody knows why: {type(error).__name__}: {first_line(error)}"
                ) from None
        else:
            raise NotYet(f"{when}, and it returned as if all were well")
        if not clock.passed < 9:
            raise NotYet(f"{when}, and it gave up after {clock.passed:.0f}")
        if clock.passed < 3:
            raise NotYet(f"{when}, and it gave up after {clock.passed:.1f}")
        passed = clock.passed
        _not_too_often(gate)
        _has_paused(gate, clock, url, passed - refuses)


def _does_not_exist(answer: Connect, box: Sandbox) -> None:
    when = "the name of the database is wrong"
    with _late_database(box, 0, name="no_such_database") as (url, _, clock):
        try:
            within(lambda: answer(url, 5), clock)
        except NotYet:
            raise
        except Exception as error:
            if clock.passed > 2.5:
                raise NotYet(
                    f"{when}, and it tried for {clock.passed:.0f} seconds: no waiting cures that"
                ) from None
            if "does not exist" not in str(error):
                raise NotYet(
                    f"{when}, and the error does not say so: {first_line(error)}"
                ) from None
        else:
            raise NotYet(f"{when}, and it returned as if all were well")
