"""Put the interview cards of notes/cards/ on their page, and beside it a deck for Anki.

A card is a fold: its question is seen, and its answer opens. The page works without scripts. With
them it can be filtered, and remembers in the reader's own browser what the reader knew.
"""

from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, SphinxTranslator

from tools import cards, chapters

SCRIPT = "cards.js"


class card(nodes.General, nodes.Element):  # noqa: N801 - docutils names nodes so
    """A question, followed by its answer."""


class question(nodes.Part, nodes.TextElement):  # noqa: N801
    """What an interviewer asks."""


class InterviewCard(SphinxDirective):
    """A card: its argument is the question, its content the answer."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec: ClassVar = {"key": directives.unchanged, "part": directives.unchanged}

    def run(self) -> list[nodes.Node]:
        """Return the card."""
        asked, messages = self.state.inline_text(self.arguments[0], self.lineno)
        made = card(key=self.options["key"], part=self.options["part"])
        made += question(self.arguments[0], "", *asked)
        self.state.nested_parse(self.content, self.content_offset, made)
        return [made, *messages]


def visit_card(translator: SphinxTranslator, node: card) -> None:
    """Open the fold; in an e-reader, which may not fold, the block."""
    if translator.builder.name == "epub":
        translator.body.append('<div class="interview-card">\n')
    else:
        translator.body.append(
            f'<details class="interview-card" id="card-{node["key"].replace("/", "-")}" '
            f'data-key="{node["key"]}" data-part="{node["part"]}">\n'
        )


def depart_card(translator: SphinxTranslator, _: card) -> None:
    """Close it."""
    translator.body.append("</div>\n" if translator.builder.name == "epub" else "</details>\n")


def visit_question(translator: SphinxTranslator, _: question) -> None:
    """Open the question."""
    epub = translator.builder.name == "epub"
    translator.body.append("<p><strong>" if epub else "<summary>")


def depart_question(translator: SphinxTranslator, _: question) -> None:
    """Close the question."""
    epub = translator.builder.name == "epub"
    translator.body.append("</strong></p>\n" if epub else "</summary>\n")


def skip(_translator: SphinxTranslator, _node: nodes.Element) -> None:
    """Write nothing of its own around what is in it."""


def add_cards(app: Sphinx, name: str, source: list[str]) -> None:
    """Write the cards below the text of their page.

    Args:
        app: the Sphinx application.
        name: the name of the page that has been read.
        source: its text, which is changed in place.
    """
    if name == cards.PAGE:
        for chapter in chapters.planned():
            for path in (cards.path(chapter), chapters.ROOT / chapter.notebook):
                if path.exists():  # a heading that is linked may change, too
                    app.env.note_dependency(path)
        source[0] += "\n\n" + cards.markdown(cards.load())


def add_script(
    app: Sphinx, name: str, _template: str, _context: dict[str, object], _tree: object
) -> None:
    """Let the page load its script."""
    if name == cards.PAGE:
        app.add_js_file(SCRIPT, loading_method="defer")


def write_deck(app: Sphinx, error: Exception | None) -> None:
    """Store the deck in the built book."""
    if error is None and app.builder.name == "html" and cards.PAGE in app.env.found_docs:
        cards.deck(cards.load(), Path(app.outdir) / cards.DECK, cards.moment())


def setup(app: Sphinx) -> dict[str, bool]:
    """Take part in the build.

    Args:
        app: the Sphinx application.

    Returns:
        What Sphinx may do with it.
    """
    app.add_node(card, html=(visit_card, depart_card), text=(skip, skip))
    app.add_node(question, html=(visit_question, depart_question), text=(skip, skip))
    app.add_directive("interview-card", InterviewCard)
    app.connect("source-read", add_cards)
    app.connect("html-page-context", add_script)
    app.connect("build-finished", write_deck)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
