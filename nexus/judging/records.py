"""The records of what a reader has tried and solved: a file on the reader's own machine."""

import contextlib
import datetime
import fcntl
import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import platformdirs

FORMER = {
    "background": "background-jobs",
    "ci": "ci-cd",
    "django_project": "django-project",
    "indexes": "indexes-and-plans",
    "rest": "rest-with-drf",
    "transactions": "transactions-and-locks",
}
"""What a chapter's exercises were called once, and are called now."""

Records = dict[str, Any]
"""By exercise: {"tries": 3, "solved": "2026-11-25" or None}. What another version of this module
has written beside that is kept as it is. "tries" are those on this computer. Tries that were
imported stand beside it, by computer: "elsewhere": {"5f0c…": 2}."""

COMPUTER = "computer"
"""The key, among the records, of the random name that a computer gets at its first export."""

FORMAT = "nexus-progress"
"""What a file that was exported calls itself, under "format"."""


class ProgressError(Exception):
    """Progress cannot be read or written; the text says what to do, and that nothing is lost."""


def place() -> Path | None:
    """The file that keeps progress: named by NEXUS_PROGRESS, or in the user's data directory.

    Returns:
        The path; None if nothing is to be kept: NEXUS_PROGRESS is "off", or this is CI.
    """
    named = os.environ.get("NEXUS_PROGRESS")
    if named == "off" or (named is None and os.environ.get("CI")):
        return None
    if named:
        return Path(named).expanduser()
    return platformdirs.user_data_path("nexus", appauthor=False) / "progress.json"


def load(path: Path) -> Records:
    """Reads the records, under today's names; what is no such file is set aside.

    Raises:
        OSError: if the file is there and cannot be read: it may not be taken for an empty one.
    """
    try:
        records = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except ValueError:
        records = None
    if isinstance(records, dict):
        if records.get("format") == FORMAT and isinstance(records.get("exercises"), dict):
            records = records["exercises"] | {COMPUTER: records.get(COMPUTER)}  # put here by hand
        return renamed(records)
    set_aside(path)
    return {}


def own() -> Records | None:
    """The records of this reader; None if none are kept.

    Raises:
        ProgressError: if the file is there and cannot be read.
    """
    path = place()
    if path is None:
        return None
    try:
        return load(path)
    except OSError as error:
        raise ProgressError(f"{path} cannot be read: {error.strerror}") from None


def set_aside(path: Path) -> None:
    """Copies a file that cannot be understood, so that nothing in it is lost."""
    content = path.read_bytes()
    aside = path.with_suffix(".unreadable")
    for number in itertools.count(2):
        if not aside.exists() or aside.read_bytes() == content:
            break
        aside = path.with_suffix(f".unreadable-{number}")
    aside.write_bytes(content)


def understood(record: object) -> bool:
    """Whether this is the record of an exercise."""
    return (
        isinstance(record, dict)
        and type(record.get("tries")) is int
        and isinstance(record.get("solved", ...), str | None)
    )


def renamed(records: Records) -> Records:
    """The records under today's names; of two for one exercise, both count."""
    carried = dict(records)
    for name, record in records.items():
        chapter, _, number = name.partition(".")
        today = f"{FORMER.get(chapter, chapter)}.{number}"
        there = carried.get(today, {"tries": 0, "solved": None})
        if chapter in FORMER and understood(record) and understood(there):
            days = [day for day in (record["solved"], there["solved"]) if day]
            tries = record["tries"] + there["tries"]
            carried[today] = record | there | {"tries": tries, "solved": min(days, default=None)}
            if parts := added(record, there):
                carried[today]["elsewhere"] = parts
            del carried[name]
    return carried


def added(*records: Records) -> dict[str, int]:
    """The tries on other computers, of records that are about one exercise."""
    sums: dict[str, int] = {}
    for record in records:
        for computer, tries in elsewhere(record).items():
            sums[computer] = sums.get(computer, 0) + tries
    return sums


def elsewhere(record: Records) -> dict[str, int]:
    """The tries on other computers, by computer; what cannot be such a number is left out."""
    there = record.get("elsewhere")
    pairs = there.items() if isinstance(there, dict) else ()
    return {name: tries for name, tries in pairs if type(tries) is int and tries >= 0}


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Lets one kernel at a time change the records, so that no try of another is lost."""
    with path.with_suffix(".lock").open("a") as file:
        with contextlib.suppress(OSError):  # some network drives know no locks
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def record(name: str, *, right: bool) -> None:
    """Records one try; where that is impossible it says so and changes nothing.

    Args:
        name: the exercise.
        right: whether it was right.
    """
    path = place()
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with alone(path):
            records = load(path)
            if name in records and not understood(records[name]):
                set_aside(path)
                del records[name]
            entry = records.setdefault(name, {"tries": 0, "solved": None})
            entry["tries"] += 1
            if right and not entry["solved"]:
                entry["solved"] = datetime.date.today().isoformat()
            store(path, records)
    except OSError as error:
        print(f"(progress could not be kept in {path}: {error.strerror})")  # noqa: T201


def store(path: Path, records: Records) -> None:
    """Writes the records, whole or not at all."""
    write(path, json.dumps(records, indent=1, sort_keys=True))


def write(path: Path, text: str) -> None:
    """Writes a file, whole or not at all: on a full disk the old one stays, and no half of a new.

    Raises:
        OSError: if that is impossible.
    """
    target = path.resolve()  # a link stays a link
    new = target.with_name(f"{target.stem}.{os.getpid()}")
    try:
        with new.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)
