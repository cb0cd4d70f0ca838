"""Let every page load the script that arranges it for paper."""

from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the script; it is read when the page has been shown.

    Args:
        app: the Sphinx application.

    Returns:
        What Sphinx may do with it.
    """
    app.add_js_file("print.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
