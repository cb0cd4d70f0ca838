"""Each judge of rest-with-drf: the stub, right answers of several kinds, wrong ones."""

# ruff: noqa: ANN401 (clients pass on whatever options they are given)

import contextlib
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, cast

import httpx
import psycopg
import pytest

import nexus
from nexus.exercises import rest_with_drf
from nexus.judging import judge_answer
from nexus.judging.sandbox import Connection
from nexus.services import Postgres, current
from tests.exercises import tables
from tests.leftovers import no_threads_beyond, threads

EXERCISES = [f"rest-with-drf.{number}" for number in range(1, 4)]
ONE, TWO, THREE = EXERCISES
SAFE = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"}
Work = Callable[[Connection], str]


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with nexus.postgres(fsync="off"):  # databases come and go
        yield


def loop(client: httpx.Client, method: str, url: str, **options: Any) -> httpx.Response:
    key = "Idempotency-Key" in options.get("headers", {})
    for left in reversed(range(4)):
        try:
            answer = client.request(method, url, **options)
        except httpx.TransportError:
            if not left or not (method in SAFE or key):
                raise
            time.sleep(1)
            continue
        pause = asked(answer)
        if answer.status_code not in (429, 503) or not left or pause > 60:
            return answer
        time.sleep(pause)
    raise AssertionError


def asked(answer: httpx.Response, unknown: float = 1.0) -> float:
    """The seconds that a server asks for."""
    said = answer.headers.get("Retry-After", "")
    if said.isdecimal():
        return float(said)
    try:
        moment = parsedate_to_datetime(said)
    except ValueError:
        return unknown
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def recursive(
    client: httpx.Client, method: str, url: str, left: int = 3, **options: Any
) -> httpx.Response:
    request = client.build_request(method, url, **options)
    try:
        answer = client.send(request)
        answer.raise_for_status()
    except httpx.TransportError:
        if left and (method not in ("POST", "PATCH") or "idempotency-key" in request.headers):
            time.sleep(random.uniform(0, 2 ** (3 - left)))
            return recursive(client, method, url, left - 1, **options)
        raise
    except httpx.HTTPStatusError as error:
        if left and error.response.status_code in (429, 503) and asked(error.response) <= 60:
            time.sleep(asked(error.response))
            return recursive(client, method, url, left - 1, **options)
        return error.response
    return answer


def by_an_event(client: httpx.Client, method: str, url: str, **options: Any) -> httpx.Response:
    """It gives up at once without a word, and waits by what is not time.sleep, if only briefly."""
    keyed = "Idempotency-Key" in options.get("headers", {})
    for left in reversed(range(3)):
        try:
            answer = client.request(method, url, **options)
        except httpx.TransportError:
            if not left or not (method in SAFE or keyed):
                raise
            threading.Event().wait(0.05)
            continue
        pause = asked(answer, unknown=3600.0)
        if answer.status_code not in (429, 503) or not left or pause > 60:
            return answer
        until = time.monotonic() + pause
        while time.monotonic() < until:
            time.sleep(0.5)
    raise AssertionError


def once_only(client: httpx.Client, method: str, url: str, **options: Any) -> httpx.Response:
    return client.request(method, url, **options)


def everything(client: httpx.Client, method: str, url: str, **options: Any) -> httpx.Response:
    for _ in range(3):
        with contextlib.suppress(httpx.TransportError):
            return client.request(method, url, **options)
        time.sleep(1)
    return client.request(method, url, **options)


def without_keys(client: httpx.Client, method: str, url: str, **options: Any) -> httpx.Response:
    if method not in SAFE:
        return client.request(method, url, **options)
    return loop(client, method, url, **options)


def another_key(client: httpx.Client, method: str, url: str, **options: Any) -> httpx.Response:
    if "headers" not in options:
        return loop(client, method, url, **options)
    with contextlib.suppress(httpx.TransportError):
        return client.request(method, url, **options)
    return client.request(method, url, **options | {"headers": {"Idempotency-Key": "other"}})


def any_failure(client: httpx.Client, method: str, url: str, **options: Any) -> httpx.Response:
    for _ in range(3):
        answer = loop(client, method, url, **options)
        if answer.is_success:
            break
    return answer


