"""Kombu's way to Valkey, but for one fault, by which a worker ends when Valkey does.

A worker that acknowledges a task while Valkey is gone closes its connection twice. What is asked of
the closed connection then, and by tasks that end later, raises AttributeError in kombu 5.7. Celery
takes that for a fault of the program and ends the worker. An error of the connection is what it is,
and Celery connects again.
"""

from typing import Any

from kombu.transport import redis
from redis.exceptions import ConnectionError


class Channel(redis.Channel):
    """A channel that knows when its connection is closed."""

    def _connparams(self, asynchronous: bool = False) -> Any:
        if self.connection is None or self.connection.client is None:
            raise ConnectionError("The connection to the broker is closed.")
        return super()._connparams(asynchronous)  # type: ignore[no-untyped-call]


class Transport(redis.Transport):
    """The transport whose channels are those above. `stays.celery` enters it for redis:// URLs."""

    Channel = Channel
