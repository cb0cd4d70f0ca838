"""Judges of "Progress": one of a merge, one of a plan, one of an honest figure."""

import copy
import itertools
from collections.abc import Callable, Mapping
from typing import Any

from nexus.judging import NotYet, judge
from nexus.judging.limits import within

Records = dict[str, dict[str, Any]]

HOME: Records = {
    "caching.1": {"tries": {"home": 3}, "solved": "2026-11-20"},
    "caching.2": {"tries": {"home": 1}, "solved": None},
    "graphql.1": {"tries": {"home": 2}, "solved": "2026-11-24"},
}
WORK: Records = {
    "caching.1": {"tries": {"work": 2, "home": 1}, "solved": None},
    "caching.2": {"tries": {"work": 4}, "solved": "2026-11-22"},
    "graphql.1": {"tries": {"work": 1}, "solved": "2026-11-21"},
    "testing.1": {"tries": {"work": 1}, "solved": None},
}
PHONE: Records = {
    "caching.1": {"tries": {"phone": 5, "work": 1}, "solved": "2026-11-18"},
    "testing.1": {"tries": {"phone": 2}, "solved": "2026-11-25"},
    "auth.1": {"tries": {"phone": 1}, "solved": None},
}

GIVEN_1 = """
def merge(mine, theirs):
    return mine | theirs
"""


def joined(mine: Records, theirs: Records) -> Records:
    """What a merge must give."""
    merged = {}
    for name in mine.keys() | theirs.keys():
        records = [records[name] for records in (mine, theirs) if name in records]
        tries: dict[str, int] = {}
        for record in records:
            for computer, count in record["tries"].items():
                tries[computer] = max(tries.get(computer, 0), count)
        days = [record["solved"] for record in records if record["solved"]]
        merged[name] = {"tries": tries, "solved": min(days, default=None)}
    return merged


@judge(
    "progress.1",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give the function itself: it gets two dictionaries of records, and returns one",
    stub=GIVEN_1,
)
def merge(answer: Callable[[Records, Records], Records]) -> str:
    """No try is lost or counted twice, whatever is merged in whichever order."""
    merged = call(answer, HOME, WORK)
    same_names(merged, HOME, WORK)
    compare(merged, joined(HOME, WORK), "of home and work")
    again = call(answer, merged, WORK)
    compare(again, merged, "after a second import of the same file")
    compare(call(answer, HOME, HOME), HOME, "of a file with itself")
    compare(call(answer, {}, WORK), WORK, "of nothing with work: a new computer")
    compare(call(answer, HOME, {}), HOME, "of home with an empty file")
    for order in itertools.permutations((HOME, WORK, PHONE)):
        result: Records = {}
        for file in (*order, order[0]):
            result = call(answer, result, file)
        wanted = joined(joined(HOME, WORK), PHONE)
        compare(result, wanted, "of three computers, in one of the six orders")
    return "each computer's tries count once, the first day stays, and the order does not matter"


def call(answer: Callable[..., Any], mine: Records, theirs: Records) -> Records:
    """Merges copies, and sees that they are as they were."""
    given = copy.deepcopy((mine, theirs))
    result = within(lambda: answer(*given))
    if given != (mine, theirs):
        raise NotYet("it changes the dictionaries that it gets; return a new one")
    if not isinstance(result, dict):
        raise NotYet(f"it returned {type(result).__name__}, and a dictionary is needed")
    kept = copy.deepcopy(result)
    for records in given:  # a result that shares a part with what it came from changes with it
        for record in records.values():
            record["tries"]["later"] = 1
    if result != kept:
        raise NotYet("a try that is recorded later in mine or theirs also changes the result: copy")
    return kept


def same_names(merged: Records, mine: Records, theirs: Records) -> None:
    """Sees that no exercise is lost."""
    for name in sorted(mine.keys() | theirs.keys()):
        if name not in merged:
            raise NotYet(f"{name} is lost: it is in one of the two files")


def compare(found: Records, wanted: Records, when: str) -> None:
    """Says the first difference as a sentence."""
    for name in sorted(wanted):
        record = found.get(name)
        if not isinstance(record, Mapping) or not {"tries", "solved"} <= record.keys():
            raise NotYet(f"{name} has no record with tries and solved, in the merge {when}")
        for key in ("tries", "solved"):
            if record[key] != wanted[name][key]:
                raise NotYet(
                    f"in the merge {when}, {key} of {name} should be {wanted[name][key]!r}; "
                    f"it is {str(record[key])[:80]!s}"
                )
    if extra := sorted(map(str, found.keys() - wanted.keys())):
        raise NotYet(f"in the merge {when} there is {extra[0]}, which nobody has tried")


