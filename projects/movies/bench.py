"""Measure: how good recommendations are, how fast, and what the cache saves. `make bench`.

The set is made up (see fake_tmdb/catalogue.py), so its quality says which method uses what, and
not how good one is on real people.
"""

# ruff: noqa: T201, S311 - it prints, and its chance needs no secret
import asyncio
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import django

DATABASE = "movies_bench"
MOVIES, PEOPLE, EACH, HELD = 1_000, 1_500, 30, 6
MANY = 50_000
"""Movies for the index."""


def recall(found: Sequence[int], held: set[int]) -> float:
    """Return the part of what was held out that was found."""
    return len(held & set(found)) / len(held)


def timed(action: Callable[[], Any]) -> float:
    """Return the milliseconds that an action takes."""
    began = time.perf_counter()
    action()
    return (time.perf_counter() - began) * 1000


def quality() -> None:
    """Hold out a part of what people like, and see who finds it."""
    from fake_tmdb import seed
    from fake_tmdb.catalogue import likes, movies
    from movies import recommend
    from movies.models import Favorite, User

    print(seed.load(MOVIES, PEOPLE, each=EACH))
    chance = random.Random(7)
    emails = [f"person{number}@example.com" for number in range(3, PEOPLE)]
    users = dict(User.objects.filter(email__in=emails).values_list("email", "pk"))
    liked = likes(movies(MOVIES), PEOPLE, each=EACH)
    asked = chance.sample(range(3, PEOPLE), 200)
    held = {}
    for number in asked:
        user = users[f"person{number}@example.com"]
        held[user] = set(chance.sample(liked[number], HELD))
        Favorite.objects.filter(user_id=user, movie_id__in=held[user]).delete()
    analyze()
    for method in ("popular", "likes", "features"):
        recalls, times = [], []
        for user, wanted in held.items():
            began = time.perf_counter()
            _, found = recommend.for_user(user, method, 10)
            times.append((time.perf_counter() - began) * 1000)
            recalls.append(recall([movie.id for movie in found], wanted))
        most = min(10, HELD) / HELD
        print(
            f"{method:<9} recall@10 {statistics.mean(recalls):.3f} of {most:.0f}, "
            f"median {statistics.median(times):.1f} ms"
        )


def index() -> None:
    """Find the nearest of many vectors, with the index and without."""
    from django.db import connection
    from pgvector.django import CosineDistance

    from fake_tmdb.catalogue import movies
    from movies.features import features
    from movies.models import Favorite, Movie

    Favorite.objects.all().delete()
    Movie.objects.all().delete()
    rows = [
        Movie(
            id=made.id,
            title=made.title,
            features=features(
                made.genre_ids,
                vote_average=made.vote_average,
                vote_count=made.vote_count,
                year=made.release_date.year,
            ),
        )
        for made in movies(MANY)
    ]
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX movie_features")
        Movie.objects.bulk_create(rows, batch_size=5_000)
        analyze()
        chance = random.Random(3)
        asked = [row.features for row in chance.sample(rows, 40)]
        asked = [[value + chance.gauss(0, 0.05) for value in vector] for vector in asked]

        def ask() -> tuple[list[set[int]], float]:
            found, times = [], []
            for vector in asked:
                query = Movie.objects.order_by(CosineDistance("features", vector))
                began = time.perf_counter()
                found.append(set(query.values_list("id", flat=True)[:10]))
                times.append((time.perf_counter() - began) * 1000)
            return found, statistics.median(times)

        exact, without = ask()
        took = timed(
            lambda: cursor.execute(
                "CREATE INDEX movie_features ON movies_movie "
                "USING hnsw (features vector_cosine_ops)"
            )
        )
        cursor.execute("SET hnsw.iterative_scan = strict_order")
        near, with_index = ask()
    alike = statistics.mean(len(a & b) / 10 for a, b in zip(exact, near, strict=True))
    print(
        f"{MANY:,} movies: {without:.1f} ms without the index, {with_index:.1f} ms with it "
        f"({without / with_index:.0f} times faster); it finds {alike:.3f} of the exact ten; "
        f"built in {took / 1000:.1f} s"
    )


def outside() -> None:
    """Ask the fake, which takes 50 ms, with a cold cache and a warm one."""
    from django.conf import settings

    from fake_tmdb.program import TOKEN, Fake
    from fake_tmdb.serving import served
    from movies.services import running

    fake = Fake(200)

    async def ask() -> None:
        async with running() as own:
            await own.valkey.flushdb()
            for name in ("a hundred misses at once", "a hundred hits at once"):
                fake.behave(then={"kind": "slow", "seconds": 0.05})
                began = time.perf_counter()
                await asyncio.gather(*(own.tmdb.trending("week", 1) for _ in range(100)))
                print(f"{name}: {(time.perf_counter() - began) * 1000:.0f} ms, asked {fake.total}")
            times = []
            for _ in range(300):
                began = time.perf_counter()
                await own.tmdb.trending("week", 1)
                times.append((time.perf_counter() - began) * 1000)
            warm = statistics.median(times)
            times = []
            for page in range(2, 11):
                began = time.perf_counter()
                await own.tmdb.trending("week", page)
                times.append((time.perf_counter() - began) * 1000)
            cold = statistics.median(times)
            print(f"one hit {warm:.2f} ms, one miss {cold:.1f} ms: {cold / warm:.0f} times")
            fake.behave(then={"kind": "fail"})
            for page in range(11, 21):
                try:
                    await own.tmdb.trending("week", page)
                except Exception as error:
                    last = error
            print(f"ten pages with the outside down: asked {fake.total}; last: {last}")

    with served(fake) as url:
        settings.TMDB_URL, settings.TMDB_TOKEN = url, TOKEN
        asyncio.run(ask())


def analyze() -> None:
    """Let PostgreSQL count what is there."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def main() -> None:
    """Measure all, in a database of its own that is dropped afterwards."""
    os.environ["LOG_LEVEL"] = "CRITICAL"
    django.setup()
    from django.core.management import call_command
    from django.db import connection
    from django.test.utils import setup_test_environment

    setup_test_environment()
    connection.settings_dict["TEST"]["NAME"] = DATABASE
    connection.settings_dict["OPTIONS"].pop("options")  # no limit of time for what is measured
    before = str(connection.settings_dict["NAME"])
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        call_command("migrate", verbosity=0)
        for part in (quality, index, outside):
            if part.__name__ in (sys.argv[1:] or part.__name__):
                part()
    finally:
        connection.creation.destroy_test_db(before, verbosity=0)


if __name__ == "__main__":
    main()
