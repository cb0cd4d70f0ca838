"""What a reader calls: the verdict is printed, and the try recorded."""

from nexus.judging import records
from nexus.judging.judgement import judge_answer


def check(name: str, answer: object = None, *, record: bool = True) -> None:
    """Judges an answer and prints the verdict.

    Args:
        name: the exercise, such as "indexes-and-plans.1".
        answer: your answer.
        record: whether it counts for your progress; the chapters' own solutions do not. What the
            chapter gave, untouched, never counts.

    Raises:
        LookupError: if there is no such exercise.
        ServiceError: if the server that the judge needs is not running.
    """
    verdict = judge_answer(name, answer)
    print(verdict)  # noqa: T201 (a cell's output)
    if record and verdict.tried:
        records.record(name, right=verdict.right)
