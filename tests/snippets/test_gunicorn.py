"""gunicorn serves as many at once as the file says, ends well, and replaces workers."""

import re
import runpy
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

import nexus
from nexus.services.process import wait_for
from nexus.services.web import Web

ROOT = Path(__file__).resolve().parent.parent.parent
FILE = ROOT / "snippets" / "gunicorn" / "gunicorn.conf.py"
SECONDS = 60
"""How long a test waits for a condition on a busy machine."""

APPLICATION = """
import os
import pathlib
import threading
import time

HERE = pathlib.Path(__file__).parent.parent
TOGETHER = threading.Barrier(4)
(HERE / f"worker-{os.getpid()}").touch()  # it is loaded when signals are heeded


def wait_for_the_test():
    (HERE / "begun").touch()
    while not (HERE / "go-on").exists():
        time.sleep(0.01)


def application(environ, start_response):
    if environ["PATH_INFO"] == "/together":
        TOGETHER.wait(30)
    if environ["PATH_INFO"] == "/slow":
        wait_for_the_test()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    package = tmp_path / "mysite"
    package.mkdir()
    (package / "wsgi.py").write_text(APPLICATION)
    (tmp_path / FILE.name).write_bytes(FILE.read_bytes())
    return tmp_path


@contextmanager
def serve(folder: Path, *options: str, **env: str) -> Iterator[Web]:
    """As a reader starts it: the file is found by its name."""
    command = [sys.executable, "-m", "gunicorn", "--bind=127.0.0.1:{port}", *options]
    number = 1 if env or "--workers=1" in options else 2

    def all_are_there() -> bool:
        return len(list(folder.glob("worker-*"))) == number

    with nexus.serve(command, cwd=folder, ready=all_are_there, env=env) as web:
        yield web


def ask(web: Web, path: str = "/") -> httpx.Response:
    return httpx.get(web.url + path, timeout=SECONDS, trust_env=False)


def test_the_head_says_what_it_answers_and_what_to_watch_out_for() -> None:
    head = FILE.read_text().split('"""')[1]
    assert head.partition("\n")[0].endswith("?")
    assert "\nWatch out:\n* " in head
    assert "(gunicorn/gunicorn.conf.py)" in (ROOT / "snippets" / "README.md").read_text()


def test_gunicorn_knows_every_setting() -> None:
    """It ignores one that it does not know."""
    from gunicorn.config import KNOWN_SETTINGS

    known = {setting.name for setting in KNOWN_SETTINGS}
    names = {
        name for name in runpy.run_path(str(FILE)) if name.islower() and not name.startswith("_")
    }
    assert names - {"os", "faulthandler"} <= known
    assert len(names & known) >= 15


def test_as_many_are_served_at_once_as_it_says(folder: Path) -> None:
    """Four requests that wait for each other, in one process with four threads."""
    with serve(folder, WEB_CONCURRENCY="1", WEB_THREADS="4") as web:
        assert len(web.workers) == 1
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: ask(web, "/together").status_code, range(4)))
    assert answers == [200] * 4


def test_a_request_under_way_is_finished_when_it_is_to_end(folder: Path) -> None:
    with serve(folder) as web, ThreadPoolExecutor(1) as pool:
        slow = pool.submit(ask, web, "/slow")
        wait_for((folder / "begun").exists, SECONDS, "the request to begin")
        main = web.processes()[0]
        main.send_signal(signal.SIGTERM)
        wait_for(lambda: len(web.workers) == 1, SECONDS, "the idle worker to end")
        assert not slow.done()
        (folder / "go-on").touch()
        assert slow.result(SECONDS).status_code == 200
        wait_for(lambda: not main.is_running(), SECONDS, "gunicorn to end")
        assert "Shutting down: Master" in web.log


def test_a_killed_worker_is_replaced(folder: Path) -> None:
    with serve(folder) as web:
        before = {worker.pid for worker in web.workers}
        assert len(before) == 2
        killed = web.workers[0].pid
        web.kill(worker=0)

        def replaced() -> bool:
            now = {worker.pid for worker in web.workers}
            return len(now) == 2 and killed not in now

        wait_for(replaced, SECONDS, "a new worker")
        assert ask(web).status_code == 200


def test_a_silent_worker_is_replaced_and_says_where_it_was(folder: Path) -> None:
    """A worker without threads, which a request silences; and a time-out as short as can be."""
    options = ("--worker-class=sync", "--threads=1", "--workers=1", "--timeout=1")
    with serve(folder, *options) as web:
        before = web.workers[0].pid

        def stuck() -> None:
            with suppress(httpx.TransportError):  # or a 500, if the worker still says it
                assert ask(web, "/slow").status_code == 500

        thread = threading.Thread(target=stuck)
        thread.start()
        wait_for(lambda: "WORKER TIMEOUT" in web.log, SECONDS, "gunicorn to notice")
        thread.join()
        wait_for(
            lambda: [worker for worker in web.workers if worker.pid != before],
            SECONDS,
            "a new worker",
        )
        assert re.search(r'File ".*wsgi.py", line \d+ in wait_for_the_test', web.log)
        assert ask(web).status_code == 200


def test_the_log_has_the_client_behind_the_proxy_and_no_query(folder: Path) -> None:
    """It may hold a token, or what people look for."""
    with serve(folder) as web:
        proxied = {"X-Request-ID": "r-7", "X-Forwarded-For": "203.0.113.9"}
        httpx.get(f"{web.url}/places?token=secret", headers=proxied, trust_env=False)
        wait_for(lambda: "GET /places" in web.log, SECONDS, "the line of the request")
        assert re.search(
            r'127\.0\.0\.1 "GET /places" 200 \d+ bytes \d+ ms r-7 203\.0\.113\.9\n', web.log
        )
        assert "secret" not in web.log


def test_nobody_can_write_a_line_that_never_was(folder: Path) -> None:
    with serve(folder) as web:
        httpx.get(f'{web.url}/x%0A203.0.113.9 "GET /admin"', trust_env=False)
        wait_for(lambda: "GET /x" in web.log, SECONDS, "the line of the request")
        assert "GET /x%0A203.0.113.9%20" in web.log
        assert "\n203.0.113.9" not in web.log
