"""Say above each folded cell what is in it: which solution, or what the code does.

The theme gives all of them one text, and one name for those who hear the page instead of seeing
it. Here the name is the text that is shown.
"""

import re
from html import escape

from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxTranslator

SOLUTION = re.compile(r"""\bnexus\.check\(\s*["'][a-z0-9-]+\.(\d+)""")


def label(source: str) -> str:
    """Return what is in a folded cell, in a few words that may follow "Show".

    Args:
        source: the cell's code. A solution says so in its first line; other code begins with a
            comment that says what it does.
    """
    if source.startswith("# Solution") and (found := SOLUTION.search(source)):
        return f"the solution of exercise {found[1]}"
    first = source.partition("\n")[0]
    if first.startswith("# "):
        return f"the code: {first.removeprefix('# ').rstrip('.:')}"
    if first.startswith("%%writefile "):
        return f"the file {first.split()[-1]}"
    return "the code"


def is_verdict(output: str) -> bool:
    """Tell whether a judge has said this."""
    return output.lstrip().startswith(("not yet: ", "right: "))


class LabelFolds(SphinxPostTransform):
    """Write the labels, before myst-nb folds the cells; and mark the verdicts of judges."""

    default_priority = 190  # myst-nb's is 199
    formats = ("html",)

    def run(self, **_: object) -> None:
        """Write the labels of one page."""
        for cell in self.document.findall(nodes.container):
            if cell.get("nb_element") == "cell_code_output" and is_verdict(cell.astext()):
                cell["classes"].append("verdict")
            if cell.get("nb_element") == "cell_code" and cell.get("hide_mode"):
                source = next(cell.findall(nodes.literal_block), None)
                what = label(source.astext() if source else "")
                cell["prompt_show"], cell["prompt_hide"] = f"Show {what}", f"Hide {what}"


def visit(translator: SphinxTranslator, node: HideCodeCellNode) -> None:
    """Open a fold, with a summary whose name is its text."""
    classes = " ".join(node["classes"])
    translator.body.append(
        f'<details class="admonition hide {classes}">\n<summary>\n'
        f'<p class="collapsed admonition-title">{escape(node["prompt_show"])}</p>\n'
        f'<p class="expanded admonition-title">{escape(node["prompt_hide"])}</p>\n</summary>\n'
    )


def depart(translator: SphinxTranslator, _: HideCodeCellNode) -> None:
    """Close a fold."""
    translator.body.append("</details>\n")


def setup(app: Sphinx) -> dict[str, bool]:
    """Label folds, and write them in our way.

    Args:
        app: the Sphinx application.

    Returns:
        What Sphinx may do with it.
    """
    app.add_post_transform(LabelFolds)
    app.add_node(HideCodeCellNode, override=True, html=(visit, depart))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
