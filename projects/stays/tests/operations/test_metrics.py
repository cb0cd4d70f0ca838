import os
import signal
from pathlib import Path

import httpx
import pytest
from django.test import Client, override_settings
from prometheus_client.parser import text_string_to_metric_families

from stays.common.cache import cached
from stays.common.metrics import CACHE_READS, REFUSALS
from stays.outbox.models import OutboxMessage
from tests.programs import DEADLINE, Program, Start, wait_for

TOKEN = {"Authorization": "Bearer token-of-this-machine"}


def value(page: str, name: str, **labels: str) -> float | None:
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return sample.value
    return None


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", "Bearer wrong", "token-of-this-machine", "Bearer é"]
)
def test_without_the_token_nothing_is_told(client: Client, authorization: str) -> None:
    answer = client.get("/metrics", headers={"Authorization": authorization})
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.json()["code"] == "not_authenticated"


def test_only_asked(client: Client) -> None:
    answer = client.post("/metrics", headers=TOKEN)
    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")


@pytest.mark.django_db
def test_the_outbox_and_the_queue(client: Client) -> None:
    page = client.get("/metrics", headers=TOKEN).content.decode()
    assert value(page, "stays_outbox_waiting") == 0
    assert value(page, "stays_outbox_oldest_seconds") == 0
    assert value(page, "stays_queue_waiting") == 0
    OutboxMessage.objects.create(task="t", arguments={})
    page = client.get("/metrics", headers=TOKEN).content.decode()
    assert value(page, "stays_outbox_waiting") == 1
    assert value(page, "stays_outbox_oldest_seconds") >= 0


@pytest.mark.django_db
def test_the_parts_of_all_workers_are_added_up(
    client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))  # no worker has counted yet
    page = client.get("/metrics", headers=TOKEN).content.decode()
    assert value(page, "stays_refusals_total") is None
    assert value(page, "stays_outbox_waiting") == 0


@pytest.mark.django_db
def test_what_cannot_be_looked_up_is_left_out(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import OperationalError

    def fail(**_: object) -> None:
        raise OperationalError("down")

    monkeypatch.setattr(OutboxMessage.objects, "filter", fail)
    with override_settings(CELERY_BROKER_URL="redis://127.0.0.1:9/1"):
        answer = client.get("/metrics", headers=TOKEN)
    page = answer.content.decode()
    assert answer.status_code == 200
    assert value(page, "stays_outbox_waiting") is None
    assert value(page, "stays_queue_waiting") is None
    assert value(page, "django_http_requests_before_middlewares_total") > 0


def test_refusals_are_counted_by_code(client: Client) -> None:
    counter = REFUSALS.labels("404", "not_found")
    before = counter._value.get()
    client.get("/nothing")
    assert counter._value.get() == before + 1


def test_reads_of_the_cache_are_counted() -> None:
    def counted() -> list[float]:
        return [CACHE_READS.labels(result)._value.get() for result in ("hit", "miss", "down")]

    before = counted()
    for _ in range(3):
        cached("k", tags=["t"], seconds=60, compute=lambda: b"v")
    assert [now - then for now, then in zip(counted(), before, strict=True)] == [2, 1, 0]


@pytest.mark.django_db
def test_all_workers_count_together_and_a_new_worker_goes_on(start: Start, tmp_path: Path) -> None:
    stale = tmp_path / "counter_9.db"
    stale.write_bytes(b"of an earlier gunicorn")
    other = tmp_path / "notes.txt"
    other.write_text("not ours")
    server = start("gunicorn", WEB_CONCURRENCY="2", PROMETHEUS_MULTIPROC_DIR=str(tmp_path))
    url = server.url()
    assert not stale.exists()
    assert other.exists()

    def refused() -> float | None:
        page = httpx.get(f"{url}/metrics", headers=TOKEN, timeout=DEADLINE).text
        return value(page, "stays_refusals_total", code="not_found")

    for _ in range(20):
        httpx.get(f"{url}/nothing", timeout=DEADLINE)
    assert refused() == 20
    files = sorted(path.name for path in tmp_path.glob("*.db"))
    for event in server.events()[:]:
        if event["event"].startswith("Booting worker with pid: "):
            os.kill(int(event["event"].split()[-1]), signal.SIGTERM)

    def booted() -> bool:
        return sum(e["event"].startswith("Booting worker") for e in server.events()) == 4

    wait_for(booted)
    for _ in range(20):
        httpx.get(f"{url}/nothing", timeout=DEADLINE)
    assert refused() == 40  # neither lost nor counted twice
    assert {path.name for path in tmp_path.glob("*.db")} <= {
        f"{kind}_{slot}.db" for kind in ("counter", "histogram") for slot in (0, 1, 2)
    }, files
    assert server.end() == 0


@pytest.mark.django_db
def test_a_directory_of_gunicorn_s_own_is_removed(start: Start, tmp_path: Path) -> None:
    server = start("gunicorn", WEB_CONCURRENCY="1", TMPDIR=str(tmp_path))
    httpx.get(f"{server.url()}/nothing", timeout=DEADLINE)
    assert len(list(tmp_path.glob("stays-metrics-*/counter_0.db"))) == 1
    assert server.end() == 0
    assert list(tmp_path.glob("stays-metrics-*")) == []


@pytest.mark.django_db
def test_the_served_page_is_prometheus_s(server: Program) -> None:
    answer = httpx.get(f"{server.url()}/metrics", headers=TOKEN, timeout=DEADLINE)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    names = [family.name for family in text_string_to_metric_families(answer.text)]
    assert len(names) == len(set(names))
    assert "stays_outbox_waiting" in names
