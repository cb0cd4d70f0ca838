"""Places: the fields, and the constraints by which the database refuses wrong data."""

from django.conf import settings
from django.db import models


class Place(models.Model):
    """A place that a host offers."""

    host = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="places"
    )
    title = models.CharField(max_length=100)
    nightly_minor = models.PositiveIntegerField(help_text="Price of a night, in cents.")
    is_listed = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        """Constraints."""

        constraints = (
            models.CheckConstraint(
                condition=models.Q(nightly_minor__gt=0), name="place_costs_something"
            ),
        )

    def __str__(self) -> str:
        return self.title
