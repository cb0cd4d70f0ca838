"""Measure the searches on a million products: `make bench`. It takes about two minutes.

The rows are made inside PostgreSQL (see `demo/generate.py`). Requests of each shape go through
Django, with other values each time, and without a network. The plan of one of them is shown.
PRODUCTS=… sets another number of products.
"""

# ruff: noqa: T201, S311 - it prints, and it draws requests by chance
import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import django

if TYPE_CHECKING:
    from rest_framework.test import APIClient

PRODUCTS = int(os.environ.get("PRODUCTS", "1000000"))
SECONDS, MOST = 2.5, 100
"""For each shape, at most."""
LIST, FACETS = "/api/v1/products?", "/api/v1/products/facets?"
SIZES = """
SELECT relname, pg_relation_size(oid) FROM pg_class
WHERE relname LIKE 'product_%' OR relname LIKE 'catalogue_product%' AND relkind IN ('i', 'r')
ORDER BY 2 DESC
"""
INDEXES = """
SELECT indexname, indexdef FROM pg_indexes
WHERE tablename = 'catalogue_product' AND indexname <> 'catalogue_product_pkey'
"""
Shape = Callable[[], str]


def shapes() -> dict[str, Shape]:
    """Return what makes an address of each shape. All others are compared with the first."""
    from django.utils.text import slugify

    from catalogue.models import Category, Product
    from catalogue.search import Cursors
    from demo.generate import words

    lists, pick = words(), random.choice
    brands = [head + tail for head in lists["brand_heads"] for tail in lists["brand_tails"]]
    nouns = [noun for branch in lists["tree"]["Office"].values() for noun in branch]
    levels: dict[int, list[str]] = {1: [], 2: [], 3: []}
    for slug, path in Category.objects.values_list("slug", "path"):
        levels[len(path)].append(slug)
    greatest = Product.objects.order_by("-id").values_list("id", flat=True)[0]

    def at(cursor: list[int], **asked: str) -> str:
        """An address in the middle of a list. Its cursor is made here, and no page is walked."""
        text = Cursors({"sort": "newest"} | asked).write(cursor)
        return (
            LIST + "&".join(f"{name}={value}" for name, value in asked.items()) + "&cursor=" + text
        )

    def misspelt() -> str:
        material = pick([word for word in lists["materials"] if len(word) > 4])
        return f"{material[0]}{material[2]}{material[1]}{material[3:]} {pick(nouns)}"

    def everything(_: int = 0) -> str:
        return slugify(pick(levels[2]))

    return {
        "newest, page 1": lambda: LIST,
        "newest, somewhere deep": lambda: at([random.randint(1, greatest)]),
        "root category, newest": lambda: f"{LIST}category={pick(levels[1])}",
        "branch, by price": lambda: f"{LIST}category={everything()}&currency=EUR&sort=price",
        "root, by price, deep": lambda: at(
            [random.randint(100, 30_000), random.randint(1, greatest)],
            category=pick(levels[1]),
            currency="EUR",
            sort="price",
        ),
        "leaf, price from and to": lambda: (
            f"{LIST}category={pick(levels[3])}&currency=EUR&sort=-price&price_min=500&price_max=900"
        ),
        "brand, by price": lambda: f"{LIST}brand={pick(brands)}&currency=EUR&sort=price",
        "leaf and brand, by price": lambda: (
            f"{LIST}category={pick(levels[3])}&brand={pick(brands)}&currency=EUR&sort=price"
        ),
        "root, colour, sold out": lambda: (
            f"{LIST}category={pick(levels[1])}&colour={pick(Product.Colour.values)}&in_stock=false"
        ),
        "two words": lambda: f"{LIST}q={pick(lists['materials'])} {pick(nouns)}",
        "one frequent word": lambda: f"{LIST}q={pick(lists['materials'])}",
        "a misspelt word and a word": lambda: f"{LIST}q={misspelt()}",
        "facets of two words": lambda: f"{FACETS}q={pick(lists['materials'])} {pick(nouns)}",
        "facets of a branch": lambda: f"{FACETS}category={everything()}",
        "facets of everything": lambda: FACETS,
    }


def fill(count: int) -> None:
    """Make the products, without what slows a bulk load down."""
    from django.db import connection, transaction

    from catalogue.models import User
    from demo.generate import generate

    seller = User.objects.create_user("seller@example.com", "not-used-here", role="seller")
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0; SET maintenance_work_mem = '512MB'")
        with transaction.atomic():
            cursor.execute("SET LOCAL session_replication_role = replica")  # no look at keys
            cursor.execute(INDEXES)  # to build them again after a bulk load is much faster
            indexes = cursor.fetchall()
            cursor.execute("; ".join(f'DROP INDEX "{name}"' for name, _ in indexes))
            generate(count, [seller])
            cursor.execute("; ".join(definition for _, definition in indexes))
        cursor.execute("VACUUM ANALYZE catalogue_product")
        cursor.execute("RESET statement_timeout")


