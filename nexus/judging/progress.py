"""What a reader has tried and solved, kept on the reader's own machine."""

import datetime
import json
import os
from pathlib import Path
from typing import TypedDict

import platformdirs

from nexus.judging.registry import exercises


class Record(TypedDict):
    """One exercise's history."""

    tries: int
    solved: str | None
    """The day it was first solved, as an ISO date."""


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


def load(path: Path) -> dict[str, Record]:
    """Reads the records; a file that cannot be understood is set aside, not overwritten."""
    try:
        records: dict[str, Record] = json.loads(path.read_text())
        if all(isinstance(r["tries"], int) and "solved" in r for r in records.values()):
            return records
    except OSError:
        return {}
    except (ValueError, TypeError, KeyError, AttributeError):
        pass
    path.replace(path.with_suffix(".unreadable"))
    return {}


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
        records = load(path)
        entry = records.setdefault(name, {"tries": 0, "solved": None})
        entry["tries"] += 1
        if right and entry["solved"] is None:
            entry["solved"] = datetime.date.today().isoformat()
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(f".{os.getpid()}")
        new.write_text(json.dumps(records, indent=1, sort_keys=True))
        new.replace(path)  # whole or not at all
    except OSError as error:
        print(f"(progress could not be kept in {path}: {error.strerror})")  # noqa: T201


def progress() -> None:
    """Prints what you have solved, chapter by chapter."""
    path = place()
    records = load(path) if path else {}
    for chapter, names in exercises().items():
        solved = [name for name in names if records.get(name, {}).get("solved")]
        print(f"{chapter}: {len(solved)} of {len(names)} solved")  # noqa: T201
        for name in names:
            entry = records.get(name)
            if entry is None:
                said = "not tried yet"
            elif entry["solved"]:
                said = f"solved on {entry['solved']}"
            else:
                said = (
                    f"{entry['tries']} {'try' if entry['tries'] == 1 else 'tries'}, not solved yet"
                )
            print(f"  {name}: {said}")  # noqa: T201
