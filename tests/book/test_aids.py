"""Cards, glossary, paper: what stands beside the chapters, on the built pages."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import Browser, Page

from tests.book.test_pages import DESKTOP, HTML, PHONE, grave_violations
from tools import cards, chapters, glossary

pytestmark = pytest.mark.xdist_group("aids")

CARDS = cards.load()
CHAPTERS = [
    (entry, HTML / entry.notebook.replace(".ipynb", ".html"))
    for entry in chapters.planned()
    if (chapters.ROOT / entry.notebook).exists()
]
PRINTED = "notebooks/data/transactions-and-locks.html"


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


# Glossary


@pytest.mark.parametrize(("entry", "path"), CHAPTERS, ids=[entry.name for entry, _ in CHAPTERS])
def test_the_first_use_of_each_term_leads_to_the_glossary(
    entry: chapters.Entry, path: Path
) -> None:
    page = BeautifulSoup(path.read_bytes(), "html.parser")
    article = page.select_one(".bd-article")
    links = article.select("a.term")
    pattern, terms = glossary.pattern(glossary.used_in(glossary.load(), entry.name))
    linked = [terms[glossary.key(pattern.fullmatch(a.text)[1])] for a in links]
    assert len(set(linked)) == len(linked), "a term is linked twice"
    for link, term in zip(links, linked, strict=True):
        assert link["href"].startswith("../../notes/glossary.html#term-")
        assert link["title"] == re.sub("[`*]", "", term.text)
        assert not link.find_parents(["pre", "code", "h1", "h2", "h3", "h4", "summary"])
    # What is left has no term that is not linked, and none before its link. An output is no prose.
    no_prose = "pre, code, h1, h2, h3, h4, summary, script, style, a:not(.term), .cell_output"
    for left in article.select(no_prose):
        left.decompose()
    texts = [(text, text.find_parent("a", class_="term")) for text in article.find_all(string=True)]
    seen = set()
    for text, link in texts:
        for found in pattern.finditer(text):
            term = terms[glossary.key(found[1])]
            assert term in seen or link is not None, f"{term.term} is used before it is linked"
            seen.add(term)
    assert seen == set(linked)


def test_the_glossary_has_every_term_and_leads_back() -> None:
    page = BeautifulSoup((HTML / f"{glossary.PAGE}.html").read_bytes(), "html.parser")
    terms = [glossary.key(term.find(string=True)) for term in page.select("dl.glossary dt")]
    assert terms == [glossary.key(term.term) for term in glossary.load()]
    assert len(page.select("dl.glossary dd a")) == len(terms)


def test_a_keyboard_is_told_what_a_term_means(page: Page) -> None:
    opened(page, PRINTED)
    term = page.locator("a.term").first
    meaning = term.get_attribute("title")
    page.keyboard.press("Tab")  # so that the browser shows where the focus is
    term.focus()
    content = term.evaluate("term => getComputedStyle(term, '::after').content")
    assert meaning in content
    assert term.get_attribute("href").startswith("../../notes/glossary.html#term-")


# Paper


def test_folds_are_printed_at_the_end_and_go_back(page: Page) -> None:
    opened(page, PRINTED)
    before = page.locator(".bd-article").inner_html()
    solutions = page.locator("details.hide", has_text="Show the solution").count()
    folded = page.locator("details.hide").count()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    last = page.locator(".bd-article > section > section").last
    assert last.locator("h2").inner_text() == "Solutions"
    titles = last.locator(".printed-title").all_inner_texts()
    assert len(titles) == solutions > 2
    assert titles[0] == "Solution of exercise 1"
    assert page.locator("details.hide:visible").count() == 0
    assert page.locator(".printed pre:visible").count() >= folded
    dead = page.locator(".printed-note a").evaluate_all(
        "all => all.filter(link => !document.querySelector(link.hash)).length"
    )
    assert dead == 0
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert plain(page.locator(".bd-article").inner_html()) == plain(before)


def plain(html: str) -> str:
    """HTML without blanks, and without the focus that the theme gives to boxes that scroll."""
    return re.sub(r'\s+|tabindex="-?[01]"', "", html)


def test_a_browser_prints_the_solutions(page: Page) -> None:
    opened(page, PRINTED)
    page.evaluate("addEventListener('beforeprint', () => { window.printed = gathered(); })")
    page.evaluate(
        "window.gathered = () => document.querySelectorAll('.printed-solutions pre').length"
    )
    assert page.pdf().startswith(b"%PDF")
    assert page.evaluate("window.printed") >= 4
    assert page.evaluate("gathered()") == 0  # and the page is as it was
