import socket
import threading
import time

import httpx
import pytest
import redis
from django.db import connection
from django.test import Client, override_settings

from stays.operations import health
from tests.programs import DEADLINE, Program

FINE = {"database": "ok", "migrations": "ok", "cache": "ok", "broker": "ok"}


@pytest.fixture
def silent() -> str:
    """The address of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def test_the_process_lives_whatever_else_does(client: Client) -> None:
    answer = client.get("/healthz")  # not marked django_db: a query would fail
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.django_db(transaction=True)
def test_ready_when_all_is_there(client: Client) -> None:
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "checks": FINE})


@pytest.mark.django_db(transaction=True)
def test_ready_but_degraded_without_valkey(client: Client) -> None:
    with override_settings(
        CACHES={"default": {"LOCATION": "redis://127.0.0.1:9/0"}},
        CELERY_BROKER_URL="redis://127.0.0.1:9/1",
    ):
        answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "degraded",
        "checks": FINE | {"cache": "down", "broker": "down"},
    }


@pytest.mark.django_db(transaction=True)
def test_a_silent_valkey_does_not_hold_the_probe(client: Client, silent: str) -> None:
    begin = time.monotonic()
    with override_settings(CELERY_BROKER_URL=f"redis://{silent}/1"):
        answer = client.get("/readyz")
    assert answer.json()["checks"] == FINE | {"broker": "down"}
    assert time.monotonic() - begin < health.SECONDS + 1


def test_not_ready_without_postgresql(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise OSError("connection to 10.1.2.3 refused")

    for name in health.NEEDED:
        monkeypatch.setitem(health.NEEDED, name, lambda: fail())
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert (body["status"], body["code"]) == (503, "not_ready")
    assert body["checks"] == FINE | {"database": "down", "migrations": "down"}
    assert body["request_id"] == answer["X-Request-ID"]
    assert "10.1.2.3" not in answer.content.decode()
    assert "10.1.2.3" in caplog.text


def test_a_hanging_check_is_given_up_and_not_begun_again(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, over = [], threading.Event()

    def hang() -> None:
        calls.append(1)
        over.wait(30)

    monkeypatch.setattr(health, "SECONDS", 0.2)
    monkeypatch.setattr(health, "USEFUL", {})
    monkeypatch.setattr(health, "NEEDED", {"database": hang})
    try:
        for _ in range(3):
            begin = time.monotonic()
            assert client.get("/readyz").json()["checks"] == {"database": "down"}
            assert time.monotonic() - begin < 2
        assert calls == [1]
    finally:
        over.set()


@pytest.mark.django_db(transaction=True)
def test_not_ready_with_a_migration_missing(client: Client) -> None:
    with connection.cursor() as cursor:
        where = "WHERE app = 'outbox' AND name = '0001_initial'"
        cursor.execute(f"UPDATE django_migrations SET name = 'was_0001' {where}")
        try:
            answer = client.get("/readyz")
        finally:
            cursor.execute(
                "UPDATE django_migrations SET name = '0001_initial' WHERE name = 'was_0001'"
            )
    assert answer.status_code == 503
    assert answer.json()["checks"] == FINE | {"migrations": "down"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_probe_needs_no_host_no_tls_and_no_session(client: Client, path: str) -> None:
    with override_settings(SECURE_SSL_REDIRECT=True, ALLOWED_HOSTS=["stays.example.com"]):
        answer = client.get(path, headers={"host": "10.0.0.7:8000"})
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_probe_only_asks(client: Client, path: str) -> None:
    answer = client.post(path)
    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")
    assert answer.json()["code"] == "method_not_allowed"


@pytest.mark.django_db
def test_served(server: Program) -> None:
    answer = httpx.get(f"{server.url()}/readyz", headers={"Host": "whoever"}, timeout=DEADLINE)
    assert (answer.status_code, answer.json()["checks"]) == (200, FINE)


@pytest.mark.django_db(transaction=True)
def test_degraded_if_valkey_refuses_to_be_written_to(client: Client, valkey: redis.Redis) -> None:
    """It answers a PING, and nobody can log in."""
    valkey.config_set("maxmemory", "1mb")
    valkey.config_set("maxmemory-policy", "noeviction")
    try:
        assert valkey.ping()
        answer = client.get("/readyz")
    finally:
        valkey.config_set("maxmemory", "0")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["checks"] == FINE | {"cache": "down", "broker": "down"}
