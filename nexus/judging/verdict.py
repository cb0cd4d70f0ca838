"""Judges, and what they say of an answer."""

from dataclasses import dataclass

import psycopg

from nexus.judging.registry import find
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


def judge_answer(name: str, answer: object) -> Verdict:
    """Judges an answer of any type; whatever the answer does, the verdict is a sentence.

    Args:
        name: the exercise, such as "indexes-and-plans.1".
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
