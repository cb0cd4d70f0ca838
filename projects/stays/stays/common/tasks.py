"""The base of all tasks, which `stays.celery` names."""

import sys
from typing import Any

from celery import Task as CeleryTask
from celery.utils.time import get_exponential_backoff_interval
from django.conf import settings
from django.db import InterfaceError, OperationalError

LONGEST_PAUSE = 60
"""Seconds between two tries while the database is away, at most."""


def retrying(*errors: type[Exception], times: int) -> dict[str, Any]:
    """Return the options of a task that is tried again, with pauses that grow.

    Of each pause (2, 4, 8, … seconds) a random part is taken, so that not all come at once.

    Args:
        errors: What it is tried again after.
        times: How often. 6 times are two minutes at most; then a sweep goes on.
    """
    return {
        "autoretry_for": errors,
        "max_retries": times,
        "retry_backoff": 2,
        "retry_backoff_max": settings.TASK_LONGEST_PAUSE,
        "retry_jitter": True,
    }


class Task(CeleryTask):  # type: ignore[misc]
    """A task that waits for its database: it is retried until the database answers, without end.

    The pauses grow to a minute, and of each a random part is taken. Without this an outage of some
    seconds would end in failures whatever waits in the queue, and Celery acknowledges what failed.

    A retry is a new message at the broker. If the broker is away too, the task is lost. For this
    and all other losses, every task that the outbox sends has a sweep, which beat starts and which
    looks for the effect that did not happen.
    """

    Request = "stays.operations.worker:Request"  # counts what becomes of it

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task."""
        # Celery's own `__call__` would hide the request of the worker from `retry`.
        run = super().__call__ if self.request.called_directly else self.run
        try:
            return run(*args, **kwargs)
        except (OperationalError, InterfaceError) as error:
            pause = get_exponential_backoff_interval(
                factor=2,
                retries=min(self.request.retries, 10),  # of a larger power nothing is left
                maximum=LONGEST_PAUSE,
                full_jitter=True,
            )
            try:
                raise self.retry(exc=error, countdown=pause, max_retries=sys.maxsize)
            finally:
                # `retry` notes the limit on the task itself, where it would be the next one's too.
                self.__dict__.pop("override_max_retries", None)
