"""Figures as JSON."""

from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from stays.rest.fields import Day, OutputSerializer
from stays.rest.pagination import PageQuery
from stays.statistics.models import DailyFigures
from stays.statistics.services import FIGURES


class FiguresQuery(PageQuery):
    """Which figures."""

    first_day = Day(required=False, help_text="From which day on")
    last_day = Day(required=False, help_text="Until which day, this one included")
    currency = serializers.RegexField(
        r"\A[A-Z]{3}\Z", required=False, trim_whitespace=False, help_text="ISO 4217"
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse days in the wrong order."""
        first, last = attrs.get("first_day"), attrs.get("last_day")
        if first and last and last < first:
            fault = ErrorDetail("This is before the first day.", "order")
            raise serializers.ValidationError({"last_day": [fault]})
        return attrs


class FiguresSerializer(OutputSerializer[DailyFigures]):
    """What a day brought in one currency."""

    class Meta:
        model = DailyFigures
        fields = ("day", "currency", *FIGURES, "reckoned_at")
