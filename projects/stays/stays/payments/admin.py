"""Payments in Django's admin: to look at. Services alone change them."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from stays.payments.models import Payment, ProviderEvent


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]
    """Nothing can be added, changed or deleted."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Nobody may."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Nobody may."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Nobody may."""
        return False


@admin.register(Payment)
class PaymentAdmin(ReadOnly):
    """Payments."""

    list_display = ("id", "booking_id", "amount_minor", "currency", "status", "created_at")
    list_filter = ("status", "currency")
    search_fields = ("id__exact", "booking__id__exact", "provider_reference__exact")
    ordering = ("-id",)
    show_full_result_count = False


@admin.register(ProviderEvent)
class ProviderEventAdmin(ReadOnly):
    """What the provider told."""

    list_display = ("id", "kind", "payment_id", "received_at")
    list_filter = ("kind",)
    search_fields = ("id__exact", "payment__id__exact")
    ordering = ("-received_at",)
    show_full_result_count = False
