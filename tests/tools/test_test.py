"""`make test` and `make lint` tell the truth: what failed fails, what was skipped is listed."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from nexus.services.process import wait_for
from tools import chapters, lint
from tools import test as test_run
from tools.test import Outcome, Step

SOME = """
import pytest

def test_good(): pass
def test_bad(): assert False
def test_left_out(): pytest.skip("no browser here")
@pytest.fixture
def broken(): raise OSError("gone")
def test_broken(broken): pass
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(test_run, "ROOT", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p no:randomly\n")
    return tmp_path


def outcome_of(*arguments: str) -> Outcome:
    step = Step("some", test_run.module("pytest", *arguments), is_pytest=True)
    (outcome,) = test_run.run([step])
    return outcome


def says(name: str, code: str = "", after: tuple[str, ...] = ()) -> Step:
    return Step(name, (sys.executable, "-c", code), after=after)


def test_counts_what_pytest_did(folder: Path) -> None:
    (folder / "test_some.py").write_text(SOME)
    outcome = outcome_of("test_some.py")
    assert outcome.passed == 1
    assert outcome.failed == ["test_some::test_bad", "test_some::test_broken"]
    assert outcome.skipped == ["test_some::test_left_out: no browser here"]
    assert len(outcome.durations) == 4
    assert str(outcome) == "1 passed, 2 FAILED, 1 skipped"


@pytest.mark.parametrize("source", ["", "def test_a(: pass", "import sys; sys.exit(3)"])
def test_a_run_without_tests_has_failed(folder: Path, source: str) -> None:
    (folder / "test_some.py").write_text(source)
    assert outcome_of("test_some.py").failed


def test_a_pytest_that_is_killed_has_failed(folder: Path) -> None:
    (folder / "test_some.py").write_text("import os\ndef test_a(): os.kill(os.getpid(), 9)\n")
    assert outcome_of("test_some.py").failed == ["some: pytest ended with exit status -9"]


@pytest.mark.usefixtures("folder")
def test_tests_of_one_group_run_in_one_process(folder: Path) -> None:
    (folder / "test_some.py").write_text(
        "import os, pytest\n"
        "pytestmark = pytest.mark.xdist_group('one')\n"
        "@pytest.mark.parametrize('number', range(6))\n"
        "def test_it(number):\n"
        "    with open(os.environ['PYTEST_XDIST_WORKER'], 'a'): pass\n"
    )
    options = ("--disable-plugin-autoload", "-pxdist", "--numprocesses=2", "--dist=loadgroup")
    outcome = outcome_of(*options, "--override-ini=addopts=", "test_some.py")
    assert outcome.passed == 6
    # A pytest that is too new for pytest-xdist ignores the mark and says nothing.
    assert len(list(folder.glob("gw*"))) == 1


def test_a_step_keeps_what_it_has_compiled(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    (folder / "imported.py").touch()
    (outcome,) = test_run.run(
        [says("some", f"import sys; sys.path.insert(0, {str(folder)!r}); import imported")]
    )
    assert not outcome.failed, capsys.readouterr().out
    assert [*folder.glob("__pycache__/imported.*.pyc")]


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_step_has_its_temporary_files_in_memory_or_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_disk: bool
) -> None:
    memory, disk, said = tmp_path / "memory", tmp_path / "disk", tmp_path / "said"
    memory.mkdir()
    disk.mkdir()
    monkeypatch.setenv("TMPDIR", str(disk))
    monkeypatch.setattr(test_run, "MEMORY", memory)
    monkeypatch.setattr(test_run, "ROOM", 0)
    code = f"import pathlib, tempfile; pathlib.Path({str(said)!r}).write_text(tempfile.mkdtemp())"
    step = Step("some", (sys.executable, "-c", code), on_disk=on_disk)
    (outcome,) = test_run.run([step])
    assert outcome.passed == 1
    assert (disk if on_disk else memory) in Path(said.read_text()).parents
    assert not [*memory.iterdir()]  # nothing of a run stays in memory


@pytest.mark.parametrize("without", ["room", "programs", "place"])
def test_without_memory_for_it_all_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without: str
) -> None:
    monkeypatch.setattr(test_run, "MEMORY", tmp_path / "none" if without == "place" else tmp_path)
    monkeypatch.setattr(test_run, "ROOM", 2**62 if without == "room" else 0)
    flags = os.ST_NOEXEC if without == "programs" else 0
    real = os.statvfs

    def statvfs(path: Path) -> SimpleNamespace:
        place = real(path)
        return SimpleNamespace(f_flag=flags, f_bavail=place.f_bavail, f_frsize=place.f_frsize)

    monkeypatch.setattr(os, "statvfs", statvfs)
    assert not test_run.memory_has_room()


