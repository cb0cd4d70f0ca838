"""All addresses, except the probes, which `catalogue.middleware` answers first."""

import re

from django.urls import path, register_converter
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView

from catalogue import accounts, views


class Number:
    """A product's id, as PostgreSQL can hold it."""

    regex = "[0-9]{1,19}"

    def to_python(self, value: str) -> int:
        """Return the number.

        Raises:
            ValueError: If it is larger than any id. That is a 404.
        """
        if int(value) >= 2**63:
            raise ValueError
        return int(value)

    def to_url(self, value: int) -> str:
        """Return the text."""
        return str(value)


class Digest(Number):
    """A SHA-256 in hexadecimal. It is the only part of a file's path that a client can say."""

    regex = "[0-9a-f]{64}"

    def to_python(self, value: str) -> str:  # type: ignore[override]
        """Return the text."""
        return re.fullmatch(self.regex, value)[0]  # type: ignore[index]


register_converter(Number, "number")
register_converter(Digest, "digest")

V1 = "api/v1"
urlpatterns = [
    path("", views.start, name="start"),
    path(f"{V1}/auth/register", accounts.RegisterView.as_view()),
    path(f"{V1}/auth/login", accounts.LoginView.as_view()),
    path(f"{V1}/auth/refresh", accounts.RefreshView.as_view()),
    path(f"{V1}/auth/logout", accounts.LogoutView.as_view()),
    path(f"{V1}/me", accounts.MeView.as_view()),
    path(f"{V1}/categories", views.CategoriesView.as_view()),
    path(f"{V1}/categories/<slug:slug>", views.CategoryView.as_view()),
    path(f"{V1}/products", views.ProductsView.as_view(), name="products"),
    path(f"{V1}/products/facets", views.FacetsView.as_view(), name="facets"),
    path(f"{V1}/products/<number:number>", views.ProductView.as_view()),
    path(f"{V1}/products/<number:number>/stock", views.StockView.as_view()),
    path(f"{V1}/products/<number:number>/images", views.ImagesView.as_view()),
    path(f"{V1}/products/<number:number>/images/<digest:digest>", views.ImageView.as_view()),
    path(f"{V1}/orders", views.OrdersView.as_view()),
    path(f"{V1}/orders/<uuid:number>", views.OrderView.as_view()),
    path(f"{V1}/orders/<uuid:number>/cancel", views.CancelView.as_view()),
    path("images/<digest:digest>.webp", views.image_file),
    path("api/schema", SpectacularJSONAPIView.as_view(), name="schema"),
    path(
        "api/docs",
        SpectacularSwaggerSplitView.as_view(template_name="catalogue/docs.html"),
        name="docs",
    ),
]

handler400 = "catalogue.problems.bad_request"
handler404 = "catalogue.problems.page_not_found"
handler500 = "catalogue.problems.server_error"
