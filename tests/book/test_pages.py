"""The built book, opened in a headless Chromium as a reader opens it; and its links, followed.

Best with `--numprocesses=2 --dist=loadgroup`: all tests of a page then go to one worker, which
reads its file once. Each worker has its own server and browser.
"""

import gzip
import os
import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from html import unescape
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import nbformat
import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    Request,
    Response,
    ViewportSize,
    expect,
)

from tests.book.conftest import PATIENCE
from tools import chapters, picture, reading_map, repository

ROOT = Path(__file__).resolve().parent.parent.parent
HTML = ROOT / "_build" / "html"
BUDGET = 350_000  # bytes of a page and all it asks for, gzipped, without pictures
WORDS = 60_000  # more for the page that looks into all others at once
DESKTOP = ViewportSize(width=1280, height=900)
PHONE = ViewportSize(width=390, height=844)
# Without fetching the style sheets again, and without a list of what is right.
AXE = {"preload": False, "resultTypes": ["violations"]}
BUILT = sorted(
    path.relative_to(HTML).as_posix()
    for path in HTML.rglob("*.html")
    if "_static" not in path.parts
) or ["index.html"]  # not built: the first fixture says so
WRITTEN = [name for name in BUILT if name not in {"search.html", "404.html"}]


def each(names: list[str]) -> pytest.MarkDecorator:
    """Run a test for each page, on the worker that has the page's other tests."""
    pages = [pytest.param(name, marks=pytest.mark.xdist_group(name), id=name) for name in names]
    return pytest.mark.parametrize("name", pages)


CHAPTER = "notebooks/data/indexes-and-plans.html"

CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text())
REPOSITORY = repository.find()
BRANCH = repository.BRANCH
BASE = urlsplit(REPOSITORY.book if REPOSITORY else "").path or "/"  # where the book will be


@pytest.fixture(scope="session", autouse=True)
def built() -> None:
    """Refuse to judge a book that is not there, or whose build failed."""
    if not (ROOT / "_build" / "book-complete").exists():
        pytest.fail("the book is not built: run `make book`", pytrace=False)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass

    def translate_path(self, path: str) -> str:
        return super().translate_path("/" + path.removeprefix(BASE))

    def send_error(self, code: int, *_: object) -> None:  # type: ignore[override]
        """Answer as a server of static pages does."""
        page = (HTML / "404.html").read_bytes()
        self.send_response(code)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)


@pytest.fixture(scope="session")
def site(built: None) -> Iterator[str]:  # noqa: ARG001
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=HTML))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}{BASE}"
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Visit:
    """An open page, and what the browser noted since it was opened."""

    page: Page
    site: str
    requests: list[Request] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("request", self._request)
        self.page.on("response", self._response)
        self.page.on("requestfailed", self._failed)
        self.page.on("pageerror", lambda error: self._complain("script error", str(error)))
        self.page.on(
            "console",
            lambda message: (
                message.type in {"error", "warning"}
                and self._complain(f"console {message.type}", message.text)
            ),
        )

    def open(self, name: str) -> None:
        self.requests.clear()
        self.complaints.clear()
        self.page.goto(self.site + name)
        self.page.evaluate("document.fonts.ready.then(() => null)")

    @property
    def files(self) -> set[str]:
        """What was asked of our site."""
        ours = (each.url for each in self.requests if each.url.startswith(self.site))
        return {unquote(urlsplit(url).path).lstrip("/") for url in ours}

    def _complain(self, what: str, detail: str) -> None:
        self.complaints.append(f"{what}: {detail}")

    def _request(self, request: Request) -> None:
        self.requests.append(request)
        if not request.url.startswith((self.site, "data:")):
            self._complain("third-party request", request.url)

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # by a page that was left meanwhile
            self._complain("failed", request.url)

    def _response(self, response: Response) -> None:
        if response.status >= 400 and response.request in self.requests:
            self._complain(str(response.status), response.url)


@pytest.fixture(scope="session")
def contexts(browser: Browser) -> Iterator[dict[str, BrowserContext]]:
    """Two readers: one at a desk in the light, one with a phone in the dark."""
    opened = {
        "desk": browser.new_context(viewport=DESKTOP, color_scheme="light"),
        "phone": browser.new_context(viewport=PHONE, color_scheme="dark"),
    }
    for context in opened.values():
        context.set_default_timeout(PATIENCE)
    yield opened
    for context in opened.values():
        context.close()


