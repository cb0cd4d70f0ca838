"""The image is built and run, with the Django project of snippets/ in it; compose.yaml holds.

The way to build without Docker is that of the project stays, whose tests need it too.
"""

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

import nexus
from nexus.services.ports import free_port
from nexus.services.process import wait_for
from projects.stays.tests import test_container as stays

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = Path(sys.executable).parent
FOLDER = ROOT / "snippets" / "containers"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
UID = 10001


storage, buildah, base = stays.storage, stays.buildah, stays.base  # its fixtures
Buildah = Callable[..., str]


def needs_buildah(test: Callable[..., None]) -> Callable[..., None]:
    for mark in stays.pytestmark:
        test = mark(test)
    return test


# -- The files


@pytest.mark.parametrize(
    "command",
    [
        ("hadolint", "Dockerfile"),
        ("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml"),
    ],
    ids=lambda command: command[0],
)
def test_the_tool_finds_nothing(command: tuple[str, ...]) -> None:
    program, *options = command
    done = subprocess.run(
        [BIN / program, *options], cwd=FOLDER, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["Dockerfile", "compose.yaml"])
def test_the_head_says_what_it_answers_and_what_to_watch_out_for(name: str) -> None:
    head = (FOLDER / name).read_text().partition("\n\n")[0]
    assert re.match(r"# [A-Z].*\?\n#\n# Needs ", head)
    assert "\n# Watch out:\n# * " in head


def conditions(service: dict[str, Any]) -> dict[str, str]:
    needed = service.get("depends_on", {})
    return {name: needed[name]["condition"] for name in needed}


def test_there_is_an_order_to_start_in() -> None:
    graph = {name: conditions(service) for name, service in SERVICES.items()}
    order = list(TopologicalSorter(graph).static_order())
    assert sorted(order) == sorted(SERVICES)
    assert order.index("database") < order.index("migrate") < order.index("web")
    assert order.index("cache") < order.index("web")


def test_what_is_waited_for_can_come_true() -> None:
    for service in SERVICES.values():
        for name, condition in conditions(service).items():
            needed = SERVICES[name]
            if condition == "service_healthy":
                assert needed["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL"), name
            else:
                assert condition == "service_completed_successfully"
                assert needed["restart"] == "no", name
    assert conditions(SERVICES["web"])["migrate"] == "service_completed_successfully"


def test_only_the_web_server_is_reached_and_from_this_machine_only() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"web": ["127.0.0.1:${PORT:-8000}:8000"]}


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_each_is_confined(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert set(service["logging"]["options"]) == {"max-size", "max-file"}
    assert "privileged" not in service
    assert service["image"] == "${IMAGE:-mysite}" or re.search(
        r":\d+\.\d+[.\d]*-\w+$", service["image"]
    )


def test_only_the_web_server_reaches_the_outside_and_nobody_whom_it_does_not_need() -> None:
    inner = {name for name, network in COMPOSE["networks"].items() if network["internal"]}
    assert inner == {"database", "cache"}
    networks = {name: set(service["networks"]) for name, service in SERVICES.items()}
    assert networks == {
        "web": {"default", "database", "cache"},
        "migrate": {"database"},
        "database": {"database"},
        "cache": {"cache"},
    }


def test_the_head_says_how_to_keep_what_is_in_the_volume() -> None:
    head = (FOLDER / "compose.yaml").read_text().partition("\nname:")[0]
    (command,) = re.findall(r"exec -T database (pg_dump .*) > ", head)
    user = SERVICES["database"]["environment"]["POSTGRES_USER"]
    assert command.split() == ["pg_dump", f"--username={user}", "--format=custom", user]


def test_migrations_have_no_limit_for_a_statement() -> None:
    assert SERVICES["migrate"]["environment"]["STATEMENT_TIMEOUT_MS"] == "0"
    assert "STATEMENT_TIMEOUT_MS" not in SERVICES["web"]["environment"]


def test_the_health_check_asks_nothing_of_the_database() -> None:
    """Else a platform that restarts what is unhealthy restarts every container with it."""
    (check,) = re.findall(r"HEALTHCHECK .*\n.*", (FOLDER / "Dockerfile").read_text())
    assert "/healthz'" in check


def test_no_secret_has_a_default_or_is_an_argument() -> None:
    secret = re.compile("PASSWORD|SECRET|_URL")
    for service in SERVICES.values():
        for name, value in service["environment"].items():
            assert not secret.search(name) or re.search(r"\$\{\w+:\?", value), name
        words = [service.get("command", []), service.get("healthcheck", {}).get("test", [])]
        assert "${" not in json.dumps(words)


def test_compose_gives_the_project_what_it_must_have() -> None:
    settings = (ROOT / "snippets" / "django-project" / "mysite" / "settings.py").read_text()
    required = set(re.findall(r'env\.\w+\(\s*"(\w+)"(?![^)]*default)', settings))
    assert required == {"SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL"}
    for name in ("web", "migrate"):
        assert required <= set(SERVICES[name]["environment"])


def test_the_page_lists_them() -> None:
    page = (FOLDER.parent / "README.md").read_text()
    for name in ("Dockerfile", "compose.yaml", ".dockerignore"):
        assert f"(containers/{name})" in page


# -- The image


@pytest.fixture(scope="module")
def image(
    buildah: Buildah,
    base: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    """What a reader builds: the project, with these files put beside manage.py."""
    folder = tmp_path_factory.mktemp("containers") / "project"
    shutil.copytree(FOLDER.parent / "django-project", folder)
    for name in ("Dockerfile", ".dockerignore"):
        shutil.copy(FOLDER / name, folder)
    for secret in (".env", "mysite/.env", "mysite/.env.production", "mysite/prod.env"):
        (folder / secret).write_text("SECRET_KEY=must-not-be-in-the-image\n")
    name = "localhost/snippet:test"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder.parent))  # buildah keeps what it downloads there
        buildah(
            "bud",
            "--isolation=chroot",
            "--format=docker",  # the other format has no HEALTHCHECK
            f"--build-arg=PYTHON_IMAGE={base}",
            *stays.as_here(tmp_path_factory.mktemp("pip")),
            f"--tag={name}",
            str(folder),
        )
    return name


