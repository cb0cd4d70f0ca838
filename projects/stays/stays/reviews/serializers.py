"""Reviews as JSON."""

from rest_framework import serializers

from stays.rest.fields import Integer, OutputSerializer, StrictSerializer, Text
from stays.reviews.models import MAX_TEXT, Review


class ReviewSerializer(OutputSerializer[Review]):
    """A review. Everybody sees it, and of its author the first name only."""

    author = serializers.SerializerMethodField(help_text="The guest's first name")
    rating = serializers.IntegerField(min_value=1, max_value=5)

    class Meta:
        model = Review
        fields = ("id", "author", "rating", "text", "created_at")

    def get_author(self, review: Review) -> str:
        """Return the first of the guest's names."""
        return next(iter(review.booking.guest.name.split()), "")


class NewReviewSerializer(StrictSerializer):
    """What the stay was like."""

    rating = Integer(min_value=1, max_value=5)
    text = Text(required=False, allow_blank=True, max_length=MAX_TEXT)
