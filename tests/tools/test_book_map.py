"""The map of learning areas: made from data/map.yml, on both pages, and true."""

from pathlib import Path

import nbformat
import pytest
import yaml
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools import book_map

MAP = {
    "parts": [
        {
            "name": "data",
            "title": "Data",
            "chapters": [
                {"name": "indexes", "title": "Indexes", "promise": "find the slow query"},
                {"name": "locks", "title": "Locks", "promise": "make double booking impossible"},
            ],
        }
    ]
}
PAGE = f"# Title\n\nBefore\n\n{book_map.START}\nold\n{book_map.END}\n\nAfter\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "map.yml").write_text(yaml.safe_dump(MAP))
    for name in book_map.PAGES:
        (tmp_path / name).write_text(PAGE)
    enter(tmp_path)
    return tmp_path


def enter(root: Path, *names: str) -> None:
    """Write these chapters, and a table of contents that has them."""
    for name in names:
        notebook = root / "notebooks" / f"{name}.ipynb"
        notebook.parent.mkdir(parents=True, exist_ok=True)
        text = f"# {name}\n\n" + "word " * 18_000 + "\n\n### Exercise 1: Find it"
        nbformat.write(new_notebook(cells=[new_markdown_cell(text)]), notebook)
    chapters = [{"file": f"notebooks/{name}"} for name in ("template", *names)]
    toc = {"format": "jb-book", "root": "intro", "parts": [{"chapters": chapters}]}
    (root / "_toc.yml").write_text(yaml.safe_dump(toc))


def test_this_project_is_up_to_date() -> None:
    book_map.main(["--check"])


@pytest.mark.parametrize("name", book_map.PAGES)
def test_both_pages_say_what_is_compared(name: str) -> None:
    assert set(book_map.COMPARED) <= set((book_map.ROOT / name).read_text().splitlines())


def test_the_first_page_says_how_long_its_paths_take(project: Path) -> None:
    enter(project, "data/indexes")
    line = "- New? Read [one](notebooks/data/indexes.ipynb). "
    markers = "".join(book_map.path_markers(book_map.BEGINNER))
    later = "".join(book_map.path_markers(book_map.INTERVIEW))
    page = project / "intro.md"
    page.write_text(f"{page.read_text()}\n{line}{markers}\n- Soon? {later}\n")
    (project / "notes" / "gotchas").mkdir(parents=True)
    (project / "notes" / "gotchas" / "indexes.md").write_text("word " * 12_000)
    book_map.main([], project)
    said = page.read_text()
    assert "They take 1½ hours to read, and their exercises half an hour more." in said
    assert "This takes 1 hour to read, and the exercises half an hour more." in said
    book_map.main(["--check"], project)


def cell(*kinds: str, reason: str = "") -> NotebookNode:
    outputs = [new_output("display_data", data={kind: ""}) for kind in kinds]
    tags = {"tags": ["nbval-ignore-output"], "reason": reason} if reason else {}
    return new_code_cell("draw()", outputs=outputs, metadata=tags)


def test_what_is_not_compared_is_counted(project: Path) -> None:
    notebook = new_notebook(
        cells=[
            new_markdown_cell("# Counted"),
            cell(),
            cell("image/svg+xml"),
            cell("image/png"),
            cell("text/plain", reason="prints the versions of the machine"),
            cell("text/plain", reason="prints times"),
        ]
    )
    said = book_map.compared([notebook])
    assert "have 5 cells of code" in said
    assert "output of 3 with the stored one, 1 drawn" in said
    assert "not compare 2 cells. 1 of these print the versions" in said
    assert "the other 1 gives" in said
    assert "the 1 pictures of times" in said

    page = project / "intro.md"
    page.write_text(page.read_text() + "\n\n".join(book_map.COMPARED))
    with pytest.raises(SystemExit, match=r"behind"):
        book_map.main(["--check"], project)
    book_map.main([], project)
    assert "have 0 cells of code" in page.read_text()


def test_chapter_is_linked_once_it_is_there(project: Path) -> None:
    book_map.main([], project)
    for name in book_map.PAGES:
        page = (project / name).read_text()
        assert page.startswith("# Title\n\nBefore\n\n")
        assert page.endswith("\n\nAfter\n")
        assert "has 0 of 2 chapters" in page
        assert "- **Data**: Indexes, Locks" in page

    enter(project, "data/indexes")
    book_map.main([], project)
    for name in book_map.PAGES:
        page = (project / name).read_text()
        assert "has 1 of 2 chapters" in page
        assert "takes 1½ hours, and the exercises take half an hour more" in page
        link = "**[Indexes](notebooks/data/indexes.ipynb)**"
        assert f"| {link} | find the slow query | 90 + 10 |" in page
        assert "<summary>1 chapter to come</summary>\n\n- **Data**: Locks\n" in page

    enter(project, "data/indexes", "data/locks")
    book_map.main([], project)
    assert "to come" not in (project / "README.md").read_text()


def test_chapter_entered_but_not_written_is_not_linked(project: Path) -> None:
    enter(project, "data/indexes")
    (project / "notebooks" / "data" / "indexes.ipynb").unlink()

    book_map.main([], project)

    assert "has 0 of 2 chapters" in (project / "intro.md").read_text()


def test_check_fails_until_both_pages_are_written(project: Path) -> None:
    with pytest.raises(SystemExit, match=r"intro\.md and README\.md"):
        book_map.main(["--check"], project)
    assert (project / "intro.md").read_text() == PAGE

    book_map.main([], project)
    book_map.main(["--check"], project)

    enter(project, "data/locks")
    with pytest.raises(SystemExit, match=r"tools\.book_map"):
        book_map.main(["--check"], project)


def test_chapter_that_is_not_on_the_map_is_named(project: Path) -> None:
    enter(project, "data/sharding")

    with pytest.raises(SystemExit, match="notebooks/data/sharding"):
        book_map.main([], project)


@pytest.mark.parametrize(
    "page",
    [
        "# No markers\n",
        f"{book_map.END}\n{book_map.START}\n",
        f"{book_map.START}\n{book_map.START}\n{book_map.END}\n",
    ],
)
def test_page_without_a_place_for_the_map_is_named(project: Path, page: str) -> None:
    (project / "README.md").write_text(page)

    with pytest.raises(SystemExit, match=r"README\.md.*map:start"):
        book_map.main([], project)
