"""Take README's picture of the built book: `python -m tools.picture`, after `make book`.

The picture carries a digest of what it shows, so a test can tell when it has grown old.
"""

import hashlib
import shutil
import sys
from io import BytesIO
from pathlib import Path

from bs4 import BeautifulSoup
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import ViewportSize, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"
PAGE = HTML / "notebooks" / "data" / "indexes-and-plans.html"
PICTURE = ROOT / "docs" / "images" / "chapter.png"
PLAN = 'img[alt*="Seq Scan"]'  # the first of these is in the middle
SIZE = ViewportSize(width=1200, height=960)
SIDEBAR = ".bd-sidebar-primary nav a:not(details:not([open]) a)"  # without what is folded
BESIDE = 10  # of its entries, which are in view
KEY = "shows"
BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)


def shown(page: Path = PAGE) -> str:
    """Return a digest of what the picture shows, as it is in the built page.

    Args:
        page: The page of the chapter.

    Raises:
        ValueError: If the page has no such plan.
    """
    soup = BeautifulSoup(page.read_bytes(), "html.parser")
    plan = soup.select_one(PLAN)
    section = plan.find_parent("section") if plan else None
    if plan is None or section is None:
        raise ValueError(f"{page.name} has no picture of a sequential scan")
    seen = [
        *(link.get_text() for link in soup.select(SIDEBAR)[:BESIDE]),
        *(link.get_text() for link in soup.select(".page-toc a")),
        section.get_text(),
    ]
    digest = hashlib.sha256("\n".join(" ".join(text.split()) for text in seen).encode())
    digest.update((page.parent / str(plan["src"])).read_bytes())
    digest.update((page.parents[2] / "_static" / "book.css").read_bytes())
    return digest.hexdigest()


def stored(picture: Path = PICTURE) -> str:
    """Return the digest of what a picture shows; empty if it does not say."""
    with Image.open(picture) as image:
        return str(image.info.get(KEY, ""))


def take(page: Path = PAGE, picture: Path = PICTURE) -> None:
    """Open the page in a browser without a window, and store what it looks like.

    Args:
        page: The page of the chapter.
        picture: Where to store the picture.

    Raises:
        RuntimeError: If there is no browser.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise RuntimeError("no Chromium: sudo apt-get install chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=browser, args=["--no-sandbox", "--disable-gpu"]
        )
        tab = opened.new_page(viewport=SIZE, color_scheme="light")
        tab.goto(page.as_uri())
        tab.evaluate("document.fonts.ready.then(() => null)")
        plan = tab.locator(PLAN).first
        plan.evaluate("image => image.decode()")
        plan.evaluate("image => image.scrollIntoView({block: 'center', behavior: 'instant'})")
        # The contents beside the page mark the section in view, in one of the next frames.
        tab.evaluate(
            "() => new Promise(done => setTimeout(() => requestAnimationFrame(done), 200))"
        )
        data = tab.screenshot(animations="disabled")
        opened.close()
    with Image.open(BytesIO(data)) as image:
        known = PngInfo()
        known.add_text(KEY, shown(page))
        small = image.convert("RGB").quantize(128)
        small.save(picture, pnginfo=known, optimize=True)


def main() -> None:
    """Take the picture.

    Raises:
        SystemExit: With the reason, if that is impossible.
    """
    if not PAGE.exists():
        sys.exit("picture: the book is not built; run `make book`")
    try:
        take()
    except (RuntimeError, ValueError) as error:
        sys.exit(f"picture: {error}")
    print(f"picture: stored {PICTURE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
