"""The plan of days: what comes before what, how long a day is, and the same plan each time."""

import datetime
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

import nexus
from nexus import book
from nexus.judging import progress, study
from nexus.judging.records import ProgressError
from nexus.judging.study import Work, spread

START = datetime.date(2026, 12, 1)
WORKS = (
    Work("a", "Alpha", 50, (1, 2, 3)),
    Work("b", "Beta", 30, (1, 2), ("a",)),
    Work("c", "Gamma", 20, (4,), ("b", "elsewhere")),
)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "progress.json"
    monkeypatch.setenv("NEXUS_PROGRESS", str(path))
    return path


def when(plan: study.StudyPlan, chapter: str) -> tuple[list[int], list[int]]:
    """On which days a chapter is read, and on which its exercises come."""
    read, solved = [], []
    for number, day in enumerate(plan.days):
        for task in day.tasks:
            if task.chapter == chapter:
                (solved if task.what.startswith("exercise") else read).append(number)
    return read, solved


def keeps_its_rules(plan: study.StudyPlan, works: Sequence[Work], minutes: int) -> None:
    titles = {work.name: work.title for work in works}
    assert all(day.minutes <= minutes for day in plan.days)
    for work in works:
        read, solved = when(plan, work.title)
        if read and solved:
            assert max(read) < min(solved), work.name
        for name in work.before:
            if name in titles and read:
                assert max(when(plan, titles[name])[1]) < min(read), (name, work.name)


def test_a_small_plan_word_for_word() -> None:
    assert repr(spread(WORKS, START, 45, 14)) == (
        "Tue 2026-12-01  25 min  Alpha: begin to read\n"
        "Wed 2026-12-02  25 min  Alpha: read to the end\n"
        "Thu 2026-12-03  30 min  Alpha: exercises 1, 2 and 3\n"
        "Fri 2026-12-04  30 min  Beta: read\n"
        "Sat 2026-12-05  20 min  Beta: exercises 1 and 2\n"
        "Sun 2026-12-06  20 min  Gamma: read\n"
        "Mon 2026-12-07  10 min  Gamma: exercise 4\n"
        "Nothing is left then."
    )


@pytest.mark.parametrize("minutes", [10, 15, 30, 45, 60, 90, 240])
@pytest.mark.parametrize("days", [1, 3, 14, 100])
def test_every_plan_keeps_the_rules_and_loses_no_minute(minutes: int, days: int) -> None:
    plan = spread(WORKS, START, minutes, days)
    keeps_its_rules(plan, WORKS, minutes)
    planned = sum(day.minutes for day in plan.days)
    assert planned + plan.left == sum(work.minutes for work in WORKS)
    assert len(plan.days) <= days


def test_chapters_side_by_side_use_a_day_up() -> None:
    works = [Work(name, name, 20, (1,)) for name in "abc"]
    plan = spread(works, START, 40, 14)
    assert [day.minutes for day in plan.days] == [40, 40, 10]


def test_enough_time_ends_and_says_so() -> None:
    plan = spread(WORKS, START, 60, 100)
    assert (plan.left, plan.after) == (0, "Nothing is left then.")


def test_what_was_tried_is_not_read_again() -> None:
    plan = spread([Work("a", "Alpha", 0, (2, 3))], START, 45, 14)
    assert str(plan.days[0].tasks[0]) == "Alpha: exercises 2 and 3"


@pytest.mark.parametrize(("minutes", "days"), [(9, 14), (0, 14), (-5, 14), (1441, 1), (45, 0)])
def test_numbers_that_make_no_sense_are_refused(minutes: int, days: int) -> None:
    with pytest.raises(ValueError, match="must be from"):
        spread(WORKS, START, minutes, days)


# Of the book itself


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("minutes", [20, 45, 120])
def test_the_plan_of_the_book_keeps_the_rules(minutes: int) -> None:
    plan = nexus.study_plan("2026-12-01", minutes=minutes)
    keeps_its_rules(plan, study.unsolved({}), minutes)
    assert len(plan.days) == 14
    assert plan.left > 0
    assert repr(plan) == repr(nexus.study_plan(START, minutes=minutes))


@pytest.mark.usefixtures("kept")
def test_the_whole_book_finds_its_place() -> None:
    plan = nexus.study_plan("2026-12-01", days=366)
    assert plan.left == 0
    keeps_its_rules(plan, study.unsolved({}), 45)


def test_what_is_solved_is_left_out_and_what_is_begun_is_not_read(kept: Path) -> None:
    solved = {"tries": 1, "solved": "2026-11-02"}
    names = progress.exercises()
    records = dict.fromkeys(names["indexes-and-plans"], solved) | {"caching.1": solved}
    kept.write_text(json.dumps(records))
    plan = nexus.study_plan("2026-12-01")
    assert when(plan, "Indexes and plans") == ([], [])
    read, answered = when(plan, "Caching")
    assert (read, answered[0]) == ([], 0)


def test_the_minutes_are_those_under_the_title() -> None:
    notebook = "notebooks/async/caching.ipynb"
    said = study.HEAD.search((book.ROOT / notebook).read_text())
    assert said
    assert study.reading_minutes(notebook) == int(said[1])
    assert study.reading_minutes("notebooks/none.ipynb") == study.READING


def test_all_solved_is_said(kept: Path) -> None:
    solved = {"tries": 1, "solved": "2026-11-02"}
    everything = {name: solved for names in progress.exercises().values() for name in names}
    kept.write_text(json.dumps(everything))
    plan = nexus.study_plan("2026-12-01")
    assert repr(plan) == progress.ALL_SOLVED
    assert progress.ALL_SOLVED in plan._repr_html_()


def test_a_run_that_keeps_nothing_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXUS_PROGRESS", "off")
    assert progress.NOT_KEPT in repr(nexus.study_plan("2026-12-01"))


def test_the_table_has_every_day_and_escapes_titles() -> None:
    plan = spread([Work("a", "<b>A & B</b>", 20, (1,))], START, 45, 14)
    shown = plan._repr_html_()
    assert "&lt;b&gt;A &amp; B&lt;/b&gt;: read" in shown
    assert shown.count("<tr>") == 2


@pytest.mark.usefixtures("kept")
def test_without_the_map_there_is_a_plan_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book, "ROOT", tmp_path)
    assert nexus.study_plan("2026-12-01").days[0].tasks[0].minutes == study.READING


def test_progress_that_cannot_be_read_is_no_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEXUS_PROGRESS", str(tmp_path))  # a folder: root may read any file
    with pytest.raises(ProgressError, match="cannot be read"):
        study.study_plan("2026-12-01")
