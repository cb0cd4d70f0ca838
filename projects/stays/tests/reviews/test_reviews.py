import uuid
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import IntegrityError, transaction
from rest_framework.test import APIClient
from zeal import zeal_ignore

from stays.accounts.models import User
from stays.bookings.models import Booking
from stays.common.cache import cached
from stays.common.constraints import constraint_of
from stays.common.errors import Conflict, Forbidden, NotFound, Refusal
from stays.reviews import selectors, services
from stays.reviews.models import Review
from tests.factories import make_admin, make_booking, make_city, make_host, make_property, make_user
from tests.racing import race

pytestmark = pytest.mark.django_db
AsUser = Callable[[User], APIClient]


def stayed(**fields: Any) -> Booking:
    """A stay that is over."""
    return make_booking(check_in=-10, nights=3, status="confirmed", **fields)


def rating_of(booking: Booking) -> tuple[int, int, int]:
    """What the place shows: sum and number of ratings, and its version."""
    booking.property.refresh_from_db()
    return (
        booking.property.rating_sum,
        booking.property.rating_count,
        booking.property.version,
    )


def write(booking: Booking, actor: User | None = None, **fields: Any) -> Review:
    return services.write_review(
        actor=actor or booking.guest, booking_id=booking.id, **({"rating": 4} | fields)
    )


def test_a_review_changes_the_rating() -> None:
    booking = stayed()
    review = write(booking, rating=5, text="Quiet.")
    assert (review.rating, review.text, review.property_id) == (5, "Quiet.", booking.property_id)
    assert str(review) == "5 of 5"
    assert rating_of(booking) == (5, 1, 2)
    make_more = make_booking(
        property=booking.property, check_in=-20, status="confirmed", guest=booking.guest
    )
    with zeal_ignore():
        write(make_more, rating=2)
    assert rating_of(booking) == (7, 2, 3)
    assert booking.property.rating == Decimal("3.50")


def test_only_the_guest_writes() -> None:
    booking = stayed()
    actors: dict[User, type[Refusal]] = {
        booking.property.host: Forbidden,
        make_admin(): Forbidden,
        make_user(): NotFound,
        make_host(): NotFound,
    }
    for actor, refusal in actors.items():
        with pytest.raises(refusal), zeal_ignore():
            write(booking, actor)
    assert not Review.objects.exists()
    assert rating_of(booking) == (0, 0, 1)


@pytest.mark.parametrize("status", ["pending", "cancelled", "expired"])
def test_without_a_stay_there_is_no_review(status: str) -> None:
    booking = make_booking(check_in=-10, status=status)
    with pytest.raises(Conflict) as refused:
        write(booking)
    assert refused.value.code == "no_stay"
    assert rating_of(booking) == (0, 0, 1)


@pytest.mark.parametrize(("check_in", "nights"), [(5, 2), (-1, 5), (0, 1)])
def test_before_the_stay_is_over_there_is_no_review(check_in: int, nights: int) -> None:
    place = make_property(city=make_city(timezone="UTC"))
    booking = make_booking(property=place, check_in=check_in, nights=nights, status="confirmed")
    with pytest.raises(Conflict) as refused:
        write(booking)
    assert refused.value.code == "stay_not_over"
    assert not Review.objects.exists()


@pytest.mark.parametrize(("zone", "hours"), [("Pacific/Auckland", -12), ("America/New_York", 5)])
def test_the_day_is_that_of_the_place(zone: str, hours: int) -> None:
    place = make_property(city=make_city(timezone=zone))
    booking = make_booking(property=place, check_in=10, nights=2, status="confirmed")
    departure = datetime.combine(booking.stay.upper, datetime.min.time(), UTC)
    begins = departure + timedelta(hours=hours)  # when that day begins there
    with time_machine.travel(begins - timedelta(hours=2), tick=False), pytest.raises(Conflict):
        write(booking)
    with time_machine.travel(begins + timedelta(hours=2), tick=False), zeal_ignore():
        assert write(booking).pk


def test_a_stay_has_one_review() -> None:
    booking = stayed()
    write(booking)
    with pytest.raises(Conflict) as refused, zeal_ignore():
        write(booking)
    assert refused.value.code == "reviewed"
    assert rating_of(booking) == (4, 1, 2)


@pytest.mark.django_db(transaction=True)
def test_of_ten_at_once_one_is_written() -> None:
    booking = stayed()
    outcomes = race(lambda _: write(booking), 10)
    codes = Counter(getattr(got, "code", type(got).__name__) for got in outcomes)
    assert codes == {"Review": 1, "reviewed": 9}
    assert rating_of(booking) == (4, 1, 2)


@pytest.mark.django_db(transaction=True)
def test_reviews_of_one_place_at_once_are_all_counted() -> None:
    place = make_property()
    stays = [
        make_booking(property=place, check_in=-10 * number, status="confirmed")
        for number in range(1, 9)
    ]
    race(lambda number: write(stays[number], rating=3), 8)
    assert rating_of(stays[0]) == (24, 8, 9)


