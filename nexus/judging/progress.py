"""What a reader has tried and solved, kept on the reader's own machine."""

import contextlib
import datetime
import enum
import fcntl
import html
import itertools
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
import yaml

from nexus.judging.registry import exercises

ROOT = Path(__file__).resolve().parent.parent.parent

UNCOUNTED = ("start-here", "template")
"""They have exercises too, but are not among the chapters to be learned."""

FORMER = {
    "background": "background-jobs",
    "ci": "ci-cd",
    "django_project": "django-project",
    "indexes": "indexes-and-plans",
    "rest": "rest-with-drf",
    "transactions": "transactions-and-locks",
}
"""What a chapter's exercises were called once, and are called now."""

Records = dict[str, Any]
"""By exercise: {"tries": 3, "solved": "2026-11-25" or None}. What another version of this module
has written beside that is kept as it is."""


# What is kept


def place() -> Path | None:
    """The file that keeps progress: named by NEXUS_PROGRESS, or in the user's data directory.

    Returns:
        The path; None if nothing is to be kept: NEXUS_PROGRESS is "off", or this is CI.
    """
    named = os.environ.get("NEXUS_PROGRESS")
    if named == "off" or (named is None and os.environ.get("CI")):
        return None
    if named:
        return Path(named).expanduser()
    return platformdirs.user_data_path("nexus", appauthor=False) / "progress.json"


def load(path: Path) -> Records:
    """Reads the records, under today's names; what is no such file is set aside."""
    try:
        records = json.loads(path.read_text())
    except OSError:
        return {}
    except ValueError:
        records = None
    if isinstance(records, dict):
        return renamed(records)
    set_aside(path)
    return {}


def set_aside(path: Path) -> None:
    """Copies a file that cannot be understood, so that nothing in it is lost."""
    path.with_suffix(".unreadable").write_bytes(path.read_bytes())


def understood(record: object) -> bool:
    """Whether this is the record of an exercise."""
    return (
        isinstance(record, dict)
        and type(record.get("tries")) is int
        and isinstance(record.get("solved", ...), str | None)
    )


def renamed(records: Records) -> Records:
    """The records under today's names; of two for one exercise, both count."""
    carried = dict(records)
    for name, record in records.items():
        chapter, _, number = name.partition(".")
        today = f"{FORMER.get(chapter, chapter)}.{number}"
        there = carried.get(today, {"tries": 0, "solved": None})
        if chapter in FORMER and understood(record) and understood(there):
            days = [day for day in (record["solved"], there["solved"]) if day]
            tries = record["tries"] + there["tries"]
            carried[today] = record | there | {"tries": tries, "solved": min(days, default=None)}
            del carried[name]
    return carried


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Lets one kernel at a time change the records, so that no try of another is lost."""
    with path.with_suffix(".lock").open("a") as file:
        with contextlib.suppress(OSError):  # some network drives know no locks
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def record(name: str, *, right: bool) -> None:
    """Records one try; where that is impossible it says so and changes nothing.

    Args:
        name: the exercise.
        right: whether it was right.
    """
    path = place()
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with alone(path):
            records = load(path)
            if name in records and not understood(records[name]):
                set_aside(path)
                del records[name]
            entry = records.setdefault(name, {"tries": 0, "solved": None})
            entry["tries"] += 1
            if right and not entry["solved"]:
                entry["solved"] = datetime.date.today().isoformat()
            new = path.with_suffix(f".{os.getpid()}")
            new.write_text(json.dumps(records, indent=1, sort_keys=True))
            new.replace(path)  # whole or not at all
    except OSError as error:
        print(f"(progress could not be kept in {path}: {error.strerror})")  # noqa: T201


# What is shown


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
    if not notebook or not here.is_relative_to(ROOT):
        return html.escape(f"{text}, {notebook}".rstrip(", "))
    return f'<a href="{os.path.relpath(ROOT / notebook, here)}">{html.escape(text)}</a>'


def planned() -> dict[str, tuple[str, str, str]]:
    """Title, part and notebook of every chapter on the map, in the book's order."""
    try:
        parts = yaml.safe_load((ROOT / "data" / "map.yml").read_text())["parts"]
    except OSError:  # the package is used without the book
        return {}
    return {
        chapter["name"]: (
            chapter["title"],
            part["title"],
            f"notebooks/{part['name']}/{chapter['name']}.ipynb",
        )
        for part in parts
        for chapter in part["chapters"]
    }


def progress() -> Progress:
    """What you have solved, chapter by chapter, and what to do next."""
    path = place()
    records = load(path) if path else {}
    there = {name: names for name, names in exercises().items() if name not in UNCOUNTED}
    known = planned()
    order = [name for name in known if name in there] + [
        name for name in there if name not in known
    ]
    chapters = []
    for name in order:
        numbers = sorted(int(exercise.rpartition(".")[2]) for exercise in there[name])
        states = {number: State.of(records.get(f"{name}.{number}")) for number in numbers}
        title, part, notebook = known.get(name, (name, "Others" if known else "Chapters", ""))
        chapters.append(Chapter(title, part, notebook, states))
    return Progress(chapters, kept=path is not None)
