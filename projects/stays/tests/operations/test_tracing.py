import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from django.conf import settings
from opentelemetry import trace
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.instrumentation.django import DjangoInstrumentor
from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from stays import celery
from stays.operations import tracing
from tests.programs import DEADLINE, ROOT, Start, wait_for

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
TRACEPARENT = {"traceparent": f"00-{TRACE}-{PARENT}-01"}


class Collector:
    """Takes OTLP over HTTP, and keeps the spans."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.services: set[str] = set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def take(self, sent: ExportTraceServiceRequest) -> None:
        for resource in sent.resource_spans:
            attributes = {a.key: a.value.string_value for a in resource.resource.attributes}
            self.services.add(attributes["service.name"])
            self.spans += [span for scope in resource.scope_spans for span in scope.spans]

    def of_trace(self, *names: str) -> list[Any] | None:
        """The spans of the trace, if all that are named are among them."""
        found = [span for span in self.spans if span.trace_id.hex() == TRACE]
        return found if {span.name for span in found} >= set(names) else None


@pytest.fixture
def collector() -> Iterator[Collector]:
    one = Collector()
    thread = threading.Thread(target=one.server.serve_forever)
    thread.start()
    yield one
    one.server.shutdown()
    one.server.server_close()
    thread.join()


def environment(collector: Collector) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server.server_port}",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }


def statement(span: Any) -> str:
    return {a.key: a.value.string_value for a in span.attributes}["db.statement"]


@pytest.mark.django_db
def test_a_request_and_its_sql_make_a_tree(start: Start, collector: Collector) -> None:
    server = start("gunicorn", WEB_CONCURRENCY="2", **environment(collector))
    url = server.url()
    httpx.get(f"{url}/readyz", headers=TRACEPARENT, timeout=DEADLINE)
    httpx.get(
        f"{url}/admin/",
        headers=TRACEPARENT | {"X-Request-ID": "traced-1", "Authorization": "Bearer secret"},
        cookies={"sessionid": "s" * 32},
    )
    spans = wait_for(lambda: collector.of_trace("GET admin/", "SELECT"))
    (request,) = [span for span in spans if span.parent_span_id.hex() == PARENT]  # no probe
    assert request.name == "GET admin/"
    queries = {statement(span): span for span in spans if span.name == "SELECT"}
    (query,) = [one for text, one in queries.items() if 'FROM "django_session"' in text]
    assert query.parent_span_id == request.span_id
    everything = " ".join(str(span) for span in spans)
    assert "s" * 32 not in everything  # no parameters of statements
    assert "Bearer" not in everything
    assert collector.services == {"stays"}
    (line,) = wait_for(lambda: server.events(request_id="traced-1"))
    assert (line["trace_id"], line["span_id"]) == (TRACE, request.span_id.hex())
    assert server.end() == 0


@pytest.mark.django_db
def test_a_task_belongs_to_the_trace_of_who_sent_it(start: Start, collector: Collector) -> None:
    from stays.celery import app

    worker = start("celery", "--app=stays", "worker", "--concurrency=1", **environment(collector))
    wait_for(lambda: "ready." in worker.text())
    app.send_task("celery.backend_cleanup", headers=TRACEPARENT)
    (run,) = wait_for(lambda: collector.of_trace("run/celery.backend_cleanup"))
    assert run.parent_span_id.hex() == PARENT
    (done,) = wait_for(lambda: worker.events(event="task_succeeded"))
    assert done["trace_id"] == TRACE


def test_off_nothing_of_it_is_imported() -> None:
    code = (
        "import sys, stays.wsgi, stays.celery\n"
        "print([n for n in sys.modules"
        " if n.startswith(('opentelemetry.instrumentation', 'opentelemetry.exporter'))])"
    )
    # redis-py imports the SDK on its own account, if it is installed.
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "stays.settings"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


@pytest.mark.parametrize(
    ("variables", "on"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "console"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, False),
    ],
)
def test_when_it_is_on(variables: dict[str, str], on: bool) -> None:
    assert tracing.wanted(variables) is on


@pytest.mark.parametrize("exporter", ["console", "otlp"])
def test_started_and_stopped(monkeypatch: pytest.MonkeyPatch, exporter: str) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", exporter)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "other")
    before = list(settings.MIDDLEWARE)
    assert tracing.start()
    try:
        assert len(settings.MIDDLEWARE) == len(before) + 1
    finally:
        tracing.stop()
        for one in (DjangoInstrumentor, PsycopgInstrumentor, RedisInstrumentor, CeleryInstrumentor):
            one().uninstrument()
    assert before == settings.MIDDLEWARE


def test_off_nothing_is_started_or_stopped() -> None:
    assert tracing.start() is False
    tracing.stop()
    celery.start_tracing()
    celery.stop_tracing()


def test_without_a_provider_there_is_nothing_to_send(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: trace.NoOpTracerProvider())
    tracing.stop()


def test_an_unknown_exporter_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "zipkin")
    with pytest.raises(ValueError, match="zipkin"):
        tracing.start()
