"""The book that this package belongs to: its folder, and the chapters of data/map.yml."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).resolve().parent.parent


class Chapter(NamedTuple):
    """A chapter on the map, written or not.

    Attributes:
        name: as all its rooms are called.
        title: its subject.
        part: the title of its part.
        notebook: its file, from the book's folder.
        before: the names of the chapters to read before it.
    """

    name: str
    title: str
    part: str
    notebook: str
    before: tuple[str, ...] = ()


def chapters() -> dict[str, Chapter]:
    """The chapters by name, in the book's order; none where the package is without the book."""
    return _chapters(ROOT / "data" / "map.yml")


@cache
def _chapters(path: Path) -> dict[str, Chapter]:
    try:
        parts = yaml.safe_load(path.read_text(encoding="utf-8"))["parts"]
    except OSError:
        return {}
    return {
        each["name"]: Chapter(
            each["name"],
            each["title"],
            part["title"],
            f"notebooks/{part['name']}/{each['name']}.ipynb",
            tuple(each.get("before", ())),
        )
        for part in parts
        for each in part["chapters"]
    }
