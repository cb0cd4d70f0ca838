"""The environment of every program that the bench, a cell or a judge starts: plain everywhere.

Programs look there for how to show what they say. ipykernel asks all of them for colours, as if a
terminal were there; Python 3.13 obeys and colours tracebacks, which are then neither readable in a
log nor the same as those of Python 3.12. And a folder of PATH that this user may not enter, such as
one of root's after `su`, makes "not found" a "Permission denied".
"""

import os
from collections.abc import Mapping

COLOURFUL = (
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "COLORTERM",
    "FORCE_COLOR",
    "PY_COLORS",
    "TTY_COMPATIBLE",
)
"""What asks for colours."""

PLAIN = {"NO_COLOR": "1", "PYTHON_COLORS": "0", "TERM": "dumb"}
"""What asks for none, also where `!command` gives a program a terminal."""


def plain(own: Mapping[str, str]) -> dict[str, str]:
    """An environment without colours, and without folders on PATH that cannot be entered.

    Args:
        own: the environment to start from.

    Returns:
        A new one.
    """
    kept = {name: value for name, value in own.items() if name not in COLOURFUL}
    if "PATH" in own:
        kept["PATH"] = os.pathsep.join(filter(can_be_entered, own["PATH"].split(os.pathsep)))
    return kept | PLAIN


def can_be_entered(folder: str) -> bool:
    """Whether programs in a folder of PATH can be found: one that is not there does no harm."""
    try:
        os.stat(os.path.join(folder, ""))  # noqa: PTH116, PTH118 (Path would drop the slash)
    except PermissionError:
        return False
    except OSError:
        return True
    return os.access(folder or ".", os.X_OK)


def settle() -> None:
    """Makes the environment of this process plain, for what cells start themselves."""
    wanted = plain(os.environ)
    for name in set(os.environ) - set(wanted):
        del os.environ[name]
    os.environ.update(wanted)
