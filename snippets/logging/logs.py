"""How does every line of a log become one JSON object that says which request it belongs to?

Python 3.11 or newer, the standard library alone. Put it into your project, and into Django's
settings:

    from mysite.logs import configuration

    LOGGING = configuration(level=env.str("LOG_LEVEL", default="INFO"))
    MIDDLEWARE = ["mysite.logs.RequestId", …]

In your code: logger.info("booking confirmed", extra={"booking": 7}). In gunicorn.conf.py, the same
`logconfig_dict = configuration(level="INFO")`.

Watch out:
* What is named in `extra` is in the line. Never name a password, a token or a whole request.
* The message is a constant, and what changes is in `extra`: then lines can be counted.
* An id from outside is believed only if it looks like one. A proxy in front should set its own.
* A thread that you start has no request's id unless you hand it on: contextvars.copy_context().run.
* A line break within a value is escaped: nobody can write a line that never was.
* What JSON cannot hold (a NaN, a circle, a key that is no text) is written as Python shows it.
"""

import json
import logging
import re
import uuid
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

OFFERED = re.compile(r"[0-9A-Za-z_-]{8,64}")
OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""What every record has; whatever else it has came by `extra`."""
LEFT_OUT = {"request"}
"""Django adds the request to its own records. Its text has the query, and that may have a token."""


def jsonable(value: object) -> object:
    """Return a value that is JSON for certain: itself, or as Python shows it."""
    try:
        json.dumps(value, default=str, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return repr(value)
    return value


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (current := request_id.get()) is not None:
            line["request_id"] = current
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = record.stack_info
        for key, value in vars(record).items():
            if key not in OWN | LEFT_OUT:
                # What a line says of itself is not replaced: such an extra gets a longer name.
                line[f"extra_{key}" if key in line else key] = jsonable(value)
        return json.dumps(line, default=str)


def configuration(*, level: str) -> dict[str, Any]:
    """Return what `logging.config.dictConfig` takes: all loggers, to standard output.

    Args:
        level: what is less important than this is not written.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonFormatter}},
        "handlers": {
            "stdout": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stdout",
                "formatter": "json",
            }
        },
        "root": {"handlers": ["stdout"], "level": level},
        # These bring handlers of their own, and would write in another form, or twice.
        "loggers": {
            name: {"handlers": [], "level": "NOTSET", "propagate": True}
            for name in ("django", "django.server", "gunicorn.error", "gunicorn.access")
        },
    }


def forget(**_: object) -> None:
    """What this thread writes from now on belongs to no request."""
    request_id.set(None)


class RequestId:
    """Django middleware: gives each request an id, in its log lines and in its answer."""

    def __init__(self, get_response: "Callable[[HttpRequest], HttpResponse]") -> None:
        from django.core.signals import request_finished

        self.get_response = get_response
        # Not as soon as this has answered: Django writes "Not Found" and its like after that.
        request_finished.connect(forget)

    def __call__(self, request: "HttpRequest") -> "HttpResponse":
        """Answer, with the id that the proxy has chosen, or with a new one."""
        offered = request.headers.get("X-Request-ID", "")
        current = offered if OFFERED.fullmatch(offered) else uuid.uuid4().hex
        request_id.set(current)
        response = self.get_response(request)
        response.headers["X-Request-ID"] = current
        return response
