"""What ships the project: the image, its neighbours, the workflow, the list of dependencies."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from nexus.review.findings import ERROR, NOTE, WARNING, Finding
from nexus.review.project import Project

SERVERS = r"(postgres|postgis|mysql|mariadb|redis|valkey|mongo|rabbitmq|memcached|elasticsearch)"
SERVER = re.compile(rf"(?:.*/)?{SERVERS}\b.*")
SECRET = re.compile(r"\b\w*(SECRET|PASSWORD|TOKEN|API_KEY|PRIVATE_KEY)\w*", re.IGNORECASE)
LOCKS = ("uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "pylock*.toml")
COMPOSE = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")


def look(project: Project) -> Iterator[Finding]:
    """Looks at each file that ships."""
    for file in dockerfiles(project):
        yield from _dockerfile(project, file)
    for file in project.matching(*COMPOSE):
        yield from _compose(project, file)
    for file in workflows(project):
        yield from _workflow(project, file)
    yield from _dependencies(project)


def dockerfiles(project: Project) -> list[str]:
    """The files that images are built from."""
    found = project.matching("Dockerfile", "Containerfile", "Dockerfile.*", "*.Dockerfile")
    return [file for file in found if not file.endswith(".dockerignore")]


def workflows(project: Project) -> list[str]:
    """The workflows that GitHub would run."""
    return project.matching(".github/workflows/*.yml", ".github/workflows/*.yaml")


def load(project: Project, file: str) -> dict[Any, Any]:
    """A YAML file; empty if it is not one, which the schema's check says."""
    try:
        loaded = yaml.safe_load(project.text(file))
    except (yaml.YAMLError, RecursionError):
        return {}
    return loaded if isinstance(loaded, dict) else {}


def _line(project: Project, file: str, *words: str) -> int:
    """The first line that has one of some words; 0 if none has."""
    for word in words:
        for number, line in enumerate(project.text(file).splitlines(), 1):
            if word in line:
                return number
    return 0


def _instructions(text: str) -> Iterator[tuple[int, str, str]]:
    """The instructions of a Dockerfile: line, name, and the rest on one line."""
    begun, so_far = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith("#") or (not stripped and not so_far):
            continue
        begun = begun or number
        so_far += stripped.removesuffix("\\") + " "
        if not stripped.endswith("\\"):
            name, _, rest = so_far.strip().partition(" ")
            yield begun, name.upper(), rest.strip()
            begun, so_far = 0, ""


def _dockerfile(project: Project, file: str) -> Iterator[Finding]:
    steps = list(_instructions(project.text(file)))
    user, last, command = "", 0, ""
    for line, name, rest in steps:
        if name == "FROM":
            user, last, command = "", line, ""
        elif name == "USER":
            user = rest
        elif name in {"CMD", "ENTRYPOINT"}:
            command, last = f"{command} {rest}", line
        elif name in {"ENV", "ARG"}:
            for match in re.finditer(r"(\w+)=(\"[^\"]*\"|'[^']*'|\S+)", rest):
                value = match[2].strip("\"'")
                if SECRET.fullmatch(match[1]) and value not in {"", "-"} and "$" not in value:
                    yield Finding(
                        ERROR, "image-secret", file, line,
                        f"{match[1]} stays in the image, for everybody who can pull it. Give it "
                        "when the container starts, or with --mount=type=secret.", "containers",
                    )  # fmt: skip
        elif name in {"COPY", "ADD"} and re.search(r"(^|[\s/])\.env(\s|$)", rest):
            yield Finding(
                ERROR, "image-secret", file, line,
                "the file .env stays in the image, for everybody who can pull it.", "containers",
            )  # fmt: skip
        if (
            name in {"COPY", "ADD"}
            and "--from" not in rest
            and _words(rest)[:1] in (["."], ["./"])
            and not project.matching(
                f"{Path(file).parent.as_posix()}/.dockerignore".removeprefix("./"),
                f"{file}.dockerignore",
            )
        ):
            yield Finding(
                WARNING, "image-everything", file, line,
                "without a .dockerignore, the whole folder is in the image: .git, .env, .venv.",
                "containers",
            )  # fmt: skip
    if steps and user.partition(":")[0] in {"", "root", "0"}:
        yield Finding(
            ERROR, "image-root", file, last,
            "the program runs as root. End the file with USER and a number, such as "
            "USER 10001:10001.", "containers",
        )  # fmt: skip
    if "runserver" in command:
        yield Finding(
            ERROR, "image-runserver", file, last,
            "runserver is for a machine of one's own. Start gunicorn or uvicorn.", "django-project",
        )  # fmt: skip
    if steps and "HEALTHCHECK" not in {name for _, name, _ in steps}:
        yield Finding(
            NOTE, "image-health", file, last,
            "it has no HEALTHCHECK, so a process that answers nobody looks well.", "containers",
        )  # fmt: skip


def _words(text: str) -> list[str]:
    try:
        words = shlex.split(text.strip("[]").replace(",", " "))
    except ValueError:
        return []
    return [word for word in words if not word.startswith("--")]


def _compose(project: Project, file: str) -> Iterator[Finding]:
    services = load(project, file).get("services")
    for name, service in (services if isinstance(services, dict) else {}).items():
        if isinstance(service, dict):
            yield from _service(project, file, str(name), service, services)