@pytest.fixture(scope="session")
def readers(contexts: dict[str, BrowserContext], site: str) -> dict[str, Visit]:
    """They go from page to page in one tab: a new one takes longer than to open a page."""
    return {name: Visit(context.new_page(), site) for name, context in contexts.items()}


@pytest.fixture
def visit(contexts: dict[str, BrowserContext], site: str) -> Iterator[Visit]:
    """A new tab at the desk, for a test that does more than look."""
    with contexts["desk"].new_page() as page:
        yield Visit(page, site)


@pytest.fixture
def on_phone(contexts: dict[str, BrowserContext], site: str) -> Iterator[Visit]:
    """A new tab on the phone."""
    with contexts["phone"].new_page() as page:
        yield Visit(page, site)


@cache
def soup(name: str) -> BeautifulSoup:
    return BeautifulSoup((HTML / name).read_bytes(), "html.parser")


@cache
def anchors(name: str) -> set[str]:
    # Not from the soup: every page is linked to, and so every worker would read every page.
    return set(map(unescape, re.findall(r'\sid="([^"]*)"', (HTML / name).read_text())))


# In the browser


@each(BUILT)
def test_page_opens_as_it_should(readers: dict[str, Visit], name: str) -> None:
    for reader, visit in readers.items():
        visit.open(name)
        page = visit.page
        theme = page.evaluate("document.documentElement.dataset.theme")
        assert theme == {"desk": "light", "phone": "dark"}[reader]
        heading = page.evaluate("document.querySelector('main h1').firstChild.textContent")
        assert page.title() in {f"{heading} {dash} {CONFIG['title']}" for dash in "—-"}
        wider = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wider <= 0, f"the page is {wider} px wider than the {reader}"
        cut = """[...document.querySelectorAll('.bd-sidebar-secondary, .bd-sidebar-primary')]
            .filter(side => side.scrollWidth > side.clientWidth).map(side => side.className)"""
        assert page.evaluate(cut) == [], "a list beside the page is cut off"
        assert visit.complaints == []
        assert weight(visit) <= BUDGET + WORDS * (name == "404.html")
        assert icons_missing(visit) == []
        # What is not a colour is the same in both themes.
        assert (faint_texts if reader == "desk" else grave_violations)(page) == []


def weight(visit: Visit) -> int:
    """Add up what the page asked for, gzipped, without pictures."""
    pictures = (".svg", ".png", ".jpg", ".jpeg", ".gif")
    return sum(gzipped(path) for path in visit.files if not path.endswith(pictures))


@cache
def gzipped(path: str) -> int:
    return len(gzip.compress((HTML / path).read_bytes()))


def icons_missing(visit: Visit) -> list[str]:
    """Name icons that do not show, and large fonts that came for one the small fonts lack."""
    blank = visit.page.evaluate(
        """[...document.querySelectorAll('i[class*="fa-"], span[class*="fa-"]')]
           .filter(icon => getComputedStyle(icon, '::before').content === 'none')
           .map(icon => icon.className)"""
    )
    return blank + [path for path in visit.files if path.endswith((".woff2", ".ttf"))]


# axe asks of each text whether it stands out from what is behind it, which takes milliseconds for
# each. A page has thousands of texts, in a dozen looks: one of each is left, the others are hidden.
ONE_OF_EACH_LOOK = """() => {
    const behind = new Map([[null, '']]);
    const ground = element => {
        if (!behind.has(element)) {
            const {backgroundColor, backgroundImage, opacity} = getComputedStyle(element);
            const own = [backgroundColor, backgroundImage, opacity].join();
            const blank = own === 'rgba(0, 0, 0, 0),none,1';
            behind.set(element, ground(element.parentElement) + (blank ? '' : `/${own}`));
        }
        return behind.get(element);
    };
    const isText = node => node.nodeType === Node.TEXT_NODE && node.data.trim();
    const written = [...document.body.querySelectorAll('*')].filter(
        element => [...element.childNodes].some(isText) && element.checkVisibility({
            checkOpacity: true, checkVisibilityCSS: true}));
    const looks = written.map(element => {
        const {color, fontSize, fontWeight, textShadow} = getComputedStyle(element);
        return [color, fontSize, fontWeight, textShadow, ground(element)].join();
    });
    const seen = new Set();
    written.forEach((element, number) => {
        element.style.visibility = seen.has(looks[number]) ? 'hidden' : 'visible';
        seen.add(looks[number]);
    });
}"""


