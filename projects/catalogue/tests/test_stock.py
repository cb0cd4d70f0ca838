"""Stock is never oversold, an order happens once, and money adds up."""

import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from rest_framework.test import APIClient

from catalogue.models import MAX_STOCK, Order, OrderLine, Product, User
from catalogue.money import in_words, tax_within
from catalogue.problems import Refusal
from catalogue.services import cancel_order, change_stock, place_order
from tests.conftest import DEADLINE, make_product, make_user, race, sign_in

RACES = pytest.mark.django_db(transaction=True)
KEY = "order-0001"


def items(*products: Product, quantity: int = 1) -> list[dict[str, int]]:
    return [{"product": product.pk, "quantity": quantity} for product in products]


def stock(product: Product) -> int:
    return Product.objects.values_list("stock", flat=True).get(pk=product.pk)


@RACES
def test_of_50_buyers_10_get_the_10_pieces() -> None:
    product = make_product(stock=10)
    buyers = [make_user() for _ in range(50)]

    def buy(number: int) -> Any:
        return place_order(customer=buyers[number], key=KEY, items=items(product))

    results = race(buy, 50)
    refused = [each for each in results if isinstance(each, Exception)]
    assert len(refused) == 40
    assert {each.get_codes() for each in refused if isinstance(each, Refusal)} == {"out_of_stock"}
    assert stock(product) == 0
    assert Order.objects.count() == OrderLine.objects.count() == 10


@RACES
def test_without_the_condition_the_constraint_still_refuses() -> None:
    product = make_product(stock=10)

    def careless(_: int) -> int:
        return Product.objects.filter(pk=product.pk).update(stock=F("stock") - 1)

    results = race(careless, 50)
    assert sum(isinstance(each, IntegrityError) for each in results) == 40
    assert results.count(1) == 10
    assert stock(product) == 0


@RACES
def test_one_key_sent_20_times_at_once_is_one_order() -> None:
    product, buyer = make_product(stock=1), make_user()
    results = race(lambda _: place_order(customer=buyer, key=KEY, items=items(product)), 20)
    orders = [each for each in results if not isinstance(each, Exception)]
    assert len(orders) == 20, results
    assert [made for _, made in orders].count(True) == 1
    assert len({order.pk for order, _ in orders}) == 1
    assert stock(product) == 0


@RACES
def test_orders_that_share_products_in_other_orders_do_not_deadlock() -> None:
    first, second = make_product(stock=100), make_product(stock=100)
    buyers = [make_user() for _ in range(20)]

    def buy(number: int) -> Any:
        some = items(first, second) if number % 2 else items(second, first)
        return place_order(customer=buyers[number], key=KEY, items=some)

    assert [each for each in race(buy, 20) if isinstance(each, Exception)] == []
    assert (stock(first), stock(second)) == (80, 80)


@RACES
def test_an_order_cancelled_10_times_at_once_gives_its_pieces_back_once() -> None:
    product, buyer = make_product(stock=5), make_user()
    order, _ = place_order(customer=buyer, key=KEY, items=items(product, quantity=3))
    results = race(lambda _: cancel_order(Order.objects.get(pk=order.pk)), 10)
    assert sum(isinstance(each, Refusal) for each in results) == 9
    assert stock(product) == 5


