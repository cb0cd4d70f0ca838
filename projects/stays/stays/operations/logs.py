"""Logs: one JSON object a line on stdout, or lines for people.

All log records take the same way, those of structlog and those of other packages. None carries a
password, a token or an e-mail address: not because nobody would log one, but because `redact` is
the last step before the line is written.
"""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any

import structlog
from celery import current_task
from django.conf import settings
from structlog.typing import EventDict, Processor, WrappedLogger

SECRET_KEYS = re.compile(r"password|secret|token|authorization|cookie|api_?key", re.IGNORECASE)
SECRET_TEXTS = re.compile(
    r"""(?P<scheme>\b(?:bearer|basic)\s+)[\w.~+/=-]+   # an Authorization header
    |\beyJ[\w-]+\.[\w-]+\.[\w-]*                       # a JWT: base64 of '{"' begins so
    |[\w.+%-]+@[\w-]+(?:\.[\w-]+)+                     # an e-mail address
    |(?<=://)[^\s/@:]*:[^\s/@]+(?=@)                   # name and password in a URL""",
    re.IGNORECASE | re.VERBOSE,
)
REDACTED = "[redacted]"


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Take out what must not be in a log, wherever in the event it is."""
    return {key: _redacted(key, value) for key, value in event.items()}


def _redacted(key: str, value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if SECRET_KEYS.search(key):
        return REDACTED
    if isinstance(value, Mapping):
        return {str(name): _redacted(str(name), item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted(key, item) for item in value]
    return SECRET_TEXTS.sub(lambda match: (match["scheme"] or "") + REDACTED, str(value))


def add_trace(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Name the trace that the event belongs to, if traces are on; does not import them."""
    if trace := sys.modules.get("opentelemetry.trace"):
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            event["trace_id"] = f"{context.trace_id:032x}"
            event["span_id"] = f"{context.span_id:016x}"
    return event


ROUTINE = {"task_enqueued", "task_started", "task_succeeded"}


def drop_routine(logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Drop what goes well with the tasks of the scheduler, unless all is logged.

    They run every few seconds for ever, and mostly find nothing to do. Their failures, and the
    tasks that they start, are logged like any other.

    Raises:
        structlog.DropEvent: to drop it.
    """
    if event["event"] in ROUTINE and not logger.isEnabledFor(logging.DEBUG):
        name = (
            event.get("child_task_name") or event.get("task") or getattr(current_task, "name", "")
        )
        if name in {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}:
            raise structlog.DropEvent
    return event


SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    add_trace,
]


def configure() -> None:
    """Have structlog hand its events to Python's logging."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            drop_routine,
            *SHARED,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def configuration(*, form: str, level: str) -> dict[str, Any]:
    """Return a configuration for `logging.config.dictConfig`.

    Args:
        form: `json`, or `console` for lines that people read.
        level: The lowest level that is logged.

    Raises:
        KeyError: if there is no such form.
    """
    renderers: dict[str, Processor] = {
        "json": structlog.processors.JSONRenderer(default=str),
        "console": structlog.dev.ConsoleRenderer(
            colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback
        ),
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "events": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": SHARED,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.format_exc_info,
                    redact,
                    renderers[form],
                ],
            }
        },
        "handlers": {
            "stdout": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stdout",
                "formatter": "events",
            }
        },
        "root": {"handlers": ["stdout"], "level": level},
        "loggers": {
            # Django's own handlers write to stderr and to the admins' mailboxes.
            "django": {"handlers": [], "propagate": True},
            "django.server": {"handlers": [], "level": "WARNING", "propagate": True},
            # What these say at INFO and WARNING, the line of the request or the task says too.
            "django.request": {"level": "ERROR"},
            # Anybody can send any Host: it is a client's error like others.
            "django.security.DisallowedHost": {"level": "CRITICAL"},
            "celery.app.trace": {"level": "CRITICAL"},
            "celery.beat": {"level": "WARNING"},
            "celery.worker.strategy": {"level": "WARNING"},
            "httpx": {"level": "WARNING"},
        },
    }
