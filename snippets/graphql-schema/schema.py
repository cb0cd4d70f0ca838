"""How do a query, a mutation, a dataloader and limits look in one small GraphQL schema?

Strawberry 0.340 or newer, Python 3.11 or newer, and no web framework. `serve.py` beside this file
serves it over HTTP. To execute a document yourself:
`await schema.execute(document, context_value=new_context())`.

What it does:
* `books(first, after)` is a list with a length, and a cursor for the next page.
* A dataloader loads `book { author { … } }` for all books at once.
* `addBook` returns the new book, or a `Refusal` with a code. So expected failures are data.
* `Limits` counts what a document asks for. It refuses a large one before a resolver runs.

Watch out:
* Make a new context for each request. A dataloader that outlives its request shows old values, and
  shows one user's values to another user.
* The store is a dictionary in memory, so each process has its own. Replace it by your database, in
  `fetch_authors` and `fetch_books`.
* `Limits` reads the length of a list from its argument `first`. It counts a list without `first` as
  a single value, so give `first` to every list.
* There is no log-in. Put the user into the context, and check in each field who may see it.
* The end of this file decides whether clients may ask for the schema.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import strawberry
from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    value_from_ast_untyped,
)
from strawberry.dataloader import DataLoader
from strawberry.extensions import DisableIntrospection, SchemaExtension

PAGE = 50
"""The longest page."""
TOKENS = 500
DEPTH = 8
SELECTIONS = 200
"""Fields and fragments, each as often as it is spread."""
VALUES = 2_000
"""The most values that an answer may hold."""


# -- The store. Replace it.


@dataclass
class AuthorRow:
    """A row of the table of authors."""

    id: int
    name: str


@dataclass
class BookRow:
    """A row of the table of books."""

    id: int
    title: str
    author_id: int


AUTHORS = {1: AuthorRow(1, "Chinua Achebe"), 2: AuthorRow(2, "Mariama Bâ")}
BOOKS = {
    1: BookRow(1, "Things Fall Apart", 1),
    2: BookRow(2, "So Long a Letter", 2),
    3: BookRow(3, "Arrow of God", 1),
}


async def fetch_authors(ids: Sequence[int]) -> dict[int, AuthorRow]:
    """Return the authors that there are, with one statement."""
    return {id: AUTHORS[id] for id in ids if id in AUTHORS}


async def fetch_books(*, after: int, limit: int) -> list[BookRow]:
    """Return the books whose ids come after one: WHERE id > … ORDER BY id LIMIT …."""
    return [BOOKS[id] for id in sorted(BOOKS) if id > after][:limit]


# -- The context, new for each request.


class Context(dict[str, Any]):
    """The context that every resolver gets."""


def new_context() -> Context:
    """Return the context of one request."""

    async def load(ids: list[int]) -> list[AuthorRow | None]:
        found = await fetch_authors(ids)
        return [found.get(id) for id in ids]  # one for each key, in the order of the keys

    return Context(authors=DataLoader(load))


# -- The types.


@strawberry.type
class Author:
    """The author of a book."""

    name: str


@strawberry.type
class Book:
    """A book."""

    id: strawberry.ID
    title: str
    author_id: strawberry.Private[int]

    @strawberry.field
    async def author(self, info: strawberry.Info[Context, None]) -> Author | None:
        """Return the author. The dataloader loads the authors of all books at once."""
        row = await info.context["authors"].load(self.author_id)
        return Author(name=row.name) if row else None

    @classmethod
    def of(cls, row: BookRow) -> "Book":
        """Make a book from a row."""
        return cls(id=strawberry.ID(str(row.id)), title=row.title, author_id=row.author_id)


@strawberry.type
class Books:
    """A page of books."""

    items: list[Book]
    next: str | None = strawberry.field(description="Pass it as `after`; null at the end.")


@strawberry.type
class BookAdded:
    """A book was added."""

    book: Book


@strawberry.type
class Refusal:
    """The reason why nothing was changed. `code` is for programs, `detail` for people."""

    code: str
    detail: str


AddBookResult = Annotated[BookAdded | Refusal, strawberry.union("AddBookResult")]


@strawberry.type
class Query:
    """The queries."""

    @strawberry.field
    async def books(self, first: int, after: str | None = None) -> Books:
        """Return some books, by id."""
        if not 1 <= first <= PAGE:
            raise GraphQLError(f"first is from 1 to {PAGE}.")
        if after is not None and not (after.isascii() and after.isdigit() and len(after) < 19):
            raise GraphQLError("This is not a cursor of this list.")
        rows = await fetch_books(after=int(after or 0), limit=first + 1)
        more = len(rows) > first
        return Books(
            items=[Book.of(row) for row in rows[:first]],
            next=str(rows[first - 1].id) if more else None,
        )


@strawberry.type
class Mutation:
    """The mutations."""

    @strawberry.mutation
    async def add_book(self, title: str, author: strawberry.ID) -> AddBookResult:
        """Add a book, or return the reason for a refusal."""
        title = title.strip()
        known = {str(id): id for id in AUTHORS}
        if not 1 <= len(title) <= 200:
            return Refusal(code="title_length", detail="A title has 1 to 200 characters.")
        if str(author) not in known:
            return Refusal(code="no_such_author", detail="There is no such author.")
        if any(row.title.casefold() == title.casefold() for row in BOOKS.values()):
            return Refusal(code="title_taken", detail="There is a book of this title.")
        row = BookRow(max(BOOKS, default=0) + 1, title, known[str(author)])
        BOOKS[row.id] = row
        return BookAdded(book=Book.of(row))


# -- The limits.


class Limits(SchemaExtension):
    """Refuses a document that asks for too much.

    It runs before GraphQL's own validation, because some validation rules are slow for a document
    that this class refuses. It stops at the first limit that is passed. If forty fragments each
    spread the next one twice, following them all would take 2^40 steps.
    """

    def on_operation(self) -> Iterator[None]:
        """Bound the parser."""
        self.execution_context.parse_options["max_tokens"] = TOKENS
        yield

    def on_validate(self) -> Iterator[None]:
        """Count the fields and values of every operation of the document."""
        context = self.execution_context
        definitions = context.graphql_document.definitions if context.graphql_document else ()
        fragments = {d.name.value: d for d in definitions if isinstance(d, FragmentDefinitionNode)}
        try:
            for definition in definitions:
                if isinstance(definition, OperationDefinitionNode):
                    defaults = {
                        v.variable.name.value: value_from_ast_untyped(v.default_value)
                        for v in definition.variable_definitions or ()
                        if v.default_value
                    }
                    given = {**defaults, **(context.variables or {})}
                    _Count(fragments, given).of(definition.selection_set, 1, 1)
        except GraphQLError as error:
            context.pre_execution_errors = [error]
        yield


class _Count:
    """Counts the fields and values of one operation, on one walk."""

    def __init__(
        self, fragments: dict[str, FragmentDefinitionNode], variables: dict[str, Any]
    ) -> None:
        self.fragments = fragments
        self.variables = variables
        self.spreading: list[str] = []
        self.selections = self.values = 0

    def of(self, node: SelectionSetNode, depth: int, times: int) -> None:
        """Count selections. The answer may hold each of them `times` times."""
        if depth > DEPTH:
            raise GraphQLError(f"Nested deeper than {DEPTH} fields.", [node])
        for selection in node.selections:
            self.selections += 1
            if self.selections > SELECTIONS:
                raise GraphQLError(f"More than {SELECTIONS} fields and fragments.", [selection])
            if isinstance(selection, FragmentSpreadNode):
                self.spread(selection, depth, times)
            elif isinstance(selection, FieldNode):
                self.values += times
                if self.values > VALUES:
                    raise GraphQLError(
                        f"The answer could hold more than {VALUES} values.", [selection]
                    )
                # GraphQL has its own limit for the depth of introspection.
                if selection.selection_set and not selection.name.value.startswith("__"):
                    self.of(selection.selection_set, depth + 1, times * self.length(selection))
            elif isinstance(selection, InlineFragmentNode):
                self.of(selection.selection_set, depth, times)

    def spread(self, node: FragmentSpreadNode, depth: int, times: int) -> None:
        """Count the selections of a fragment, at the place where it is spread."""
        name = node.name.value
        if name in self.spreading:
            raise GraphQLError(f"The fragment {name} spreads itself.", [node])
        if name in self.fragments:  # otherwise validation refuses the document
            self.spreading.append(name)
            self.of(self.fragments[name].selection_set, depth, times)
            self.spreading.pop()

    def length(self, node: FieldNode) -> int:
        """Return the greatest length of a list, from its `first`. A field without `first` counts 1.

        Every other value counts as the longest page, because GraphQL takes 50.0 for 50.
        """
        for argument in node.arguments or ():
            if argument.name.value == "first":
                value = (
                    self.variables.get(argument.value.name.value)
                    if isinstance(argument.value, VariableNode)
                    else value_from_ast_untyped(argument.value)
                )
                return value if type(value) is int and value > 0 else PAGE
        return 1


schema = strawberry.Schema(
    Query,
    Mutation,
    extensions=[Limits, DisableIntrospection],  # leave the second out if others build against it
)