@pytest.mark.django_db(transaction=True)
def test_cached_pages_are_told() -> None:
    booking = stayed()
    shown = 0

    def show() -> bytes:
        nonlocal shown
        shown += 1
        return b"page"

    def pages() -> int:
        for tag in (f"property:{booking.property.slug}", "listings", "others"):
            cached(f"page of {tag}", tags=[tag], seconds=60, compute=show)
        return shown

    assert (pages(), pages()) == (3, 3)
    write(booking)
    assert pages() == 5


@pytest.mark.parametrize("rating", [0, 6])
def test_the_database_refuses_a_rating_that_cannot_be(rating: int) -> None:
    booking = stayed()
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        Review.objects.create(booking=booking, property=booking.property, rating=rating)
    assert constraint_of(refused.value) == "review_rating"


def test_the_database_refuses_a_review_of_another_place() -> None:
    booking, other = stayed(), make_property()
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        Review.objects.create(booking=booking, property=other, rating=3)
    assert constraint_of(refused.value) == "review_of_booked_property"


# -- REST


def test_writing_a_review(as_user: AsUser) -> None:
    booking = stayed(guest=make_user(name="Ada Byron"))
    client = as_user(booking.guest)
    address = f"/api/v1/bookings/{booking.id}/review"
    answer = client.post(address, {"rating": 5, "text": "  Quiet.  "})
    assert answer.status_code == 201
    data = answer.json()
    assert set(data) == {"id", "author", "rating", "text", "created_at"}
    assert (data["author"], data["rating"], data["text"]) == ("Ada", 5, "Quiet.")
    with zeal_ignore():
        again = client.post(address, {"rating": 5})
    assert (again.status_code, again.json()["code"]) == (409, "reviewed")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"rating": "5"},
        {"rating": 0},
        {"rating": 6},
        {"rating": 4.5},
        {"rating": None},
        {"rating": 5, "text": 1},
        {"rating": 5, "text": "x" * 2001},
        {"rating": 5, "text": "a\0b"},
        {"rating": 5, "author": "me"},
        [],
    ],
)
def test_a_body_with_a_fault_is_refused(as_user: AsUser, body: Any) -> None:
    booking = stayed()
    answer = as_user(booking.guest).post(f"/api/v1/bookings/{booking.id}/review", body)
    assert answer.status_code == 400
    assert rating_of(booking) == (0, 0, 1)


def test_a_stay_that_is_not_there(as_user: AsUser) -> None:
    answer = as_user(make_user()).post(f"/api/v1/bookings/{uuid.uuid4()}/review", {"rating": 5})
    assert answer.status_code == 404


def test_everybody_sees_a_places_reviews(api: APIClient, django_assert_num_queries: Any) -> None:
    place = make_property()
    written = []
    for number in range(1, 6):
        guest = make_user(name=f"Guest{number} Secret", email=f"g{number}@example.org")
        booking = make_booking(
            property=place, guest=guest, check_in=-10 * number, status="confirmed"
        )
        review = Review.objects.create(booking=booking, property=place, rating=number)
        written.append(str(review.id))
    other = stayed()
    Review.objects.create(booking=other, property=other.property, rating=1)
    with django_assert_num_queries(2):  # the place, its reviews
        answer = api.get(f"/api/v1/properties/{place.slug}/reviews", {"limit": 3})
    assert answer.status_code == 200
    page = answer.json()
    assert [review["id"] for review in page["results"]] == written[:1:-1]
    assert [review["author"] for review in page["results"]] == ["Guest5", "Guest4", "Guest3"]
    for secret in ("Secret", "example.org"):
        assert secret not in answer.content.decode()
    with zeal_ignore():
        rest = api.get(page["next"]).json()
    assert [review["id"] for review in rest["results"]] == written[1::-1]
    assert rest["next"] is None


def test_places_that_are_not_offered_have_no_reviews(api: APIClient) -> None:
    for slug in (make_property(is_listed=False).slug, "nowhere"):
        with zeal_ignore():
            assert api.get(f"/api/v1/properties/{slug}/reviews").status_code == 404
        with pytest.raises(NotFound), zeal_ignore():
            selectors.of_property(slug=slug)


def test_an_author_without_a_name_has_none(api: APIClient) -> None:
    booking = stayed(guest=make_user(name=" "))
    Review.objects.create(booking=booking, property=booking.property, rating=1)
    answer = api.get(f"/api/v1/properties/{booking.property.slug}/reviews")
    assert answer.json()["results"][0]["author"] == ""


def test_the_admin_shows_reviews(client: Any) -> None:
    review = write(stayed())
    with zeal_ignore():
        client.force_login(make_admin(is_superuser=True))
        address = "/admin/reviews/review/"
        assert client.get(address).status_code == 200
        assert client.get(f"{address}{review.id}/change/").status_code == 200
        assert client.get(f"{address}{review.id}/delete/").status_code == 403
        assert client.get(f"{address}add/").status_code == 403
