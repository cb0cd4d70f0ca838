"""The kit of judges: limits, guards, clocks, a second process, clients that meet or die."""

import contextlib
import datetime
import ipaddress
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import redis

import nexus
from nexus.judging import NotYet, elsewhere, limits
from nexus.judging.clock import Clock
from nexus.judging.dying import mortal
from nexus.judging.limits import Guard, Run, all_of, judgement, within
from nexus.judging.manners import kept
from nexus.judging.meeting import come_to_rest, holding, queueing, waiting
from nexus.judging.orders import other_plans
from nexus.judging.programs import program
from nexus.judging.sandbox import Connection, Sandbox, another, database, watched
from nexus.judging.workers import OtherProcessError, worker
from nexus.services import Postgres
from nexus.services.process import wait_for
from tests.leftovers import PATIENCE, no_threads_beyond, threads


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[Postgres]:
    with nexus.postgres(fsync="off") as running:  # databases come and go
        yield running


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SECONDS", 0.5)


def rows(connection: Connection) -> None:
    connection.execute("CREATE TABLE thing (id int PRIMARY KEY, n int NOT NULL)")
    connection.execute("INSERT INTO thing SELECT i, i % 3 FROM generate_series(1, 300) AS i")


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with database("kit_rows", rows) as made:
        yield made


def loops() -> None:
    while True:
        sum(range(10))


# A limit that holds


def loop_that_catches_everything() -> None:
    while True:
        try:
            sum(range(10))
        except BaseException:
            continue


def loop_of_short_sleeps() -> None:
    while True:
        with contextlib.suppress(BaseException):
            time.sleep(0.001)


def long_sleep() -> None:
    time.sleep(3600)


@pytest.mark.usefixtures("short")
def test_what_an_answer_keeps_of_its_end_is_told_to_nobody_later() -> None:
    before, kept = threads(), []

    def keeps() -> None:
        while True:
            try:
                sum(range(10))
            except BaseException as error:
                kept.append(error)

    with pytest.raises(NotYet, match="had not come to an end"), judgement():
        within(keeps)
    assert no_threads_beyond(before)
    insistent = [error for error in kept if type(error) is not limits.Enough]
    assert insistent
    # Another thread may have the number of the answer's thread when these are deleted.
    assert [error for error in insistent if hasattr(type(error), "__del__")] == []


@pytest.mark.parametrize("answer", [loop_that_catches_everything, loop_of_short_sleeps, long_sleep])
@pytest.mark.usefixtures("short")
def test_python_code_is_ended(
    answer: Callable[[], None], capfd: pytest.CaptureFixture[str]
) -> None:
    before = threads()
    late = pytest.raises(NotYet, match=r"had not come to an end after 0\.5 seconds")
    with late, kept(answer), judgement():
        within(answer)
    assert no_threads_beyond(before)
    assert capfd.readouterr() == ("", "")


STATEMENTS = [
    "SELECT pg_sleep(3600)",
    "SELECT pg_advisory_lock(1)",
    "SELECT 1 FROM thing WHERE id = 1 FOR UPDATE",
    "DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(60); EXCEPTION WHEN query_canceled THEN NULL; END;"
    " END LOOP; END $$",
]


@pytest.mark.parametrize("statement", STATEMENTS)
@pytest.mark.parametrize("how", ["a function", "SQL"])
@pytest.mark.usefixtures("short")
def test_what_waits_in_postgresql_is_cut(
    statement: str, how: str, server: Postgres, capfd: pytest.CaptureFixture[str]
) -> None:
    before = threads()
    begun = 0.0
    with (  # noqa: PT012 (the block must be left for the limit to be read)
        pytest.raises(NotYet, match=r"0\.5 seconds"),
        judgement(),
        database("kit_rows", rows) as box,
        holding(box, "SELECT pg_advisory_lock(1)", "SELECT 1 FROM thing FOR UPDATE"),
        another(box) as client,
    ):
        begun = time.monotonic()
        if how == "SQL":
            with watched(box, client):
                client.execute(statement)
        else:
            within(lambda: client.execute(statement))
    assert time.monotonic() - begun < 6  # on a machine at rest it is one second
    with server.connect() as connection:
        left = (
            "SELECT query FROM pg_stat_activity WHERE datname ~ '^kit_rows_' OR query ~ 'pg_sleep'"
        )
        assert [q for (q,) in connection.execute(left) if q != left] == []
        assert connection.execute("SELECT FROM pg_locks WHERE locktype = 'advisory'").rowcount == 0
    assert no_threads_beyond(before)
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("short")
def test_two_that_wait_for_each_other_are_cut() -> None:
    """The first one holds what the second waits for, and never lets go."""
    lock = "SELECT pg_advisory_lock(7)"
    with (  # noqa: PT012
        pytest.raises(NotYet, match="two had not come to an end"),
        judgement(),
        database("kit_rows", rows) as box,
        another(box) as first,
        another(box) as second,
    ):
        within(lambda: first.execute(lock))
        all_of([Run(lambda: second.execute(lock))], "two")


