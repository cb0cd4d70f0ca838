"""What a reader has solved: carried over from older names, never lost, and shown part by part."""

import json
import multiprocessing
import re
from pathlib import Path

import pytest
import yaml

import nexus
from nexus import book
from nexus.judging import progress, records
from tools import chapters

ROOT = book.ROOT
MAP = yaml.safe_load((ROOT / "data" / "map.yml").read_text())["parts"]


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "progress.json"
    monkeypatch.setenv("NEXUS_PROGRESS", str(path))
    return path


def write(path: Path, **records: object) -> None:
    path.write_text(json.dumps({name.replace("__", "."): r for name, r in records.items()}))


def tried(tries: int, solved: str | None = None, **more: object) -> dict[str, object]:
    return {"tries": tries, "solved": solved, **more}


# Older names


def test_every_former_name_is_carried_over_once(kept: Path) -> None:
    write(kept, **{f"{old}__2": tried(3, "2026-11-02") for old in records.FORMER})
    for _ in range(2):
        records.record("caching.1", right=True)
    found = json.loads(kept.read_text())
    assert found.pop("caching.1")["tries"] == 2
    assert found == {f"{new}.2": tried(3, "2026-11-02") for new in records.FORMER.values()}


@pytest.mark.parametrize(
    ("old", "new", "both"),
    [
        (tried(2), tried(3), tried(5)),
        (tried(2, "2026-11-03"), tried(3), tried(5, "2026-11-03")),
        (tried(2), tried(3, "2026-11-03"), tried(5, "2026-11-03")),
        (tried(2, "2026-11-02"), tried(1, "2026-11-03"), tried(3, "2026-11-02")),
        (tried(2, "2026-11-03"), tried(1, "2026-11-02"), tried(3, "2026-11-02")),
        (tried(2, note="x"), tried(1, hint="y"), tried(3, note="x", hint="y")),
    ],
)
def test_of_two_records_both_count(kept: Path, old: dict, new: dict, both: dict) -> None:
    write(kept, ci__1=old)
    older = json.loads(kept.read_text())
    kept.write_text(json.dumps(older | {"ci-cd.1": new}))
    records.record("caching.1", right=False)
    found = json.loads(kept.read_text())
    assert found == {"ci-cd.1": both, "caching.1": tried(1)}


def test_progress_shows_what_was_solved_under_an_older_name(kept: Path) -> None:
    write(kept, indexes__1=tried(1, "2026-11-02"))
    assert re.search(r"Indexes and plans +■□+ +1 of \d", repr(nexus.progress()))
    assert json.loads(kept.read_text()) == {"indexes.1": tried(1, "2026-11-02")}, "only read"


def test_the_names_of_today_are_those_of_the_map() -> None:
    planned = {chapter["name"] for part in MAP for chapter in part["chapters"]}
    assert set(records.FORMER.values()) <= planned
    assert planned.isdisjoint(records.FORMER)


# Nothing is lost


def test_what_another_version_wrote_is_kept(kept: Path) -> None:
    strange = {
        "format": 3,
        "ci.1": ["not", "a", "record"],
        "future.1": {"stars": 5},
        "caching.1": tried(1, None, seen="2026-11-02"),
    }
    kept.write_text(json.dumps(strange))
    records.record("caching.1", right=False)
    expected = strange | {"caching.1": tried(2, None, seen="2026-11-02")}
    assert json.loads(kept.read_text()) == expected
    assert not kept.with_suffix(".unreadable").exists()
    assert "0 of " in repr(nexus.progress())


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe", b""])
def test_what_is_no_record_at_all_is_set_aside(kept: Path, content: bytes) -> None:
    kept.write_bytes(content)
    assert nexus.progress().headline.startswith("0 of ")
    records.record("caching.1", right=True)
    assert kept.with_suffix(".unreadable").read_bytes() == content
    assert json.loads(kept.read_text())["caching.1"]["tries"] == 1


def hurry(count: int) -> None:
    for _ in range(count):
        records.record("caching.1", right=False)


def test_two_kernels_at_once_lose_no_try(kept: Path) -> None:
    write(kept, indexes__1=tried(7))
    context = multiprocessing.get_context("spawn")
    kernels = [context.Process(target=hurry, args=(50,)) for _ in range(2)]
    for kernel in kernels:
        kernel.start()
    for kernel in kernels:
        kernel.join()
    assert [kernel.exitcode for kernel in kernels] == [0, 0]
    found = json.loads(kept.read_text())
    assert found == {"caching.1": tried(100), "indexes-and-plans.1": tried(7)}
    assert {path.name for path in kept.parent.iterdir()} == {"progress.json", "progress.lock"}


# What is shown


def test_chapters_are_shown_in_the_books_order_without_those_that_do_not_count(kept: Path) -> None:
    del kept
    titles = [chapter.title for chapter in nexus.progress().chapters]
    planned = [chapter["title"] for part in MAP for chapter in part["chapters"]]
    assert titles == [title for title in planned if title in titles]
    assert len(titles) >= 9
    assert "emplate" not in repr(nexus.progress())


def test_what_to_do_next(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT / "notebooks" / "async")
    written = {path.stem for path in chapters.in_book()}
    first = next(entry for entry in chapters.planned() if entry.name in written)
    assert f"Next: exercise 1 of {first.title}, notebooks/{first.part}/" in repr(nexus.progress())
    write(kept, caching__1=tried(2, "2026-11-02"), caching__3=tried(1))
    shown = nexus.progress()
    assert "Next: exercise 2 of Caching, notebooks/async/caching.ipynb" in repr(shown)
    assert '<a href="caching.ipynb">exercise 2 of Caching</a>' in shown._repr_html_()
    monkeypatch.chdir(ROOT / "notebooks")
    assert '<a href="async/caching.ipynb">' in nexus.progress()._repr_html_()
    monkeypatch.chdir("/")
    assert "Next: exercise 2 of Caching, notebooks/async" in nexus.progress()._repr_html_()


def test_the_end_is_said(kept: Path) -> None:
    everything = {
        name: tried(1, "2026-11-02")
        for names in progress.exercises().values()
        for name in names
        if not name.startswith("unit.")
    }
    kept.write_text(json.dumps(everything))
    assert progress.ALL_SOLVED in repr(nexus.progress())
    assert progress.ALL_SOLVED in nexus.progress()._repr_html_()


def test_a_run_that_records_nothing_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXUS_PROGRESS", "off")
    for shown in (repr(nexus.progress()), nexus.progress()._repr_html_()):
        assert progress.NOT_KEPT in shown
        assert "Next" not in shown


def test_the_table_says_in_words_what_its_boxes_show(kept: Path) -> None:
    write(kept, caching__1=tried(2, "2026-11-02"), caching__3=tried(1))
    shown = nexus.progress()._repr_html_()
    assert 'aria-label="exercise 1: solved"' in shown
    assert 'aria-label="exercise 3: tried"' in shown
    assert "<strong>1 of " in shown


@pytest.mark.usefixtures("kept")
def test_without_the_map_names_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book, "ROOT", tmp_path)
    shown = repr(nexus.progress())
    assert re.search(r"^Chapters\n(  .*\n)*  background-jobs ", shown, re.MULTILINE)
    assert "template" not in shown
    assert re.search(r"^Next: exercise 1 of application-security$", shown, re.MULTILINE)
