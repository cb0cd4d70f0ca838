"""The application."""

from django.apps import AppConfig


class ListingsConfig(AppConfig):
    """Properties, cities, amenities."""

    name = "stays.listings"
