"""Several clients of one PostgreSQL, step by step: who did what, and who waited for whom.

A race that is left to chance shows something else each time. Here each step is taken when the one
before has come to rest: done, refused, or waiting for a lock that another client holds.
"""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYetDone
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import psycopg

from nexus.services import Postgres, ServiceError, current

if TYPE_CHECKING:
    from nexus.draw import Picture

DEADLINE = 30.0
"""Seconds in which a step comes to rest."""

ARROW = "\N{RIGHTWARDS ARROW}"

Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Event:
    """Something that happened to a client.

    Attributes:
        client: its name.
        statement: what it sent; None if an earlier statement, which waited, goes on.
        outcome: what came of it, in words.
        waits: whether it waits for a lock now.
        refused: whether it ended with an error.
    """

    client: str
    statement: str | None
    outcome: str
    waits: bool = False
    refused: bool = False

    def __str__(self) -> str:
        if self.outcome == self.statement:  # BEGIN has nothing to add
            return self.outcome
        return f"{self.statement or '(goes on)'} {ARROW} {self.outcome}"


class Client:
    """One connection, in autocommit: a transaction begins where a step says BEGIN.

    Attributes:
        name: what the story calls it.
        pid: PostgreSQL's process that serves it.
        rows: what the last statement that came to its end returned.
        error: what it was refused with, or None.
    """

    def __init__(
        self, story: "Story", name: str, server: Postgres, options: dict[str, Any]
    ) -> None:
        self.name = name
        self.rows: Rows = []
        self.error: psycopg.Error | None = None
        self._story = story
        self._connection = server.connect(autocommit=True, **options)
        self.pid = self._connection.info.backend_pid
        self._running: Future[str] | None = None

    @property
    def waiting(self) -> bool:
        """Whether its last statement has not come to its end."""
        return self._running is not None

    @property
    def busy(self) -> bool:
        """Whether its statement runs, or waits: whether or not its end has been noted yet."""
        return self._running is not None and not self._running.done()

    def __call__(
        self, statement: str, *parameters: object, wait: bool = False, circle: bool = False
    ) -> None:
        """Sends a statement, and lets everybody come to rest.

        Args:
            statement: one SQL statement.
            parameters: for its placeholders.
            wait: whether to wait for its end even if it waits for a lock: for one that will be
                refused after lock_timeout.
            circle: whether to come back also if it waits in a circle, which PostgreSQL will end
                after deadlock_timeout.

        Raises:
            RuntimeError: if the client still waits for its statement before.
            TimeoutError: if something does not come to rest.
        """
        if self._running is not None:
            raise RuntimeError(f"{self.name} still waits; let another client go on first")
        running: Future[str] = Future()
        self._running = running

        def run() -> None:
            try:
                running.set_result(self._run(statement, parameters))
            except BaseException as error:  # what the caller did wrong, told to the caller
                running.set_exception(error)

        # A daemon, so that a statement which waits does not keep the notebook from ending.
        threading.Thread(target=run, daemon=True).start()
        self._story.settle(self, statement, wait=wait, circle=circle)

    def _run(self, statement: str, parameters: tuple[object, ...]) -> str:
        """Runs a statement and says what came of it."""
        self.rows, self.error = [], None
        try:
            cursor = self._connection.execute(cast(Any, statement), parameters or None)
        except psycopg.Error as error:
            self.error = error
            return f"{type(error).__name__}: {error.diag.message_primary or error}"
        if cursor.description is None:
            return cursor.statusmessage or "done"
        self.rows = cursor.fetchall()
        return ", ".join(map(in_words, self.rows)) or "no row"

    def close(self) -> None:
        """Ends the connection, and a statement that still waits with it."""
        try:
            if self._running is not None:
                with suppress(psycopg.Error):  # the server may be gone
                    self._connection.cancel()
                self._running.exception(DEADLINE)
                self._running = None
        finally:
            self._connection.close()

    def __repr__(self) -> str:
        return f"<{self.name}, {'waiting' if self.waiting else 'at rest'}>"


