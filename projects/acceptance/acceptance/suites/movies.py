"""Movie recommendations: trending and recommended movies from an outside API, and favorites.

Some checks command the outside API, to see what happens if it is slow or down. They need a control
endpoint at the API's own address (section paths, outside_…), and are skipped without one.
"""

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from acceptance import common, probes
from acceptance.api import Api, User
from acceptance.check import Skipped, check
from acceptance.client import Answer

FRESH = 5.0
"""Seconds after which a cached page is stale. The API's own limit must be less for the run."""
RECOVERY = 20.0
"""Seconds in which the API must notice that the outside is well again."""


def rows(api: Api, name: str, answer: Answer) -> list[Any]:
    """Return the movies of a page from outside."""
    answer.expect(200, wanted=f"The page of {name} movies comes")
    found = api.field("page", "movies", answer)
    answer.want(isinstance(found, list) and found, "The page has movies")
    return list(found)


def movies(api: Api) -> list[Any]:
    """Return the ids of 20 trending movies or more, once a run."""
    found: list[Any] = []
    for page in (1, 2):
        answer = api.stranger.send("trending", params={"page": page})
        found += [api.field("movie", "id", row) for row in rows(api, "trending", answer)]
    return list(dict.fromkeys(found))


def liked(user: User, count: int) -> list[Any]:
    """Let a user like so many trending movies, and return their ids."""
    ids = user.api.once(movies)[:count]
    for movie in ids:
        like(user, movie).expect(wanted="A user can save a favorite")
    return list(ids)


def like(user: User, movie: Any) -> Answer:
    """Save a favorite: the movie's id goes into the path, the body, or both."""
    body = user.api.body("like", movie=movie) if user.api.has("like", "movie") else None
    return user.send("like", movie=movie, json=body)


def listed(user: User) -> list[Any]:
    """Return the ids of a user's favorites."""
    return [user.api.field("favorite", "movie", row) for row in user.api.all(user, "favorites")]


def reader(api: Api) -> User:
    """Return a user with 30 favorites, once a run."""
    user = api.user("reader")
    liked(user, 30)
    return user


@contextmanager
def outside(api: Api, name: str) -> Iterator[None]:
    """Have the outside API behave in some way until the block ends."""
    if not api.names.data["paths"][name]:
        raise Skipped(f"paths.{name} is empty in the mapping: nobody can command the outside API")
    order = {"outside_down": "down", "outside_slow": "slow", "outside_well": "well"}[name]
    kind = {"content-type": "application/json"}
    api.stranger.send(name, content=api.value(order), headers=kind).expect(
        wanted="The control endpoint takes an order (paths.outside_… of the mapping)"
    )
    try:
        yield
    finally:
        api.stranger.send("outside_well", content=api.value("well"), headers=kind)
        # A circuit breaker may need a moment until it sees that the outside is well again.
        began = time.monotonic()
        for page in soon_forgotten(api):
            answer = api.stranger.send("trending", params={"page": page})
            if answer.ok or time.monotonic() - began > RECOVERY:
                break
            time.sleep(0.2)


def asked(api: Api) -> int:
    """Return how many requests reached the outside API since the last order."""
    return int(api.field("outside", "requests", api.stranger.send("outside_count").expect()))


def soon_forgotten(api: Api) -> Iterator[int]:
    """Yield numbers of pages that no other check asks for."""
    count = api.once("pages", lambda _: [20])
    while True:
        count[0] += 1
        yield count[0]


@check(
    "trending",
    "Anyone can see trending movies",
    criterion="functionality",
    official=True,
    chapter="rest-with-drf",
)
def trending(api: Api) -> None:
    """Look at one page and the next."""
    first, second = (
        {str(api.field("movie", "id", row)) for row in rows(api, "trending", answer)}
        for answer in (api.stranger.send("trending", params={"page": page}) for page in (1, 2))
    )
    answer = api.stranger.send("trending")
    answer.want(not first & second, "The second page has other movies than the first")
    for row in rows(api, "trending", answer):
        answer.want(api.field("movie", "title", row), "Each movie has a title")


