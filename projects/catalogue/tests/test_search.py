"""Filters, sorts, pages, spelling and facets."""

from typing import Any

import pytest
from django.utils.http import urlencode
from rest_framework.test import APIClient

from catalogue import search
from catalogue.models import SAMPLE, Category, Product
from tests.conftest import make_category, make_product, make_user, sign_in

pytestmark = pytest.mark.django_db
LIST = "/api/v1/products"


def find(api: APIClient, **asked: Any) -> list[int]:
    answer = api.get(LIST, asked)
    assert answer.status_code == 200, answer.content
    return [each["id"] for each in answer.json()["results"]]


def walk(api: APIClient, **asked: Any) -> list[int]:
    found, cursor = [], ""
    while True:
        page = api.get(LIST, asked | ({"cursor": cursor} if cursor else {})).json()
        found += [each["id"] for each in page["results"]]
        if not (cursor := page["next"]):
            return found


@pytest.fixture
def tree() -> dict[str, Category]:
    root = make_category(slug="root")
    branch = make_category(root, slug="branch")
    leaf = make_category(branch, slug="leaf")
    return {"root": root, "branch": branch, "leaf": leaf, "other": make_category(slug="other")}


@pytest.fixture
def some(tree: dict[str, Category]) -> list[Product]:
    seller = make_user("seller")
    made = [
        {"category": tree["root"], "price_minor": 300, "brand": "Oakline", "stock": 0},
        {"category": tree["branch"], "price_minor": 200, "brand": "Fernmark", "colour": "red"},
        {"category": tree["leaf"], "price_minor": 200, "brand": "Oakline", "currency": "JPY"},
        {"category": tree["leaf"], "price_minor": 100, "brand": "Wrencraft"},
        {"category": tree["other"], "price_minor": 400, "name": "Oak chairs"},
    ]
    return [make_product(seller=seller, **fields) for fields in made]


