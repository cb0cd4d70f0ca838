"""Listings in Django's admin. Whatever is changed here, everybody sees at once."""

from typing import Any

from django.contrib import admin
from django.db.models import F, Model, QuerySet
from django.http import HttpRequest

from stays.common.cache import invalidate
from stays.listings.models import Amenity, City, Property


class Published(admin.ModelAdmin):  # type: ignore[type-arg]
    """Invalidates what is cached when something is changed.

    Cities and amenities are shown with places. They seldom change: a place's own page shows the
    change when its time in the cache is up.
    """

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save, and let everybody see it."""
        super().save_related(request, form, formsets, change)
        invalidate("listings")

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        """Delete one, and let everybody see it."""
        super().delete_model(request, obj)
        invalidate("listings")

    def delete_queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> None:
        """Delete several, and let everybody see it."""
        super().delete_queryset(request, queryset)
        invalidate("listings")


@admin.register(City)
class CityAdmin(Published):
    """Cities."""

    list_display = ("name", "country", "slug", "timezone")
    list_filter = ("country",)
    search_fields = ("name", "slug")
    ordering = ("name",)


@admin.register(Amenity)
class AmenityAdmin(Published):
    """Amenities."""

    list_display = ("name", "slug")
    search_fields = ("name", "slug")
    ordering = ("name",)


@admin.register(Property)
class PropertyAdmin(Published):
    """Places. What reviews, the database and services make of them is not changed by hand."""

    list_display = ("title", "city", "host", "kind", "nightly_minor", "currency", "is_listed")
    list_filter = ("is_listed", "kind", "currency")
    list_select_related = ("city", "host")
    search_fields = ("title", "slug", "host__email")
    autocomplete_fields = ("city",)
    raw_id_fields = ("host",)
    filter_horizontal = ("amenities",)
    readonly_fields = ("rating_sum", "rating_count", "version", "created_at", "updated_at")
    ordering = ("-id",)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save, count the change, and let everybody see it."""
        super().save_related(request, form, formsets, change)
        if change:
            Property.objects.filter(pk=form.instance.pk).update(version=F("version") + 1)
        invalidate(f"property:{form.instance.slug}")

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        """Refuse: a place is taken off the list, and its bookings stay."""
        return False
