"""The judges of "Challenges with caches and workers": right answers of all kinds, wrong ones."""

import asyncio
import copy
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
from psycopg.pq import PGconn, Ping

import nexus
from nexus.exercises import challenges_async as judges
from nexus.judging.sandbox import Connection
from nexus.services import Postgres, programs
from tests.exercises import tables

pytestmark = pytest.mark.long(120)

Cache = Bookings = Shown = Any

ONE, TWO, THREE, FOUR, FIVE = (f"challenges-async.{number}" for number in range(1, 6))


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[Postgres]:
    with nexus.postgres(fsync="off") as running:  # databases come and go
        yield running


# -- 1


def deployed(
    web: dict[str, Any] | None = None,
    worker: dict[str, Any] | None = None,
    queues: object = ("letters",),
) -> dict[str, Any]:
    """The right answer, but for what is changed."""
    answer: dict[str, Any] = copy.deepcopy(judges.GIVEN_1)
    answer["web"] |= web or {}
    answer["worker"] = {"broker_url": "VALKEY/0", "include": ["letters"]} | (worker or {})
    answer["queues"] = list(queues) if isinstance(queues, tuple) else queues
    return answer


# -- 2

REDIS = "django.core.cache.backends.redis.RedisCache"
LOCAL = "django.core.cache.backends.locmem.LocMemCache"


def in_valkey(valkey: str) -> dict[str, str]:
    return {"BACKEND": REDIS, "LOCATION": valkey}


def in_the_process(valkey: str) -> dict[str, str]:  # noqa: ARG001
    return {"BACKEND": LOCAL}


def in_database_1(valkey: str) -> dict[str, str]:
    return {"BACKEND": REDIS, "LOCATION": valkey.removesuffix("/0") + "/1"}


def nowhere(valkey: str) -> dict[str, str]:  # noqa: ARG001
    return {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}


def in_files(valkey: str) -> dict[str, str]:
    folder = Path(tempfile.gettempdir()) / f"nexus-{valkey.partition('//')[2].replace(':', '-')}"
    return {
        "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
        "LOCATION": str(folder),
    }


def no_settings(valkey: str) -> str:
    return valkey


def keyed(key: Callable[[object, object], str], timeout: int | None = 86_400) -> Callable[..., Any]:
    def price(cache: Cache, place: int, language: str, load: Callable[[], str]) -> str:
        text = cache.get(key(place, language))
        if text is None:
            text = load()
            cache.set(key(place, language), text, timeout)
        return text

    return price


price = keyed(lambda place, language: f"price:{place}:{language}")
without_language = keyed(lambda place, _: f"price:{place}")
without_place = keyed(lambda _, language: f"price:{language}")
for_no_time = keyed(lambda place, language: f"price:{place}:{language}", timeout=0)


def no_cache(cache: Cache, place: int, language: str, load: Callable[[], str]) -> str:  # noqa: ARG001
    return load()


KEPT: dict[tuple[int, str], str] = {}


def in_a_dictionary(cache: Cache, place: int, language: str, load: Callable[[], str]) -> str:
    if (place, language) not in KEPT:
        KEPT[place, language] = price(cache, place, language, load)
    return KEPT[place, language]


def one_entry(cache: Cache, place: int, language: str, load: Callable[[], str]) -> str:
    texts = cache.get(f"price:{place}") or {}
    if language not in texts:
        texts[language] = load()
        cache.set(f"price:{place}", texts, 600)
    return texts[language]


def versioned(cache: Cache, place: int, language: str, load: Callable[[], str]) -> str:
    version = cache.get_or_set(f"version:{place}", 1, None)
    return cache.get_or_set(f"price:{place}:{language}:{version}", load, 600)


def versioned_at_once(cache: Cache, place: int, language: str, load: Callable[[], str]) -> str:
    version = cache.get_or_set("version", 1, None)
    return cache.get_or_set(f"price:{place}:{language}:{version}", load, 600)


