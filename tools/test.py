"""Run everything that CI runs, whatever fails on the way, and tell at the end what came of it.

`make test ONLY=unit` runs one part: lint, unit, chapters or book.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from tools import chapters

ROOT = chapters.ROOT
BROWSER_TESTS = "tests/book/test_pages.py"  # they look at the pages that the build before them made


@dataclass
class Outcome:
    """What came of one step."""

    step: str
    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        counts = ((self.passed, "passed"), (len(self.failed), "FAILED"))
        said = [f"{count} {word}" for count, word in counts if count]
        said += [f"{len(self.skipped)} skipped"] if self.skipped else []
        return ", ".join(said)


def run(step: str, *command: str) -> Outcome:
    """Run a command that counts as one test.

    Args:
        step: What to call it.
        command: A module and its arguments.
    """
    status, seconds = call(step, *command)
    outcome = Outcome(step, seconds=seconds)
    if status:
        outcome.failed.append(f"{step}: exit status {status}")
    else:
        outcome.passed = 1
    return outcome


def run_pytest(step: str, *arguments: str) -> Outcome:
    """Run pytest and count its tests.

    Args:
        step: What to call it.
        arguments: Those of pytest.
    """
    with tempfile.TemporaryDirectory(prefix="pytest-nexus-") as folder:
        report = Path(folder) / "report.xml"
        status, seconds = call(step, "pytest", "--quiet", f"--junitxml={report}", *arguments)
        cases = list(ElementTree.parse(report).iter("testcase")) if report.exists() else []
    outcome = Outcome(step, seconds=seconds)
    for case in cases:
        place = case.get("classname", "").replace(".", "/").replace("/ipynb", ".ipynb")
        name = f"{place}::{case.get('name')}"
        if case.find("failure") is not None or case.find("error") is not None:
            outcome.failed.append(name)
        elif (skip := case.find("skipped")) is not None:
            outcome.skipped.append(f"{name}: {skip.get('message')}")
        else:
            outcome.passed += 1
    if status and not outcome.failed:
        outcome.failed.append(f"{step}: pytest ended with exit status {status}")
    return outcome


def call(step: str, module: str, *arguments: str) -> tuple[int, float]:
    """Run a module, show what it says, and return its exit status and the seconds it took."""
    print(f"\n== {step}", flush=True)
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-m", module, *arguments], cwd=ROOT, check=False)
    return done.returncode, time.monotonic() - began


def lint() -> Iterator[Outcome]:
    """Check the form of code, notebooks, text and workflows."""
    yield run("lint", "tools.lint")


def unit() -> Iterator[Outcome]:
    """Test the bench, the judges, the tools and what is stored."""
    yield run_pytest("unit", f"--numprocesses={workers()}", f"--ignore={BROWSER_TESTS}", "tests")


def validate() -> Iterator[Outcome]:
    """Run every chapter of the book and compare every output with what is stored."""
    notebooks = [path.relative_to(ROOT).as_posix() for path in chapters.in_book()]
    parallel = [f"--numprocesses={min(workers(), len(notebooks))}", "--dist=loadfile"]
    yield run_pytest("chapters", "--nbval", *parallel, *notebooks)


def book() -> Iterator[Outcome]:
    """Build the book from nothing, then open it in a browser."""
    build = run("book", "tools.book", "--clean")
    yield build
    if not build.failed:
        yield run_pytest("browser", BROWSER_TESTS)


PARTS = {"lint": lint, "unit": unit, "chapters": validate, "book": book}


def workers() -> int:
    """Return how many processes tests may use: servers beside them need some room too."""
    return min(os.cpu_count() or 1, 4)


def tell(outcomes: list[Outcome]) -> None:
    """Print what came of all steps; the last line is the sum."""
    print("\n== result")
    for outcome in outcomes:
        print(f"  {outcome.step:<9} {outcome.seconds:6.1f} s  {outcome}")
    skipped = [skip for outcome in outcomes for skip in outcome.skipped]
    failed = [failure for outcome in outcomes for failure in outcome.failed]
    for title, names in (("Skipped:", skipped), ("Failed:", failed)):
        if names:
            print(title, *names, sep="\n  ")
    passed = sum(outcome.passed for outcome in outcomes)
    also = f", {len(skipped)} skipped" if skipped else ""
    print(f"{passed} passed, {len(failed)} failed{also}", flush=True)


def main() -> int:
    """Run the command; see the module's own text."""
    parser = argparse.ArgumentParser(description="Run everything that CI runs.")
    parser.add_argument("only", nargs="*", choices=[*PARTS, []], help="one part, instead of all")
    asked = parser.parse_args().only or PARTS
    outcomes: list[Outcome] = []
    try:
        for part in asked:
            for outcome in PARTS[part]():
                outcomes.append(outcome)
    except KeyboardInterrupt:
        outcomes.append(Outcome("stopped", failed=["interrupted: the rest was not run"]))
    tell(outcomes)
    return 1 if any(outcome.failed for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
