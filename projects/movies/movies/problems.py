"""Errors in one form: problem details (RFC 9457)."""

from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, JsonResponse

MEDIA_TYPE = "application/problem+json"


class Refusal(Exception):
    """A request is refused, for a reason that the client may know.

    Args:
        status: Of the answer.
        detail: What to tell the client.
        headers: To send along.
    """

    def __init__(self, status: int, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def problem(
    status: int, detail: str = "", *, headers: dict[str, str] | None = None, **more: Any
) -> JsonResponse:
    """Return an error's answer."""
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail or title}
    response = JsonResponse(body | more, status=status, content_type=MEDIA_TYPE)
    for name, value in (headers or {}).items():
        response[name] = value
    return response


def bad_request(request: HttpRequest, exception: Exception) -> JsonResponse:
    """Answer what Django holds for suspicious, such as a Host that is not ours."""
    return problem(400)


def not_found(request: HttpRequest, exception: Exception) -> JsonResponse:
    """Answer for an address that is not there."""
    return problem(404, "There is nothing at this address.")


def server_error(request: HttpRequest) -> JsonResponse:
    """Answer for an error of ours, without a word about it. The log has it."""
    return problem(500, "This is an error of ours. It is in the log.")
