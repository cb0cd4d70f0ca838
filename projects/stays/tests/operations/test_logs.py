import io
import json
import logging
import logging.config
import uuid
from typing import Any

import httpx
import pytest
import structlog
from django.test import Client
from opentelemetry import trace
from zeal import zeal_ignore

from stays.operations import logs
from stays.operations.middleware import REQUEST_ID
from tests.factories import PASSWORD, make_user
from tests.programs import DEADLINE, Program, Start, wait_for

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


def lines_of(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The lines about requests, as structlog handed them to logging."""
    return [
        r.msg for r in caplog.records if isinstance(r.msg, dict) and r.msg["event"] == "request"
    ]


@pytest.fixture
def written() -> Any:
    """Logs into a string, as the settings have it for production, and returns its objects."""
    configuration = logs.configuration(form="json", level="INFO")
    formatter = configuration["formatters"]["events"]
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter.pop("()")(**formatter))
    logging.getLogger().addHandler(handler)
    before = logging.getLogger().level
    logging.getLogger().setLevel("INFO")
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.getLogger().removeHandler(handler)
    logging.getLogger().setLevel(before)


def test_a_path_brings_no_control_characters_into_the_log(client: Client, written: Any) -> None:
    client.get("/%1b[2Jforged%0d%0aline%E2%80%A8")
    (line,) = written()
    assert line["path"] == "/%1B%5B2Jforged%0D%0Aline%E2%80%A8"


@pytest.mark.django_db
def test_one_line_a_request(client: Client, written: Any) -> None:
    user = make_user(is_staff=True, is_superuser=True)
    with zeal_ignore():  # both read the session
        client.force_login(user)
        answer = client.get("/admin/", headers={"X-Request-ID": "from-the-proxy-1"})
    assert answer["X-Request-ID"] == "from-the-proxy-1"
    (line,) = written()
    assert line.pop("duration_ms") > 0
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "request",
        "level": "info",
        "logger": "stays.operations.middleware",
        "method": "GET",
        "route": "admin/",
        "path": "/admin/",
        "status": 200,
        "user_id": str(user.id),
        "request_id": "from-the-proxy-1",
    }


@pytest.mark.parametrize(
    "offered", ["", "short", "a" * 65, "with space", "a@example.com", JWT, "line\\nbreak", "é" * 9]
)
def test_an_id_that_is_none_is_replaced(client: Client, offered: str) -> None:
    given = client.get("/nothing", headers={"X-Request-ID": offered})["X-Request-ID"]
    assert given != offered
    assert uuid.UUID(given).version == 4
    assert REQUEST_ID.fullmatch(given)


def test_a_problem_names_the_request(client: Client) -> None:
    answer = client.get("/nothing", headers={"X-Request-ID": "from-the-proxy-2"})
    assert answer.json()["request_id"] == "from-the-proxy-2"
    assert "request_id" not in structlog.contextvars.get_contextvars()


def test_nothing_of_the_query_or_of_probes_is_logged(client: Client, written: Any) -> None:
    client.get("/healthz")
    client.get("/nothing?email=a@example.com&token=abc")
    (line,) = written()
    assert (line["path"], line["route"], line["status"]) == ("/nothing", None, 404)


@pytest.mark.parametrize(
    ("event", "names"),
    [
        ("task_started", {"task": "outbox.relay"}),
        ("task_enqueued", {"child_task_name": "outbox.relay"}),
    ],
)
def test_the_schedulers_routine_is_logged_for_who_asks_for_all(
    written: Any, event: str, names: dict[str, str]
) -> None:
    logger = structlog.get_logger("tasks")
    logger.info(event, **names)
    logger.info(event, **dict.fromkeys(names, "payments.charge"))
    logger.info("task_failed", **names)
    assert [line["event"] for line in written()] == [event, "task_failed"]
    logging.getLogger("tasks").setLevel("DEBUG")
    try:
        logger.info(event, **names)
    finally:
        logging.getLogger("tasks").setLevel("NOTSET")
    assert len(written()) == 3


@pytest.mark.django_db
def test_a_log_in_leaves_no_password_token_or_address(client: Client, written: Any) -> None:
    user = make_user(is_staff=True)
    authorization = {"Authorization": f"Bearer {JWT}"}
    form = {"username": user.email, "password": PASSWORD}
    client.post("/admin/login/", form, headers=authorization)
    body = {"email": user.email, "password": "wrong " + PASSWORD}
    client.post("/api/v1/auth/login", body, "application/json", headers=authorization)
    logging.getLogger("other").warning("of %s with %s", user.email, {"token": JWT})
    structlog.get_logger("other").warning("e", user=user, headers=authorization, password=PASSWORD)
    try:
        raise ValueError(f"Key (email)=({user.email}) already exists; Bearer abc.def")
    except ValueError:
        logging.getLogger("other").exception("failed")
    text = json.dumps(written())
    assert len(written()) >= 5
    for secret in (user.email, PASSWORD, JWT, "abc.def"):
        assert secret not in text
    assert "ValueError: Key (email)=([redacted]) already exists; Bearer [redacted]" in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://:secret@valkey:6379/0", "redis://[redacted]@valkey:6379/0"),
        ("postgresql://stays:pw@db:5432/stays", "postgresql://[redacted]@db:5432/stays"),
        ("Basic dXNlcjpwdw==", "Basic [redacted]"),
        ("first.last+tag@mail.example.com wrote", "[redacted] wrote"),
        ("POST /api/v1/bookings", "POST /api/v1/bookings"),
        (["a@example.com", 1], ["[redacted]", 1]),
        ({"refresh_token": "abc", "count": 2}, {"refresh_token": "[redacted]", "count": 2}),
    ],
)
def test_redact(text: Any, shown: Any) -> None:
    assert logs.redact(None, "info", {"value": text}) == {"value": shown}


def test_a_line_names_its_trace() -> None:
    assert "trace_id" not in logs.add_trace(None, "info", {})
    context = trace.SpanContext(0xAB, 0xCD, is_remote=False)
    with trace.use_span(trace.NonRecordingSpan(context)):
        found = logs.add_trace(None, "info", {})
    assert found == {"trace_id": "ab".zfill(32), "span_id": "cd".zfill(16)}


def test_a_log_for_people() -> None:
    configuration = logs.configuration(form="console", level="INFO")["formatters"]["events"]
    formatter = configuration.pop("()")(**configuration)
    record = logging.LogRecord("other", logging.INFO, "", 1, "hello %s", ("you",), None)
    assert "hello you" in formatter.format(record)
    with pytest.raises(KeyError):
        logs.configuration(form="xml", level="INFO")


@pytest.mark.django_db
def test_served_as_json_lines_only(server: Program) -> None:
    httpx.get(f"{server.url()}/nothing", headers={"X-Request-ID": "as-served-1"}, timeout=DEADLINE)
    (line,) = wait_for(lambda: server.events(request_id="as-served-1"))
    assert (line["event"], line["status"]) == ("request", 404)
    assert all(text.startswith("{") for text in server.text().splitlines())


@pytest.mark.django_db
def test_a_request_s_id_goes_with_its_task(start: Start) -> None:
    from stays.celery import app

    worker = start("celery", "--app=stays", "worker", "--pool=solo", "--without-mingle")
    wait_for(lambda: "ready." in worker.text())
    with structlog.contextvars.bound_contextvars(request_id="at-once-1"):
        app.send_task("celery.backend_cleanup")
    app.send_task("celery.backend_cleanup", headers={"request_id": "relayed-1"})
    for request_id in ("at-once-1", "relayed-1"):
        (done,) = wait_for(
            lambda wanted=request_id: worker.events(event="task_succeeded", request_id=wanted)
        )
        assert done["level"] == "info"
        (begun,) = worker.events(event="task_started", request_id=request_id)
        assert begun["task"] == "celery.backend_cleanup"
