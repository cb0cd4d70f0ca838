"""The interview cards, on their built page."""

from collections.abc import Iterator

import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import Browser, Page

from tests.book.test_pages import DESKTOP, HTML, PHONE, grave_violations
from tools import cards

pytestmark = pytest.mark.xdist_group("aids")

CARDS = cards.load()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A new reader, who opens pages as files."""
    context = browser.new_context(viewport=DESKTOP)
    yield context.new_page()
    context.close()


def opened(page: Page, name: str) -> Page:
    page.goto((HTML / name).as_uri())
    return page


# Cards


def shown(page: Page) -> int:
    return page.locator("details.interview-card:visible").count()


def test_cards_are_there_without_scripts(browser: Browser) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = opened(context.new_page(), f"{cards.PAGE}.html")
        assert shown(page) == len(CARDS)
        first = page.locator("details.interview-card").first
        assert not first.locator("a").is_visible()
        first.locator("summary").click()
        assert first.locator("a").is_visible()


def test_cards_are_filtered_and_remembered(page: Page) -> None:
    opened(page, f"{cards.PAGE}.html")
    part = CARDS[-1].chapter.part
    of_part = [card for card in CARDS if card.chapter.part == part]
    page.get_by_label("Show", exact=True).select_option(part)
    assert shown(page) == len(of_part)
    assert page.get_by_role("status").inner_text() == f"You knew 0 of {len(of_part)} cards."
    page.locator("details.interview-card:visible summary").first.click()
    page.get_by_role("button", name="I knew it").first.click()
    page.reload()
    assert page.get_by_role("status").inner_text() == f"You knew 1 of {len(CARDS)} cards."
    page.get_by_label("only what I did not know").check()
    assert shown(page) == len(CARDS) - 1
    page.get_by_role("button", name="Forget what I knew").click()
    assert shown(page) == len(CARDS)
    page.reload()
    assert page.get_by_role("status").inner_text() == f"You knew 0 of {len(CARDS)} cards."


def test_a_heading_without_a_card_is_hidden(page: Page) -> None:
    opened(page, f"{cards.PAGE}.html")
    page.get_by_label("Show", exact=True).select_option(CARDS[0].chapter.part)
    headings = page.locator(".bd-article h2:visible").all_inner_texts()
    assert len(headings) == 1


def test_one_card_is_asked_at_random(page: Page) -> None:
    opened(page, f"{cards.PAGE}.html")
    page.get_by_role("button", name="Ask me one").click()
    asked = page.evaluate("document.activeElement.closest('details.interview-card').open")
    assert asked is False


def test_a_link_to_a_card_opens_it(page: Page) -> None:
    name = f"card-{CARDS[3].key.replace('/', '-')}"
    page.goto(f"{(HTML / cards.PAGE).as_uri()}.html#{name}")
    assert page.locator(f"#{name}").evaluate("card => card.open")


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_open_cards_can_be_read_by_everybody(browser: Browser, viewport: dict, theme: str) -> None:
    with browser.new_context(viewport=viewport, color_scheme=theme) as context:
        page = opened(context.new_page(), f"{cards.PAGE}.html")
        page.evaluate("document.querySelectorAll('details.interview-card').forEach(d=>d.open=true)")
        page.get_by_role("button", name="I knew it").first.click()
        assert grave_violations(page) == []
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(wide) <= 0


def test_the_deck_is_in_the_book() -> None:
    page = BeautifulSoup((HTML / f"{cards.PAGE}.html").read_bytes(), "html.parser")
    (link,) = page.select("a[download]")
    deck = (HTML / f"{cards.PAGE}.html").parent / link["href"]
    assert deck.resolve() == HTML / cards.DECK
    assert deck.read_bytes().startswith(b"PK")
