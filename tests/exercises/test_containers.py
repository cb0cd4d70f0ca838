"""Each judge of the chapter on containers: the stub, right answers of several kinds, wrong ones."""

import io
import itertools
import os
import re
import shutil
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from nexus.exercises import containers
from nexus.judging import judge_answer, limits
from nexus.services.process import wait_for

BASE = "FROM python:3.13.9-slim-bookworm\n"


def says(number: int, answer: object) -> tuple[bool, str]:
    verdict = judge_answer(f"containers.{number}", answer)
    return verdict.right, verdict.message


@pytest.mark.parametrize("number", [1, 2, 3, 4])
@pytest.mark.parametrize("nothing", [None, 42, ""])
def test_no_answer_gets_a_hint(number: int, nothing: object) -> None:
    right, message = says(number, nothing)
    assert not right
    assert message


# -- 1. What leaked?


def names(layer: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        return archive.getnames()


def forwards(layers: list[bytes]) -> set[str]:
    shown: set[str] = set()
    lost: set[str] = set()
    for layer in layers:
        own = {name for name in names(layer) if not Path(name).name.startswith(".wh.")}
        gone = set(own)
        for marker in set(names(layer)) - own:
            folder, _, last = marker.rpartition("/")
            target = folder if last == ".wh..wh..opq" else f"{folder}/{last[4:]}".lstrip("/")
            gone |= {n for n in shown if not target or f"{n}/".startswith(f"{target}/")}
        lost |= shown & gone
        shown = (shown - gone) | own
    return lost


def backwards(layers: list[bytes]) -> list[str]:
    """From the top: what an upper layer hides is not seen."""
    found: list[str] = []
    hidden: list[Callable[[str], bool]] = []
    for layer in reversed(layers):
        mine: list[Callable[[str], bool]] = []
        for name in names(layer):
            path = Path(name)
            if path.name == ".wh..wh..opq":
                mine.append(lambda other, at=path.parent: at in Path(other).parents)
            elif path.name.startswith(".wh."):
                target = path.parent / path.name[4:]
                mine.append(lambda other, at=target: Path(other) == at or at in Path(other).parents)
            else:
                if any(test(name) for test in hidden) and name not in found:
                    found.append(name)
                mine.append(lambda other, at=name: other == at)
        hidden += mine
    return found


@pytest.mark.parametrize("answer", [forwards, backwards])
def test_what_leaked(answer: Callable[[list[bytes]], object]) -> None:
    right, message = says(1, answer)
    assert right, message


def the_stub(layers: list[bytes]) -> set[str]:
    shown: set[str] = set()
    for layer in layers:
        for name in names(layer):
            folder, _, last = name.rpartition("/")
            if last.startswith(".wh."):
                shown.discard(f"{folder}/{last[4:]}")
            else:
                shown.add(name)
    return {name for layer in layers for name in names(layer) if name not in shown}


def only_whiteouts(layers: list[bytes]) -> set[str]:
    return {n.replace(".wh.", "") for layer in layers for n in names(layer) if ".wh." in n}


def everything(layers: list[bytes]) -> set[str]:
    return {n for layer in layers for n in names(layer) if ".wh." not in n}


def by_prefix(layers: list[bytes]) -> set[str]:
    all_of_them = everything(layers)
    gone = only_whiteouts(layers)
    return {n for n in all_of_them if any(n.startswith(each) for each in gone)}


def without_opaque(layers: list[bytes]) -> set[str]:
    return {n for n in forwards(layers) if "keys" not in n}


def not_later_ones(layers: list[bytes]) -> set[str]:
    return {n for n in forwards(layers) if "settings" not in n}


def only_the_layer_below(layers: list[bytes]) -> set[str]:
    """Compares each layer with the one below it, and forgets those further down."""
    pairs = itertools.pairwise(layers)
    return {name for below, layer in pairs for name in forwards([below, layer])}


def by_a_mark_anywhere(layers: list[bytes]) -> set[str]:
    """The mark is what a marker's name begins with."""
    shown: set[str] = set()
    lost: set[str] = set()
    for layer in layers:
        own = {name for name in names(layer) if ".wh." not in name}
        gone = set(own)
        for marker in set(names(layer)) - own:
            target = marker.replace(".wh..wh..opq", "").replace(".wh.", "", 1).rstrip("/")
            gone |= {n for n in shown if not target or f"{n}/".startswith(f"{target}/")}
        lost |= shown & gone
        shown = (shown - gone) | own
    return lost


def with_its_own_files(layers: list[bytes]) -> set[str]:
    """A whiteout hides what its own layer has in the folder, too."""
    found = forwards(layers)
    for layer in layers:
        for name in names(layer):
            path = Path(name)
            if path.name.startswith(".wh.") and path.name != ".wh..wh..opq":
                folder = str(path.parent / path.name[4:])
                found |= {n for n in names(layer) if n.startswith(f"{folder}/")}
    return found


def whatever_a_whiteout_names(layers: list[bytes]) -> set[str]:
    named = {n.replace(".wh.", "") for n in only_whiteouts(layers) if ".opq" not in n}
    in_it = {n for n in everything(layers) if any(n.startswith(f"{each}/") for each in named)}
    return forwards(layers) | {n for n in named if not any(i.startswith(f"{n}/") for i in in_it)}


def not_in_the_last_layer(layers: list[bytes]) -> set[str]:
    return {n for n in forwards(layers) if n not in names(layers[-1])}


def of_the_last_two(layers: list[bytes]) -> set[str]:
    return forwards(layers[-2:])


def in_the_order_of_the_archive(layers: list[bytes]) -> set[str]:
    """A marker hides what its own layer has before it, too."""
    return forwards([alone for layer in layers for alone in one_by_one(layer)])


def one_by_one(layer: bytes) -> list[bytes]:
    return [containers.tar({name: ""}) for name in names(layer)]


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (only_the_layer_below, "third layer"),
        (by_a_mark_anywhere, "has .wh. in its middle"),
        (with_its_own_files, "its own layer has the folder again"),
        (whatever_a_whiteout_names, "that no lower layer has"),
        (not_in_the_last_layer, "another file of the same name"),
        (of_the_last_two, "third layer"),
        (in_the_order_of_the_archive, "comes before the marker"),
        (the_stub, "is a whiteout"),
        (only_whiteouts, "whole folder|later layer|top folder"),
        (everything, "nothing is hidden, so it should find nothing"),
        (by_prefix, "begins like it"),
        (without_opaque, "opaque folder"),
        (not_later_ones, "another file of the same name"),
        (lambda layers: forwards(layers) - {"token", "etc/passwd"}, "top folder"),
        (lambda _: 3, "it should return the names"),
        (lambda _: 1 / 0, "ZeroDivisionError"),
        (lambda _: sys.exit(), "SystemExit"),
    ],
)
def test_what_did_not_leak(answer: Callable[[list[bytes]], object], hint: str) -> None:
    right, message = says(1, answer)
    assert not right
    assert re.search(hint, message), message


