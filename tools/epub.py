"""Make the book as an ePub, in _build/downloads, and offer it in the built book.

Sphinx's own builder writes the pages. They are then written again as well-formed XHTML, since a
page may have HTML of its own, and e-readers refuse a page that is not well-formed.
"""

import posixpath
import shutil
import sys
import time
import tomllib
import zipfile
from collections.abc import Collection
from pathlib import Path

import yaml
from bs4 import BeautifulSoup

from tools import book, downloads

ROOT = downloads.ROOT
# Apart from the HTML's: what is read for one form has no use for the other, and outputs with
# pictures are stored beside the pages.
FOLDER = downloads.BUILD / "epub"
PAGES = FOLDER / "pages"
# They are for a browser; the theme does not know this builder.
FOR_BROWSERS = {
    "sphinx_book_theme",
    "icons",
    "print_page",
    "descriptions",
}
# No page of an ePub runs them.
SCRIPTS = [
    f"_static/{name}.js"
    for name in (
        "cards",
        "clipboard.min",
        "copybutton",
        "copybutton_funcs",
        "doctools",
        "documentation_options",
        "language_data",
        "messages",
        "messages-data",
        "print",
        "searchtools",
        "sphinx_highlight",
    )
]
MOMENT = (2026, 1, 1, 0, 0, 0)


def settings() -> dict[str, object]:
    """Return what Sphinx must know beside _config.yml."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    extensions = config["sphinx"]["config"]["extensions"]
    return {
        "extensions": [name for name in extensions if name not in FOR_BROWSERS],
        "project": config["title"],
        "version": version,
        "release": version,
        "html_theme": "epub",
        "html_theme_options": {},
        "html_css_files": [],
        "templates_path": [],
        "epub_theme": "epub",
        "epub_basename": downloads.NAME,
        "epub_css_files": ["epub.css"],
        # Sphinx writes one into one table of contents and the other into the other.
        "epub_uid": f"{downloads.NAME}-{version}",
        "epub_identifier": f"{downloads.NAME}-{version}",
        "epub_scheme": "name",
        "epub_description": "Backend engineering in notebooks that run real servers.",
        "epub_contributor": config["author"],
        "epub_show_urls": "no",
        "epub_tocdepth": 2,
        "epub_tocdup": False,
        "epub_exclude_files": [*SCRIPTS, "index.html"],
    }


def well_formed(page: str, name: str = "", files: Collection[str] | None = None) -> str:
    """Return a page as XHTML without scripts, whatever HTML is in it.

    Args:
        page: A page as Sphinx has written it.
        name: Its name in the ePub.
        files: The names of all files in the ePub; a style sheet that is not there is not asked for.
    """
    soup = BeautifulSoup(page, "html.parser")
    for sheet in soup.find_all("link", rel="stylesheet"):
        target = posixpath.normpath(posixpath.join(posixpath.dirname(name), sheet["href"]))
        if files is not None and target.partition("?")[0] not in files:
            sheet.decompose()
    for script in soup.find_all("script"):
        script.decompose()
    for summary in soup.find_all("summary"):  # which may not hold a paragraph
        paragraphs = summary.find_all("p")
        if paragraphs:  # what folds a cell has one for each state
            summary.string = paragraphs[0].get_text().strip()
    # An id may be there once.
    seen: set[str] = set()
    for tag in soup.find_all(id=True):
        if tag["id"] in seen:
            del tag["id"]
        seen.add(tag.get("id", ""))
    text = soup.decode(formatter="minimal")
    return text if text.startswith("<?xml") else f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'


def pack(source: Path, target: Path) -> None:
    """Pack an ePub again: its pages well-formed, and the times of all files the same.

    Args:
        source: What Sphinx has packed.
        target: The new file.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():  # the type comes first, as the format wants it
            content = old.read(name)
            if name.endswith(".xhtml"):
                content = well_formed(content.decode(), name, old.namelist()).encode()
            entry = zipfile.ZipInfo(name, MOMENT)
            stored = name == "mimetype"
            entry.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            new.writestr(entry, content)


def main() -> int:
    """Make the ePub; see the module's own text."""
    began = time.monotonic()
    book.check_settings()
    shutil.rmtree(FOLDER, ignore_errors=True)  # a rebuild would not see a changed extension
    print("Writing the ePub: all pages are read, which takes a minute …", flush=True)
    if book.build("epub", PAGES, FOLDER / ".doctrees", **settings()) != 0:
        print("epub: not made. Each WARNING and ERROR above counts as a failure.", file=sys.stderr)
        return 1
    file = downloads.FOLDER / f"{downloads.NAME}.epub"
    pack(PAGES / file.name, file)
    downloads.offer(book.HTML)
    took = time.monotonic() - began
    print(f"{file.relative_to(ROOT)}: {downloads.size(file)}, in {took:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