def loads_first(cache: Cache, place: int, language: str, load: Callable[[], str]) -> str:
    return cache.get_or_set(f"price:{place}:{language}", load(), 600)


def change(cache: Cache, place: int, save: Callable[[], None]) -> None:
    save()
    cache.delete_many([f"price:{place}:{language}" for language in ("en", "fr")])


def deletes_entry(cache: Cache, place: int, save: Callable[[], None]) -> None:
    save()
    cache.delete(f"price:{place}")


def next_version(cache: Cache, place: int, save: Callable[[], None]) -> None:
    save()
    cache.get_or_set(f"version:{place}", 1, None)
    cache.incr(f"version:{place}")


def saves_only(cache: Cache, place: int, save: Callable[[], None]) -> None:  # noqa: ARG001
    save()


def english_only(cache: Cache, place: int, save: Callable[[], None]) -> None:
    save()
    cache.delete(f"price:{place}:en")


def clears(cache: Cache, place: int, save: Callable[[], None]) -> None:  # noqa: ARG001
    save()
    cache.clear()


def deletes_first(cache: Cache, place: int, save: Callable[[], None]) -> None:
    cache.delete_many([f"price:{place}:{language}" for language in ("en", "fr")])
    save()


def swallows(cache: Cache, place: int, save: Callable[[], None]) -> None:
    with suppress(Exception):
        save()
    cache.delete_many([f"price:{place}:{language}" for language in ("en", "fr")])


def never_saves(cache: Cache, place: int, save: Callable[[], None]) -> None:  # noqa: ARG001
    cache.delete_many([f"price:{place}:{language}" for language in ("en", "fr")])


def by_pattern(cache: Cache, place: int, save: Callable[[], None]) -> None:
    save()
    cache.delete_pattern(f"price:{place}:*")


def next_of_all(cache: Cache, place: int, save: Callable[[], None]) -> None:  # noqa: ARG001
    save()
    cache.get_or_set("version", 1, None)
    cache.incr("version")


def only_place_one(cache: Cache, place: int, save: Callable[[], None]) -> None:  # noqa: ARG001
    save()
    cache.incr("version:0")


# -- 3


async def awaited(bookings: Bookings, number: int) -> dict[str, Any]:
    booking = await bookings.select_related("guest").aget(id=number)
    extras = [extra.name async for extra in booking.extras.order_by("name")]
    return {"guest": booking.guest.name, "extras": extras}


def plainly(bookings: Bookings, number: int) -> dict[str, Any]:
    booking = bookings.get(id=number)
    extras = [extra.name for extra in booking.extras.order_by("name")]
    return {"guest": booking.guest.name, "extras": extras}


async def in_a_thread_of_django(bookings: Bookings, number: int) -> Shown:
    from asgiref.sync import sync_to_async

    return await sync_to_async(plainly)(bookings, number)


async def in_a_thread(bookings: Bookings, number: int) -> Shown:
    return await asyncio.to_thread(plainly, bookings, number)


async def prefetched(bookings: Bookings, number: int) -> dict[str, Any]:
    found = bookings.prefetch_related("guest", "extras")
    booking = await found.aget(id=number)
    return {"guest": booking.guest.name, "extras": sorted(e.name for e in booking.extras.all())}


async def guest_only(bookings: Bookings, number: int) -> dict[str, Any]:
    booking = await bookings.select_related("guest").aget(id=number)
    extras = [extra.name for extra in booking.extras.order_by("name")]
    return {"guest": booking.guest.name, "extras": extras}


async def extras_only(bookings: Bookings, number: int) -> dict[str, Any]:
    booking = await bookings.aget(id=number)
    extras = [extra.name async for extra in booking.extras.order_by("name")]
    return {"guest": booking.guest.name, "extras": extras}


async def awaits_a_queryset(bookings: Bookings, number: int) -> dict[str, Any]:
    booking = await bookings.select_related("guest").aget(id=number)
    extras = [extra.name for extra in await booking.extras.order_by("name")]
    return {"guest": booking.guest.name, "extras": extras}


