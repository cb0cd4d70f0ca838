"""What takes a pasted message, on the built pages: it finds each row, and nothing else.

There are two such places, with one engine: the box on the page of messages, and the book's search.
"""

import gzip
import random
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.book.test_pages import DESKTOP, HTML, anchors
from tools import messages

pytestmark = pytest.mark.xdist_group("messages")

GROUPS = messages.load()
ROWS = [row for group in GROUPS for row in group.rows]
ADDRESS = {
    row.id: f"{group.page}.html#{messages.anchor(row)}" for group in GROUPS for row in group.rows
}
NAMES = ("shop_invoice_42", "tasks.deliver", "amina@example.net", "api-7f9c4d", "'ledger'", "8443")
NOISE = (
    "2026-11-25 10:03:14,512 [4711] ",
    '  File "/srv/shop/app/views.py", line 88, in get\n    place = fetch(pk)\n',
    "web-1  | 10.0.3.17 - - ",
    'Traceback (most recent call last):\n  File "/srv/a/b.py", line 1, in <module>\n',
)
NONSENSE = (
    "the quick brown fox jumps over the lazy dog",
    "asdf qwer zxcv",
    "42",
    "please help me, nothing works",
    "/srv/shop/app/views.py",
    "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
)
# Bytes for a row of what a reader loads, compressed: there will be twice as many rows.
LARGEST = {"messages-data": 58, "gotchas-data": 35, "message-causes": 43}
FOUND = 0.98  # of the rows, each by its own text and three variants, as the first one


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    with browser.new_page(viewport=DESKTOP) as opened:
        opened.goto((HTML / "messages.html").as_uri())  # as a file: no server, nothing fetched
        yield opened


@pytest.fixture(scope="module")
def search(browser: Browser) -> Iterator[Page]:
    with browser.new_page(viewport=DESKTOP) as opened:
        opened.goto((HTML / "search.html").as_uri() + "?q=deadlock")
        opened.wait_for_function("'searchBook' in window")
        yield opened


def variant(message: str, seed: int) -> str:
    """A message as somebody else meets it: other names, something before it and after it."""
    choose = random.Random(f"{seed}:{message}")
    filled = re.sub("…", lambda _: choose.choice(NAMES), message)
    return choose.choice(NOISE) + filled + choose.choice(("", f" ({choose.choice(NAMES)})"))


def asked(page: Page, texts: list[str]) -> list[list[str]]:
    """For each text, the addresses that are found, the best first."""
    find = "window.findMessage ?? (text => searchBook(text).messages)"
    script = f"texts => texts.map(text => ({find})(text).map(one => one.row.address))"
    return page.evaluate(script, texts)


def right(row: messages.Message) -> set[str]:
    """The addresses that explain a row: its own, those of rows with the same words, its links."""
    same = (one for one in ROWS if one.message == row.message)
    links = (messages.html(path) for path in (row.see or {}).values())
    return {ADDRESS[one.id] for one in same} | set(links)


@pytest.mark.parametrize("place", ["page", "search"])
def test_each_row_is_found_first_by_what_people_paste(
    request: pytest.FixtureRequest, place: str
) -> None:
    page = request.getfixturevalue(place)
    cases = [
        (row, text)
        for row in ROWS
        for text in (row.message, *(variant(row.message, n) for n in range(3)))
    ]
    found = asked(page, [text for _, text in cases])
    missed = [
        f"{text!r} leads to {hits[:1]}"
        for (row, text), hits in zip(cases, found, strict=True)
        if not hits or not {hits[0], hits[0].partition("#")[0]} & right(row)
    ]
    assert len(missed) <= len(cases) * (1 - FOUND), "\n".join(missed)


def compressed(text: str) -> int:
    return len(gzip.compress(text.encode(), compresslevel=9))


def test_what_is_loaded_for_messages_is_small() -> None:
    names = ("messages-data", "gotchas-data", "message-causes")
    size = {name: compressed((HTML / "_static" / f"{name}.js").read_text()) for name in names}
    each = {name: bytes_ / len(ROWS) for name, bytes_ in size.items()}
    assert {name: bytes_ for name, bytes_ in each.items() if bytes_ > LARGEST[name]} == {}


@pytest.mark.parametrize("text", NONSENSE)
def test_nonsense_finds_nothing_and_says_so(page: Page, search: Page, text: str) -> None:
    assert asked(page, [text]) == [[]]
    assert asked(search, [text]) == [[]]
    page.fill("#message-text", text)
    assert "No message here has these words" in page.inner_text("#message-finder")


