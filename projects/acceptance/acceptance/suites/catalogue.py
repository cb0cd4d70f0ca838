"""E-commerce catalogue: products, categories, filters, sorting, pages, stock.

The case study asks for products and categories with CRUD, JWT, filters, sorting, pages and a
documented API. Orders and stock are what a shop implies. An API without orders leaves their paths
empty, and those checks are skipped.
"""

import json
import secrets
from functools import partial
from typing import Any

from acceptance import common, probes
from acceptance.api import Api, User
from acceptance.check import Skipped, check
from acceptance.client import Answer
from acceptance.probes import ALLOWED, REFUSED

PRICES = [100 + (number * 37) % 90 for number in range(30)]
"""Of the products that several checks share. Some come twice, so that a sort has ties."""


def new_category(api: Api, parent: Any = None) -> Any:
    """Create a category as staff, and return what names it."""
    word = f"acceptance-{secrets.token_hex(4)}"
    body = api.body("category", name=word, slug=word, **({"parent": parent} if parent else {}))
    answer = api.user("staff").send("create_category", json=body)
    answer.expect(201, wanted="Staff can create a category")
    return api.field("category", "id", answer)


def product_body(api: Api, **values: Any) -> dict[str, Any]:
    """Return what a product is made of. The category is the one that the checks share."""
    given = {
        "name": "Acceptance kettle",
        "description": "For a test.",
        "brand": "Acceptance",
        "colour": "blue",
        "price": 1999,
        "currency": api.value("currency"),
        "stock": 5,
    } | values
    given.setdefault("category", api.once(a_category))
    return api.body("product", **given)


def new_product(api: Api, user: User | None = None, **values: Any) -> Any:
    """Create a product as a seller, and return its id."""
    answer = (user or api.user("seller")).send("create", json=product_body(api, **values))
    answer.expect(201, wanted="A seller can create a product")
    return api.field("product", "id", answer)


def a_category(api: Api) -> Any:
    """A category for products that no check looks for."""
    return new_category(api)


def library(api: Api) -> dict[str, Any]:
    """Create a category with 30 products, once a run."""
    category = new_category(api)
    ids = [
        new_product(api, category=category, price=price, name=f"Acceptance kettle {number:02}")
        for number, price in enumerate(PRICES)
    ]
    return {"category": category, "ids": ids}


def key(api: Api, row: Any) -> Any:
    """Return a row's id."""
    return api.field("product", "id", row)


def price(api: Api, row: Any) -> float:
    """Return a row's price as a number."""
    return float(api.field("product", "price", row))


def order(user: User, product: Any, quantity: int = 1, name: str = "") -> Answer:
    """Order one product with an Idempotency-Key, a fresh one if none is given."""
    api = user.api
    item = api.body("order", product=product, quantity=quantity)
    return user.send(
        "order",
        json=api.body("order", items=[item]),
        headers={"Idempotency-Key": name or secrets.token_hex(8)},
    )


def stock(api: Api, product: Any) -> int:
    """Return how many are left."""
    answer = api.stranger.send("read", product=product).expect(200)
    return int(api.field("product", "stock", answer))


@check(
    "product-from-beginning-to-end",
    "A product can be created, read, changed and deleted",
    criterion="functionality",
    official=True,
    chapter="rest-with-drf",
)
def product_crud(api: Api) -> None:
    """Create, read, change, read, delete, read."""
    seller, product = api.user("seller"), new_product(api, name="Acceptance pot")
    answer = api.stranger.send("read", product=product).expect(200)
    answer.want(
        api.field("product", "name", answer) == "Acceptance pot", "The name is what was sent"
    )
    seller.send("update", product=product, json=api.body("product", price=2500)).expect()
    answer = api.stranger.send("read", product=product)
    answer.want(price(api, answer.json) == 2500, "The price is the new one")
    answer.want(
        api.field("product", "name", answer) == "Acceptance pot",
        "A change of the price leaves the name as it was",
    )
    seller.send("delete", product=product).expect(wanted="A seller deletes an own product")
    gone = api.stranger.send("read", product=product)
    gone.want(gone.status in {404, 410}, "A deleted product is not found")


