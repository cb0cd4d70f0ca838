"""Time-outs, retries and the breaker, against a real server that misbehaves."""

import asyncio
import email.utils
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from fake_tmdb.program import TOKEN, Fake
from movies import outside as module
from movies.outside import (
    Breaker,
    Misconfigured,
    NotFound,
    Outside,
    OutsideError,
    Policy,
    retry_after,
)
from movies.tmdb import parse_details, parse_page
from tests.conftest import run

PATH = "trending/movie/week"
NO_PAUSE = {"spread": lambda least, most: 0.0}


@asynccontextmanager
async def asking(
    url: str, *, deadline: float = 10.0, attempts: int = 3, read: float = 5.0, token: str = TOKEN,
    breaker: Breaker | None = None, **options: Any,
) -> AsyncIterator[Outside]:  # fmt: skip
    async with httpx.AsyncClient(
        base_url=f"{url}/3/", headers={"Authorization": f"Bearer {token}"}, timeout=read,
        trust_env=False,
    ) as client:  # fmt: skip
        yield Outside(
            client, breaker=breaker or Breaker(100, 10), policy=Policy(deadline, attempts),
            **(NO_PAUSE | options),
        )  # fmt: skip


def ask(
    url: str, path: str = PATH, parse: Callable[[bytes], Any] = parse_page, **options: Any
) -> Any:
    async def action() -> Any:
        async with asking(url, **options) as outside:
            return await outside.get(path, parse)

    return run(action)


@pytest.fixture
def url(fake_server: tuple[Fake, str]) -> str:
    return fake_server[1]


def test_a_good_answer_takes_one_request(fake: Fake, url: str) -> None:
    assert len(ask(url)["results"]) == 20
    assert fake.total == 1


def test_a_movie_has_the_ids_of_its_genres(fake: Fake, url: str) -> None:
    said = ask(url, "movie/1001", parse_details)
    assert said["genre_ids"] == fake.movies[1001].genre_ids


@pytest.mark.parametrize(
    "fault",
    [
        *({"kind": "fail", "status": status} for status in (500, 502, 503, 504)),
        {"kind": "cut"}, {"kind": "garbage"}, {"kind": "shape"}, {"kind": "huge"},
        {"kind": "encoding"},
    ],
    ids=str,
)  # fmt: skip
def test_what_fails_is_asked_again(fake: Fake, url: str, fault: dict[str, Any]) -> None:
    fake.behave(fault, fault)
    assert ask(url)["page"] == 1
    assert fake.total == 3


@pytest.mark.parametrize("kind", ["fail", "cut", "garbage", "shape", "huge", "encoding"])
def test_it_gives_up_after_the_attempts(fake: Fake, url: str, kind: str) -> None:
    fake.behave(then={"kind": kind})
    with pytest.raises(OutsideError):
        ask(url)
    assert fake.total == 3


def test_no_such_movie_is_an_answer_and_asked_once(fake: Fake, url: str) -> None:
    breaker = Breaker(1, 10)
    with pytest.raises(NotFound):
        ask(url, "movie/5", parse_details, breaker=breaker)
    assert (fake.total, breaker.state) == (1, "closed")


@pytest.mark.parametrize("status", [400, 401, 403, 301])
def test_a_refusal_is_not_asked_again(fake: Fake, url: str, status: int) -> None:
    fake.behave(then={"kind": "fail", "status": status})
    with pytest.raises(Misconfigured):
        ask(url)
    assert fake.total == 1


def test_a_wrong_token_is_refused(fake: Fake, url: str) -> None:
    with pytest.raises(Misconfigured):
        ask(url, token="wrong")
    assert fake.total == 1


def test_nobody_listens(url: str) -> None:
    with pytest.raises(OutsideError, match="Connect"):
        ask("http://127.0.0.1:1")


def test_a_slow_answer_meets_the_limit_of_one_wait(fake: Fake, url: str) -> None:
    fake.behave({"kind": "slow", "seconds": 30})
    assert ask(url, read=0.2)["page"] == 1
    assert fake.total == 2


