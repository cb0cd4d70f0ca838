"""The keeper: ends the servers of one kernel, and removes their directory, when the kernel is gone.

A kernel can be ended with SIGKILL, and then runs no clean-up of its own. So the kernel starts this
program first, and keeps the write end of a pipe to it. Whatever ends the kernel, the system closes
that pipe; the keeper reads end-of-file, ends every server it started, and removes the directory.

The kernel writes requests as lines of JSON on the keeper's standard input, and reads one line of
JSON for each. The first line that the keeper writes names the directory it made.

Should the keeper itself be killed, Linux ends its servers (PR_SET_PDEATHSIG), the kernel notices
and removes the directory; and should both be killed at once, the next keeper finds the directory
with nobody's lock on it, and clears it.

This file is run as a script with the standard library only, so that it starts in milliseconds.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

PREFIX = "nexus-servers-"
"""What the names of keepers' directories begin with. With the lock inside it tells them from any
other directory: nothing else is ever swept."""
GRACE = 5.0
"""Seconds that a server has to end by itself before it is killed."""

ON_LINUX = sys.platform == "linux"
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

FILES = 4096
"""Files and sockets that a server may have open, if the system allows as many; a shell's 1,024 are
too few for a thousand clients."""

MARK = "NEXUS_KEPT_IN"
"""In the environment of every server: the keeper's directory."""


def prctl(option: int, value: int) -> None:
    """Sets an attribute of this process, as prctl in section 2 of Linux's manual; else nothing."""
    if ON_LINUX:
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def prepare(end_signal: int) -> None:
    """Makes a process ready to become a server.

    It ends with its keeper, hears all signals, and may have enough files open.
    """
    prctl(PR_SET_PDEATHSIG, end_signal)
    # What the keeper ignores, or was started with, would be ignored by the server too.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):  # those that a shell may ignore
        signal.signal(number, signal.SIG_DFL)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY != soft < FILES:
        wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def born(pid: int) -> str | None:
    """When a process started, to tell it from a later one with the same number; None if gone."""
    if ON_LINUX:
        try:
            # Field 22 of proc_pid_stat(5); the second field, in brackets, may hold spaces.
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        except (OSError, IndexError):
            return None
    found = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True)
    return found.stdout.strip() or None


def children() -> list[int]:
    """The processes whose parent is this one, adopted ones included (Linux only)."""
    me = str(os.getpid())
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if stat.read_text().rpartition(")")[2].split()[1] == me:
                found.append(int(stat.parent.name))
    return found


def marked(directory: Path) -> Iterator[int]:
    """Processes that were started as servers of a directory, or by them (Linux only)."""
    mark = f"{MARK}={directory}\0".encode()
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in environment.read_bytes():
                yield int(environment.parent.name)


def release_shared_memory(directory: Path, server: str = "*") -> None:
    """Frees the System V segment that a killed PostgreSQL leaves behind.

    Line 7 of postmaster.pid holds the segment's key and id.

    Args:
        directory: the keeper's directory.
        server: the name of the server's folder in it; all by default.
    """
    for pid_file in directory.glob(f"{server}/data/postmaster.pid"):
        with contextlib.suppress(OSError, IndexError):
            segment = pid_file.read_text().splitlines()[6].split()[1]
            subprocess.run(["ipcrm", "-m", segment], capture_output=True)


def clear(directory: Path) -> None:
    """Ends what a keeper that is gone has left running, and removes its directory."""
    with contextlib.suppress(OSError):
        for line in (directory / "servers").read_text().splitlines():
            pid, _, start = line.partition(" ")
            if born(int(pid)) == start:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(int(pid), signal.SIGKILL)
    for left in marked(directory):  # what has left its group to run as a daemon
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(left, signal.SIGKILL)
    remove(directory)


def remove(directory: Path) -> None:
    """Removes a directory of servers and the shared memory they may have left."""
    release_shared_memory(directory)
    deadline = time.monotonic() + GRACE
    while directory.exists() and time.monotonic() < deadline:
        shutil.rmtree(directory, ignore_errors=True)  # again, while something still writes there
        time.sleep(0.01)


def sweep(parent: Path) -> None:
    """Clears the keepers' directories of this user whose lock nobody holds any more."""
    for directory in parent.glob(PREFIX + "*"):
        with contextlib.suppress(OSError):
            if directory.is_symlink() or directory.stat().st_uid != os.geteuid():
                continue
            # Without a lock it is not a keeper's, or its keeper is just making it: hands off.
            with (directory / "lock").open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                clear(directory)


