"""Fields and mutations whose docstring is what the schema says of them."""

from collections.abc import Callable
from inspect import getdoc
from typing import Any

import strawberry
import strawberry_django
from strawberry_django.relay import DjangoCursorConnection

from stays.graph.errors import RefusalsAsData


def field(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Decorate the resolver of a field; the options are those of `strawberry_django.field`."""
    return lambda resolver: strawberry_django.field(
        resolver, description=getdoc(resolver), **options
    )


def connection(kind: Any) -> Callable[[Callable[..., Any]], Any]:
    """Decorate what returns a list that is read page by page."""
    return lambda resolver: strawberry_django.connection(
        DjangoCursorConnection[kind], resolver=resolver, description=getdoc(resolver)
    )


def mutation(resolver: Callable[..., Any]) -> Any:
    """Decorate what changes something. Its refusals are data."""
    return strawberry.mutation(
        resolver, description=getdoc(resolver), extensions=[RefusalsAsData()]
    )
