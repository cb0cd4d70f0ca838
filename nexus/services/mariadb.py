"""MariaDB from the machine (no wheel carries it), from a template that is made once a kernel."""

import re
import shlex
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexus.services import programs
from nexus.services.process import Server, nobody, own

if TYPE_CHECKING:
    import pymysql

SETTINGS = {
    # Small, so that several run beside each other.
    "innodb_buffer_pool_size": "8M",
    "innodb_log_file_size": "8M",
    "innodb_log_buffer_size": "2M",
    "aria_pagecache_buffer_size": "1M",
    "key_buffer_size": "1M",
    "performance_schema": False,
    "skip_name_resolve": True,
    "default_time_zone": "+00:00",
    # As Debian's package mariadb-server sets them; the program alone would take latin1.
    "character_set_server": "utf8mb4",
    "collation_server": "utf8mb4_general_ci",
}
"""What differs from a server of the same version with its own defaults. Durability does not."""

HINTS = [
    (r"(?i)no space left|errno: 28", "The disk is full: free some space, or set NEXUS_RUN_DIR."),
    (r"unknown (variable|option)", "MariaDB knows no such setting: see its manual for the names."),
    (
        r"(?i)error while setting value|unknown suffix|ambiguous option",
        "MariaDB does not take this value: see its manual for the setting.",
    ),
    (
        r"cannot open shared object file",
        "A library is missing: apt-get install --no-install-recommends mariadb-server-core",
    ),
]

_making = threading.Lock()
"""Two threads make no template at the same time."""


def _setting(name: str, value: object) -> str:
    """An option of the server's command line."""
    return f"--{name}={int(value) if isinstance(value, bool) else value}"


class MariaDB(Server):
    """A running MariaDB server with its own data directory.

    Attributes:
        socket: the file through which clients reach it; only this user can open it.
    """

    kind = "mariadb"
    end_signal = "SIGKILL"  # at once; InnoDB would write all pages first

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401
        """Makes the data directory and starts the server.

        Args:
            **settings: the server's own settings under their own names, with underscores.

        Raises:
            MissingProgram: if there is no MariaDB.
            ServiceError: if it does not start; with the end of its log.
        """
        super().__init__()
        self.settings = SETTINGS | settings
        self.socket = str(self.directory / "socket")
        self._program = programs.mariadb()
        self._data = self.directory / "data"
        self._start_first()

    def connect(self, **options: Any) -> "pymysql.Connection[Any]":  # noqa: ANN401
        """Opens a connection as root, who may do everything on this server.

        Args:
            **options: those of pymysql.connect, such as autocommit, database or user.

        Returns:
            A connection of PyMySQL.
        """
        import pymysql  # a chapter needs it, and `import nexus` does not

        address = {"unix_socket": self.socket, "user": "root", "charset": "utf8mb4"}
        connection: pymysql.Connection[Any] = pymysql.connect(**(address | options))
        self._keep_for(connection)
        return connection

    def django(self, name: str) -> dict[str, Any]:
        """Django's settings of a database on this server.

        Args:
            name: the database's name.
        """
        return {
            "ENGINE": "django.db.backends.mysql",
            "NAME": name,
            "USER": "root",
            "HOST": self.socket,
            "OPTIONS": {"charset": "utf8mb4"},
        }

    # How it is started.

    def command(self) -> list[str]:
        """The server program on its data directory, without a TCP port."""
        return [
            *self._on(self._data),
            f"--socket={self.socket}",
            "--skip-networking",
            f"--pid-file={self.directory / 'pid'}",
            *(_setting(*item) for item in self.settings.items()),
        ]

    def user(self) -> tuple[int, int] | None:
        """MariaDB refuses to run as root, and then runs as nobody."""
        return nobody()

    def is_ready(self) -> bool:
        """Whether it has said so since this start."""
        return "ready for connections" in self.log[self.log_start :]

    def hint(self, log: str) -> str:
        """What to do about the failures that are known."""
        return next((hint for pattern, hint in HINTS if re.search(pattern, log)), "")

    def prepare(self) -> None:
        """Copies the template, which the first server of a kernel makes."""
        own(self.user(), self.directory, self.log_file)
        with _making:
            template = self._keeper.directory / "mariadb-template"
            if not template.exists():
                self._bootstrap(self.directory / "template")
                (self.directory / "template").rename(template)
        self._run(["cp", "-R", str(template), str(self._data)], "the copy of the template")

    def _on(self, data: Path) -> list[str]:
        """The program, which reads no configuration of the machine, on a data directory."""
        return [
            str(self._program),
            "--no-defaults",
            f"--datadir={data}",
            f"--tmpdir={self.directory}",
        ]

    def _bootstrap(self, data: Path) -> None:
        """Makes a data directory with the system's tables, as mariadb-install-db does."""
        data.mkdir()
        own(self.user(), data)
        tables = programs.mariadb_tables(self._program)
        statements = self.directory / "bootstrap.sql"
        statements.write_text(
            "CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket = NULL;\n"
            + "".join(path.read_text() for path in tables)
        )
        own(self.user(), statements)
        log_size = _setting("innodb_log_file_size", SETTINGS["innodb_log_file_size"])
        argv = [*self._on(data), log_size, "--bootstrap"]
        self._run(["/bin/sh", "-c", f"exec {shlex.join(argv)} < bootstrap.sql"], "the bootstrap")
        statements.unlink()


def mariadb(**settings: Any) -> MariaDB:  # noqa: ANN401
    """Starts a MariaDB server that lives as long as its handle, and at most as the kernel.

    It is reached through a Unix socket that only this user can open.

    Args:
        **settings: the server's own settings under their own names, with underscores.

    Returns:
        The running server's handle. It is a context manager too.

    Raises:
        MissingProgram: if MariaDB is not installed; the message is the command that does it.
        ServiceError: if it does not start; with the end of its log.
    """
    return MariaDB(**settings)
