"""What users like."""

import datetime
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db import transaction

from movies.features import features
from movies.models import Favorite, Movie, User
from movies.problems import Refusal


def save_movies(movies: Iterable[dict[str, Any]]) -> None:
    """Keep what the outside says of movies, or bring up to date what we kept."""
    rows = []
    for said in movies:
        date = said["release_date"] and datetime.date.fromisoformat(said["release_date"])
        vector = features(
            said["genre_ids"],
            vote_average=said["vote_average"],
            vote_count=said["vote_count"],
            year=date.year if date else None,
        )
        names = ("id", "title", "genre_ids", "vote_average", "vote_count")
        own = {name: said[name] for name in names}
        rows.append(Movie(**own, release_date=date, features=vector))
    rows.sort(key=lambda movie: movie.id)  # two who save the same rows lock them in one order
    Movie.objects.bulk_create(
        rows,
        batch_size=200,  # each row takes its place in the index, and a statement has 5 s
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=[
            "title", "release_date", "genre_ids", "vote_average", "vote_count", "features",
        ],
    )  # fmt: skip


def add(user: User, movie_id: int) -> tuple[Favorite, bool]:
    """Note that a user likes a movie that we keep, and tell whether that is new.

    Raises:
        Refusal: If the user has as many favorites as one may have.
    """
    with transaction.atomic():
        # One after the other, else two requests could each be the last one that may.
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        own = Favorite.objects.filter(user=user)
        if kept := own.select_related("movie").filter(movie_id=movie_id).first():
            return kept, False
        if own.count() >= settings.MAX_FAVORITES:
            raise Refusal(409, f"You have {settings.MAX_FAVORITES} favorites. Remove one first.")
        made = Favorite.objects.create(user=user, movie_id=movie_id)
        return own.select_related("movie").get(pk=made.pk), True


def remove(user: User, movie_id: int) -> bool:
    """Forget that a user likes a movie, and tell whether they did."""
    return Favorite.objects.filter(user=user, movie_id=movie_id).delete()[0] > 0


def page(user: User, *, before: int | None, limit: int) -> tuple[list[Favorite], int | None]:
    """Return some of a user's favorites, newest first, and where the next ones begin.

    Args:
        user: Whose.
        before: What the page before returned.
        limit: How many at most.
    """
    own = Favorite.objects.filter(user=user).select_related("movie").order_by("-id")
    if before is not None:
        own = own.filter(id__lt=before)
    found = list(own[: limit + 1])
    return found[:limit], found[limit - 1].pk if len(found) > limit else None
