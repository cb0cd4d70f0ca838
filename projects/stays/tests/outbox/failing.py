"""Tasks that go wrong, for a worker that is told to import this module."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded


@shared_task(name="test.succeeds")
def succeeds() -> None:
    """Do nothing."""


@shared_task(name="test.fails")
def fails() -> None:
    """Fail."""
    raise ValueError("It was told to fail.")


@shared_task(name="test.hangs", soft_time_limit=1, time_limit=2)
def hangs() -> None:
    """Run for longer than it may, whatever it is told."""
    with suppress(SoftTimeLimitExceeded):
        time.sleep(60)
    time.sleep(60)


@shared_task(name="test.retries", bind=True, max_retries=2)
def retries(self: Any) -> None:
    """Fail, after two retries."""
    raise self.retry(exc=ValueError("It fails always."), countdown=0)


@shared_task(name="test.dies")
def dies(path: str) -> None:
    """Kill the process that runs it, the first time."""
    if not Path(path).exists():
        Path(path).touch()
        os.kill(os.getpid(), signal.SIGKILL)
