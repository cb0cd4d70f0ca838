"""The project's settings, with what only tests need."""

import atexit
import os
import tempfile

os.environ.setdefault("PLAIN_HTTP", "true")

from catalogue.settings import *  # noqa: F403
from catalogue.settings import INSTALLED_APPS

INSTALLED_APPS += ["django_migration_linter"]
ALLOWED_HOSTS = ["*"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # fast
_media = tempfile.TemporaryDirectory(prefix="catalogue-")
atexit.register(_media.cleanup)
MEDIA_ROOT = _media.name  # for what no fixture's own folder reaches