def test_what_a_killed_run_left_is_removed_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(test_run, "MEMORY", tmp_path)
    monkeypatch.setattr(test_run, "ROOM", 0)
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    names = [f"nexus-test-{ended.pid}-x", f"nexus-test-{os.getpid()}-x", "nexus-test-mine", "other"]
    for name in names:
        (tmp_path / name).mkdir()
    with test_run.temporary_folder():
        left = {path.name for path in tmp_path.iterdir()}
    assert {*names} - left == {names[0]}


def test_a_step_that_fails_shows_what_it_said(capsys: pytest.CaptureFixture[str]) -> None:
    bad = says("bad", "print('the reason'); import sys; sys.exit(3)")
    outcomes = list(test_run.run([bad, says("good", "print('not shown')")]))
    assert {outcome.step: outcome.failed for outcome in outcomes} == {
        "bad": ["bad: exit status 3"],
        "good": [],
    }
    said = capsys.readouterr().out
    assert "== bad\nthe reason\n" in said
    assert "not shown" not in said


@pytest.mark.usefixtures("folder")
def test_a_step_waits_for_those_before_it_and_is_not_run_if_they_failed(tmp_path: Path) -> None:
    made = tmp_path / "made"
    make = says(
        "make", f"import pathlib, time; time.sleep(0.5); pathlib.Path({str(made)!r}).touch()"
    )
    use = says("use", f"import pathlib; assert pathlib.Path({str(made)!r}).exists()", ("make",))
    assert [outcome.failed for outcome in test_run.run([use, make])] == [[], []]

    broken = says("make", "assert False")
    failed = [failure for outcome in test_run.run([use, broken]) for failure in outcome.failed]
    assert failed == ["make: exit status 1", "use: not run, since make failed"]

    (alone,) = test_run.run([use])  # nobody asked for what it waits for
    assert alone.passed == 1


@pytest.mark.usefixtures("folder")
def test_steps_run_side_by_side(tmp_path: Path) -> None:
    wait = """
import pathlib, sys, time
pathlib.Path(sys.argv[1]).touch()
while not pathlib.Path(sys.argv[2]).exists():
    time.sleep(0.01)
"""
    names = [str(tmp_path / name) for name in ("a", "b")]
    both = [
        Step(name, (sys.executable, "-c", wait, *order))
        for name, order in (("one", names), ("two", reversed(names)))
    ]
    assert [outcome.passed for outcome in test_run.run(both)] == [1, 1]


@pytest.mark.usefixtures("folder")
def test_how_far_a_step_is_is_said_while_it_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(test_run, "TELL_SECONDS", 0.0)
    list(test_run.run([says("long", "print('.. [ 45%]', flush=True); import time; time.sleep(1)")]))
    assert "  … long 45 %\n" in capsys.readouterr().out


CLEARS_UP = """
import pathlib, sys, time
print("in test 7", flush=True)
try:
    pathlib.Path(sys.argv[1]).touch()
    time.sleep(1000)
except KeyboardInterrupt:
    time.sleep(1)  # subprocess.run would give it a quarter of a second
    pathlib.Path(sys.argv[2]).touch()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_has_failed_and_its_steps_may_clear_up(
    tmp_path: Path, number: signal.Signals
) -> None:
    # A whole process of its own, since the signal is for all of it.
    started, cleared = tmp_path / "started", tmp_path / "cleared"
    # A shell lets what it starts in the background ignore SIGINT; SIGTERM ends that too.
    before = "default_int_handler" if number == signal.SIGINT else "SIG_IGN"
    code = f"""
import signal, sys
from tools import test
signal.signal(signal.SIGINT, signal.{before})
files = {[str(started), str(cleared)]!r}
step = test.Step("endless", (sys.executable, "-c", {CLEARS_UP!r}, *files))
test.chosen = lambda *_, **__: [step]
sys.argv = ["test"]
sys.exit(test.main())
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=chapters.ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        wait_for(started.exists, 60, "the step to begin")
        (child,) = psutil.Process(process.pid).children()
        process.send_signal(number)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "== endless, not ended\nin test 7" in said
    assert "the rest was not run" in said
    assert cleared.exists()
    assert not child.is_running()