async def prefetched_and_sorted(bookings: Bookings, number: int) -> dict[str, Any]:
    found = bookings.prefetch_related("guest", "extras")
    booking = await found.aget(id=number)  # order_by makes a query of its own
    return {
        "guest": booking.guest.name,
        "extras": [e.name for e in booking.extras.order_by("name")],
    }


async def a_loop_in_a_loop(bookings: Bookings, number: int) -> Shown:
    return asyncio.run(awaited(bookings, number))


async def still_lazy(bookings: Bookings, number: int) -> dict[str, Any]:
    from asgiref.sync import sync_to_async

    booking = await bookings.select_related("guest").aget(id=number)
    extras = await sync_to_async(booking.extras.order_by)("name")
    return {"guest": booking.guest.name, "extras": [extra.name for extra in extras]}


async def unsafe(bookings: Bookings, number: int) -> dict[str, Any]:
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    return plainly(bookings, number)


async def unsafe_for_a_moment(bookings: Bookings, number: int) -> dict[str, Any]:
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    try:
        return plainly(bookings, number)
    finally:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


async def waits_for_a_pool(bookings: Bookings, number: int) -> Shown:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(plainly, bookings, number).result()


async def joins_a_thread(bookings: Bookings, number: int) -> Shown:
    found: list[Any] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            found.append(plainly(bookings, number))
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return found[0]


async def empty_if_refused(bookings: Bookings, number: int) -> dict[str, Any]:
    try:
        return plainly(bookings, number)
    except Exception:
        return {"guest": "", "extras": []}


async def no_extras_if_refused(bookings: Bookings, number: int) -> dict[str, Any]:
    booking = await bookings.select_related("guest").aget(id=number)
    try:
        extras = [extra.name for extra in booking.extras.order_by("name")]
    except Exception:
        extras = []
    return {"guest": booking.guest.name, "extras": extras}


async def none_if_missing(bookings: Bookings, number: int) -> dict[str, Any] | None:
    booking = await bookings.select_related("guest").filter(id=number).afirst()
    if booking is None:
        return None
    extras = [extra.name async for extra in booking.extras.order_by("name")]
    return {"guest": booking.guest.name, "extras": extras}


async def any_order(bookings: Bookings, number: int) -> dict[str, Any]:
    booking = await bookings.select_related("guest").aget(id=number)
    extras = [extra.name async for extra in booking.extras.order_by("id")]
    return {"guest": booking.guest.name, "extras": extras}


PAGES: dict[int, Any] = {}


async def remembers(bookings: Bookings, number: int) -> Shown:
    if number not in PAGES:
        PAGES[number] = await awaited(bookings, number)
    return PAGES[number]


async def all_for_one(bookings: Bookings, number: int) -> dict[str, Any]:
    pages = {}
    async for booking in bookings.all():
        guest = await bookings.select_related("guest").aget(id=booking.id)
        pages[booking.id] = await awaited(bookings, guest.id)
    return pages[number]


# -- 4

SET = "UPDATE booking SET status = %s WHERE id = %s"
TAKE = "UPDATE booking SET status = 'paying' WHERE id = %s AND status = 'open'"


def status_of(db: Connection, number: int) -> str:
    return db.execute("SELECT status FROM booking WHERE id = %s", [number]).fetchone()[0]


def asked(provider: str, number: int, seconds: float | tuple[float, None] | None = 1.0) -> str:
    return requests.post(provider, json={"booking": number}, timeout=seconds).json()["status"]


def asked_or_unknown(provider: str, number: int) -> str:
    try:
        return asked(provider, number)
    except requests.RequestException:
        return "unknown"


def pays(db: Connection, provider: str, number: int) -> str:
    if db.execute(TAKE, [number]).rowcount == 0:
        return status_of(db, number)
    status = asked_or_unknown(provider, number)
    db.execute(SET, [status, number])
    return status


