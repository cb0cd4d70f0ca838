"""Documents that ask for too much: each is refused before any query of the database."""

from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from stays.graph.limits import ALIASES, DEPTH, PAGE, SELECTIONS, TOKENS, VALUES
from tests.graph.conftest import Ask

pytestmark = pytest.mark.django_db


@pytest.fixture
def refused(ask: Ask, django_assert_num_queries: DjangoAssertNumQueries) -> Any:
    """The sentence with which a document is refused, without a query of the database."""

    def send(query: str, **variables: Any) -> str:
        with django_assert_num_queries(0):
            answer = ask(query, status=400, **variables)
        assert set(answer) == {"errors"}
        (error,) = answer["errors"]
        assert error["extensions"] == {"code": "invalid"}
        message: str = error["message"]
        return message

    return send


@pytest.fixture
def passes(refused: Any) -> Any:
    """That a document is refused only because its fields do not exist."""

    def send(query: str) -> None:
        assert refused(query).startswith("Cannot query field")

    return send


def nested(levels: int) -> str:
    return "{ a " * levels + "}" * levels


def test_a_document_may_be_so_deep_and_no_deeper(refused: Any, passes: Any) -> None:
    passes(nested(DEPTH))
    for levels in (DEPTH + 1, 50):
        assert refused(nested(levels)) == f"Nested deeper than {DEPTH} fields."


