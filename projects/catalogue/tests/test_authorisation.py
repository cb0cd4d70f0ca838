"""Who may do what: every route, every method, every role.

A route that is not in the table fails the last test. So nothing is added without a decision on who
may use it.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.urls import URLResolver, get_resolver
from rest_framework.test import APIClient

from catalogue import images
from catalogue.models import Category, Image, Order, Product
from catalogue.services import place_order
from tests.conftest import make_category, make_product, make_user, sign_in
from tests.test_images import picture_file

pytestmark = pytest.mark.django_db
ROLES = ("visitor", "stranger", "customer", "other_seller", "seller", "staff")
"""`customer` has the order, and `seller` the product. The others have nothing."""
V1 = "api/v1"
PRODUCT = f"{V1}/products/<int:pk>"
CATEGORY = f"{V1}/categories/<slug:slug>"
ORDER = f"{V1}/orders/<uuid:pk>"
NEW_PRODUCT = {
    "name": "Oak chair",
    "brand": "Oakline",
    "colour": "brown",
    "category": "seats",
    "price_minor": 4999,
    "currency": "EUR",
}


class World:
    """One product with a picture, one empty category, one order."""

    def __init__(self) -> None:
        roles = {"stranger": "customer", "other_seller": "seller"}
        self.users = {role: make_user(roles.get(role, role)) for role in ROLES[1:]}
        seats = make_category(slug="seats")
        self.empty: Category = make_category(slug="empty")
        self.product: Product = make_product(seller=self.users["seller"], category=seats)
        self.image: Image = images.add_image(self.product, picture_file())
        ordered = [{"product": self.product.pk, "quantity": 1}]
        self.order: Order = place_order(
            customer=self.users["customer"], key="order-0001", items=ordered
        )[0]

    def address(self, route: str) -> str:
        return "/" + (
            route.replace("<slug:slug>", "empty")
            .replace("<int:pk>", str(self.product.pk))
            .replace("<uuid:pk>", str(self.order.pk))
            .replace("<slug:digest>", self.image.digest)
        )


def everybody(status: int) -> dict[str, int]:
    return dict.fromkeys(ROLES, status)


def members(status: int, **others: int) -> dict[str, int]:
    return everybody(status) | {"visitor": 401} | others


def staff(status: int) -> dict[str, int]:
    return members(403, staff=status)


def writers(status: int) -> dict[str, int]:
    """Those who may write this product. For another seller it is not among those to be written."""
    return members(403, other_seller=404, seller=status, staff=status)


def sellers(status: int) -> dict[str, int]:
    return members(403, other_seller=status, seller=status, staff=status)


def owner(status: int) -> dict[str, int]:
    return members(404, customer=status, staff=status)


def upload() -> dict[str, Any]:
    return {"file": SimpleUploadedFile("a.png", picture_file(colour="red").read())}


CASES: tuple[tuple[str, str, dict[str, int], Callable[[], Any]], ...] = (
    ("GET", "", everybody(302), dict),
    ("GET", "api/schema", everybody(200), dict),
    ("GET", "api/docs", everybody(200), dict),
    ("GET", "images/<slug:digest>.webp", everybody(200), dict),
    (
        "POST",
        f"{V1}/auth/register",
        everybody(201),
        lambda: {"email": "new@example.com", "name": "New", "password": "a-long-password-1"},
    ),
    ("POST", f"{V1}/auth/login", everybody(401), lambda: {"email": "x@y.example", "password": "x"}),
    ("POST", f"{V1}/auth/refresh", everybody(401), lambda: {"refresh": "x"}),
    ("POST", f"{V1}/auth/logout", everybody(401), lambda: {"refresh": "x"}),
    ("GET", f"{V1}/me", members(200), dict),
    ("GET", f"{V1}/categories", everybody(200), dict),
    ("POST", f"{V1}/categories", staff(201), lambda: {"slug": "beds", "name": "Beds"}),
    ("GET", CATEGORY, everybody(200), dict),
    ("PATCH", CATEGORY, staff(200), lambda: {"name": "Other"}),
    ("DELETE", CATEGORY, staff(204), dict),
    ("GET", f"{V1}/products", everybody(200), dict),
    (
        "POST",
        f"{V1}/products",
        sellers(201),
        NEW_PRODUCT.copy,
    ),
    ("GET", f"{V1}/products/facets", everybody(200), dict),
    ("GET", PRODUCT, everybody(200), dict),
    ("PATCH", PRODUCT, writers(200), lambda: {"price_minor": 1}),
    ("DELETE", PRODUCT, writers(204), dict),
    ("POST", f"{PRODUCT}/stock", writers(200), lambda: {"change": 1}),
    ("POST", f"{PRODUCT}/images", writers(201), upload),
    ("DELETE", f"{PRODUCT}/images/<slug:digest>", writers(204), dict),
    ("GET", f"{V1}/orders", members(200), dict),
    ("POST", f"{V1}/orders", members(201), lambda: {"items": [{"product": 0, "quantity": 1}]}),
    ("GET", ORDER, owner(200), dict),
    ("POST", f"{ORDER}/cancel", owner(200), dict),
)


@pytest.mark.parametrize(
    ("method", "route", "expected", "body"), CASES, ids=[f"{case[0]} {case[1]}" for case in CASES]
)
def test_who_may(
    method: str, route: str, expected: dict[str, int], body: Callable[[], Any], db: None
) -> None:
    world = World()
    came = {}
    for role in ROLES:
        client = sign_in(world.users[role]) if role in world.users else APIClient()
        data = body()
        if "items" in data:
            data["items"][0]["product"] = world.product.pk
        options = {"format": "multipart"} if "file" in data else {}
        point = transaction.savepoint()
        answer = getattr(client, method.lower())(
            world.address(route), data, headers={"Idempotency-Key": f"key-{role}"}, **options
        )
        transaction.savepoint_rollback(point)
        came[role] = answer.status_code
        if answer.status_code >= 400:
            assert answer.headers["Content-Type"] == "application/problem+json"
    assert came == expected


def routes(patterns: list[Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Every method of every address that is served."""
    for pattern in patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, route)
            continue
        view = getattr(pattern.callback, "cls", None)
        names = [name for name in ("get", "post", "put", "patch", "delete") if hasattr(view, name)]
        for name in getattr(pattern.callback, "actions", None) or names or ["get"]:
            if name != "head" and (view is None or name in view.http_method_names):
                yield name.upper(), route


def test_every_route_is_in_the_table() -> None:
    assert sorted(routes(get_resolver().url_patterns)) == sorted(
        (method, route) for method, route, *_ in CASES
    )
