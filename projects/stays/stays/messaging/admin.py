"""Conversations in Django's admin: that they are, not what they say."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from stays.messaging.models import Conversation


@admin.register(Conversation)
class ConversationAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Conversations."""

    list_display = ("id", "property", "guest", "created_at")
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