@pytest.mark.usefixtures("short")
def test_what_waits_in_valkey_is_cut() -> None:
    with nexus.valkey() as server, limits.when_late(server.kill):
        client = server.connect()
        with pytest.raises(NotYet, match="had not come to an end"):
            within(lambda: client.blpop(["nothing"], 0))


@pytest.mark.usefixtures("short")
def test_who_swallows_the_limit_is_late_all_the_same() -> None:
    def judge() -> None:
        with contextlib.suppress(Exception):
            within(lambda: time.sleep(60))

    with pytest.raises(NotYet, match="had not come to an end"), kept(None), judgement():
        judge()


@pytest.mark.usefixtures("short")
def test_a_thread_that_is_told_in_its_last_line_is_struck_off() -> None:
    def told() -> None:
        raise limits.Enough

    before = threads()
    run = Run(loop_that_catches_everything)
    run._thread._delete = told  # type: ignore[attr-defined]
    with pytest.raises(NotYet, match="had not come to an end"), judgement():
        all_of([run], "it")
    assert no_threads_beyond(before)


def test_a_thread_that_could_not_say_that_it_ended_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "SECONDS", 60)
    run = Run(lambda: 7)
    run._thread.join()
    run._done.clear()  # as if it had been told to end just before
    begun = time.monotonic()
    assert not run.is_running
    assert run.wait()
    assert time.monotonic() - begun < 30


def test_a_comparison_without_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WHOLE", 0.05)
    with pytest.raises(NotYet, match=r"after 0\.5 seconds"), judgement():
        loops()


def test_a_judgement_in_time_is_never_ended_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WHOLE", 0.002)
    for _ in range(20):
        try:
            with judgement():
                time.sleep(0.018)
        except NotYet:
            pass
        sum(range(1000))


# Manners


@pytest.mark.parametrize(
    "harm",
    [
        lambda: os._exit(3),
        lambda: os.abort(),
        lambda: os.kill(os.getpid(), 9),
        lambda: os.fork(),
    ],
)
def test_the_kernel_survives(harm: Callable[[], None]) -> None:
    real = os._exit, os.kill, time.sleep, time.time
    with pytest.raises(NotYet, match="would end the kernel"), kept(harm), judgement():
        within(harm)
    assert (os._exit, os.kill, time.sleep, time.time) == real


@pytest.mark.parametrize("size", [10**9, 10**12])
def test_what_is_too_big_for_the_kernel_is_refused(size: int) -> None:
    if not os.path.exists("/proc/self/status"):  # noqa: PTH110
        pytest.skip("only Linux counts what a process allocates")
    with pytest.raises(MemoryError):
        within(lambda: "x" * size)
    assert len("x" * 2**20) == 2**20


def test_threads_of_runs_have_left_before_a_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    if not os.path.exists("/proc/self/task"):  # noqa: PTH110
        pytest.skip("only Linux tells")
    fork, there = os.fork, list[bool]()

    def looks_and_forks() -> int:
        there.append(str(number) in os.listdir("/proc/self/task"))  # noqa: PTH208
        return fork()

    monkeypatch.setattr(os, "fork", looks_and_forks)
    for _ in range(50):
        number = within(threading.get_native_id)
        with worker(int):
            pass
    assert there == [False] * 50


# Guards and clocks


def test_a_guard_is_read_after_the_call() -> None:
    guard = Guard(3, "it never gives up")

    def swallow() -> None:
        for _ in range(10):
            try:
                guard.tick()
            except BaseException:
                continue

    within(swallow)
    with pytest.raises(NotYet, match="it never gives up"):
        guard.check()


def test_except_exception_does_not_hold_a_guard_up() -> None:
    guard = Guard(3, "it never gives up")

    def swallow() -> None:
        while True:
            try:
                guard.tick()
            except Exception:
                continue

    with pytest.raises(NotYet, match="it never gives up"):
        within(swallow)