@check(
    "category-from-beginning-to-end",
    "A category can be created, listed, renamed and deleted",
    criterion="functionality",
    official=True,
    chapter="rest-with-drf",
)
def category_crud(api: Api) -> None:
    """Create, list, rename, read, delete, read."""
    staff, category = api.user("staff"), new_category(api)
    listed = api.stranger.send("categories").expect(200)
    listed.want(str(category) in listed.text, "The list of categories has the new one")
    staff.send(
        "update_category", category=category, json=api.body("category", name="Renamed")
    ).expect(wanted="Staff can rename a category")
    answer = api.stranger.send("read_category", category=category).expect(200)
    answer.want(api.field("category", "name", answer) == "Renamed", "The name is the new one")
    staff.send("delete_category", category=category).expect(wanted="An empty category is deleted")
    gone = api.stranger.send("read_category", category=category)
    gone.want(gone.status in {404, 410}, "A deleted category is not found")


@check(
    "filter-by-category",
    "The list can be filtered by category",
    criterion="functionality",
    official=True,
    chapter="rest-with-drf",
)
def by_category(api: Api) -> None:
    """Walk the pages of one category, and look at what came and what is missing."""
    made = api.once(library)
    new_product(api)
    pages = list(api.pages(api.stranger, "list", params={"category": made["category"]}))
    probes.filtered(
        pages[0],
        [row for page in pages for row in api.items(page)],
        lambda row: api.field("product", "category", row) == made["category"],
        "The list has all products of the category, and no other",
        key=lambda row: key(api, row),
        expected=made["ids"],
    )


@check(
    "filter-by-category-below",
    "A category's filter also finds products of the categories below it",
    criterion="functionality",
    chapter="orm-and-n-plus-one",
)
def by_category_below(api: Api) -> None:
    """Put a product two levels below, and filter by the top."""
    if not api.has("category", "parent"):
        raise Skipped("fields.category.parent is empty in the mapping: there is no tree")
    top = new_category(api)
    product = new_product(api, category=new_category(api, new_category(api, top)))
    answer = api.stranger.send("list", params={"category": top})
    found = [key(api, row) for row in api.items(answer)]
    answer.want(found == [product], "The one product that is two levels below is found")


@check(
    "filter-by-price",
    "The list can be filtered by price, both ends included",
    criterion="functionality",
    official=True,
    chapter="rest-with-drf",
)
def by_price(api: Api) -> None:
    """Filter to a range that cuts on two prices which are there."""
    made = api.once(library)
    low, high = sorted(PRICES)[5], sorted(PRICES)[20]
    params = {"category": made["category"], "currency": api.value("currency")}
    pages = list(
        api.pages(api.stranger, "list", params=params | {"price_min": low, "price_max": high})
    )
    probes.filtered(
        pages[0],
        [row for page in pages for row in api.items(page)],
        lambda row: low <= price(api, row) <= high,
        f"The list has all products from {low} to {high}, and no other",
        key=lambda row: key(api, row),
        expected=[
            number for number, each in zip(made["ids"], PRICES, strict=True) if low <= each <= high
        ],
    )


@check(
    "sort-by-price",
    "The list can be sorted by price, both ways",
    criterion="functionality",
    official=True,
    chapter="indexes-and-plans",
)
def by_rising_price(api: Api) -> None:
    """Sort up and down."""
    params = {"category": api.once(library)["category"], "currency": api.value("currency")}
    for name, falling in (("price_rising", False), ("price_falling", True)):
        answer = api.stranger.send("list", params=params | {name: ""})
        prices = [price(api, row) for row in api.items(answer)]
        probes.sorted_by(answer, prices, falling=falling)
        wanted = (max if falling else min)(PRICES)
        answer.want(prices[0] == wanted, f"The first row has the price {wanted}")


