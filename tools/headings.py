"""The headings of a chapter, and the anchors by which they are linked."""

import re
from pathlib import Path

from tools import chapters

FENCE = re.compile(r"^ {0,3}(```+|~~~+).*?^ {0,3}\1", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^ {0,3}#{1,6}\s+(.+?)\s*#*\s*$", re.MULTILINE)


def slug(heading: str) -> str:
    """Return the anchor that GitHub and MyST give a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")


def of(notebook: Path) -> dict[str, str]:
    """Return the headings of a chapter by their anchors, its title first."""
    cells = chapters.read(notebook).cells
    text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return {slug(found): found.replace("`", "") for found in HEADING.findall(FENCE.sub("", text))}
