"""How many queries an answer costs, and what PostgreSQL does for a search. Django must be set up.

The figures mean something only if a search is served from an index, at a number of queries that
does not grow. So both are checked, and a run that does not meet them fails.
"""

import json
from collections.abc import Iterator
from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

BOOKINGS = "bookings_booking"


class BrokenPromise(Exception):
    """A search reads all bookings, or its number of queries grows."""


def counted(path: str, **headers: str) -> list[str]:
    """Return the SQL of the queries that an answer costs."""
    return _asked(path, headers)[1]


def _asked(path: str, headers: dict[str, str]) -> tuple[bytes, list[str]]:
    """Return an answer, and the SQL of its queries."""
    with CaptureQueriesContext(connection) as captured:
        response = Client().get(path, headers=headers)
    if response.status_code not in (200, 304):
        raise BrokenPromise(f"{path} answers {response.status_code}: {response.content!r}")
    return response.content, [query["sql"] for query in captured.captured_queries]


def check_constant(paths: list[str]) -> int:
    """Return the number of queries that each of some searches costs.

    Those that find nothing cost less, and do not count.

    Raises:
        BrokenPromise: if it is not the same for all, or all find nothing.
    """
    numbers = {}
    for path in paths:
        content, queries = _asked(path, {})
        if json.loads(content)["results"]:
            numbers[path] = len(queries)
    if len(set(numbers.values())) != 1:
        raise BrokenPromise(f"The number of queries depends on the search: {numbers}")
    return next(iter(numbers.values()))


def explained(path: str) -> dict[str, str]:
    """Return PostgreSQL's plans of a search's queries that read bookings, by the query's SQL.

    Raises:
        BrokenPromise: if one reads bookings otherwise than from an index, or none reads them.
    """
    plans: dict[str, str] = {}
    for sql in counted(path):
        if BOOKINGS not in sql:
            continue
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}")
            (tree,) = cursor.fetchone()
            tree = json.loads(tree) if isinstance(tree, str) else tree
            cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {sql}")
            plans[sql] = "\n".join(line for (line,) in cursor.fetchall())
        nodes = list(_nodes(tree[0]["Plan"]))
        whole = [node for node in nodes if node.get("Relation Name") == BOOKINGS]
        if any(node["Node Type"] == "Seq Scan" for node in whole) or not any(
            "Index Name" in node for node in nodes
        ):
            raise BrokenPromise(f"{path} does not read bookings from an index:\n{plans[sql]}")
    if not plans:
        raise BrokenPromise(f"{path} does not ask for bookings.")
    return plans


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the nodes of a plan."""
    yield plan
    for child in plan.get("Plans", []):
        yield from _nodes(child)