def _service(
    project: Project, file: str, name: str, service: dict[Any, Any], services: dict[Any, Any]
) -> Iterator[Finding]:
    image = str(service.get("image", ""))
    at = _line(project, file, f"  {name}:")
    if SERVER.fullmatch(image):
        health = service.get("healthcheck")
        if not isinstance(health, dict) or health.get("disable"):
            yield Finding(
                WARNING, "compose-health", file, at,
                f"{name} has no healthcheck, so nobody can wait until it is ready: started is not "
                "ready.", "containers",
            )  # fmt: skip
        for port in service.get("ports") or []:
            host = port.get("host_ip", "") if isinstance(port, dict) else _host(str(port))
            if host not in {"127.0.0.1", "localhost", "[::1]", "::1"}:
                yield Finding(
                    ERROR, "compose-published", file, _line(project, file, str(port)) or at,
                    f"{name} is published on every network of the machine, and Docker goes past "
                    "the firewall. Leave ports out: the other services reach it by its name.",
                    "containers",
                )  # fmt: skip
    if image and "$" not in image and "build" not in service and not _is_ours(image, services):
        tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
        if tag in {"", "latest"} and "@sha256:" not in image:
            yield Finding(
                WARNING, "compose-latest", file, _line(project, file, f"image: {image}") or at,
                f"{image} is another image tomorrow. Name a version.", "containers",
            )  # fmt: skip
    needs = service.get("depends_on")
    if isinstance(needs, list):
        needs = {each: {} for each in needs}
    for other, how in (needs or {}).items() if isinstance(needs, dict) else ():
        neighbour = services.get(other)
        other_image = str(neighbour.get("image", "")) if isinstance(neighbour, dict) else ""
        if SERVER.fullmatch(other_image) and (how or {}).get("condition") in {
            None,
            "service_started",
        }:
            yield Finding(
                WARNING, "compose-order", file, at,
                f"{name} starts when {other} has started, which is before it is ready. Use "
                "condition: service_healthy.", "containers",
            )  # fmt: skip
    yield from _environment(project, file, name, service.get("environment"), at)


def _environment(
    project: Project, file: str, name: str, environment: object, at: int
) -> Iterator[Finding]:
    pairs = (
        environment.items()
        if isinstance(environment, dict)
        else [str(each).partition("=")[::2] for each in environment]
        if isinstance(environment, list)
        else []
    )
    for key, value in pairs:
        if value and SECRET.fullmatch(str(key)) and not _interpolated(str(value)):
            if str(key).endswith(("_FILE", "_SECONDS", "_DAYS", "_URL")):
                continue
            yield Finding(
                WARNING, "compose-secret", file, _line(project, file, f"{key}") or at,
                f"{key} of {name} is in the file. Take it from the environment: "
                f"${{{key}:?Choose one}}.", "containers",
            )  # fmt: skip


def _interpolated(value: str) -> bool:
    """Whether a value comes from the environment, and has no default of its own there."""
    return "${" in value and not re.search(r"\$\{\w+:?-[^}]", value)


def _is_ours(image: str, services: dict[Any, Any]) -> bool:
    """Whether another service of the file builds an image of this name."""
    return any(
        isinstance(each, dict) and "build" in each and str(each.get("image")) == image
        for each in services.values()
    )


def _host(port: str) -> str:
    """The address of a published port, such as 127.0.0.1 in 127.0.0.1:5432:5432."""
    plain = re.sub(r"\$\{[^}]*\}", "0", port)
    return plain.rsplit(":", 2)[0] if plain.count(":") >= 2 else ""


def _workflow(project: Project, file: str) -> Iterator[Finding]:
    jobs = load(project, file).get("jobs")
    for job in (jobs if isinstance(jobs, dict) else {}).values():
        if not isinstance(job, dict):
            continue
        for step in [job, *(job.get("steps") or [])]:
            if not isinstance(step, dict):
                continue
            script = str(step.get("run", ""))
            for line in script.splitlines():
                if re.search(r"\|\|\s*(true|:|exit 0|echo\b.*)\s*$", line):
                    yield Finding(
                        WARNING, "workflow-green", file, _line(project, file, line.strip()),
                        f"`{line.strip()}` is green whatever happens. Let the step fail.", "ci-cd",
                    )  # fmt: skip
            if step.get("continue-on-error") is True:
                yield Finding(
                    WARNING, "workflow-green", file, _line(project, file, "continue-on-error"),
                    "continue-on-error makes this green whatever happens. Let it fail.", "ci-cd",
                )  # fmt: skip


def _dependencies(project: Project) -> Iterator[Finding]:
    lists = [
        file
        for file in project.matching("requirements*.txt", "requirements/*.txt")
        if file.count("/") <= 2
    ]
    for file in lists:
        loose: list[str] = []
        ranges, first = 0, 0
        for number, line in enumerate(project.text(file).splitlines(), 1):
            entry = line.partition(" #")[0].strip().removesuffix("\\").strip()
            if not entry or entry.startswith(("#", "-", ".")):
                continue
            if not re.search(r"===?\s*[\w.!+]+(?!\*)|@ ", entry) or re.search(r"==[^;]*\*", entry):
                if re.search(r"[<>=~]=?\s*\d", entry.partition(";")[0]):
                    ranges += 1
                    continue
                loose.append(re.split(r"[\s!;\[]", entry)[0])
                first = first or number
        if loose:
            few = ", ".join(loose[:3]) + (" …" if len(loose) > 3 else "")
            yield Finding(
                WARNING, "dependencies-loose", file, first,
                f"{len(loose)} without a version ({few}), so two builds can install different "
                "ones. Write it with `uv pip compile` or pip-tools.", "containers",
            )  # fmt: skip
        elif ranges:
            yield Finding(
                NOTE, "dependencies-ranges", file, 0,
                f"{ranges} are ranges, so two builds can install different versions. Pin all of "
                "them with `uv pip compile`.", "containers",
            )  # fmt: skip
    if not lists and not project.matching(*LOCKS):
        yield Finding(
            WARNING, "dependencies-none", project.manage, 0,
            "neither a requirements.txt nor a lock file says which versions the project runs with.",
            "containers",
        )  # fmt: skip
