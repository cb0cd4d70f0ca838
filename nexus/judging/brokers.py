"""A virtual host of RabbitMQ for each judgement, and clients whose process or broker dies."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from typing import Any

import pika
from pika.adapters.blocking_connection import BlockingChannel

from nexus.judging import limits
from nexus.judging.limits import Enough
from nexus.services import RabbitMQ, ServiceError, current, rabbitmq

_own: list[RabbitMQ] = []
"""The node that the judges have started, where none was running."""
_numbers = count(1)

FRAME = 7
"""Bytes before a frame's payload in AMQP 0-9-1: type, channel and size."""
METHOD = 1
"""The type of a frame that holds a method."""
PUBLISH = (60).to_bytes(2, "big") + (40).to_bytes(2, "big")
"""The method basic.publish: the numbers of its class and of itself."""
QUIET = 0.3
"""Seconds without a byte, after which a broker that swallows everything is gone."""


def node() -> RabbitMQ:
    """The node that is running, or one that is started for the judges.

    Raises:
        MissingProgram: if RabbitMQ is not installed; with how to do it.
    """
    with suppress(ServiceError):
        running = current("rabbitmq")
        if isinstance(running, RabbitMQ) and running.management:
            return running
    with limits.undisturbed():
        _own[:] = [rabbitmq(management=True)]
    return _own[0]


@dataclass(frozen=True)
class Broker:
    """A virtual host that was made for one judgement.

    Attributes:
        server: the node that it is on.
        name: its name.
    """

    server: RabbitMQ
    name: str

    def connect(self, port: int | None = None) -> pika.BlockingConnection:
        """A connection, by default straight to the node."""
        parameters = pika.URLParameters(self.server.vhost(self.name))
        parameters.port = port or self.server.port
        return pika.BlockingConnection(parameters)

    @contextmanager
    def channel(self) -> Iterator[BlockingChannel]:
        """A channel of the judge's own, with confirms."""
        connection = self.connect()
        try:
            channel = connection.channel()
            channel.confirm_delivery()
            yield channel
        finally:
            shut(connection)

    def cut(self) -> None:
        """Closes all connections, and removes the virtual host with all that is in it."""
        with suppress(OSError):
            self.server.api(f"vhosts/{self.name}", "DELETE")


@contextmanager
def broker() -> Iterator[Broker]:
    """A virtual host for one judgement; it is gone as soon as the answer's time is over."""
    server = node()
    with limits.undisturbed():
        box = Broker(server, f"judge-{next(_numbers)}")
        server.api(f"vhosts/{box.name}", "PUT", {})
    try:
        with limits.when_late(box.cut):
            yield box
    finally:
        with limits.undisturbed():
            box.cut()


def shut(connection: pika.BlockingConnection) -> None:
    """Closes a connection, whatever its state is."""
    with suppress(Exception):
        if connection.is_open:
            connection.close()


def take(channel: BlockingChannel, queue: str, most: int = 1000) -> list[tuple[Any, Any, bytes]]:
    """Takes the messages out of a queue."""
    taken: list[tuple[Any, Any, bytes]] = []
    while len(taken) < most:
        method, properties, body = channel.basic_get(queue, auto_ack=True)
        if method is None:
            break
        taken.append((method, properties, body))
    return taken


class Watched:
    """A channel that notes how an answer settles messages, and to which something happens then.

    Attributes:
        settled: what was said of the messages, such as "ack" or "reject".
        before: called before the first word; may raise.
        after: called after it; may raise.
    """

    def __init__(
        self,
        channel: BlockingChannel,
        before: Callable[[], None] | None = None,
        after: Callable[[], None] | None = None,
    ) -> None:
        self._channel = channel
        self.settled: list[str] = []
        self.before = before
        self.after = after

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._channel, name)

    def _settle(self, said: str, *given: object, **named: object) -> None:
        if self.before:
            self.before()
        self.settled.append(said)
        getattr(self._channel, f"basic_{said}")(*given, **named)
        if self.after:
            self._channel.connection.process_data_events(0)  # it is on its way
            self.after()

    def basic_ack(self, *given: object, **named: object) -> None:
        """Acknowledges."""
        self._settle("ack", *given, **named)

    def basic_nack(self, *given: object, **named: object) -> None:
        """Refuses."""
        self._settle("nack", *given, **named)

    def basic_reject(self, *given: object, **named: object) -> None:
        """Refuses."""
        self._settle("reject", *given, **named)


