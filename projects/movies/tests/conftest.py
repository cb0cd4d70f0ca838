"""Fixtures. The servers come from local.py, or from wherever DATABASE_URL and VALKEY_URL say."""

import asyncio
import gc
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import redis
from asgiref.sync import async_to_sync
from django.conf import settings as django_settings
from django.http import HttpResponse
from django.test import AsyncClient

from fake_tmdb.program import TOKEN, Fake
from fake_tmdb.serving import served
from movies import accounts
from movies.models import User
from movies.services import running

PASSWORD = "a-password-for-tests"


def pytest_collection_finish() -> None:
    """Keep garbage collection from looking at all that was imported, again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def fake_server() -> Iterator[tuple[Fake, str]]:
    fake = Fake(200)
    with served(fake) as url:
        yield fake, url


@pytest.fixture(autouse=True)
def fake(fake_server: tuple[Fake, str], settings: Any) -> Fake:
    """The outside, which behaves well until told otherwise."""
    fake, settings.TMDB_URL = fake_server
    settings.TMDB_TOKEN = TOKEN
    settings.OUTSIDE = settings.OUTSIDE | {"attempts": 2, "read": 5.0, "deadline": 10.0}
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    fake.behave()
    return fake


@pytest.fixture(scope="session")
def valkey_client() -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(django_settings.VALKEY_URL) as client:
        yield client


@pytest.fixture(autouse=True)
def valkey(valkey_client: "redis.Redis") -> "redis.Redis":
    """A client of Valkey, which is empty when a test begins."""
    valkey_client.flushdb()
    return valkey_client


@pytest.fixture
def grow_old(valkey: "redis.Redis") -> Callable[[float], None]:
    """Make all that is kept older."""

    def make_older(seconds: float) -> None:
        for name in valkey.keys("entry:*"):
            value, fetched_at = json.loads(valkey.get(name))
            valkey.set(name, json.dumps([value, fetched_at - seconds]), keepttl=True)
        for name in valkey.keys("failure:*"):
            valkey.delete(name)

    return make_older


class Api:
    """A client. Each call has services of its own, which end with it."""

    def __init__(self, access: str = "") -> None:
        self._headers = {"Authorization": f"Bearer {access}"} if access else {}

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> HttpResponse:
        return async_to_sync(self._call)(method, path, body, headers)

    async def _call(
        self, method: str, path: str, body: Any, headers: dict[str, str]
    ) -> HttpResponse:
        async with running():
            return await self.inside(method, path, body, **headers)

    async def inside(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> HttpResponse:
        """The same where services run already."""
        client = AsyncClient(raise_request_exception=False)
        data = b"" if body is None else json.dumps(body)
        url = path if path.startswith("/") else f"/api/v1/{path}"
        return await client.generic(
            method, url, data, "application/json", headers=self._headers | headers
        )

    def get(self, path: str, **headers: str) -> HttpResponse:
        return self("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> HttpResponse:
        return self("POST", path, body, **headers)

    def put(self, path: str) -> HttpResponse:
        return self("PUT", path)

    def delete(self, path: str) -> HttpResponse:
        return self("DELETE", path)


@pytest.fixture
def api() -> Api:
    """An anonymous client."""
    return Api()


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_user("ada@example.com", PASSWORD)


@pytest.fixture
def as_user(user: User) -> Api:
    return signed_in(user)


def signed_in(user: User) -> Api:
    return Api(accounts.log_in(user.email, PASSWORD).access)


def run(action: Callable[[], Awaitable[Any]]) -> Any:
    """Run an asynchronous function that needs no database."""
    return asyncio.run(action())  # type: ignore[arg-type]