# Thousands of words of code have a colour. axe looks at every element, so most become plain text.
ONE_WORD_OF_EACH_COLOUR = """() => {
    const seen = new Set();
    for (const word of document.querySelectorAll('.highlight span[class]')) {
        const block = word.closest('.cell_input, .cell_output');
        const look = [block?.className, word.className].join();
        if (seen.has(look)) word.replaceWith(...word.childNodes);
        seen.add(look);
    }
}"""
CONTRAST = "color-contrast"


def grave_violations(page: Page) -> list[str]:
    """Ask axe what keeps people from reading this page."""
    page.evaluate(ONE_WORD_OF_EACH_COLOUR)
    return violations(page, {"rules": {CONTRAST: {"enabled": False}}}) + faint_texts(page)


def faint_texts(page: Page) -> list[str]:
    """Ask axe which texts of this page hardly stand out."""
    page.evaluate(ONE_WORD_OF_EACH_COLOUR)
    page.evaluate(ONE_OF_EACH_LOOK)
    return violations(page, {"runOnly": [CONTRAST]})


def violations(page: Page, options: dict) -> list[str]:
    """Return what axe finds, if it is serious."""
    report = Axe().run(page, options=AXE | options).response
    return [
        f"{violation['id']}: {node['target']} {node['failureSummary']}"
        for violation in report["violations"]
        if violation["impact"] in {"serious", "critical"}
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        ("color-contrast", "Object.assign(all.at(-1).style, {color: '#bbb', background: '#ccc'})"),
        ("image-alt", "all.at(-1).append(document.createElement('img'))"),
    ],
)
def test_a_page_that_keeps_people_from_reading_is_found(
    visit: Visit, rule: str, fault: str
) -> None:
    visit.open("docs/status.html")
    visit.page.evaluate(
        f"() => {{ const all = [...document.querySelectorAll('main p')]; {fault} }}"
    )
    (found,) = grave_violations(visit.page)
    assert found.startswith(rule)


def test_the_first_page_has_one_name(visit: Visit) -> None:
    visit.open("")
    assert visit.page.locator("article h1").inner_text().startswith(CONFIG["title"])
    assert visit.page.url == visit.site, "a redirect takes time"
    home = visit.page.locator(".navbar-brand").first
    assert home.evaluate("link => link.href") in {f"{visit.site}index.html", f"{visit.site}#"}
    assert not (HTML / "intro.html").exists()


def test_an_unknown_address_leads_on(visit: Visit) -> None:
    visit.page.goto(f"{visit.site}notebooks/apis/old-caching.html")
    expect(visit.page.locator("h1")).to_have_text("No such page")
    field = visit.page.locator(".bd-search-container input[name=q]")
    expect(field).to_have_value("old caching")
    hit = visit.page.locator("#search-results .pages li").first
    expect(hit).to_contain_text("Caching")
    listed = visit.page.locator("article li a[href*='notebooks/']")
    assert listed.count() >= len(chapters.in_book(ROOT)) - 2  # not the start and the template
    # Not by the mouse: what the search finds moves the list while the mouse is on its way.
    listed_there = visit.page.locator("article li", has_text="find the slow query").last
    listed_there.locator("a").first.evaluate("link => link.click()")
    visit.page.wait_for_url(f"{visit.site}notebooks/data/indexes-and-plans.html")
    missing = f"{visit.site}notebooks/apis/old-caching.html"
    assert [c for c in visit.complaints if missing not in c and "404" not in c] == []


