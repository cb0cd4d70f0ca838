"""Judges of "REST with DRF": a client, a page, and once."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import httpx
import psycopg

from nexus.judging import NotYet, judge, limits
from nexus.judging.clock import Clock
from nexus.judging.limits import Guard, Run, all_of, within
from nexus.judging.meeting import waiting
from nexus.judging.orders import other_plans
from nexus.judging.sandbox import Connection, Sandbox, another, database, keeps_a_lock
from nexus.judging.workers import OtherProcessError, Worker, worker
from nexus.services.process import wait_for

MANY = 30
"""Requests after which a client does not look as if it would give up."""

Send = Callable[..., httpx.Response]
Answer = httpx.Response | type[httpx.TransportError]


class Server:
    """A server that answers by a script; its last line is repeated for ever.

    Attributes:
        requests: what came, each with the moment, by a clock that goes on when the client sleeps.
    """

    def __init__(self, *script: Answer) -> None:
        self.script = script
        self.requests: list[tuple[float, httpx.Request]] = []
        self.clock = Clock()
        self.guard = Guard(
            MANY, f"{MANY} requests were answered by nothing or by 503, and it had not given up"
        )

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answers a request, or loses the answer."""
        self.requests.append((self.clock.monotonic(), request))
        self.guard.tick()
        answer = self.script[min(len(self.requests), len(self.script)) - 1]
        if isinstance(answer, httpx.Response):
            return httpx.Response(answer.status_code, headers=answer.headers)
        raise answer("Server disconnected without sending a response.", request=request)

    @property
    def pauses(self) -> list[float]:
        """How long the client waited between two requests, in seconds."""
        moments = [moment for moment, _ in self.requests]
        return [later - earlier for earlier, later in pairwise(moments)]

    def ask(self, send: Send, method: str, **options: object) -> httpx.Response | Exception:
        """What the caller of an answer gets, response or error.

        Raises:
            NotYet: if it does not come to an end, or gets something else.
        """

        def call() -> object:
            with httpx.Client(
                transport=httpx.MockTransport(self), base_url="http://api.example"
            ) as client:
                return send(client, method, "/orders", **options)

        try:
            got = within(call, self.clock)
        except (httpx.TransportError, httpx.HTTPStatusError) as error:
            self.guard.check()
            return error
        self.guard.check()
        if not isinstance(got, httpx.Response):
            raise NotYet(f"it must return the response, and it returned {got!r}")
        return got


LOST = httpx.RemoteProtocolError
DAY = 86_400
MINUTE = 60
"""Seconds; the longest pause that a client has to make."""
PAUSE = 0.02
"""Seconds between two requests of a client that does not wait, on a busy machine."""


def refusal(after: object, status: int = 503) -> httpx.Response:
    """What a server says that wants to be asked later."""
    return httpx.Response(status, headers={"Retry-After": str(after)})


def in_seconds(seconds: int) -> str:
    """A moment from now, as HTTP writes dates: in whole seconds, so it may be one less."""
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


GIVEN_1 = """
def send(client, method, url, **options):
    return client.request(method, url, **options)
"""


