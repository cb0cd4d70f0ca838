"""`make faults` tells of each fault that the strict run lets pass, and of nothing else."""

import asyncio
import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from nexus.services.process import wait_for
from tests.leftovers import expect_nothing
from tools import chapters, faults
from tools.faults import Fault, FaultError, Outcome, Seed, Verdict

CELLS = {
    "x = 1": "",
    "print(x + 1)": "2\n",
    "print('x', x)": "x 1\n",
}
WHY = "The chapter claims that it is so."


def write(path: Path, cells: dict[str, str]) -> Path:
    made = []
    for number, (source, text) in enumerate(cells.items(), 1):
        outputs = [new_output("stream", name="stdout", text=text)] if text else []
        made.append(new_markdown_cell("Here is a cell."))
        made.append(new_code_cell(source, outputs=outputs, execution_count=number))
    nbformat.write(new_notebook(cells=made), path)
    return path


def entry(
    cell: object = "x = 1", text: str = "1", replacement: str = "2", why: str = WHY, more: str = ""
) -> str:
    return (
        f"[[fault]]\ncell = {cell!r}\ntext = {text!r}\nreplacement = {replacement!r}\n"
        f"why = {why!r}\n{more}\n"
    )


@pytest.fixture
def chapter(tmp_path: Path) -> Path:
    return write(tmp_path / "small.ipynb", CELLS)


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where all temporary files go, which must end empty; and the project's own strictness."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    strict = ["-p", "conftest", "-c", "pyproject.toml"]  # the notebooks are not in the project
    monkeypatch.setattr(faults, "OPTIONS", [*strict, *faults.OPTIONS])
    yield folder
    expect_nothing(folder)


def run(seeds: list[Seed]) -> list[Outcome]:
    outcomes = asyncio.run(faults.run_all(seeds, at_once=4))
    return sorted(outcomes, key=lambda outcome: outcome.seed.number)


@pytest.mark.usefixtures("scratch")
def test_a_chapter_is_run_with_each_fault(chapter: Path, capsys: pytest.CaptureFixture) -> None:
    same = entry("print(x + 1)", "x + 1", "1 + x")
    chapter.with_suffix(".toml").write_text(entry() + same)
    before = chapter.read_bytes()
    broken = write(chapter.with_name("broken.ipynb"), CELLS | {"x = 1": "x is 1\n"})
    late = Seed(broken, 3, cell=2, source="print('x', 7)", why=WHY)
    outcomes = run([Seed(chapter), *faults.seeds(chapter, chapter.parent), late])
    assert [(outcome.verdict, outcome.failed) for outcome in outcomes] == [
        (Verdict.CONTROL, None),
        (Verdict.CAUGHT, 1),
        (Verdict.PASSED, None),
        (Verdict.EARLY, 0),
    ]
    assert chapter.read_bytes() == before
    told = capsys.readouterr().out
    assert len(told.splitlines()) == 4
    assert "caught     in cell 1" in told
    faults.tell(outcomes)
    told = capsys.readouterr().out
    assert f"small 2: PASSED. {WHY} Let the chapter show" in told
    assert "broken 3: THE CHAPTER ITSELF FAILS." in told
    assert "small                    2 faults, 1 caught, 0 known misses, 1 PASSED" in told
    assert "all                      3 faults, 1 caught, 0 known misses, 1 PASSED" in told


@pytest.mark.parametrize(
    ("number", "known", "failed", "ran", "verdict"),
    [
        (1, "", 3, True, Verdict.CAUGHT),
        (1, "", 4, True, Verdict.CAUGHT),
        (1, "", 2, True, Verdict.EARLY),
        (1, "", None, True, Verdict.PASSED),
        (1, "", None, False, Verdict.BROKEN),
        (1, "Not seen yet.", None, True, Verdict.KNOWN),
        (1, "Not seen yet.", 3, True, Verdict.KNOWN_CAUGHT),
        (1, "Not seen yet.", 2, True, Verdict.EARLY),
        (1, "Not seen yet.", None, False, Verdict.BROKEN),
        (0, "", None, True, Verdict.CONTROL),
        (0, "", 3, True, Verdict.EARLY),
    ],
)
def test_what_failed_where_gives_the_verdict(
    number: int, known: str, failed: int | None, ran: bool, verdict: Verdict
) -> None:
    seed = Seed(chapters.TEMPLATE, number, cell=3, known=known)
    assert faults.judge(seed, failed, ran) == verdict
    outcome = Outcome(seed, verdict, failed, 1.0)
    assert verdict in str(outcome)
    if verdict not in faults.GOOD:
        assert outcome.complaint.count(".") >= 2  # what it is, and what to do


@pytest.mark.usefixtures("scratch")
def test_a_run_that_is_none_is_not_taken_for_a_catch(
    chapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "OPTIONS", ["--no-such-option"])
    (outcome,) = run([Seed(chapter, 1, cell=0, source="x = 2", why=WHY)])
    assert outcome.verdict == Verdict.BROKEN
    assert "--no-such-option" in outcome.complaint