Chapters = list[dict[str, Any]]


def chapter(name: str, minutes: int, *before: str) -> dict[str, Any]:
    """A chapter as the exercise gives it."""
    return {"name": name, "minutes": minutes, "before": list(before)}


SHELVES: tuple[tuple[Chapters, int], ...] = (
    ([chapter("a", 20), chapter("b", 20)], 45),
    ([chapter("jobs", 30, "locks"), chapter("locks", 40, "indexes"), chapter("indexes", 30)], 45),
    ([chapter("indexes", 10), chapter("locks", 10, "indexes"), chapter("jobs", 10, "locks")], 45),
    ([chapter("a", 30), chapter("b", 30), chapter("c", 15), chapter("d", 15, "a")], 45),
    ([chapter("a", 40), chapter("b", 20), chapter("c", 5)], 45),
    (
        [
            chapter("d", 10, "b", "c"),
            chapter("b", 10, "a"),
            chapter("c", 10, "a"),
            chapter("a", 10),
        ],
        60,
    ),
    ([chapter("graphql", 40, "rest", "indexes")], 45),  # those before are done, not in the list
    ([chapter("a", 45), chapter("b", 44), chapter("c", 1)], 45),
    (
        [
            chapter("e", 20, "d"),
            chapter("d", 5, "c"),
            chapter("c", 5),
            chapter("x", 40),
            chapter("y", 5),
        ],
        45,
    ),
    ([], 45),
)
IMPOSSIBLE: tuple[tuple[Chapters, int, str], ...] = (
    ([chapter("a", 20), chapter("long", 60)], 45, "a chapter of 60 minutes never fits into 45"),
    ([chapter("a", 10, "b"), chapter("b", 10, "a")], 45, "two chapters wait for each other"),
)

GIVEN_2 = """
def spread(chapters, minutes):
    return [[chapter["name"] for chapter in chapters]]
"""


@judge(
    "progress.2",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give the function itself: it gets a list of chapters and the minutes of a day",
    stub=GIVEN_2,
)
def plan(answer: Callable[[Chapters, int], list[list[str]]]) -> str:
    """The plan keeps its rules for each list, and refuses what no plan can do."""
    for chapters, minutes in SHELVES:
        days = planned(answer, chapters, minutes)
        keeps_rules(days, chapters, minutes)
        if planned(answer, chapters, minutes) != days:
            raise NotYet("the same chapters gave another plan the second time")
    for chapters, minutes, why in IMPOSSIBLE:
        try:
            found = within(lambda c=chapters, m=minutes: answer(copy.deepcopy(c), m))  # type: ignore[misc]
        except ValueError:
            continue
        raise NotYet(f"raise a ValueError if {why}; it returned {str(found)[:80]}")
    return "no day is too long, each chapter comes after those before it, and no day is wasted"


def planned(answer: Callable[..., Any], chapters: Chapters, minutes: int) -> list[list[str]]:
    """Calls an answer, and sees that it returns days and changes nothing."""
    given = copy.deepcopy(chapters)
    days = within(lambda: answer(given, minutes))
    if given != chapters:
        raise NotYet("it changes the list that it gets; work on a copy")
    if not isinstance(days, list) or not all(isinstance(day, list) for day in days):
        raise NotYet("it must return a list of days, and each day is a list of names")
    if not all(isinstance(name, str) for day in days for name in day):
        raise NotYet("a day must have the names of chapters, as texts")
    return copy.deepcopy(days)


def keeps_rules(days: list[list[str]], chapters: Chapters, minutes: int) -> None:
    """Sees that a plan has each chapter once, in time, and not later than it could be."""
    cost = {chapter["name"]: chapter["minutes"] for chapter in chapters}
    there = [name for day in days for name in day]
    for name in cost:
        if there.count(name) != 1:
            raise NotYet(f"{name} is there {there.count(name)} times in {days}; it must be once")
    if strangers := [name for name in there if name not in cost]:
        raise NotYet(f"{strangers[0][:40]} is in the plan, and is none of the chapters")
    if [] in days:
        raise NotYet(f"a day is empty in {days}")
    on = {name: number for number, day in enumerate(days) for name in day}
    sums = [sum(cost[name] for name in day) for day in days]
    for day, total in zip(days, sums, strict=True):
        if total > minutes:
            raise NotYet(f"a day with {' and '.join(day)} has {total} minutes; {minutes} at most")
    for chapter in chapters:
        name, before = chapter["name"], [on[b] for b in chapter["before"] if b in on]
        for earlier in chapter["before"]:
            if earlier in on and on[earlier] >= on[name]:
                said = f"{name} builds on {earlier}, so it must come on a later day"
                raise NotYet(f"{said}; the plan is {days}")
        first = max(before, default=-1) + 1
        for number in range(first, on[name]):
            if sums[number] + cost[name] <= minutes:
                raise NotYet(f"{name} could come earlier, on day {number + 1} of {days}")


