"""Fixtures. local.py starts PostgreSQL and names it by DATABASE_URL."""

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest
from django.db import connection
from rest_framework.test import APIClient

from catalogue.models import Category, Product, User
from catalogue.services import create_category, create_product

T = TypeVar("T")
DEADLINE = 30
_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def _media(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture
def api() -> APIClient:
    return APIClient(raise_request_exception=False)


def sign_in(user: User) -> APIClient:
    client = APIClient(raise_request_exception=False)
    client.force_authenticate(user)
    return client


def make_user(role: str = "customer", **fields: Any) -> User:
    number = next(_numbers)
    fields = {"email": f"{role}{number}@example.com", "name": f"Name {number}"} | fields
    return User.objects.create_user(password="a-long-password-1", role=role, **fields)


def make_category(parent: Category | None = None, **fields: Any) -> Category:
    number = next(_numbers)
    return create_category(
        **({"slug": f"category-{number}", "name": f"Category {number}"} | fields), parent=parent
    )


def make_product(**fields: Any) -> Product:
    given = {
        "name": "Folding walnut desk",
        "brand": "Oakline",
        "colour": "brown",
        "description": "It arrives in recycled paper.",
        "price_minor": 1999,
        "currency": "EUR",
        "stock": 10,
    } | fields
    given.setdefault("seller", None)
    given["seller"] = given["seller"] or make_user("seller")
    given["category"] = given.get("category") or make_category()
    return create_product(**given)


def race(action: Callable[[int], T], threads: int) -> list[T | Exception]:
    """Call an action in many threads at one moment, each with its own connection."""
    barrier = threading.Barrier(threads)

    def one(number: int) -> T | Exception:
        try:
            connection.ensure_connection()
            barrier.wait(DEADLINE)
            return action(number)
        except Exception as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, range(threads), timeout=DEADLINE))
