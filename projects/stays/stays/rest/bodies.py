"""Bodies of requests, and what several of them hold."""

from typing import Any

from stays.rest.fields import StrictSerializer

SLUG = r"^[-a-zA-Z0-9_]+$"
"""The form of a place's slug."""


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
    return dict(body.validated_data)
