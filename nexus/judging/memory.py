"""A bound on what an answer may allocate, so that the kernel survives it.

It holds on Linux, for the whole process, while an answer runs: what asks for more gets a
MemoryError. What the answer has allocated before, such as a list in a cell, is not counted.
"""

import resource
import threading
from contextlib import suppress
from pathlib import Path

MORE = 512 * 2**20
"""Bytes that may be added while an answer runs."""

_lock = threading.Lock()
_holders = 0
_before: tuple[int, int] | None = None


def hold() -> None:
    """Sets the bound, if nobody holds it yet."""
    global _holders, _before
    with _lock:
        _holders += 1
        if _holders == 1 and (used := _used()):
            soft, hard = _before = resource.getrlimit(resource.RLIMIT_DATA)
            limits = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
            with suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_DATA, (min([used + MORE, *limits]), hard))


def let_go() -> None:
    """Takes the bound away when the last one lets go."""
    global _holders, _before
    with _lock:
        _holders -= 1
        if _holders == 0 and _before:
            with suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_DATA, _before)
            _before = None


def _used() -> int:
    """The bytes that RLIMIT_DATA counts; 0 where the system does not say."""
    with suppress(OSError, ValueError, IndexError):
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmData:")[2].split()[0]) * 1024
    return 0
