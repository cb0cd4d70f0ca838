"""What a reader has solved, chapter by chapter: a table in a notebook, text in a terminal."""

import enum
import html
import itertools
import os
from dataclasses import dataclass
from pathlib import Path

from nexus import book
from nexus.judging.records import Records, own, understood
from nexus.judging.registry import exercises

UNCOUNTED = ("start-here", "template")
"""They have exercises too, but are not among the chapters to be learned."""


class State(enum.Enum):
    """How far a reader is with an exercise: a word, a mark for plain text, a box for a page."""

    SOLVED = ("solved", "■", "background:#2b6cb0;color:#fff;border:2px solid #2b6cb0")
    TRIED = ("tried", "◧", "border:2px dashed #c2570c")
    OPEN = ("not tried yet", "□", "border:2px solid #808080")

    @classmethod
    def of(cls, record: object) -> "State":
        """The state that a record tells of."""
        if not understood(record):
            return cls.OPEN
        return cls.SOLVED if record["solved"] else cls.TRIED  # type: ignore[index]


@dataclass(frozen=True)
class Chapter:
    """A chapter and how far a reader is with its exercises.

    Attributes:
        title: what the map calls it.
        part: the title of its part.
        notebook: its file, from the project's folder; nothing if the map does not know it.
        states: by the exercise's number, in order.
    """

    title: str
    part: str
    notebook: str
    states: dict[int, State]

    @property
    def solved(self) -> int:
        """How many of its exercises are solved."""
        return sum(state is State.SOLVED for state in self.states.values())

    @property
    def is_begun(self) -> bool:
        """Whether an exercise was tried and another, or the same, is not solved yet."""
        tried = any(state is not State.OPEN for state in self.states.values())
        return tried and self.solved < len(self.states)

    @property
    def unsolved(self) -> int | None:
        """The number of its first exercise that is not solved."""
        numbers = (n for n, state in self.states.items() if state is not State.SOLVED)
        return next(numbers, None)

    @property
    def count(self) -> str:
        """How many of how many."""
        return f"{self.solved} of {len(self.states)}"


@dataclass(frozen=True)
class Progress:
    """What a reader has solved, chapter by chapter: a table in a notebook, text in a terminal."""

    chapters: list[Chapter]
    kept: bool
    """Whether tries are recorded at all."""

    @property
    def headline(self) -> str:
        """How many exercises of how many are solved."""
        count = sum(len(chapter.states) for chapter in self.chapters)
        return f"{sum(chapter.solved for chapter in self.chapters)} of {count} exercises solved"

    @property
    def upcoming(self) -> Chapter | None:
        """The chapter to go on with: the first that is begun, or else the first with work left."""
        left = [chapter for chapter in self.chapters if chapter.unsolved]
        return next((chapter for chapter in left if chapter.is_begun), left[0] if left else None)

    def advice(self, chapter: Chapter) -> str:
        """What to do next."""
        return f"exercise {chapter.unsolved} of {chapter.title}"

    def parts(self) -> list[tuple[str, list[Chapter]]]:
        """The chapters, part by part."""
        grouped = itertools.groupby(self.chapters, key=lambda chapter: chapter.part)
        return [(part, list(chapters)) for part, chapters in grouped]

    def __repr__(self) -> str:
        width = max((len(chapter.title) for chapter in self.chapters), default=0)
        most = max((len(chapter.states) for chapter in self.chapters), default=0)
        lines = [self.headline, ""]
        for part, chapters in self.parts():
            lines.append(part)
            for chapter in chapters:
                marks = "".join(state.value[1] for state in chapter.states.values())
                lines.append(f"  {chapter.title:<{width}}  {marks:<{most}}  {chapter.count}")
        lines += ["", "   ".join(f"{state.value[1]} {state.value[0]}" for state in State)]
        if not self.kept:
            lines.append(NOT_KEPT)
        elif chapter := self.upcoming:
            lines.append(f"Next: {self.advice(chapter)}, {chapter.notebook}".rstrip(", "))
        else:
            lines.append(ALL_SOLVED)
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = []
        for part, chapters in self.parts():
            rows.append(
                f'<tr><th colspan="3" scope="rowgroup" {LEFT}>{html.escape(part)}</th></tr>'
            )
            rows += map(row, chapters)
        legend = "".join(f"{box('', state)} {state.value[0]} &ensp; " for state in State)
        if not self.kept:
            after = NOT_KEPT
        elif chapter := self.upcoming:
            after = f"Next: {link(self.advice(chapter), chapter.notebook)}"
        else:
            after = ALL_SOLVED
        return (
            f"<p><strong>{self.headline}</strong></p>\n"
            f'<table style="border-collapse:collapse;margin:0 0 1em">\n<tbody>\n'
            + "\n".join(rows)
            + f"\n</tbody>\n</table>\n<p>{legend}</p>\n<p>{after}</p>"
        )


LEFT = 'style="text-align:left;padding:.25em 1.2em .25em 0"'
BOX = (
    "display:inline-block;box-sizing:border-box;width:1.7em;height:1.7em;line-height:1.4em;"
    "margin-right:.25em;border-radius:.3em;text-align:center;vertical-align:middle;"
)
NOT_KEPT = "Tries are not recorded in this run: NEXUS_PROGRESS is off, or this is CI."
ALL_SOLVED = "You have solved all of them."


def row(chapter: Chapter) -> str:
    """A chapter as a row of the table."""
    boxes = "\n".join(box(str(number), state) for number, state in chapter.states.items())
    return (
        f"<tr><td {LEFT}>{html.escape(chapter.title)}</td><td {LEFT}>{boxes}</td>"
        f"<td {LEFT}>{chapter.count}</td></tr>"
    )


def box(number: str, state: State) -> str:
    """An exercise as a small box, readable on light and on dark pages."""
    word, _, look = state.value
    said = f' role="img" aria-label="exercise {number}: {word}" title="{word}"' if number else ""
    return f'<span{said} style="{BOX}{look}">{number}</span>'


def link(text: str, notebook: str) -> str:
    """A link to a notebook, from the folder of the notebook that shows it."""
    here = Path.cwd()
    if not notebook or not here.is_relative_to(book.ROOT):
        return html.escape(f"{text}, {notebook}".rstrip(", "))
    return f'<a href="{os.path.relpath(book.ROOT / notebook, here)}">{html.escape(text)}</a>'


def chapters(records: Records) -> dict[str, Chapter]:
    """The chapters that count, by name, in the book's order.

    Args:
        records: what was tried and solved.
    """
    there = {name: names for name, names in exercises().items() if name not in UNCOUNTED}
    known = book.chapters()
    order = [name for name in known if name in there] + [
        name for name in there if name not in known
    ]
    found = {}
    for name in order:
        numbers = sorted(int(exercise.rpartition(".")[2]) for exercise in there[name])
        states = {number: State.of(records.get(f"{name}.{number}")) for number in numbers}
        other = book.Chapter(name, name, "Others" if known else "Chapters", "")
        on_map = known.get(name, other)
        found[name] = Chapter(on_map.title, on_map.part, on_map.notebook, states)
    return found


def progress() -> Progress:
    """What you have solved, chapter by chapter, and what to do next.

    Raises:
        ProgressError: if the file is there and cannot be read.
    """
    records = own()
    return Progress(list(chapters(records or {}).values()), kept=records is not None)
