"""Who may do what: every route, every method, every kind of user.

A route that is not in the table fails the last test. So nothing is added without a decision on who
may use it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import URLPattern, get_resolver

from polls.models import Poll, User
from polls.services import cast_vote
from polls.stream import stream
from polls.urls import ONE
from tests.factories import PASSWORD, client_of, make_poll, make_user, options_of

pytestmark = pytest.mark.django_db
ROLES = ("anonymous", "voter", "owner", "staff")
Body = dict[str, Any] | None


@dataclass
class World:
    """A poll of `owner` with private results, without votes; another that `staff` voted in."""

    users: dict[str, User] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.users = {
            "voter": make_user(username="voter"),
            "owner": make_user(username="owner"),
            "staff": make_user(username="staff", is_staff=True),
        }
        self.poll: Poll = make_poll(self.users["owner"], private_results=True)


def all_of(status: int, **others: int) -> dict[str, int]:
    return dict.fromkeys(ROLES, status) | others


def signed_in(status: int, **others: int) -> dict[str, int]:
    return all_of(status, anonymous=401) | others


def in_session(status: int, **others: int) -> dict[str, int]:
    return all_of(status, anonymous=302) | others


NEW = {"question": "When?", "options": ["Now", "Later"], "closes_at": "2999-01-01T00:00:00Z"}
FORM = NEW | {"options": "Now\nLater", "closes_at": "2999-01-01T00:00"}
BAD = {"username": "nobody", "password": PASSWORD}
PAGE = "polls/<uuid:poll_id>"

API: list[tuple[str, str, dict[str, int], Callable[[World], Body]]] = [
    ("POST", "api/v1/auth/register", all_of(201), lambda _: BAD | {"username": "new"}),
    ("POST", "api/v1/auth/login", all_of(401), lambda _: BAD),
    ("POST", "api/v1/auth/logout", signed_in(204), lambda _: None),
    ("GET", "api/v1/me", signed_in(200), lambda _: None),
    ("GET", "api/v1/polls", all_of(200), lambda _: None),
    ("POST", "api/v1/polls", signed_in(201), lambda _: NEW),
    ("GET", ONE, all_of(200), lambda _: None),
    ("PATCH", ONE, signed_in(403, owner=200), lambda _: {"question": "Where?"}),
    ("DELETE", ONE, signed_in(403, owner=204, staff=204), lambda _: None),
    ("POST", f"{ONE}/close", signed_in(403, owner=200), lambda _: None),
    ("GET", f"{ONE}/results", all_of(403, owner=200), lambda _: None),
    ("POST", f"{ONE}/votes", signed_in(201), lambda w: {"option": options_of(w.poll)[0]}),
    ("GET", "api/schema", all_of(200), lambda _: None),
    ("GET", "api/docs", all_of(200), lambda _: None),
]
PAGES: list[tuple[str, str, dict[str, int], Callable[[World], Body]]] = [
    ("GET", "", all_of(200), lambda _: None),
    ("GET", "register", all_of(200), lambda _: None),
    ("POST", "register", all_of(302), lambda _: BAD | {"username": "new"}),
    ("GET", "login", all_of(200), lambda _: None),
    ("POST", "login", all_of(200), lambda _: BAD),
    ("POST", "logout", all_of(302), lambda _: None),
    ("GET", "polls/new", in_session(200), lambda _: None),
    ("POST", "polls/new", in_session(302), lambda _: FORM),
    ("GET", PAGE, all_of(200), lambda _: None),
    ("POST", f"{PAGE}/vote", in_session(302), lambda w: {"option": options_of(w.poll)[0]}),
    ("GET", f"{PAGE}/edit", in_session(403, owner=200), lambda _: None),
    ("POST", f"{PAGE}/edit", in_session(403, owner=302), lambda _: FORM),
    ("POST", f"{PAGE}/close", in_session(403, owner=302), lambda _: None),
    ("POST", f"{PAGE}/delete", in_session(403, owner=302, staff=302), lambda _: None),
]
STREAM = ("GET", f"{ONE}/stream")  # who may have it: tests/test_stream.py


def ids(value: Any) -> str | None:
    return value if isinstance(value, str) else None


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("method", "route", "expected", "body"), API, ids=ids)
def test_programs(
    method: str, route: str, expected: dict[str, int], body: Callable[[World], Body], role: str
) -> None:
    world = World()
    client = client_of(world.users.get(role))
    address = "/" + route.replace("<uuid:poll_id>", str(world.poll.pk))
    answer = getattr(client, method.lower())(address, body(world), format="json")
    assert answer.status_code == expected[role], answer.content
    if answer.status_code >= 400:
        assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("method", "route", "expected", "body"), PAGES, ids=ids)
def test_people(
    method: str, route: str, expected: dict[str, int], body: Callable[[World], Body], role: str
) -> None:
    world, client = World(), Client(raise_request_exception=False)
    if role in world.users:
        client.force_login(world.users[role])
    address = "/" + route.replace("<uuid:poll_id>", str(world.poll.pk))
    answer = getattr(client, method.lower())(address, body(world) or {})
    assert answer.status_code == expected[role], answer.content
    if expected[role] == 302 and role == "anonymous" and route.startswith("polls/"):
        assert answer.headers["Location"].startswith("/login?next=/polls/")


def served() -> Iterator[tuple[str, str]]:
    for pattern in get_resolver().url_patterns:
        assert isinstance(pattern, URLPattern)
        route, view = str(pattern.pattern), pattern.callback
        cls = getattr(view, "cls", None) or getattr(view, "view_class", None)
        if cls:
            names = ("get", "post", "put", "patch", "delete")
            yield from ((name.upper(), route) for name in names if hasattr(cls, name))
            continue
        if view is stream:
            yield STREAM
            continue
        client = Client(raise_request_exception=False)
        address = "/" + route.replace("<uuid:poll_id>", str(uuid4()))  # methods are looked at first
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            client.force_login(User.objects.get_or_create(username="anyone")[0])
            if client.generic(method, address).status_code != 405:
                yield method, route


def test_every_route_is_in_the_tables() -> None:
    listed = {(method, route) for method, route, *_ in API + PAGES} | {STREAM}
    assert set(served()) == listed


def test_a_page_takes_no_form_from_elsewhere() -> None:
    world = World()
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.users["owner"])
    answer = client.post(f"/polls/{world.poll.pk}/close")
    assert answer.status_code == 403
    assert "Load the form again" in answer.content.decode()


def test_a_sessions_cookie_opens_nothing_in_the_api() -> None:
    world, client = World(), Client()
    client.force_login(world.users["owner"])
    assert client.get("/api/v1/me").status_code == 401
    assert client.post(f"/api/v1/polls/{world.poll.pk}/close").status_code == 401


def test_staff_delete_a_poll_with_votes_and_its_owner_does_not() -> None:
    world = World()
    cast_vote(
        poll_id=world.poll.pk,
        voter=world.users["voter"],
        option_id=options_of(world.poll)[0],
    )
    address = f"/api/v1/polls/{world.poll.pk}"
    assert client_of(world.users["owner"]).delete(address).json()["code"] == "poll_has_votes"
    assert client_of(world.users["staff"]).delete(address).status_code == 204
