"""Paired comparison of alternatives by time: a verdict that repeats, figures for the eye.

    result = compare({"seq": read_all, "indexed": read_some})
    result.verdict("indexed", at_least=20)

A busy machine slows what runs at that moment. So each round runs every alternative, in turn
forwards and backwards, and only times of one round are divided by each other. What is then said of
the ratio is a bound, not its best value: the lower end of the confidence interval of the median by
the sign test, which assumes nothing of how times are distributed (W. J. Conover, Practical
Nonparametric Statistics, 3rd edition, 1999, section 3.2).
"""

import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import comb
from statistics import median
from time import perf_counter_ns
from typing import NamedTuple

from nexus.draw import Picture, bars

CONFIDENCE = 0.95
"""How sure a bound is. With 15 rounds it is the fourth smallest ratio."""


class Ratio(NamedTuple):
    """How many times faster one alternative is than another."""

    median: float
    """The median of the rounds."""
    at_least: float
    """The bound that the true median is above, with 95 % confidence."""


@dataclass(frozen=True)
class Comparison:
    """The times of alternatives that ran side by side."""

    times: Mapping[str, tuple[int, ...]]
    """Nanoseconds by alternative, one for each round."""

    @property
    def median(self) -> dict[str, float]:
        """The median time of each alternative, in seconds."""
        return {name: median(times) / 1e9 for name, times in self.times.items()}

    @property
    def rounds(self) -> int:
        """How many rounds were run."""
        return len(next(iter(self.times.values())))

    def ratio(self, fast: str, slow: str) -> Ratio:
        """How many times faster one alternative is than another; below 1 if it is slower.

        Args:
            fast: the one that should be faster.
            slow: the other one.

        Returns:
            The median of the rounds' ratios, and its lower bound.
        """
        pairs = zip(self.times[slow], self.times[fast], strict=True)
        ratios = sorted(long / short for long, short in pairs)
        return Ratio(median(ratios), ratios[_bound(len(ratios))])

    def verdict(self, winner: str, *, at_least: float = 1) -> str:
        """Says that an alternative beats all others, if it does.

        Args:
            winner: its name.
            at_least: how many times faster it has to be than each of the others, by the bound.

        Returns:
            A sentence that is the same in every run.

        Raises:
            AssertionError: if it is not that much faster; with the figures of this run.
        """
        others = [name for name in self.times if name != winner]
        for other in others:
            ratio = self.ratio(winner, other)
            if ratio.at_least < at_least:
                raise AssertionError(
                    f"{winner} does not beat {other} by {at_least:g}\N{MULTIPLICATION SIGN}: the "
                    f"median of {self.rounds} rounds is {ratio.median:.3g}\N{MULTIPLICATION SIGN}, "
                    f"and only {ratio.at_least:.3g}\N{MULTIPLICATION SIGN} is certain ({self!r})"
                )
        margin = f", at least {at_least:g}\N{MULTIPLICATION SIGN}" if at_least > 1 else ""
        return f"{winner} wins{margin}"

    def picture(self, title: str, alt: str) -> Picture:
        """Draws the median times as bars.

        Args:
            title: what is compared.
            alt: what the picture shows; without figures, which differ in every run.

        Returns:
            A picture that a notebook shows as PNG, because tests do not compare those.
        """
        times = {name: float(f"{time * 1e3:.3g}") for name, time in self.median.items()}
        unit = f"milliseconds, median of {self.rounds} rounds"
        return bars(times, unit=unit, title=title, alt=alt, steady=False)

    def __repr__(self) -> str:
        return ", ".join(f"{name} {time * 1e3:.3g} ms" for name, time in self.median.items())


def compare(
    alternatives: Mapping[str, Callable[[], object]], *, rounds: int = 15, warmup: int = 1
) -> Comparison:
    """Runs alternatives side by side and measures the time of each call.

    Args:
        alternatives: what to call, by name. Each should take well over a microsecond: a faster one
            does its work several times in a call.
        rounds: how often to call each; 5 at least, for a bound to exist.
        warmup: how often to call each before, unmeasured.

    Returns:
        The times.

    Raises:
        ValueError: if there is nothing to compare, or there are too few rounds.
    """
    if len(alternatives) < 2 or rounds < 5:
        raise ValueError("a comparison takes two alternatives and five rounds, or more")
    times: dict[str, list[int]] = {name: [] for name in alternatives}
    order = list(alternatives)
    collecting = gc.isenabled()
    for number in range(warmup + rounds):
        for name in order:
            gc.disable()  # a collection would hit one of a pair
            try:
                start = perf_counter_ns()
                alternatives[name]()
                taken = perf_counter_ns() - start
            finally:
                if collecting:
                    gc.enable()
            if number >= warmup:
                times[name].append(max(taken, 1))
        order.reverse()
    return Comparison({name: tuple(taken) for name, taken in times.items()})


def _bound(rounds: int) -> int:
    """The place, in ascending order, of the ratio that the median is above with confidence.

    The median lies below the k-th smallest value only if fewer than k values fell below the
    median, and each does so with probability one half.
    """
    place, chance = 0, 1 / 2**rounds
    while chance + comb(rounds, place + 1) / 2**rounds <= 1 - CONFIDENCE:
        place += 1
        chance += comb(rounds, place) / 2**rounds
    return place
