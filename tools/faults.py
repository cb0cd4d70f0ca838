"""Seed one fault after the other in a chapter, and see that the strict run fails for each.

A chapter's faults are in `tests/chapters/<chapter>.toml`, each as a table `[[fault]]`:

- `cell`: a text that is in this code cell and in no other, or the cell's number as nbval counts;
- `text`: what is replaced in it; it must be there once, or as often as `count` says;
- `replacement`: what takes its place;
- `why`: a sentence: what the chapter claims that is no longer so;
- `known`: only for a fault that the strict run does not notice yet: a sentence that says why.

The strict run is that of `make test`, stopped at its first failure. The chapter's file is not
touched and not copied: the cell's source is changed in the memory of pytest, by the hooks at the
end of this module. So the kernel works in the chapter's own folder, and nothing is left behind.
"""

import argparse
import asyncio
import contextlib
import json
import re
import signal
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from nbval.plugin import IPyNbCell

from tools import chapters
from tools.test import workers

FOLDER = chapters.ROOT / "tests" / "chapters"
OPTIONS = ["--nbval"]  # as in `make test`
QUICK = ["--disable-plugin-autoload", "-p", "nbval.plugin"]  # the others take seconds to load

KEYS = {"cell", "text", "replacement", "why", "count", "known"}
SENTENCE = re.compile(r"[A-Z`].{15,}[.?]")


class FaultError(ValueError):
    """An entry that cannot be used; the text says which one, and how to mend it."""


@dataclass(frozen=True)
class Fault:
    """An entry of a chapter's file.

    Attributes:
        cell: A text that is in one code cell only, or the cell's number.
        text: What is replaced.
        replacement: What takes its place.
        why: What the chapter claims that is no longer so.
        count: How often the text is in the cell.
        known: Why the strict run does not notice it yet; empty if it does.
    """

    cell: str | int
    text: str
    replacement: str
    why: str
    count: int = 1
    known: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.cell, bool) or not isinstance(self.cell, int | str) or self.cell == "":
            raise FaultError("`cell` must be a text, or a number")
        for name in ("text", "replacement", "why", "known"):
            if not isinstance(getattr(self, name), str):
                raise FaultError(f"`{name}` must be a text in quotes")
        if not SENTENCE.fullmatch(self.why):
            raise FaultError("`why` must be a sentence: what does the chapter claim?")
        if self.known and not SENTENCE.fullmatch(self.known):
            raise FaultError("`known` must be a sentence: why is the fault not noticed?")
        if type(self.count) is not int or self.count < 1:
            raise FaultError("`count` must be a number from 1 on")
        if not self.text or self.text == self.replacement:
            raise FaultError("`text` must not be empty, and `replacement` must differ from it")


@dataclass(frozen=True)
class Seed:
    """A run to be made: a chapter with one fault, or without any as a control.

    Attributes:
        path: The notebook.
        number: Which entry of the chapter's file, from 1 on; 0 for the control.
        cell: The number of the cell that is changed.
        source: The cell's new source.
        why: The entry's own `why`.
        known: The entry's own `known`.
    """

    path: Path
    number: int = 0
    cell: int = -1
    source: str = ""
    why: str = "The chapter as it is, without a fault."
    known: str = ""

    @property
    def name(self) -> str:
        """What it is called in reports."""
        return f"{self.path.stem} {self.number or 'control'}"


class Verdict(StrEnum):
    """What came of a run."""

    CAUGHT = "caught"
    PASSED = "PASSED"
    KNOWN = "known miss"
    KNOWN_CAUGHT = "CAUGHT, though `known`"
    EARLY = "THE CHAPTER ITSELF FAILS"
    BROKEN = "NOT RUN"
    CONTROL = "control passed"


GOOD = (Verdict.CAUGHT, Verdict.KNOWN, Verdict.CONTROL)
DOUBTFUL = (Verdict.KNOWN_CAUGHT, Verdict.EARLY)  # perhaps the machine was busy: tried once more
ADVICE = {
    Verdict.PASSED: "Let the chapter show or assert what it claims.",
    Verdict.KNOWN_CAUGHT: "The strict run notices it now: take the line `known` away.",
    Verdict.EARLY: "It fails before the changed cell. Try: make test ONLY=chapters",
    Verdict.BROKEN: "pytest could not run the chapter.",
}


@dataclass(frozen=True)
class Outcome:
    """What came of a run, and where.

    Attributes:
        seed: What was run.
        verdict: What came of it.
        failed: The first cell that failed, if one did.
        seconds: How long it took.
        said: The end of what pytest said.
    """

    seed: Seed
    verdict: Verdict
    failed: int | None
    seconds: float
    said: str = ""

    def __str__(self) -> str:
        where = "" if self.failed is None else f"in cell {self.failed}"
        why = self.seed.why
        return f"{self.seed.name:<26} {self.seconds:5.1f} s  {self.verdict:<10} {where:<10} {why}"

    @property
    def complaint(self) -> str:
        """What is wrong, and what to do; for a verdict that is not good."""
        said = f"\n{self.said}" if self.verdict in (Verdict.BROKEN, Verdict.EARLY) else ""
        return f"{self.seed.name}: {self.verdict}. {self.seed.why} {ADVICE[self.verdict]}{said}"