@RACES
def test_a_seller_counts_while_customers_buy() -> None:
    product = make_product(stock=50)
    buyers = [make_user() for _ in range(10)]

    def act(number: int) -> Any:
        if number % 2:
            return change_stock(product, 10)
        return place_order(customer=buyers[number // 2], key=KEY, items=items(product))

    assert [each for each in race(act, 20) if isinstance(each, Exception)] == []
    assert stock(product) == 50 + 100 - 10


@RACES
def test_the_price_cannot_change_between_the_look_and_the_order() -> None:
    """The order holds the row's lock from the moment that it takes the pieces."""
    product, buyer = make_product(price_minor=100), make_user()
    taken, changed = threading.Event(), threading.Event()

    def change() -> None:
        assert taken.wait(DEADLINE)
        Product.objects.filter(pk=product.pk).update(price_minor=999)
        changed.set()
        connection.close()

    other = threading.Thread(target=change)
    other.start()
    with transaction.atomic():
        order, _ = place_order(
            customer=buyer, key=KEY, items=[{**items(product)[0], "price_minor": 100}]
        )
        taken.set()
        wait_for_a_waiter()
        assert not changed.is_set()
    other.join(DEADLINE)
    assert order.total_minor == 100
    assert OrderLine.objects.get().unit_price_minor == 100


@RACES
def test_a_product_is_removed_while_somebody_orders_it() -> None:
    """The removal waits for the order, and then also sees its line."""
    product, buyer = make_product(), make_user()

    def remove() -> int:
        try:
            return sign_in(product.seller).delete(f"/api/v1/products/{product.pk}").status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            place_order(customer=buyer, key=KEY, items=items(product))
            removed = pool.submit(remove)
            wait_for_a_waiter()
        assert removed.result(DEADLINE) == 204
    assert OrderLine.objects.get().product_id is None


def wait_for_a_waiter() -> None:
    for _ in range(10_000):
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
    raise AssertionError("nobody waits")


@pytest.fixture
def buyer(db: None) -> User:
    return make_user()


def send(buyer: User, body: Any, key: str = KEY) -> Any:
    return sign_in(buyer).post("/api/v1/orders", body, headers={"Idempotency-Key": key})


def test_an_order_by_http(buyer: User) -> None:
    product = make_product(price_minor=1999, stock=3)
    answer = send(buyer, {"items": items(product, quantity=2)})
    assert answer.status_code == 201
    assert answer.data["total_minor"] == 3998
    assert answer.data["tax_minor"] == 638  # 3998 * 19 / 119 = 638.33
    assert answer.data["total"] == "EUR 39.98"
    assert answer.data["lines"][0]["name"] == product.name
    again = send(buyer, {"items": items(product, quantity=2)})
    assert (again.status_code, again.data) == (200, answer.data)
    assert stock(product) == 1


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"quantity": 4}, 409, "out_of_stock"),
        ({"price_minor": 1}, 409, "price_changed"),
        ({"product": 2**63 - 1}, 422, "unknown_product"),
        ({"quantity": 0}, 400, "min_value"),
        ({"quantity": "1"}, 400, "invalid"),
        ({"quantity": True}, 400, "invalid"),
        ({"unit_price_minor": 1}, 400, "unknown"),
    ],
)
def test_what_an_order_is_refused_for(
    buyer: User, change: dict[str, Any], status: int, code: str
) -> None:
    product = make_product(stock=3)
    answer = send(buyer, {"items": [items(product)[0] | change]})
    assert answer.status_code == status
    assert code in (answer.json()["code"], *(each["code"] for each in answer.json()["errors"]))
    assert stock(product) == 3
    assert not Order.objects.exists()


def test_all_of_an_order_or_nothing(buyer: User) -> None:
    there, gone = make_product(stock=1), make_product(stock=0)
    assert send(buyer, {"items": items(there, gone)}).status_code == 409
    assert stock(there) == 1


def test_another_body_with_the_same_key_is_refused(buyer: User) -> None:
    product = make_product()
    send(buyer, {"items": items(product)})
    answer = send(buyer, {"items": items(product, quantity=2)})
    assert (answer.status_code, answer.json()["code"]) == (422, "key_reused")


def test_a_key_is_of_one_customer(buyer: User) -> None:
    product = make_product()
    assert send(buyer, {"items": items(product)}).status_code == 201
    assert send(make_user(), {"items": items(product)}).status_code == 201


@pytest.mark.parametrize("key", ["", "short", "x" * 65, "with a blank", "größer-als"])
def test_a_key_is_needed(buyer: User, key: str) -> None:
    product = make_product()
    client = sign_in(buyer)
    headers = {"HTTP_IDEMPOTENCY_KEY": key} if key else {}
    answer = client.post("/api/v1/orders", {"items": items(product)}, **headers)
    assert answer.status_code == 400


