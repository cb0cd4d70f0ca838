"""A plan for the coming days, made of what is not solved yet."""

import datetime
import html
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from nexus import book
from nexus.judging import progress as shown
from nexus.judging import records as kept

EXERCISE = 10
"""Minutes of an exercise, as the head of a chapter counts them."""

READING = 40
"""Minutes to read a chapter whose notebook is not there."""

SHORTEST = 10
"""Minutes: a shorter piece of reading is not worth a start."""

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
HEAD = re.compile(r"(\d+) minutes(?:, and \d+ for the exercises?)? ·")


@dataclass(frozen=True)
class Work:
    """What is left of a chapter.

    Attributes:
        name: the chapter's name.
        title: what the map calls it.
        reading: minutes; 0 if an exercise was tried, for then it was read.
        exercises: the numbers of those not solved.
        before: the chapters that come before it, by name; one that is not in the plan is done.
    """

    name: str
    title: str
    reading: int
    exercises: tuple[int, ...]
    before: tuple[str, ...] = ()

    @property
    def minutes(self) -> int:
        """Of all that is left."""
        return self.reading + EXERCISE * len(self.exercises)


@dataclass(frozen=True)
class Task:
    """Something to do on a day."""

    chapter: str
    what: str
    minutes: int

    def __str__(self) -> str:
        return f"{self.chapter}: {self.what}"


@dataclass(frozen=True)
class Day:
    """A day of the plan."""

    date: datetime.date
    tasks: tuple[Task, ...]

    @property
    def minutes(self) -> int:
        """Of all its tasks."""
        return sum(task.minutes for task in self.tasks)

    def __str__(self) -> str:
        return f"{WEEKDAYS[self.date.weekday()]} {self.date}"


@dataclass(frozen=True)
class StudyPlan:
    """A plan: a table in a notebook, text in a terminal.

    Attributes:
        days: in order; a day without tasks is a pause.
        left: minutes of work that found no place in these days.
        kept: whether what is solved was known at all.
    """

    days: tuple[Day, ...]
    left: int
    kept: bool = field(default=True)

    @property
    def after(self) -> str:
        """What is to be said below the plan."""
        if not any(day.tasks for day in self.days):
            return shown.ALL_SOLVED
        said = f"{self.left} minutes are left after that." if self.left else "Nothing is left then."
        return said if self.kept else f"{said} {shown.NOT_KEPT}"

    def __repr__(self) -> str:
        lines = []
        for day in self.days:
            rows = [f"{task.minutes:>3} min  {task}" for task in day.tasks] or ["         pause"]
            heads = [str(day), *[""] * (len(rows) - 1)]
            lines += [f"{head:<15}{row}" for head, row in zip(heads, rows, strict=True)]
        return "\n".join([*lines, self.after])

    def _repr_html_(self) -> str:
        rows = "\n".join(
            f"<tr><td {shown.LEFT}>{day}</td><td {shown.LEFT}>{day.minutes} min</td>"
            f"<td {shown.LEFT}>{'<br>'.join(map(html.escape, map(str, day.tasks)))}</td></tr>"
            for day in self.days
        )
        return (
            '<table style="border-collapse:collapse;margin:0 0 1em">\n<tbody>\n'
            f"{rows}\n</tbody>\n</table>\n<p>{self.after}</p>"
        )


def study_plan(
    start: datetime.date | str | None = None, *, minutes: int = 45, days: int = 14
) -> StudyPlan:
    """A plan for two weeks of what you have not solved yet.

    A chapter comes after the chapters that it builds on. Its exercises come on a later day than
    its reading, because an answer that you have to remember stays longer. No day has more than
    the given minutes. The same records and the same start give the same plan.

    Args:
        start: the first day, such as "2026-12-01"; today by default.
        minutes: at most, each day.
        days: how many.

    Returns:
        The plan.

    Raises:
        ProgressError: if the file of your progress is there and cannot be read.
        ValueError: if a number or the date makes no sense.
    """
    if isinstance(start, str):
        start = datetime.date.fromisoformat(start)
    records = kept.own()
    first = start or datetime.date.today()
    return spread(unsolved(records or {}), first, minutes, days, records is not None)


