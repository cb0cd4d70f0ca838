"""Reading reviews."""

from django.db.models import QuerySet

from stays.common.errors import NotFound
from stays.listings.models import Property
from stays.reviews.models import Review


def of_property(*, slug: str) -> QuerySet[Review]:
    """Return the reviews of a place that is offered, newest first, with their authors.

    Raises:
        NotFound: if there is no such place.
    """
    place = Property.objects.filter(slug=slug, is_listed=True).only("id").first()
    if place is None:
        raise NotFound("There is no such property.")
    return Review.objects.filter(property=place).select_related("booking__guest").order_by("-id")
