"""Database functions and fields that several models share."""

import uuid
from typing import Any

from django.db import models


class UUIDv7(models.Func):
    """PostgreSQL 18's `uuidv7()`: sorted by time, so that new rows go to the end of an index.

    Source: PostgreSQL 18 manual, 9.14 UUID Functions; RFC 9562, 5.7.
    """

    function = "uuidv7"
    arity = 0
    output_field = models.UUIDField()


def identifier() -> "models.UUIDField[uuid.UUID, uuid.UUID]":
    """The primary key of every model that the outside knows: made by the database."""
    return models.UUIDField(primary_key=True, db_default=UUIDv7(), editable=False)


class Nights(models.Func):
    """The number of nights in a range of dates."""

    template = "(upper(%(expressions)s) - lower(%(expressions)s))"
    arity = 1
    output_field = models.IntegerField()


def minor_units(**options: Any) -> "models.BigIntegerField[int, int]":
    """An amount of money as an integer of the currency's smallest unit (cents, yen)."""
    return models.BigIntegerField(**options)


def currency() -> "models.CharField[str, str]":
    """A currency by its ISO 4217 code."""
    return models.CharField(max_length=3)


CURRENCY_PATTERN = r"^[A-Z]{3}$"