@pytest.mark.parametrize("first", [Verdict.KNOWN_CAUGHT, Verdict.EARLY])
@pytest.mark.parametrize("second", [Verdict.KNOWN, Verdict.CAUGHT, Verdict.EARLY])
def test_what_a_busy_machine_may_have_done_is_tried_once_more(
    monkeypatch: pytest.MonkeyPatch, first: Verdict, second: Verdict
) -> None:
    verdicts = iter([first, second])

    async def once(seed: Seed) -> Outcome:
        return Outcome(seed, next(verdicts), None, 1.0)

    monkeypatch.setattr(faults, "run", once)
    (outcome,) = run([Seed(chapters.TEMPLATE, 1)])
    assert outcome.verdict == second


def test_stopped_it_leaves_nothing(tmp_path: Path, scratch: Path) -> None:
    chapter = write(tmp_path / "slow.ipynb", {"x = 1": ""})
    begun = tmp_path / "begun"
    source = f"import pathlib, time\npathlib.Path({str(begun)!r}).touch()\ntime.sleep(600)"

    def stop() -> None:
        wait_for(begun.exists, 60, "the cell to begin")
        os.kill(os.getpid(), signal.SIGTERM)  # Ctrl-C takes the same way

    stopping = threading.Thread(target=stop)
    stopping.start()
    with pytest.raises(asyncio.CancelledError):
        run([Seed(chapter, 1, cell=0, source=source, why=WHY)])
    stopping.join()
    expect_nothing(scratch)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "must hold tables"),
        ("x = 1\n" + entry(), "nothing else"),
        ("[[fault]\n", "small.toml: "),
        (entry(more="reason = 'x'"), "small.toml, fault 1: unknown keys: reason"),
        ("[[fault]]\ncell = 1\n", "missing keys: replacement, text, why"),
        (entry() + entry(cell="y = 1"), "fault 2: 0 code cells have 'y = 1'"),
        (entry(cell="x"), r"3 code cells have 'x': \[0, 1, 2\]. Mend `cell`"),
        (entry(cell=3), "no code cell is it. Mend `cell`"),
        (entry(cell=-1), "no code cell is it"),
        (entry(cell=1.5), "must be a text, or a number"),
        (entry(cell=""), "must be a text, or a number"),
        (entry(text="7"), "'7' is 0 times in code cell 0, not 1. The chapter has changed: mend"),
        (entry(cell=2, text="x"), "is 2 times in code cell 2, not 1"),
        (entry(more="count = 2"), "is 1 times in code cell 0, not 2"),
        (entry(more="count = 0"), "`count` must be"),
        (entry(text=""), "must not be empty"),
        (entry(replacement="1"), "must differ"),
        (entry(why="no lock"), "`why` must be a sentence"),
        (entry(more="known = true"), "`known` must be a text"),
        (entry(more="known = 'later'"), "`known` must be a sentence"),
    ],
)
def test_an_entry_that_cannot_be_used_is_named(chapter: Path, content: str, complaint: str) -> None:
    chapter.with_suffix(".toml").write_text(content)
    with pytest.raises(FaultError, match=complaint):
        faults.seeds(chapter, chapter.parent)


def test_a_chapter_without_faults_is_told(chapter: Path) -> None:
    with pytest.raises(FaultError, match=r"small.toml is not there: write it"):
        faults.seeds(chapter, chapter.parent)


def test_a_cell_may_be_named_by_its_number_and_a_text_be_there_twice(chapter: Path) -> None:
    chapter.with_suffix(".toml").write_text(
        entry(cell=2, text="x", replacement="y", more="count=2")
    )
    (seed,) = faults.seeds(chapter, chapter.parent)
    assert (seed.cell, seed.source) == (2, "print('y', y)")


@pytest.mark.parametrize(
    ("verdicts", "status"),
    [
        ([Verdict.CAUGHT, Verdict.KNOWN, Verdict.CONTROL], 0),
        ([Verdict.CAUGHT, Verdict.PASSED], 1),
        ([Verdict.KNOWN_CAUGHT], 1),
        ([Verdict.EARLY], 1),
        ([Verdict.BROKEN], 1),
    ],
)
def test_the_exit_status_says_whether_all_is_well(
    monkeypatch: pytest.MonkeyPatch, verdicts: list[Verdict], status: int
) -> None:
    seeds = [Seed(chapters.TEMPLATE, number) for number, _ in enumerate(verdicts)]
    outcomes = [
        Outcome(seed, verdict, None, 1.0) for seed, verdict in zip(seeds, verdicts, strict=True)
    ]

    async def run_all(*_: object) -> list[Outcome]:
        return outcomes

    monkeypatch.setattr(faults, "seeds", lambda _: seeds)
    monkeypatch.setattr(faults, "run_all", run_all)
    assert faults.main(["template"]) == status


def test_the_command_names_what_it_does_not_know(capsys: pytest.CaptureFixture) -> None:
    assert faults.main(["cooking"]) == 2
    assert "no chapter 'cooking'" in capsys.readouterr().err


def test_a_fault_is_what_its_entry_says() -> None:
    fault = Fault(cell="x", text="1", replacement="", why=WHY)
    assert (fault.count, fault.known) == (1, "")
