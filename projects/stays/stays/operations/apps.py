"""The application."""

from django.apps import AppConfig


class OperationsConfig(AppConfig):
    """Health, logs, metrics, traces, headers."""

    name = "stays.operations"

    def ready(self) -> None:
        """Register the system checks."""
        from stays.operations import checks  # noqa: F401
