"""The time that a chapter takes is computed from what a reader reads."""

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools import reading

TITLE = "# Find it\n\n*You will find it.*\n\n99 minutes · PostgreSQL"


def made(*cells: NotebookNode) -> NotebookNode:
    return new_notebook(cells=[new_markdown_cell(TITLE), *cells])


def picture() -> NotebookNode:
    return new_output("display_data", data={"image/svg+xml": "<svg/>", "text/plain": "it"})


CODE = "x = 1\n\n" * 250
WAYS = {
    "words": (made(new_markdown_cell("word " * 2000)), 10),
    "code, without its empty lines": (made(new_code_cell(CODE)), 10),
    "code in Markdown": (made(new_markdown_cell(f"```python\n{CODE}```")), 10),
    "folded code": (made(new_code_cell(CODE, metadata={"tags": ["hide-input"]})), 5),
    "pictures": (made(new_code_cell("draw()", outputs=[picture()] * 5)), 10),
    "pictures in Markdown": (made(new_markdown_cell("![a tree](tree.svg)\n" * 5)), 10),
    "next to nothing": (made(), 5),
}


@pytest.mark.parametrize("way", WAYS)
def test_each_kind_of_reading_takes_its_time(way: str) -> None:
    notebook, minutes = WAYS[way]
    assert reading.minutes(notebook) == (minutes, 0)


@pytest.mark.parametrize(
    ("exercises", "head"),
    [
        (0, "5 minutes ·"),
        (1, "5 minutes, and 10 for the exercise ·"),
        (4, "5 minutes, and 40 for the exercises ·"),
    ],
)
def test_the_time_is_written_under_the_title_and_found_there_again(
    exercises: int, head: str
) -> None:
    notebook = made(*(new_markdown_cell(f"### Exercise {n}: Find") for n in range(exercises)))
    for _ in range(2):
        reading.write(notebook)
        assert notebook.cells[0].source == TITLE.replace("99 minutes ·", head)


def test_a_page_without_a_time_is_left_alone() -> None:
    notebook = new_notebook(cells=[new_markdown_cell("# Find it")])
    reading.write(notebook)
    assert notebook.cells[0].source == "# Find it"