def run_main(monkeypatch: pytest.MonkeyPatch, arguments: list[str], *outcomes: Outcome) -> int:
    names = [outcome.step for outcome in outcomes]
    monkeypatch.setattr(test_run, "steps", lambda **_: [says(name) for name in names])
    monkeypatch.setattr(test_run, "run", lambda _: iter(outcomes))
    monkeypatch.setattr(sys, "argv", ["test", *arguments])
    return test_run.main()


GOOD = Outcome("good", passed=3, skipped=["t::x: no browser"], durations=[(1.5, "t::slow")])
BAD = Outcome("bad", passed=1, failed=["t::y"])


@pytest.mark.parametrize("arguments", [[], ["good"]])
def test_all_that_passed_passes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert run_main(monkeypatch, arguments, GOOD) == 0
    said = capsys.readouterr().out
    assert "Skipped:\n  t::x: no browser\n" in said
    assert "Slowest tests:\n     1.5 s  t::slow\n" in said
    assert said.endswith("\n3 passed, 0 failed, 1 skipped\n")


def test_what_failed_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, [], BAD, GOOD) == 1
    said = capsys.readouterr().out
    assert "Failed:\n  t::y\n" in said
    assert said.endswith("\n4 passed, 1 failed, 1 skipped\n")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["two"], "test: no step 'two'. There are: good\n"),
        (["--chapter", "cooking"], "test: no chapter 'cooking' in _toc.yml. There are: "),
    ],
)
def test_what_there_is_not_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    complaint: str,
) -> None:
    assert run_main(monkeypatch, arguments, GOOD) == 2
    assert capsys.readouterr().err.startswith(complaint)


def named(steps: list[Step]) -> dict[str, tuple[str, ...]]:
    return {step.name: step.command for step in steps}


def test_the_chapters_that_are_validated_are_those_of_the_book() -> None:
    command = named(test_run.steps())["chapters"]
    notebooks = [argument for argument in command if argument.endswith(".ipynb")]
    assert [chapters.ROOT / name for name in notebooks] == chapters.in_book()
    assert "--nbval" in command


def test_what_runs_weekly_is_asked_for_weekly_and_for_its_chapter() -> None:
    often, weekly = named(test_run.steps()), named(test_run.steps(weekly=True))
    options = {"unit": "--weekly", "browser": "--weekly", "chapters": "--again", "stays": "IMAGE=1"}
    for name, option in options.items():
        assert option not in often[name]
        assert option in weekly[name]
    of_one = named(test_run.steps_of("containers", faults=False))
    assert "--weekly" in of_one["honesty"]
    assert "--again" in of_one["chapter"]


@pytest.mark.parametrize(("options", "passed"), [([], 1), (["--weekly"], 2)])
def test_a_weekly_test_runs_weekly(tmp_path: Path, options: list[str], passed: int) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\n\n@pytest.mark.weekly\ndef test_a(): pass\n\ndef test_b(): pass\n"
    )
    command = [sys.executable, "-m", "pytest", "-c", "pyproject.toml", "-p", "conftest", *options]
    said = subprocess.run(
        [*command, tmp_path], cwd=chapters.ROOT, capture_output=True, text=True, check=False
    ).stdout
    assert f"{passed} passed" in said
    assert ("1 deselected" in said) == (passed == 1)


def test_every_test_file_is_in_one_step_and_every_projects_gates_too() -> None:
    commands = named(test_run.steps())
    assert "tests" in commands["unit"]
    ignored = {a.partition("=")[2] for a in commands["unit"] if a.startswith("--ignore=")}
    assert ignored == {a for a in commands["browser"] if a.startswith("tests/")}
    assert all((chapters.ROOT / name).exists() for name in ignored)
    projects = {path.parent.name for path in chapters.ROOT.glob("projects/*/Makefile")}
    assert projects <= commands.keys()


def test_what_concerns_one_chapter_is_there() -> None:
    steps = test_run.steps_of("caching", faults=True)
    assert [step.name for step in steps] == [
        "judges", "chapter", "honesty", "book", "page", "lint", "faults",
    ]  # fmt: skip
    paths = [word for step in steps for word in step.command if word.endswith((".py", ".ipynb"))]
    assert [path for path in paths if not (chapters.ROOT / path).exists()] == []
    assert "faults" not in named(test_run.steps_of("caching", faults=False))


