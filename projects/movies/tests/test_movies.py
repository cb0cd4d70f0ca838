"""Pages from outside, through the whole site."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from fake_tmdb.program import Fake
from movies.services import running
from tests.conftest import Api, run

TRENDING = "movies/trending"


def test_trending(api: Api, fake: Fake) -> None:
    answer = api.get(TRENDING)
    body = answer.json()
    assert (answer.status_code, body["page"], body["total_pages"], len(body["results"])) == (
        200,
        1,
        10,
        20,
    )
    popularity = [movie["popularity"] for movie in body["results"]]
    assert popularity == sorted(popularity, reverse=True)
    assert body["freshness"]["state"] == "fetched"
    assert fake.asked == {"/3/trending/movie/week": 1}


@pytest.mark.parametrize(
    "path",
    [TRENDING, "movies/trending?window=day&page=3", "movies/1001", "movies/1001/recommendations"],
)
def test_the_second_call_asks_nobody(api: Api, fake: Fake, path: str) -> None:
    first, second = api.get(path), api.get(path)
    assert fake.total == 1
    assert second.json()["freshness"]["state"] == "fresh"
    same = [{k: v for k, v in one.json().items() if k != "freshness"} for one in (first, second)]
    assert same[0] == same[1]


def test_each_page_and_window_is_a_thing_of_its_own(api: Api, fake: Fake) -> None:
    seen = [api.get(f"movies/trending?window={window}&page={page}").content
            for window in ("day", "week") for page in (1, 2)]  # fmt: skip
    assert len(set(seen)) == fake.total == 4


def test_with_the_outside_down_pages_still_come_and_tell_their_age(
    api: Api, fake: Fake, grow_old: Callable[[float], None]
) -> None:
    good = api.get(TRENDING).json()["results"]
    fake.behave(then={"kind": "fail"})
    grow_old(1000)
    answer = api.get(TRENDING)
    assert (answer.status_code, answer.json()["freshness"]["state"]) == (200, "stale")
    assert 1000 <= int(answer["Age"]) < 1100
    grow_old(10_000)
    answer = api.get(TRENDING)
    assert (answer.status_code, answer.json()["freshness"]["state"]) == (200, "stale-if-error")
    assert 11_000 <= answer.json()["freshness"]["age"] < 11_100
    assert answer.json()["results"] == good


def test_what_never_came_is_a_503_that_says_when_to_ask_again(api: Api, fake: Fake) -> None:
    fake.behave(then={"kind": "fail", "status": 429, "retry_after": 30})
    answer = api.get(TRENDING)
    assert (answer.status_code, answer["Content-Type"]) == (503, "application/problem+json")
    assert answer["Retry-After"] == "30"
    assert "429" not in answer.content.decode()


def test_a_refusal_of_our_token_is_no_word_to_clients(api: Api, settings: Any) -> None:
    settings.TMDB_TOKEN = "wrong"
    answer = api.get(TRENDING)
    assert answer.status_code == 503
    assert "wrong" not in answer.content.decode()


def test_a_hundred_parallel_misses_make_one_request(fake: Fake, settings: Any) -> None:
    settings.REQUEST_LIMIT = 1000
    fake.behave({"kind": "slow", "seconds": 0.3})

    async def action() -> list[int]:
        async with running():
            api = Api()
            answers = await asyncio.gather(*(api.inside("GET", TRENDING) for _ in range(100)))
            return [answer.status_code for answer in answers]

    assert run(action) == [200] * 100
    assert fake.total == 1


def test_no_more_connections_than_allowed_are_open_at_once(fake: Fake, settings: Any) -> None:
    settings.OUTSIDE = settings.OUTSIDE | {"connections": 4}
    fake.behave(then={"kind": "slow", "seconds": 0.02})

    async def action() -> None:
        async with running() as own:
            await asyncio.gather(*(own.tmdb.movie(1001 + number) for number in range(20)))

    run(action)
    assert fake.total == 20
    assert fake.at_once <= 4


def test_a_page_does_not_wait_longer_than_the_deadline(
    api: Api, fake: Fake, settings: Any, grow_old: Callable[[float], None]
) -> None:
    api.get(TRENDING)
    settings.OUTSIDE = settings.OUTSIDE | {"deadline": 0.5}
    fake.behave(then={"kind": "slow", "seconds": 60})
    grow_old(20_000)
    began = time.monotonic()
    answer = api.get(TRENDING)
    assert answer.json()["freshness"]["state"] == "stale-if-error"
    assert time.monotonic() - began < 30, "the fake would take 60 s"


def test_an_answer_about_another_movie_is_none(api: Api, fake: Fake) -> None:
    right = fake.movies[1001]
    fake.movies[1001] = fake.movies[1002]
    try:
        assert api.get("movies/1001").status_code == 503
    finally:
        fake.movies[1001] = right


@pytest.mark.parametrize("path", ["movies/5", "movies/5/recommendations"])
def test_there_is_no_such_movie(api: Api, fake: Fake, path: str) -> None:
    assert [api.get(path).status_code for _ in range(2)] == [404, 404]
    assert fake.total == 1


@pytest.mark.parametrize(
    "path",
    [
        "movies/trending?page=0", "movies/trending?page=501", "movies/trending?page=x",
        "movies/trending?window=year", "movies/0", "movies/2147483648", "movies/x",
        "movies/1001/recommendations?page=-1", "movies/1%20OR%201=1",
    ],
)  # fmt: skip
def test_what_is_not_allowed_asks_nobody(api: Api, fake: Fake, path: str) -> None:
    answer = api.get(path)
    assert (answer.status_code, answer["Content-Type"]) == (422, "application/problem+json")
    assert answer.json()["errors"]
    assert fake.total == 0


def test_pages_need_no_database(api: Api) -> None:
    """No mark for the database here: pytest-django refuses each query."""
    assert api.get(TRENDING).status_code == 200
