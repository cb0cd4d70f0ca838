"""The project's settings, and what looks at its migrations."""

from jobs.settings import *  # noqa: F403
from jobs.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "django_migration_linter"]
