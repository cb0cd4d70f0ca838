"""Measure servers, chapters and the book; print the figures and store them in data/.

Figures depend on the machine, so no test compares them; the status page of the book shows them
with the machine they were measured on. Memory is proportional set size: a page that several
processes share is counted once. Times of servers are the median of several fresh starts.
"""

import argparse
import contextlib
import csv
import gzip
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import nbformat
import psutil

from tools import chapters, refresh

STATUS = chapters.ROOT / "data" / "status.csv"
FIGURES = chapters.ROOT / "data" / "bench.csv"
STARTS = 7
BUDGET = {"seconds": 60, "memory_mb": 512}  # of a chapter, on one core
SAMPLE_SECONDS = 0.05

FIRST_ANSWER = {
    "PostgreSQL": "nexus.postgres().connect().execute('SELECT 1').fetchone()",
    "Valkey": "nexus.valkey().connect().ping()",
    "nginx": "nexus.nginx('server { listen 127.0.0.1:{port}; return 204; }')",
}
SERVER_NAMES = {
    "postgres": "PostgreSQL",
    "mariadbd": "MariaDB",
    "pgbouncer": "PgBouncer",
    "valkey-server": "Valkey",
    "nginx": "nginx",
    "beam.smp": "RabbitMQ",
    "gunicorn": "gunicorn",
    "uvicorn": "uvicorn",
    "celery": "Celery",
}


def seconds_to_first_answer(server: str) -> float:
    """Return the median time from the call to the first answer, each in a fresh interpreter."""
    code = (
        "import time, psycopg, redis, nexus; begun = time.perf_counter(); "
        f"answer = {FIRST_ANSWER[server]}; print(time.perf_counter() - begun)"
    )
    command = [sys.executable, "-c", code]
    runs = [
        float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        for _ in range(STARTS)
    ]
    return statistics.median(runs)


class Watch(threading.Thread):
    """Samples the memory of a process and all its descendants, and which servers run among them.

    Args:
        pid: the process.
        cores: where to sample, so that it takes no time from what is measured; None for anywhere.
    """

    def __init__(self, pid: int, cores: set[int] | None = None) -> None:
        super().__init__(daemon=True)
        self.cores = cores
        self.root = psutil.Process(pid)
        self.over = threading.Event()
        self.peak = 0
        self.servers: set[str] = set()

    def run(self) -> None:
        """Samples until told to stop."""
        if self.cores:
            os.sched_setaffinity(0, self.cores)  # of this thread alone
        while not self.over.wait(SAMPLE_SECONDS):
            with contextlib.suppress(psutil.NoSuchProcess):
                family = [self.root, *self.root.children(recursive=True)]
                self.peak = max(self.peak, sum(self.look(process) for process in family))

    def look(self, process: psutil.Process) -> int:
        """Return a process's memory in bytes, and remember what server it is."""
        with contextlib.suppress(psutil.Error):
            command = " ".join(process.cmdline()[:3])
            self.servers |= {
                title for name, title in SERVER_NAMES.items() if re.search(rf"\b{name}\b", command)
            }
            memory = process.memory_full_info()
            return int(getattr(memory, "pss", memory.uss))
        return 0


@contextlib.contextmanager
def one_core() -> Iterator[set[int]]:
    """Let this process, and what it starts, use one core, where the system can do that.

    Yields:
        The other cores; none where there are none, or the system cannot do it.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield set()
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield before - {min(before)}
    finally:
        os.sched_setaffinity(0, before)


def measure_chapter(path: Path) -> dict[str, object]:
    """Run a chapter on one core, and return its row of the status table."""
    watch: Watch | None = None

    def started(pid: int) -> None:
        nonlocal watch
        watch = Watch(pid, others)
        watch.start()

    begun = time.monotonic()
    with one_core() as others:
        notebook = refresh.run(path, started)
    seconds = time.monotonic() - begun
    assert watch is not None
    watch.over.set()
    watch.join()
    titles = {entry.name: entry.title for entry in chapters.planned()}
    heading = notebook.cells[0].source.splitlines()[0].removeprefix("# ")
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    exercises = {name for text in code for name in re.findall(r'check\(\s*"([\w.-]+)"', text)}
    return {
        "chapter": path.stem,
        "title": titles.get(path.stem, heading),
        "seconds": f"{seconds:.0f}",
        "memory_mb": f"{watch.peak / 1e6:.0f}",
        "servers": ", ".join(sorted(watch.servers)) or "none",
        "exercises": len(exercises),
        "python": platform.python_version(),
    }


def build_book(root: Path, *, clean: bool = False) -> float:
    """Build the book in a checkout, and return the seconds it took."""
    begun = time.monotonic()
    arguments = ["make", "book"] if clean else [root / ".venv/bin/python", "-m", "tools.book"]
    subprocess.run(arguments, cwd=root, check=True, capture_output=True)
    return time.monotonic() - begun


def book_figures() -> Iterator[tuple[str, float, str, str]]:
    """Measure the way from a fresh clone to a built book, a rebuild, and the weight of a page."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "a clone"
        subprocess.run(["git", "clone", "--quiet", chapters.ROOT, clone], check=True)
        yield "fresh clone to built book", build_book(clone, clean=True), "s", "60"
        chapter = chapters.in_book(clone)[0]
        notebook = chapters.read(chapter)
        notebook.cells[0].source += "\n\nOne more sentence."
        nbformat.write(notebook, chapter)
        yield "one chapter edited, page built again", build_book(clone), "s", "10"
        page = clone / "_build" / "html" / chapter.relative_to(clone).with_suffix(".html")
        yield (
            "a chapter's page with scripts and styles, gzip",
            page_weight(page) / 1000,
            "kB",
            "500",
        )


