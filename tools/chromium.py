"""Find the system's Chromium, which prints the book and opens its pages in the tests."""

import os
import shutil

NAMES = (
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


class NoChromiumError(RuntimeError):
    """There is no Chromium; the text says how to get one."""


def find() -> str:
    """Return where the browser is.

    Raises:
        NoChromiumError: If there is none.
    """
    named = [os.environ["NEXUS_CHROMIUM"]] if "NEXUS_CHROMIUM" in os.environ else NAMES
    found = next(filter(None, map(shutil.which, named)), None)
    if found is None:
        raise NoChromiumError(
            f"no Chromium (looked for {', '.join(named)}): apt-get install chromium, "
            "or name one by NEXUS_CHROMIUM"
        )
    return found
