"""Judges of "Testing": a table against mutants, properties of a split, a fake with a contract."""

import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Protocol

from nexus.judging import NotYet, judge
from nexus.judging.limits import within

Discount = Callable[[int, int], int]


def _discount(
    nights: int,
    days_before: int,
    *,
    week: int = 7,
    month: int = 28,
    early: int = 60,
    percents: tuple[int, int, int, int] = (0, 10, 25, 5),
    most: int = 25,
) -> int:
    """The rule of the exercise; its figures can be changed one by one."""
    short, weekly, monthly, more = percents
    saved = monthly if nights >= month else weekly if nights >= week else short
    return min(saved + more * (days_before >= early), most)


def _early_instead(nights: int, days_before: int) -> int:
    return max(_discount(nights, 0), 5 if days_before >= 60 else 0)


def _early_and_long(nights: int, days_before: int) -> int:
    return _discount(nights, days_before if nights >= 7 else 0)


MUTANTS: dict[str, Discount] = {
    "10 percent only for more than 7 nights": partial(_discount, week=8),
    "10 percent for 6 nights": partial(_discount, week=6),
    "25 percent only for more than 28 nights": partial(_discount, month=29),
    "25 percent for 27 nights": partial(_discount, month=27),
    "5 more only for more than 60 days": partial(_discount, early=61),
    "5 more for 59 days": partial(_discount, early=59),
    "more than 25 percent for some stays": partial(_discount, most=100),
    "5 percent instead of 5 more": _early_instead,
    "5 more only for stays of 7 nights or more": _early_and_long,
    "11 percent instead of 10": partial(_discount, percents=(0, 11, 25, 5)),
    "24 percent instead of 25": partial(_discount, percents=(0, 10, 24, 5)),
    "6 more instead of 5 more": partial(_discount, percents=(0, 10, 25, 6)),
    "1 percent for everybody": partial(_discount, percents=(1, 10, 25, 5)),
}
"""What the rows must tell from the rule, and how each differs."""


@judge(
    "testing.1",
    takes=Sequence,
    called="a list of rows",
    hint="give a list of rows, each as ((nights, days_before), percent)",
    stub=[((3, 10), 0), ((10, 10), 10), ((30, 90), 25)],
)
def table(answer: Sequence[object]) -> str:
    """Each row is right, and together they tell every mutant from the rule."""
    rows = [_row(row) for row in answer]
    for nights, days, percent in rows:
        if percent != _discount(nights, days):
            raise NotYet(
                f"the row (({nights}, {days}), {percent}) fails with the right function. Read the "
                "four sentences again, from the first to the last"
            )
    for what, mutant in MUTANTS.items():
        if all(mutant(nights, days) == percent for nights, days, percent in rows):
            raise NotYet(
                f"a mutant survived: {what}. Find a stay for which this mutant and the rule give "
                "different answers, and add its row"
            )
    return f"the right function passes your rows, and they kill all {len(MUTANTS)} mutants"


def _row(row: object) -> tuple[int, int, int]:
    """A row's three numbers, if it is one."""
    match row:
        case ((int(nights), int(days)), int(percent)):
            pass
        case _:
            raise NotYet(f"a row is ((nights, days_before), percent); this is {repr(row)[:80]}")
    if nights < 1 or days < 0:
        raise NotYet(
            f"({nights}, {days}) is no stay: nights must be 1 or more, and days_before 0 or more"
        )
    return nights, days, percent


Split = Callable[[int, int], list[int]]


def _first(cents: int, people: int) -> list[int]:
    share, rest = divmod(cents, people)
    return [share + (guest < rest) for guest in range(people)]


def _last(cents: int, people: int) -> list[int]:
    return _first(cents, people)[::-1]


def _anybody(cents: int, people: int) -> list[int]:
    shares = _first(cents, people)
    random.Random(cents * people).shuffle(shares)  # noqa: S311 (no secret)
    return shares


