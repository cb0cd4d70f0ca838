"""Payments in Django's admin: to look at. Services alone change them."""

from django.contrib import admin

from stays.common.admin import ReadOnlyAdmin
from stays.payments.models import Payment, ProviderEvent


@admin.register(Payment)
class PaymentAdmin(ReadOnlyAdmin):
    """Payments."""

    list_display = ("id", "booking_id", "amount_minor", "currency", "status", "created_at")
    list_filter = ("status", "currency")
    search_fields = ("id__exact", "booking__id__exact", "provider_reference__exact")
    ordering = ("-id",)


@admin.register(ProviderEvent)
class ProviderEventAdmin(ReadOnlyAdmin):
    """What the provider told."""

    list_display = ("id", "kind", "payment_id", "received_at")
    list_filter = ("kind",)
    search_fields = ("id__exact", "payment__id__exact")
    ordering = ("-received_at",)
