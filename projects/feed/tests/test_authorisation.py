"""Who may do what: a table over all routes of REST, and all fields of Query and Mutation."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction

from feed import inputs, services
from feed.graph import schema
from feed.models import User
from feed.rest import api
from tests.conftest import Asks, make_post, make_user

pytestmark = pytest.mark.django_db
WHO = ("nobody", "reader", "author", "moderator")

# Method and path, a body, and the status for nobody, a reader, the author and a moderator.
ARTICLE = {"article": {"title": "T", "description": "D", "body": "B"}}
TAKEN = {"user": {"username": "author", "email": "a@b.cc", "password": "a-good-pass-phrase"}}
WRONG = {"user": {"email": "author@example.com", "password": "wrong"}}
REST: list[tuple[str, Any, tuple[int, int, int, int]]] = [
    ("POST /users", TAKEN, (422, 422, 422, 422)),
    ("POST /users/login", WRONG, (401, 401, 401, 401)),
    ("GET /user", None, (401, 200, 200, 200)),
    ("PUT /user", {"user": {}}, (401, 200, 200, 200)),
    ("GET /profiles/{username}", None, (200, 200, 200, 200)),
    ("POST /profiles/{username}/follow", None, (401, 200, 422, 200)),
    ("DELETE /profiles/{username}/follow", None, (401, 200, 200, 200)),
    ("GET /articles", None, (200, 200, 200, 200)),
    ("GET /articles/feed", None, (401, 200, 200, 200)),
    ("POST /articles", ARTICLE, (401, 201, 201, 201)),
    ("GET /articles/{slug}", None, (200, 200, 200, 200)),
    ("PUT /articles/{slug}", {"article": {"body": "C"}}, (401, 403, 200, 403)),
    ("DELETE /articles/{slug}", None, (401, 403, 204, 403)),
    ("POST /articles/{slug}/favorite", None, (401, 200, 200, 200)),
    ("DELETE /articles/{slug}/favorite", None, (401, 200, 200, 200)),
    ("GET /articles/{slug}/comments", None, (200, 200, 200, 200)),
    ("POST /articles/{slug}/comments", {"comment": {"body": "C"}}, (401, 200, 200, 200)),
    ("DELETE /articles/{slug}/comments/{id}", None, (401, 403, 204, 204)),
    ("GET /tags", None, (200, 200, 200, 200)),
]

OUT, NO = "unauthenticated", "forbidden"
NEW = '{title: "T", description: "D", body: "B"}'
SESSION = 'username: "author", email: "x@y.zz", password: "a-good-pass-phrase"'
# A selection, and the code of the error for the same four; None where there is none.
GRAPHQL: dict[str, tuple[str, tuple[str | None, str | None, str | None, str | None]]] = {
    "Query.viewer": ("viewer { email }", (None, None, None, None)),
    "Query.post": ("post(id: $post) { id }", (None, None, None, None)),
    "Query.user": ('user(username: "author") { bio }', (None, None, None, None)),
    "Query.posts": ("posts(first: 1) { next }", (None, None, None, None)),
    "Query.timeline": ("timeline(first: 1) { next }", (OUT, None, None, None)),
    "Query.tags": ("tags", (None, None, None, None)),
    "Query.reports": ("reports(first: 1) { next }", (OUT, NO, NO, None)),
    "Mutation.register": (f"register(user: {{{SESSION}}}) {{ token }}", ("taken",) * 4),
    "Mutation.logIn": ('logIn(email: "a@b.cc", password: "x") { token }', (OUT,) * 4),
    "Mutation.logOut": ("logOut", (OUT, None, None, None)),
    "Mutation.createPost": (f"createPost(post: {NEW}) {{ id }}", (OUT, None, None, None)),
    "Mutation.changePost": ("changePost(id: $post, changes: {}) { id }", (OUT, NO, None, NO)),
    "Mutation.deletePost": ("deletePost(id: $post)", (OUT, NO, None, NO)),
    "Mutation.likePost": ("likePost(id: $post) { id }", (OUT, None, None, None)),
    "Mutation.sharePost": ("sharePost(id: $post) { id }", (OUT, None, None, None)),
    "Mutation.addComment": ('addComment(post: $post, body: "C") { id }', (OUT, None, None, None)),
    "Mutation.deleteComment": ("deleteComment(id: $comment)", (OUT, NO, None, None)),
    "Mutation.followUser": ('followUser(username: "author") { bio }', (OUT, None, "oneself", None)),
    "Mutation.blockUser": ('blockUser(username: "author") { bio }', (OUT, None, "oneself", None)),
    "Mutation.reportPost": ('reportPost(id: $post, reason: "R")', (OUT, None, None, None)),
    "Mutation.hidePost": ("hidePost(id: $post) { id }", (OUT, NO, NO, None)),
    "Mutation.suspendUser": ('suspendUser(username: "author") { bio }', (OUT, NO, NO, None)),
}


@pytest.fixture
def people() -> dict[str, User | None]:
    return {
        "nobody": None,
        "reader": make_user("reader"),
        "author": make_user("author"),
        "moderator": make_user("moderator", is_moderator=True),
    }


@pytest.fixture
def things(people: dict[str, User]) -> dict[str, Any]:
    post = make_post(people["author"])
    comment = services.add_comment(
        make_user(), inputs.NewComment(body="A third person's"), pk=post.pk
    )
    return {"post": post, "comment": comment}


def test_the_tables_have_every_route_and_every_field() -> None:
    described = api.get_openapi_schema()["paths"]
    routes = {
        f"{method.upper()} {path.removeprefix('/api')}"
        for path, methods in described.items()
        for method in methods
    }
    assert {route for route, *_ in REST} == routes
    fields = {
        f"{name}.{field}"
        for name in ("Query", "Mutation")
        for field in schema._schema.type_map[name].fields  # type: ignore[attr-defined]
    }
    assert GRAPHQL.keys() == fields


def each(people: Any) -> Iterator[tuple[int, User | None]]:
    """Yield each role's place and user. What one has done is undone before the next one's turn."""
    for place, who in enumerate(WHO):
        before = transaction.savepoint()
        yield place, people[who]
        transaction.savepoint_rollback(before)


@pytest.mark.parametrize(("route", "body", "expected"), REST, ids=[route for route, *_ in REST])
def test_rest(rest: Asks, people: Any, things: Any, route: str, body: Any, expected: Any) -> None:
    method, path = route.split()
    path = path.format(username="author", slug=things["post"].slug, id=things["comment"].pk)
    for place, user in each(people):
        rest(method, path, user, body, status=expected[place])


@pytest.mark.parametrize("field", GRAPHQL)
def test_graphql(graphql: Asks, people: Any, things: Any, field: str) -> None:
    selection, expected = GRAPHQL[field]
    kind = field.split(".")[0].lower()
    ids = {name: str(things[name].pk) for name in ("post", "comment") if f"${name}" in selection}
    head = f"({', '.join(f'${name}: ID!' for name in ids)})" if ids else ""
    document = f"{kind} {head} {{ {selection} }}"
    for place, user in each(people):
        code = expected[place]
        answer = graphql(document, user, fails=code is not None, **ids)
        if code is not None:
            assert [error["extensions"]["code"] for error in answer] == [code], WHO[place]
