"""The project's settings, with what only tests need."""

import atexit
import os
import tempfile

os.environ.setdefault("PLAIN_HTTP", "true")

from catalogue.settings import *  # noqa: F403
from catalogue.settings import INSTALLED_APPS, REST_FRAMEWORK

INSTALLED_APPS += ["django_migration_linter"]
REST_FRAMEWORK = REST_FRAMEWORK | {"TEST_REQUEST_DEFAULT_FORMAT": "json"}
ALLOWED_HOSTS = ["*"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # fast
_media = tempfile.TemporaryDirectory(prefix="catalogue-")
atexit.register(_media.cleanup)
MEDIA_ROOT = _media.name  # for what no fixture's own folder reaches
