"""What is said of an answer of any kind; whatever the answer does, it is a sentence."""

import psycopg

from nexus.judging import limits, manners
from nexus.judging.registry import Exercise, find
from nexus.judging.stubs import does_nothing, is_empty, is_same
from nexus.judging.verdict import NotYet, Verdict, first_line
from nexus.services import ServiceError

LONGEST_ANSWER = 20_000
"""Characters; the longest solution has some hundred."""


def judge_answer(name: str, answer: object) -> Verdict:
    """Judges an answer of any type.

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
    if is_empty(answer):
        return Verdict(False, exercise.hint, tried=False)
    if not isinstance(answer, exercise.takes):
        kind = type(answer).__name__
        return Verdict(False, f"the answer should be {exercise.called}; this is of type {kind}")
    if isinstance(answer, str) and len(answer) > LONGEST_ANSWER:
        return Verdict(False, f"{len(answer):,} characters are too many: a few lines will do")
    try:
        with manners.kept(answer), limits.judgement():
            return Verdict(True, exercise.judge(answer))
    except ServiceError:
        raise
    except (Exception, SystemExit) as error:  # the answer's own code may raise anything
        return Verdict(False, _said_of(error), tried=not _is_stub(exercise, answer))


def _said_of(error: BaseException) -> str:
    """Why an answer is not right yet."""
    if isinstance(error, NotYet):
        return str(error)
    if isinstance(error, psycopg.Error):
        return f"PostgreSQL says: {first_line(error)}"
    return f"the answer raised {type(error).__name__}: {first_line(error)}"


def _is_stub(exercise: Exercise, answer: object) -> bool:
    """Whether an answer is what the chapter gave, to be mended, or does nothing at all."""
    try:
        return does_nothing(answer) or (
            exercise.stub is not None and is_same(answer, exercise.stub)
        )
    except Exception:  # an answer's own comparison may raise anything
        return False
