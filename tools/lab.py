"""Make JupyterLab ready for the chapters: their pictures shown, and no question at its start.

JupyterLab shows an SVG picture only if its notebook is trusted: signed with the reader's own key,
or run by the reader. This signs the chapters that are as git has them, because who brought those
brought the Makefile too. A chapter from anywhere else is left untrusted until its reader runs it.

What is not possible is said, and does not stop anyone: a chapter can be read without its pictures.

`--open` opens JupyterLab afterwards, in the same process, with the arguments that follow.
"""

import argparse
import shutil
import sqlite3
import sys
from collections.abc import Iterable
from pathlib import Path

from jupyter_core.paths import jupyter_data_dir
from nbformat import v4
from nbformat.sign import NotebookNotary, SQLiteSignatureStore

from tools import chapters, reset

SETTINGS = Path(__file__).parent / "jupyter"  # as the folders of a Python environment are


class NotSignedError(Exception):
    """Signatures that cannot be stored; the text is the system's reason."""


class Signatures(SQLiteSignatureStore):
    """The reader's database of signatures, left alone if it cannot be used.

    nbformat takes a locked database for a broken one, and puts it aside.
    """

    def _connect_db(self, db_file: str) -> sqlite3.Connection:
        parse = sqlite3.PARSE_DECLTYPES | sqlite3.PARSE_COLNAMES
        db = sqlite3.connect(db_file, timeout=2, detect_types=parse)
        try:
            self.init_db(db)
        except sqlite3.Error:
            db.close()
            raise
        return db


def sign(paths: Iterable[Path]) -> None:
    """Let JupyterLab show what these notebooks hold, with the key of whoever runs this.

    Args:
        paths: The notebooks.

    Raises:
        NotSignedError: If the signatures cannot be stored.
    """
    data = Path(jupyter_data_dir())
    try:
        data.mkdir(parents=True, exist_ok=True)
        database = str(data / "nbsignatures.db")
        with NotebookNotary(
            data_dir=str(data), store_factory=lambda: Signatures(database)
        ) as notary:
            for path in paths:
                notary.sign(v4.reads(path.read_text()))  # not checked, which takes seconds
    except (OSError, sqlite3.Error) as error:
        raise NotSignedError(str(error)) from None


def unchanged() -> list[Path]:
    """Return the chapters that are as git has them; all of them where there is no git."""
    try:
        differing = reset.changed()
    except reset.ResetError:
        differing = []
    return [path for path in chapters.in_book() if path.stem not in differing]


def prepare() -> None:
    """Write the settings and sign the chapters, or say what is missing."""
    try:
        shutil.copytree(SETTINGS, sys.prefix, dirs_exist_ok=True)
    except OSError as error:
        print(f"lab: JupyterLab keeps its own settings, because they cannot be written: {error}")
    try:
        sign(unchanged())
    except NotSignedError as error:
        print(
            f"lab: the chapters could not be marked as trusted: {error}.\n"
            "     JupyterLab shows their pictures as text until you run the cells."
        )


def main() -> None:
    """Run the command; see the module's own text."""
    parser = argparse.ArgumentParser(description="Make JupyterLab ready for the chapters.")
    parser.add_argument("--open", nargs=argparse.REMAINDER, help="then open it, with arguments")
    arguments = parser.parse_args().open
    prepare()
    if arguments is not None:
        from jupyterlab.labapp import LabApp

        LabApp.launch_instance(arguments)


if __name__ == "__main__":
    main()
