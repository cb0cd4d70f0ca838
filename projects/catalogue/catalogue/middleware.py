"""What happens around every request."""

from collections.abc import Callable

from django.conf import settings
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponseBase, JsonResponse

from catalogue.problems import problem_response

View = Callable[[HttpRequest], HttpResponseBase]
POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none';"
    " form-action 'self'; frame-ancestors 'none'"
)


class ProbeMiddleware:
    """Answers `/healthz` and `/readyz` before anything can refuse or redirect them.

    An orchestrator asks by the container's own address and without TLS. `/healthz` asks nothing of
    others: a process must not be killed because its database is down.
    """

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response
        self.migrated = False

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a probe, or pass the request on."""
        if request.path_info not in ("/healthz", "/readyz"):
            return self.get_response(request)
        if request.method not in ("GET", "HEAD"):
            response = problem_response(405, "method_not_allowed", "Only GET and HEAD.")
            response["Allow"] = "GET, HEAD"
        elif request.path_info == "/readyz" and not self._is_ready():
            response = problem_response(503, "not_ready", "The database is not ready.")
        else:
            response = JsonResponse({"status": "ok"})
        response["Cache-Control"] = "no-store"
        return response

    def _is_ready(self) -> bool:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            if not self.migrated:  # once true, this stays true for this code
                executor = MigrationExecutor(connection)
                leaves = executor.loader.graph.leaf_nodes()
                self.migrated = not executor.migration_plan(leaves)
        except Error:
            return False
        return self.migrated


class BodyLimitMiddleware:
    """Refuses a body that is too large before anybody reads it.

    Django's own limit (DATA_UPLOAD_MAX_MEMORY_SIZE) does not hold for DRF's parsers and for files.
    """

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Look at the length, then pass the request on."""
        length = request.META.get("CONTENT_LENGTH") or "0"
        if not (length.isascii() and length.isdigit()):
            return problem_response(400, "bad_request", "The Content-Length is not a number.")
        multipart = request.META.get("CONTENT_TYPE", "").startswith("multipart/form-data")
        limit = settings.MAX_IMAGE_BYTES + 10_000 if multipart else settings.MAX_BODY
        if int(length) > limit:
            return problem_response(413, "too_large", f"This body may have {limit} bytes at most.")
        return self.get_response(request)


class HeadersMiddleware:
    """Adds the security headers that Django has no setting for."""

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer, then add them."""
        response = self.get_response(request)
        response.setdefault("Content-Security-Policy", POLICY)
        response.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
        response.setdefault("Cache-Control", "no-store")
        return response
