"""Reading requests strictly: what the OpenAPI description promises, and nothing else.

DRF is generous. It takes 1 for "1", "yes" for true, and ignores an unknown key. A client then
learns of its mistake too late. These classes refuse each with the field's name.
"""

import json
import re
from collections.abc import Mapping
from typing import IO, Any

from django.db import models
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ParseError
from rest_framework.parsers import BaseParser

CONTROL = re.compile(r"[\x00-\x08\x0B\x0C\x0E-\x1F\x7F-\x9F]")
"""Control characters, except tabs and ends of lines. PostgreSQL cannot store NUL."""


class StrictJSONParser(BaseParser):
    """Reads JSON. It answers 400 where DRF's own parser lets a fault of the client become a 500.

    Such faults are a body nested too deep, and half a surrogate pair, which no answer can quote.
    """

    media_type = "application/json"

    def parse(self, stream: IO[Any], *_: Any, **__: Any) -> Any:
        """Return what the body says.

        Raises:
            ParseError: If it is not JSON in UTF-8, or has a name twice in one object.
        """
        try:
            said = json.loads(stream.read().decode(), object_pairs_hook=_members)
            json.dumps(said, allow_nan=False, ensure_ascii=False).encode()  # can be said again
        except (ValueError, RecursionError):
            raise ParseError("This is not JSON that could be read.") from None
        return said


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a name comes twice")
    return members


def refuse_unknown(names: set[str], known: set[str]) -> None:
    """Refuse names that nobody reads.

    Raises:
        ValidationError: If there are any.
    """
    if unknown := sorted(names - known):
        detail = ErrorDetail("There is no such field here.", "unknown")
        raise serializers.ValidationError({name[:100]: [detail] for name in unknown[:20]})


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses keys that it does not know."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the validated input."""
        if isinstance(data, Mapping):
            known = {name for name, field in self.fields.items() if not field.read_only}
            refuse_unknown({str(key) for key in data}, known)
        return super().to_internal_value(data)


class Text(serializers.CharField):
    """A string without control characters. Numbers and truth values are not made into one."""

    def to_internal_value(self, data: Any) -> str:
        """Return the string."""
        if not isinstance(data, str) or CONTROL.search(data):
            self.fail("invalid")
        text: str = super().to_internal_value(data)
        return text


class Integer(serializers.IntegerField):
    """A JSON number without a fraction. Strings are not made into one."""

    def to_internal_value(self, data: Any) -> int:
        """Return the number."""
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")
        number: int = super().to_internal_value(data)
        return number


class StrictModelSerializer(StrictSerializer, serializers.ModelSerializer[Any]):
    """Makes its fields from a model, of the strict kinds above."""

    serializer_field_mapping = serializers.ModelSerializer.serializer_field_mapping | {
        models.CharField: Text
    }


def given(serializer: type[serializers.Serializer[Any]], data: Any) -> dict[str, Any]:
    """Return validated input."""
    checked = serializer(data=data)
    checked.is_valid(raise_exception=True)
    return dict(checked.validated_data)
