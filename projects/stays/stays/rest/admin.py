"""Stored answers, to be looked at."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from stays.rest.models import StoredAnswer


@admin.register(StoredAnswer)
class StoredAnswerAdmin(admin.ModelAdmin):
    """Answers to requests with an Idempotency-Key. Nobody edits them."""

    list_display = ("key", "client", "status", "created_at")
    list_filter = ("status",)
    search_fields = ("=key", "=client")
    ordering = ("-id",)
    fields = ("client", "key", "fingerprint", "status", "headers", "created_at")
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """They are made by requests."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """They are what a client was told."""
        return False
