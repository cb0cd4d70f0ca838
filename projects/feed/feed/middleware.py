"""What is the same for every request: probes, headers, and the one form of errors."""

from collections.abc import Callable
from http import HTTPStatus

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse

Handler = Callable[[HttpRequest], HttpResponse]


def client_address(request: HttpRequest) -> str:
    """Return the client's address: what the outermost of our own proxies saw."""
    forwarded = request.headers.get("X-Forwarded-For", "").split(",")
    depth = settings.TRUSTED_PROXIES
    if depth and len(forwarded) >= depth:
        return str(forwarded[-depth]).strip()
    return str(request.META.get("REMOTE_ADDR", ""))


def probes(handler: Handler) -> Handler:
    """Answer `/healthz`: this process runs; and `/readyz`: the database answers it too."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path == "/healthz":
            return HttpResponse("ok", content_type="text/plain")
        if request.path != "/readyz":
            return handler(request)
        try:
            with connection.cursor() as sql:
                sql.execute("SELECT 1")
        except DatabaseError:
            return HttpResponse("the database does not answer", "text/plain", 503)
        return HttpResponse("ok", content_type="text/plain")

    return middleware


def headers(handler: Handler) -> Handler:
    """Let pages load nothing from elsewhere, and let nobody keep an answer of the APIs."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = handler(request)
        response.headers.setdefault("Content-Security-Policy", settings.CONTENT_SECURITY_POLICY)
        response.headers.setdefault(
            "Permissions-Policy", "camera=(), geolocation=(), microphone=()"
        )
        if request.path.startswith(("/api/", "/graphql")):
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    return middleware


def refused(status: int, *details: str) -> JsonResponse:
    """Return an error as RealWorld has it."""
    return JsonResponse({"errors": {"body": list(details)}}, status=status)


def one_form_of_errors(handler: Handler) -> Handler:
    """Give the errors of Django itself the form of the API: unknown addresses, wrong methods."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = handler(request)
        if response.status_code < 400 or "json" in response.headers.get("Content-Type", ""):
            return response
        status, plain = response.status_code, response.headers.get("Content-Type") == "text/plain"
        detail = response.content.decode() if plain and status < 500 else HTTPStatus(status).phrase
        answer = refused(status, detail)
        if "Allow" in response.headers:
            answer.headers["Allow"] = response.headers["Allow"]
        return answer

    return middleware
