"""The addresses of listings. What everybody may read is cached, with what makes it invalid."""

from django.http import HttpRequest
from django.urls import path

from stays.listings import views
from stays.rest.conditional import shared


def of_lists(request: HttpRequest) -> list[str]:
    """Return what a list or search depends on."""
    return ["listings", "bookings"] if "check_in" in request.GET else ["listings"]


def of_property(request: HttpRequest, slug: str) -> list[str]:  # noqa: ARG001
    """Return what a place's page depends on; it names the host."""
    return [f"property:{slug}", "hosts"]


urlpatterns = [
    path("cities", shared(views.CityList.as_view(), tags=of_lists), name="cities"),
    path("amenities", shared(views.AmenityList.as_view(), tags=of_lists), name="amenities"),
    path("properties", shared(views.PropertyList.as_view(), tags=of_lists), name="properties"),
    path(
        "properties/<slug:slug>",
        shared(views.PropertyDetail.as_view(), tags=of_property),
        name="property",
    ),
    path("properties/<slug:slug>/relist", views.PropertyListing.as_view(), name="property-relist"),
    path("me/properties", views.OwnPropertyList.as_view(), name="own-properties"),
]
