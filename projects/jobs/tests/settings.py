"""The project's settings, and what looks at its migrations."""

from jobs.settings import *  # noqa: F403
from jobs.settings import INSTALLED_APPS, REST_FRAMEWORK

REST_FRAMEWORK = REST_FRAMEWORK | {"TEST_REQUEST_DEFAULT_FORMAT": "json"}
INSTALLED_APPS = [*INSTALLED_APPS, "django_migration_linter"]
