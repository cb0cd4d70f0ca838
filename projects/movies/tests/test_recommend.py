"""Recommendations of our own."""

import math

import pytest
from django.core.management import call_command
from django.db import connection

from fake_tmdb import seed
from fake_tmdb.catalogue import GENRES, likes, movies
from fake_tmdb.program import Fake
from movies import favorites, features, recommend
from movies.management.commands.import_movies import Command
from movies.models import Favorite, Movie, User
from tests.conftest import PASSWORD, Api
from tests.test_favorites import keep


def make_user(name: str, *liked: int) -> User:
    user = User.objects.create_user(f"{name}@example.com", PASSWORD)
    for movie_id in liked:
        favorites.add(user, movie_id)
    return user


def ids(user: User, method: recommend.Method, limit: int = 10) -> list[int]:
    return [movie.id for movie in recommend.for_user(user.pk, method, limit)[1]]


def test_who_shares_more_has_more_to_say(db: None) -> None:
    keep(*range(1, 10))
    ada = make_user("ada", 1, 2, 3)
    make_user("near", 1, 2, 3, 7)
    make_user("far", 1, 8)
    make_user("further", 2, 8)
    make_user("stranger", 9)
    # Three shared: 9. One and one: 1 + 1. The stranger shares nothing and is not asked.
    assert ids(ada, "likes") == [7, 8]


def test_nobody_is_told_what_they_like_already(db: None) -> None:
    keep(*range(1, 60))
    ada = make_user("ada", *range(1, 55))
    make_user("ben", *range(1, 60))
    assert set(ids(ada, "likes")) == set(ids(ada, "features", 50)) == set(range(55, 60))


@pytest.mark.parametrize("method", ["likes", "features", "popular"])
def test_who_likes_nothing_yet_gets_what_most_like(db: None, method: recommend.Method) -> None:
    keep(1, 2, 3)
    make_user("ben", 1, 2)
    make_user("cleo", 2)
    ada = make_user("ada")
    used, found = recommend.for_user(ada.pk, method, 10)
    assert (used, [movie.id for movie in found]) == ("popular", [2, 1])


def test_features_find_the_same_genres(db: None) -> None:
    said = {"title": "x", "release_date": "2000-01-01", "vote_average": 5.0, "vote_count": 10}
    genres = {1: [27], 2: [27], 3: [35], 4: [27, 35]}
    favorites.save_movies({"id": key, "genre_ids": value, **said} for key, value in genres.items())
    assert ids(make_user("ada", 1), "features") == [2, 4, 3]


def test_features_of_a_movie() -> None:
    vector = features.features([28, 12, 28, 999], vote_average=10, vote_count=10**6, year=None)
    assert len(vector) == features.DIMENSIONS == 22
    assert math.isclose(sum(value**2 for value in vector[:19]), 1)
    assert vector[19:] == [features.RATING, features.FAME, 0.0]
    assert set(features.GENRES) == set(GENRES)
    nothing = features.features([], vote_average=0, vote_count=0, year=1900)
    assert nothing == [0.0] * 19 + [-features.RATING, 0.0, -features.AGE]


def test_through_the_site(as_user: Api, user: User) -> None:
    keep(1, 2, 3)
    make_user("ben", 1, 2)
    favorites.add(user, 1)
    answer = as_user.get("me/recommendations").json()
    assert (answer["method"], [movie["id"] for movie in answer["results"]]) == ("likes", [2])
    answer = as_user.get("me/recommendations?by=features&limit=1").json()
    assert (answer["method"], len(answer["results"])) == ("features", 1)
    assert as_user.get("me/recommendations?by=magic").status_code == 422


def test_the_index_is_used(db: None) -> None:
    """An index of vectors serves this operator, in this order, and no other."""
    keep(*range(1, 50))
    vector = [1.0] + [0.0] * 21
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_sort = off")
        from pgvector.django import CosineDistance

        plan = Movie.objects.order_by(CosineDistance("features", vector))[:10].explain()
    assert "Index Scan using movie_features" in plan


def test_import_takes_pages_from_outside(db: None, fake: Fake) -> None:
    call_command("import_movies", pages=3, verbosity=0)
    assert (Movie.objects.count(), fake.total) == (60, 3)
    call_command("import_movies", pages=100, verbosity=0)
    assert (Movie.objects.count(), fake.total) == (200, 10), "it ends with the last page"
    assert Command.help


def test_the_seed_can_run_twice(db: None) -> None:
    said = [seed.load(60, 12, each=9) for _ in range(2)]
    assert said[0] == said[1]
    assert (Movie.objects.count(), User.objects.count()) == (60, 12)
    assert Favorite.objects.filter(user__email="ada@example.com").exists()
    assert User.objects.get(email="ada@example.com").check_password(seed.PASSWORD)


def test_made_up_data_is_the_same_each_time() -> None:
    assert movies(50) == movies(100)[:50]
    assert likes(movies(50), 5, each=6) == likes(movies(50), 5, each=6)
