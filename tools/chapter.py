"""Start a chapter from the template: notebook, judges, their tests, and its place in the book.

Everything the new chapter has is the template's, so it runs and passes all checks at once; then it
is rewritten piece by piece. A chapter is started whole or not at all.
"""

import argparse
import contextlib
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from tools import book_map, chapters, refresh
from tools.chapters import Entry

NEW_NOTE = """> **To be written.** Below this cell everything is the template's still: replace it \
piece by piece, the judges in `nexus/exercises/{module}.py` too, and delete the notes."""


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


def renamed(text: str, module: str) -> str:
    """Return a text of the template's with the exercises' name changed."""
    named = re.sub(r'(?<=")template(?=[".])', module, text)
    return named.replace("of the template chapter", f"of {module}")


def notebook(template: Path, title: str, module: str) -> nbformat.NotebookNode:
    """Return the template as a chapter of its own."""
    copy = nbformat.read(template, as_version=4)
    for cell in copy.cells:
        cell.source = renamed(cell.source, module)
    first = copy.cells[0]
    _, _, rest = first.source.partition("\n")
    text, _, _ = rest.partition("\n> ")
    first.source = f"# {title}\n{text}\n{NEW_NOTE.format(module=module)}"
    return copy


def table_of_contents(text: str, part: dict[str, Any], name: str, order: list[str]) -> str:
    """Enter a chapter into the table of contents, at the place that the map gives it.

    Args:
        text: What `_toc.yml` holds.
        part: The chapter's part, from the map.
        name: The chapter's name.
        order: The titles of all parts, in the map's order.

    Returns:
        The new text; comments are kept.
    """
    editor = YAML()
    editor.indent(mapping=2, sequence=4, offset=2)
    editor.width = 100
    toc = editor.load(text)
    captions = [known["caption"] for known in toc["parts"]]
    if part["title"] not in captions:
        later = order[order.index(part["title"]) :]
        place = next((n for n, known in enumerate(captions) if known in later), None)
        if place is None:  # after the last part of the map that is there; other parts follow it
            earlier = [n for n, known in enumerate(captions) if known in order]
            place = earlier[-1] + 1 if earlier else 0
        toc["parts"].insert(place, CommentedMap(caption=part["title"], chapters=[]))
        captions.insert(place, part["title"])
    listed = toc["parts"][captions.index(part["title"])]["chapters"]
    files = [f"notebooks/{part['name']}/{chapter['file']}" for chapter in part["chapters"]]
    own = files.index(f"notebooks/{part['name']}/{name}")
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
    part, planned = entry(name, part_name, root)
    path = root / "notebooks" / part["name"] / f"{name}.ipynb"
    toc = root / "_toc.yml"
    if path.exists():
        raise ChapterError(f"{path.relative_to(root)} exists already")
    if f"notebooks/{part['name']}/{name}" in chapters.entries(root):
        raise ChapterError(f"_toc.yml has {name} already, without its file: take it out first")
    module = module_name(name, root)
    judges = root / "nexus" / "exercises" / f"{module}.py"
    tests = root / "tests" / f"test_judges_{module}.py"
    if tests.exists():
        raise ChapterError(f"{tests.relative_to(root)} exists already")
    order = [
        known["title"] for known in yaml.safe_load((root / "data" / "map.yml").read_text())["parts"]
    ]
    pages = [root / page for page in book_map.PAGES]
    with whole_or_not_at_all(path, judges, tests, toc, *pages):
        for new in (judges, tests):
            source = new.with_name(new.name.replace(module, "template"))
            new.write_text(renamed(source.read_text(), module))
        path.parent.mkdir(exist_ok=True)
        template = root / chapters.TEMPLATE.relative_to(chapters.ROOT)
        refresh.store(notebook(template, planned["promise"], module), path)
        toc.write_text(table_of_contents(toc.read_text(), part, name, order))
        book_map.main([], root)
        refresh.refresh(path)
    return [path, judges, tests]


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
    print(f"Then: make refresh CHAPTER={asked.name}, and make test")
    return 0


if __name__ == "__main__":
    sys.exit(main())
