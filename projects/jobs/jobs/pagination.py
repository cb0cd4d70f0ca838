"""Pages of lists, by keyset: a page begins after the last row of the page before.

The cursor holds the values of that row. So page 1,000 costs what page 1 costs, and a row that is
added in between neither repeats nor hides another.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.core import signing
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import F, QuerySet
from django.db.models.fields.tuple_lookups import Tuple, TupleGreaterThan, TupleLessThan
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.fields import Line, StrictSerializer

MOST = 100


class PageQuery(StrictSerializer):
    """The parameters of every list."""

    cursor = Line(required=False, max_length=400, help_text="Where to go on; from `next`")
    limit = serializers.IntegerField(default=20, min_value=1, max_value=MOST)


class Page(NamedTuple):
    """Some rows of a list, and the cursor of those that follow, if any do."""

    rows: list[Any]
    cursor: str | None


def paginate(
    queryset: QuerySet[Any], ordering: Sequence[str], cursor: str | None, limit: int
) -> Page:
    """Return one page of a list, with one query.

    Args:
        queryset: The list, in any order.
        ordering: Names of fields that are never null, all ascending, or all descending with a minus
            in front. The last one is unique.
        cursor: Where to go on.
        limit: How many rows at most.

    Raises:
        ValidationError: if the cursor was not made here, for this ordering.
    """
    names = [name.removeprefix("-") for name in ordering]
    # Signed, so that nobody makes one up, and for one list and one ordering only.
    salt = f"cursor {queryset.model.__name__} {','.join(ordering)}"
    if cursor is not None:
        try:
            values = signing.loads(cursor, salt=salt)
        except signing.BadSignature:
            detail = ErrorDetail("This cursor is not of this list.", "cursor")
            raise ValidationError({"cursor": [detail]}) from None
        fields: list[Any] = [queryset.model._meta.get_field(name) for name in names]
        lookup = TupleLessThan if ordering[0].startswith("-") else TupleGreaterThan
        row = [field.to_python(value) for field, value in zip(fields, values, strict=True)]
        queryset = queryset.filter(lookup(Tuple(*map(F, names)), row))
    rows = list(queryset.order_by(*ordering)[: limit + 1])  # one more tells whether more follow
    if len(rows) <= limit:
        return Page(rows, None)
    rows.pop()
    last = [getattr(rows[-1], name) for name in names]
    return Page(rows, signing.dumps(last, salt=salt, serializer=_Serializer))


class _Serializer(signing.JSONSerializer):
    """Signs dates with their microseconds, which Django's encoder would cut to thousandths."""

    def dumps(self, obj: Any) -> bytes:
        texts = [each.isoformat() if hasattr(each, "isoformat") else each for each in obj]
        return DjangoJSONEncoder(separators=(",", ":")).encode(texts).encode()


def listed(
    request: Request,
    queryset: QuerySet[Any],
    ordering: Sequence[str],
    serializer: type[serializers.BaseSerializer[Any]],
    query: dict[str, Any],
) -> Response:
    """Answer with one page.

    Args:
        request: The request.
        queryset: The list.
        ordering: As for `paginate`.
        serializer: What makes data of a row.
        query: The validated parameters.
    """
    page = paginate(queryset, ordering, query.get("cursor"), query["limit"])
    following = None
    if page.cursor:
        parameters = request.query_params.dict() | {"cursor": page.cursor}
        following = f"{request.path}?{urlencode(sorted(parameters.items()))}"
    return Response({"results": serializer(page.rows, many=True).data, "next": following})


@cache
def page_of(serializer: type[serializers.BaseSerializer[Any]]) -> type[serializers.Serializer[Any]]:
    """Return the serializer that describes a page of rows, for the OpenAPI document."""
    following = serializers.CharField(allow_null=True, help_text="The next page; null at the end")
    name = serializer.__name__.removesuffix("Serializer") + "PageSerializer"
    members = {"__doc__": "One page.", "results": serializer(many=True), "next": following}
    return type(name, (serializers.Serializer,), members)
