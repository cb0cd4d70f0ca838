"""Reviews in Django's admin: to look at. A place's rating is the sum of them."""

from django.contrib import admin

from stays.common.admin import ReadOnlyAdmin
from stays.reviews.models import Review


@admin.register(Review)
class ReviewAdmin(ReadOnlyAdmin):
    """Reviews."""

    list_display = ("id", "property", "rating", "text", "created_at")
    list_filter = ("rating",)
    list_select_related = ("property",)
    search_fields = ("id__exact", "property__slug__exact", "booking__id__exact")
    ordering = ("-id",)
