"""Addresses under /api/v1/."""

from django.urls import path

from stays.payments.views import PaymentEventsView, PaymentsView

urlpatterns = [
    path("bookings/<uuid:booking_id>/payments", PaymentsView.as_view(), name="payments"),
    path("webhooks/payments", PaymentEventsView.as_view(), name="payment-events"),
]
