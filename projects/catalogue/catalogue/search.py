"""Finding products among a million: filters, spelling, pages and facets.

A page begins after the last row of the page before (keyset pagination), and is read from an index
in the order of the list. It therefore costs the same wherever it is. A cursor holds the last row's
values. It is signed, and is valid for one sort and one set of filters only.

A count has no such trick: exact counts read every row that they count. So facets are exact for up
to EXACT products. Above that they are estimated from a fixed sample, and the answer says so.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from django import forms
from django.conf import settings
from django.contrib.postgres.search import SearchQuery, SearchRank
from django.core.signing import BadSignature, Signer
from django.db import connection, transaction
from django.db.models import Case, F, Field, Func, IntegerField, QuerySet, Value, When
from django.db.models.functions import Cast
from django.db.models.lookups import GreaterThan, LessThan
from django_filters import BaseInFilter, CharFilter, ChoiceFilter, Filter, FilterSet
from django_filters.utils import translate_validation
from rest_framework.exceptions import ErrorDetail, ValidationError

from catalogue.models import IN_SAMPLE, MAX_DEPTH, MAX_PRICE, SAMPLE, Category, Product

EXACT = 5_000
"""Up to so many products, facets are counted exactly."""
RANKED = 1_000
"""Of a search's matches, so many are ranked by relevance: the newest."""
MOST_VALUES = 20
"""Values that a facet lists."""
SORTS = {
    "newest": ("-id",),
    "price": ("price_minor", "id"),
    "-price": ("-price_minor", "-id"),
    "relevance": (),  # see `by_relevance`
}
Products = QuerySet[Product, Product]

# -- Spelling

CORRECT = """
SELECT asked.word, near.word
FROM unnest(%s::text[]) AS asked (word)
CROSS JOIN LATERAL (SELECT to_tsvector('english', asked.word) AS vector) AS stemmed
CROSS JOIN LATERAL (
    SELECT word
    FROM (SELECT word, word <-> asked.word AS distance FROM catalogue_word
          ORDER BY word <-> asked.word LIMIT 50) AS similar_words
    WHERE levenshtein_less_equal(word, asked.word, 2)
          <= CASE WHEN length(asked.word) > 4 THEN 2 ELSE 1 END
    ORDER BY -- two letters that were swapped are one error, and not two
        CASE (SELECT string_agg(letter, '' ORDER BY letter)
              FROM unnest(string_to_array(word, NULL)) AS letter)
        WHEN (SELECT string_agg(letter, '' ORDER BY letter)
              FROM unnest(string_to_array(asked.word, NULL)) AS letter)
        THEN 1 ELSE levenshtein_less_equal(word, asked.word, 2) END,
        abs(length(word) - length(asked.word)), distance, word
    LIMIT 1
) AS near
WHERE stemmed.vector <> ''::tsvector
  AND NOT EXISTS (SELECT FROM catalogue_word AS known
                  WHERE known.stem = (tsvector_to_array(stemmed.vector))[1])
"""
LEARN = """
INSERT INTO catalogue_word (word, stem)
SELECT word, coalesce((tsvector_to_array(to_tsvector('english', word)))[1], '')
FROM unnest(tsvector_to_array(to_tsvector('simple', %s))) AS said (word)
WHERE word ~ '^[[:alpha:]]{3,40}$'
ORDER BY word
ON CONFLICT DO NOTHING
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
INSERT INTO catalogue_word (word, stem) SELECT word, stem FROM said ORDER BY word
ON CONFLICT DO NOTHING
"""


def correct(text: str) -> tuple[str, dict[str, str]]:
    """Replace words that no product has by the nearest word that some product has.

    Full text search knows word forms and no typing errors. Trigrams know typing errors, and are
    slow on a million texts. So trigrams search the vocabulary, which is small.

    Returns:
        The text, and what was replaced in it.
    """
    words = sorted(set(re.findall(r"[^\W\d_]{4,40}", text.lower())))[:8]
    with connection.cursor() as cursor:
        cursor.execute(CORRECT, [words])
        found = dict(cursor.fetchall())
    for wrong, right in found.items():
        text = re.sub(rf"(?i)\b{wrong}\b", right, text)
    return text, found


def learn(*texts: str) -> None:
    """Add the words of a product to the vocabulary."""
    with connection.cursor() as cursor:
        cursor.execute(LEARN, [" ".join(texts)])


