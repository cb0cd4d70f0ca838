"""The plans of the search, on twenty thousand generated jobs."""

import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from demo import seeding
from tests.test_search import found

ROWS = 20_000


@pytest.fixture(scope="module")
def many(django_db_setup: None, django_db_blocker: Any) -> Any:
    """Twenty thousand jobs, for the tests of plans only."""
    with django_db_blocker.unblock():
        seeding.make_base(employers=100)
        seeding.copy_jobs(ROWS)
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE jobs_job, jobs_employer, jobs_category")
        yield
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE jobs_job, jobs_employer, jobs_category CASCADE")
            cursor.execute("ANALYZE jobs_job")


def plan_of(query: str) -> dict[str, Any]:
    """Return the plan of a search's own SQL, with what it really read."""
    with CaptureQueriesContext(connection) as queries:
        found(query)
    sql = next(each["sql"] for each in queries if 'FROM "jobs_job"' in each["sql"])
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}")
        text = cursor.fetchone()[0]
    plan: dict[str, Any] = (json.loads(text) if isinstance(text, str) else text)[0]["Plan"]
    return plan


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(each for inner in plan.get("Plans", []) for each in nodes(inner))]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("", "job_newest"),
        ("category=design", "job_category"),
        ("type=internship", "job_type"),
        ("place=tarnby", "job_place"),
        ("sort=-salary_max", "job_salary"),
        ("sort=salary_max", "job_salary"),
        ("sort=-salary_max&salary_from=110000", "job_salary"),
        ("q=archivist+19990", "job_text"),
        ("q=%22reference+777%22", "job_text"),
    ],
)
def test_an_index_answers(many: None, query: str, index: str) -> None:
    plan = plan_of(f"{query}&limit=20")
    read = [node["Index Name"] for node in nodes(plan) if "Index Name" in node]
    assert index in read, plan
    assert not [
        node
        for node in nodes(plan)
        if (node["Node Type"], node.get("Relation Name")) == ("Seq Scan", "jobs_job")
    ]
    touched = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_relation_size('jobs_job') / 8192")
        table = cursor.fetchone()[0]
    assert touched < table / 5, f"{touched} of {table} blocks"


@pytest.mark.django_db
@pytest.mark.parametrize("query", ["", "place=arnsheim", "category=sales", "sort=-salary_max"])
def test_a_late_page_reads_no_more_than_the_first(many: None, query: str) -> None:
    where, first, late = f"/api/v1/jobs?limit=100&{query}", None, query
    for _ in range(12):
        where = APIClient().get(where).json()["next"]
    first = plan_of(f"limit=100&{query}")
    late = where.partition("?")[2]
    blocks = [
        plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] for plan in (first, plan_of(late))
    ]
    assert blocks[1] <= blocks[0] * 1.5, blocks
