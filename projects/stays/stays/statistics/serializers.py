"""Figures as JSON."""

from typing import Any

from django.core.validators import RegexValidator
from rest_framework import serializers

from stays.common.fields import CURRENCY_PATTERN
from stays.rest.fields import Day, Text
from stays.rest.pagination import PageQuery
from stays.statistics.models import DailyFigures
from stays.statistics.services import FIGURES


class FiguresQuery(PageQuery):
    """Which figures."""

    first_day = Day(required=False, help_text="From which day on")
    last_day = Day(required=False, help_text="Until which day, this one included")
    currency = Text(
        required=False,
        trim_whitespace=False,
        validators=[RegexValidator(CURRENCY_PATTERN.replace("^", r"\A").replace("$", r"\Z"))],
        help_text="ISO 4217",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse days in the wrong order."""
        if (
            attrs.get("first_day")
            and attrs.get("last_day", attrs["first_day"]) < attrs["first_day"]
        ):
            raise serializers.ValidationError(
                {"last_day": "This is before the first day."}, "order"
            )
        return attrs


class FiguresSerializer(serializers.ModelSerializer[DailyFigures]):
    """What a day brought in one currency."""

    class Meta:
        """What is shown."""

        model = DailyFigures
        fields = ("day", "currency", *FIGURES, "reckoned_at")
        read_only_fields = fields
