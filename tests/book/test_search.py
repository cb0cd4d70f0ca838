"""The book's own search, in the built book: the right page first, its section, while typing."""

import re
from collections.abc import Iterator

import nbformat
import pytest
from playwright.sync_api import Browser, Page, expect

from book.extensions.search_data import stem
from tests.book.test_pages import DESKTOP, HTML, PHONE
from tools import chapters

pytestmark = pytest.mark.xdist_group("search")

# What people ask for, and the pages of which one must come first.
FIRST = {
    "EXPLAIN": ["notebooks/data/indexes-and-plans.html"],
    "explain analyze": ["notebooks/data/indexes-and-plans.html"],
    "slow query": ["notebooks/data/indexes-and-plans.html"],
    "N+1": ["notebooks/apis/orm-and-n-plus-one.html", "notebooks/apis/graphql.html"],
    "CORS": ["notebooks/apis/rest-with-drf.html", "notebooks/apis/auth.html"],
    "cors": ["notebooks/apis/rest-with-drf.html", "notebooks/apis/auth.html"],
    "stampede": ["notebooks/async/caching.html"],
    "cache stampede": ["notebooks/async/caching.html"],
    "rate limit": ["notebooks/async/rate-limiting-and-ip-security.html"],
    "token bucket": ["notebooks/async/rate-limiting-and-ip-security.html"],
    "X-Forwarded-For": ["notebooks/async/rate-limiting-and-ip-security.html"],
    "websocket": ["notebooks/async/realtime.html"],
    "Last-Event-ID": ["notebooks/async/realtime.html"],
    "1006": ["notes/gotchas/realtime.html", "notebooks/async/realtime.html"],
    "normal form": ["notebooks/data/data-modelling.html"],
    "soft delete": ["notebooks/data/data-modelling.html"],
    "UUIDv7": ["notebooks/data/data-modelling.html"],
    "fourth normal form": ["notebooks/data/data-modelling.html"],
    "closure table": ["notebooks/data/data-modelling.html"],
    "deadlock": ["notebooks/data/transactions-and-locks.html"],
    "deadlocks": ["notebooks/data/transactions-and-locks.html"],
    "isolation level": ["notebooks/data/transactions-and-locks.html"],
    "idempotency": ["notebooks/apis/rest-with-drf.html", "notebooks/async/background-jobs.html"],
    "idempotent task": ["notebooks/async/background-jobs.html"],
    "JWT": ["notebooks/apis/auth.html"],
    "OOM": [
        "notes/gotchas/containers.html",
        "notebooks/shipping/containers.html",
        "notebooks/shipping/kubernetes.html",
    ],
    "137": ["notebooks/shipping/containers.html", "notes/gotchas/containers.html"],
    "visibility timeout": ["notebooks/async/background-jobs.html"],
    "RabbitMQ": ["notebooks/async/message-queues.html"],
    "dead letter exchange": [
        "notebooks/async/message-queues.html",
        "notes/gotchas/message-queues.html",
    ],
    "webhook signature": ["notebooks/async/payments-and-webhooks.html"],
    "double-entry ledger": ["notebooks/async/payments-and-webhooks.html"],
    "publisher confirms": ["notebooks/async/message-queues.html"],
    "keyset pagination": [
        "notebooks/apis/rest-with-drf.html",
        "notebooks/data/indexes-and-plans.html",
    ],
    "dataloader": ["notebooks/apis/graphql.html"],
    "kubectl": ["notebooks/shipping/kubernetes.html", "notes/gotchas/kubernetes.html"],
    "readiness probe": [
        "notebooks/shipping/deployment.html",
        "notebooks/shipping/kubernetes.html",
        "notes/gotchas/kubernetes.html",
    ],
    "point in time recovery": [
        "notebooks/shipping/deployment.html",
        "notes/gotchas/deployment.html",
    ],
    "slow clients": ["notebooks/shipping/deployment.html"],
    "ACME": ["notebooks/shipping/deployment.html"],
    "coordinated omission": ["notebooks/shipping/observability.html"],
    "exemplars": ["notebooks/shipping/observability.html", "notes/gotchas/observability.html"],
    "liveness": ["notebooks/shipping/deployment.html", "notebooks/shipping/kubernetes.html"],
    "blue green": ["notebooks/shipping/ci-cd.html", "notebooks/shipping/kubernetes.html"],
    "etcd quorum": ["notebooks/shipping/kubernetes.html"],
    "CronJob concurrencyPolicy": [
        "notebooks/shipping/kubernetes.html",
        "notes/gotchas/kubernetes.html",
    ],
    "PodDisruptionBudget": ["notebooks/shipping/kubernetes.html", "notes/gotchas/kubernetes.html"],
    "SQL injection": ["notebooks/shipping/application-security.html"],
    "SSRF": ["notebooks/shipping/application-security.html"],
    "STRIDE": ["notebooks/shipping/application-security.html"],
    "ReDoS": ["notebooks/shipping/application-security.html"],
    "XXE": ["notebooks/shipping/application-security.html"],
    "clickjacking": ["notebooks/shipping/application-security.html"],
    "template injection": ["notebooks/shipping/application-security.html"],
    "window function": ["notebooks/data/sql-joins-to-windows.html"],
    "gaps and islands": ["notebooks/data/sql-joins-to-windows.html"],
    "natural sort": ["notebooks/data/sql-joins-to-windows.html"],
    "JSON_TABLE": ["notebooks/data/sql-joins-to-windows.html"],
    "full text search": ["notebooks/data/sql-joins-to-windows.html"],
    "connection pool": [
        "notebooks/data/connections-and-pools.html",
        "notes/gotchas/connections-and-pools.html",
    ],
    "pgbouncer": [
        "notebooks/data/connections-and-pools.html",
        "notes/gotchas/connections-and-pools.html",
    ],
    "partition pruning": [
        "notebooks/data/partitioning.html",
        "notes/gotchas/partitioning.html",
    ],
    "default partition": [
        "notebooks/data/partitioning.html",
        "notes/gotchas/partitioning.html",
    ],
    "backfill": ["notebooks/data/migrations.html", "notes/gotchas/migrations.html"],
    "gap locks": [
        "notebooks/data/postgres-and-mariadb.html",
        "notes/gotchas/postgres-and-mariadb.html",
    ],
    "zero date": [
        "notebooks/data/postgres-and-mariadb.html",
        "notes/gotchas/postgres-and-mariadb.html",
    ],
    "double vote": ["notebooks/practice/challenges-data.html"],
    "best practices": ["notebooks/practice/best-practices.html"],
    "study plan": ["notebooks/practice/progress.html"],
    "multi-stage build": ["notebooks/shipping/containers.html"],
    "p99": ["notebooks/shipping/observability.html", "notes/gotchas/observability.html"],
    "burn rate": ["notebooks/shipping/observability.html"],
    "waterfall": ["notebooks/shipping/observability.html"],
    "nginx": ["snippets/nginx/README.html", "notebooks/shipping/deployment.html"],
    "gunicorn": ["notebooks/shipping/deployment.html", "snippets/gunicorn/README.html"],
    "changelog": ["CHANGELOG.html"],
}
# Of these the page itself is the answer, since its title says it.
WHOLE = {
    *("N+1", "JWT", "nginx", "gunicorn", "changelog", "slow query", "isolation level"),
    *("best practices", "connection pool", "rate limit"),
}
ABOUT = re.compile(r"docs/|diagrams/|CONTRIBUTING|CHANGELOG|notebooks/template")
FOUND = (
    "text => searchBook(text).pages.map(({page, hits}) => [page.address, hits[0].section.anchor])"
)
FIELD = ".bd-search-container input"


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    with browser.new_page(viewport=DESKTOP) as opened:
        opened.goto((HTML / "search.html").as_uri())  # as a file: no server, nothing fetched
        assert not opened.evaluate("'nexusSearch' in window")
        opened.fill(FIELD, "deadlock")
        expect(opened.locator(".search-results .pages a").first).to_contain_text("deadlock")
        yield opened


