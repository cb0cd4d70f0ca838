"""The application."""

from django.apps import AppConfig


class PaymentsConfig(AppConfig):
    """Payments."""

    name = "stays.payments"
