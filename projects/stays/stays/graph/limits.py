"""What a document may ask for. All is counted before anything is executed.

Strawberry's own limiters for depth and aliases follow every fragment spread anew: forty fragments
that each spread the next one twice take them 2^40 steps. Here one walk over the document counts
everything, and stops at the first limit that is passed.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_list_type,
    print_ast,
    value_from_ast_untyped,
)
from strawberry.extensions import SchemaExtension
from strawberry.relay import from_base64
from strawberry.types import ExecutionContext
from strawberry_django.relay import DjangoCursorEdge

TOKENS = 1_000
DEPTH = 12
ALIASES = 15
SELECTIONS = 500
"""Fields and spreads, with each fragment counted wherever it is spread."""
PAGE = 50
"""The longest page of a connection."""
LIST = 20
"""What a list without pages is counted as; the amenities of a place are the longest."""
CURSOR = 1_000
CURSOR_KIND = DjangoCursorEdge.CURSOR_PREFIX
VALUES = 10_000
"""The most values that the answer may hold."""


class Limits(SchemaExtension):
    """Refuses a document that asks for too much, and an operation that is not named clearly.

    It comes before the rules of GraphQL's own validation, some of which take long for what is
    refused here.
    """

    def on_operation(self) -> Iterator[None]:
        """Bound the parser."""
        self.execution_context.parse_options["max_tokens"] = TOKENS
        yield

    def on_validate(self) -> Iterator[None]:
        """Count, and put what is too much where GraphQL puts the errors of its validation."""
        try:
            _check(self.execution_context)
        except GraphQLError as error:
            self.execution_context.pre_execution_errors = [error]
        yield


def _check(context: ExecutionContext) -> None:
    """Raise a GraphQLError if the operation that is to be executed asks for too much."""
    document = cast(DocumentNode, context.graphql_document)
    schema = context.schema._schema
    operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    name = context._provided_operation_name
    if name is None and len(operations) > 1:
        raise GraphQLError("The document has several operations: operationName must name one.")
    operation = next(o for o in operations if name is None or (o.name and o.name.value == name))
    root = schema.get_root_type(operation.operation)
    if root is None:
        return  # validation says that there are no such operations
    fragments = {
        d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)
    }
    defaults = {
        v.variable.name.value: value_from_ast_untyped(v.default_value)
        for v in operation.variable_definitions or ()
        if v.default_value
    }
    variables = {**defaults, **(context.variables or {})}
    Walk(schema, fragments, variables).selections(operation.selection_set, Place(root, 1, 1, ()))


class Place(NamedTuple):
    """Where in an operation something is selected.

    Attributes:
        parent: The type that it is selected of; None if there is no such type.
        depth: How deep it is.
        times: How often the answer may hold it.
        path: The names that lead here; within lists without their aliases.
    """

    parent: GraphQLNamedType | None
    depth: int
    times: int
    path: tuple[str, ...]


@dataclass
class Walk:
    """One walk over an operation, which counts as it goes."""

    schema: GraphQLSchema
    fragments: Mapping[str, FragmentDefinitionNode]
    variables: Mapping[str, Any]
    spreading: list[str] = field(default_factory=list)
    pages: dict[tuple[str, ...], str] = field(default_factory=dict)
    visited: int = 0
    aliases: int = 0
    values: int = 0

    def selections(self, node: SelectionSetNode, at: "Place") -> None:
        """Count what is selected of a type."""
        for selection in node.selections:
            self.visited += 1
            if self.visited > SELECTIONS:
                raise GraphQLError(f"More than {SELECTIONS} fields and fragments.", [selection])
            if isinstance(selection, FieldNode):
                self.field(selection, at)
            elif isinstance(selection, InlineFragmentNode):
                condition = selection.type_condition
                inner = self.schema.get_type(condition.name.value) if condition else at.parent
                self.selections(selection.selection_set, at._replace(parent=inner))
            else:
                self.spread(cast(FragmentSpreadNode, selection), at)

    def spread(self, node: FragmentSpreadNode, at: "Place") -> None:
        """Count what a fragment selects, here."""
        name = node.name.value
        if name in self.spreading:
            raise GraphQLError(f"The fragment {name} spreads itself.", [node])
        fragment = self.fragments.get(name)
        if fragment is not None:
            inner = self.schema.get_type(fragment.type_condition.name.value)
            self.spreading.append(name)
            self.selections(fragment.selection_set, at._replace(parent=inner))
            self.spreading.pop()

    def field(self, node: FieldNode, at: "Place") -> None:
        """Count a field, and what is selected of it.

        A field that does not exist is followed too, until validation refuses it. Introspection is
        not: GraphQL has a rule of its own for how deep it may go.
        """
        self.aliases += node.alias is not None
        if self.aliases > ALIASES:
            raise GraphQLError(f"More than {ALIASES} aliases.", [node])
        if at.depth > DEPTH:
            raise GraphQLError(f"Nested deeper than {DEPTH} fields.", [node])
        self.values += at.times
        if self.values > VALUES:
            raise GraphQLError(
                f"The answer could hold more than {VALUES} values: ask for shorter pages.", [node]
            )
        name, times = node.name.value, at.times
        if node.selection_set is None or name.startswith("__"):
            return
        field = at.parent.fields.get(name) if isinstance(at.parent, GraphQLObjectType) else None
        path = (*at.path, node.alias.value if node.alias and times == 1 else name)
        if field is not None and {"first", "last"} <= field.args.keys():
            times *= self.page(node, times, path)
        elif field is not None and is_list_type(get_nullable_type(field.type)) and name != "edges":
            times *= LIST
        inner = get_named_type(field.type) if field is not None else None
        self.selections(node.selection_set, Place(inner, at.depth + 1, times, path))

    def page(self, node: FieldNode, times: int, path: tuple[str, ...]) -> int:
        """Return how long a page is asked for.

        Within a list, one place may ask for one page only: it is read for all items at once, and
        a second page with other arguments would be read for each item.
        """
        given = {a.name.value: self.value(a.value) for a in node.arguments or ()}
        asked = [given[name] for name in ("first", "last") if given.get(name) is not None]
        if len(asked) != 1 or type(asked[0]) is not int or not 1 <= asked[0] <= PAGE:
            raise GraphQLError(
                f"{node.name.value} needs either first or last, from 1 to {PAGE}.", [node]
            )
        for name in ("after", "before"):
            if given.get(name) and not _is_cursor(given[name]):
                raise GraphQLError(f"What {name} says is not a cursor.", [node])
        if times > 1:
            written = ", ".join(sorted(print_ast(a) for a in node.arguments or ()))
            if self.pages.setdefault(path, written) != written:
                raise GraphQLError(
                    f"Within a list, {node.name.value} can be asked for once only.", [node]
                )
        return asked[0]

    def value(self, node: ValueNode) -> Any:
        """Return what a value is, in the document or the variables."""
        if isinstance(node, VariableNode):
            return self.variables.get(node.name.value)
        return value_from_ast_untyped(node)


def _is_cursor(text: Any) -> bool:
    """Tell whether a text has the form of strawberry_django's cursors.

    It makes sure of little more itself: what is no base64, or nested too deep, breaks it.
    """
    try:
        kind, values = from_base64(text)
        return len(text) <= CURSOR and kind == CURSOR_KIND and isinstance(json.loads(values), list)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return False
