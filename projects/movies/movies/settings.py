"""Settings. All that differs between places comes from the environment.

A variable without a default must be set: the process names what is missing and does not start.
"""

from datetime import timedelta
from pathlib import Path

import environ

env = environ.Env()
BASE_DIR = Path(__file__).resolve().parent.parent

PLAIN_HTTP = env.bool("PLAIN_HTTP", default=False)
"""True on one's own machine only: no redirect to HTTPS, no HSTS."""
SECRET_KEY = env.str("SECRET_KEY")
JWT_SIGNING_KEY = env.str("JWT_SIGNING_KEY")
DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS")
ROOT_URLCONF = "movies.urls"
ASGI_APPLICATION = "movies.asgi.application"
INSTALLED_APPS = ["movies"]
# No session and no cookie: a request is known by its Authorization header alone, which no other
# site can make a browser send. That is why CSRF's middleware (security.W003) is not here.
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "movies.front.front",
]
SILENCED_SYSTEM_CHECKS = ["security.W003"]
APPEND_SLASH = False

# -- PostgreSQL
DATABASES = {"default": env.db("DATABASE_URL")}
# Under ASGI each request has a thread of its own, so that a kept connection would never be met
# again.
DATABASES["default"]["CONN_MAX_AGE"] = 0
DATABASES["default"].setdefault("OPTIONS", {}).update(
    connect_timeout=3, options="-c statement_timeout=5000 -c lock_timeout=3000"
)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False

# -- Who may come in
AUTH_USER_MODEL = "movies.User"
PASSWORD_HASHERS = ["movies.hashers.Argon2Hasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
    for name, options in (
        ("UserAttributeSimilarityValidator", {"user_attributes": ["email"]}),
        ("MinimumLengthValidator", {"min_length": 8}),
        ("CommonPasswordValidator", {}),
        ("NumericPasswordValidator", {}),
    )
]
ACCESS_LIFETIME = timedelta(minutes=10)
REFRESH_LIFETIME = timedelta(days=14)
REUSE_GRACE = timedelta(seconds=10)
"""A used refresh token that comes again sooner is a repeated request, later it is a theft."""
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=0)
"""How many proxies of our own stand in front, each adding to X-Forwarded-For."""
LOGIN_LIMIT_ACCOUNT = env.int("LOGIN_LIMIT_ACCOUNT", default=10)  # in 15 minutes
LOGIN_LIMIT_ADDRESS = env.int("LOGIN_LIMIT_ADDRESS", default=50)  # in 15 minutes
REGISTER_LIMIT = env.int("REGISTER_LIMIT", default=20)  # in an hour, by address
REQUEST_LIMIT = env.int("REQUEST_LIMIT", default=300)  # in a minute, by address
MAX_BODY = 16 * 1024
MAX_FAVORITES = env.int("MAX_FAVORITES", default=1000)

# -- The outside, and what is kept of it
TMDB_URL = env.str("TMDB_URL")
TMDB_TOKEN = env.str("TMDB_TOKEN")
VALKEY_URL = env.str("VALKEY_URL")
OUTSIDE = {
    "connect": env.float("OUTSIDE_CONNECT_SECONDS", default=0.5),
    "read": env.float("OUTSIDE_READ_SECONDS", default=1.5),
    "deadline": env.float("OUTSIDE_DEADLINE_SECONDS", default=3.0),
    "attempts": env.int("OUTSIDE_ATTEMPTS", default=3),
    "connections": env.int("OUTSIDE_CONNECTIONS", default=20),
    "failures": env.int("OUTSIDE_FAILURES", default=5),
    "open": env.float("OUTSIDE_OPEN_SECONDS", default=10.0),
}
KEPT = {  # seconds, named as in RFC 5861; each window begins where the one before it ends
    "fresh": env.float("FRESH_SECONDS", default=300.0),
    "while_revalidate": env.float("STALE_WHILE_REVALIDATE_SECONDS", default=3_600.0),
    "if_error": env.float("STALE_IF_ERROR_SECONDS", default=7 * 86_400.0),
    "absent": env.float("ABSENT_SECONDS", default=60.0),
    "failure": env.float("FAILURE_SECONDS", default=1.0),
}

# -- Headers
SECURE_SSL_REDIRECT = not PLAIN_HTTP
SECURE_REDIRECT_EXEMPT = ["^healthz$", "^readyz$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
SECURE_HSTS_SECONDS = 0 if PLAIN_HTTP else 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = not PLAIN_HTTP
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
TEMPLATES = [
    {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True},
]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"},
    },
    "handlers": {"out": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["out"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        # httpx says each address that it asks: a line for each request that goes out.
        "httpx": {"level": "WARNING"},
        "django.request": {"level": "ERROR"},
    },
}
