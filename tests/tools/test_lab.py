"""What makes JupyterLab ready: chapters trusted by the reader's own key, settings in their place.

That pictures are shown then is seen in tests/book/test_lab.py. Jupyter's own folders here are those
of conftest.py, so the user's signatures are never touched.
"""

import json
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat.sign import NotebookNotary
from nbformat.v4 import new_code_cell, new_notebook, new_output
from traitlets.config.loader import PyFileConfigLoader

from tools import chapters, lab, refresh, reset


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reader's Jupyter, used for the first time."""
    folder = tmp_path / "not yet" / "jupyter"
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(folder))
    return folder


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    picture = new_output("display_data", data={"image/svg+xml": "<svg/>"})
    path = tmp_path / "a chapter.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("print(1)", outputs=[picture])]), path)
    return path


def is_trusted(path: Path, data: Path) -> bool:
    """Ask as JupyterLab does."""
    with NotebookNotary(data_dir=str(data)) as notary:
        return notary.check_signature(nbformat.read(path, as_version=4))


def test_what_is_signed_is_trusted_until_it_changes(notebook: Path, data: Path) -> None:
    data.mkdir(parents=True)
    assert not is_trusted(notebook, data)
    lab.sign([notebook])
    lab.sign([notebook])
    assert is_trusted(notebook, data)
    notebook.write_text(notebook.read_text().replace("<svg/>", "<svg onload='x()'/>"))
    assert not is_trusted(notebook, data)


def test_refresh_signs_what_it_stores(notebook: Path, data: Path) -> None:
    refresh.refresh(notebook)
    assert is_trusted(notebook, data)


@pytest.fixture
def locked(data: Path) -> Iterator[Path]:
    data.mkdir(parents=True)
    database = data / "nbsignatures.db"
    with sqlite3.connect(database) as db:
        db.execute("CREATE TABLE other (id int)")
        db.commit()
        db.execute("BEGIN EXCLUSIVE")
        yield database
    db.close()


@pytest.mark.usefixtures("locked")
def test_a_locked_database_is_left_alone(
    notebook: Path, data: Path, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(lab.NotSignedError, match="database is locked"):
        lab.sign([notebook])
    lab.prepare()
    said = capsys.readouterr().out
    assert "could not be marked as trusted: database is locked" in said
    assert "until you run the cells" in said
    assert not (data / "nbsignatures.db.bak").exists(), "nbformat would have put it aside"


def test_a_home_that_is_closed_is_said_and_does_not_matter(
    data: Path, capsys: pytest.CaptureFixture
) -> None:
    data.parent.write_text("a file where a folder should be")
    lab.prepare()
    assert "Not a directory" in capsys.readouterr().out


def test_refresh_stores_where_nothing_can_be_signed(notebook: Path, data: Path) -> None:
    data.parent.write_text("a file where a folder should be")
    refresh.refresh(notebook)
    assert nbformat.read(notebook, as_version=4).metadata == refresh.METADATA


def test_only_what_git_brought_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reset, "changed", lambda: ["caching"])
    assert {path.stem for path in chapters.in_book()} - {p.stem for p in lab.unchanged()} == {
        "caching"
    }

    def no_git() -> list[str]:
        raise reset.ResetError("no git")

    monkeypatch.setattr(reset, "changed", no_git)
    assert lab.unchanged() == chapters.in_book()


def test_settings_are_written_where_jupyterlab_and_kernels_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "environment"))
    monkeypatch.setattr(lab, "sign", lambda _: None)
    lab.prepare()
    lab.prepare()
    overrides = tmp_path / "environment/share/jupyter/lab/settings/overrides.d/nexus.json"
    (settings,) = json.loads(overrides.read_text()).values()
    assert settings == {"checkForUpdates": False, "fetchNews": "false"}
    assert (tmp_path / "environment/etc/ipython/ipython_kernel_config.py").is_file()


def test_settings_that_cannot_be_written_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "environment").write_text("")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "environment"))
    monkeypatch.setattr(lab, "sign", lambda _: None)
    lab.prepare()
    assert "JupyterLab keeps its own settings" in capsys.readouterr().out


def test_a_kernel_says_what_is_stored_in_every_chapter() -> None:
    """Whichever Python it runs: otherwise opening a chapter would modify it."""
    folder = lab.SETTINGS / "etc" / "ipython"
    config = PyFileConfigLoader("ipython_kernel_config.py", str(folder)).load_config()
    assert config.IPKernelApp.kernel_class.language_info == refresh.METADATA["language_info"]
