"""The application."""

from django.apps import AppConfig


class SeedingConfig(AppConfig):
    """It knows all the others, and none of them knows it."""

    name = "stays.seeding"
