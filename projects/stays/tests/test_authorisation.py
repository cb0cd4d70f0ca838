"""Who may do what: every route, every method, every kind of user.

A route that is not in the table fails the last test. So nothing is added without a decision on who
may use it.
"""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from rest_framework.test import APIClient
from zeal import zeal_ignore

from stays.accounts import verifications
from stays.accounts.models import Session, User
from stays.accounts.resets import token_for
from stays.bookings.models import Booking
from stays.listings.models import Property
from stays.messaging.models import Conversation, Message
from tests.factories import (
    PASSWORD,
    day,
    make_admin,
    make_booking,
    make_host,
    make_property,
    make_user,
)

pytestmark = pytest.mark.django_db

ROLES = ("anonymous", "stranger", "guest", "other_host", "host", "admin")
"""`guest` has the booking and the conversation, `host` has the property; `stranger` and
`other_host` have nothing to do with them."""

Body = dict[str, Any] | None


@dataclass(frozen=True)
class World:
    """One property, one pending booking of it, one confirmed and past, one conversation."""

    users: dict[str, User]
    place: Property
    booking: Booking
    paid: Booking
    past: Booking
    conversation: Conversation


@pytest.fixture
def world() -> World:
    users = {
        "stranger": make_user(),
        "guest": make_user(),
        "other_host": make_host(),
        "host": make_host(),
        "admin": make_admin(),
    }
    place = make_property(host=users["host"])
    mine: dict[str, Any] = {"property": place, "guest": users["guest"]}
    conversation = Conversation.objects.create(property=place, guest=users["guest"])
    Message.objects.create(conversation=conversation, sender=users["guest"], text="Is it quiet?")
    booking = make_booking(check_in=10, **mine)
    paid = make_booking(check_in=20, paid_at=booking.created_at, **mine)
    past = make_booking(check_in=-9, status="confirmed", **mine)
    return World(users, place, booking, paid, past, conversation)


def all_of(status: int, **others: int) -> dict[str, int]:
    """The same status for every role, but for those that are named."""
    return dict.fromkeys(ROLES, status) | others


def signed_in(status: int, **others: int) -> dict[str, int]:
    """The same status for every role that is signed in; 401 for who is not."""
    return all_of(status, anonymous=401) | others


def parties(status: int, **others: int) -> dict[str, int]:
    """The status for guest, host and admin; for others the thing does not exist."""
    return signed_in(404, guest=status, host=status, admin=status) | others


@dataclass(frozen=True)
class Case:
    """A request, and the status that each role gets."""

    method: str
    route: str
    expected: dict[str, int]
    body: Callable[[World], Body] = lambda _: None
    url: Callable[[World], str] = lambda _: ""
    headers: Callable[[World, APIClient], dict[str, str]] = lambda _, __: {}

    def __str__(self) -> str:
        return f"{self.method} {self.route}"

    def address(self, world: World) -> str:
        """The address, with the ids of this world."""
        if found := self.url(world):
            return found
        return "/" + self.route.replace("<slug:slug>", world.place.slug)


V1 = "api/v1"
PROPERTY = f"{V1}/properties/<slug:slug>"
BOOKING = f"{V1}/bookings/<uuid:booking_id>"
CONVERSATION = f"{V1}/conversations/<uuid:conversation_id>"
NEW_PROPERTY = {
    "title": "A room",
    "kind": "private",
    "address": "Rua Augusta 2",
    "latitude": 38.7,
    "longitude": -9.1,
    "max_guests": 2,
    "bedrooms": 1,
    "nightly_minor": 5000,
    "currency": "EUR",
}


def of_booking(name: str, path: str = "") -> Callable[[World], str]:
    """The address of one of the world's bookings."""
    return lambda world: f"/{V1}/bookings/{getattr(world, name).id}{path}"


def of_conversation(path: str) -> Callable[[World], str]:
    """The address of the world's conversation."""
    return lambda world: f"/{V1}/conversations/{world.conversation.id}{path}"


