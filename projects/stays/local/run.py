"""Run the whole project on this machine: `make run`.

The program that is started here only waits for its end. Everything else is kept by a second one
(see `kept`), so that nothing stays behind, whatever ends the first.
"""

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from local.environment import variables
from local.kept import ROOT, Ending, EndingWithStarter, kept
from local.provider import METHODS
from local.servers import StartError, servers

GRACE = 10.0
"""Seconds that a process has to end by itself before it is killed."""
PATIENCE = 60.0
"""Seconds that the web server may take until it is ready."""


@dataclass
class Processes:
    """The project's processes. Each one's output is told line by line, with its name.

    Attributes:
        ending: Is set when all is to end.
        running: The processes by name.
    """

    ending: threading.Event
    running: dict[str, "subprocess.Popen[str]"] = field(default_factory=dict)
    _last: dict[str, "deque[str]"] = field(default_factory=dict)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(
        self,
        name: str,
        *command: str,
        environment: Mapping[str, str],
        quiet: bool = False,
        pass_fds: tuple[int, ...] = (),
    ) -> "subprocess.Popen[str]":
        """Start a module of Python in a session of its own.

        Args:
            name: What to call it.
            command: The module and its arguments.
            environment: Its whole environment.
            quiet: Whether to keep what it says, and tell it only if it fails.
            pass_fds: Open files to hand over.
        """
        process = subprocess.Popen(
            [sys.executable, "-m", "local.tied", *command],
            cwd=ROOT,
            # PostgreSQL shows this name in pg_stat_activity.
            env={**environment, "PGAPPNAME": f"stays {name}", "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            pass_fds=pass_fds,
        )
        self.running[name] = process
        self._last[name] = deque(maxlen=12)
        thread = threading.Thread(target=self._follow, args=(name, process.stdout, quiet))
        thread.start()
        self._threads.append(thread)
        return process

    def do(self, name: str, *command: str, environment: Mapping[str, str]) -> list[str]:
        """Run a module to its end.

        Returns:
            What it said last.

        Raises:
            StartError: if it fails; with what it said last.
        """
        began = time.monotonic()
        process = self.start(name, *command, environment=environment, quiet=True)
        while process.poll() is None and not self.ending.wait(0.02):
            pass
        if self.ending.is_set():
            raise Stopped
        self._threads.pop().join()
        del self.running[name]
        if process.returncode:
            raise StartError("\n".join([f"{name} failed:", *self._last[name]]))
        say(f"  {name:<40} {time.monotonic() - began:5.1f} s")
        return list(self._last[name])

    def hear(self, name: str, beginning: str) -> str:
        """Wait until a process says a line with this beginning.

        Returns:
            The rest of that line.

        Raises:
            StartError: if the process ends before.
            Stopped: if the start was given up.
        """
        while not self.ending.wait(0.02):
            ended = self.running[name].poll() is not None
            for line in list(self._last[name]):
                if line.startswith(beginning):
                    return line.removeprefix(beginning)
            if ended:
                raise StartError("\n".join([f"{name} ended:", *self._last[name]]))
        raise Stopped

    def wait(self) -> str | None:
        """Wait until one of them ends, or all is to end.

        Returns:
            The name of the one that ended by itself.
        """
        while not self.ending.wait(0.2):
            for name, process in self.running.items():
                if process.poll() is not None:
                    return f"{name} (exit status {process.returncode})"
        return None

    def end(self) -> None:
        """End them all at once, and kill what is left of each after a while."""
        for process in self.running.values():
            process.terminate()
        deadline = time.monotonic() + GRACE
        for process in self.running.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for thread in self._threads:
            thread.join(1)

    def _follow(self, name: str, output: IO[str], quiet: bool) -> None:
        with output:
            for line in output:
                self._last[name].append(line.rstrip("\n"))
                if not quiet:
                    say(f"{name:<8} | {line}", end="")


class Stopped(Exception):
    """The start was interrupted."""


@dataclass(frozen=True)
class Site:
    """The running project.

    Attributes:
        web: Where it answers.
        provider: Where the payment provider answers.
        seeded: What `manage.py seed` said.
        environment: The variables that name its servers.
        processes: Its processes.
    """

    web: str
    provider: str
    seeded: list[str]
    environment: dict[str, str]
    processes: Processes


@contextmanager
def site(
    ending: threading.Event, wanted: Mapping[str, str], *, seed: bool = True
) -> Iterator[Site]:
    """Start everything, and end it with the block.

    Args:
        ending: Is set when the start is to be given up.
        wanted: PORT, DATABASE_URL, CACHE_URL and BROKER_URL, as far as they are wanted: real
            servers take the place of throw-away ones, each for itself.
        seed: Whether to fill an empty database.

    Raises:
        StartError: if something does not start.
        Stopped: if the start was given up.
    """
    needed = [] if wanted.get("DATABASE_URL") else ["postgres"]
    if not (wanted.get("CACHE_URL") and wanted.get("BROKER_URL")):
        needed.append("valkey")
    with ExitStack() as stack:
        web = stack.enter_context(listener(wanted.get("PORT", "")))
        began = time.monotonic()
        urls = stack.enter_context(servers(*needed))
        say(f"  {' and '.join(needed) or 'the servers that you named':<40} ", end="")
        say(f"{time.monotonic() - began:5.1f} s")
        ours = {"LOG_FORMAT": "console", "GRAPHQL_INTROSPECTION": "true"}
        own = (
            ours
            | os.environ
            | variables(
                database=urls.get("postgres", ""), valkey=urls.get("valkey", ""), provider=""
            )
        )
        # A process that is killed leaves its temporary files; here they go with the servers'.
        temporary = Path(urls["directory"]) / "tmp"
        temporary.mkdir()
        own["TMPDIR"] = str(temporary)
        processes = Processes(ending)
        stack.callback(processes.end)
        processes.start(
            "provider",
            "local.provider",
            f"--webhook-url={address(web)}/api/v1/webhooks/payments",
            environment=own,
        )
        provider = processes.hear("provider", "Payment provider: ")
        environment = (
            own
            | {"PAYMENT_PROVIDER_URL": provider}
            | {"PROMETHEUS_MULTIPROC_DIR": f"{urls['directory']}/metrics"}
            | {name: wanted[name] for name in REAL if wanted.get(name)}
        )
        processes.do("tables: manage.py migrate", "manage", "migrate", environment=environment)
        seeded = []
        if seed:
            name, command = "data: manage.py seed", ("manage", "seed", "--if-empty")
            seeded = processes.do(name, *command, environment=environment)
        processes.start(
            "web",
            "gunicorn",
            "--workers=2",
            f"--bind=fd://{web.fileno()}",
            "stays.wsgi",
            environment=environment,
            pass_fds=(web.fileno(),),
        )
        processes.start(
            "worker", "celery", "--app=stays", "worker", "--concurrency=2", environment=environment
        )
        processes.start("beat", "celery", "--app=stays", "beat", *BEAT, environment=environment)
        wait_until_ready(address(web), processes)
        yield Site(address(web), provider, seeded, environment, processes)


REAL = ("DATABASE_URL", "CACHE_URL", "BROKER_URL")
BEAT = ("--scheduler=celery.beat.Scheduler",)
"""It keeps no file: the tasks are idempotent, and the nightly one goes by the clock."""


@contextmanager
def listener(port: str, preferred: int = 8000) -> Iterator[socket.socket]:
    """A socket that listens on 127.0.0.1. A process inherits it, so that nobody takes its port.

    Args:
        port: The port that it must have; empty for the preferred one, or a free one.
        preferred: The port to try first.

    Raises:
        StartError: if the port cannot be had.
    """
    try:
        opened = socket.create_server(("127.0.0.1", int(port or preferred)), backlog=128)
    except (OSError, ValueError, OverflowError) as error:
        if not port:
            opened = socket.create_server(("127.0.0.1", 0), backlog=128)
        else:
            why = "is taken" if isinstance(error, OSError) else "is no port"
            if isinstance(error, PermissionError):
                why = "is for root only"
            raise StartError(f"{port} {why}. Name another port: make run PORT=8001") from error
    with opened:
        yield opened


def address(opened: socket.socket) -> str:
    """Where a listening socket is reached."""
    return f"http://127.0.0.1:{opened.getsockname()[1]}"


def wait_until_ready(web: str, processes: Processes) -> None:
    """Wait until /readyz says so.

    Raises:
        StartError: if a process ends before, or it takes too long.
        Stopped: if the start was given up.
    """
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if processes.ending.wait(0.1):
            raise Stopped
        for name, process in processes.running.items():
            if process.poll() is not None:
                raise StartError(f"{name} ended with exit status {process.returncode}.")
        with (
            suppress(OSError, http.client.HTTPException),
            closing(http.client.HTTPConnection(web.removeprefix("http://"), timeout=10)) as asked,
        ):
            asked.request("GET", "/readyz")
            if asked.getresponse().status == 200:
                return
    raise StartError(f"{web}/readyz did not say in {PATIENCE:.0f} s that all is well.")


def say(text: str, end: str = "\n") -> None:
    """Print at once. Nobody may be there any more to read it."""
    with suppress(OSError):
        print(text, end=end, flush=True)  # noqa: T201


def run() -> int:
    """Start everything, tell where it is, and keep it until the end."""
    ending = EndingWithStarter()
    say("Starting:")
    try:
        with site(ending, os.environ) as running:
            tell(running)
            ended = running.processes.wait()
            say(f"{ended} ended, and all else with it." if ended else "Ending.")
            return 1 if ended else 0
    except StartError as error:
        say(f"Not started: {error}")
        return 1
    except Stopped:
        return 0


def tell(running: Site) -> None:
    """Print the addresses, and whom to log in as."""
    say(
        f"""
Stays is running.
  What is here        {running.web}/
  API documentation   {running.web}/api/docs
  GraphQL             {running.web}/graphql (by POST, or ?query=…)
  Admin               {running.web}/admin/

To pay a booking, send one of these as its method. The provider takes no money.
  {", ".join(METHODS)}
"""
    )
    for line in running.seeded:
        say(line)
    say("\nE-mails are in the worker's log. What follows are the logs; Ctrl-C ends everything.\n")


def main() -> int:
    """Wait for the end of the project, or for a reason to end it."""
    if sys.argv[1:] == ["--kept"]:
        return run()
    ending, starter = Ending(), os.getppid()
    with kept("local.run", "--kept") as program:
        while program.poll() is None and not ending.wait(0.2) and os.getppid() == starter:
            pass
    return ending.status or program.returncode


if __name__ == "__main__":
    sys.exit(main())
