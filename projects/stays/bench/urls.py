"""The project's addresses, a bare answer, and two views without their cache."""

from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from stays.listings.views import PropertyDetail, PropertyList


def bare(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """The least that Django can answer behind the project's middleware."""
    return HttpResponse(b"{}", content_type="application/json")


urlpatterns = [
    path("bench/bare", bare),
    path("bench/properties", PropertyList.as_view()),
    path("bench/properties/<slug:slug>", PropertyDetail.as_view()),
    path("", include("stays.urls")),
]
handler400 = "stays.rest.problems.bad_request"
handler403 = "stays.rest.problems.permission_denied"
handler404 = "stays.rest.problems.page_not_found"
handler500 = "stays.rest.problems.server_error"
