"""Put the rows of data/messages/ on their page, and into the script that its box looks into."""

import json
from collections.abc import Iterator
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

from tools import messages

DATA = "messages-data.js"
SCRIPT = "messages.js"
PAGES = (messages.PAGE, "search")  # of all pages only these load the data


def add_rows(app: Sphinx, name: str, source: list[str]) -> None:
    """Write the rows below the text of their page.

    Args:
        app: the Sphinx application.
        name: the name of the page that has been read.
        source: its text, which is changed in place.
    """
    if name == messages.PAGE:
        for path in messages.FOLDER.glob("*.yml"):
            app.env.note_dependency(path)
        source[0] += "\n\n" + messages.markdown(messages.load())


def add_scripts(
    app: Sphinx, name: str, _template: str, _context: dict[str, object], _tree: object
) -> None:
    """Let the pages that have the box load what it needs."""
    if name in PAGES:
        app.add_js_file(DATA)
        app.add_js_file(SCRIPT)


def gotchas(app: Sphinx) -> Iterator[dict[str, object]]:
    """Yield the symptoms of the pages of gotchas, in the form of the rows.

    Args:
        app: the Sphinx application, which has read all pages.
    """
    for name in sorted(app.env.found_docs):
        if not name.startswith("notes/gotchas/"):
            continue
        chapter, *symptoms = app.env.get_doctree(name).findall(nodes.section)
        title = text_of(chapter, nodes.title).removeprefix("Gotchas: ")
        for symptom in symptoms:
            yield {
                "u": f"{name}.html#{symptom['ids'][0]}",
                "m": text_of(symptom, nodes.title),
                "p": title,
                "c": "",
                "w": [["", ""]],
                "l": [],
            }


def text_of(section: nodes.section, kind: type[nodes.Element]) -> str:
    """Return the text of the first node of a kind; empty if there is none."""
    return next((node.astext() for node in section.findall(kind)), "")


def write_data(app: Sphinx, error: Exception | None) -> None:
    """Store the rows as a script: a page that is opened as a file may not fetch anything else."""
    if error is None and app.builder.format == "html":
        entries = [*messages.entries(messages.load()), *gotchas(app)]
        rows = json.dumps(entries, ensure_ascii=False, separators=(",", ":"))
        path = Path(app.outdir) / "_static" / DATA
        path.write_text(f"window.nexusMessages = {rows};\n", encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Take part in the build.

    Args:
        app: the Sphinx application.

    Returns:
        What Sphinx may do with it.
    """
    app.connect("source-read", add_rows)
    app.connect("html-page-context", add_scripts)
    app.connect("build-finished", write_data)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
