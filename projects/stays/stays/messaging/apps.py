"""The application."""

from django.apps import AppConfig


class MessagingConfig(AppConfig):
    """Messages between guest and host."""

    name = "stays.messaging"
