"""The application's entry."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Users. `label` is what migrations and AUTH_USER_MODEL call it: never change it."""

    name = "mysite.accounts"
    label = "accounts"
