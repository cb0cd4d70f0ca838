"""The outbox in Django's admin: to look at."""

from django.contrib import admin

from stays.common.admin import ReadOnlyAdmin
from stays.outbox.models import OutboxMessage


@admin.register(OutboxMessage)
class OutboxMessageAdmin(ReadOnlyAdmin):
    """Tasks, sent and waiting."""

    list_display = ("id", "task", "created_at", "sent_at", "request_id")
    list_filter = ("task", ("sent_at", admin.EmptyFieldListFilter))
    search_fields = ("id__exact", "request_id__exact")
    ordering = ("-id",)
