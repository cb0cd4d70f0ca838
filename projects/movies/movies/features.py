"""A movie as a vector: its genres, and a little of its rating, its fame and its time.

The distance between two vectors is the cosine's. Genres weigh most. A genre that few movies have
says more than one that many have, which a weight like IDF would tell; but such weights change with
each new movie, and all stored vectors with them. So each genre weighs the same.
"""

import math
from collections.abc import Iterable, Sequence

GENRES = {
    28: "Action", 12: "Adventure", 16: "Animation", 35: "Comedy", 80: "Crime",
    99: "Documentary", 18: "Drama", 10751: "Family", 14: "Fantasy", 36: "History",
    27: "Horror", 10402: "Music", 9648: "Mystery", 10749: "Romance", 878: "Science Fiction",
    10770: "TV Movie", 53: "Thriller", 10752: "War", 37: "Western",
}  # fmt: skip
"""TMDb's genres of movies. An id that is not here has no place in the vector, and is ignored."""
PLACE = {genre: place for place, genre in enumerate(GENRES)}
DIMENSIONS = len(GENRES) + 3
RATING, FAME, AGE = 0.3, 0.15, 0.15
"""What the other features weigh, beside genres whose part has the length 1."""


def features(
    genre_ids: Iterable[int], *, vote_average: float, vote_count: int, year: int | None
) -> list[float]:
    """Return a movie's vector.

    Args:
        genre_ids: TMDb's.
        vote_average: From 0 to 10.
        vote_count: How many have voted.
        year: Of its release, if that is known.
    """
    places = {PLACE[genre] for genre in genre_ids if genre in PLACE}
    vector = [0.0] * DIMENSIONS
    for place in places:
        vector[place] = 1 / math.sqrt(len(places))
    vector[-3] = RATING * (vote_average - 5) / 5
    # Ten thousand votes and more are the most famous.
    vector[-2] = FAME * min(math.log10(1 + vote_count) / 4, 1)
    vector[-1] = AGE * max(-1.0, min(1.0, ((year or 2000) - 2000) / 40))
    return vector


def taste(vectors: Sequence[Sequence[float]]) -> list[float]:
    """Return the mean of the vectors of what somebody likes."""
    return [sum(values) / len(vectors) for values in zip(*vectors, strict=True)]