def at_once(client: httpx.Client, method: str, url: str, **options: Any) -> httpx.Response:
    for _ in range(3):
        try:
            answer = client.request(method, url, **options)
        except httpx.TransportError:
            if method not in SAFE and "headers" not in options:
                raise
            time.sleep(1)
            continue
        if answer.status_code not in (429, 503):
            return answer
    return client.request(method, url, **options)


def for_ever(client: httpx.Client, method: str, url: str, **options: Any) -> httpx.Response:
    while True:
        try:
            return loop(client, method, url, **options)
        except httpx.TransportError:
            if method not in SAFE and "headers" not in options:
                raise


def swallowed(client: httpx.Client, method: str, url: str, **options: Any) -> httpx.Response:
    try:
        return loop(client, method, url, **options)
    except httpx.TransportError:
        return httpx.Response(500)


def leaves(*_: object, **__: object) -> None:
    sys.exit(3)


def raises(*_: object, **__: object) -> None:
    raise RuntimeError("I do not want to")


def sleeps(*_: object, **__: object) -> None:
    time.sleep(60)


def up_to(refuses: Callable[[float], bool]) -> Callable[..., httpx.Response]:
    """As the loop, with another limit of the pause."""

    def send(client: httpx.Client, method: str, url: str, **options: Any) -> httpx.Response:
        keyed = "Idempotency-Key" in options.get("headers", {})
        for left in reversed(range(4)):
            try:
                answer = client.request(method, url, **options)
            except httpx.TransportError:
                if not left or not (method in SAFE or keyed):
                    raise
                time.sleep(1)
                continue
            pause = asked(answer)
            if answer.status_code not in (429, 503) or not left or refuses(pause):
                return answer
            time.sleep(pause)
        raise AssertionError

    send.__name__ = "up to another limit"
    return send


def of_any_sign(client: httpx.Client, method: str, url: str, **options: Any) -> httpx.Response:
    """Takes a number of seconds as it comes."""
    for left in reversed(range(4)):
        try:
            answer = client.request(method, url, **options)
        except httpx.TransportError:
            if not left or not (method in SAFE or "Idempotency-Key" in options.get("headers", {})):
                raise
            time.sleep(1)
            continue
        said = answer.headers.get("Retry-After", "")
        pause = float(said) if said.lstrip("-").isdecimal() else asked(answer)
        if answer.status_code not in (429, 503) or not left or pause > 60:
            return answer
        time.sleep(pause)
    raise AssertionError


def a_key_for_each(client: httpx.Client, method: str, url: str, **options: Any) -> httpx.Response:
    """A key of the client's own promises nothing if the server does not know keys."""
    headers = {"Idempotency-Key": str(random.random())} | options.pop("headers", {})
    return loop(client, method, url, headers=headers, **options)


def built_once(client: httpx.Client, method: str, url: str, **options: Any) -> httpx.Response:
    """Another form: the request is built once, and sent again."""
    request = client.build_request(method, url, **options)
    keyed = "Idempotency-Key" in request.headers
    for left in reversed(range(4)):
        try:
            answer = client.send(request)
        except httpx.TransportError:
            if not left or not (method in SAFE or keyed):
                raise
            time.sleep(1)
            continue
        if answer.status_code not in (429, 503) or not left or asked(answer) > 60:
            return answer
        time.sleep(asked(answer))
    raise AssertionError


def tries(lost: Any = httpx.TransportError, *, fault: str = "") -> Callable[..., httpx.Response]:
    """As the loop, with other errors that mean "lost", or with one fault."""

    def send(client: httpx.Client, method: str, url: str, **options: Any) -> httpx.Response:
        keyed = "Idempotency-Key" in options.get("headers", {})
        caught = lost
        for left in reversed(range(4)):
            try:
                answer = client.request(method, url, **options)
            except caught as error:
                timed_out = fault == "a time-out of any method" and isinstance(
                    error, httpx.TimeoutException
                )
                if not (method in SAFE or keyed or timed_out):
                    raise
                if not left and fault == "a made-up 504":
                    return httpx.Response(504)
                if not left:
                    raise
                time.sleep(1)
                continue
            if answer.status_code not in (429, 503) or asked(answer) > 60:
                return answer
            if not left:
                return answer.raise_for_status() if fault == "an error for a 503" else answer
            time.sleep(asked(answer))
            if fault == "careless after a pause":
                caught = ()
        raise AssertionError

    send.__name__ = f"tries: {fault or 'few errors'}"
    return send


