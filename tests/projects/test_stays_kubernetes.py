"""The manifests of stays: valid by Kubernetes' schemas, true to its image, and to each other."""

import ast
import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from nexus.exercises import kubernetes as judge
from nexus.exercises.kubernetes import NotYet
from tests.manifests import is_restricted, refused

pytestmark = pytest.mark.long(25)

ROOT = Path(__file__).resolve().parent.parent.parent
STAYS = ROOT / "projects" / "stays"
FOLDER = STAYS / "kubernetes"
FILES = {
    str(path.relative_to(FOLDER)): path.read_text() for path in FOLDER.rglob("*") if path.is_file()
}
COMPOSE = yaml.safe_load((STAYS / "compose.yaml").read_text())["services"]
DOCKERFILE = (STAYS / "Dockerfile").read_text()
SETTINGS = ast.parse((STAYS / "stays" / "settings.py").read_text())
Object = dict[str, Any]


def of_gunicorn(name: str) -> int:
    """A number that gunicorn.conf.py sets."""
    text = (STAYS / "gunicorn.conf.py").read_text()
    return int(re.search(rf"^{name} = ([\d_]+)", text, re.MULTILINE)[1])


def variables() -> dict[str, ast.expr | None]:
    """What the settings read, each with its default."""
    return {
        call.args[0].value: next((k.value for k in call.keywords if k.arg == "default"), None)
        for call in ast.walk(SETTINGS)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and getattr(call.func.value, "id", "") == "env"
        and call.args
        and isinstance(call.args[0], ast.Constant)
    }


VARIABLES = variables()
REQUIRED = {name for name, default in VARIABLES.items() if default is None}
TASK_SECONDS = VARIABLES["TASK_SECONDS"].value  # type: ignore[union-attr]
PROBES = set(re.findall(r'"(/\w+)": \w+', (STAYS / "stays/operations/health.py").read_text()))
LISTENS = int(re.search(r"BIND=0\.0\.0\.0:(\d+)", DOCKERFILE)[1])
USER = int(re.search(r"^USER (\d+):", DOCKERFILE, re.MULTILINE)[1])


def objects(files: Mapping[str, str]) -> list[Object]:
    return [one for text in files.values() for one in yaml.safe_load_all(text) if one]


def one(found: Iterable[Object], kind: str, name: str) -> Object:
    (match,) = (o for o in found if o["kind"] == kind and name in str(o["metadata"]))
    return match


def findings(files: Mapping[str, str]) -> list[str]:
    """Everything that is wrong with the manifests."""
    found = objects(files)
    if unknown := [said for each in found for said in refused(each)]:
        return unknown
    config = one(found, "ConfigMap", "stays-config")["data"]
    hidden = one(found, "Secret", "stays-secrets")["stringData"]
    names = {(o["kind"], o["metadata"].get("name")) for o in found}
    wrong = [f"{name} is given twice" for name in config.keys() & hidden.keys()]
    wrong += [f"the project reads no {name}" for name in (config | hidden).keys() - VARIABLES]
    wrong += [
        f"{name} is no secret in the ConfigMap"
        for name, value in config.items()
        if re.search(r"KEY|TOKEN|SECRET|PASSWORD", name) or re.search(r"://.*:.*@", value)
    ]
    loads = [o for o in found if o["kind"] in ("Deployment", "Job")]
    for load in loads:
        wrong += about_pods(load, config | hidden, names)
    images = {load["spec"]["template"]["spec"]["containers"][0]["image"] for load in loads}
    wrong += [f"there are several images: {sorted(images)}"] if len(images) > 1 else []
    wrong += about_selectors(found, loads)
    wrong += about_the_way_in(found, config)
    return wrong + about_ends(found)