@judge(
    "rest-with-drf.1",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a client, a method, an address and options: it calls client.request, "
    "and again if no answer came and the request may be repeated",
    stub=GIVEN_1,
)
def patient_client(send: Send) -> str:
    """It repeats what may be repeated, waits as it is told, and gives up."""
    for method in ("GET", "PUT", "DELETE"):
        server = Server(LOST, httpx.ReadTimeout, httpx.Response(200))
        got = server.ask(send, method)
        if _named(got) != "200":
            raise NotYet(
                f"two answers to a {method} were lost. The request was sent {_times(server)}, and "
                f"the caller got {_named(got)}. An idempotent request may be sent again"
            )
        rests = sum(pause > 0 for pause in server.clock.pauses)  # full jitter may be very short
        if rests < len(server.requests) - 1 and min(server.pauses) < PAUSE:
            raise NotYet(
                f"the answer to a {method} was lost, and the request was sent again without a "
                "pause: wait before each new try"
            )
    for method, error in (("POST", LOST), ("PATCH", LOST), ("POST", httpx.ReadTimeout)):
        server = Server(error, httpx.Response(201))
        got = server.ask(send, method, json={"nights": 3})
        if len(server.requests) > 1:
            raise NotYet(
                f"the answer to a {method} was lost, and it was sent {_times(server)}: without a "
                "key it may be done twice"
            )
        if not isinstance(got, httpx.TransportError):
            raise NotYet(
                f"the answer to a {method} was lost. The caller must get the error, and got "
                f"{_named(got)}"
            )
    for method in ("HEAD", "OPTIONS"):
        server = Server(LOST, httpx.Response(200))
        if _named(server.ask(send, method)) != "200":
            raise NotYet(
                f"the answer to a {method} was lost. It changes nothing, so it may be sent again"
            )
    server = Server(httpx.ConnectError, httpx.Response(200))
    if _named(got := server.ask(send, "GET")) != "200":
        raise NotYet(
            f"no connection came about, which is httpx.ConnectError, and the caller got "
            f"{_named(got)}: every httpx.TransportError means that no answer came"
        )
    _with_a_key(send)
    for status in (200, 404, 409, 422):
        server = Server(httpx.Response(status), httpx.Response(200))
        got = server.ask(send, "GET")
        if len(server.requests) > 1 or _named(got) != str(status):
            raise NotYet(
                f"{status} came, which is an answer. The request was sent {_times(server)}, and "
                f"the caller got {_named(got)}"
            )
    for status in (500, 502, 504):
        server = Server(httpx.Response(status), httpx.Response(201))
        server.ask(send, "POST", json={"nights": 3})
        if len(server.requests) > 1:
            raise NotYet(
                f"a POST without a key got {status}, and was sent {_times(server)}: nobody knows "
                "whether the first one was done"
            )
    _waits(send)
    _not_for_ever(send)
    _both(send)
    _gives_up(send)
    _unreadable(send)
    return (
        "it repeats what may be repeated and nothing else, it waits as it is told, and it gives up"
    )


def _with_a_key(send: Send) -> None:
    """A POST with a key may be repeated, as it is."""
    server = Server(LOST, httpx.Response(201))
    key = {"Idempotency-Key": "a-key"}
    got = server.ask(send, "POST", json={"nights": 3}, headers=key)
    if not isinstance(got, httpx.Response):
        raise NotYet("a POST with an Idempotency-Key may be sent again, and it was not")
    sent = {(r.headers.get("Idempotency-Key"), r.content) for _, r in server.requests}
    if len(server.requests) != 2 or len(sent) != 1 or ("a-key", b'{"nights":3}') not in sent:
        raise NotYet("when the POST is sent again, it must have the same key and the same body")


def _waits(send: Send) -> None:
    """It waits as long as Retry-After says, whatever was asked for: nothing was done yet."""
    for status, seconds in ((503, 1), (503, 7), (429, 1)):
        told = f"{status} with Retry-After: {seconds}"
        for method in ("GET", "POST") if seconds == 1 else ("GET",):
            server = Server(*2 * [refusal(seconds, status)], httpx.Response(200))
            got = server.ask(send, method)
            if _named(got) != "200":
                raise NotYet(
                    f"a {method} got {told}, twice. Nothing was done, so it may be sent again. It "
                    f"was sent {_times(server)}, and the caller got {_named(got)}"
                )
            if min(server.pauses) < seconds:
                raise NotYet(
                    f"{told} asks for {'a second' if seconds == 1 else f'{seconds} seconds'}, and "
                    "the next request came sooner"
                )
    server = Server(refusal(in_seconds(7)), httpx.Response(200))
    got = _patiently(server, send, "503 came with a date in Retry-After")
    if _named(got) != "200":
        raise NotYet(
            f"503 came with a date in Retry-After, seven seconds ahead. The caller got "
            f"{_named(got)}: wait until then, and send it again"
        )
    if min(server.pauses) < 5.5:
        raise NotYet(
            "503 came with a date in Retry-After, seven seconds ahead, and the next request came "
            "sooner"
        )


