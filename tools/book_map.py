"""Write the map of learning areas from data/map.yml, and what CI compares, into both first pages.

They are intro.md and README.md. A chapter is there once its notebook exists and is in _toc.yml. How
many cells are compared, and how long the paths for a beginner and for an interview take, is written
where a page has the markers for it. `--check` writes nothing and fails when a page is behind.
"""

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml
from nbformat import NotebookNode

from tools import chapters, reading
from tools.chapters import Entry

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("intro.md", "README.md")
START, END = "<!-- map:start -->", "<!-- map:end -->"
COMPARED = "<!-- compared:start -->", "<!-- compared:end -->"
# In the line of the path: a comment before and after.
BEGINNER, INTERVIEW = "beginner", "interview"
SECTION = re.compile(
    r"^## (?:When it bites|What to keep)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL
)
PICTURE = ("image/png", "image/jpeg")  # nbval compares all other kinds


@dataclass(frozen=True)
class Written:
    """A chapter that is there.

    Attributes:
        entry: What the map says of it.
        reading: How many minutes it takes to read.
        exercising: How many minutes its exercises take.
    """

    entry: Entry
    reading: int
    exercising: int


def measured(entry: Entry, root: Path) -> Written:
    """Return a chapter with its times, which are computed from its text."""
    return Written(entry, *reading.minutes(chapters.read(root / entry.notebook)))


def tables(parts: list[dict[str, str]], planned: list[Entry], written: list[Written]) -> str:
    """Draw the map: what is there, and folded below it what is to come, in plain Markdown.

    Args:
        parts: the parts of data/map.yml: name and title.
        planned: all chapters of the map.
        written: those that are in the book.

    Returns:
        The Markdown, without the markers.
    """
    titles = {part["name"]: part["title"] for part in parts}
    lines = [
        f"The book has {len(written)} of {len(planned)} chapters so far. "
        f"Reading them takes {hours(sum(one.reading for one in written))}, and the exercises take "
        f"{hours(sum(one.exercising for one in written))} more. The last column has the minutes "
        "of each chapter, reading first.",
        "",
        "| Chapter | You will be able to | Minutes |",
        "|---|---|---|",
    ]
    for one in written:
        link = f"**[{one.entry.title}]({one.entry.notebook})**"
        times = f"{one.reading} + {one.exercising}"
        lines.append(f"| {link} | {one.entry.promise} | {times} |")
    there = [one.entry for one in written]
    coming = [entry for entry in planned if entry not in there]
    if coming:
        said = f"{len(coming)} chapter{'s' * (len(coming) > 1)} to come"
        lines += ["", "<details>", f"<summary>{said}</summary>", ""]
        for part in dict.fromkeys(entry.part for entry in coming):
            names = [entry.title for entry in coming if entry.part == part]
            lines.append(f"- **{titles[part]}**: {', '.join(names)}")
        lines += ["", "</details>"]
    return "\n".join(lines)


def compared(notebooks: list[NotebookNode]) -> str:
    """Say how much of what the chapters show is compared when CI runs them, and what is not."""
    cells = [cell for each in notebooks for cell in each.cells if cell.cell_type == "code"]
    others = [c for c in cells if "nbval-ignore-output" in c.metadata.get("tags", ())]
    versions = sum("version" in cell.metadata.get("reason", "").lower() for cell in others)
    kinds = [kind for cell in cells for out in cell.outputs for kind in out.get("data", ())]
    drawn = kinds.count("image/svg+xml")
    timed = sum(kind in PICTURE for kind in kinds)
    return (
        f"The notebooks of this book have {len(cells)} cells of code. CI runs all of them, and "
        f"compares the output of {len(cells) - len(others)} with the stored one, {drawn} drawn "
        f"pictures included. It does not compare {len(others)} cells. {versions} of these print "
        f"the versions of programs, and each of the other {len(others) - versions} gives its "
        f"reason in the notebook. It does not compare the {timed} pictures of times either."
    )


def path_markers(name: str) -> tuple[str, str]:
    """Return what stands before and after the time of a path."""
    return f"<!-- {name}:start -->", f"<!-- {name}:end -->"


