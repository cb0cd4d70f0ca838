"""Serializers that take what the OpenAPI description promises, and nothing else.

DRF is generous: 1 passes for "1", "yes" for true, and an unknown key is passed over in silence. A
client then learns of its mistake when it is too late. Ours refuses each with the field's name.
"""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from django.core.validators import RegexValidator
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses keys that it does not know."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the validated input; see DRF's Serializer."""
        if isinstance(data, Mapping):
            known = {name for name, field in self.fields.items() if not field.read_only}
            if unknown := sorted(str(key) for key in data.keys() - known):
                detail = ErrorDetail("This is not a field here.", "unknown")
                raise serializers.ValidationError({name[:100]: [detail] for name in unknown[:20]})
        return super().to_internal_value(data)


CONTROL = r"\x00-\x08\x0B\x0C\x0E-\x1F\x7F-\x9F"
"""Control characters, but for tabs and ends of lines: nobody means them, and NUL cannot be kept."""


BREAKS = r"\t\n\r\u2028\u2029"
HIDDEN = r"\u200B\u202A-\u202E\u2060-\u2069\uFEFF"
"""What cannot be seen, or turns the direction of what follows. Joiners and marks of direction are
not among these: some scripts need them."""


class Text(serializers.CharField):
    """A string without control characters; numbers and truth values are not made into one.

    The description says the same by its pattern, also that a text must not be blank.
    """

    refused: ClassVar[str] = CONTROL
    default_error_messages: ClassVar[dict[str, Any]] = {
        "control_characters": "Control characters are not allowed."
    }

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if not any(isinstance(each, RegexValidator) for each in self.validators):
            blank = "" if self.allow_blank else rf"[^{self.refused}]*[^\s{self.refused}]"
            self.validators.append(RegexValidator(rf"\A{blank}[^{self.refused}]*\Z"))

    def to_internal_value(self, data: Any) -> str:
        """Return the string, without blanks at its ends if those are trimmed."""
        if not isinstance(data, str):
            self.fail("invalid")
        if re.search(
            rf"[{self.refused}]", data
        ):  # before blanks are trimmed: Python takes some for such
            self.fail("control_characters")
        text: str = super().to_internal_value(data)
        return text


class Line(Text):
    """A text of one line, such as a name: e-mails and lists show it among words of our own."""

    refused = CONTROL + BREAKS + HIDDEN
    default_error_messages: ClassVar[dict[str, Any]] = {
        "control_characters": "Control and hidden characters are not allowed, nor ends of lines."
    }


class Texts(serializers.ListField):
    """A list of texts. Its length is looked at first: DRF's own list looks at each entry before."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the texts."""
        if isinstance(data, list) and self.max_length is not None and len(data) > self.max_length:
            message = self.error_messages["max_length"].format(max_length=self.max_length)
            raise serializers.ValidationError(message, "max_length")
        return super().to_internal_value(data)


class Email(serializers.EmailField):
    """An e-mail address in a string."""

    def to_internal_value(self, data: Any) -> str:
        """Return the string."""
        if not isinstance(data, str):
            self.fail("invalid")
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


class Number(serializers.FloatField):
    """A JSON number; strings, NaN and infinities are refused."""

    def to_internal_value(self, data: Any) -> float:
        """Return the number."""
        if isinstance(data, bool) or not isinstance(data, int | float) or abs(data) > 1e300:
            self.fail("invalid")
        number: float = super().to_internal_value(data)
        if number != number:  # NaN
            self.fail("invalid")
        return number


DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Day(serializers.DateField):
    """A date as `YYYY-MM-DD`, and in no other form that ISO 8601 also knows."""

    def to_internal_value(self, value: Any) -> Any:
        """Return the date."""
        if not (isinstance(value, str) and DAY.fullmatch(value)):
            self.fail("invalid", format="YYYY-MM-DD")
        return super().to_internal_value(value)