@check(
    "pages",
    "The list comes in pages, and their walk gives each product once",
    criterion="functionality",
    official=True,
    chapter="rest-with-drf",
)
def pages(api: Api) -> None:
    """Walk by price, where some rows are equal."""
    made = api.once(library)
    params = {
        "category": made["category"],
        "currency": api.value("currency"),
        "price_rising": "",
    }
    walked = list(api.pages(api.stranger, "list", params=params, size=7))
    walked[0].want(len(walked) > 1, "30 products do not come in one page of 7")
    found = [key(api, row) for page in walked for row in api.items(page)]
    walked[0].want(
        sorted(map(str, found)) == sorted(map(str, made["ids"])), "Each product comes once"
    )


@check(
    "page-size-has-a-limit",
    "Nobody can ask for all products in one page",
    criterion="performance",
    chapter="rest-with-drf",
)
def page_size(api: Api) -> None:
    """Ask for a million."""
    size = api.names.data["lists"]["size"]
    if not size:
        raise Skipped("lists.size is empty in the mapping: the client cannot choose the size")
    answer = api.stranger.send("list", params={size: 1_000_000})
    if answer.ok:
        answer.want(len(api.items(answer)) <= 1_000, "At most 1,000 products in one page")
    else:
        answer.want_refused("A page of a million is refused or cut")


@check(
    "stable-pages",
    "A walk through the pages gives each product once, while products are added",
    criterion="functionality",
    chapter="indexes-and-plans",
)
def stable_pages(api: Api) -> None:
    """Walk the newest first, and write."""
    category = new_category(api)
    ids = [new_product(api, category=category) for _ in range(15)]
    probes.stable_walk(
        api,
        api.stranger,
        "list",
        params={"category": category, "newest": ""},
        key=lambda row: key(api, row),
        write=lambda: new_product(api, category=category),
        size=4,
        expected=ids,
    )


@check(
    "search-by-words",
    "A search finds words in another form and order",
    criterion="functionality",
    chapter="indexes-and-plans",
)
def by_words(api: Api) -> None:
    """Name a product in the singular, and search in the plural."""
    category = new_category(api)
    product = new_product(api, category=category, name="Purple rotating hatstand")
    answer = api.stranger.send(
        "list", params={"category": category, "search": "hatstands rotating"}
    )
    found = [key(api, row) for row in api.items(answer)]
    answer.want(found == [product], "The product with both words is found")


@check(
    "search-with-a-typing-error",
    "A search forgives a typing error",
    criterion="functionality",
    chapter="indexes-and-plans",
)
def misspelt(api: Api) -> None:
    """Swap two letters."""
    category = new_category(api)
    product = new_product(api, category=category, name="Marvellous umbrella")
    answer = api.stranger.send("list", params={"category": category, "search": "umbrlela"})
    found = [key(api, row) for row in api.items(answer)]
    answer.want(found == [product], "umbrlela finds the umbrella")


@check(
    "facets-are-true",
    "A facet's count is the number of products that its filter brings",
    criterion="functionality",
    chapter="indexes-and-plans",
)
def facets(api: Api) -> None:
    """Count the children of a category with three products."""
    top = new_category(api)
    child = new_category(api, top)
    for _ in range(3):
        new_product(api, category=child)
    answer = api.stranger.send("facets", params={"category": top}).expect(200)
    answer.want(
        f'"value": "{child}", "count": 3' in json.dumps(answer.json),
        "The category below has the count 3",
    )


@check(
    "no-query-per-row",
    "A list's time hardly grows with its rows",
    criterion="performance",
    chapter="orm-and-n-plus-one",
)
def growth(api: Api) -> None:
    """Compare one row with thirty."""
    category = api.once(library)["category"]
    size = api.names.data["lists"]["size"]

    def get(rows: int) -> Answer:
        return api.stranger.send("list", params={"category": category, size: rows})

    probes.growth(lambda: get(1), lambda: get(30), rows=(1, len(api.items(get(30)))))


