"""Refusals and errors, as GraphQL says them.

A mutation's refusal is data: the type `Refusal`, in a union with what the mutation returns. That of
a query is an entry of `errors`, with the refusal's code in its `extensions`. An error that nobody
foresaw is logged, and the client reads no more than where to find it in the log.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Self

import strawberry
import structlog
from django.conf import settings
from django.db import DataError
from graphql import GraphQLError
from rest_framework.exceptions import ErrorDetail, ValidationError
from strawberry.extensions import FieldExtension
from strawberry.relay import GlobalIDValueError
from strawberry.utils.str_converters import to_camel_case

from stays.common import errors as refusals
from stays.rest.problems import MOST_ERRORS

logger = structlog.get_logger(__name__)
OUT_OF_RANGE = "A value is of the right type, and is none that could be stored."
"""PostgreSQL's texts have no NUL, and its numbers and days have limits."""


@strawberry.type(description="One field of the input that is at fault.")
class FieldProblem:
    """One field that is at fault."""

    field: str
    code: str
    detail: str


@strawberry.type(description="Why nothing was done. `code` is for programs, `detail` for people.")
class Refusal:
    """A refusal as data; the same codes and sentences as those of the REST API."""

    code: str
    detail: str
    field: str | None
    errors: list[FieldProblem]

    @classmethod
    def of(cls, error: refusals.Refusal) -> Self:
        """Make it of what a service raised."""
        field = to_camel_case(error.field) if error.field else None
        listed = [FieldProblem(field=field, code=error.code, detail=error.detail)] if field else []
        return cls(code=error.code, detail=error.detail, field=field, errors=listed)

    @classmethod
    def of_input(cls, error: ValidationError) -> Self:
        """Make it of what a serializer found."""
        listed = _problems(error.detail, "")[:MOST_ERRORS]
        fields = {problem.field for problem in listed}
        return cls(
            code="invalid",
            detail="The input has faults; see errors.",
            field=fields.pop() if len(fields) == 1 else None,
            errors=listed,
        )


def _problems(detail: Any, path: str) -> list[FieldProblem]:
    """Return what is in the nested lists and dictionaries of a serializer's errors."""
    if isinstance(detail, dict):
        inner = [(f"{path}.{to_camel_case(str(k))}".strip("."), v) for k, v in detail.items()]
        return [problem for name, value in inner for problem in _problems(value, name)]
    if isinstance(detail, list):
        return [problem for value in detail for problem in _problems(value, path)]
    code = detail.code if isinstance(detail, ErrorDetail) else None
    return [FieldProblem(field=path, code=code or "invalid", detail=str(detail))]


class RefusalsAsData(FieldExtension):
    """Makes what a mutation refuses the value of its field."""

    def resolve(
        self, next_: Callable[..., Any], source: Any, info: strawberry.Info, **kwargs: Any
    ) -> Any:
        """Resolve the field."""
        try:
            return next_(source, info, **kwargs)
        except refusals.Refusal as error:
            return Refusal.of(error)
        except ValidationError as error:
            return Refusal.of_input(error)
        except DataError:
            return Refusal.of(refusals.Invalid(OUT_OF_RANGE))


def formatted(error: GraphQLError) -> tuple[dict[str, Any], bool]:
    """Return an error as the client may see it, and whether it is a fault of ours."""
    original = error.original_error
    if isinstance(original, refusals.Refusal):
        return _entry(error, original.detail, original.code), False
    if isinstance(original, ValidationError):
        listed = [asdict(problem) for problem in _problems(original.detail, "")[:MOST_ERRORS]]
        return _entry(error, "The input has faults; see errors.", "invalid", errors=listed), False
    if isinstance(original, DataError):
        return _entry(error, OUT_OF_RANGE, "invalid"), False
    if isinstance(original, GlobalIDValueError):
        return _entry(error, "This is not the id of anything.", "bad_id"), False
    if isinstance(original, ValueError) and str(original) == "Invalid cursor":
        return _entry(error, "This is not a cursor of this list.", "bad_cursor"), False
    # An exception that no field raised is wrapped without a place in the document.
    if error.path is None and (original is None or error.locations is not None):
        # What might have been meant is in the schema, which is not told.
        told, hint, _ = error.message.partition(" Did you mean ")
        message = error.message if hint and settings.GRAPHQL_INTROSPECTION else told
        return _entry(error, message, "invalid"), False
    logger.error("unhandled_exception", path=error.path, exc_info=original or error)
    request_id = structlog.contextvars.get_contextvars().get("request_id", "")
    return _entry(error, "Something went wrong here.", "error", request_id=request_id), True


def _entry(error: GraphQLError, message: str, code: str, **extensions: Any) -> dict[str, Any]:
    """Return an entry of `errors`: nothing of the exception but its place."""
    return {**error.formatted, "message": message, "extensions": {"code": code, **extensions}}
