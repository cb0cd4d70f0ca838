"""What the resolver of this machine asks a name server for, under the settings of a Pod.

The resolver is the real one, in namespaces of the kernel where nothing but loopback exists. The
name server is ours, and knows a few names.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from nexus.services.errors import MissingProgram

HELPER = Path(__file__).with_name("_in_namespace.py")
NAMESPACES = ["unshare", "--map-root-user", "--mount", "--net"]
PATIENCE = 60


def looked_up(
    names: Sequence[str], *, search: Sequence[str], ndots: int, there: Sequence[str]
) -> list[list[str]]:
    """For each name, the names that the resolver asks for, in order.

    Args:
        names: what a program looks up.
        search: the search domains.
        ndots: the option `ndots`.
        there: the names that exist, each with a dot at its end.

    Raises:
        MissingProgram: if this user may not make namespaces here.
    """
    asked = {"names": names, "search": search, "ndots": ndots, "there": there}
    words = [*NAMESPACES, sys.executable, "-I", str(HELPER), json.dumps(asked)]
    try:
        done = subprocess.run(words, text=True, capture_output=True, timeout=PATIENCE, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        why = "they need Linux, util-linux, and a kernel that lets this user make them"
        raise MissingProgram(f"no namespaces on this machine: {why}") from error
    found: list[list[str]] = json.loads(done.stdout)
    return found


def check() -> None:
    """Raises MissingProgram unless a name can be looked up here."""
    if looked_up(["here"], search=["example"], ndots=1, there=["here."]) != [
        ["here.example.", "here."]
    ]:
        raise MissingProgram("the resolver of this machine is not that of glibc")
