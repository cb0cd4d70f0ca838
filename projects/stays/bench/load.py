"""A load generator: a closed loop over connections that stay open.

Each connection sends a request, waits for the whole answer, and sends the next. It reads a `Load`
as JSON from standard input, and writes a `Measured` to standard output. It is a program of its own
so that it shares no interpreter with what it measures.
"""

import asyncio
import itertools
import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Load:
    """What to send.

    Attributes:
        port: Where, on 127.0.0.1.
        requests: The paths, each with its If-None-Match (or an empty text); taken in turn.
        status: What every answer must be.
        connections: How many at once.
        warm_up: Seconds before anything counts.
        seconds: How long to measure.
    """

    port: int
    requests: list[tuple[str, str]]
    status: int
    connections: int
    warm_up: float
    seconds: float


@dataclass(frozen=True)
class Measured:
    """What came of it: answers per second, and how long each took, in milliseconds."""

    per_second: float
    milliseconds: list[float]


class WrongAnswer(Exception):
    """The server did not answer as it should, so that its speed means nothing."""


def encoded(path: str, none_match: str) -> bytes:
    """Return a request as it is sent."""
    condition = f"If-None-Match: {none_match}\r\n" if none_match else ""
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n{condition}\r\n"
    ).encode()


async def drive(load: Load) -> Measured:
    """Send requests for the time that is wanted.

    Raises:
        WrongAnswer: if an answer has another status.
        OSError: if the server cannot be reached.
    """
    requests = [encoded(*request) for request in load.requests]
    await _drive(load, iter(requests))  # each once, so that what can be cached is
    begin = time.perf_counter() + load.warm_up
    end = begin + load.seconds
    times = await _drive(load, itertools.cycle(requests), until=end)
    milliseconds = [(done - sent) * 1000 for sent, done in times if begin <= sent and done <= end]
    return Measured(len(milliseconds) / load.seconds, milliseconds)


async def _drive(
    load: Load, requests: Iterator[bytes], until: float = math.inf
) -> list[tuple[float, float]]:
    """Send requests until there is none left or the time is over.

    Returns:
        When each was sent, and when its answer was there.
    """
    times: list[tuple[float, float]] = []

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", load.port)
        try:
            for request in requests:
                sent = time.perf_counter()
                if sent >= until:
                    return
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                status = int(head[9:12])
                if status != load.status:
                    raise WrongAnswer(f"{status} instead of {load.status}")
                if length := _length(head):
                    await reader.readexactly(length)
                times.append((sent, time.perf_counter()))
        finally:
            writer.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(load.connections):
            group.create_task(one())
    return times


def _length(head: bytes) -> int:
    """Return the Content-Length of an answer's head; 0 if it has none, as a 304."""
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.split(b"\r\n", 1)[0]) if found else 0


if __name__ == "__main__":
    json.dump(asdict(asyncio.run(drive(Load(**json.load(sys.stdin))))), sys.stdout)
