"""What belongs to the project and is not a feature: pictures, settings, data, probes."""

import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError
from django.test import Client

from docs import draw
from polls.models import Option, Poll, Vote
from polls.services import results

ROOT = Path(__file__).resolve().parent.parent


def test_the_picture_shows_the_tables_as_they_are() -> None:
    assert (ROOT / "docs/erd.d2").read_text() == draw.source(), "make pictures"
    assert (ROOT / "docs/erd.svg").read_text() == draw.draw(draw.source()), "make pictures"


@pytest.mark.parametrize("name", ["SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL"])
def test_without_a_secret_or_an_address_it_does_not_start_and_says_which(name: str) -> None:
    variables = {key: value for key, value in os.environ.items() if key != name}
    done = subprocess.run(
        [sys.executable, "-c", "import polls.settings"],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert name in done.stderr.splitlines()[-1]


@pytest.mark.django_db(transaction=True)
def test_the_seed_is_loaded_once_and_its_counts_are_right() -> None:
    said = StringIO()
    call_command("seed", stdout=said)
    polls, votes = Poll.objects.count(), Vote.objects.count()
    assert said.getvalue() == f"{polls} polls, {votes} votes\n"
    assert polls == 8
    assert sum(option.votes for option in Option.objects.all()) == votes
    assert sum(each.final for each in results(Poll.objects.values_list("pk", flat=True)).values())
    call_command("seed", stdout=said)
    assert Vote.objects.count() == votes


@pytest.mark.parametrize(("plain", "there"), [("true", "True"), ("false", "False")])
def test_accounts_with_a_public_password_are_not_for_a_real_site(plain: str, there: str) -> None:
    asked = "import polls.settings as s; print('demo' in s.INSTALLED_APPS)"
    done = subprocess.run(
        [sys.executable, "-c", asked],
        cwd=ROOT,
        env=os.environ | {"PLAIN_HTTP": plain},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == there


@pytest.mark.django_db(transaction=True)  # they close their connection
def test_probes_answer_under_any_name(
    client: Client, monkeypatch: pytest.MonkeyPatch, settings: object
) -> None:
    for address in ("/healthz", "/readyz"):
        answer = client.get(address, headers={"host": "10.0.0.7"})
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        assert answer.headers["Cache-Control"] == "no-store"

    def away(*_: object) -> None:
        raise OperationalError("secret details")

    monkeypatch.setattr("polls.middleware.MigrationExecutor", away)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "secret" not in answer.content.decode()
    assert client.get("/healthz").status_code == 200


@pytest.mark.django_db
def test_no_answer_names_a_third_party_and_scripts_are_files(client: Client) -> None:
    for address in ("/", "/login", "/register", "/api/docs", "/api/docs?script="):
        answer = client.get(address)
        text = answer.content.decode()
        assert answer.status_code == 200
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert "https://" not in text
        assert "http://" not in text.replace("http://testserver", "")
        assert "<script>" not in text
        assert "style=" not in text


@pytest.mark.django_db
def test_the_openapi_description_has_no_gaps(tmp_path: Path) -> None:
    call_command("spectacular", "--fail-on-warn", "--format=openapi-json", f"--file={os.devnull}")


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    call_command("makemigrations", "--check", "--dry-run")


@pytest.mark.django_db
def test_no_migration_is_dangerous() -> None:
    call_command("lintmigrations", "--sql-analyser=postgresql", "--no-cache")


def test_static_files_are_served_whole(client: Client) -> None:
    answer = client.get("/static/polls/live.js")
    assert answer.status_code == 200
    assert answer.content == (ROOT / "polls/static/polls/live.js").read_bytes()
    again = client.get("/static/polls/live.js", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_x_forwarded_proto_is_left_to_uvicorn(client: Client, settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    headers = {"X-Forwarded-Proto": "https"}
    assert client.get("/api/docs", headers=headers).status_code == 301
    assert client.get("/api/docs", secure=True).status_code == 200
