"""Fixtures. The servers come from tests/servers.py."""

import gc
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from rest_framework.test import APIClient
from zeal import zeal_context

from stays.accounts.models import User
from tests.programs import server, start  # noqa: F401


def pytest_collection_finish() -> None:
    """Keep garbage collection from looking at all that was imported, again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _signals_are_heard() -> None:
    """A shell lets what it starts in the background ignore SIGINT, and `nohup` SIGHUP.

    Children inherit what is ignored, but no handler.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, lambda *_: None)


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
