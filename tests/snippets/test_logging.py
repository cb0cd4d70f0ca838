"""Lines of JSON: by the standard library's dictConfig, and out of a gunicorn that serves Django."""

import io
import json
import logging
import logging.config
import re
import runpy
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

import nexus
from nexus.services.process import wait_for
from nexus.services.web import Web

ROOT = Path(__file__).resolve().parent.parent.parent
FILE = ROOT / "snippets" / "logging" / "logs.py"
SNIPPET = runpy.run_path(str(FILE), run_name="snippet_logs")
(FORMAT,) = re.findall(r"^    (access_log_format = .*)$", FILE.read_text(), re.MULTILINE)
SECONDS = 60
"""How long a test waits for a condition on a busy machine."""

APPLICATION = """
import logging
import threading

from django.conf import settings
from django.core.signals import request_started
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

from logs import configuration

logger = logging.getLogger("site")
TOGETHER = threading.Barrier(4)


def confirm(request, number):
    logger.info("confirming", extra={"booking": number})
    if number < 4:
        TOGETHER.wait(30)
    logger.info("booking confirmed", extra={"booking": number})
    return HttpResponse("ok")


def fail(request):
    raise RuntimeError("one line\\n{not another}")


def connected(**_):
    logger.info("of no request")


request_started.connect(connected)
urlpatterns = [path("confirm/<int:number>", confirm), path("fail", fail)]
settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    SECRET_KEY="for-this-test-only",
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["logs.RequestId", "django.middleware.common.CommonMiddleware"],
    LOGGING=configuration(level="INFO"),
)
application = get_wsgi_application()
"""


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """A logger's lines, configured as the snippet says; and nothing of it stays."""
    stream = io.StringIO()
    configuration = SNIPPET["configuration"](level="INFO")
    configuration["handlers"]["stdout"]["stream"] = stream
    configuration["loggers"] = {
        "snippet": {"handlers": ["stdout"], "level": "INFO", "propagate": False}
    }
    del configuration["root"]
    root = logging.getLogger()
    handlers = list(root.handlers)
    logging.config.dictConfig(configuration)
    yield stream
    logging.getLogger("snippet").handlers.clear()
    root.handlers[:] = handlers


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_the_head_says_what_it_answers_and_what_to_watch_out_for() -> None:
    head = FILE.read_text().split('"""')[1]
    assert head.partition("\n")[0].endswith("?")
    assert "\nWatch out:\n* " in head
    assert "(logging/logs.py)" in (ROOT / "snippets" / "README.md").read_text()


def test_a_line_says_when_how_bad_who_and_what(written: io.StringIO) -> None:
    logger = logging.getLogger("snippet")
    logger.debug("not written")
    logger.warning("%s bookings", 3, extra={"booking": 7, "who": Path("a")})
    (line,) = lines(written.getvalue())
    time = line.pop("time")
    assert time.endswith("+00:00")
    assert line == {
        "level": "warning",
        "logger": "snippet",
        "message": "3 bookings",
        "booking": 7,
        "who": "a",
    }


def test_nobody_can_write_a_line_that_never_was(written: io.StringIO) -> None:
    forged = 'x"}\n{"level": "info", "message": "all is well"}'
    logging.getLogger("snippet").info(forged, extra={"city": f"Łódź {forged}", "x": "\u2028"})
    assert written.getvalue().count("\n") == 1
    (line,) = lines(written.getvalue())
    assert line["message"] == forged
    assert line["city"].startswith("Łódź")


def test_an_exception_is_in_the_line_of_its_error(written: io.StringIO) -> None:
    try:
        1 / 0  # noqa: B018
    except ZeroDivisionError:
        logging.getLogger("snippet").exception("it failed")
    (line,) = lines(written.getvalue())
    assert line["message"] == "it failed"
    assert line["exception"].endswith("ZeroDivisionError: division by zero")


def test_an_extra_does_not_replace_what_a_line_says_of_itself(written: io.StringIO) -> None:
    logging.getLogger("snippet").info("true", extra={"level": "false", "exception": "none"})
    (line,) = lines(written.getvalue())
    assert (line["level"], line["extra_level"]) == ("info", "false")