def test_one_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SECONDS", 0.2)

    def sleeps(_: object) -> None:
        while True:
            time.sleep(0.01)

    assert says(1, sleeps) == (False, "it had not come to an end after 0.2 seconds")


# -- 2. A Dockerfile

ONE_STAGE = f"""
{BASE}WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY app.py rates.py ./
USER 10001:10001
CMD ["gunicorn", "app"]
"""
TWO_STAGES = """
# syntax=docker/dockerfile:1
ARG PYTHON=python:3.13.9-slim-bookworm
FROM ${PYTHON} AS build
COPY requirements.txt /
RUN python3 -m venv /venv \\
    && /venv/bin/pip install --no-cache-dir --requirement /requirements.txt

FROM ${PYTHON}
ENV PATH=/venv/bin:$PATH
WORKDIR /app
COPY --from=build /venv /venv
COPY --chown=0:0 *.py ./
RUN useradd --system app
USER app
ENTRYPOINT ["/venv/bin/gunicorn"]
CMD ["--bind=0.0.0.0:8000", "app:application"]
"""
BOUND = f"""
{BASE}RUN --mount=type=bind,source=requirements.txt,target=/tmp/list.txt \\
    --mount=type=cache,target=/var/cache/pip pip install -r /tmp/list.txt
WORKDIR /srv
COPY ["app.py", "rates.py", "/srv/"]
USER 65534
CMD exec gunicorn app
"""
SECRET_LEFT_BEHIND = """
FROM python:3.13.9-slim-bookworm AS build
WORKDIR /app
COPY requirements.txt .
RUN pip install --prefix=/packages -r requirements.txt
COPY . .
RUN rm .env

FROM python:3.13.9-slim-bookworm
WORKDIR /app
COPY --from=build /packages /usr/local
COPY --from=build /app/app.py /app/rates.py /app/
USER 10001
CMD ["python", "-m", "gunicorn", "app"]
"""


