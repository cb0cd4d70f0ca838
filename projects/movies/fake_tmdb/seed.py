"""Load the made-up movies, and people who like them, for one's own machine.

    python -m fake_tmdb.seed --people 300

It can run again: what is there stays.
"""

# ruff: noqa: T201 - it says what it did
import argparse
import os

import django

from fake_tmdb.catalogue import likes, movies

PASSWORD = "long-enough-for-a-demo"  # noqa: S105 - for the local run only
ALSO = ("ada", "ben", "cleo")


def main() -> None:
    """Load."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=300)
    parser.add_argument("--movies", type=int, default=1000)
    arguments = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "movies.settings")
    django.setup()
    print(load(arguments.movies, arguments.people))


def load(count: int, people: int, *, each: int = 30) -> str:
    """Load movies, and people with about so many favorites each. The first ones can log in."""
    from django.contrib.auth.hashers import make_password

    from movies.favorites import save_movies
    from movies.models import Favorite, User

    made = movies(count)
    save_movies(
        {
            "id": movie.id,
            "title": movie.title,
            "release_date": movie.release_date.isoformat(),
            "genre_ids": movie.genre_ids,
            "vote_average": movie.vote_average,
            "vote_count": movie.vote_count,
        }
        for movie in made
    )
    password = make_password(PASSWORD)  # one hash for all: it takes long
    names = [*ALSO, *(f"person{number}" for number in range(len(ALSO), people))][:people]
    emails = [f"{name}@example.com" for name in names]
    User.objects.bulk_create(
        [User(email=email, password=password if place < len(ALSO) else "!")
         for place, email in enumerate(emails)],
        ignore_conflicts=True,
    )  # fmt: skip
    ids = dict(User.objects.filter(email__in=emails).values_list("email", "pk"))
    Favorite.objects.bulk_create(
        (
            Favorite(user_id=ids[email], movie_id=movie_id)
            for email, liked in zip(emails, likes(made, people, each=each), strict=True)
            for movie_id in liked
        ),
        ignore_conflicts=True,
        batch_size=5_000,
    )
    return f"{count} movies, {people} people, {Favorite.objects.count()} favorites"


if __name__ == "__main__":
    main()
