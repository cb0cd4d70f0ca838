"""Judges, and what they say of an answer."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import psycopg

from nexus.exercises import progress
from nexus.services import ServiceError

LONGEST_ANSWER = 20_000
"""Characters; the longest solution has some hundred."""


class NotYet(Exception):  # noqa: N818 (it is a judgement, not a failure)
    """What a judge raises when an answer is not right yet; the message helps to go on."""


@dataclass(frozen=True)
class Verdict:
    """What a judge says of an answer."""

    right: bool
    message: str

    def __str__(self) -> str:
        return f"{'right' if self.right else 'not yet'}: {self.message}"


@dataclass(frozen=True)
class Exercise:
    """An exercise's judge, the kind of answer it takes, and a hint for who has none yet."""

    judge: Callable[..., str]
    takes: type
    called: str
    hint: str


_exercises: dict[str, Exercise] = {}


def judge(
    name: str, *, takes: type, called: str, hint: str
) -> Callable[[Callable[..., str]], Callable[..., str]]:
    """Makes a function the judge of an exercise.

    The function gets the answer. It returns what is right about it, or raises NotYet.

    Args:
        name: the chapter's short name and the exercise's number, such as "indexes.1".
        takes: the type of an answer.
        called: what such an answer is, for readers: "SQL in quotes".
        hint: what to say to None and to an empty answer.
    """

    def register(function: Callable[..., str]) -> Callable[..., str]:
        _exercises[name] = Exercise(function, takes, called, hint)
        return function

    return register


def find(name: str) -> Exercise:
    """The exercise of a name; its chapter's module is imported for it.

    Raises:
        LookupError: if there is none; the message names those of the chapter.
    """
    chapter = name.partition(".")[0]
    module = f"nexus.exercises.{chapter}"
    if name not in _exercises and chapter.isidentifier() and find_spec(module):
        importlib.import_module(module)
    if name not in _exercises:
        there = sorted(known for known in _exercises if known.startswith(f"{chapter}."))
        known = f"; this chapter has {', '.join(there)}" if there else ""
        raise LookupError(f"there is no exercise {name!r}{known}")
    return _exercises[name]


def judge_answer(name: str, answer: object) -> Verdict:
    """Judges an answer of any type; whatever the answer does, the verdict is a sentence.

    Args:
        name: the exercise, such as "indexes.1".
        answer: the reader's answer.

    Returns:
        The verdict.

    Raises:
        LookupError: if there is no such exercise.
        ServiceError: if the server that the judge needs is not running.
    """
    exercise = find(name)
    if answer is None or answer is ... or (isinstance(answer, str) and not answer.strip()):
        return Verdict(False, exercise.hint)
    if not isinstance(answer, exercise.takes):
        kind = type(answer).__name__
        return Verdict(False, f"the answer should be {exercise.called}; this is of type {kind}")
    if isinstance(answer, str) and len(answer) > LONGEST_ANSWER:
        return Verdict(False, f"{len(answer):,} characters are too many: a few lines will do")
    try:
        return Verdict(True, exercise.judge(answer))
    except NotYet as hint:
        return Verdict(False, str(hint))
    except ServiceError:
        raise
    except psycopg.Error as error:
        return Verdict(False, f"PostgreSQL says: {first_line(error)}")
    except (Exception, SystemExit) as error:  # the answer's own code may raise anything
        return Verdict(False, f"the answer raised {type(error).__name__}: {first_line(error)}")


def first_line(error: BaseException) -> str:
    """The first line of an error's message; of one that cannot even be shown, nothing."""
    try:
        return str(error).strip().partition("\n")[0]
    except Exception:
        return "(no message)"


def check(name: str, answer: object = None, *, record: bool = True) -> None:
    """Judges an answer and prints the verdict.

    Args:
        name: the exercise, such as "indexes.1".
        answer: your answer.
        record: whether it counts for your progress; the chapters' own solutions do not.

    Raises:
        LookupError: if there is no such exercise.
        ServiceError: if the server that the judge needs is not running.
    """
    verdict = judge_answer(name, answer)
    print(verdict)  # noqa: T201 (a cell's output)
    if record:
        progress.record(name, right=verdict.right)
