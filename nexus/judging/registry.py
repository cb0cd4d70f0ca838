"""Which exercises there are, and who judges them."""

import importlib
import pkgutil
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

PACKAGE = "nexus.exercises"
"""Where the judges are; imported by name when they are asked for, so that the kit needs none."""


@dataclass(frozen=True)
class Exercise:
    """An exercise's judge, the kind of answer it takes, and a hint for who has none yet.

    Attributes:
        stub: what the chapter gives, if that is to be mended; None if it gives nothing.
    """

    judge: Callable[..., str]
    takes: type
    called: str
    hint: str
    stub: object = None


_exercises: dict[str, Exercise] = {}


def judge(
    name: str, *, takes: type, called: str, hint: str, stub: object = None
) -> Callable[[Callable[..., str]], Callable[..., str]]:
    """Makes a function the judge of an exercise.

    The function gets the answer. It returns what is right about it, or raises NotYet.

    Args:
        name: the chapter's name and the exercise's number, such as "background-jobs.1".
        takes: the type of an answer.
        called: what such an answer is, for readers: "SQL in quotes".
        hint: what to say to None and to an empty answer.
        stub: what the chapter gives to be mended: a function, a text or a dictionary. Untouched
            it is judged, and is no try.
    """

    def register(function: Callable[..., str]) -> Callable[..., str]:
        _exercises[name] = Exercise(function, takes, called, hint, stub)
        return function

    return register


def find(name: str) -> Exercise:
    """The exercise of a name; its chapter's module is imported for it.

    Args:
        name: the chapter's name and the exercise's number, such as "background-jobs.1".

    Raises:
        LookupError: if there is none; the message names those of the chapter.
    """
    chapter = name.partition(".")[0]
    module = chapter.replace("-", "_")
    if name not in _exercises and module.isidentifier() and find_spec(f"{PACKAGE}.{module}"):
        importlib.import_module(f"{PACKAGE}.{module}")
    if name not in _exercises:
        there = sorted(known for known in _exercises if known.startswith(f"{chapter}."))
        known = f"; this chapter has {', '.join(there)}" if there else ""
        raise LookupError(f"there is no exercise {name!r}{known}")
    return _exercises[name]


def exercises() -> dict[str, list[str]]:
    """The names of all exercises, by chapter, in order."""
    package = importlib.import_module(PACKAGE)
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{PACKAGE}.{module.name}")
    chapters = defaultdict(list)
    for name in sorted(_exercises):
        chapters[name.partition(".")[0]].append(name)
    return dict(chapters)
