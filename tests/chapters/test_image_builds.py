"""What the chapter on containers shows is built and run for real: by buildah, without Docker.

The official base image cannot always be pulled, so a stand-in is made of Debian's packages and
given its name. The files are the chapter's own: its cells with the tag `image-files` are run here.

`NEXUS_STORE=1` also writes the figures that the chapter draws, into data/image-builds.json.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest

from nexus.services.ports import free_port
from projects.stays.tests import test_container as stays

ROOT = Path(__file__).resolve().parent.parent.parent
CHAPTER = ROOT / "notebooks" / "shipping" / "containers.ipynb"
STORED = ROOT / "data" / "image-builds.json"
DEADLINE = 60  # seconds, for a condition
USER = "10001"


def as_root() -> list[str] | None:
    """What to put before a command that needs root; None if there is no way."""
    if os.geteuid() == 0:
        return []
    # A person is not asked, and not surprised: only CI's own machines do this.
    sudo = ["sudo", "--non-interactive"]
    if os.environ.get("CI") and shutil.which("sudo"):
        asked = subprocess.run([*sudo, "true"], capture_output=True)
        return None if asked.returncode else sudo
    return None


PREFIX = as_root()

pytestmark = [
    pytest.mark.weekly,
    pytest.mark.long(200),
    pytest.mark.skipif(PREFIX is None, reason="buildah is used as root here"),
    pytest.mark.skipif(
        not (shutil.which("buildah") and shutil.which("mmdebstrap")),
        reason="needs buildah and mmdebstrap: apt-get install buildah mmdebstrap",
    ),
]

Buildah = Callable[..., str]


def call(*command: str, seconds: int = 600) -> str:
    done = subprocess.run(
        [*(PREFIX or []), *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    return done.stdout


@pytest.fixture(scope="module")
def shown() -> dict[str, Any]:
    """What the chapter's cells about files leave behind: the files, and the functions."""
    notebook = nbformat.read(CHAPTER, as_version=4)
    cells = [c.source for c in notebook.cells if "image-files" in c.metadata.get("tags", ())]
    space: dict[str, Any] = {}
    with redirect_stdout(StringIO()):
        for cell in cells:
            exec(cell, space)
    return space


@pytest.fixture(scope="module")
def storage() -> Iterator[tuple[str, ...]]:
    """buildah, with a place of its own for images and containers; it goes with the tests."""
    folder = tempfile.mkdtemp(prefix="nexus-images-")
    places = (f"--root={folder}/storage", f"--runroot={folder}/run")
    drivers = (("buildah", f"--storage-driver={name}", *places) for name in ("overlay", "vfs"))
    # Where this folder is itself on an overlay, every layer is copied instead.
    chosen = next(each for each in drivers if works(each))
    try:
        yield chosen
    finally:
        call(*chosen, "rm", "--all")  # what a failed build left is still mounted
        for line in reversed(Path("/proc/mounts").read_text().splitlines()):
            if (place := line.split()[1]).startswith(folder):
                call("umount", place)
        call("rm", "-rf", folder)


def works(buildah: tuple[str, ...]) -> bool:
    command = [*(PREFIX or []), *buildah, "from", "scratch"]
    if subprocess.run(command, capture_output=True).returncode:
        call("rm", "-rf", *(option.partition("=")[2] for option in buildah[2:]))
        return False
    call(*buildah, "rm", "--all")
    return True


@pytest.fixture(scope="module")
def buildah(storage: tuple[str, ...]) -> Buildah:
    return lambda *arguments: call(*storage, *arguments)


