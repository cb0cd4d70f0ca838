"""Made-up data: a few rows to look at, or half a million to measure with."""

import random
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from jobs.models import Category, Employer, JobType

WORDS: dict[str, dict[str, Any]] = tomllib.loads(
    (settings.BASE_DIR / "data" / "words.toml").read_text(encoding="utf-8")
)
COLUMNS = (
    *("employer_id", "category_id", "title", "description", "place", "type"),
    *("salary_min", "salary_max", "published_at", "closed_at"),
)
NOW = datetime(2026, 6, 1, 8, tzinfo=UTC)
"""So that the same data comes at any time."""


def make_base(employers: int) -> None:
    """Make the categories, and some employers."""
    Category.objects.bulk_create(
        [Category(slug=slug, name=name) for slug, name in WORDS["categories"].items()]
    )
    names = [f"{one} {two}" for two in WORDS["words"]["second"] for one in WORDS["words"]["first"]]
    Employer.objects.bulk_create(
        [
            Employer(
                name=name,
                email=f"jobs@{name.lower().replace(' ', '-')}.example",
                description=f"{name} has existed for {number % 60 + 2} years.",
            )
            for number, name in enumerate(names[:employers])
        ]
    )


def rows(count: int, categories: dict[str, int], employers: list[int]) -> Iterator[tuple[Any, ...]]:
    """Yield jobs, the oldest first. Nine of ten are open, and big places have most of them."""
    chance = random.Random(1)  # noqa: S311 - no secret
    words = WORDS["words"]
    weights = [1 / (rank + 1) for rank in range(len(words["places"]))]
    places = chance.choices(words["places"], weights, k=count)
    types = chance.choices(JobType.values, [12, 4, 2, 1, 1], k=count)
    for number in range(count):
        slug = chance.choice(list(categories))
        low = chance.randrange(24, 90) * 1000
        tasks, wishes = chance.sample(words["tasks"], 3), chance.sample(words["wishes"], 3)
        published = NOW - timedelta(minutes=count - number, microseconds=chance.randrange(10**6))
        title = chance.choice(WORDS["titles"][slug])
        yield (
            chance.choice(employers),
            categories[slug],
            title,
            f"As a {title.lower()} you {', '.join(tasks)}. You bring {', '.join(wishes)}. "
            f"We offer {' and '.join(chance.sample(words['offers'], 2))}. Reference {number}.",
            places[number],
            types[number],
            low,
            low + chance.randrange(2, 30) * 1000,
            published,
            published + timedelta(days=9) if chance.random() < 0.1 else None,
        )


def copy_jobs(count: int) -> None:
    """Copy generated jobs into the table, and have the planner know them."""
    categories = dict(Category.objects.values_list("slug", "id"))
    employers = list(Employer.objects.order_by("id").values_list("id", flat=True))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")  # many rows take their time
        with cursor.copy(f"COPY jobs_job ({', '.join(COLUMNS)}) FROM STDIN") as copy:
            for row in rows(count, categories, employers):
                copy.write_row(row)
        cursor.execute("ANALYZE jobs_job, jobs_employer, jobs_category")
