"""Live results as server-sent events.

One hub for each process listens to the database, and reads the results of the polls that somebody
watches. However many votes come and however many streams there are, it reads once in each pause.
An event holds whole results, so a slow client that misses some has lost nothing, and a stream keeps
one event for it and not a queue.
"""

import asyncio
import json
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import asdict
from uuid import UUID
from weakref import WeakSet

import psycopg
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt
from rest_framework.exceptions import AuthenticationFailed

from polls.accounts import address_of, user_of_header
from polls.errors import Refusal
from polls.problems import problem_response
from polls.services import CHANNEL, Results, is_owner, results, results_for, seconds_left

RETRY = 3_000
"""Milliseconds after which a browser connects again."""
logger = logging.getLogger(__name__)


class Watcher:
    """One stream's place: the newest results that it has not sent."""

    def __init__(
        self, poll: UUID, client: str, seconds_left: float, *, is_owner: bool = False
    ) -> None:
        self.poll = poll
        self.client = client
        self.is_owner = is_owner
        self.deadline = time.monotonic() + seconds_left
        self.latest: Results | None = None
        self.news = asyncio.Event()

    def tell(self, found: Results) -> None:
        """Replace what has not been sent."""
        self.latest = found
        self.news.set()

    async def next(self, seconds: float) -> Results | None:
        """Wait for results; None stands for no news in this time."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.news.wait(), seconds)
        self.news.clear()
        found, self.latest = self.latest, None
        return found


class Hub:
    """Hears of changes, reads what is watched, and tells the watchers.

    At a poll's deadline no transaction sends a notification. The hub reads then, on this process's
    clock, until the results are final, which the database's clock decides.

    Watchers are held by weak references. Only a stream's generator holds its watcher. When the
    generator is gone, for whatever reason, the watcher leaves the set and its place is free.
    """

    def __init__(self) -> None:
        self.watchers: WeakSet[Watcher] = WeakSet()
        self.dirty: set[UUID] = set()
        self.reads = 0
        self.task: asyncio.Task[None] | None = None

    def join(
        self, poll: UUID, client: str, seconds_left: float, *, is_owner: bool = False
    ) -> Watcher:
        """Give a stream its place.

        Raises:
            Refusal: 503, if this process has no place; 429, if the client has too many.
        """
        if len(self.watchers) >= settings.STREAM_LIMIT:
            raise Refusal(503, "no_stream", "All streams are taken.", retry_after=10)
        if sum(each.client == client for each in self.watchers) >= settings.STREAM_LIMIT_CLIENT:
            raise Refusal(429, "too_many_streams", "You have too many streams.", retry_after=10)
        watcher = Watcher(poll, client, seconds_left, is_owner=is_owner)
        self.watchers.add(watcher)
        self.dirty.add(poll)  # the first event comes with the next read
        if self.task is None or self.task.done():
            self.task = asyncio.create_task(self.run())
        return watcher

    async def run(self) -> None:
        """Listen for as long as somebody watches; after an error, connect again."""
        while self.watchers:
            try:
                await self.listen()
            except (psycopg.Error, Error, OSError) as error:
                logger.warning("the streams' database is away: %s", error)
                await asyncio.sleep(1)

    async def listen(self) -> None:
        """Hear of changes, and read once in each pause."""
        parameters = connection.get_connection_params()
        for own in ("cursor_factory", "context", "prepare_threshold"):  # Django's, for its wrapper
            parameters.pop(own, None)
        async with await psycopg.AsyncConnection.connect(**parameters, autocommit=True) as heard:
            await heard.execute(f"LISTEN {CHANNEL}")
            # What was changed while nobody listened is read now: listen first, then read.
            self.dirty.update(each.poll for each in self.watchers)
            while self.watchers:
                await self.publish()
                async for note in heard.notifies(timeout=settings.STREAM_PAUSE):
                    with suppress(ValueError):
                        self.dirty.add(UUID(note.payload))

    async def publish(self) -> None:
        """Read the polls that changed and are watched, and tell who watches."""
        places: dict[UUID, list[Watcher]] = defaultdict(list)
        for watcher in self.watchers:
            places[watcher.poll].append(watcher)
            if time.monotonic() >= watcher.deadline:  # of which nobody sends word
                self.dirty.add(watcher.poll)
        wanted, self.dirty = self.dirty & places.keys(), set()
        if not wanted:
            return
        self.reads += 1
        try:
            found = await sync_to_async(_read, thread_sensitive=False)(wanted)
        except BaseException:
            self.dirty |= wanted
            raise
        for poll, each in found.items():
            for watcher in places[poll]:
                watcher.tell(each)


def _read(polls: Iterable[UUID]) -> dict[UUID, Results]:
    """Read results in a thread, and leave no connection with it."""
    try:
        return results(polls)
    finally:
        connection.close()


hub = Hub()


# -- The address


def admit(request: HttpRequest, poll_id: UUID) -> tuple[Results, float, bool]:
    """Look who asks and whether they may see the results; leave no connection with the thread.

    The thread lives as long as the stream. A connection that it kept would be one for each stream.

    Returns:
        The results, the seconds until the deadline, and whether it is the poll's owner who asks.

    Raises:
        Refusal: as for `results_for`; 401, if a token is not good.
    """
    try:
        asked = user_of_header(request.headers.get("Authorization", ""))
        viewer = asked[0] if asked else request.user
        found = results_for(poll_id, viewer)
        return found, seconds_left(poll_id), is_owner(poll_id, viewer)
    except AuthenticationFailed as error:
        raise Refusal(401, "authentication_failed", str(error.detail)) from None
    except Error as error:
        logger.warning("no stream: %s", error)
        raise Refusal(503, "busy", "Try it again in a moment.", retry_after=5) from None
    finally:
        connection.close()


@csrf_exempt  # it changes nothing, and a wrong method is to be a 405
async def stream(request: HttpRequest, poll_id: UUID) -> HttpResponseBase:
    """GET /api/v1/polls/{poll_id}/stream; see polls.openapi for what it promises."""
    if request.method != "GET":
        refused = problem_response(Refusal(405, "method_not_allowed", "This address is for GET."))
        refused["Allow"] = "GET"
        return refused
    last = request.headers.get("Last-Event-ID", "")
    try:
        found, left, owns = await sync_to_async(admit)(request, poll_id)
        if found.final and found.version == last:
            return HttpResponse(status=204)  # which tells a browser to stop connecting again
        watcher = hub.join(poll_id, address_of(request), left, is_owner=owns)
    except Refusal as refusal:
        return problem_response(refusal)
    response = StreamingHttpResponse(events(watcher, last), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"  # nginx passes each event on at once
    return response


async def events(watcher: Watcher, last: str) -> AsyncIterator[bytes]:
    """The text of a stream: what is new to the client, and comments while nothing is.

    Args:
        watcher: Where the news comes.
        last: The id of what the client has seen.
    """
    ends = time.monotonic() + settings.STREAM_SECONDS
    yield f"retry: {RETRY}\n\n".encode()
    try:
        while (left := ends - time.monotonic()) > 0:
            found = await watcher.next(min(settings.STREAM_HEARTBEAT, left))
            if found is not None and found.private and not watcher.is_owner:
                return  # the owner has made them private since this stream began
            if found is None:
                yield b": no news\n\n"  # also finds out that the client has gone
            elif found.version != last:
                last = found.version
                yield event(found)
            if found is not None and found.final:
                return
    finally:
        hub.watchers.discard(watcher)


def event(found: Results) -> bytes:
    """Return one event."""
    name = "final" if found.final else "results"
    fields = asdict(found)
    del fields["private"]
    data = json.dumps(fields, default=str, ensure_ascii=False, separators=(",", ":"))
    return f"id: {found.version}\nevent: {name}\ndata: {data}\n\n".encode()