PAGE = "SELECT id, rating, title FROM place WHERE {} ORDER BY rating DESC, id DESC LIMIT 10"
ROWS = PAGE.format("(rating, id) < (%(rating)s, %(id)s)")
BOUND = PAGE.format(
    "rating <= %(rating)s AND (rating < %(rating)s OR (rating = %(rating)s AND id < %(id)s))"
)
UNION = """
SELECT * FROM (
    (SELECT id, rating FROM place WHERE rating = %(rating)s AND id < %(id)s
     ORDER BY id DESC LIMIT 10)
    UNION ALL
    (SELECT id, rating FROM place WHERE rating < %(rating)s
     ORDER BY rating DESC, id DESC LIMIT 10)
) AS both_parts ORDER BY rating DESC, id DESC LIMIT 10;
"""
SPELT_OUT = PAGE.format("rating < %(rating)s OR (rating = %(rating)s AND id < %(id)s)")

NUMBERED = """
SELECT id, rating, title
FROM (SELECT *, row_number() OVER (ORDER BY rating DESC, id DESC) AS number FROM place) AS numbered
WHERE number > (SELECT count(*) FROM place WHERE (rating, id) >= (%(rating)s, %(id)s))
ORDER BY number LIMIT 10
"""

KEPT = "SELECT body, result FROM answer WHERE key = %s"
KEEP = "INSERT INTO answer (key, body, result) VALUES (%s, %s, %s)"


def by_lock(connection: Connection, key: str, body: str, work: Work) -> str:
    with connection.transaction():
        connection.execute("LOCK TABLE answer IN EXCLUSIVE MODE")
        return looked(connection, key, body, work)


def looked(connection: Connection, key: str, body: str, work: Work) -> str:
    kept = connection.execute(KEPT, [key]).fetchone()
    if kept and kept[0] != body:
        raise ValueError(key)
    if kept:
        return str(kept[1])
    result = work(connection)
    connection.execute(KEEP, [key, body, result])
    return result


def by_place_holder(connection: Connection, key: str, body: str, work: Work) -> str:
    with connection.transaction():
        mine = connection.execute(KEEP + " ON CONFLICT DO NOTHING", [key, body, ""]).rowcount
        if not mine:
            row = connection.execute(KEPT, [key]).fetchone()
            if not row or row[0] != body:
                raise ValueError(key)
            return str(row[1])
        result = work(connection)
        connection.execute("UPDATE answer SET result = %s WHERE key = %s", [result, key])
    return result


def by_refusal(connection: Connection, key: str, body: str, work: Work) -> str:
    lock = "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))"
    with connection.transaction():
        if connection.execute(lock, [key]).fetchone() != (True,):
            raise BlockingIOError("it is running")
        return looked(connection, key, body, work)


def by_constraint(connection: Connection, key: str, body: str, work: Work) -> str:
    with connection.transaction():
        return looked(connection, key, body, work)  # the second one breaks the primary key


def never_kept(connection: Connection, _key: str, _body: str, work: Work) -> str:
    with connection.transaction():
        return work(connection)


def two_steps(connection: Connection, key: str, body: str, work: Work) -> str:
    return looked(connection, key, body, work)


def whatever_body(connection: Connection, key: str, _body: str, work: Work) -> str:
    return by_lock(connection, key, "any", work)


def key_first(connection: Connection, key: str, body: str, work: Work) -> str:
    kept = connection.execute(KEPT, [key]).fetchone()
    if kept and kept[0] != body:
        raise ValueError(key)
    if kept:
        return str(kept[1])
    connection.execute(KEEP, [key, body, ""])
    with connection.transaction():
        result = work(connection)
        connection.execute("UPDATE answer SET result = %s WHERE key = %s", [result, key])
    return result


def in_memory() -> Callable[[Connection, str, str, Work], str]:
    kept: dict[str, str] = {}

    def remember(connection: Connection, key: str, body: str, work: Work) -> str:
        with connection.transaction():
            mine = f"{connection.info.backend_pid} {key}"
            return kept[mine] if mine in kept else kept.setdefault(mine, work(connection) + body)

    return remember