def test_what_json_cannot_hold_is_told_all_the_same(written: io.StringIO) -> None:
    circle: list[object] = []
    circle.append(circle)
    odd = {"ratio": float("nan"), "circle": circle, "keys": {(1, 2): 3}, "most": [float("inf")]}
    logging.getLogger("snippet").info("odd", extra=odd)
    line = json.loads(written.getvalue(), parse_constant=pytest.fail)
    told = {key: line[key] for key in odd}
    assert told == {"ratio": "nan", "circle": "[[...]]", "keys": "{(1, 2): 3}", "most": "[inf]"}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    folder = tmp_path_factory.mktemp("logging")
    (folder / "logs.py").write_bytes(FILE.read_bytes())
    (folder / "site_of_test.py").write_text(APPLICATION)
    (folder / "gunicorn.conf.py").write_text(
        "from logs import configuration\n"
        'logconfig_dict = configuration(level="INFO")\n'
        'accesslog = "-"\n' + FORMAT + "\n"
        'worker_class = "gthread"\n'
        "threads = 8\n"
    )
    gunicorn = Path(sys.executable).with_name("gunicorn")  # with -m, more could be imported
    command = [gunicorn, "--no-control-socket", "--bind=127.0.0.1:{port}"]
    with nexus.serve([*command, "site_of_test"], cwd=folder, ready="/none") as web:
        yield web


def test_the_access_log_has_the_client_and_no_query(web: Web) -> None:
    proxied = {"X-Request-ID": "request-by-proxy", "X-Forwarded-For": "203.0.113.9"}
    httpx.get(f"{web.url}/confirm/8?token=secret", headers=proxied, trust_env=False)
    wait_for(lambda: "203.0.113.9" in web.log, SECONDS, "the line of the request")
    (line,) = [line for line in of(web, "request-by-proxy") if line["logger"] == "gunicorn.access"]
    assert line["message"].startswith("GET /confirm/8 200 ")
    assert "secret" not in str(line)


def of(web: Web, number: str, key: str = "request_id") -> list[dict[str, Any]]:
    return [line for line in lines(web.log) if line.get(key) == number]


def test_every_line_of_gunicorn_and_django_is_json(web: Web) -> None:
    httpx.get(f"{web.url}/confirm/7", trust_env=False)
    wait_for(lambda: of(web, "gunicorn.access", "logger"), SECONDS, "the line of the request")
    loggers = {line["logger"] for line in lines(web.log)}
    assert {"gunicorn.error", "gunicorn.access", "site", "django.request"} <= loggers


def test_all_lines_of_a_request_have_its_id_also_side_by_side(web: Web) -> None:
    """Four requests that wait for each other."""

    def confirm(number: int) -> str:
        named = {"X-Request-ID": f"request-{number}"}
        answer = httpx.get(f"{web.url}/confirm/{number}", headers=named, trust_env=False)
        return str(answer.headers["X-Request-ID"])

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(confirm, range(4))) == [f"request-{number}" for number in range(4)]
    for number in range(4):
        own = [line for line in of(web, f"request-{number}") if line["logger"] == "site"]
        said = [(line["message"], line["booking"]) for line in own]
        assert said == [("confirming", number), ("booking confirmed", number)]


def test_so_have_the_lines_that_django_and_gunicorn_write_at_its_end(web: Web) -> None:
    named = {"X-Request-ID": "request-of-nothing"}
    for _ in range(20):  # more than there are threads
        assert httpx.get(f"{web.url}/none", headers=named, trust_env=False).status_code == 404
    wait_for(lambda: len(of(web, "request-of-nothing")) == 40, SECONDS, "two lines of each")
    said = of(web, "request-of-nothing")
    loggers = [line["logger"] for line in said]
    assert (loggers.count("django.request"), loggers.count("gunicorn.access")) == (20, 20)


def test_what_belongs_to_no_request_has_no_id(web: Web) -> None:
    """Django tells of a request before there is an id; its thread has had other requests."""
    for _ in range(20):  # more than there are threads
        httpx.get(f"{web.url}/none", trust_env=False)
    wait_for(lambda: len(of(web, "of no request", "message")) >= 20, SECONDS, "such lines")
    said = of(web, "of no request", "message")
    assert all("request_id" not in line for line in said)


@pytest.mark.parametrize("offered", ["", "short", "x" * 65, 'x"}{"level": 1}', "with space"])
def test_an_id_that_is_none_is_not_believed(web: Web, offered: str) -> None:
    answer = httpx.get(f"{web.url}/confirm/9", headers={"X-Request-ID": offered}, trust_env=False)
    assert answer.headers["X-Request-ID"] != offered
    assert len(answer.headers["X-Request-ID"]) == 32
    assert of(web, answer.headers["X-Request-ID"])


def test_what_failed_is_one_line_with_its_traceback(web: Web) -> None:
    answer = httpx.get(
        f"{web.url}/fail?token=secret",
        headers={"X-Request-ID": "request-that-fails"},
        trust_env=False,
    )
    assert answer.status_code == 500
    own = of(web, "request-that-fails")
    (line,) = [line for line in own if line["logger"] != "gunicorn.access"]
    assert (line["level"], line["logger"], line["status_code"]) == ("error", "django.request", 500)
    assert "secret" not in str(line)
    assert "RuntimeError: one line\n{not another}" in line["exception"]
