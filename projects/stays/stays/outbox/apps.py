"""The application."""

from django.apps import AppConfig


class OutboxConfig(AppConfig):
    """The tasks that wait to be sent."""

    name = "stays.outbox"
