"""Which address is what."""

from django.urls import path

from movies import pages
from movies.api import api

handler400 = "movies.problems.bad_request"
handler404 = "movies.problems.not_found"
handler500 = "movies.problems.server_error"

urlpatterns = [
    path("", pages.home),
    path("healthz", pages.healthz),
    path("readyz", pages.readyz),
    path("api/docs", pages.docs),
    path("api/assets/<str:name>", pages.asset),
    path("api/v1/", api.urls),
]
