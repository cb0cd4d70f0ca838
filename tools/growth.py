"""How the book grew, from git: a row for each quarter of a day, in data/growth.csv.

    python -m tools.growth            append the rows that are missing
    python -m tools.growth --check    compare the rows that are there with git, and change nothing

A row describes the last commit before its moment, and names the commit. So a row never changes,
whatever is committed later, and pages draw from the file: a copy without git has it too. A quarter
of a day without a commit has no row. data/growth-faults.csv has the seeded faults of each chapter
at the same moments.
"""

import argparse
import csv
import datetime
import io
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GROWTH = Path("data") / "growth.csv"
FAULTS = Path("data") / "growth-faults.csv"

QUARTER = datetime.timedelta(hours=6)
COLUMNS = (
    "moment",  # UTC
    "commit",
    "commits",  # up to this one
    "chapters",  # written; a copy of the template is not counted
    "exercises",  # of these chapters
    "tests",  # functions; one that takes a table counts once
    "seconds",  # of one run of all chapters, as the status page had it
    "faults",  # seeded in chapters
    "missed",  # of them, marked as not noticed by the strict run
    "decisions",
    "field_notes",
    "corrections",  # commits whose first line has the word "correct"
)
BESIDE = {"template", "start-here"}
"""They teach the book itself, and are not counted as chapters."""

UNWRITTEN = b"> **To be written.**"
CHAPTER = re.compile(r"notebooks/[^/]+/([^/]+)\.ipynb")
TEST = re.compile(rb"^\s*(?:async )?def test_", re.MULTILINE)
JUDGE = re.compile(rb'@judge\(\s*"([a-z_-]+)\.\d+"')
CORRECTION = re.compile(r"\bcorrect", re.IGNORECASE)


class NoHistoryError(RuntimeError):
    """The folder has no git history, or only the end of one."""


@dataclass(frozen=True)
class History:
    """The commits of a clone.

    Attributes:
        root: The clone.
    """

    root: Path = ROOT

    def git(self, *words: str) -> bytes:
        """Return what git prints.

        Args:
            *words: The command.

        Raises:
            NoHistoryError: If git is not there or refuses.
        """
        try:
            done = subprocess.run(["git", *words], cwd=self.root, capture_output=True)
        except OSError as error:
            raise NoHistoryError(f"git cannot be run: {error}") from None
        if done.returncode:
            raise NoHistoryError(done.stderr.decode().strip())
        return done.stdout

    def require(self) -> None:
        """Make sure that the history is whole.

        Raises:
            NoHistoryError: If it is not; the text says what to do.
        """
        top = Path(self.git("rev-parse", "--show-toplevel").decode().strip())
        if top.resolve() != self.root.resolve():
            raise NoHistoryError(f"{self.root} is not a git clone of its own")
        if self.git("rev-parse", "--is-shallow-repository").strip() == b"true":
            raise NoHistoryError("this clone is shallow: `git fetch --unshallow` gets the rest")

    def has(self, commit: str) -> bool:
        """Tell whether a commit is among the ancestors of what is checked out."""
        try:
            self.git("merge-base", "--is-ancestor", commit, "HEAD")
        except NoHistoryError:
            return False
        return True

    def commits(self) -> list[tuple[str, datetime.datetime]]:
        """Return the commits of the main line with their times, the oldest first."""
        log = self.git("log", "--first-parent", "--reverse", "--format=%h %cI", "--abbrev=12")
        pairs = (line.split() for line in log.decode().splitlines())
        return [(name, datetime.datetime.fromisoformat(moment)) for name, moment in pairs]

    def files(self, commit: str) -> dict[str, bytes]:
        """Return the files of a commit that are counted, by path."""
        listed = self.git("ls-tree", "-r", "-z", "--name-only", commit).decode().split("\0")
        paths = [path for path in listed if is_counted(path)]
        asked = "".join(f"{commit}:{path}\n" for path in paths).encode()
        out = subprocess.run(
            ["git", "cat-file", "--batch"], cwd=self.root, input=asked, capture_output=True
        ).stdout
        found, position = {}, 0
        for path in paths:
            end = out.index(b"\n", position)
            size = int(out[position:end].rsplit(b" ", 1)[1])
            found[path] = out[end + 1 : end + 1 + size]
            position = end + size + 2
        return found


def is_counted(path: str) -> bool:
    """Tell whether a file has something that is counted."""
    return bool(
        CHAPTER.fullmatch(path)
        or re.search(r"(^|/)test_[^/]*\.py$", path)
        or re.fullmatch(r"nexus/.*\.py|tests/chapters/[^/]+\.toml|data/status\.csv", path)
        or re.fullmatch(r"docs/decisions/\d+[^/]*\.md|notes/field/[^/]+\.md", path)
    )


def faults(files: dict[str, bytes], written: set[str]) -> dict[str, tuple[int, int]]:
    """Return how many faults each chapter has, and how many of them nobody notices."""
    found = {}
    for path, text in sorted(files.items()):
        chapter = Path(path).stem
        if path.endswith(".toml") and chapter in written:
            listed = tomllib.loads(text.decode()).get("fault", [])
            found[chapter] = (len(listed), sum("known" in fault for fault in listed))
    return found


