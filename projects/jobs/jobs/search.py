"""The search. An index of `Job` answers each filter but `salary_to`.

`salary_to` only removes rows from what another filter, or the order, has found.
"""

from typing import Any

from django.contrib.postgres.search import SearchQuery
from django.db.models import QuerySet
from django.db.models.functions import Lower

from jobs.models import OPEN, Category, Job


def search(wanted: dict[str, Any]) -> tuple[QuerySet[Job], tuple[str, str]]:
    """Return the open jobs that somebody looks for, and how their pages are ordered.

    Args:
        wanted: The validated parameters of `serializers.SearchQuery`.
    """
    jobs = Job.objects.filter(OPEN).select_related("employer", "category").defer("text")
    if "q" in wanted:
        query = SearchQuery(wanted["q"], config="english", search_type="websearch")
        jobs = jobs.filter(text=query)
    if "place" in wanted:
        jobs = jobs.alias(lower=Lower("place")).filter(lower=wanted["place"].lower())
    if "category" in wanted:
        # A subquery of one row: with a join, PostgreSQL would not read the index in its order.
        ids = Category.objects.filter(slug=wanted["category"]).values("id")
        jobs = jobs.filter(category=ids[:1])
    if "type" in wanted:
        jobs = jobs.filter(type=wanted["type"])
    if "salary_from" in wanted:
        jobs = jobs.filter(salary_max__gte=wanted["salary_from"])
    if "salary_to" in wanted:
        jobs = jobs.filter(salary_min__lte=wanted["salary_to"])
    sort = wanted["sort"]
    return jobs, (sort, "-id" if sort.startswith("-") else "id")
