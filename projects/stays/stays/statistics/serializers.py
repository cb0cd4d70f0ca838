"""Figures as JSON."""

from rest_framework import serializers

from stays.rest.fields import Day
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


class FiguresSerializer(serializers.ModelSerializer[DailyFigures]):
    """What a day brought in one currency."""

    class Meta:
        """What is shown."""

        model = DailyFigures
        fields = ("day", "currency", *FIGURES, "reckoned_at")
        read_only_fields = fields
