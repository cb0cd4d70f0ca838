"""The Celery app to copy: a real worker on a real Valkey, killed and sent what breaks it."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

import nexus
from nexus.services.process import wait_for
from nexus.services.web import Web

FOLDER = Path(__file__).resolve().parent.parent.parent / "snippets" / "celery"
SECONDS = 30
PROBE = '''
"""Tasks that break, on the snippet's app; what a page cannot wait for is made shorter."""

import os
import time

import redis
from app import Patient, app

notes = redis.Redis.from_url(os.environ["NOTES"], socket_timeout=None)
app.conf.broker_transport_options["visibility_timeout"] = int(os.environ.get("VISIBILITY", 900))
app.conf.broker_transport_options["unacked_restore_interval"] = 0.5


class Quick(Patient):
    default_retry_delay = 0
    max_retries = 2
    retry_backoff = 1
    retry_backoff_max = 1


@app.task(base=Quick)
def caught(name):
    """Waits in the middle of its first run."""
    if notes.incr(f"begun {name}") == 1:
        notes.set(f"caught {name}", os.getpid())
        notes.blpop(f"go on {name}")
    notes.incr(f"done {name}")


@app.task(base=Quick)
def kills_its_process(name):
    notes.incr(f"begun {name}")
    os.kill(os.getpid(), 9)


@app.task(base=Quick)
def fails(name):
    notes.incr(f"begun {name}")
    raise {"timeout": TimeoutError, "bug": ValueError}[name]("no")


@app.task(base=Quick, soft_time_limit=0.5, time_limit=1)
def hangs():
    time.sleep(60)
