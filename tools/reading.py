"""How long a chapter takes: computed from what is in it, and written under its title."""

import re

from nbformat import NotebookNode

WORDS_A_MINUTE = 200
CODE_LINES_A_MINUTE = 25
MINUTES_A_PICTURE = 2
MINUTES_AN_EXERCISE = 10
STEP = 5  # minutes: nobody believes 43

FOLDED = {"hide-cell", "hide-input", "remove-cell", "remove-input"}
FENCE = re.compile(r"^ {0,3}(```+|~~~+).*?\n(.*?)^ {0,3}\1", re.MULTILINE | re.DOTALL)
INLINE_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)")
EXERCISE = re.compile(r"^### Exercise \d+: ", re.MULTILINE)
HEAD = re.compile(r"^\d+ minutes(?:, and \d+ for the exercises?)? ·", re.MULTILINE)


def is_open(cell: NotebookNode) -> bool:
    """Tell whether readers see a code cell's code."""
    return not FOLDED & set(cell.metadata.get("tags", ()))


def lines(text: str) -> int:
    """Count the lines that have something in them."""
    return sum(bool(line.strip()) for line in text.splitlines())


def minutes(notebook: NotebookNode) -> tuple[int, int]:
    """Return how many minutes a chapter takes to read, and how many its exercises take.

    Code that is folded does not count. The rule of thumb is that of the project's guide: 200 words
    or 25 lines of code a minute, two minutes a picture, ten an exercise.

    Args:
        notebook: The chapter, with its outputs.
    """
    words = code = pictures = exercises = 0
    for cell in notebook.cells:
        if cell.cell_type == "code":
            code += lines(cell.source) * is_open(cell)
            kinds = (kind for out in cell.outputs for kind in out.get("data", ()))
            pictures += sum(kind.startswith("image/") for kind in kinds)
        elif cell.cell_type == "markdown":
            code += sum(lines(found[1]) for found in FENCE.findall(cell.source))
            words += len(FENCE.sub("", cell.source).split())
            pictures += len(IMAGE.findall(INLINE_CODE.sub("", FENCE.sub("", cell.source))))
            exercises += len(EXERCISE.findall(cell.source))
    exact = words / WORDS_A_MINUTE + code / CODE_LINES_A_MINUTE + pictures * MINUTES_A_PICTURE
    return max(STEP, STEP * round(exact / STEP)), exercises * MINUTES_AN_EXERCISE


def head(notebook: NotebookNode) -> str:
    """Return how the line under the promise begins."""
    reading, exercising = minutes(notebook)
    one = exercising == MINUTES_AN_EXERCISE
    also = f", and {exercising} for the exercise{'s' * (not one)}" if exercising else ""
    return f"{reading} minutes{also} ·"


def write(notebook: NotebookNode) -> None:
    """Put the times under the title, in place of those there; without such a line, do nothing."""
    first = notebook.cells[0]
    first.source = HEAD.sub(head(notebook), first.source, count=1)
