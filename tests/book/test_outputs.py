"""The ePub and a PDF, made from this book and looked into: whole, linked, and without a network."""

import posixpath
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Browser

from tools import chapters, downloads, pdf

ROOT = chapters.ROOT
PART = "shipping"
NAMES = {
    "c": "urn:oasis:names:tc:opendocument:xmlns:container",
    "o": "http://www.idpf.org/2007/opf",
    "x": "http://www.w3.org/1999/xhtml",
}
pytestmark = [
    pytest.mark.weekly,  # to make them takes minutes
    pytest.mark.xdist_group("outputs"),  # they share what Sphinx remembers
]


def make(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# The ePub


@pytest.fixture(scope="module")
def epub() -> Iterator[zipfile.ZipFile]:
    make("tools.epub")
    with zipfile.ZipFile(downloads.FOLDER / "project-nexus.epub") as packed:
        yield packed


@pytest.fixture(scope="module")
def package(epub: zipfile.ZipFile) -> tuple[str, ElementTree.Element]:
    container = ElementTree.fromstring(epub.read("META-INF/container.xml"))
    (root,) = container.iterfind(".//c:rootfile", NAMES)
    path = root.get("full-path")
    return posixpath.dirname(path), ElementTree.fromstring(epub.read(path))


@pytest.fixture(scope="module")
def pages(epub: zipfile.ZipFile) -> dict[str, ElementTree.Element]:
    """Its pages, each well-formed, or this fails."""
    return {
        name: ElementTree.fromstring(epub.read(name))
        for name in epub.namelist()
        if name.endswith(".xhtml")
    }


def test_its_manifest_names_each_file_once(
    epub: zipfile.ZipFile, package: tuple[str, ElementTree.Element]
) -> None:
    folder, tree = package
    items = tree.findall(".//o:manifest/o:item", NAMES)
    named = [posixpath.normpath(posixpath.join(folder, unquote(i.get("href")))) for i in items]
    assert len(set(named)) == len(named)
    own = {"mimetype", "META-INF/container.xml"}
    files = {name for name in epub.namelist() if not name.endswith(("/", ".opf"))}
    assert set(named) == files - own
    ids = {item.get("id") for item in items}
    spine = [item.get("idref") for item in tree.iterfind(".//o:spine/o:itemref", NAMES)]
    assert set(spine) <= ids
    assert len(set(spine)) == len(spine) > 50


def test_every_chapter_is_in_it(pages: dict[str, ElementTree.Element]) -> None:
    written = [e for e in chapters.planned() if (ROOT / e.notebook).exists()]
    for entry in written:
        page = pages[entry.notebook.replace(".ipynb", ".xhtml")]
        assert "".join(page.find(".//x:h1", NAMES).itertext()).startswith(entry.title)


def test_its_links_lead_somewhere(epub: zipfile.ZipFile, pages: dict) -> None:
    files = set(epub.namelist())
    ids = {name: {tag.get("id") for tag in page.iter()} for name, page in pages.items()}
    dead = []
    for name, page in pages.items():
        for tag in page.iter():
            for key in ("href", "src"):
                address, fragment = urldefrag(tag.get(key) or "")
                if not (address or fragment) or urlsplit(address).scheme:
                    continue
                path = unquote(urlsplit(address).path)
                target = posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
                target = target if path else name
                wanted = unquote(fragment)
                if target not in files or (wanted and wanted not in ids.get(target, ())):
                    dead.append(f"{name}: {tag.get(key)}")
    assert dead == []


def test_it_fetches_nothing_and_runs_nothing(epub: zipfile.ZipFile, pages: dict) -> None:
    loads = [
        f"{name}: {tag.get('src')}"
        for name, page in pages.items()
        for tag in page.iter()
        if tag.tag.endswith("}script") or (tag.get("src") or "").startswith(("http", "//"))
    ]
    assert loads == []
    assert [name for name in epub.namelist() if name.endswith(".js")] == []


def test_its_pictures_have_alt_text(pages: dict[str, ElementTree.Element]) -> None:
    images = [image for page in pages.values() for image in page.iterfind(".//x:img", NAMES)]
    assert len(images) > 20
    assert [image.get("src") for image in images if not (image.get("alt") or "").strip()] == []


def test_its_cards_are_open(pages: dict[str, ElementTree.Element]) -> None:
    page = pages["notes/cards.xhtml"]
    assert page.find(".//x:details", NAMES) is None
    text = " ".join("".join(page.itertext()).split())
    assert "What is cache-aside? The program looks into the cache" in text
    assert "same cards as a deck" not in text  # an e-reader cannot take it
    assert [
        a.get("href") for a in page.iterfind(".//x:a", NAMES) if "/downloads/" in a.get("href", "")
    ] == []


def test_epubcheck_finds_no_error(epub: zipfile.ZipFile) -> None:
    program = shutil.which("epubcheck")
    if program is None:
        pytest.skip("no epubcheck: apt-get install epubcheck")
    done = subprocess.run([program, epub.filename], capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert [line for line in said.splitlines() if re.match(r"(ERROR|FATAL)", line)] == []


# A PDF

# Links to files of this computer, and to other parts of the page by its name.
STRAY = """[...document.querySelectorAll('.bd-article a[href]')]
    .map(link => link.getAttribute('href')).filter(to => !/^(#|https?:|mailto:)/.test(to))"""


@pytest.fixture(scope="module")
def paper(browser: Browser) -> Path:  # noqa: ARG001 - without a browser this is skipped
    said = make("tools.pdf", PART)
    assert "Writing the book as one page" in said
    return downloads.FOLDER / f"project-nexus-{PART}.pdf"


def test_a_part_is_a_pdf_with_its_contents_and_solutions(paper: Path, browser: Browser) -> None:
    data = paper.read_bytes()
    assert data.startswith(b"%PDF")
    # What was printed, arranged once more: the text of a PDF is packed.
    with browser.new_page() as page:
        title, wanted = pdf.contents()[paper.stem]
        assert pdf.arrange(page, title, wanted) == wanted
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        page.emulate_media(media="print")
        solutions = page.locator(".printed-solutions h2:visible").count()
        assert solutions == len([name for name in wanted if name.startswith("notebooks/")])
        assert page.locator("details.hide:visible").count() == 0
        dead = """[...document.querySelectorAll('.bd-article a[href^="#"]')].filter(
            link => !document.getElementById(decodeURIComponent(link.hash.slice(1))))
            .map(link => link.hash)"""
        assert page.evaluate(dead) == []
        assert page.evaluate(STRAY) == []
        cut = """[...document.querySelectorAll('.bd-article pre')].filter(
            pre => pre.offsetParent && pre.scrollWidth > pre.clientWidth + 1).length"""
        assert page.evaluate(cut) == 0


def test_the_whole_book_has_all_its_pages(paper: Path, browser: Browser) -> None:
    assert paper.exists()  # the whole is printed every Monday: here it is only arranged
    title, wanted = pdf.contents()[downloads.NAME]
    with browser.new_page() as page:
        page.set_default_timeout(pdf.PATIENCE)
        assert pdf.arrange(page, title, wanted) == wanted
        assert page.evaluate(STRAY) == []


def test_the_book_offers_what_is_made(paper: Path, epub: zipfile.ZipFile) -> None:
    html = downloads.BUILD / "html"
    page = (html / f"{downloads.PAGE}.html").read_text()
    for file in (paper.name, Path(epub.filename).name, "project-nexus.apkg"):
        assert f'href="../downloads/{file}"' in page
        assert (html / "downloads" / file).is_file()
