"""All addresses. Each application lists its addresses."""

from django.contrib import admin
from django.urls import include, path

from mysite.common.views import healthz, readyz

urlpatterns = [
    path("healthz", healthz),
    path("readyz", readyz),
    path("admin/", admin.site.urls),
    path("places/", include("mysite.listings.urls")),
]
