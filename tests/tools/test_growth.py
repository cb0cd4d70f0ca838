"""The growth of the book, in rows that never change and that agree with git where git is."""

import datetime
import os
import re
import subprocess
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

from tools import growth
from tools.growth import History, NoHistoryError


def git(folder: Path, *words: str, at: str = "2026-01-01T00:30:00+00:00") -> None:
    who = {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "a"), ("EMAIL", "a@example.org"), ("DATE", at))
    }
    command = ["git", "-c", "init.defaultBranch=main", "-c", "commit.gpgsign=false", *words]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env={
        "PATH": os.environ["PATH"], "HOME": str(folder), **who,
    })  # fmt: skip


def put(folder: Path, name: str, text: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A small book of three commits, in three quarters of a day."""
    folder = tmp_path / "book"
    (folder / "data").mkdir(parents=True)
    git(folder, "init")
    put(folder, "notebooks/data/caching.ipynb", "{}")
    put(folder, "notebooks/data/new.ipynb", "> **To be written.** Soon")
    put(folder, "nexus/exercises/caching.py", '@judge(\n    "caching.1",\n)\n@judge("caching.2")')
    put(folder, "nexus/exercises/new.py", '@judge("new.1")')
    put(folder, "nexus/exercises/template.py", '@judge("template.1")')
    put(folder, "tests/test_a.py", "def test_a(): ...\n\nasync def test_b(): ...\n")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "Begin")
    put(folder, "tests/chapters/caching.toml", '[[fault]]\nknown = "x"\n[[fault]]\n')
    put(folder, "tests/chapters/new.toml", "[[fault]]\n")
    put(folder, "data/status.csv", "chapter,seconds\ntemplate,9\ncaching,7\n")
    put(folder, "docs/decisions/0001-a.md", "# a")
    put(folder, "docs/decisions/index.md", "# all")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "Correct a sentence", at="2026-01-01T13:00:00+02:00")
    git(folder, "commit", "--allow-empty", "-m", "Go on", at="2026-01-02T07:00:00+00:00")
    return folder


def test_a_row_counts_what_is_in_its_commit(clone: Path) -> None:
    assert growth.append(History(clone), clone) == 2
    first, second = growth.read(clone / growth.GROWTH)
    del first["commit"], second["commit"]
    assert ",".join(first.values()) == "2026-01-01T06:00Z,1,1,2,2,0,0,0,0,0,0"
    assert ",".join(second.values()) == "2026-01-01T12:00Z,2,1,2,2,7,2,1,1,0,1"
    (fault,) = growth.read(clone / growth.FAULTS)
    assert list(fault.values()) == ["2026-01-01T12:00Z", "caching", "2", "1"]


def test_later_commits_change_no_row(clone: Path) -> None:
    growth.append(History(clone), clone)
    before = (clone / growth.GROWTH).read_text()
    assert growth.append(History(clone), clone) == 0
    assert (clone / growth.GROWTH).read_text() == before
    git(clone, "commit", "--allow-empty", "-m", "Later", at="2026-01-03T07:00:00+00:00")
    assert growth.append(History(clone), clone) == 1
    assert (clone / growth.GROWTH).read_text().startswith(before)
    assert growth.differences(History(clone), clone) == ([], 3)


def test_the_quarter_of_the_last_commit_is_not_over() -> None:
    day = datetime.datetime(2026, 1, 1, 5, 59, tzinfo=datetime.UTC)
    hours = [day, day + datetime.timedelta(minutes=2), day + datetime.timedelta(hours=30)]
    assert growth.points([("a", hours[0])]) == []
    assert growth.points(list(zip("abc", hours, strict=True))) == [
        ("2026-01-01T06:00Z", "a"),
        ("2026-01-01T12:00Z", "b"),
    ]


def test_a_changed_figure_is_found(clone: Path) -> None:
    growth.append(History(clone), clone)
    for path, old, new in (
        (clone / growth.GROWTH, "Z,", "Z,"),
        (clone / growth.GROWTH, ",2,2,7,", ",2,3,7,"),
        (clone / growth.FAULTS, "caching,2,1", "caching,2,0"),
    ):
        text = path.read_text()
        path.write_text(text.replace(old, new))
        found, compared = growth.differences(History(clone), clone)
        assert compared == 2
        assert len(found) == (old != new)
        path.write_text(text)


def test_a_row_of_another_history_is_left_out(clone: Path) -> None:
    growth.append(History(clone), clone)
    text = (clone / growth.GROWTH).read_text()
    name = growth.read(clone / growth.GROWTH)[0]["commit"]
    (clone / growth.GROWTH).write_text(text.replace(name, "0" * 12))
    assert growth.differences(History(clone), clone)[1] == 1


def test_without_a_whole_history_it_says_what_to_do(clone: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--depth", "1", clone.as_uri(), "shallow")
    with pytest.raises(NoHistoryError, match="git fetch --unshallow"):
        growth.append(History(tmp_path / "shallow"), tmp_path / "shallow")
    with pytest.raises(NoHistoryError):
        growth.append(History(tmp_path), tmp_path)
    put(clone, "inner/x", "")
    with pytest.raises(NoHistoryError, match="not a git clone of its own"):
        History(clone / "inner").require()


# The book's own file


def test_the_stored_rows_agree_with_git() -> None:
    try:
        found, compared = growth.differences(History())
    except NoHistoryError as error:
        pytest.skip(f"no whole history here: {error}")
    if not compared:
        pytest.skip("the rows are of another history")
    assert found == []


def test_the_stored_rows_make_sense() -> None:
    rows = growth.read(growth.ROOT / growth.GROWTH)
    assert len(rows) >= 8
    assert tuple(rows[0]) == growth.COLUMNS
    moments = [row["moment"] for row in rows]
    assert moments == sorted(set(moments))
    counts = [int(row["commits"]) for row in rows]
    assert counts == sorted(counts)
    by_moment: dict[str, list[int]] = {}
    for fault in growth.read(growth.ROOT / growth.FAULTS):
        sums = by_moment.setdefault(fault["moment"], [0, 0])
        sums[0] += int(fault["faults"])
        sums[1] += int(fault["missed"])
    for row in rows:
        assert by_moment.get(row["moment"], [0, 0]) == [int(row["faults"]), int(row["missed"])]


# What the chapter on progress says of the history


def history() -> History:
    whole = History()
    try:
        whole.require()
    except NoHistoryError as error:
        pytest.skip(f"no whole history here: {error}")
    if not whole.has("5a9ce5a") or not whole.has("fa57655f7a93"):
        pytest.skip("another history")
    return whole


def test_the_field_notes_were_moved_and_not_written_in_a_night() -> None:
    told = history().git("show", "--summary", "-M", "--format=%ct", "5a9ce5a").decode()
    assert told.count("rename notes/{ => field}/") == 33


def test_only_one_chapter_was_measured_when_there_were_five() -> None:
    rows = [row for row in growth.read(growth.ROOT / growth.GROWTH) if row["seconds"] == "24"]
    assert [row["chapters"] for row in rows] == ["1", "5"]
    for row in rows:
        status = history().git("show", f"{row['commit']}:data/status.csv").decode()
        named = [line.split(",")[0] for line in status.splitlines()[1:]]
        assert named == ["indexes-and-plans", "template"]


def test_no_fault_was_seeded_before_the_row_that_has_them() -> None:
    rows = growth.read(growth.ROOT / growth.GROWTH)
    (before,) = [r for r, after in pairwise(rows) if r["faults"] == "0" != after["faults"]]
    listed = history().git("ls-tree", "-r", "--name-only", before["commit"]).decode()
    assert "tests/chapters/template.toml" not in listed
    assert len(re.findall(r"^tests/chapters/.*\.toml$", listed, re.MULTILINE)) == 0


def test_fourteen_of_the_missed_faults_are_noticed_today() -> None:
    def listed(commit: str) -> list[tuple[str, str, bool]]:
        files = history().files(commit)
        return [
            (Path(path).stem, fault["why"], "known" in fault)
            for path, text in files.items()
            if path.endswith(".toml") and Path(path).stem not in growth.BESIDE
            for fault in tomllib.loads(text.decode()).get("fault", [])
        ]

    missed = {(chapter, why) for chapter, why, known in listed("94d7523bd608") if known}
    noticed = {(chapter, why) for chapter, why, known in listed("fa57655f7a93") if not known}
    assert (len(missed), len(missed & noticed)) == (17, 14)


def test_bars_had_a_logarithmic_axis_once() -> None:
    change = history().git("show", "--format=%s", "100273b", "--", "nexus/draw.py").decode()
    assert change.startswith("Bars begin at zero, everywhere")
    assert '-        axes.set_xscale("log" if log else "linear")' in change
