"""Settings. All that differs between two deployments comes from the environment.

Secrets and addresses have no default: a process that lacks one does not start, and Django's error
names the variable. Everything that has a default has the safe one. `.env.example` lists them all.
"""

from datetime import timedelta
from pathlib import Path

import environ
from celery.schedules import crontab

from stays.operations import logs

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
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "csp",
    "django_prometheus",
    "django_structlog",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "drf_standardized_errors",
    "rest_framework",
    "strawberry_django",
    "stays.common",
    "stays.outbox",
    "stays.rest",
    "stays.accounts",
    "stays.listings",
    "stays.bookings",
    "stays.payments",
    "stays.reviews",
    "stays.messaging",
    "stays.statistics",
    "stays.operations",
    "stays.seeding",
]
MIDDLEWARE = [
    "stays.operations.middleware.RequestLogMiddleware",
    "stays.operations.middleware.ProbeMiddleware",  # nothing below can refuse or redirect a probe
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "stays.operations.middleware.HeadersMiddleware",
    "stays.operations.middleware.BodyLimitMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]
ROOT_URLCONF = "stays.urls"
WSGI_APPLICATION = "stays.wsgi.application"
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
LANGUAGE_CODE = "en"
USE_I18N = False
TIME_ZONE = "UTC"
DATA_UPLOAD_MAX_MEMORY_SIZE = 100_000  # bytes, of every body; see BodyLimitMiddleware

# -- PostgreSQL
# The URL's query may hold any of libpq's parameters (?sslmode=verify-full&sslrootcert=…) and
# Django's CONN_MAX_AGE, CONN_HEALTH_CHECKS, DISABLE_SERVER_SIDE_CURSORS; it wins over what is here.
DATABASES = {
    "default": {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
    | env.db_url("DATABASE_URL", engine="django.db.backends.postgresql")
}
_options = DATABASES["default"].setdefault("OPTIONS", {})
_options.setdefault("connect_timeout", 5)  # seconds
_options["options"] = (
    f"-c statement_timeout={env.int('STATEMENT_TIMEOUT_MS', default=10_000)}"
    f" -c lock_timeout={env.int('LOCK_TIMEOUT_MS', default=5_000)}"
    f" {_options.get('options', '')}"
).strip()
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# -- Valkey: one database for the cache and the counters, one for Celery
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": env.str("CACHE_URL"),
        "OPTIONS": {"socket_timeout": 0.5, "socket_connect_timeout": 0.5},
    }
}
CACHE_SECONDS = env.int("CACHE_SECONDS", default=60)

# -- Celery
CELERY_BROKER_URL = env.str("BROKER_URL")
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True  # a killed worker's task is mostly run again: tasks are idempotent
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_TIME_LIMIT = env.int("TASK_SECONDS", default=120)
CELERY_TASK_SOFT_TIME_LIMIT = CELERY_TASK_TIME_LIMIT * 3 // 4
TASK_LONGEST_PAUSE = 300  # seconds before a task is tried again
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # with the default of 100, an hour would be too long
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # Seconds. A message that is not acknowledged by then is handed out again. It must be longer
    # than the longest countdown, the wait for a free process and the longest run together, which
    # leaves 180 for the wait. After a longer wait the task runs twice, which does no harm.
    "visibility_timeout": 600,
    "socket_timeout": 5,
    "socket_connect_timeout": 5,
}
SWEEP_EVERY = env.float("SWEEP_EVERY_SECONDS", default=60.0)
SWEEP_AFTER = timedelta(seconds=env.float("SWEEP_AFTER_SECONDS", default=300.0))
"""When a sweep takes an effect that did not happen for lost. It is longer than any task may run
(CELERY_TASK_TIME_LIMIT): no call that would make the answer out of date can still be under way. A
task that waits for its next try is done twice then, which does no harm."""
SELDOM = 5 * SWEEP_EVERY
CELERY_BEAT_SCHEDULE = {
    "relay-outbox": {"task": "outbox.relay", "schedule": min(10.0, SWEEP_EVERY)},
    "prune-outbox": {"task": "outbox.prune", "schedule": crontab(hour=2, minute=15)},
    "forget-answers": {"task": "rest.forget_answers", "schedule": crontab(hour=2, minute=30)},
    "forget-events": {"task": "payments.forget_events", "schedule": crontab(hour=3, minute=0)},
    "time-out-payments": {"task": "payments.time_out", "schedule": SWEEP_EVERY},
    "ask-payment-provider": {"task": "payments.ask_provider", "schedule": SWEEP_EVERY},
    # The sweeps: each looks for an effect that did not happen, whatever its task was lost by.
    "refund-what-is-owed": {"task": "payments.refund_what_is_owed", "schedule": SWEEP_EVERY},
    "send-missing-confirmations": {"task": "bookings.send_missing", "schedule": SWEEP_EVERY},
    "cancel-of-deleted-guests": {"task": "bookings.cancel_of_deleted_guests", "schedule": SELDOM},
    "unlist-deleted-hosts": {"task": "listings.unlist_deleted_hosts", "schedule": SELDOM},
    "nightly-statistics": {"task": "statistics.nightly", "schedule": crontab(hour=0, minute=15)},
    # By the clock, as all that is rare: beat counts an interval from its own start, so a day's
    # interval would never be over where somebody deploys every day.
    "clear-sessions": {"task": "accounts.clear_sessions", "schedule": crontab(hour=2, minute=45)},
}