WITH_PATH = """
FROM python:3.13.9-slim-bookworm AS build
ENV VIRTUAL_ENV=/opt/venv
RUN python -m venv $VIRTUAL_ENV
ENV PATH="$VIRTUAL_ENV/bin:$PATH"
COPY requirements.txt .
RUN pip install -r requirements.txt

FROM python:3.13.9-slim-bookworm
COPY --from=build /opt/venv /opt/venv
ENV PATH="/opt/venv/bin:$PATH"
WORKDIR /app
COPY app.py /app
COPY --exclude=.env --exclude=*.txt . .
USER nobody
CMD ["gunicorn", "app"]
"""
ACTIVATED = """
FROM python:3.13.9-slim-bookworm AS build
COPY requirements.txt .
RUN <<EOF
python -m venv /venv
. /venv/bin/activate
pip install -r requirements.txt
EOF

FROM python:3.13.9-slim-bookworm
COPY --from=build /venv /venv
WORKDIR /app
COPY *.py .
RUN useradd app --system
USER app
CMD ["/venv/bin/gunicorn", "app"]
"""
WHEELS = """
FROM python:3.13.9-slim-bookworm AS build
COPY requirements.txt .
RUN pip wheel --wheel-dir=/wheels -r requirements.txt

FROM python:3.13.9-slim-bookworm
COPY --from=build /wheels /wheels
RUN pip install /wheels/*
WORKDIR /app
COPY app.py rates.py ./
USER 10001
CMD ["gunicorn", "app"]
"""
PLACES = """
FROM python:3.13.9-slim-bookworm AS build
COPY requirements.txt .
RUN pip install -r requirements.txt

FROM python:3.13.9-slim-bookworm
COPY --from=build /usr/local/lib/python3.13/site-packages /usr/local/lib/python3.13/site-packages
COPY --from=build /usr/local/bin /usr/local/bin
WORKDIR /app
COPY app.py rates.py ./
USER 10001
CMD ["gunicorn", "app"]
"""
PROGRAMS = "COPY --from=build /usr/local/bin /usr/local/bin\n"
AS_A_MODULE = PLACES.replace(PROGRAMS, "").replace('["gunicorn"', '["python", "-m", "gunicorn"')


UV = f"""
{BASE}COPY --from=ghcr.io/astral-sh/uv:0.9.5 /uv /uvx /bin/
WORKDIR /app
COPY requirements.txt .
RUN uv pip install --system --no-cache -r requirements.txt
COPY app.py rates.py ./
USER 10001:10001
STOPSIGNAL SIGTERM
CMD ["gunicorn", "app"]
"""
UV_MOUNTED = f"""
{BASE}ENV VIRTUAL_ENV=/venv PATH=/venv/bin:$PATH
RUN --mount=from=ghcr.io/astral-sh/uv:0.9.5,source=/uv,target=/bin/uv \\
    --mount=source=requirements.txt,target=/list.txt \\
    uv venv /venv && uv pip install -r /list.txt
WORKDIR /app
RUN --mount=type=bind,target=/src cp /src/app.py /src/rates.py .
USER 10001:10001
CMD ["gunicorn", "app"]
"""
REMOVED_AGAIN = [
    "cp /e settings.env && . ./settings.env && rm settings.env",
    "cat /e > settings.env; wc settings.env; unlink settings.env",
    "(cp /e settings.env && mv settings.env /tmp/it && rm -rf /tmp/it)",
    '["sh", "-c", "cp /e settings.env; rm settings.env"]',
]
"""What a RUN makes and removes again is in no layer: a layer is what differs after its commands."""