def session_of(user: User) -> uuid.UUID:
    """The id of a session of a user's."""
    ahead = timezone.now() + timedelta(days=1)
    return Session.objects.create(user=user, refresh_jti="-", expires_at=ahead).id


def as_read(world: World, client: APIClient) -> dict[str, str]:
    """The condition that the property has not changed since the client read it."""
    answer = client.get(f"/{V1}/properties/{world.place.slug}")
    return {"If-Match": answer.headers["ETag"]}


CASES = (
    # Tokens: what a body says decides, not who sends it.
    Case(
        "POST",
        f"{V1}/auth/register",
        all_of(201),
        lambda _: {"email": "new@example.com", "name": "New", "password": PASSWORD},
    ),
    Case(
        "POST",
        f"{V1}/auth/login",
        all_of(200),
        lambda world: {"email": world.users["guest"].email, "password": PASSWORD},
    ),
    Case("POST", f"{V1}/auth/refresh", all_of(401), lambda _: {"refresh": "forged"}),
    Case("POST", f"{V1}/auth/logout", all_of(401), lambda _: {"refresh": "forged"}),
    # One's own account
    Case("GET", f"{V1}/me", signed_in(200)),
    Case("PATCH", f"{V1}/me", signed_in(200), lambda _: {"name": "Another"}),
    Case("DELETE", f"{V1}/me", signed_in(204), lambda _: {"password": PASSWORD}),
    Case("POST", f"{V1}/me/hosting", signed_in(200)),
    Case(
        "POST",
        f"{V1}/me/password",
        signed_in(204),
        lambda _: {"password": PASSWORD, "new_password": f"another {PASSWORD}"},
    ),
    Case("POST", f"{V1}/auth/reset", all_of(202), lambda _: {"email": "nobody@example.com"}),
    Case(
        "POST",
        f"{V1}/auth/reset/confirm",
        all_of(204),
        lambda world: {
            "token": token_for(world.users["guest"]),
            "new_password": f"another {PASSWORD}",
        },
    ),
    Case("GET", f"{V1}/me/properties", signed_in(200)),
    Case(
        "POST",
        f"{V1}/auth/verify",
        all_of(204),
        lambda world: {"token": verifications.token_for(world.users["guest"])},
    ),
    Case("POST", f"{V1}/me/verification", signed_in(202)),
    Case("GET", f"{V1}/me/sessions", signed_in(200)),
    Case(
        "DELETE",
        f"{V1}/me/sessions/<uuid:session_id>",
        signed_in(404, guest=204),  # one's own only: also an admin's way is another one
        url=lambda world: f"/{V1}/me/sessions/{session_of(world.users['guest'])}",
    ),
    # What everybody may see
    Case("GET", f"{V1}/cities", all_of(200)),
    Case("GET", f"{V1}/amenities", all_of(200)),
    Case("GET", f"{V1}/properties", all_of(200)),
    Case("GET", PROPERTY, all_of(200)),
    Case("GET", f"{PROPERTY}/reviews", all_of(200)),
    # What hosts do
    Case(
        "POST",
        f"{V1}/properties",
        signed_in(403, other_host=201, host=201, admin=201),
        lambda world: NEW_PROPERTY | {"city": world.place.city.slug},
    ),
    Case(
        "PATCH",
        PROPERTY,
        signed_in(403, host=200, admin=200),
        lambda _: {"title": "Renamed"},
        headers=as_read,
    ),
    Case(
        "DELETE",
        PROPERTY,
        signed_in(403, host=204, admin=204),
        headers=as_read,
    ),
    Case("POST", f"{PROPERTY}/relist", signed_in(403, host=200, admin=200)),
    # Bookings
    Case("GET", f"{V1}/bookings", signed_in(200)),
    Case(
        "POST",
        f"{V1}/bookings",
        signed_in(201, host=403),
        lambda world: {
            "property": world.place.slug,
            "check_in": day(40).isoformat(),
            "check_out": day(42).isoformat(),
            "guests": 1,
        },
    ),
    Case("GET", BOOKING, parties(200), url=of_booking("booking")),
    Case("POST", f"{BOOKING}/confirm", parties(200, guest=403), url=of_booking("paid", "/confirm")),
    Case("POST", f"{BOOKING}/cancel", parties(200), url=of_booking("booking", "/cancel")),
    Case(
        "GET",
        f"{BOOKING}/payments",
        parties(200, host=403),  # what a guest pays with is not the host's business
        url=of_booking("booking", "/payments"),
    ),
    Case(
        "POST",
        f"{BOOKING}/payments",
        parties(403, guest=201),
        lambda _: {"method": "tok_ok"},
        of_booking("booking", "/payments"),
    ),
    Case(
        "POST",
        f"{BOOKING}/review",
        parties(403, guest=201),
        lambda _: {"rating": 5, "text": "Quiet."},
        of_booking("past", "/review"),
    ),
    # Messages
    Case("GET", f"{V1}/conversations", signed_in(200)),
    Case(
        "POST",
        f"{V1}/conversations",
        signed_in(201, host=403),
        lambda world: {"property": world.place.slug, "text": "Hello"},
    ),
    Case(
        "GET",
        f"{CONVERSATION}/messages",
        parties(200, admin=404),
        url=of_conversation("/messages"),
    ),
    Case(
        "POST",
        f"{CONVERSATION}/messages",
        parties(201, admin=404),
        lambda _: {"text": "Hello"},
        of_conversation("/messages"),
    ),
    Case("POST", f"{CONVERSATION}/read", parties(204, admin=404), url=of_conversation("/read")),
    # Machines and those who run them
    Case("POST", f"{V1}/webhooks/payments", all_of(400), lambda _: {}),
    Case("GET", f"{V1}/statistics", signed_in(403, admin=200)),
    Case("GET", "", all_of(200)),
    Case("GET", "api/schema", all_of(200)),
    Case("GET", "api/docs", all_of(200)),
    Case("GET", "graphql", all_of(200), url=lambda _: "/graphql?query={__typename}"),
    Case("POST", "graphql", all_of(200), lambda _: {"query": "{ __typename }"}),
    Case("GET", "healthz", all_of(200)),
    Case("GET", "readyz", all_of(200)),
    Case("GET", "metrics", all_of(401)),  # a token of its own, not a user's
)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_who_may(case: Case, role: str, world: World, as_user: Callable[[User], APIClient]) -> None:
    client = APIClient() if role == "anonymous" else as_user(world.users[role])
    answer = client.generic(
        case.method,
        case.address(world),
        data=client._encode_data(case.body(world), "json")[0] if case.body(world) else "",
        content_type="application/json",
        headers=case.headers(world, client),
    )
    assert answer.status_code == case.expected[role], answer.content
    if answer.status_code >= 400:
        assert answer.headers["Content-Type"] == "application/problem+json"


