"""Movies and people who like them, made up from a seed. No title and no person is real.

Each movie has genres, which all can see, and a mood, which nobody can: it shows only in who likes
it. Each person likes some genres and some moods. So features tell a part of the taste, and what
others like tells another.
"""

import math
import random
from dataclasses import dataclass, field
from datetime import date, timedelta

GENRES = {
    28: "Action", 12: "Adventure", 16: "Animation", 35: "Comedy", 80: "Crime",
    99: "Documentary", 18: "Drama", 10751: "Family", 14: "Fantasy", 36: "History",
    27: "Horror", 10402: "Music", 9648: "Mystery", 10749: "Romance", 878: "Science Fiction",
    10770: "TV Movie", 53: "Thriller", 10752: "War", 37: "Western",
}  # fmt: skip
"""The ids and names of TMDb's genres: a part of its API."""
FIRST = (
    "Amber", "Broken", "Crimson", "Distant", "Electric", "Forgotten", "Gentle", "Hidden",
    "Iron", "Jagged", "Kindly", "Lonely", "Midnight", "Northern", "Open", "Paper",
    "Quiet", "Restless", "Silver", "Tender", "Uncertain", "Velvet", "Winter", "Yellow",
)  # fmt: skip
SECOND = (
    "Anchor", "Bridge", "Circus", "Dream", "Engine", "Forest", "Garden", "Harbour",
    "Island", "Journey", "Kingdom", "Lantern", "Mirror", "Night", "Orchard", "Parade",
    "Question", "River", "Shadow", "Tower", "Umbrella", "Voyage", "Window", "Zephyr",
)  # fmt: skip
MOODS = 12
FIRST_ID = 1001


@dataclass(frozen=True)
class Made:
    """A made-up movie."""

    id: int
    title: str
    overview: str
    release_date: date
    genre_ids: list[int]
    vote_average: float
    vote_count: int
    popularity: float
    mood: int = field(repr=False)


def movies(count: int, *, seed: int = 1) -> list[Made]:
    """Make movies; the same ones for the same seed, whatever the count."""
    chance = random.Random(seed)
    weights = [1 / (place + 2) for place in range(len(GENRES))]
    made = []
    for number in range(count):
        wanted = chance.choice((1, 2, 2, 3))
        genres = list(dict.fromkeys(chance.choices(list(GENRES), weights, k=wanted)))
        first, second = chance.choice(FIRST), chance.choice(SECOND)
        fame = chance.paretovariate(1.1)
        made.append(
            Made(
                id=FIRST_ID + number,
                title=f"{first} {second} {number + 1}",
                overview=f"{GENRES[genres[0]]}: the story of the {second.lower()}.",
                release_date=date(1970, 1, 1) + timedelta(days=chance.randrange(20_000)),
                genre_ids=genres,
                vote_average=round(min(max(chance.gauss(6.3, 1.2), 0), 10), 3),
                vote_count=int(min(20 * fame, 40_000)),
                popularity=round(min(fame, 900.0), 3),
                mood=chance.randrange(MOODS),
            )
        )
    return made


def likes(made: list[Made], people: int, *, each: int, seed: int = 1) -> list[list[int]]:
    """Make people's tastes, and return the ids of what each one likes, in the order of liking."""
    chance = random.Random(f"{seed} likes")
    all_likes = []
    for _ in range(people):
        genres = set(chance.sample(list(GENRES), 3))
        moods = set(chance.sample(range(MOODS), 2))
        wanted = min(each + chance.randrange(-each // 3, each // 3 + 1), len(made))

        def draw(movie: Made, genres: set[int] = genres, moods: set[int] = moods) -> float:
            """Efraimidis and Spirakis: the largest of these keys are a weighted sample."""
            weight = math.sqrt(movie.popularity)
            weight *= 6 ** len(genres & set(movie.genre_ids)) * (8 if movie.mood in moods else 1)
            weight *= 1 + max(movie.vote_average - 5, 0)
            return float(math.log(1 - chance.random()) / weight)

        all_likes.append([movie.id for movie in sorted(made, key=draw, reverse=True)[:wanted]])
    return all_likes
