"""Every refusal and every error in one form: RFC 9457's problem details.

    {"type": "about:blank", "title": "Conflict", "status": 409, "code": "already_applied",
     "detail": "You have already applied for this job.", "errors": []}

`errors` lists the fields at fault, each with `field`, `code` and `detail`.
"""

import logging
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.db import IntegrityError, OperationalError
from django.http import HttpRequest, JsonResponse
from psycopg.errors import ForeignKeyViolation
from rest_framework import exceptions, serializers
from rest_framework.response import Response
from rest_framework.views import exception_handler

MEDIA_TYPE = "application/problem+json"
MOST_ERRORS = 20
logger = logging.getLogger(__name__)

CONFLICTS = {
    "application_once": ("already_applied", "You have already applied for this job."),
    "application_job_open": ("job_closed", "This job is closed."),
    "application_resume_own": ("no_resume", "This résumé has been deleted."),
    "application_transition": ("illegal_transition", "The application cannot change like this."),
    "jobs_category_name_key": ("taken", "There is a category with this name."),
    "jobs_category_slug_key": ("taken", "There is a category with this slug."),
    "jobs_employer_name_key": ("taken", "There is an employer with this name."),
    "jobs_user_email_key": ("taken", "There is an account with this e-mail address."),
}
"""What to say when the database refuses a row, by the name of the constraint."""


class Conflict(exceptions.APIException):
    """The state of things does not allow it."""

    status_code = 409
    default_code = "conflict"


class FieldProblemSerializer(serializers.Serializer[Any]):
    """One field that is at fault."""

    field = serializers.CharField()
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


def respond(status: int, code: str, detail: str) -> JsonResponse:
    """Return a problem as the answer of code outside DRF."""
    return JsonResponse(problem(status, code, detail), status=status, content_type=MEDIA_TYPE)


def handle(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Be DRF's exception handler. An error that nobody foresaw goes on, to Django's handler500."""
    response = exception_handler(known(exc), context)  # status and headers are DRF's
    if response is None:
        return None
    code, text, listed = "invalid", "The request has faults; see errors.", list[dict[str, str]]()
    if isinstance(exc, exceptions.ValidationError):
        listed = list(faults(exc.detail))[:MOST_ERRORS]
    else:
        detail = response.data["detail"]
        code, text = detail.code, str(detail)
    response.data = problem(response.status_code, code, text, listed)
    response.content_type = MEDIA_TYPE
    return response


def known(exc: Exception) -> Exception:
    """Return what an error of the database says to clients, if it is their matter."""
    if isinstance(exc, IntegrityError):
        if isinstance(exc.__cause__, ForeignKeyViolation):  # a race: it was there, or was unused
            return Conflict("Something that this needs has changed meanwhile. Try again.", "stale")
        name = getattr(getattr(exc.__cause__, "diag", None), "constraint_name", None)
        return Conflict(CONFLICTS[name][1], CONFLICTS[name][0]) if name in CONFLICTS else exc
    if isinstance(exc, OperationalError):  # no connection, or a lock that took too long
        logger.error("The database does not answer", exc_info=exc)
        error = exceptions.APIException("The database does not answer. Try again.", "unavailable")
        error.status_code = 503
        return error
    return exc


def faults(detail: Any, field: str = "") -> Iterator[dict[str, str]]:
    """Yield the faults of a validation error, which may be nested."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            own = "body" if name == "non_field_errors" else str(name)
            yield from faults(inner, f"{field}.{own}" if field else own)
    elif isinstance(detail, list):
        for inner in detail:
            yield from faults(inner, field)
    else:
        yield {"field": field or "body", "code": detail.code, "detail": str(detail)}


# -- Django's own handlers


def bad_request(request: HttpRequest, exception: Exception) -> JsonResponse:  # noqa: ARG001
    """Answer 400: also for an unknown Host and a body that Django finds too large."""
    if isinstance(exception, RequestDataTooBig):
        return respond(413, "too_large", "The body is too large.")
    return respond(400, "bad_request", "The request cannot be read.")


def not_found(request: HttpRequest, exception: Exception) -> JsonResponse:  # noqa: ARG001
    """Answer 404."""
    return respond(404, "not_found", "There is nothing at this address.")


def server_error(request: HttpRequest) -> JsonResponse:  # noqa: ARG001
    """Answer 500, and say nothing of the cause: that is in the log."""
    return respond(500, "error", "Something went wrong here.")