@pytest.mark.parametrize(
    ("asked", "places"),
    [
        ({}, [4, 3, 2, 1, 0]),
        ({"category": "root"}, [3, 2, 1, 0]),
        ({"category": "branch"}, [3, 2, 1]),
        ({"category": "leaf"}, [3, 2]),
        ({"brand": "Fernmark"}, [1]),
        ({"brand": "Fernmark,Wrencraft"}, [3, 1]),
        ({"colour": "red"}, [1]),
        ({"colour": "red,brown", "category": "branch"}, [3, 2, 1]),
        ({"currency": "JPY"}, [2]),
        ({"currency": "EUR", "sort": "price"}, [3, 1, 0, 4]),
        ({"currency": "EUR", "sort": "-price"}, [4, 0, 1, 3]),
        ({"currency": "EUR", "price_min": 200, "price_max": 300}, [1, 0]),
        ({"in_stock": "false"}, [0]),
        ({"in_stock": "true", "category": "root"}, [3, 2, 1]),
        ({"q": "chair"}, [4]),
        ({"q": "desks -oakline"}, [3, 1]),
        ({"q": "desk", "category": "leaf", "sort": "newest"}, [3, 2]),
        ({"q": "nothing like this"}, []),
    ],
)
def test_filters_and_sorts(
    api: APIClient, some: list[Product], asked: Any, places: list[int]
) -> None:
    assert find(api, **asked) == [some[place].pk for place in places]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"sort": "price"}, "currency"),
        ({"price_min": 1}, "currency"),
        ({"sort": "relevance"}, "sort"),
        ({"sort": "id; DROP TABLE"}, "sort"),
        ({"brnad": "Oakline"}, "brnad"),
        ({"category": "nowhere"}, "category"),
        ({"colour": "mauve"}, "colour"),
        ({"currency": "XXX"}, "currency"),
        ({"in_stock": "yes"}, "in_stock"),
        ({"price_min": "1.5", "currency": "EUR"}, "price_min"),
        ({"price_max": "-1", "currency": "EUR"}, "price_max"),
        ({"brand": "a,b,c,d,e,f"}, "brand"),
        ({"q": "x" * 201}, "q"),
        ({"limit": 101}, "limit"),
        ({"limit": 0}, "limit"),
        ({"cursor": "forged"}, "cursor"),
    ],
)
def test_what_a_search_is_refused_for(api: APIClient, asked: Any, field: str) -> None:
    answer = api.get(LIST, asked)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert [each["field"] for each in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("text", ["'; DROP TABLE catalogue_product; --", "a & | ! b", "%_\\", '"'])
@pytest.mark.parametrize("name", ["q", "brand"])
def test_a_text_is_data(api: APIClient, some: list[Product], name: str, text: str) -> None:
    assert find(api, **{name: text}) == []
    assert Product.objects.count() == 5


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"sort": "price", "currency": "EUR"},
        {"sort": "-price", "currency": "EUR"},
        {"q": "desk"},
    ],
)
def test_pages_show_each_row_once_also_while_rows_come_and_go(api: APIClient, asked: Any) -> None:
    seller, category = make_user("seller"), make_category()
    fixed = [
        make_product(seller=seller, category=category, price_minor=100 + number % 3)
        for number in range(12)
    ]
    doomed = make_product(seller=seller, category=category, price_minor=101)
    found, cursor = [], ""
    for _ in range(20):
        page = api.get(LIST, asked | {"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        found += [each["id"] for each in page["results"]]
        make_product(seller=seller, category=category, price_minor=101)
        if doomed.pk and doomed.pk not in found:
            doomed.delete()
        if not (cursor := page["next"]):
            break
    kept = [number for number in found if number in {each.pk for each in fixed}]
    assert sorted(kept) == [each.pk for each in fixed]
    assert len(set(found)) == len(found)


def test_a_cursor_is_of_one_list(api: APIClient, some: list[Product]) -> None:
    cursor = api.get(LIST, {"limit": 1}).json()["next"]
    assert api.get(LIST, {"limit": 3, "cursor": cursor}).status_code == 200
    for other in ({"colour": "brown"}, {"sort": "price", "currency": "EUR"}):
        assert api.get(LIST, other | {"cursor": cursor}).status_code == 400
    assert api.get(LIST, {"cursor": cursor[:-1]}).status_code == 400


def test_the_best_match_comes_first(api: APIClient) -> None:
    in_name = make_product(name="Walnut desk")
    in_text = make_product(name="Chair", description="Fits under a walnut desk.")
    assert find(api, q="walnut desk") == [in_name.pk, in_text.pk]
    assert find(api, q="walnut desk", sort="newest") == [in_text.pk, in_name.pk]
    assert walk(api, q="walnut desk", limit=1) == [in_name.pk, in_text.pk]


@pytest.mark.parametrize(
    ("asked", "corrections"),
    [
        ("wlanut", {"wlanut": "walnut"}),
        ("Walnutt DESK", {"walnutt": "walnut"}),
        ("fodling desks", {"fodling": "folding"}),
        ("walnuts", {}),  # a form of a word that is known
        ("the", {}),
        ("xylophone", {}),  # nothing is near
        ("dsk", {}),  # too short to guess
        ("o'brien 123 ...", {}),
    ],
)
def test_typing_errors_are_corrected_and_said(
    api: APIClient, asked: str, corrections: dict[str, str]
) -> None:
    product = make_product(name="Folding walnut desk")
    answer = api.get(LIST, {"q": asked}).json()
    assert answer["corrections"] == corrections
    found = [each["id"] for each in answer["results"]]
    assert found == ([product.pk] if corrections or asked == "walnuts" else [])


def test_a_new_name_is_known_at_once(api: APIClient) -> None:
    product = make_product()
    change = {"name": "Rattan hammock"}
    sign_in(product.seller).patch(f"{LIST}/{product.pk}", change)
    assert find(api, q="hamock") == [product.pk]


def test_only_the_newest_matches_are_ranked(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "RANKED", 2)
    _old, *new = [make_product() for _ in range(3)]
    assert find(api, q="desk") == [new[1].pk, new[0].pk]


# -- Facets


def counts(api: APIClient, **asked: Any) -> dict[str, dict[str, int]]:
    answer = api.get(f"{LIST}/facets?{urlencode(asked)}")
    assert answer.status_code == 200, answer.content
    return {
        name: {each["value"]: each["count"] for each in facet["values"]}
        for name, facet in answer.json().items()
    }


def test_facets_of_everything(api: APIClient, some: list[Product]) -> None:
    assert counts(api) == {
        "brand": {"Oakline": 3, "Fernmark": 1, "Wrencraft": 1},
        "colour": {"brown": 4, "red": 1},
        "in_stock": {"true": 4, "false": 1},
        "category": {"root": 4, "other": 1},
    }


def test_a_facet_ignores_its_own_choice(api: APIClient, some: list[Product]) -> None:
    found = counts(api, brand="Fernmark", category="root")
    assert found["brand"] == {"Oakline": 2, "Fernmark": 1, "Wrencraft": 1}
    assert found["colour"] == {"red": 1}
    assert found["category"] == {"branch": 1}
    assert counts(api, colour="brown", in_stock="true")["colour"] == {"brown": 3, "red": 1}


def test_facets_below_the_last_level(api: APIClient, some: list[Product]) -> None:
    assert counts(api, category="branch")["category"] == {"leaf": 2}
    assert counts(api, category="leaf")["category"] == {}


def test_the_counts_of_a_facet_are_what_its_filter_brings(
    api: APIClient, some: list[Product]
) -> None:
    for name, values in counts(api).items():
        for value, count in values.items():
            assert len(find(api, **{name: value})) == count


def test_above_the_limit_facets_are_estimates_and_say_so(
    api: APIClient, some: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "EXACT", 3)
    for number, product in enumerate(some):  # of the ids that the sequence gave, one may be in it
        Product.objects.filter(pk=product.pk).update(id=SAMPLE * 10**9 + number)
    answer = api.get(f"{LIST}/facets").json()
    assert answer["brand"] == {"exact": False, "values": [{"value": "Oakline", "count": SAMPLE}]}
    assert api.get(f"{LIST}/facets", {"colour": "red"}).json()["brand"]["exact"] is True


def test_facets_take_no_page(api: APIClient) -> None:
    assert api.get(f"{LIST}/facets", {"limit": 3}).status_code == 400
