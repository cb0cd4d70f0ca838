"""Deleting what nobody needs any more."""

from typing import Any

from django.db.models import QuerySet

BATCH = 5_000


def delete_in_batches(rows: QuerySet[Any]) -> int:
    """Delete rows, some at a time, and return how many they were.

    One statement for all would fail each night once they are too many for `statement_timeout`.
    """
    deleted = 0
    while ids := list(rows.values_list("pk", flat=True)[:BATCH]):
        deleted += rows.model._default_manager.filter(pk__in=ids).delete()[0]
    return deleted
