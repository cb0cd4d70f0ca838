"""Settings. All that differs between two deployments comes from the environment.

Secrets and addresses have no default: a process that lacks one does not start, and Django's error
names the variable. Everything that has a default has the safe one.
"""

from datetime import timedelta
from pathlib import Path

import environ

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

SECRET_KEY = env.str("SECRET_KEY")
DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS = [name.strip() for name in env.list("ALLOWED_HOSTS")]
PLAIN_HTTP = env.bool("PLAIN_HTTP", default=False)
"""For a machine of one's own: no redirect to HTTPS."""
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=0)
"""How many proxies of our own stand in front, each adding to X-Forwarded-For."""

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "ninja",  # for the files of its reference page
    "strawberry_django",
    "feed",
    *(["demo"] if PLAIN_HTTP else []),  # `manage.py seed`
]
MIDDLEWARE = [
    "feed.middleware.probes",  # nothing below can refuse or redirect a probe
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "feed.middleware.headers",
    "feed.middleware.one_form_of_errors",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
# There is no cookie and no session, so there is nothing for a CSRF token to protect.
SILENCED_SYSTEM_CHECKS = ["security.W003"]
ROOT_URLCONF = "feed.urls"
WSGI_APPLICATION = "feed.wsgi.application"
APPEND_SLASH = False
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
USE_I18N = False
TIME_ZONE = "UTC"
DATA_UPLOAD_MAX_MEMORY_SIZE = 100_000  # bytes

# -- PostgreSQL
DATABASES = {
    "default": {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
    | env.db_url("DATABASE_URL", engine="django.db.backends.postgresql")
}
_options = DATABASES["default"].setdefault("OPTIONS", {})
_options.setdefault("connect_timeout", 5)  # seconds
_options["options"] = (
    f"-c statement_timeout={env.int('STATEMENT_TIMEOUT_MS', default=10_000)}"
    f" -c lock_timeout={env.int('LOCK_TIMEOUT_MS', default=5_000)}"
    # Each statement here is small. Compiling one would take longer than running it.
    f" -c jit=off {_options.get('options', '')}"
).strip()
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# -- Accounts
AUTH_USER_MODEL = "feed.User"
PASSWORD_HASHERS = ["feed.hashers.Argon2Hasher"]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": env.int("PASSWORD_MIN_LENGTH", default=8)},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
TOKEN_LIFETIME = timedelta(days=env.int("TOKEN_DAYS", default=30))
LOG_INS_PER_ACCOUNT = env.int("LOG_INS_PER_ACCOUNT", default=10)
LOG_INS_PER_ADDRESS = env.int("LOG_INS_PER_ADDRESS", default=100)
REGISTRATIONS_PER_ADDRESS = env.int("REGISTRATIONS_PER_ADDRESS", default=100)
ATTEMPTS_WINDOW = timedelta(minutes=15)

# -- The feed
TIMELINE = env.str("TIMELINE", default="read")
"""`read`: a timeline is a query. `write`: each post is copied to its author's followers."""
MAX_FOLLOWED = env.int("MAX_FOLLOWED", default=1_000)
"""How many a user may follow. It bounds what a timeline costs, see README.md."""
GRAPHQL_INTROSPECTION = env.bool("GRAPHQL_INTROSPECTION", default=False)
"""Whether clients may query the schema. `/schema.graphql` has it in any case, and costs less."""

# -- Static files: the query page's and the REST reference's
STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = PLAIN_HTTP  # straight from the packages
STATIC_ROOT = None if PLAIN_HTTP else BASE_DIR / "static"  # filled by collectstatic
STORAGES = {
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if PLAIN_HTTP
        else "whitenoise.storage.CompressedStaticFilesStorage"
    },
}

# -- Headers
SECURE_SSL_REDIRECT = not PLAIN_HTTP
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
SECURE_HSTS_SECONDS = 0 if PLAIN_HTTP else 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = not PLAIN_HTTP
SECURE_HSTS_PRELOAD = not PLAIN_HTTP
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none';"
    " form-action 'self'; frame-ancestors 'none'"
)

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {"django.request": {"level": "ERROR"}},
}
