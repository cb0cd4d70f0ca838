"""The image is built and run, without Docker: by buildah, which a Debian machine has.

The official base image cannot always be pulled, so a stand-in is made of Debian's packages. It is
kept in the machine's temporary directory. What Docker and compose make of the same files is
tested in .github/workflows/test.yml.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.error import URLError

import psutil
import psycopg
import pytest

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(tempfile.gettempdir()).resolve() / f"stays-container-{os.geteuid()}"
BASE = "localhost/stays-python:base"
PACKAGES = "python3,python3-venv,ca-certificates"
UID = 10001
BUILDAH = ("buildah", "--storage-driver=vfs", f"--root={CACHE}/storage", f"--runroot={CACHE}/run")
DEADLINE = 60  # seconds

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="buildah is used as root here"),
    pytest.mark.skipif(
        not (shutil.which("buildah") and shutil.which("mmdebstrap")),
        reason="needs buildah and mmdebstrap: apt-get install buildah mmdebstrap",
    ),
]


def call(*command: str, **options: object) -> str:
    done = subprocess.run(  # type: ignore[call-overload]
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        **options,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    return str(done.stdout)


def buildah(*arguments: str) -> str:
    return call(*BUILDAH, *arguments)


def base() -> None:
    """Make the base image, unless it is there."""
    if CACHE.exists() and (CACHE.is_symlink() or CACHE.stat().st_uid != os.geteuid()):
        pytest.fail(f"{CACHE} is somebody else's")
    CACHE.mkdir(mode=0o700, exist_ok=True)
    with suppress(AssertionError):
        buildah("inspect", "--type=image", BASE)
        return
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        call(
            "mmdebstrap",
            "--quiet",
            "--variant=minbase",
            f"--include={PACKAGES}",
            "bookworm",
            f"{folder}/base.tar",
        )
        (Path(folder) / "Dockerfile").write_text("FROM scratch\nADD base.tar /\n")
        buildah("bud", "--isolation=chroot", "--quiet", f"--tag={BASE}", folder)


def as_here(folder: Path) -> Iterator[str]:
    """Options that let pip find packages in the build as it does on this machine.

    A mirror's address and its certificates are mounted: no layer of the image holds them.
    """
    listed = call(sys.executable, "-m", "pip", "config", "list")
    lines = [line.partition("=")[::2] for line in listed.splitlines()]
    options = {name.rpartition(".")[2]: value.strip("'\"") for name, value in lines}
    config = folder / "pip.conf"
    config.write_text("\n".join(["[global]", *(f"{n} = {v}" for n, v in options.items())]))
    yield f"--volume={config}:/etc/pip.conf:ro"
    for word in {word for value in options.values() for word in value.split()}:
        path = Path(word.removeprefix("file://"))
        if word.startswith("file://"):
            path = path.parent  # an index's pages refer to files beside it
        if path.is_absolute() and path.exists():
            yield f"--volume={path}:{path}:ro"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    base()
    name = f"localhost/stays-test-{os.getpid()}"
    began = time.monotonic()
    buildah(
        "bud",
        "--isolation=chroot",
        "--format=docker",  # the other format has no HEALTHCHECK
        f"--build-arg=PYTHON_IMAGE={BASE}",
        *as_here(tmp_path_factory.mktemp("build")),
        f"--tag={name}",
        str(ROOT),
    )
    print(f"\nbuilt in {time.monotonic() - began:.0f} s", file=sys.__stderr__)
    yield name
    buildah("rmi", "--force", name)
    buildah("rmi", "--prune", "--force")


@pytest.fixture(scope="module")
def container(image: str) -> Iterator[str]:
    name = buildah("from", image).strip()
    yield name
    buildah("rm", name)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def options() -> Iterator[list[str]]:
    """Production's settings, and the servers of these tests with a database of its own."""
    database, valkey = os.environ["DATABASE_URL"], os.environ["CACHE_URL"]
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS container")
        connection.execute("CREATE DATABASE container")
        info = connection.info
        host, port, user = info.host, info.port, info.user
        volumes = []
        if host.startswith("/"):  # a socket, in a directory that the container's user cannot enter
            volumes = [f"--volume={host}/.s.PGSQL.{port}:/run/.s.PGSQL.{port}"]
            host = "/run"
        variables = {
            "SECRET_KEY": "for-this-test-only-" + "0123456789" * 4,
            "JWT_SIGNING_KEY": "for-this-test-only-" + "9876543210" * 4,
            "METRICS_TOKEN": "metrics-token-for-this-test-only-0123456789",
            "ALLOWED_HOSTS": "stays.example.com",
            "DATABASE_URL": f"postgresql://{user}:{info.password}@/container?host={host}&port={port}",
            "CACHE_URL": valkey,
            "BROKER_URL": valkey.removesuffix("/0") + "/1",
            "EMAIL_URL": "dummymail://",
            "DEFAULT_FROM_EMAIL": "Stays <stays@example.com>",
            "PAYMENT_PROVIDER_URL": "http://127.0.0.1:9",
            "PAYMENT_PROVIDER_KEY": "provider-key-for-this-test-only-0123456789",
            "PAYMENT_WEBHOOK_SECRET": "webhook-secret-for-this-test-only-0123456789",
            "BIND": f"127.0.0.1:{free_port()}",
        }
        yield volumes + [f"--env={name}={value}" for name, value in variables.items()]
        connection.execute("DROP DATABASE container WITH (FORCE)")


