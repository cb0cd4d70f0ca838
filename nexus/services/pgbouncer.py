"""PgBouncer from the machine (no wheel carries it), in front of a PostgreSQL of the bench."""

from typing import Any, cast
from urllib.parse import quote

import psycopg
from psycopg.rows import dict_row

from nexus.services import programs
from nexus.services.postgres import Postgres
from nexus.services.process import Server, current, own

SETTINGS = {
    "listen_addr": "",
    "admin_users": "pgbouncer",
    "auth_type": "any",  # the socket's directory is open to this user only
    "pool_mode": "transaction",
    "default_pool_size": 20,
    "server_login_retry": 0,  # a notebook need not wait 15 seconds after a restart
}
"""What differs from PgBouncer's own defaults."""


class PgBouncer(Server):
    """A running PgBouncer.

    Attributes:
        url: where it is, for anything that takes a connection URL.
        env: where it is, as environment variables for Django and others.
    """

    kind = "pgbouncer"
    end_signal = "SIGKILL"  # nothing is to be kept, and newer versions wait for their clients

    def __init__(
        self,
        server: Postgres | None = None,
        *,
        role: str = "postgres",
        **settings: object,
    ) -> None:
        """Starts PgBouncer.

        Args:
            server: the PostgreSQL behind it; by default the one that was started last.
            role: the role of PostgreSQL that all clients become.
            **settings: PgBouncer's own settings under their own names, as in pgbouncer.ini.

        Raises:
            MissingProgram: if PgBouncer is not installed.
            ServiceError: if it does not start; with the end of its log.
        """
        self._program = programs.pgbouncer()
        super().__init__()
        self._server = server or cast(Postgres, current("postgres"))
        self._role = role
        self.settings = SETTINGS | settings
        self.port = 6432  # only a part of the socket's name
        self._start_first()

    @property
    def url(self) -> str:
        """The address as a connection URL."""
        place = quote(str(self.directory), safe="")
        return f"postgresql://{self._role}@/postgres?host={place}&port={self.port}"

    @property
    def env(self) -> dict[str, str]:
        """The address as the environment variables that libpq reads."""
        return {
            "PGHOST": str(self.directory),
            "PGPORT": str(self.port),
            "PGUSER": self._role,
            "PGDATABASE": "postgres",
        }

    def connect(self, **options: Any) -> "psycopg.Connection[Any]":  # noqa: ANN401
        """Opens a connection through it.

        Args:
            **options: those of psycopg.connect, such as autocommit or dbname.
        """
        connection = psycopg.connect(self.url, **options)
        self._keep_for(connection)
        return connection

    def admin(self, command: str) -> list[dict[str, Any]]:
        """Sends a command to PgBouncer's own console, such as SHOW POOLS.

        Args:
            command: one of https://www.pgbouncer.org/usage.html#admin-console.

        Returns:
            The rows, each by the names of its columns.

        Raises:
            psycopg.Error: if PgBouncer refuses the command.
        """
        with psycopg.connect(
            self.url,
            dbname="pgbouncer",
            user="pgbouncer",
            autocommit=True,
            row_factory=dict_row,
            cursor_factory=psycopg.ClientCursor,  # the console knows the simple protocol only
        ) as console:
            cursor = console.execute(command)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def prepare(self) -> None:
        """Gives the directory to the user that it runs as."""
        own(self.user(), self.directory, self.log_file)

    def command(self) -> list[str]:
        """The program, on its own configuration."""
        place = {"unix_socket_dir": self.directory, "listen_port": self.port}
        lines = "".join(f"{name} = {value}\n" for name, value in (self.settings | place).items())
        behind = self._server.env
        file = self.directory / "pgbouncer.ini"
        file.write_text(
            f"[databases]\n* = host={behind['PGHOST']} port={behind['PGPORT']} user={self._role}"
            + (f" password={behind['PGPASSWORD']}" if "PGPASSWORD" in behind else "")
            + f"\n[pgbouncer]\n{lines}"
        )
        own(self.user(), file)
        return [str(self._program), str(file)]

    def user(self) -> tuple[int, int] | None:
        """PgBouncer refuses to run as root too, and then runs as PostgreSQL does."""
        return self._server.user()

    def is_ready(self) -> bool:
        """Whether its console answers."""
        try:
            return bool(self.admin("SHOW VERSION"))
        except psycopg.OperationalError:
            return False


def pgbouncer(
    server: Postgres | None = None, *, role: str = "postgres", **settings: object
) -> PgBouncer:
    """Starts a PgBouncer in front of a PostgreSQL, in transaction mode unless you say otherwise.

    Args:
        server: the PostgreSQL behind it; by default the one that was started last.
        role: the role of PostgreSQL that all clients become.
        **settings: PgBouncer's own settings under their own names, as in pgbouncer.ini.

    Returns:
        The running program's handle. It is a context manager too.

    Raises:
        MissingProgram: if PgBouncer is not installed; the message is the command that does it.
        ServiceError: if it does not start; with the end of its log.
    """
    return PgBouncer(server, role=role, **settings)
