"""The box that takes a pasted message, on the built page: it finds each row, and nothing else."""

import gzip
import random
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.book.test_pages import DESKTOP, HTML
from tools import messages

pytestmark = pytest.mark.xdist_group("messages")

ROWS = [row for group in messages.load() for row in group.rows]
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
LARGEST = 60_000  # bytes that a reader of the page loads for the box, compressed
FOUND = 0.98  # of the rows, each by its own text and three variants, as the first one


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    with browser.new_page(viewport=DESKTOP) as opened:
        opened.goto((HTML / "messages.html").as_uri())  # as a file: no server, nothing fetched
        yield opened


def variant(message: str, seed: int) -> str:
    """A message as somebody else meets it: other names, something before it and after it."""
    choose = random.Random(f"{seed}:{message}")
    filled = re.sub("…", lambda _: choose.choice(NAMES), message)
    return choose.choice(NOISE) + filled + choose.choice(("", f" ({choose.choice(NAMES)})"))


def asked(page: Page, texts: list[str]) -> list[list[str]]:
    """For each text, the addresses that are found, the best first."""
    return page.evaluate("texts => texts.map(text => findMessage(text).map(f => f.row.u))", texts)


def right(row: messages.Message) -> set[str]:
    """The addresses that explain a row: its own, those of rows with the same words, its links."""
    same = (one for one in ROWS if one.message == row.message)
    links = (messages.html(path) for path in (row.see or {}).values())
    return {f"{messages.PAGE}.html#{messages.anchor(one)}" for one in same} | set(links)


def test_each_row_is_found_first_by_what_people_paste(page: Page) -> None:
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


def test_what_the_box_loads_is_small() -> None:
    files = ("messages-data.js", "messages.js")
    together = b"".join((HTML / "_static" / name).read_bytes() for name in files)
    assert len(gzip.compress(together, compresslevel=9)) <= LARGEST


@pytest.mark.parametrize("text", NONSENSE)
def test_nonsense_finds_nothing_and_says_so(page: Page, text: str) -> None:
    assert asked(page, [text]) == [[]]
    page.fill("#message-text", text)
    assert "No message here has these words" in page.inner_text("#message-finder")


def test_a_text_that_no_row_explains_well_is_said_to_be_one(page: Page) -> None:
    page.fill("#message-text", "OperationalError: the moon is in the wrong place")
    assert "No message here fits well" in page.inner_text("#message-finder")


def test_the_box_shows_the_rows_as_you_type(page: Page) -> None:
    row = ROWS[0]
    page.fill("#message-text", variant(row.message, 7))
    first = page.locator("#message-finder li").first
    assert first.locator("a").first.inner_text() == row.message
    first.locator("a").first.click()
    page.wait_for_url(f"**#{messages.anchor(row)}")
    page.fill("#message-text", " ")
    assert page.locator("#message-finder li").count() == 0


def test_the_box_shows_the_cause_that_fits_best(page: Page) -> None:
    page.fill("#message-text", "502 Bad Gateway: the deployment replaced the application")
    first = page.locator("#message-finder li").first
    assert first.locator("a").first.inner_text() == "502 Bad Gateway"
    assert "A deployment replaced the application" in first.inner_text()


def test_the_box_takes_a_message_from_the_address(browser: Browser) -> None:
    with browser.new_page() as other:
        other.goto((HTML / "messages.html").as_uri() + "?q=deadlock+detected")
        assert "deadlock detected" in other.locator("#message-finder li").first.inner_text()
