"""What a function of an answer may not do to the kernel that it runs in.

While a judgement lasts, the functions here are replaced by ones that look who calls: in a thread
of an answer's they refuse, or follow the judge's clock; everybody else gets the real ones. The
answer's own module gets them too, under the names by which it has imported them. What a C library
does by itself is not covered.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from nexus.judging.limits import Enough, current_run, swallowed_no_more

ENDS = ("_exit", "abort", "fork", "forkpty", "execv", "execve")
"""What would end this process, or make a second kernel of it; the other exec functions are in
Python and call these."""

Function = Callable[..., Any]


@contextmanager
def kept(answer: object) -> Iterator[None]:
    """Keeps an answer's threads from ending the kernel, and makes their sleep one that ends.

    Args:
        answer: what is judged; a function, or some in a tuple.
    """
    names = _names_of(answer)
    changed: list[tuple[dict[str, Any], str, Any, Any]] = []
    for module, name, careful in _careful_functions():
        real = getattr(module, name)
        ours = careful(real)
        for names_of_one in (vars(module), *names):
            for called in [key for key, value in names_of_one.items() if value is real]:
                names_of_one[called] = ours
                changed.append((names_of_one, called, ours, real))
    try:
        yield
    finally:
        for names_of_one, called, ours, real in changed:
            if names_of_one.get(called) is ours:
                names_of_one[called] = real


def _names_of(answer: object) -> list[dict[str, Any]]:
    """The global names of the functions in an answer."""
    found: list[dict[str, Any]] = []
    for function in answer if isinstance(answer, tuple) else (answer,):
        names = getattr(function, "__globals__", None)
        if isinstance(names, dict) and not any(names is known for known in found):
            found.append(names)
    return found


def _careful_functions() -> Iterator[tuple[ModuleType, str, Callable[[Function], Function]]]:
    """The functions to replace, and what makes a careful one of each."""
    for name in ENDS:
        if hasattr(os, name):
            yield os, name, _refused(f"os.{name}", lambda *_: True)
    yield os, "kill", _refused("os.kill", _reaches_the_kernel)
    yield os, "killpg", _refused("os.killpg", lambda group, *_: group in {0, os.getpgrp()})
    yield signal, "raise_signal", _refused("signal.raise_signal", lambda *_: True)
    yield time, "monotonic", _told("monotonic")
    yield time, "time", _told("time")
    yield time, "sleep", _ending


def _reaches_the_kernel(target: int, *_: object) -> bool:
    """Whether a signal would reach the kernel or who has started it."""
    return target in {0, -1, os.getpid(), os.getppid(), -os.getpgrp()}


def _refused(called: str, is_harmful: Callable[..., bool]) -> Callable[[Function], Function]:
    def careful(real: Function) -> Function:
        def function(*arguments: Any) -> Any:  # noqa: ANN401
            if current_run() is not None and is_harmful(*arguments):
                raise Enough(f"it called {called}, which would end the kernel with all your work")
            return real(*arguments)

        return function

    return careful


def _told(name: str) -> Callable[[Function], Function]:
    def careful(real: Function) -> Function:
        def function() -> float:
            run = current_run()
            now: float = getattr(run.clock, name)() if run and run.clock else real()
            return now

        return function

    return careful


def _ending(real: Function) -> Function:
    def sleep(seconds: float) -> None:
        run = current_run()
        if run is None or seconds <= 0:
            real(seconds)
        elif run.clock:
            run.clock.sleep(seconds)
        elif run.over.wait(seconds):
            raise swallowed_no_more("its time was over while it slept")

    return sleep
