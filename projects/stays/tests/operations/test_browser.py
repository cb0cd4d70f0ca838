"""What a browser makes of the pages. It runs where Playwright and a Chromium are installed."""

import shutil
from typing import Any

import pytest

from tests.programs import Program

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync"
)


@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium")
@pytest.mark.parametrize(
    ("path", "shows"),
    [
        ("/api/docs", ".swagger-ui .info .title"),
        ("/admin/login/", "#login-form"),
        ("/", "main h1"),
    ],
)
@pytest.mark.django_db
def test_a_page_needs_nothing_from_elsewhere(server: Program, path: str, shows: str) -> None:
    url = server.url()
    said: list[str] = []
    asked: list[str] = []
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        page = browser.new_page()
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.on("response", lambda answer: said.extend(_failed(answer)))
        answer = page.goto(f"{url}{path}")
        page.wait_for_selector(shows)
        page.wait_for_load_state("networkidle")
        browser.close()
    assert answer.status == 200
    assert said == []
    assert len(asked) >= 2
    assert [one for one in asked if not one.startswith((url, "data:"))] == []


def _failed(answer: Any) -> list[str]:
    return [f"{answer.status} {answer.url}"] if answer.status >= 400 else []
