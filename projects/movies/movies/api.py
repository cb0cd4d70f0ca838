"""The REST API. Views are thin: they check the form, call, and shape the answer."""

import datetime
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Annotated, Any, Literal

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.exceptions import ValidationError as DjangoValidationError
from django.core.validators import validate_email
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI, Path, Query, Router, Schema, Status
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.security import HttpBearer
from pydantic import AfterValidator, ConfigDict, Field, StringConstraints
from redis.exceptions import RedisError

from movies import accounts, favorites, recommend
from movies.models import Favorite, Movie, Session
from movies.outside import NotFound, OutsideError
from movies.problems import MEDIA_TYPE, Refusal, problem
from movies.services import services
from movies.stale import Found
from movies.throttle import client_address, forget, over
from movies.tmdb import MAX_ID, MAX_PAGE, ListedMovie, Window

logger = logging.getLogger(__name__)
QUARTER = 15 * 60  # seconds
HOUR = 60 * 60


# -- What comes in


def _email(text: str) -> str:
    try:
        validate_email(text)
    except DjangoValidationError as error:
        raise ValueError("This is no e-mail address.") from error
    return text


class Input(Schema):
    """A body. A field that is not named here is refused, not ignored."""

    model_config = ConfigDict(extra="forbid")


class Credentials(Input):
    """Who somebody is."""

    email: Annotated[
        str,
        StringConstraints(max_length=254),
        AfterValidator(_email),
        Field(json_schema_extra={"format": "email"}),
    ]
    password: Annotated[str, StringConstraints(min_length=8, max_length=128)]


class RefreshInput(Input):
    """A refresh token."""

    refresh: Annotated[str, StringConstraints(min_length=1, max_length=100)]


MovieId = Annotated[int, Path(ge=1, le=MAX_ID, description="TMDb's id of the movie")]
Page = Annotated[int, Query(ge=1, le=MAX_PAGE)]
Limit = Annotated[int, Query(ge=1, le=50)]
Before = Annotated[int | None, Query(ge=1, le=2**63 - 1, description="`next` of the page before")]


# -- What goes out


class Freshness(Schema):
    """How old an answer from outside is.

    `fetched` and `fresh`: as it should be. `stale`: it is being asked for anew. `stale-if-error`:
    the outside gives no answer, and this is the last one that it gave.
    """

    state: Literal["fetched", "fresh", "stale", "stale-if-error"]
    age: Annotated[float, Field(description="in seconds")]
    fetched_at: datetime.datetime

    @classmethod
    def of(cls, found: Found, response: HttpResponse) -> "Freshness":
        """Return a finding's freshness, and set the header Age."""
        response["Age"] = str(int(found.age))
        moment = datetime.datetime.fromtimestamp(found.fetched_at, datetime.UTC)
        return cls(state=found.state, age=round(found.age, 3), fetched_at=moment)


class OutsidePage(Schema):
    """A page of movies from TMDb."""

    page: int
    total_pages: int
    total_results: int
    results: list[ListedMovie]
    freshness: Freshness


class OutsideMovie(Schema):
    """A movie from TMDb."""

    movie: ListedMovie
    freshness: Freshness


class MovieOut(Schema):
    """A movie as we keep it."""

    id: int
    title: str
    release_date: datetime.date | None
    genre_ids: list[int]
    vote_average: float
    vote_count: int


class FavoriteOut(Schema):
    """A favorite."""

    movie: MovieOut
    created_at: datetime.datetime


class FavoritesPage(Schema):
    """Some favorites, newest first."""

    results: list[FavoriteOut]
    next: Annotated[int | None, Field(description="Send it as `before` to have the next page")]


class Recommendations(Schema):
    """What one may like, best first."""

    method: Annotated[recommend.Method, Field(description="`popular` if the method finds nothing")]
    results: list[MovieOut]


class TokensOut(Schema):
    """Tokens. `refresh` works once."""

    access: str
    refresh: str
    token_type: str
    expires_in: int


class Me(Schema):
    """One's own account."""

    id: int
    email: str
    created_at: datetime.datetime


# -- The API


class Bearer(HttpBearer):
    """Knows a user by the access token."""

    async def authenticate(self, request: HttpRequest, token: str) -> Session | None:  # noqa: ARG002
        """Return the session that the token names."""
        return await sync_to_async(accounts.session_of)(token)


def current_session(request: HttpRequest) -> Session:
    """Return the session of a request that has passed `Bearer`."""
    session: Session = request.auth  # type: ignore[attr-defined]
    return session


