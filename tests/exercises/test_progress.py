"""The judges of "Progress": the stub, right answers of several kinds, wrong ones."""

import copy
from collections import Counter
from collections.abc import Callable
from graphlib import CycleError, TopologicalSorter
from typing import Any

import pytest

from nexus.exercises import progress
from nexus.judging import judge_answer
from tests.exercises import tables

# progress.1: merging


def merge(mine, theirs):  # noqa: ANN001, ANN201
    result = {}
    for name in sorted({*mine, *theirs}):
        a, b = (records.get(name, {"tries": {}, "solved": None}) for records in (mine, theirs))
        computers = {*a["tries"], *b["tries"]}
        tries = {c: max(a["tries"].get(c, 0), b["tries"].get(c, 0)) for c in computers}
        days = [day for day in (a["solved"], b["solved"]) if day]
        result[name] = {"tries": tries, "solved": min(days) if days else None}
    return result


def with_counters(mine, theirs):  # noqa: ANN001, ANN201
    result = copy.deepcopy(mine)
    for name, record in theirs.items():
        if name not in result:
            result[name] = copy.deepcopy(record)
            continue
        own = result[name]
        own["tries"] = dict(Counter(own["tries"]) | Counter(record["tries"]))
        own["solved"] = min(own["solved"] or "9", record["solved"] or "9")
        if own["solved"] == "9":
            own["solved"] = None
    return result


def changed(**names: Callable[..., Any]):  # noqa: ANN201
    """A merge that is right but for one thing."""

    def decorate(mine, theirs):  # noqa: ANN001, ANN202
        result = merge(mine, theirs)
        for name, record in result.items():
            a, b = (r.get(name, {"tries": {}, "solved": None}) for r in (mine, theirs))
            for key, rule in names.items():
                record[key] = rule(a[key], b[key])
        return result

    return decorate


def summed(a, b):  # noqa: ANN001, ANN201
    return dict(Counter(a) + Counter(b))


adds_them_up = changed(tries=summed)
theirs_wins = changed(tries=lambda a, b: a | b)
mine_wins = changed(tries=lambda a, b: b | a)
only_my_day = changed(solved=lambda a, _: a)
any_day = changed(solved=lambda a, b: a or b)
latest_day = changed(solved=lambda a, b: max([d for d in (a, b) if d], default=None))
one_total = changed(tries=lambda a, b: {"all": max(sum(a.values()), sum(b.values()))})
the_longer = changed(tries=lambda a, b: dict(max(a, b, key=lambda c: sum(c.values()))))
smallest = changed(tries=lambda a, b: {c: min(a.get(c, 99), b.get(c, 99)) for c in {*a, *b}})


def update(mine, theirs):  # noqa: ANN001, ANN201
    return copy.deepcopy(mine) | copy.deepcopy(theirs)


def only_mine(mine, theirs):  # noqa: ANN001, ANN201
    whole = merge(mine, theirs)
    return {name: whole[name] for name in mine}


def in_place(mine, theirs):  # noqa: ANN001, ANN201
    mine.update(merge(mine, theirs))
    return mine


def shares(mine, theirs):  # noqa: ANN001, ANN201
    whole = merge(mine, theirs)
    return {name: theirs[name] if name not in mine else whole[name] for name in whole}


def swallows(mine, theirs):  # noqa: ANN001, ANN201
    try:
        result = copy.deepcopy(mine)
        for name, record in theirs.items():
            mine_too = result.get(name, {"tries": {}, "solved": None})
            mine_too["solved"] = min(mine_too["solved"], record["solved"])
            result[name] = {**merge({name: mine_too}, {name: record})[name]}
        return result
    except TypeError:
        return copy.deepcopy(mine)


SEEN: list[object] = []


def remembers(mine, theirs):  # noqa: ANN001, ANN201
    """Adds up, and knows in this process which files it has seen."""
    if theirs in SEEN:
        return copy.deepcopy(mine)
    SEEN.append(copy.deepcopy(theirs))
    return adds_them_up(mine, theirs)


# progress.2: a plan


