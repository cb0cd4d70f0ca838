"""The addresses."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from feed.graph import GraphQLView
from feed.rest import api


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Say what is here."""
    return render(request, "feed/home.html")


@require_safe
def explore(request: HttpRequest) -> HttpResponse:
    """Return a page that sends queries, without anything from third parties."""
    return render(request, "feed/explore.html", {"schema": schema_text()})


@require_safe
def schema(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """Return the GraphQL schema, which is no secret."""
    return HttpResponse(schema_text(), content_type="text/plain; charset=utf-8")


def schema_text() -> str:
    """Return what `make schema` wrote; a test compares it with the code."""
    return (settings.BASE_DIR / "feed" / "schema.graphql").read_text()


urlpatterns = [
    path("", home),
    path("explore", explore),
    path("schema.graphql", schema),
    path("graphql", csrf_exempt(require_POST(GraphQLView.as_view()))),
    path("api/", api.urls),
]
