"""Bookings in Django's admin: to look at. Services alone change them."""

from django.contrib import admin

from stays.bookings.models import Booking
from stays.common.admin import ReadOnlyAdmin


@admin.register(Booking)
class BookingAdmin(ReadOnlyAdmin):
    """Bookings."""

    list_display = ("id", "property", "guest", "stay", "status", "total_minor", "currency")
    list_filter = ("status", "currency")
    list_select_related = ("property", "guest")
    search_fields = ("id__exact", "property__slug__exact", "guest__email__exact")
    ordering = ("-id",)
