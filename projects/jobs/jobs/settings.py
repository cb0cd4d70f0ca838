"""Settings. All that differs between two deployments comes from the environment.

Secrets and addresses have no default. A process that lacks one does not start, and the error names
the variable. Whatever has a default has the safe one.
"""

from datetime import timedelta
from pathlib import Path

import environ

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

# -- This deployment
SECRET_KEY = env.str("SECRET_KEY")
DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS")
PLAIN_HTTP = env.bool("PLAIN_HTTP", default=False)
"""For your own machine: no redirect to HTTPS."""

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "django_tasks",
    "django_tasks_db",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
    "rest_framework_simplejwt.token_blacklist",
    "jobs",
    *(["demo"] if PLAIN_HTTP else []),  # `manage.py seed`
]
MIDDLEWARE = [
    "jobs.web.probes",  # nothing below can refuse or redirect a probe
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "jobs.web.headers",
    "jobs.web.body_limit",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
# There is no cookie, so there is nothing for a CSRF token to protect.
SILENCED_SYSTEM_CHECKS = ["security.W003"]
ROOT_URLCONF = "jobs.urls"
APPEND_SLASH = False
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
USE_I18N = False
TIME_ZONE = "UTC"

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
    # If a machine vanishes, PostgreSQL frees its locks after a minute. Without this, Linux waits
    # for two hours before it asks whether the machine is still there (see jobs/tasks.py).
    " -c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"
    f" {_options.get('options', '')}"
).strip()
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# -- Tasks: rows of the same database, see jobs/tasks.py
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
TASK_ATTEMPTS = env.int("TASK_ATTEMPTS", default=5)
TASK_PAUSE = timedelta(seconds=env.int("TASK_PAUSE_SECONDS", default=30))
"""Before the second attempt. It doubles with each further attempt."""
HOUSEKEEPING_SECONDS = env.float("HOUSEKEEPING_SECONDS", default=15.0)
vars().update(env.email_url("EMAIL_URL"))
EMAIL_TIMEOUT = 10  # seconds for each step of SMTP
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL")

# -- Accounts
AUTH_USER_MODEL = "jobs.User"
PASSWORD_HASHERS = ["jobs.hashers.Argon2Hasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=10),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=14),
    "ALGORITHM": "HS256",
    "SIGNING_KEY": env.str("JWT_SIGNING_KEY"),
    "ISSUER": "jobs",
    "AUDIENCE": "jobs",
}
LOGIN_ATTEMPTS_PER_ACCOUNT = env.int("LOGIN_ATTEMPTS_PER_ACCOUNT", default=10)
LOGIN_ATTEMPTS_PER_ADDRESS = env.int("LOGIN_ATTEMPTS_PER_ADDRESS", default=100)
REGISTRATIONS_PER_ADDRESS = env.int("REGISTRATIONS_PER_ADDRESS", default=20)
ATTEMPTS_WINDOW = timedelta(minutes=15)

# -- REST
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=0)
"""How many proxies of our own stand in front. Without one, no X-Forwarded header is believed."""
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["jobs.permissions.RoleAllows"],
    "DEFAULT_PARSER_CLASSES": ["jobs.fields.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "jobs.openapi.ProblemAutoSchema",
    "EXCEPTION_HANDLER": "jobs.problems.handle",
    "URL_FORMAT_OVERRIDE": None,
    "NUM_PROXIES": TRUSTED_PROXIES,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Jobs",
    "DESCRIPTION": "A job board. Employers offer jobs, and people apply for them.",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.0",
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "ENUM_NAME_OVERRIDES": {
        "Status": "jobs.states.Status",
        "Role": "jobs.states.Role",
        "JobType": "jobs.models.JobType",
        "Target": "jobs.states.TARGETS",
    },
}

# -- Files
STATIC_URL = "static/"
STATIC_ROOT = None if PLAIN_HTTP else BASE_DIR / "static"  # filled by collectstatic
WHITENOISE_USE_FINDERS = PLAIN_HTTP  # straight from the packages
RESUME_BYTES = 2_000_000
RESUMES_PER_PERSON = 10
STORAGES = {
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if PLAIN_HTTP
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
    "default": {  # résumés; no address leads to this directory
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": env.str("RESUME_DIR"), "file_permissions_mode": 0o600},
    },
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 64_000  # bytes of any other body
DATA_UPLOAD_MAX_NUMBER_FILES = 1
FILE_UPLOAD_MAX_MEMORY_SIZE = RESUME_BYTES + 1  # checked in memory; nothing lands in /tmp

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
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="INFO")},
}
