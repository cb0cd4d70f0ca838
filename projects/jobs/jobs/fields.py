"""Serializers and fields that take what the OpenAPI document promises, and nothing else.

DRF is generous: 1 passes for "1", and an unknown key is passed over in silence. So a client that
sends `role` when it registers would learn nothing. Here it is told.
"""

import json
from collections.abc import Mapping
from typing import IO, Any

from django.core.validators import RegexValidator
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ParseError
from rest_framework.parsers import BaseParser


class StrictJSONParser(BaseParser):
    """Reads JSON in UTF-8. It refuses what DRF's parser takes or falls over.

    That is NaN, a name that comes twice, half a surrogate pair, and a body nested too deep.
    """

    media_type = "application/json"

    def parse(self, stream: IO[Any], *_: Any, **__: Any) -> Any:
        """Return what the body says."""
        try:
            said = json.loads(stream.read().decode(), object_pairs_hook=_members)
            json.dumps(said, allow_nan=False, ensure_ascii=False).encode()  # can be said again
            return said
        except (ValueError, RecursionError):
            raise ParseError("This is not JSON that could be read.") from None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a name comes twice")
    return members


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses keys that it does not know."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the validated input."""
        if isinstance(data, Mapping):
            known = {name for name, field in self.fields.items() if not field.read_only}
            if unknown := sorted(str(key) for key in data.keys() - known):
                detail = ErrorDetail("This is not a field here.", "unknown")
                raise serializers.ValidationError({name[:100]: [detail] for name in unknown[:20]})
        return super().to_internal_value(data)


CONTROL = r"\x00-\x08\x0B\x0C\x0E-\x1F\x7F-\x9F"
BREAKS = r"\t\n\r\u2028\u2029"
HIDDEN = r"\u200B\u202A-\u202E\u2060-\u2069\uFEFF"
"""What cannot be seen, or turns the direction of the text that follows."""


class Text(serializers.CharField):
    """A string without control characters. The OpenAPI document says so with a pattern."""

    refused = CONTROL

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        blank = "" if self.allow_blank else rf"[^{self.refused}]*[^\s{self.refused}]"
        self.pattern = RegexValidator(
            rf"\A{blank}[^{self.refused}]*\Z", "Blank, or with characters that are not allowed."
        )
        self.validators.append(self.pattern)

    def to_internal_value(self, data: Any) -> str:
        """Return the string, without blanks at its ends."""
        if not isinstance(data, str):
            self.fail("invalid")
        self.pattern(data)  # before blanks are cut off: Python takes some controls for such
        text: str = super().to_internal_value(data)
        return text


class Line(Text):
    """A text of one line, such as a name or a title."""

    refused = CONTROL + BREAKS + HIDDEN


class Email(serializers.EmailField):
    """An e-mail address in small letters."""

    def to_internal_value(self, data: Any) -> str:
        """Return the address."""
        if not isinstance(data, str):
            self.fail("invalid")
        text: str = super().to_internal_value(data)
        return text.lower()


class Whole(serializers.IntegerField):
    """A JSON number without a fraction. Neither a string nor a truth value is made into one."""

    def to_internal_value(self, data: Any) -> int:
        """Return the number."""
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")
        number: int = super().to_internal_value(data)
        return number


class Truth(serializers.BooleanField):
    """True or false, and no word for it."""

    def to_internal_value(self, data: Any) -> bool:
        """Return it."""
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data