def not_told(connection: Connection, key: str, body: str, work: Work) -> str | None:
    try:
        return by_lock(connection, key, body, work)
    except RuntimeError:
        return None


def keeps_twice(connection: Connection, key: str, body: str, work: Work) -> str:
    with connection.transaction():
        kept = connection.execute(KEPT, [key]).fetchone()
        if kept and kept[0] != body:
            raise ValueError(key)
        if kept:
            return str(kept[1])
        result = work(connection)
        connection.execute(KEEP + " ON CONFLICT DO NOTHING", [key, body, result])
    return result


def sleeps_on_a_lock(connection: Connection, key: str, body: str, work: Work) -> str:
    connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [key])  # and no unlock
    return by_constraint(connection, key, body, work)


def for_ever_in_a_race(connection: Connection, key: str, body: str, work: Work) -> str:
    while key == "k3":
        with contextlib.suppress(Exception):
            connection.execute("SELECT 1")
    return by_constraint(connection, key, body, work)


def committed_first(connection: Connection, key: str, body: str, work: Work) -> str:
    """The key is committed with its body, and stays when the work fails."""
    connection.execute(KEEP + " ON CONFLICT DO NOTHING", [key, body, ""])
    with connection.transaction():
        kept = connection.execute(KEPT + " FOR UPDATE", [key]).fetchone()
        assert kept
        if kept[0] != body:
            raise ValueError(key)
        if kept[1]:
            return str(kept[1])
        result = work(connection)
        connection.execute("UPDATE answer SET result = %s WHERE key = %s", [result, key])
    return result


def empty_is_none(connection: Connection, key: str, body: str, work: Work) -> str:
    with connection.transaction():
        connection.execute("LOCK TABLE answer IN EXCLUSIVE MODE")
        kept = connection.execute(KEPT, [key]).fetchone()
        if kept and kept[0] != body:
            raise ValueError(key)
        if kept and kept[1]:
            return str(kept[1])
        connection.execute("DELETE FROM answer WHERE key = %s", [key])
        return looked(connection, key, body, work)


def another_error(connection: Connection, key: str, body: str, work: Work) -> str:
    def renamed(connection: Connection) -> str:
        try:
            return work(connection)
        except Exception as error:
            raise RuntimeError("it could not be done") from error

    return by_lock(connection, key, body, renamed)


def whatever_was_first(connection: Connection, key: str, body: str, work: Work) -> str:
    """Who comes second takes the first one's result, whatever body it was for."""
    try:
        return by_constraint(connection, key, body, work)
    except psycopg.errors.UniqueViolation:
        row = connection.execute(KEPT, [key]).fetchone()
        assert row
        return str(row[1])


def looks_again(connection: Connection, key: str, body: str, work: Work) -> str:
    """Another form: who comes second looks once more, also at the body."""
    try:
        return by_constraint(connection, key, body, work)
    except psycopg.errors.UniqueViolation:
        return looks_again(connection, key, body, work)


def by_upsert(connection: Connection, key: str, body: str, work: Work) -> str:
    """Another form: the row is there, or is locked, after one statement."""
    upsert = (
        KEEP + " ON CONFLICT (key) DO UPDATE SET key = excluded.key RETURNING body, result, xmax"
    )
    with connection.transaction():
        row = connection.execute(upsert, [key, body, ""]).fetchone()
        assert row
        if row[0] != body:
            raise ValueError(key)
        if str(row[2]) != "0":
            return str(row[1])
        result = work(connection)
        connection.execute("UPDATE answer SET result = %s WHERE key = %s", [result, key])
    return result


def by_begin(*, after_a_mistake: str, after_a_hit: str) -> Callable[..., str]:
    """BEGIN and COMMIT by hand; and what comes after the shorter ways."""

    def once(connection: Connection, key: str, body: str, work: Work) -> str:
        connection.execute("BEGIN")
        kept = connection.execute(KEPT, [key]).fetchone()
        if kept and kept[0] != body:
            connection.execute(after_a_mistake)
            raise ValueError(key)
        if kept:
            connection.execute(after_a_hit)
            return str(kept[1])
        try:
            result = work(connection)
            connection.execute(KEEP, [key, body, result])
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
        return result

    return once


