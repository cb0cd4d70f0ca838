"""The builder of the book: it says no to every warning, every time, and follows what changed."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parent.parent.parent
REPOSITORY, BRANCH = "https://github.com/ada/book", "main"
IN_CI = {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "ada/book"}
ALONE = {"GITHUB_REPOSITORY": "", "GIT_DIR": os.devnull}  # a remote cannot be asked either
SITE = "https://ada.github.io/book/"


INTRO = """# Intro

[one](one.md)

<!-- if repository -->
On Binder.
<!-- end -->

<!-- clone -->

## How to cite

<!-- cite -->
"""


def notebook(*, alt: str) -> str:
    """Write a chapter of one cell that drew a picture."""
    picture = {
        "output_type": "display_data",
        "data": {"image/svg+xml": '<svg xmlns="http://www.w3.org/2000/svg"/>'},
        "metadata": {"image/svg+xml": {"alt": alt}} if alt else {},
    }
    cells = [
        {"cell_type": "markdown", "id": "title", "metadata": {}, "source": "# Drawn"},
        {
            "cell_type": "code",
            "id": "picture",
            "metadata": {},
            "source": "draw()",
            "execution_count": 1,
            "outputs": [picture],
        },
    ]
    metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3"},
        "language_info": {"name": "python", "pygments_lexer": "ipython3"},
    }
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells})


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A book of four pages with the settings, extensions and builder of this one."""
    root = tmp_path / "a small book"
    (root / "tools").mkdir(parents=True)
    shutil.copy(ROOT / "tools" / "book.py", root / "tools")
    shutil.copy(ROOT / "_config.yml", root)
    shutil.copy(ROOT / "requirements.txt", root)
    shutil.copytree(ROOT / "book", root / "book")
    contents(root, "one", "two", "drawn")
    (root / "intro.md").write_text(INTRO)
    (root / "one.md").write_text(
        "# One\n\n[a line](tools/book.py#L10), [a folder](book/static), [a page](two.md#end)\n"
    )
    (root / "two.md").write_text("# Two\n\n## End\n")
    (root / "drawn.ipynb").write_text(notebook(alt="A plan of one node"))
    return root


def contents(root: Path, *pages: str) -> None:
    chapters = [{"file": page} for page in pages]
    toc = {"format": "jb-book", "root": "intro", "chapters": chapters}
    (root / "_toc.yml").write_text(yaml.safe_dump(toc))


def build(root: Path, variables: Mapping[str, str] = IN_CI) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "tools/book.py"],
        cwd=root,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,  # against a hang: a build that shares its core with ten others takes minutes
    )


def test_warning_fails_the_build_every_time(book: Path) -> None:
    (book / "two.md").write_text("# Two\n\n## End\n\n[gone](missing.md)\n")
    (book / "drawn.ipynb").write_text(notebook(alt=""))

    for attempt in (1, 2):
        result = build(book)
        assert result.returncode != 0, f"build {attempt} is content"
        assert "missing.md" in result.stderr
        assert "without alt text" in result.stderr
        assert "not built" in result.stderr


def test_build_follows_what_changed(book: Path) -> None:
    html = book / "_build" / "html"
    result = build(book)
    assert result.returncode == 0, result.stderr
    assert (html / "index.html").as_uri() in result.stdout
    one = (html / "one.html").read_text()
    assert f'href="{REPOSITORY}/blob/{BRANCH}/tools/book.py#L10"' in one
    assert f'href="{REPOSITORY}/tree/{BRANCH}/book/static"' in one
    assert 'href="two.html#end"' in one
    assert 'alt="A plan of one node"' in (html / "drawn.html").read_text()

    kept = (html / "one.html").stat().st_mtime_ns
    (book / "two.md").write_text("# Two\n\n## End\n\nNew.\n")
    assert build(book).returncode == 0
    assert "New." in (html / "two.html").read_text()
    assert (html / "one.html").stat().st_mtime_ns == kept, "an unchanged page was written again"

    (book / "one.md").write_text("# One\n")
    contents(book, "one", "drawn")
    assert build(book).returncode == 0
    assert not (html / "two.html").exists(), "a page that is gone was left in the book"

    with (book / "book" / "static" / "book.css").open("a") as style:
        style.write("\n.new {}\n")
    assert build(book).returncode == 0
    assert ".new {}" in (html / "_static" / "book.css").read_text()


def test_a_book_with_an_address_shows_it(book: Path) -> None:
    html = book / "_build" / "html"
    result = build(book)
    assert result.returncode == 0, result.stderr
    first = (html / "index.html").read_text()
    assert not (html / "intro.html").exists(), "two names for one page"
    assert f"git clone {REPOSITORY}" in BeautifulSoup(first, "html.parser").text
    assert "On Binder." in first
    assert f'<link rel="canonical" href="{SITE}index.html"' in first
    assert f'<meta property="og:url" content="{SITE}one.html"' in (html / "one.html").read_text()
    buttons = f"mybinder.org/v2/gh/ada/book/{BRANCH}?urlpath=lab/tree/drawn.ipynb"
    drawn = (html / "drawn.html").read_text()
    assert buttons in drawn
    assert 'href="https://codespaces.new/ada/book"' in drawn
    assert f"<loc>{SITE}drawn.html</loc>" in (html / "sitemap.xml").read_text()
    assert '<base href="/book/"' in (html / "404.html").read_text()


def test_a_book_without_an_address_shows_no_dead_button(book: Path) -> None:
    html = book / "_build" / "html"
    result = build(book, ALONE)
    assert result.returncode == 0, result.stderr
    pages = {path.name: path.read_text() for path in html.glob("*.html")}
    dead = ("github.com", "mybinder", "codespaces", "git clone", "canonical", "On Binder.")
    assert [(name, word) for name, page in pages.items() for word in dead if word in page] == []
    assert "a line, a folder, " in BeautifulSoup(pages["one.html"], "html.parser").text
    assert not (html / "sitemap.xml").exists()
    assert "@software{project-nexus" in BeautifulSoup(pages["index.html"], "html.parser").text


def test_mistake_in_the_settings_is_named(book: Path) -> None:
    (book / "_toc.yml").write_text("format: jb-book\nroot: intro\nchapter: []\n")

    result = build(book)

    assert result.returncode != 0
    assert "_toc.yml" in result.stderr
    assert "Traceback" not in result.stderr
