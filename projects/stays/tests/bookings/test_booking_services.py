from collections import Counter

import pytest

from stays.bookings import services
from stays.bookings.models import Booking, Status
from stays.common.errors import Invalid
from tests.factories import day, make_property, make_user
from tests.racing import race

pytestmark = pytest.mark.django_db


def test_a_booking_keeps_the_price_of_the_moment() -> None:
    place = make_property(nightly_minor=9_000, cleaning_minor=3_000)
    booking = services.create_booking(
        actor=make_user(), property_slug=place.slug, check_in=day(5), check_out=day(8), guests=2
    )
    place.nightly_minor = 99_000
    place.save()
    booking.refresh_from_db()
    assert (booking.nights, booking.total_minor, booking.status) == (3, 30_000, Status.PENDING)


@pytest.mark.parametrize(
    ("check_in", "check_out", "guests", "field"),
    [
        (-2, 3, 1, "check_in"),
        (5, 5, 1, "check_out"),
        (5, 4, 1, "check_out"),
        (5, 96, 1, "check_out"),
        (5, 8, 0, "guests"),
        (5, 8, 5, "guests"),
    ],
)
def test_what_cannot_be_is_refused(check_in: int, check_out: int, guests: int, field: str) -> None:
    place = make_property(max_guests=4)
    with pytest.raises(Invalid) as refused:
        services.create_booking(
            actor=make_user(),
            property_slug=place.slug,
            check_in=day(check_in),
            check_out=day(check_out),
            guests=guests,
        )
    assert refused.value.field == field
    assert not Booking.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_twenty_guests_who_want_the_same_nights_one_gets_them() -> None:
    place = make_property()
    guests = [make_user() for _ in range(20)]

    def book(number: int) -> Booking:
        return services.create_booking(
            actor=guests[number],
            property_slug=place.slug,
            check_in=day(5 + number % 3),
            check_out=day(9 + number % 3),
            guests=1,
        )

    outcomes = Counter(getattr(got, "code", type(got).__name__) for got in race(book, 20))
    assert outcomes == {"Booking": 1, "dates_taken": 19}
    assert Booking.objects.count() == 1
