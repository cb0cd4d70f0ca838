"""What surrounds the API: probes, headers, the limit of bodies, and the page at the root."""

from collections.abc import Callable

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from jobs import problems

View = Callable[[HttpRequest], HttpResponseBase]
UPLOADS = "/api/v1/resumes"
ROOM_FOR_FORM = 4_000
"""Bytes that a multipart form may need around its file."""
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def alive(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """`/healthz`: the process answers. It asks nobody: no restart mends a database."""
    return JsonResponse({"status": "ok"})


def ready(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """`/readyz`: the database answers, and has every migration of this code."""
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return problems.respond(503, "not_ready", "The database does not answer.")
    if missing:
        return problems.respond(503, "not_ready", "The database lacks a migration.")
    return JsonResponse({"status": "ok"})


PROBES = {"/healthz": require_safe(alive), "/readyz": require_safe(ready)}


def probes(get_response: View) -> View:
    """Answer the probes first: an orchestrator asks without TLS, by an address nobody knows."""
    return lambda request: PROBES.get(request.path_info, get_response)(request)


def headers(get_response: View) -> View:
    """Add the security headers that Django has no setting for, and an answer does not have."""

    def with_headers(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        for name, value in HEADERS.items():
            response.setdefault(name, value)
        return response

    return with_headers


def body_limit(get_response: View) -> View:
    """Refuse a body that is too large before anybody reads it.

    Django's limit (DATA_UPLOAD_MAX_MEMORY_SIZE) does not hold for DRF's parsers, which read the
    stream, nor for files.
    """

    def limited(request: HttpRequest) -> HttpResponseBase:
        length = request.META.get("CONTENT_LENGTH") or "0"
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if request.path_info == UPLOADS:
            limit = settings.RESUME_BYTES + ROOM_FOR_FORM
        if not (length.isascii() and length.isdigit()):
            return problems.respond(400, "bad_request", "The Content-Length is not a number.")
        if int(length) > limit:
            return problems.respond(413, "too_large", f"The body may have {limit} bytes at most.")
        return get_response(request)

    return limited


@require_safe
def start(request: HttpRequest) -> HttpResponse:
    """Show what is here."""
    return render(request, "jobs/start.html")