class Story:
    """Some clients of one server, and all that happened to them."""

    def __init__(
        self, server: Postgres, names: tuple[str, ...], *, show: bool, options: dict[str, Any]
    ) -> None:
        self.events: list[Event] = []
        self._show = show
        with ExitStack() as opened:  # closed again if one of them cannot connect
            self._watch = opened.enter_context(server.connect(autocommit=True))
            clients = []
            for name in names:
                clients.append(Client(self, name, server, options))
                opened.callback(clients[-1].close)
            self._opened = opened.pop_all()
        self.clients = tuple(clients)

    def __iter__(self) -> Iterator[Client]:
        return iter(self.clients)

    def __enter__(self) -> "Story":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends all connections; a second call does nothing."""
        self._opened.close()

    def settle(self, actor: Client, statement: str, *, wait: bool, circle: bool) -> None:
        """Waits until the actor, and everybody whom its step has freed, has come to rest."""
        self._note(self._rest(actor, statement, wait=wait, circle=circle))
        self._rest_all(None if not circle else actor)

    def rest(self) -> None:
        """Waits until everybody has come to rest, after something outside of the story."""
        self._rest_all(None)

    def _rest_all(self, circling: Client | None) -> None:
        """Waits until all who wait are done or wait for good.

        Who goes on may free another one in turn, so it asks until nobody has gone on. Who is
        refused lets go of its locks and frees others, and is therefore noted before them.

        Args:
            circling: who may wait in a circle.
        """
        went_on = True
        while went_on:
            waiting = [client for client in self.clients if client.waiting]
            told = [
                self._rest(client, None, circle=circling is not None)
                for client in waiting
                if client is not circling
            ]
            ended = [event for event in told if event is not None]
            for event in sorted(ended, key=lambda event: not event.refused):
                self._note(event)
            went_on = bool(ended)

    def _rest(
        self,
        client: Client,
        statement: str | None,
        *,
        wait: bool = False,
        circle: bool = False,
    ) -> Event | None:
        """Waits until one client's statement is done or waits for a lock, and says which.

        Returns:
            What happened; None if it waits and has said so before.

        Raises:
            TimeoutError: if neither happens.
        """
        running = cast("Future[str]", client._running)
        end = time.monotonic() + DEADLINE
        before: list[Client] = []
        while time.monotonic() < end:
            try:
                outcome = running.result(timeout=0.01)
            except NotYetDone:
                blockers = [] if wait else self._blockers(client, circle=circle)
                # Seen twice, for PostgreSQL tells of one client after the other: one that has just
                # been refused may look as if it waited for one that goes on already.
                if blockers and blockers == before:
                    if statement is None:
                        return None
                    names = " and ".join(sorted(other.name for other in blockers))
                    return Event(client.name, statement, f"waits for {names}", waits=True)
                before = blockers
            except BaseException:
                client._running = None
                raise
            else:
                client._running = None
                return Event(client.name, statement, outcome, refused=client.error is not None)
        raise TimeoutError(
            f"{client.name} did not come to rest within {DEADLINE:g} seconds: its statement takes "
            "long, or waits for somebody who is not in this story"
        )

    def _blockers(self, client: Client, *, circle: bool) -> list[Client]:
        """Those for whom a client waits at rest; nobody if it will go on by itself.

        It will if nobody blocks it, if a blocker is at work, or if it waits in a circle, which
        PostgreSQL will end; unless the circle is to be looked at.
        """
        by_pid = {other.pid: other for other in self.clients}
        query = "SELECT pid, pg_blocking_pids(pid) FROM unnest(%s::int[]) AS pid"
        waits_for = {
            by_pid[pid]: [by_pid[blocker] for blocker in set(blockers) & set(by_pid)]
            for pid, blockers in self._watch.execute(query, [list(by_pid)])
        }
        blockers = sorted(waits_for[client], key=lambda other: other.name)
        if any(other.busy and not waits_for[other] for other in blockers):
            return []
        seen: set[Client] = set()
        front = set(blockers)
        while front:
            seen |= front
            front = {other for one in front for other in waits_for[one]} - seen
        return [] if client in seen and not circle else blockers

    def _note(self, event: Event | None) -> None:
        """Keeps an event, if there is one, and prints it."""
        if event is None:
            return
        self.events.append(event)
        if self._show:
            width = max(len(client.name) for client in self.clients)
            print(f"{event.client + ':':<{width + 1}} {event}")  # noqa: T201 (a cell's output)

    def picture(self, title: str, alt: str, *, since: int = 0) -> "Picture":
        """Draws what happened: a column for each client, time flowing down, waits as bars.

        Args:
            title: what the story is about.
            alt: what the picture shows, for those who do not see it.
            since: the number of the event to begin with.

        Returns:
            The picture.
        """
        from nexus import draw  # which is a command too, and must not be loaded by the package

        names = [client.name for client in self.clients]
        return draw.lanes(names, self.events[since:], title=title, alt=alt)


def in_words(row: tuple[Any, ...]) -> str:
    """A row as a reader would say it: a single value bare, several in brackets."""
    values = [value if isinstance(value, int | str | None) else str(value) for value in row]
    return str(values[0]) if len(values) == 1 else f"({', '.join(map(str, values))})"


def sessions(
    *names: str,
    server: Postgres | None = None,
    show: bool = True,
    **options: Any,  # noqa: ANN401
) -> Story:
    """Connects some clients to a PostgreSQL, to let them meet step by step.

    Args:
        names: what to call them.
        server: by default the PostgreSQL that was started last.
        show: whether each step is printed.
        options: of psycopg.connect, such as dbname.

    Returns:
        The story: it unpacks into its clients, and ends with the `with` block or the notebook.

    Raises:
        ServiceError: if no PostgreSQL is running, or two names are the same.
    """
    if not names:
        raise ServiceError("sessions needs a name for each client")
    if len(set(names)) < len(names):
        raise ServiceError("two clients of one story cannot have the same name")
    return Story(server or cast(Postgres, current("postgres")), names, show=show, options=options)
