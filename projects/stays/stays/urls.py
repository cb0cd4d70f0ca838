"""All addresses. Each part of the API lists its own in its `urls` module.

The probes /healthz and /readyz are not here: stays.operations.middleware answers them first.
"""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView

from stays.operations.metrics import metrics
from stays.operations.views import start

urlpatterns: list[URLPattern | URLResolver] = [
    path("", start, name="start"),
    path("admin/", admin.site.urls),
    path("", include("stays.graph.urls")),
    path("api/v1/", include("stays.accounts.urls")),
    path("api/v1/", include("stays.listings.urls")),
    path("api/v1/", include("stays.bookings.urls")),
    path("api/v1/", include("stays.payments.urls")),
    path("api/v1/", include("stays.reviews.urls")),
    path("api/v1/", include("stays.messaging.urls")),
    path("api/v1/", include("stays.statistics.urls")),
    path("metrics", metrics, name="metrics"),
    path("api/schema", SpectacularJSONAPIView.as_view(), name="schema"),
    path(
        "api/docs",
        SpectacularSwaggerSplitView.as_view(template_name="operations/docs.html"),
        name="docs",
    ),
]

handler400 = "stays.rest.problems.bad_request"
handler403 = "stays.rest.problems.permission_denied"
handler404 = "stays.rest.problems.page_not_found"
handler500 = "stays.rest.problems.server_error"
