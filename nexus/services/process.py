"""Server programs whose lifetime is the kernel's: the kernel's side of the keeper."""

import atexit
import contextlib
import json
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import psutil

from nexus.services import keeper as keeper_program
from nexus.services import programs
from nexus.services.errors import ServiceError
from nexus.services.surroundings import plain

LONGEST_DIRECTORY = 60
"""Characters a directory of sockets may have: a socket's whole path may have 103 on macOS."""

PORT_IS_TAKEN = r"(?i)address (is )?(already )?in use|connection in use|eaddrinuse"
"""How servers say that someone else has their port."""


def wait_for(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Waits until a condition holds.

    Args:
        condition: called every few milliseconds until it gives something true.
        seconds: how long to wait at most.
        what: what is waited for, for the message.

    Raises:
        TimeoutError: if the condition does not hold in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(0.004)


def parent_directory() -> Path:
    """The directory for servers' directories: NEXUS_RUN_DIR, the system's temporary one, or /tmp.

    Raises:
        ServiceError: if none can be written, is short enough for a socket's path, and (for root,
            whose PostgreSQL runs as another user) can be reached by every user.
    """
    named = os.environ.get("NEXUS_RUN_DIR")
    for candidate in filter(None, [named, tempfile.gettempdir(), "/tmp"]):  # noqa: S108
        path = Path(candidate).resolve()
        if (
            path.is_dir()
            and os.access(path, os.W_OK | os.X_OK)
            and len(str(path)) <= LONGEST_DIRECTORY
            and (os.geteuid() != 0 or programs.reachable(path))
        ):
            return path
    raise ServiceError(
        "no directory for the servers' files: name one in NEXUS_RUN_DIR that you can write "
        f"and whose path has at most {LONGEST_DIRECTORY} characters"
    )


def nobody() -> tuple[int, int] | None:
    """The user and group for a server that refuses to run as root; None if this is not root."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return entry.pw_uid, entry.pw_gid


def own(user: tuple[int, int] | None, *paths: Path) -> None:
    """Gives files to the user that a server runs as, if that is another one."""
    for path in paths if user else ():
        os.chown(path, *(user or ()))


class Keeper:
    """The kernel's connection to its keeper; one for all servers of a kernel.

    Raises:
        ServiceError: if the keeper cannot start or is gone.
    """

    def __init__(self) -> None:
        script = str(Path(keeper_program.__file__).resolve())
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", script, str(parent_directory())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # an interrupt of the kernel is not for the keeper
        )
        self.lock = threading.Lock()
        self.number = 0
        self.replies: dict[int, dict[str, Any]] = {}
        line = self._stdout.readline()
        if not line:
            problem = self._stderr.read().decode(errors="replace").strip().splitlines()
            raise ServiceError(f"the keeper did not start: {problem[-1] if problem else 'no word'}")
        self.directory = Path(json.loads(line)["directory"])
        self.closing = False
        threading.Thread(target=self._watch, name="nexus-keeper", daemon=True).start()

    @property
    def _stdout(self) -> Any:  # noqa: ANN401 (a pipe; typeshed has it optional)
        return self.process.stdout

    @property
    def _stderr(self) -> Any:  # noqa: ANN401
        return self.process.stderr

    @property
    def _stdin(self) -> Any:  # noqa: ANN401
        return self.process.stdin

    @property
    def alive(self) -> bool:
        """Whether the keeper still runs."""
        return not self.closing and self.process.poll() is None

    def check(self) -> None:
        """Raises ServiceError if the keeper is gone."""
        if not self.alive:
            raise ServiceError(
                "the keeper, which ends servers together with the kernel, was killed, and its "
                "servers with it: start them again"
            )

    def _watch(self) -> None:
        """Does the keeper's work should the keeper be killed before the kernel ends."""
        self.process.wait()
        if not self.closing:
            keeper_program.clear(self.directory)

    def request(self, do: str, **arguments: object) -> dict[str, Any]:
        """Asks the keeper for something and gives its reply."""
        with self.lock:
            self.number += 1
            number = self.number
            try:
                message = {"number": number, "do": do, **arguments}
                self._stdin.write((json.dumps(message) + "\n").encode())
                self._stdin.flush()
                # An interrupt may have left the reply of an earlier request unread: skip it.
                while (reply := json.loads(self._stdout.readline()))["number"] != number:
                    pass
            except (OSError, ValueError):
                self.process.wait()  # it is ending, or has ended
                self.check()
                raise
        if problem := reply.get("error"):
            raise ServiceError(problem)
        return reply

    def close(self) -> None:
        """Lets the keeper end all servers, and waits for it."""
        if self.closing:
            return
        self.closing = True
        with contextlib.suppress(OSError):
            self._stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(4 * keeper_program.GRACE)

    def forget(self) -> None:
        """Lets go of the pipe in a forked child: the servers are its parent's."""
        self.closing = True
        with contextlib.suppress(OSError):
            os.close(self._stdin.fileno())


_keeper: Keeper | None = None
_starting = threading.Lock()


def keeper() -> Keeper:
    """The keeper of this kernel, started when first needed."""
    global _keeper
    with _starting:
        if _keeper is None or not _keeper.alive:
            _keeper = Keeper()
        return _keeper


def scratch() -> Path:
    """Makes an empty folder for a chapter's own files; the keeper removes it after the kernel.

    Returns:
        The path of the folder.
    """
    return Path(tempfile.mkdtemp(prefix="scratch-", dir=keeper().directory)).resolve()


def _close() -> None:
    if _keeper is not None:
        _keeper.close()


def _forget() -> None:
    global _keeper, _starting
    _starting = threading.Lock()
    if _keeper is not None:
        _keeper.forget()
        _keeper = None


atexit.register(_close)
os.register_at_fork(after_in_child=_forget)


class Server:
    """A server program that runs until it is stopped, or until the kernel is gone.

    It ends, and its directory is removed, when the handle is closed, leaves its `with` block, or
    is no longer referred to, be it by a variable or by a connection that it gave.

    Subclasses say what to start and when it is ready.
    """

    kind = "server"
    port = 0
    """The TCP port it listens on; 0 for none."""
    end_signal = "SIGTERM"
    """What ends it for good: its data is about to be removed."""
    stop_signal = "SIGTERM"
    """What ends it so that it can be started again."""
    patience = 60.0
    """Seconds it has to get ready. A deadline for a machine in trouble, not an expectation."""

    _started: ClassVar["weakref.WeakValueDictionary[int, Server]"] = weakref.WeakValueDictionary()
    _count: ClassVar[int] = 0

    def __init__(self) -> None:
        self._keeper = keeper()
        Server._count += 1
        self._number = Server._count
        self.directory = self._keeper.directory / f"{self.kind}-{self._number}"
        self.directory.mkdir(mode=0o700)
        self.log_file = self.directory / "log"
        self.log_file.touch()
        self.log_start = 0  # where in the log the last start began
        self.pid: int | None = None
        self._pid_to_end: list[int] = []
        self._finalizer = weakref.finalize(
            self,
            _end_in_background,
            self._keeper,
            self._pid_to_end,
            self.end_signal,
            self.directory,
        )
        # The keeper does it.
        self._finalizer.atexit = False  # pyrefly: ignore

    # What a subclass says.

    def prepare(self) -> None:
        """Makes what it needs before its first start."""

    def command(self) -> list[str]:
        """The program and its arguments."""
        raise NotImplementedError

    def is_ready(self) -> bool:
        """Whether it serves."""
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        """The environment it runs in.

        Its directory is its temporary one too: what a killed program leaves there goes with it.
        """
        return plain(os.environ) | {"TMPDIR": str(self.directory)}

    def working_directory(self) -> Path:
        """The folder it runs in."""
        return self.directory

    def user(self) -> tuple[int, int] | None:
        """The user and group it runs as, where that is not the kernel's."""
        return None

    def hint(self, log: str) -> str:  # noqa: ARG002 (for subclasses)
        """What to do about a failed start, from the log; empty if unknown."""
        return ""

    # What all servers do.

    def _start_first(self, choose_port: Callable[[], int] | None = None) -> None:
        """Starts it for the first time, again on another port should one be taken meanwhile.

        Args:
            choose_port: gives a port that is free; None if the server listens on none.

        Raises:
            ServiceError: if it does not start; nothing is left of it.
        """
        try:
            self.prepare()
            for attempts_left in reversed(range(5)):
                if choose_port:
                    self.port = choose_port()
                try:
                    self.start()
                    return
                except ServiceError as error:
                    taken = choose_port and re.search(PORT_IS_TAKEN, str(error))
                    if not taken or attempts_left == 0:
                        raise
        except BaseException:  # an interrupt too
            self.close()
            raise

    def start(self) -> Self:
        """Starts the server, and returns when it is ready.

        Raises:
            ServiceError: if it ends or is not ready in time; with the end of its log.
        """
        if self.running:
            return self
        self._keeper.check()
        if not self._finalizer.alive:
            raise ServiceError(f"this {self.kind} was closed: start another")
        self.log_start = self.log_file.stat().st_size
        self.pid = self._spawn(self.command())
        try:
            wait_for(lambda: not self.running or self.is_ready(), self.patience, "it to be ready")
        except TimeoutError as error:
            problem = f"{self.kind} {error}"
            self._end_process("SIGKILL")
            raise self._failure(problem) from None
        except BaseException:  # an interrupt too
            self._end_process("SIGKILL")
            raise
        if not self.running:
            raise self._failure(f"{self.kind} did not start")
        Server._started[self._number] = self
        return self

    @property
    def running(self) -> bool:
        """Whether the server's process runs."""
        if self.pid is None or not self._keeper.alive:
            return False
        return self._status(self.pid) is None

    @property
    def log(self) -> str:
        """All that the server has written to its log."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def processes(self) -> list[psutil.Process]:
        """The server's process and those it started, in the order they were started."""
        if not self.running:
            return []
        try:
            main = psutil.Process(self.pid)
            rest = main.children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        running = []
        # Not by number, which begins again from below; who starts another one comes before it.
        for process in sorted(rest, key=lambda process: process.create_time()):
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.status() != psutil.STATUS_ZOMBIE:
                    running.append(process)
        return [main, *running]

    def listens(self) -> bool:
        """Whether one of its own processes listens on its port: a stranger could answer there."""
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                if any(
                    connection.status == psutil.CONN_LISTEN and connection.laddr.port == self.port
                    for connection in process.net_connections("tcp")
                ):
                    return True
        return False

    def stop(self) -> None:
        """Stops the server as an administrator would; its data stays, `start()` continues."""
        self._end_process(self.stop_signal)

    def kill(self) -> None:
        """Kills the server and all its processes with SIGKILL, as a power cut would."""
        victims = self.processes()
        for process in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(victims[1:], timeout=keeper_program.GRACE)
        wait_for(lambda: not self.running, keeper_program.GRACE, f"{self.kind} to be gone")

    def restart(self) -> Self:
        """Stops the server and starts it again on the same data."""
        self.stop()
        return self.start()

    def close(self) -> None:
        """Ends the server and removes its directory; a second call does nothing."""
        if self._finalizer.detach():
            _end(self._keeper, self._pid_to_end, self.end_signal, self.directory)
            self.pid = None

    def _keep_for(self, client: object) -> None:
        """Lives at least as long as a client: `nexus.valkey().connect()` needs no variable."""
        weakref.finalize(client, lambda _: None, self).atexit = False  # pyrefly: ignore

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "running" if self.running else "stopped"
        return f"<{self.kind}, {state}>"

    def _spawn(self, argv: list[str], *, log: Path | None = None) -> int:
        user = self.user()
        pid: int = self._keeper.request(
            "start",
            argv=[str(part) for part in argv],
            env=dict(self.environment()),
            cwd=str(self.working_directory()),
            log=str(log or self.log_file),
            user=list(user) if user else None,
            end=self.end_signal,
        )["pid"]
        self._pid_to_end[:] = [pid]
        return pid

    def _run(self, argv: list[str], what: str) -> None:
        """Runs a program of the server to its end, under the keeper's eyes."""
        pid = self._spawn(argv)
        try:
            wait_for(lambda: self._status(pid) is not None, self.patience, what)
        except BaseException:
            self._keeper.request("stop", pid=pid, signal_name="SIGKILL")
            raise
        if self._status(pid) != 0:
            raise self._failure(f"{what} failed")

    def _status(self, pid: int) -> int | None:
        status: int | None = self._keeper.request("poll", pid=pid)["status"]
        return status

    def _end_process(self, signal_name: str) -> None:
        if self.running:
            self._keeper.request("stop", pid=self.pid, signal_name=signal_name)

    def _failure(self, problem: str) -> ServiceError:
        """An error with the end of the log and, where it is known, what to do."""
        lines = self.log[self.log_start :].strip().splitlines()[-12:]
        hint = self.hint("\n".join(lines))
        parts = [problem, *(f"  | {line}" for line in lines), *([hint] if hint else [])]
        return ServiceError("\n".join(parts))


def current(kind: str) -> Server:
    """The server of a kind that was started last and still runs.

    Raises:
        ServiceError: if there is none.
    """
    for _, server in sorted(Server._started.items(), reverse=True):
        if server.kind == kind and server.running:
            return server
    raise ServiceError(f"no {kind} is running: start one with nexus.{kind}()")


def _end(keeper: Keeper, pids: list[int], signal_name: str, directory: Path) -> None:
    """Ends the processes of a server and removes its directory."""
    for pid in pids:
        with contextlib.suppress(ServiceError):
            keeper.request("stop", pid=pid, signal_name=signal_name)
    if not keeper.closing:
        keeper_program.release_shared_memory(directory.parent, directory.name)
        shutil.rmtree(directory, ignore_errors=True)


def _end_in_background(*arguments: Any) -> None:  # noqa: ANN401
    # The garbage collector may call this in the middle of a request: it must not wait here.
    threading.Thread(target=_end, args=arguments, daemon=True).start()