@pytest.fixture(scope="module")
def config(buildah: Buildah, image: str) -> dict[str, Any]:
    inspected = json.loads(buildah("inspect", "--type=image", image))
    return dict(inspected["Docker"]["config"])


@pytest.fixture(scope="module")
def container(buildah: Buildah, image: str) -> Iterator[str]:
    name = buildah("from", image).strip()
    yield name
    buildah("rm", name)


@pytest.fixture(scope="module")
def options() -> Iterator[list[str]]:
    """What the container is told, and a PostgreSQL of its own."""
    with nexus.postgres(tcp=True) as pg:
        variables = {
            "SECRET_KEY": "for-this-test-only-" + "0123456789" * 4,
            "ALLOWED_HOSTS": ".example.com,other.example.org",
            "DATABASE_URL": pg.url,
            "BIND": f"127.0.0.1:{free_port()}",
        }
        yield [f"--env={name}={value}" for name, value in variables.items()]


@pytest.fixture(scope="module")
def run_in(buildah: Buildah, container: str) -> Callable[..., str]:
    def run(options: list[str], *command: str) -> str:
        return buildah("run", "--isolation=chroot", *options, container, "--", *command)

    return run


@needs_buildah
def test_it_holds_what_runs_and_nothing_else(
    run_in: Callable[..., str], options: list[str]
) -> None:
    found = run_in(options, "find", "/app", "-maxdepth", "1", "-mindepth", "1")
    expected = {"gunicorn.conf.py", "manage.py", "mysite", "requirements.txt", "static"}
    assert {Path(line).name for line in found.split()} == expected
    assert run_in(options, "find", "/app", "-name", "*.env*") == ""
    assert run_in(options, "find", "/app", "/venv", "-writable") == ""
    assert "/venv/bin/gunicorn" in run_in(options, "find", "/venv/bin", "-name", "[gp]*")
    assert "/venv/bin/pip" not in run_in(options, "find", "/venv/bin", "-name", "[gp]*")


def answers(bind: str) -> bool:
    with suppress(httpx.TransportError):
        answer = httpx.get(f"http://{bind}/healthz", headers={"Host": "www.example.com"})
        return answer.status_code == 200
    return False


@needs_buildah
def test_it_starts_answers_and_ends_when_asked(
    storage: tuple[str, ...],
    run_in: Callable[..., str],
    container: str,
    config: dict[str, Any],
    options: list[str],
) -> None:
    assert config["User"] == f"{UID}:{UID}"
    run_in(options, *SERVICES["migrate"]["command"])
    bind = next(option for option in options if "BIND=" in option).partition("BIND=")[2]
    check = config["Healthcheck"]["Test"]
    assert check[0] == "CMD"
    process = subprocess.Popen(
        [*storage, "run", "--isolation=chroot", *options, container, "--", *config["Cmd"]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_for(lambda: answers(bind) or process.poll() is not None, 60, "the container to answer")
        assert process.poll() is None, process.communicate()[0]
        inside = [
            each
            for each in psutil.Process(process.pid).children(recursive=True)
            if "gunicorn" in " ".join(each.cmdline()) and "buildah" not in each.name()
        ]
        assert len(inside) == 3  # one that keeps two
        assert {each.uids().real for each in inside} == {UID}
        run_in(options, *check[1:])
        inside[0].send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        if process.poll() is None:
            for each in psutil.Process(process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    each.kill()
        process.communicate()
    with pytest.raises(AssertionError, match="refused"):
        run_in(options, *check[1:])
