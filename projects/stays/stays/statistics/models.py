"""What a day brought, reckoned at night."""

from django.db import models

from stays.common.fields import currency, minor_units


class DailyFigures(models.Model):
    """The bookings and the money of one day (UTC) in one currency."""

    day = models.DateField()
    currency = currency()
    bookings_made = models.PositiveIntegerField()
    bookings_confirmed = models.PositiveIntegerField()
    bookings_cancelled = models.PositiveIntegerField()
    nights_confirmed = models.PositiveIntegerField()
    revenue_minor = minor_units()
    reckoned_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "daily figures"
        constraints = (
            models.UniqueConstraint(fields=["day", "currency"], name="figures_one_a_day"),
        )

    def __str__(self) -> str:
        return f"{self.day} {self.currency}"
