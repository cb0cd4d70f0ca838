"""Offer in the built book what is made for reading offline."""

from pathlib import Path

from sphinx.application import Sphinx

from tools import downloads


def offer(app: Sphinx, error: Exception | None) -> None:
    """Copy the files that are there, and list them on their page."""
    if error is None and app.builder.name == "html":
        downloads.offer(Path(app.outdir))


def setup(app: Sphinx) -> dict[str, bool]:
    """Take part in the end of the build, when the deck of cards is written.

    Args:
        app: the Sphinx application.

    Returns:
        What Sphinx may do with it.
    """
    app.connect("build-finished", offer, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