def test_the_map_shows_what_data_map_says(visit: Visit) -> None:
    drawn = soup("index.html").select_one(".reading-map svg")
    planned = chapters.planned(ROOT)
    assert [g["data-name"] for g in drawn.select("g[data-name]")] == [
        entry.name for entry in reading_map.ordered(planned)
    ]
    lines = {(path["data-from"], path["data-to"]) for path in drawn.select("path[data-to]")}
    assert lines == {(before, entry.name) for entry in planned for before in entry.before}
    linked = {link["href"] for link in drawn.select("a[href]")}
    written = {
        path.relative_to(ROOT).with_suffix(".html").as_posix() for path in chapters.in_book()
    }
    assert linked == {page for page in written if page.count("/") == 2}

    visit.open("index.html")
    visit.page.locator(".reading-map summary").click()
    visit.page.select_option("#reading-map-goal", "graphql")
    lit = visit.page.locator(".reading-map g.lit")
    way = reading_map.path("graphql", planned)
    assert lit.evaluate_all("all => all.map(each => each.dataset.name)") == way
    assert "Transactions and locks, then REST with DRF, then GraphQL" in visit.page.inner_text(
        ".reading-map .way"
    )
    visit.open("index.html")
    assert lit.count() == len(way), "the choice is forgotten"


def test_the_map_can_be_read_on_a_phone(on_phone: Visit) -> None:
    on_phone.open("index.html")
    on_phone.page.locator(".reading-map summary").click()
    on_phone.page.select_option("#reading-map-goal", "auth")
    height = on_phone.page.evaluate(
        "document.querySelector('.reading-map text').getBoundingClientRect().height"
    )
    assert height >= 14
    assert grave_violations(on_phone.page) == []


def test_every_page_says_which_edition_it_is() -> None:
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[
        1
    ]
    for name in ("index.html", CHAPTER, "search.html"):
        footer = soup(name).select_one("footer .extra_footer")
        assert f"Version {version}" in footer.text
        assert footer.select_one("a")["href"].endswith("#how-to-cite")
    assert "@software{project-nexus" in soup("index.html").select_one("#how-to-cite").text


def test_search_finds_a_chapter(on_phone: Visit) -> None:
    visit = on_phone
    visit.open("search.html?q=slow")

    hit = visit.page.locator(".pages li", has_text="find the slow query").first
    excerpt = hit.locator("p.context")
    expect(excerpt).to_contain_text("slow")
    expect(excerpt).not_to_contain_text("Binder")  # a button, and not what was asked for
    # Each hit's page is fetched for its excerpt; a fetch cut off would be a complaint.
    expect(visit.page.locator(".pages.finished")).to_be_visible()
    hit.locator("a").first.click()

    visit.page.wait_for_url(re.compile(re.escape(CHAPTER)))
    assert visit.complaints == []


def test_search_field_leads_to_results(visit: Visit) -> None:
    visit.open("index.html")

    visit.page.keyboard.press("Control+k")
    visit.page.keyboard.type("pg_stat_statements")
    visit.page.keyboard.press("Enter")

    visit.page.wait_for_url("**/search.html?q=pg_stat_statements*")
    visit.page.locator("#search-results .pages a").first.wait_for()


def test_menu_opens_on_a_phone(on_phone: Visit) -> None:
    visit = on_phone
    visit.open("index.html")
    status = visit.page.locator("#pst-primary-sidebar-modal a[href$='docs/status.html']")
    expect(status).not_to_be_visible()

    visit.page.locator(".primary-toggle:visible").first.click()
    status.click()

    visit.page.wait_for_url("**/docs/status.html")


def test_reader_chooses_the_theme(browser: Browser, site: str) -> None:
    context = browser.new_context(viewport=DESKTOP, color_scheme="light")
    context.set_default_timeout(PATIENCE)
    visit = Visit(context.new_page(), site)
    visit.open("index.html")
    theme = "document.documentElement.dataset.theme"
    assert visit.page.evaluate(theme) == "light"

    # It goes through auto (here: light), light and dark.
    for _ in range(3):
        if visit.page.evaluate(theme) == "dark":
            break
        visit.page.locator(".theme-switch-button:visible").first.click()
    assert visit.page.evaluate(theme) == "dark"

    visit.open("docs/status.html")
    assert visit.page.evaluate(theme) == "dark", "the choice is forgotten on the next page"
    context.close()


