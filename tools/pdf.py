"""Make the book as PDFs, in _build/downloads, and offer them in the built book.

Sphinx writes the whole book as one page. Chromium prints it once for each PDF, and before that, the
chapters that are not wanted are taken out of the page. `python -m tools.pdf data` makes the PDF of
one part.
"""

import argparse
import sys
import time
from collections.abc import Iterator

import yaml
from playwright.sync_api import Browser, Page, sync_playwright

from tools import book, chapters, chromium, downloads

ROOT = downloads.ROOT
PAGES = downloads.BUILD / "paper"
PATIENCE = 15 * 60_000  # milliseconds: the whole book has hundreds of pages
# Read on a screen, or by those who write the book.
NOT_ON_PAPER = ("docs/", "CONTRIBUTING", "CHANGELOG", "notebooks/template", "diagrams/", "messages")

# In the page: keep the pages whose names are wanted, begin each on a new sheet, and put a list of
# them in front. A link leads to its place on paper, or it becomes text: what is not in this PDF,
# and a file of this computer, such as a picture that a tap opens.
ARRANGE = """({wanted, title, root}) => {
  document.querySelectorAll('script, #jb-print-docs-body').forEach(part => part.remove());
  const article = document.querySelector('.bd-article');
  const first = document.createElement('span'); // Sphinx marks each page, but not the first one
  first.id = 'document-' + root;
  article.prepend(first);
  const pages = [...document.querySelectorAll('span[id^="document-"]')].map(mark => ({
    name: mark.id.slice('document-'.length), mark, section: mark.nextElementSibling }));
  // A page may stand inside another one, of which it is a part of the contents.
  for (const {mark, section} of pages) { mark.remove(); section.remove(); }
  const front = document.createElement('section');
  front.innerHTML = '<p class="book-title"></p><ul></ul>';
  front.querySelector('p').textContent = title;
  const kept = wanted.map(name => pages.find(page => page.name === name)).filter(Boolean);
  for (const {mark, section} of kept) {
    const line = document.createElement('li');
    const link = document.createElement('a');
    link.href = '#' + mark.id;
    link.textContent = section.querySelector('h1, h2, h3, h4').firstChild.textContent;
    line.append(link);
    front.querySelector('ul').append(line);
    section.classList.add('printed-page');
  }
  article.replaceChildren(front, ...kept.flatMap(({mark, section}) => [mark, section]));
  // Two pages may have the same heading, so a place is looked for in its own page first.
  const placeOf = (address) => {
    const [file, page, anchor] = address.split('#');
    if (file && file !== root + '.html') return null;
    if (!page.startsWith('document-') || !anchor)
      return document.getElementById(page) && '#' + page;
    const one = kept.find(({mark}) => mark.id === page);
    const target = one?.section.querySelector(`[id="${CSS.escape(anchor)}"]`);
    if (!target) return one ? '#' + page : null;
    if (document.getElementById(anchor) === target) return '#' + anchor;
    const place = document.createElement('span');
    place.id = page + '--' + anchor;
    if (!document.getElementById(place.id)) target.prepend(place);
    return '#' + place.id;
  };
  for (const link of article.querySelectorAll('a[href]')) {
    const address = decodeURIComponent(link.getAttribute('href'));
    if (/^(https?|mailto):/.test(address)) continue;
    const place = address.includes('#') ? placeOf(address) : null;
    if (place) link.setAttribute('href', place);
    else link.replaceWith(...link.childNodes);
  }
  document.title = title;
  return kept.map(page => page.name);
}"""
FOOTER = """\
<div style="width: 100%; padding: 0 16mm; font: 8px sans-serif; color: #555; display: flex;
  justify-content: space-between"><span class="title"></span>
<span><span class="pageNumber"></span> / <span class="totalPages"></span></span></div>
"""


