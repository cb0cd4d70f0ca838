"""Refusals: what a service does not do, and why. Pages and the API show them in their own ways."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext

from django.db import IntegrityError, connection, transaction


class Refusal(Exception):
    """Something that is not done.

    Attributes:
        status: The HTTP status that says the same.
        code: A short name that programs can rely on.
        detail: One sentence for people.
        field: The field at fault, if it is one.
        retry_after: Seconds after which it may be tried again.
    """

    def __init__(
        self, status: int, code: str, detail: str, *, field: str = "", retry_after: int = 0
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.field = field
        self.retry_after = retry_after


def no_poll() -> Refusal:
    """There is no poll of this id."""
    return Refusal(404, "not_found", "There is no such poll.")


def closed() -> Refusal:
    """The poll takes no votes any more."""
    return Refusal(409, "poll_closed", "The poll is closed.")


def frozen() -> Refusal:
    """The poll has votes: what they were given for must not change."""
    return Refusal(409, "poll_has_votes", "The poll has votes already.")


@contextmanager
def refusing(refusals: Mapping[str, Refusal]) -> Iterator[None]:
    """Run a block, and raise the refusal that belongs to a broken constraint.

    Inside a transaction the block gets a savepoint, so that the rest can go on. Outside there is no
    need for one, and a single statement stays a single statement.

    Args:
        refusals: What to raise, by the constraint's name. Another constraint's error goes on as it
            is: it is a fault of this program.
    """
    try:
        with transaction.atomic() if connection.in_atomic_block else nullcontext():
            yield
    except IntegrityError as error:
        diagnosis = getattr(error.__cause__, "diag", None)
        refusal = refusals.get(getattr(diagnosis, "constraint_name", None) or "")
        if refusal is None:
            raise
        raise refusal from error