@check(
    "recommended",
    "One can see movies that are recommended to those who like a movie",
    criterion="functionality",
    official=True,
    chapter="rest-with-drf",
)
def recommended(api: Api) -> None:
    """Ask for recommendations for a trending movie."""
    movie = api.once(movies)[0]
    answer = api.user().send("recommended", movie=movie)
    ids = [api.field("movie", "id", row) for row in rows(api, "recommended", answer)]
    answer.want(movie not in ids, "The movie itself is not recommended")


@check(
    "favorites",
    "A user saves a favorite, sees it, and removes it",
    criterion="functionality",
    official=True,
    chapter="rest-with-drf",
)
def favorites(api: Api) -> None:
    """Save two, see them, remove one."""
    user = api.new_user()
    ids = liked(user, 2)
    answer = user.send("favorites")
    answer.want(sorted(listed(user)) == sorted(ids), "The list has both favorites")
    user.send("unlike", movie=ids[0]).expect(wanted="A favorite can be removed")
    answer = user.send("favorites")
    answer.want(listed(user) == ids[1:], "What was removed is no longer in the list")


@check(
    "favorite-once",
    "A movie is a favorite once, also when ten requests arrive at once",
    criterion="functionality",
    chapter="transactions-and-locks",
)
def favorite_once(api: Api) -> None:
    """Race ten requests for each of three movies, and count afterwards."""
    user, ids = api.new_user(), api.once(movies)[:3]
    for movie in ids:
        answers = probes.race(api, [lambda movie=movie: like(user, movie)] * 10)  # type: ignore[misc]
        for answer in answers:
            probes.no_leak(answer)
        answers[0].want(any(answer.ok for answer in answers), "One of ten succeeds")
    answer = user.send("favorites")
    answer.want(sorted(listed(user)) == sorted(ids), "The list has each of the 3 movies once")


@check(
    "unknown-movie",
    "A movie that does not exist is refused, and becomes no favorite",
    criterion="functionality",
    chapter="rest-with-drf",
)
def unknown_movie(api: Api) -> None:
    """Ask for one, and like one."""
    user = api.new_user()
    for answer in (
        api.stranger.send("movie", movie=987_654_321),
        like(user, 987_654_321),
    ):
        probes.no_leak(answer).want_refused("A movie that does not exist is refused")
    user.send("favorites").want(not listed(user), "The user has no favorite")


@check(
    "stable-pages",
    "A walk through the favorites gives each one once, while favorites are added",
    criterion="functionality",
    chapter="indexes-and-plans",
)
def stable_pages(api: Api) -> None:
    """Walk and write."""
    user = api.new_user()
    ids = liked(user, 20)
    more = iter(api.once(movies)[20:])
    probes.stable_walk(
        api,
        user,
        "favorites",
        key=lambda row: api.field("favorite", "movie", row),
        write=lambda: like(user, next(more)),
        size=5,
        expected=ids,
    )


@check(
    "errors",
    "Errors are JSON of one form, and show nothing of the program",
    criterion="functionality",
    official=True,
    chapter="rest-with-drf",
)
def errors(api: Api) -> None:
    """Make an error of each kind."""
    method, path = api.names.path("trending")
    wrong = "DELETE" if method == "GET" else "GET"
    register = api.names.data["auth"]["register"]["path"]
    probes.error_form(
        [
            api.stranger.send("movie", movie=987_654_321),
            api.stranger.send("favorites"),
            api.stranger.send(f"{wrong} {path}"),
            api.stranger.send(register, json={}),
            api.stranger.send(register, content="{", headers={"content-type": "application/json"}),
        ]
    )


# -- The outside


@check(
    "second-call",
    "The second call for a page is answered from the cache",
    criterion="performance",
    official=True,
    chapter="caching",
)
def second_call(api: Api) -> None:
    """Ask twice for three pages, with an outside that takes its time."""
    with outside(api, "outside_slow"):
        times: tuple[list[float], list[float]] = ([], [])
        answer = None
        for page, _ in zip(soon_forgotten(api), range(3), strict=False):
            for place in (0, 1):
                answer = api.stranger.send("trending", params={"page": page}).expect(200)
                times[place].append(answer.seconds)
        first, second = (statistics.median(part) for part in times)
        count = asked(api)
    assert answer is not None  # noqa: S101 (for mypy)
    answer.want(count == 3, f"Six calls for three pages ask the outside 3 times, not {count}")
    answer.want(
        second < first / 2,
        f"The second call is quicker than half of the first ({second:.3f} s and {first:.3f} s)",
    )