def run_in(container: str, options: list[str], *command: str) -> str:
    return buildah("run", "--isolation=chroot", *options, container, "--", *command)


def configuration(image: str) -> dict[str, object]:
    inspected = json.loads(buildah("inspect", "--type=image", image))
    return dict(inspected["Docker"]["config"])


def test_it_starts_is_ready_and_ends_when_asked(
    image: str, container: str, options: list[str]
) -> None:
    config = configuration(image)
    assert config["User"] == f"{UID}:{UID}"
    run_in(container, options, "python", "manage.py", "migrate", "--no-input")

    bind = next(option for option in options if "BIND=" in option).partition("BIND=")[2]
    began = time.monotonic()
    process = subprocess.Popen(
        [*BUILDAH, "run", "--isolation=chroot", *options, container, "--", *config["Cmd"]],  # type: ignore[misc]
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        answer = wait_for(f"http://{bind}/readyz", process)
        print(f"ready in {time.monotonic() - began:.1f} s", file=sys.__stderr__)
        assert json.loads(answer)["status"] == "ok"

        inside = [
            each
            for each in psutil.Process(process.pid).children(recursive=True)
            if "gunicorn" in " ".join(each.cmdline()) and "buildah" not in each.name()
        ]
        assert len(inside) == 3  # one that keeps two
        assert {each.uids().real for each in inside} == {UID}

        assert config["Healthcheck"]["Test"][0] == "CMD"  # type: ignore[index]
        run_in(container, options, *config["Healthcheck"]["Test"][1:])  # type: ignore[index]

        began = time.monotonic()
        inside[0].send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        print(f"ended in {time.monotonic() - began:.1f} s", file=sys.__stderr__)
    finally:
        if process.poll() is None:
            for each in psutil.Process(process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    each.kill()
        process.communicate()


def wait_for(address: str, process: "subprocess.Popen[str]") -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(URLError, ConnectionError):
            return bytes(opener.open(address, timeout=5).read())
        time.sleep(0.1)
    process.kill()
    pytest.fail(process.communicate()[0])


def test_the_healthcheck_fails_when_nothing_answers(
    image: str, container: str, options: list[str]
) -> None:
    nobody = [*options, f"--env=BIND=127.0.0.1:{free_port()}"]
    test = configuration(image)["Healthcheck"]["Test"]  # type: ignore[index]
    with pytest.raises(AssertionError, match="refused"):
        run_in(container, nobody, *test[1:])


def test_it_holds_what_runs_and_nothing_else(container: str, options: list[str]) -> None:
    found = run_in(container, options, "find", "/app", "-maxdepth", "1", "-mindepth", "1")
    assert {Path(line).name for line in found.split()} == {
        "data",
        "gunicorn.conf.py",
        "manage.py",
        "requirements.txt",
        "static",
        "stays",
    }
    assert run_in(container, options, "find", "/app", "-writable") == ""
    size = run_in(container, options, "du", "-sm", "/venv", "/app")
    print(f"MB: {' '.join(size.split())}", file=sys.__stderr__)
