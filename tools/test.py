"""Run everything that CI runs, side by side, and tell at the end what came of it.

`make test ONLY=unit` runs some steps, by their names. `make test CHAPTER=caching` runs what
concerns one chapter; with FAULTS=1 its seeded faults too. `make test WEEKLY=1` also runs what else
runs once a week: tests with the mark `weekly`, and each chapter a second time in the same kernel.
Every step runs, whatever came of the others. A step that fails shows all it said. Its temporary
files are in memory, where there is room; those of chapters are on the disk, as a reader's are.
"""

import argparse
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

import psutil

from tools import chapters
from tools.chapters import UnknownChapterError

ROOT = chapters.ROOT
AT_ONCE = 3  # steps; each has workers of its own, which wait for half of their time
TELL_SECONDS = 20.0  # between two lines that say how far the steps are
SLOWEST = 10
UNENDED = 4_000  # characters that are shown of what an interrupted step has said

MEMORY = Path("/dev/shm")
"""A file system in memory, on Linux. Servers that come and go by the thousand make files by the
million. One database, made and dropped, took the processor 0.28 s on a disk, and 0.02 s here."""
ROOM = 4 * 1024**3
"""Bytes that must be free there; the servers of all steps together need less than one."""
PREFIX = "nexus-test-"

# Of the pages that the step before them builds, and of the chapters in JupyterLab.
BROWSER_TESTS = (
    "tests/book/test_pages.py",
    "tests/book/test_messages.py",
    "tests/book/test_aids.py",
    "tests/book/test_search.py",
    "tests/book/test_outputs.py",
    "tests/book/test_lab.py",
)

# In these, a test that concerns one chapter has the chapter's name.
OF_A_CHAPTER = (
    "tests/chapters",
    "tests/exercises/test_hostile.py",
    "tests/tools/test_cards.py",
)


@dataclass(frozen=True)
class Step:
    """A command of which something is to be said at the end.

    Attributes:
        name: What to call it; ONLY= takes it.
        command: The program and its arguments.
        after: The steps that have to pass before it.
        is_pytest: Whether it is pytest, whose tests are counted; else it counts as one.
        on_disk: Whether its temporary files are where a reader's are, and not in memory.
    """

    name: str
    command: tuple[str, ...]
    after: tuple[str, ...] = ()
    is_pytest: bool = False
    on_disk: bool = False


@dataclass
class Outcome:
    """What came of one step."""

    step: str
    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    seconds: float = 0.0
    processor: float = 0.0
    """Of its processes and of all that they have waited for, in seconds."""
    durations: list[tuple[float, str]] = field(default_factory=list)
    """Of its tests, in seconds, with their names."""

    def __str__(self) -> str:
        counts = ((self.passed, "passed"), (len(self.failed), "FAILED"))
        said = [f"{count:,} {word}" for count, word in counts if count]
        said += [f"{len(self.skipped)} skipped"] if self.skipped else []
        return ", ".join(said)


def module(name: str, *arguments: str) -> tuple[str, ...]:
    """Return the command that runs a module."""
    return (sys.executable, "-m", name, *arguments)


def pytest_step(
    name: str, *arguments: str, after: tuple[str, ...] = (), on_disk: bool = False
) -> Step:
    """Return a step that is a run of pytest over workers."""
    command = module("pytest", "--quiet", f"--numprocesses={workers()}", *arguments)
    return Step(name, command, after=after, is_pytest=True, on_disk=on_disk)


def workers() -> int:
    """Return how many processes a step may use: servers beside them need some room too."""
    return min(os.cpu_count() or 1, 4)