Row = tuple[str, str, int, int]

QUIET: list[Row] = [("graphql", "2026-11-26", 9, 1), ("testing", "2026-11-26", 18, 0)]
UNEVEN: list[Row] = [
    ("caching", "2026-11-26", 100, 2),
    ("ci-cd", "2026-11-26", 4, 2),
    ("auth", "2026-11-26", 50, 3),
]
AGAIN: list[Row] = [
    ("caching", "2026-11-27", 20, 1),
    ("graphql", "2026-11-25", 10, 2),
    ("caching", "2026-11-25", 15, 9),
    ("graphql", "2026-11-24", 9, 8),
]
UNMEASURED: list[Row] = [
    ("realtime", "2026-11-26", 0, 0),
    ("auth", "2026-11-26", 10, 1),
    ("git", "2026-11-25", 4, 3),
    ("git", "2026-11-26", 0, 0),
]
TIED: list[Row] = [("testing", "2026-11-26", 10, 2), ("auth", "2026-11-26", 5, 1)]
PERFECT: list[Row] = [("b", "2026-11-26", 3, 0), ("a", "2026-11-26", 7, 0)]

GIVEN_3 = """
def report(rows):
    shares = [100 * missed / faults for chapter, day, faults, missed in rows]
    return {"percent": sum(shares) / len(shares), "worst": None, "unmeasured": []}
"""


def reported(rows: list[Row]) -> dict[str, Any]:
    """What a report must say."""
    last: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: row[1]):
        last[row[0]] = row
    measured = sorted(row for row in last.values() if row[2])
    faults = sum(row[2] for row in measured)
    worst = max(measured, key=lambda row: row[3] / row[2], default=None)
    return {
        "percent": 100 * sum(row[3] for row in measured) / faults if faults else None,
        "worst": worst[0] if worst else None,
        "unmeasured": sorted(name for name, row in last.items() if not row[2]),
    }


CASES: tuple[tuple[list[Row], str], ...] = (
    (QUIET, "two chapters"),
    (UNEVEN, "chapters with 100, 4 and 50 faults"),
    (AGAIN, "chapters that were measured on several days"),
    (UNMEASURED, "two chapters that have no faults on their last day"),
    (TIED, "two chapters that miss the same share"),
    (PERFECT, "chapters that miss nothing"),
    ([("git", "2026-11-26", 0, 0)], "one chapter without faults"),
    ([], "no rows"),
)


@judge(
    "progress.3",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give the function itself: it gets rows, and returns percent, worst and unmeasured",
    stub=GIVEN_3,
)
def honest(answer: Callable[[list[Row]], dict[str, Any]]) -> str:
    """The figure weighs what it counts, and says what was not measured."""
    for rows, what in CASES:
        for order in (rows, rows[::-1]):
            given = list(order)
            found = within(lambda g=given: answer(g))  # type: ignore[misc]
            if given != order:
                raise NotYet("it changes the list that it gets; work on a copy")
            agrees(found, reported(rows), what)
    return "each fault counts once, the worst chapter has a name, and no measure is not a good one"


def agrees(found: object, wanted: dict[str, Any], what: str) -> None:
    """Says the first difference as a sentence."""
    if not isinstance(found, dict) or not wanted.keys() <= found.keys():
        raise NotYet("it must return a dictionary with the keys percent, worst and unmeasured")
    percent, right = found["percent"], wanted["percent"]
    if (right is None) != (percent is None):
        said = "None, because nothing was measured" if right is None else f"{right:.2f}"
        raise NotYet(f"of {what}, percent should be {said}; it is {str(percent)[:40]}")
    if right is not None:
        if isinstance(percent, bool) or not isinstance(percent, int | float):
            raise NotYet(f"of {what}, percent should be a number; it is {str(percent)[:40]}")
        if not abs(percent - right) < 0.005:
            raise NotYet(f"of {what}, percent should be {right:.2f}; it is {percent:.2f}")
    for key in ("worst", "unmeasured"):
        value = sorted(found[key]) if isinstance(found[key], set | tuple) else found[key]
        if value != wanted[key]:
            raise NotYet(
                f"of {what}, {key} should be {wanted[key]!r}; it is {str(found[key])[:80]!s}"
            )
