"""The manifests: valid by Kubernetes' schemas, read by kubectl, and run on a real project."""

import os
import re
import subprocess
import sys
import zoneinfo
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from celery.schedules import ParseException, crontab

import nexus
from nexus import needs
from nexus.services import programs
from tests.manifests import is_restricted, refused

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "snippets" / "kubernetes"
FILES = {path.name: path.read_text() for path in sorted(FOLDER.glob("*.yaml"))}
DOCKERFILE = (ROOT / "snippets" / "containers" / "Dockerfile").read_text()
USER = int(re.search(r"^USER (\d+):", DOCKERFILE, re.MULTILINE)[1])
EVERY = pytest.mark.parametrize("name", FILES)


def template(one: dict[str, Any]) -> dict[str, Any] | None:
    """The Pods that an object makes."""
    spec = one["spec"]
    return spec.get("jobTemplate", {}).get("spec", spec).get("template")


def findings(text: str) -> list[str]:
    """Everything that is wrong with a manifest."""
    one = yaml.safe_load(text)
    if unknown := refused(one):
        return unknown
    wrong = []
    if pods := template(one):
        job = one["spec"].get("jobTemplate", one)["spec"]
        if pods["spec"]["restartPolicy"] != "Never":
            wrong.append("the log of the first try is lost")
        if "activeDeadlineSeconds" not in job:
            wrong.append("what hangs is never ended")
        wrong += about_security(pods["spec"], pods["spec"]["containers"][0])
    if one["kind"] == "CronJob":
        wrong += about_the_schedule(one["metadata"]["name"], one["spec"])
    if one["kind"] == "Job" and (job["backoffLimit"] or "ttlSecondsAfterFinished" not in job):
        wrong.append("a failed migration is repeated, or its Job stays")
    if one["kind"] == "Job" and not pods["spec"]["containers"][0]["image"].endswith(
        ":" + one["metadata"]["name"].removeprefix("mysite-migrate-").replace("-", ".")
    ):
        wrong.append("the name is another release's")
    if one["kind"] == "PodDisruptionBudget":
        if one["spec"].get("maxUnavailable") != 1:
            wrong.append("the budget lets none go, or all")
        if one["spec"]["selector"]["matchLabels"].keys() != {
            "app.kubernetes.io/name",
            "app.kubernetes.io/component",
        }:
            wrong.append("the budget counts the Pods of several components")
    return wrong


def about_security(pod: dict[str, Any], container: dict[str, Any]) -> list[str]:
    """What the Pod security standard `restricted` asks for, and a little more."""
    is_user = pod["securityContext"].get("runAsUser") == USER
    wrong = [] if is_user else ["it is not the image's user"]
    if (
        not is_restricted(pod, container)
        or container["securityContext"].get("readOnlyRootFilesystem") is not True
        or pod.get("automountServiceAccountToken") is not False
    ):
        wrong.append("it may do more than it needs")
    resources = container["resources"]
    if "memory" not in resources.get("limits", {}) or set(resources["requests"]) < {"cpu"}:
        wrong.append("it may fill the node")
    return wrong


def about_the_schedule(name: str, spec: dict[str, Any]) -> list[str]:
    """Its times exist, and fit between two runs."""
    wrong = [] if len(name) <= 52 else ["the name is too long"]
    try:
        when = crontab.from_string(spec["schedule"])
    except (ParseException, ValueError) as error:
        return [f"this is no schedule: {error}"]
    if spec.get("timeZone") not in zoneinfo.available_timezones():
        wrong.append("this is no time zone")
    between = 86_400 // (len(when.hour) * len(when.minute))
    late, runs = spec.get("startingDeadlineSeconds", 0), spec["jobTemplate"]["spec"]
    if not 10 <= late < between:
        wrong.append("it may start never, or beside the next one")
    if late + runs["activeDeadlineSeconds"] >= between:
        wrong.append("it may run until the next one")
    if spec.get("concurrencyPolicy") != "Forbid":
        wrong.append("two can run at once")
    if spec["failedJobsHistoryLimit"] < 1:
        wrong.append("nobody can read why it failed")
    return wrong


@EVERY
def test_nothing_is_wrong(name: str) -> None:
    assert findings(FILES[name]) == []