def about_pods(load: Object, given: Mapping[str, str], names: set[tuple[str, Any]]) -> list[str]:
    """Its program, user, ports, probes and variables are those of the image."""
    wrong = []
    pod = load["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    called = container["name"]
    if container.get("args") != COMPOSE[called]["command"] or "command" in container:
        wrong.append(f"{called} runs something else than in Compose")
    if pod["securityContext"].get("runAsUser") != USER:
        wrong.append(f"{called} is not the image's user")
    if not is_restricted(pod, container):
        wrong.append(f"{called} breaks the Pod security standard `restricted`")
    if container["securityContext"].get("readOnlyRootFilesystem") is not True:
        wrong.append(f"{called} can change its files")
    mounted = {mount["mountPath"] for mount in container.get("volumeMounts", ())}
    if mounted != set(COMPOSE["web"]["tmpfs"]):
        wrong.append(f"{called} can write elsewhere than in Compose: {sorted(mounted)}")
    if any(mount["name"] not in str(pod["volumes"]) for mount in container["volumeMounts"]):
        wrong.append(f"{called} mounts a volume that is not there")
    if pod.get("enableServiceLinks") is not False:
        wrong.append(f"{called} gets variables of every Service")
    sources = {
        (kind, each[key]["name"])
        for each in container.get("envFrom", ())
        for key, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret"))
        if key in each
    }
    wrong += [f"{called} names {kind} {name}: there is none" for kind, name in sources - names]
    known = set(given) if sources >= {("ConfigMap", "stays-config")} else set()
    known -= set() if ("Secret", "stays-secrets") in sources else set(given)
    wrong += [f"{called} lacks {name}" for name in sorted(REQUIRED - known)]
    wrong += [
        f"the project reads no {each['name']}"
        for each in container.get("env", ())
        if each["name"] not in VARIABLES
    ]
    ports = {port["name"]: port["containerPort"] for port in container.get("ports", ())}
    expected = {
        "web": {"http": LISTENS},
        "worker": {"metrics": int(given["WORKER_METRICS"].rpartition(":")[2])},
    }.get(called, {})
    if ports != expected:
        wrong.append(f"{called} listens at {expected}, and not at {ports}")
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        probe = container.get(kind, {})
        asked = probe.get("httpGet") or probe.get("tcpSocket")
        if asked and asked["port"] not in ports:
            wrong.append(f"the {kind} of {called} asks port {asked['port']}")
        if "httpGet" in probe and asked["path"] not in PROBES:
            wrong.append(f"the {kind} of {called} asks {asked['path']}")
        if "exec" in probe or (
            kind != "readinessProbe" and asked and asked.get("path") != "/healthz"
        ):
            wrong.append(f"the {kind} of {called} asks others")
    return wrong


def about_selectors(found: list[Object], loads: list[Object]) -> list[str]:
    """Each selects its own Pods and no others."""
    wrong = []
    pods = {
        load["spec"]["template"]["spec"]["containers"][0]["name"]: load["spec"]["template"][
            "metadata"
        ]["labels"]
        for load in loads
    }
    for each in found:
        selector = each.get("spec", {}).get("selector")
        if selector is None:
            continue
        chosen = selector.get("matchLabels", selector)
        matched = [name for name, labels in pods.items() if chosen.items() <= labels.items()]
        mine = each["metadata"]["name"].removeprefix("stays-")
        if matched != [mine]:
            wrong.append(f"{each['kind']} of {mine} selects the Pods of {matched}")
    web = one(found, "Deployment", "stays-web")["spec"]["template"]
    for spread in web["spec"]["topologySpreadConstraints"]:
        if spread["labelSelector"]["matchLabels"] != web["metadata"]["labels"]:
            wrong.append("web is spread by other Pods")
    return wrong


def about_the_way_in(found: list[Object], config: Mapping[str, str]) -> list[str]:
    """From the Ingress to the Service to the Pods, and the host is allowed."""
    wrong = []
    web = one(found, "Deployment", "stays-web")["spec"]["template"]["spec"]["containers"][0]
    service = one(found, "Service", "stays-web")
    ports = {port["name"]: port["targetPort"] for port in service["spec"]["ports"]}
    if set(ports.values()) != {port["name"] for port in web["ports"]}:
        wrong.append("the Service's targetPort is no port of web")
    ingress = one(found, "Ingress", "stays")["spec"]
    allowed = set(config["ALLOWED_HOSTS"].split(","))
    secured = {host for tls in ingress["tls"] for host in tls["hosts"]}
    for rule in ingress["rules"]:
        if not {rule["host"]} == allowed == secured:
            wrong.append(f"{rule['host']} is not allowed, or has no TLS")
        for path in rule["http"]["paths"]:
            to = path["backend"]["service"]
            if (to["name"], to["port"]["name"] in ports) != ("stays-web", True):
                wrong.append("the Ingress leads to no Service")
    return wrong


def about_ends(found: list[Object]) -> list[str]:
    """Each has time to end, there is one beat, and one Pod may be away."""
    wrong = []
    web = one(found, "Deployment", "stays-web")["spec"]
    pod = web["template"]["spec"]
    sleeps = pod["containers"][0].get("lifecycle", {}).get("preStop", {"sleep": {"seconds": 0}})
    needed = sleeps["sleep"]["seconds"] + of_gunicorn("graceful_timeout")
    if not sleeps["sleep"]["seconds"] or pod.get("terminationGracePeriodSeconds", 30) <= needed:
        wrong.append(f"web needs more than {needed} s to end")
    worker = one(found, "Deployment", "stays-worker")["spec"]["template"]["spec"]
    if worker.get("terminationGracePeriodSeconds", 30) < TASK_SECONDS + 20:  # EndsInTime: 10
        wrong.append("worker is killed in the middle of a task")
    if not worker.get("shareProcessNamespace"):
        wrong.append("nobody collects what a killed pool process of worker leaves")
    beat = one(found, "Deployment", "stays-beat")["spec"]
    if (beat["replicas"], beat.get("strategy")) != (1, {"type": "Recreate"}):
        wrong.append("there can be two beats")
    budget = one(found, "PodDisruptionBudget", "stays-web")["spec"]
    if budget["maxUnavailable"] >= web["replicas"]:
        wrong.append("the budget lets all Pods of web go")
    return wrong


LIVE = "path: /healthz, port: http }\n            periodSeconds: 10"


def test_nothing_is_wrong() -> None:
    assert findings(FILES) == []
    assert {"SECRET_KEY", "DATABASE_URL", "EMAIL_URL"} <= REQUIRED
    assert {"/healthz", "/readyz"} == PROBES


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("web.yaml", "readinessProbe", "readynessProbe", "schema: .*readynessProbe"),
        ("web.yaml", "replicas: 2", 'replicas: "2"', "schema: spec.replicas"),
        ("config.yaml", 'TRUSTED_PROXIES: "1"', "TRUSTED_PROXIES: 1", "schema: data"),
        ("web.yaml", 'args: ["gunicorn"]', 'args: ["flask"]', "web runs something else"),
        ("web.yaml", "containerPort: 8000", "containerPort: 8080", "web listens at"),
        ("worker.yaml", "containerPort: 9100", "containerPort: 9101", "worker listens at"),
        ("web.yaml", "path: /readyz", "path: /ready", "asks /ready"),
        ("web.yaml", LIVE, LIVE.replace("/healthz", "/readyz"), "livenessProbe of web asks others"),
        ("web.yaml", "runAsUser: 10001", "runAsUser: 1000", "not the image's user"),
        ("beat.yaml", "drop: [ALL]", "drop: [NET_RAW]", "beat breaks"),
        ("beat.yaml", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "beat can"),
        ("migrate/job.yaml", "mountPath: /tmp", "mountPath: /app", "migrate can write elsewhere"),
        ("worker.yaml", "- name: tmp # it", "- name: temp # it", "worker mounts"),
        (
            "worker.yaml",
            "enableServiceLinks: false",
            "enableServiceLinks: true",
            "of every Service",
        ),
        ("worker.yaml", "name: stays-secrets", "name: stays-secret", "names Secret stays-secret:"),
        ("worker.yaml", "name: stays-secrets", "name: stays-secret", "worker lacks SECRET_KEY"),
        ("secret.yaml.example", "  EMAIL_URL", "  MAIL_URL", "web lacks EMAIL_URL"),
        ("secret.yaml.example", "  EMAIL_URL", "  MAIL_URL", "the project reads no MAIL_URL"),
        ("config.yaml", "https://payments", "https://me:letters@payments", "is no secret"),
        ("migrate/job.yaml", "STATEMENT_TIMEOUT_MS", "STATEMENT_TIMEOUT", "reads no STATEMENT"),
        ("beat.yaml", "stays:1.0.0", "stays:1.0.1", "several images"),
        ("service.yaml", "component: web", "component: worker", "Service of web selects .*worker"),
        (
            "service.yaml",
            "    app.kubernetes.io/component: web\n",
            "",
            "selects the Pods of .*beat",
        ),
        (
            "disruption.yaml",
            "component: web",
            "component: shop",
            "Budget of web selects the Pods of ..$",
        ),
        ("service.yaml", "targetPort: http", "targetPort: 8080", "targetPort"),
        ("ingress.yaml", "host: stays.example.com", "host: stays.example", "is not allowed"),
        ("ingress.yaml", "hosts: [stays.example.com]", "hosts: [example.com]", "no TLS"),
        ("ingress.yaml", "name: stays-web", "name: web", "leads to no Service"),
        (
            "web.yaml",
            "terminationGracePeriodSeconds: 45",
            "terminationGracePeriodSeconds: 40",
            "more than 40 s",
        ),
        (
            "worker.yaml",
            "terminationGracePeriodSeconds: 140",
            "terminationGracePeriodSeconds: 120",
            "middle of a task",
        ),
        (
            "worker.yaml",
            "shareProcessNamespace: true",
            "shareProcessNamespace: false",
            "nobody collects",
        ),
        ("beat.yaml", "type: Recreate", "type: RollingUpdate", "two beats"),
        ("disruption.yaml", "maxUnavailable: 1", "maxUnavailable: 2", "lets all Pods"),
    ],
)
def test_what_is_wrong_is_found(file: str, old: str, new: str, said: str) -> None:
    assert old in FILES[file]
    found = findings(FILES | {file: FILES[file].replace(old, new)})
    assert any(re.search(said, one) for one in found), found