def unlocks_if_all_is_well(connection: Connection, key: str, body: str, work: Work) -> str:
    connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [key])
    result = by_constraint(connection, key, body, work)
    connection.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [key])
    return result


def key_and_body_together(connection: Connection, key: str, body: str, work: Work) -> str:
    return by_lock(connection, f"{key} {body}", body, work)


def left_open(connection: Connection, key: str, body: str, work: Work) -> str:
    connection.execute("ROLLBACK")
    connection.execute("BEGIN")
    try:
        result = looked(connection, key, body, work)
    except Exception:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    connection.execute("BEGIN")
    return result


def backing_off(client: httpx.Client, method: str, url: str, **options: Any) -> httpx.Response:
    """1, 2, 4, 8 seconds over five tries: as patient as a client should be."""
    keyed = "Idempotency-Key" in options.get("headers", {})
    for attempt in range(5):
        try:
            answer = client.request(method, url, **options)
        except httpx.TransportError:
            if attempt == 4 or not (method in SAFE or keyed):
                raise
            time.sleep(2**attempt)
            continue
        if answer.status_code not in (429, 503) or asked(answer) > 60:
            return answer
        time.sleep(max(2**attempt, asked(answer)))
    return answer


def _like_loop(method: str, answer: httpx.Response, fault: str) -> float | None:
    """How long the loop would sleep before another try; None for none. With one fault."""
    status, said = answer.status_code, answer.headers.get("Retry-After", "")
    if status in (500, 502, 504):
        return 0 if fault == "again after 500" or method != "POST" else None
    if status not in (429, 503) or (fault == "no POST after 429" and method == "POST"):
        return None
    match fault:
        case "a second whatever it says":
            return 1
        case "seconds only":
            return float(said)
        case "whole seconds only, else one":
            return float(said) if said.isdecimal() else 1
        case "a header that is missing":
            return float(answer.headers["Retry-After"])
        case "into the past" if said.endswith("GMT"):
            moment = parsedate_to_datetime(said)
            pause = (moment - datetime.now(UTC)).total_seconds()
            return None if pause > 60 else pause
        case "as long as it says":
            return asked(answer)
        case "a minute at most":
            return min(60, asked(answer))
    return None if asked(answer) > 60 else asked(answer)


def faulty(fault: str) -> Callable[..., httpx.Response]:
    def send(client: httpx.Client, method: str, url: str, **options: Any) -> httpx.Response:
        keyed = "Idempotency-Key" in options.get("headers", {})
        safe = {"GET", "PUT", "DELETE"} if fault == "no HEAD" else SAFE
        refusals = 0
        for left in reversed(range(4)):
            try:
                answer = client.request(method, url, **options)
            except httpx.TransportError:
                if not left or not (method in safe or keyed):
                    raise
                time.sleep(0 if fault == "no pause" else 1)
                continue
            refusals += 1
            wait = _like_loop(method, answer, fault)
            if wait is None or not left or (fault == "two tries" and refusals == 2):
                return answer
            time.sleep(wait)
        raise AssertionError

    send.__name__ = "faulty: " + fault
    return send


def a_lock_of_this_process() -> Callable[[Connection, str, str, Work], str]:
    """Right in one process: the table is never touched."""
    kept: dict[str, tuple[str, str]] = {}
    lock = threading.Lock()

    def remember(connection: Connection, key: str, body: str, work: Work) -> str:
        with lock:
            if key in kept:
                if kept[key][0] != body:
                    raise ValueError(key)
                return kept[key][1]
            with connection.transaction():
                result = work(connection)
            kept[key] = (body, result)
            return result

    return remember


def a_lock_and_the_table() -> Callable[[Connection, str, str, Work], str]:
    """What is kept is seen by all, and the lock by this process only."""
    lock = threading.Lock()

    def remember(connection: Connection, key: str, body: str, work: Work) -> str:
        with lock, connection.transaction():
            kept = connection.execute(KEPT, [key]).fetchone()
            if kept and kept[0] != body:
                raise ValueError(key)
            if kept:
                return str(kept[1])
            result = work(connection)
            again = " ON CONFLICT (key) DO UPDATE SET result = excluded.result"
            connection.execute(KEEP + again, [key, body, result])
            return result

    return remember


