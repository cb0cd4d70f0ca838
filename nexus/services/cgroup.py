"""A program in a control group of the kernel, with a limit of memory or CPU, as a container has.

It needs the right to make control groups, which root has on many machines.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nexus.services.errors import MissingProgram

HELPER = Path(__file__).with_name("_in_cgroup.py")
PATIENCE = 60


class Outcome(NamedTuple):
    """How a program ended, and what the kernel counted: kills, and periods that were cut short."""

    status: int
    oom_kills: int
    throttled: int


def limited(
    command: Sequence[str], *, memory: int | None = None, cpu: float | None = None
) -> Outcome:
    """Runs a program in a control group of its own, and removes the group.

    Args:
        command: the program and its arguments.
        memory: the most bytes that it may have.
        cpu: the most processors that it may use, such as 0.2.

    Raises:
        MissingProgram: if no control group can be made here.
    """
    asked = json.dumps({"command": list(command), "memory": memory, "cpu": cpu})
    words = [sys.executable, "-I", str(HELPER), asked]
    done = subprocess.run(words, text=True, capture_output=True, timeout=PATIENCE)
    if done.returncode:
        why = "it needs root and a writable /sys/fs/cgroup"
        raise MissingProgram(f"no control group can be made on this machine by this user: {why}")
    return Outcome(*json.loads(done.stdout))


def check() -> None:
    """Raises MissingProgram unless a program can be limited here."""
    limited(["true"], memory=2**26, cpu=0.5)
