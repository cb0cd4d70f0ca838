"""What a GraphQL document may ask for. All is counted before a resolver runs."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    value_from_ast_untyped,
)
from strawberry.extensions import SchemaExtension

from feed.selectors import LONGEST_PAGE

TOKENS = 1_000
DEPTH = 10
ALIASES = 15
SELECTIONS = 200
"""Fields and fragments, each as often as it is spread."""
COST = 5_000
"""The most values that the answer may hold."""


class Limits(SchemaExtension):
    """Refuses a document that asks for too much.

    It runs before GraphQL's own validation, some rules of which are slow for what is refused here.
    It stops at the first limit that is passed, so a chain of fragments that each spread the next
    one twice does not keep it busy.
    """

    def on_operation(self) -> Iterator[None]:
        """Bound the parser, and refuse introspection unless the settings allow it."""
        self.execution_context.parse_options["max_tokens"] = TOKENS
        if not settings.GRAPHQL_INTROSPECTION:
            self.execution_context.validation_rules += (NoSchemaIntrospectionCustomRule,)
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
        self, fragments: Mapping[str, FragmentDefinitionNode], variables: Mapping[str, Any]
    ) -> None:
        self.fragments = fragments
        self.variables = variables
        self.spreading: list[str] = []
        self.selections = self.aliases = self.cost = 0

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
            elif isinstance(selection, InlineFragmentNode):
                self.of(selection.selection_set, depth, times)
            elif isinstance(selection, FieldNode):
                self.field(selection, depth, times)

    def field(self, node: FieldNode, depth: int, times: int) -> None:
        """Count a field, and what is selected of it."""
        self.aliases += node.alias is not None
        if self.aliases > ALIASES:
            raise GraphQLError(f"More than {ALIASES} aliases.", [node])
        self.cost += times
        if self.cost > COST:
            raise GraphQLError(
                f"The answer could hold more than {COST} values. Ask for shorter pages.", [node]
            )
        # GraphQL has its own limit for the depth of introspection.
        if node.selection_set and not node.name.value.startswith("__"):
            self.of(node.selection_set, depth + 1, times * self.length(node))

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
        """Return how long a list is at most: its `first`, which every list of objects needs.

        Whatever is no number counts as the longest page, since GraphQL takes 50.0 for 50.
        """
        for argument in node.arguments or ():
            if argument.name.value == "first":
                value = (
                    self.variables.get(argument.value.name.value)
                    if isinstance(argument.value, VariableNode)
                    else value_from_ast_untyped(argument.value)
                )
                return value if type(value) is int and value > 0 else LONGEST_PAGE
        return 1
