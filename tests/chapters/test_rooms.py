"""One name in every room: files, titles and exercises are called as the map calls the chapter."""

import ast
import csv
import re
from graphlib import TopologicalSorter

import nbformat
import pytest
import yaml

from tools import chapters
from tools.chapters import Entry

ROOT = chapters.ROOT
PLANNED = chapters.planned()
WRITTEN = [entry for entry in PLANNED if ROOT / entry.notebook in chapters.in_book()]
EVERY = pytest.mark.parametrize("entry", WRITTEN, ids=lambda entry: entry.name)

# Notebooks beside the parts: they teach the book itself, and are on no map.
BESIDE = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}


def test_the_map_names_each_chapter_once() -> None:
    names = [entry.name for entry in PLANNED]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name) for name in names)
    modules = [entry.module for entry in PLANNED]
    assert [module for module in modules if not module.isidentifier()] == []


def test_what_is_to_be_read_before_is_on_the_map_and_goes_in_no_circle() -> None:
    names = {entry.name for entry in PLANNED}
    assert {before for entry in PLANNED for before in entry.before} <= names
    TopologicalSorter({entry.name: entry.before for entry in PLANNED}).prepare()


@EVERY
def test_a_chapter_lacks_no_room(entry: Entry) -> None:
    assert [place for place in entry.rooms.values() if not (ROOT / place).is_file()] == []


def test_no_room_bears_another_name() -> None:
    """A file that belongs to no chapter has lost its chapter, or bears a name of its own."""
    rooms = {place for entry in WRITTEN for place in entry.rooms.values()}
    kit = {
        f"tests/exercises/test_{name}.py"
        for name in (
            "hostile",
            "judging",
            "kept_progress",
            "kit",
            "moved_progress",
            "portfolio",
            "stubs",
            "study_plan",
        )
    }
    places = (
        "notebooks/*/*.ipynb",
        "nexus/exercises/[!_]*.py",
        "tests/exercises/test_*.py",
        "tests/chapters/*.toml",
        "notes/gotchas/*.md",
        "notes/cards/*.yml",
    )
    strangers = {
        path.relative_to(ROOT).as_posix()
        for pattern in places
        for path in ROOT.glob(pattern)
        if ".ipynb_checkpoints" not in path.parts
        and path.stem.removeprefix("test_").replace("_", "-") not in BESIDE
    }
    assert strangers - rooms - kit == set()


@EVERY
def test_its_titles_are_those_of_the_map(entry: Entry) -> None:
    first = nbformat.read(ROOT / entry.notebook, as_version=4).cells[0].source
    assert first.splitlines()[0] == f"# {entry.heading}"
    gotchas = (ROOT / entry.rooms["gotchas"]).read_text()
    assert gotchas.splitlines()[0] == f"# Gotchas: {entry.title}"
    judges = ast.get_docstring(ast.parse((ROOT / entry.rooms["judges"]).read_text())) or ""
    assert judges.startswith(f'Judges of "{entry.title}"')


@EVERY
def test_it_is_in_the_contents_under_its_part_and_without_another_title(entry: Entry) -> None:
    parts = yaml.safe_load((ROOT / "data" / "map.yml").read_text())["parts"]
    caption = next(part["title"] for part in parts if part["name"] == entry.part)
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    (listed,) = (part["chapters"] for part in toc["parts"] if part.get("caption") == caption)
    assert {"file": entry.notebook.removesuffix(".ipynb")} in listed


def test_the_contents_have_the_order_of_the_map() -> None:
    ours = [path for path in chapters.in_book() if path.parent.name != "notebooks"]
    assert ours == [ROOT / entry.notebook for entry in WRITTEN]


@EVERY
def test_its_exercises_bear_its_name(entry: Entry) -> None:
    judges = (ROOT / entry.rooms["judges"]).read_text()
    judged = re.findall(r'@judge\(\s*"([^"]+)"', judges)
    numbered = [f"{entry.name}.{number}" for number in range(1, len(judged) + 1)]
    assert judged == numbered != []
    notebook = nbformat.read(ROOT / entry.notebook, as_version=4)
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    asked = re.findall(r'nexus\.check\(\s*"([^"]+)"', code)
    assert list(dict.fromkeys(asked)) == numbered


def test_the_status_page_has_the_titles_of_the_map() -> None:
    titles = {entry.name: entry.title for entry in PLANNED}
    with (ROOT / "data" / "status.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["chapter"] not in BESIDE]
    assert [(row["chapter"], row["title"]) for row in rows] == [
        (row["chapter"], titles[row["chapter"]]) for row in rows
    ]


@EVERY
def test_its_gotchas_can_be_linked_one_by_one(entry: Entry) -> None:
    """Each symptom is a heading of its own, with a text below it."""
    page = (ROOT / entry.rooms["gotchas"]).read_text()
    _, *symptoms = re.split(r"^## ", page, flags=re.MULTILINE)
    assert symptoms
    headings = [symptom.splitlines()[0] for symptom in symptoms]
    assert len(headings) == len(set(headings))
    assert [h for h, s in zip(headings, symptoms, strict=True) if not s[len(h) :].strip()] == []
    assert "\n**" not in page.partition("\n## ")[0]


def test_names_follow_from_the_entry() -> None:
    entry = Entry("caching", "async", "Caching", "make it fast")
    assert entry.heading == "Caching: make it fast"
    assert entry.rooms["judges"] == "nexus/exercises/caching.py"
    assert Entry("ci-cd", "shipping", "CI", "x").rooms["tests of its judges"] == (
        "tests/exercises/test_ci_cd.py"
    )
