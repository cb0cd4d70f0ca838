"""Favorites."""

from typing import Any

import pytest
from django.db import IntegrityError
from django.test.utils import CaptureQueriesContext

from fake_tmdb.program import Fake
from movies import favorites
from movies.models import Favorite, Movie, User
from movies.problems import Refusal
from tests.conftest import PASSWORD, Api, signed_in
from tests.racing import race


def keep(*ids: int) -> None:
    """Have movies in the database."""
    favorites.save_movies(
        {"id": movie_id, "title": f"Movie {movie_id}", "release_date": None, "genre_ids": [28],
         "vote_average": 5.0, "vote_count": 10}
        for movie_id in ids
    )  # fmt: skip


def test_like_see_and_like_no_longer(as_user: Api, fake: Fake) -> None:
    assert as_user.put("me/favorites/1001").status_code == 201
    assert as_user.put("me/favorites/1002").status_code == 201
    assert as_user.put("me/favorites/1001").status_code == 200
    listed = as_user.get("me/favorites").json()
    assert [one["movie"]["id"] for one in listed["results"]] == [1002, 1001]
    assert listed["next"] is None
    assert listed["results"][1]["movie"]["title"] == fake.movies[1001].title
    assert as_user.delete("me/favorites/1001").status_code == 204
    assert as_user.delete("me/favorites/1001").status_code == 404
    assert fake.asked == {"/3/movie/1001": 1, "/3/movie/1002": 1}


def test_others_are_neither_seen_nor_touched(as_user: Api) -> None:
    ben = User.objects.create_user("ben@example.com", PASSWORD)
    keep(1)
    favorites.add(ben, 1)
    assert as_user.get("me/favorites").json()["results"] == []
    assert as_user.delete("me/favorites/1").status_code == 404
    assert as_user.put("me/favorites/1").status_code == 201, "it is not Ben's alone"
    assert as_user.delete("me/favorites/1").status_code == 204
    assert [str(one) for one in Favorite.objects.all()] == [f"{ben.pk} likes 1"]


def test_a_movie_that_we_keep_can_be_liked_with_the_outside_down(as_user: Api, fake: Fake) -> None:
    keep(1001)
    fake.behave(then={"kind": "fail"})
    assert as_user.put("me/favorites/1001").status_code == 201
    assert as_user.put("me/favorites/1002").status_code == 503
    assert str(Movie.objects.get()) == "Movie 1001"


def test_a_movie_that_is_not_there_cannot_be_liked(as_user: Api) -> None:
    assert as_user.put("me/favorites/5").status_code == 404
    assert Movie.objects.count() == 0


def test_saving_brings_up_to_date(db: None) -> None:
    keep(1, 2)
    said = {"id": 1, "title": "New", "release_date": "1999-12-31", "genre_ids": [18],
            "vote_average": 9.0, "vote_count": 11}  # fmt: skip
    favorites.save_movies([said])
    movie = Movie.objects.get(id=1)
    assert (movie.title, movie.release_date and movie.release_date.year) == ("New", 1999)
    assert Movie.objects.count() == 2


def test_pages_meet_each_favorite_once(as_user: Api, user: User) -> None:
    keep(*range(1, 8))
    for number in range(1, 8):
        favorites.add(user, number)
    seen, path = [], "me/favorites?limit=3"
    while True:
        page = as_user.get(path).json()
        seen += [one["movie"]["id"] for one in page["results"]]
        if page["next"] is None:
            break
        path = f"me/favorites?limit=3&before={page['next']}"
    assert seen == [7, 6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=51", "before=0", "before=x", "before=9223372036854775808"]
)
def test_what_is_not_allowed(as_user: Api, query: str) -> None:
    assert as_user.get(f"me/favorites?{query}").status_code == 422


@pytest.mark.parametrize(
    "path", ["me/favorites", "me/recommendations", "me/recommendations?by=features"]
)
def test_the_number_of_queries_does_not_grow(
    as_user: Api, user: User, path: str, django_assert_max_num_queries: Any
) -> None:
    keep(*range(1, 31))
    counts = []
    for numbers in (range(1, 3), range(3, 21)):
        for number in numbers:
            favorites.add(user, number)
        from django.db import connection

        with CaptureQueriesContext(connection) as queries:
            assert as_user.get(path).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert counts[0] <= {"me/favorites": 2, "me/recommendations": 4}.get(path, 6)


def test_only_so_many(user: User, settings: Any) -> None:
    settings.MAX_FAVORITES = 2
    keep(1, 2, 3)
    favorites.add(user, 1)
    favorites.add(user, 2)
    with pytest.raises(Refusal, match="2 favorites"):
        favorites.add(user, 3)
    assert favorites.add(user, 2)[1] is False, "what is there is no new one"


def test_the_database_refuses_a_second_one(user: User) -> None:
    keep(1)
    Favorite.objects.create(user=user, movie_id=1)
    with pytest.raises(IntegrityError, match="favorite_once"):
        Favorite.objects.create(user=user, movie_id=1)


def test_the_database_refuses_an_average_beyond_10(db: None) -> None:
    with pytest.raises(IntegrityError, match="movie_vote_average_0_to_10"):
        Movie.objects.create(id=1, title="x", vote_average=11, features=[0.0] * 22)


@pytest.mark.django_db(transaction=True)
def test_of_many_who_like_at_once_one_is_new() -> None:
    user = User.objects.create_user("ada@example.com", PASSWORD)
    keep(1)
    results = race(lambda number: favorites.add(user, 1)[1], 8)
    assert sorted(results, key=str) == [False] * 7 + [True]  # type: ignore[list-item]
    assert Favorite.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_many_at_once_do_not_pass_the_limit(settings: Any) -> None:
    settings.MAX_FAVORITES = 3
    user = User.objects.create_user("ada@example.com", PASSWORD)
    keep(*range(1, 9))
    results = race(lambda number: favorites.add(user, number + 1), 8)
    assert sum(isinstance(result, Refusal) for result in results) == 5
    assert Favorite.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_two_who_save_the_same_movies_do_not_lock_each_other_out() -> None:
    ids = list(range(1, 200))
    results = race(lambda number: keep(*(ids if number % 2 else reversed(ids))), 8)
    assert results == [None] * 8


def test_favorites_go_with_their_user(user: User) -> None:
    keep(1)
    favorites.add(user, 1)
    user.delete()
    assert (Favorite.objects.count(), Movie.objects.count()) == (0, 1)


def test_signed_in_is_the_user(user: User) -> None:
    assert signed_in(user).get("me").json()["id"] == user.pk
