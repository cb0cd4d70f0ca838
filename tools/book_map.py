"""Write the map of learning areas into intro.md and README.md, from data/map.yml.

A chapter is linked once its notebook exists and stands in _toc.yml. `--check` writes nothing and
fails when a page is behind.
"""

import argparse
import sys
from pathlib import Path

import yaml

from tools import chapters
from tools.chapters import Entry

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("intro.md", "README.md")
START, END = "<!-- map:start -->", "<!-- map:end -->"


def tables(parts: list[dict[str, str]], planned: list[Entry], written: set[str]) -> str:
    """Draw the map: one table a part, in plain Markdown that GitHub shows too.

    Args:
        parts: the parts of data/map.yml: name and title.
        planned: all chapters of the map.
        written: the notebooks that are in the book, from the project's folder.

    Returns:
        The Markdown, without the markers.
    """
    present = sum(entry.notebook in written for entry in planned)
    count = f"{present} of {len(planned)} chapters"
    lines = [
        f"{count} {'is' if present == 1 else 'are'} there, and linked. The others are to come."
    ]
    for part in parts:
        lines += ["", f"### {part['title']}", "", "| Chapter | What it promises |", "|---|---|"]
        for entry in planned:
            if entry.part == part["name"]:
                there = entry.notebook in written
                title = f"**[{entry.title}]({entry.notebook})**" if there else entry.title
                lines.append(f"| {title} | {sentence(entry.promise)} |")
    return "\n".join(lines)


def sentence(promise: str) -> str:
    """Begin a promise with a capital letter."""
    return promise[:1].upper() + promise[1:]


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

    block = tables(parts, planned, written)
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
