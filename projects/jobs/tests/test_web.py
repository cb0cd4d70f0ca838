"""Probes, headers, pages, limits, settings, commands, and the picture of the tables."""

import importlib
import json
import subprocess
import sys
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client, RequestFactory
from django_tasks_db.models import DBTaskResult

from jobs import problems
from jobs.models import Application, Job, Notice
from tests.conftest import ROOT, World, client_of


def test_the_probes(db: None) -> None:
    for place in ("/healthz", "/readyz"):
        answer = Client().get(place, headers={"Host": "10.0.0.7"})  # an orchestrator's
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        assert Client().post(place).status_code == 405


def test_not_ready_without_a_migration(db: None) -> None:
    MigrationRecorder.Migration.objects.filter(app="jobs", name__startswith="0002").delete()
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["detail"]) == (503, "The database lacks a migration.")


def test_not_ready_without_a_database(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise DatabaseError("gone")

    monkeypatch.setattr("jobs.web.MigrationExecutor", fail)
    assert Client().get("/readyz").status_code == 503
    assert Client().get("/healthz").status_code == 200


@pytest.mark.parametrize("place", ["/", "/api/docs"])
def test_a_page_asks_no_third_party(place: str) -> None:
    answer = Client().get(place)
    text = answer.content.decode()
    assert "https://" not in text
    assert "<style" not in text
    assert "default-src 'self'" in answer["Content-Security-Policy"]
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_what_the_pages_need_is_served_here() -> None:
    bundle = "drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"
    for name in ("jobs/start.css", bundle):
        assert finders.find(name)  # whitenoise serves what is found


def test_bodies_have_a_limit(world: World) -> None:
    client = client_of(world.person)
    large = {"job": 1, "cover_letter": "x" * 70_000}
    assert client.post("/api/v1/applications", large).status_code == 413
    odd = client.post("/api/v1/applications", {}, CONTENT_LENGTH="many")
    assert odd.status_code == 400


@pytest.mark.parametrize(
    "body",
    ['{"job": NaN}', '{"job": 1, "job": 2}', '{"job": "\\ud800"}', "[" * 30_000, "\xff", "{"],
    ids=["nan", "twice", "surrogate", "deep", "latin-1", "open"],
)
def test_strange_json_is_refused(world: World, body: str) -> None:
    data = body.encode("latin-1")
    answer = client_of(world.person).post(
        "/api/v1/applications", data, content_type="application/json"
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "parse_error")


def test_a_whole_pair_of_surrogates_is_a_character(world: World) -> None:
    text = b'{"job": "\\ud83d\\ude00"}'
    answer = client_of(world.person).post(
        "/api/v1/applications", text, content_type="application/json"
    )
    assert answer.json()["code"] == "invalid"


def test_the_handlers_of_django_speak_of_problems() -> None:
    request = RequestFactory().get("/")
    for answer, status in (
        (problems.bad_request(request, SuspiciousOperation()), 400),
        (problems.bad_request(request, RequestDataTooBig()), 413),
        (problems.not_found(request, Exception()), 404),
        (problems.server_error(request), 500),
    ):
        assert (answer.status_code, json.loads(answer.content)["status"]) == (status, status)
    assert Client().get("/none/such").json()["code"] == "not_found"


def test_an_error_that_nobody_foresaw_says_nothing_of_itself(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise IntegrityError("a secret of the database")

    monkeypatch.setattr("jobs.views.search", fail)
    answer = Client(raise_request_exception=False).get("/api/v1/jobs")
    assert answer.status_code == 500
    assert "secret" not in answer.content.decode()


def test_the_openapi_document_is_whole() -> None:
    document = Client().get("/api/schema").json()
    assert document["openapi"].startswith("3.1")
    operations = [one for path in document["paths"].values() for one in path.values()]
    assert len({one["operationId"] for one in operations}) == len(operations) == 31 - 3
    assert all("401" in one["responses"] for one in operations)


@pytest.mark.parametrize("name", ["SECRET_KEY", "JWT_SIGNING_KEY", "DATABASE_URL", "RESUME_DIR"])
def test_a_process_without_a_setting_says_which(name: str) -> None:
    code = f"import os; del os.environ[{name!r}]; import jobs.settings"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"Set the {name} environment variable" in done.stderr


def test_debug_is_off_and_https_is_on_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PLAIN_HTTP")
    import jobs.settings

    try:
        fresh = importlib.reload(jobs.settings)
        assert not fresh.DEBUG
        assert "demo" not in fresh.INSTALLED_APPS  # its passwords are public
        assert fresh.SECURE_SSL_REDIRECT
        assert fresh.SECURE_HSTS_SECONDS == 31_536_000
    finally:
        monkeypatch.undo()
        importlib.reload(jobs.settings)


def test_the_seed_makes_a_world_once(db: None, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("seed", jobs=60)
    assert Job.objects.count() == 60
    assert set(Application.objects.values_list("status", flat=True)) == {
        *("submitted", "in_review", "interview", "offered", "hired")
    }
    call_command("seed", jobs=60)
    assert Job.objects.count() == 60
    assert not DBTaskResult.objects.exists(), "the worker would print all of its e-mails"
    assert not Notice.objects.filter(sent_at=None).exists()
    said = capsys.readouterr().out
    assert "correct-horse-battery" in said
    assert "There is data already." in said
    answer = Client().post(
        "/api/v1/auth/login",
        {"email": "ada@jobs.example", "password": "correct-horse-battery"},
        content_type="application/json",
    )
    assert answer.status_code == 200


def test_the_picture_shows_the_tables_as_they_are(db: None) -> None:
    draw = importlib.import_module("docs.draw")
    assert (ROOT / "docs" / "erd.d2").read_text(encoding="utf-8") == draw.erd(connection)
    svg = (ROOT / "docs" / "erd.svg").read_text(encoding="utf-8")
    for table in connection.introspection.table_names():
        assert (table in svg) == table.startswith("jobs_"), table


@pytest.mark.parametrize(("proxies", "status"), [("", 301), ("1", 400)])
def test_x_forwarded_proto_is_believed_behind_a_proxy_of_ours_only(
    proxies: str, status: int, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    import jobs.settings

    if proxies:
        monkeypatch.setenv("TRUSTED_PROXIES", proxies)
    try:
        fresh = importlib.reload(jobs.settings)
        settings.SECURE_PROXY_SSL_HEADER = fresh.SECURE_PROXY_SSL_HEADER
    finally:
        monkeypatch.undo()
        importlib.reload(jobs.settings)
    settings.SECURE_SSL_REDIRECT = True
    headers = {"X-Forwarded-Proto": "https"}
    answer = Client().post("/api/v1/auth/login", "{", "application/json", headers=headers)
    assert answer.status_code == status
