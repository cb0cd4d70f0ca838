import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DatabaseError
from django.test import Client

from docs import draw
from feed import middleware
from feed.models import Comment, Follow, Like, Post, User
from tests.conftest import Asks

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.django_db
def test_probes_ask_the_database_only_if_they_should(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.get("/healthz", headers={"Host": "anything"}).content == b"ok"
    assert client.get("/readyz").status_code == 200

    class Down:
        def cursor(self) -> Any:
            raise DatabaseError

    monkeypatch.setattr(middleware, "connection", Down())
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 503


@pytest.mark.django_db  # at the end of an answer Django looks after its connections
@pytest.mark.parametrize("page", ["/", "/explore", "/api/docs"])
def test_a_page_loads_nothing_from_third_parties(client: Client, page: str) -> None:
    answer = client.get(page)
    assert answer.status_code == 200
    loaded = re.findall(r'(?:src|href|url)="?([^"\s>)]+)', answer.content.decode())
    assert [place for place in loaded if not place.startswith(("/", "data:"))] == []
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    for place in loaded:
        if place.startswith("/static/"):
            file = client.get(place)
            assert b"".join(file.streaming_content), place  # type: ignore[arg-type]
            file.close()


@pytest.mark.parametrize(("plain", "there"), [("true", "True"), ("false", "False")])
def test_accounts_with_public_passwords_are_not_for_production(plain: str, there: str) -> None:
    asked = "import feed.settings as s; print('demo' in s.INSTALLED_APPS)"
    done = subprocess.run(
        [sys.executable, "-c", asked],
        cwd=ROOT,
        env=os.environ | {"PLAIN_HTTP": plain},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == there


@pytest.mark.django_db
def test_no_migration_is_missing_or_dangerous() -> None:
    call_command("makemigrations", "--check", "--dry-run")
    call_command("lintmigrations", "--sql-analyser=postgresql", "--no-cache")


@pytest.mark.django_db
def test_the_seed_fills_an_empty_database_once(
    capsys: pytest.CaptureFixture[str], rest: Asks, settings: Any
) -> None:
    settings.TIMELINE = "write"
    call_command("seed", posts=60)
    counts = [model.objects.count() for model in (User, Post, Like, Comment, Follow)]
    assert min(counts) >= 40
    for post in Post.objects.all():
        assert post.likes_count == post.likes.count()
    assert rest("GET", "/articles")["articlesCount"] == 60
    call_command("seed", posts=60)
    assert "Nothing was done" in capsys.readouterr().out
    assert counts == [model.objects.count() for model in (User, Post, Like, Comment, Follow)]


@pytest.mark.django_db
def test_rows_say_what_they_are() -> None:
    call_command("seed", posts=30, stdout=io.StringIO())
    user = User.objects.get(username="amara")
    assert str(user) == "amara"
    for model in (Post, Like, Comment, Follow):
        assert str(model.objects.first())


def test_it_does_not_start_without_its_secrets() -> None:
    wanted = ("SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL")
    for missing in wanted:
        environment = {name: "postgresql:///x" for name in wanted if name != missing}
        done = subprocess.run(
            [sys.executable, "-c", "import feed.settings"],
            cwd=ROOT,
            env=environment | {"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 1
        assert f"Set the {missing} environment variable" in done.stderr


def test_the_picture_of_the_tables_is_that_of_the_models() -> None:
    assert (ROOT / "docs" / "erd.d2").read_text() == draw.source(), "run `make pictures`"
    picture = (ROOT / "docs" / "erd.svg").read_text()
    assert all(model._meta.db_table in picture for model in draw.tables())
