"""Figures in Django's admin: to look at. They are reckoned, not written."""

from django.contrib import admin

from stays.common.admin import ReadOnlyAdmin
from stays.statistics.models import DailyFigures
from stays.statistics.services import FIGURES


@admin.register(DailyFigures)
class DailyFiguresAdmin(ReadOnlyAdmin):
    """Daily figures."""

    list_display = ("day", "currency", *FIGURES)
    list_filter = ("currency",)
    date_hierarchy = "day"
    ordering = ("-day", "currency")
