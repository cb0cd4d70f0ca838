"""Build the book into _build/html. Any warning is a failure.

`python tools/book.py` rebuilds the pages that changed; `--clean` builds all of them anew, as CI
does. A page that links into a changed page is not read again, so only `--clean` judges every link.
"""

import argparse
import hashlib
import os
import shutil
import sys
from pathlib import Path

import jsonschema
import yaml
from jupyter_book.config import validate_yaml
from jupyter_book.sphinx import build_sphinx
from sphinx.util.console import color_terminal, nocolor
from sphinx_external_toc.parsing import MalformedError, parse_toc_yaml

from tools import repository

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "_build"
HTML = BUILD / "html"
STAMP = BUILD / "book-complete"


def fingerprint() -> str:
    """Name what every page depends on, and which pages there could be.

    Sphinx sees a page that changed, but not a changed extension, template or style sheet, and it
    leaves the HTML of a page that is gone.

    Returns:
        A digest that stays the same as long as a rebuild of changed pages is enough.
    """
    digest = hashlib.sha256(f"{sys.version} {repository.find()}".encode())
    names = ("_config.yml", "_toc.yml", "requirements.txt", "data/map.yml", "CITATION.cff")
    shared = [ROOT / name for name in names if (ROOT / name).exists()]
    look = {".css", ".html", ".js", ".py", ".svg"}
    shared += sorted((ROOT / "data" / "messages").glob("*.yml"))
    shared += sorted((ROOT / "data").glob("glossary.yml"))
    shared += sorted(path for path in (ROOT / "book").rglob("*") if path.suffix in look)
    for path in shared:
        digest.update(path.read_bytes())
    for folder in ("notebooks", "docs", "notes", "snippets", "diagrams"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in {".md", ".ipynb"} and ".ipynb_checkpoints" not in path.parts:
                digest.update(f"{path.relative_to(ROOT)}\n".encode())
    return digest.hexdigest()


def check_settings() -> None:
    """Read both settings files, so that a mistake in them is named before the build starts.

    Raises:
        SystemExit: with the mistake, when a file cannot be read.
    """
    try:
        settings = yaml.safe_load((ROOT / "_config.yml").read_text())
        validate_yaml(settings, raise_on_errors=True)
        parse_toc_yaml(ROOT / "_toc.yml")
    except (jsonschema.ValidationError, MalformedError, yaml.YAMLError, OSError) as error:
        raise SystemExit(f"book: _config.yml or _toc.yml cannot be used: {error}") from None


def forget() -> None:
    """Remove what was built: the pages, and what Sphinx remembers of them."""
    for path in (HTML, BUILD / ".doctrees", BUILD / "jupyter_execute"):
        if path.exists():
            shutil.rmtree(path)


def build(
    builder: str,
    folder: Path,
    doctrees: Path | None = None,
    *,
    fresh: bool = False,
    **settings: object,
) -> object:
    """Let Sphinx write the book, whose pages it reads anew if they have changed.

    Args:
        builder: Sphinx's name of the form, such as html.
        folder: Where to.
        doctrees: Where Sphinx remembers what it has read, if its settings are not those of html.
        fresh: Whether to read all pages anew.
        settings: In place of those in _config.yml.

    Returns:
        Zero if there was no warning and no error.
    """
    return build_sphinx(
        ROOT,
        folder,
        noconfig=True,
        path_config=ROOT / "_config.yml",
        doctreedir=doctrees or BUILD / ".doctrees",
        confoverrides={
            "external_toc_path": (ROOT / "_toc.yml").as_posix(),
            "latex_individualpages": False,
            "nitpicky": True,
            **settings,
        },
        builder=builder,
        freshenv=fresh,
        warningiserror=True,
        keep_going=True,
        quiet=True,
    )


def main() -> None:
    """Build the book.

    Raises:
        SystemExit: when there was a warning or an error.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clean", action="store_true", help="build all pages anew, as CI does")
    arguments = parser.parse_args()
    check_settings()

    # Sphinx warns of a page once, when it reads it. So only a build without a warning may be
    # continued: the stamp goes first and comes back last, whatever stops us in between.
    current = fingerprint()
    complete = STAMP.read_text() if STAMP.exists() else ""
    STAMP.unlink(missing_ok=True)
    if arguments.clean or complete != current:
        forget()
    if not color_terminal():
        nocolor()
    print("Building the book …", flush=True)
    result = build("html", HTML)
    if result != 0:
        raise SystemExit("\nbook: not built. Each WARNING and ERROR above counts as a failure.")
    page = HTML / "index.html"
    STAMP.write_text(current)

    print("\nThe book is built. Open it in a browser:")
    print(f"  {os.path.relpath(page)}")
    print(f"  {page.as_uri()}")


if __name__ == "__main__":
    try:
        main()
    except OSError as error:  # _build is someone else's, or the disk is full
        sys.exit(f"book: not built: {error}")
