"""The collector takes spans of a real exporter; trees and waterfalls say what is in them."""

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from nexus import traces


def span(name: str, start: int, end: int, parent: str = "", service: str = "web") -> traces.Span:
    return traces.Span("t", f"{name}{start}", parent, service, name, start, end)


STAIRS = [
    *(span("SELECT", n, n + 1, "GET0") for n in range(3)),
    span("render", 3, 4, "GET0"),
    span("run", 5, 9, "GET0", "worker"),
    span("GET", 0, 5, "elsewhere"),
]


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_a_real_exporter_is_understood(compression: Compression) -> None:
    collector = traces.Collector()
    try:
        provider = TracerProvider(resource=Resource.create({"service.name": "web"}))
        exporter = OTLPSpanExporter(f"{collector.url}/v1/traces", compression=compression)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        tracer = provider.get_tracer("test")
        with (
            tracer.start_as_current_span("outer", attributes={"n": 7, "text": "a"}),
            tracer.start_as_current_span("inner"),
        ):
            pass
        with tracer.start_as_current_span("alone"):
            pass
        collector.wait(lambda spans: len(spans) == 3)
        first, second = collector.traces()
        assert traces.tree(first) == "web: outer\n  web: inner"
        assert traces.tree(second) == "web: alone"
        (outer,) = traces.roots(first)
        assert (outer.attributes, outer.parent) == ({"n": "7", "text": "a"}, "")
        assert outer.start <= first[1].start <= first[1].end <= outer.end
        collector.clear()
        assert collector.traces() == []
    finally:
        collector.close()


def test_what_does_not_arrive_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "PATIENCE", 0.01)
    collector = traces.Collector()
    try:
        collector.spans.append(span("GET", 0, 1))
        with pytest.raises(TimeoutError, match=r"waited 0\.01 s for the task; there are web: GET"):
            collector.wait(lambda spans: len(spans) == 2, "the task")
    finally:
        collector.close()


def test_equal_neighbours_are_counted_and_a_missing_parent_makes_a_root() -> None:
    assert traces.tree(STAIRS).splitlines() == [
        "web: GET",
        "  3 × web: SELECT",  # noqa: RUF001
        "  web: render",
        "  worker: run",
    ]
    assert traces.tree([]) == ""


def test_a_waterfall_is_a_picture_that_tests_do_not_compare() -> None:
    picture = traces.waterfall([STAIRS, STAIRS[-1:]], ["before", "after"], alt="Two waterfalls.")
    assert picture.png is not None
    assert picture.png.startswith(b"\x89PNG")
    for text in ("before", "after", "SELECT", "worker"):
        assert text in picture.svg
    with pytest.raises(Exception, match="alt"):
        traces.waterfall([STAIRS], ["x"], alt=" ")