BASH = f"""
{BASE}SHELL ["/bin/bash", "-o", "pipefail", "-c"]
WORKDIR /app
COPY requirements.txt .
RUN pip install -r requirements.txt
COPY app.py rates.py ./
USER 10001:10001
CMD gunicorn app
"""


@pytest.mark.parametrize(
    "answer",
    [
        UV,
        UV_MOUNTED,
        UV.replace("--system ", "")
        .replace("RUN uv pip", "RUN uv venv && uv pip")
        .replace("USER", "ENV PATH=/app/.venv/bin:$PATH\nUSER"),
        UV.replace("COPY --from=ghcr.io/astral-sh/uv:0.9.5 /uv /uvx /bin/", "RUN pip install uv"),
        pytest.param(BASH, marks=pytest.mark.skipif(not shutil.which("bash"), reason="no bash")),
        ONE_STAGE,
        TWO_STAGES,
        BOUND,
        SECRET_LEFT_BEHIND,
        WITH_PATH,
        ACTIVATED,
        WHEELS,
        PLACES,
        AS_A_MODULE,
        *(
            ONE_STAGE.replace(
                "USER 1", f"RUN --mount=type=bind,source=.env,target=/e {run}\nUSER 1"
            )
            for run in REMOVED_AGAIN
        ),
    ],
)
def test_good_dockerfiles(answer: str) -> None:
    right, message = says(2, answer)
    assert right, message


def but(old: str, new: str, answer: str = ONE_STAGE) -> str:
    assert old in answer
    return answer.replace(old, new)


