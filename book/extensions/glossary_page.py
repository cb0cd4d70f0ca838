"""Put the glossary on its page, and link the first use of each term in a chapter to it.

The links are made while the pages are written, so a notebook has nothing of them. Code, headings
and other links stay as they are.
"""

from collections.abc import Iterator

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

from tools import chapters, glossary
from tools.glossary import Term

LEFT_OUT = (nodes.title, nodes.reference, nodes.literal, nodes.literal_block, nodes.raw, nodes.math)

CHAPTERS = {entry.notebook.removesuffix(".ipynb") for entry in chapters.planned()}


def add_terms(app: Sphinx, name: str, source: list[str]) -> None:
    """Write the terms below the text of their page.

    Args:
        app: the Sphinx application.
        name: the name of the page that has been read.
        source: its text, which is changed in place.
    """
    if name == glossary.PAGE:
        app.env.note_dependency(chapters.ROOT / glossary.FILE)
        source[0] += "\n\n" + glossary.markdown(glossary.load())


def addresses(app: Sphinx) -> dict[str, str]:
    """Return where on its page each term is."""
    objects = app.env.get_domain("std").objects
    return {
        glossary.key(name): target
        for (kind, name), (page, target) in objects.items()
        if kind == "term" and page == glossary.PAGE
    }


def texts(page: nodes.document) -> Iterator[nodes.Text]:
    """Yield the texts of a page that are prose."""
    for text in page.findall(nodes.Text):
        node: nodes.Node | None = text.parent
        while node is not None and not isinstance(node, LEFT_OUT):
            node = node.parent
        if node is None:
            yield text


class LinkTerms(SphinxPostTransform):
    """Link the first use of each term."""

    default_priority = 900  # when all other links are there
    builders = ("html", "epub")

    def run(self, **_: object) -> None:
        """Link the terms of one page, if it is a chapter."""
        name = self.env.docname.rpartition("/")[2]
        if self.env.docname not in CHAPTERS or glossary.PAGE not in self.env.found_docs:
            return
        self.pattern, self.terms = glossary.pattern(glossary.used_in(glossary.load(), name))
        places = addresses(self.app)
        page = self.app.builder.get_relative_uri(self.env.docname, glossary.PAGE)
        self.seen: set[str] = set()
        for text in list(texts(self.document)):
            if pieces := list(self.linked(text.astext(), page, places)):
                text.parent.replace(text, pieces)

    def linked(self, text: str, page: str, places: dict[str, str]) -> Iterator[nodes.Node]:
        """Yield a text with its links; nothing if it has none."""
        end = 0
        for found in self.pattern.finditer(text):
            term = self.terms[glossary.key(found[1])]
            if term.term in self.seen:
                continue
            self.seen.add(term.term)
            yield nodes.Text(text[end : found.start()])
            yield link(found[0], term, f"{page}#{places[glossary.key(term.term)]}")
            end = found.end()
        if end:
            yield nodes.Text(text[end:])


def link(text: str, term: Term, address: str) -> nodes.reference:
    """Return a link that says what a term means before it is followed."""
    meaning = term.text.replace("`", "").replace("*", "")
    return nodes.reference(
        "", text, refuri=address, internal=True, classes=["term"], reftitle=meaning
    )


def setup(app: Sphinx) -> dict[str, bool]:
    """Take part in the build.

    Args:
        app: the Sphinx application.

    Returns:
        What Sphinx may do with it.
    """
    app.connect("source-read", add_terms)
    app.add_post_transform(LinkTerms)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
