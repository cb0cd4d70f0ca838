"""Moves what a reader has solved to another computer and back: one file, merged and never doubled.

Each computer counts its own tries. A merge takes, for each computer, the higher of two counts, so
the order of merges does not matter, and a second import of a file changes nothing.
"""

import contextlib
import datetime
import hashlib
import json
import os
import re
import uuid
from dataclasses import dataclass
from pathlib import Path

from nexus.judging import records as kept
from nexus.judging.records import COMPUTER, FORMAT, ProgressError, Records

VERSION = 1
LARGEST = 5_000_000
"""Bytes; a reader who has solved everything has some thousand."""

UNNAMED = "unnamed"
"""Counts of a file that does not say which computer made it."""

EXERCISE = re.compile(r"[a-z][a-z0-9_-]*\.\d+")
AGAIN = "Export it again on the other computer, and copy the whole file. Nothing was changed here."
OFF = (
    "progress is not kept in this run (NEXUS_PROGRESS is off, or this is CI). "
    "Set NEXUS_PROGRESS to the path of a file, and call it again."
)


@dataclass(frozen=True)
class Imported:
    """What an import has changed.

    Attributes:
        new: exercises that had no record here.
        changed: exercises whose record has changed.
        same: exercises whose record is as it was.
        left_out: names whose record could not be understood.
    """

    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    same: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def __repr__(self) -> str:
        said = f"{len(self.new)} new, {len(self.changed)} changed, {len(self.same)} as before"
        if self.left_out:
            said += f"; not understood, and left out: {', '.join(self.left_out)}"
        return said


def export_progress(path: str | os.PathLike[str]) -> Path:
    """Writes what you have solved into one file, for another computer or as a copy.

    Args:
        path: the file; an older export there is replaced, any other file is refused.

    Returns:
        The path.

    Raises:
        ProgressError: if that is impossible; the text says what to do.
    """
    source, target = own(), Path(path).expanduser()
    refuse(source, target)
    try:
        mine = with_name(source)
    except OSError as error:
        raise ProgressError(f"your progress in {source} cannot be read: {error.strerror}") from None
    computer = mine.pop(COMPUTER, None)
    text = {"format": FORMAT, "version": VERSION, COMPUTER: computer, "exercises": mine}
    try:
        kept.write(target, json.dumps({**text, "sum": checksum(text)}, indent=1, sort_keys=True))
    except OSError as error:
        raise ProgressError(cannot_write(target, error)) from None
    return target


def import_progress(path: str | os.PathLike[str]) -> Imported:
    """Merges a file that `export_progress` wrote, or a copy of progress.json, into your progress.

    What is solved on either computer is solved. Importing a file again changes nothing.

    Args:
        path: the file.

    Returns:
        What has changed.

    Raises:
        ProgressError: if the file cannot be used; nothing is changed then.
    """
    target, source = own(), Path(path).expanduser()
    theirs = read(source)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with kept.alone(target):
            mine = kept.load(target)
            before = dict(mine)
            mine[COMPUTER] = mine.get(COMPUTER) or uuid.uuid4().hex
            if any(name in mine and not kept.understood(mine[name]) for name in names(theirs)):
                kept.set_aside(target)
            merged, done = merge(mine, theirs)
            if merged != before:
                kept.store(target, merged)
    except OSError as error:
        raise ProgressError(cannot_write(target, error)) from None
    return done


def own() -> Path:
    """The file of this reader's progress.

    Raises:
        ProgressError: if none is kept.
    """
    path = kept.place()
    if path is None:
        raise ProgressError(OFF)
    return path


def refuse(source: Path, target: Path) -> None:
    """Refuses to write an export over a file that is something else.

    Raises:
        ProgressError: if the target is one.
    """
    if target.resolve() == source.resolve():
        raise ProgressError(f"{target} holds your progress itself: export it to another file")
    if target.is_dir():
        raise ProgressError(f"{target} is a folder: name a file in it, such as my-progress.json")
    if target.exists():
        with contextlib.suppress(OSError, ValueError):
            if target.is_file() and json.loads(target.read_bytes())["format"] == FORMAT:
                return
        with contextlib.suppress(OSError):
            if target.is_file() and not target.stat().st_size:
                return
        raise ProgressError(f"{target} is there and is no export: name another file")


def with_name(source: Path) -> Records:
    """The records, with the name of this computer; on a read-only disk without it."""
    try:
        source.parent.mkdir(parents=True, exist_ok=True)
        with kept.alone(source):
            mine = kept.load(source)
            if not mine.get(COMPUTER):
                mine[COMPUTER] = uuid.uuid4().hex
                kept.store(source, mine)
            return mine
    except OSError:
        mine = kept.load(source)
        if not mine.get(COMPUTER):
            mine.pop(COMPUTER, None)
        return mine


