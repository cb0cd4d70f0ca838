"""Products by the million, made inside PostgreSQL from lists of words.

The seed, the tests and the bench use the same generator, so that plans are looked at on the same
kind of data. Brands, categories and prices are skewed, as those of a shop are.
"""

import json
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils.text import slugify

from catalogue.models import Product, User
from catalogue.search import relearn
from catalogue.services import create_category


def drawn(name: str, power: float = 1) -> str:
    """Return SQL that draws one of a list. With a power, those at its beginning come more often."""
    texts = f"(%({name})s::text[])"
    return f"{texts}[1 + floor(random() ^ {power} * cardinality({texts}))::int]"


PRODUCTS = f"""
INSERT INTO catalogue_product
    (seller_id, category_id, category_path, name, brand, colour, description, price_minor, currency,
     stock)
SELECT seller::bigint, leaf.id, leaf.path,
       initcap(adjective) || ' ' || material || ' ' || noun || ' ' || (100 + i %% 900),
       brand, colour,
       'A ' || adjective || ' ' || noun || ' of ' || material || ', in ' || colour || '. '
           || sentence,
       (100 + 40000 * price ^ 3)::bigint * CASE currency WHEN 'KWD' THEN 10 ELSE 1 END,
       currency,
       CASE WHEN stock < 0.08 THEN 0 ELSE (stock * 200)::int END
FROM (
    SELECT i, {drawn("sellers")} AS seller, {drawn("slugs", 1.5)} AS slug,
           {drawn("brands", 2)} AS brand, {drawn("colours")} AS colour,
           {drawn("adjectives")} AS adjective, {drawn("materials")} AS material,
           {drawn("sentences")} AS sentence, {drawn("currencies")} AS currency,
           random() AS price, random() AS stock
    FROM generate_series(1, %(count)s) AS i
    OFFSET 0
) AS drawn
JOIN catalogue_category AS leaf USING (slug)
CROSS JOIN LATERAL (SELECT lower(leaf.name) AS noun) AS named
ORDER BY i
"""  # noqa: S608 - no input


def words() -> dict[str, Any]:
    """Return the lists of words."""
    read: dict[str, Any] = json.loads((settings.BASE_DIR / "data" / "words.json").read_text())
    return read


def make_tree(tree: dict[str, dict[str, list[str]]]) -> list[str]:
    """Store the tree, and return the slugs of its leaves in order."""
    leaves = []
    for root_name, branches in tree.items():
        root = create_category(slug=slugify(root_name), name=root_name, parent=None)
        for branch_name, nouns in branches.items():
            slug = slugify(f"{root_name} {branch_name}")
            branch = create_category(slug=slug, name=branch_name, parent=root)
            for noun in nouns:
                leaves.append(slugify(f"{branch_name} {noun}"))
                create_category(slug=leaves[-1], name=noun.capitalize(), parent=branch)
    return leaves


def generate(count: int, sellers: list[User]) -> None:
    """Store the tree, products and the vocabulary, and gather statistics for the planner."""
    lists = words()
    lists["brands"] = [
        head + tail for head in lists["brand_heads"] for tail in lists["brand_tails"]
    ]
    lists["colours"] = Product.Colour.values
    lists["currencies"] = ["JPY", "KES", "KWD", *["EUR"] * 17]
    with transaction.atomic(), connection.cursor() as cursor:
        leaves = make_tree(lists["tree"])
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute("SELECT setseed(0.42)")
        given = {"count": count, "slugs": leaves, "sellers": [str(seller.pk) for seller in sellers]}
        cursor.execute(PRODUCTS, lists | given)
        relearn()
    with connection.cursor() as cursor:
        for table in ("product", "category", "word"):
            cursor.execute(f"ANALYZE catalogue_{table}")