def chapter() -> Callable[[str], list[str]]:
    """The function of the chapter that names the rules which a manifest breaks."""
    notebook = json.loads((ROOT / "notebooks" / "shipping" / "kubernetes.ipynb").read_text())
    cells = ["".join(cell["source"]) for cell in notebook["cells"]]
    (source,) = (cell for cell in cells if "\nRULES = {" in cell)
    names: dict[str, Any] = {"yaml": yaml}
    exec(source, names)
    assert len(names["RULES"]) == 15
    return names["findings"]


ABOUT_GUESTS = {
    "guests come too early: no readinessProbe",
    "guests meet Pods that end: no preStop",
}
"""Workers and beat have no guests."""


@pytest.mark.parametrize(
    ("file", "broken"),
    [
        ("web.yaml", set()),
        ("worker.yaml", {"guests meet Pods that end: no preStop"}),
        ("beat.yaml", ABOUT_GUESTS),
    ],
)
def test_no_rule_of_the_chapter_is_broken(file: str, broken: set[str]) -> None:
    assert set(chapter()(FILES[file])) == broken


def test_the_judge_of_the_chapter_loses_no_guest() -> None:
    """The model plays a rollout, a bad release, an outage of the database and a hung process."""
    assert "lost no request" in judge.manifest(for_the_model(FILES["web.yaml"]))
    for old, new, why in (
        ("sleep: { seconds: 15 }", "sleep: { seconds: 5 }", "SIGTERM already"),
        ("maxSurge: 1, maxUnavailable: 0", "maxSurge: 0, maxUnavailable: 1", "served"),
    ):
        assert old in FILES["web.yaml"]
        with pytest.raises(NotYet, match=why):
            judge.manifest(for_the_model(FILES["web.yaml"].replace(old, new)))


