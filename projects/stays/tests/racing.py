"""Threads that begin at the same moment."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connection
from zeal import zeal_ignore

T = TypeVar("T")
DEADLINE = 30  # seconds


def race(action: Callable[[int], T], threads: int) -> list[T | Exception]:
    """Call an action in many threads at once, each with its own database connection.

    Args:
        action: What to do; it is given the thread's number.
        threads: How many.

    Returns:
        What each one returned, or the exception that it ended with.
    """
    barrier = threading.Barrier(threads)

    def one(number: int) -> T | Exception:
        try:
            connection.ensure_connection()
            barrier.wait(DEADLINE)
            with zeal_ignore():
                return action(number)
        except Exception as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, range(threads), timeout=DEADLINE))