PROBES = {("GET", "healthz"), ("GET", "readyz")}
"""They are answered before any route is looked for, whatever the host is called."""


def routes(patterns: list[URLPattern | URLResolver], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every address that is served, with its view; the admin's is one."""
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            if pattern.app_name == "admin":
                continue
            yield from routes(pattern.url_patterns, route)
        else:
            yield route, pattern.callback


def methods(view: Any) -> set[str]:
    """The methods that a view answers, without those that every view does."""
    cls = getattr(view, "cls", None) or getattr(view, "view_class", None)
    if cls is None:
        return {"GET"}
    names = {"get", "post", "put", "patch", "delete"}
    return {name.upper() for name in names if hasattr(cls, name)}


def test_every_route_is_in_the_table() -> None:
    served = {
        (method, route)
        for route, view in routes(get_resolver().url_patterns)
        for method in methods(view)
    }
    assert served == {(case.method, case.route) for case in CASES} - PROBES


@pytest.mark.parametrize("role", ROLES)
def test_the_admin_is_for_staff(role: str, world: World, client: Client) -> None:
    if role != "anonymous":
        with zeal_ignore():  # each request reads the session anew
            client.force_login(world.users[role])
    with zeal_ignore():
        answer = client.get("/admin/")
    assert answer.status_code == (200 if role == "admin" else 302)
