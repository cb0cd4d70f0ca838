"""Tests of judges from tables: what is right, and what is not yet with the words that say why.

test_right, test_not_yet = tables.tests(RIGHT, NOT_YET)
"""

from collections import Counter
from collections.abc import Callable, Sequence

import pytest

from nexus.judging import judge_answer

OFTEN = 8
"""Refused answers to an exercise that run each time. With all of them, `make test` of forty
chapters would take an hour."""

Right = Sequence[tuple[str, object]]
NotYet = Sequence[tuple[str, object, str]]


def name_of(answer: object) -> str:
    """What a test of an answer is called: by its functions, or by how it begins.

    Never by an address in memory, since workers that collect tests must agree on their names.
    """
    if isinstance(answer, tuple):
        return " ".join(name_of(part) for part in answer)
    name = getattr(answer, "__name__", None) or repr(answer)[:40]
    assert " at 0x" not in name, f"{name} has no name"
    return name


def some(not_yet: NotYet, often: int) -> list[object]:
    """The rows, of which `often` of each exercise run each time; the others run weekly.

    A table has answers of one kind side by side, so those that run are spread evenly over it.
    """
    size = Counter(row[0] for row in not_yet)
    seen: Counter[str] = Counter()
    rows = list[object]()
    for row in not_yet:
        each_time = {size[row[0]] * number // often for number in range(often)}
        runs_weekly = seen[row[0]] not in each_time
        seen[row[0]] += 1
        rows.append(pytest.param(*row, marks=pytest.mark.weekly) if runs_weekly else row)
    return rows


def tests(
    right: Right,
    not_yet: NotYet,
    *,
    often: int = OFTEN,  # noqa: PT028 (it makes tests)
) -> tuple[Callable[..., None], Callable[..., None]]:
    """The tests of a module's tables; each row is a test of its own.

    Args:
        right: What is accepted.
        not_yet: What is refused, each with a part of the verdict.
        often: How many of the refused answers to an exercise run each time. The others run weekly,
            and with their chapter. Fewer, where an answer takes seconds.
    """

    @pytest.mark.parametrize(
        ("exercise", "answer"), right, ids=[f"{name}-{name_of(answer)}" for name, answer in right]
    )
    def test_right(exercise: str, answer: object) -> None:
        verdict = judge_answer(exercise, answer)
        assert verdict.right, verdict

    @pytest.mark.parametrize(
        ("exercise", "answer", "hint"),
        some(not_yet, often),
        ids=[f"{name}-{name_of(answer)}" for name, answer, _ in not_yet],
    )
    def test_not_yet(exercise: str, answer: object, hint: str) -> None:
        verdict = judge_answer(exercise, answer)
        assert not verdict.right
        assert hint in verdict.message, verdict

    return test_right, test_not_yet