@EVERY
def test_the_head_says_what_it_answers_and_what_to_watch_out_for(name: str) -> None:
    head = FILES[name].partition("\napiVersion")[0]
    assert re.match(r"# [A-Z].*\?\n#\n# Kubernetes 1\.\d\d or newer", head)
    assert "\n# Watch out:\n# * " in head
    assert f"(kubernetes/{name})" in (ROOT / "snippets" / "README.md").read_text()
    for path in re.findall(r"\.\./\S+\.\w+", head):
        assert (FOLDER / path.rstrip(".")).is_file()


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("cronjob.yaml", "concurrencyPolicy: Forbid", "concurrencyPolicy: Never", "two can run"),
        ("cronjob.yaml", "concurrencyPolicy: Forbid", "concurrencyPolicy: Allow", "two can run"),
        ("cronjob.yaml", "startingDeadlineSeconds", "startDeadlineSeconds", "schema: spec"),
        ("cronjob.yaml", "DeadlineSeconds: 3600", "DeadlineSeconds: 9", "start never"),
        ("cronjob.yaml", "DeadlineSeconds: 3600", "DeadlineSeconds: 86400", "start never"),
        ("cronjob.yaml", "activeDeadlineSeconds: 1800", "activeDeadlineSeconds: 82800", "until"),
        ("cronjob.yaml", "17 3 * * *", "17 3 * *", "no schedule"),
        ("cronjob.yaml", "17 3 * * *", "17 25 * * *", "no schedule"),
        ("cronjob.yaml", "17 3 * * *", "*/20 * * * *", "until the next"),
        ("cronjob.yaml", "Etc/UTC", "Etc/Accra", "no time zone"),
        ("cronjob.yaml", "mysite-clear-sessions\n", "a" * 53 + "\n", "too long"),
        ("cronjob.yaml", "failedJobsHistoryLimit: 3", "failedJobsHistoryLimit: 0", "nobody"),
        ("cronjob.yaml", "memory: 256Mi", "cpu: 1", "fill the node"),
        ("job-migrate.yaml", "restartPolicy: Never", "restartPolicy: OnFailure", "first try"),
        ("job-migrate.yaml", "  activeDeadlineSeconds: 600 #", "  #", "never ended"),
        ("job-migrate.yaml", "backoffLimit: 0", "backoffLimit: 6", "repeated"),
        ("job-migrate.yaml", "mysite:1.0.0", "mysite:1.0.1", "another release"),
        ("job-migrate.yaml", "runAsUser: 10001", "runAsUser: 0", "image's user"),
        ("job-migrate.yaml", "runAsNonRoot: true", "runAsNonRoot: false", "more than"),
        ("pdb.yaml", "maxUnavailable: 1", "maxUnavailable: 0", "none go"),
        ("pdb.yaml", ", app.kubernetes.io/component: web }", " }", "several"),
    ],
)
def test_what_is_wrong_is_found(name: str, old: str, new: str, said: str) -> None:
    assert old in FILES[name]
    found = findings(FILES[name].replace(old, new))
    assert any(said in one for one in found), found


@pytest.mark.skipif(
    needs.missing("# needs: kubectl") is not None, reason="kubectl is in requirements-heavy.txt"
)
@EVERY
def test_kubectl_reads_it(name: str, tmp_path: Path) -> None:
    """`--local` asks no server. Pods get another image, as a release does."""
    text = FILES[name]
    change = (
        ["set", "image", "*=registry.example.com/mysite:2.0.0"]
        if template(yaml.safe_load(text))
        else ["label", "read=yes"]
    )
    done = subprocess.run(
        [
            *(str(programs.kubectl()), change[0], *change[1:-1], "--local", "-o", "yaml"),
            *("--filename", str(FOLDER / name), change[-1]),
        ],
        env={"HOME": str(tmp_path), "KUBECONFIG": "/dev/null"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    read = yaml.safe_load(done.stdout)
    if pods := template(read):
        assert pods["spec"]["containers"][0]["image"].endswith(":2.0.0")
    else:
        assert read["metadata"]["labels"]["read"] == "yes"


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with nexus.postgres() as pg:
        yield pg.url


def test_the_commands_run(database: str) -> None:
    """In the project to start from, the migrations first."""
    for name in ("job-migrate.yaml", "cronjob.yaml"):
        pods = template(yaml.safe_load(FILES[name]))
        (container,) = pods["spec"]["containers"]
        python, *rest = container["args"]
        assert python == "python"
        given = {each["name"]: each["value"] for each in container.get("env", ())}
        done = subprocess.run(
            [sys.executable, *rest],
            cwd=ROOT / "snippets" / "django-project",
            env=os.environ
            | {
                "SECRET_KEY": "for-this-test-only-" + "0123456789" * 4,
                "ALLOWED_HOSTS": "127.0.0.1",
                "DATABASE_URL": database,
                "DJANGO_SETTINGS_MODULE": "mysite.settings",
                "PYTHONDONTWRITEBYTECODE": "1",
            }
            | given,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
