"""Guests who ask again and again while something is changed, and the log of what they got."""

import threading
import time
from collections.abc import Mapping, Sequence
from itertools import cycle
from types import MappingProxyType
from typing import NamedTuple, Self

import httpx

from nexus.services.process import wait_for

PATIENCE = 60.0


class Visit(NamedTuple):
    """One request: when it began, who answered, with which status, and what."""

    began: float
    who: str
    status: int
    text: str


class Load:
    """Two guests, for the time of a `with` block; each of their requests takes a new connection.

    Attributes:
        log: their visits, in the order in which they ended.
    """

    def __init__(
        self,
        url: str,
        *,
        guests: int = 2,
        methods: Sequence[str] = ("GET",),
        headers: Mapping[str, str] = MappingProxyType({}),
        named_by: str = "X-Release",
    ) -> None:
        """Makes the guests; the block lets them begin.

        Args:
            url: what they ask for.
            guests: how many they are.
            methods: what each of them does, in turn.
            headers: what they send.
            named_by: the header by which a release says who answers. A proxy that answers alone
                sends no such header.
        """
        self.url, self.methods, self.headers, self.named_by = url, methods, headers, named_by
        self.log: list[Visit] = []
        self._over = threading.Event()
        self._guests = [threading.Thread(target=self._ask, daemon=True) for _ in range(guests)]

    def _ask(self) -> None:
        one_each = httpx.Limits(max_keepalive_connections=0)
        with httpx.Client(headers=self.headers, limits=one_each, timeout=PATIENCE) as client:
            for method in cycle(self.methods):
                if self._over.wait(0.01):
                    return
                began = time.monotonic()
                try:
                    answer = client.request(method, self.url)
                    who = answer.headers.get(self.named_by, "nginx")
                    visit = Visit(began, who, answer.status_code, answer.text.strip())
                except httpx.HTTPError as error:
                    visit = Visit(began, "nobody", 0, repr(error))
                self.log.append(visit)

    def until(self, who: str, status: int = 200, times: int = 20) -> None:
        """Waits until guests have got an answer so many times more.

        Args:
            who: who answered; "nginx" for a proxy that answered alone.
            status: with which status.
            times: how often.

        Raises:
            TimeoutError: if they do not get it in a minute.
        """
        start, wanted = len(self.log), (who, status)
        wait_for(
            lambda: sum(visit[1:3] == wanted for visit in self.log[start:]) >= times,
            PATIENCE,
            f"{times} answers {status} of {who}",
        )

    @property
    def failed(self) -> int:
        """How many requests were not answered with 200."""
        return sum(visit.status != 200 for visit in self.log)

    @property
    def answered(self) -> str:
        """Who answered, and with which status."""
        return ", ".join(sorted({f"{visit.who} {visit.status}" for visit in self.log}))

    def __enter__(self) -> Self:
        for guest in self._guests:
            guest.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for guest in self._guests:
            guest.join()
