"""The application."""

from django.apps import AppConfig


class BookingsConfig(AppConfig):
    """Bookings."""

    name = "stays.bookings"