def pays_in_transactions(db: Connection, provider: str, number: int) -> str:
    with db.transaction():
        db.execute("SELECT FROM booking WHERE id = %s FOR UPDATE", [number])
        if status_of(db, number) != "open":
            raise RuntimeError("somebody pays already")
        db.execute(SET, ["paying", number])
    status = asked_or_unknown(provider, number)
    with db.transaction():
        db.execute(SET, [status, number])
    return status


def unknown_first(db: Connection, provider: str, number: int) -> str:
    take = "UPDATE booking SET status = 'unknown' WHERE id = %s AND status = 'open' RETURNING id"
    if not db.execute(take, [number]).fetchone():
        return status_of(db, number)
    with suppress(requests.RequestException, ValueError):
        db.execute(SET, [asked(provider, number), number])
    return status_of(db, number)


def stub_4(db: Connection, provider: str, number: int) -> str:
    with db.transaction():
        db.execute("SELECT FROM booking WHERE id = %s FOR UPDATE", [number])
        status = asked(provider, number, None)
        db.execute(SET, [status, number])
    return status


def time_out_only(db: Connection, provider: str, number: int) -> str:
    with db.transaction():
        db.execute("SELECT FROM booking WHERE id = %s FOR UPDATE", [number])
        status = asked_or_unknown(provider, number)
        db.execute(SET, [status, number])
    return status


def outside_only(db: Connection, provider: str, number: int) -> str:
    status = asked_or_unknown(provider, number)
    with db.transaction():
        db.execute("SELECT FROM booking WHERE id = %s FOR UPDATE", [number])
        db.execute(SET, [status, number])
    return status


def looks_first(db: Connection, provider: str, number: int) -> str:
    if status_of(db, number) != "open":
        return status_of(db, number)
    status = asked_or_unknown(provider, number)
    db.execute(SET, [status, number])
    return status


IN_THIS_PROCESS = threading.Lock()


def under_a_lock_here(db: Connection, provider: str, number: int) -> str:
    with IN_THIS_PROCESS:
        return looks_first(db, provider, number)


def under_an_advisory_lock(db: Connection, provider: str, number: int) -> str:
    db.execute("SELECT pg_advisory_lock(%s)", [number])
    try:
        return looks_first(db, provider, number)
    finally:
        db.execute("SELECT pg_advisory_unlock(%s)", [number])


def waits_for_a_minute(db: Connection, provider: str, number: int) -> str:
    if db.execute(TAKE, [number]).rowcount == 0:
        return status_of(db, number)
    status = asked(provider, number, 60)
    db.execute(SET, [status, number])
    return status


def connects_in_time_only(db: Connection, provider: str, number: int) -> str:
    if db.execute(TAKE, [number]).rowcount == 0:
        return status_of(db, number)
    status = asked(provider, number, (1, None))
    db.execute(SET, [status, number])
    return status


def marks_only(db: Connection, provider: str, number: int) -> str:
    db.execute(SET, ["paying", number])
    status = asked_or_unknown(provider, number)
    db.execute(SET, [status, number])
    return status


def pays_again(db: Connection, provider: str, number: int) -> str:
    take = "UPDATE booking SET status = 'paying' WHERE id = %s AND status NOT IN "
    if db.execute(f"{take} ('paying', 'unknown')", [number]).rowcount == 0:
        return status_of(db, number)
    status = asked_or_unknown(provider, number)
    db.execute(SET, [status, number])
    return status


def without_a_time_out(db: Connection, provider: str, number: int) -> str:
    if db.execute(TAKE, [number]).rowcount == 0:
        return status_of(db, number)
    status = asked(provider, number, None)
    db.execute(SET, [status, number])
    return status


def is_patient(db: Connection, provider: str, number: int) -> str:
    if db.execute(TAKE, [number]).rowcount == 0:
        return status_of(db, number)
    try:
        status = asked(provider, number, 5.0)
    except requests.RequestException:
        status = "unknown"
    db.execute(SET, [status, number])
    return status


