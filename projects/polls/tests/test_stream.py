"""Live results: what comes, when, to whom, and what it costs."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import psycopg
import pytest
from asgiref.sync import sync_to_async
from django.db import connection, transaction
from django.test import Client

from polls.models import Poll
from polls.services import CHANNEL, cast_vote, close_poll, edit_poll
from polls.stream import hub
from tests.factories import client_of, make_poll, make_user, make_voters, options_of
from tests.racing import let_the_deadline_pass, until
from tests.serving import exchange

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _quick(settings: Any) -> None:
    settings.STREAM_PAUSE = 0.02


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    """Run a scenario in an event loop of its own, and have nothing left of it."""

    async def all_of_it() -> None:
        try:
            await scenario()
            await asyncio.wait_for(hub.task, 300) if hub.task else None
        finally:
            hub.watchers.clear()
            hub.task = None

    asyncio.run(all_of_it())


def address(poll: Poll) -> str:
    return f"/api/v1/polls/{poll.pk}/stream"


def _vote(poll: Poll, many: int = 1) -> None:
    try:
        option = options_of(poll)[0]
        for voter in make_voters(many):
            cast_vote(poll_id=poll.pk, voter=voter, option_id=option)
    finally:
        connection.close()


vote = sync_to_async(_vote, thread_sensitive=False)


def _in_thread(action: Callable[..., Any], *args: Any, **options: Any) -> Any:
    try:
        return action(*args, **options)
    finally:
        connection.close()


in_thread = sync_to_async(_in_thread, thread_sensitive=False)


# -- News, after the commit only


@pytest.fixture
def listener() -> Iterator[Callable[[], list[str]]]:
    """Listen, and return what was heard since."""
    with psycopg.connect(**_parameters(), autocommit=True) as heard:
        heard.execute(f"LISTEN {CHANNEL}")
        yield lambda: [note.payload for note in heard.notifies(timeout=0.05)]


def _parameters() -> dict[str, Any]:
    found = connection.get_connection_params()
    return {k: v for k, v in found.items() if k in ("host", "port", "user", "password", "dbname")}


def test_nothing_is_told_before_the_commit_and_nothing_of_what_is_rolled_back(
    listener: Callable[[], list[str]],
) -> None:
    poll, voter = make_poll(), make_user()
    option = options_of(poll)[0]
    with transaction.atomic():
        cast_vote(poll_id=poll.pk, voter=voter, option_id=option)
        assert listener() == []
        transaction.set_rollback(True)
    assert listener() == []
    cast_vote(poll_id=poll.pk, voter=voter, option_id=option)
    assert until(listener) == [str(poll.pk)]


def test_a_vote_counts_even_if_the_news_cannot_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    poll = make_poll()

    def fail(_: object) -> None:
        raise OSError

    monkeypatch.setattr("polls.services.announce", fail)
    cast_vote(poll_id=poll.pk, voter=make_user(), option_id=options_of(poll)[0])
    assert poll.options.get(position=1).votes == 1


# -- Streams


def test_a_stream_begins_with_what_is_and_goes_on_with_what_comes() -> None:
    poll = make_poll()

    async def scenario() -> None:
        async with exchange(address(poll)) as (stream, status):
            assert status == 200
            assert stream.headers["content-type"] == "text/event-stream"
            assert await stream.chunk() == "retry: 3000\n\n"
            first = await stream.event()
            assert (first["event"], first["id"]) == ("results", "0.live")
            await vote(poll)
            assert await stream.total() == 1
            await in_thread(close_poll, poll_id=poll.pk, actor=poll.owner)
            last = await stream.event()
            assert (last["event"], last["id"]) == ("final", "1.final")
            assert await stream.chunk() is None

    run(scenario)


def test_who_connects_again_gets_only_what_is_new() -> None:
    poll = make_poll()
    _vote(poll)

    async def scenario() -> None:
        async with exchange(address(poll), last_event_id="1.live") as (stream, _):
            await stream.chunk()
            await vote(poll)
            assert (await stream.event())["id"] == "2.live"  # and not 1.live before
        async with exchange(address(poll), last_event_id="1.live") as (stream, _):
            assert (await stream.event())["id"] == "2.live"  # at once: it was missed
        await in_thread(close_poll, poll_id=poll.pk, actor=poll.owner)
        async with exchange(address(poll), last_event_id="2.live") as (stream, _):
            assert (await stream.event())["id"] == "2.final"
        async with exchange(address(poll), last_event_id="2.final") as (_, status):
            assert status == 204  # a browser does not connect again

    run(scenario)


def test_at_the_deadline_final_results_come_without_anybodys_word() -> None:
    poll = make_poll()
    _vote(poll)

    async def scenario() -> None:
        async with exchange(address(poll)) as (stream, _):
            assert (await stream.event())["id"] == "1.live"
            await in_thread(let_the_deadline_pass, poll.pk)
            for watcher in hub.watchers:
                watcher.deadline = 0  # its own clock says so too
            assert (await stream.event())["id"] == "1.final"

    run(scenario)


def test_a_silent_stream_sends_comments(settings: Any) -> None:
    poll = make_poll()
    settings.STREAM_HEARTBEAT = 0.02

    async def scenario() -> None:
        async with exchange(address(poll), last_event_id="0.live") as (stream, _):
            assert await stream.chunk() == "retry: 3000\n\n"
            assert await stream.chunk() == ": no news\n\n"

    run(scenario)


def test_a_stream_ends_after_its_time(settings: Any) -> None:
    poll = make_poll()
    settings.STREAM_SECONDS = 0.2

    async def scenario() -> None:
        async with exchange(address(poll), last_event_id="0.live") as (stream, _):
            assert await stream.event() == {}

    run(scenario)


def test_many_streams_cost_one_read_and_no_connection_each(settings: Any) -> None:
    settings.STREAM_LIMIT_CLIENT = 50
    settings.STREAM_PAUSE = 0.2
    poll = make_poll()

    def connections() -> int:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid()"
            )
            return int(cursor.fetchone()[0])

    async def scenario() -> None:
        before = await in_thread(connections)
        streams = [exchange(address(poll)) for _ in range(40)]
        opened = [await stream.__aenter__() for stream in streams]
        for stream, _ in opened:
            assert await stream.total() == 0
        await in_thread(until, lambda: connections() <= before + 1)  # one more: who listens
        reads = hub.reads
        await vote(poll, 30)
        latest = [0]
        while latest[-1] < 30:
            latest.append(await opened[0][0].total())
        assert latest == sorted(latest)
        assert hub.reads - reads <= 31  # for 30 votes and 40 streams
        for each in streams:
            await each.__aexit__(None, None, None)
        assert len(hub.watchers) == 0

    run(scenario)


def test_streams_are_bounded_and_a_place_is_free_when_its_client_has_gone(settings: Any) -> None:
    settings.STREAM_LIMIT, settings.STREAM_LIMIT_CLIENT = 2, 1
    poll = make_poll()

    async def scenario() -> None:
        async with exchange(address(poll)) as (_, status):
            assert status == 200
            async with exchange(address(poll)) as (second, status):
                assert (status, second.headers["retry-after"]) == (429, "10")
            settings.STREAM_LIMIT = 1
            async with exchange(address(poll)) as (_, status):
                assert status == 503
        async with exchange(address(poll)) as (_, status):
            assert status == 200

    run(scenario)


def test_a_slow_client_gets_the_newest_and_no_queue() -> None:
    poll = make_poll()

    async def scenario() -> None:
        watcher = hub.join(poll.pk, "192.0.2.9", 3600)
        await vote(poll, 5)
        while watcher.latest is None or watcher.latest.total < 5:
            await asyncio.sleep(0.01)
        found = await watcher.next(1)
        assert found
        assert found.total == 5
        assert await watcher.next(0.01) is None
        del watcher

    run(scenario)


def test_when_the_database_ends_the_listener_it_listens_again_and_reads_what_it_missed() -> None:
    poll = make_poll()

    def end_the_listener() -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND query LIKE 'LISTEN%'"
            )
            assert cursor.rowcount == 1

    async def scenario() -> None:
        async with exchange(address(poll)) as (stream, _):
            assert await stream.total() == 0
            await in_thread(end_the_listener)
            await vote(poll)
            assert await stream.total() == 1

    run(scenario)


def test_a_read_that_fails_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    poll = make_poll()
    failures = [psycopg.OperationalError("away")]

    def read(polls: Any) -> Any:
        if failures:
            raise failures.pop()
        return real(polls)

    from polls import stream as module

    real = module._read
    monkeypatch.setattr(module, "_read", read)

    async def scenario() -> None:
        async with exchange(address(poll)) as (stream, _):
            assert await stream.total() == 0

    run(scenario)


# -- Who may


def test_private_results_are_streamed_to_their_owner_only() -> None:
    poll = make_poll(private_results=True)
    token = client_of(poll.owner)._credentials["HTTP_AUTHORIZATION"]
    stranger = client_of(make_user())._credentials["HTTP_AUTHORIZATION"]
    browser = Client()
    browser.force_login(poll.owner)
    cookie = f"sessionid={browser.cookies['sessionid'].value}"

    async def scenario() -> None:
        for headers, expected in (
            ({}, 403),
            ({"authorization": stranger}, 403),
            ({"authorization": "Bearer forged"}, 401),
            ({"authorization": token}, 200),
            ({"cookie": cookie}, 200),
        ):
            async with exchange(address(poll), **headers) as (_, status):
                assert status == expected

    run(scenario)


def test_when_results_become_private_a_strangers_stream_ends_and_the_owners_goes_on() -> None:
    poll = make_poll()
    token = client_of(poll.owner)._credentials["HTTP_AUTHORIZATION"]

    async def scenario() -> None:
        async with (
            exchange(address(poll)) as (stranger, _),
            exchange(address(poll), authorization=token) as (owner, _),
        ):
            assert await stranger.total() == await owner.total() == 0
            await in_thread(edit_poll, poll_id=poll.pk, actor=poll.owner, private_results=True)
            assert await stranger.event() == {}
            await vote(poll)
            assert await owner.total() == 1

    run(scenario)


def test_no_stream_of_what_is_not_there_nor_by_other_methods_nor_without_a_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    poll = make_poll()

    async def scenario() -> None:
        async with exchange(address(poll).replace(str(poll.pk)[:4], "ffff")) as (_, status):
            assert status == 404
        async with exchange(address(poll), "PUT") as (answer, status):
            assert (status, answer.headers["allow"]) == (405, "GET")

        def away(*_: object) -> None:
            from django.db import OperationalError

            raise OperationalError("away")

        monkeypatch.setattr("polls.stream.results_for", away)
        async with exchange(address(poll)) as (answer, status):
            assert (status, answer.headers["retry-after"]) == (503, "5")

    run(scenario)


# -- Bodies


@pytest.mark.parametrize("parts", [1, 4])
def test_a_body_that_is_too_large_is_refused_while_it_comes_in(parts: int) -> None:
    body = tuple(b"x" * (40_000 // parts) for _ in range(parts))

    async def scenario() -> None:
        async with exchange("/api/v1/auth/login", "POST", body=body) as (answer, status):
            assert status == 413
            assert answer.headers["content-type"] == "application/problem+json"

    run(scenario)