@check(
    "one-flight",
    "Twenty calls at once for a page that is not cached ask the outside once",
    criterion="performance",
    chapter="caching",
)
def one_flight(api: Api) -> None:
    """Race, and count at the outside."""
    with outside(api, "outside_slow"):
        page = next(soon_forgotten(api))
        call = [lambda: api.stranger.send("trending", params={"page": page})] * 20
        answers = probes.race(api, call)
        count = asked(api)
    for answer in answers:
        answer.expect(200, wanted="All of twenty calls at once are answered")
    answers[0].want(count == 1, f"The outside is asked once, not {count} times")


@check(
    "outside-down",
    "With the outside down, pages that came once still come",
    criterion="functionality",
    official=True,
    chapter="caching",
)
def outside_down(api: Api) -> None:
    """Ask until what is kept is no longer fresh, and some time more."""
    api.stranger.send("trending").expect(200)
    with outside(api, "outside_down"):
        began = time.monotonic()
        while time.monotonic() - began < FRESH:
            answer = api.stranger.send("trending")
            rows(api, "trending", answer)
            time.sleep(0.25)
        if api.has("page", "age"):
            age = float(api.field("page", "age", answer))
            answer.want(age >= FRESH - 2, "The answer tells how old it is")


@check(
    "outside-error",
    "With the outside down, what never came is an error with words, and soon",
    criterion="functionality",
    official=True,
    chapter="caching",
)
def outside_error(api: Api) -> None:
    """Ask for a page that is not cached."""
    with outside(api, "outside_down"):
        answer = api.stranger.send("trending", params={"page": next(soon_forgotten(api))})
    answer.expect(502, 503, 504, wanted="The error is not this API's own (502, 503 or 504)")
    answer.want("json" in answer.headers.get("content-type", ""), "The error is JSON")
    answer.want(
        not any(leak in answer.text for leak in probes.LEAKS), "No internals of the program"
    )
    answer.want(answer.seconds < 8, "The error comes within 8 seconds")


@check(
    "no-query-per-row",
    "The time of the favorites hardly grows with their number",
    criterion="performance",
    chapter="orm-and-n-plus-one",
)
def growth(api: Api) -> None:
    """Compare one row with thirty."""
    user = api.once(reader)
    size = api.names.data["lists"]["size"]

    def get(count: int) -> Answer:
        return user.send("favorites", params={size: count})

    probes.growth(lambda: get(1), lambda: get(30), rows=(1, len(api.items(get(30)))))


# -- Who may do what


common.tokens(__name__, "favorites")


@check(
    "others",
    "Nobody sees or removes the favorites of others",
    criterion="security",
    official=True,
    chapter="auth",
)
def others(api: Api) -> None:
    """Let one like, and another one look and remove."""
    one, other = api.new_user(), api.user("other")
    [movie] = liked(one, 1)
    answer = other.send("favorites")
    answer.want(movie not in listed(other), "The list has one's own favorites only")
    probes.no_leak(other.send("unlike", movie=movie))
    answer = one.send("favorites")
    answer.want(listed(one) == [movie], "What somebody else removes is still there")


@check(
    "sql-injection",
    "A text with SQL in it is only a text",
    criterion="security",
    chapter="django-project",
)
def sql_injection(api: Api) -> None:
    """Put SQL into parameters of both kinds of list."""
    size = api.names.data["lists"]["size"]
    probes.injection(lambda text: api.stranger.send("trending", params={"page": text}))
    probes.injection(lambda text: api.user().send("favorites", params={size: text}))


@check(
    "mass-assignment",
    "Who registers cannot become an administrator by it",
    criterion="security",
    chapter="rest-with-drf",
)
def mass_assignment(api: Api) -> None:
    """Register with more than one may set, and look at what is stored."""
    made: list[User] = []

    def send(more: dict[str, Any]) -> Answer:
        user = User(api, "user", f"mass-{len(made)}-{time.time_ns()}", "Pw-kJ27-zz-91-long")
        made.append(user)
        return api.step("register", user, more)

    probes.mass_assignment(
        send,
        lambda _: api.step("me", api.log_in(made[-1])).expect().json,
        api.body("account", staff=True, superuser=True),
    )


common.documentation(__name__, "trending", "recommended", "movie", "favorites", "like", "unlike")
