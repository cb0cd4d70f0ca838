"""`make refresh`: what is stored, and that a failure stores nothing."""

import os
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tools import chapters, refresh


def notebook(folder: Path, *sources: str, tags: tuple[str, ...] = ()) -> Path:
    cells = [
        new_code_cell(
            source,
            id=f"cell-{number}",
            outputs=[new_output("stream", text="old\n")],
            metadata={"tags": list(tags), "execution": {"iopub.execute_input": "now"}},
        )
        for number, source in enumerate(sources)
    ]
    path = folder / "a chapter.ipynb"
    nbformat.write(new_notebook(cells=cells, metadata={"widgets": {}}), path)
    return path


def test_stores_what_a_run_prints_and_nothing_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "beside.txt").write_text("beside")
    path = notebook(
        tmp_path,
        "print(open('beside.txt').read())",
        "print('a')\nprint('b')\nimport os; os.environ['NEXUS_PROGRESS']",
    )
    path.chmod(0o640)
    before = dict(os.environ)
    refresh.refresh(path)
    assert os.environ == before
    first = path.read_text()
    refresh.refresh(path)
    assert path.read_text() == first, "a second run changes nothing"
    assert first.startswith('{\n "cells": [')
    assert first.endswith("}\n")
    assert path.stat().st_mode & 0o777 == 0o640
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []
    stored = nbformat.read(path, as_version=4)
    assert stored.metadata == refresh.METADATA
    assert [cell.id for cell in stored.cells] == ["cell-0", "cell-1"]
    assert [cell.execution_count for cell in stored.cells] == [1, 2]
    assert [cell.metadata for cell in stored.cells] == [{"tags": []}, {"tags": []}]
    (beside,), (lines, result) = (cell.outputs for cell in stored.cells)
    assert (beside.text, lines.text, result.data) == ("beside\n", "a\nb\n", {"text/plain": "'off'"})


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("1 / 0", "code cell 1:\n\n    1 / 0\n\nZeroDivisionError: division by zero"),
        ("%badmagic", "UsageError: Line magic function `%badmagic` not found."),
        ("import sys; print('oh', file=sys.stderr)", "writes to stderr: oh"),
        ("import os; os.kill(os.getpid(), 9)", "Kernel died"),
    ],
)
def test_a_failure_leaves_the_file_as_it_was(tmp_path: Path, source: str, complaint: str) -> None:
    path = notebook(tmp_path, "print(1)", source, "print(3)")
    before = path.read_bytes()
    with pytest.raises(refresh.ChapterFailedError, match="code cell 1") as failure:
        refresh.refresh(path)
    assert complaint in str(failure.value)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_announced_error_is_stored(tmp_path: Path) -> None:
    path = notebook(tmp_path, "1 / 0", tags=("raises-exception",))
    refresh.refresh(path)
    (cell,) = nbformat.read(path, as_version=4).cells
    assert cell.outputs[0].ename == "ZeroDivisionError"


def test_a_chapter_is_found_by_its_name_and_by_its_path() -> None:
    assert chapters.find("template") == chapters.TEMPLATE
    assert chapters.find(str(chapters.TEMPLATE)) == chapters.TEMPLATE


def test_an_unknown_chapter_is_refused_with_the_list(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("sys.argv", ["refresh", "cooking"])
    assert refresh.main() == 2
    said = capsys.readouterr().err
    assert "no chapter 'cooking'" in said
    assert "template" in said