LIST_FIRST = "COPY requirements.txt .\nRUN pip install --no-cache-dir -r requirements.txt\n"


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (but("COPY requirements.txt .", "COPY . ."), "after a change of app.py the packages are"),
        (but("COPY requirements.txt .\n", ""), "Could not open requirements file"),
        (but(LIST_FIRST, ""), "the packages of requirements.txt are not installed"),
        (but("-r requirements.txt", "gunicorn"), "packages of requirements.txt are not installed"),
        (but("COPY app.py rates.py ./", "COPY . ."), "a layer holds /app/.env$"),
        (
            but("COPY app.py rates.py ./", "COPY . .\nRUN rm -f .env"),
            "a layer holds /app/.env, though it was removed later",
        ),
        (but("app.py rates.py ./", "app.py ./"), "there is no rates.py in /app"),
        (but("app.py rates.py", "app.py missing.py"), "missing.py: not found"),
        (but("USER 10001:10001\n", ""), "the program is root"),
        (but("USER 10001:10001", "USER root"), "the program is root"),
        (but("USER 10001:10001", "USER app"), "unable to find user app"),
        (but('CMD ["gunicorn", "app"]', "CMD gunicorn app; echo bye"), "a shell is in front of it"),
        (
            but('CMD ["gunicorn", "app"]', 'CMD ["sh", "-c", "gunicorn app | cat"]'),
            "a shell is in front of it",
        ),
        (but('CMD ["gunicorn", "app"]', ""), "there is no CMD"),
        (but('"app"]', '"rates"]'), "not told which module"),
        (but('["gunicorn", "app"]', '["true"]'), "does not start gunicorn"),
        (but('["gunicorn", "app"]', '["no-such-program"]'), "cannot be started"),
        (but("python:3.13.9-slim-bookworm", "ubuntu:24.04"), "is built on ubuntu:24.04"),
        (but("COPY --from=build /venv /venv\n", "", TWO_STAGES), "are not in the last one"),
        (but("--from=build", "--from=other", TWO_STAGES), "there is no stage other, so a builder"),
        (but("USER 10001:10001", "USER 1\nSTOPSIGNAL SIGKILL"), "an engine sends SIGKILL"),
        (but("USER 10001:10001", "USER 1\nSTOPSIGNAL 9"), "an engine sends 9"),
        (but("USER 10001:10001", "USER 1\nSTOPSIGNAL SIGUSR1"), "an engine sends SIGUSR1"),
        (
            but("USER 1", "RUN --mount=type=bind,source=.env,target=/e cp /e settings.env\nUSER 1"),
            "a layer holds /app/settings.env",
        ),
        (
            but("USER 1", "RUN --mount=source=.env,target=/e cat /e > settings.env\nUSER 1"),
            "a layer holds /app/settings.env",
        ),
        (
            but("COPY app.py rates.py ./", "RUN --mount=type=bind,target=/src cp -r /src/. ."),
            "a layer holds /app/.env",
        ),
        (but("COPY app.py rates.py ./", "COPY . .\nRUN mv .env /tmp/env"), "a layer holds"),
        *(
            (but("USER 1", f"RUN --mount=source=.env,target=/e {run}\nUSER 1"), "a layer holds")
            for run in (
                "cp /e settings.env\nRUN rm settings.env",
                "cp /e settings.env\nRUN echo > settings.env",
                '["cp", "/e", "settings.env"]',
                '["sh", "-c", "cp /e settings.env"]',
                "(cp /e settings.env)",
                "rm -f settings.env && cp /e settings.env",
                "cp /e one.env && cp one.env two.env && rm one.env",
            )
        ),
        (
            but("COPY app.py rates.py ./", "COPY . .\nCOPY rates.py .env"),
            "a layer holds /app/.env, though it was removed later",
        ),
        (but("RUN pip install --no-cache-dir", "RUN uv pip install"), "uv: not found"),
        (but(" --system", "", UV), "No virtual environment found"),
        (but('["gunicorn", "app"]', "['gunicorn', 'app']"), "double quotes"),
        (but("WORKDIR", "SHELL /bin/bash -c\nWORKDIR"), "to be in JSON form"),
        (but("source=requirements.txt,", "", BOUND), "Could not open requirements file"),
        (but("app.py rates.py ./", "app.py rates.py /app"), "must be a directory and end with a /"),
        (but("USER 10001:10001", "USER 00"), "the program is root"),
        (but("COPY requirements", "USER 1000\nCOPY requirements"), "Permission denied: '/.local'"),
        (
            but("source=requirements.txt,target=/tmp/list.txt", "target=/tmp", BOUND).replace(
                "/tmp/list", "/tmp/requirements"
            ),
            "after a change of app.py the packages are",
        ),
        (
            but('ENV PATH="/opt/venv/bin:$PATH"\nWORKDIR', "WORKDIR", WITH_PATH),
            "not found in .PATH",
        ),
        (but("/venv/bin/gunicorn", "/env/bin/gunicorn", ACTIVATED), '"/env/bin/gunicorn": exec'),
        (but(PROGRAMS, "", PLACES), '"gunicorn": exec'),
        (but("RUN pip install /wheels/*\n", "", WHEELS), "are not in the last one"),
        (but("COPY app.py rates.py ./", "COPY * ./"), "a layer holds /app/.env$"),
        (but("COPY app.py rates.py ./", "COPY . .\nRUN : > .env"), "a layer holds /app/.env"),
        (but("COPY requirements.txt .", "COPY requirements.txt .env ./"), "a layer holds"),
        (but("COPY requirements.txt .", "COPY requirements.txt rates.py ./"), "change of rates.py"),
        (but("USER 10001:10001", "USER 10001\nUSER root"), "the program is root"),
        (but("USER 10001:10001", "USER 0:10001"), "the program is root"),
        (but("USER 10001:10001", "RUN groupadd app\nUSER app"), "unable to find user app"),
        (
            but('CMD ["gunicorn", "app"]', 'ENTRYPOINT gunicorn\nCMD ["app"]'),
            "a shell is in front|which module",
        ),
        (
            but('CMD ["gunicorn", "app"]', 'ENTRYPOINT ["sh", "-c", "gunicorn app"]'),
            "a shell is in front of it",
        ),
        (
            but('CMD ["gunicorn", "app"]', 'CMD ["sh", "-c", "nohup gunicorn app & wait"]'),
            "a shell is in front of it",
        ),
        ("COPY . .", "is above FROM"),
        (but("WORKDIR", "GOTO"), "unknown instruction: GOTO"),
        ("# nothing", "give a Dockerfile, beginning with FROM"),
        ("ARG base", "there is no FROM"),
        ("FROM", "^FROM requires either one or three arguments: FROM$"),
        (but("COPY app.py rates.py ./", "COPY app.py"), "at least two arguments"),
        (but("COPY app.py rates.py ./", 'COPY ["app.py"'), "at least two arguments"),
        (but("COPY app.py rates.py ./", 'COPY ["app.py",'), "at least two arguments"),
    ],
)
def test_bad_dockerfiles(answer: str, hint: str) -> None:
    right, message = says(2, answer)
    assert not right
    assert re.search(hint, message), message