@pytest.mark.parametrize("text", FIRST)
def test_the_right_page_is_first(page: Page, text: str) -> None:
    found = page.evaluate(FOUND, text)
    assert found[0][0] in FIRST[text], found[:5]


@pytest.mark.parametrize("text", [text for text in FIRST if text not in WHOLE])
def test_a_hit_leads_to_its_section(page: Page, text: str) -> None:
    page.fill(FIELD, text)
    link = page.locator(".search-results .pages a").first.get_attribute("href")
    address, _, anchor = link.removeprefix("./").partition("#")
    assert f'id="{anchor}"' in (HTML / address).read_text()


@pytest.mark.parametrize("text", [text for text in FIRST if text != "changelog"])
def test_pages_about_this_book_come_last(page: Page, text: str) -> None:
    about = [bool(ABOUT.match(address)) for address, _ in page.evaluate(FOUND, text)]
    assert about == sorted(about)


def test_what_is_found_shows_while_you_type(page: Page) -> None:
    page.fill(FIELD, "")
    page.locator(FIELD).press_sequentially("transactio")
    first = page.locator(".search-results .pages li").first
    assert "Transactions and locks" in first.inner_text()
    page.fill(FIELD, "xyzzy")
    assert page.inner_text("#search-results") == "No page has these words."
    page.fill(FIELD, " ")
    assert page.inner_text("#search-results") == ""


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desk", "phone"])
def test_the_field_of_any_page_finds_while_you_type(browser: Browser, size: dict[str, int]) -> None:
    with browser.new_page(viewport=size) as opened:
        opened.goto((HTML / "notebooks/async/caching.html").as_uri())
        assert not opened.evaluate("'nexusSearch' in window"), "every page would be heavier"
        opened.locator(".search-button__button:visible").first.click()
        opened.keyboard.type("deadlock")
        first = opened.locator("#pst-search-dialog .pages a").first
        expect(first).to_contain_text("deadlock")
        first.click()
        opened.wait_for_url("**/notebooks/data/transactions-and-locks.html#*")


def test_words_are_cut_alike_on_both_sides(page: Page) -> None:
    """The build cuts them in Python, the browser cuts the question's in JavaScript."""
    texts = (
        cell.source.lower()
        for path in chapters.in_book()
        for cell in nbformat.read(path, as_version=4).cells
    )
    found = {word for text in texts for word in re.findall(r"[a-z_][a-z0-9_]{2,}", text)}
    words = sorted(found | {"topology", "biology", "possibly", "invisibly", "nobly", "humbly"})
    cut = page.evaluate("words => words.map(word => new Stemmer().stemWord(word))", words)
    differ = [word for word, mine in zip(words, cut, strict=True) if stem(word) != mine]
    assert len(words) > 3_000
    assert differ == []
