"""What a reader can take along: the ePub, the PDFs and the deck of cards, offered in the book.

`make epub` and `make pdf` store their files in _build/downloads. The built book has its own copies,
and its page about reading offline lists those that are there.
"""

import re
import shutil
from html import escape
from pathlib import Path

import yaml

from tools import chapters

ROOT = chapters.ROOT
BUILD = ROOT / "_build"
FOLDER = BUILD / "downloads"
PAGE = "docs/offline"
NAME = "project-nexus"
LIST = re.compile(r'(<div id="downloads">).*?(</div>)', re.DOTALL)


def kinds(root: Path = ROOT) -> dict[str, str]:
    """Return the files that can be made, in the order of the list, with what each is."""
    parts = yaml.safe_load((root / "data" / "map.yml").read_text())["parts"]
    return {
        f"{NAME}.epub": "the book as an ePub, for e-readers",
        f"{NAME}.pdf": "the book as one PDF",
        **{f"{NAME}-{part['name']}.pdf": f"the part {part['title']} as a PDF" for part in parts},
        f"{NAME}.apkg": "the interview cards as a deck for Anki",
    }


def listed(folder: Path, root: Path = ROOT) -> str:
    """Return the list of the files that are in a folder, as HTML."""
    lines = [
        f'<li><a href="../downloads/{name}" download="">{escape(what)}</a> '
        f"({size(folder / name)})</li>"
        for name, what in kinds(root).items()
        if (folder / name).is_file()
    ]
    return f"<ul>{''.join(lines)}</ul>" if lines else "<p>None is made yet.</p>"


def size(file: Path) -> str:
    """Return a file's size as people read it."""
    size = file.stat().st_size
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def offer(html: Path, folder: Path = FOLDER, root: Path = ROOT) -> None:
    """Copy what is made into a built book, and list it there.

    Args:
        html: The built book.
        folder: What is made.
        root: The project's folder.
    """
    page = html / f"{PAGE}.html"
    if not page.is_file():  # no book, or a part of it
        return
    inside = html / "downloads"
    inside.mkdir(exist_ok=True)
    for name in kinds(root):
        if (folder / name).is_file():
            shutil.copy2(folder / name, inside / name)
    text = page.read_text()
    page.write_text(LIST.sub(lambda found: found[1] + listed(inside, root) + found[2], text))
