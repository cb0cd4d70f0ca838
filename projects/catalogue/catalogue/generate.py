"""Products by the million, made inside PostgreSQL from lists of words.

The seed, the tests and the bench use the same generator, so that plans are looked at on the same
kind of data. Brands, categories and prices are skewed, as those of a shop are.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils.text import slugify

from catalogue.models import Category, Product, User
from catalogue.services import create_category

PRODUCTS = """
INSERT INTO catalogue_product
    (seller_id, category_id, category_path, name, brand, colour, description, price_minor, currency,
     stock)
SELECT (%(sellers)s::bigint[])[seller], leaf.id, leaf.path,
       initcap(adjective) || ' ' || material || ' ' || noun || ' ' || (100 + i %% 900),
       brand, colour,
       'A ' || adjective || ' ' || noun || ' of ' || material || ', in ' || colour || '. '
           || sentence,
       (100 + 40000 * price ^ 3)::bigint * CASE currency WHEN 'KWD' THEN 10 ELSE 1 END,
       currency,
       CASE WHEN stock < 0.08 THEN 0 ELSE (stock * 200)::int END
FROM (
    SELECT i,
           1 + floor(random() * cardinality(%(sellers)s::bigint[]))::int AS seller,
           1 + floor(random() ^ 1.5 * cardinality(%(leaves)s::int[]))::int AS leaf_number,
           (%(brands)s::text[])[1 + floor(random() ^ 2 * cardinality(%(brands)s::text[]))::int]
               AS brand,
           (%(colours)s::text[])[1 + floor(random() * cardinality(%(colours)s::text[]))::int]
               AS colour,
           (%(adjectives)s::text[])[1 + floor(random() * cardinality(%(adjectives)s::text[]))::int]
               AS adjective,
           (%(materials)s::text[])[1 + floor(random() * cardinality(%(materials)s::text[]))::int]
               AS material,
           (%(sentences)s::text[])[1 + floor(random() * cardinality(%(sentences)s::text[]))::int]
               AS sentence,
           CASE floor(random() * 20)::int WHEN 0 THEN 'JPY' WHEN 1 THEN 'KES' WHEN 2 THEN 'KWD'
               ELSE 'EUR' END AS currency,
           random() AS price,
           random() AS stock
    FROM generate_series(1, %(count)s) AS i
    OFFSET 0
) AS drawn
JOIN unnest(%(leaves)s::int[], %(nouns)s::text[]) WITH ORDINALITY AS given (leaf_id, noun, number)
    ON number = leaf_number
JOIN catalogue_category AS leaf ON leaf.id = leaf_id
ORDER BY i
"""
RELEARN = """
WITH said AS MATERIALIZED (
    SELECT word, coalesce((tsvector_to_array(to_tsvector('english', word)))[1], '') AS stem
    FROM ts_stat($$
        SELECT to_tsvector('simple', name || ' ' || brand || ' ' || description)
        FROM catalogue_product
    $$)
    WHERE word ~ '^[[:alpha:]]{3,40}$'
), gone AS (
    DELETE FROM catalogue_word AS old
    WHERE NOT EXISTS (SELECT FROM said WHERE said.word = old.word)
)
INSERT INTO catalogue_word (word, stem)
SELECT word, stem FROM said ORDER BY word
ON CONFLICT (word) DO UPDATE SET stem = excluded.stem WHERE catalogue_word.stem <> excluded.stem
"""


def words() -> dict[str, Any]:
    """Return the lists of words."""
    read: dict[str, Any] = json.loads((settings.BASE_DIR / "data" / "words.json").read_text())
    return read


def make_tree(tree: dict[str, dict[str, list[str]]]) -> list[Category]:
    """Store the tree, and return its leaves in order."""
    leaves = []
    for root_name, branches in tree.items():
        root = create_category(slug=slugify(root_name), name=root_name, parent=None)
        for branch_name, nouns in branches.items():
            slug = slugify(f"{root_name} {branch_name}")
            branch = create_category(slug=slug, name=branch_name, parent=root)
            for noun in nouns:
                slug = slugify(f"{branch_name} {noun}")
                leaves.append(create_category(slug=slug, name=noun.capitalize(), parent=branch))
    return leaves


def generate(count: int, sellers: list[User]) -> None:
    """Store the tree, products and the vocabulary, and gather statistics for the planner."""
    lists = words()
    brands = [head + tail for head in lists["brand_heads"] for tail in lists["brand_tails"]]
    nouns = [
        noun for branches in lists["tree"].values() for some in branches.values() for noun in some
    ]
    with transaction.atomic():
        leaves = make_tree(lists["tree"])
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 0")
            cursor.execute("SELECT setseed(0.42)")
            cursor.execute(
                PRODUCTS,
                {
                    "count": count,
                    "sellers": [seller.pk for seller in sellers],
                    "leaves": [leaf.pk for leaf in leaves],
                    "nouns": nouns,
                    "brands": brands,
                    "colours": list(Product.Colour.values),
                    "adjectives": lists["adjectives"],
                    "materials": lists["materials"],
                    "sentences": lists["sentences"],
                },
            )
            relearn()
    with connection.cursor() as cursor:
        for table in ("product", "category", "word"):
            cursor.execute(f"ANALYZE catalogue_{table}")


def relearn() -> None:
    """Make the vocabulary anew from all products. Words of products that are gone go too.

    All products are read before a word is written, so that nobody who saves a product waits long.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")  # the limit is for requests
        cursor.execute(RELEARN)


@contextmanager
def without_indexes() -> Iterator[None]:
    """Drop the indexes of products for a bulk load, and build them again: much faster."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'catalogue_product'"
            " AND indexname NOT LIKE %s",
            ["%_pkey"],
        )
        indexes = cursor.fetchall()
        for name, _ in indexes:
            cursor.execute(f'DROP INDEX "{name}"')
        yield
        for _, definition in indexes:
            cursor.execute(definition)