@pytest.mark.parametrize("speaker", ["OperationalError: ", "django.db.utils.OperationalError: "])
def test_a_text_that_no_row_explains_well_is_said_to_be_one(page: Page, speaker: str) -> None:
    page.fill("#message-text", f"{speaker}the moon is in the wrong place")
    said = page.inner_text("#message-finder")
    assert "No message here fits well" in said or "No message here has these words" in said


@pytest.mark.parametrize(
    ("text", "row"),
    [
        # A number of four digits is a name or a port, but not where MariaDB gives its code.
        ("(1452, 'Kann keine Zeile hinzu')", "mariadb-foreign-key-add"),
        ("ERROR 1045 (28000): Zugriff verweigert", "mariadb-access-denied"),
        # What a text has word by word comes before what came of it, in more words.
        (
            'vps1 nginx[117]: nginx: [emerg] unexpected "}" in /etc/nginx/conf.d/shop.conf:140\n'
            "vps1 systemd[1]: nginx.service: control process exited, code=exited status=1/FAILURE",
            "nginx-syntax",
        ),
        # Other quotes, JSON around it, or the name of an exception do not hide the other words.
        ('KeyError: "django_stubs_ext"', "py-mypy-stubs-ext"),
        ('{"detail": "Method \\"GET\\" not allowed."}', "http-405"),
        ("api AppRegistryNotReady: Apps aren\u2019t loaded yet.", "django-apps-not-loaded"),
    ],
)
def test_the_row_that_says_more_is_first(page: Page, search: Page, text: str, row: str) -> None:
    for place in (page, search):
        assert asked(place, [text])[0][0] == ADDRESS[row]


def test_the_box_shows_the_rows_as_you_type(browser: Browser) -> None:
    row = ROWS[0]
    with browser.new_page() as page:
        page.goto((HTML / "messages.html").as_uri())
        page.fill("#message-text", variant(row.message, 7))
        first = page.locator("#message-finder li").first
        assert first.locator("a").first.inner_text() == row.message
        page.fill("#message-text", " ")
        assert page.locator("#message-finder li").count() == 0
        page.fill("#message-text", row.message)
        first.locator("a").first.click()
        page.wait_for_url(f"**/{ADDRESS[row.id]}")


def test_the_address_that_a_row_had_on_the_page_of_the_box_leads_to_it(browser: Browser) -> None:
    row = ROWS[-1]
    with browser.new_page() as page:
        page.goto((HTML / f"messages.html#{messages.anchor(row)}").as_uri().replace("%23", "#"))
        page.wait_for_url(f"**/{ADDRESS[row.id]}")


def test_the_box_shows_the_cause_that_fits_best(page: Page) -> None:
    page.fill("#message-text", "502 Bad Gateway: the deployment replaced the application")
    first = page.locator("#message-finder li").first
    assert first.locator("a").first.inner_text() == "502 Bad Gateway"
    expect(first).to_contain_text("A deployment replaced the application")


def test_the_box_takes_a_message_from_the_address(browser: Browser) -> None:
    with browser.new_page() as other:
        other.goto((HTML / "messages.html").as_uri() + "?q=deadlock+detected")
        assert "deadlock detected" in other.locator("#message-finder li").first.inner_text()


def test_the_search_shows_the_message_first_then_pages(search: Page) -> None:
    row = next(row for row in ROWS if row.id == "http-502")
    search.fill(".bd-search-container input", f"shop-1 | {row.message} (4711)")
    headings = search.locator(".search-results h2").all_inner_texts()
    assert headings == ["It says", "Pages"]
    first = search.locator(".search-results .messages li").first
    assert first.locator("a").first.inner_text() == row.message
    cause = messages.short(row.causes[0].cause)
    expect(first).to_contain_text(cause)  # its script is loaded now, also from a file
    expect(first).to_contain_text("Found by")
    text, address = messages.links(row)[0]
    assert first.get_by_role("link", name=text, exact=True).get_attribute("href") == f"./{address}"


def test_a_subject_shows_pages_first_then_messages(search: Page) -> None:
    search.fill(".bd-search-container input", "OOM")
    headings = search.locator(".search-results h2").all_inner_texts()
    assert headings == ["Pages", "Messages with these words"]


def test_every_link_to_and_from_a_row_is_alive(page: Page) -> None:
    rows = page.evaluate("nexusFinder.rowsOf(nexusMessages).map(row => [row.address, row.links])")
    links = {address for _, each in rows for _, address in each}
    assert any("#" in link for link in links)
    assert [address for address, _ in rows] == list(ADDRESS.values())
    for address in (*links, *ADDRESS.values()):
        place, _, anchor = address.partition("#")
        assert (HTML / place).exists(), address
        assert not anchor or anchor in anchors(place), address