@pytest.mark.skipif(not shutil.which("bash"), reason="it is about a sh that is bash")
def test_the_shell_of_the_image_is_not_that_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sh").symlink_to(str(shutil.which("bash")))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for command in ("CMD gunicorn app", 'CMD ["sh", "-c", "gunicorn app"]'):
        right, message = says(2, but('CMD ["gunicorn", "app"]', command))
        assert (right, "a shell is in front of it" in message) == (False, True)
    assert says(2, but('CMD ["gunicorn", "app"]', "CMD exec gunicorn app"))[0]


# -- 3. A start script

PATIENT = """
migrate || exit $?
trap 'kill -TERM "$pid"; wait "$pid"; exit $?' TERM
serve &
pid=$!
wait "$pid"
"""


@pytest.mark.parametrize(
    "answer",
    [
        "set -e\nmigrate\nexec serve",
        "migrate && exec serve",
        "#!/bin/sh -e\nmigrate\nexec serve\n",
        "if migrate; then exec serve; else exit $?; fi",
        "migrate || exit $?\nexec env serve",
        "migrate || exit\ntrap 'kill -TERM $pid' TERM\nserve &\npid=$!\nwait $pid\nstatus=$?\n"
        "while kill -0 $pid 2>/dev/null; do wait $pid; status=$?; done\nexit $status",
        PATIENT,
    ],
)
def test_scripts_that_stop(answer: str) -> None:
    right, message = says(3, answer)
    assert right, message


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        ("migrate\nserve", "did not get the SIGTERM"),
        ("migrate\nexec serve", "the migration failed, and serve was started"),
        ("exec serve", "before migrate had run"),
        ("migrate && serve", "did not get the SIGTERM"),
        ("migrate && serve &", "the script ended while serve was running"),
        ("migrate && nohup serve &", "the script ended while serve was running"),
        ("migrate || exit 3\nexec serve", "after a migration that failed with 41 .* was 3"),
        ("set -e\nmigrate || true\nexec serve", "the migration failed, and serve was started"),
        ("until migrate; do sleep 0.1; done\nexec serve", "did not come to an end"),
        (
            "set -e\nmigrate\ntrap 'kill $pid' TERM\nserve &\npid=$!\nwait $pid",
            "ended while serve was still finishing",
        ),
        (
            "migrate || exit\ntrap 'kill $pid; wait $pid; exit 0' TERM\nserve &\npid=$!\nwait $pid",
            "status was 0, and not 7",
        ),
        ("migrate || exit 1\nexec serve", "status was 1, and not 3"),
        ("set -e\nmigrate", "serve was not started"),
        ("migrate; exit 0", "serve was not started"),
        ("if [", "serve was not started after a migration that succeeded; it says: "),
        ("begin", "it says: .*begin.*not found"),
        ("set -e\r\nmigrate\r\nexec serve\r\n", r"it says: .*\\r"),
        ("yes >&2", "serve was not started"),
        ("#!/no/such/shell\nmigrate", "cannot be started"),
        ("while :; do :; done", "serve was not started"),
        ("set -e\nmigrate\nserve | cat", "did not get the SIGTERM"),
        ("if ! migrate; then\n  exit $?\nfi\nexec serve", "status was 0, and not 3"),
        ("migrate\n[ $? -eq 0 ] || exit $?\nexec serve", "status was 1, and not 3"),
        ("migrate || { echo failed; exit $?; }\nexec serve", "status was 0, and not 3"),
        ("set -e\nmigrate | cat\nexec serve", "the migration failed, and serve was started"),
        ("set -e\nmigrate\n(exec serve)", "did not get the SIGTERM"),
        ("exec migrate && exec serve", "serve was not started"),
        (
            'set -e\nmigrate\ntrap "kill -TERM $pid" TERM\nserve &\npid=$!\nwait $pid',
            "did not get the SIGTERM",
        ),
        ("set -e\nmigrate\nsleep 1000 &\nexec serve", "left a process behind"),
        ("set -e\nmigrate\nexec sh -c 'serve; exit $?'", "did not get the SIGTERM"),
    ],
)
def test_scripts_that_do_not(answer: str, hint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "SECONDS", 3.0)
    right, message = says(3, answer)
    assert not right
    assert re.search(hint, message), message


