"""TMDb's API, version 3: what we ask, and what we believe of the answers."""

import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints

from movies.outside import Outside
from movies.stale import Found, StaleCache

MAX_ID = 2_147_483_647
MAX_PAGE = 500
"""TMDb answers no page beyond it."""
Window = Literal["day", "week"]
# PostgreSQL stores no NUL character, and a title of a megabyte is none.
Title = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00]*$")]
Text = Annotated[str, StringConstraints(max_length=5_000, pattern=r"^[^\x00]*$")]
ReleaseDate = Annotated[datetime.date | None, BeforeValidator(lambda date: date or None)]
"""TMDb says "" for a date that nobody knows."""
Id = Annotated[int, Field(ge=1, le=MAX_ID)]
Number = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


class _Movie(BaseModel):
    id: Id
    title: Title
    overview: Text = ""
    release_date: ReleaseDate = None
    poster_path: Annotated[str, StringConstraints(pattern=r"^/[\w.-]{1,100}$")] | None = None
    vote_average: Annotated[float, Field(ge=0, le=10)] = 0
    vote_count: Annotated[int, Field(ge=0, le=MAX_ID)] = 0
    popularity: Number = 0


class ListedMovie(_Movie):
    """A movie as lists have it."""

    genre_ids: Annotated[list[Id], Field(max_length=30)] = []


class _Genre(BaseModel):
    id: Id


class _Details(_Movie):
    """A movie as it is alone: its genres have names."""

    genres: Annotated[list[_Genre], Field(max_length=30)] = []


class _Page(BaseModel):
    page: Annotated[int, Field(ge=1)]
    results: Annotated[list[ListedMovie], Field(max_length=100)]
    total_pages: Annotated[int, Field(ge=0)]
    total_results: Annotated[int, Field(ge=0)]


def parse_page(body: bytes) -> dict[str, Any]:
    """Return a list of movies as it is kept, or raise ValueError."""
    page = _Page.model_validate_json(body).model_dump(mode="json")
    return page | {"total_pages": min(page["total_pages"], MAX_PAGE)}


def parse_details(body: bytes) -> dict[str, Any]:
    """Return a movie as lists have it, or raise ValueError."""
    details = _Details.model_validate_json(body).model_dump(mode="json")
    details["genre_ids"] = [genre["id"] for genre in details.pop("genres")]
    return details


class Tmdb:
    """The API behind its cache."""

    def __init__(self, outside: Outside, cache: StaleCache) -> None:
        self._outside = outside
        self._cache = cache

    async def trending(self, window: Window, page: int) -> Found:
        """Return a page of what is popular this day or this week."""
        path = f"trending/movie/{window}"
        return await self._cache.get(
            f"{path}:{page}", lambda: self._outside.get(path, parse_page, {"page": page})
        )

    async def recommended(self, movie_id: int, page: int) -> Found:
        """Return a page of what TMDb recommends to those who like a movie."""
        path = f"movie/{movie_id}/recommendations"
        return await self._cache.get(
            f"{path}:{page}", lambda: self._outside.get(path, parse_page, {"page": page})
        )

    async def movie(self, movie_id: int) -> Found:
        """Return one movie."""
        path = f"movie/{movie_id}"

        def parse(body: bytes) -> dict[str, Any]:
            details = parse_details(body)
            if details["id"] != movie_id:  # a favorite would name a movie that we do not keep
                raise ValueError(f"the answer is about movie {details['id']}")
            return details

        return await self._cache.get(path, lambda: self._outside.get(path, parse))
