"""The pages that are no API: what is here, its description to try out, and health."""

from functools import cache
from pathlib import Path

import ninja
from asgiref.sync import sync_to_async
from django.db import DatabaseError, connection
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from redis.exceptions import RedisError

from movies.services import services

SWAGGER = Path(ninja.__file__).parent / "static" / "ninja"
"""Ninja brings Swagger UI along. Its own page loads it from elsewhere, unless static files are set
up for it; four files need no such set-up."""
ASSETS = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui-init.js": "text/javascript",
    "favicon.png": "image/png",
}
SECONDS = 86_400


async def home(request: HttpRequest) -> HttpResponse:
    """Say what is here."""
    return render(request, "home.html")


async def docs(request: HttpRequest) -> HttpResponse:
    """Show the API's description, to try out."""
    return render(request, "docs.html")


@cache
def _asset(name: str) -> bytes:
    return (SWAGGER / name).read_bytes()


async def asset(request: HttpRequest, name: str) -> HttpResponse:
    """Return one of Swagger UI's files."""
    if name not in ASSETS:
        raise Http404
    response = HttpResponse(_asset(name), content_type=ASSETS[name])
    response["Cache-Control"] = f"public, max-age={SECONDS}"
    return response


async def healthz(request: HttpRequest) -> HttpResponse:
    """Whether the process answers."""
    return JsonResponse({"status": "ok"})


async def readyz(request: HttpRequest) -> HttpResponse:
    """Whether PostgreSQL answers, without which there are no accounts.

    The rest is told and decides nothing: without Valkey, and without the outside, pages still come.
    """
    database, valkey = await sync_to_async(_database)(), True
    try:
        await services().valkey.ping()
    except RedisError:
        valkey = False
    told = {
        "database": database,
        "valkey": valkey,
        "outside": services().outside.breaker.state != "open",
    }
    return JsonResponse({"ready": database, **told}, status=200 if database else 503)


def _database() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True