def _not_for_ever(send: Send) -> None:
    """A server may ask for a day: the caller hears of it."""
    server = Server(refusal(MINUTE), httpx.Response(200))
    got = _patiently(server, send, f"503 came with Retry-After: {MINUTE}")
    if _named(got) != "200" or min(server.pauses) < MINUTE:
        raise NotYet(
            f"503 came with Retry-After: {MINUTE}, which is a minute and not more: wait, and send "
            f"it again. The request was sent {_times(server)}, and the caller got {_named(got)}"
        )
    for after, said in (
        (MINUTE + 1, f"Retry-After: {MINUTE + 1}"),
        (DAY, f"Retry-After: {DAY}"),
        (in_seconds(DAY), "a date tomorrow"),
    ):
        server = Server(refusal(after), httpx.Response(200))
        got = _patiently(server, send, f"503 came with {said}")
        if server.clock.slept > 2 * MINUTE:
            raise NotYet(
                f"503 came with {said}, and the caller had to wait for it: if it is more than a "
                "minute, return the response"
            )
        if len(server.requests) > 1 or _named(got) != "503":
            raise NotYet(
                f"503 came with {said}, which is more than a minute: the caller must get this "
                f"response. The request was sent {_times(server)}, and the caller got {_named(got)}"
            )


def _both(send: Send) -> None:
    """After a pause that the server asked for, an answer may be lost as well."""
    got = Server(refusal(1), LOST, httpx.Response(200)).ask(send, "GET")
    if _named(got) != "200":
        raise NotYet(
            f"a GET got 503, and after the pause an answer was lost. The caller got {_named(got)}: "
            "treat every try in the same way"
        )


def _gives_up(send: Send) -> None:
    """The caller gets what came last, and nothing that was made up."""
    if not isinstance(got := Server(LOST).ask(send, "GET"), httpx.TransportError):
        raise NotYet(
            f"all answers to a GET were lost. The caller must get the last error, and got "
            f"{_named(got)}"
        )
    if _named(got := Server(refusal(0)).ask(send, "GET")) != "503":
        raise NotYet(
            f"a GET got 503 each time. The caller must get the last response, and got {_named(got)}"
        )


def _unreadable(send: Send) -> None:
    """Without a Retry-After that helps, to try again is as right as to give up."""
    gone = format_datetime(datetime(2020, 1, 1, tzinfo=UTC), usegmt=True)
    for after, said in (
        (None, "without Retry-After"),
        ("", "with an empty Retry-After"),
        ("soon", "with Retry-After: soon"),
        ("-1", "with Retry-After: -1"),
        (gone, "with a date in Retry-After that has passed"),
    ):
        first = httpx.Response(503) if after is None else refusal(after)
        _patiently(Server(first, httpx.Response(200)), send, f"503 came {said}")


def _patiently(server: Server, send: Send, what: str) -> httpx.Response | Exception:
    """What the caller of a GET gets; an error of the answer's own is told with its occasion."""
    try:
        return server.ask(send, "GET")
    except NotYet:
        raise
    except Exception as error:
        raise NotYet(f"{what}, and it raised {type(error).__name__}: {error}") from None


def _named(got: httpx.Response | Exception) -> str:
    """What the caller got, in a word."""
    return str(got.status_code) if isinstance(got, httpx.Response) else type(got).__name__


def _times(server: Server) -> str:
    """How often a request came."""
    count = len(server.requests)
    return "once" if count == 1 else f"{count} times"


PAGE = 10
MOST_PAGES = 40
"""Pages that a statement for ten places may read; a right one needs six to thirteen."""
Row = tuple[int, int]


def places(connection: Connection) -> None:
    """Makes places in no order, many of which have the same rating, and an index by rating."""
    connection.execute("""
        CREATE TABLE place (
            id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            rating int NOT NULL,
            title text NOT NULL
        );
        INSERT INTO place (rating, title)
        SELECT n * 7919 % 40, 'place ' || n FROM generate_series(1, 4000) AS n;
        CREATE INDEX place_rating ON place (rating, id);
    """)
    connection.execute("VACUUM ANALYZE place")