def test_folded_solution_opens(visit: Visit) -> None:
    visit.open(CHAPTER)
    solution = visit.page.locator("details.hide", has_text="Show the solution of exercise 1")
    code = solution.locator("pre").first
    assert not code.is_visible()

    solution.locator("summary").click()

    assert code.is_visible()


def test_each_fold_has_a_name_that_is_its_text(visit: Visit) -> None:
    visit.open("notebooks/async/background-jobs.html")
    folds = visit.page.locator("details.hide > summary")
    names = [text.strip() for text in folds.all_inner_texts()]
    assert len(set(names)) == len(names) > 3
    assert all(re.match(r"Show the (code: \w|file \w|solution of exercise \d)", n) for n in names)
    assert folds.evaluate_all("all => all.filter(each => each.ariaLabel).length") == 0


def test_wide_output_scrolls_and_does_not_wrap(on_phone: Visit) -> None:
    on_phone.open(CHAPTER)

    kept = on_phone.page.evaluate(
        """[...document.querySelectorAll('.cell_output:not(.verdict) pre')].every(pre => {
             const style = getComputedStyle(pre);
             return style.whiteSpace === 'pre' && style.overflowX === 'auto'; })"""
    )

    assert kept


def test_a_verdict_wraps_as_a_sentence_does(on_phone: Visit) -> None:
    on_phone.open(CHAPTER)
    wraps = """[...document.querySelectorAll('.verdict pre')].map(
                 pre => pre.scrollWidth <= pre.clientWidth)"""
    fits = on_phone.page.evaluate(wraps)
    assert len(fits) >= 5
    assert all(fits)


def test_a_picture_opens_alone_when_it_is_tapped(on_phone: Visit) -> None:
    on_phone.open(CHAPTER)
    picture = on_phone.page.locator(".cell_output img").first
    source = picture.evaluate("image => image.src")
    picture.click()
    on_phone.page.wait_for_url(source)


def test_paper_is_white_and_nothing_is_cut_off(visit: Visit) -> None:
    visit.open(CHAPTER)
    theme = "document.documentElement.dataset.theme"
    visit.page.evaluate(f"{theme} = 'dark'")
    visit.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert visit.page.evaluate(theme) == "light"
    visit.page.emulate_media(media="print")
    cut = """[...document.querySelectorAll('.bd-article pre')].filter(
               pre => pre.offsetParent && pre.scrollWidth > pre.clientWidth + 1).length"""
    assert visit.page.evaluate(cut) == 0
    visit.page.emulate_media(media="screen")
    visit.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert visit.page.evaluate(theme) == "dark"


# In the files


@each(WRITTEN)
def test_a_shared_link_says_what_is_there(name: str) -> None:
    page = soup(name)
    (described,) = page.select('meta[name="description"]')
    (titled,) = page.select('meta[property="og:title"]')
    assert 0 < len(described["content"]) <= 162
    assert titled["content"] in " ".join(page.title.get_text().split())


def test_sql_is_coloured_as_sql() -> None:
    cells = [cell for cell in soup(CHAPTER).select(".cell_input") if "%%psql" in cell.text]

    keywords = {word.text for cell in cells for word in cell.select("span.k")}

    assert {"SELECT", "FROM", "CREATE"} <= keywords


@each(BUILT)
def test_page_loads_nothing_from_elsewhere(name: str) -> None:
    loads = {"src": True, "srcset": True, "data": True, "poster": True, "action": True}
    remote = re.compile(r"^(https?:)?//")
    page = soup(name)

    found = [str(tag) for key in loads for tag in page.find_all(attrs={key: remote})]
    found += [str(tag) for tag in page.find_all("link", href=remote)]
    found += re.findall(r"url\(['\"]?(?:https?:)?//[^)]*", str(page))

    assert found == []


def test_style_sheets_load_nothing_from_elsewhere() -> None:
    sheets = list(HTML.rglob("*.css"))

    found = [
        f"{sheet.relative_to(HTML)}: {hit}"
        for sheet in sheets
        for hit in re.findall(r"(?:url\(|@import )['\"]?(?:https?:)?//[^)]*", sheet.read_text())
    ]

    assert sheets
    assert found == []