class Stepwise:
    """A channel of an answer's, after each of whose calls something happens."""

    def __init__(self, channel: BlockingChannel, then: Callable[[], None]) -> None:
        """Stands before a channel.

        Args:
            channel: the channel.
            then: called after each method.
        """
        self._channel, self._then = channel, then

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        found = getattr(self._channel, name)
        if not callable(found):
            return found

        def called(*given: object, **named: object) -> object:
            result = found(*given, **named)
            self._then()
            return result

        return called


class Gone(Enough):
    """The end of a process, as its own code could see it: nothing that it can handle."""


class Swallower:
    """Stands between a client and a node, and takes the node away at one of the publishes.

    Attributes:
        port: where it listens.
        swallowed: whether it came to that.
    """

    def __init__(self, port: int, at: int, *, deliver: bool) -> None:
        """Begins to listen.

        Args:
            port: the node's.
            at: which publish, over all connections, is the last word.
            deliver: whether the node still gets that publish. Its confirm is lost in any case.
        """
        self._node, self._at, self._deliver = port, at, deliver
        self.swallowed = False
        self._published = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._begin(self._accept)

    def _begin(self, action: Callable[..., None], *given: object) -> None:
        thread = threading.Thread(target=action, args=given, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._node))
                self._sockets += [client, server]
                silent = threading.Event()
                self._begin(self._upwards, client, server, silent)
                self._begin(self._downwards, client, server, silent)

    def _upwards(self, client: socket.socket, server: socket.socket, silent: Any) -> None:  # noqa: ANN401
        """Hands frames to the node, up to the publish that is the last one."""
        with suppress(OSError, EOFError):
            server.sendall(exactly(client, 8))  # "AMQP" and a version
            while True:
                head = exactly(client, FRAME)
                frame = head + exactly(client, int.from_bytes(head[3:], "big") + 1)
                if head[0] == METHOD and frame[FRAME : FRAME + 4] == PUBLISH:
                    self._published += 1
                if self._published == self._at and not self.swallowed:
                    self.swallowed = True
                    silent.set()
                    client.settimeout(QUIET)
                if not silent.is_set() or self._deliver:
                    server.sendall(frame)
        close(client, server)

    def _downwards(self, client: socket.socket, server: socket.socket, silent: Any) -> None:  # noqa: ANN401
        with suppress(OSError):
            while got := server.recv(65536):
                if not silent.is_set():
                    client.sendall(got)
        if not silent.is_set():
            close(client, server)

    def close(self) -> None:
        """Ends it and the connections through it."""
        close(self._listener, *self._sockets)
        for thread in self._threads:
            thread.join(1)


def exactly(source: socket.socket, size: int) -> bytes:
    """Reads so many bytes.

    Raises:
        EOFError: if there are fewer.
    """
    got = b""
    while len(got) < size:
        more = source.recv(size - len(got))
        if not more:
            raise EOFError
        got += more
    return got


def close(*sockets: socket.socket) -> None:
    """Closes sockets that another thread may be reading."""
    for each in sockets:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()


@contextmanager
def swallower(box: Broker, at: int, *, deliver: bool) -> Iterator[Swallower]:
    """A Swallower before a broker, until the block is left or the answer's time is over."""
    between = Swallower(box.server.port, at, deliver=deliver)
    try:
        with limits.when_late(between.close):
            yield between
    finally:
        between.close()