def takes_silence_for_no(db: Connection, provider: str, number: int) -> str:
    if db.execute(TAKE, [number]).rowcount == 0:
        return status_of(db, number)
    try:
        status = asked(provider, number)
    except requests.RequestException:
        status = "declined"
    db.execute(SET, [status, number])
    return status


def opens_again(db: Connection, provider: str, number: int) -> str:
    if db.execute(TAKE, [number]).rowcount == 0:
        return status_of(db, number)
    try:
        status = asked(provider, number)
    except requests.RequestException:
        status = "open"
    db.execute(SET, [status, number])
    return status


def lets_the_error_out(db: Connection, provider: str, number: int) -> str:
    if db.execute(TAKE, [number]).rowcount == 0:
        return status_of(db, number)
    status = asked(provider, number)
    db.execute(SET, [status, number])
    return status


def knows_time_outs_only(db: Connection, provider: str, number: int) -> str:
    if db.execute(TAKE, [number]).rowcount == 0:
        return status_of(db, number)
    try:
        status = asked(provider, number)
    except requests.Timeout:
        status = "unknown"
    db.execute(SET, [status, number])
    return status


def asks_again(db: Connection, provider: str, number: int) -> str:
    if db.execute(TAKE, [number]).rowcount == 0:
        return status_of(db, number)
    status = "unknown"
    for _ in range(3):
        try:
            status = asked(provider, number, 0.5)
            break
        except requests.RequestException:
            continue
    db.execute(SET, [status, number])
    return status


def later(db: Connection, provider: str, number: int) -> str:
    if db.execute(TAKE, [number]).rowcount:
        threading.Thread(target=asked_or_unknown, args=(provider, number), daemon=True).start()
    return "paying"


def left_open(db: Connection, provider: str, number: int) -> str:
    status = pays(db, provider, number)
    db.execute("BEGIN")
    db.execute(SET, [status, number])
    return status


def returns_nothing(db: Connection, provider: str, number: int) -> None:
    pays(db, provider, number)


def never_asks(db: Connection, provider: str, number: int) -> str:  # noqa: ARG001
    db.execute(SET, ["paid", number])
    return "paid"


def everybody(db: Connection, provider: str, number: int) -> str:
    if db.execute("UPDATE booking SET status = 'paying' WHERE status = 'open'").rowcount == 0:
        return status_of(db, number)
    status = asked_or_unknown(provider, number)
    db.execute("UPDATE booking SET status = %s", [status])
    return status


# -- 5


def by_ping(url: str, seconds: float) -> Connection | None:
    deadline = time.monotonic() + seconds
    while PGconn.ping(url.encode()) != Ping.OK and time.monotonic() < deadline:
        time.sleep(0.2)
    return psycopg.connect(url)


PASSING = ("refused", "starting up")


def by_message(url: str, seconds: float) -> Connection | None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return psycopg.connect(url)
        except psycopg.OperationalError as error:
            passing = any(words in str(error) for words in PASSING)
            if not passing or time.monotonic() > deadline:
                raise
        time.sleep(0.5)


def growing_pauses(url: str, seconds: float) -> Connection | None:
    pause, slept = 0.1, 0.0
    while True:
        try:
            return psycopg.connect(url)
        except psycopg.OperationalError as error:
            if "does not exist" in str(error):
                raise
            if slept + pause > seconds:
                raise TimeoutError(f"not ready after {seconds} s") from error
        time.sleep(pause)
        slept, pause = slept + pause, min(2 * pause, 2)


def by_pg_isready(url: str, seconds: float) -> Connection | None:
    deadline = time.monotonic() + seconds
    command = [str(programs.postgres() / "pg_isready"), "--quiet", "--dbname", url]
    while subprocess.run(command).returncode and time.monotonic() < deadline:
        time.sleep(0.5)
    return psycopg.connect(url)


