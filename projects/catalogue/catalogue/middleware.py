"""What happens around every request."""

from collections.abc import Callable

from django.conf import settings
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponseBase, JsonResponse

from catalogue.problems import method_not_allowed, problem_response

View = Callable[[HttpRequest], HttpResponseBase]
POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none';"
    " form-action 'self'; frame-ancestors 'none'"
)


def probes(get_response: View) -> View:
    """Answer `/healthz` and `/readyz` before anything can refuse or redirect them.

    An orchestrator asks by the container's own address and without TLS. `/healthz` asks nothing of
    others: a process must not be killed because its database is down.
    """

    def answer(request: HttpRequest) -> HttpResponseBase:
        if request.path_info not in ("/healthz", "/readyz"):
            return get_response(request)
        response: HttpResponseBase = JsonResponse({"status": "ok"})
        if request.method not in ("GET", "HEAD"):
            response = method_not_allowed()
        elif request.path_info == "/readyz" and not is_ready():
            response = problem_response(503, "not_ready", "The database is not ready.")
        response["Cache-Control"] = "no-store"
        return response

    return answer


def is_ready() -> bool:
    """Return whether the database answers, and has all migrations of this code."""
    try:
        executor = MigrationExecutor(connection)
        return not executor.migration_plan(executor.loader.graph.leaf_nodes())
    except Error:
        return False


def body_limit(get_response: View) -> View:
    """Refuse a body that is too large before anybody reads it.

    Django's own limit (DATA_UPLOAD_MAX_MEMORY_SIZE) does not hold for DRF's parsers and for files.
    """

    def limited(request: HttpRequest) -> HttpResponseBase:
        length = request.META.get("CONTENT_LENGTH") or "0"
        if not (length.isascii() and length.isdigit()):
            return problem_response(400, "bad_request", "The Content-Length is not a number.")
        multipart = request.META.get("CONTENT_TYPE", "").startswith("multipart/form-data")
        limit = settings.MAX_IMAGE_BYTES + 10_000 if multipart else settings.MAX_BODY
        if int(length) > limit:
            return problem_response(413, "too_large", f"This body may have {limit} bytes at most.")
        return get_response(request)

    return limited


def headers(get_response: View) -> View:
    """Add the security headers that Django has no setting for."""

    def with_headers(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        response.setdefault("Content-Security-Policy", POLICY)
        response.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
        response.setdefault("Cache-Control", "no-store")
        return response

    return with_headers