def for_the_model(text: str) -> str:
    """The manifest with the model's names and paths, and nothing else changed."""
    shop = yaml.safe_load(text)
    shop["metadata"] = {"name": "shop"}
    shop["spec"]["selector"]["matchLabels"] = {"app": "shop"}
    shop["spec"]["template"]["metadata"]["labels"] = {"app": "shop"}
    pod = shop["spec"]["template"]["spec"]
    del pod["topologySpreadConstraints"], pod["containers"][0]["envFrom"]  # the model has neither
    pod["containers"][0]["image"] = "shop:1"
    return yaml.safe_dump(shop).replace("/healthz", "/livez")


def check(**variables: str) -> subprocess.CompletedProcess[str]:
    """`manage.py check` with these variables, and none of this process but where things are."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level=WARNING"],
        cwd=STAYS,
        env=kept | {"DJANGO_SETTINGS_MODULE": "stays.settings"} | variables,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_example_of_secrets_is_refused_and_real_ones_are_taken() -> None:
    found = objects(FILES)
    config = one(found, "ConfigMap", "stays-config")["data"]
    example = one(found, "Secret", "stays-secrets")["stringData"]
    refused = check(**config, **example)
    assert refused.returncode != 0
    of_their_own = {n: v for n, v in example.items() if "://" not in v}
    for name in of_their_own:
        assert f"{name} is the example's." in refused.stderr
    for name, value in example.items():
        assert name in of_their_own or re.search(r":change-me@[a-z]+\.invalid:", value), name
    real = {name: secrets.token_urlsafe(50) for name in of_their_own}
    taken = check(**config, **example | real)
    assert taken.returncode == 0, taken.stderr
    missing = check(**config, **{n: v for n, v in (example | real).items() if n != "BROKER_URL"})
    assert "Set the BROKER_URL environment variable" in missing.stderr


def test_what_apply_reads_has_no_secret_and_no_job() -> None:
    """kubectl reads .yaml, .yml and .json of a folder, and not of the folders in it."""
    read = objects({n: t for n, t in FILES.items() if re.fullmatch(r"[^/]+\.(ya?ml|json)", n)})
    kinds = sorted(each["kind"] for each in read)
    assert kinds == [
        *("ConfigMap", "Deployment", "Deployment", "Deployment"),
        *("Ingress", "PodDisruptionBudget", "Service"),
    ]
