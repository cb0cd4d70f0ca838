"""Valkey 9 from a wheel, or the machine's own; it speaks Redis."""

import secrets
from collections.abc import Iterable
from typing import Any

import redis

from nexus.services import programs
from nexus.services.ports import free_port
from nexus.services.process import Server

PATIENCE = 60.0
"""Seconds that a client waits for an answer."""


class Valkey(Server):
    """A running Valkey server.

    Attributes:
        url: where it is, for redis-py and all that take such a URL.
    """

    kind = "valkey"
    stop_signal = "SIGTERM"  # saves, where the settings say so
    end_signal = "SIGKILL"  # nothing is to be kept

    def __init__(self, *, tcp: bool = False, **settings: object) -> None:
        """Starts the server.

        Args:
            tcp: listen on 127.0.0.1, on a free port and with a password; otherwise the server is
                reached through a Unix socket that only this user can open.
            **settings: the server's own settings, with "_" for "-"; True and False for yes and no.

        Raises:
            MissingProgram: if there is no Valkey.
            ServiceError: if it does not start; with the end of its log.
        """
        super().__init__()
        self.tcp = tcp
        self.settings = settings
        self.password = secrets.token_urlsafe(16) if tcp else ""
        self.port = 0
        self._program = programs.valkey()
        self._start_first(free_port if tcp else None)

    @property
    def url(self) -> str:
        """The server's address as redis-py and Celery take it."""
        if self.tcp:
            return f"redis://:{self.password}@127.0.0.1:{self.port}/0"
        return f"unix://{self.directory}/socket"

    def connect(self, **options: Any) -> redis.Redis:  # noqa: ANN401
        """Opens a client.

        Args:
            **options: those of redis.Redis.from_url, such as decode_responses. It is patient by
                default: redis-py's own five seconds may pass on a machine that is busy.
        """
        client = redis.Redis.from_url(self.url, **{"socket_timeout": PATIENCE} | options)
        self._keep_for(client)
        return client

    def command(self) -> list[str]:
        """The server program, with the settings on its command line."""
        place = (
            {"bind": "127.0.0.1", "port": self.port, "requirepass": self.password}
            if self.tcp
            else {"port": 0, "unixsocket": self.directory / "socket", "unixsocketperm": 700}
        )
        # No snapshots unless asked for: a cache of a chapter has nothing to keep.
        settings = {"save": "", "dir": self.directory, "daemonize": False} | self.settings | place
        return [str(self._program), *_arguments(settings.items())]

    def is_ready(self) -> bool:
        """Whether it answers PING, and nobody else has the port."""
        if self.tcp and not self.listens():
            return False
        try:
            with redis.Redis.from_url(self.url) as client:
                return bool(client.ping())
        except (redis.ConnectionError, redis.TimeoutError):
            return False

    def hint(self, log: str) -> str:
        """What to do about the failures that are known."""
        if "FATAL CONFIG FILE ERROR" in log:
            return "Valkey does not take this setting: see its valkey.conf for names and values."
        return ""


def _arguments(settings: Iterable[tuple[str, object]]) -> list[str]:
    words = {True: "yes", False: "no"}
    arguments = []
    for name, value in settings:
        text = words[value] if isinstance(value, bool) else str(value)
        arguments += ["--" + name.replace("_", "-"), text]
    return arguments


def valkey(*, tcp: bool = False, **settings: object) -> Valkey:
    """Starts a Valkey server that lives as long as its handle, and at most as the kernel.

    Args:
        tcp: listen on 127.0.0.1, on a free port and with a password, instead of a Unix socket.
        **settings: the server's own settings, with "_" for "-"; True and False for yes and no.

    Returns:
        The running server's handle. It is a context manager too.

    Raises:
        MissingProgram: if there is no Valkey.
        ServiceError: if it does not start; with the end of its log.
    """
    return Valkey(tcp=tcp, **settings)