'''


class Bench:
    """The snippet in a folder of its own, and how to send to it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        (folder / "probe.py").write_text(PROBE)
        self.env = {
            "BROKER_URL": f"{url}/1",
            "NOTES": f"{url}/2",
            "DATABASE": str(folder / "app.sqlite"),
            "PYTHONPATH": os.pathsep.join([str(folder), str(FOLDER)]),
        }
        self.broker = redis.Redis.from_url(self.env["BROKER_URL"], decode_responses=True)
        self.notes = redis.Redis.from_url(self.env["NOTES"], decode_responses=True)

    def worker(self, **more: object) -> Web:
        options = ["--loglevel=INFO", "--concurrency=2", "--without-mingle", "--without-gossip"]
        command = [sys.executable, "-m", "celery", "--app", "probe", "worker", *options]
        return nexus.serve(command, ready="ready.", env={**self.env, **more}, cwd=self.folder)

    def python(self, program: str) -> str:
        """Runs a program that can import app and probe, and returns what it prints."""
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, **self.env},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def send(self, *calls: str) -> None:
        self.python("import probe, app\n" + "\n".join(calls))

    def wait(self, key: str, value: int = 1) -> None:
        wait_for(lambda: self.notes.get(key) == str(value), SECONDS, f"{key} to be {value}")

    @property
    def paid(self) -> list[int]:
        with closing(sqlite3.connect(self.env["DATABASE"])) as db:
            return [row[0] for row in db.execute("SELECT booking FROM payment ORDER BY booking")]

    def has(self, worker: Web, text: str, times: int = 1) -> None:
        wait_for(lambda: worker.log.count(text) >= times, SECONDS, f"{text!r} in {worker.log}")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with nexus.valkey(tcp=True) as valkey:
        bench = Bench(tmp_path, valkey.url.removesuffix("/0"))
        with bench.broker, bench.notes:  # else a socket is open until it is collected
            yield bench


def test_the_head_says_what_it_answers_and_what_to_watch_out_for() -> None:
    head = (FOLDER / "app.py").read_text().split('"""')[1]
    assert head.partition("\n")[0].endswith("?")
    assert "\nWatch out:\n* " in head


def test_the_page_of_snippets_lists_it() -> None:
    assert "(celery/app.py)" in (FOLDER.parent / "README.md").read_text()


def test_times_fit_together(bench: Bench) -> None:
    settings = json.loads(
        bench.python(
            "import json, app; c = app.app.conf; print(json.dumps([c.task_soft_time_limit, "
            "c.task_time_limit, app.PAUSE, c.broker_transport_options['visibility_timeout']]))"
        )
    )
    soft, hard, pause, visibility = settings
    assert soft < hard
    # The longest pause, the longest run, and a while to wait for a process: it is a sum.
    assert pause + hard + 5 * 60 <= visibility


def test_what_fails_is_tried_again_and_comes_to_an_end(bench: Bench) -> None:
    with bench.worker() as worker:
        bench.send(
            "app.charge.delay(7), app.charge.delay(7)",
            "probe.fails.delay('bug'), probe.fails.delay('timeout')",
            "probe.kills_its_process.delay('poison')",
            "probe.hangs.delay()",
            "app.app.send_task('probe.fails', ['bug'], serializer='pickle')",
        )
        bench.has(worker, "has failed for good", times=4)
        bench.has(worker, "Refusing to deserialize")
        bench.has(worker, "app.charge[", times=4)
        assert bench.notes.get("begun bug") == "1"
        assert bench.notes.get("begun timeout") == "3"
        assert bench.notes.get("begun poison") == "3"
        assert "SoftTimeLimitExceeded" in worker.log
    assert bench.paid == [7]


def test_work_that_was_begun_is_done_again_when_a_process_or_the_machine_dies(bench: Bench) -> None:
    with bench.worker() as worker:
        bench.send("probe.caught.delay('process')")
        wait_for(lambda: bench.notes.get("caught process"), SECONDS, "the task to be caught")
        os.kill(int(bench.notes.get("caught process") or 0), 9)  # a child of our own worker
        bench.wait("done process")
        bench.send("probe.caught.delay('machine')")
        wait_for(lambda: bench.notes.get("caught machine"), SECONDS, "the task to be caught")
        worker.kill()
    assert bench.broker.hlen("unacked") == 1
    with bench.worker(VISIBILITY=1):
        bench.wait("done machine")


def fetched(bench: Bench, main: psutil.Process, message: str) -> bool:
    """Freezes a worker, and sends the message. It is gone if the worker was waiting in BRPOP."""
    main.suspend()
    waiting = [client for client in bench.broker.client_list() if client["cmd"] == "brpop"]
    if any("b" in client["flags"] for client in waiting):
        bench.broker.lpush("celery", message)
        if bench.broker.rpop("celery") is None:
            return True
    main.resume()
    return False


def test_a_message_that_was_fetched_and_not_noted_is_lost_and_the_sweep_sends_it_again(
    bench: Bench,
) -> None:
    """The worker is frozen while it waits in BRPOP: the message leaves the list, and is nowhere."""
    bench.send("app.book(2)")
    message = bench.broker.rpop("celery")
    assert isinstance(message, str)
    with bench.worker() as worker:
        bench.send("app.book(1)")
        bench.has(worker, "succeeded")
        main = psutil.Process(worker.pid)
        wait_for(lambda: fetched(bench, main, message), SECONDS, "the message to be fetched")
        assert bench.broker.hlen("unacked") == 0
        worker.kill()
    with bench.worker(VISIBILITY=1) as worker:
        bench.send("app.book(3)", "app.charge_overdue.delay(older_than=60)")
        bench.has(worker, "succeeded", times=2)
        assert bench.paid == [1, 3]
        assert (bench.broker.llen("celery"), bench.broker.hlen("unacked")) == (0, 0)
        bench.send("app.charge_overdue.delay(older_than=0)")
        wait_for(lambda: bench.paid == [1, 2, 3], SECONDS, "the second to be paid")
        assert "booking 2 is not charged yet" in worker.log


def test_beat_sends_the_sweep_and_it_expires_before_the_next_one(bench: Bench) -> None:
    told = bench.python(
        "import json, app; print(json.dumps([[e['task'] in app.app.tasks, e['schedule'], "
        "e['options']['expires']] for e in app.app.conf.beat_schedule.values()]))"
    )
    (entry,) = json.loads(told)
    known, interval, expires = entry
    assert known
    assert expires <= interval


def test_a_worker_that_is_asked_to_stop_finishes_and_gives_back(bench: Bench) -> None:
    calls = [f"probe.caught.delay({name!r})" for name in ("first", "second", "third")]
    with bench.worker() as worker:
        bench.send(*calls)
        for name in ("first", "second"):
            wait_for(lambda n=name: bench.notes.get(f"caught {n}"), SECONDS, "two to be caught")
        psutil.Process(worker.pid).terminate()
        bench.has(worker, "Warm shutdown")
        bench.notes.rpush("go on first", "now")
        bench.notes.rpush("go on second", "now")
        wait_for(lambda: not worker.running, SECONDS, "the worker to end")
    done = [bench.notes.get(f"done {name}") for name in ("first", "second", "third")]
    assert done == ["1", "1", None]
    assert (bench.broker.llen("celery"), bench.broker.hlen("unacked")) == (1, 0)


def test_a_request_does_not_wait_for_a_broker_that_is_gone(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "redis://127.0.0.1:1")
    said: Any = bench.python(
        "import app, time\n"
        "from kombu.exceptions import OperationalError\n"
        "begun = time.monotonic()\n"
        "try: app.charge.delay(1)\n"
        "except OperationalError: print(time.monotonic() - begun)"
    )
    assert float(said) < 10