@pytest.mark.parametrize("text", [nested(TOKENS // 2 - 1), "{ a(b: " + "[" * 950 + "}"])
def test_what_is_too_deep_for_the_parser_is_refused(refused: Any, text: str) -> None:
    assert "deep" in refused(text) or "Syntax Error" in refused(text)


def test_a_spread_of_nothing_is_left_to_validation(refused: Any) -> None:
    assert refused("{ ...Nothing __typename }") == "Unknown fragment 'Nothing'."
    assert refused("{ ... on Nothing { a } }") == "Unknown type 'Nothing'."


def test_depth_goes_through_fragments(refused: Any) -> None:
    fragments = [f"fragment F{n} on Query {{ a {{ ...F{n + 1} }} }}" for n in range(DEPTH + 1)]
    document = "{ ...F0 } " + " ".join(fragments) + f" fragment F{DEPTH + 1} on Query {{ a }}"
    assert refused(document) == f"Nested deeper than {DEPTH} fields."


def test_a_document_may_have_so_many_aliases_and_no_more(refused: Any, ask: Ask) -> None:
    def aliases(count: int) -> str:
        return "{" + " ".join(f"a{n}: __typename" for n in range(count)) + "}"

    assert len(ask(aliases(ALIASES))["data"]) == ALIASES
    assert refused(aliases(ALIASES + 1)) == f"More than {ALIASES} aliases."
    assert (
        refused(aliases(1_000))
        == f"Syntax Error: Document contains more than {TOKENS} tokens. Parsing aborted."
    )


def test_an_alias_counts_wherever_its_fragment_is_spread(refused: Any) -> None:
    spreads = "... on Query { ...F } " * (ALIASES + 1)
    document = "{" + spreads + "} fragment F on Query { a: __typename }"
    assert refused(document) == f"More than {ALIASES} aliases."


def test_a_fragment_that_spreads_itself_is_refused(refused: Any) -> None:
    for document in (
        "{ ...A } fragment A on Query { ...A }",
        "{ ...A } fragment A on Query { ...B } fragment B on Query { ... { ...A } }",
    ):
        assert refused(document) == "The fragment A spreads itself."


def test_fragments_that_double_are_not_followed_to_their_end(refused: Any) -> None:
    doubling = [f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(80)]
    document = "{ ...F0 } " + " ".join(doubling) + " fragment F80 on Query { __typename }"
    assert refused(document) == f"More than {SELECTIONS} fields and fragments."


def test_many_fields_of_the_same_name_are_counted_each(refused: Any, ask: Ask) -> None:
    assert refused("{" + "a " * (SELECTIONS + 1) + "}").startswith("More than")
    same = "cities(first: 1) { edges { node { slug } } } "
    assert ask("{" + same * 60 + "}")["data"] == {"cities": {"edges": []}}


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "(first: null)",
        "(first: 0)",
        "(first: -1)",
        f"(first: {PAGE + 1})",
        "(first: 2147483647)",
        "(last: 0)",
        f"(last: {PAGE + 1})",
        "(first: 1, last: 1)",
        "(first: 1.5)",
        "(first: true)",
        '(first: "1")',
        "(first: $no)",
        "(first: $absent)",
        "(first: $many)",
        "(first: $default)",
    ],
)
def test_a_page_needs_a_length(refused: Any, arguments: str) -> None:
    declared = f"$no: Int, $absent: Int, $many: Int, $default: Int = {PAGE + 1}"
    document = f"query ({declared}) {{ cities{arguments} {{ edges {{ cursor }} }} }}"
    expected = f"cities needs either first or last, from 1 to {PAGE}."
    assert refused(document, no=None, many=PAGE + 1) == expected


def test_a_page_may_be_as_long_as_a_variable_or_its_default_says(ask: Ask) -> None:
    document = "query ($a: Int%s) { cities(last: $a) { edges { cursor } } }"
    assert ask(document % "", a=PAGE)["data"] == {"cities": {"edges": []}}
    assert ask(document % " = 2")["data"] == {"cities": {"edges": []}}


def test_the_answer_may_hold_so_many_values_and_no_more(refused: Any, ask: Ask) -> None:
    inner = "edges { node { slug reviews(first: %d) { edges { node { rating text } } } } }"
    document = "{ properties(first: 50) { " + inner + " } }"
    assert ask(document % 30)["data"] == {"properties": {"edges": []}}
    expected = f"The answer could hold more than {VALUES} values: ask for shorter pages."
    assert refused(document % 50) == expected
    amenities = "amenities { slug name } " + " ".join(
        f"a{n}: amenities {{ slug name }}" for n in range(6)
    )
    assert refused("{ properties(first: 50) { edges { node { " + amenities + "} } } }") == expected


@pytest.mark.parametrize(
    "selected",
    [
        "a: reviews(first: 1) { totalCount } b: reviews(first: 2) { totalCount }",
        "reviews(first: 1) { totalCount } ... on Property { b: reviews(last: 1) { totalCount } }",
    ],
)
def test_a_list_is_not_asked_for_two_pages_for_each_item(refused: Any, selected: str) -> None:
    document = "{ properties(first: 2) { edges { node { " + selected + " } } } }"
    assert refused(document) == "Within a list, reviews can be asked for once only."
    document = (
        "{ properties(first: 2) { a: edges { node { reviews(first: 1) { totalCount } } } "
        "b: edges { node { reviews(first: 2) { totalCount } } } } }"
    )
    assert refused(document) == "Within a list, reviews can be asked for once only."


def test_two_lists_may_each_be_asked_for_a_page_of_their_own(ask: Ask) -> None:
    page = "properties(first: 2) { edges { node { reviews(first: %d) { totalCount } } } }"
    document = "{ a: " + page % 1 + " b: " + page % 2 + " }"
    assert ask(document)["data"] == {"a": {"edges": []}, "b": {"edges": []}}


@pytest.mark.parametrize("name", ["__schema { types", '__type(name: "Query") { fields'])
def test_the_schema_is_not_told(
    ask: Ask, django_assert_num_queries: DjangoAssertNumQueries, name: str
) -> None:
    with django_assert_num_queries(0):
        errors = ask("{ " + name + " { name } } }", status=400)["errors"]
    assert {error["message"].split(",")[0] for error in errors} == {
        "GraphQL introspection has been disabled"
    }


def test_no_field_is_suggested(refused: Any) -> None:
    assert refused("{ citie }") == "Cannot query field 'citie' on type 'Query'."
    assert refused("{ cities(firs: 1, first: 1) { edges { cursor } } }") == (
        "Unknown argument 'firs' on field 'Query.cities'."
    )


@pytest.mark.usefixtures("introspection")
def test_the_schema_is_told_if_the_settings_say_so(ask: Ask) -> None:
    assert ask("{ __schema { queryType { name } } }")["data"] == {
        "__schema": {"queryType": {"name": "Query"}}
    }


@pytest.mark.usefixtures("introspection")
def test_introspection_cannot_go_in_circles(refused: Any) -> None:
    circle = "fields { type { " * 5 + "name" + "} }" * 5
    assert (
        refused("{ __schema { types { " + circle + " } } }")
        == "Maximum introspection depth exceeded"
    )
