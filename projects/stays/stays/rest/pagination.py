"""Pages of lists, by keyset: a page begins after the last row of the one before.

The cursor holds the last row's values of the ordering. So a page costs the same wherever it is, and
no row is shown twice or passed over because others came or went. A cursor is signed, and is good
for one model and one ordering only.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Generic, NamedTuple, TypeVar

from django.core.signing import BadSignature, Signer
from django.db.models import F, Field, Func, Model, QuerySet, Value
from django.db.models.lookups import GreaterThan, LessThan
from django.utils.http import urlencode
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from stays.rest.fields import StrictSerializer, Text
from stays.rest.queries import WholeNumber, read_query

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
M = TypeVar("M", bound=Model)
View = TypeVar("View", bound=Callable[..., Any])


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
        ordering: Names of fields or annotations that are never null, all with a minus in front, or
            none. The last one is unique. An index on them is read no further than the page goes.
        cursor: Where to go on.
        limit: How many rows at most.

    Raises:
        ValidationError: if the cursor was not made here, for this ordering.
    """
    fields = [_field(queryset, name.removeprefix("-")) for name in ordering]
    if not fields[-1].unique:
        raise ValueError(f"{ordering[-1]} does not tell two rows apart")
    if len({name.startswith("-") for name in ordering}) > 1:
        raise ValueError("the order goes up and down")
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
) -> GreaterThan | LessThan:
    """Return the condition for rows that come after some values.

    It is one comparison of rows, whose beginning PostgreSQL finds in an index.
    """
    comparison = LessThan if ordering[0].startswith("-") else GreaterThan
    names = [F(name.removeprefix("-")) for name in ordering]
    literals = [Value(value, field) for value, field in zip(values, fields, strict=True)]
    return comparison(_Row(*names), _Row(*literals))


def listed(
    request: Request,
    queryset: QuerySet[Any],
    query: dict[str, Any],
    *,
    ordering: Sequence[str],
    serializer: type[serializers.BaseSerializer[Any]],
) -> dict[str, Any]:
    """Return a page as data.

    Args:
        request: The request.
        queryset: The list.
        query: What `read_query` made of the request's query: a PageQuery, or more.
        ordering: As for `paginate`.
        serializer: What makes data of a row.

    Raises:
        ValidationError: if the cursor is of another list.
    """
    page = paginate(queryset, ordering=ordering, cursor=query.get("cursor"), limit=query["limit"])
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
    """Answer a request for a list that takes no parameters but those of pages."""
    query = read_query(request, PageQuery)
    return Response(listed(request, queryset, query, ordering=ordering, serializer=serializer))


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


def list_schema(
    serializer: type[serializers.BaseSerializer[Any]], operation_id: str
) -> Callable[[View], View]:
    """Describe a list that takes no parameters but those of pages, as `extend_schema` does."""
    return extend_schema(
        operation_id=operation_id,
        parameters=[PageQuery],
        responses=page_of(serializer),  # type: ignore[arg-type]
    )