def measure(history: History, commit: str, moment: str) -> tuple[dict[str, str], list[list[str]]]:
    """Return the row of a commit, and its rows of faults.

    Args:
        history: Where the commit is.
        commit: Its name.
        moment: What the row is called.
    """
    files = history.files(commit)
    notebooks = {
        match[1]: text for path, text in files.items() if (match := CHAPTER.fullmatch(path))
    }
    unwritten = {name for name, text in notebooks.items() if UNWRITTEN in text}
    written = notebooks.keys() - unwritten
    tests = [text for path, text in files.items() if re.search(r"(^|/)test_[^/]*\.py$", path)]
    judged = [
        chapter.decode()
        for path, text in files.items()
        if path.startswith("nexus/") and Path(path).stem not in {"template", "start_here"}
        for chapter in JUDGE.findall(text)
    ]
    status = csv.DictReader(io.StringIO(files.get("data/status.csv", b"").decode()))
    seeded = faults(files, written)
    subjects = history.git("log", "--format=%s", commit).decode().splitlines()
    values = (
        moment,
        commit,
        len(subjects),
        len(written),
        sum(name not in unwritten for name in judged),
        sum(len(TEST.findall(text)) for text in tests),
        round(sum(float(row["seconds"]) for row in status if row["chapter"] not in BESIDE)),
        sum(count for count, _ in seeded.values()),
        sum(missed for _, missed in seeded.values()),
        sum(path.startswith("docs/decisions/") for path in files),
        sum(path.startswith("notes/field/") for path in files),
        sum(bool(CORRECTION.search(subject)) for subject in subjects),
    )
    row = dict(zip(COLUMNS, map(str, values), strict=True))
    return row, [[moment, name, str(n), str(missed)] for name, (n, missed) in seeded.items()]


def points(commits: list[tuple[str, datetime.datetime]]) -> list[tuple[str, str]]:
    """Return the moments with a commit in the quarter before, and the last commit of each.

    Args:
        commits: Names and times, the oldest first. A quarter that is not over has no moment, and
            the quarter of the last commit may still get another one.
    """
    last: dict[datetime.datetime, str] = {}
    for name, moment in commits:
        moment = moment.astimezone(datetime.UTC)
        begin = moment.replace(hour=moment.hour // 6 * 6, minute=0, second=0, microsecond=0)
        last[begin + QUARTER] = name
    over = sorted(last)[:-1]
    return [(f"{end:%Y-%m-%dT%H:%MZ}", last[end]) for end in over]


def read(path: Path) -> list[dict[str, str]]:
    """Return the rows of a file; none if it is not there."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def append(history: History, root: Path = ROOT) -> int:
    """Append the rows that are missing, and return how many these were.

    Args:
        history: The commits.
        root: Where the folder data is.

    Raises:
        NoHistoryError: If the history is not whole.
    """
    history.require()
    rows = read(root / GROWTH)
    known = [list(row.values()) for row in read(root / FAULTS)]
    latest = rows[-1]["moment"] if rows else ""
    new = [measure(history, name, at) for at, name in points(history.commits()) if at > latest]
    for path, head, lines in (
        (GROWTH, COLUMNS, [list(row.values()) for row in [*rows, *(row for row, _ in new)]]),
        (
            FAULTS,
            ("moment", "chapter", "faults", "missed"),
            known + [f for _, fs in new for f in fs],
        ),
    ):
        with (root / path).open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([head, *lines])
    return len(new)


def differences(history: History, root: Path = ROOT) -> tuple[list[str], int]:
    """Compare the rows with git, and return what differs and how many rows were compared.

    A row whose commit is not in this history (a branch that was written anew) is left out.

    Args:
        history: The commits.
        root: Where the folder data is.

    Raises:
        NoHistoryError: If the history is not whole.
    """
    history.require()
    by_moment: dict[str, list[list[str]]] = {}
    for fault in read(root / FAULTS):
        by_moment.setdefault(fault["moment"], []).append(list(fault.values()))
    found, compared = [], 0
    for row in read(root / GROWTH):
        if not history.has(row["commit"]):
            continue
        compared += 1
        expected, faults_then = measure(history, row["commit"], row["moment"])
        found += [
            f"{row['moment']}: {name} is {value} in the file, {expected[name]} in git"
            for name, value in row.items()
            if value != expected[name]
        ]
        if by_moment.get(row["moment"], []) != faults_then:
            found.append(f"{row['moment']}: the faults by chapter differ from git")
    return found, compared


def main() -> int:
    """Append rows, or compare them; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare, and change nothing")
    arguments = parser.parse_args()
    try:
        if not arguments.check:
            print(f"{append(History())} new rows in {GROWTH}")
            return 0
        found, compared = differences(History())
    except NoHistoryError as error:
        print(f"growth: {error}", file=sys.stderr)
        return 2
    print(*found, f"{compared} rows compared with git, {len(found)} differences", sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
