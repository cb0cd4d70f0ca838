import ast
import itertools
import json
import os
import re
import runpy
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery.schedules import crontab
from django.conf import settings
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.test import override_settings

from stays.operations import checks
from tests.operations.environment import ROOT, example, production

SYSTEM = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}


def settings_of(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> dict[str, Any]:
    """What settings.py makes of an environment."""
    for name in example(optional=True) | example(optional=False):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = runpy.run_path(str(ROOT / "stays" / "settings.py"))
    return {name: value for name, value in found.items() if name.isupper()}


def program(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *arguments],
        env=SYSTEM | {"DJANGO_SETTINGS_MODULE": "stays.settings"} | production() | variables,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


# -- .env.example


def read_by_settings() -> set[str]:
    tree = ast.parse((ROOT / "stays" / "settings.py").read_text())
    return {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "env"
        and isinstance(node.args[0], ast.Constant)
    }


def read_from_the_environment(*files: str) -> set[str]:
    texts = "".join((ROOT / file).read_text() for file in files)
    got = re.findall(r'os\.environ(?:\.get\(|\.setdefault\(|\[)"([A-Z_]+)"', texts)
    return {*got, *re.findall(r'"(OTEL_[A-Z_]+)"', texts)}


def test_the_example_lists_what_is_read_and_nothing_else() -> None:
    others = read_from_the_environment("gunicorn.conf.py", "stays/operations/tracing.py")
    listed = example(optional=True) | example(optional=False)
    assert set(listed) == read_by_settings() | others


def test_every_variable_has_a_comment() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    for before, line in itertools.pairwise(lines):
        if re.match(r"#?[A-Z][A-Z0-9_]*=", line):
            assert before.startswith("# "), line
            assert not before.startswith("# --"), line


@pytest.mark.parametrize("name", sorted(example(optional=False)))
def test_without_a_required_variable_nothing_starts(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    variables = production()
    del variables[name]
    with pytest.raises(ImproperlyConfigured, match=rf"\b{name}\b"):
        settings_of(monkeypatch, variables)


def test_a_process_says_what_is_missing() -> None:
    variables = production()
    del variables["JWT_SIGNING_KEY"]
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        env=SYSTEM | variables,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert "JWT_SIGNING_KEY" in done.stderr


def test_the_defaults_are_those_that_the_example_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    def shown(settings: dict[str, Any]) -> dict[str, str]:
        return {name: repr(value) for name, value in settings.items() if name != "LOGGING"}

    alone = settings_of(monkeypatch, production())
    spelled = settings_of(monkeypatch, production() | example(optional=True))
    assert shown(alone) == shown(spelled)


# -- What settings make of variables


@pytest.mark.parametrize(
    ("name", "value"),
    [("ALLOWED_HOSTS", "a.org, b.org"), ("CSRF_TRUSTED_ORIGINS", "https://a.org, https://b.org")],
)
def test_blanks_in_a_list_belong_to_no_name(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = settings_of(monkeypatch, production() | {name: value})
    assert found[name] == value.split(", ")


def test_the_database_s_url_has_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    url = (
        "postgresql://u:p%40w@db:6432/stays?sslmode=verify-full&sslrootcert=/etc/ssl/ca.pem"
        "&options=-c%20search_path%3Dapp&conn_max_age=0&disable_server_side_cursors=true"
        "&connect_timeout=3"
    )
    (database,) = settings_of(monkeypatch, production() | {"DATABASE_URL": url})[
        "DATABASES"
    ].values()
    assert database["OPTIONS"] == {
        "sslmode": "verify-full",
        "sslrootcert": "/etc/ssl/ca.pem",
        "connect_timeout": 3,
        "options": "-c statement_timeout=10000 -c lock_timeout=5000 -c search_path=app",
    }
    assert database["PASSWORD"] == "p@w"
    assert database["CONN_MAX_AGE"] == 0
    assert database["DISABLE_SERVER_SIDE_CURSORS"]
    assert database["CONN_HEALTH_CHECKS"]


def test_the_database_s_url_may_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = production() | {"DATABASE_URL": "postgresql://u:p@db/stays?sslmode=require"}
    (database,) = settings_of(monkeypatch, variables)["DATABASES"].values()
    assert database["OPTIONS"] == {
        "sslmode": "require",
        "connect_timeout": 5,
        "options": "-c statement_timeout=10000 -c lock_timeout=5000",
    }
    assert database["CONN_MAX_AGE"] == 60


# -- check --deploy, and static files


def test_production_settings_pass_the_deployment_check() -> None:
    done = program("manage.py", "check", "--deploy", "--fail-level", "WARNING")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "System check identified no issues (0 silenced).\n"


def test_the_example_s_secrets_do_not_pass() -> None:
    done = program("manage.py", "check", **example(optional=False))
    assert done.returncode == 1
    assert done.stderr.count("(stays.E003)") == 5


STATIC = """
import json, sys
import stays.settings
stays.settings.STATIC_ROOT = sys.argv[1]
import django
django.setup()
from django.core.management import call_command
call_command("collectstatic", interactive=False, verbosity=0)
from django.test import Client
client = Client(headers={"host": "stays.example.com"})
page = client.get("/api/docs", secure=True)
plain = client.get("/api/docs")
files = [part.split('"')[0] for part in page.content.decode().split('"/static/')[1:]]
style = next(file for file in files if file.endswith(".css"))
served = client.get("/static/" + style, secure=True, headers={"accept-encoding": "gzip"})
print(json.dumps({
    "status": page.status_code, "headers": dict(page.headers), "files": files,
    "plain": [plain.status_code, plain.headers.get("location")],
    "file": [served.status_code, served.headers["content-encoding"],
             served.headers["cache-control"]],
    "healthz": client.get("/healthz").status_code,
    "cookie": str(client.get("/admin/login/", secure=True).cookies["csrftoken"]),
}))
"""


def test_in_production(tmp_path: Path) -> None:
    cache = {name: os.environ[name] for name in ("CACHE_URL", "BROKER_URL")}
    done = program("-W", "ignore", "-c", STATIC, str(tmp_path), **cache)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["status"] == 200
    assert all(re.search(r"\.[0-9a-f]{12}\.(css|js|png)$", file) for file in found["files"][:3])
    assert found["file"] == [200, "gzip", "max-age=315360000, public, immutable"]
    assert found["plain"] == [301, "https://stays.example.com/api/docs"]
    assert found["healthz"] == 200
    assert "Secure" in found["cookie"]
    headers = found["headers"]
    assert headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains; preload"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "geolocation=()" in headers["Permissions-Policy"]
    assert set(headers["Content-Security-Policy"].split("; ")) == {
        "default-src 'self'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    }


# -- Our own checks


def ids(**settings: Any) -> list[str | None]:
    with override_settings(**settings):
        return [message.id for message in run_checks() if (message.id or "").startswith("stays.")]


def test_nothing_to_complain_about() -> None:
    assert ids() == []


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"SIMPLE_JWT": {"SIGNING_KEY": "x" * 31}}, "stays.E001"),
        ({"METRICS_TOKEN": ""}, "stays.E002"),
        ({"PAYMENT_WEBHOOK_SECRET": "x" * 15}, "stays.E002"),
        ({"PAYMENT_PROVIDER_KEY": "change-me-now"}, "stays.E003"),
        (
            {"SIMPLE_JWT": {"SIGNING_KEY": "for-this-machine-only-" + "0123456789" * 4}},
            "stays.E004",
        ),
        ({"CELERY_BROKER_URL": os.environ["CACHE_URL"]}, "stays.E005"),
        ({"CELERY_BROKER_TRANSPORT_OPTIONS": {"visibility_timeout": 420}}, "stays.E006"),
        ({"SWEEP_AFTER": timedelta(seconds=120)}, "stays.E009"),
    ],
)
def test_a_misconfiguration_is_found(settings: dict[str, Any], expected: str) -> None:
    assert ids(**settings) == [expected]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("redis://valkey", "redis://:pw@valkey:6379/0", True),
        ("redis://valkey/0", "redis://valkey/1", False),
        ("redis://valkey/0", "redis://other/0", False),
    ],
)
def test_the_same_database(one: str, other: str, same: bool) -> None:
    assert (checks._place(one) == checks._place(other)) is same


@pytest.mark.django_db
def test_an_old_postgresql_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks.postgresql(None, databases=["default"]) == []
    assert checks.postgresql(None, databases=None) == []
    monkeypatch.setattr(checks, "OLDEST", 990_000)
    assert [e.id for e in checks.postgresql(None, databases=["default"])] == ["stays.E007"]


@pytest.mark.django_db
def test_a_pooler_that_drops_the_limits_is_found() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
    (found,) = checks.postgresql(None, databases=["default"])
    assert (found.id, found.msg) == ("stays.E008", "The database did not take statement_timeout.")


def test_what_is_rare_is_due_by_the_clock() -> None:
    """Beat keeps no state: a long interval begins anew whenever it is started."""
    for name, entry in settings.CELERY_BEAT_SCHEDULE.items():
        schedule = entry["schedule"]
        if isinstance(schedule, timedelta):
            schedule = schedule.total_seconds()
        assert isinstance(schedule, crontab) or schedule <= 15 * 60, name
