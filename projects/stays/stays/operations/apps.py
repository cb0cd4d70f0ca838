"""The application."""

from django.apps import AppConfig


class OperationsConfig(AppConfig):
    """Health, logs, metrics, traces, headers."""

    name = "stays.operations"