def waits_for_an_event(url: str, seconds: float) -> Connection | None:
    deadline = time.monotonic() + seconds
    while PGconn.ping(url.encode()) != Ping.OK and time.monotonic() < deadline:
        threading.Event().wait(0.2)  # no clock of the judge's makes it shorter
    return psycopg.connect(url)


def stub_5(url: str, seconds: float) -> Connection | None:  # noqa: ARG001
    return psycopg.connect(url)


def libpq_waits(url: str, seconds: float) -> Connection | None:
    return psycopg.connect(url, connect_timeout=int(seconds))


def by_class(url: str, seconds: float) -> Connection | None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return psycopg.connect(url)
        except psycopg.errors.CannotConnectNow:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.5)


def counts_tries(url: str, seconds: float) -> Connection | None:
    for _ in range(int(seconds)):
        try:
            return psycopg.connect(url)
        except psycopg.OperationalError:
            time.sleep(1)
    return psycopg.connect(url)


def sleeps_first(url: str, seconds: float) -> Connection | None:  # noqa: ARG001
    time.sleep(10)
    return psycopg.connect(url)


def sleeps_a_little(url: str, seconds: float) -> Connection | None:  # noqa: ARG001
    time.sleep(3)
    return psycopg.connect(url)


def for_ever(url: str, seconds: float) -> Connection | None:  # noqa: ARG001
    while True:
        try:
            return psycopg.connect(url)
        except psycopg.OperationalError:
            time.sleep(1)


def without_a_pause(url: str, seconds: float) -> Connection | None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return psycopg.connect(url)
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise


def returns_none(url: str, seconds: float) -> Connection | None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            return psycopg.connect(url)
        except psycopg.OperationalError:
            time.sleep(0.5)
    return None


def says_nothing(url: str, seconds: float) -> Connection | None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            return psycopg.connect(url)
        except psycopg.OperationalError as error:
            if "does not exist" in str(error):
                raise
            time.sleep(0.5)
    raise SystemError("the database is not there") from None


def any_port(url: str, seconds: float) -> Connection | None:
    """A port that is open is not a database that is ready."""
    import socket
    from urllib.parse import urlsplit

    place = urlsplit(url)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            socket.create_connection((place.hostname, place.port)).close()
            break
        except OSError:
            time.sleep(0.2)
    return psycopg.connect(url)


def knows_refused_only(url: str, seconds: float) -> Connection | None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return psycopg.connect(url)
        except psycopg.OperationalError as error:
            if "refused" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.5)


def three_times(url: str, seconds: float) -> Connection | None:  # noqa: ARG001
    for _ in range(3):
        try:
            return psycopg.connect(url)
        except psycopg.OperationalError:
            time.sleep(1)
    return psycopg.connect(url)


def whatever_it_is(url: str, seconds: float) -> Connection | None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return psycopg.connect(url)
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.5)


def looks_seldom(url: str, seconds: float) -> Connection | None:
    deadline = time.monotonic() + seconds
    while PGconn.ping(url.encode()) != Ping.OK and time.monotonic() < deadline:
        time.sleep(20)
    return psycopg.connect(url)


def closed(url: str, seconds: float) -> Connection | None:
    connection = by_ping(url, seconds)
    connection.close()
    return connection


RIGHT = [
    (ONE, deployed()),
    (ONE, deployed(worker={"include": [], "imports": ["letters"]})),
    (ONE, deployed(worker={"task_default_queue": "letters"}, queues=[])),
    (ONE, deployed(web={"task_routes": {"letters.confirm": "post"}}, queues=["post"])),
    (TWO, (in_valkey, price, change)),
    (TWO, (in_database_1, price, change)),
    (TWO, (in_valkey, one_entry, deletes_entry)),
    (TWO, (in_valkey, versioned, next_version)),
    (THREE, awaited),
    (THREE, in_a_thread_of_django),
    (THREE, in_a_thread),
    (THREE, prefetched),
    (FOUR, pays),
    (FOUR, pays_in_transactions),
    (FOUR, unknown_first),
    (FIVE, by_ping),
    (FIVE, by_message),
    (FIVE, growing_pauses),
    (FIVE, by_pg_isready),
    (FIVE, waits_for_an_event),
]

