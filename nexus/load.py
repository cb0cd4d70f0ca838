"""Guests and programs that ask again and again while something is changed, and what they got."""

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import cycle
from types import MappingProxyType
from typing import NamedTuple, Self

import httpx
import psycopg

from nexus.services import Postgres
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


class Programs:
    """Programs that send a statement to PostgreSQL again and again, until a `with` block ends.

    Each runs in a thread and with a connection of its own. One that cannot get a lock within two
    seconds fails.

    Attributes:
        served: how often each program's statement was done.
        log: what PostgreSQL refused: pairs of a program and an error.
    """

    def __init__(self, server: Postgres, **programs: str) -> None:
        """Makes the programs; the block lets them begin.

        Args:
            server: whom they ask.
            **programs: a statement for each, by name. `%(n)s` stands for a number from 1 to 1,000,
                another one each time.
        """
        self.served: Counter[str] = Counter()
        self.log: set[tuple[str, str | None]] = set()
        self._server, self._over, self._programs = server, threading.Event(), programs
        self._threads = [
            threading.Thread(target=self._run, args=[who], daemon=True) for who in programs
        ]

    def _run(self, who: str) -> None:
        with self._server.connect(autocommit=True) as connection:
            connection.execute("SET lock_timeout = '2s'")
            number = 0
            while not self._over.wait(0.002):
                number += 1
                try:
                    statement = self._programs[who]
                    connection.execute(statement, {"n": number % 1000 + 1})  # type: ignore[arg-type]
                    self.served[who] += 1
                except psycopg.Error as error:
                    self.log.add((who, error.diag.message_primary))

    def goes_on(self) -> None:
        """Waits until each program has been served several times more, or one was refused.

        Raises:
            TimeoutError: if they are not in half a minute.
        """
        until = {who: self.served[who] + 5 for who in self._programs}
        wait_for(
            lambda: bool(self.log) or all(self.served[who] >= until[who] for who in until),
            30,
            "each program to be served",
        )

    def is_refused(self) -> None:
        """Waits until each program has been refused.

        Raises:
            TimeoutError: if they are not in half a minute.
        """
        wait_for(lambda: len({who for who, _ in self.log}) == len(self._programs), 30, "refusals")

    @property
    def refused(self) -> str:
        """What was refused, a line each; or "nobody"."""
        return "\n".join(f"{who}: {said}" for who, said in sorted(self.log)) or "nobody"

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        self.goes_on()
        return self

    def __exit__(self, *error: object) -> None:
        if error == (None, None, None) and not self.log:
            self.goes_on()
        self._over.set()
        for thread in self._threads:
            thread.join()
