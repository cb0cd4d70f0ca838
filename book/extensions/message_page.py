"""Put the rows of data/messages/ on the pages of their groups, and list these under the box."""

import re

from sphinx.application import Sphinx

from tools import messages

# Sphinx wraps each word of inline code, so that a theme may keep it whole. This theme does not.
WRAPPED = re.compile(r'<span class="pre">(.*?)</span>')


def add_rows(app: Sphinx, name: str, source: list[str]) -> None:
    """Write the list of groups below the text of the page with the box, and a group on its page.

    Args:
        app: the Sphinx application.
        name: the name of the page that has been read.
        source: its text, which is changed in place.
    """
    folder, _, group = name.rpartition("/")
    if name == messages.PAGE:
        for path in messages.FOLDER.glob("*.yml"):
            app.env.note_dependency(path)
        source[0] += "\n\n" + messages.contents(messages.load())
    elif folder == messages.PAGE:
        path = messages.FOLDER / f"{group}.yml"
        app.env.note_dependency(path)
        source[0] = messages.markdown(messages.group(path))


def unwrap(_: Sphinx, name: str, __: str, context: dict[str, str], ___: object) -> None:
    """Make a group's page lighter: it has thousands of words of code."""
    if name.startswith(f"{messages.PAGE}/"):
        context["body"] = WRAPPED.sub(r"\1", context["body"])


def setup(app: Sphinx) -> dict[str, bool]:
    """Take part in the build.

    Args:
        app: the Sphinx application.

    Returns:
        What Sphinx may do with it.
    """
    app.connect("source-read", add_rows)
    app.connect("html-page-context", unwrap)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
