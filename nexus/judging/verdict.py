"""What a judge says of an answer."""

from dataclasses import dataclass

LONGEST = 1_000
"""Characters of a verdict: an answer may return a book, or an error of one."""


class NotYet(Exception):  # noqa: N818 (it is a judgement, not a failure)
    """What a judge raises when an answer is not right yet; the message helps to go on."""


@dataclass(frozen=True)
class Verdict:
    """What a judge says of an answer.

    Attributes:
        right: whether it is right.
        message: why, or what helps to go on.
        tried: whether it is a try: an exercise's untouched stub is none.
    """

    right: bool
    message: str
    tried: bool = True

    def __post_init__(self) -> None:
        if len(self.message) > LONGEST:
            object.__setattr__(self, "message", f"{self.message[: LONGEST - 1]}…")

    def __str__(self) -> str:
        return f"{'right' if self.right else 'not yet'}: {self.message}"


def first_line(error: BaseException) -> str:
    """The first line of an error's message; of one that cannot even be shown, nothing."""
    try:
        return str(error).strip().partition("\n")[0]
    except Exception:
        return "(no message)"
