"""All addresses.

The probes /healthz and /readyz are not here: stays.operations.middleware answers them first.
"""

from django.contrib import admin
from django.http import HttpRequest
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView

from stays.accounts import views as accounts
from stays.bookings import views as bookings
from stays.graph.views import GraphQLView
from stays.listings import views as listings
from stays.messaging import views as messaging
from stays.operations.metrics import metrics
from stays.operations.views import start
from stays.payments import views as payments
from stays.rest.conditional import shared
from stays.reviews import views as reviews
from stays.statistics.views import StatisticsView


def of_lists(request: HttpRequest) -> list[str]:
    """Return what makes a cached list or search invalid."""
    return ["listings", "bookings"] if "check_in" in request.GET else ["listings"]


def of_property(request: HttpRequest, slug: str) -> list[str]:  # noqa: ARG001
    """Return what makes a place's cached page invalid; it names the host."""
    return [f"property:{slug}", "hosts"]


# What everybody may read of listings is cached.
cities = shared(listings.CityList.as_view(), tags=of_lists)
amenities = shared(listings.AmenityList.as_view(), tags=of_lists)
properties = shared(listings.PropertyList.as_view(), tags=of_lists)
one_property = shared(listings.PropertyDetail.as_view(), tags=of_property)

api = [
    path("auth/register", accounts.RegisterView.as_view(), name="register"),
    path("auth/login", accounts.LoginView.as_view(), name="login"),
    path("auth/refresh", accounts.RefreshView.as_view(), name="refresh"),
    path("auth/logout", accounts.LogoutView.as_view(), name="logout"),
    path("auth/reset", accounts.ResetRequestView.as_view(), name="reset-request"),
    path("auth/reset/confirm", accounts.ResetView.as_view(), name="reset"),
    path("auth/verify", accounts.VerificationView.as_view(), name="verify"),
    path("me", accounts.MeView.as_view(), name="me"),
    path("me/password", accounts.PasswordView.as_view(), name="password"),
    path("me/verification", accounts.VerificationRequestView.as_view(), name="verification"),
    path("me/sessions", accounts.SessionList.as_view(), name="sessions"),
    path("me/sessions/<uuid:session_id>", accounts.SessionDetail.as_view(), name="session"),
    path("me/hosting", accounts.HostingView.as_view(), name="hosting"),
    path("me/properties", listings.OwnPropertyList.as_view(), name="own-properties"),
    path("cities", cities, name="cities"),
    path("amenities", amenities, name="amenities"),
    path("properties", properties, name="properties"),
    path("properties/<slug:slug>", one_property, name="property"),
    path("properties/<slug:slug>/relist", listings.Relisting.as_view(), name="property-relist"),
    path("properties/<slug:slug>/reviews", reviews.PropertyReviews.as_view()),
    path("bookings", bookings.BookingList.as_view(), name="bookings"),
    path("bookings/<uuid:booking_id>", bookings.BookingDetail.as_view(), name="booking"),
    path("bookings/<uuid:booking_id>/confirm", bookings.BookingConfirmation.as_view()),
    path("bookings/<uuid:booking_id>/cancel", bookings.BookingCancellation.as_view()),
    path("bookings/<uuid:booking_id>/payments", payments.PaymentsView.as_view(), name="payments"),
    path("bookings/<uuid:booking_id>/review", reviews.BookingReview.as_view()),
    path("webhooks/payments", payments.PaymentEventsView.as_view(), name="payment-events"),
    path("conversations", messaging.ConversationList.as_view()),
    path(
        "conversations/<uuid:conversation_id>/messages",
        messaging.MessageList.as_view(),
        name="messages",
    ),
    path("conversations/<uuid:conversation_id>/read", messaging.ConversationRead.as_view()),
    path("statistics", StatisticsView.as_view(), name="statistics"),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("", start, name="start"),
    path("admin/", admin.site.urls),
    path("api/v1/", include(api)),
    path("api/schema", SpectacularJSONAPIView.as_view(), name="schema"),
    path(
        "api/docs",
        SpectacularSwaggerSplitView.as_view(template_name="operations/docs.html"),
        name="docs",
    ),
    path("graphql", GraphQLView.as_view(), name="graphql"),
    path("metrics", metrics, name="metrics"),
]

handler400 = "stays.rest.problems.bad_request"
handler403 = "stays.rest.problems.permission_denied"
handler404 = "stays.rest.problems.page_not_found"
handler500 = "stays.rest.problems.server_error"
