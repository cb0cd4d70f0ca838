"""How does every line of a log become one JSON object that names its request?

Python 3.11 or newer, and only the standard library. Put this file into your project, and this into
Django's settings:

    from mysite.logs import configuration

    LOGGING = configuration(level=env.str("LOG_LEVEL", default="INFO"))
    MIDDLEWARE = ["mysite.logs.RequestId", …]

In your code: logger.info("booking confirmed", extra={"booking": 7}). In gunicorn.conf.py:

    logconfig_dict = configuration(level="INFO")
    access_log_format = '%(m)s %(U)s %(s)s %(M)s ms %({x-forwarded-for}i)s'

Watch out:
* Every value in `extra` is in the line. Never put a password, a token or a whole request there.
* Log after the commit (transaction.on_commit). Otherwise a line tells of a change that was rolled
  back.
* Keep the message constant, and put values into `extra`. Then you can count lines by message.
* gunicorn's own access_log_format has the query, which may hold a token, and the address of the
  proxy in place of the client's. The format above has neither.
* An id from outside is used only if it looks like one. A proxy in front should set its own id.
* A thread that you start has no request id. Hand the id on with contextvars.copy_context().run.
* A line break within a value is escaped, so nobody can forge a line.
* A value that JSON cannot hold (a NaN, a circle, a key that is no text) is written as its repr.
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
"""The attributes of every record. All others came by `extra`."""
LEFT_OUT = {"request"}
"""Django adds the request to its records. Its text has the query, which may hold a token."""


def jsonable(value: object) -> object:
    """Return the value itself if JSON can hold it, and otherwise its repr."""
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
                # An extra must not replace one of the line's own keys: it gets a longer name.
                line[f"extra_{key}" if key in line else key] = jsonable(value)
        return json.dumps(line, default=str)


def configuration(*, level: str) -> dict[str, Any]:
    """Return what `logging.config.dictConfig` takes: all loggers, to standard output.

    Args:
        level: the lowest level that is written.
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
        # These loggers have their own handlers, which would write in another form, or twice.
        "loggers": {
            name: {"handlers": [], "level": "NOTSET", "propagate": True}
            for name in ("django", "django.server", "gunicorn.error", "gunicorn.access")
        },
    }


def forget(**_: object) -> None:
    """Forget the request's id: the next lines of this thread belong to no request."""
    request_id.set(None)


class RequestId:
    """Django middleware: gives each request an id, in its log lines and in its answer."""

    def __init__(self, get_response: "Callable[[HttpRequest], HttpResponse]") -> None:
        from django.core.signals import request_finished

        self.get_response = get_response
        # Not when __call__ returns: Django logs "Not Found" and the like after that.
        request_finished.connect(forget)

    def __call__(self, request: "HttpRequest") -> "HttpResponse":
        """Answer, with the id that the proxy has sent or with a new one."""
        offered = request.headers.get("X-Request-ID", "")
        current = offered if OFFERED.fullmatch(offered) else uuid.uuid4().hex
        request_id.set(current)
        response = self.get_response(request)
        response.headers["X-Request-ID"] = current
        return response
