"""What compose.yaml promises; that its form is valid is one of the gates."""

import re
from pathlib import Path
from typing import Any

import pytest
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


def test_only_web_is_reached_from_outside_and_from_this_machine_only() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"web": ["127.0.0.1:${PORT:-8000}:8000"]}


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
