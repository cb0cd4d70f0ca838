"""Send links to files that are not pages of the book to the repository.

A chapter links to `../../projects/stays/services.py#L10` or to a folder. JupyterLab and GitHub
follow that as it stands; in the built book it becomes the same place in the repository. If the
repository has no address, it becomes plain text.
"""

import os
from pathlib import Path
from urllib.parse import quote, unquote

from markdown_it.tree import SyntaxTreeNode
from myst_parser.mdit_to_docutils.sphinx_ import SphinxRenderer
from sphinx.application import Sphinx

_render_link = SphinxRenderer.render_link_unknown


def render_link(renderer: SphinxRenderer, token: SyntaxTreeNode) -> None:
    """Render a link whose address has no scheme.

    Args:
        renderer: the renderer of the page.
        token: the link.
    """
    env = renderer.sphinx_env
    path, _, fragment = unquote(str(token.attrGet("href") or "")).partition("#")
    target = Path(os.path.normpath(Path(env.doc2path(env.docname)).parent / path))
    source = Path(env.srcdir)
    inside = target.is_relative_to(source)
    if inside and target.exists() and env.path2doc(target) not in env.found_docs:
        options = env.config.html_theme_options
        if "repository_url" not in options:
            renderer.render_children(token)
            return
        kind = "tree" if target.is_dir() else "blob"
        address = f"{options['repository_url']}/{kind}/{options['repository_branch']}"
        address += "/" + quote(target.relative_to(source).as_posix())
        token.attrs["href"] = address + (f"#{fragment}" if fragment else "")
        renderer.render_link_url(token)
    else:
        _render_link(renderer, token)


def setup(app: Sphinx) -> dict[str, bool]:  # noqa: ARG001
    """Put our renderer of links in the place of myst-parser's.

    Args:
        app: the Sphinx application.

    Returns:
        What Sphinx may do with it.
    """
    SphinxRenderer.render_link_unknown = render_link
    return {"parallel_read_safe": True, "parallel_write_safe": True}