def steps(*, weekly: bool = False) -> list[Step]:
    """Return all steps, the longest first: what has the time of the whole begins at once.

    Args:
        weekly: Whether to run also what runs weekly.
    """
    also = ("--weekly",) if weekly else ()
    again = ("--again",) if weekly else ()
    browser = [f"--ignore={path}" for path in BROWSER_TESTS]
    notebooks = [path.relative_to(ROOT).as_posix() for path in chapters.in_book()]
    projects = sorted(path.parent for path in ROOT.glob("projects/*/Makefile"))
    largest, *small = sorted(projects, key=lambda path: -len([*path.rglob("test_*.py")]))
    return [
        gates(largest, weekly=weekly),
        pytest_step("unit", *also, *browser, "tests"),
        Step("book", module("tools.book", "--clean")),
        pytest_step("browser", *also, "--dist=loadgroup", *BROWSER_TESTS, after=("book",)),
        pytest_step("chapters", "--nbval", *again, *notebooks, on_disk=True),
        *(gates(project, weekly=weekly) for project in sorted(small)),
        Step("lint", module("tools.lint")),
    ]


def gates(project: Path, *, weekly: bool) -> Step:
    """Return the step that runs a project's own gates; weekly it builds its image, too."""
    folder = str(project.relative_to(ROOT))
    also = ("IMAGE=1",) if weekly else ()
    return Step(project.name, ("make", "-C", folder, "test", PYTHON, *also))


PYTHON = f"PY={sys.executable}"


def steps_of(name: str, *, faults: bool) -> list[Step]:
    """Return the steps that concern one chapter.

    Args:
        name: The chapter's name.
        faults: Whether to seed its faults too, which takes minutes.

    Raises:
        UnknownChapterError: If there is no such chapter.
    """
    path = chapters.find(name)
    notebook = path.relative_to(ROOT).as_posix()
    module_of = path.stem.replace("-", "_")
    judges = f"tests/exercises/test_{module_of}.py"
    page = Path(notebook).with_suffix(".html").as_posix()
    # A name may be the beginning of another one, so it is not enough to look for it.
    words = f"{path.stem}.ipynb or [{path.stem} or {path.stem}] or {path.stem}."
    opened = ("-k", f"[{page} or [{path.stem}]")  # the second one is in JupyterLab
    files = [notebook, f"nexus/exercises/{module_of}.py", judges, f"notes/gotchas/{path.stem}.md"]
    found = [
        pytest_step("judges", "--weekly", "--dist=worksteal", judges),
        pytest_step("chapter", "--nbval", "--again", notebook, on_disk=True),
        pytest_step("honesty", "--weekly", "-k", words, *OF_A_CHAPTER),
        Step("book", module("tools.book")),
        pytest_step(
            "page", "--weekly", *opened, "--dist=loadgroup", *BROWSER_TESTS, after=("book",)
        ),
        Step("lint", module("tools.lint", *(file for file in files if (ROOT / file).exists()))),
    ]
    if faults:
        found.append(Step("faults", module("tools.faults", path.stem)))
    return found


def environment() -> dict[str, str]:
    """Return the environment of all steps, in which Python keeps what it has compiled."""
    kept = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONUNBUFFERED": "1"}


def memory_has_room() -> bool:
    """Tell whether files can be made in memory, and programs among them started."""
    try:
        place = os.statvfs(MEMORY)
    except OSError:
        return False
    writable = os.access(MEMORY, os.W_OK | os.X_OK)
    return writable and not place.f_flag & os.ST_NOEXEC and place.f_bavail * place.f_frsize > ROOM