def unsolved(records: kept.Records) -> list[Work]:
    """What is left to do, in the book's order."""
    on_map = book.chapters()
    works = []
    for name, chapter in shown.chapters(records).items():
        left = [n for n, state in chapter.states.items() if state is not shown.State.SOLVED]
        if left:
            reading = 0 if chapter.is_begun else reading_minutes(chapter.notebook)
            before = on_map[name].before if name in on_map else ()
            works.append(Work(name, chapter.title, reading, tuple(left), before))
    return works


def reading_minutes(notebook: str) -> int:
    """How long a chapter takes to read, as the line under its title says."""
    try:
        with (book.ROOT / notebook).open(encoding="utf-8") as file:
            said = HEAD.search(file.read(20_000))
    except OSError:
        said = None
    return int(said[1]) if said else READING


def spread(
    works: Sequence[Work], start: datetime.date, minutes: int, days: int, kept: bool = True
) -> StudyPlan:
    """Spreads work over days.

    Args:
        works: what is left, in the order in which it should come.
        start: the first day.
        minutes: at most, each day.
        days: how many.
        kept: whether what is solved was known at all.

    Returns:
        The plan.

    Raises:
        ValueError: if the minutes or the days make no sense.
    """
    if not EXERCISE <= minutes <= 24 * 60:
        raise ValueError(f"minutes must be from {EXERCISE}, for one exercise, to {24 * 60}")
    if not 1 <= days <= 366:
        raise ValueError("days must be from 1 to 366")
    reading = {work.name: work.reading for work in works}
    waiting = {work.name: list(work.exercises) for work in works}
    planned = []
    for number in range(days):
        read = {name for name, rest in reading.items() if not rest}  # before this day
        done = read & {name for name, rest in waiting.items() if not rest}
        tasks = list(answers(works, read, waiting, minutes))
        rest = minutes - sum(task.minutes for task in tasks)
        begun_first = sorted(works, key=lambda work: reading[work.name] == work.reading)
        while work := next((w for w in begun_first if may_read(w, reading, done, rest)), None):
            piece = piece_of(reading[work.name], rest, minutes)
            tasks.append(Task(work.title, told(work, reading[work.name], piece), piece))
            reading[work.name] -= piece
            rest -= piece
            if reading[work.name]:
                break  # it goes on tomorrow
        planned.append(Day(start + datetime.timedelta(days=number), tuple(tasks)))
    left = sum(reading.values()) + EXERCISE * sum(map(len, waiting.values()))
    while planned and not planned[-1].tasks:
        planned.pop()
    return StudyPlan(tuple(planned), left, kept)


def answers(
    works: Iterable[Work], read: set[str], waiting: dict[str, list[int]], minutes: int
) -> Iterable[Task]:
    """The exercises that fit into a day; they no longer wait then."""
    for work in works:
        numbers = []
        while work.name in read and waiting[work.name] and minutes >= EXERCISE:
            numbers.append(waiting[work.name].pop(0))
            minutes -= EXERCISE
        if numbers:
            plural = "s" * (len(numbers) > 1)
            listed = " and ".join(
                filter(None, [", ".join(map(str, numbers[:-1])), f"{numbers[-1]}"])
            )
            yield Task(work.title, f"exercise{plural} {listed}", EXERCISE * len(numbers))


def may_read(work: Work, left: dict[str, int], done: set[str], rest: int) -> bool:
    """Whether a chapter can be read now.

    Args:
        work: the chapter.
        left: the minutes that each chapter still has to be read.
        done: the chapters of which nothing is left; one that is not in the plan is done too.
        rest: the minutes of the day that are left.
    """
    reading = left[work.name]
    is_open = all(name in done or name not in left for name in work.before)
    return is_open and reading > 0 and rest >= min(SHORTEST, reading)


def piece_of(reading: int, rest: int, minutes: int) -> int:
    """How much of a chapter to read now: all, or about equal pieces, in steps of five minutes."""
    if reading <= rest:
        return reading
    pieces = math.ceil(reading / minutes)
    return min(rest, math.ceil(reading / max(2, pieces) / 5) * 5)


def told(work: Work, reading: int, piece: int) -> str:
    """What a piece of reading is called."""
    begins, ends = reading == work.reading, piece == reading
    if begins:
        return "read" if ends else "begin to read"
    return "read to the end" if ends else "read on"