@each(BUILT)
def test_pictures_have_alt_text(name: str) -> None:
    # Without one, Sphinx writes the path of the picture.
    images = soup(name).select("main img")

    silent = [
        str(image) for image in images if image.get("alt", "").strip() in {"", image.get("src")}
    ]

    assert silent == []


@each(BUILT)
def test_links_within_the_book_lead_somewhere(name: str) -> None:
    dead = []
    for link in soup(name).find_all("a", href=True):
        address, fragment = urldefrag(link["href"])
        if urlsplit(address).scheme:
            continue
        path = unquote(urlsplit(address).path)
        target = os.path.normpath(Path(name).parent / path) if path else name
        fragment = unquote(fragment) if target.endswith(".html") else ""
        if not (HTML / target).is_file() or (fragment and fragment not in anchors(target)):
            dead.append(link["href"])

    assert dead == []


@each(WRITTEN)
def test_links_into_the_repository_name_real_files(name: str) -> None:
    links = {link["href"] for link in soup(name).find_all("a", href=True)}
    if REPOSITORY is None:
        dead = re.compile(
            r"mybinder\.org|codespaces\.new|/issues/new|executablebooks/jupyter-book/"
        )
        assert [link for link in links if dead.search(link)] == []
        return
    url = REPOSITORY.url
    inside = re.compile(rf"{re.escape(url)}/(?:blob|edit|tree)/{re.escape(BRANCH)}/([^#?]+)")
    named = [unquote(match[1]) for link in links if (match := inside.match(link))]

    page = "intro" if name == "index.html" else name.removesuffix(".html")
    source = [ROOT / f"{page}{suffix}" for suffix in (".md", ".ipynb")]
    edit = [f"{url}/edit/{BRANCH}/{path.relative_to(ROOT)}" for path in source]
    assert url in links
    assert links & set(edit), "no button to edit the page"
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize(
    "notebook", chapters.in_book(ROOT), ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_chapter_opens_on_binder(notebook: Path) -> None:
    if REPOSITORY is None:
        pytest.skip("this folder has no address on the network, so there are no such buttons")
    path = notebook.relative_to(ROOT)
    slug = REPOSITORY.slug

    links = {link["href"] for link in soup(str(path.with_suffix(".html"))).select("a[href]")}

    assert f"https://mybinder.org/v2/gh/{slug}/{BRANCH}?urlpath=lab/tree/{path}" in links


def test_every_note_and_decision_is_a_page() -> None:
    written = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "notes").rglob("*.md")]
    expected = {path.relative_to(ROOT).with_suffix(".html").as_posix() for path in written}

    assert expected
    assert expected - set(BUILT) == set(), "not in the book: see the patterns in _toc.yml"


def test_first_page_quotes_what_a_chapter_printed() -> None:
    first = (ROOT / "intro.md").read_text()
    quotes = re.findall(r"^```text\n(.*?)^```", first, re.DOTALL | re.MULTILINE)
    printed = "".join(
        output.get("text", "")
        for path in chapters.in_book(ROOT)
        for cell in nbformat.read(path, as_version=4).cells
        for output in cell.get("outputs", ())
    )

    assert quotes
    assert [quote for quote in quotes if quote not in printed] == []


def test_the_picture_in_the_readme_shows_the_book_as_it_is() -> None:
    assert picture.stored() == picture.shown(), "run `.venv/bin/python -m tools.picture`"
    assert picture.PICTURE.relative_to(ROOT).as_posix() in (ROOT / "README.md").read_text()


def test_a_picture_that_shows_something_else_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "notebooks" / "data" / picture.PAGE.name
    for path in (picture.PAGE, HTML / "_static" / "book.css"):
        copy = tmp_path / path.relative_to(HTML)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    drawn = BeautifulSoup(page.read_bytes(), "html.parser").select_one(picture.PLAN)["src"]
    shutil.copytree((picture.PAGE.parent / drawn).resolve().parent, tmp_path / "_images")
    assert picture.shown(page) == picture.shown()
    page.write_text(page.read_text().replace("Transactions and locks", "Locks"))
    assert picture.shown(page) != picture.shown()