common.tokens(__name__, role="customer")


@check(
    "refresh-race",
    "A refresh token gives new tokens once, also when ten requests arrive at once",
    criterion="security",
    chapter="auth",
)
def refresh_race(api: Api) -> None:
    """Race ten refreshes of one token, twice."""
    for _ in range(2):
        user = api.log_in(api.user("customer"))
        answers = probes.race(api, [partial(api.step, "refresh", user)] * 10)
        probes.at_most(answers, 1, "A refresh token is used once")


@check(
    "roles",
    "Sellers change their own products, staff changes all, customers and strangers none",
    criterion="security",
    official=True,
    chapter="auth",
)
def roles(api: Api) -> None:
    """Send each request as each role."""
    seller = api.user("seller")
    users = {
        "seller": seller,
        "other": api.user("other_seller"),
        "staff": api.user("staff"),
        "customer": api.user("customer"),
        "nobody": api.stranger,
    }
    changed = api.body("product", price=1)
    own = {"seller": ALLOWED, "other": REFUSED, "staff": ALLOWED}
    none = {"customer": REFUSED, "nobody": REFUSED}
    probes.matrix(
        {
            "create": lambda user: user.send("create", json=product_body(api)),
            "update": lambda user: user.send("update", product=new_product(api), json=changed),
            "delete": lambda user: user.send("delete", product=new_product(api)),
            "category": lambda user: user.send("delete_category", category=new_category(api)),
        },
        users,
        {
            "create": own | {"other": ALLOWED} | none,
            "update": own | none,
            "delete": own | none,
            "category": dict.fromkeys(users, REFUSED) | {"staff": ALLOWED},
        },
    )


@check(
    "price-is-a-sane-number",
    "A price below nothing, or one that is no number, is refused",
    criterion="functionality",
    chapter="rest-with-drf",
)
def prices(api: Api) -> None:
    """Send prices that cannot be."""
    senseless: tuple[Any, ...] = (-1, "free", None, [], 10**30)
    for wrong in senseless:
        answer = api.user("seller").send("create", json=product_body(api, price=wrong))
        probes.no_leak(answer).want_refused(f"The price {wrong!r} is refused")


@check(
    "order-takes-stock",
    "An order takes from the stock, and its total is the server's",
    criterion="functionality",
    chapter="transactions-and-locks",
)
def order_takes(api: Api) -> None:
    """Order two of five, and send no price."""
    product = new_product(api, stock=5, price=1999)
    answer = order(api.user("customer"), product, 2).expect(201, wanted="A customer can order")
    answer.want(float(api.field("order", "total", answer)) == 3998, "The total is 2 × 1999")
    answer.want(stock(api, product) == 3, "3 of 5 are left")


@check(
    "no-oversell",
    "Of 20 buyers, 5 get the 5 pieces",
    criterion="functionality",
    chapter="transactions-and-locks",
)
def no_oversell(api: Api) -> None:
    """Race 20 orders of two customers for 5 pieces."""
    product, buyers = new_product(api, stock=5), api.users(2, "customer")
    orders = [partial(order, buyers[number % 2], product) for number in range(20)]
    answers = probes.race(api, orders)
    probes.exactly(answers, 5, "No more is sold than is there")
    answers[0].want(stock(api, product) == 0, "Nothing is left, and no less than nothing")


@check(
    "order-once",
    "An order that is sent ten times with one key is one order",
    criterion="functionality",
    chapter="transactions-and-locks",
)
def order_once(api: Api) -> None:
    """Race ten orders with one Idempotency-Key."""
    product, name = new_product(api, stock=20), secrets.token_hex(8)
    answers = probes.race(api, [lambda: order(api.user("customer"), product, name=name)] * 10)
    first = next((answer for answer in answers if answer.ok), answers[0])
    first.want(stock(api, product) == 19, "19 of 20 are left")


