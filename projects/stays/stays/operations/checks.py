"""System checks: misconfigurations that would otherwise show late, or never.

`manage.py check`, `migrate` and `runserver` run them.
"""

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections

EXAMPLE = "change-me"  # what the secrets in .env.example begin with
LIMITS = ("lock_timeout", "statement_timeout")
OLDEST = 180_000  # PostgreSQL 18 has uuidv7()


@register(Tags.security)
def secrets(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Secrets are long enough, each is another one, and none is the published example."""
    found: list[CheckMessage] = []
    values = {
        "SECRET_KEY": settings.SECRET_KEY,
        "JWT_SIGNING_KEY": settings.SIMPLE_JWT["SIGNING_KEY"],
        "METRICS_TOKEN": settings.METRICS_TOKEN,
        "PAYMENT_WEBHOOK_SECRET": settings.PAYMENT_WEBHOOK_SECRET,
        "PAYMENT_PROVIDER_KEY": settings.PAYMENT_PROVIDER_KEY,
    }
    values |= {f"JWT_OLD_KEYS[{n}]": key for n, key in enumerate(settings.JWT_OLD_KEYS)}
    # RFC 7518, 3.2: a key for HS256 has the size of the hash or more.
    found += [
        Error(f"{name} has less than 32 bytes.", id="stays.E001")
        for name, value in values.items()
        if name.startswith("JWT_") and len(value.encode()) < 32
    ]
    found += [
        Error(f"{name} has less than 16 characters.", id="stays.E002")
        for name in ("METRICS_TOKEN", "PAYMENT_WEBHOOK_SECRET")
        if len(values[name]) < 16
    ]
    found += [
        Error(f"{name} is the example's.", hint="Make one of your own.", id="stays.E003")
        for name, value in values.items()
        if value.startswith(EXAMPLE)
    ]
    if len(set(values.values())) < len(values):
        found.append(Error("Two secrets are the same.", id="stays.E004"))
    return found


@register(Tags.caches)
def valkey(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:  # noqa: ARG001
    """The cache and the broker do not share a database: to clear the one would empty the other."""
    if _place(settings.CACHES["default"]["LOCATION"]) == _place(settings.CELERY_BROKER_URL):
        return [Error("CACHE_URL and BROKER_URL name the same database.", id="stays.E005")]
    return []


def _place(url: str) -> tuple[str, int, str]:
    """Return host, port and database of a redis:// URL."""
    parts = urlsplit(url)
    return parts.hostname or "localhost", parts.port or 6379, parts.path.strip("/") or "0"


@register
def times(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Nothing takes a task for lost that may still run.

    The broker hands a message out again that a worker holds for too long, be it before a retry or
    in a run. How long a task then waits for a free process is known to nobody.
    """
    found: list[CheckMessage] = []
    again = settings.CELERY_BROKER_TRANSPORT_OPTIONS["visibility_timeout"]
    if again <= settings.TASK_LONGEST_PAUSE + settings.CELERY_TASK_TIME_LIMIT:
        sum_ = "TASK_LONGEST_PAUSE and CELERY_TASK_TIME_LIMIT together"
        found.append(Error(f"visibility_timeout is not over {sum_}.", id="stays.E006"))
    if settings.SWEEP_AFTER.total_seconds() <= settings.CELERY_TASK_TIME_LIMIT:
        found.append(Error("SWEEP_AFTER_SECONDS is not over TASK_SECONDS.", id="stays.E009"))
    return found


@register(Tags.database)
def postgresql(
    app_configs: Any,  # noqa: ARG001
    databases: Sequence[str] | None = None,
    **kwargs: Any,  # noqa: ARG001
) -> list[CheckMessage]:
    """The server is new enough, and keeps our limits. `migrate` and `check --database` ask."""
    found: list[CheckMessage] = []
    for alias in databases or ():
        connection = connections[alias]
        if connection.pg_version < OLDEST:  # type: ignore[attr-defined]
            text = "PostgreSQL 18 or newer is needed, for uuidv7()."
            found.append(Error(text, id="stays.E007"))
        options = connection.settings_dict["OPTIONS"].get("options", "")
        asked = [name for name in LIMITS if re.search(rf"\b{name}=[1-9]", options)]
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT name FROM pg_settings WHERE name = ANY(%s) AND setting = '0' ORDER BY name",
                [asked],
            )
            lost = [name for (name,) in cursor.fetchall()]
        if lost:
            text = f"The database did not take {' and '.join(lost)}."
            hint = "A pooler passes no options on. Set them for the role: ALTER ROLE … SET …"
            found.append(Error(text, hint=hint, id="stays.E008"))
    return found
