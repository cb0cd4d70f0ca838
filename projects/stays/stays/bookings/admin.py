"""Bookings in Django's admin: to look at. Services alone change them."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from stays.bookings.models import Booking


@admin.register(Booking)
class BookingAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Bookings."""

    list_display = ("id", "property", "guest", "stay", "status", "total_minor", "currency")
    list_filter = ("status", "currency")
    list_select_related = ("property", "guest")
    search_fields = ("id__exact", "property__slug__exact", "guest__email__exact")
    ordering = ("-id",)
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Nobody may."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Nobody may."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Nobody may."""
        return False
