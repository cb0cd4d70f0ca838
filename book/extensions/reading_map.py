"""Put the map of which chapter needs which on the first page."""

from sphinx.application import Sphinx

from tools import chapters, reading_map
from tools.chapters import Entry

MARK = "<!-- reading-map -->"
SCRIPT = "reading-map.js"


def add_map(app: Sphinx, name: str, _: str, context: dict[str, str], __: object) -> None:
    """Write the map in the place of its mark; other kinds of books have no place for it."""
    if app.builder.name != "html" or MARK not in context.get("body", ""):
        return

    def address(entry: Entry) -> str:
        page = entry.notebook.removesuffix(".ipynb")
        there = page in app.env.found_docs
        return app.builder.get_relative_uri(name, page) if there else ""

    drawn = reading_map.html(chapters.planned(), address)
    context["body"] = context["body"].replace(MARK, drawn)
    app.add_js_file(SCRIPT)


def setup(app: Sphinx) -> dict[str, bool]:
    """Take part in the writing of pages.

    Args:
        app: the Sphinx application.

    Returns:
        What Sphinx may do with it.
    """
    app.connect("html-page-context", add_map)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