def cannot_write(path: Path, error: OSError) -> str:
    """Why a file cannot be written, and what to do."""
    return (
        f"{path} cannot be written: {error.strerror}. Free some space there or take a folder that "
        "you may write to, and call it again. Nothing is lost: what was there is as it was."
    )


def read(source: Path) -> Records:
    """The records of a file from another computer, under today's names.

    Raises:
        ProgressError: if it is damaged, from a newer version, or something else.
    """
    try:
        content = source.read_bytes() if source.stat().st_size <= LARGEST else None
    except OSError as error:
        said = f"{source} cannot be read: {error.strerror}. Nothing was changed here."
        raise ProgressError(said) from None
    if content is None:
        raise ProgressError(f"{source} is too large for a file of progress. Nothing was changed.")
    try:
        text = json.loads(content)
    except (ValueError, RecursionError):
        raise ProgressError(f"{source} is damaged or not whole. {AGAIN}") from None
    if isinstance(text, dict) and text.get("format") == FORMAT:
        return kept.renamed(unwrapped(source, text))
    if not isinstance(text, dict) or not any(usable(text[name]) for name in names(text)):
        raise ProgressError(f"{source} holds no progress of this book. Nothing was changed here.")
    return kept.renamed(text)


def unwrapped(source: Path, text: Records) -> Records:
    """The records in an export.

    Raises:
        ProgressError: if it is damaged, or from a newer version.
    """
    version = text.get("version")
    if type(version) is int and version > VERSION:
        raise ProgressError(
            f"{source} was made by a newer version of the book (format {version}; this one knows "
            f"{VERSION}). Get the new version here (git pull), and import the file again. Nothing "
            "was changed here."
        )
    said = text.pop("sum", None)
    exercises = text.get("exercises")
    if said != checksum(text) or not isinstance(exercises, dict):
        raise ProgressError(f"{source} is damaged: its contents do not fit its sum. {AGAIN}")
    return exercises | {COMPUTER: text.get(COMPUTER)}


def checksum(text: Records) -> str:
    """The sum by which an export that was changed on its way is noticed."""
    return hashlib.sha256(json.dumps(text, sort_keys=True).encode()).hexdigest()


def names(records: Records) -> list[str]:
    """The exercises among the keys of records, in order."""
    return sorted(name for name in records if EXERCISE.fullmatch(name))


def usable(record: object) -> bool:
    """Whether a record from another computer can be merged."""
    if not kept.understood(record) or record["tries"] < 0:  # type: ignore[index]
        return False
    try:
        datetime.date.fromisoformat(record["solved"] or "2026-01-01")  # type: ignore[index]
    except ValueError:
        return False
    return True


def merge(mine: Records, theirs: Records) -> tuple[Records, Imported]:
    """Merges records; neither is changed.

    Args:
        mine: those of this computer, with its name.
        theirs: those of another one.

    Returns:
        All records, and what has changed.
    """
    merged, here = dict(mine), str(mine.get(COMPUTER) or UNNAMED)
    new, changed, same, left_out = [], [], [], []
    for name in names(theirs):
        if not usable(theirs[name]):
            left_out.append(name)
            continue
        there = mine.get(name)
        known = there if kept.understood(there) else {"tries": 0, "solved": None}
        merged[name] = one(known, theirs[name], here, theirs.get(COMPUTER))  # type: ignore[arg-type]
        if name not in mine:
            new.append(name)
        else:
            (same if merged[name] == there else changed).append(name)
    return merged, Imported(tuple(new), tuple(changed), tuple(same), tuple(left_out))


def one(mine: Records, theirs: Records, here: str, there: object) -> Records:
    """Merges two records of one exercise.

    Args:
        mine: that of this computer.
        theirs: that of the other one.
        here: this computer's name.
        there: the other one's name; None if the file does not say it.
    """
    counts = {here: mine["tries"], **kept.elsewhere(mine)}
    other = kept.elsewhere(theirs)
    if isinstance(there, str):
        other[there] = max(other.get(there, 0), theirs["tries"])
    for computer, tries in other.items():
        counts[computer] = max(counts.get(computer, 0), tries)
    if not isinstance(there, str):  # it may be an older copy of ours: no try may count twice
        missing = theirs["tries"] + sum(other.values()) - sum(counts.values())
        if missing > 0:
            counts[UNNAMED] = counts.get(UNNAMED, 0) + missing
    days = [day for day in (mine["solved"], theirs["solved"]) if day]
    record = {**theirs, **mine, "tries": counts.pop(here), "solved": min(days, default=None)}
    record.pop("elsewhere", None)
    if any(counts.values()):
        record["elsewhere"] = {name: tries for name, tries in counts.items() if tries}
    return record
