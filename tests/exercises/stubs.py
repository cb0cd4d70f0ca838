"""The stubs of the exercises, as the chapters give them."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

from nexus import needs

ROOT = Path(__file__).resolve().parent.parent.parent
CHECK = re.compile(r'^nexus\.check\("(?P<name>[\w-]+\.\d+)", (?P<answer>.*)\)$', re.M)


def cells() -> Iterator[tuple[str, str, str, str]]:
    """Each exercise's name, its stub's cell, the answer in it, and what is stored as its output."""
    for path in sorted((ROOT / "notebooks").rglob("*.ipynb")):
        if ".ipynb_checkpoints" in path.parts:
            continue
        for cell in json.loads(path.read_text())["cells"]:
            source = "".join(cell["source"])
            found = CHECK.search(source)
            if cell["cell_type"] == "code" and found and "record=False" not in source:
                code = source.replace(found[0], "")
                said = "".join("".join(output.get("text", "")) for output in cell["outputs"])
                yield found["name"], code, found["answer"], said


CELLS = {name: rest for name, *rest in cells()}


def missing(name: str) -> str | None:
    """What an exercise needs and this machine lacks; nothing is in CI, which has all.

    Args:
        name: The exercise's.

    Returns:
        The line that says how to install it; None if nothing is missing.
    """
    return None if "CI" in os.environ else needs.missing(CELLS[name][0])
