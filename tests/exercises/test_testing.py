"""The judges of "Testing": the stub, right answers of several kinds, wrong ones."""

import itertools
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus.judging import judge_answer
from tests.exercises import tables

ONE, TWO, THREE = "testing.1", "testing.2", "testing.3"

# 1: a table of rows

BOTH_SIDES = [
    ((1, 0), 0),
    ((6, 59), 0),
    ((6, 60), 5),
    ((7, 59), 10),
    ((7, 60), 15),
    ((27, 59), 10),
    ((27, 60), 15),
    ((28, 59), 25),
    ((28, 60), 25),
]


def by_the_text(nights: int, days: int) -> int:
    saved = 25 if nights >= 28 else 10 if nights >= 7 else 0
    return min(25, saved + 5 if days >= 60 else saved)


EVERYTHING = [
    ((nights, days), by_the_text(nights, days)) for nights in range(1, 40) for days in range(90)
]


def without(*left_out: tuple[int, int]) -> list[tuple[tuple[int, int], int]]:
    return [row for row in BOTH_SIDES if row[0] not in left_out]


# 2: properties of a split

Split = Callable[[int, int], Any]


def by_hypothesis(split: Split) -> None:
    @settings(derandomize=True, database=None)
    @given(cents=st.integers(0, 10_000), people=st.integers(1, 20))
    def fair(cents: int, people: int) -> None:
        shares = split(cents, people)
        assert len(shares) == people
        assert all(isinstance(share, int) for share in shares)
        assert sum(shares) == cents
        assert max(shares) - min(shares) <= 1

    fair()


