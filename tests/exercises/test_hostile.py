"""What no answer may do to a reader's kernel, tried on every exercise there is.

Whatever it is, a sentence comes in time, and nothing is left: no session, no database, no lock, no
process, no thread.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import psycopg
import pytest
import strawberry

import nexus
from nexus.judging import judge_answer, limits
from nexus.judging.registry import exercises, find
from nexus.services import Postgres
from nexus.services.errors import MissingProgram
from nexus.services.process import wait_for
from tests.exercises.stubs import missing
from tests.leftovers import threads

pytestmark = pytest.mark.long(200)

SECONDS = 0.7
"""An answer's time here."""

SPARE = 1.0
"""What is allowed beyond it on a machine at rest; the rest is for one that is not."""

NAMES = [name for names in exercises().values() for name in names]
OFTEN = [
    name if name.endswith(".1") else pytest.param(name, marks=pytest.mark.weekly) for name in NAMES
]
"""The first exercise of each chapter runs each time. The others run weekly, and with their chapter:
most of what is tried here is the kit's work, and is tested for the kit in test_kit.py too."""


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[Postgres]:
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(nexus.postgres(fsync="off"))  # databases come and go
        with contextlib.suppress(MissingProgram):
            stack.enter_context(nexus.rabbitmq(management=True))
        yield running


class Rude:
    """A value that cannot be shown or compared."""

    def __str__(self) -> str:
        raise ZeroDivisionError

    def __eq__(self, _: object) -> bool:
        raise ZeroDivisionError

    __repr__ = __str__
    __hash__ = None  # type: ignore[assignment]


def sessions(arguments: tuple[object, ...]) -> Iterator[psycopg.Connection[Any]]:
    """The connections to PostgreSQL among what an answer was given."""
    return (value for value in arguments if isinstance(value, psycopg.Connection))


def executes(statement: str) -> Callable[..., None]:
    def answer(*arguments: object, **_: object) -> None:
        for connection in sessions(arguments):
            connection.execute(statement)  # type: ignore[arg-type]

    return answer


def loops(*_: object, **__: object) -> None:
    while True:
        try:
            sum(range(10))
        except BaseException:
            continue


def sleeps(*_: object, **__: object) -> None:
    while True:
        with contextlib.suppress(BaseException):
            time.sleep(60)


def leaves(*_: object, **__: object) -> None:
    raise SystemExit(3)


def ends_the_process(*_: object, **__: object) -> None:
    os._exit(3)


def too_much(*_: object, **__: object) -> str:
    return "x" * 10**10


def closes(*arguments: object, **_: object) -> None:
    for connection in sessions(arguments):
        connection.close()


def deep(*arguments: object, **named: object) -> object:
    return [deep(*arguments, **named)]


def endless(*_: object, **__: object) -> Iterator[int]:
    while True:
        yield 1


def rude(*_: object, **__: object) -> Rude:
    return Rude()


def raises_rudely(*_: object, **__: object) -> None:
    class RudeError(Exception):
        def __str__(self) -> str:
            raise ZeroDivisionError

    raise RudeError


FUNCTIONS: list[Callable[..., object]] = [
    loops,
    sleeps,
    leaves,
    ends_the_process,
    too_much,
    closes,
    deep,
    endless,
    rude,
    raises_rudely,
    executes("SELECT pg_sleep(3600)"),
    executes("SELECT pg_advisory_lock(1)"),
    executes("DROP OWNED BY CURRENT_USER CASCADE"),
    lambda *_, **__: None,
    lambda *_, **__: 7,
    lambda *_, **__: "",
]

TEXTS = [
    "SELECT pg_sleep(3600)",
    "SELECT pg_advisory_lock(1)",
    "BEGIN; LOCK TABLE pg_class",
    "DROP OWNED BY CURRENT_USER CASCADE",
    "SELECT repeat('x', 1000000) FROM generate_series(1, 1000000)",
    "DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(9); EXCEPTION WHEN query_canceled THEN NULL; END;"
    " END LOOP; END $$",
    "\0",
    "]:{",
    "x" * 10**7,
]


def schema(resolve: Callable[..., Any]) -> strawberry.Schema:
    @strawberry.type
    class Query:
        @strawberry.field
        def houses(self) -> list[str]:
            result: list[str] = resolve()
            return result

    return strawberry.Schema(Query)


def hostile(name: str) -> list[object]:
    """The answers, in the kind that an exercise takes."""
    takes = find(name).takes
    answers: list[object] = [None, 7, "", Rude(), endless()]
    if takes is Callable:
        answers += FUNCTIONS
    elif takes is tuple:
        answers += [(function, function) for function in FUNCTIONS]
    elif takes is strawberry.Schema:
        answers += [schema(function) for function in FUNCTIONS]
    elif takes is dict:
        stub = find(name).stub
        keys = list(stub) if isinstance(stub, dict) else ["max_retries"]
        answers += [dict.fromkeys(keys, value) for value in (*TEXTS, Rude(), 7, None, loops)]
        answers += [{Rude: 1}, {1: 1}]
    elif takes is str:
        answers += TEXTS
    else:
        answers += [TEXTS, [Rude()], {7}]
    return answers


def seen(server: Postgres) -> dict[str, set[object]]:
    """What could be left over."""
    with server.connect(autocommit=True) as connection:
        own = connection.info.backend_pid

        def ask(query: str) -> set[object]:
            return {row[0] for row in connection.execute(query).fetchall()}  # type: ignore[call-overload]

        return {
            "databases": ask("SELECT datname FROM pg_database WHERE datname ~ '_[0-9]+$'"),
            "roles": ask("SELECT rolname FROM pg_roles WHERE rolname ~ '_[0-9]+$'"),
            "sessions": ask(
                "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' "
                f"AND pid <> {own}"
            ),
            "locks": ask("SELECT pid FROM pg_locks WHERE locktype = 'advisory'"),
            "threads": set(threads()),
            "processes": {process.pid for process in psutil.Process().children()},
        }


def extra(server: Postgres, before: dict[str, set[object]]) -> dict[str, set[object]]:
    """What is there now and was not before."""
    return {what: now - before[what] for what, now in seen(server).items() if now - before[what]}


# What is ended in the middle leaves files to the garbage collector; a kernel does not say so.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", OFTEN)
def test_every_judge_survives(
    name: str,
    server: Postgres,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if why := missing(name):
        pytest.skip(why)
    judge_answer(name, "SELECT 1")  # what is built once
    monkeypatch.setattr(limits, "SECONDS", SECONDS)
    monkeypatch.setattr("nexus.judging.programs.SECONDS", SECONDS)
    before = seen(server)
    capfd.readouterr()
    for answer in hostile(name):
        begun = time.process_time(), time.monotonic()
        verdict = judge_answer(name, answer)
        what = getattr(answer, "__name__", None) or type(answer).__name__
        assert not verdict.right, what
        assert 10 < len(verdict.message) <= 1000, what
        took = time.process_time() - begun[0]
        assert took < 6 * SECONDS, f"{what}: {took:.1f} s of CPU"
        if psutil.getloadavg()[0] < 2:
            wall = time.monotonic() - begun[1]
            assert wall < 12 * (SECONDS + SPARE), f"{what}: {wall:.1f} s"
        # On a busy machine its threads may end after the verdict; the next answer has its own time.
        wait_for(lambda: threads() <= before["threads"], 60, "its threads to end")
    deadline = time.monotonic() + 60
    while (left := extra(server, before)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left
    assert capfd.readouterr() == ("", "")
