"""Colour the cells that the bench sends to PostgreSQL as SQL; they would be coloured as Python."""

from typing import ClassVar

from ipython_pygments_lexers import IPython3Lexer
from pygments.lexer import bygroups, using
from pygments.lexers.sql import PsqlRegexLexer
from pygments.token import Operator, Text
from sphinx.application import Sphinx


class NotebookLexer(IPython3Lexer):
    """IPython, and SQL after the magics of nexus."""

    tokens: ClassVar = {
        **IPython3Lexer.tokens,
        "root": [
            (
                r"(?s)(\s*)(%%psql|%%explain)([^\n]*\n)(.*)",
                bygroups(Text, Operator, Text, using(PsqlRegexLexer)),
            ),
            *IPython3Lexer.tokens["root"],
        ],
    }


def setup(app: Sphinx) -> dict[str, bool]:
    """Take our lexer for the cells of notebooks.

    Args:
        app: the Sphinx application.

    Returns:
        What Sphinx may do with it.
    """
    app.add_lexer("ipython3", NotebookLexer)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
