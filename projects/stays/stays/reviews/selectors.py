"""Reading reviews."""

from django.db.models import QuerySet

from stays.common.finding import get_or_refuse
from stays.listings.models import Property
from stays.reviews.models import Review


def of_property(*, slug: str) -> QuerySet[Review]:
    """Return the reviews of a place that is offered, newest first, with their authors.

    Raises:
        NotFound: if there is no such place.
    """
    place = get_or_refuse(Property.objects.only("id"), slug=slug, is_listed=True)
    return Review.objects.filter(property=place).select_related("booking__guest").order_by("-id")
