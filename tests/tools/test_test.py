"""`make test` and `make lint` tell the truth: what failed fails, what was skipped is listed."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools import chapters, lint
from tools import test as test_run
from tools.test import Outcome

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


def test_counts_what_pytest_did(folder: Path) -> None:
    (folder / "test_some.py").write_text(SOME)
    outcome = test_run.run_pytest("some", "test_some.py")
    assert outcome.passed == 1
    assert outcome.failed == ["test_some::test_bad", "test_some::test_broken"]
    assert outcome.skipped == ["test_some::test_left_out: no browser here"]
    assert str(outcome) == "1 passed, 2 FAILED, 1 skipped"


@pytest.mark.parametrize("source", ["", "def test_a(: pass", "import sys; sys.exit(3)"])
def test_a_run_without_tests_has_failed(folder: Path, source: str) -> None:
    (folder / "test_some.py").write_text(source)
    assert test_run.run_pytest("some", "test_some.py").failed


def test_a_pytest_that_is_killed_has_failed(folder: Path) -> None:
    (folder / "test_some.py").write_text("import os\ndef test_a(): os.kill(os.getpid(), 9)\n")
    assert test_run.run_pytest("some", "test_some.py").failed == [
        "some: pytest ended with exit status -9"
    ]


def run_main(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], *outcomes: Outcome | type[BaseException]
) -> int:
    def part() -> Iterator[Outcome]:
        for outcome in outcomes:
            if isinstance(outcome, type):
                raise outcome
            yield outcome

    monkeypatch.setattr(test_run, "PARTS", {"one": part})
    monkeypatch.setattr(sys, "argv", ["test", *arguments])
    return test_run.main()


GOOD = Outcome("good", passed=3, skipped=["t::x: no browser"])
BAD = Outcome("bad", passed=1, failed=["t::y"])


@pytest.mark.parametrize("arguments", [[], ["one"]])
def test_all_that_passed_passes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, arguments: list[str]
) -> None:
    assert run_main(monkeypatch, arguments, GOOD) == 0
    said = capsys.readouterr().out
    assert "Skipped:\n  t::x: no browser\n" in said
    assert said.endswith("\n3 passed, 0 failed, 1 skipped\n")


def test_what_failed_fails_and_the_rest_is_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert run_main(monkeypatch, [], BAD, GOOD) == 1
    said = capsys.readouterr().out
    assert "Failed:\n  t::y\n" in said
    assert said.endswith("\n4 passed, 1 failed, 1 skipped\n")


def test_an_interrupted_run_has_failed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert run_main(monkeypatch, [], GOOD, KeyboardInterrupt) == 1
    assert "the rest was not run" in capsys.readouterr().out


def test_an_unknown_part_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit):
        run_main(monkeypatch, ["two"], GOOD)
    assert "invalid choice: 'two'" in capsys.readouterr().err


def test_the_chapters_that_are_validated_are_those_of_the_book(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(test_run, "run_pytest", lambda _, *arguments: seen.extend(arguments))
    list(test_run.validate())
    named = [argument for argument in seen if argument.endswith(".ipynb")]
    assert [chapters.ROOT / name for name in named] == chapters.in_book()
    assert "--nbval" in seen


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


def test_every_check_is_shown_to_fail() -> None:
    (marks,) = test_each_check_can_fail.pytestmark
    assert {case[2] for case in marks.args[1]} == {check.name for check in lint.CHECKS}


@pytest.mark.parametrize("results", [[True, False, True], [False], [True, True]])
def test_lint_fails_if_one_check_fails(
    monkeypatch: pytest.MonkeyPatch, results: list[bool]
) -> None:
    monkeypatch.setattr(lint, "CHECKS", results)
    monkeypatch.setattr(lint, "run", lambda result: result)
    assert lint.main() == int(not all(results))