def spread(chapters, minutes):  # noqa: ANN001, ANN201
    """First fit, each chapter after those before it."""
    by_name = {chapter["name"]: chapter for chapter in chapters}
    graph = {name: [b for b in c["before"] if b in by_name] for name, c in by_name.items()}
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise ValueError("a circle") from error
    days: list[list[str]] = []
    left: list[int] = []
    on: dict[str, int] = {}
    for name in order:
        cost = by_name[name]["minutes"]
        if cost > minutes:
            raise ValueError(name)
        number = max((on[b] + 1 for b in graph[name]), default=0)
        while number < len(days) and left[number] < cost:
            number += 1
        while number >= len(days):
            days.append([])
            left.append(minutes)
        days[number].append(name)
        left[number] -= cost
        on[name] = number
    return days


def day_by_day(chapters, minutes, strict=True, pause=False, refuse=True):  # noqa: ANN001, ANN201
    """Fills one day after the other."""
    waiting, done, days = [*chapters], set(), []
    names = {chapter["name"] for chapter in chapters}
    while waiting:
        day: list[str] = []
        rest = minutes
        for chapter in [*waiting]:
            known = done | set(day) if not strict else done
            ready = all(b in known or b not in names for b in chapter["before"])
            if ready and chapter["minutes"] <= rest:
                day.append(chapter["name"])
                rest -= chapter["minutes"]
                waiting.remove(chapter)
        if not day:
            if refuse:
                raise ValueError("no plan")
            return days
        done |= set(day)
        days.append(day)
        if pause:
            days.append([])
    return days


def one_a_day(chapters, minutes):  # noqa: ANN001, ANN201
    return [[name] for day in spread(chapters, minutes) for name in day]


def no_limit(chapters, minutes):  # noqa: ANN001, ANN201
    spread(chapters, minutes)
    return day_by_day(chapters, 10_000)


def in_the_given_order(chapters, minutes):  # noqa: ANN001, ANN201
    return day_by_day([{**chapter, "before": []} for chapter in chapters], minutes)


def on_the_same_day(chapters, minutes):  # noqa: ANN001, ANN201
    return day_by_day(chapters, minutes, strict=False)


def with_pauses(chapters, minutes):  # noqa: ANN001, ANN201
    return day_by_day(chapters, minutes, pause=True)


def gives_up_silently(chapters, minutes):  # noqa: ANN001, ANN201
    return day_by_day(chapters, minutes, refuse=False)


def drops_the_long(chapters, minutes):  # noqa: ANN001, ANN201
    return day_by_day([c for c in chapters if c["minutes"] <= minutes], minutes)


def waits_for_the_done(chapters, minutes):  # noqa: ANN001, ANN201
    """Takes a chapter that is not in the list for one that is still missing."""
    asked = {before for chapter in chapters for before in chapter["before"]}
    if asked - {chapter["name"] for chapter in chapters}:
        raise ValueError("a chapter is missing")
    return day_by_day(chapters, minutes)


def uses_the_list_up(chapters, minutes):  # noqa: ANN001, ANN201
    days = day_by_day(chapters, minutes)
    chapters.clear()
    return days


def next_fit(chapters, minutes):  # noqa: ANN001, ANN201
    """Never goes back to a day that has room."""
    spread(chapters, minutes)
    days, rest = [], 0
    before: dict[str, int] = {}
    by_name = {chapter["name"]: chapter for chapter in chapters}
    graph = {name: [b for b in c["before"] if b in by_name] for name, c in by_name.items()}
    for name in TopologicalSorter(graph).static_order():
        chapter = by_name[name]
        late = any(before.get(b) == len(days) - 1 for b in chapter["before"])
        if late or chapter["minutes"] > rest:
            days.append([])
            rest = minutes
        days[-1].append(name)
        before[name] = len(days) - 1
        rest -= chapter["minutes"]
    return days


def waits_for_ever(chapters, minutes):  # noqa: ANN001, ANN201
    while not (days := gives_up_silently(chapters, minutes)) and chapters:
        pass
    return days


CALLS = Counter()  # type: ignore[var-annotated]


def another_each_time(chapters, minutes):  # noqa: ANN001, ANN201
    CALLS["all"] += 1
    return day_by_day(chapters[:: 1 if CALLS["all"] % 2 else -1], minutes)


def swallows_errors(chapters, minutes):  # noqa: ANN001, ANN201
    try:
        return spread(chapters, minutes)
    except Exception:
        return []


# progress.3: an honest figure


