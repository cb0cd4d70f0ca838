"""`make chapter`: a chapter from the template that passes at once, or nothing at all."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml

from tests.chapters import honesty
from tools import cards, chapter, chapters, refresh

ROOT = chapters.ROOT
TOC = """\
# The pages of the book.
format: jb-book
root: intro
parts:
  - caption: Data
    chapters:
      - file: notebooks/data/indexes-and-plans # the first
  - caption: About this book
    chapters:
      - file: notebooks/template
"""
MAP = {
    "parts": [
        {
            "name": name,
            "title": title,
            "chapters": [{"name": f, "title": f.title(), "promise": f"promise {f}"} for f in files],
        }
        for name, title, files in (
            ("foundations", "Foundations", ["concurrency"]),
            ("data", "Data", ["data-modelling", "indexes-and-plans", "migrations", "wrapping"]),
            (
                "async",
                "Work outside the request",
                ["parcels", "parcels-twice", "parcel-prices-of-the-year"],
            ),
        )
    ]
}


RUFF = Path(sys.executable).parent / "ruff"
MODES = (["check", "--quiet"], ["format", "--check"])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of what a new chapter touches."""
    copy = tmp_path / "a project"
    for name in (*chapters.TEMPLATE_ROOMS.values(), "pyproject.toml", "tests/exercises/tables.py"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "nexus", copy / "nexus", ignore=ignore, dirs_exist_ok=True)
    for judges in (copy / "nexus" / "exercises").glob("*.py"):
        if judges.stem not in {"__init__", "template"}:
            judges.unlink()  # of a chapter that is written: the names below are still to come
    (copy / "data").mkdir()
    (copy / "data" / "map.yml").write_text(yaml.safe_dump(MAP))
    (copy / "_toc.yml").write_text(TOC)
    for page in ("intro.md", "README.md"):
        (copy / page).write_text("# Nexus\n\n<!-- map:start -->\n<!-- map:end -->\n")
    (copy / "notebooks" / "data").mkdir()
    shutil.copy(
        copy / "notebooks" / "template.ipynb", copy / "notebooks" / "data/indexes-and-plans.ipynb"
    )
    return copy


@pytest.fixture
def unrun(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not run the notebook."""
    monkeypatch.setattr(refresh, "refresh", lambda _: None)


def files(root: Path) -> dict[str, bytes]:
    found = (path for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


def in_toc(root: Path) -> list[str]:
    return [path.relative_to(root / "notebooks").as_posix() for path in chapters.in_book(root)]


def test_a_new_chapter_passes_at_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = chapters.environment
    own = {"PYTHONPATH": str(root)}  # before the installed bench, which has no such judges
    monkeypatch.setattr(chapters, "environment", lambda scratch: environment(scratch) | own)
    made = chapter.start("parcels", "async", root)
    (entry,) = (known for known in chapters.planned(root) if known.name == "parcels")
    assert [path.relative_to(root).as_posix() for path in made] == list(entry.rooms.values())
    notebook, judges, tests, faults, gotchas, _ = made
    read = nbformat.read(notebook, as_version=4)
    assert {rule.__name__: rule(read, notebook) for rule in honesty.RULES} == {
        rule.__name__: [] for rule in honesty.RULES
    }
    assert read.cells[0].source.startswith("# Parcels: promise parcels\n\n*You will")
    for path in made:
        assert "template.1" not in path.read_text()
    assert judges.read_text().startswith('"""Judges of "Parcels": ')
    assert gotchas.read_text().startswith("# Gotchas: Parcels\n")
    assert len(tomllib.loads(faults.read_text())["fault"]) >= 6
    assert len(list(cards.of(entry, root))) >= cards.LEAST
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests],
        cwd=root,
        env=os.environ | own,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    for mode in MODES:
        checked = subprocess.run([RUFF, *mode, notebook, judges, tests], cwd=root, check=False)
        assert checked.returncode == 0


@pytest.mark.usefixtures("unrun")
@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("data-modelling", 0),
        ("migrations", 1),
        ("concurrency", 0),
        ("parcels", 1),
    ],
)
def test_it_stands_where_the_map_has_it(root: Path, name: str, place: int) -> None:
    chapter.start(name, "", root)
    assert [Path(found).stem for found in in_toc(root)].index(name) == place
    toc = (root / "_toc.yml").read_text()
    assert "# The pages of the book." in toc
    assert "indexes-and-plans # the first" in toc
    assert f"/{name}.ipynb)" in (root / "intro.md").read_text()


@pytest.mark.usefixtures("unrun")
def test_one_after_the_other(root: Path) -> None:
    for name in (
        "wrapping",
        "parcels-twice",
        "data-modelling",
        "parcels",
        "parcel-prices-of-the-year",
    ):
        chapter.start(name, "", root)
    assert [Path(name).stem for name in in_toc(root)] == [
        "data-modelling",
        "indexes-and-plans",
        "wrapping",
        "parcels",
        "parcels-twice",
        "parcel-prices-of-the-year",
        "template",
    ]
    captions = [
        part["caption"] for part in yaml.safe_load((root / "_toc.yml").read_text())["parts"]
    ]
    long = "parcel_prices_of_the_year"
    code = [f"nexus/exercises/{long}.py", f"tests/exercises/test_{long}.py"]
    for mode in MODES:
        assert subprocess.run([RUFF, *mode, *code], cwd=root, check=False).returncode == 0
    assert captions == ["Data", "Work outside the request", "About this book"]
    made = {path.stem for path in (root / "nexus" / "exercises").iterdir()}
    assert {
        "wrapping",
        "parcels",
        "parcels_twice",
        "data_modelling",
        "parcel_prices_of_the_year",
    } < made


@pytest.mark.parametrize(
    ("name", "part", "complaint"),
    [
        ("", "", "which one"),
        ("Migrations", "data", "no chapter's name"),
        ("../x", "data", "no chapter's name"),
        ("migrations", "dta", "There are: foundations, data, async"),
        ("migrations", "async", "belongs to the part data"),
        ("cooking", "data", "Enter it there first"),
        ("indexes-and-plans", "data", "exists already"),
    ],
)
def test_refuses(root: Path, name: str, part: str, complaint: str) -> None:
    before = files(root)
    with pytest.raises(chapter.ChapterError, match=complaint):
        chapter.start(name, part, root)
    assert files(root) == before


@pytest.mark.usefixtures("unrun")
def test_refuses_what_is_in_the_contents_already(root: Path) -> None:
    toc = (root / "_toc.yml").read_text()
    (root / "_toc.yml").write_text(toc.replace("indexes-and-plans #", "migrations #"))
    with pytest.raises(chapter.ChapterError, match="take it out first"):
        chapter.start("migrations", "", root)


@pytest.mark.parametrize(
    "failure", [refresh.ChapterFailedError("code cell 3"), KeyboardInterrupt(), OSError(28, "full")]
)
def test_nothing_is_left_when_it_fails(
    root: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    def fail(_: Path) -> None:
        raise failure

    monkeypatch.setattr(refresh, "refresh", fail)
    before = files(root)
    with pytest.raises(type(failure)):
        chapter.start("migrations", "data", root)
    assert files(root) == before


def test_the_command_tells_what_is_wrong() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tools.chapter", "indexes-and-plans", "data"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert run.stderr == "chapter: notebooks/data/indexes-and-plans.ipynb exists already\n"
