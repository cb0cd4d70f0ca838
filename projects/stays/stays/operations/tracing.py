"""OpenTelemetry's traces, if the environment asks for them; otherwise none of it is imported.

They are on with OTEL_EXPORTER_OTLP_ENDPOINT (or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT), or with
OTEL_TRACES_EXPORTER=otlp or console, and off with OTEL_SDK_DISABLED=true or
OTEL_TRACES_EXPORTER=none. All other OTEL_* variables keep their meaning: the sampler, the headers,
the attributes of the resource.

Each process starts its own, after the fork: the exporter runs in a thread, and threads do not
survive a fork.
"""

import os
from collections.abc import Mapping


def wanted(environment: Mapping[str, str]) -> bool:
    """Return whether an environment asks for traces."""
    exporter = environment.get("OTEL_TRACES_EXPORTER", "")
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or exporter == "none":
        return False
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    return bool(exporter) or any(environment.get(name) for name in endpoints)


def start() -> bool:
    """Start tracing this process, if the environment asks for it.

    It must come before Django loads its middleware and before the first connection.

    Returns:
        Whether it was started.

    Raises:
        ValueError: if OTEL_TRACES_EXPORTER names an exporter that is not here.
    """
    if not wanted(os.environ):
        return False
    from opentelemetry import trace
    from opentelemetry.instrumentation.celery import CeleryInstrumentor
    from opentelemetry.instrumentation.django import DjangoInstrumentor
    from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
    from opentelemetry.instrumentation.redis import RedisInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import (
        BatchSpanProcessor,
        ConsoleSpanExporter,
        SpanExporter,
    )

    exporter: SpanExporter
    match os.environ.get("OTEL_TRACES_EXPORTER") or "otlp":
        case "otlp":
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            exporter = OTLPSpanExporter()
        case "console":
            exporter = ConsoleSpanExporter()
        case other:
            raise ValueError(f"OTEL_TRACES_EXPORTER is {other}, not otlp, console or none")
    os.environ.setdefault("OTEL_SERVICE_NAME", "stays")
    provider = TracerProvider()  # reads the resource and the sampler from the environment
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    DjangoInstrumentor().instrument(excluded_urls="healthz,readyz,metrics")
    PsycopgInstrumentor().instrument()
    RedisInstrumentor().instrument()
    CeleryInstrumentor().instrument()
    return True


def stop() -> None:
    """Send what is not sent yet. For processes that end without Python's exit handlers."""
    if wanted(os.environ):
        from opentelemetry import trace

        shutdown = getattr(trace.get_tracer_provider(), "shutdown", None)
        if shutdown:
            shutdown()
