"""All addresses, except the probes, which `catalogue.middleware` answers first."""

from django.urls import include, path
from django.views.decorators.cache import cache_page
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView
from rest_framework.routers import SimpleRouter

from catalogue import accounts, views

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("categories", views.CategoryViewSet, basename="category")
router.register("products", views.ProductViewSet, basename="product")
router.register("orders", views.OrderViewSet, basename="order")

v1 = [
    path("auth/register", accounts.RegisterView.as_view()),
    path("auth/login", accounts.LoginView.as_view()),
    path("auth/refresh", accounts.RefreshView.as_view()),
    path("auth/logout", accounts.LogoutView.as_view()),
    path("me", accounts.MeView.as_view()),
    *router.urls,
]
urlpatterns = [
    path("", views.start),
    path("api/v1/", include(v1)),
    path("images/<slug:digest>.webp", views.image_file),
    path("api/schema", cache_page(3600)(SpectacularJSONAPIView.as_view()), name="schema"),
    path(
        "api/docs",
        SpectacularSwaggerSplitView.as_view(template_name="catalogue/docs.html"),
        name="docs",
    ),
]

handler400 = "catalogue.problems.bad_request"
handler404 = "catalogue.problems.page_not_found"
handler500 = "catalogue.problems.server_error"
