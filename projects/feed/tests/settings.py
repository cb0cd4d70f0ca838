"""The project's settings, with what only checks need."""

from feed.settings import *  # noqa: F403
from feed.settings import INSTALLED_APPS

INSTALLED_APPS += ["django_migration_linter"]
