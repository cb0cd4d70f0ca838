"""Settings for the linter of migrations, which is an application of Django's."""

from movies.settings import *  # noqa: F403
from movies.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "django_migration_linter"]
