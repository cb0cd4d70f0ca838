"""Every refusal and every error in one form: RFC 9457's problem details.

    {"type": "about:blank", "title": "Conflict", "status": 409, "code": "out_of_stock",
     "detail": "Fewer are left than were asked for.", "errors": []}

`errors` lists the fields that are at fault, each with `field`, `code` and `detail`.
"""

import logging
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import Http404, HttpRequest, JsonResponse
from rest_framework import exceptions, serializers
from rest_framework.response import Response
from rest_framework.views import set_rollback

MEDIA_TYPE = "application/problem+json"
MOST_ERRORS = 20
logger = logging.getLogger(__name__)


class Refusal(Exception):
    """A rule of the shop says no.

    Attributes:
        status: The HTTP status that fits.
        code: A short name that programs can rely on.
        detail: One sentence for people.
        field: The field of the request that is at fault, if one is.
        retry_after: Seconds after which the request may be accepted.
    """

    def __init__(
        self, status: int, code: str, detail: str, *, field: str = "", retry_after: int = 0
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail
        self.field, self.retry_after = field, retry_after


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


def handle(error: Exception, context: dict[str, Any]) -> Response:  # noqa: ARG001
    """DRF's EXCEPTION_HANDLER: refusals, DRF's own errors, and everything that nobody foresaw."""
    set_rollback()
    headers = {}
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if isinstance(error, Refusal):
        listed = [{"field": error.field, "code": error.code, "detail": error.detail}]
        body = problem(error.status, error.code, error.detail, listed if error.field else [])
        if error.retry_after:
            headers["Retry-After"] = str(error.retry_after)
    elif isinstance(error, exceptions.ValidationError):
        listed = list(_flat(error.detail))[:MOST_ERRORS]
        body = problem(400, "invalid", "The request has faults; see errors.", listed)
    elif isinstance(error, exceptions.APIException):
        code, detail = _first(error)
        body = problem(error.status_code, code, detail)
        if (challenge := getattr(error, "auth_header", None)) is not None:
            headers["WWW-Authenticate"] = challenge
    elif isinstance(error, OperationalError):  # no connection, or a statement that took too long
        logger.error("the database does not answer", exc_info=error)
        body = problem(503, "unavailable", "The database does not answer. Try again later.")
        headers["Retry-After"] = "5"
    else:
        logger.error("unhandled exception", exc_info=error)
        body = problem(500, "error", "Something went wrong here.")
    if body["status"] == HTTPStatus.UNAUTHORIZED:
        headers.setdefault("WWW-Authenticate", "Bearer")  # RFC 9110, 15.5.2: a 401 must have one
    return Response(body, status=body["status"], headers=headers, content_type=MEDIA_TYPE)


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


def _first(error: exceptions.APIException) -> tuple[str, str]:
    """Return the code and the text of an error. simplejwt puts both into a dictionary."""
    detail: Any = error.detail
    if isinstance(detail, dict):
        detail = detail.get("detail", next(iter(detail.values())))
    return str(getattr(detail, "code", "error")), str(detail)


def page_not_found(request: HttpRequest, exception: Exception) -> JsonResponse:  # noqa: ARG001
    """Django's handler404."""
    return problem_response(404, "not_found", "There is nothing at this address.")


def server_error(request: HttpRequest) -> JsonResponse:  # noqa: ARG001
    """Django's handler500."""
    return problem_response(500, "error", "Something went wrong here.")


def bad_request(request: HttpRequest, exception: Exception) -> JsonResponse:  # noqa: ARG001
    """Django's handler400, also for an unknown Host."""
    return problem_response(400, "bad_request", "The request cannot be read.")
