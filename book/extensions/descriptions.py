"""Give every page a description, for search engines and for those to whom a link is sent."""

import re
from html import escape, unescape

from docutils import nodes
from sphinx.application import Sphinx

MOST = 160  # characters; search engines show no more


def description(page: nodes.document) -> str:
    """Return a page's first paragraph: in a chapter, that is its promise.

    Args:
        page: what was read of the page.
    """
    words = next((p.astext() for p in page.findall(nodes.paragraph)), "").split()
    text = " ".join(words)
    return text if len(text) <= MOST else text[:MOST].rpartition(" ")[0] + " …"


def add_description(
    _: Sphinx, __: str, ___: str, context: dict[str, str], page: nodes.document | None
) -> None:
    """Write the description into a page's head.

    Args:
        context: what the page's template is given; changed in place.
        page: what was read of the page; None for pages such as the search.
    """
    if page is None:  # nobody should come to such a page from outside
        context["metatags"] = (
            context.get("metatags", "") + '<meta name="robots" content="noindex"/>'
        )
        return
    tags = {"description": description(page)}
    shared = {"og:title": context["title"], "og:type": "article", "og:site_name": "Project Nexus"}
    if context.get("pageurl"):
        shared["og:url"] = context["pageurl"]
    shared["og:description"] = tags["description"]
    lines = [f'<meta name="{name}" content="{escape(text)}"/>' for name, text in tags.items()]
    lines += [
        f'<meta property="{name}" content="{escape(plain(text))}"/>'
        for name, text in shared.items()
    ]
    context["metatags"] = context.get("metatags", "") + "\n".join(lines)


def plain(title: str) -> str:
    """Return a title without its markup."""
    return unescape(re.sub(r"<[^>]+>", "", title))


def setup(app: Sphinx) -> dict[str, bool]:
    """Take part in the writing of pages.

    Args:
        app: the Sphinx application.

    Returns:
        What Sphinx may do with it.
    """
    app.connect("html-page-context", add_description)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
