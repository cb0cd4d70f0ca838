"""Bodies of requests: they take what the OpenAPI description promises, and nothing else.

DRF is generous: 1 passes for "1", "yes" for true, and an unknown key is passed over in silence. A
client then learns of its mistake when it is too late.
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import IO, Any

from django.core.validators import RegexValidator
from django.utils.dateparse import parse_datetime
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ParseError
from rest_framework.parsers import BaseParser

REFUSED = r"\x00-\x1F\x7F-\x9F\u2028\u2029\u200B\u202A-\u202E\u2060-\u2069\uFEFF"
"""Control characters, ends of lines, and what cannot be seen or turns the direction of a text."""
LINE = rf"\A[^{REFUSED}]*[^\s{REFUSED}][^{REFUSED}]*\Z"
one_line = RegexValidator(LINE, "One line of text, without hidden characters.", "line")


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses keys that it does not know."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the validated input; see DRF's Serializer."""
        if isinstance(data, Mapping) and (unknown := sorted(data.keys() - self.fields.keys())):
            detail = ErrorDetail("This is not a field here.", "unknown")
            raise serializers.ValidationError({name[:100]: [detail] for name in unknown[:20]})
        return super().to_internal_value(data)


class Line(serializers.CharField):
    """A string of one line; numbers and truth values are not made into one."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.validators.append(one_line)

    def to_internal_value(self, data: Any) -> str:
        """Return the string, without blanks at its ends."""
        if not isinstance(data, str):
            self.fail("invalid")
        one_line(data)  # before blanks are trimmed: Python takes some that are refused for such
        text: str = super().to_internal_value(data)
        return text


class Integer(serializers.IntegerField):
    """A JSON number without a fraction; strings are not made into one."""

    def to_internal_value(self, data: Any) -> int:
        """Return the number."""
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")
        number: int = super().to_internal_value(data)
        return number


class Boolean(serializers.BooleanField):
    """True or false, not a word for it."""

    def to_internal_value(self, data: Any) -> bool:
        """Return it."""
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


class Moment(serializers.DateTimeField):
    """A moment as RFC 3339 writes it, with its offset from UTC."""

    def to_internal_value(self, value: Any) -> datetime:
        """Return the moment."""
        try:
            if not (isinstance(value, str) and MOMENT.fullmatch(value)):
                raise ValueError(value)
            moment = parse_datetime(value.upper())
            if moment is None:
                raise ValueError(value)
            return super().to_internal_value(moment)
        except (ValueError, OverflowError):
            self.fail("invalid", format="YYYY-MM-DDThh:mm:ssZ")


class Options(serializers.ListField):
    """A list of texts. Its length is looked at first: DRF's own list looks at each entry before."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the texts, which differ."""
        if isinstance(data, list) and self.max_length is not None and len(data) > self.max_length:
            message = self.error_messages["max_length"].format(max_length=self.max_length)
            raise serializers.ValidationError(message, "max_length")
        return super().to_internal_value(data)


class StrictJSONParser(BaseParser):
    """Reads JSON. What DRF's own parser takes for a fault of ours is the client's here.

    That is a body nested so deep that Python gives up, and one with half a surrogate pair.
    """

    media_type = "application/json"

    def parse(self, stream: IO[Any], *_: Any, **__: Any) -> Any:
        """Return what the body says.

        Raises:
            ParseError: if it is not JSON in UTF-8.
        """
        try:
            read = json.loads(stream.read().decode(), object_pairs_hook=_all)
            json.dumps(read, allow_nan=False, ensure_ascii=False).encode()  # can be said again
            return read
        except (ValueError, RecursionError):
            raise ParseError("This is not JSON that could be read.") from None


def _all(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object, whose names differ: programs disagree on which of two values counts."""
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a name comes twice")
    return members
