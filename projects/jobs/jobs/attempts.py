"""Counting attempts exactly, in PostgreSQL: nobody guesses passwords in parallel.

Checking a count and then adding to it lets a hundred parallel requests pass. One statement that
adds and returns the sum does not.
"""

from datetime import timedelta
from hashlib import sha256

from django.conf import settings
from django.db import connection
from django.utils import timezone
from rest_framework.exceptions import Throttled

from jobs.models import Attempt

ADD = """
INSERT INTO jobs_attempt AS a (key, "window", count)
VALUES (%(key)s, to_timestamp(floor(extract(epoch FROM now()) / %(length)s) * %(length)s), 1)
ON CONFLICT (key, "window") DO UPDATE SET count = a.count + 1
RETURNING count, extract(epoch FROM "window" + make_interval(secs => %(length)s) - now())
"""


def key_of(what: str, whose: str) -> str:
    """Return a key of bounded length, from which no address can be read."""
    return sha256(f"{what} {whose}".encode()).hexdigest()


def count(what: str, whose: str, limit: int) -> None:
    """Count one attempt.

    Args:
        what: Such as `login`.
        whose: An account or an address.
        limit: How many are allowed in one window.

    Raises:
        Throttled: if these were more.
    """
    length: float = settings.ATTEMPTS_WINDOW.total_seconds()
    values: dict[str, str | float] = {"key": key_of(what, whose), "length": length}
    with connection.cursor() as cursor:
        cursor.execute(ADD, values)
        total, seconds = cursor.fetchone()
    if total > limit:
        raise Throttled(int(seconds) + 1)


def forget(what: str, whose: str) -> None:
    """Forget the attempts, because one succeeded."""
    Attempt.objects.filter(key=key_of(what, whose)).delete()


def prune() -> int:
    """Delete what no longer counts, and return how many rows that were."""
    old = timezone.now() - settings.ATTEMPTS_WINDOW - timedelta(minutes=1)
    return Attempt.objects.filter(window__lt=old).delete()[0]
