"""Writing reviews."""

import uuid

from django.db import transaction
from django.db.models import F

from stays.accounts.models import User
from stays.bookings import selectors as bookings
from stays.bookings.models import Status
from stays.bookings.services import local_today, lock_place_of
from stays.common.cache import invalidate
from stays.common.constraints import refusing
from stays.common.errors import Conflict, Forbidden
from stays.common.finding import get_or_refuse
from stays.listings.models import Property
from stays.reviews.models import Review


@transaction.atomic
def write_review(*, actor: User, booking_id: uuid.UUID, rating: int, text: str = "") -> Review:
    """Say what a stay was like, from the day of departure on.

    The place's rating changes in the same transaction.

    Args:
        actor: The guest.
        booking_id: The stay.
        rating: From 1 to 5.
        text: What there is to say.

    Raises:
        NotFound: if there is no such booking for the actor.
        Forbidden: if the actor is not its guest.
        Conflict: if nobody stayed, the stay is not over at the place, or there is a review already.
    """
    # The lock makes a cancellation wait, or be seen. The place's comes first, as everywhere.
    lock_place_of(booking_id)
    visible = bookings.visible_to(user=actor).select_for_update(of=("self",))
    booking = get_or_refuse(visible, id=booking_id)
    if booking.guest_id != actor.id:
        raise Forbidden("Only the guest writes a review.")
    if booking.status != Status.CONFIRMED:
        raise Conflict(f"A {booking.status} booking has no stay.", code="no_stay")
    if booking.stay.upper > local_today(booking.property):
        raise Conflict("The stay is not over.", code="stay_not_over")
    written = Conflict("There is a review of this stay.", code="reviewed")
    with refusing({"reviews_review_booking_id_key": written}):
        review = Review.objects.create(
            booking=booking, property=booking.property, rating=rating, text=text
        )
    Property.objects.filter(id=booking.property_id).update(
        rating_sum=F("rating_sum") + rating,
        rating_count=F("rating_count") + 1,
        version=F("version") + 1,
    )
    invalidate(f"property:{booking.property.slug}", "listings")
    return review
