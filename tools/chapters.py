"""The chapters: which notebooks are in the book, and how a kernel for one is started."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
import yaml
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE_ROOMS = {
    "chapter": "notebooks/template.ipynb",
    "judges": "nexus/exercises/template.py",
    "tests of its judges": "tests/exercises/test_template.py",
    "seeded faults": "tests/chapters/template.toml",
    "cards": "notes/cards/template.yml",
}
TEMPLATE = ROOT / TEMPLATE_ROOMS["chapter"]

# A reader's own settings must not change what a chapter prints.
PERSONAL = ("IPYTHON", "JUPYTER", "MPL", "PYTEST", "PYTHON")


class UnknownChapterError(ValueError):
    """There is no chapter of that name; the text lists those there are."""


@dataclass(frozen=True)
class Entry:
    """A chapter as the map plans it: one name in every room.

    Attributes:
        name: Small letters, digits and hyphens, such as `background-jobs`.
        part: The name of its part, such as `async`.
        title: Its subject.
        promise: What a reader will be able to do.
        before: The names of the chapters to read before it.
    """

    name: str
    part: str
    title: str
    promise: str
    before: tuple[str, ...] = ()

    @property
    def heading(self) -> str:
        """The title of its page."""
        return f"{self.title}: {self.promise}"

    @property
    def module(self) -> str:
        """Its name in Python."""
        return self.name.replace("-", "_")

    @property
    def notebook(self) -> str:
        """Where the chapter itself is, from the project's folder."""
        return f"notebooks/{self.part}/{self.name}.ipynb"

    @property
    def rooms(self) -> dict[str, str]:
        """What belongs to it, and where that is, from the project's folder."""
        return {
            "chapter": self.notebook,
            "judges": f"nexus/exercises/{self.module}.py",
            "tests of its judges": f"tests/exercises/test_{self.module}.py",
            "seeded faults": f"tests/chapters/{self.name}.toml",
            "gotchas": f"notes/gotchas/{self.name}.md",
            "cards": f"notes/cards/{self.name}.yml",
        }


def planned(root: Path = ROOT) -> list[Entry]:
    """Return the chapters that data/map.yml plans, in its order, whether they are there or not."""
    parts = yaml.safe_load((root / "data" / "map.yml").read_text())["parts"]
    return [
        Entry(
            name=chapter["name"],
            part=part["name"],
            title=chapter["title"],
            promise=chapter["promise"],
            before=tuple(chapter.get("before", ())),
        )
        for part in parts
        for chapter in part["chapters"]
    ]


def in_book(root: Path = ROOT) -> list[Path]:
    """Return the notebooks that `_toc.yml` names, in its order."""
    named = [root / file for file in entries(root)]
    candidates = [path if path.suffix else path.with_suffix(".ipynb") for path in named]
    return [path for path in candidates if path.suffix == ".ipynb" and path.exists()]


def entries(root: Path = ROOT) -> list[str]:
    """Return all that `_toc.yml` names, in its order, whether it is there or not."""
    return list(_files(yaml.safe_load((root / "_toc.yml").read_text())))


def _files(node: object) -> Iterator[str]:
    """Walk the table of contents and yield what each entry names."""
    if isinstance(node, list):
        for item in node:
            yield from _files(item)
    elif isinstance(node, dict):
        for key in ("root", "file"):
            if key in node:
                yield node[key]
        for value in node.values():
            if isinstance(value, list):
                yield from _files(value)


def read(path: Path) -> NotebookNode:
    """Return a notebook, as nbformat has it in its version 4."""
    return nbformat.read(path, as_version=4)  # the stub of nbformat promises less


def find(name: str, root: Path = ROOT) -> Path:
    """Return the chapter that a reader means.

    Args:
        name: A chapter's name (`indexes-and-plans`), or the path of its notebook.
        root: The project's folder.

    Raises:
        UnknownChapterError: If there is none.
    """
    chapters = {path.stem: path for path in in_book(root)}
    if (asked := Path(name)).suffix == ".ipynb" and asked.resolve() in chapters.values():
        return asked.resolve()
    if name in chapters:
        return chapters[name]
    raise UnknownChapterError(f"no chapter {name!r} in _toc.yml. There are: {', '.join(chapters)}")


def settings(scratch: Path) -> dict[str, str]:
    """Return the variables that keep Jupyter, IPython and the reader's progress to themselves.

    Args:
        scratch: An empty directory that the caller removes.
    """
    return {
        "IPYTHONDIR": str(scratch / "ipython"),
        "JUPYTER_CONFIG_DIR": str(scratch / "config"),
        "JUPYTER_DATA_DIR": str(scratch / "data"),
        "JUPYTER_RUNTIME_DIR": str(scratch / "runtime"),
        # Kept from run to run: Matplotlib takes seconds to list the fonts of a machine.
        "MPLCONFIGDIR": str(ROOT / ".cache" / "matplotlib"),
        "NEXUS_PROGRESS": "off",
    }


def environment(scratch: Path) -> dict[str, str]:
    """Return the whole environment for a chapter's kernel.

    Variables of pytest are left out because ipykernel looks for PYTEST_CURRENT_TEST and, when
    it is there, no longer shows what a child process prints.

    Args:
        scratch: An empty directory that the caller removes.
    """
    own = {name: value for name, value in os.environ.items() if not name.startswith(PERSONAL)}
    return own | settings(scratch)


@contextlib.contextmanager
def isolated() -> Iterator[dict[str, str]]:
    """Keep this process to its own settings for a while.

    Yields:
        The environment for a chapter's kernel.
    """
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="chapters-") as scratch:
        os.environ.update(settings(Path(scratch)))
        # Matplotlib says on stderr when it lists a machine's fonts, the first time: do it here.
        import matplotlib.font_manager  # noqa: F401

        try:
            yield environment(Path(scratch))
        finally:
            os.environ.clear()
            os.environ.update(before)