def statements(client: "APIClient", address: str) -> list[str]:
    """Return the statements about products that a request sends."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as sent:
        client.get(address)
    return [each["sql"] for each in sent if 'FROM "catalogue_product"' in each["sql"]]


def nodes(statement: str, *, short: bool = False) -> list[str]:
    """Run a statement and return its plan, a text for each node: what it is, and the rows it read.

    Args:
        statement: In SQL.
        short: Leave out directions and rows.
    """
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}")
        (found,) = cursor.fetchone()
    texts, left = [], [found[0]["Plan"]]
    while left:
        node = left.pop(0)
        left = node.get("Plans", []) + left
        removed = node.get("Rows Removed by Filter", 0)
        read = int((node["Actual Rows"] + removed) * node["Actual Loops"])
        text = " ".join(
            [node["Node Type"], *([node["Index Name"]] if "Index Name" in node else [])]
        )
        backward = " backward" if node.get("Scan Direction") == "Backward" else ""
        texts.append(text if short else f"{text}{backward}, {read:,} rows")
    return texts


def measure(client: "APIClient", make: Shape) -> list[float]:
    """Send requests of one shape, and return their times in milliseconds."""
    times: list[float] = []
    ends = time.monotonic() + SECONDS
    while len(times) < 10 or (len(times) < MOST and time.monotonic() < ends):
        address = make()
        began = time.perf_counter()
        answer = client.get(address)
        times.append((time.perf_counter() - began) * 1000)
        if answer.status_code != 200:
            raise SystemExit(f"{address}: {answer.content!r}")
    return times


def counting() -> None:
    """Compare an exact count of all brands with the estimate from the sample."""
    from django.db.models import F

    from catalogue.models import IN_SAMPLE, SAMPLE, Product
    from catalogue.search import tally

    timed = []
    for products in (Product.objects.all(), Product.objects.filter(IN_SAMPLE)):
        began = time.perf_counter()
        (counts,) = tally(products, F("brand"))
        timed.append((counts, (time.perf_counter() - began) * 1000))
    (exact, slow), (sampled, fast) = timed
    top = sorted(exact, key=lambda brand: -exact[brand])[:20]
    errors = sorted(abs(sampled[brand] * SAMPLE / exact[brand] - 1) for brand in top)
    print(
        f"\nAll brands, exactly: {slow:.0f} ms. From the sample: {fast:.0f} ms,"
        f" {slow / fast:.0f} times as fast."
        f" Of the 20 greatest brands ({exact[top[-1]]:,} to {exact[top[0]]:,} products), the error"
        f" is {errors[10]:.0%} in the median and {errors[-1]:.0%} at most."
    )


def selling() -> None:
    """Sell single pieces, and ask PostgreSQL how many updates changed no index."""
    from django.db import connection

    from catalogue.models import Product
    from catalogue.services import change_stock

    numbers = random.sample(range(1, PRODUCTS), 2000)
    rows = Product.objects.filter(id__in=numbers, stock__gt=0).only("id")
    for product in rows:
        change_stock(product, -1)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(
            "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables"
            " WHERE relname = 'catalogue_product'"
        )
        updates, hot = cursor.fetchone()
    print(f"\n{updates:,} single pieces sold: {hot / updates:.1%} of the updates changed no index.")


def main() -> int:
    """Make the rows, measure, and print tables."""
    os.environ.update(PLAIN_HTTP="true", LOG_LEVEL="ERROR")
    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection
    from rest_framework.test import APIClient

    settings.ALLOWED_HOSTS = ["testserver"]
    random.seed(1)
    began = time.monotonic()
    call_command("migrate", verbosity=0)
    fill(PRODUCTS)
    print(f"{PRODUCTS:,} products with all indexes: {time.monotonic() - began:.0f} s")
    client = APIClient()
    client.get(LIST)  # the first request of a process imports much
    print("\n| Request | p50, ms | p95, ms | p50 to the first |\n| --- | ---: | ---: | ---: |")
    made, first = shapes(), 0.0
    for title, make in made.items():
        times = measure(client, make)
        p50, p95 = statistics.median(times), statistics.quantiles(times, n=20)[-1]
        first = first or p50
        print(f"| {title} | {p50:.1f} | {p95:.1f} | {p50 / first:.1f} |", flush=True)
    print("\n| Request | Plan: node, index, rows that it read |\n| --- | --- |")
    for title, make in made.items():
        if "facets" not in title:
            statement = statements(client, make())[0]
            print(f"| {title} | {' ← '.join(nodes(statement))} |")
    counting()
    selling()
    with connection.cursor() as cursor:
        cursor.execute(SIZES)
        print("\n| Relation | MB |\n| --- | ---: |")
        for name, size in cursor.fetchall():
            print(f"| {name} | {size / 2**20:.0f} |")
    print(f"\n{time.monotonic() - began:.0f} s in all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
