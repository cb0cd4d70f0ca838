"""Whether an answer is still what the chapter gave: that is no try."""

import dis
import re
from collections.abc import Mapping
from types import CodeType, FunctionType

COMMENTS = re.compile(r"/\*[\s\S]*?\*/|^[^\S\n]*(--|#(?!!)).*$", re.M)
"""Of SQL, and of what begins with `#`; `#!` is the first line of a script."""

NOTHING = frozenset(
    {"RESUME", "NOP", "LOAD_CONST", "POP_TOP", "RETURN_VALUE", "RETURN_CONST", "COPY_FREE_VARS"}
)
"""What a function consists of that does nothing."""

REFUSING = NOTHING | {"LOAD_GLOBAL", "PUSH_NULL", "PRECALL", "CALL", "RAISE_VARARGS"}
"""And of one that raises an error which it does not have to look for."""


def is_empty(answer: object) -> bool:
    """Whether an answer says nothing: None, `...`, only comments, `raise NotImplementedError`."""
    if answer is None or answer is ...:
        return True
    if isinstance(answer, str):
        return not COMMENTS.sub("", answer).strip()
    if isinstance(answer, tuple):
        return bool(answer) and all(map(is_empty, answer))
    if not isinstance(answer, FunctionType):
        return False
    names = {step.opname for step in dis.get_instructions(answer.__code__)}
    if answer.__code__.co_names != ("NotImplementedError",):
        return False
    return "RAISE_VARARGS" in names and names <= REFUSING


def does_nothing(answer: object) -> bool:
    """Whether an answer is a function whose body is only a docstring, pass, `...`, or None."""
    if not isinstance(answer, FunctionType):
        return False
    steps = list(dis.get_instructions(answer.__code__))
    returned = {
        repr(step.argval) for step in steps if step.opname in {"LOAD_CONST", "RETURN_CONST"}
    }
    return {step.opname for step in steps} <= NOTHING and returned <= {"None", "Ellipsis"}


def is_same(answer: object, stub: object) -> bool:
    """Whether an answer is a stub: the same code, or the same text but for its blanks.

    Args:
        answer: of any type.
        stub: what the chapter gives; for functions and classes, their text.
    """
    if isinstance(stub, str) and isinstance(answer, FunctionType | tuple | type):
        functions = answer if isinstance(answer, tuple) else (answer,)
        try:
            given = [part for part in compile(stub, "stub", "exec").co_consts if _is_code(part)]
        except SyntaxError:
            return False  # it is a text of another kind
        if isinstance(answer, type):  # its methods, and those of the class in the text
            functions = tuple(part for part in vars(answer).values() if _is_function(part))
            given = [part for body in given for part in body.co_consts if _is_code(part)]
        return list(map(_likeness_of, functions)) == list(map(_likeness, given))
    if isinstance(stub, Mapping):
        return (
            isinstance(answer, Mapping)
            and list(answer) == list(stub)
            and all(is_same(answer[key], stub[key]) for key in stub)
        )
    if isinstance(stub, str):
        # A schema's text is its definition.
        return str(answer).split() == stub.split()
    return bool(answer == stub)


def _is_code(value: object) -> bool:
    return isinstance(value, CodeType)


def _is_function(value: object) -> bool:
    return isinstance(value, FunctionType)


def _likeness_of(function: object) -> object:
    return _likeness(function.__code__) if isinstance(function, FunctionType) else None


def _likeness(code: CodeType) -> tuple[object, ...]:
    """What two functions have alike that were written alike: not their lines and modules."""
    constants = tuple(
        _likeness(value) if isinstance(value, CodeType) else (type(value), value)
        for value in code.co_consts
        if not isinstance(value, str) or "<locals>" not in value  # a function's place
    )
    return code.co_code, code.co_names, code.co_varnames, code.co_freevars, constants
