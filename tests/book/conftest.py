"""One browser for all tests of a worker: Playwright can be started once in a process."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

PATIENCE = 120_000  # milliseconds that anything in the browser may take on a busy machine
CHROMIUMS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
# Headless, and asking nobody for anything but our pages.
SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium; without one, the tests are skipped, or fail in CI."""
    named = [os.environ["NEXUS_CHROMIUM"]] if "NEXUS_CHROMIUM" in os.environ else CHROMIUMS
    found = next(filter(None, map(shutil.which, named)), None)
    if found is None:
        message = (
            f"no Chromium (looked for {', '.join(named)}): apt-get install chromium, "
            "or name one by NEXUS_CHROMIUM"
        )
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE)
        opened = playwright.chromium.launch(executable_path=found, args=SWITCHES, timeout=PATIENCE)
        yield opened
        opened.close()
