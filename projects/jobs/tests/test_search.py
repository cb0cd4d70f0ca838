"""The search: what it finds, that pages are whole, and that indexes answer it."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from jobs.models import Job
from tests.conftest import make_category, make_job


def found(query: str) -> list[Any]:
    answer = APIClient().get(f"/api/v1/jobs?{query}")
    assert answer.status_code == 200, answer.content
    return [job["id"] for job in answer.json()["results"]]


def test_each_filter_finds_its_own(db: None) -> None:
    baker = make_job(salary_min=20_000, salary_max=30_000)
    nurse = make_job(
        title="Nurse",
        description="You look after patients.",
        place="Tarnby",
        type="part_time",
        salary_min=40_000,
        salary_max=50_000,
    )
    both = [nurse.pk, baker.pk]
    for query, expected in {
        "": both,
        "q=patient": [nurse.pk],  # another form of the word
        "q=bread+or+nurse": both,
        "q=-nurse": [baker.pk],
        'q="at night"': [baker.pk],
        "q=zzz": [],
        "place=TARNBY": [nurse.pk],
        "place=Tarn": [],
        f"category={nurse.category.slug}": [nurse.pk],
        "category=none-such": [],
        "type=part_time": [nurse.pk],
        "salary_from=30001": [nurse.pk],
        "salary_from=30000": both,
        "salary_to=39999": [baker.pk],
        "salary_from=25000&salary_to=45000": both,
        "sort=salary_max": [baker.pk, nurse.pk],
        "sort=-salary_max": both,
        "q=nurse&place=tarnby&type=part_time&salary_from=1&sort=salary_max": [nurse.pk],
    }.items():
        assert found(query) == expected, query


@pytest.mark.parametrize(
    "text",
    ["' OR 1=1 --", "'; DROP TABLE jobs_job; --", "a' & !b | (", "\\", "%", "\u2603", "x" * 80],
)
def test_hostile_words_are_words(db: None, text: str) -> None:
    make_job()
    for name in ("q", "place"):
        answer = APIClient().get("/api/v1/jobs", {name: text})
        assert (answer.status_code, answer.json()["results"]) == (200, [])
    assert Job.objects.count() == 1


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=101", "limit=x", "cursor=x", "sort=title", "type=king", "colour=red"),
        *("salary_from=-1", "salary_from=1e3", "q=a%00b", "category=A+B", "q="),
    ],
)
def test_a_query_with_a_fault_names_it(db: None, query: str) -> None:
    answer = APIClient().get(f"/api/v1/jobs?{query}")
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [query.partition("=")[0]]


@pytest.mark.parametrize("sort", ["-published_at", "-salary_max", "salary_max"])
def test_pages_hold_each_row_once_also_while_rows_are_added(db: None, sort: str) -> None:
    category = make_category()
    made = [make_job(category=category, salary_max=40_000 + n % 3).pk for n in range(9)]
    where, seen = f"/api/v1/jobs?limit=2&sort={sort}", []
    while where:
        page = APIClient().get(where).json()
        seen += [job["id"] for job in page["results"]]
        where = page["next"]
        if len(seen) < 8:
            make_job(category=category, salary_max=40_000 + len(seen) % 3)
    assert sorted(set(seen) & set(made)) == sorted(made)
    assert len(seen) == len(set(seen))


def test_a_cursor_is_good_for_its_own_order_only(db: None) -> None:
    for _ in range(2):
        make_job()
    following = APIClient().get("/api/v1/jobs?limit=1").json()["next"]
    assert APIClient().get(following).status_code == 200
    assert APIClient().get(following + "&sort=salary_max").status_code == 400
