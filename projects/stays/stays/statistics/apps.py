"""The application."""

from django.apps import AppConfig


class StatisticsConfig(AppConfig):
    """Daily figures."""

    name = "stays.statistics"
