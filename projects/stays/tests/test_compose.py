"""What compose.yaml promises; that its form is valid is one of the gates."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

ROOT = Path(__file__).resolve().parent.parent
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
APP = [name for name, service in SERVICES.items() if service["image"] == "stays"]

every = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


@every
def test_each_is_confined(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
    assert "privileged" not in service


@every
def test_each_is_looked_after(service: dict[str, Any]) -> None:
    assert service["image"] == "stays" or re.search(r":\d+\.\d+[.\d]*-\w+$", service["image"])
    assert service["restart"] in ("unless-stopped", "no")


def test_only_the_proxy_is_reached_from_outside_and_from_this_machine_only() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"proxy": ["127.0.0.1:${PORT:-8000}:8080"]}


def test_nothing_starts_before_what_it_needs() -> None:
    migrated = {"condition": "service_completed_successfully"}
    healthy = {"condition": "service_healthy"}
    assert SERVICES["migrate"]["depends_on"] == {"database": healthy}
    for name in ("web", "worker", "beat"):
        assert SERVICES[name]["depends_on"] == {"migrate": migrated, "valkey": healthy}
    assert [name for name, service in SERVICES.items() if "build" in service] == ["migrate"]


def test_no_secret_has_a_default_or_is_here() -> None:
    secret = re.compile("PASSWORD|SECRET|TOKEN|KEY|DATABASE_URL|CACHE_URL|BROKER_URL")
    for service in SERVICES.values():
        for name, value in service["environment"].items():
            if secret.search(name):
                assert re.search(r"\$\{\w+:\?", value), name


def test_every_variable_without_a_default_is_passed_on() -> None:
    example = (ROOT / ".env.example").read_text()
    required = set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE))
    known = set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE))
    for name in APP:
        passed = set(SERVICES[name]["environment"])
        assert required - passed == set()
        assert passed - known == set()


def options() -> list[str]:
    """What Valkey is started with."""
    (line,) = re.findall(
        r"exec valkey-server - (.*?) <<END", SERVICES["valkey"]["command"][2], re.DOTALL
    )
    return shlex.split(line.replace("\\\n", " "))


def test_a_full_disk_does_not_stop_what_is_written() -> None:
    given = options()
    assert given[given.index("--appendonly") + 1] == "yes"
    assert given[given.index("--save") + 1] == ""


def test_a_flood_of_pages_does_not_evict_the_counters_of_log_ins(valkey: redis.Redis) -> None:
    """The counters end after a quarter of an hour, a page after two minutes."""
    given = options()
    counters = [f"attempts:account:{number}" for number in range(20)]
    used = valkey.info("memory")["used_memory"]
    before = valkey.config_get("maxmemory-policy")["maxmemory-policy"]
    valkey.config_set("maxmemory-policy", given[given.index("--maxmemory-policy") + 1])
    valkey.config_set("maxmemory", used + 2_000_000)
    try:
        for counter in counters:
            valkey.set(counter, 10, ex=900)
        evicted = valkey.info("stats")["evicted_keys"]
        for number in range(600):
            valkey.set(f"page:{number}", b"x" * 20_000, ex=120)
        assert valkey.info("stats")["evicted_keys"] - evicted > 300
        assert valkey.exists(*counters) == len(counters)
    finally:
        valkey.config_set("maxmemory", "0")
        valkey.config_set("maxmemory-policy", before)
