"""Finding one row, or refusing."""

from typing import Any, TypeVar

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Model, QuerySet

from stays.common.errors import NotFound

M = TypeVar("M", bound=Model)


def get_or_refuse(rows: QuerySet[M], **lookup: Any) -> M:
    """Return the one row that is looked for; as Django's `get_object_or_404`, but for services.

    Raises:
        NotFound: if it is not among the rows.
    """
    try:
        return rows.get(**lookup)
    except ObjectDoesNotExist:
        raise NotFound(f"There is no such {rows.model._meta.verbose_name}.") from None