NOT_YET = [
    (ONE, None, "give the dictionary of the chapter"),
    (ONE, 7, "this is of type int"),
    (ONE, judges.GIVEN_1, "the worker asks database 1"),
    (ONE, {"web": {}}, "the keys of the dictionary"),
    (ONE, deployed(queues="letters"), "a list of names"),
    (ONE, deployed(worker={"include": []}, queues=["celery"]), "took the report"),
    (ONE, deployed(worker={"broker_url": "VALKEY/1"}), "the worker asks database 1"),
    (ONE, deployed(worker={"include": []}), "Received unregistered task"),
    (ONE, deployed(queues=["celery", "letters"]), "took the report"),
    (ONE, deployed(web={"task_routes": {}}, queues=["celery"]), "the letters are in queue celery"),
    (ONE, deployed(web={"task_default_queue": "letters", "task_routes": {}}), "the report must"),
    (ONE, deployed(web={"broker_url": "VALKEY/1"}, worker={"broker_url": "VALKEY/1"}),
     "the report must go on to queue celery of database 0"),
    (ONE, deployed(worker={"include": ["letter"]}), "No module named 'letter'"),
    (ONE, deployed(web={"task_always_eager": True}), "has sent the letters itself"),
    (ONE, deployed(worker={"broker_url": "redis://127.0.0.1:9/0"}), "Cannot connect"),
    (ONE, deployed(queues=[]), "took the report"),
    (ONE, deployed(queues=["mail"]), "they wait in queue letters, and the worker reads mail"),
    (ONE, deployed(queues=["letters.*"]), "the worker reads letters.*"),
    (ONE, deployed(worker={"include": ["letters.confirm"]}), "No module named 'letters.confirm'"),
    (ONE, deployed(worker={"include": ["deployed"]}), "has not imported the module letters"),
    (TWO, None, "give (caches, price, change)"),
    (TWO, (in_valkey, price), "give three functions"),
    (TWO, (no_settings, price, change), "a dictionary with a BACKEND"),
    (TWO, (in_the_process, without_language, saves_only), "to a guest who reads fr"),
    (TWO, (in_the_process, price, change), "each has its own cache"),
    (TWO, (in_valkey, without_language, deletes_entry), "to a guest who reads fr"),
    (TWO, (in_valkey, without_place, clears), "with the texts of place 1"),
    (TWO, (in_valkey, price, saves_only), "after worker A has changed the price"),
    (TWO, (in_valkey, price, english_only), "to a guest who reads fr; the database has 12000"),
    (TWO, (in_valkey, price, clears), "thrown away"),
    (TWO, (in_valkey, price, deletes_first), "just before it was saved"),
    (TWO, (in_valkey, price, swallows), "told that all is well"),
    (TWO, (in_valkey, price, never_saves), "after worker A has changed the price"),
    (TWO, (in_valkey, price, only_place_one), "raised ValueError"),
    (TWO, (in_valkey, no_cache, change), "nothing is kept"),
    (TWO, (nowhere, price, change), "nothing is kept"),
    (TWO, (in_valkey, for_no_time, change), "nothing is kept"),
    (TWO, (in_files, price, change), "nothing of it is in Valkey"),
    (TWO, (in_valkey, in_a_dictionary, change), "after worker A has changed the price"),
    (TWO, (in_valkey, price, by_pattern), "no attribute 'delete_pattern'"),
    (TWO, (in_valkey, loads_first, change), "nothing is kept"),
    (TWO, (in_valkey, versioned_at_once, next_of_all), "thrown away"),
    (THREE, None, "give an async function"),
    (THREE, plainly, "cannot call this from an async context"),
    (THREE, guest_only, "cannot call this from an async context"),
    (THREE, extras_only, "cannot call this from an async context"),
    (THREE, still_lazy, "cannot call this from an async context"),
    (THREE, unsafe, "DJANGO_ALLOW_ASYNC_UNSAFE"),
    (THREE, unsafe_for_a_moment, "the event loop stood still"),
    (THREE, waits_for_a_pool, "the event loop stood still"),
    (THREE, joins_a_thread, "the event loop stood still"),
    (THREE, empty_if_refused, "it returned {'guest': '', 'extras': []}"),
    (THREE, no_extras_if_refused, "'extras': []}; expected"),
    (THREE, none_if_missing, "a booking that does not exist"),
    (THREE, any_order, "expected is"),
    (THREE, remembers, "'guest': 'Amina'"),
    (THREE, all_for_one, "statements for one page"),
    (THREE, awaits_a_queryset, "can't be used in 'await' expression"),
    (THREE, prefetched_and_sorted, "cannot call this from an async context"),
    (THREE, a_loop_in_a_loop, "cannot be called from a running event loop"),
    (FOUR, None, "give a function"),
    (FOUR, stub_4, "'idle in transaction'"),
    (FOUR, time_out_only, "'idle in transaction'"),
    (FOUR, outside_only, "2 requests for one booking"),
    (FOUR, looks_first, "2 requests for one booking"),
    (FOUR, under_a_lock_here, "2 requests for one booking"),
    (FOUR, under_an_advisory_lock, "holds a lock (advisory)"),
    (FOUR, waits_for_a_minute, "the worker still waited"),
    (FOUR, without_a_time_out, "the worker still waited"),
    (FOUR, is_patient, "still waited for it after more than three seconds"),
    (FOUR, takes_silence_for_no, "'declined' in the database, not 'unknown'"),
    (FOUR, opens_again, "'open' in the database, not 'unknown'"),
    (FOUR, lets_the_error_out, "raised ReadTimeout"),
    (FOUR, knows_time_outs_only, "raised ConnectionError"),
    (FOUR, asks_again, "requests for one booking"),
    (FOUR, later, "'paying' in the database, not 'paid'"),
    (FOUR, left_open, "its transaction is still open"),
    (FOUR, returns_nothing, "pay returned None"),
    (FOUR, never_asks, "for one booking the provider got 0 requests"),
    (FOUR, everybody, "and the booking is 'paid' in the database, not 'declined'"),
    (FOUR, connects_in_time_only, "the worker still waited"),
    (FOUR, marks_only, "2 requests for one booking"),
    (FOUR, pays_again, "and the provider was asked again"),
    (FIVE, None, "give a function"),
    (FIVE, stub_5, "after 1 second, and it raised: Connection refused"),
    (FIVE, sleeps_first, "ready at once, and it connected after 10"),
    (FIVE, sleeps_a_little, "after 6 seconds, and it raised"),
    (FIVE, for_ever, "slept for 60 seconds, and did not give up"),
    (FIVE, without_a_pause, "make a pause"),
    (FIVE, returns_none, "returned as if all were well"),
    (FIVE, says_nothing, "does not hold the last message"),
    (FIVE, any_port, "after 1 second, and it raised: FATAL: the database system is starting up"),
    (FIVE, knows_refused_only, "after 1 second, and it raised: FATAL"),
    (FIVE, three_times, "after 6 seconds, and it raised"),
    (FIVE, whatever_it_is, "no waiting cures that"),
    (FIVE, looks_seldom, "after 1 second, and it connected after 20"),
    (FIVE, libpq_waits, "after 1 second, and it raised: Connection refused"),
    (FIVE, by_class, "after 1 second, and it raised: Connection refused"),
    (FIVE, counts_tries, "no waiting cures that"),
    (FIVE, closed, "the connection does not work"),
]  # fmt: skip


test_right, test_not_yet = tables.tests(RIGHT, NOT_YET, often=4)
