"""The project as it is served: gunicorn with several workers, and a Celery worker."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.db import connection

ROOT = Path(__file__).resolve().parents[1]
DEADLINE = 120.0  # seconds, on a machine that is ten times as busy as it can be


def wait_for(condition: Callable[[], Any], seconds: float = DEADLINE) -> Any:
    """Return what the condition returns, once that is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("It did not come true in time")


@dataclass(frozen=True)
class Program:
    """A running program, and what it has logged."""

    process: "subprocess.Popen[bytes]"
    output: Path

    def text(self) -> str:
        return self.output.read_text()

    def events(self, **wanted: Any) -> list[dict[str, Any]]:
        """The JSON lines that have these values."""
        lines = [json.loads(line) for line in self.text().splitlines() if line.startswith("{")]
        return [line for line in lines if wanted.items() <= line.items()]

    def url(self) -> str:
        """Where gunicorn listens."""

        def found() -> str | None:
            assert self.process.poll() is None, self.text()
            listening = [e for e in self.events() if e["event"].startswith("Listening at: ")]
            return listening[0]["event"].split()[2] if listening else None

        url: str = wait_for(found)
        httpx.get(f"{url}/healthz", timeout=DEADLINE)  # answered once a worker has started
        return url

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait(DEADLINE)


Start = Callable[..., Program]


@contextmanager
def starting(directory: Path) -> Iterator[Start]:
    """A function that starts a program with the tests' database; all end at the end."""
    before, question, after = os.environ["DATABASE_URL"].partition("?")
    database = f"{before.rpartition('/')[0]}/{connection.settings_dict['NAME']}{question}{after}"
    with ExitStack() as stack:

        def start_one(*arguments: str, **environment: str) -> Program:
            output = directory / f"{arguments[0]}-{len(list(directory.iterdir()))}"
            temporary = directory / "tmp"  # what a killed program leaves there goes with the test
            temporary.mkdir(exist_ok=True)
            variables = os.environ | {
                "DATABASE_URL": database,
                "TMPDIR": str(temporary),
                "DJANGO_SETTINGS_MODULE": "stays.settings",
                "LOG_FORMAT": "json",
                "BIND": "127.0.0.1:0",
                "PYTHONUNBUFFERED": "1",
            }
            with output.open("wb") as file:
                process = subprocess.Popen(
                    # It ends also when the tests are killed.
                    [sys.executable, "-m", "local.tied", *arguments],
                    env=variables | environment,
                    cwd=ROOT,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                )
            program = Program(process, output)
            stack.callback(program.end)
            return program

        yield start_one


@pytest.fixture
def start(
    django_db_setup: None,  # noqa: ARG001
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Start]:
    """Starts a program with the tests' database; it ends with the test.

    The test must be marked with django_db, or there may be no such database.
    """
    with starting(tmp_path_factory.mktemp("programs")) as start_one:
        yield start_one


@pytest.fixture(scope="session")
def server(
    django_db_setup: None,  # noqa: ARG001
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Program]:
    """gunicorn with two workers, for all tests that only ask it."""
    with starting(tmp_path_factory.mktemp("server")) as start_one:
        yield start_one("gunicorn", WEB_CONCURRENCY="2")