def contents() -> dict[str, tuple[str, list[str]]]:
    """Return each PDF's name, with its title and its pages."""
    title = yaml.safe_load((ROOT / "_config.yml").read_text())["title"]
    listed = [name for name in pages() if not name.startswith(NOT_ON_PAPER)]
    made = {downloads.NAME: (title, listed)}
    parts = yaml.safe_load((ROOT / "data" / "map.yml").read_text())["parts"]
    for part in parts:
        own = [entry for entry in chapters.planned() if entry.part == part["name"]]
        rooms = [entry.rooms[room] for room in ("chapter", "gotchas") for entry in own]
        names = [room.rpartition(".")[0] for room in rooms if (ROOT / room).exists()]
        if names:
            made[f"{downloads.NAME}-{part['name']}"] = (f"{title}: {part['title']}", names)
    return made


def pages() -> Iterator[str]:
    """Yield the names of the book's pages, in their order."""
    known = {path.relative_to(ROOT).as_posix() for path in (ROOT / "notes").rglob("*.md")}
    yield from chapters.entries()
    yield from sorted(
        name.removesuffix(".md") for name in known if name.startswith("notes/gotchas/")
    )


def arrange(page: Page, title: str, wanted: list[str]) -> list[str]:
    """Open the book on one page, and leave what a PDF wants of it.

    Args:
        page: Of the browser.
        title: What stands on the first page.
        wanted: The names of the pages.

    Returns:
        The names of those that are there.
    """
    root = chapters.entries()[0]
    page.goto((PAGES / f"{root}.html").as_uri())
    kept: list[str] = page.evaluate(ARRANGE, {"wanted": wanted, "title": title, "root": root})
    return kept


def write(browser: Browser, name: str, title: str, wanted: list[str]) -> None:
    """Print a PDF.

    Args:
        browser: Chromium.
        name: Of the file, without its ending.
        title: What stands on the first page.
        wanted: The names of the pages.
    """
    file = downloads.FOLDER / f"{name}.pdf"
    began = time.monotonic()
    page = browser.new_page(color_scheme="light")
    page.set_default_timeout(PATIENCE)
    kept = arrange(page, title, wanted)
    if missing := [one for one in wanted if one not in kept]:
        raise SystemExit(f"pdf: {missing[0]} is not in the book on one page")
    page.pdf(
        path=file,
        format="A4",
        print_background=True,
        display_header_footer=True,
        header_template="<span></span>",
        footer_template=FOOTER,
        margin={"top": "18mm", "bottom": "18mm", "left": "16mm", "right": "16mm"},
        outline=True,
        tagged=True,
    )
    page.close()
    took = time.monotonic() - began
    print(f"  {file.relative_to(ROOT)}: {downloads.size(file)}, in {took:.0f} s", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Make the PDFs; see the module's own text."""
    parser = argparse.ArgumentParser(description="Make the book as PDFs.")
    parser.add_argument("part", nargs="*", help="such as data; else all parts and the whole")
    asked = parser.parse_args(arguments).part
    made = contents()
    wanted = [f"{downloads.NAME}-{part}" for part in asked] or list(made)
    if unknown := [name for name in wanted if name not in made]:
        names = ", ".join(name.removeprefix(f"{downloads.NAME}-") for name in list(made)[1:])
        print(f"pdf: {unknown[0]} cannot be made; there are the parts {names}", file=sys.stderr)
        return 2
    try:
        program = chromium.find()
    except chromium.NoChromiumError as error:
        print(f"pdf: {error}", file=sys.stderr)
        return 1
    book.check_settings()
    print("Writing the book as one page …", flush=True)
    # What Sphinx remembers of the HTML serves here too, unless it is out of date.
    complete = book.STAMP.read_text() if book.STAMP.exists() else ""
    if book.build("singlehtml", PAGES, fresh=complete != book.fingerprint()) != 0:
        print("pdf: not made. Each WARNING and ERROR above counts as a failure.", file=sys.stderr)
        return 1
    downloads.FOLDER.mkdir(parents=True, exist_ok=True)
    print("Printing, the whole book in some minutes …", flush=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=chromium.SWITCHES, timeout=PATIENCE
        )
        for name in wanted:
            write(browser, name, *made[name])
        browser.close()
    downloads.offer(book.HTML)
    return 0


if __name__ == "__main__":
    sys.exit(main())
