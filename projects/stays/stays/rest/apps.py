"""The application."""

from django.apps import AppConfig


class RestConfig(AppConfig):
    """What all of the REST API shares."""

    name = "stays.rest"
