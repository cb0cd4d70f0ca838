"""Patterns of hard grammar are counted, and a file's budget only falls."""

from pathlib import Path

import pytest
from nbformat import write
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools import english

HARD = {
    "colons": "It holds: nobody waits.",
    "semicolons": "It holds; nobody waits.",
    "clauses": "Who uses it has to wait.",
    "owns": "It has a lock of its own.",
    "duties": "The worker is to send it.",
    "stands": "It stands in the table.",
    "pronouns": "The price is that of the host.",
}
PLAIN = (
    "The worker sends the message. You must retry it.",
    "This list has one colon:\n\n- a lock\n- a queue",
    "Choose a time: 12:30 is free.",
    "Write `a; b: c`, or see [the page](https://example.org/what_is;it: here).",
    "| Who asks: nobody; | what is it |\n|---|---|",
    "```python\nx: int = 1; y = 2\n```",
    "<!-- what is to come; here: there -->",
)


@pytest.mark.parametrize("pattern", HARD)
def test_each_pattern_is_found_where_it_is(pattern: str) -> None:
    counts = english.count(HARD[pattern])
    assert counts == dict.fromkeys(english.PATTERNS, 0) | {pattern: 1}


@pytest.mark.parametrize("text", PLAIN)
def test_plain_sentences_code_and_tables_are_left_alone(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    assert set(english.count(english.prose(page)).values()) == {0}


def test_what_is_between_two_tables_is_read(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("| a; |\n|---|\n\nIt is so; it is not.\n\n| b; |\n|---|\n")
    assert english.count(english.prose(page))["semicolons"] == 1


def test_of_a_notebook_its_text_is_read(tmp_path: Path) -> None:
    cells = [new_markdown_cell(HARD["semicolons"]), new_code_cell("x = 1; y = 2")]
    write(new_notebook(cells=cells), tmp_path / "page.ipynb")
    assert english.count(english.prose(tmp_path / "page.ipynb"))["semicolons"] == 1


def budget(root: Path) -> dict[str, english.Counts]:
    return english.read(root / english.BUDGET)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with one page that has a budget of three semicolons."""
    (tmp_path / "data").mkdir()
    stored = dict.fromkeys(english.PATTERNS, 0) | {"semicolons": 3}
    english.write(tmp_path / english.BUDGET, {"page.md": stored})
    return tmp_path


@pytest.mark.parametrize(
    ("semicolons", "status", "left"), [(4, 1, 3), (3, 0, 3), (2, 0, 2), (1, 0, None), (0, 0, None)]
)
def test_a_budget_only_falls(
    root: Path,
    capsys: pytest.CaptureFixture[str],
    semicolons: int,
    status: int,
    left: int | None,
) -> None:
    (root / "page.md").write_text("It is so; " * semicolons)
    assert english.main(["page.md"], root) == status
    assert english.main(["--write", "page.md"], root) == status
    assert budget(root).get("page.md", {}).get("semicolons") == left
    said = capsys.readouterr().out
    assert ("page.md: more semicolons than it may have" in said) == bool(status)


def test_a_page_without_a_budget_has_the_rates_of_all(root: Path) -> None:
    page = root / "new.md"
    page.write_text("word " * 3000 + "so; " * 3)
    assert english.main(["new.md"], root) == 0
    page.write_text("word " * 3000 + "so; " * 4)
    assert english.main(["new.md"], root) == 1


def test_it_shows_every_place(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "page.md").write_text("One day a worker ends; another one begins.")
    assert english.main(["--show", "page.md"], root) == 0
    assert "… One day a worker ends; another one begins. …" in capsys.readouterr().out


def test_a_file_that_is_not_there_is_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert english.main(["gone.md"], root) == 2
    assert "no file gone.md" in capsys.readouterr().err


def test_every_budget_belongs_to_a_page() -> None:
    """And that page needs it."""
    for name, counts in budget(english.ROOT).items():
        text = english.prose(english.ROOT / name)
        assert english.over(text, None), f"{name} needs no budget: --write takes it out"
        assert any(counts.values())
