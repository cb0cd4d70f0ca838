"""The growth of the book, in rows that never change and that agree with git where git is."""

import datetime
import os
import subprocess
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
