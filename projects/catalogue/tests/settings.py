"""The project's settings, with what only tests need."""

import os
import tempfile

os.environ.setdefault("PLAIN_HTTP", "true")

from catalogue.settings import *  # noqa: F403
from catalogue.settings import INSTALLED_APPS

INSTALLED_APPS += ["django_migration_linter"]
ALLOWED_HOSTS = ["*"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # fast
MEDIA_ROOT = tempfile.gettempdir() + "/replaced-by-a-fixture"