from time import sleep as nap  # noqa: E402 (as an answer may have it)


def patient() -> tuple[float, float]:
    begun = time.monotonic()
    nap(1800)
    time.sleep(1800)
    return time.monotonic() - begun, time.time()


def test_the_judges_clock_is_the_answers_and_nobody_elses() -> None:
    clock, begun = Clock(), time.time()
    elsewhere: list[float] = []
    with kept(patient), judgement():
        other = threading.Thread(target=lambda: (time.sleep(0.05), elsewhere.append(time.time())))
        other.start()
        took, at = within(lambda: patient(), clock)  # type: ignore[misc]
        other.join()
    assert clock.pauses == [1800, 1800]
    assert took >= 3600
    assert at >= begun + 3600
    assert 0.04 < elsewhere[0] - begun < 600


# A second worker


def test_a_second_worker_has_another_hash_of_texts_as_a_process_of_its_own_has() -> None:
    known = {ipaddress.ip_address("192.0.2.1"): 1}  # a library hashes it, in Python

    def look(value: object) -> tuple[int, int]:
        return hash(value), known[ipaddress.ip_address("192.0.2.1")]

    with worker(look) as other:
        for value in ("a", b"a", ("a", 1)):
            there, found = other.said("it", value)
            assert there != hash(value)
            assert found == 1
        assert other.said("it", 7)[0] == hash(7)


def test_another_process_has_a_memory_and_locks_of_its_own(box: Sandbox) -> None:
    known: dict[str, int] = {}
    lock = threading.Lock()

    def look(key: str) -> tuple[object, bool, int, int]:
        with another(box) as client:
            pid = client.info.backend_pid
        return known.get(key), lock.acquire(timeout=1), os.getpid(), pid

    with worker(look) as other:
        known["a"] = 1
        with lock:
            other.ask("a")
            value, free, pid, _ = other.answer("it")  # type: ignore[misc]
        assert (value, free, pid) == (None, True, other.pid)
    assert not psutil.pid_exists(other.pid)


def refuses(*_: object) -> None:
    raise ValueError("no")


def leaves(*_: object) -> None:
    os._exit(0)


def stays(*_: object) -> None:
    while True:
        try:
            time.sleep(1)
        except BaseException:
            continue


@pytest.mark.usefixtures("short")
def test_another_process_may_do_what_it_likes(capfd: pytest.CaptureFixture[str]) -> None:
    pids = []
    for action, error, said in (
        (refuses, OtherProcessError, "no"),
        (leaves, NotYet, "ended the process"),
        (stays, NotYet, "had not come to an end"),
    ):
        with worker(action) as other:
            other.ask()
            pids.append(other.pid)
            with pytest.raises(error, match=said):
                other.answer("it")
    assert not any(map(psutil.pid_exists, pids))
    assert capfd.readouterr() == ("", "")


# Meeting, orders, deaths


def test_two_meet_inside_a_statement(box: Sandbox) -> None:
    with another(box) as first, another(box) as second:
        with holding(box, "SELECT 1 FROM thing WHERE id = 1 FOR UPDATE") as holder:
            runs = [
                Run(lambda client=client: client.execute("UPDATE thing SET n = n + 1 WHERE id = 1"))  # type: ignore[misc]
                for client in (first, second)
            ]
            assert come_to_rest(box, [lambda run=run: run.is_running for run in runs])  # type: ignore[misc]
            assert waiting(box) == {first.info.backend_pid, second.info.backend_pid}
            holder.commit()
        all_of(runs, "they")
    assert box.admin.execute("SELECT n FROM thing WHERE id = 1").fetchone() == (3,)


def test_who_asks_while_the_judge_queues_comes_later(box: Sandbox) -> None:
    lock, n = "LOCK TABLE thing IN SHARE MODE", "SELECT n FROM thing WHERE id = 1"
    change = "UPDATE thing SET n = %s WHERE id = 1"
    with another(box) as first, another(box) as second:
        with holding(box, lock) as holder:
            early = Run(lambda: first.execute(change, [8]))
            assert come_to_rest(box, [lambda: early.is_running])
            with queueing(box, lock):
                late = Run(lambda: second.execute(change, [9]))
                going = [lambda: early.is_running, lambda: late.is_running]
                assert come_to_rest(box, going)
                holder.commit()
                assert come_to_rest(box, going)
                assert [early.is_running, late.is_running] == [False, True]
                assert box.admin.execute(n).fetchone() == (8,)
        all_of([early, late], "they")
    assert box.admin.execute(n).fetchone() == (9,)