@judge(
    "rest-with-drf.2",
    takes=str,
    called="one statement in quotes",
    hint="one SELECT for ten places that come after %(rating)s and %(id)s",
)
def next_page(statement: str) -> str:
    """It leads through all places, once each, while places come and go, at the same cost."""
    with database("rest_places", places) as box:
        order = "SELECT id, rating FROM place ORDER BY rating DESC, id DESC"
        rows = box.admin.execute(order).fetchall()
        for index in (0, 95, 1_234, 3_000):
            if (got := _page(box, statement, rows[index])) != rows[index + 1 : index + 1 + PAGE]:
                raise NotYet(_difference(got, rows[index + 1 : index + 1 + PAGE], rows[index]))
        if _page(box, statement, rows[-1]):
            raise NotYet("asked for the page after the last place, it gives some places")
        for plan in other_plans(box.learner):
            got, right = _page(box, statement, rows[95]), rows[96 : 96 + PAGE]
            if got != right:
                ways = " and ".join(plan)
                raise NotYet(f"{_difference(got, right, rows[95])} (planned without {ways})")
        early, late = (_cost(box, statement, rows[index]) for index in (30, 3_900))
        if early > MOST_PAGES:
            raise NotYet(
                f"the rows are right. A page of {PAGE} places reads {early} pages of the table and "
                "its index, which is all of it: does the index know where to begin?"
            )
        if late > 3 * early + 30:
            raise NotYet(
                f"the rows are right. Page 4 reads {early} pages of the table and its index, and "
                f"page 391 reads {late}: does the index know where to begin?"
            )
        box.admin.execute(
            "INSERT INTO place (rating, title) SELECT rating, 'new' FROM place WHERE id % 10 = 0"
        )
        box.admin.execute("DELETE FROM place WHERE id % 10 = 1")
        now = box.admin.execute(order).fetchall()
        last = rows[2_000]
        after = [row for row in now if (row[1], row[0]) < (last[1], last[0])][:PAGE]
        if (got := _page(box, statement, last)) != after:
            raise NotYet("places came and went, and then: " + _difference(got, after, last))
        gone = next(row for row in rows[2_000:] if row not in now)
        after = [row for row in now if (row[1], row[0]) < (gone[1], gone[0])][:PAGE]
        if (got := _page(box, statement, gone)) != after:
            raise NotYet(
                "the last place of the page before was deleted meanwhile, and then: "
                + _difference(got, after, gone)
            )
    return "no place is shown twice or passed over, and every page costs the same"


def _page(box: Sandbox, statement: str, last: tuple[int, int]) -> list[tuple[int, int]]:
    """The ids and ratings that an answer gives after a place."""
    with box.watched():
        cursor = box.learner.execute(statement, {"id": last[0], "rating": last[1]})  # type: ignore[arg-type]
    if cursor.description is None:
        raise NotYet("it returns nothing: write a SELECT, which gives the page")
    names = [column.name for column in cursor.description]
    if not {"id", "rating"} <= set(names):
        raise NotYet(f"a page needs id and rating, for the next one. It has {', '.join(names)}")
    found = cursor.fetchmany(PAGE * 3)
    return [(row[names.index("id")], row[names.index("rating")]) for row in found]


def _difference(got: list[Row], right: list[Row], last: Row) -> str:
    """What is wrong about the page after a place."""
    if len(got) > PAGE:
        return f"a page must have {PAGE} places, and this one has more"
    if last in got:
        return "the place that was shown last is shown again"
    if got and got == right[: len(got)]:
        return f"a page must have {PAGE} places, and this one has {len(got)}"
    if sorted(got) == sorted(right):
        return "the ten are right, but not in order: best first, then the greater id"
    first = next((row for row in right if row not in got), None)
    if first is None:
        return "it gives places that do not belong to this page"
    return (
        f"after the place that was shown last, the one with id {first[0]} and rating {first[1]} "
        "must come, and it is not there"
    )


def _cost(box: Sandbox, statement: str, last: tuple[int, int]) -> int:
    """The pages that an answer reads."""
    query = "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF, FORMAT JSON) "
    with box.watched():
        parameters = {"id": last[0], "rating": last[1]}
        row = box.learner.execute(query + statement, parameters).fetchone()  # type: ignore[arg-type]
    plan = row[0][0]["Plan"] if row else {}
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


