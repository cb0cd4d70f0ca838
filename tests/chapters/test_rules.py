"""The rules of "Best practices": each link leads to a section that prints or asserts something."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import nbformat
import pytest

from tools.headings import slug

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks/practice/best-practices.ipynb"
ROW = re.compile(
    r"^\| \[(?P<rule>.+?)\]\((?P<file>\S+?\.ipynb)#(?P<anchor>\S+?)\)"
    r" \| (?P<price>.+?) \| (?P<exception>.+?) \|$",
    re.MULTILINE,
)
HEADING = re.compile(r"^(#{1,6}) (.+?)\s*$", re.MULTILINE)
MOST = 60


@cache
def chapter(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def rules() -> list[re.Match[str]]:
    text = "\n".join(c.source for c in chapter(NOTEBOOK).cells if c.cell_type == "markdown")
    return list(ROW.finditer(text))


RULES = rules()


def section(path: Path, anchor: str) -> list[nbformat.NotebookNode] | None:
    """The code cells under a heading, up to the next one of its level; None if it is not there."""
    level, found = 0, None
    for cell in chapter(path).cells:
        if cell.cell_type == "markdown":
            for marks, heading in HEADING.findall(cell.source):
                if found is None and slug(heading) == anchor:
                    level, found = len(marks), []
                elif found is not None and len(marks) <= level:
                    return found
        elif cell.cell_type == "code" and found is not None:
            found.append(cell)
    return found


def proofs(cells: list[nbformat.NotebookNode]) -> Iterator[str]:
    for cell in cells:
        if re.search(r"^\s*assert ", cell.source, re.MULTILINE):
            yield "assert"
        for output in cell.get("outputs", []):
            yield output.output_type


def test_there_are_rules_and_not_too_many() -> None:
    assert 20 <= len(RULES) <= MOST
    links = [(row["file"], row["anchor"]) for row in RULES]
    assert len(set(links)) == len(links)
    assert len({row["rule"] for row in RULES}) == len(RULES)


def test_every_row_of_the_tables_is_a_rule() -> None:
    text = "\n".join(c.source for c in chapter(NOTEBOOK).cells if c.cell_type == "markdown")
    assert text.count("\n| [") == len(RULES)
    for subject, number in re.findall(r"^### (.+): (\d+) rules$", text, re.MULTILINE):
        part = text.split(f"### {subject}: {number} rules", 1)[1].split("\n#", 1)[0]
        assert len(ROW.findall(part)) == int(number), subject


@pytest.mark.parametrize("row", RULES, ids=lambda row: row["rule"][:50])
def test_a_rule_is_proved_where_its_link_leads(row: re.Match[str]) -> None:
    path = (NOTEBOOK.parent / row["file"]).resolve()
    assert path.is_file()
    cells = section(path, row["anchor"])
    assert cells is not None, f"{row['file']} has no heading with the anchor {row['anchor']}"
    assert list(proofs(cells)), f"no cell under {row['anchor']} prints or asserts anything"


def test_a_dead_link_would_be_noticed() -> None:
    path = ROOT / "notebooks/data/transactions-and-locks.ipynb"
    assert section(path, "a-heading-that-is-not-there") is None
    assert list(proofs(section(path, "sources") or [])) == []