def _loses_the_rest(cents: int, people: int) -> list[int]:
    return [cents // people] * people


def _rounds(cents: int, people: int) -> list[int]:
    return [round(cents / people)] * people


def _rest_to_the_last(cents: int, people: int) -> list[int]:
    shares = [cents // people] * people
    shares[-1] += cents % people
    return shares


def _one_is_missing(cents: int, people: int) -> list[int]:
    return _first(cents, max(1, people - 1))


def _floats(cents: int, people: int) -> list[float]:
    return [float(share) for share in _first(cents, people)]


def _exact_parts(cents: int, people: int) -> list[float]:
    return [cents / people] * people


def _too_few_cents(cents: int, people: int) -> list[int]:
    return _first(cents, people) if cents >= people else [0] * people


def _no_bill(cents: int, people: int) -> list[int]:
    return _first(cents, people) if cents else []


def _alone(cents: int, people: int) -> list[int]:
    return _first(cents, people) if people > 1 else _first(cents, 2)


def _unfair(cents: int, people: int) -> list[int]:
    shares = _first(cents, people)
    if cents >= people and cents % people == 0:
        shares[0] += 1
        shares[-1] -= 1
    return shares


def _large_groups(cents: int, people: int) -> list[int]:
    return _first(cents, people) if people <= 10 else [*_first(cents, 10), *[0] * (people - 10)]


def _a_cent_too_many(cents: int, people: int) -> list[int]:
    shares = _first(cents, people)
    shares[0] += cents % people == 0
    return shares


FAIR: dict[str, Split] = {
    "where the first guests pay the extra cents": _first,
    "where the last guests pay the extra cents": _last,
    "where any guests pay the extra cents": _anybody,
}
UNFAIR: dict[str, Callable[[int, int], Sequence[float]]] = {
    "that rounds every share, so that cents are lost or invented": _rounds,
    "that forgets the rest of the division": _loses_the_rest,
    "that gives the whole rest to the last guest": _rest_to_the_last,
    "that has one share too few": _one_is_missing,
    "where one guest pays two cents more than another, and all could pay the same": _unfair,
    "that returns exact parts, with fractions of a cent": _exact_parts,
    "that returns each share as a float": _floats,
    "that collects nothing if there are fewer cents than guests": _too_few_cents,
    "that returns no shares for a bill of 0 cents": _no_bill,
    "that returns two shares for one guest": _alone,
    "that lets only the first ten guests of a large group pay": _large_groups,
    "that adds a cent whenever nothing is left over": _a_cent_too_many,
}

GIVEN_2 = """
def check_split(split):
    assert split(9000, 3) == [3000, 3000, 3000]
    assert sum(split(10000, 3)) == 10000
"""


@judge(
    "testing.2",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a function split(cents, people): it raises AssertionError if that "
    "split is wrong for any bill or group",
    stub=GIVEN_2,
)
def properties(answer: Callable[[Split], object]) -> str:
    """It lets every right split pass, and notices every wrong one."""
    with _patient_hypothesis():
        for what, split in FAIR.items():
            try:
                within(partial(answer, split))
            except NotYet:
                raise
            except Exception as error:
                said = f"{type(error).__name__}: {error}".splitlines()[0][:150]
                raise NotYet(f"your test fails with a right split, {what}: {said}") from None
        for what, wrong in UNFAIR.items():
            try:
                within(partial(answer, wrong))  # type: ignore[arg-type]
            except NotYet:
                raise
            except Exception:  # noqa: S112 (a test that fails, whatever it raises)
                continue
            raise NotYet(
                f"your test passes with a split {what}. Which sentence about the shares is false "
                "there?"
            )
    return (
        f"your test passes with {len(FAIR)} right ways to split, and fails with each of "
        f"{len(UNFAIR)} wrong ones"
    )


@contextmanager
def _patient_hypothesis() -> Iterator[None]:
    """A busy machine is no reason to fail, and nothing is written into the reader's folder."""
    from hypothesis import HealthCheck, Phase, configuration, settings

    before = settings.get_current_profile_name()
    settings.register_profile(
        "nexus-judge",
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],  # a refusal need not be the simplest one
        suppress_health_check=list(HealthCheck),
    )
    settings.load_profile("nexus-judge")
    with tempfile.TemporaryDirectory() as folder:  # it keeps more than its database there
        configuration.set_hypothesis_home_dir(folder)
        try:
            yield
        finally:
            configuration.set_hypothesis_home_dir(None)
            settings.load_profile(before)


class Bank(Protocol):
    """What the contract of exercise 3 asks for."""

    def charge(self, key: str, cents: int) -> str:
        """Takes cents, once for each key, and returns the charge's id."""

    def refund(self, id: str) -> object:
        """Gives a charge's cents back, once."""

    def balance(self) -> int:
        """The cents that the bank holds."""


@judge(
    "testing.3",
    takes=Callable,  # type: ignore[arg-type]
    called="a class",
    hint="write a class with the methods charge, refund and balance, and give the class itself",
)
def fake(answer: Callable[[], Bank]) -> str:
    """The class keeps each sentence of the contract, also the second time and in a second bank."""
    bank = _Contract(answer)
    bank.holds(0, "before the first charge,")
    first = bank.charge("order-1", 9900)
    bank.holds(9900, "after a charge of 9900,")
    second = bank.charge("order-2", 9900)
    if second == first:
        raise NotYet("two keys with the same amount got the same id; another key gets another id")
    bank.holds(19800, "after two charges of 9900 with two keys,")
    if bank.charge("order-1", 9900) != first:
        raise NotYet("the same key with the same amount got another id")
    bank.holds(19800, "after a key was sent again,")
    bank.refuses(ValueError, "a key that comes again with another amount", "charge", "order-1", 1)
    bank.holds(19800, "after a key came again with another amount,")
    if bank.charge("order-1", 9900) != first:
        raise NotYet(
            "a key came again with another amount, which was refused. After that, the first amount "
            "got another id"
        )
    unknown = ["no-such-charge", *({"order-1"} - {first})]
    for id in unknown:
        bank.refuses(LookupError, f"a refund of the unknown id {id!r}", "refund", id)
    bank.refund(first)
    bank.holds(9900, "after one of two charges of 9900 was refunded,")
    bank.refuses(ValueError, "a second refund of the same charge", "refund", first)
    bank.holds(9900, "after a second refund of the same charge,")
    if bank.charge("order-1", 9900) != first:
        raise NotYet("after its refund, the same key with the same amount got another id")
    bank.holds(9900, "after a key was sent again whose charge is refunded,")
    if len({bank.charge("1", 123), bank.charge("11", 23), bank.charge("112", 3)}) != 3:
        raise NotYet("three other keys with other amounts did not get three ids")
    bank.refund(second)
    bank.holds(149, "after both charges of 9900 were refunded, and 149 charged,")

    other = _Contract(answer)
    other.holds(0, "when it is made as a second bank,")
    other.refuses(LookupError, "in a second bank, a refund of an id", "refund", "no-such-charge")
    other.charge("order-1", 50)
    other.holds(50, "as a second bank, after it got a key that the first one knows,")
    bank.holds(149, "after a charge in a second bank,")
    return (
        "charges, repeated keys, refunds and refusals are as the contract says, also the second "
        "time and in a second bank"
    )


class _Contract:
    """Calls an answer's bank, and says which sentence of the contract it has broken."""

    def __init__(self, make: Callable[[], Bank]) -> None:
        self._bank = within(make)

    def _call(self, method: str, *arguments: object) -> object:
        found = getattr(self._bank, method, None)
        if not callable(found):
            raise NotYet(f"the bank has no method {method}")
        return within(partial(found, *arguments))

    def charge(self, key: str, cents: int) -> str:
        id = self._call("charge", key, cents)
        if not isinstance(id, str) or not id:
            raise NotYet(f"charge should return an id, a text; it returned {repr(id)[:80]}")
        return id

    def refund(self, id: str) -> None:
        self._call("refund", id)

    def holds(self, cents: int, when: str) -> None:
        found = self._call("balance")
        if type(found) is not int or found != cents:
            raise NotYet(f"{when} the bank holds {cents}; balance() returned {repr(found)[:80]}")

    def refuses(self, error: type[Exception], what: str, method: str, *arguments: object) -> None:
        try:
            self._call(method, *arguments)
        except error:
            return
        except NotYet:
            raise
        except Exception as other:
            raise NotYet(
                f"{what} raised {type(other).__name__}; the contract says {error.__name__}"
            ) from None
        raise NotYet(f"{what} was accepted; the contract says {error.__name__}")
