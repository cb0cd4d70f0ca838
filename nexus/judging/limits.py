"""An end for every answer: a function of the reader's may loop, sleep, or leave."""

import ctypes
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, cast

from nexus.judging.verdict import NotYet

SECONDS = 10.0
"""How long an answer may take."""

TRIES = 20
"""How often a thread is told to end: an answer may catch everything, once or twice."""


class Enough(BaseException):
    """Ends an answer that would go on for ever; `except Exception` does not hold it up."""


def within(action: Callable[[], object]) -> object:
    """Runs an action in a thread, and returns or raises what it does.

    Raises:
        NotYet: if it takes too long, or raises what is not an Exception.
    """
    outcome: list[tuple[bool, Any]] = []

    def run() -> None:
        with suppress(Enough):  # told to end, and told again while it was ending
            try:
                outcome.append((True, action()))
            except BaseException as error:
                outcome.append((False, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(SECONDS)
    if not outcome:
        end(thread)
        raise late("it")
    fine, value = outcome[0]
    if fine:
        return cast(object, value)
    raise as_exception(value)


def late(what: str) -> NotYet:
    """What a judge raises when something takes too long.

    Args:
        what: the subject of the sentence.
    """
    return NotYet(f"{what} had not come to an end after {SECONDS:g} seconds")


def join(threads: Sequence[threading.Thread], what: str) -> None:
    """Waits for threads of an answer, and ends those that do not come back.

    Args:
        threads: they have been started.
        what: the subject of the sentence, should one be late.

    Raises:
        NotYet: if one is late.
    """
    for thread in threads:
        thread.join(SECONDS)
    behind = [thread for thread in threads if thread.is_alive()]
    for thread in behind:
        end(thread)
    if behind:
        raise late(what)


def as_exception(error: BaseException) -> Exception:
    """What a judge may raise for what an answer raised: no interrupt, no end of the kernel."""
    if isinstance(error, Exception):
        return error
    if isinstance(error, Enough):
        return NotYet(str(error))
    return NotYet(f"the answer raised {type(error).__name__}")


def end(thread: threading.Thread) -> None:
    """Ends the Python code of a thread, which would burn a core as long as the kernel lives.

    What waits in a library's own code, such as a query, ends when that returns.
    """
    for _ in range(TRIES):
        if thread.ident is None or not thread.is_alive():
            return
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident), ctypes.py_object(Enough)
        )
        thread.join(0.1)
