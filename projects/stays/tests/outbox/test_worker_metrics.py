"""What a worker tells Prometheus of its tasks, and the rules that look at it."""

import re
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from django.db import transaction
from django.test import Client, override_settings
from prometheus_client.parser import text_string_to_metric_families
from zeal import zeal_ignore

from stays.operations import worker as metrics
from stays.outbox import services as outbox
from tests.operations.test_metrics import TOKEN
from tests.outbox.test_worker import work  # noqa: F401
from tests.programs import DEADLINE, ROOT, Program, wait_for

RULES = ROOT / "prometheus"


def counted(page: str) -> dict[tuple[str, str], int]:
    """What is not 0, by task and outcome."""
    return {
        (sample.labels["task"], sample.labels["outcome"]): int(sample.value)
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == "stays_tasks_total" and sample.value
    }


@pytest.mark.django_db(transaction=True)
def test_every_end_of_a_task_is_counted(
    work: Callable[..., Program],  # noqa: F811
    tmp_path: Path,
) -> None:
    worker = work("prefork", "--include=tests.outbox.failing", WORKER_METRICS="127.0.0.1:0")
    (served,) = wait_for(lambda: worker.events(event="worker_metrics_served"))
    url = f"http://{served['address']}/metrics"
    assert httpx.get(url).status_code == 401
    page = httpx.get(url, headers=TOKEN).text
    assert counted(page) == {}
    assert 'stays_tasks_total{outcome="failed",task="payments.refund"} 0.0' in page
    for name in ("succeeds", "fails", "retries", "hangs", "dies", "nobody_has"):
        with transaction.atomic(), zeal_ignore():
            arguments = {"path": str(tmp_path / "died")} if name == "dies" else {}
            outbox.send(task=f"test.{name}", arguments=arguments)
    expected = {
        ("test.succeeds", "received"): 1,
        ("test.fails", "received"): 1,
        ("test.fails", "failed"): 1,
        ("test.retries", "received"): 3,
        ("test.retries", "retried"): 2,
        ("test.retries", "failed"): 1,
        ("test.hangs", "received"): 1,
        ("test.hangs", "failed"): 1,
        ("test.dies", "received"): 2,
        ("test.dies", "lost"): 1,
        ("unknown", "failed"): 1,
    }
    wait_for(lambda: len(worker.events(event="task_succeeded")) >= 2)
    wait_for(lambda: sum(counted(httpx.get(url, headers=TOKEN).text).values()) >= 14)
    assert counted(httpx.get(url, headers=TOKEN).text) == expected


def test_a_worker_without_an_address_or_a_free_port_goes_on(caplog: Any) -> None:
    metrics.serve()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with override_settings(WORKER_METRICS=address):
            metrics.serve()
    assert [record.levelname for record in caplog.records] == ["ERROR"]


# -- The rules


def rules() -> dict[str, str]:
    (group,) = yaml.safe_load((RULES / "alerts.yml").read_text())["groups"]
    return {rule["alert"]: rule["expr"] for rule in group["rules"]}


@pytest.mark.django_db
def test_the_rules_ask_for_what_is_exported(client: Client) -> None:
    asked = set(re.findall(r"stays_\w+", " ".join(rules().values())))
    page = client.get("/metrics", headers=TOKEN).content.decode()
    web = set(re.findall(r"^# TYPE (stays_\w+)", page, re.MULTILINE))
    assert asked - web == {f"{family.name}_total" for family in metrics.TASKS.collect()}
    outcomes = set(re.findall(r'outcome=~?"([\w|]+)"', " ".join(rules().values())))
    assert {one for some in outcomes for one in some.split("|")} <= set(metrics.OUTCOMES)


def test_every_job_of_the_rules_is_collected() -> None:
    collected = yaml.safe_load((RULES / "prometheus.yml").read_text())["scrape_configs"]
    jobs = {each["job_name"] for each in collected}
    assert set(re.findall(r'job="([^"]+)"', rules()["StaysIsSilent"])) == jobs
    assert [each["static_configs"][0]["targets"] for each in collected] == [
        ["web:8000"],
        ["worker:9100"],
    ]


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool (Debian: prometheus) is absent")
@pytest.mark.parametrize("what", ["check rules alerts.yml", "test rules alerts.test.yml"])
def test_the_rules_hold(what: str) -> None:
    done = subprocess.run(
        ["promtool", *what.split()], cwd=RULES, capture_output=True, text=True, timeout=DEADLINE
    )
    assert done.returncode == 0, done.stdout + done.stderr
