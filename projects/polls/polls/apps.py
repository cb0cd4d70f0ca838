"""The application."""

from django.apps import AppConfig


class PollsConfig(AppConfig):
    """Everything is in one application: it has one subject."""

    name = "polls"
