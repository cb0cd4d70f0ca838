"""The application's entry."""

from django.apps import AppConfig


class ListingsConfig(AppConfig):
    """Places that hosts offer."""

    name = "mysite.listings"
    label = "listings"
