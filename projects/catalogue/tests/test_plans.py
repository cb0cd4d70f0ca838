"""50,000 generated products: each list comes from its index, in order, a page at a time."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.models import F, ProtectedError
from rest_framework.test import APIClient

import bench
from catalogue.models import IN_SAMPLE, Category, Product
from catalogue.search import correct, tally
from demo.generate import words

PRODUCTS = 50_000
LIST = "/api/v1/products"


@pytest.fixture(scope="module")
def many(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Products for all tests of this module. They are removed after it."""
    with django_db_blocker.unblock():
        bench.fill(PRODUCTS)
        yield
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE catalogue_user, catalogue_category, catalogue_word CASCADE")


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("many")]
EUR = "currency=EUR"
LISTS = {
    "": ("catalogue_product_pkey",),
    f"{EUR}&sort=price": ("product_price",),
    f"{EUR}&sort=-price&price_min=500&price_max=2000": ("product_price",),
    # Of a category with many products, the next ones are also soon found in the index of all.
    "category=furniture": ("product_level1", "catalogue_product_pkey"),
    f"category=furniture&{EUR}&sort=price": ("product_level1_price", "product_price"),
    "category=leisure-cycling": ("product_level2", "catalogue_product_pkey"),
    f"category=leisure-cycling&{EUR}&sort=-price": ("product_level2_price",),
    "category=cycling-helmet": ("product_level3",),
    f"category=cycling-helmet&{EUR}&sort=price": ("product_level3_price",),
    "brand=Alderbrook": ("product_brand",),
    f"brand=Alderbrook&{EUR}&sort=-price": ("product_brand_price",),
}


@pytest.mark.parametrize(("asked", "indexes"), LISTS.items(), ids=LISTS)
def test_a_page_is_read_from_an_index_in_order(
    api: APIClient, asked: str, indexes: tuple[str, ...]
) -> None:
    """The first, the second and the third page: an index scan under a limit, and nothing else."""
    address = f"{LIST}?{asked}"
    for _ in range(3):
        (statement,) = bench.statements(api, address)
        limit, *scan = bench.nodes(statement, short=True)
        assert limit == "Limit"
        assert scan in [[f"Index Scan {index}"] for index in indexes]
        read = int(bench.nodes(statement)[1].split(", ")[1].split()[0].replace(",", ""))
        assert read <= (21 if scan == [f"Index Scan {indexes[0]}"] else 1_500)
        address = f"{LIST}?{asked}&cursor={api.get(address).json()['next']}"


def test_words_are_found_by_the_index(api: APIClient) -> None:
    (ranked, *_) = bench.statements(api, f"{LIST}?q=walnut desk")
    plan = bench.nodes(ranked)
    assert any(node.startswith("Bitmap Index Scan product_search") for node in plan)
    assert not any("Seq Scan" in node for node in plan)


def test_a_frequent_word_ends_after_as_many_matches_as_are_ranked(api: APIClient) -> None:
    (ranked, *_) = bench.statements(api, f"{LIST}?q=walnut")
    assert not any("Seq Scan" in node for node in bench.nodes(ranked))


def test_a_misspelt_word_is_found_by_the_index_of_the_vocabulary(api: APIClient) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "EXPLAIN SELECT word FROM catalogue_word ORDER BY word <-> 'wlanut' LIMIT 10"
        )
        assert any("word_trigrams" in line for (line,) in cursor.fetchall())


def test_swapped_letters_are_corrected_among_all_words() -> None:
    for word in words()["materials"]:
        wrong = word[0] + word[2] + word[1] + word[3:]
        if len(word) > 4 and wrong != word:
            assert correct(f"a {wrong} desk") == (f"a {word} desk", {wrong: word})


def test_the_sample_is_read_by_its_own_index() -> None:
    statement = Product.objects.filter(IN_SAMPLE).values("brand").query
    plan = bench.nodes(str(statement))
    assert any("product_sample" in node for node in plan)
    assert not any("Seq Scan" in node for node in plan)


def test_the_estimate_is_near() -> None:
    (exact,) = tally(Product.objects.all(), F("colour"))
    (sampled,) = tally(Product.objects.filter(IN_SAMPLE), F("colour"))
    assert sum(exact.values()) == PRODUCTS
    assert abs(sum(sampled.values()) - PRODUCTS / 101) <= 1
    for colour, count in exact.items():  # 62 of each are in the sample: four deviations are half
        assert abs(sampled[colour] * 101 / count - 1) < 0.5


def test_a_category_that_holds_something_stays() -> None:
    for slug in ("furniture", "cycling-helmet"):
        with pytest.raises(ProtectedError):
            Category.objects.get(slug=slug).delete()
