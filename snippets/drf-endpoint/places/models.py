"""The model that the endpoint shows."""

from django.db import models


class Place(models.Model):
    """A place to stay. Prices are in the currency's smallest unit."""

    title = models.CharField(max_length=100)
    city = models.SlugField(max_length=80)
    nightly_minor = models.PositiveIntegerField()
    version = models.PositiveIntegerField(default=1, help_text="Counts changes; makes the ETag")

    def __str__(self) -> str:
        return self.title
