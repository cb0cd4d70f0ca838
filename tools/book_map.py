"""Write the map of learning areas into intro.md and README.md, from data/map.yml.

A chapter is there once its notebook exists and is in _toc.yml. `--check` writes nothing and
fails when a page is behind.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat
import yaml

from tools import chapters, reading
from tools.chapters import Entry

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("intro.md", "README.md")
START, END = "<!-- map:start -->", "<!-- map:end -->"


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
    return Written(entry, *reading.minutes(nbformat.read(root / entry.notebook, as_version=4)))


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


def hours(minutes: int) -> str:
    """Say a time in hours, to the nearest half."""
    halves = max(1, round(minutes / 30))
    if halves == 1:
        return "half an hour"
    return f"{halves // 2}{'½' * (halves % 2)} hour{'s' * (halves > 2)}"


def insert(page: str, block: str) -> str:
    """Put the map between the markers of a page.

    Args:
        page: the page's Markdown.
        block: the map.

    Returns:
        The page with this map.

    Raises:
        ValueError: when the page does not have each marker once, in order.
    """
    before, start, rest = page.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end) or START in rest or END in before + after:
        raise ValueError(f"needs the lines {START} and {END}, each once and in this order")
    return f"{before}{START}\n{block}\n{END}{after}"


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

    block = tables(parts, planned, [measured(e, root) for e in planned if e.notebook in written])
    behind = []
    for name in PAGES:
        old = (root / name).read_text()
        try:
            new = insert(old, block)
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