def by_a_loop(split: Split) -> None:
    for cents, people in itertools.product([*range(60), 9_999, 10_000], range(1, 21)):
        shares = split(cents, people)
        assert [type(share) for share in shares] == [int] * people
        assert sum(shares) == cents
        assert set(shares) <= {cents // people, cents // people + 1}


def by_another_way_to_split(split: Split) -> None:
    for cents, people in itertools.product(range(0, 200), range(1, 21)):
        expected = sorted((cents + guest) // people for guest in range(people))
        shares = sorted(split(cents, people))
        assert shares == expected
        assert not any(isinstance(share, float) for share in shares)


def raises_its_own(split: Split) -> None:
    try:
        by_a_loop(split)
    except AssertionError as error:
        raise RuntimeError("the split is wrong") from error


def only_examples(split: Split) -> None:
    assert split(9000, 3) == [3000, 3000, 3000]
    assert split(100, 4) == [25, 25, 25, 25]
    assert sum(split(10000, 3)) == 10000


def only_the_sum(split: Split) -> None:
    for cents, people in itertools.product(range(100), range(1, 21)):
        assert sum(split(cents, people)) == cents


def sum_and_number(split: Split) -> None:
    for cents, people in itertools.product(range(100), range(1, 21)):
        shares = split(cents, people)
        assert (sum(shares), len(shares)) == (cents, people)


def no_types(split: Split) -> None:
    for cents, people in itertools.product(range(100), range(1, 21)):
        shares = split(cents, people)
        assert abs(sum(shares) - cents) < 0.001
        assert len(shares) == people
        assert max(shares) - min(shares) <= 1


def whole_numbers_as_floats(split: Split) -> None:
    for cents, people in itertools.product(range(100), range(1, 21)):
        shares = split(cents, people)
        assert all(share == int(share) for share in shares)
        assert (sum(shares), len(shares)) == (cents, people)
        assert max(shares) - min(shares) <= 1


def large_bills_only(split: Split) -> None:
    for cents, people in itertools.product(range(100, 200), range(1, 21)):
        shares = split(cents, people)
        assert all(isinstance(share, int) for share in shares)
        assert (sum(shares), len(shares)) == (cents, people)
        assert max(shares) - min(shares) <= 1


def bills_from_one_cent(split: Split) -> None:
    for cents, people in itertools.product(range(1, 100), range(1, 21)):
        shares = split(cents, people)
        assert all(isinstance(share, int) for share in shares)
        assert (sum(shares), len(shares)) == (cents, people)
        assert max(shares) - min(shares) <= 1


def groups_from_two(split: Split) -> None:
    for cents, people in itertools.product(range(100), range(2, 21)):
        shares = split(cents, people)
        assert all(isinstance(share, int) for share in shares)
        assert (sum(shares), len(shares)) == (cents, people)
        assert max(shares) - min(shares) <= 1


def small_groups(split: Split) -> None:
    for cents, people in itertools.product(range(100), range(1, 9)):
        shares = split(cents, people)
        assert all(isinstance(share, int) for share in shares)
        assert (sum(shares), len(shares)) == (cents, people)
        assert max(shares) - min(shares) <= 1


def differ_by_two(split: Split) -> None:
    for cents, people in itertools.product(range(100), range(1, 21)):
        shares = split(cents, people)
        assert all(isinstance(share, int) for share in shares)
        assert (sum(shares), len(shares)) == (cents, people)
        assert max(shares) - min(shares) <= 2


def the_first_pays_more(split: Split) -> None:
    for cents, people in itertools.product(range(100), range(1, 21)):
        shares = split(cents, people)
        assert shares == sorted(shares, reverse=True)
        assert (sum(shares), len(shares)) == (cents, people)


def returns_a_verdict(split: Split) -> bool:
    return sum(split(10000, 3)) == 10000


def swallows(split: Split) -> None:
    try:
        by_a_loop(split)
    except Exception:
        print("wrong")  # noqa: T201


def always_fails(split: Split) -> None:  # noqa: ARG001
    raise AssertionError("no split is right")


def never_ends(split: Split) -> None:
    while True:
        split(1, 1)


def leaves(split: Split) -> None:  # noqa: ARG001
    raise SystemExit


# 3: a fake bank


class ByKey:
    def __init__(self) -> None:
        self.charges: dict[str, int] = {}
        self.refunded: set[str] = set()

    def charge(self, key: str, cents: int) -> str:
        if self.charges.setdefault(key, cents) != cents:
            raise ValueError(key)
        return key

    def refund(self, id: str) -> None:
        self.charges[id]  # a KeyError is a LookupError
        if id in self.refunded:
            raise ValueError(id)
        self.refunded.add(id)

    def balance(self) -> int:
        return sum(self.charges.values()) - sum(self.charges[key] for key in self.refunded)


class Journal:
    """Keeps what happened, and looks through it for every answer."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, int]] = []

    def charge(self, key: str, cents: int) -> str:
        for number, (kind, of, amount) in enumerate(self.lines):
            if (kind, of) == ("charge", key):
                if amount != cents:
                    raise ValueError("another amount")
                return f"line {number}"
        self.lines.append(("charge", key, cents))
        return f"line {len(self.lines) - 1}"

    def refund(self, id: str) -> None:
        found = {f"line {n}": line for n, line in enumerate(self.lines) if line[0] == "charge"}
        if id not in found:
            raise LookupError(id)
        if ("refund", id, -found[id][2]) in self.lines:
            raise ValueError("twice")
        self.lines.append(("refund", id, -found[id][2]))

    def balance(self) -> int:
        return sum(amount for _, _, amount in self.lines)


def a_factory() -> ByKey:
    return ByKey()


class Shared(ByKey):
    """All banks have one drawer."""

    CHARGES: dict[str, int] = {}  # noqa: RUF012
    REFUNDED: set[str] = set()  # noqa: RUF012

    def __init__(self) -> None:
        self.charges, self.refunded = self.CHARGES, self.REFUNDED


class TakesAgain(ByKey):
    numbers = itertools.count()

    def charge(self, key: str, cents: int) -> str:
        return super().charge(f"{key}-{next(self.numbers)}", cents)


class AnyAmount(ByKey):
    def charge(self, key: str, cents: int) -> str:
        self.charges.setdefault(key, cents)
        return key


class LastAmount(ByKey):
    def charge(self, key: str, cents: int) -> str:
        before = self.charges.get(key, cents)
        self.charges[key] = cents
        if before != cents:
            raise ValueError(key)
        return key


class RefundsTwice(ByKey):
    def __init__(self) -> None:
        super().__init__()
        self.back = 0

    def refund(self, id: str) -> None:
        self.back += self.charges[id]

    def balance(self) -> int:
        return sum(self.charges.values()) - self.back


class QuietSecondRefund(ByKey):
    def refund(self, id: str) -> None:
        self.charges[id]
        self.refunded.add(id)


class KnowsEverything(ByKey):
    def refund(self, id: str) -> None:
        if id in self.charges:
            super().refund(id)


class ForgetsRefunded(ByKey):
    """A refund removes the charge, so that its key is new again."""

    def refund(self, id: str) -> None:
        del self.charges[id]


class AnyError(ByKey):
    def refund(self, id: str) -> None:
        if id not in self.charges or id in self.refunded:
            raise ValueError(id)
        self.refunded.add(id)


class IdByAmount(ByKey):
    def charge(self, key: str, cents: int) -> str:
        super().charge(key, cents)
        return f"id-{cents}"


class IdOfBoth(ByKey):
    """Two keys and amounts can make one text."""

    def charge(self, key: str, cents: int) -> str:
        super().charge(key, cents)
        return f"{key}{cents}"

    def refund(self, id: str) -> None:
        for key, cents in self.charges.items():
            if f"{key}{cents}" == id:
                return super().refund(key)
        raise LookupError(id)


class Prefix(ByKey):
    """Takes a key for an id."""

    def charge(self, key: str, cents: int) -> str:
        return "charge-" + super().charge(key, cents)

    def refund(self, id: str) -> None:
        super().refund(id.removeprefix("charge-"))


class NumberAsId(ByKey):
    def charge(self, key: str, cents: int) -> Any:  # noqa: ANN401
        super().charge(key, cents)
        return len(self.charges)


class BalanceOfCharges(ByKey):
    def balance(self) -> int:
        return sum(self.charges.values())


class NoBalance:
    def charge(self, key: str, cents: int) -> str:  # noqa: ARG002
        return key


class SleepsForEver(ByKey):
    def balance(self) -> int:
        threading.Event().wait()
        return 0


class Leaves(ByKey):
    def balance(self) -> int:
        raise SystemExit


RIGHT: list[tuple[str, object]] = [
    (ONE, BOTH_SIDES),
    (ONE, tuple(BOTH_SIDES)),
    (ONE, [[list(stay), percent] for stay, percent in BOTH_SIDES]),
    (ONE, EVERYTHING),
    (ONE, random.Random(1).sample(BOTH_SIDES * 3, 27)),
    (TWO, by_hypothesis),
    (TWO, by_a_loop),
    (TWO, by_another_way_to_split),
    (TWO, raises_its_own),
    (THREE, ByKey),
    (THREE, Journal),
    (THREE, a_factory),
]

NOT_YET: list[tuple[str, object, str]] = [
    (ONE, [((3, 10), 0), ((10, 10), 10), ((30, 90), 25)], "a mutant survived: 10 percent only"),
    (ONE, [*BOTH_SIDES, ((30, 90), 30)], "fails with the right function"),
    (ONE, [*BOTH_SIDES, ((7, 60), 10)], "fails with the right function"),
    (ONE, without((7, 59), (7, 60)), "only for more than 7 nights"),
    (ONE, without((6, 59), (6, 60)), "10 percent for 6 nights"),
    (ONE, without((28, 59), (28, 60)), "only for more than 28 nights"),
    (ONE, without((27, 59), (27, 60)), "25 percent for 27 nights"),
    (ONE, without((6, 60), (7, 60), (27, 60)), "only for more than 60 days"),
    (ONE, without((6, 59), (7, 59), (27, 59)), "5 more for 59 days"),
    (ONE, without((28, 60)), "more than 25 percent"),
    (ONE, without((7, 60), (27, 60)), "5 percent instead of 5 more"),
    (ONE, without((6, 60)), "only for stays of 7 nights or more"),
    (ONE, without((28, 59)), "24 percent instead of 25"),
    (ONE, [(7, 59, 10)], "a row is ((nights, days_before), percent)"),
    (ONE, [((7, 59), "10")], "a row is ((nights, days_before), percent)"),
    (ONE, [*BOTH_SIDES, ((0, 0), 0)], "is no stay"),
    (ONE, {"rows": BOTH_SIDES}, "should be a list of rows"),
    (ONE, [], "a mutant survived"),
    (TWO, only_examples, "your test passes with a split"),
    (TWO, only_the_sum, "the whole rest to the last guest"),
    (TWO, sum_and_number, "the whole rest to the last guest"),
    (TWO, no_types, "fractions of a cent"),
    (TWO, whole_numbers_as_floats, "each share as a float"),
    (TWO, large_bills_only, "fewer cents than guests"),
    (TWO, bills_from_one_cent, "a bill of 0 cents"),
    (TWO, groups_from_two, "two shares for one guest"),
    (TWO, small_groups, "a large group"),
    (TWO, differ_by_two, "two cents more than another"),
    (TWO, the_first_pays_more, "fails with a right split, where the last guests"),
    (TWO, returns_a_verdict, "rounds every share"),
    (TWO, swallows, "rounds every share"),
    (TWO, always_fails, "fails with a right split, where the first guests"),
    (TWO, leaves, "raised SystemExit"),
    (TWO, lambda: None, "fails with a right split"),
    (TWO, "assert sum(shares) == cents", "should be a function"),
    (THREE, MagicMock, "balance() returned"),
    (THREE, Shared, "when it is made as a second bank"),
    (THREE, TakesAgain, "got another id"),
    (THREE, AnyAmount, "comes again with another amount was accepted"),
    (THREE, LastAmount, "after a key came again with another amount"),
    (THREE, RefundsTwice, "a second refund of the same charge was accepted"),
    (THREE, QuietSecondRefund, "a second refund of the same charge was accepted"),
    (THREE, KnowsEverything, "unknown id 'no-such-charge' was accepted"),
    (THREE, ForgetsRefunded, "raised KeyError; the contract says ValueError"),
    (THREE, AnyError, "raised ValueError; the contract says LookupError"),
    (THREE, IdByAmount, "two keys with the same amount got the same id"),
    (THREE, IdOfBoth, "did not get three ids"),
    (THREE, Prefix, "unknown id 'order-1' was accepted"),
    (THREE, NumberAsId, "should return an id, a text"),
    (THREE, BalanceOfCharges, "after one of two charges"),
    (THREE, NoBalance, "has no method balance"),
    (THREE, Leaves, "raised SystemExit"),
    (THREE, ByKey(), "should be a class"),
]

test_right, test_not_yet = tables.tests(RIGHT, NOT_YET)


@pytest.mark.parametrize("exercise", [ONE, TWO, THREE])
@pytest.mark.parametrize("stub", [None, ..., ""])
def test_a_stub_gets_a_hint(exercise: str, stub: object) -> None:
    verdict = judge_answer(exercise, stub)
    assert not verdict.right
    assert not verdict.tried
    assert len(verdict.message) > 20


@pytest.mark.parametrize(("exercise", "answer"), [(TWO, never_ends), (THREE, SleepsForEver)])
def test_an_answer_that_never_ends_is_ended(
    exercise: str, answer: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nexus.judging.limits.SECONDS", 1.0)
    verdict = judge_answer(exercise, answer)
    assert not verdict.right
    assert "after 1 seconds" in verdict.message


def test_hypothesis_is_as_before_and_has_written_nothing_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = settings.get_current_profile_name()
    judge_answer(TWO, by_hypothesis)
    assert settings.get_current_profile_name() == before
    assert list(tmp_path.iterdir()) == []
