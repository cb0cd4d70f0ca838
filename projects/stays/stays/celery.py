"""The Celery application. A worker is started with `celery --app stays worker`."""

import os
from typing import Any

import structlog
from celery import Celery
from celery.signals import (
    beat_init,
    setup_logging,
    worker_process_init,
    worker_process_shutdown,
)
from django.conf import settings
from django.dispatch import receiver
from django.utils.log import configure_logging
from django_structlog.celery.signals import bind_extra_task_metadata
from django_structlog.celery.steps import DjangoStructLogInitStep
from kombu.transport import TRANSPORT_ALIASES

from stays.operations import tracing

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stays.settings")

TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), "stays.operations.broker:Transport"))
app = Celery("stays", task_cls="stays.common.tasks:Task")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add("stays.operations.worker:EndsInTime")
app.steps["worker"].add(DjangoStructLogInitStep)  # the request's id goes with its tasks


@setup_logging.connect
def keep_logging(**_: Any) -> None:
    """Log as the rest of the project does. With a receiver here Celery sets up nothing itself."""
    configure_logging(settings.LOGGING_CONFIG, settings.LOGGING)


@receiver(bind_extra_task_metadata)
def bind_request_id(task: Any, **_: Any) -> None:
    """Log the request that decided on a task, also if the outbox sent it later."""
    if request_id := getattr(task.request, "request_id", None):
        structlog.contextvars.bind_contextvars(request_id=request_id)


@worker_process_init.connect
@beat_init.connect
def start_tracing(**_: Any) -> None:
    """Start the traces of a process: the exporter's thread would not survive a fork."""
    tracing.start()


@worker_process_shutdown.connect
def stop_tracing(**_: Any) -> None:
    """Send the last traces: a worker's processes end without Python's exit handlers."""
    tracing.stop()
