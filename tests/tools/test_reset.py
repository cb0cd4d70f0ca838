"""`make reset`: git's version comes back, and the reader's own is never lost."""

import subprocess
from pathlib import Path

import pytest

from tools import reset

TOC = """\
format: jb-book
root: intro
parts:
  - chapters:
      - file: notebooks/start-here
      - file: notebooks/data/indexes
      - file: notes/index
"""
CLEAN = '{"cells": []}\n'


def git(root: Path, *arguments: str) -> None:
    person = ["-c", "user.name=A Reader", "-c", "user.email=reader@example.org"]
    subprocess.run(["git", "-C", root, *person, *arguments], check=True, capture_output=True)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with two notebooks."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):  # set where a git hook runs tests
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "a checkout"
    (folder / "notebooks" / "data").mkdir(parents=True)
    (folder / "_toc.yml").write_text(TOC)
    for name in ("start-here", "data/indexes"):
        (folder / "notebooks" / f"{name}.ipynb").write_text(CLEAN)
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "All")
    monkeypatch.setattr(reset, "ROOT", folder)
    monkeypatch.setattr(reset.changed, "__defaults__", (folder,))
    monkeypatch.setattr(reset.reset, "__defaults__", (folder,))
    return folder


@pytest.fixture
def chapter(root: Path) -> Path:
    return root / "notebooks" / "data" / "indexes.ipynb"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["reset", *arguments])
    return reset.main()


@pytest.mark.parametrize("asked", ["indexes", "notebooks/data/indexes.ipynb"])
def test_gits_version_comes_back_and_the_readers_is_kept(
    root: Path,
    chapter: Path,
    asked: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    chapter.write_text("mine")
    (root / "notebooks" / "start-here.ipynb").write_text("mine too")
    assert run(monkeypatch, asked) == 0
    assert chapter.read_text() == CLEAN
    (version,) = (root / "yours").glob("indexes-????-??-??-1.ipynb")
    kept = f"yours/{version.name}"
    assert version.read_text() == "mine"
    assert (root / "notebooks" / "start-here.ipynb").read_text() == "mine too"
    said = capsys.readouterr().out
    assert f"Your version is kept in {kept}\n" in said
    assert "Reload Notebook from Disk" in said


def test_no_kept_version_is_overwritten(root: Path, chapter: Path) -> None:
    for version in ("first", "second", "third"):
        chapter.write_text(version)
        reset.reset("indexes", root)
    kept = sorted((root / "yours").iterdir())
    assert [path.read_text() for path in kept] == ["first", "second", "third"]


def test_what_was_staged_or_deleted_comes_back_too(root: Path, chapter: Path) -> None:
    chapter.write_text("mine")
    git(root, "add", ".")
    kept = reset.reset("indexes", root)
    assert kept is not None
    assert (kept.read_text(), chapter.read_text()) == ("mine", CLEAN)
    chapter.unlink()
    assert reset.reset("indexes", root) is None
    assert chapter.read_text() == CLEAN
    assert reset.changed(root) == []


def test_nothing_is_touched_if_the_readers_version_cannot_be_kept(
    root: Path, chapter: Path
) -> None:
    chapter.write_text("mine")
    (root / "yours").write_text("a file in the folder's place")
    with pytest.raises(FileExistsError):
        reset.reset("indexes", root)
    assert chapter.read_text() == "mine"


def test_without_a_chapter_it_lists_those_that_differ(
    root: Path, chapter: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert run(monkeypatch) == 0
    assert capsys.readouterr().out == "All chapters are as git has them.\n"
    chapter.write_text("mine")
    (root / "notebooks" / "start-here.ipynb").write_text("mine too")
    assert run(monkeypatch) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "  make reset CHAPTER=start-here",
        "  make reset CHAPTER=indexes",
    ]


def test_refusals_say_what_to_do(
    root: Path, chapter: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def refusal(*arguments: str) -> str:
        assert run(monkeypatch, *arguments) == 1
        return capsys.readouterr().err

    assert refusal("cooking") == (
        "reset: there is no chapter 'cooking'. There are: start-here, indexes\n"
    )
    assert "indexes is as git has it" in refusal("indexes")
    git(root, "rm", "--cached", "--quiet", "notebooks/data/indexes.ipynb")
    git(root, "commit", "--quiet", "--message", "Without")
    assert "git has no version" in refusal("indexes")
    (root / ".git").rename(root / "elsewhere")
    assert "with git clone" in refusal("indexes")
    assert "with git clone" in refusal()
    (root / "elsewhere").rename(root / ".git")
    (root / ".git" / "HEAD").write_text("nonsense")
    assert "git says: " in refusal()
    monkeypatch.setenv("PATH", str(chapter.parent))
    assert "git is not installed" in refusal()
