"""Judges of "Challenges with shipping": styles, a compose file, a workflow, git, two probes."""

import ast
import base64
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from nexus.judging import NotYet, first_line, judge
from nexus.judging.programs import SHELLS, last_line, program
from nexus.services.ports import free_port

BESIDE = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
"""PATH with the programs of this Python first."""


ALIASES = 20
"""How often a file may name an anchor: each name may stand for all the text above it."""

LIMITED = 'ulimit -f 20480; exec "$@"'
"""An answer that prints for ever may fill ten megabytes, not the disk."""


def _run(
    command: list[str], folder: Path, env: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Runs a program of the answer's; nothing of it is left afterwards."""
    return program(["bash", "-c", LIMITED, "-", *command], folder, env)


def _yaml(answer: str, what: str) -> dict[str, Any]:
    """A mapping, if the answer is one."""
    if len(re.findall(r"(?<!\S)\*\w", answer)) > ALIASES:
        raise NotYet(f"{what} names its anchors more than {ALIASES} times; write it out")
    try:
        read = yaml.safe_load(answer)
    except yaml.YAMLError as error:
        raise NotYet(f"{what} is not YAML: {' '.join(str(error).split())[:160]}") from None
    if not isinstance(read, dict):
        raise NotYet(f"{what} should be a mapping")
    return read


def _mapping(value: object, where: str) -> dict[str, Any]:
    """A part of it that should be a mapping; nothing counts as an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise NotYet(f"{where} must be a mapping")
    return value


def _list(value: object, where: str) -> list[Any]:
    """A part of it that should be a list; nothing counts as an empty one."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise NotYet(f"{where} must be a list")
    return value


@contextmanager
def _folder(files: Mapping[str, str]) -> Iterator[Path]:
    """A folder with files, for a moment."""
    with tempfile.TemporaryDirectory(prefix="nexus-judge-") as name:
        folder = Path(name).resolve()
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        yield folder


SHOP = """
import os
import socket

from django.http import HttpResponse
from django.templatetags.static import static
from django.urls import path


def home(request):
    names = ("shop.css", "calendar.css")
    links = "".join(f'<link rel="stylesheet" href="{static(name)}">' for name in names)
    return HttpResponse(f"{links}<h1>Stays</h1>")


def healthz(request):
    return HttpResponse("ok")


def readyz(request):
    try:
        socket.create_connection(("127.0.0.1", int(os.environ["DATABASE_PORT"])), 5).close()
    except OSError:
        return HttpResponse("the database does not answer", status=503)
    return HttpResponse("ok")


urlpatterns = [path("", home), path("healthz", healthz), path("readyz", readyz)]
"""
"""The application of the exercises 1 and 5, in one module."""

ASK = """
import http.client, json, os, re, signal, socket, subprocess, sys, time

port, (states, follow) = int(sys.argv[1]), json.loads(sys.argv[2])
database = socket.create_server(("127.0.0.1", 0))
env = os.environ | {"DATABASE_PORT": str(database.getsockname()[1])}
log = open("gunicorn.log", "w")
server = subprocess.Popen(
    [sys.executable, "-m", "gunicorn", f"--bind=127.0.0.1:{port}", "--no-control-socket",
     "served"],
    stdout=log, stderr=log, env=env, start_new_session=True)


def get(path, headers, timeout=10):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.putrequest("GET", path, skip_host=True)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read(100_000).decode(errors="replace")
        return [answer.status, answer.headers.get("Content-Type", ""), body]
    except OSError as error:
        return [0, type(error).__name__, ""]
    finally:
        connection.close()


def listens():
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


while server.poll() is None and not listens():
    time.sleep(0.01)
if get("/healthz", [("Host", "127.0.0.1")])[0] == 0:
    try:
        server.wait(5)  # a worker that cannot load the application ends it all
    except subprocess.TimeoutExpired:
        pass
found = {}
for state, requests in states.items():
    if state == "down":
        database.close()
    if state == "hung":
        os.killpg(server.pid, signal.SIGSTOP)
    timeout = 1 if state == "hung" else 10
    found[state] = [get(path, headers, timeout) for path, headers in requests]
    if follow:
        links = re.findall('href="(.*?)"', found[state][0][2])
        found[state] += [get(link, [("Host", "127.0.0.1")]) for link in links]
alive = server.poll() is None
log.close()
print(json.dumps({"alive": alive, "found": found, "log": open("gunicorn.log").read()[-9000:]}))
"""
"""Starts the application, puts it into states one after the other, and asks it in each."""

MANAGE = """
import sys

from django.core.management import execute_from_command_line

execute_from_command_line(sys.argv)
"""

SERVED = """
import logging

from django.core.wsgi import get_wsgi_application

logging.basicConfig()
application = get_wsgi_application()
"""
"""What gunicorn loads; errors go to its log, which Django alone would mail to somebody."""

Answers = dict[str, list[tuple[int, str, str]]]


def _ask(
    folder: Path, env: Mapping[str, str], states: Mapping[str, object], *, follow: bool = False
) -> Answers:
    """What a real gunicorn answers in each state: status, type and body.

    Raises:
        NotYet: if the application cannot be loaded; with the end of its log.
    """
    (folder / "served.py").write_text(SERVED)
    told = json.dumps([states, follow])
    command = [sys.executable, "-c", ASK, str(free_port()), told]
    own = {"DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": str(folder)}
    done = _run(command, folder, own | dict(env))
    try:
        read = json.loads(done.stdout)
    except ValueError:
        raise NotYet(f"gunicorn could not be asked: {last_line(done.stderr)}") from None
    if not read["alive"]:
        lines = re.findall(r"^\S*(?:Error|Exception|Configured)\b.*", read["log"], re.MULTILINE)
        raise NotYet(f"gunicorn ended: {last_line(lines[-1] if lines else read['log'])}")
    for answers in read["found"].values():
        for answer in answers:
            if answer[0] == 500:
                lines = re.findall(r"^\w*(?:Error|Configured): .*", read["log"], re.MULTILINE)
                answer[2] = lines[-1] if lines else ""
    return {state: [tuple(each) for each in answers] for state, answers in read["found"].items()}


# -- 1. A deployment without styles. The build is run, the release is started, twice.

FIRST = {"static/shop.css": "h1 { color: teal }", "calendar_app/static/calendar.css": "td { a: 1 }"}
SECOND = FIRST | {"static/shop.css": "h1 { color: navy }"}

GIVEN_1 = {
    "settings": """
SECRET_KEY = "not-secret-here"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "shop"
INSTALLED_APPS = ["django.contrib.staticfiles", "calendar_app"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
STATIC_URL = "static/"
STATICFILES_DIRS = ["static"]
""",
    "build": "true",
}


@judge(
    "challenges-shipping.1",
    takes=dict,
    called="a dictionary with two texts",
    hint="give a dictionary: the text of settings.py under settings, a command under build",
    stub=GIVEN_1,
)
def styles(answer: dict[str, str]) -> str:
    """Two releases are built and started, and each serves its own styles, as CSS."""
    if set(answer) != {"settings", "build"} or not all(
        isinstance(value, str) for value in answer.values()
    ):
        raise NotYet("the dictionary should have two texts, under settings and build")
    files = {"settings.py": answer["settings"], "shop.py": SHOP, "calendar_app/__init__.py": ""}
    files["manage.py"] = MANAGE
    with _folder(files) as folder:
        for release, sheets in (("first", FIRST), ("second", SECOND)):
            for name, text in sheets.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(text)
            _released(folder, answer["build"], release, sheets)
    return "both releases serve their own styles as text/css, and DEBUG is off"


def _released(folder: Path, build: str, release: str, sheets: Mapping[str, str]) -> None:
    """Builds and starts a release, and looks at its page as a browser does."""
    here = {"DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": str(folder), "PATH": BESIDE}
    done = _run(["bash", "-e", "-c", build], folder, here)
    if done.returncode:
        said = last_line(done.stderr or done.stdout)
        raise NotYet(f"the build ended with status {done.returncode}: {said}")
    host = [("Host", "127.0.0.1")]
    asked = {"up": [["/", host], ["/no-such-page", host]]}
    (page, missing, *found) = _ask(folder, {}, asked, follow=True)["up"]
    if page[0] != 200:
        raise NotYet(f"the page itself has status {page[0]}: {page[2][:200]}")
    if "DEBUG = True" in missing[2] or "DEBUG = True" in page[2]:
        raise NotYet("DEBUG is on: a stranger who asks for a page that is not there reads settings")
    for wanted, (status, kind, body) in zip(sheets.items(), found, strict=False):
        name, text = wanted
        name = name.rpartition("/")[2]
        if status != 200 or "text/css" not in kind:
            raise NotYet(f"{name}: status {status}, and its type is {kind}, which is no style")
        if body != text:
            raise NotYet(f"the {release} release serves another {name} than was built: {body[:80]}")
    if len(found) != len(sheets):
        raise NotYet(f"the page should link {len(sheets)} styles; it links {len(found)}")


# -- 2. localhost in a container. The file is resolved as compose and Docker's DNS do it.

GIVEN_2 = """
services:
  web:
    image: shop
    command: gunicorn --bind 127.0.0.1:8000 shop
    environment: {DATABASE_URL: "postgresql://shop:secret@localhost:5432/shop"}
    ports: ["8080:80"]
  database: {image: "postgres:18", ports: ["5432:5432"],
             environment: {POSTGRES_USER: shop, POSTGRES_PASSWORD: secret}}
"""

CONTAINED = """
import sys

def application(environ, start_response):
    start_response("200 OK", [])
    return [b"ok"]
"""

SHIMS = {
    "bin/gunicorn": '#!/bin/sh\nexec {python} -m gunicorn --print-config "$@" > "$BOUND"\n',
    "bin/python": """#!/bin/sh
if [ "$1 $2" = "-m gunicorn" ]; then shift 2; exec gunicorn "$@"; fi
exec {python} "$@"
""",
}
"""Stands for gunicorn: the real one reads the command, and says where it would listen."""

PLACES = r"(?<![\w.-])/(?:usr/)?(?:local/)?s?bin/(?=[\w\[])"
"""The image's own folders of programs."""


@judge(
    "challenges-shipping.2",
    takes=str,
    called="the text of compose.yaml",
    hint="give the text of compose.yaml, with the services web and database",
    stub=GIVEN_2,
)
def compose(answer: str) -> str:
    """Web finds the database, people find web, and nobody outside finds the database."""
    services = _mapping(_yaml(answer, "compose.yaml").get("services"), "services")
    for name in ("web", "database"):
        if name not in services:
            raise NotYet(f"it should have the services web and database; {name} is missing")
    web, database = (_mapping(services[name], f"services.{name}") for name in ("web", "database"))
    for name, service in (("web", web), ("database", database)):
        if "network_mode" in service:
            raise NotYet(f"{name} gives up its own network by network_mode; leave it its own")
    _finds_database(services, web, database)
    _is_found(web)
    for host, _, inside in _ports(database, "database"):
        if not _is_loopback(host):
            raise NotYet(
                f"ports publishes {inside} of the database on every address of the machine; web "
                "does not need that, since it is in the same network"
            )
    return "web finds the database by name, port 8080 leads to gunicorn, the database is private"


def _finds_database(
    services: Mapping[str, Any], web: Mapping[str, Any], database: Mapping[str, Any]
) -> None:
    """The address in web's environment leads to the database's own port, from inside of web."""
    url = _environment(web).get("DATABASE_URL")
    if not url:
        raise NotYet("web has no DATABASE_URL in its environment")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 5432
    except ValueError as error:
        raise NotYet(f"DATABASE_URL is no address: {error}") from None
    if host == "" or parts.scheme not in ("postgresql", "postgres"):
        raise NotYet("DATABASE_URL should be postgresql://user:password@host:port/name")
    own = {"web", str(web.get("container_name", "web"))}
    if host in own | {"localhost", "127.0.0.1", "::1", "0.0.0.0"}:  # noqa: S104 (refused here)
        raise NotYet(
            f'connection to server at "{host}", port {port} failed: Connection refused. In web, '
            f"{host} is web itself, and there is no PostgreSQL in it"
        )
    if host == "host.docker.internal":
        raise NotYet(
            "host.docker.internal is the way out and in again over a published port, and Docker "
            "on Linux does not know that name by itself. Both are in one network already"
        )
    if re.fullmatch(r"[\d.]+|.*:.*", host):
        raise NotYet(f"{host}: a container gets another address when it is made anew; use a name")
    shared = _networks(web) & _networks(database)
    names = {"database", str(database.get("container_name", "database"))}
    given = database.get("networks")
    if isinstance(given, dict):
        for network, how in given.items():
            if network in shared and isinstance(how, dict):
                names |= set(map(str, how.get("aliases") or ()))
    if host not in names:
        known = ", ".join(sorted({*services, *names}))
        raise NotYet(f'could not translate host name "{host}" to address; known are: {known}')
    if not shared:
        raise NotYet(f'could not translate host name "{host}" to address: no network is shared')
    words = " ".join(map(str, _words(database.get("command"))))
    moved = re.search(r"(?:-p\s*|-c\s*port=|--port[= ])(\d+)", words)
    inside = int(moved[1] if moved else _environment(database).get("PGPORT", "5432"))
    if port != inside:
        raise NotYet(
            f"PostgreSQL listens on port {inside} in its container, and web asks port {port}: "
            "between containers, the published port does not count"
        )


def _is_found(web: Mapping[str, Any]) -> None:
    """Port 8080 of the machine leads to where gunicorn listens, which is not loopback."""
    published = {outside: (at, inside) for at, outside, inside in _ports(web, "web")}
    if "8080" not in published:
        raise NotYet("people open port 8080 of the machine, and ports of web does not publish it")
    at, inside = published["8080"]
    if _is_loopback(at):
        raise NotYet(f"port 8080 is published at {at} only, where nobody outside can come in")
    bound = _bound(web)
    from_outside = [each for each in bound if not _is_loopback(each.rpartition(":")[0])]
    if not from_outside:
        raise NotYet(
            f"gunicorn listens at {bound[0]}, which is the loopback of its container. A published "
            "port comes in over the container's other address"
        )
    if inside not in [each.rpartition(":")[2] for each in from_outside]:
        where = ", ".join(from_outside)
        raise NotYet(f"8080 leads to {inside} in web, and gunicorn listens at {where}")


def _is_loopback(host: str) -> bool:
    return host.strip("[]") in ("localhost", "::1") or host.startswith("127.")


def _bound(web: Mapping[str, Any]) -> list[str]:
    """Where the real gunicorn would listen, with this command and environment."""
    words = [*map(str, _words(web.get("entrypoint"))), *map(str, _words(web.get("command")))]
    if not words:
        raise NotYet("web has no command, and its image needs one: gunicorn … shop")
    shims = {name: text.format(python=shlex.quote(sys.executable)) for name, text in SHIMS.items()}
    shims["bin/python3"] = shims["bin/python"]
    with _folder({"shop.py": CONTAINED} | shims) as at:
        for name in shims:
            (at / name).chmod(0o755)
        own = {name: text for name, text in _environment(web).items() if name != "PATH"}
        bound = at / "bound"
        own |= {"PATH": f"{at}/bin:/usr/bin:/bin", "PYTHONPATH": str(at), "BOUND": str(bound)}
        done = _run(["env", *(re.sub(PLACES, "", word) for word in words)], at, own)
        said = bound.read_text() if bound.exists() else ""
        found = re.search(r"^bind\s*= (\[.*\])$", said, re.MULTILINE)
        if not found:
            raise NotYet(f"the command of web does not start gunicorn: {last_line(done.stderr)}")
        return [str(each) for each in ast.literal_eval(found[1])]


def _words(command: object) -> list[Any]:
    """The words of a command, which compose takes as a text or as a list."""
    if isinstance(command, str):
        try:
            return shlex.split(command.replace("$$", "$"))
        except ValueError as error:
            raise NotYet(f"the command cannot be split into words: {error}") from None
    return [str(each).replace("$$", "$") for each in _list(command, "command")]


def _environment(service: Mapping[str, Any]) -> dict[str, str]:
    """A service's environment, with the defaults of ${NAME:-default} filled in."""
    given = service.get("environment")
    if isinstance(given, list):
        given = dict(str(each).partition("=")[::2] for each in given)
    filled = {}
    for name, value in _mapping(given, "environment").items():
        text = "" if value is None else str(value)
        filled[str(name)] = re.sub(r"(?<!\$)\$\{(\w+)(?::?-([^}]*))?[^}]*\}", r"\2", text)
    return filled


def _networks(service: Mapping[str, Any]) -> set[str]:
    """The networks that a service is in."""
    given = service.get("networks")
    if isinstance(given, dict | list):
        return set(map(str, given))
    return {"default"}


def _ports(service: Mapping[str, Any], name: str) -> list[tuple[str, str, str]]:
    """The ports that a service publishes: address, port of the machine, port inside."""
    found = []
    for each in _list(service.get("ports"), f"services.{name}.ports"):
        if isinstance(each, dict):
            outside = str(each.get("published", ""))
            found.append((str(each.get("host_ip", "")), outside, str(each.get("target", ""))))
            continue
        parts = str(each).partition("/")[0].rsplit(":", 2)
        host, outside, inside = ["", "", *parts][-3:]
        found.append((host.strip("[]"), outside, inside))
    return found


# -- 3. A green workflow that tests nothing. Its steps are run, as GitHub's runner runs them.

TOKEN = "q7Zt4WmXc2Rk9VbN"  # noqa: S105 (it opens nothing)
GOOD = "def test_nights():\n    assert 2 + 2 == 4\n"
BAD = """import os

def test_environment():
    assert " ".join(os.environ.get("TOKEN", "")) == "what a failing test shows of it"
"""
UPLOAD = """#!/bin/sh
if ! test -f "$1"; then echo "there is no $1 on the machine of this job"; exit 3; fi
printf %s "$TOKEN" > uploaded
"""

GIVEN_3 = """
on: push
jobs:
  test:
    runs-on: ubuntu-24.04
    env: {TOKEN: "${{ secrets.TOKEN }}"}
    steps:
      - run: python -m pytest tests | tee report.txt
      - run: echo "$TOKEN" | sed 's/./& /g'; ./upload report.txt
"""

REPOSITORIES = {
    "a test fails": ({"tests/test_nights.py": GOOD, "tests/test_more.py": BAD}, False),
    "no test is collected": ({"tests/nights.py": GOOD}, False),
    "all tests pass": ({"tests/test_nights.py": GOOD}, True),
}


@judge(
    "challenges-shipping.3",
    takes=str,
    called="the text of a workflow",
    hint="give the text of the workflow, with on and jobs",
    stub=GIVEN_3,
)
def workflow(answer: str) -> str:
    """It is red for a failed test and for none at all, it uploads, and the log tells nothing."""
    flow = _yaml(answer, "the workflow")
    for what, (files, good) in REPOSITORIES.items():
        with _folder(files | {"upload": UPLOAD}) as folder:
            (folder / "upload").chmod(0o755)
            green, log = _run_workflow(flow, folder)
            uploaded = folder / "uploaded"
            got = uploaded.read_text() if uploaded.exists() else None
            report = folder / "report.txt"
            kept = report.read_text() if report.exists() else ""
        if green and not good:
            raise NotYet(f"{what}, and the workflow is green")
        if got is not None and not good:
            raise NotYet(f"{what}, and the report is uploaded as if all were well")
        if leak := _leak(log):
            raise NotYet(f"{what}: the log shows the token, as {leak!r}")
        if good and not green:
            raise NotYet(f"{what}, and the workflow is red: {last_line(log)}")
        if good and got != TOKEN:
            raise NotYet(f"{what}: ./upload {'got no TOKEN' if got == '' else 'was not run'}")
        if not re.search(r"passed|failed|no tests ran", kept):
            raise NotYet(f"{what}: report.txt does not hold what pytest printed")
    return "red for a failing test and for no test at all, green for good ones, no token in the log"


def _leak(log: str) -> str:
    """What a log shows of the token after the runner has masked it; nothing, if all is hidden."""
    for form in (TOKEN, base64.b64encode(TOKEN.encode()).decode()):
        log = log.replace(form, "***")
    tight = re.sub(r"[\s'\",]+", "", log)
    forms = [TOKEN[at : at + 4] for at in range(len(TOKEN) - 3)]
    forms += [TOKEN[::-1][:6], TOKEN.encode().hex()[:12], TOKEN.swapcase()[:6]]
    for form in forms:
        if form in tight:
            shown = next((line for line in log.splitlines() if form[0] in line and form in
                          re.sub(r"[\s'\",]+", "", line)), form)  # fmt: skip
            return shown.strip()[:80]
    return ""


def _run_workflow(flow: Mapping[str, Any], folder: Path) -> tuple[bool, str]:
    """Runs the jobs one after the other: whether all is green, and the whole log."""
    jobs = _mapping(flow.get("jobs"), "jobs")
    if not jobs:
        raise NotYet("there are no jobs")
    ended: dict[str, bool] = {}
    log, green = "", True
    report, kept, before = folder / "report.txt", "", ""
    for name, job in jobs.items():
        job = _mapping(job, f"jobs.{name}")
        needs = job.get("needs") or []
        needs = [needs] if isinstance(needs, str) else needs
        if not all(ended.get(str(each), False) for each in needs) and not _is_always(job):
            continue  # skipped: some job that it needs has failed, or stands below it
        if _is_skipped(job, fine=True):
            continue
        if report.exists():
            kept = report.read_text()
            if not ("/upload-artifact" in before and "/download-artifact" in _used(job)):
                report.unlink()  # each job has a machine of its own
        before += _used(job)
        fine, said = _run_job(flow, job, folder)
        ended[str(name)] = fine or bool(job.get("continue-on-error"))
        green = green and ended[str(name)]
        log += said
    if kept and not report.exists():
        report.write_text(kept)
    return green, log


def _used(job: Mapping[str, Any]) -> str:
    """The actions that a job uses."""
    steps = _list(job.get("steps"), "steps")
    return " ".join(str(step.get("uses", "")) for step in steps if isinstance(step, dict))


def _is_always(part: Mapping[str, Any]) -> bool:
    return bool(re.search(r"always\(\)|!cancelled\(\)|failure\(\)", str(part.get("if", ""))))


def _is_skipped(step: Mapping[str, Any], *, fine: bool) -> bool:
    """Whether a step is passed over after those above it."""
    condition = re.sub(r"^\$\{\{(.*)\}\}$", r"\1", str(step.get("if", "")).strip()).strip()
    if "failure()" in condition and "success()" not in condition:
        return fine
    return condition.lower() == "false" or (not fine and not _is_always(step))


def _run_job(flow: Mapping[str, Any], job: Mapping[str, Any], folder: Path) -> tuple[bool, str]:
    """Runs the steps of a job: whether it succeeded, and its log."""
    fine, log = True, ""
    for number, step in enumerate(_list(job.get("steps"), "steps"), 1):
        step = _mapping(step, f"step {number}")
        if "uses" in step:
            continue
        if not isinstance(step.get("run"), str):
            raise NotYet(f"step {number} should have a text under run")
        if _is_skipped(step, fine=fine):
            continue
        shell = step.get("shell")
        for place in (job, flow):
            defaults = _mapping(_mapping(place.get("defaults"), "defaults").get("run"), "run")
            shell = shell or defaults.get("shell")
        if shell in SHELLS:
            called = SHELLS[shell]
        elif isinstance(shell, str) and "{0}" in shell and shell.split()[0] in ("bash", "sh"):
            called = shell
        else:
            raise NotYet(f"step {number}: the judge knows bash, sh and python, and not {shell}")
        env: dict[str, str] = {}
        for place in (flow, job, step):
            given = _mapping(place.get("env"), "env")
            env |= {str(key): _expression(str(value)) for key, value in given.items()}
        script = folder / ".script"
        script.write_text(_expression(step["run"]))
        words = ["bash", "-c", 'ulimit -f 2048; exec "$@" 2>&1', "-"]
        words += [part.format(script) for part in called.split()]
        runner = {"PATH": BESIDE, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        done = program(words, folder, runner | env)
        log += done.stdout
        if done.returncode and not step.get("continue-on-error"):
            fine = False
    return fine, log


def _expression(text: str) -> str:
    """Fills in ${{ secrets.TOKEN }}, the one expression that there is here."""

    def value(found: re.Match[str]) -> str:
        if found[1].strip() != "secrets.TOKEN":
            raise NotYet(f"the judge does not know ${{{{ {found[1].strip()} }}}}")
        return TOKEN

    return re.sub(r"\$\{\{(.*?)\}\}", value, text, flags=re.DOTALL)


# -- 4. Conflict markers and a pushed .env. The script works on a real repository.

OLD, NEW = "sk_live_old_4242", "sk_live_new_7171"
FEES = {"cleaning": 30, "linen": 12, "parking": 8}
MARKED = """FEES = {
    "cleaning": 30,
<<<<<<< HEAD
    "linen": 12,
=======
    "parking": 8,
>>>>>>> parking
}
"""

BEGIN = r"""
set -e
git init --quiet --bare --initial-branch main origin.git
git init --quiet --initial-branch main work
cd work
git remote add origin ../origin.git
printf 'FEES = {\n    "cleaning": 30,\n}\n' > fees.py
echo "# Shop" > README.md
echo __pycache__/ > .gitignore
git add --all && git commit --quiet --message "Shop"
git checkout --quiet -b parking
printf 'FEES = {\n    "cleaning": 30,\n    "parking": 8,\n}\n' > fees.py
echo "PAYMENT_KEY=$OLD" > .env
git add --all && git commit --quiet --message "Parking"
git checkout --quiet main
printf 'FEES = {\n    "cleaning": 30,\n    "linen": 12,\n}\n' > fees.py
git add --all && git commit --quiet --message "Linen"
git merge --quiet parking > ../merged 2>&1 || true
git add --all && git commit --quiet --message "Merge branch 'parking'"
git branch --quiet -D parking
git push --quiet --set-upstream origin main
cd ..
"""
"""Makes the repository, as people do: a merge in conflict, and `git add --all`."""

NEW_KEY = f'#!/bin/sh\necho called >> "$NEXUS_CALLED"\necho {NEW}\n'

GIVEN_4 = """
echo .env >> .gitignore
git add --all
git commit --quiet --message "Ignore .env"
git push --quiet
"""


def _git(folder: Path) -> dict[str, str]:
    """An environment in which git reads no configuration but its own."""
    return {
        "HOME": str(folder),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_EDITOR": "true",
        "GIT_AUTHOR_NAME": "Ada",
        "GIT_AUTHOR_EMAIL": "ada@example.org",
        "GIT_COMMITTER_NAME": "Ada",
        "GIT_COMMITTER_EMAIL": "ada@example.org",
        "FILTER_BRANCH_SQUELCH_WARNING": "1",
        "PATH": f"{folder}/bin{os.pathsep}{BESIDE}",
        "NEXUS_CALLED": str(folder / "called"),
        "OLD": OLD,
    }


APART = ["env", "-u", "GIT_DIR", "-u", "GIT_WORK_TREE", "-u", "GIT_INDEX_FILE", "bash"]


@judge(
    "challenges-shipping.4",
    takes=str,
    called="a script for bash",
    hint="give the lines of a script that runs in the clone and ends with a push",
    stub=GIVEN_4,
)
def repository(answer: str) -> str:
    """The pushed file works, .env is on the disk only, and its key is a new one."""
    with _folder({"bin/new-key": NEW_KEY}) as folder:
        (folder / "bin" / "new-key").chmod(0o755)
        env = _git(folder)
        work, origin = folder / "work", folder / "origin.git"
        done = program([*APART, "-c", BEGIN], folder, env)
        if done.returncode or not origin.is_dir():
            raise NotYet(f"git could not make the repository: {last_line(done.stderr)}")

        def git(*words: str, cwd: Path = origin) -> str:
            command = [*APART, "-c", 'git "$@" 2>&1', "-", *words]
            return program(command, cwd, env).stdout

        done = _run([*APART, "-c", answer], work, env)
        if done.returncode:
            said = last_line(done.stderr or done.stdout)
            raise NotYet(f"the script ended with status {done.returncode}: {said}")
        _fees_work(git("show", "main:fees.py"))
        tree = git("ls-tree", "-r", "--name-only", "main").split()
        if ".env" in tree:
            raise NotYet(
                ".env is still in the newest commit of origin: a line in .gitignore does not "
                "untrack a file that git knows already"
            )
        if "README.md" not in tree:
            raise NotYet("README.md is gone from origin; nothing but .env should go")
        path = work / ".env"
        if not path.is_file():
            raise NotYet(".env is gone from the folder too, and the program needs it there")
        kept = path.read_text()
        called = (folder / "called").exists()
        if called and OLD in kept:
            raise NotYet(".env still has the old key: put the new one in its place")
        if not called:
            raise NotYet(
                "the old key still opens the account, and everybody who has fetched it has it: "
                "ask the provider for another one with new-key, and put it into .env"
            )
        if not re.search(rf"^(?:export )?PAYMENT_KEY=(['\"]?){NEW}\1$", kept.strip(), re.MULTILINE):
            raise NotYet(f".env should have PAYMENT_KEY={NEW}; it has {kept.strip()[:80]!r}")
        for where in (work, origin):
            if git("log", "--all", "--oneline", "-S", NEW, cwd=where).strip():
                raise NotYet("the new key is in a commit: that is the same leak again")
        git("add", "--all", cwd=work)
        if ".env" in git("diff", "--cached", "--name-only", cwd=work).split():
            raise NotYet("the next `git add --all` takes .env in again: let .gitignore name it")
        if ".env" in git("ls-files", cwd=work).split():
            raise NotYet("git still tracks .env in the clone")
        gone = not git("log", "--all", "--oneline", "-S", OLD).strip()
    also = ", and no commit of origin has the old one" if gone else ""
    return f"fees.py has all three fees, .env is on the disk only, its key is a new one{also}"


def _fees_work(text: str) -> None:
    """Raises NotYet unless the pushed file is Python and has the fees of both sides."""
    if left := re.findall(r"^(?:<<<<<<<|>>>>>>>|=======).*", text, re.MULTILINE):
        raise NotYet(f"on origin, fees.py still has the line {left[0]!r}")
    try:
        statements = ast.parse(text).body
        values = [each.value for each in statements if isinstance(each, ast.Assign)]
        found = [ast.literal_eval(value) for value in values]
    except (SyntaxError, ValueError) as error:
        raise NotYet(f"on origin, fees.py is no Python any more: {first_line(error)}") from None
    if not found or found[-1] != FEES:
        got = ", ".join(found[-1]) if found and isinstance(found[-1], dict) else "nothing"
        raise NotYet(f"on origin, FEES has {got}; both sides of the merge added a fee")


# -- 5. A Pod that never gets ready. The probes ask a real gunicorn, in three states.

POD_IP = "10.244.0.7"
SETTINGS = """
import os

SECRET_KEY = "not-secret-here"
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "").split(",")
ROOT_URLCONF = "shop"
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
"""

GIVEN_5 = """
containers:
  - name: web
    image: shop:1.4
    env: [{name: ALLOWED_HOSTS, value: shop.example.org}]
    ports: [{containerPort: 8000}]
    readinessProbe: {httpGet: {path: /ready, port: 80}}
    livenessProbe: {tcpSocket: {port: 8000}}
"""

STATES = {"up": "the program and the database are up", "down": "the database is down",
          "hung": "the program hangs"}  # fmt: skip


@judge(
    "challenges-shipping.5",
    takes=str,
    called="a part of a manifest, as YAML",
    hint="give the YAML: containers, with the two probes of web",
    stub=GIVEN_5,
)
def probes(answer: str) -> str:
    """Ready while the database answers, restarted only when the program hangs."""
    read = _yaml(answer, "the manifest")
    containers = _list(read.get("containers"), "containers")
    if len(containers) != 1:
        raise NotYet("containers should have one item, web")
    web = _mapping(containers[0], "the container")
    env = _pod_environment(web)
    ready, live = (_probe(web, f"{kind}Probe") for kind in ("readiness", "liveness"))
    stranger = ["/healthz", [["Host", "evil.example"]]]
    guest = ["/healthz", [["Host", "shop.example.org"]]]
    requests = [each if isinstance(each, list) else stranger for each in (ready, live)]
    with _folder({"settings.py": SETTINGS, "shop.py": SHOP}) as folder:
        got = _ask(
            folder, env, {"up": [*requests, stranger, guest], "down": requests, "hung": requests}
        )

    def outcome(state: str, place: int, probe: object) -> str:
        """Why a probe fails, as kubelet would say it; nothing, if it succeeds."""
        if isinstance(probe, str):
            return probe if probe != "tcp" else ""  # a hung program still has its socket
        status = got[state][place][0]
        if status == 0:
            return "context deadline exceeded"
        return "" if 200 <= status < 400 else f"HTTP probe failed with statuscode: {status}"

    if got["up"][2][0] != 400:
        raise NotYet("a request for evil.example is answered now: ALLOWED_HOSTS is open to all")
    if got["up"][3][0] != 200:
        raise NotYet("a request for shop.example.org is refused now: guests use that name")
    if said := outcome("up", 0, ready):
        raise NotYet(f"{STATES['up']}, and: Readiness probe failed: {said}")
    if said := outcome("up", 1, live):
        raise NotYet(f"{STATES['up']}, and: Liveness probe failed: {said}")
    if not outcome("down", 0, ready):
        raise NotYet(f"{STATES['down']}, and the Pod is ready: people are sent to it, and get 500")
    if said := outcome("down", 1, live):
        raise NotYet(
            f"{STATES['down']}, and: Liveness probe failed: {said}. Every Pod is restarted again "
            "and again, which repairs no database"
        )
    if not outcome("hung", 1, live):
        raise NotYet(f"{STATES['hung']}, and the liveness probe succeeds: nobody restarts it")
    return "ready while the database answers, restarted only when the program hangs"


def _pod_environment(web: Mapping[str, Any]) -> dict[str, str]:
    """The environment of the container; $(NAME) is a variable that stands above."""
    env: dict[str, str] = {}
    for item in _list(web.get("env"), "env"):
        each = _mapping(item, "an item of env")
        field = _mapping(_mapping(each.get("valueFrom"), "valueFrom").get("fieldRef"), "fieldRef")
        if field:
            if field.get("fieldPath") != "status.podIP":
                raise NotYet("of fieldPath, the judge knows status.podIP only")
            value = POD_IP
        else:
            value = str(each.get("value", ""))
            if POD_IP in value:
                raise NotYet(
                    f"{POD_IP} is the address of this Pod, and the next one gets another: take it "
                    "from status.podIP, or let the probe send a Host header"
                )
        env[str(each.get("name"))] = re.sub(
            r"\$\((\w+)\)", lambda found: env.get(found[1], found[0]), value
        )
    kept = {"ALLOWED_HOSTS"}
    return {name: value for name, value in env.items() if name in kept}


def _probe(web: Mapping[str, Any], kind: str) -> list[Any] | str:
    """The request that a probe sends; "tcp" for one that only connects; or why it cannot."""
    probe = _mapping(web.get(kind), kind)
    if not probe:
        raise NotYet(f"there is no {kind}: the kubelet takes its answer for a yes")
    if "exec" in probe or "grpc" in probe:
        raise NotYet(f"{kind}: the judge follows httpGet and tcpSocket only")
    how = "httpGet" if "httpGet" in probe else "tcpSocket"
    asked = _mapping(probe.get(how), f"{kind}.{how}")
    port = asked.get("port")
    for item in _list(web.get("ports"), "ports"):
        if isinstance(item, dict) and item.get("name") == port and port is not None:
            port = item.get("containerPort")
    if isinstance(port, bool) or not isinstance(port, int):
        raise NotYet(f"{kind}: the port is a number, or the name of one under ports; not {port!r}")
    refused = f"dial tcp {POD_IP}:{port}: connect: connection refused"
    if how == "tcpSocket":
        return "tcp" if port == 8000 else refused
    if "host" in asked:
        return (
            f"dial tcp: the probe goes to {asked['host']} and not to the Pod. `host` is where to "
            "connect; a Host header belongs under httpHeaders"
        )
    if port != 8000:
        return f'Get "http://{POD_IP}:{port}{asked.get("path", "/")}": {refused}'
    if str(asked.get("scheme", "HTTP")).upper() != "HTTP":
        return "http: server gave HTTP response to HTTPS client"
    headers = []
    for item in _list(asked.get("httpHeaders"), "httpHeaders"):
        each = _mapping(item, "an item of httpHeaders")
        headers.append([str(each.get("name")), str(each.get("value"))])
    if not any(name.lower() == "host" for name, _ in headers):
        headers.insert(0, ["Host", f"{POD_IP}:{port}"])
    return [str(asked.get("path", "/")), headers]
