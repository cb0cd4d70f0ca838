"""Run chapters from top to bottom in fresh kernels and store what they print, in place.

A chapter that fails is left as it was. What is stored is what the strict run will compare, so what
fails there fails here too: an error that no tag announces, and anything written to stderr.
"""

import argparse
import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from traitlets.config import Config

from nexus import needs
from tools import chapters, lab, reading

CELL_TIMEOUT = 120  # seconds

# What JupyterLab would write at the first opening (see tools/jupyter), so that a chapter which is
# only read is not modified; the same whoever ran it last, with whichever Python.
METADATA = {
    "kernelspec": {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    },
    "language_info": {
        "codemirror_mode": {"name": "ipython", "version": 3},
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
    },
}
HOURLY = ("execution", "ExecuteTime", "collapsed", "scrolled")


class ChapterFailedError(Exception):
    """A chapter that cannot be stored; the text tells the cell and what went wrong."""


def run(path: Path, started: Callable[[int], None] = lambda _: None) -> NotebookNode:
    """Run a chapter in its own folder.

    Args:
        path: The notebook; it is only read.
        started: Is called with the process number of the kernel before the first cell.

    Returns:
        The notebook with the outputs of this run.

    Raises:
        ChapterFailedError: At the first cell that fails.
    """
    notebook = chapters.read(path)
    begun = []
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        record_timing=False,
        coalesce_streams=True,
        # Otherwise each kernel warns that others on this machine could listen.
        config=Config(KernelManager={"transport_encryption": "auto"}),
        on_notebook_start=lambda **_: started(client.km.provisioner.pid),  # pyrefly: ignore
        on_cell_execute=lambda cell, **_: begun.append(cell),
    )
    with chapters.isolated() as env:
        try:
            client.execute(env=env)
        except CellExecutionError as error:
            raise failure(begun, f"{error.ename}: {error.evalue}") from None
        except (CellTimeoutError, DeadKernelError) as error:
            raise failure(begun, str(error).partition("\n")[0]) from None
    ran = []
    for cell in begun:
        ran.append(cell)
        for output in cell.outputs:
            if output.get("name") == "stderr":
                raise failure(ran, f"It writes to stderr: {output.text.rstrip()}")
    return notebook


def failure(begun: list[NotebookNode], reason: str) -> ChapterFailedError:
    """Describe the failure of the cell that was begun last."""
    where = f"code cell {len(begun) - 1}:\n\n{indented(begun[-1].source)}" if begun else "no cell"
    return ChapterFailedError(f"{where}\n\n{reason}")


def indented(source: str) -> str:
    """Indent a cell's source for a message."""
    return "\n".join(f"    {line}" for line in source.splitlines())


def normalise(notebook: NotebookNode) -> None:
    """Leave nothing in the metadata of the machine or the hour, and say how long it takes."""
    notebook.metadata = nbformat.from_dict(METADATA)
    reading.write(notebook)
    for cell in notebook.cells:
        for key in HOURLY:
            cell.metadata.pop(key, None)


def store(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook whole or not at all."""
    new = path.with_name(f".{path.name}.new")
    try:
        nbformat.write(notebook, new)
        if path.exists():
            new.chmod(path.stat().st_mode)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def refresh(path: Path) -> None:
    """Run a chapter, store its outputs, and let JupyterLab show its pictures.

    Raises:
        ChapterFailedError: If it fails, or could not run whole; the file is as it was.
    """
    for cell in chapters.read(path).cells:
        if cell.cell_type == "code" and (why := needs.missing(cell.source)):
            raise ChapterFailedError(f"an output would be lost, because a cell cannot run: {why}")
    notebook = run(path)
    normalise(notebook)
    store(notebook, path)
    with contextlib.suppress(lab.NotSignedError):  # stored is stored; `make lab` says why
        lab.sign([path])


def main() -> int:
    """Run the command; see the module's own text."""
    parser = argparse.ArgumentParser(description="Run chapters and store their outputs.")
    parser.add_argument("chapter", nargs="*", help="name or path; all chapters if none is given")
    asked = parser.parse_args().chapter
    try:
        paths = [chapters.find(name) for name in asked] or chapters.in_book()
    except chapters.UnknownChapterError as error:
        print(f"refresh: {error}", file=sys.stderr)
        return 2
    failed = 0
    for path in paths:
        name = path.relative_to(chapters.ROOT)
        print(f"{name} …", end=" ", flush=True)
        began = time.monotonic()
        try:
            refresh(path)
        except ChapterFailedError as error:
            failed += 1
            print(f"failed, and left as it was\n\n{error}\n", flush=True)
        else:
            print(f"stored, {time.monotonic() - began:.1f} s", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
