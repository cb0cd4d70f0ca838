"""Running a suite's checks, one after the other."""

import importlib
import pkgutil
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from acceptance import suites
from acceptance.api import Api
from acceptance.check import CRITERIA, REGISTERED, Check, Failed, Skipped
from acceptance.client import Answer, Spent, Unreachable
from acceptance.mapping import MappingError

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


class Unknown(Exception):
    """A name of a suite or of a check is not known. The text lists those that are."""


@dataclass(frozen=True)
class Suite:
    """The checks for one case study.

    Attributes:
        name: Of its module in acceptance/suites.
        title: The first line of its module's text.
        checks: In order.
    """

    name: str
    title: str
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Result:
    """What came of a check.

    Attributes:
        check: Which.
        state: PASSED, FAILED or SKIPPED.
        seconds: How long it took.
        failure: What was sent, came and was wanted, if it failed.
        reason: Why it was skipped.
        requests: How many it sent.
        last: The last exchanges before it failed, oldest first.
    """

    check: Check
    state: str
    seconds: float = 0.0
    failure: Failed | None = None
    reason: str = ""
    requests: int = 0
    last: tuple[Answer, ...] = ()

    @property
    def possible(self) -> int:
        """Points that it could have. What is implied and cannot be looked at is left out."""
        return 0 if self.state == SKIPPED and not self.check.official else self.check.weight

    @property
    def points(self) -> int:
        """Points that it has. An official requirement that cannot be looked at has none."""
        return self.check.weight if self.state == PASSED else 0


@dataclass(frozen=True)
class Score:
    """Points of one criterion, or of all."""

    points: int
    possible: int

    @property
    def percent(self) -> int:
        """Rounded down, so that 100 means all."""
        return 100 * self.points // self.possible if self.possible else 0


def score(results: Iterable[Result]) -> Score:
    """Add points."""
    chosen = list(results)
    return Score(sum(r.points for r in chosen), sum(r.possible for r in chosen))


def scores(results: Sequence[Result]) -> dict[str, Score]:
    """Return the scores by criterion, of those that have a check."""
    by = {name: [r for r in results if r.check.criterion == name] for name in CRITERIA}
    return {name: score(chosen) for name, chosen in by.items() if chosen}


def names() -> list[str]:
    """Return the names of all suites."""
    return sorted(module.name for module in pkgutil.iter_modules(suites.__path__))


def load(name: str) -> Suite:
    """Return a suite.

    Raises:
        Unknown: If there is none of that name.
    """
    if name not in names():
        raise Unknown(f"No suite is called {name!r}. There are: {', '.join(names())}")
    module = importlib.import_module(f"acceptance.suites.{name}")
    title = (module.__doc__ or name).strip().splitlines()[0].rstrip(".")
    return Suite(name, title, tuple(REGISTERED.get(module.__name__, {}).values()))


def choose(suite: Suite, only: Sequence[str]) -> list[Check]:
    """Return the checks of those names, or all.

    Raises:
        Unknown: If the suite has none of one of the names.
    """
    known = {check.name: check for check in suite.checks}
    for name in only:
        if name not in known:
            raise Unknown(
                f"The suite {suite.name} has no check {name!r}. It has: {', '.join(known)}"
            )
    return [check for check in suite.checks if not only or check.name in only]


def run(
    checks: Sequence[Check], api: Api, each: Callable[[Result], None] = lambda _: None
) -> list[Result]:
    """Run checks.

    Args:
        checks: Which.
        api: On what.
        each: Called with every result as it comes.

    Raises:
        Unreachable: If nobody listens.
        MappingError: If the mapping cannot be used.
    """
    results = []
    for check in checks:
        result = look(check, api)
        results.append(result)
        each(result)
    return results


def look(check: Check, api: Api) -> Result:
    """Run one check."""
    before, began = len(api.client.record), time.monotonic()
    state, failure, reason = PASSED, None, ""
    try:
        check.function(api)
    except Failed as error:
        state, failure = FAILED, error
    except Skipped as error:
        state, reason = SKIPPED, str(error)
    except Spent as error:
        state, reason = SKIPPED, f"Not run to its end. {error}"
    except (MappingError, Unreachable):
        raise
    except Exception as error:
        state, failure = FAILED, unforeseen(error, api.client.record[before:])
    record = api.client.record[before:]
    return Result(
        check=check,
        state=state,
        seconds=time.monotonic() - began,
        failure=failure,
        reason=reason,
        requests=len(record),
        last=tuple(record[-3:]) if state == FAILED else (),
    )


def unforeseen(error: Exception, record: Sequence[Answer]) -> Failed:
    """Return a failure for an exception: the answer has a shape that the check did not foresee."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return Failed(
        sent=record[-1].sent if record else "nothing",
        came=record[-1].came if record else "nothing",
        wanted=f"An answer of the expected shape; reading it gave {type(error).__name__}: {error} "
        f"({place.name}, line {place.lineno}). Is a name in the mapping wrong?",
    )
