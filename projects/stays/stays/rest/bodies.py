"""Bodies of requests, and what several of them hold."""

from typing import Any

from django.core.validators import RegexValidator

from stays.rest.fields import StrictSerializer, Text


class Slug(Text):
    """The slug of a place."""

    def __init__(self, **options: Any) -> None:
        pattern = RegexValidator(r"^[-a-zA-Z0-9_]+$", "Letters, digits, hyphens, underscores.")
        super().__init__(max_length=100, validators=[pattern], **options)


class NothingSerializer(StrictSerializer):
    """No fields at all."""


def body_of(
    serializer: type[StrictSerializer], data: Any, *, partial: bool = False
) -> dict[str, Any]:
    """Return what a body holds.

    Args:
        serializer: What it may hold.
        data: The body.
        partial: Whether fields may be left out that are required otherwise.

    Raises:
        ValidationError: if it has faults.
    """
    body = serializer(data=data, partial=partial)
    body.is_valid(raise_exception=True)
    validated: dict[str, Any] = body.validated_data
    return validated
