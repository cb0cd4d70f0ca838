"""Reading the figures."""

from datetime import date

from django.db.models import QuerySet

from stays.accounts.models import User
from stays.common.errors import Forbidden
from stays.statistics.models import DailyFigures


def figures(
    *,
    user: User,
    first_day: date | None = None,
    last_day: date | None = None,
    currency: str | None = None,
) -> QuerySet[DailyFigures]:
    """Return daily figures, for admins.

    Args:
        user: Who asks.
        first_day: From which day on.
        last_day: Until which day, this one included.
        currency: Of which currency only.

    Raises:
        Forbidden: if the user is no admin.
    """
    if not user.is_admin:
        raise Forbidden("Only admins see the figures.")
    wanted = {"day__gte": first_day, "day__lte": last_day, "currency": currency}
    given = {name: value for name, value in wanted.items() if value is not None}
    return DailyFigures.objects.filter(**given)
