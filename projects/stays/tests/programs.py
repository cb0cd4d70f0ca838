"""The project as it is served: gunicorn with several workers, and a Celery worker."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.db import connection

ROOT = Path(__file__).resolve().parents[1]
DEADLINE = 30.0  # seconds


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


@pytest.fixture(scope="session")
def start(
    django_db_setup: None,  # noqa: ARG001
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Start]:
    """Starts a program with the tests' database; it ends at the end."""
    database = os.environ["DATABASE_URL"].partition("?")
    head, _, _ = database[0].rpartition("/")
    name = str(connection.settings_dict["NAME"])
    with ExitStack() as stack:

        def start_one(*arguments: str, **environment: str) -> Program:
            output = tmp_path_factory.mktemp("program") / "output"
            variables = os.environ | {
                "DATABASE_URL": f"{head}/{name}{''.join(database[1:])}",
                "DJANGO_SETTINGS_MODULE": "stays.settings",
                "LOG_FORMAT": "json",
                "BIND": "127.0.0.1:0",
                "PYTHONUNBUFFERED": "1",
            }
            with output.open("wb") as file:
                process = subprocess.Popen(
                    [sys.executable, "-m", *arguments],
                    env=variables | environment,
                    cwd=ROOT,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                )
            program = Program(process, output)
            stack.callback(program.end)
            return program

        yield start_one


@pytest.fixture(scope="session")
def server(start: Start) -> Program:
    """gunicorn with two workers."""
    return start("gunicorn", WEB_CONCURRENCY="2")