def report(rows):  # noqa: ANN001, ANN201
    last = {name: (f, m) for name, _, f, m in sorted(rows, key=lambda row: row[1])}
    measured = {name: pair for name, pair in last.items() if pair[0]}
    faults = sum(f for f, _ in measured.values())
    worst = sorted(measured, key=lambda name: (-measured[name][1] / measured[name][0], name))
    return {
        "percent": 100 * sum(m for _, m in measured.values()) / faults if faults else None,
        "worst": worst[0] if worst else None,
        "unmeasured": sorted(last.keys() - measured.keys()),
    }


def by_loops(rows):  # noqa: ANN001, ANN201
    newest: dict[str, tuple] = {}
    for row in rows:
        if row[0] not in newest or row[1] > newest[row[0]][1]:
            newest[row[0]] = row
    total = missed = 0
    worst, share = None, -1.0
    for name in sorted(newest):
        _, _, f, m = newest[name]
        total, missed = total + f, missed + m
        if f and m / f > share:
            worst, share = name, m / f
    return {
        "percent": round(100 * missed / total, 3) if total else None,
        "worst": worst,
        "unmeasured": {name for name in newest if not newest[name][2]},
    }


def other(**parts: Callable[..., Any]):  # noqa: ANN201
    """A report that is right but for one part."""

    def decorate(rows):  # noqa: ANN001, ANN202
        return report(rows) | {key: part(rows, report(rows)) for key, part in parts.items()}

    return decorate


def last_days(rows):  # noqa: ANN001, ANN201
    return [row for row in rows if row[1] == max(day for name, day, *_ in rows if name == row[0])]


def mean(rows, _):  # noqa: ANN001, ANN201
    shares = [100 * m / f for _, _, f, m in last_days(rows) if f]
    return sum(shares) / len(shares) if shares else None


mean_of_shares = other(percent=mean)
rounded = other(percent=lambda _, r: None if r["percent"] is None else round(r["percent"]))
noticed = other(percent=lambda _, r: None if r["percent"] is None else 100 - r["percent"])
nothing_is_zero = other(percent=lambda _, r: r["percent"] or 0)
as_text = other(percent=lambda _, r: None if r["percent"] is None else f"{r['percent']:.1f} %")
most_missed = other(
    worst=lambda rows, _: max(
        sorted(r for r in last_days(rows) if r[2]), key=lambda r: r[3], default=[None]
    )[0]
)
best = other(
    worst=lambda rows, _: min(
        sorted(r for r in last_days(rows) if r[2]), key=lambda r: r[3] / r[2], default=[None]
    )[0]
)
silent = other(unmeasured=lambda *_: [])
zero_missed = other(unmeasured=lambda rows, _: sorted(r[0] for r in last_days(rows) if not r[3]))


def all_days(rows):  # noqa: ANN001, ANN201
    total = sum(row[2] for row in rows)
    missed = sum(row[3] for row in rows)
    return report(rows) | {"percent": 100 * missed / total if total else None}


def last_row(rows):  # noqa: ANN001, ANN201
    return report([(name, "", f, m) for name, _, f, m in rows])


def sorts_in_place(rows):  # noqa: ANN001, ANN201
    rows.sort(key=lambda row: row[1])
    return report(rows)


def divides_by_zero(rows):  # noqa: ANN001, ANN201
    counts = [(row[2], row[3]) for row in last_days(rows)]
    return report(rows) | {"percent": 100 * sum(m for _, m in counts) / sum(f for f, _ in counts)}


def without_the_unmeasured(rows):  # noqa: ANN001, ANN201
    return report([row for row in rows if row[2]])


def swallows_all(rows):  # noqa: ANN001, ANN201
    try:
        return divides_by_zero(rows)
    except Exception:
        return {"percent": 0.0, "worst": None, "unmeasured": []}


RIGHT = [
    ("progress.1", merge),
    ("progress.1", with_counters),
    ("progress.1", progress.joined),
    ("progress.2", spread),
    ("progress.2", day_by_day),
    ("progress.3", report),
    ("progress.3", by_loops),
    ("progress.3", progress.reported),
]

