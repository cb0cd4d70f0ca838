"""What happens around every request."""

import re
import time
import uuid
from collections.abc import Callable
from contextlib import suppress

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.utils.encoding import escape_uri_path
from django.utils.functional import SimpleLazyObject

from stays.operations.health import PROBES
from stays.rest.problems import problem_response

View = Callable[[HttpRequest], HttpResponseBase]
MOST_DISCARDED = 1_000_000
"""Bytes of a refused body that are read, for the connection to live on: what nginx lets pass."""
REQUEST_ID = re.compile(r"[0-9A-Za-z_-]{8,64}")
logger = structlog.get_logger(__name__)


class RequestLogMiddleware:
    """Writes one line about each request, and gives it the id by which all its lines are found.

    The client's own id (X-Request-ID) is taken if it looks like one. Neither the query string nor
    headers nor bodies are logged.
    """

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer, then log."""
        offered = request.headers.get("X-Request-ID", "")
        request_id = offered if REQUEST_ID.fullmatch(offered) else str(uuid.uuid4())
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        begin = time.perf_counter()
        response = self.get_response(request)
        response["X-Request-ID"] = request_id
        status = response.status_code
        probe = request.path_info in PROBES and status < 500
        write = logger.debug if probe else logger.error if status >= 500 else logger.info
        write(
            "request",
            method=request.method,
            route=getattr(request.resolver_match, "route", None),
            path=escape_uri_path(request.path_info),  # no control characters for a terminal
            status=status,
            duration_ms=round((time.perf_counter() - begin) * 1000, 1),
            user_id=_user_id(request),
        )
        structlog.contextvars.clear_contextvars()
        return response


def _user_id(request: HttpRequest) -> str | None:
    """Return whose request it is, if that is known already: it is not worth a query."""
    user = getattr(request, "user", None)
    if isinstance(user, SimpleLazyObject):
        user = getattr(request, "_cached_user", None)  # where django.contrib.auth keeps it
    return str(user.pk) if user is not None and user.pk is not None else None


class ProbeMiddleware:
    """Answers the probes before anything can refuse or redirect them.

    An orchestrator asks by the container's own address, without TLS: ALLOWED_HOSTS does not list
    it, and nobody can know it beforehand.
    """

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a probe, or pass the request on."""
        return PROBES.get(request.path_info, self.get_response)(request)


class BodyLimitMiddleware:
    """Refuses a body that is too large before anybody reads it.

    Django's own limit (DATA_UPLOAD_MAX_MEMORY_SIZE) holds for `request.body` and for forms, not for
    DRF's parsers, which read the stream.
    """

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Look at the length, then pass the request on."""
        length = request.META.get("CONTENT_LENGTH") or "0"
        if not (length.isascii() and length.isdigit()):
            return problem_response(400, "bad_request", "The Content-Length is not a number.")
        if int(length) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
            if int(length) <= MOST_DISCARDED:
                _discard(request)
            return problem_response(413, "too_large", f"A body may have {limit} bytes at most.")
        response = self.get_response(request)
        if response.status_code >= 400 and length != "0":
            _discard(request)
        return response


def _discard(request: HttpRequest) -> None:
    """Read what is left of a body that was refused.

    It would be taken for the next request of the connection. So gunicorn cuts the connection, in
    the middle of what the client sends, although it has promised to keep it.
    """
    with suppress(OSError):
        while request.read(64 * 1024):
            pass


class HeadersMiddleware:
    """Adds the security headers that Django has no setting for.

    What does not say itself who may keep it is kept by nobody: most answers are for one user, and
    tokens must not be kept (RFC 6749, 5.1).
    """

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer, then add them."""
        response = self.get_response(request)
        response.setdefault("Permissions-Policy", settings.PERMISSIONS_POLICY)
        response.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        response.setdefault("Cache-Control", "no-store")
        return response
