"""Fixtures. The servers come from tests/servers.py."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from rest_framework.test import APIClient
from zeal import zeal_context

from stays.accounts.models import User
from tests.programs import server, start  # noqa: F401


@pytest.fixture(autouse=True)
def _no_n_plus_one() -> Iterator[None]:
    """Every test fails if it loads related rows one by one."""
    with zeal_context():
        yield


@pytest.fixture(autouse=True)
def valkey() -> Iterator[redis.Redis]:
    """A client of Valkey, which is emptied before each test."""
    with redis.Redis.from_url(os.environ["CACHE_URL"]) as client:
        client.flushall()
        yield client


@pytest.fixture
def api() -> APIClient:
    """An anonymous client."""
    return APIClient(raise_request_exception=False)


@pytest.fixture
def as_user() -> Callable[[User], APIClient]:
    """A client that is signed in as a user."""

    def sign_in(user: User) -> APIClient:
        client = APIClient(raise_request_exception=False)
        client.force_authenticate(user)
        return client

    return sign_in


@pytest.fixture
def commits(django_capture_on_commit_callbacks: Callable[..., Any]) -> Callable[..., Any]:
    """A block at whose end what waits for the commit runs, in tests that roll back."""
    return lambda: django_capture_on_commit_callbacks(execute=True)
