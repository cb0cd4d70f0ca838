"""A query's rows under other plans: an order that nobody has asked for is luck."""

from collections.abc import Iterator
from contextlib import contextmanager

from nexus.judging.sandbox import Connection

SCANS = ("enable_indexscan", "enable_indexonlyscan", "enable_bitmapscan")

PLANS: tuple[tuple[str, ...], ...] = (
    (),
    SCANS,
    ("enable_seqscan", *SCANS[:2]),
    ("enable_hashagg", "enable_hashjoin"),
    ("enable_sort", "enable_nestloop", "enable_mergejoin"),
)
"""Which ways of the planner's are switched off together."""


@contextmanager
def without(connection: Connection, plan: tuple[str, ...]) -> Iterator[None]:
    """Switches some of the planner's ways off for a while."""
    for setting in plan:
        connection.execute(f"SET {setting} = off")  # type: ignore[arg-type]
    try:
        yield
    finally:
        for setting in plan:
            if not connection.broken:
                connection.execute(f"RESET {setting}")  # type: ignore[arg-type]


def other_plans(connection: Connection) -> Iterator[tuple[str, ...]]:
    """Each set of plans in turn; what is run in the loop's body is planned that way."""
    for plan in PLANS:
        with without(connection, plan):
            yield plan
