"""Settings. All that differs between two deployments comes from the environment.

Secrets and addresses have no default. A process that lacks one does not start, and Django's error
names the variable. Everything that has a default has the safe one. `.env.example` lists them all.
"""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import environ

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

# -- What this deployment is
SECRET_KEY = env.str("SECRET_KEY")
DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS = [name.strip() for name in env.list("ALLOWED_HOSTS")]
PLAIN_HTTP = env.bool("PLAIN_HTTP", default=False)
"""For a machine of one's own: no redirect to HTTPS."""
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=0)
"""How many proxies of our own stand in front, each adding to X-Forwarded-For."""

# -- Django
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
    "rest_framework_simplejwt.token_blacklist",
    "catalogue",
    *(["demo"] if PLAIN_HTTP else []),  # `manage.py seed`
]
MIDDLEWARE = [
    "catalogue.middleware.probes",  # nothing below can refuse or redirect a probe
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "catalogue.middleware.headers",
    "catalogue.middleware.body_limit",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
# There is no cookie, so there is nothing for a CSRF token to protect.
SILENCED_SYSTEM_CHECKS = ["security.W003"]
ROOT_URLCONF = "catalogue.urls"
APPEND_SLASH = False
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
USE_I18N = False
TIME_ZONE = "UTC"
MAX_BODY = 64_000
"""Bytes of a body of JSON."""
MAX_IMAGE_BYTES = env.int("MAX_IMAGE_BYTES", default=2_000_000)
MAX_IMAGE_PIXELS = env.int("MAX_IMAGE_PIXELS", default=12_000_000)
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY
DATA_UPLOAD_MAX_NUMBER_FILES = 1
MEDIA_ROOT = Path(env.str("MEDIA_ROOT"))

# -- PostgreSQL
DATABASES = {
    "default": {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
    | env.db_url("DATABASE_URL", engine="django.db.backends.postgresql")
}
_options = DATABASES["default"].setdefault("OPTIONS", {})
_options.setdefault("connect_timeout", 5)  # seconds
_options["options"] = (
    f"-c statement_timeout={env.int('STATEMENT_TIMEOUT_MS', default=5_000)}"
    f" -c lock_timeout={env.int('LOCK_TIMEOUT_MS', default=4_000)}"
    f" {_options.get('options', '')}"
).strip()
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# -- Who may come in
AUTH_USER_MODEL = "catalogue.User"
PASSWORD_HASHERS = ["catalogue.hashers.Argon2Hasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
    for name, options in (
        ("UserAttributeSimilarityValidator", {"user_attributes": ["email", "name"]}),
        ("MinimumLengthValidator", {"min_length": 10}),
        ("CommonPasswordValidator", {}),
        ("NumericPasswordValidator", {}),
    )
]
ATTEMPTS_ACCOUNT = env.int("ATTEMPTS_ACCOUNT", default=10)
ATTEMPTS_ADDRESS = env.int("ATTEMPTS_ADDRESS", default=50)
ATTEMPTS_WINDOW = timedelta(minutes=15)
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=5),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=7),
    "CHECK_REVOKE_TOKEN": True,  # a token ends with the password that it was given for
    "ALGORITHM": "HS256",
    "SIGNING_KEY": env.str("JWT_SIGNING_KEY"),
    "ISSUER": "catalogue",
    "AUDIENCE": "catalogue",
}

# -- The shop
CURRENCIES = {"EUR": 2, "JPY": 0, "KES": 2, "KWD": 3}
"""The currencies that products may have, with the digits of their minor units (ISO 4217)."""
VAT_PERCENT = Decimal(env.str("VAT_PERCENT", default="19"))
"""The part of value-added tax that every price includes."""

# -- REST
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["catalogue.fields.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "catalogue.openapi.ProblemAutoSchema",
    "EXCEPTION_HANDLER": "catalogue.problems.handle",
    "NUM_PROXIES": TRUSTED_PROXIES,
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Catalogue",
    "DESCRIPTION": "A product catalogue: search, facets, stock and orders.",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.0",
    "SERVE_AUTHENTICATION": [],
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVERS": [{"url": "/", "description": "This site"}],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# -- Static files: those of the API's description
STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = PLAIN_HTTP  # straight from the packages
STATIC_ROOT = None if PLAIN_HTTP else BASE_DIR / "static"  # filled by collectstatic
STORAGES = {
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if PLAIN_HTTP
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# -- Headers
SECURE_SSL_REDIRECT = not PLAIN_HTTP
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
SECURE_HSTS_SECONDS = 0 if PLAIN_HTTP else 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = not PLAIN_HTTP
SECURE_HSTS_PRELOAD = not PLAIN_HTTP

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {"django.server": {"level": "WARNING"}},
}
