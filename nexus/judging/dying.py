"""Clients of Valkey that something befalls at one of their commands: death, or an event before it.

A redis client sends its commands by `execute_command`, and by the `execute` of a pipeline, which
counts as one. A script is one command.
"""

from collections.abc import Callable
from typing import Any, Self, cast

import redis

from nexus.judging.limits import Enough
from nexus.services import Valkey


class Eventful(redis.Redis):
    """A client with something that happens before one of its commands.

    Attributes:
        sent: how many commands it was told to send.
        at: before which of them; 0 for none.
        then: what happens; gets the command's name.
    """

    sent = 0
    at = 0
    then: Callable[[str], None]

    @classmethod
    def of(cls, server: Valkey, at: int, then: Callable[[str], None], seconds: float) -> Self:
        """A client of a server.

        Args:
            server: the Valkey.
            at: before which command something happens.
            then: what.
            seconds: its socket's time-out.
        """
        options: dict[str, Any] = {"decode_responses": True, "socket_timeout": seconds}
        client = cast(Self, cls.from_url(server.url, **options))
        client.at, client.then = at, then
        return client

    def happen(self, command: str) -> None:
        """Counts a command that is about to be sent."""
        self.sent += 1
        if self.sent == self.at:
            self.then(command)

    def execute_command(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        """Sends a command."""
        self.happen(str(args[0]))
        return super().execute_command(*args, **options)

    def pipeline(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        """A pipeline, which is sent as one."""
        pipeline = super().pipeline(*args, **options)
        execute = pipeline.execute

        def counted(*given: Any, **named: Any) -> Any:  # noqa: ANN401
            self.happen("a pipeline")
            return execute(*given, **named)

        pipeline.execute = counted
        return pipeline


class Death(Enough):
    """The end of a process, as the answer's own code could see it: nothing that it can handle."""


def mortal(server: Valkey, at: int, seconds: float) -> Eventful:
    """A client whose process is gone before its command number `at`, and with it all later ones.

    What the answer does afterwards in a `finally` reaches nobody.
    """

    def die(_: str) -> None:
        client.at += 1  # the next one as well
        raise Death("its process is gone")

    client = Eventful.of(server, at, die, seconds)
    return client
