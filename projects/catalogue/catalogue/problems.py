"""Every refusal and every error in one form: RFC 9457's problem details.

    {"type": "about:blank", "title": "Conflict", "status": 409, "code": "out_of_stock",
     "detail": "Fewer are left than were asked for.", "errors": []}

`errors` lists the fields that are at fault, each with `field`, `code` and `detail`.
"""

import logging
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from django.db import DataError, IntegrityError, OperationalError
from django.db.models import ProtectedError
from django.http import HttpRequest, JsonResponse
from psycopg.errors import ForeignKeyViolation, UniqueViolation
from rest_framework import exceptions, serializers
from rest_framework.response import Response
from rest_framework.views import exception_handler

MEDIA_TYPE = "application/problem+json"
MOST_ERRORS = 20
logger = logging.getLogger(__name__)


class Refusal(exceptions.APIException):
    """A rule of the shop says no.

    Args:
        status: The HTTP status that fits.
        code: A short name that programs can rely on.
        detail: One sentence for people.
        field: The field of the request that is at fault, if one is.
        wait: Seconds after which the request may be accepted.
    """

    def __init__(
        self, status: int, code: str, detail: str, field: str = "", wait: int | None = None
    ) -> None:
        super().__init__(detail, code)
        self.status_code, self.field = status, field
        self.wait = wait  # DRF makes it the header Retry-After
        if status == HTTPStatus.UNAUTHORIZED:
            self.auth_header = "Bearer"  # RFC 9110, 15.5.2: a 401 must say how to log in


class FieldProblemSerializer(serializers.Serializer[Any]):
    """One field that is at fault."""

    field = serializers.CharField(help_text="Its name; a nested one with dots")
    code = serializers.CharField()
    detail = serializers.CharField()


class ProblemSerializer(serializers.Serializer[Any]):
    """What is wrong, in RFC 9457's form."""

    type = serializers.CharField(help_text="Always about:blank: `code` tells more")
    title = serializers.CharField(help_text="The status in words")
    status = serializers.IntegerField()
    code = serializers.CharField(help_text="A short name that programs can rely on")
    detail = serializers.CharField(help_text="One sentence for people")
    errors = FieldProblemSerializer(many=True)  # type: ignore[assignment]


def problem(
    status: int, code: str, detail: str, errors: list[dict[str, str]] | None = None
) -> dict[str, Any]:
    """Return a problem as data."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        "errors": errors or [],
    }


def problem_response(status: int, code: str, detail: str) -> JsonResponse:
    """Return a problem as the answer of a view that is not DRF's."""
    return JsonResponse(problem(status, code, detail), status=status, content_type=MEDIA_TYPE)


CONFLICTS = {
    "catalogue_category_slug_key": ("slug_taken", "Another category has it.", "slug"),
    "user_email_once": ("email_taken", "There is such an account.", "email"),
}
"""What to say when the database refuses a row, by the name of the constraint."""


def known(error: Exception) -> Exception:
    """Return what an error of the database says to clients, if it is their matter."""
    cause = error.__cause__
    match error:
        case ProtectedError():
            return Refusal(409, "in_use", "Something else needs this.")
        case IntegrityError() if isinstance(cause, ForeignKeyViolation):  # a race: it was there
            return Refusal(409, "stale", "Something that this needs was removed meanwhile.")
        case IntegrityError() if isinstance(cause, UniqueViolation):
            if named := CONFLICTS.get(cause.diag.constraint_name or ""):
                return Refusal(409, *named)
        case OperationalError():  # no connection, or a statement that took too long
            logger.error("the database does not answer", exc_info=error)
            return Refusal(503, "unavailable", "The database does not answer.", wait=5)
        case DataError():  # a text with NUL, where no field's own check was first
            return exceptions.ParseError("The database cannot store this.")
    return error


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """Be DRF's EXCEPTION_HANDLER. What nobody foresaw goes on to Django, and `server_error`."""
    error = known(error)
    response = exception_handler(error, context)  # status and headers are DRF's
    if response is None:
        return None
    code, text, listed = "invalid", "The request has faults; see errors.", list[dict[str, str]]()
    if isinstance(error, exceptions.ValidationError):
        listed = list(_flat(error.detail))[:MOST_ERRORS]
    else:
        detail = response.data["detail"]
        code, text = detail.code, str(detail)
        if field := getattr(error, "field", ""):
            listed = [{"field": field, "code": code, "detail": text}]
    response.data = problem(response.status_code, code, text, listed)
    response.content_type = MEDIA_TYPE
    return response


def _flat(detail: Any, path: str = "") -> Iterator[dict[str, str]]:
    """Yield the faults of a nested validation error, one by one."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            own = "" if name == "non_field_errors" else str(name)
            yield from _flat(inner, f"{path}.{own}".strip("."))
    elif isinstance(detail, list):
        for inner in detail:
            yield from _flat(inner, path)
    else:
        yield {"field": path or "body", "code": detail.code, "detail": str(detail)}


def method_not_allowed() -> JsonResponse:
    """Return the answer of what can only be read."""
    response = problem_response(405, "method_not_allowed", "Only GET and HEAD.")
    response["Allow"] = "GET, HEAD"
    return response


def page_not_found(request: HttpRequest, exception: Exception) -> JsonResponse:  # noqa: ARG001
    """Django's handler404."""
    return problem_response(404, "not_found", "There is nothing at this address.")


def server_error(request: HttpRequest) -> JsonResponse:  # noqa: ARG001
    """Django's handler500."""
    return problem_response(500, "error", "Something went wrong here.")


def bad_request(request: HttpRequest, exception: Exception) -> JsonResponse:  # noqa: ARG001
    """Django's handler400, also for an unknown Host."""
    return problem_response(400, "bad_request", "The request cannot be read.")