Work = Callable[[Connection], str]
Once = Callable[[Connection, str, str, Work], object]


def answers(connection: Connection) -> None:
    """Makes the table of answers, and the one that work writes to."""
    connection.execute("""
        CREATE TABLE answer (key text PRIMARY KEY, body text NOT NULL, result text NOT NULL);
        CREATE TABLE message (id int GENERATED ALWAYS AS IDENTITY, text text NOT NULL);
    """)


def write(connection: Connection) -> str:
    """The work: it writes a message."""
    connection.execute("INSERT INTO message (text) VALUES ('I arrive at eight.')")
    return f"written {random.random()}"  # noqa: S311 (only another text each time)


def messages(box: Sandbox) -> int:
    """How many messages there are."""
    row = box.admin.execute("SELECT count(*) FROM message").fetchone()
    return int(row[0]) if row else 0


GIVEN_3 = """
def once(connection, key, body, work):
    return work(connection)
"""


@judge(
    "rest-with-drf.3",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a connection, a key, a body and a function work: it calls "
    "work(connection) for a new key, and else returns what was kept",
    stub=GIVEN_3,
)
def once(answer: Once) -> str:
    """The work is done once for a key, together with keeping its result, also in a race."""
    with (
        database("rest_answers", answers) as box,
        another(box) as first,
        # Before the first call: it knows only what is in the database.
        worker(lambda *call: _in_another_process(answer, box, *call)) as other,
    ):
        result = _ask(answer, first, "k1", "eight", _in_a_transaction)
        _done_with(box, first, "when a first call has returned")
        again = _ask(answer, first, "k1", "eight", write)
        _done_with(box, first, "when a repeated call has returned")
        if messages(box) != 1:
            raise NotYet(f"one request was sent twice, and there are {messages(box)} messages")
        if not isinstance(result, str) or again != result:
            raise NotYet(f"the first call returned {result!r}, and the second one {again!r}")
        other.ask("k1", "eight")
        try:
            known = other.answer("sent again to another process, it")
        except NotYet as waits:
            raise NotYet(f"{waits}: is something locked?") from None
        except OtherProcessError as error:
            raise NotYet(
                f"sent again to another process, it raised {error.kind[0]}: {error}"
            ) from None
        if known != result:
            raise NotYet(
                "another process does not know what was answered: keep it in the table, and not in "
                "memory"
            )
        _another_body(answer, box, first)
        _done_with(box, first, "when it has raised ValueError")
        _failing(answer, box, first)
        _race(answer, box, other)
        _race_of_bodies(answer, box, other)
    return "one message for each key: sent again, after a failure, and at the same moment"


def _ask(answer: Once, connection: Connection, key: str, body: str, work: Work) -> object:
    """What a call returns.

    Raises:
        NotYet: if it takes too long.
    """
    return within(lambda: answer(connection, key, body, work))


def _done_with(box: Sandbox, connection: Connection, when: str) -> None:
    """Raises NotYet if a call has left something open on its connection, which is kept."""
    if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        raise NotYet(f"{when}, its transaction is still open: end it, whatever happens")
    if keeps_a_lock(box, connection):
        raise NotYet(
            f"{when}, it still holds an advisory lock, and the next request of this key would wait "
            "for ever. Unlock whatever happens, or take pg_advisory_xact_lock"
        )


def _in_another_process(answer: Once, box: Sandbox, key: str, body: str) -> object:
    """What a call returns there, on a connection of that process."""
    with another(box) as connection:
        return answer(connection, key, body, write)


def _in_a_transaction(connection: Connection) -> str:
    """Work that looks whether it is alone."""
    result = write(connection)
    if connection.info.transaction_status != psycopg.pq.TransactionStatus.INTRANS:
        raise NotYet(
            "the work is committed before its result is kept. A process that dies in between has "
            "done the work and does not know it: put both into one transaction"
        )
    return result


def _another_body(answer: Once, box: Sandbox, connection: Connection) -> None:
    """A key with another body is a mistake."""
    try:
        _ask(answer, connection, "k1", "nine", write)
    except ValueError:
        pass
    else:
        raise NotYet("the same key came with another body: raise ValueError, and do no work")
    if messages(box) != 1:
        raise NotYet("the same key came with another body, and the work was done")


