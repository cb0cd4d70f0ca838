"""The outbox in Django's admin: to look at."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from stays.outbox.models import OutboxMessage


@admin.register(OutboxMessage)
class OutboxMessageAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Tasks, sent and waiting."""

    list_display = ("id", "task", "created_at", "sent_at", "request_id")
    list_filter = ("task", ("sent_at", admin.EmptyFieldListFilter))
    search_fields = ("id__exact", "request_id__exact")
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
