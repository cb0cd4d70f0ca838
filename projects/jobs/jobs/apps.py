"""The one Django application of this project."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """Its name, for INSTALLED_APPS."""

    name = "jobs"