def relearn() -> None:
    """Make the vocabulary anew from all products. Words of products that are gone go too.

    All products are read before a word is written, so that nobody who saves a product waits long.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")  # the limit is for requests
        cursor.execute(RELEARN)


# -- Filters


class IntegerFilter(Filter):
    """A whole number of minor units."""

    field_class = forms.IntegerField


class OneOfFilter(BaseInFilter, CharFilter):
    """Some texts with commas between."""


class OneChoiceOfFilter(BaseInFilter, ChoiceFilter):
    """Some of the choices, with commas between."""


class ProductFilter(FilterSet):
    """The filters of the list and of the facets."""

    q = CharFilter(method="by_words", max_length=200, help_text="Words, as in a web search")
    category = CharFilter(method="by_category", max_length=60, help_text="Slug; with all below it")
    brand = OneOfFilter(field_name="brand", lookup_expr="in", help_text="One or more brands")
    colour = OneChoiceOfFilter(
        field_name="colour", lookup_expr="in", choices=Product.Colour.choices
    )
    currency = ChoiceFilter(choices=[(code, code) for code in settings.CURRENCIES])
    price_min = IntegerFilter(
        field_name="price_minor", lookup_expr="gte", min_value=0, max_value=MAX_PRICE
    )
    price_max = IntegerFilter(
        field_name="price_minor", lookup_expr="lte", min_value=0, max_value=MAX_PRICE
    )
    in_stock = ChoiceFilter(
        method="by_stock", choices=[("true", "true"), ("false", "false")], help_text="true or false"
    )

    query: SearchQuery | None = None
    corrections: Mapping[str, str] = {}
    node: Category | None = None

    def by_words(self, products: Products, name: str, value: str) -> Products:  # noqa: ARG002
        """Products that have the words, in any form."""
        if self.query is None:
            text, self.corrections = correct(value)
            self.query = SearchQuery(text, config="english", search_type="websearch")
        return products.filter(search=self.query)

    def by_category(self, products: Products, name: str, value: str) -> Products:  # noqa: ARG002
        """Products of a category and of all that are below it."""
        if self.node is None:
            self.node = Category.objects.filter(slug=value).first()
        if self.node is None:
            raise refused("category", "unknown", "There is no such category.")
        return products.filter(**{f"category_path__{len(self.node.path) - 1}": self.node.pk})

    def by_stock(self, products: Products, name: str, value: str) -> Products:  # noqa: ARG002
        """Products that are there, or those that are sold out."""
        return products.filter(stock__gt=0) if value == "true" else products.filter(stock=0)

    def check(self, sort: str = "") -> None:
        """Refuse what cannot be answered.

        Raises:
            ValidationError: If a value is at fault, or if prices of several currencies would be
                compared.
        """
        if not self.is_valid():
            raise translate_validation(self.errors)
        asked = self.form.cleaned_data
        priced = "price" in sort or asked["price_min"] is not None or asked["price_max"] is not None
        if priced and not asked["currency"]:
            raise refused("currency", "required", "Amounts in two currencies cannot be compared.")
        if len(asked["brand"] or ()) > 5:
            raise refused("brand", "max_length", "At most five brands.")

    def apply(self, *, without: str = "") -> Products:
        """Return the products that pass all filters, or all but one."""
        products = Product.objects.all()
        for name, value in self.form.cleaned_data.items():
            if name != without:
                products = self.filters[name].filter(products, value)
        return cast("Products", products)


def refused(field: str, code: str, detail: str) -> ValidationError:
    """Return the refusal of a parameter."""
    return ValidationError({field: [ErrorDetail(detail, code)]})


# -- Pages


class Page(NamedTuple):
    """Some rows of a list, and the cursor of those that follow, if any do."""

    rows: list[Any]
    cursor: str | None


class Cursors:
    """Makes and reads the cursors of one list. They are signed, and no other list takes them."""

    def __init__(self, scope: Mapping[str, str]) -> None:
        digest = hashlib.sha256(json.dumps(sorted(scope.items())).encode()).hexdigest()
        self.signer = Signer(salt=f"cursor {digest}")

    def write(self, values: Sequence[Any]) -> str:
        """Return the cursor of the row with these values."""
        return self.signer.sign_object(
            [value if isinstance(value, int) else str(value) for value in values]
        )

    def read(self, cursor: str) -> list[Any]:
        """Return the values of the row that the last page ended with.

        Raises:
            ValidationError: If the cursor was not made here, for this list.
        """
        try:
            values: list[Any] = self.signer.unsign_object(cursor)
        except (BadSignature, ValueError):
            raise refused("cursor", "cursor", "This cursor is not of this list.") from None
        return values


class _Row(Func):
    """A row of SQL: `(a, b)`. Rows compare from left to right, and an index can find one."""

    template = "(%(expressions)s)"
    output_field = Field()


def paginate(
    rows: QuerySet[Any, Any],
    *,
    order: tuple[str, ...],
    limit: int,
    cursor: str | None,
    scope: Mapping[str, str],
) -> Page:
    """Return one page of a list, with one query.

    Args:
        rows: The list, in any order.
        order: Names of columns, all ascending or all descending. The last one is unique.
        limit: How many rows at most.
        cursor: Where to go on.
        scope: What the list is.

    Raises:
        ValidationError: If the cursor is of another list.
    """
    cursors = Cursors(scope)
    names = [name.removeprefix("-") for name in order]
    if cursor:
        lookup = LessThan if order[0].startswith("-") else GreaterThan
        last = cursors.read(cursor)
        rows = rows.filter(lookup(_Row(*map(F, names)), _Row(*map(Value, last))))
    found = list(rows.order_by(*order)[: limit + 1])  # one more tells whether there are more
    if len(found) <= limit:
        return Page(found, None)
    found.pop()
    return Page(found, cursors.write([getattr(found[-1], name) for name in names]))


def by_relevance(
    products: Products,
    query: SearchQuery,
    *,
    limit: int,
    cursor: str | None,
    scope: Mapping[str, str],
) -> Page:
    """Return one page of the matches, the best first.

    A rank is not in any index: it is computed for each match. So only the newest RANKED matches are
    ranked, and the work has a bound however common the words are.
    """
    cursors = Cursors(scope)
    rank = Cast(SearchRank(F("search"), query) * 1_000_000, IntegerField())
    newest = products.order_by("-id").values_list(rank, "id")[:RANKED]
    best = sorted(newest, reverse=True)
    if cursor:
        last = tuple(cursors.read(cursor))
        best = [each for each in best if each < last]
    some = best[:limit]
    by_id = Product.objects.defer("search").in_bulk([number for _, number in some])
    rows = [by_id[number] for _, number in some if number in by_id]
    return Page(rows, cursors.write(some[-1]) if len(best) > limit else None)


# -- Facets


def tally(products: Products, *values: Any, limit: int | None = None) -> list[dict[str, int]]:
    """Count products by each of some values, in one query that reads at most `limit` of them.

    GROUPING SETS makes one group for each value of each column. `grouping()` tells which column a
    group is for: it has one bit for each column, and the bit of the group's own column is 0.
    """
    names = [f"value{number}" for number in range(len(values))]
    inner = products.order_by().annotate(**dict(zip(names, values, strict=True))).values(*names)
    sql, parameters = inner[:limit].query.sql_with_params()
    columns = ", ".join(names)
    texts = ", ".join(f"{name}::text" for name in names)
    sets = ", ".join(f"({name})" for name in names)
    counts: list[dict[str, int]] = [{} for _ in values]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT grouping({columns}), coalesce({texts}), count(*)"  # noqa: S608 - no input
            f" FROM ({sql}) AS counted GROUP BY GROUPING SETS ({sets})",
            parameters,
        )
        everything = 2 ** len(names) - 1
        for others, value, count in cursor.fetchall():  # the leftmost bit is the first column's
            counts[len(names) - (everything ^ others).bit_length()][value] = count
    return counts


def count_by(products: Products, *values: Any) -> list[dict[str, Any]]:
    """Return facets of the same products, exact or estimated.

    The sample is counted first. It is small, and tells whether an exact count would be, too.
    """
    exact, counts = False, tally(products.filter(IN_SAMPLE), *values)
    if sum(counts[0].values()) * SAMPLE <= 2 * EXACT:
        all_of_them = tally(products, *values, limit=EXACT + 1)
        if exact := sum(all_of_them[0].values()) <= EXACT:
            counts = all_of_them
    found = []
    for each in counts:
        each.pop(None, None)  # type: ignore[call-overload]  # in the category itself, none below
        first = sorted(each.items(), key=lambda item: (-item[1], item[0]))[:MOST_VALUES]
        weight = 1 if exact else SAMPLE
        listed = [{"value": value, "count": count * weight} for value, count in first]
        found.append({"exact": exact, "values": listed})
    return found


def facets(filters: ProductFilter) -> dict[str, Any]:
    """Return all facets of some filters.

    The counts of a facet ignore the choice in that facet: whoever chose one brand sees how many
    products each other brand would bring. The categories are those one level below the chosen one.
    """
    chosen = filters.apply()
    columns: dict[str, Any] = {
        "brand": F("brand"),
        "colour": F("colour"),
        "in_stock": Case(When(stock__gt=0, then=Value("true")), default=Value("false")),
    }
    depth = len(filters.node.path) if filters.node else 0
    if depth < MAX_DEPTH:
        columns["category"] = F(f"category_path__{depth}")
    own = [name for name in columns if name != "category" and filters.form.cleaned_data[name]]
    shared = [name for name in columns if name not in own]
    found: dict[str, Any] = {"category": {"exact": True, "values": []}}
    if shared:
        counted = count_by(chosen, *(columns[name] for name in shared))
        found |= dict(zip(shared, counted, strict=True))
    for name in own:
        (found[name],) = count_by(filters.apply(without=name), columns[name])
    below = found["category"]["values"]
    ids = [int(each["value"]) for each in below]
    slugs = dict(Category.objects.filter(id__in=ids).values_list("id", "slug"))
    for each in below:
        each["value"] = slugs[int(each["value"])]
    return found
