"""Recommendations of our own, from favorites: by SQL, and by pgvector."""

import math
from typing import Literal

from django.db import connection, transaction
from pgvector.django import CosineDistance

from movies.features import taste
from movies.models import Favorite, Movie

Method = Literal["likes", "features", "popular"]
NEWEST = 50
"""So many of a user's newest favorites count. More cost more, and tell of an older taste."""

BY_LIKES = """
WITH mine AS (
    SELECT movie_id FROM movies_favorite WHERE user_id = %(user)s ORDER BY id DESC LIMIT %(newest)s
), peers AS (
    SELECT f.user_id, count(*) AS shared
    FROM mine JOIN movies_favorite f USING (movie_id)
    WHERE f.user_id <> %(user)s
    GROUP BY f.user_id
    ORDER BY shared DESC, f.user_id
    LIMIT %(peers)s
)
SELECT f.movie_id
FROM peers JOIN movies_favorite f USING (user_id)
WHERE NOT EXISTS (
    SELECT FROM movies_favorite own WHERE own.user_id = %(user)s AND own.movie_id = f.movie_id
)
GROUP BY f.movie_id
ORDER BY sum(peers.shared * peers.shared) DESC, f.movie_id
LIMIT %(limit)s
"""
"""People who liked this also liked: the users who share most favorites with this one vote. One who
shares twice as many has four times the weight."""
PEERS = 100
CANDIDATES = 100
"""So many of the nearest movies are ranked."""

POPULAR = """
SELECT f.movie_id
FROM movies_favorite f
WHERE NOT EXISTS (
    SELECT FROM movies_favorite own WHERE own.user_id = %(user)s AND own.movie_id = f.movie_id
)
GROUP BY f.movie_id
ORDER BY count(*) DESC, f.movie_id
LIMIT %(limit)s
"""


def for_user(user_id: int, method: Method, limit: int) -> tuple[Method, list[Movie]]:
    """Return movies that a user may like and has not yet noted, and how they were found.

    If the method finds nothing, the user gets what most users like: nobody can be compared with a
    user who likes nothing yet, or whose favorites nobody shares.
    """
    if method == "features":
        found = by_features(user_id, limit)
    else:
        found = _in_order(by_sql(BY_LIKES if method == "likes" else POPULAR, user_id, limit))
    if found or method == "popular":
        return method, found
    return "popular", _in_order(by_sql(POPULAR, user_id, limit))


def by_sql(query: str, user_id: int, limit: int) -> list[int]:
    """Return the ids of movies by one of the queries above."""
    values = {"user": user_id, "limit": limit, "newest": NEWEST, "peers": PEERS}
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return [row[0] for row in cursor.fetchall()]


def by_features(user_id: int, limit: int) -> list[Movie]:
    """Return movies like a user's favorites, the better known ones first.

    The index finds candidates, and then they are ranked. Nearness alone is a poor order: hundreds
    of movies have the same genres, and few of them are worth seeing.
    """
    own = list(
        Favorite.objects.filter(user_id=user_id)
        .order_by("-id")
        .values_list("movie_id", "movie__features")
    )
    if not own:
        return []
    distance = CosineDistance("features", taste([vector for _, vector in own[:NEWEST]]))
    with transaction.atomic(), connection.cursor() as cursor:
        # The index does not know which movies to leave out. Without this it returns the nearest
        # 40, of which none may be left.
        cursor.execute("SET LOCAL hnsw.iterative_scan = strict_order")
        candidates = list(
            Movie.objects.exclude(id__in=[movie_id for movie_id, _ in own])
            .defer("features")
            .annotate(distance=distance)
            .order_by("distance")[: max(CANDIDATES, limit)]
        )
    candidates.sort(key=lambda m: (1 - m.distance) * math.log10(10 + m.vote_count), reverse=True)
    return [*candidates[:limit]]


def _in_order(ids: list[int]) -> list[Movie]:
    movies = Movie.objects.defer("features").in_bulk(ids)
    return [movies[movie_id] for movie_id in ids]
