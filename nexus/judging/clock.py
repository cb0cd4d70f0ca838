"""A clock that the judge owns: an answer that sleeps an hour is judged at once."""

import time

REAL_MONOTONIC, REAL_TIME = time.monotonic, time.time


class Clock:
    """Time that passes when an answer sleeps; for the thread of the run that has it only.

    `within(action, clock)` lets it be the answer's `time.sleep`, `time.monotonic` and
    `time.time`; see `manners`. An Event's or a socket's time-out is real.

    Attributes:
        pauses: how long the answer would have slept, each time.
    """

    def __init__(self) -> None:
        self.pauses: list[float] = []

    @property
    def slept(self) -> float:
        """How long the answer would have slept in all."""
        return sum(self.pauses)

    def sleep(self, seconds: float) -> None:
        """Notes a pause instead of making it."""
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        self.pauses.append(float(seconds))

    def monotonic(self) -> float:
        """The real time, and what would have been slept."""
        return REAL_MONOTONIC() + self.slept

    def time(self) -> float:
        """The real time of day, and what would have been slept."""
        return REAL_TIME() + self.slept
