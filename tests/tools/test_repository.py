"""What holds the repository together: one list, one name, one set of versions."""

import ast
import re
import subprocess
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from tools import repository

ROOT = Path(__file__).resolve().parent.parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def texts() -> dict[str, str]:
    found = {}
    for path in tracked():
        try:
            found[path.relative_to(ROOT).as_posix()] = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
    return found


TEXTS = texts()


def names(file: str) -> list[str]:
    lines = (line.strip() for line in (ROOT / file).read_text().splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def pinned(file: str = "requirements.txt") -> dict[str, Requirement]:
    lines = (Requirement(line) for line in names(file))
    return {re.sub(r"[-_.]+", "-", line.name).lower(): line for line in lines}


def test_no_file_names_the_owner() -> None:
    """A fork, a mirror or a renamed repository works without a change: tools/repository.py asks."""
    here = repository.find()
    slugs = {"project-nexus/project-" + "nexus", *([here.slug] if here else [])}
    found = [
        (name, line)
        for name, text in TEXTS.items()
        for line in text.splitlines()
        if any(slug in line for slug in slugs)
    ]
    assert found == []


def machine_paths(text: str) -> list[str]:
    return re.findall(r"(?<![\w.:/$}-])(?:/root|/work|/home/\w+|/Users/\w+)/[\w.-]+", text)


def registry_hosts(text: str) -> list[str]:
    # Put together here, so that this file does not name them either.
    hosts = (("pypi", "org"), ("pythonhosted", "org"), ("registry", "npmjs", "org"))
    names = [".".join(parts) for parts in (*hosts, ("deb", "debian", "org"))]
    return re.findall("|".join(map(re.escape, names)), text)


def test_no_file_names_a_machine_or_a_registry() -> None:
    examples = {"tests/tools/test_repository.py", "tests/chapters/test_honesty.py"}
    found = {
        name: machine_paths(text) + registry_hosts(text)
        for name, text in TEXTS.items()
        if name not in examples
    }
    assert {name: hits for name, hits in found.items() if hits} == {}


def test_such_names_are_seen() -> None:
    assert machine_paths("in /root/main and '/home/ada/x'") == ["/root/main", "/home/ada/x"]
    assert machine_paths("https://x.org/home/ada/x a/root/b $HOME/root/x") == []
    host = ".".join(("pypi", "org"))
    assert registry_hosts(f"https://{host}/simple") == [host]


def test_everything_is_pinned_and_what_is_asked_for_is_there() -> None:
    apart = pinned("requirements-semgrep.txt")
    pins = apart | pinned("requirements-heavy.txt") | pinned()
    assert [str(pin) for pin in pins.values() if not str(pin.specifier).startswith("==")] == []
    groups = PYPROJECT["dependency-groups"].values()
    asked = [*PYPROJECT["project"]["dependencies"], *(name for group in groups for name in group)]
    for requirement in map(Requirement, asked):
        pin = pins[re.sub(r"[-_.]+", "-", requirement.name).lower()]
        version = str(pin.specifier).removeprefix("==")
        assert requirement.specifier.contains(version, prereleases=True), requirement


def test_the_pins_are_made_from_every_group() -> None:
    recipe = TEXTS["Makefile"].partition("\nlock:")[2].partition("\n\n")[0]
    assert set(re.findall(r"--group (\S+)", recipe)) == set(PYPROJECT["dependency-groups"])


def test_heavy_wheels_are_not_in_binders_base_and_change_nothing_that_is() -> None:
    base, heavy = pinned(), pinned("requirements-heavy.txt")
    for requirement in map(Requirement, PYPROJECT["dependency-groups"]["heavy"]):
        assert requirement.name in heavy
        assert requirement.name not in base
    assert {name: str(heavy[name].specifier) for name in base.keys() & heavy.keys()} == {
        name: str(base[name].specifier) for name in base.keys() & heavy.keys()
    }


def test_every_verb_explains_itself_and_is_phony() -> None:
    makefile = TEXTS["Makefile"]
    verbs = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    assert verbs == set(re.findall(r"^([a-z]+):.*## \S", makefile, re.MULTILINE))
    (phony,) = re.findall(r"^\.PHONY: (.*)", makefile, re.MULTILINE)
    assert verbs == set(phony.split())
    listed = subprocess.run(["make", "--silent"], cwd=ROOT, capture_output=True, text=True)
    assert verbs == set(re.findall(r"^  make ([a-z]+) +\S", listed.stdout, re.MULTILINE))


def test_ci_knows_what_binder_installs() -> None:
    assert set(names(".binder/apt.txt")) <= set(names("apt.txt"))


def test_binder_installs_the_same_versions() -> None:
    assert names(".binder/requirements.txt") == ["-r ../requirements.txt"]
    version = TEXTS[".binder/runtime.txt"].strip().removeprefix("python-")
    assert Version(version) in supported()


def supported() -> list[Version]:
    from packaging.specifiers import SpecifierSet

    allowed = SpecifierSet(PYPROJECT["project"]["requires-python"])
    return [Version(f"3.{minor}") for minor in range(30) if Version(f"3.{minor}") in allowed]


def test_ci_tries_every_supported_python_and_set_up_takes_no_other() -> None:
    jobs = yaml.safe_load(TEXTS[".github/workflows/ci.yml"])["jobs"]
    assert [Version(v) for v in jobs["test"]["strategy"]["matrix"]["python"]] == supported()
    lowest, highest = (f"({v.major}, {v.minor})" for v in (supported()[0], supported()[-1]))
    assert f"not {lowest} <= sys.version_info[:2] <= {highest}" in TEXTS["tools/setup"]


@pytest.mark.parametrize("name", sorted(name for name in TEXTS if name.startswith(".github/w")))
def test_workflows_run_the_commands_that_people_run(name: str) -> None:
    """And every job has a time limit."""
    for job in yaml.safe_load(TEXTS[name])["jobs"].values():
        assert job["timeout-minutes"] <= 45
        commands = [step["run"].split("\n")[0] for step in job["steps"] if "run" in step]
        assert any(command.startswith(("make ", ".ci/run")) for command in commands)


def test_the_version_is_the_same_everywhere() -> None:
    assert yaml.safe_load(TEXTS["CITATION.cff"])["version"] == PYPROJECT["project"]["version"]


@pytest.mark.parametrize("name", [".ci/run", "tools/setup", ".binder/postBuild"])
def test_scripts_can_be_executed(name: str) -> None:
    mode = subprocess.run(
        ["git", "ls-files", "--stage", name], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert mode.stdout.startswith("100755")


def names_given(source: str) -> Iterator[str]:
    """The names that a module gives at its outermost level, each as often as it does."""
    for statement in ast.parse(source).body:
        match statement:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Assign(targets=targets):
                yield from (target.id for target in targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr()):
                yield name


def given_twice(source: str) -> list[str]:
    return sorted(name for name, count in Counter(names_given(source)).items() if count > 1)


def test_no_module_gives_a_name_twice() -> None:
    # Otherwise what stands above the second one silently gets another text, as after a merge.
    modules = {
        name: text
        for name, text in TEXTS.items()
        if name.startswith(("nexus/", "tools/", "tests/")) and name.endswith(".py")
    }
    twice = {name: found for name, text in modules.items() if (found := given_twice(text))}
    assert twice == {}


def test_a_name_that_is_given_twice_is_seen() -> None:
    assert given_twice("ADD = 1\ndef f(): return ADD\nADD = 2\n") == ["ADD"]
    assert given_twice("def f(): ...\nf = 1\nx: int\nx: int = 1\nclass f: ...\n") == ["f"]
