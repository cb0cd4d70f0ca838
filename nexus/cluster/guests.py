"""Guests who ask again and again while something is changed, and the log of what they got."""

import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx

from nexus.services.process import wait_for


@dataclass(frozen=True)
class Visit:
    """One request: when it began, which release answered, and with which status."""

    began: float
    release: str
    status: int
    text: str


class Guests:
    """Two guests who ask without pause, each time on a new connection, while a `with` block runs.

    Attributes:
        log: their visits.
    """

    def __init__(self, url: str, number: int = 2) -> None:
        self.url = url
        self.log: list[Visit] = []
        self._over = threading.Event()
        self._guests = [threading.Thread(target=self._ask, daemon=True) for _ in range(number)]

    def _ask(self) -> None:
        one_each = httpx.Limits(max_keepalive_connections=0)
        with httpx.Client(base_url=self.url, limits=one_each, timeout=60) as client:
            while not self._over.wait(0.01):
                began = time.monotonic()
                try:
                    answer = client.get("/")
                    release = answer.headers.get("X-Release", "nobody")
                    visit = Visit(began, release, answer.status_code, answer.text.strip())
                except httpx.HTTPError as error:
                    visit = Visit(began, "nobody", 0, repr(error))
                self.log.append(visit)

    def until(self, release: str, status: int = 200, times: int = 10) -> None:
        """Waits until guests have got an answer so many times more.

        Args:
            release: who answered; "nobody" for a proxy that answered alone.
            status: with which status.
            times: how often.
        """
        start = len(self.log)

        def came() -> bool:
            fresh = self.log[start:]
            return sum((one.release, one.status) == (release, status) for one in fresh) >= times

        wait_for(came, 60, f"{times} answers {status} of release {release}")

    @property
    def failed(self) -> int:
        """How many requests were not answered with 200."""
        return sum(visit.status != 200 for visit in self.log)

    @property
    def answers(self) -> str:
        """Who answered, and with which status."""
        return ", ".join(sorted({f"{one.release} {one.status}" for one in self.log}))

    def __enter__(self) -> Self:
        for guest in self._guests:
            guest.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        for guest in self._guests:
            guest.join()
