"""Turn the database's refusal into the refusal of a service."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from django.db import IntegrityError, transaction

from stays.common.errors import Refusal


@contextmanager
def refusing(refusals: Mapping[str, Refusal]) -> Iterator[None]:
    """Run a block in a savepoint, and raise the refusal that belongs to a broken constraint.

    Args:
        refusals: What to raise, by the constraint's name. Another constraint's error goes on as it
            is: it is a fault of this program.
    """
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        refusal = refusals.get(constraint_of(error) or "")
        if refusal is None:
            raise
        raise refusal from error


def constraint_of(error: IntegrityError) -> str | None:
    """Return the name of the constraint that was broken, as PostgreSQL reports it."""
    diagnosis = getattr(error.__cause__, "diag", None)
    return getattr(diagnosis, "constraint_name", None)
