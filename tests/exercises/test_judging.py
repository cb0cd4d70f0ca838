"""Checking, progress and their errors, on an exercise made for the purpose."""

import datetime
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import nexus
from nexus.judging import NotYet, Verdict, check, judge, judge_answer, registry
from nexus.judging.progress import progress as show_progress
from nexus.services import ServiceError
from nexus.services.process import Server


@pytest.fixture(autouse=True)
def exercise() -> Iterator[None]:
    @judge("unit.1", takes=object, called="a number", hint="which number is it?")
    def number(answer: object) -> str:
        if callable(answer):
            answer = answer()
        if answer != 42:
            raise NotYet("another number")
        return "that is it"

    yield
    del registry._exercises["unit.1"]


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "kept" / "progress.json"
    monkeypatch.setenv("NEXUS_PROGRESS", str(path))
    return path


def test_check_prints_the_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    for answer in (None, 7, 42):
        check("unit.1", answer)
    assert capsys.readouterr().out == (
        "not yet: which number is it?\nnot yet: another number\nright: that is it\n"
    )


@pytest.mark.parametrize("error", [ValueError("no\nsecond line"), SystemExit(3), RecursionError()])
def test_what_the_answers_code_raises_is_a_verdict(error: BaseException) -> None:
    def answer() -> int:
        raise error

    verdict = judge_answer("unit.1", answer)
    assert not verdict.right
    assert verdict.message.startswith(f"the answer raised {type(error).__name__}: ")
    assert "second line" not in verdict.message


def test_an_error_that_cannot_be_shown_is_a_verdict_too() -> None:
    class UnprintableError(Exception):
        def __str__(self) -> str:
            raise ZeroDivisionError

    def answer() -> int:
        raise UnprintableError

    verdict = judge_answer("unit.1", answer)
    assert verdict == Verdict(False, "the answer raised UnprintableError: (no message)")


def test_an_interrupt_is_not_swallowed() -> None:
    def answer() -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        judge_answer("unit.1", answer)


def test_unknown_exercises_are_named() -> None:
    with pytest.raises(LookupError, match=r"no exercise 'unit\.2'; this chapter has unit\.1"):
        check("unit.2", 1)
    with pytest.raises(LookupError, match=r"^there is no exercise 'nothing\.1'$"):
        check("nothing.1", 1)


def test_without_a_server_the_judge_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Server, "_started", {})
    with pytest.raises(ServiceError, match=r"no postgres is running: start one with nexus"):
        check("indexes-and-plans.1", "SELECT 1")


# Progress


def test_progress_is_kept(kept: Path) -> None:
    for answer in (1, 2, 42, 3):
        check("unit.1", answer)
    record = json.loads(kept.read_text())["unit.1"]
    assert record["tries"] == 4
    assert record["solved"] == datetime.date.today().isoformat()
    check("unit.1", 42)
    assert json.loads(kept.read_text())["unit.1"] == record | {"tries": 5}


def test_a_chapters_own_solution_does_not_count(kept: Path) -> None:
    check("unit.1", 42, record=False)
    assert not kept.exists()


@pytest.mark.parametrize(("name", "value"), [("NEXUS_PROGRESS", "off"), ("CI", "true")])
def test_nothing_is_kept_in_ci_or_when_told(
    name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NEXUS_PROGRESS", raising=False)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(name, value)
    check("unit.1", 42)
    assert list(tmp_path.iterdir()) == []
    show_progress()


def test_progress_goes_to_the_users_own_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NEXUS_PROGRESS", raising=False)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    check("unit.1", 42)
    assert [path.name for path in tmp_path.rglob("*.json")] == ["progress.json"]


@pytest.mark.parametrize(
    "content", ["not json", "[]", '{"unit.1": 3}', '{"unit.1": {"tries": "x"}}']
)
def test_an_unreadable_file_is_set_aside_and_not_lost(kept: Path, content: str) -> None:
    kept.parent.mkdir()
    kept.write_text(content)
    check("unit.1", 42)
    assert json.loads(kept.read_text())["unit.1"]["tries"] == 1
    assert kept.with_suffix(".unreadable").read_text() == content


def test_where_progress_cannot_be_kept_the_verdict_still_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = tmp_path / "a file"
    blocked.write_text("")
    monkeypatch.setenv("NEXUS_PROGRESS", str(blocked / "folder" / "progress.json"))
    check("unit.1", 42)
    said = capsys.readouterr().out
    assert said.startswith("right: that is it\n(progress could not be kept in ")
    assert said.endswith("Not a directory)\n")


def test_the_public_names_are_there() -> None:
    assert nexus.check is check
    assert all(hasattr(nexus, name) for name in nexus.__all__)
