"""Threads that begin at the same moment."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connection

T = TypeVar("T")
DEADLINE = 30  # seconds


def race(action: Callable[[int], T], threads: int) -> list[T | Exception]:
    """Call an action in many threads at once, each with a connection of its own."""
    barrier = threading.Barrier(threads)

    def one(number: int) -> T | Exception:
        try:
            connection.ensure_connection()
            barrier.wait(DEADLINE)
            return action(number)
        except Exception as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, range(threads), timeout=DEADLINE))
