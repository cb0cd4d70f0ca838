"""Pages of lists, by keyset: a page begins after the last row of the one before.

The cursor holds the last row's values of the ordering. So a page costs the same wherever it is, and
no row is shown twice or passed over because others came or went. A cursor is signed, and is good
for one model and one ordering only.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, Generic, NamedTuple, TypeVar

from django.core.signing import BadSignature, Signer
from django.db.models import F, Field, Func, Model, Q, QuerySet, Value
from django.db.models.lookups import GreaterThan, LessThan
from django.utils.http import urlencode
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from stays.rest.fields import StrictSerializer, Text
from stays.rest.queries import WholeNumber, read_query

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
M = TypeVar("M", bound=Model)


class PageQuery(StrictSerializer):
    """The parameters of every list."""

    cursor = Text(required=False, max_length=1000, help_text="Where to go on; from `next`")
    limit = WholeNumber(
        default=DEFAULT_LIMIT, min_value=1, max_value=MAX_LIMIT, help_text="Rows on a page"
    )


class Page(NamedTuple, Generic[M]):
    """Some rows of a list, and the cursor of those that follow, if any do."""

    rows: list[M]
    cursor: str | None


def paginate(
    queryset: QuerySet[M],
    *,
    ordering: Sequence[str],
    cursor: str | None = None,
    limit: int = DEFAULT_LIMIT,
) -> Page[M]:
    """Return one page of a list, with one query.

    Args:
        queryset: The list, in any order.
        ordering: Names of fields or annotations that are never null, each with a minus in front if
            it descends. The last one is unique. An index on them, all in one direction, is read no
            further than the page goes.
        cursor: Where to go on.
        limit: How many rows at most.

    Raises:
        ValidationError: if the cursor was not made here, for this ordering.
    """
    fields = [_field(queryset, name.removeprefix("-")) for name in ordering]
    if not fields[-1].unique:
        raise ValueError(f"{ordering[-1]} does not tell two rows apart")
    signer = Signer(sep=".", salt=f"cursor {queryset.model._meta.label} {','.join(ordering)}")
    if cursor is not None:
        try:
            texts = signer.unsign_object(cursor)
        except BadSignature:
            detail = ErrorDetail("This cursor is not of this list.", "cursor")
            raise ValidationError({"cursor": [detail]}) from None
        values = [field.to_python(text) for field, text in zip(fields, texts, strict=True)]
        queryset = queryset.filter(_after(ordering, fields, values))
    rows = list(queryset.order_by(*ordering)[: limit + 1])  # one more tells whether there are more
    if len(rows) <= limit:
        return Page(rows, None)
    rows.pop()
    last = [str(getattr(rows[-1], name.removeprefix("-"))) for name in ordering]
    return Page(rows, signer.sign_object(last))


def _field(queryset: QuerySet[Any], name: str) -> "Field[Any, Any]":
    """Return the field that knows how to read values of a name."""
    source: Any = queryset.query.annotations.get(name) or queryset.model._meta.get_field(name)
    # annotations and generated fields know the field that their values are of
    field: Field[Any, Any] = getattr(source, "output_field", source)
    return field


class _Row(Func):
    """A row of SQL: `(a, b)`. Rows compare from left to right."""

    template = "(%(expressions)s)"
    output_field = Field()


def _after(
    ordering: Sequence[str], fields: "Sequence[Field[Any, Any]]", values: Sequence[Any]
) -> Q | GreaterThan | LessThan:
    """Return the condition for rows that come after some values.

    If all names ascend, or all descend, one comparison of rows does, which PostgreSQL finds the
    beginning of in an index. Else the first name's bound stands alone for the index, and the rest
    is spelt out.
    """
    names = [name.removeprefix("-") for name in ordering]
    descending = [name.startswith("-") for name in ordering]
    if len(set(descending)) == 1:
        comparison = LessThan if descending[0] else GreaterThan
        literals = [Value(value, field) for value, field in zip(values, fields, strict=True)]
        return comparison(_Row(*map(F, names)), _Row(*literals))
    bounds = ["lt" if down else "gt" for down in descending]
    condition = Q(**{f"{names[0]}__{bounds[0]}e": values[0]})
    later = Q()
    equal: dict[str, Any] = {}
    for name, bound, value in zip(names, bounds, values, strict=True):
        later |= Q(**equal, **{f"{name}__{bound}": value})
        equal[name] = value
    return condition & later


def listed(
    request: Request,
    queryset: QuerySet[Any],
    *,
    ordering: Sequence[str],
    serializer: type[serializers.BaseSerializer[Any]],
    cursor: str | None = None,
    limit: int = DEFAULT_LIMIT,
) -> dict[str, Any]:
    """Return a page as data.

    Args:
        request: The request; its query is not validated here.
        queryset: The list.
        ordering: As for `paginate`.
        serializer: What makes data of a row.
        cursor: As for `paginate`.
        limit: As for `paginate`.

    Raises:
        ValidationError: if the cursor is of another list.
    """
    page = paginate(queryset, ordering=ordering, cursor=cursor, limit=limit)
    address = None
    if page.cursor:
        parameters = request.query_params.dict() | {"cursor": page.cursor}
        address = f"{request.path}?{urlencode(sorted(parameters.items()))}"
    data = serializer(page.rows, many=True, context={"request": request}).data
    return {"results": data, "next": address}


def respond(
    request: Request,
    queryset: QuerySet[Any],
    *,
    ordering: Sequence[str],
    serializer: type[serializers.BaseSerializer[Any]],
) -> Response:
    """Answer a request for a list that takes no parameters but those of pages.

    Args:
        request: The request; its query is validated here.
        queryset: The list.
        ordering: As for `paginate`.
        serializer: What makes data of a row.

    Raises:
        ValidationError: if the query has faults, or the cursor is of another list.
    """
    query = read_query(request, PageQuery)
    return Response(listed(request, queryset, ordering=ordering, serializer=serializer, **query))


@extend_schema_field({"type": "string", "format": "uri-reference"})
class _Address(serializers.CharField):
    """An address, relative to the host."""


@cache
def page_of(serializer: type[serializers.BaseSerializer[Any]]) -> type[serializers.Serializer[Any]]:
    """Return the serializer that describes a page, for `extend_schema`.

    Args:
        serializer: That of a row.
    """
    name = serializer.__name__.removesuffix("Serializer")
    members = {
        "__doc__": "One page of a list.",
        "results": serializer(many=True),
        "next": _Address(allow_null=True, help_text="Where the next page is; null at the end"),
    }
    return type(f"{name}PageSerializer", (serializers.Serializer,), members)
