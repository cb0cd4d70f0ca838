"""Every refusal and every error of the API in one form: RFC 9457's problem details.

    {"type": "about:blank", "title": "Conflict", "status": 409, "code": "already_voted",
     "detail": "You have voted in this poll already.", "errors": []}

`errors` lists the fields that are at fault, each with `field`, `code` and `detail`. People who use
the pages get a page.
"""

import logging
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from rest_framework import exceptions, serializers
from rest_framework.response import Response

from polls.errors import Refusal

MEDIA_TYPE = "application/problem+json"
MOST_ERRORS = 20
logger = logging.getLogger(__name__)


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
    title = HTTPStatus(status).phrase
    return {
        "type": "about:blank",
        "title": title,
        "status": status,
        "code": code,
        "detail": detail,
        "errors": errors or [],
    }


def headers_of(refusal: Refusal) -> dict[str, str]:
    """Return the headers that belong to a status."""
    headers = {}
    if refusal.retry_after:
        headers["Retry-After"] = str(refusal.retry_after)
    if refusal.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return headers


def problem_response(refusal: Refusal) -> JsonResponse:
    """Return a refusal as the answer of a view that is not DRF's."""
    data = problem(refusal.status, refusal.code, refusal.detail)
    headers = headers_of(refusal)
    return JsonResponse(data, status=refusal.status, content_type=MEDIA_TYPE, headers=headers)


def handle(exc: Exception, context: dict[str, Any]) -> Response:  # noqa: ARG001 (DRF's signature)
    """DRF's EXCEPTION_HANDLER."""
    refusal = _known(exc)
    data = problem(refusal.status, refusal.code, refusal.detail)
    if isinstance(exc, exceptions.ValidationError):
        data["errors"] = list(_faults(exc.detail))[:MOST_ERRORS]
    elif refusal.field:
        fault = {"field": refusal.field, "code": refusal.code, "detail": refusal.detail}
        data["errors"] = [fault]
    if data["errors"]:
        data |= {"code": "invalid", "detail": "The request has faults; see errors."}
    return Response(data, refusal.status, headers=headers_of(refusal), content_type=MEDIA_TYPE)


def _known(exc: Exception) -> Refusal:
    """Return what an exception says to clients; of what nobody foresaw, nothing."""
    match exc:
        case Refusal():
            return exc
        case Http404():
            return Refusal(404, "not_found", "There is nothing at this address.")
        case PermissionDenied():
            return Refusal(403, "permission_denied", "This is not allowed.")
        case exceptions.APIException():
            code = exc.get_codes() if isinstance(exc.detail, str) else "invalid"
            return Refusal(exc.status_code, str(code), str(exc.detail))
        case OperationalError():  # no connection, or a lock that was waited for too long
            logger.error("the database does not answer", exc_info=exc)
            return Refusal(503, "busy", "Try it again in a moment.", retry_after=1)
    logger.error("unhandled exception", exc_info=exc)
    return Refusal(500, "error", "Something went wrong here.")


def _faults(detail: Any, path: str = "") -> Iterator[dict[str, str]]:
    """List what DRF found wrong, by fields."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            own = "" if name == "non_field_errors" else str(name)
            yield from _faults(inner, f"{path}.{own}".strip("."))
    elif isinstance(detail, list):
        for inner in detail:
            yield from _faults(inner, path)
    else:
        yield {"field": path or "body", "code": detail.code, "detail": str(detail)}


def answer(request: HttpRequest, refusal: Refusal) -> HttpResponse:
    """Return a refusal in the form that fits the address: a problem, or a page."""
    if request.path_info.startswith(("/api/", "/healthz", "/readyz")):
        return problem_response(refusal)
    page = render(request, "polls/problem.html", {"refusal": refusal}, status=refusal.status)
    for name, value in headers_of(refusal).items():
        page[name] = value
    return page


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001
    """Django's handler400. An unknown Host also comes here, so nothing is rendered with it."""
    return problem_response(Refusal(400, "bad_request", "The request cannot be read."))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001
    """Django's handler404."""
    return answer(request, _known(Http404()))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001
    """Django's handler403."""
    return answer(request, _known(PermissionDenied()))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001
    """Django's CSRF_FAILURE_VIEW."""
    return answer(request, Refusal(403, "csrf_failed", "Load the form again, and send it again."))


def server_error(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """Django's handler500: no template, which may be what has failed."""
    return problem_response(Refusal(500, "error", "Something went wrong here."))