def test_an_order_has_one_currency_and_no_product_twice(buyer: User) -> None:
    euro, yen = make_product(), make_product(currency="JPY")
    assert send(buyer, {"items": items(euro, yen)}).json()["code"] == "currencies"
    answer = send(buyer, {"items": items(euro, euro)})
    assert answer.json()["errors"][0] == {
        "field": "items",
        "code": "twice",
        "detail": "A product comes twice.",
    }


def test_an_order_outlives_its_product(buyer: User) -> None:
    product = make_product(name="Oak chair")
    number = send(buyer, {"items": items(product)}).data["id"]
    product.delete()
    order = sign_in(buyer).get(f"/api/v1/orders/{number}").json()
    assert order["lines"][0]["name"] == "Oak chair"
    assert order["lines"][0]["product"] is None
    cancelled = sign_in(buyer).post(f"/api/v1/orders/{number}/cancel")
    assert cancelled.json()["status"] == "cancelled"
    assert sign_in(buyer).post(f"/api/v1/orders/{number}/cancel").status_code == 409


def test_cancelling_puts_the_pieces_back(buyer: User) -> None:
    product = make_product(stock=3)
    number = send(buyer, {"items": items(product, quantity=2)}).data["id"]
    assert sign_in(buyer).post(f"/api/v1/orders/{number}/cancel").status_code == 200
    assert stock(product) == 3


def test_an_order_stays_if_there_is_no_room_for_its_pieces(buyer: User) -> None:
    product = make_product(stock=MAX_STOCK)
    number = send(buyer, {"items": items(product)}).data["id"]
    change_stock(product, 1)
    answer = sign_in(buyer).post(f"/api/v1/orders/{number}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "stock_range")
    assert sign_in(buyer).get(f"/api/v1/orders/{number}").json()["status"] == "placed"
    change_stock(product, -1)
    assert sign_in(buyer).post(f"/api/v1/orders/{number}/cancel").status_code == 200
    assert stock(product) == MAX_STOCK


@pytest.mark.parametrize(
    ("change", "status", "left"), [(5, 200, 15), (-10, 200, 0), (-11, 409, 10)]
)
def test_stock_is_changed_by_a_number(db: None, change: int, status: int, left: int) -> None:
    product = make_product(stock=10)
    answer = sign_in(product.seller).post(
        f"/api/v1/products/{product.pk}/stock", {"change": change}
    )
    assert answer.status_code == status
    assert stock(product) == left


@pytest.mark.parametrize(
    ("gross", "percent", "tax"),
    [(119, "19", 19), (100, "19", 16), (1, "19", 0), (3, "20", 1), (107, "7", 7), (0, "19", 0)],
)
def test_tax_is_rounded_half_up(gross: int, percent: str, tax: int) -> None:
    assert tax_within(gross, Decimal(percent)) == tax


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [(1230, "EUR", "EUR 12.30"), (1230, "JPY", "JPY 1230"), (1230, "KWD", "KWD 1.230")],
)
def test_amounts_for_people(minor: int, currency: str, text: str) -> None:
    assert in_words(minor, currency) == text


def test_selling_changes_no_index(db: None, api: APIClient) -> None:
    """An update that changes no indexed column can stay in its page. PostgreSQL counts those."""
    product = make_product(stock=10)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid"
            " AND a.attnum = ANY (i.indkey::int2[]) WHERE a.attname = 'stock'"
        )
        assert cursor.fetchone() == (0,)
        cursor.execute("SELECT pg_stat_get_xact_tuples_hot_updated('catalogue_product'::regclass)")
        before = cursor.fetchone()[0]
        change_stock(product, -1)
        cursor.execute("SELECT pg_stat_get_xact_tuples_hot_updated('catalogue_product'::regclass)")
        assert cursor.fetchone()[0] == before + 1
