"""One browser for all tests of a worker: Playwright can be started once in a process."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tools import chromium

PATIENCE = 120_000  # milliseconds that anything in the browser may take on a busy machine


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium; without one, the tests are skipped, or fail in CI."""
    try:
        found = chromium.find()
    except chromium.NoChromiumError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE)
        opened = playwright.chromium.launch(
            executable_path=found, args=chromium.SWITCHES, timeout=PATIENCE
        )
        yield opened
        opened.close()