def remove_what_killed_runs_left(place: Path) -> None:
    """Remove the folders of runs that have ended without doing so: memory is dearer than disk."""
    for folder in place.glob(f"{PREFIX}*"):
        process = folder.name.removeprefix(PREFIX).partition("-")[0]
        if process.isdecimal() and not psutil.pid_exists(int(process)):
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make the folder for the temporary files of all steps: in memory, where there is room."""
    place = MEMORY if memory_has_room() else Path(tempfile.gettempdir())
    remove_what_killed_runs_left(place)
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-", dir=place) as name:
        Path(name).chmod(0o755)  # root's servers run as another user
        yield Path(name)


def processor_of_children() -> float:
    """Return the processor's seconds of the children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Run:
    """A step while it runs.

    Args:
        step: Which.
        folder: For its log and its report.
    """

    def __init__(self, step: Step, folder: Path) -> None:
        self.step = step
        self.report = folder / f"{step.name}.xml"
        self.began = time.monotonic()
        self.processor = 0.0
        self.log: IO[str] = (folder / f"{step.name}.log").open("w+", errors="replace")
        report = [f"--junitxml={self.report}"] if step.is_pytest else []
        temporary = folder / "t"
        temporary.mkdir(exist_ok=True)
        place = {} if step.on_disk else {"TMPDIR": str(temporary)}
        self.process = subprocess.Popen(
            [*step.command, *report],
            cwd=ROOT,
            env=environment() | place | {"TEST_SHARED": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C must reach it once, from here
        )

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_: object) -> None:
        """End it, if it has not ended: as Ctrl-C does first, so that it can put things away."""
        for number, patience in ((signal.SIGINT, 30), (signal.SIGTERM, 15), (signal.SIGKILL, None)):
            if self.process.poll() is not None:
                break
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(self.process.pid, number)
                self.process.wait(patience)
        self.log.close()

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return time.monotonic() - self.began

    def has_ended(self) -> bool:
        """Tell whether it has ended; when it has, `processor` is known."""
        before = processor_of_children()
        ended = self.process.poll() is not None
        self.processor = processor_of_children() - before
        return ended

    def said(self) -> str:
        """Return all it has said so far."""
        self.log.flush()
        return Path(self.log.name).read_text(errors="replace")

    def progress(self) -> str:
        """Return how far it is, if it says so: pytest does, in percent."""
        percent = re.findall(r"\[ *(\d+)%\]", self.said())
        return f"{self.step.name} {percent[-1]} %" if percent else self.step.name

    def outcome(self) -> Outcome:
        """Return what came of it, once it has ended."""
        status = self.process.returncode
        if self.step.is_pytest:
            return count(self.step.name, self.report, status, self.seconds)
        failed = [f"{self.step.name}: exit status {status}"] if status else []
        return Outcome(self.step.name, int(not failed), failed, seconds=self.seconds)


def count(step: str, report: Path, status: int, seconds: float) -> Outcome:
    """Read pytest's report.

    Args:
        step: What to call it.
        report: The file, in JUnit's format; it may be missing.
        status: pytest's exit status.
        seconds: How long it took.
    """
    cases = list(ElementTree.parse(report).iter("testcase")) if report.exists() else []
    outcome = Outcome(step, seconds=seconds)
    for case in cases:
        place = case.get("classname", "").replace(".", "/").replace("/ipynb", ".ipynb")
        name = f"{place}::{case.get('name')}"
        outcome.durations.append((float(case.get("time", 0)), name))
        if case.find("failure") is not None or case.find("error") is not None:
            outcome.failed.append(name)
        elif (skip := case.find("skipped")) is not None:
            outcome.skipped.append(f"{name}: {skip.get('message')}")
        else:
            outcome.passed += 1
    if status and not outcome.failed:
        outcome.failed.append(f"{step}: pytest ended with exit status {status}")
    return outcome


def run(wanted: Sequence[Step]) -> Iterator[Outcome]:
    """Run steps side by side, each as soon as there is room and those before it have passed.

    A step waits only for steps that are wanted as well.

    Args:
        wanted: The steps; the first of those that may begin begins first.

    Yields:
        What came of each, in the order of their ends.
    """
    waiting, running, passed = list(wanted), list[Run](), set[str]()
    names = {step.name for step in wanted}
    told = time.monotonic()
    with temporary_folder() as folder, ExitStack() as stack:
        while waiting or running:
            for ended in [one for one in running if one.has_ended()]:
                running.remove(ended)
                outcome = ended.outcome()
                outcome.processor = ended.processor
                if outcome.failed:
                    print(f"\n== {outcome.step}\n{ended.said().rstrip()}\n", flush=True)
                else:
                    passed.add(outcome.step)
                print(f"  {outcome.step:<12} {outcome.seconds:6.1f} s  {outcome}", flush=True)
                yield outcome
            ended_badly = (
                names - passed - {s.name for s in waiting} - {r.step.name for r in running}
            )
            for step in waiting[:]:
                if ended_badly & set(step.after):
                    waiting.remove(step)
                    yield Outcome(
                        step.name, failed=[f"{step.name}: not run, since {step.after[0]} failed"]
                    )
                elif len(running) < AT_ONCE and set(step.after) & names <= passed:
                    waiting.remove(step)
                    running.append(stack.enter_context(Run(step, folder)))
            if time.monotonic() - told > TELL_SECONDS:
                told = time.monotonic()
                print(f"  … {', '.join(one.progress() for one in running)}", flush=True)
            try:
                time.sleep(0.2)
            except KeyboardInterrupt:  # a test that hangs has said where: faulthandler_timeout
                for one in running:
                    print(f"\n== {one.step.name}, not ended\n{one.said()[-UNENDED:]}", flush=True)
                raise