class Api(NinjaAPI):
    """Ninja's API, whose description also tells of errors."""

    def get_openapi_schema(self, **options: Any) -> Any:
        """Return the description."""
        schema = super().get_openapi_schema(**options)
        schema["components"]["schemas"]["Problem"] = PROBLEM
        for path, methods in schema["paths"].items():
            for operation in methods.values():
                for status in _errors(path, operation):
                    operation["responses"][str(status)] = {
                        "description": ERRORS[status],
                        "content": {
                            MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}
                        },
                    }
        return schema


PROBLEM = {
    "type": "object",
    "title": "Problem",
    "description": "Problem details (RFC 9457)",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"where": {"type": "string"}, "what": {"type": "string"}},
                "required": ["where", "what"],
            },
        },
    },
    "required": ["type", "title", "status", "detail"],
}
ERRORS = {
    400: "The body cannot be read",
    401: "Who you are is not known",
    404: "There is no such thing",
    409: "It contradicts what is there",
    411: "The length of the body is not told",
    413: "The body is too large",
    415: "The body is not JSON",
    422: "A value is not allowed",
    429: "Too many requests; see Retry-After",
    503: "Something that is needed does not answer; see Retry-After",
}


def _errors(path: str, operation: dict[str, Any]) -> list[int]:
    """Return the statuses of errors that an operation may answer with."""
    found = {400, 429, 503}
    if operation.get("security") or "/auth/" in path:
        found.add(401)
    if operation.get("parameters") or "requestBody" in operation:
        found.add(422)
    if "requestBody" in operation:
        found |= {411, 413, 415}
    if "{" in path:
        found.add(404)
    if path.endswith("/register") or "/favorites/{" in path:
        found.add(409)
    return sorted(found)


api = Api(
    title="Movies",
    version="1.0.0",
    description="Trending and recommended movies, and favorites.",
    docs_url=None,
    openapi_url="/openapi.json",
    servers=[{"url": "/", "description": "This site"}],
    urls_namespace="api",
)
outside = Router(tags=["movies"])
auth = Router(tags=["auth"])
own = Router(tags=["me"], auth=Bearer())


@outside.get("/trending", response=OutsidePage)
async def trending(
    request: HttpRequest, response: HttpResponse, window: Window = "week", page: Page = 1
) -> dict[str, Any]:
    """What is popular this day or this week, from TMDb."""
    return _page(await services().tmdb.trending(window, page), response)


@outside.get("/{movie_id}", response=OutsideMovie)
async def movie(request: HttpRequest, response: HttpResponse, movie_id: MovieId) -> dict[str, Any]:
    """One movie, from TMDb."""
    found = await services().tmdb.movie(movie_id)
    return {"movie": found.value, "freshness": Freshness.of(found, response)}


@outside.get("/{movie_id}/recommendations", response=OutsidePage)
async def recommended(
    request: HttpRequest, response: HttpResponse, movie_id: MovieId, page: Page = 1
) -> dict[str, Any]:
    """What TMDb recommends to those who like a movie."""
    return _page(await services().tmdb.recommended(movie_id, page), response)


def _page(found: Found, response: HttpResponse) -> dict[str, Any]:
    return found.value | {"freshness": Freshness.of(found, response)}


@auth.post("/register", response={201: Me})
async def register(request: HttpRequest, body: Credentials) -> Status[Any]:
    """Make an account."""
    await _counted(f"register:{client_address(request)}", settings.REGISTER_LIMIT, HOUR)
    return Status(201, await sync_to_async(accounts.register)(body.email, body.password))


@auth.post("/login", response=TokensOut)
async def login(request: HttpRequest, body: Credentials) -> accounts.Tokens:
    """Begin a session."""
    # Both are counted before the password is checked, so that many log-ins at once cannot pass the
    # limit. The address comes first: one that has used up its attempts must not use up those of
    # more accounts.
    account = f"login:account:{accounts.digest(body.email.lower())}"
    address = f"login:address:{client_address(request)}"
    await _counted(address, settings.LOGIN_LIMIT_ADDRESS, QUARTER)
    await _counted(account, settings.LOGIN_LIMIT_ACCOUNT, QUARTER)
    tokens = await sync_to_async(accounts.log_in)(body.email, body.password)
    with suppress(RedisError):  # the password was right, whether we can forget attempts or not
        await forget(account)
    return tokens


@auth.post("/refresh", response=TokensOut)
async def refresh(request: HttpRequest, body: RefreshInput) -> accounts.Tokens:
    """Exchange a refresh token, which works once, for new tokens."""
    return await sync_to_async(accounts.refresh)(body.refresh)


