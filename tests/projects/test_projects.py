"""Every project is complete alone: its tests pass, and its container's files and workflow hold."""

import ast
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import pytest

from tools import chapters, projects

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = Path(sys.executable).parent
PROJECTS = sorted(path.parent for path in ROOT.glob("projects/*/pyproject.toml"))
EVERY = pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.name)

SAYS_CHAPTERS = "import json; from acceptance.check import CHAPTERS; print(json.dumps(CHAPTERS))"

FILES = (
    ".dockerignore",
    ".github/workflows/test.yml",
    "Dockerfile",
    "README.md",
    "compose.yaml",
    "requirements-test.txt",
    "requirements.txt",
)
CHECKS = {
    "Dockerfile": ("hadolint", "Dockerfile"),
    "compose": ("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml"),
    "workflow": (
        "check-jsonschema",
        "--builtin-schema",
        "vendor.github-workflows",
        ".github/workflows/test.yml",
    ),
    "workflow: security": ("zizmor", "--offline", "--quiet", "--pedantic", ".github"),
}


def call(project: Path, *command: str | Path, **variables: str) -> None:
    done = subprocess.run(
        command,
        cwd=project,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1_500,
    )
    assert done.returncode == 0, done.stdout


def test_every_folder_is_a_project() -> None:
    folders = sorted(path for path in ROOT.glob("projects/*") if any(path.glob("[!_]*")))
    assert [path for path in folders if path.is_dir()] == PROJECTS != []


@EVERY
def test_it_has_all_that_it_needs_alone(project: Path) -> None:
    assert [name for name in FILES if not (project / name).is_file()] == []


# Those with a Makefile have gates of their own, and each of those is a step of `make test`.
WITHOUT_GATES = [project for project in PROJECTS if not (project / "Makefile").exists()]


@pytest.mark.parametrize("project", WITHOUT_GATES, ids=lambda path: path.name)
def test_its_own_tests_pass_and_reach_the_coverage_it_asks_for(project: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="pytest-nexus-") as folder:
        data = {"COVERAGE_FILE": str(Path(folder) / "coverage")}
        run = ("run", "-m", "pytest", "--quiet", "-p", "no:cacheprovider")
        call(project, sys.executable, "-m", "coverage", *run, **data)
        call(project, sys.executable, "-m", "coverage", "report", **data)


def gates(project: Path) -> list[str]:
    """The commands of a project's own `make test`, as far as its pyproject.toml names them."""
    tools = tomllib.loads((project / "pyproject.toml").read_text())["tool"]
    return list(tools.get("local", {}).get("gates", {}).values())


# What is one of a project's own gates is not run twice.
RUN_HERE = [
    pytest.param(project, check, id=f"{project.name}-{name}")
    for project in PROJECTS
    for name, check in CHECKS.items()
    if " ".join(check) not in gates(project)
]


@pytest.mark.parametrize(("project", "check"), RUN_HERE)
def test_its_container_and_its_workflow(project: Path, check: tuple[str, ...]) -> None:
    program, *options = check
    call(project, BIN / program, *options)


def imports(file: Path) -> set[str]:
    """The top-level names of the modules that a file imports, or names to be imported."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module or "")
    return {name.split(".")[0] for name in found}


@EVERY
def test_it_imports_neither_the_bench_nor_another_project(project: Path) -> None:
    others = {
        package.parent.name
        for other in PROJECTS
        if other != project
        for package in other.glob("*/__init__.py")
    }
    own = {path.stem for path in project.iterdir()}
    forbidden = (others - own) | {"nexus", "tools"}
    for file in project.rglob("*.py"):
        assert not imports(file) & forbidden, file


@EVERY
def test_its_pins_are_those_of_this_repository(project: Path) -> None:
    ours = (ROOT / "requirements.txt").read_text().splitlines()
    pins = [
        line.split(" ;")[0].replace("[binary]", "")
        for name in ("requirements.txt", "requirements-test.txt")
        for line in (project / name).read_text().splitlines()
        if line and not line.startswith(("#", "-r "))
    ]
    ours = [line.replace("[binary]", "").split(" ;")[0] for line in ours]
    assert [pin for pin in pins if pin not in ours] == []


def test_what_they_share_is_the_same_in_each() -> None:
    pairs = list(projects.copies())
    assert {original.name for original, _ in pairs} == {Path(name).name for name in projects.SHARED}
    assert [copy for original, copy in pairs if copy.read_bytes() != original.read_bytes()] == []


def test_the_acceptance_suites_name_chapters_as_the_map_does() -> None:
    folder = ROOT / "projects" / "acceptance"
    told = subprocess.run(
        [sys.executable, "-c", SAYS_CHAPTERS],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    known = {entry.name: [entry.title, entry.notebook] for entry in chapters.planned(ROOT)}
    named = json.loads(told)
    assert named == {name: known[name] for name in named}
    assert all((ROOT / place).is_file() for _, place in named.values())
