"""The GraphQL schema to copy: served by uvicorn, queried over HTTP, and attacked."""

import json
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import nexus

FOLDER = Path(__file__).resolve().parent.parent.parent / "snippets" / "graphql-schema"
SCHEMA = runpy.run_path(str(FOLDER / "schema.py"), run_name="snippet_schema")
LIMITS = {name: SCHEMA[name] for name in ("PAGE", "TOKENS", "DEPTH", "SELECTIONS", "VALUES")}


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    with nexus.serve("serve", interface="asgi", cwd=FOLDER) as server:
        yield server.url


def post(web: str, query: str, status: int = 200, **variables: object) -> dict[str, Any]:
    response = httpx.post(f"{web}/graphql", json={"query": query, "variables": variables})
    assert response.status_code == status, response.text
    answer: dict[str, Any] = response.json()
    return answer


def refused(web: str, query: str, **variables: object) -> str:
    answer = post(web, query, **variables)
    assert answer.get("data") is None
    return str(answer["errors"][0]["message"])


def test_each_head_says_what_it_answers_and_what_to_watch_out_for() -> None:
    for name in ("schema.py", "serve.py"):
        head = (FOLDER / name).read_text().split('"""')[1]
        assert head.partition("\n")[0].endswith("?")
        assert "\nWatch out:\n* " in head


def test_the_page_of_snippets_lists_both() -> None:
    page = (FOLDER.parent / "README.md").read_text()
    assert "(graphql-schema/schema.py)" in page
    assert "(graphql-schema/serve.py)" in page


def test_a_page_and_the_next_one(web: str) -> None:
    query = "query ($after: String) { books(first: 2, after: $after) { items { title } next } }"
    first = post(web, query)["data"]["books"]
    assert [book["title"] for book in first["items"]] == ["Things Fall Apart", "So Long a Letter"]
    second = post(web, query, after=first["next"])["data"]["books"]
    assert second["items"][0] == {"title": "Arrow of God"}
    assert second["next"] is None


async def authors_asked_for(query: str) -> tuple[Any, list[list[int]]]:
    """The answer, and the keys of each batch."""
    asked: list[list[int]] = []
    functions = SCHEMA["new_context"].__globals__
    original = functions["fetch_authors"]

    async def counting(ids: list[int]) -> Any:  # noqa: ANN401
        asked.append(list(ids))
        return await original(ids)

    functions["fetch_authors"] = counting
    try:
        result = await SCHEMA["schema"].execute(query, context_value=SCHEMA["new_context"]())
    finally:
        functions["fetch_authors"] = original
    return result, asked


def test_authors_are_loaded_at_once() -> None:
    import asyncio

    query = "{ books(first: 3) { items { author { name } } } }"
    result, asked = asyncio.run(authors_asked_for(query))
    names = [book["author"]["name"] for book in result.data["books"]["items"]]
    assert names == ["Chinua Achebe", "Mariama Bâ", "Chinua Achebe"]
    assert asked == [[1, 2]]


ADD = """
mutation ($title: String!, $author: ID!) {
  addBook(title: $title, author: $author) {
    __typename ... on BookAdded { book { title author { name } } } ... on Refusal { code detail }
  }
}"""


def test_a_book_is_added_once(web: str) -> None:
    added = post(web, ADD, title="Anthills of the Savannah", author="1")["data"]["addBook"]
    assert added["book"]["author"] == {"name": "Chinua Achebe"}
    again = post(web, ADD, title=" ANTHILLS of the savannah ", author="1")["data"]["addBook"]
    assert (again["__typename"], again["code"]) == ("Refusal", "title_taken")


@pytest.mark.parametrize(
    ("title", "author", "code"),
    [(" ", "1", "title_length"), ("x" * 201, "1", "title_length"), ("New", "9", "no_such_author")],
)
def test_a_refusal_is_data(web: str, title: str, author: str, code: str) -> None:
    answer = post(web, ADD, title=title, author=author)
    assert "errors" not in answer
    assert answer["data"]["addBook"]["code"] == code


@pytest.mark.parametrize("first", [0, -1, LIMITS["PAGE"] + 1])
def test_a_page_has_a_length(web: str, first: int) -> None:
    expected = f"first is from 1 to {LIMITS['PAGE']}."
    assert refused(web, f"{{ books(first: {first}) {{ next }} }}") == expected


@pytest.mark.parametrize("after", ["", "x", "-1", "1.5", "9" * 19, "²"])
def test_a_cursor_that_is_none(web: str, after: str) -> None:
    query = "query ($after: String) { books(first: 1, after: $after) { next } }"
    assert refused(web, query, after=after) == "This is not a cursor of this list."


def fragments(number: int) -> str:
    spreads = "".join(
        f" fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(number)
    )
    return "{ ...F0 }" + spreads + f" fragment F{number} on Query {{ __typename }}"


def aliases(number: int, inner: str = "next", first: str = "1") -> str:
    fields = (f"a{n}: books(first: {first}) {{ {inner} }}" for n in range(number))
    return " ".join(fields)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("{ " + "__typename " * LIMITS["TOKENS"] + "}", "Syntax Error: Document contains more"),
        ("{ " + "a { " * LIMITS["DEPTH"] + "a" + " }" * (LIMITS["DEPTH"] + 1), "Nested deeper"),
        (fragments(30), f"More than {LIMITS['SELECTIONS']} fields and fragments."),
        ("{ " + "__typename " * (LIMITS["SELECTIONS"] + 1) + "}", "More than"),
        ("{ ...F } fragment F on Query { ...F }", "The fragment F spreads itself."),
        ("{ " + aliases(20, "items { title id }", "50") + " }", "The answer could hold more than"),
        (
            "query ($n: Int!) { " + aliases(20, "items { title id }", "$n") + " }",
            "The answer could hold more than",
        ),
        (
            "query ($n: Int! = 50) { " + aliases(20, "items { title id }", "$n") + " }",
            "The answer could hold more than",
        ),
        ("{ __schema { __typename } }", "GraphQL introspection has been disabled"),
    ],
)
def test_a_document_that_asks_for_too_much(web: str, query: str, message: str) -> None:
    variables = {"n": 50} if "$n: Int!)" in query else {}
    assert refused(web, query, **variables).startswith(message)


def test_a_number_with_a_fraction_of_nothing_counts_too(web: str) -> None:
    query = "query ($n: Int!) { " + aliases(20, "items { title id }", "$n") + " }"
    assert refused(web, query, n=50.0).startswith("The answer could hold more than")


def test_what_is_within_the_limits_is_answered(web: str) -> None:
    query = """{ books(first: 50) { items { ...B } } }
    fragment B on Book { title ... { author { name } } }"""
    assert post(web, query)["data"]["books"]["items"][0]["author"] == {"name": "Chinua Achebe"}
    assert post(web, fragments(3)) == {"data": {"__typename": "Query"}}


def test_there_is_no_page_and_no_query_by_get(web: str) -> None:
    page = httpx.get(f"{web}/graphql", headers={"Accept": "text/html"})
    assert page.status_code == 404
    query = httpx.get(f"{web}/graphql", params={"query": "{ __typename }"})
    assert query.status_code in (400, 404, 405)


def test_a_body_is_bounded(web: str) -> None:
    body = json.dumps({"query": "{ __typename }" + " " * 20_000})
    response = httpx.post(
        f"{web}/graphql", content=body, headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 400