@pytest.mark.parametrize(
    "answer", ["migrate\nserve & serve & serve", "set -e\nmigrate\n(setsid serve &)\nexec serve"]
)
def test_nothing_is_left_of_a_script(
    answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # others judge scripts at this moment
    says(3, answer)

    def runs(process: psutil.Process) -> bool:
        with suppress(psutil.NoSuchProcess):  # a zombie has no command line
            return any(str(tmp_path) in word for word in process.cmdline())
        return False

    # What was killed needs a moment to end.
    wait_for(lambda: not any(map(runs, psutil.process_iter())), 10, "the end of all its programs")


# -- 4. A compose file

ANCHORED = """
x-wait: &wait
  depends_on:
    migrate: { condition: service_completed_successfully }
    cache: { condition: service_healthy }
services:
  database: { healthcheck: { test: [CMD, pg_isready, -h, localhost] } }
  cache: { healthcheck: { test: [CMD, valkey-cli, -e, ping] } }
  migrate: { depends_on: { database: { condition: service_healthy } } }
  web: *wait
  worker: *wait
"""
PLAIN = """
database:
  healthcheck:
    test: /usr/bin/pg_isready --host=127.0.0.1 -U postgres
cache:
  healthcheck:
    test: redis-cli ping | grep -q PONG
migrate:
  depends_on:
    database:
      condition: service_healthy
web:
  depends_on: &all
    database:
      condition: service_healthy
    cache:
      condition: service_healthy
    migrate:
      condition: service_completed_successfully
worker:
  depends_on: *all
"""
LISTS = """
services:
  database: {}
  cache: {}
  migrate: { depends_on: [database] }
  web: { depends_on: [migrate, cache] }
  worker: { depends_on: [migrate, cache] }
"""


DATABASE, CACHE = "[CMD, pg_isready, -h, localhost]", "[CMD, valkey-cli, -e, ping]"


@pytest.mark.parametrize(
    "answer",
    [
        ANCHORED,
        PLAIN,
        ANCHORED.replace(DATABASE, "[CMD-SHELL, 'pg_isready -h $$PGHOST']").replace(
            "services:\n  database: {", "services:\n  database: { environment: [PGHOST=127.0.0.1],"
        ),
        ANCHORED.replace(DATABASE, "[CMD, psql, --host=127.0.0.1, -c, SELECT 1]"),
        ANCHORED.replace(CACHE, """'[ "$$(valkey-cli ping)" = PONG ]'"""),
        ANCHORED.replace("  migrate: {", "  migrate: { restart: on-failure,"),
        ANCHORED.replace(CACHE, "valkey-cli info persistence | grep -q ^loading:0"),
    ],
)
def test_everybody_waits_for_what_they_need(answer: str) -> None:
    right, message = says(4, answer)
    assert right, message


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (LISTS, "migrate was started too early: the database was starting up"),
        (
            but("healthcheck: { test: [CMD, pg_isready, -h, localhost] }", "", ANCHORED),
            "health of database, which has no healthcheck",
        ),
        (but("[CMD, pg_isready, -h, localhost]", "[NONE]", ANCHORED), "which has no healthcheck"),
        (
            but("[CMD, pg_isready, -h, localhost]", "[pg_isready]", ANCHORED),
            "first item must be NONE, CMD or CMD",
        ),
        (
            but("{ condition: service_healthy } } }", "{} } }", ANCHORED),
            "None, which is none of service_started",
        ),
        (
            but("migrate: { condition: service_completed_successfully }", "", ANCHORED),
            "too early: the migration was not ready",
        ),
        (
            but("cache: { condition: service_healthy }", "", ANCHORED),
            "too early: the cache was not ready",
        ),
        (
            but(
                "    cache: { condition: service_healthy }",
                "    cache: { condition: service_started }",
                ANCHORED,
            ),
            "too early: the cache was not ready",
        ),
        (but("service_completed_successfully", "service_started", ANCHORED), "too early: the migr"),
        (but("service_completed_successfully", "service_healthy", ANCHORED), "migrate ends"),
        (but("service_completed_successfully", "completed", ANCHORED), "completed, which is none"),
        (
            but(
                "database: { condition: service_healthy }",
                "database: { condition: service_completed_successfully }",
                ANCHORED,
            ),
            "waits for database to end, and it never does",
        ),
        (
            but("worker: *wait", "worker: { depends_on: [web] }", ANCHORED),
            "worker waits for web, which it does not need",
        ),
        (
            but(
                "database: { healthcheck", "database: { depends_on: [cache], healthcheck", ANCHORED
            ),
            "database waits for cache, which it does not need",
        ),
        (but("cache: { condition", "redis: { condition", ANCHORED), "undefined service redis"),
        (
            but(DATABASE, '[CMD, "true"]', ANCHORED),
            r"database \(true\) ended with 0 while .* socket",
        ),
        (but(DATABASE, "sleep 5", ANCHORED), "never started: .* had not ended|ended with 0 while"),
        (but(DATABASE, "exit 0", ANCHORED), r"\(exit 0\) ended with 0 while the server is set up"),
        (but(DATABASE, "5", ANCHORED), "test must be a string or a list"),
        (but(DATABASE, "[CMD, pg_isready]", ANCHORED), "listens on the socket only"),
        (but(DATABASE, "pg_isready -h localhost || true", ANCHORED), "ended with 0 while"),
        (
            but(DATABASE, "pg_isready -h localhost -p 5433", ANCHORED),
            "never started: .* with 2 tho",
        ),
        (but(DATABASE, "[CMD]", ANCHORED), "says nothing to run"),
        (but(CACHE, "[CMD, pg_isready, -h, localhost]", ANCHORED), "its image has no pg_isready"),
        (but(CACHE, "[CMD-SHELL, pg_isready]", ANCHORED), "ended with 127 .*not found"),
        (but(CACHE, "[CMD, valkey-cli, ping]", ANCHORED), "with 0 while the server loads its file"),
        (but(CACHE, "valkey-cli ping || exit 1", ANCHORED), "while the server loads its file"),
        (  # async_loading:0
            but(CACHE, "valkey-cli info persistence | grep -q loading:0", ANCHORED),
            "while the server loads its file",
        ),
        (but(CACHE, "sleep 1", ANCHORED), "ended with 0 while the server does not listen"),
        (
            but(CACHE, '[CMD, "valkey-cli -e ping"]', ANCHORED),
            "its image has no valkey-cli -e ping",
        ),
        (but(CACHE, "pidof valkey-server", ANCHORED), "never started: .*127"),
        *(
            (
                but("  migrate: {", f"  migrate: {{ restart: {again},", ANCHORED),
                "started again each",
            )
            for again in ("always", "unless-stopped")
        ),
        (
            but(
                "_completed_successfully }", "_completed_successfully, required: false }", ANCHORED
            ),
            "it also starts when migrate has failed",
        ),
        (but(CACHE, "valkey-cli -e ping | cat", ANCHORED), "with 0 while the server"),
        (but(CACHE, "valkey-cli ping | grep pong", ANCHORED), "is never started"),
        (but(DATABASE, "nc -z localhost 5432", ANCHORED), "ended with 127"),
        (but("-h, localhost", "-h, /var/run/postgresql", ANCHORED), "listens on the socket only"),
        (but(f"test: {DATABASE}", f"test: {DATABASE}, disable: true", ANCHORED), "no healthcheck"),
        ("services: {database: {}}", "it should have the services"),
        ("a: [", "it is not YAML"),
        ("just a text", "it should be a mapping"),
        (LISTS.replace("database: {}", "database: 3"), "must be a mapping"),
        (LISTS.replace("[database]", "3"), "must be a list or a mapping"),
        ("services: !!python/object/apply:os.system ['true']", "it is not YAML"),
    ],
)
def test_somebody_starts_too_early_or_too_late(answer: str, hint: str) -> None:
    right, message = says(4, answer)
    assert not right
    assert re.search(hint, message), message