class Keeper:
    """The servers of one kernel, and the directory that holds their data, sockets and logs."""

    def __init__(self, parent: Path) -> None:
        """Makes the directory and takes its lock.

        Args:
            parent: where to make it.
        """
        self.directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        self.lock: IO[str] = (self.directory / "lock").open("w")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        if os.geteuid() == 0:
            # A server that runs as another user must reach its own directory, but not list this.
            self.directory.chmod(0o711)
        self.servers: dict[int, subprocess.Popen[bytes]] = {}
        self.end_signals: dict[int, int] = {}

    def start(
        self,
        argv: list[str],
        env: dict[str, str],
        cwd: str,
        log: str,
        user: list[int] | None,
        end: str,
    ) -> dict[str, Any]:
        """Starts a program in a session of its own; its output goes to the end of the log.

        Args:
            argv: the program and its arguments.
            env: its whole environment.
            cwd: its working directory.
            log: the file that gets its standard output and error.
            user: the numbers of the user and group to run as; None for this one's.
            end: the name of the signal that ends it when the kernel is gone.
        """
        end_signal = signal.Signals[end]
        with open(log, "ab") as output:  # noqa: PTH123 (this path comes as text)
            server = subprocess.Popen(
                argv,
                # setproctitle would overwrite the environment, and the mark in it.
                env=env | {MARK: str(self.directory), "SPT_NOENV": "1"},
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=user[0] if user else None,
                group=user[1] if user else None,
                extra_groups=[] if user else None,
                # After the change of user, which would undo it.
                preexec_fn=lambda: prepare(end_signal),
            )
        self.servers[server.pid] = server
        self.end_signals[server.pid] = end_signal
        with (self.directory / "servers").open("a") as record:
            record.write(f"{server.pid} {born(server.pid)}\n")
        return {"pid": server.pid}

    def poll(self, pid: int) -> dict[str, Any]:
        """The exit status of a server, negative for a signal; None while it runs."""
        return {"status": self.servers[pid].returncode}

    def stop(self, pid: int, signal_name: str, grace: float = GRACE) -> dict[str, Any]:
        """Sends a signal to a server, waits for its end, and kills what is left of its group."""
        self.signal(pid, signal.Signals[signal_name])
        self.wait(lambda: self.servers[pid].returncode is not None, grace)
        self.kill_group(pid)
        self.wait(lambda: self.servers[pid].returncode is not None, grace)
        return self.poll(pid)

    def signal(self, pid: int, number: int) -> None:
        """Signals a server that still runs."""
        if self.servers[pid].returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill_group(self, pid: int) -> None:
        """Kills what a server and the processes it started have left running.

        A number that was collected is free. A process that has it now is a stranger's, and its
        group too: the number would not be free if the server's group still had a member.
        """
        if self.servers[pid].returncode is not None and born(pid):
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)

    def reap(self) -> None:
        """Collects the exit status of every child that has ended, adopted ones too."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if pid in self.servers:
                    self.servers[pid].returncode = os.waitstatus_to_exitcode(status)

    def wait(self, condition: Callable[[], bool], seconds: float) -> None:
        """Waits until a condition holds, or the time is over."""
        deadline = time.monotonic() + seconds
        self.reap()
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.002)
            self.reap()

    def end(self) -> None:
        """Ends every server and whatever it started, and removes the directory."""
        for pid, number in self.end_signals.items():
            self.signal(pid, number)
        self.wait(lambda: all(s.returncode is not None for s in self.servers.values()), GRACE)
        for pid in self.servers:
            self.kill_group(pid)
        deadline = time.monotonic() + GRACE
        while ON_LINUX and time.monotonic() < deadline and (left := children()):
            # What left its session to run as a daemon was given to this process (subreaper).
            for pid in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.002)
            self.reap()
        remove(self.directory)

    def answer(self, line: bytes) -> str:
        """Carries out one request and gives the reply, which has the request's number."""
        request = json.loads(line)
        number, do = request.pop("number"), request.pop("do")
        self.reap()
        try:
            reply = {"start": self.start, "poll": self.poll, "stop": self.stop}[do](**request)
        except (OSError, subprocess.SubprocessError, KeyError) as error:
            reply = {"error": str(error)}
        return json.dumps({"number": number, **reply}) + "\n"

    def requests(self) -> Iterator[bytes]:
        """The kernel's requests, until its end of the pipe is closed."""
        waiting = b""
        while True:
            readable, _, _ = select.select([0], [], [], 1.0)
            self.reap()
            if not readable:
                continue
            more = os.read(0, 65536)
            if not more:
                return
            *lines, waiting = (waiting + more).split(b"\n")
            yield from lines


def main() -> None:
    """Keeps servers until standard input ends, or a signal says to."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    parent = Path(sys.argv[1])
    keeper = Keeper(parent)
    try:
        os.write(1, (json.dumps({"directory": str(keeper.directory)}) + "\n").encode())
        sweep(parent)
        for line in keeper.requests():
            os.write(1, keeper.answer(line).encode())
    except BrokenPipeError:
        pass  # the kernel is gone
    finally:
        keeper.end()


if __name__ == "__main__":
    main()