def seeded() -> list[Path]:
    """Return the notebooks that have faults: all but Start here, which claims nothing.

    The template has some, for a new chapter begins with them.
    """
    return [path for path in chapters.in_book() if path.stem != "start-here"]


def file_of(path: Path, folder: Path = FOLDER) -> Path:
    """Return the file that holds a chapter's faults."""
    return folder / f"{path.stem}.toml"


def read(file: Path) -> list[Fault]:
    """Read a chapter's faults.

    Raises:
        FaultError: If there is no such file, or an entry is not well formed.
    """
    try:
        content = tomllib.loads(file.read_text())
    except FileNotFoundError:
        raise FaultError(f"{file.name} is not there: write it, with six faults or more") from None
    except tomllib.TOMLDecodeError as error:
        raise FaultError(f"{file.name}: {error}") from None
    entries = content.get("fault")
    if set(content) != {"fault"} or not isinstance(entries, list):
        raise FaultError(f"{file.name} must hold tables [[fault]], and nothing else")
    return [entry(table, f"{file.name}, fault {n}") for n, table in enumerate(entries, 1)]


def entry(table: dict[str, Any], place: str) -> Fault:
    """Return an entry as a fault; errors name its place."""
    if unknown := set(table) - KEYS:
        raise FaultError(f"{place}: unknown keys: {', '.join(sorted(unknown))}")
    if missing := {"cell", "text", "replacement", "why"} - set(table):
        raise FaultError(f"{place}: missing keys: {', '.join(sorted(missing))}")
    try:
        return Fault(**table)
    except FaultError as error:
        raise FaultError(f"{place}: {error}") from None


def seeds(path: Path, folder: Path = FOLDER) -> list[Seed]:
    """Find the cells of a chapter's faults.

    Args:
        path: The notebook.
        folder: Where the chapter's file is.

    Raises:
        FaultError: If an entry cannot be used, or does not find its cell or its text any more.
    """
    file = file_of(path, folder)
    notebook = chapters.read(path)
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return [
        seed(fault, sources, path, number, f"{file.name}, fault {number}")
        for number, fault in enumerate(read(file), 1)
    ]


def seed(fault: Fault, sources: Sequence[str], path: Path, number: int, place: str) -> Seed:
    """Find a fault's cell and change its source; errors name the fault's place."""
    if isinstance(fault.cell, int):
        found = [fault.cell] if 0 <= fault.cell < len(sources) else []
    else:
        found = [n for n, source in enumerate(sources) if fault.cell in source]
    if len(found) != 1:
        which = f"{len(found)} code cells are {fault.cell!r}" if found else "no code cell is it"
        if isinstance(fault.cell, str):
            which = f"{len(found)} code cells have {fault.cell!r}: {found}"
        raise FaultError(f"{place}: {which}. Mend `cell`: it must name one code cell")
    (cell,) = found
    if (times := sources[cell].count(fault.text)) != fault.count:
        raise FaultError(
            f"{place}: {fault.text!r} is {times} times in code cell {cell}, not {fault.count}. "
            "The chapter has changed: mend `text`, or `count`"
        )
    source = sources[cell].replace(fault.text, fault.replacement)
    return Seed(path, number, cell, source, fault.why, fault.known)


async def run(seed: Seed) -> Outcome:
    """Make the strict run of a chapter with its fault, as far as its first failure."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="faults-") as scratch:
        report, change = Path(scratch) / "report.xml", Path(scratch) / "change.json"
        change.write_text(json.dumps({"cell": seed.cell, "source": seed.source}))
        command = ["pytest", *QUICK, "-p", "no:cacheprovider", "--exitfirst", "--quiet", *OPTIONS]
        command += ["--color=no", "-p", "tools.faults", f"--fault={change}", f"--junitxml={report}"]
        said = await call(*command, str(seed.path))
        failed, ran = first_failure(report) if report.exists() else (None, False)
    verdict = judge(seed, failed, ran)
    return Outcome(seed, verdict, failed, time.monotonic() - began, said)


async def call(module: str, *arguments: str) -> str:
    """Run a module and return what it says; interrupt it, and wait for it, when cancelled."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        cwd=chapters.ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C must reach it once, not twice
    )
    try:
        said, _ = await process.communicate()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        await process.communicate()
        raise
    return "\n".join(said.decode(errors="replace").splitlines()[-30:])


