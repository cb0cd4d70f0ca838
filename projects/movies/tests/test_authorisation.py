"""Who may do what: a table of all routes, held to the API's description."""

import pytest

from movies import favorites
from movies.api import api as description
from movies.models import Favorite, User
from tests.conftest import PASSWORD, Api, signed_in
from tests.test_favorites import keep

ANYBODY = {
    ("GET", "/api/v1/movies/trending"): 200,
    ("GET", "/api/v1/movies/{movie_id}"): 200,
    ("GET", "/api/v1/movies/{movie_id}/recommendations"): 200,
    ("POST", "/api/v1/auth/register"): 422,
    ("POST", "/api/v1/auth/login"): 422,
    ("POST", "/api/v1/auth/refresh"): 422,
}
"""Routes without a token, and what an empty body gets."""
USERS = {
    ("POST", "/api/v1/auth/logout"): 204,
    ("GET", "/api/v1/me"): 200,
    ("GET", "/api/v1/me/favorites"): 200,
    ("PUT", "/api/v1/me/favorites/{movie_id}"): 201,
    ("DELETE", "/api/v1/me/favorites/{movie_id}"): 404,
    ("GET", "/api/v1/me/recommendations"): 200,
}
"""Routes for those who are logged in, and what Ada gets where Ben likes movie 1001."""


def routes() -> set[tuple[str, str]]:
    paths = description.get_openapi_schema()["paths"]
    return {(method.upper(), path) for path, methods in paths.items() for method in methods}


def test_the_table_has_each_route() -> None:
    assert routes() == set(ANYBODY) | set(USERS)


def test_the_description_says_where_a_token_is_needed() -> None:
    paths = description.get_openapi_schema()["paths"]
    secured = {
        (method.upper(), path)
        for path, methods in paths.items()
        for method, operation in methods.items()
        if operation.get("security")
    }
    assert secured == set(USERS)


@pytest.mark.parametrize(("method", "path"), ANYBODY, ids=" ".join)
@pytest.mark.parametrize("token", ["", "wrong"])
def test_anybody(db: None, method: str, path: str, token: str) -> None:
    body = {} if method == "POST" else None
    answer = Api(token)(method, path.format(movie_id=1001), body)
    assert answer.status_code == ANYBODY[method, path]


@pytest.mark.parametrize(("method", "path"), USERS, ids=" ".join)
def test_users(as_user: Api, method: str, path: str) -> None:
    ben = User.objects.create_user("ben@example.com", PASSWORD)
    keep(1001)
    favorites.add(ben, 1001)
    url = path.format(movie_id=1001)
    for token in ("", "wrong"):
        answer = Api(token)(method, url)
        assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
        assert answer["Content-Type"] == "application/problem+json"
    assert as_user(method, url).status_code == USERS[method, path]
    assert Favorite.objects.filter(user=ben).count() == 1
    assert [one["movie"]["id"] for one in signed_in(ben).get("me/favorites").json()["results"]] == [
        1001
    ]


@pytest.mark.parametrize("scheme", ["Basic", "Token", "bearer", ""])
def test_only_bearer_is_a_scheme(user: User, scheme: str) -> None:
    from movies import accounts

    access = accounts.log_in(user.email, PASSWORD).access
    status = Api().get("me", Authorization=f"{scheme} {access}".strip()).status_code
    assert status == (200 if scheme == "bearer" else 401), "a scheme's case does not matter"