def test_drops_meet_the_deadline_though_no_wait_is_long(fake: Fake, url: str) -> None:
    fake.behave(then={"kind": "drip", "seconds": 0.01})  # some 7,000 bytes
    breaker = Breaker(1, 10)
    with pytest.raises(OutsideError, match="within 1"):
        ask(url, deadline=1, breaker=breaker)
    assert breaker.state == "open"


def test_pauses_grow_and_are_spread(fake: Fake, url: str) -> None:
    seen = []

    def spread(least: float, most: float) -> float:
        seen.append((least, most))
        return 0.0

    fake.behave(then={"kind": "fail"})
    with pytest.raises(OutsideError):
        ask(url, attempts=6, spread=spread)
    assert seen == [(0, 0.1), (0, 0.2), (0, 0.4), (0, 0.8), (0, 1.0), (0, 1.0)]


def test_no_pause_ends_after_the_deadline(fake: Fake, url: str) -> None:
    fake.behave(then={"kind": "fail"})
    with pytest.raises(OutsideError):
        ask(url, spread=lambda least, most: 11.0)
    assert fake.total == 1


def test_retry_after_is_waited_for(fake: Fake, url: str) -> None:
    fake.behave({"kind": "fail", "status": 429, "retry_after": 1})
    began = time.monotonic()
    assert ask(url)["page"] == 1
    assert time.monotonic() - began >= 1
    assert fake.total == 2


def test_429_is_no_failure_and_waits_though_it_does_not_say_how_long(
    fake: Fake, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TOO_MANY_PAUSE", 0.2)
    fake.behave({"kind": "fail", "status": 429}, {"kind": "fail", "status": 429})
    breaker = Breaker(1, 60)
    began = time.monotonic()
    assert ask(url, breaker=breaker)["page"] == 1
    assert time.monotonic() - began >= 0.4
    assert (fake.total, breaker.state) == (3, "closed")


@pytest.mark.parametrize("wait", [0, 60])
def test_503_is_a_failure_whatever_it_says_of_when_to_come_again(
    fake: Fake, url: str, wait: int
) -> None:
    fake.behave(then={"kind": "fail", "status": 503, "retry_after": wait})
    clock = Clock()
    breaker = Breaker(2, 10, clock)
    for _ in range(2):
        with pytest.raises(OutsideError):
            ask(url, breaker=breaker, attempts=1)
        clock.now += wait
    assert fake.total == breaker.failures == 2
    clock.now += 9
    assert breaker.state == ("open" if wait == 0 else "half-open")


def test_a_retry_after_beyond_the_deadline_is_told_and_nobody_asks_meanwhile(
    fake: Fake, url: str
) -> None:
    fake.behave(then={"kind": "fail", "status": 429, "retry_after": 60})
    breaker = Breaker(5, 10)
    for _ in range(3):
        with pytest.raises(OutsideError) as caught:
            ask(url, breaker=breaker)
        assert 59 < caught.value.retry_after <= 60
    assert fake.total == 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(None, None), ("", None), ("7", 7.0), ("-7", None), ("soon", None), ("1" * 30, None),
     ("٣", None), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
     (f"Thu, {'9' * 20} Jan 1970 00:00:00 GMT", None)],
)  # fmt: skip
def test_retry_after_is_read(text: str | None, seconds: float | None) -> None:
    assert retry_after(text) == seconds


def test_retry_after_may_be_a_date() -> None:
    seconds = retry_after(email.utils.formatdate(time.time() + 100, usegmt=True))
    assert seconds is not None
    assert 95 < seconds <= 100


# -- The breaker


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def opened(clock: Clock) -> Breaker:
    breaker = Breaker(3, 10, clock)
    for _ in range(3):
        breaker.enter()
        breaker.failed()
    return breaker


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    clock = Clock()
    breaker = Breaker(3, 10, clock)
    for action in (breaker.failed, breaker.failed, breaker.succeeded, breaker.failed):
        breaker.enter()
        action()
    assert breaker.state == "closed"
    breaker = opened(clock)
    assert breaker.state == "open"
    with pytest.raises(OutsideError) as caught:
        breaker.enter()
    assert caught.value.retry_after == 10


