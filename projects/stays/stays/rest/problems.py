"""Every refusal and every error in one form: RFC 9457's problem details.

    {"type": "about:blank", "title": "Conflict", "status": 409, "code": "dates_taken",
     "detail": "These dates are taken.", "errors": [], "request_id": "…"}

`errors` lists the fields that are at fault, each with `field`, `code` and `detail`.
"""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

import structlog
from django.core.exceptions import RequestDataTooBig
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from drf_standardized_errors.formatter import ExceptionFormatter
from drf_standardized_errors.handler import ExceptionHandler
from rest_framework import exceptions, serializers
from rest_framework.response import Response

from stays.common.errors import Refusal, Unavailable
from stays.common.metrics import REFUSALS
from stays.rest.throttling import AnonymousThrottle

View = Callable[[HttpRequest], HttpResponse]
MEDIA_TYPE = "application/problem+json"
BUSY = {"40001", "40P01", "55P03"}
"""SQLSTATEs of requests that met: serialization_failure, deadlock_detected, lock_not_available."""
BUSY_TEXT = "Another request works on the same thing at this moment."
MOST_ERRORS = 20
"""Faults that an answer lists; who sends more of them is helped by no longer list."""
logger = structlog.get_logger(__name__)


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
    request_id = serializers.CharField(help_text="Where to find the request in the logs")


def problem(
    status: int, code: str, detail: str, errors: list[dict[str, str]] | None = None
) -> dict[str, Any]:
    """Return a problem as data.

    Args:
        status: The HTTP status.
        code: A short name that programs can rely on.
        detail: One sentence for people.
        errors: The fields at fault, each with `field`, `code` and `detail`.
    """
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        "errors": errors or [],
        "request_id": structlog.contextvars.get_contextvars().get("request_id", ""),
    }


def problem_response(status: int, code: str, detail: str) -> JsonResponse:
    """Return a problem as the answer of a view that is not DRF's, or of Django's error handlers."""
    REFUSALS.labels(str(status), code).inc()
    return JsonResponse(problem(status, code, detail), status=status, content_type=MEDIA_TYPE)


class ProblemFormatter(ExceptionFormatter):
    """Puts DRF's exceptions into the form."""

    def format_error_response(self, error_response: Any) -> Any:
        """Return the body for an exception that drf-standardized-errors has taken apart."""
        status = self.exc.status_code
        listed = error_response.errors
        if error_response.type == "validation_error":
            fields = [
                {"field": error.attr or "body", "code": error.code, "detail": error.detail}
                for error in listed[:MOST_ERRORS]
            ]
            return problem(status, "invalid", "The request has faults; see errors.", fields)
        return problem(status, listed[0].code, listed[0].detail)


class ProblemHandler(ExceptionHandler):
    """Knows our own refusals as well as DRF's exceptions, and hides everything else."""

    def convert_known_exceptions(self, exc: Exception) -> Exception:
        """Make a DRF exception of a refusal.

        DRF looks at throttles last. A request that ends before, because it is not known who asks,
        is counted here.
        """
        if isinstance(exc, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
            throttle, request = AnonymousThrottle(), self.context["request"]
            if request is not None and not throttle.allow_address(request):
                return exceptions.Throttled(throttle.wait())
        return refused(exc) if isinstance(exc, Refusal) else super().convert_known_exceptions(exc)

    def convert_unhandled_exceptions(self, exc: Exception) -> exceptions.APIException:
        """Say nothing of an error that nobody foresaw: it is in the log."""
        if isinstance(exc, exceptions.APIException):
            return exc
        logger.error("unhandled_exception", exc_info=exc)
        if isinstance(exc, OperationalError):  # no connection, or a statement that took too long
            if getattr(exc.__cause__, "sqlstate", None) in BUSY:
                return refused(Unavailable(f"{BUSY_TEXT} Send it again.", code="busy"))
            return refused(Unavailable("The database does not answer. Try again later."))
        return exceptions.APIException(detail="Something went wrong here.")

    def get_response(self, exc: exceptions.APIException, data: dict[str, Any]) -> Response:
        """Return the answer, with the media type of problems."""
        response = super().get_response(exc, data)
        response.content_type = MEDIA_TYPE
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            # DRF adds it to its own exceptions only. RFC 9110, 15.5.2: a 401 must have one.
            response.headers.setdefault("WWW-Authenticate", "Bearer")
        REFUSALS.labels(str(response.status_code), data["code"]).inc()
        return response


def refused(refusal: Refusal) -> exceptions.APIException:
    """Return the DRF exception that says the same."""
    if refusal.field:
        converted: exceptions.APIException = exceptions.ValidationError(
            {refusal.field: [exceptions.ErrorDetail(refusal.detail, refusal.code)]}
        )
    else:
        converted = exceptions.APIException(refusal.detail, refusal.code)
    converted.status_code = refusal.status
    if (seconds := getattr(refusal, "retry_after", None)) is not None:
        converted.wait = seconds  # type: ignore[attr-defined]
    return converted


def page_not_found(request: HttpRequest, exception: Exception) -> JsonResponse:  # noqa: ARG001
    """Django's handler404."""
    return problem_response(404, "not_found", "There is nothing at this address.")


def server_error(request: HttpRequest) -> JsonResponse:  # noqa: ARG001
    """Django's handler500."""
    return problem_response(500, "error", "Something went wrong here.")


def bad_request(request: HttpRequest, exception: Exception) -> JsonResponse:  # noqa: ARG001
    """Django's handler400: also for an unknown Host and a body that Django finds too large."""
    if isinstance(exception, RequestDataTooBig):
        return problem_response(413, "too_large", "The body is too large.")
    return problem_response(400, "bad_request", "The request cannot be read.")


def permission_denied(request: HttpRequest, exception: Exception) -> JsonResponse:  # noqa: ARG001
    """Django's handler403."""
    return problem_response(403, "permission_denied", "This is not allowed.")


def csrf_failure(request: HttpRequest, reason: str = "") -> JsonResponse:  # noqa: ARG001
    """Django's CSRF_FAILURE_VIEW."""
    return problem_response(403, "csrf_failed", "The request carries no valid CSRF token.")


def only_reads(view: View) -> View:
    """Decorate a view that is not DRF's, and knows GET and HEAD; as Django's `require_safe`."""

    @wraps(view)
    def respond(request: HttpRequest) -> HttpResponse:
        if request.method in ("GET", "HEAD"):
            return view(request)
        detail = "The address knows no such method."
        response = problem_response(405, "method_not_allowed", detail)
        response["Allow"] = "GET, HEAD"
        return response

    return respond
