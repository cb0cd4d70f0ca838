"""Stored answers, to be looked at."""

from django.contrib import admin

from stays.common.admin import ReadOnlyAdmin
from stays.rest.models import StoredAnswer


@admin.register(StoredAnswer)
class StoredAnswerAdmin(ReadOnlyAdmin):
    """Answers to requests with an Idempotency-Key. Nobody edits them."""

    list_display = ("key", "client", "status", "created_at")
    list_filter = ("status",)
    search_fields = ("=key", "=client")
    ordering = ("-id",)
    fields = ("client", "key", "fingerprint", "status", "headers", "created_at")
    readonly_fields = fields
