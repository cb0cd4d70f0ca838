"""Settings. Every value that differs between two deployments comes from the environment.

A secret or an address has no default. Without it a process does not start, and the error names the
variable. Every default is the safe value. `.env.example` lists all variables.
"""

from pathlib import Path

import environ

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
env.read_env(BASE_DIR / ".env")  # on your own machine; the real environment wins

# -- What this deployment is
SECRET_KEY = env.str("SECRET_KEY")
ALLOWED_HOSTS = [name.strip() for name in env.list("ALLOWED_HOSTS")]
DEBUG = env.bool("DEBUG", default=False)
"""For your own machine: tracebacks for everybody, no HTTPS, no collected files."""

# -- Django
INSTALLED_APPS = [
    "mysite.accounts",
    "mysite.listings",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "mysite.common.middleware.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "mysite.urls"
WSGI_APPLICATION = "mysite.wsgi.application"
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
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"

# -- PostgreSQL
DATABASES = {
    "default": {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
    | env.db_url("DATABASE_URL", engine="django.db.backends.postgresql")
}
_options = DATABASES["default"].setdefault("OPTIONS", {})  # those of DATABASE_URL win
_options.setdefault("connect_timeout", 5)  # seconds
if _limit := env.int("STATEMENT_TIMEOUT_MS", default=20_000):
    # A slow statement must not hold a thread for ever. PgBouncer refuses this parameter: set 0
    # there, and `ALTER ROLE … SET statement_timeout` in PostgreSQL.
    _options.setdefault("options", f"-c statement_timeout={_limit}")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# -- Who may come in
AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

# -- Static files: the admin's
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "static"  # filled by collectstatic
WHITENOISE_USE_FINDERS = DEBUG  # straight from the packages
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# -- HTTPS, which a proxy in front ends
SECURE_SSL_REDIRECT = not DEBUG
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]  # probes speak plain HTTP
if env.bool("BEHIND_PROXY", default=False):
    # Only if the proxy sets this header itself. Otherwise any client could say that it uses HTTPS.
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 0 if DEBUG else env.int("HSTS_SECONDS", default=3600)
SECURE_HSTS_INCLUDE_SUBDOMAINS = not DEBUG
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEBUG
SILENCED_SYSTEM_CHECKS = ["security.W021"]  # leaving browsers' preload list takes months

# -- Logs: lines on standard output, where your platform collects them
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {
        "stdout": {
            "class": "logging.StreamHandler",
            "stream": "ext://sys.stdout",
            "formatter": "line",
        }
    },
    "root": {"handlers": ["stdout"], "level": env.str("LOG_LEVEL", default="INFO")},
    # Without DEBUG, Django's own handlers write nothing; they only send e-mails to ADMINS.
    "loggers": {"django": {"handlers": [], "level": "NOTSET", "propagate": True}},
}
