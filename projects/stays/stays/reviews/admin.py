"""Reviews in Django's admin: to look at. A place's rating is the sum of them."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from stays.reviews.models import Review


@admin.register(Review)
class ReviewAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Reviews."""

    list_display = ("id", "property", "rating", "text", "created_at")
    list_filter = ("rating",)
    list_select_related = ("property",)
    search_fields = ("id__exact", "property__slug__exact", "booking__id__exact")
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
