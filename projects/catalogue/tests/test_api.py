"""Categories and products, the form of errors, numbers of queries, probes and pages."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, OperationalError, connection, transaction
from django.http import Http404
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from catalogue import images, services
from catalogue.models import Category, Image, Product, User, Word
from catalogue.problems import Refusal, known
from catalogue.services import place_order
from docs import draw
from tests.conftest import make_category, make_product, make_user, sign_in
from tests.test_images import picture_file

ROOT = Path(__file__).resolve().parent.parent
V1 = "/api/v1"
NEW = {
    "name": "Oak chair",
    "brand": "Oakline",
    "colour": "brown",
    "category": "seats",
    "price_minor": 4999,
    "currency": "EUR",
}


@pytest.fixture
def staff(db: None) -> APIClient:
    return sign_in(make_user("staff"))


# -- Categories


def test_a_tree_of_three_levels(staff: APIClient) -> None:
    parent = None
    for depth, slug in enumerate(("garden", "pots", "planters"), start=1):
        body = {"slug": slug, "name": slug.title(), "parent": parent}
        answer = staff.post(f"{V1}/categories", body)
        assert (answer.status_code, answer.data["depth"]) == (201, depth)
        parent = slug
    too_deep = staff.post(f"{V1}/categories", {"slug": "x", "name": "X", "parent": parent})
    assert (too_deep.status_code, too_deep.json()["code"]) == (422, "too_deep")
    listed = staff.get(f"{V1}/categories").json()
    assert [each["slug"] for each in listed] == ["garden", "pots", "planters"]
    assert listed[2]["parent"] == "pots"


def test_a_category_is_renamed_and_removed_when_it_is_empty(staff: APIClient) -> None:
    category = make_category(slug="old")
    make_category(slug="taken")
    child = make_category(category)
    address = f"{V1}/categories"
    assert staff.patch(f"{address}/old", {"slug": "taken"}).status_code == 409
    assert staff.patch(f"{address}/old", {"slug": "new", "name": "New"}).data["name"] == "New"
    assert staff.patch(f"{address}/new", {"parent": None}).status_code == 400
    assert staff.delete(f"{address}/new").json()["code"] == "in_use"
    child.delete()
    assert staff.delete(f"{address}/new").status_code == 204
    assert staff.get(f"{address}/new").status_code == 404


def test_what_was_removed_meanwhile_is_not_there(db: None) -> None:
    """Somebody else removes it after the view has read it."""
    category, product = make_category(), make_product()
    Category.objects.filter(pk=category.pk).delete()
    Product.objects.filter(pk=product.pk).delete()
    late: list[Callable[[], Any]] = [
        lambda: services.update_category(category, {"name": "New"}),
        lambda: services.update_product(product, {"name": "New"}),
        lambda: services.delete_product(product),
        lambda: images.add_image(product, picture_file()),
    ]
    for write in late:
        with pytest.raises(Http404):
            write()
    assert not Category.objects.filter(pk=category.pk).exists()
    product = make_product()
    for write in (
        lambda: make_product(category=category),
        lambda: services.update_product(product, {"category": category}),
    ):
        with pytest.raises(IntegrityError) as refused:
            write()
        said = known(refused.value)
        assert isinstance(said, Refusal)
        assert (said.status_code, said.get_codes()) == (409, "stale")


@pytest.mark.parametrize("parent", ["nowhere", 5, "a\x00"])
def test_a_parent_that_is_not_there(staff: APIClient, parent: Any) -> None:
    answer = staff.post(f"{V1}/categories", {"slug": "x", "name": "X", "parent": parent})
    assert answer.status_code == 400


def test_the_database_refuses_a_wrong_path(db: None) -> None:
    root, other = make_category(), make_category()
    child, product = make_category(root), make_product(category=root)
    for rows, change in (
        (Category.objects.filter(pk=child.pk), {"path": [other.pk, child.pk]}),
        (Category.objects.filter(pk=child.pk), {"path": [root.pk, other.pk]}),
        (Product.objects.filter(pk=product.pk), {"category_path": other.path}),
        (Product.objects.filter(pk=product.pk), {"category": other.pk}),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            rows.update(**change)


@pytest.mark.parametrize(
    "change", [{"price_minor": -1}, {"stock": -1}, {"currency": "XXX"}], ids=str
)
def test_the_database_refuses_a_wrong_product(db: None, change: dict[str, Any]) -> None:
    product = make_product()
    with pytest.raises(IntegrityError):
        Product.objects.filter(pk=product.pk).update(**change)


# -- Products


def test_a_product_from_beginning_to_end(db: None) -> None:
    seller = make_user("seller")
    client = sign_in(seller)
    make_category(slug="seats")
    beds = make_category(slug="beds")
    made = client.post(f"{V1}/products", NEW | {"stock": 3})
    assert made.status_code == 201, made.content
    assert made.data["seller"] == seller.pk
    assert made.data["price"] == "EUR 49.99"
    address = f"{V1}/products/{made.data['id']}"
    changed = client.patch(address, {"category": "beds", "price_minor": 10})
    assert (changed.data["category"], changed.data["price_minor"]) == ("beds", 10)
    assert Product.objects.get().category_path == beds.path
    assert client.patch(address, {}).status_code == 200
    assert client.get(address).json() == changed.json()
    assert client.delete(address).status_code == 204
    assert client.get(address).status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        *({"seller": 1}, {"id": 1}, {"category_path": [1]}, {"search": "x"}, {"created_at": "now"}),
        *({"price_minor": 1.5}, {"price_minor": "5"}, {"price_minor": -1}, {"price_minor": 10**13}),
        *({"currency": "XXX"}, {"colour": "mauve"}, {"colour": 1}, {"category": "nowhere"}),
        *({"name": ""}, {"name": 5}, {"name": "a\x00"}, {"name": "x" * 121}, {"stock": -1}),
    ],
    ids=str,
)
def test_what_a_product_is_refused_for(db: None, change: dict[str, Any]) -> None:
    make_category(slug="seats")
    answer = sign_in(make_user("seller")).post(f"{V1}/products", NEW | change)
    assert answer.status_code == 400
    assert {each["field"] for each in answer.json()["errors"]} == set(change)
    assert not Product.objects.exists()


@pytest.mark.parametrize("field", ["stock", "currency", "seller", "id"])
def test_what_a_patch_cannot_set(db: None, field: str) -> None:
    product = make_product()
    answer = sign_in(product.seller).patch(f"{V1}/products/{product.pk}", {field: 1})
    assert answer.json()["errors"][0] == {
        "field": field,
        "code": "unknown",
        "detail": "There is no such field here.",
    }


# -- Orders of others


def test_a_list_of_orders_is_ones_own_and_has_pages(db: None) -> None:
    product, buyer, other = make_product(), make_user(), make_user()
    ordered = [{"product": product.pk, "quantity": 1}]
    mine = [
        str(place_order(customer=buyer, key=f"order-000{number}", items=ordered)[0].pk)
        for number in range(3)
    ]
    place_order(customer=other, key="order-0001", items=ordered)
    first = sign_in(buyer).get(f"{V1}/orders?limit=2").json()
    second = sign_in(buyer).get(f"{V1}/orders?limit=2&cursor={first['next']}").json()
    assert [each["id"] for each in first["results"] + second["results"]] == mine[::-1]
    assert second["next"] is None
    assert sign_in(other).get(f"{V1}/orders?cursor={first['next']}").status_code == 400


# -- Queries


def queries(client: APIClient, address: str) -> int:
    with CaptureQueriesContext(connection) as sent:
        assert client.get(address).status_code == 200
    return len(sent)


@pytest.mark.parametrize(
    ("address", "number"),
    [
        (f"{V1}/products", 3),  # products, categories, images
        (f"{V1}/products?q=desk", 5),  # spelling and ranks before them
        (f"{V1}/products?category=first", 4),
        (f"{V1}/products/facets", 3),  # a sample, all, and the slugs of categories
        (f"{V1}/categories", 1),
        (f"{V1}/orders", 2),
    ],
)
def test_queries_do_not_grow_with_rows(db: None, address: str, number: int) -> None:
    buyer, seller = make_user(), make_user("seller")
    category = make_category(slug="first")

    def more(count: int) -> None:
        for _ in range(count):
            product = make_product(seller=seller, category=category)
            make_category(make_category())
            Image.objects.create(product=product, digest="0" * 64, width=1, height=1)
            ordered = [{"product": product.pk, "quantity": 1}]
            place_order(customer=buyer, key=f"order-{product.pk:06}", items=ordered)

    more(1)
    assert queries(sign_in(buyer), address) == number
    more(9)
    assert queries(sign_in(buyer), address) == number


# -- Errors and headers


@pytest.mark.parametrize(
    "body",
    [b"{", b"[" * 50_000, b"\xff", b'{"a": NaN}', b'{"a": 1, "a": 2}', b'{"email": "\\ud800"}'],
    ids=["open", "deep", "not UTF-8", "NaN", "twice", "half a pair"],
)
def test_what_is_no_json(api: APIClient, body: bytes) -> None:
    answer = api.generic("POST", f"{V1}/auth/login", body, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "parse_error")


@pytest.mark.parametrize(
    ("call", "status"),
    [
        (lambda api: api.get("/nowhere"), 404),
        (lambda api: api.get(f"{V1}/products/{2**63}"), 404),
        (lambda api: api.get(f"{V1}/products/{2**63 - 1}"), 404),
        (lambda api: api.put("/"), 405),
        (lambda api: api.put(f"{V1}/auth/login", {}), 405),
        (lambda api: api.post(f"{V1}/auth/login", "a=b", content_type="text/plain"), 415),
        (lambda api: api.get(f"{V1}/me"), 401),
        (lambda api: api.get(f"{V1}/categories", headers={"Accept": "text/html"}), 406),
        (lambda api: api.post(f"{V1}/auth/login", {"email": "x" * 70_000}), 413),
        (lambda api: api.get(f"{V1}/me", CONTENT_LENGTH="five"), 400),
        (lambda api: api.post(f"{V1}/auth/login", [1]), 400),
    ],
)
def test_errors_have_one_form(
    api: APIClient, db: None, call: Callable[[APIClient], Any], status: int
) -> None:
    answer = call(api)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert set(answer.json()) == {"type", "title", "status", "code", "detail", "errors"}
    assert answer.json()["status"] == status


@pytest.mark.parametrize(
    ("error", "status"), [(OperationalError("secret"), 503), (RuntimeError("secret"), 500)]
)
def test_an_error_of_ours_is_not_told(
    api: APIClient, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("catalogue.views.CategoryViewSet.get_queryset", fail)
    answer = api.get(f"{V1}/categories")
    assert answer.status_code == status
    assert b"secret" not in answer.content


def test_an_error_outside_the_api_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("catalogue.views.images.path_of", fail)
    answer = APIClient(raise_request_exception=False).get("/images/a.webp")
    assert (answer.status_code, answer.json()["code"]) == (500, "error")


@pytest.mark.parametrize("address", ["/", f"/images/{'0' * 64}.webp", "/healthz"])
def test_what_can_only_be_read_says_so(address: str) -> None:
    """Not with the HTML page of the check against forged requests, which APIClient leaves out."""
    answer = APIClient(enforce_csrf_checks=True).post(address)
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    allowed = answer.headers["Allow"].split(", ")
    assert "GET" in allowed
    assert "POST" not in allowed


def test_an_unknown_host_is_refused(api: APIClient, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["example.com"]
    answer = api.get("/", headers={"Host": "evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert api.get("/healthz", headers={"Host": "10.0.0.7"}).status_code == 200


def test_the_page_loads_nothing_from_others(api: APIClient, db: None) -> None:
    answer = api.get("/", follow=True)
    assert answer.status_code == 200
    assert "https://" not in answer.content.decode()
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Frame-Options"] == "DENY"


# -- Probes


def test_probes(api: APIClient, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert api.get("/healthz").json() == {"status": "ok"}
    assert api.get("/readyz").json() == {"status": "ok"}
    assert api.post("/healthz").status_code == 405

    def fail(*_: Any) -> None:
        raise OperationalError

    monkeypatch.setattr("catalogue.middleware.MigrationExecutor", fail)
    assert api.get("/readyz").status_code == 503
    assert api.get("/healthz").status_code == 200


# -- Settings, commands, pictures


@pytest.mark.parametrize("name", ["SECRET_KEY", "JWT_SIGNING_KEY", "ALLOWED_HOSTS", "MEDIA_ROOT"])
def test_without_a_secret_it_does_not_start(name: str) -> None:
    variables = {key: value for key, value in os.environ.items() if key != name}
    done = subprocess.run(
        [sys.executable, "-c", "import catalogue.settings"],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert f"Set the {name} environment variable" in done.stderr


@pytest.mark.parametrize(("plain", "there"), [("true", "True"), ("false", "False")])
def test_accounts_with_public_passwords_are_not_for_production(plain: str, there: str) -> None:
    asked = "import catalogue.settings as s; print('demo' in s.INSTALLED_APPS)"
    done = subprocess.run(
        [sys.executable, "-c", asked],
        env=os.environ | {"PLAIN_HTTP": plain},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == there


def test_the_seed_and_what_it_says(db: None, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("seed", products=200)
    assert "Stored 4 accounts, 200 products." in capsys.readouterr().out
    assert Product.objects.count() == 200
    assert Category.objects.count() == 125
    assert Image.objects.count() == 12
    assert {"walnut", "desk"} <= set(Word.objects.values_list("word", flat=True))
    call_command("seed", products=200)
    assert "nothing was done" in capsys.readouterr().out
    assert User.objects.count() == 4


def test_words_of_products_that_are_gone_are_forgotten(db: None) -> None:
    make_product(name="Walnut desk")
    make_product(name="Rattan hammock").delete()
    Word.objects.filter(word="desk").delete()
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', '1s', true)")
    call_command("tidy")
    with connection.cursor() as cursor:  # a million products take longer than a request may
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("0",)
    words = set(Word.objects.values_list("word", flat=True))
    assert {"walnut", "desk"} <= words
    assert "rattan" not in words


def test_a_role_is_given_by_a_command(db: None) -> None:
    user = make_user()
    call_command("grant", user.email, "seller")
    user.refresh_from_db()
    assert user.role == "seller"


def test_the_picture_shows_the_tables() -> None:
    text = draw.source()
    assert (ROOT / "docs" / "erd.d2").read_text() == text
    assert (ROOT / "docs" / "erd.svg").read_text() == draw.draw(text)


def test_the_words_are_lists_of_different_words() -> None:
    words = json.loads((ROOT / "data" / "words.json").read_text())
    nouns = [noun for root in words["tree"].values() for some in root.values() for noun in some]
    assert len(set(nouns)) == len(nouns) == 100
