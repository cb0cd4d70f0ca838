"""Conversations in Django's admin: that they are, not what they say."""

from django.contrib import admin

from stays.common.admin import ReadOnlyAdmin
from stays.messaging.models import Conversation


@admin.register(Conversation)
class ConversationAdmin(ReadOnlyAdmin):
    """Conversations."""

    list_display = ("id", "property", "guest", "created_at")
    list_select_related = ("property", "guest")
    search_fields = ("id__exact", "property__slug__exact", "guest__email__exact")
    ordering = ("-id",)