def page_weight(page: Path) -> int:
    """Return the bytes of a page with its scripts and styles, each compressed with gzip.

    What a browser really fetches, fonts too, is counted by tests/book/test_pages.py.
    """
    links = re.findall(r'(?:src|href)="([^":?]+\.(?:js|css))[?"]', page.read_text())
    files = {page} | {(page.parent / link).resolve() for link in links}
    return sum(len(gzip.compress(file.read_bytes())) for file in files if file.is_file())


def write(path: Path, rows: list[dict[str, object]]) -> None:
    """Store rows as CSV, whole or not at all."""
    new = path.with_suffix(".new")
    try:
        with new.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def over_budget(row: Mapping[str, object]) -> list[str]:
    """Return what a row of the status table has too much of, one line each."""
    return [
        f"{row['chapter']}: {row[column]} {column} are too many; the budget is {most}"
        for column, most in BUDGET.items()
        if float(str(row[column])) > most
    ]


def stored() -> list[dict[str, object]]:
    """Return the rows of the status table as it is."""
    with STATUS.open(newline="") as file:
        return list(csv.DictReader(file))


def measure(paths: list[Path]) -> list[dict[str, object]]:
    """Measure chapters, print their rows and what is over its budget, and return the rows."""
    rows = []
    for path in paths:
        rows.append(row := measure_chapter(path))
        print(", ".join(f"{column}: {value}" for column, value in row.items()), flush=True)
        for complaint in over_budget(row):
            print(f"  {complaint}", flush=True)
    return rows


def merged(
    old: list[dict[str, object]], new: list[dict[str, object]], order: list[str]
) -> list[dict[str, object]]:
    """Return the status table with new rows in place of old ones, for the chapters in order."""
    known = {str(row["chapter"]): row for row in [*old, *new]}
    return [known[name] for name in order if name in known]


def main() -> int:
    """Run the command; see the module's own text."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chapter", nargs="*", help="name or path; else everything is measured")
    asked = parser.parse_args().chapter
    try:
        some = [chapters.find(name) for name in asked]
    except chapters.UnknownChapterError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    order = [path.stem for path in chapters.in_book()]
    if some:
        write(STATUS, merged(stored(), measure(some), order))
        print(f"stored in {STATUS.relative_to(chapters.ROOT)}")
        return 0
    if shutil.which("git") is None:
        print("bench: git is not on this machine: apt-get install git", file=sys.stderr)
        return 2

    figures: list[dict[str, object]] = []

    def note(figure: str, value: float, unit: str, goal: str) -> None:
        figures.append({"figure": figure, "value": f"{value:.3g}", "unit": unit, "goal": goal})
        print(f"{figure}: {value:.3g} {unit} (goal: {goal or 'none'})", flush=True)

    goals = {"PostgreSQL": "1", "Valkey": "0.5", "nginx": ""}
    for server, goal in goals.items():
        note(
            f"{server}, from the call to the first answer",
            seconds_to_first_answer(server),
            "s",
            goal,
        )
    rows = measure(chapters.in_book())
    for figure in book_figures():
        note(*figure)
    write(STATUS, rows)
    write(FIGURES, figures)
    print(f"stored in {STATUS.relative_to(chapters.ROOT)} and {FIGURES.relative_to(chapters.ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
