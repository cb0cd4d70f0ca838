"""The application."""

from django.apps import AppConfig


class CommonConfig(AppConfig):
    """What the other applications share."""

    name = "stays.common"
