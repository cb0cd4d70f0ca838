"""The application."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Users and their sessions."""

    name = "stays.accounts"
