"""What comes in by GraphQL is held to the rules of REST, also what Python takes for nothing."""

from typing import Any

import pytest

from tests.graph.conftest import Ask

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("search", "field", "code"),
    [
        ({"guests": 0}, "guests", "min_value"),
        ({"minPrice": 0}, "currency", "required"),
        ({"maxPrice": 0}, "currency", "required"),
        ({"city": ""}, "city", "blank"),
        ({"text": ""}, "text", "blank"),
        ({"currency": ""}, "currency", "blank"),
    ],
)
def test_nought_and_nothing_are_not_passed_over(
    ask: Ask, search: dict[str, Any], field: str, code: str
) -> None:
    query = (
        "query($search: PropertySearch) { properties(first: 1, search: $search) { totalCount } }"
    )
    (error,) = ask(query, status=294, search=search)["errors"]
    assert error["extensions"]["code"] == "invalid"
    assert [(f["field"], f["code"]) for f in error["extensions"]["errors"]] == [(field, code)]
