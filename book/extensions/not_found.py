"""Make 404.html, which a server of static pages shows for an address that is not there.

It is shown at any depth, so its links start from the book's own address.
"""

from collections.abc import Iterator
from html import escape
from urllib.parse import urlsplit

from sphinx.application import Sphinx

from tools import chapters

PAGE = "404"


def collect(app: Sphinx) -> Iterator[tuple[str, dict[str, object], str]]:
    """Yield the page, with what its template needs."""
    if app.builder.name != "html":
        return
    written = [
        (entry.title, f"{entry.notebook.removesuffix('.ipynb')}.html", entry.promise)
        for entry in chapters.planned()
        if entry.notebook.removesuffix(".ipynb") in app.env.found_docs
    ]
    base = urlsplit(app.config.html_baseurl).path or "/"
    context = {
        "metatags": f'<base href="{escape(base)}"/>\n',
        "chapters": written,
        "title": "No such page",
    }
    yield PAGE, context, "404.html"


def setup(app: Sphinx) -> dict[str, bool]:
    """Take part in the build.

    Args:
        app: the Sphinx application.

    Returns:
        What Sphinx may do with it.
    """
    app.connect("html-collect-pages", collect)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