@pytest.fixture(scope="module")
def base(buildah: Buildah, shown: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The base image, under the name that the chapter's files call it by."""
    folder = tmp_path_factory.mktemp("base")
    stays.lay_base(folder, call)
    (folder / "Dockerfile").write_text(
        "FROM scratch\n"
        "ADD base.tar /\n"
        # As in the official image: `python`, and a pip that may install for all.
        "RUN ln -s python3 /usr/bin/python && rm /usr/lib/python3*/EXTERNALLY-MANAGED\n"
    )
    (name,) = set(re.findall(r"^FROM (python:3\S+)", shown["IN_ORDER"], re.MULTILINE))
    buildah("bud", "--isolation=chroot", "--quiet", f"--tag=localhost/{name}", str(folder))
    call("rm", "--force", str(folder / "base.tar"))
    return str(name)


@pytest.fixture(scope="module")
def as_here(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options that let pip find packages in the build as it does on this machine.

    A mirror's address and its certificates are mounted: no layer of an image holds them.
    """
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True
    ).stdout
    lines = [line.partition("=")[::2] for line in listed.splitlines()]
    options = {name.rpartition(".")[2]: value.strip("'\"") for name, value in lines}
    config = tmp_path_factory.mktemp("pip") / "pip.conf"
    config.write_text("\n".join(["[global]", *(f"{n} = {v}" for n, v in options.items())]))
    mounts = {f"--volume={config}:/etc/pip.conf:ro"}
    for word in {word for value in options.values() for word in value.split()}:
        path = Path(word.removeprefix("file://"))
        if word.startswith("file://"):
            path = path.parent  # an index's pages refer to files beside it
        if path.is_absolute() and path.exists():
            mounts.add(f"--volume={path}:{path}:ro")
    return sorted(mounts)


class Build:
    """A Dockerfile and its folder, built as often as it takes."""

    def __init__(self, name: str, folder: Path, buildah: Buildah, options: list[str]) -> None:
        self.tag = f"localhost/{name}:test"
        self.folder = folder
        self.buildah = buildah
        self.options = options
        self.seconds = 0.0

    def lay(self, dockerfile: str, files: dict[str, str]) -> "Build":
        for name, content in {"Dockerfile": dockerfile, **files}.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(content)
        return self

    def run(self) -> list[tuple[str, bool]]:
        """Builds, and gives each instruction with whether its result came from the cache."""
        began = time.monotonic()
        said = self.buildah(
            "bud",
            "--isolation=chroot",
            "--format=docker",  # the other format has no HEALTHCHECK
            "--layers",
            "--force-rm",
            "--pull=never",
            *self.options,
            f"--tag={self.tag}",
            str(self.folder),
        )
        self.seconds = time.monotonic() - began
        found: list[tuple[str, bool]] = []
        for line in said.splitlines():
            if step := re.match(r"(?:\[\d/\d\] )?STEP \d+/\d+: (.*)", line):
                found.append((step[1], False))
            elif found and "Using cache" in line:
                found[-1] = (found[-1][0], True)
        return found


@pytest.fixture
def build(
    request: pytest.FixtureRequest,
    base: str,
    buildah: Buildah,
    as_here: list[str],
    tmp_path: Path,
) -> Build:
    del base
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
    return Build(name, tmp_path, buildah, as_here)


def test_the_image_made_by_hand_is_one(
    shown: dict[str, Any], buildah: Buildah, tmp_path: Path
) -> None:
    shown["write"](tmp_path / "hello", shown["index"], shown["blobs"])
    container = buildah("from", "--quiet", f"oci:{tmp_path}/hello:1.0").strip()
    inspected = json.loads(buildah("inspect", "--type=container", container))
    assert inspected["OCIv1"]["config"] == {"User": "10001:10001", "Cmd": ["/hello"]}
    said = buildah("run", "--isolation=chroot", container, "--", "/hello")
    buildah("rm", container)
    assert said == shown["TEXT"].decode()


@pytest.mark.parametrize(
    ("dockerfile", "changed"),
    [("ALL_AT_ONCE", "app.py"), ("IN_ORDER", "app.py"), ("IN_ORDER", "requirements.txt")],
)
def test_buildah_takes_from_its_cache_what_the_chapter_says(
    shown: dict[str, Any], build: Build, dockerfile: str, changed: str
) -> None:
    text, files = shown[dockerfile], shown["FILES"]
    build.lay(text, files).run()
    after = files | {changed: files[changed] + "\n# changed\n"}
    real = build.lay(text, after).run()

    cache: set[str] = set()
    # The Dockerfile lies in the folder too, and did not change.
    shown["plan"](text, files | {"Dockerfile": text}, cache)
    said = shown["plan"](text, after | {"Dockerfile": text}, cache)
    assert [text for text, _ in real] == [text for text, _, _ in said]
    # FROM is no step that is built.
    assert [hit for _, hit in real[1:]] == [hit for _, _, hit in said[1:]]


@pytest.fixture(scope="module")
def added(storage: tuple[str, ...], base: str) -> Callable[[str], int]:
    """A function that tells how many bytes an image's layers have on top of the base."""
    driver, root = (option.partition("=")[2] for option in storage[1:3])

    def stored(name: str) -> list[dict[str, Any]]:
        return list(json.loads(call("cat", f"{root}/{driver}-{name}/{name}.json")))

    def top(image: str) -> str:
        (layer,) = (e["layer"] for e in stored("images") if image in e.get("names", ()))
        return str(layer)

    def count(image: str) -> int:
        layers = {each["id"]: each for each in stored("layers")}
        found, layer, last = 0, top(image), top(f"localhost/{base}")
        while layer != last:
            found += layers[layer].get("diff-size", 0)
            layer = layers[layer]["parent"]
        return found

    return count


@dataclass
class Measured:
    """An image that was built, and built again after a change of the code."""

    build: Build
    again: list[tuple[str, bool]]
    bytes: int

    def figures(self) -> dict[str, float]:
        return {
            "megabytes": round(self.bytes / 1e6, 1),
            "rebuild_seconds": round(self.build.seconds, 1),
        }


@pytest.fixture(scope="module")
def images(
    shown: dict[str, Any],
    added: Callable[[str], int],
    buildah: Buildah,
    as_here: list[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Measured]:
    """The images that the chapter compares."""
    steps, files = shown["STEPS"], shown["FILES"]
    whole = files | {".env": shown["FOLDER"][".env"]}
    ignoring = whole | {".dockerignore": shown["IGNORE"], "backup.sql": "COPY guest FROM stdin;\n"}
    wanted = {
        "one stage, with a compiler": (steps["one RUN for apt"], whole),
        "one stage, without": (steps["CMD as a list"], whole),
        "two stages, with a compiler": (shown["WITH_COMPILER"], ignoring),
        "two stages, without": (shown["GOOD"], ignoring),
    }
    found = {}
    for name, (dockerfile, folder) in wanted.items():
        tag = re.sub(r"\W+", "-", name)
        build = Build(tag, tmp_path_factory.mktemp(tag), buildah, as_here)
        build.lay(dockerfile, folder).run()
        changed = folder | {"app.py": files["app.py"] + "\n# changed\n"}
        again = build.lay(dockerfile, changed).run()
        found[name] = Measured(build, again, added(build.tag))
    print({name: each.figures() for name, each in found.items()}, file=sys.__stderr__)
    return found


def test_a_compiler_stays_in_one_stage_and_not_in_two(images: dict[str, Measured]) -> None:
    with_it, without, two_with_it, two = (each.bytes for each in images.values())
    assert with_it > 10 * without
    assert with_it > 10 * two_with_it
    assert abs(two_with_it - two) < two / 100


def test_a_change_of_the_code_installs_nothing_in_two_stages(images: dict[str, Measured]) -> None:
    hits = {
        name: [hit for text, hit in each.again if "pip " in text or "apt-get" in text]
        for name, each in images.items()
    }
    assert hits == {
        "one stage, with a compiler": [False, False],
        "one stage, without": [False],
        "two stages, with a compiler": [True, True],
        "two stages, without": [True],
    }


def test_apt_asks_and_the_build_ends(shown: dict[str, Any], build: Build) -> None:
    build.lay(shown["COPIED"], shown["FILES"] | {".env": ""})
    with pytest.raises(AssertionError, match=r"Do you want to continue\? \[Y/n\] Abort\."):
        build.run()


def blobs(image: Build, folder: Path) -> Iterator[tuple[str, bytes]]:
    """Everything an image consists of: its JSON, and each file in each layer."""
    image.buildah("push", "--disable-compression", image.tag, f"oci:{folder}/all:1")
    for blob in (folder / "all" / "blobs" / "sha256").iterdir():
        with blob.open("rb") as opened:
            if opened.read(1) == b"{":
                yield "config or manifest", blob.read_bytes()
                continue
            opened.seek(0)
            with tarfile.open(fileobj=opened) as archive:
                for entry in archive:
                    if entry.isfile() and entry.size < 100_000:
                        file = archive.extractfile(entry)
                        assert file is not None
                        yield entry.name, file.read()


def test_the_key_is_in_the_linted_image_three_times_and_not_in_the_good_one(
    images: dict[str, Measured], tmp_path: Path
) -> None:
    key = b"sk_live_4242"
    bad, good = tmp_path / "bad", tmp_path / "good"
    bad.mkdir()
    good.mkdir()
    linted, two = images["one stage, without"].build, images["two stages, without"].build
    found = {name for name, content in blobs(linted, bad) if key in content}
    assert found == {"app/.env", "app/Dockerfile", "config or manifest"}
    assert [name for name, content in blobs(two, good) if key in content] == []


def test_a_build_secret_reaches_its_instruction_and_no_layer(build: Build, tmp_path: Path) -> None:
    token = "token-that-nobody-may-find"
    source = tmp_path / "outside"
    source.write_text(token)
    build.options = [*build.options, f"--secret=id=token,src={source}"]
    build.folder = tmp_path / "context"
    build.folder.mkdir()
    build.lay(
        "FROM python:3.13.9-slim-bookworm\n"
        "RUN --mount=type=secret,id=token wc -c < /run/secrets/token > /length\n",
        {},
    ).run()
    found = dict(blobs(build, tmp_path))
    assert found["length"].strip() == str(len(token)).encode()
    assert [name for name, content in found.items() if token.encode() in content] == []


@pytest.fixture(scope="module")
def container(images: dict[str, Measured], buildah: Buildah) -> Iterator[str]:
    name = buildah(
        "from", "--quiet", "--pull=never", images["two stages, without"].build.tag
    ).strip()
    yield name
    buildah("rm", name)


def test_it_runs_as_a_number_answers_and_ends_when_asked(
    storage: tuple[str, ...], images: dict[str, Measured], container: str, buildah: Buildah
) -> None:
    inspected = json.loads(
        buildah("inspect", "--type=image", images["two stages, without"].build.tag)
    )
    config = inspected["Docker"]["config"]
    assert config["User"] == f"{USER}:{USER}"
    port = free_port()
    command = [word.replace("0.0.0.0:8000", f"127.0.0.1:{port}") for word in config["Cmd"]]
    process = subprocess.Popen(
        [
            *(PREFIX or []),
            *storage,
            "run",
            "--isolation=chroot",
            "--env=DATABASE_URL=postgresql:///",
            container,
            "--",
            *command,
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert wait_for(f"http://127.0.0.1:{port}/", process) == b"ok"
        inside = [
            each
            for each in psutil.Process(process.pid).children(recursive=True)
            if "gunicorn" in " ".join(each.cmdline()) and "buildah" not in " ".join(each.cmdline())
        ]
        assert {each.uids().real for each in inside} == {int(USER)}
        test = [word.replace(":8000", f":{port}") for word in config["Healthcheck"]["Test"][1:]]
        buildah("run", "--isolation=chroot", container, "--", *test)

        call("kill", "-TERM", str(inside[0].pid))
        assert process.wait(20) == 0
    finally:
        if process.poll() is None:
            for each in psutil.Process(process.pid).children(recursive=True):
                with suppress(AssertionError):
                    call("kill", "-KILL", str(each.pid))
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


ASKED = ("id -u", "ls -A /app", "touch /app/new", "echo >> app.py")


def answers(buildah: Buildah, container: str) -> dict[str, str]:
    """What the container's user gets for some commands."""
    found = {}
    for command in ASKED:
        run = ("run", "--isolation=chroot", container, "--", "sh", "-c", f"{command} 2>&1 || true")
        found[command] = re.sub(r"^\S*sh: \d+: ", "sh: ", buildah(*run).strip())
    return found


def test_its_user_cannot_change_the_program_and_it_holds_nothing_else(
    images: dict[str, Measured], container: str, buildah: Buildah
) -> None:
    found = answers(buildah, container)
    assert found["id -u"] == USER
    assert found["ls -A /app"] == "app.py"
    assert found["touch /app/new"] == "touch: cannot touch '/app/new': Permission denied"
    assert "Permission denied" in found["echo >> app.py"]
    measured = {"images": {n: each.figures() for n, each in images.items()}, "as_10001": found}
    stored = json.loads(STORED.read_text())
    if os.environ.get("NEXUS_STORE"):
        STORED.write_text(json.dumps(measured, indent=2) + "\n")
        stored = measured
    assert stored["as_10001"] == found
    assert list(stored["images"]) == list(measured["images"])


def test_without_its_configuration_it_says_what_it_lacks(container: str, buildah: Buildah) -> None:
    run = ("run", "--isolation=chroot", container, "--", "python3", "app.py")
    with pytest.raises(AssertionError, match="DATABASE_URL is not set"):
        buildah(*run)
