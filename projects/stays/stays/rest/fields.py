"""Serializers that take what the OpenAPI description promises, and nothing else.

DRF is generous: 1 passes for "1", "yes" for true, and an unknown key is passed over in silence. A
client then learns of its mistake when it is too late. Ours refuses each with the field's name.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from django.core.validators import RegexValidator
from django.db.models import Model
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

M = TypeVar("M", bound=Model)


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


class OutputSerializer(serializers.ModelSerializer[M]):
    """What is shown of a model: its fields are always there, and OpenAPI says so."""

    def get_extra_kwargs(self) -> dict[str, Any]:
        """Return the options of the model's fields: all of them are read only."""
        extra: dict[str, Any] = super().get_extra_kwargs()
        for name in self.Meta.fields:
            extra.setdefault(name, {})["read_only"] = True
        return extra


class Strict(serializers.Field[Any, Any, Any, Any]):
    """Takes values of its own JSON types, and makes none of any other."""

    types: ClassVar[tuple[type, ...]] = (str,)

    def to_internal_value(self, data: Any) -> Any:
        """Return what the field makes of it."""
        if type(data) not in self.types:  # `isinstance` would take True for an integer
            self.fail("invalid", input=data, format="YYYY-MM-DD")
        return super().to_internal_value(data)


CONTROL = r"\x00-\x08\x0B\x0C\x0E-\x1F\x7F-\x9F"
"""Control characters, but for tabs and ends of lines: nobody means them, and NUL cannot be kept."""


BREAKS = r"\t\n\r\u2028\u2029"
HIDDEN = (
    r"\u200B\u202A-\u202E\u2060-\u2069\uFEFF\uFFF9-\uFFFB"
    r"\u115F\u1160\u180E\u2800\u3164\uFFA0"
)
"""What cannot be seen, or turns the direction of what follows; and then letters that look like a
blank. Joiners and marks of direction are not among these: some scripts need them."""


class Text(Strict, serializers.CharField):
    """A string without control characters.

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

    def to_internal_value(self, data: Any) -> Any:
        """Return the string, without blanks at its ends if those are trimmed."""
        # Before they are trimmed: Python takes some of these characters for blanks.
        if isinstance(data, str) and re.search(f"[{self.refused}]", data):
            self.fail("control_characters")
        return super().to_internal_value(data)


class Line(Text):
    """A text of one line, such as a name: e-mails and lists show it among words of our own."""

    refused = CONTROL + BREAKS + HIDDEN
    default_error_messages: ClassVar[dict[str, Any]] = {
        "control_characters": "Control and hidden characters are not allowed, nor ends of lines."
    }

    def to_internal_value(self, data: Any) -> Any:
        """Return the line, in which something can be seen: a letter, number, sign or symbol."""
        text = super().to_internal_value(data)
        if not any(unicodedata.category(character)[0] in "LNPS" for character in text):
            self.fail("blank")
        return text


class Texts(serializers.ListField):
    """A list of texts. Its length is looked at first: DRF's own list looks at each entry before."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the texts."""
        if isinstance(data, list) and self.max_length is not None and len(data) > self.max_length:
            message = self.error_messages["max_length"].format(max_length=self.max_length)
            raise serializers.ValidationError(message, "max_length")
        return super().to_internal_value(data)


class Email(Strict, serializers.EmailField):
    """An e-mail address."""


class Pattern(Strict, serializers.RegexField):
    """A string in a form."""


class Integer(Strict, serializers.IntegerField):
    """A JSON number without a fraction."""

    types = (int, float)


class Boolean(Strict, serializers.BooleanField):
    """True or false."""

    types = (bool,)


class Number(Strict, serializers.FloatField):
    """A JSON number; infinities are refused, and NaN, which is not less than anything."""

    types = (int, float)

    def to_internal_value(self, data: Any) -> Any:
        """Return the number."""
        if isinstance(data, self.types) and not abs(data) <= 1e300:
            self.fail("invalid")
        return super().to_internal_value(data)


DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Day(Strict, serializers.DateField):
    """A date as `YYYY-MM-DD`, and in no other form that ISO 8601 also knows."""

    def to_internal_value(self, value: Any) -> Any:
        """Return the date."""
        if isinstance(value, str) and not DAY.fullmatch(value):
            self.fail("invalid", format="YYYY-MM-DD")
        return super().to_internal_value(value)
