"""An answer in an interpreter that is started anew: another process, another seed, another day.

A forked worker has its parent's seed of hashes, and with it the same order of each set. This
interpreter has a seed of its own, and a calendar that the judge sets. The answer is carried over
with the functions, modules and values that it uses. A class of the reader's own is not.
"""

import marshal
import pickle
import sys
import tempfile
from collections.abc import Callable
from inspect import getclosurevars
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from nexus.judging import manners
from nexus.judging.programs import program

CHILD = Path(__file__).with_name("elsewhere_child.py")


class CannotBeCarriedError(Exception):
    """The answer, or what it raised, cannot be told to another process."""


def call(function: Callable[..., object], *arguments: object, seed: int, days: int = 0) -> object:
    """Calls a function in another interpreter.

    Args:
        function: the answer.
        arguments: what it gets.
        seed: of Python's hashes there.
        days: how many days later it is there.

    Returns:
        What it returns there.

    Raises:
        NotYet: if it takes too long.
        CannotBeCarriedError: if it cannot be called there, or raises there.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "call").write_bytes(pickle.dumps((_carried(function, {}), arguments, days)))
        program(
            [sys.executable, "-P", str(CHILD)],
            folder,
            {"PYTHONHASHSEED": str(seed), "PYTHONPATH": ""},
        )
        answer = folder / "answer"
        if not answer.exists():
            raise CannotBeCarriedError("it ended without an answer")
        kind, value = pickle.loads(answer.read_bytes())  # noqa: S301 (our own process wrote it)
    if kind == "raised":
        raise CannotBeCarriedError(value)
    return value


def _carried(value: object, known: dict[int, int]) -> Any:  # noqa: ANN401
    """A function as its code and what that uses; other values as pickle knows them."""
    if isinstance(value, FunctionType) and value.__module__ == manners.__name__:
        value = getclosurevars(value).nonlocals["real"]  # there, no kernel has to be kept
    if isinstance(value, ModuleType):
        return "module", value.__name__
    if not isinstance(value, FunctionType) or value.__module__ in sys.stdlib_module_names:
        try:
            return "value", pickle.dumps(value)
        except Exception as error:
            raise CannotBeCarriedError(str(error)) from None
    if id(value) in known:
        return "again", known[id(value)]
    number = known[id(value)] = len(known)
    names = {}
    for name in _names(value.__code__) & value.__globals__.keys():
        try:
            names[name] = _carried(value.__globals__[name], known)
        except CannotBeCarriedError:
            continue  # it may do without; else it raises NameError there
    cells = [_carried(cell.cell_contents, known) for cell in value.__closure__ or ()]
    defaults = _carried(value.__defaults__, known), _carried(value.__kwdefaults__, known)
    return "function", number, marshal.dumps(value.__code__), names, cells, defaults


def _names(code: CodeType) -> set[str]:
    """The global names that a function's code may use, and that of functions inside of it."""
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*map(_names, inner))
