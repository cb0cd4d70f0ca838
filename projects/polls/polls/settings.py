"""Settings. All that differs between two deployments comes from the environment.

Secrets and addresses have no default: a process that lacks one does not start, and the error names
the variable. Everything that has a default has the safe one.
"""

from pathlib import Path

import environ

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

# -- What this deployment is
SECRET_KEY = env.str("SECRET_KEY")
DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS = [name.strip() for name in env.list("ALLOWED_HOSTS")]
CSRF_TRUSTED_ORIGINS = [name.strip() for name in env.list("CSRF_TRUSTED_ORIGINS", default=[])]
PLAIN_HTTP = env.bool("PLAIN_HTTP", default=False)
"""For a machine of one's own: no redirect to HTTPS, and cookies that travel without it."""

# -- Django
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
    "polls",
    *(["demo"] if PLAIN_HTTP else []),  # `manage.py seed`
]
MIDDLEWARE = [
    "polls.middleware.probes",  # nothing below can refuse or redirect a probe
    "django.middleware.security.SecurityMiddleware",
    "polls.middleware.StaticFiles",
    "polls.middleware.headers",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "polls.urls"
ASGI_APPLICATION = "polls.asgi.application"
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
USE_I18N = False
TIME_ZONE = "UTC"
DATA_UPLOAD_MAX_MEMORY_SIZE = 32_000  # bytes; the longest poll in JSON has half
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

# -- PostgreSQL
# Under ASGI each request has a thread of its own, and a connection that outlives its request would
# outlive its thread. So CONN_MAX_AGE stays 0. Where that costs too much, put PgBouncer in front, in
# session mode: LISTEN does not work in transaction mode.
DATABASES = {"default": env.db_url("DATABASE_URL", engine="django.db.backends.postgresql")}
_options = DATABASES["default"].setdefault("OPTIONS", {})
_options.setdefault("connect_timeout", 5)  # seconds
_options["options"] = (
    f"-c statement_timeout={env.int('STATEMENT_TIMEOUT_MS', default=10_000)}"
    f" -c lock_timeout={env.int('LOCK_TIMEOUT_MS', default=5_000)}"
    f" {_options.get('options', '')}"
).strip()
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# -- Who may come in
AUTH_USER_MODEL = "polls.User"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = "home"
PASSWORD_HASHERS = ["polls.hashers.Argon2Hasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
    for name, options in (
        ("UserAttributeSimilarityValidator", {"user_attributes": ["username"]}),
        ("MinimumLengthValidator", {"min_length": 10}),
        ("CommonPasswordValidator", {}),
        ("NumericPasswordValidator", {}),
    )
]
TOKEN_DAYS = env.int("TOKEN_DAYS", default=14)
"""How long a token of the API is good."""
ATTEMPTS_SECONDS = env.int("ATTEMPTS_SECONDS", default=900)
"""The window in which the attempts below are counted."""
ATTEMPTS_ACCOUNT = env.int("ATTEMPTS_ACCOUNT", default=10)
ATTEMPTS_ADDRESS = env.int("ATTEMPTS_ADDRESS", default=50)
ATTEMPTS_REGISTER = env.int("ATTEMPTS_REGISTER", default=20)

# -- Live results
STREAM_LIMIT = env.int("STREAM_LIMIT", default=100)
"""Streams that a process serves at once."""
STREAM_LIMIT_CLIENT = env.int("STREAM_LIMIT_CLIENT", default=6)
"""Streams at once for one address."""
STREAM_PAUSE = env.float("STREAM_PAUSE", default=0.25)
"""Seconds in which changes are collected: however many votes, one read for all streams."""
STREAM_HEARTBEAT = env.float("STREAM_HEARTBEAT", default=15)
STREAM_SECONDS = env.float("STREAM_SECONDS", default=600)
"""After which a stream ends. The client connects again, and is asked anew who it is."""

# -- REST
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["polls.accounts.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["polls.fields.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "polls.openapi.ProblemAutoSchema",
    "EXCEPTION_HANDLER": "polls.problems.handle",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Polls",
    "DESCRIPTION": "Online polls: one vote a person, and live results.",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.0",
    "SERVE_AUTHENTICATION": [],
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVERS": [{"url": "/", "description": "This site"}],
    "POSTPROCESSING_HOOKS": ["polls.openapi.add_stream"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# -- Static files: the pages' and the API documentation's
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
# X-Forwarded-Proto is read by uvicorn, which believes only FORWARDED_ALLOW_IPS.
SECURE_HSTS_SECONDS = 0 if PLAIN_HTTP else 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = not PLAIN_HTTP
SECURE_HSTS_PRELOAD = not PLAIN_HTTP
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not PLAIN_HTTP
CSRF_FAILURE_VIEW = "polls.problems.csrf_failure"
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="WARNING")},
}