@check(
    "cancelled-once",
    "Cancelling an order gives its pieces back, once",
    criterion="functionality",
    chapter="transactions-and-locks",
)
def cancelled_once(api: Api) -> None:
    """Race ten cancellations."""
    buyer, product = api.user("customer"), new_product(api, stock=5)
    number = api.field("order", "id", order(buyer, product, 3).expect(201))
    answers = probes.race(api, [lambda: buyer.send("cancel", order=number)] * 10)
    answers[0].want(stock(api, product) == 5, "5 are there again, and no more")


@check(
    "orders-of-others",
    "A customer does not see the order of another",
    criterion="security",
    chapter="auth",
)
def orders_of_others(api: Api) -> None:
    """Read and cancel the order of another customer."""
    mine, other = api.users(2, "customer")
    number = api.field("order", "id", order(mine, new_product(api)).expect(201))
    for user in (other, api.user("seller"), api.stranger):
        user.send("read_order", order=number).want_refused("The order is not shown to others")
        user.send("cancel", order=number).want_refused("The order is not cancelled by others")


@check(
    "upload-is-a-picture",
    "A file that is no picture is refused, whatever it is called",
    criterion="security",
    chapter="files-and-uploads",
)
def upload(api: Api) -> None:
    """Upload HTML under a picture's name and type."""
    mark = secrets.token_hex(8)
    body = (
        f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n'
        f"Content-Type: image/png\r\n\r\n<script>alert(1)</script>\r\n--{mark}--\r\n"
    )
    answer = api.user("seller").send(
        "upload",
        product=new_product(api),
        content=body,
        headers={"content-type": f"multipart/form-data; boundary={mark}"},
    )
    probes.no_leak(answer).want_refused("A script is not taken for a picture")


@check(
    "sql-injection",
    "A text with SQL in it is only a text",
    criterion="security",
    chapter="django-project",
)
def sql_injection(api: Api) -> None:
    """Put SQL into the search and into the filter."""
    api.once(library)
    probes.injection(
        lambda text: api.stranger.send("list", params={"search": text}),
        lambda answer: len(api.items(answer)),
    )
    probes.injection(lambda text: api.stranger.send("list", params={"category": text}))


@check(
    "mass-assignment",
    "A product's owner and id are not the client's to set, nor a new account's role",
    criterion="security",
    chapter="rest-with-drf",
)
def mass_assignment(api: Api) -> None:
    """Send them anyhow, and look at what is stored."""
    seller = api.user("seller")
    probes.mass_assignment(
        lambda more: seller.send("create", json={**product_body(api), **more}),
        lambda answer: seller.send("read", product=key(api, answer.json)).json,
        api.body("product", owner=1, id=987_654_321),
    )
    forged = User(api, "customer", f"acceptance-{secrets.token_hex(5)}", "Pw-" + "x7" * 9)
    for more in ({"role": "staff"}, {"is_staff": True}, {"is_superuser": True}):
        if not api.step("register", forged, more).ok:
            continue
        user = api.log_in(forged)
        answer = user.send("create_category", json=api.body("category", name="X", slug="forged"))
        answer.want_refused(f"Whoever registers with {more} becomes no staff")
        return


@check(
    "errors",
    "Errors are JSON of one form, and show nothing of the program",
    criterion="functionality",
    chapter="rest-with-drf",
)
def errors(api: Api) -> None:
    """Make an error of each kind."""
    seller = api.user("seller")
    probes.error_form(
        [
            seller.send("read", product=987_654_321),
            seller.send("create", json={}),
            seller.send("create", content="{", headers={"content-type": "application/json"}),
            api.stranger.send("create", json=product_body(api)),
            api.user("customer").send("create", json=product_body(api)),
        ]
    )


common.documentation(__name__)
