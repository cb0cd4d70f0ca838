"""The book shows every snippet from the file itself; five of them are one click from its start."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "snippets"
KINDS = sorted(path for path in FOLDER.iterdir() if path.is_dir() and any(path.iterdir()))
SHOWN_ELSEWHERE = {"django-project": "django-project-files.md"}  # its README goes with the copy
FIVE = ("django-project", "containers", "github-actions", "drf-endpoint", "graphql-schema")


def pages() -> list[str]:
    """The pages under snippets/ that the book's contents name."""
    (chapters,) = (
        chapter["sections"]
        for part in yaml.safe_load((ROOT / "_toc.yml").read_text())["parts"]
        for chapter in part["chapters"]
        if chapter.get("file") == "snippets/README"
    )
    return [section["file"] for section in chapters]


EVERY = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


@EVERY
def test_each_kind_has_a_page_in_the_book_and_a_line_in_the_list(kind: Path) -> None:
    assert f"snippets/{kind.name}/README" in pages()
    listed = (FOLDER / "README.md").read_text()
    assert f"({kind.name}/README.md)" in listed


@EVERY
def test_its_page_shows_every_file_and_links_to_it(kind: Path) -> None:
    """GitHub does not include files in a page: there the link leads to it."""
    page = FOLDER / SHOWN_ELSEWHERE.get(kind.name, f"{kind.name}/README.md")
    text = page.read_text()
    shown = re.findall(r"^```\{literalinclude\} (\S+)\n:language: \w+\n```$", text, re.MULTILINE)
    for name in shown:
        assert (page.parent / name).is_file(), name
        assert f"]({name})" in text[: text.index(f"literalinclude}} {name}")], name
    if kind.name in SHOWN_ELSEWHERE:
        return
    files = {
        path.relative_to(kind).as_posix()
        for path in kind.rglob("*")
        if path.is_file()
        and path.suffix != ".pyc"
        and path.name not in ("README.md", "__init__.py")
        and not re.search(r"_cache|__pycache__", str(path))
    }
    assert set(shown) == files


@EVERY
def test_its_page_says_who_uses_it(kind: Path) -> None:
    page = FOLDER / SHOWN_ELSEWHERE.get(kind.name, f"{kind.name}/README.md")
    assert re.search(r"^(Who uses |For )", page.read_text(), re.MULTILINE)


@pytest.mark.parametrize("name", ["README.md", "intro.md"])
def test_five_are_one_click_from_the_first_page(name: str) -> None:
    (section,) = re.findall(
        r"^## Five things to copy\n(.*?)(?=^## )",
        (ROOT / name).read_text(),
        re.MULTILINE | re.DOTALL,
    )
    links = re.findall(r"^- \[.*?\]\(snippets/([\w-]+)/README\.md\)", section, re.MULTILINE)
    assert links == list(FIVE)