def tell(outcomes: list[Outcome], seconds: float) -> None:
    """Print what came of all steps; the last line is the sum."""
    print(f"\n== result, after {seconds / 60:.1f} minutes")
    for outcome in outcomes:
        used = f"{outcome.seconds:6.1f} s, processor {outcome.processor:6.1f} s"
        print(f"  {outcome.step:<12} {used}  {outcome}")
    durations = sorted((one for outcome in outcomes for one in outcome.durations), reverse=True)
    if durations:
        print("Slowest tests:")
        for took, name in durations[:SLOWEST]:
            print(f"  {took:6.1f} s  {name}")
    skipped = [skip for outcome in outcomes for skip in outcome.skipped]
    failed = [failure for outcome in outcomes for failure in outcome.failed]
    for title, names in (("Skipped:", skipped), ("Failed:", failed)):
        if names:
            print(title, *names, sep="\n  ")
    passed = sum(outcome.passed for outcome in outcomes)
    also = f", {len(skipped)} skipped" if skipped else ""
    print(f"{passed} passed, {len(failed)} failed{also}", flush=True)


def chosen(
    only: Sequence[str], chapter: str = "", *, faults: bool = False, weekly: bool = False
) -> list[Step]:
    """Return the steps that were asked for.

    Args:
        only: The names of some steps; none stands for all.
        chapter: A chapter's name; empty stands for the whole book.
        faults: Whether to seed the chapter's faults.
        weekly: Whether to run also what runs weekly; of a chapter all is run.

    Raises:
        ValueError: If there is no such step, or no such chapter; the text lists those there are.
    """
    known = steps_of(chapter, faults=faults) if chapter else steps(weekly=weekly)
    names = [step.name for step in known]
    if unknown := [name for name in only if name not in names]:
        raise ValueError(f"no step {unknown[0]!r}. There are: {', '.join(names)}")
    return [step for step in known if step.name in only or not only]


def main() -> int:
    """Run the command; see the module's own text."""
    parser = argparse.ArgumentParser(description="Run everything that CI runs.")
    parser.add_argument("only", nargs="*", help="some steps, instead of all")
    parser.add_argument("--chapter", default="", help="what concerns one chapter")
    parser.add_argument("--faults", action="store_true", help="and its seeded faults")
    parser.add_argument("--weekly", action="store_true", help="and what runs weekly")
    asked = parser.parse_args()
    try:
        wanted = chosen(asked.only, asked.chapter, faults=asked.faults, weekly=asked.weekly)
    except (ValueError, UnknownChapterError) as error:
        print(f"test: {error}", file=sys.stderr)
        return 2
    outcomes: list[Outcome] = []
    began = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell has started this in the background. Steps would inherit that, but no handler,
        # and could not be asked to clear up.
        signal.signal(signal.SIGINT, lambda *_: None)
    try:
        for outcome in run(wanted):
            outcomes.append(outcome)
    except KeyboardInterrupt:
        outcomes.append(Outcome("stopped", failed=["interrupted: the rest was not run"]))
    tell(outcomes, time.monotonic() - began)
    return 1 if any(outcome.failed for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
