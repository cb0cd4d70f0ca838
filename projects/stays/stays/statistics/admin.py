"""Figures in Django's admin: to look at. They are reckoned, not written."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from stays.statistics.models import DailyFigures
from stays.statistics.services import FIGURES


@admin.register(DailyFigures)
class DailyFiguresAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Daily figures."""

    list_display = ("day", "currency", *FIGURES)
    list_filter = ("currency",)
    date_hierarchy = "day"
    ordering = ("-day", "currency")

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Nobody may."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Nobody may."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Nobody may."""
        return False