@auth.post("/logout", response={204: None}, auth=Bearer())
async def logout(request: HttpRequest) -> Status[None]:
    """End the session: both of its tokens are good no longer."""
    await sync_to_async(accounts.log_out)(current_session(request))
    return Status(204, None)


@own.get("", response=Me)
async def account(request: HttpRequest) -> Any:
    """One's own account."""
    return current_session(request).user


@own.get("/favorites", response=FavoritesPage)
async def list_favorites(
    request: HttpRequest, limit: Limit = 20, before: Before = None
) -> dict[str, Any]:
    """One's own favorites, newest first."""
    find = sync_to_async(favorites.page)
    found, following = await find(current_session(request).user, before=before, limit=limit)
    return {"results": found, "next": following}


@own.put("/favorites/{movie_id}", response={200: FavoriteOut, 201: FavoriteOut})
async def add_favorite(request: HttpRequest, movie_id: MovieId) -> Status[Favorite]:
    """Like a movie. To like it twice changes nothing: 201 the first time, then 200."""
    if not await Movie.objects.filter(id=movie_id).aexists():
        found = await services().tmdb.movie(movie_id)
        await sync_to_async(favorites.save_movies)([found.value])
    favorite, new = await sync_to_async(favorites.add)(current_session(request).user, movie_id)
    return Status(201 if new else 200, favorite)


@own.delete("/favorites/{movie_id}", response={204: None})
async def remove_favorite(request: HttpRequest, movie_id: MovieId) -> Status[None]:
    """Like a movie no longer."""
    if not await sync_to_async(favorites.remove)(current_session(request).user, movie_id):
        raise Refusal(404, "This movie is not one of your favorites.")
    return Status(204, None)


@own.get("/recommendations", response=Recommendations)
async def my_recommendations(
    request: HttpRequest, by: Literal["likes", "features"] = "likes", limit: Limit = 10
) -> dict[str, Any]:
    """What one may like, by what people of the same taste like, or by the movies' features."""
    find = sync_to_async(recommend.for_user)
    method, found = await find(current_session(request).user.pk, by, limit)
    return {"method": method, "results": found}


api.add_router("/movies", outside)
api.add_router("/auth", auth)
api.add_router("/me", own)


async def _counted(name: str, limit: int, seconds: int) -> None:
    """Count an attempt. Without Valkey nobody comes in: passwords could be guessed at full speed.

    Raises:
        Refusal: If there were too many, or they cannot be counted.
    """
    try:
        wait = await over(name, limit, seconds)
    except RedisError as error:
        raise Refusal(503, "Passwords cannot be checked at present.", Retry_After="5") from error
    if wait:
        raise Refusal(429, "Too many attempts.", Retry_After=str(wait))


# -- Errors

Handler = Callable[[HttpRequest, Any], HttpResponse]


def _on_validation(request: HttpRequest, error: ValidationError) -> HttpResponse:
    errors = [
        {"where": ".".join(str(part) for part in one["loc"]), "what": str(one["msg"])}
        for one in error.errors
    ]
    return problem(422, "Some values are not allowed.", errors=errors)


def _on_outside(request: HttpRequest, error: OutsideError) -> HttpResponse:
    """Say that the outside is the cause, and nothing of its answer."""
    wait = {"Retry-After": str(max(1, round(error.retry_after)))}
    return problem(503, "The movie database does not answer at present.", headers=wait)


def _on_database(request: HttpRequest, error: OperationalError) -> HttpResponse:
    logger.error("the database does not answer: %s", error)
    return problem(503, "The database does not answer at present.", headers={"Retry-After": "5"})


def _on_absence(request: HttpRequest, error: NotFound) -> HttpResponse:
    return problem(404, "TMDb knows no such movie or page.")


def _on_refusal(request: HttpRequest, error: Refusal) -> HttpResponse:
    return problem(error.status, error.detail, headers=error.headers)


def _on_no_token(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    wanted = {"WWW-Authenticate": "Bearer"}
    return problem(401, "Send an access token that is valid.", headers=wanted)


def _on_http(request: HttpRequest, error: HttpError) -> HttpResponse:
    return problem(error.status_code, error.message)


HANDLERS: Mapping[type[Exception], Handler] = {
    ValidationError: _on_validation,
    OutsideError: _on_outside,
    NotFound: _on_absence,
    Refusal: _on_refusal,
    AuthenticationError: _on_no_token,
    HttpError: _on_http,
    OperationalError: _on_database,
}
for kind, handler in HANDLERS.items():
    api.add_exception_handler(kind, handler)