def beginners_time(page: str, root: Path = ROOT) -> str:
    """Say how long the chapters take that are linked in the line of the beginner's path."""
    (line,) = (each for each in page.splitlines() if path_markers(BEGINNER)[0] in each)
    linked = re.findall(r"\((notebooks/\w+/[\w-]+\.ipynb)\)", line)
    times = [reading.minutes(chapters.read(root / name)) for name in dict.fromkeys(linked)]
    read, exercised = (sum(each) for each in zip(*times, strict=True))
    return f"They take {hours(read)} to read, and their exercises {hours(exercised)} more."


def interviews_time(written: list[Written], root: Path = ROOT) -> str:
    """Say how long the path for an interview takes: cards, ends of chapters, gotchas, exercises."""
    texts = [
        path.read_text()
        for pattern in ("notes/gotchas/*.md", "notes/cards/*.yml")
        for path in root.glob(pattern)
        if path.stem != "template"
    ]
    for one in written:
        cells = chapters.read(root / one.entry.notebook).cells
        source = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        texts += SECTION.findall(source)
    read = sum(len(text.split()) for text in texts) // reading.WORDS_A_MINUTE
    exercised = reading.MINUTES_AN_EXERCISE * sum(one.exercising > 0 for one in written)
    return f"This takes {hours(read)} to read, and the exercises {hours(exercised)} more."


def say(page: str, name: str, text: str) -> str:
    """Put the time of a path into its line."""
    first, last = path_markers(name)
    between = re.compile(f"{re.escape(first)}.*?{re.escape(last)}")
    return between.sub(f"{first}{text}{last}", page)


def hours(minutes: int) -> str:
    """Say a time in hours, to the nearest half."""
    halves = max(1, round(minutes / 30))
    if halves == 1:
        return "half an hour"
    return f"{halves // 2}{'½' * (halves % 2)} hour{'s' * (halves > 2)}"


def insert(page: str, block: str, markers: tuple[str, str] = (START, END)) -> str:
    """Put the map, or something else, between the markers of a page.

    Args:
        page: the page's Markdown.
        block: the map.
        markers: what stands before it and after it.

    Returns:
        The page with this map.

    Raises:
        ValueError: when the page does not have each marker once, in order.
    """
    first, last = markers
    before, start, rest = page.partition(first)
    _, end, after = rest.partition(last)
    if not (start and end) or first in rest or last in before + after:
        raise ValueError(f"needs the lines {first} and {last}, each once and in this order")
    return f"{before}{first}\n{block}\n{last}{after}"


def main(arguments: list[str] | None = None, root: Path = ROOT) -> None:
    """Write or check the map.

    Args:
        arguments: those of the command line.
        root: the project's folder.

    Raises:
        SystemExit: with a message, when a page has no place for the map, when a chapter of the
            book is not on the map, or (with `--check`) when a page is behind.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail when behind")
    check = parser.parse_args(arguments).check

    parts = yaml.safe_load((root / "data" / "map.yml").read_text())["parts"]
    planned = chapters.planned(root)
    written = {path.relative_to(root).as_posix() for path in chapters.in_book(root)}
    written = {name for name in written if name.count("/") == 2}  # not those beside the parts
    if unknown := sorted(written - {entry.notebook for entry in planned}):
        sys.exit(f"map: in _toc.yml but not in data/map.yml: {', '.join(unknown)}; enter it there")

    there = [measured(entry, root) for entry in planned if entry.notebook in written]
    block = tables(parts, planned, there)
    claims = compared([chapters.read(path) for path in chapters.in_book(root)])
    behind = []
    for name in PAGES:
        old = (root / name).read_text()
        try:
            new = insert(old, block)
            if COMPARED[0] in new:
                new = insert(new, claims, COMPARED)
            if path_markers(BEGINNER)[0] in new:
                new = say(new, BEGINNER, beginners_time(new, root))
                new = say(new, INTERVIEW, interviews_time(there, root))
        except ValueError as error:
            sys.exit(f"map: {name} {error}")
        if new != old:
            behind.append(name)
            if not check:
                (root / name).write_text(new)
    if behind and check:
        sys.exit(f"map: {' and '.join(behind)} behind data/map.yml; run python -m tools.book_map")


if __name__ == "__main__":
    main()