def test_half_open_lets_one_try_and_closes_when_it_succeeds() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += 10
    assert breaker.state == "half-open"
    breaker.enter()
    with pytest.raises(OutsideError, match="tries"):
        breaker.enter()
    breaker.succeeded()
    assert breaker.state == "closed"
    breaker.enter()


def test_half_open_opens_again_at_the_first_failure() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += 10
    breaker.enter()
    breaker.failed()
    assert breaker.state == "open"


def test_a_trial_that_is_given_up_leaves_its_place() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += 10
    breaker.enter()
    breaker.gave_up()
    breaker.enter()


def test_no_header_stops_us_for_ever() -> None:
    clock = Clock()
    breaker = Breaker(3, 10, clock)
    breaker.pause(1e9)
    clock.now += module.LONGEST_PAUSE
    breaker.enter()


def test_an_open_breaker_sends_nothing(fake: Fake, url: str) -> None:
    fake.behave(then={"kind": "fail"})
    breaker = Breaker(3, 60)
    for _ in range(5):
        with pytest.raises(OutsideError):
            ask(url, breaker=breaker)
    assert fake.total == 3


def test_a_client_that_goes_away_leaves_the_breaker_as_it_was(fake: Fake, url: str) -> None:
    fake.behave(then={"kind": "slow", "seconds": 30})
    breaker = Breaker(1, 10)

    async def action() -> None:
        async with asking(url, breaker=breaker) as outside:
            task = asyncio.create_task(outside.get(PATH, parse_page))
            while not fake.total:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    run(action)
    assert breaker.state == "closed"


def test_our_own_limit_of_connections_is_no_failure_of_the_outside(fake: Fake, url: str) -> None:
    fake.behave({"kind": "slow", "seconds": 0.5})
    breaker = Breaker(1, 10)

    async def action() -> None:
        async with httpx.AsyncClient(
            base_url=f"{url}/3/", headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False,
            timeout=httpx.Timeout(30, pool=0.01), limits=httpx.Limits(max_connections=1),
        ) as client:  # fmt: skip
            outside = Outside(client, breaker=breaker, policy=Policy(30, 3))
            first = asyncio.create_task(outside.get(PATH, parse_page))
            while not fake.total:
                await asyncio.sleep(0.01)
            with pytest.raises(OutsideError, match="under way"):
                await outside.get(PATH, parse_page)
            assert (await first)["page"] == 1

    run(action)
    assert (fake.total, breaker.failures) == (1, 0)


# -- What is believed of answers


GOOD = b'{"id": 7, "title": "Paper Tower", "release_date": "", "genres": []}'


def test_an_unknown_date_is_none() -> None:
    assert parse_details(GOOD)["release_date"] is None


@pytest.mark.parametrize(
    ("part", "instead"),
    [
        (b'"id": 7', b'"id": 0'),
        (b'"id": 7', b'"id": 2147483648'),
        (b'"id": 7', b'"id": 7, "vote_average": NaN'),
        (b'"id": 7', b'"id": 7, "popularity": 1e999'),
        (b'"id": 7', b'"id": 7, "vote_average": 11'),
        (b'"id": 7', b'"id": 7, "poster_path": "//elsewhere.example/x.jpg"'),
        (b"Paper Tower", b""),
        (b"Paper Tower", b"a\\u0000b"),
        (b"Paper Tower", b"a" * 501),
        (b'""', b'"someday"'),
        (b"[]", b'[{"name": "no id"}]'),
        (b"{", b""),
    ],
)
def test_what_is_not_as_promised_is_refused(part: bytes, instead: bytes) -> None:
    assert part in GOOD
    with pytest.raises(ValueError, match="error"):
        parse_details(GOOD.replace(part, instead, 1))
