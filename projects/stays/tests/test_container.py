"""The image is built and run, without Docker: by buildah, which a Debian machine has.

The official base image cannot always be pulled, so a stand-in is made of Debian's packages. What
Docker and compose make of the same files is tested in .github/workflows/test.yml.
"""

import fcntl
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
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

ROOT = Path(__file__).resolve().parent.parent
BASE = "localhost/stays-python:base"
PACKAGES = "python3,python3-pip,python3-venv,ca-certificates"
UID = 10001
DEADLINE = 120  # seconds
Buildah = Callable[..., str]

pytestmark = [
    pytest.mark.xdist_group("container"),  # the image is built once
    pytest.mark.skipif(
        not os.environ.get("IMAGE"), reason="builds the image, for minutes: make test IMAGE=1"
    ),
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


@pytest.fixture(scope="module")
def storage() -> Iterator[tuple[str, ...]]:
    """buildah, with a place of its own for images and containers; it goes with the tests.

    Its driver copies every layer whole, some hundred thousand files: in memory, where there is
    room, that takes seconds.
    """
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 4 * 1024**3
    place = memory if roomy else None
    with tempfile.TemporaryDirectory(prefix="stays-container-", dir=place) as folder:
        places = (f"--root={folder}/storage", f"--runroot={folder}/run")
        yield ("buildah", "--storage-driver=vfs", *places)


@pytest.fixture(scope="module")
def buildah(storage: tuple[str, ...]) -> Buildah:
    return lambda *arguments: call(*storage, *arguments)


def lay_base(folder: Path, call: Callable[..., str] = call) -> Path:
    """Make Debian with Python as a file in a folder, or link to the one that is made already.

    TEST_SHARED names a folder in which test runs that go on side by side share what takes long.
    """
    tar = folder / "base.tar"
    shared = os.environ.get("TEST_SHARED")
    if not shared:
        make_base(tar, call)
        return tar
    made = Path(shared) / "base.tar"
    with (Path(shared) / "base.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            make_base(made.with_suffix(".part"), call)
            made.with_suffix(".part").rename(made)
    try:
        tar.hardlink_to(made)
    except OSError:  # another file system, or another user's file
        shutil.copyfile(made, tar)
    return tar


def make_base(tar: Path, call: Callable[..., str]) -> None:
    options = ("--quiet", "--variant=minbase", "--format=tar", f"--include={PACKAGES}")
    without = [f"--dpkgopt=path-exclude=/usr/share/{what}/*" for what in ("doc", "locale", "man")]
    call("mmdebstrap", *options, *without, "bookworm", str(tar))


@pytest.fixture(scope="module")
def base(buildah: Buildah, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The base image: Debian with Python."""
    folder = tmp_path_factory.mktemp("base")
    tar = lay_base(folder)
    (folder / "Dockerfile").write_text("FROM scratch\nADD base.tar /\n")
    buildah("bud", "--isolation=chroot", "--quiet", f"--tag={BASE}", str(folder))
    tar.unlink()
    return BASE


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
def image(buildah: Buildah, base: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    name = "localhost/stays:test"
    began = time.monotonic()
    buildah(
        "bud",
        "--isolation=chroot",
        "--format=docker",  # the other format has no HEALTHCHECK
        f"--build-arg=PYTHON_IMAGE={base}",
        *as_here(tmp_path_factory.mktemp("build")),
        f"--tag={name}",
        str(ROOT),
    )
    print(f"\nbuilt in {time.monotonic() - began:.0f} s", file=sys.__stderr__)
    return name


@pytest.fixture(scope="module")
def container(buildah: Buildah, image: str) -> Iterator[str]:
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


@pytest.fixture(scope="module")
def run_in(buildah: Buildah, container: str) -> Callable[..., str]:
    """Runs a command in the container."""

    def run(options: list[str], *command: str) -> str:
        return buildah("run", "--isolation=chroot", *options, container, "--", *command)

    return run


@pytest.fixture(scope="module")
def config(buildah: Buildah, image: str) -> dict[str, Any]:
    """The image's configuration."""
    inspected = json.loads(buildah("inspect", "--type=image", image))
    return dict(inspected["Docker"]["config"])


def test_it_starts_is_ready_and_ends_when_asked(
    storage: tuple[str, ...],
    run_in: Callable[..., str],
    container: str,
    config: dict[str, Any],
    options: list[str],
) -> None:
    assert config["User"] == f"{UID}:{UID}"
    run_in(options, "python", "manage.py", "migrate", "--no-input")

    bind = next(option for option in options if "BIND=" in option).partition("BIND=")[2]
    began = time.monotonic()
    process = subprocess.Popen(
        [*storage, "run", "--isolation=chroot", *options, container, "--", *config["Cmd"]],
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

        assert config["Healthcheck"]["Test"][0] == "CMD"
        run_in(options, *config["Healthcheck"]["Test"][1:])

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
        with suppress(OSError):
            return bytes(opener.open(address, timeout=5).read())
        time.sleep(0.1)
    process.kill()
    pytest.fail(process.communicate()[0])


def test_the_healthcheck_fails_when_nothing_answers(
    run_in: Callable[..., str], config: dict[str, Any], options: list[str]
) -> None:
    nobody = [*options, f"--env=BIND=127.0.0.1:{free_port()}"]
    test = config["Healthcheck"]["Test"]
    with pytest.raises(AssertionError, match="refused"):
        run_in(nobody, *test[1:])


def test_it_holds_what_runs_and_nothing_else(
    run_in: Callable[..., str], options: list[str]
) -> None:
    found = run_in(options, "find", "/app", "-maxdepth", "1", "-mindepth", "1")
    assert {Path(line).name for line in found.split()} == {
        "data",
        "gunicorn.conf.py",
        "manage.py",
        "requirements.txt",
        "static",
        "stays",
    }
    assert run_in(options, "find", "/app", "-writable") == ""
    size = run_in(options, "du", "-sm", "/venv", "/app")
    print(f"MB: {' '.join(size.split())}", file=sys.__stderr__)