@pytest.mark.parametrize(
    ("path", "content", "check"),
    [
        ("bad.py", "import os\n", "code"),
        ("bad.py", "x = [1,2]\n", "format"),
        ("bad.md", "teh end\n", "spelling"),  # codespell:ignore teh
        (".github/workflows/bad.yml", "name: Bad\non: push\njobs: {}\n", "workflows: schema"),
        (
            ".github/workflows/bad.yml",
            "name: Bad\non: pull_request_target\npermissions: write-all\njobs:\n  a:\n"
            "    runs-on: ubuntu-24.04\n    steps:\n      - uses: actions/checkout@v4\n",
            "workflows: security",
        ),
        (".github/dependabot.yml", "version: 3\n", "dependabot: schema"),
        ("CITATION.cff", "title: x\n", "citation: schema"),
        ("projects/x/compose.yaml", "services: 7\n", "compose: schema"),
        ("tools/setup", "#!/bin/sh\nrm $1\n", "shell scripts"),
    ],
)
def test_each_check_can_fail(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    content: str,
    check: str,
) -> None:
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text(content)
    monkeypatch.setattr(lint, "ROOT", tmp_path)
    monkeypatch.setattr(lint, "tracked", lambda _: [path])
    (found,) = (known for known in lint.CHECKS if known.name == check)
    assert not lint.run(found)


def test_hard_english_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(chapters.ROOT / "tools", tmp_path / "tools")
    (tmp_path / "bad.md").write_text("It is so; it is not; perhaps; who knows.")
    monkeypatch.setattr(lint, "ROOT", tmp_path)
    (english,) = (known for known in lint.CHECKS if known.name == "plain English")
    assert not lint.run(english, ["bad.md"])
    (tmp_path / "bad.md").write_text("It is so. Perhaps it is not.")
    assert lint.run(english, ["bad.md"])


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("nexus/services/bad.py", "nexus.judging"),
        ("nexus/judging/bad.py", "nexus.exercises"),
        ("nexus/judging/registry.py", "nexus.judging.verdict"),
        ("nexus/draw.py", "nexus.exercises.template"),
        ("nexus/bad.py", "tools.chapters"),
    ],
)
def test_an_import_against_the_arrows_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, importer: str, imported: str
) -> None:
    for package in ("nexus", "tools"):
        copy = tmp_path / package
        shutil.copytree(chapters.ROOT / package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(chapters.ROOT / "pyproject.toml", tmp_path)
    monkeypatch.setattr(lint, "ROOT", tmp_path)
    (imports,) = (known for known in lint.CHECKS if known.name == "imports")
    with (tmp_path / importer).open("a") as file:
        file.write(f"\nimport {imported}\n")
    assert not lint.run(imports)


def test_a_name_that_is_not_there_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nexus").mkdir()
    (tmp_path / ".venv").symlink_to(chapters.ROOT / ".venv")
    shutil.copy(chapters.ROOT / "pyproject.toml", tmp_path)
    shutil.copy(chapters.ROOT / "nexus" / "book.py", tmp_path / "nexus")
    monkeypatch.setattr(lint, "ROOT", tmp_path)
    (names,) = (known for known in lint.CHECKS if known.name == "names")
    assert lint.run(names)
    (tmp_path / "nexus" / "bad.py").write_text(
        "from nexus.book import Chapter\n\n\ndef file(one: Chapter) -> str:\n    return one.file\n"
    )
    assert not lint.run(names)


def test_every_check_is_shown_to_fail() -> None:
    (marks,) = test_each_check_can_fail.pytestmark
    shown = {case[2] for case in marks.args[1]} | {"imports", "names", "plain English"}
    assert shown == {check.name for check in lint.CHECKS}


@pytest.mark.parametrize("results", [[True, False, True], [False], [True, True]])
def test_lint_fails_if_one_check_fails(
    monkeypatch: pytest.MonkeyPatch, results: list[bool]
) -> None:
    monkeypatch.setattr(lint, "CHECKS", results)
    monkeypatch.setattr(lint, "run", lambda result, _: result)
    monkeypatch.setattr(sys, "argv", ["lint"])
    assert lint.main() == int(not all(results))