RIGHT: list[tuple[str, Any]] = [
    (ONE, loop),
    (ONE, recursive),
    (ONE, backing_off),
    (ONE, by_an_event),
    (ONE, faulty("none")),
    (TWO, ROWS),
    (TWO, BOUND),
    (TWO, UNION),
    (THREE, by_lock),
    (THREE, by_place_holder),
    (THREE, by_refusal),
    (THREE, by_constraint),
    (THREE, looks_again),
    (THREE, by_upsert),
    (THREE, by_begin(after_a_mistake="ROLLBACK", after_a_hit="COMMIT")),
    (ONE, built_once),
    (TWO, PAGE.format("(rating, id) <= (%(rating)s, %(id)s) AND id <> %(id)s")),
    (TWO, PAGE.format("NOT (rating, id) >= (%(rating)s, %(id)s)")),
    (TWO, ROWS.replace("LIMIT 10", "FETCH FIRST 10 ROWS WITH TIES")),
]

NOT_YET: list[tuple[str, Any, str]] = [
    (ONE, once_only, "An idempotent request may be sent again"),
    (ONE, everything, "and it was sent 2 times"),
    (ONE, without_keys, "may be sent again, and it was not"),
    (ONE, another_key, "the same key and the same body"),
    (ONE, any_failure, "404 came, which is an answer"),
    (ONE, at_once, "came sooner"),
    (ONE, faulty("again after 500"), "a POST without a key got 500"),
    (ONE, faulty("no HEAD"), "the answer to a HEAD was lost"),
    (ONE, faulty("no POST after 429"), "a POST got 503 with Retry-After: 1"),
    (ONE, faulty("a second whatever it says"), "asks for 7 seconds"),
    (ONE, faulty("a header that is missing"), "raised ValueError"),
    (ONE, faulty("seconds only"), "503 came with a date in Retry-After, and it raised ValueError"),
    (ONE, faulty("whole seconds only, else one"), "with a date in Retry-After, seven seconds"),
    (ONE, faulty("as long as it says"), "more than a minute"),
    (ONE, faulty("a minute at most"), "more than a minute"),
    (ONE, faulty("into the past"), "that has passed, and it raised ValueError"),
    (ONE, faulty("no pause"), "sent again without a pause"),
    (ONE, faulty("two tries"), "It was sent 2 times"),
    (TWO, ROWS.replace(", id DESC", "").replace(", id desc", ""), "planned without"),
    (THREE, a_lock_of_this_process(), "another process does not know"),
    (THREE, a_lock_and_the_table(), "a lock in your process keeps no other one out"),
    (ONE, for_ever, "had not given up"),
    (ONE, swallowed, "must get the error, and got 500"),
    (ONE, lambda *_, **__: None, "returned None"),
    (ONE, "a loop", "should be a function"),
    (ONE, leaves, "SystemExit"),
    (ONE, raises, "I do not want to"),
    (ONE, sleeps, "must return the response"),
    (ONE, tries((httpx.TimeoutException, httpx.ProtocolError)), "no connection came about"),
    (ONE, tries(fault="a time-out of any method"), "and it was sent 2 times"),
    (ONE, tries(fault="a made-up 504"), "must get the last error, and got 504"),
    (ONE, tries(fault="an error for a 503"), "must get the last response, and got HTTPStatus"),
    (ONE, tries(fault="careless after a pause"), "treat every try in the same way"),
    (TWO, NUMBERED, "which is all of it"),
    (THREE, committed_first, "so the key is free"),
    (THREE, empty_is_none, "an empty text is a result"),
    (THREE, another_error, "got RuntimeError instead of the error of the work"),
    (TWO, PAGE.format("id < %(id)s"), "it is not there"),
    (TWO, PAGE.format("rating < %(rating)s"), "it is not there"),
    (TWO, PAGE.format("rating <= %(rating)s"), "shown again"),
    (TWO, SPELT_OUT, "does the index know where to begin"),
    (TWO, ROWS.replace(" LIMIT 10", ""), "this one has more"),
    (TWO, ROWS.replace(" LIMIT 10", " LIMIT 9"), "this one has 9"),
    (TWO, ROWS.replace("<", "<="), "shown again"),
    (TWO, ROWS.replace(" ORDER BY rating DESC, id DESC", ""), "it is not there"),
    (TWO, ROWS.replace("id, rating, title", "title"), "a page needs id and rating"),
    (TWO, "DELETE FROM place", "returns nothing"),
    (TWO, ROWS + " OFFSET %(rating)s", "it is not there"),
    (TWO, "SELECT id, rating, pg_sleep(30) FROM place", "stopped after"),
    (TWO, "SELECT %(rating)s %s", "cannot be mixed"),
    (THREE, never_kept, "2 messages"),
    (THREE, two_steps, "does not know"),
    (THREE, whatever_body, "with another body"),
    (THREE, key_first, "could not be done later"),
    (THREE, in_memory(), "another process"),
    (THREE, not_told, "the caller was not told"),
    (THREE, keeps_twice, "the work was done 2 times"),
    (THREE, left_open, "still open"),
    (THREE, sleeps_on_a_lock, "it still holds an advisory lock"),
    (ONE, up_to(lambda pause: pause >= 60), "which is a minute and not more"),
    (ONE, up_to(lambda pause: pause > 30), "which is a minute and not more"),
    (ONE, up_to(lambda pause: pause > 120), "503 came with Retry-After: 61"),
    (ONE, up_to(lambda pause: pause > 600), "503 came with Retry-After: 61"),
    (ONE, of_any_sign, "503 came with Retry-After: -1, and it raised ValueError"),
    (ONE, a_key_for_each, "and it was sent 2 times"),
    (TWO, ROWS.replace("<", "<=") + " OFFSET 1", "places came and went"),
    (
        TWO,
        PAGE.format("(rating, id) < (SELECT rating, id FROM place WHERE id = %(id)s)"),
        "places came and went",
    ),
    (
        TWO,
        PAGE.format("rating * 100000 + id < %(rating)s * 100000 + %(id)s"),
        "know where to begin",
    ),
    (TWO, PAGE.format("(id, rating) < (%(id)s, %(rating)s)"), "it is not there"),
    (THREE, whatever_was_first, "compare the body also when the other call has just stored"),
    (THREE, by_begin(after_a_mistake="SELECT 1", after_a_hit="COMMIT"), "it has raised ValueError"),
    (THREE, by_begin(after_a_mistake="ROLLBACK", after_a_hit="SELECT 1"), "a repeated call has"),
    (THREE, unlocks_if_all_is_well, "when it has raised ValueError, it still holds an advisory"),
    (THREE, key_and_body_together, "the same key came with another body: raise ValueError"),
    (THREE, for_ever_in_a_race, "had not begun its work"),
    (THREE, leaves, "SystemExit"),
    (THREE, raises, "I do not want to"),
    (THREE, sleeps, "had not come to an end"),
]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """What will never end need not be waited for as long as a learner's answer may take."""
    if "sleep" in request.node.name or "for_ever" in request.node.name:
        monkeypatch.setattr("nexus.judging.limits.SECONDS", 3.0)


