"""Rows to test with."""

from datetime import timedelta
from itertools import count
from typing import Any

from django.utils import timezone
from rest_framework.test import APIClient

from polls.accounts import issue_token
from polls.models import Poll, User
from polls.services import create_poll

PASSWORD = "correct horse battery"
numbers = count(1)


def make_user(**fields: Any) -> User:
    fields = {"username": f"user-{next(numbers)}", "password": "!"} | fields
    return User.objects.create(**fields)


def make_voters(many: int) -> list[User]:
    return User.objects.bulk_create(
        User(username=f"voter-{next(numbers)}", password="!") for _ in range(many)
    )


def in_an_hour() -> Any:
    return timezone.now() + timedelta(hours=1)


def make_poll(owner: User | None = None, **fields: Any) -> Poll:
    fields = {
        "question": "Tea or coffee?",
        "options": ["Tea", "Coffee"],
        "closes_at": in_an_hour(),
    } | fields
    return create_poll(owner=owner or make_user(), **fields)


def options_of(poll: Poll) -> list[int]:
    return list(poll.options.order_by("position").values_list("pk", flat=True))


def client_of(user: User | None) -> APIClient:
    """A client of the API, with a real token."""
    client = APIClient(raise_request_exception=False)
    if user:
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_token(user)[0]}")
    return client
