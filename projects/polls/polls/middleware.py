"""What happens around every request. Bodies are bounded in polls.asgi, before Django reads them."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from whitenoise.middleware import WhiteNoiseMiddleware

from polls.errors import Refusal
from polls.problems import problem_response

View = Callable[[HttpRequest], HttpResponseBase]
PERMISSIONS = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"


class StaticFiles(WhiteNoiseMiddleware):
    """WhiteNoise for ASGI: a file is read whole, as an async server cannot iterate over it."""

    @staticmethod
    def serve(static_file: Any, request: HttpRequest) -> HttpResponse:
        """Return a file."""
        found = static_file.get_response(request.method, request.META)
        body = b""
        if found.file:
            with found.file as file:
                body = file.read()
        response = HttpResponse(body, status=int(found.status))
        del response["Content-Type"]
        for name, value in found.headers:
            response[name] = value
        return response


def healthy() -> HttpResponse:
    """`/healthz`: the process answers. It is not to be killed because its database is down."""
    return JsonResponse({"status": "ok"})


def ready() -> HttpResponse:
    """`/readyz`: the database answers and has the tables of this version. It says not, why not."""
    try:
        executor = MigrationExecutor(connection)
        missing = bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    except OperationalError:
        missing = True
    finally:
        connection.close()
    if missing:
        return problem_response(
            Refusal(503, "not_ready", "The database is away, or not migrated.", retry_after=5)
        )
    return JsonResponse({"status": "ok"})


PROBES = {"/healthz": healthy, "/readyz": ready}


def probes(get_response: View) -> View:
    """Answer the probes before anything can refuse or redirect them.

    An orchestrator asks by the container's own address, without TLS, which ALLOWED_HOSTS does not
    list.
    """

    def answer(request: HttpRequest) -> HttpResponseBase:
        if request.path_info not in PROBES:
            return get_response(request)
        response = PROBES[request.path_info]()
        response["Cache-Control"] = "no-store"
        return response

    return answer


def headers(get_response: View) -> View:
    """Add the security headers that Django has no setting for.

    What does not say itself who may keep it is kept by nobody: most answers are for one user.
    """

    def with_headers(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        response.setdefault("Content-Security-Policy", settings.CONTENT_SECURITY_POLICY)
        response.setdefault("Permissions-Policy", PERMISSIONS)
        response.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        response.setdefault("Cache-Control", "no-store")
        return response

    return with_headers