@pytest.mark.parametrize("exercise", EXERCISES)
@pytest.mark.parametrize("stub", [None, ..., "", " \n"])
def test_a_stub_gets_a_hint(exercise: str, stub: object) -> None:
    verdict = judge_answer(exercise, stub)
    assert not verdict.right
    assert len(verdict.message) > 20


test_right, test_not_yet = tables.tests(RIGHT, NOT_YET)


def test_no_thread_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nexus.judging.limits.SECONDS", 2.0)
    before = threads()
    judge_answer(ONE, for_ever)
    judge_answer(THREE, for_ever_in_a_race)
    assert no_threads_beyond(before)


def test_nothing_is_left_in_the_server() -> None:
    judge_answer(THREE, raises)
    with cast(Postgres, current("postgres")).connect() as connection:
        row = connection.execute("SELECT count(*) FROM pg_database WHERE datname ~ 'rest_.*_[0-9]'")
        assert row.fetchone() == (0,)


def test_the_server_of_the_first_exercise_repeats_its_last_line() -> None:
    server = rest_with_drf.Server(httpx.Response(503), httpx.Response(200))
    with httpx.Client(transport=httpx.MockTransport(server)) as client:
        statuses = [client.get("http://api.example").status_code for _ in range(3)]
    assert statuses == [503, 200, 200]


def test_what_postgresql_says_reaches_the_learner() -> None:
    assert "PostgreSQL says: syntax error" in judge_answer(TWO, "SELEC 1").message