# -- Who may come in
AUTH_USER_MODEL = "accounts.User"
PASSWORD_HASHERS = [
    "stays.accounts.hashers.Argon2Hasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
    for name, options in (
        ("UserAttributeSimilarityValidator", {"user_attributes": ["email", "name"]}),
        ("MinimumLengthValidator", {"min_length": 8}),
        ("CommonPasswordValidator", {}),
        ("NumericPasswordValidator", {}),
    )
]
AUTHENTICATION_BACKENDS = ["stays.accounts.backends.GuardedBackend"]
PASSWORD_RESET_TIMEOUT = 30 * 60  # seconds for which the token of the e-mail is good
VERIFICATION_TIMEOUT = timedelta(days=3)  # for which the token of the e-mail is good
LOGIN_RATE_ACCOUNT = env.str("LOGIN_RATE_ACCOUNT", default="10/15m")
LOGIN_RATE_ADDRESS = env.str("LOGIN_RATE_ADDRESS", default="50/15m")
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=0)
"""How many proxies of our own stand in front, each adding to X-Forwarded-For."""
JWT_OLD_KEYS = env.list("JWT_OLD_KEYS", default=[])
"""Keys of before, whose tokens are still taken; no new one is signed with them."""
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=10),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=14),
    "ALGORITHM": "HS256",
    "SIGNING_KEY": env.str("JWT_SIGNING_KEY"),
    "ISSUER": "stays",
    "AUDIENCE": "stays",
    "UPDATE_LAST_LOGIN": False,
    "LEEWAY": 10,  # seconds by which the clocks of two machines may differ
}

# -- REST
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["stays.accounts.authentication.SessionTokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_THROTTLE_CLASSES": [
        "stays.rest.throttling.AnonymousThrottle",
        "stays.rest.throttling.UserThrottle",
        "stays.rest.throttling.ViewThrottle",
    ],
    "DEFAULT_THROTTLE_RATES": {  # an empty value counts nothing
        "anon": env.str("THROTTLE_ANON", default="300/m") or None,
        "user": env.str("THROTTLE_USER", default="600/m") or None,
        "register": env.str("THROTTLE_REGISTER", default="20/h") or None,
        "reset": env.str("THROTTLE_RESET", default="10/h") or None,
    },
    "DEFAULT_PARSER_CLASSES": ["stays.rest.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "stays.rest.openapi.ProblemAutoSchema",
    "EXCEPTION_HANDLER": "drf_standardized_errors.handler.exception_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
DRF_STANDARDIZED_ERRORS = {
    "EXCEPTION_HANDLER_CLASS": "stays.rest.problems.ProblemHandler",
    "EXCEPTION_FORMATTER_CLASS": "stays.rest.problems.ProblemFormatter",
    "ENABLE_IN_DEBUG_FOR_UNHANDLED_EXCEPTIONS": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Stays",
    "DESCRIPTION": "A marketplace of places to stay.",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.0",
    "SERVE_AUTHENTICATION": [],
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVERS": [{"url": "/", "description": "This site"}],
    "TAGS": [
        {"name": "amenities", "description": "What a place may have"},
        {"name": "auth", "description": "Registering, and logging in and out"},
        {"name": "bookings", "description": "Bookings, their payments and reviews"},
        {"name": "cities", "description": "Where places are"},
        {"name": "conversations", "description": "Messages between guests and hosts"},
        {"name": "me", "description": "The user's own account"},
        {"name": "properties", "description": "Places: search, offer, change"},
        {"name": "statistics", "description": "Daily figures, for admins"},
        {"name": "webhooks", "description": "What the payment provider calls"},
    ],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"persistAuthorization": False},
}

# -- GraphQL
GRAPHQL_INTROSPECTION = env.bool("GRAPHQL_INTROSPECTION", default=False)
"""Whether clients may ask for the schema. It is in stays/graph/schema.graphql for them."""

# -- E-mail and payments
vars().update(env.email_url("EMAIL_URL"))
EMAIL_TIMEOUT = 5  # seconds for each step of SMTP: a booking's row is locked meanwhile
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL")
PAYMENT_PROVIDER_URL = env.str("PAYMENT_PROVIDER_URL")
PAYMENT_PROVIDER_KEY = env.str("PAYMENT_PROVIDER_KEY")
PAYMENT_PROVIDER_SECONDS = env.float("PAYMENT_PROVIDER_SECONDS", default=10.0)
PAYMENT_WEBHOOK_SECRET = env.str("PAYMENT_WEBHOOK_SECRET")
PAYMENT_WINDOW = timedelta(minutes=env.int("PAYMENT_WINDOW_MINUTES", default=30))
MAX_UNPAID = env.int("MAX_UNPAID", default=10)
"""How many unpaid bookings a guest may have: each keeps dates from others."""
HOST_WINDOW = timedelta(hours=env.int("HOST_WINDOW_HOURS", default=24))

# -- Static files: the admin's and the API documentation's
STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = PLAIN_HTTP  # straight from the packages
STATIC_ROOT = None if PLAIN_HTTP else BASE_DIR / "static"  # filled by collectstatic
WHITENOISE_ROOT = BASE_DIR / "stays" / "operations" / "root"  # browsers ask for /favicon.ico
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
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
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not PLAIN_HTTP
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],  # no 'unsafe-inline' anywhere
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}
PERMISSIONS_POLICY = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
CSRF_FAILURE_VIEW = "stays.rest.problems.csrf_failure"

# -- What can be seen from outside: logs, metrics (traces: stays.operations.tracing)
LOGGING = logs.configuration(
    form=env.str("LOG_FORMAT", default="json"), level=env.str("LOG_LEVEL", default="INFO")
)
logs.configure()
DJANGO_STRUCTLOG_CELERY_ENABLED = True
METRICS_TOKEN = env.str("METRICS_TOKEN")
WORKER_METRICS = env.str("WORKER_METRICS", default="")
"""Where a Celery worker answers Prometheus, as host:port."""
