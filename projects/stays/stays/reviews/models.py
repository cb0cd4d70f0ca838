"""Reviews, one a stay."""

from django.db import models
from django.db.models import Q

from stays.bookings.models import Booking
from stays.common.fields import identifier
from stays.listings.models import Property

MAX_TEXT = 2000


class Review(models.Model):
    """What a guest says after a stay.

    The property stands here too, so that a property's reviews are read from one index. A foreign
    key on both columns (in the migration) makes sure that it is the one that was booked.
    """

    id = identifier()
    booking = models.OneToOneField(Booking, on_delete=models.PROTECT, related_name="review")
    property = models.ForeignKey(Property, on_delete=models.PROTECT, related_name="reviews")
    rating = models.PositiveSmallIntegerField()
    text = models.TextField(max_length=MAX_TEXT, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.CheckConstraint(condition=Q(rating__range=(1, 5)), name="review_rating"),
        )
        indexes = (models.Index(fields=["property", "id"], name="review_property"),)

    def __str__(self) -> str:
        return f"{self.rating} of 5"