def test_a_turn_that_does_not_come_is_given_up(box: Sandbox) -> None:
    before = threads()
    with holding(box, "LOCK TABLE thing"), queueing(box, "LOCK TABLE thing IN SHARE MODE"):
        pass
    assert no_threads_beyond(before)
    left = "SELECT count(*) FROM pg_locks WHERE relation = 'thing'::regclass"
    # A server notices after the client that a session has ended.
    wait_for(lambda: box.admin.execute(left).fetchone() == (0,), PATIENCE, "the locks to go")


def test_an_order_that_is_luck_is_found(box: Sandbox) -> None:
    box.admin.execute("CREATE INDEX ON thing (n DESC, id DESC)")
    box.admin.execute("VACUUM ANALYZE thing")
    found: dict[str, set[Any]] = {"ORDER BY n DESC": set(), "ORDER BY n DESC, id DESC": set()}
    for order, seen in found.items():
        for _ in other_plans(box.admin):
            query = f"SELECT id FROM thing WHERE n < 9 {order} LIMIT 7"
            seen.add(tuple(box.admin.execute(query).fetchall()))  # type: ignore[call-overload]
    assert [len(seen) > 1 for seen in found.values()] == [True, False]


def test_who_dies_sends_nothing_any_more() -> None:
    with nexus.valkey() as server:

        def answer(client: redis.Redis) -> None:
            try:
                client.set("a", 1)
                client.set("b", 1)
            finally:
                client.set("c", 1)

        for number, left in ((1, []), (2, ["a"]), (3, ["a", "b"]), (4, ["a", "b", "c"])):
            with (
                server.connect(decode_responses=True) as admin,
                mortal(server, number, 5) as client,
            ):
                admin.flushall()
                try:
                    within(lambda: answer(client))
                except NotYet:
                    assert client.sent >= number
                assert sorted(admin.keys()) == left


def test_a_session_that_is_let_go_of_rolls_back_and_says_nothing(
    box: Sandbox, capfd: pytest.CaptureFixture[str]
) -> None:
    with another(box) as client:
        client.execute("BEGIN")
        client.execute("DELETE FROM thing")
    with another(box) as client:
        box.stop(client)
        with pytest.raises(psycopg.Error):
            client.execute("SELECT 1")
    assert box.admin.execute("SELECT count(*) FROM thing").fetchone() == (300,)
    assert capfd.readouterr() == ("", "")


def seeded(texts: list[str]) -> tuple[int, list[str], str, str]:
    return hash("a"), list({*texts}), f"{datetime.date.today()}", helped(time.strftime("%Y"))


def helped(text: str) -> str:
    return text if len(text) < 5 else helped(text[1:])


def test_an_interpreter_that_is_started_anew_has_a_seed_and_a_day_of_its_own() -> None:
    texts = [f"text {n}" for n in range(20)]
    tried = [elsewhere.call(seeded, texts, seed=seed, days=400 * seed) for seed in (1, 2)]
    assert elsewhere.call(seeded, texts, seed=1, days=400) == tried[0]
    for one, other in zip(*tried, strict=True):  # type: ignore[call-overload]
        assert one != other
    day = datetime.date.today() + datetime.timedelta(days=800)
    assert tried[1][2:] == (f"{day}", f"{day:%Y}")  # type: ignore[index]


def test_what_cannot_be_carried_over_is_said() -> None:
    lock = threading.Lock()
    for function in (lambda: lock, lambda: lambda: 0, refuses, leaves):
        with pytest.raises(elsewhere.CannotBeCarriedError):
            elsewhere.call(function, seed=1)


TITLED = """
import os, setproctitle, time
if not os.fork():
    os.setsid()
    setproctitle.setproctitle("a title " * 200)
    with open("new", "w") as file:
        file.write(str(os.getpid()))
    os.rename("new", "pid")
    time.sleep(600)
while not os.path.exists("pid"):
    time.sleep(0.01)
"""


def test_what_a_program_leaves_is_ended_although_it_has_a_title(tmp_path: Path) -> None:
    assert program([sys.executable, "-c", TITLED], tmp_path, {}).returncode == 0
    with contextlib.suppress(psutil.NoSuchProcess):
        left = psutil.Process(int((tmp_path / "pid").read_text()))
        status = left.status()
        left.kill()
        assert status == psutil.STATUS_ZOMBIE
