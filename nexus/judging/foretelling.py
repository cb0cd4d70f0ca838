"""What an answer makes up, such as a token, when everything but real randomness is known.

Two workers are forked from the same state. In each of them all clocks stand still at the same
moment, `random` has the same seed, and the numbers of process and thread are the same. What both
make up in the same way, somebody who knows the time can make up, too. `os.urandom`, and what is
made of it (`secrets`, `uuid.uuid4`), differs.
"""

import os
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import time_machine

MOMENT = 1_800_000_000.5
CLOCKS = ("monotonic", "perf_counter", "process_time", "thread_time")


def constant(value: object) -> Callable[..., Any]:
    """A function that always returns the same."""
    return lambda *_, **__: value


@contextmanager
def standing_still(*functions: Callable[..., object]) -> Iterator[None]:
    """Everything stands still that may differ between two processes, but for real randomness.

    It is for a process of its own: threads that wait for a clock would wait for ever.

    Args:
        functions: parts of the answer; a clock that their module has imported by name stands, too.
    """
    still: list[tuple[Any, str, Callable[..., Any]]] = [
        *((time, name, constant(MOMENT)) for name in CLOCKS),
        *((time, f"{name}_ns", constant(int(MOMENT * 1e9))) for name in CLOCKS),
        (os, "getpid", constant(4711)),
        (os, "getppid", constant(4710)),
        (threading, "get_ident", constant(4712)),
        (threading, "get_native_id", constant(4713)),
        (uuid, "_generate_time_safe", None),  # uuid1 then takes the time and `random`
    ]
    replaced = {id(getattr(place, name, None)): new for place, name, new in still if new}
    with ExitStack() as stack:
        for function in functions:
            names = getattr(function, "__globals__", {})
            found = {
                name: replaced[id(value)] for name, value in names.items() if id(value) in replaced
            }
            stack.enter_context(mock.patch.dict(names, found))
        for place, name, new in still:
            if hasattr(place, name):
                stack.enter_context(mock.patch.object(place, name, new))
        stack.enter_context(mock.patch.object(uuid, "_last_timestamp", None))
        stack.enter_context(time_machine.travel(MOMENT, tick=False))
        random.seed(7)
        yield
