"""Measure the search: `make bench`. Each query with all indexes, then without those of the search.

Counts of blocks (8 kB) do not depend on how busy a machine is. Times do, so compare them by ratio.
"""

import os
import statistics
import sys
import time

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

from demo import seeding  # noqa: E402
from jobs import serializers  # noqa: E402
from jobs.pagination import paginate  # noqa: E402
from jobs.search import search  # noqa: E402

ROWS = int(os.environ.get("ROWS", "500000"))
ROUNDS = 5
QUERIES = {
    "newest": {},
    "category": {"category": "design"},
    "place, the rarest": {"place": "tarnby"},
    "type, the rarest": {"type": "internship"},
    "best paid": {"sort": "-salary_max"},
    "pays 115,000 or more, best paid": {"sort": "-salary_max", "salary_from": "115000"},
    "two words, 1 row": {"q": "archivist 77777"},
    "a word, 2 % of the rows": {"q": "archivist"},
    "a word and a place": {"q": "archivist", "place": "tarnby"},
}
INDEXES = ("newest", "category", "type", "place", "salary", "text")


def page(wanted: dict[str, str], cursor: str | None = None) -> tuple[float, int, str | None]:
    """Fetch one page; return its median milliseconds, its blocks, and the next cursor."""
    reader = serializers.SearchQuery(data=wanted)
    reader.is_valid(raise_exception=True)
    jobs, ordering = search(reader.validated_data)
    times, following = [], None
    for _ in range(ROUNDS):
        began = time.perf_counter()
        following = paginate(jobs, ordering, cursor, 20).cursor
        times.append((time.perf_counter() - began) * 1000)
    plan = jobs.order_by(*ordering)[:21].explain(analyze=True, buffers=True, format="json")
    blocks = plan.split('"Shared Hit Blocks": ')[1].split(",")[0]
    read = plan.split('"Shared Read Blocks": ')[1].split(",")[0]
    return statistics.median(times), int(blocks) + int(read), following


def main() -> None:
    """Load, measure, drop the indexes, measure again."""
    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
    seeding.make_base(employers=400)
    began = time.perf_counter()
    seeding.copy_jobs(ROWS)
    took = time.perf_counter() - began
    with connection.cursor() as cursor:
        cursor.execute("SET max_parallel_workers_per_gather = 0")
        cursor.execute("VACUUM ANALYZE jobs_job")
        cursor.execute("SELECT pg_table_size('jobs_job'), pg_indexes_size('jobs_job')")
        table, indexes = (size // 1_000_000 for size in cursor.fetchone())
    print(f"{ROWS:,} jobs in {took:.0f} s: table {table} MB, indexes {indexes} MB")
    with_indexes = {name: page(wanted) for name, wanted in QUERIES.items()}
    following = None
    for _ in range(500):
        following = paginate(*search({"sort": "-published_at"}), following, 20).cursor
    late = page({}, following)
    with connection.cursor() as cursor:
        for name in INDEXES:
            cursor.execute(f"DROP INDEX job_{name}")
    print(f"{'':34}{'with indexes':>20}{'without':>20}{'ratio':>8}")
    for name, wanted in QUERIES.items():
        (ms, blocks, _), (slow, many, _) = with_indexes[name], page(wanted)
        row = f"{name:<34}{ms:9.1f} ms {blocks:7,}{slow:9.1f} ms {many:7,}{slow / ms:8.0f}"
        print(row, flush=True)
    print(f"newest, page 501: {late[0]:.1f} ms; page 1: {with_indexes['newest'][0]:.1f} ms")


if __name__ == "__main__":
    sys.exit(main())
