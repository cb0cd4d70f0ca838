"""Start a chapter from the template: all of its rooms, and its place in the book.

Everything the new chapter has is the template's, so it runs and passes all checks at once; then it
is rewritten piece by piece. A chapter is started whole or not at all.
"""

import argparse
import contextlib
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from tools import book_map, chapters, refresh
from tools.chapters import Entry

NEW_NOTE = """> **To be written.** Below this cell everything is the template's still: replace it \
piece by piece, the judges in `nexus/exercises/{module}.py` too, and delete the notes."""

GOTCHAS = """\
# Gotchas: {title}

From [{title}](../../{notebook}), where each is reproduced.

## `not yet: it finds nothing as long as one review has NULL for its property`

**Looks like**: a query with `NOT IN` finds no row at all.

**Cause**: the list holds a `NULL`. Test: `SELECT count(*) FROM review WHERE property_id IS NULL`.

**Fix**: use `NOT EXISTS`.
"""


class ChapterError(ValueError):
    """A chapter that cannot be started; the text says why, and what to do."""


def entry(name: str, part: str, root: Path) -> Entry:
    """Return the chapter that data/map.yml plans under a name.

    Args:
        name: The chapter's name.
        part: Its part's name; empty stands for whichever has the chapter.
        root: The project's folder.

    Raises:
        ChapterError: If the map has no such chapter there.
    """
    planned = chapters.planned(root)
    parts = list(dict.fromkeys(known.part for known in planned))
    if not name:
        raise ChapterError("which one? make chapter NAME=migrations PART=data")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise ChapterError(f"{name!r} is no chapter's name: use small letters, digits and hyphens")
    if part and part not in parts:
        raise ChapterError(f"there is no part {part!r}. There are: {', '.join(parts)}")
    for known in planned:
        if known.name != name:
            continue
        if part and known.part != part:
            raise ChapterError(f"{name} belongs to the part {known.part}, not to {part}")
        return known
    raise ChapterError(
        f"data/map.yml does not plan {name!r}. Enter it there first, where it belongs, with its "
        "title and its promise"
    )


def renamed(text: str, planned: Entry) -> str:
    """Return a text of the template's with the chapter's names in it."""
    named = re.sub(r'(?<=")template(?=["_.])', planned.name, text)
    return named.replace("of the template chapter", f'of "{planned.title}"')


def notebook(template: Path, planned: Entry) -> nbformat.NotebookNode:
    """Return the template as a chapter of its own."""
    copy = chapters.read(template)
    for cell in copy.cells:
        cell.source = renamed(cell.source, planned)
    first = copy.cells[0]
    _, _, rest = first.source.partition("\n")
    text, _, _ = rest.partition("\n> ")
    note = NEW_NOTE.format(module=planned.module)
    first.source = f"# {planned.heading}\n{text}\n{note}"
    return copy


def table_of_contents(text: str, planned: Entry, root: Path) -> str:
    """Enter a chapter into the table of contents, at the place that the map gives it.

    Args:
        text: What `_toc.yml` holds.
        planned: The chapter.
        root: The project's folder.

    Returns:
        The new text; comments are kept.
    """
    editor = YAML()
    editor.preserve_quotes = True
    editor.indent(mapping=2, sequence=4, offset=2)
    editor.width = 100
    toc = editor.load(text)
    parts = yaml.safe_load((root / "data" / "map.yml").read_text())["parts"]
    order = [part["title"] for part in parts]
    caption = next(part["title"] for part in parts if part["name"] == planned.part)
    captions = [known.get("caption") for known in toc["parts"]]
    if caption not in captions:
        later = order[order.index(caption) :]
        place = next((n for n, known in enumerate(captions) if known in later), None)
        if place is None:  # after the last part of the map that is there; other parts follow it
            earlier = [n for n, known in enumerate(captions) if known in order]
            place = earlier[-1] + 1 if earlier else 0
        toc["parts"].insert(place, CommentedMap(caption=caption, chapters=[]))
        captions.insert(place, caption)
    listed = toc["parts"][captions.index(caption)]["chapters"]
    files = [known.notebook.removesuffix(".ipynb") for known in chapters.planned(root)]
    own = files.index(planned.notebook.removesuffix(".ipynb"))
    before = [n for n, known in enumerate(listed) if known.get("file") in files[:own]]
    listed.insert(before[-1] + 1 if before else 0, CommentedMap(file=files[own]))
    out = io.StringIO()
    editor.dump(toc, out)
    return out.getvalue()


@contextlib.contextmanager
def whole_or_not_at_all(*paths: Path) -> Iterator[None]:
    """Put files back as they were if what is done to them fails or is interrupted."""
    before = {path: path.read_bytes() if path.exists() else None for path in paths}
    try:
        yield
    except BaseException:
        for path, content in before.items():
            if content is None:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(content)
        raise


def start(name: str, part_name: str, root: Path = chapters.ROOT) -> list[Path]:
    """Start a chapter.

    Args:
        name: Its file name, without a suffix; data/map.yml has it.
        part_name: Its part, or nothing.
        root: The project's folder.

    Returns:
        The files to write in now.

    Raises:
        ChapterError: If it cannot be started.
        refresh.ChapterFailedError: If it does not run; nothing of it is left.
    """
    planned = entry(name, part_name, root)
    toc = root / "_toc.yml"
    rooms = {what: root / place for what, place in planned.rooms.items()}
    for path in rooms.values():
        if path.exists():
            raise ChapterError(f"{path.relative_to(root)} exists already")
    if planned.notebook.removesuffix(".ipynb") in chapters.entries(root):
        raise ChapterError(f"_toc.yml has {name} already, without its file: take it out first")
    template = {what: root / place for what, place in chapters.TEMPLATE_ROOMS.items()}
    pages = [root / page for page in book_map.PAGES]
    with whole_or_not_at_all(*rooms.values(), toc, *pages):
        for path in rooms.values():
            path.parent.mkdir(parents=True, exist_ok=True)
        for what in ("judges", "tests of its judges", "seeded faults", "cards"):
            rooms[what].write_text(renamed(template[what].read_text(), planned))
        # A long name makes long lines.
        code = [str(path) for path in rooms.values() if path.suffix == ".py"]
        subprocess.run(
            [sys.executable, "-m", "ruff", "format", "--quiet", "--no-cache", *code], check=True
        )
        rooms["gotchas"].write_text(GOTCHAS.format(title=planned.title, notebook=planned.notebook))
        refresh.store(notebook(template["chapter"], planned), rooms["chapter"])
        toc.write_text(table_of_contents(toc.read_text(), planned, root))
        book_map.main([], root)
        refresh.refresh(rooms["chapter"])
    return list(rooms.values())


def main() -> int:
    """Run the command; see the module's own text."""
    parser = argparse.ArgumentParser(description="Start a chapter from the template.")
    parser.add_argument("name", help="such as migrations")
    parser.add_argument("part", nargs="?", default="", help="such as data")
    asked = parser.parse_args()
    try:
        paths = start(asked.name, asked.part)
    except (ChapterError, refresh.ChapterFailedError) as error:
        print(f"chapter: {error}", file=sys.stderr)
        return 1
    print("Started, run and entered in _toc.yml. Now write in:")
    for path in paths:
        print(f"  {path.relative_to(chapters.ROOT)}")
    print(f"Then: make refresh CHAPTER={asked.name}, and make test CHAPTER={asked.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
