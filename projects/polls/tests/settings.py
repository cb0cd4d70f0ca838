"""The project's settings, with the linter of migrations, and with Argon2 at its cheapest."""

from django.contrib.auth.hashers import Argon2PasswordHasher

from polls.settings import *  # noqa: F403


class QuickHasher(Argon2PasswordHasher):
    """The same form of hashes, for passwords that are no secrets."""

    time_cost = 1
    memory_cost = 8
    parallelism = 1


REST_FRAMEWORK["TEST_REQUEST_DEFAULT_FORMAT"] = "json"  # noqa: F405
INSTALLED_APPS += ["django_migration_linter"]  # noqa: F405
DATABASES["default"]["OPTIONS"]["options"] = ""  # noqa: F405 (forced orders hold locks for long)
PASSWORD_HASHERS = ["tests.settings.QuickHasher"]
