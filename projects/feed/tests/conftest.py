"""What the tests share."""

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.test import Client

from feed import inputs, services
from feed.models import Post, User

PASSWORD = "a-good-pass-phrase"
NUMBERS = itertools.count(1)


@pytest.fixture(autouse=True)
def quick_hashes(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def make_user(name: str | None = None, **fields: Any) -> User:
    name = name or f"user{next(NUMBERS)}"
    fields = {"password": make_password(PASSWORD), "email": f"{name}@example.com".lower()} | fields
    return User.objects.create(username=name, **fields)


def make_post(author: User, title: str = "A title", **fields: Any) -> Post:
    new = {"title": title, "description": "About", "body": "Text", "tags": []} | fields
    return services.create_post(author, inputs.NewPost(**new))


def token_of(user: User | None) -> dict[str, str]:
    return {"Authorization": f"Token {services.new_token(user)}"} if user else {}


Asks = Callable[..., Any]


@pytest.fixture
def graphql(client: Client) -> Asks:
    """Send a document. Returns the data, or the errors if `fails`."""

    def ask(document: str, by: User | None = None, *, fails: bool = False, **variables: Any) -> Any:
        response = client.post(
            "/graphql",
            json.dumps({"query": document, "variables": variables}),
            content_type="application/json",
            headers=token_of(by),
        )
        assert response.status_code == 200, response.content
        answer = response.json()
        if fails:
            assert answer["errors"], answer
            return answer["errors"]
        assert "errors" not in answer, answer
        return answer["data"]

    return ask


@pytest.fixture
def rest(client: Client) -> Asks:
    """Send a request. Returns the body, after a look at the status."""

    def ask(
        method: str, path: str, user: User | None = None, body: Any = None, status: int = 200
    ) -> Any:
        response = client.generic(
            method,
            f"/api{path}",
            "" if body is None else json.dumps(body),
            content_type="application/json",
            headers=token_of(user),
        )
        assert response.status_code == status, (response.status_code, response.content)
        return response.json() if response.content else None

    return ask