def _failing(answer: Once, box: Sandbox, connection: Connection) -> None:
    """Work that fails leaves nothing, and its key may be used again."""

    class WorkError(RuntimeError):
        """What the work raises."""

    def fail(connection: Connection) -> str:
        write(connection)
        raise WorkError("the work failed")

    def fails_with(key: str) -> None:
        try:
            _ask(answer, connection, key, "eight", fail)
        except WorkError:
            return
        except NotYet:
            raise
        except Exception as error:
            raise NotYet(
                f"the work failed, and the caller got {type(error).__name__} instead of the error "
                "of the work: let it pass as it is"
            ) from None
        raise NotYet("the work failed, and the caller was not told: let its error pass")

    fails_with("k2")
    _done_with(box, connection, "when the work has failed")
    if messages(box) != 1:
        raise NotYet("the work failed half-way, and its first half is in the database")
    try:
        _ask(answer, connection, "k2", "eight", write)
    except Exception as error:
        raise NotYet(f"the work failed, and its key is spoilt: {type(error).__name__}") from None
    if messages(box) != 2:
        raise NotYet("the work failed, and the same request could not be done later")
    fails_with("k4")
    try:
        _ask(answer, connection, "k4", "nine", lambda _: "")
    except Exception as error:
        raise NotYet(
            "the work failed, and the caller corrected the request: another body with the same key "
            f"raised {type(error).__name__}. Nothing is kept of a failure, so the key is free"
        ) from None
    try:
        empty = _ask(answer, connection, "k4", "nine", write)
    except Exception as error:
        empty = error
    if empty != "" or messages(box) != 2:
        raise NotYet(
            f"the work returned an empty text, and the second call returned {empty!r}: an empty "
            "text is a result, too"
        )


def _race(answer: Once, box: Sandbox, other: Worker) -> None:
    """Two calls with one key at the same moment: one does the work, and both get its result."""
    outcomes = _meet(answer, box, other, "k3", "eight")
    if messages(box) != 3:
        raise NotYet(
            f"two calls with one key met, in two processes, and the work was done "
            f"{messages(box) - 2} times: a lock in your process keeps no other one out"
        )
    results = {value for value in outcomes if isinstance(value, str)}
    if len(results) != 1:
        raise NotYet("two calls with one key met. They got different answers, or no answer")


def _race_of_bodies(answer: Once, box: Sandbox, other: Worker) -> None:
    """Two calls with one key and two bodies at the same moment: one of them gets an error."""
    outcomes = _meet(answer, box, other, "k5", "nine")
    results = [value for value in outcomes if isinstance(value, str)]
    if messages(box) != 4 or len(results) != 1:
        raise NotYet(
            "two calls with one key and two bodies met, in two processes. The work was done "
            f"{messages(box) - 3} times, and {len(results)} of them got a result: compare the body "
            "also when the other call has just stored its result"
        )


def _meet(answer: Once, box: Sandbox, other: Worker, key: str, other_body: str) -> list[object]:
    """What two calls with one key get, of which the second begins while the first one works."""
    begun: list[bool] = []
    with another(box) as first:

        def slow(connection: Connection) -> str:
            result = write(connection)
            begun.append(True)
            other.ask(key, other_body)
            # It waits for the first one's lock, or ends; else it is not held by anything here.
            wait_for(
                lambda: other.is_done() or waiting(box), 0.8 * limits.SECONDS, "the other process"
            )
            return result

        run = Run(lambda: answer(first, key, "eight", slow))
        try:
            all_of([run], "two calls with one key")
        except NotYet:
            if begun:
                raise
            raise NotYet("a call with a new key had not begun its work") from None
    if isinstance(run.error, TimeoutError):
        raise NotYet("two calls with one key met, and the other one neither waits nor ends")
    if isinstance(run.error, NotYet):
        raise NotYet(f"two calls with one key met, and {run.error}")
    outcomes = [run.value() if run.error is None else run.error]
    try:
        outcomes.append(other.answer("of two calls with one key, the other process's"))
    except OtherProcessError as error:
        outcomes.append(error)
    return outcomes
