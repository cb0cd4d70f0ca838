"""What can be taken along is listed in the book, and its makers say what they lack."""

import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tools import chapters, chromium, downloads, epub, pdf

PAGE = '<p>Here:</p><div id="downloads"></div><p>End.</p>'


@pytest.fixture
def html(tmp_path: Path) -> Path:
    page = tmp_path / "html" / f"{downloads.PAGE}.html"
    page.parent.mkdir(parents=True)
    page.write_text(PAGE)
    return tmp_path / "html"


def test_a_book_without_files_says_so(html: Path, tmp_path: Path) -> None:
    downloads.offer(html, tmp_path / "nothing")
    assert "None is made yet." in (html / f"{downloads.PAGE}.html").read_text()


def test_what_is_made_is_copied_and_listed_each_time(html: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    (html / "downloads").mkdir()
    (html / "downloads" / "project-nexus.apkg").write_bytes(b"x" * 2_400)
    for size in (1_000, 1_250_000):
        (made / "project-nexus.epub").write_bytes(b"x" * size)
        downloads.offer(html, made)
        page = (html / f"{downloads.PAGE}.html").read_text()
        assert page.startswith('<p>Here:</p><div id="downloads"><ul>')
        assert page.endswith("</ul></div><p>End.</p>")
        assert page.count("<li>") == 2
        assert (html / "downloads" / "project-nexus.epub").stat().st_size == size
    assert 'href="../downloads/project-nexus.epub" download=""' in page
    assert "(1.2 MB)" in page
    assert "(2 kB)" in page


def test_a_small_book_without_that_page_is_left_alone(tmp_path: Path) -> None:
    downloads.offer(tmp_path, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_each_part_with_chapters_is_a_pdf_of_its_chapters_and_their_gotchas() -> None:
    made = pdf.contents()
    title, pages = made["project-nexus-data"]
    assert title == "Project Nexus: Data"
    assert pages[0].startswith("notebooks/data/")
    assert pages[-1].startswith("notes/gotchas/")
    assert set(made) <= {name.removesuffix(".pdf") for name in downloads.kinds()}
    whole = made["project-nexus"][1]
    written = [e.notebook for e in chapters.planned() if (chapters.ROOT / e.notebook).exists()]
    assert {name.removesuffix(".ipynb") for name in written} <= set(whole)
    assert len(set(whole)) == len(whole)


def test_an_unknown_part_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert pdf.main(["cooking"]) == 2
    assert "there are the parts data, " in capsys.readouterr().err


def test_a_missing_chromium_is_said_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEXUS_CHROMIUM", "no-such-browser")
    assert pdf.main(["data"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("pdf: no Chromium (looked for no-such-browser): apt-get install")
    assert said.count("\n") == 1


def test_chromium_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "browser"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("NEXUS_CHROMIUM", str(program))
    assert chromium.find() == str(program)


def test_a_page_becomes_well_formed() -> None:
    page = (
        '<html xmlns="http://www.w3.org/1999/xhtml"><body><p>a & b<br>c<img src="x.png" alt="x">'
        '<a href="y" download>y</a><b id="z">1</b><i id="z">2</i><script>a < b</script></p></body>'
    )
    text = epub.well_formed(page)
    tree = ElementTree.fromstring(text)
    assert "script" not in text
    assert [tag.get("id") for tag in tree.iter() if tag.get("id")] == ["z"]
    assert "".join(tree.itertext()) == "a & bcy12"


def test_a_fold_has_one_name_in_an_e_reader() -> None:
    page = "<details><summary>\n<p>Show the code</p>\n<p>Hide the code</p></summary>x</details>"
    assert "<summary>Show the code</summary>" in epub.well_formed(page)
    page = "<details><summary>What is <code>NULL</code>?</summary>x</details>"
    assert page in epub.well_formed(page)


def test_a_style_sheet_that_is_not_packed_is_not_asked_for() -> None:
    page = "".join(f'<link href="../{name}.css" rel="stylesheet"/>' for name in "ab")
    assert 'href="../a.css"' in (text := epub.well_formed(page, "x/y.xhtml", ["a.css"]))
    assert "b.css" not in text


def test_an_epub_is_packed_the_same_each_time(tmp_path: Path) -> None:
    source = tmp_path / "source.epub"
    with zipfile.ZipFile(source, "w") as packed:
        packed.writestr("mimetype", "application/epub+zip")
        packed.writestr("a.xhtml", "<html><p>a<br></html>")
        packed.writestr("b.css", "p {}")
    for name in ("one.epub", "two.epub"):
        epub.pack(source, tmp_path / name)
    assert (tmp_path / "one.epub").read_bytes() == (tmp_path / "two.epub").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.epub") as packed:
        first = packed.infolist()[0]
        assert (first.filename, first.compress_type) == ("mimetype", zipfile.ZIP_STORED)
        assert packed.namelist() == ["mimetype", "a.xhtml", "b.css"]
        assert packed.read("a.xhtml").decode().endswith("<html><p>a<br/></p></html>")
