"""Every error response in one form: RFC 9457's problem details.

Name `places.problems.handler` as DRF's EXCEPTION_HANDLER, and in your root URLconf:

    handler404 = "places.problems.not_found"
    handler500 = "places.problems.server_error"
"""

import logging
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, JsonResponse
from rest_framework import exceptions, views
from rest_framework.response import Response

MEDIA_TYPE = "application/problem+json"
logger = logging.getLogger(__name__)


class PreconditionFailed(exceptions.APIException):
    """Somebody else has changed the resource."""

    status_code = 412
    default_detail = "It has changed since it was read. Read it again."
    default_code = "changed"


class WeakETag(PreconditionFailed):
    """A weak ETag is no proof that two states are equal."""

    default_detail = "If-Match needs a strong ETag. A proxy that compresses has made this one weak."
    default_code = "weak_etag"


class PreconditionRequired(exceptions.APIException):
    """A change needs an If-Match."""

    status_code = 428
    default_detail = "Send the ETag of what was read as If-Match."
    default_code = "if_match_required"


def problem(status: int, code: str, detail: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """Returns a problem as data."""
    title = HTTPStatus(status).phrase
    about = {"type": "about:blank", "title": title, "status": status, "code": code}
    return {**about, "detail": detail, **more}


def handler(error: Exception, context: dict[str, Any]) -> Response:
    """Makes a problem of every exception. The client learns nothing of an unexpected one."""
    response = views.exception_handler(error, context)
    if response is None:
        logger.error("unexpected error in %s", context["view"].__class__.__name__, exc_info=error)
        error = exceptions.APIException("Something went wrong here.")
        # DRF's handler also rolls back the changes that ATOMIC_REQUESTS would commit now.
        response = views.exception_handler(error, context)
    if isinstance(error, exceptions.ValidationError):
        errors = list(_faults(error.get_full_details()))
        response.data = problem(
            400, "invalid", "The request has faults; see errors.", errors=errors
        )
    else:
        told = response.data["detail"]
        response.data = problem(response.status_code, told.code, str(told))
    response.content_type = MEDIA_TYPE
    return response


def _faults(details: Any, field: str = "") -> Iterator[dict[str, str]]:  # noqa: ANN401
    """Yields each fault with its field; the field of a nested serializer is "host.name"."""
    if isinstance(details, dict) and isinstance(details.get("message"), str):
        yield {"field": field or "body", "code": details["code"], "detail": details["message"]}
        return
    for name, inner in details.items() if isinstance(details, dict) else enumerate(details):
        is_fault = isinstance(details, list) and isinstance(inner.get("message"), str)
        yield from _faults(inner, field if is_fault else f"{field}.{name}".lstrip("."))


def not_found(request: HttpRequest, exception: Exception) -> JsonResponse:  # noqa: ARG001
    """Answers for an address that does not exist."""
    body = problem(404, "not_found", "There is no such address.")
    return JsonResponse(body, status=404, content_type=MEDIA_TYPE)


def server_error(request: HttpRequest) -> JsonResponse:  # noqa: ARG001
    """Answers for errors outside of DRF."""
    body = problem(500, "error", "Something went wrong here.")
    return JsonResponse(body, status=500, content_type=MEDIA_TYPE)
