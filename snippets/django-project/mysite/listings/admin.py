"""Places in the admin: to look at. Only services change them."""

from django.contrib import admin
from django.http import HttpRequest

from mysite.listings.models import Place


@admin.register(Place)
class PlaceAdmin(admin.ModelAdmin):
    """Nobody adds, changes or deletes here, because `save()` knows no rule."""

    list_display = ("title", "host", "nightly_minor", "is_listed")
    list_select_related = ("host",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse."""
        del request
        return False

    def has_change_permission(self, request: HttpRequest, obj: Place | None = None) -> bool:
        """Refuse."""
        del request, obj
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Place | None = None) -> bool:
        """Refuse."""
        del request, obj
        return False