NOT_YET = [
    ("progress.1", None, "it gets two dictionaries"),
    ("progress.1", {"caching.1": 3}, "this is of type dict"),
    ("progress.1", lambda mine: mine, "TypeError"),
    ("progress.1", lambda *_: [], "it returned list, and a dictionary is needed"),
    ("progress.1", update, "tries of caching.1 should be {'home': 3, 'work': 2}"),
    ("progress.1", adds_them_up, "tries of caching.1 should be {'home': 3, 'work': 2}"),
    ("progress.1", theirs_wins, "tries of caching.1 should be {'home': 3, 'work': 2}"),
    ("progress.1", mine_wins, "in one of the six orders, tries of caching.1"),
    ("progress.1", one_total, "it is {'all': 3}"),
    ("progress.1", the_longer, "tries of caching.1 should be"),
    ("progress.1", smallest, "it is {"),
    ("progress.1", only_my_day, "solved of caching.2 should be '2026-11-22'; it is None"),
    ("progress.1", any_day, "solved of graphql.1 should be '2026-11-21'; it is 2026-11-24"),
    ("progress.1", latest_day, "solved of graphql.1 should be '2026-11-21'; it is 2026-11-24"),
    ("progress.1", only_mine, "testing.1 is lost"),
    ("progress.1", in_place, "it changes the dictionaries that it gets"),
    ("progress.1", shares, "also changes the result: copy"),
    ("progress.1", swallows, "testing.1 is lost"),
    ("progress.2", None, "a list of chapters and the minutes of a day"),
    ("progress.2", [["a"]], "this is of type list"),
    ("progress.2", lambda *_: "a", "a list of days"),
    ("progress.2", lambda *_: [[1]], "the names of chapters"),
    ("progress.2", lambda *_: [], "a is there 0 times"),
    ("progress.2", one_a_day, "b could come earlier, on day 1"),
    ("progress.2", no_limit, "minutes; 45 at most"),
    ("progress.2", in_the_given_order, "jobs builds on locks, so it must come on a later day"),
    ("progress.2", on_the_same_day, "so it must come on a later day"),
    ("progress.2", with_pauses, "a day is empty"),
    ("progress.2", gives_up_silently, "raise a ValueError if a chapter of 60 minutes"),
    ("progress.2", drops_the_long, "raise a ValueError if a chapter of 60 minutes"),
    ("progress.2", waits_for_the_done, "ValueError: a chapter is missing"),
    ("progress.2", uses_the_list_up, "it changes the list that it gets"),
    ("progress.2", next_fit, "could come earlier"),
    ("progress.2", another_each_time, "gave another plan the second time"),
    ("progress.2", swallows_errors, "raise a ValueError if a chapter of 60 minutes"),
    ("progress.3", None, "percent, worst and unmeasured"),
    ("progress.3", {"percent": 3.7}, "this is of type dict"),
    ("progress.3", lambda _: {"percent": 1}, "with the keys percent, worst and unmeasured"),
    ("progress.3", mean_of_shares, "of two chapters, percent should be 3.70; it is 5.56"),
    ("progress.3", rounded, "percent should be 3.70; it is 4.00"),
    ("progress.3", noticed, "percent should be 3.70; it is 96.30"),
    ("progress.3", as_text, "percent should be a number"),
    ("progress.3", nothing_is_zero, "None, because nothing was measured; it is 0"),
    ("progress.3", most_missed, "100, 4 and 50 faults, worst should be 'ci-cd'; it is auth"),
    ("progress.3", best, "worst should be 'graphql'; it is testing"),
    ("progress.3", silent, "unmeasured should be ['git', 'realtime']; it is []"),
    ("progress.3", zero_missed, "unmeasured should be []; it is ['testing']"),
    ("progress.3", all_days, "measured on several days, percent should be 10.00; it is 37.04"),
    ("progress.3", last_row, "measured on several days, percent should be 10.00"),
    ("progress.3", sorts_in_place, "it changes the list that it gets"),
    ("progress.3", divides_by_zero, "ZeroDivisionError"),
    ("progress.3", without_the_unmeasured, "no faults on their last day, percent should be 10.00"),
    ("progress.3", swallows_all, "None, because nothing was measured; it is 0.0"),
]


test_right, test_not_yet = tables.tests(RIGHT, NOT_YET)


def test_a_merge_that_knows_its_files_only_in_this_process_is_not_yet_right() -> None:
    SEEN.clear()
    verdict = judge_answer("progress.1", remembers)
    assert not verdict.right
    assert "tries of caching.1" in verdict.message


def test_a_plan_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nexus.judging.limits.SECONDS", 0.5)
    verdict = judge_answer("progress.2", waits_for_ever)
    assert not verdict.right
    assert "had not come to an end" in verdict.message or "ValueError" in verdict.message