def first_failure(report: Path) -> tuple[int | None, bool]:
    """Read pytest's report: the first cell that failed, and whether any ran at all."""
    cases = list(ElementTree.parse(report).iter("testcase"))
    for case in cases:
        if case.find("failure") is not None:
            return int(case.get("name", "").removeprefix("Cell ")), True
    return None, bool(cases) and all(case.find("error") is None for case in cases)


def judge(seed: Seed, failed: int | None, ran: bool) -> Verdict:
    """Say what a run has shown.

    Args:
        seed: What was run.
        failed: The first cell that failed, if one did.
        ran: Whether pytest could run the cells.
    """
    if not ran:
        return Verdict.BROKEN
    if failed is not None:
        if failed < seed.cell or not seed.number:
            return Verdict.EARLY
        return Verdict.KNOWN_CAUGHT if seed.known else Verdict.CAUGHT
    if not seed.number:
        return Verdict.CONTROL
    return Verdict.KNOWN if seed.known else Verdict.PASSED


async def run_all(asked: Iterable[Seed], at_once: int, verbose: bool = False) -> list[Outcome]:
    """Run seeds, some at the same time, and tell of each when it ends.

    Stopped by Ctrl-C or SIGTERM, it first ends what runs.

    Args:
        asked: What to run.
        at_once: How many at the same time.
        verbose: Whether to show how each failed.
    """
    free = asyncio.Semaphore(at_once)
    outcomes: list[Outcome] = []

    async def one(seed: Seed) -> None:
        async with free:
            outcome = await run(seed)
            if outcome.verdict in DOUBTFUL:
                outcome = await run(seed)
        outcomes.append(outcome)
        print(f"{outcome}\n{outcome.said}\n" if verbose else outcome, flush=True)

    this = asyncio.current_task()
    assert this  # in a coroutine there is one
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background job ignores the first
        loop.add_signal_handler(number, this.cancel)
    async with asyncio.TaskGroup() as group:
        for seed in asked:
            group.create_task(one(seed))
    return outcomes


def tell(outcomes: Sequence[Outcome]) -> None:
    """Print what has to be mended, and then the counts of each chapter."""
    for outcome in outcomes:
        if outcome.verdict not in GOOD:
            print(f"\n{outcome.complaint}")
    print("\n== result")
    names = dict.fromkeys(outcome.seed.path.stem for outcome in outcomes)
    for name in names:
        print(f"  {name:<24} {counts(o for o in outcomes if o.seed.path.stem == name)}")
    if len(names) > 1:
        print(f"  {'all':<24} {counts(outcomes)}", flush=True)


def counts(outcomes: Iterable[Outcome]) -> str:
    """Return the counts in words."""
    of = Counter(outcome.verdict for outcome in outcomes if outcome.seed.number)
    text = f"{of.total()} faults, {of[Verdict.CAUGHT]} caught, {of[Verdict.KNOWN]} known misses"
    return text + "".join(f", {of[v]} {v}" for v in Verdict if v not in GOOD and of[v])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; see the module's own text."""
    parser = argparse.ArgumentParser(description="Seed faults and see that each is noticed.")
    parser.add_argument("chapter", nargs="*", help="name or path; all chapters if none is given")
    parser.add_argument("--only", type=int, nargs="+", help="the numbers of some faults")
    parser.add_argument("--control", action="store_true", help="first run it without a fault")
    parser.add_argument("--at-once", type=int, default=workers(), help="how many runs at a time")
    parser.add_argument("--verbose", action="store_true", help="show how each failed")
    asked = parser.parse_args(arguments)
    try:
        paths = [chapters.find(name) for name in asked.chapter] or seeded()
        found = {path: seeds(path) for path in paths}
    except (chapters.UnknownChapterError, FaultError) as error:
        print(f"faults: {error}", file=sys.stderr)
        return 2
    chosen = [
        seed
        for path, all_of_it in found.items()
        for seed in ([Seed(path)] if asked.control else []) + all_of_it
        if not asked.only or seed.number in (0, *asked.only)
    ]
    try:
        outcomes = asyncio.run(run_all(chosen, asked.at_once, asked.verbose))
    except (asyncio.CancelledError, KeyboardInterrupt):
        print("faults: stopped", file=sys.stderr)
        return 130
    order = {seed: place for place, seed in enumerate(chosen)}
    outcomes.sort(key=lambda outcome: order[outcome.seed])
    tell(outcomes)
    return 0 if all(outcome.verdict in GOOD for outcome in outcomes) else 1


# Below: hooks of pytest. With `-p tools.faults --fault=…` this module is a plugin.


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the file that says which cell gets which source."""
    parser.addoption("--fault", type=Path, help="a cell's number and new source, as JSON")


def pytest_configure() -> None:
    """Hear SIGINT also when a shell has started all this in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Change the cell."""
    change = json.loads(config.getoption("--fault").read_text())
    for item in items:
        if isinstance(item, IPyNbCell) and item.cell_num == change["cell"]:
            item.cell.source = change["source"]


if __name__ == "__main__":
    sys.exit(main())
