"""Scalars that GraphQL does not have."""

from typing import Any, NewType

import strawberry
from graphql import GraphQLError
from strawberry.types.scalar import ScalarDefinition

MinorUnits = NewType("MinorUnits", int)
"""An amount of money. GraphQL's Int has 32 bits, which the price of a long stay can pass."""

SAFE = 2**53 - 1


def _amount(value: Any) -> int:
    """Return an amount, or refuse what is none."""
    if type(value) is not int or abs(value) > SAFE:
        raise GraphQLError("An amount is an integer of the currency's smallest unit.")
    return value


SCALARS: dict[object, ScalarDefinition] = {
    MinorUnits: strawberry.scalar(
        name="MinorUnits",
        description="Money in the currency's smallest unit: cents, yen. Up to 2^53 - 1.",
        serialize=_amount,
        parse_value=_amount,
    )
}
