import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.db import IntegrityError, transaction
from zeal import zeal_ignore

from stays.accounts.models import User
from stays.bookings import selectors, services
from stays.bookings.models import Booking, Status
from stays.common.errors import Conflict, Forbidden, Invalid, NotFound, Refusal
from stays.listings.models import Property
from stays.outbox.models import OutboxMessage
from tests.factories import (
    day,
    make_admin,
    make_booking,
    make_city,
    make_host,
    make_property,
    make_user,
)
from tests.racing import race

pytestmark = pytest.mark.django_db
REPETITIONS = 10


def messages() -> list[tuple[str, dict[str, Any]]]:
    """What the outbox holds, oldest first."""
    return list(OutboxMessage.objects.order_by("id").values_list("task", "arguments"))


def message(task: str, booking: Booking) -> tuple[str, dict[str, Any]]:
    return task, {"booking_id": str(booking.id)}


def codes(outcomes: list[Any]) -> Counter[str]:
    """Codes of refusals, names of everything else."""
    return Counter(getattr(got, "code", type(got).__name__) for got in outcomes)


def paid(**fields: Any) -> Booking:
    return make_booking(paid_at=datetime.now(UTC), **fields)


# -- booking


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


def book(actor: User, slug: str, begin: int = 5) -> Booking:
    return services.create_booking(
        actor=actor, property_slug=slug, check_in=day(begin), check_out=day(begin + 3), guests=1
    )


@zeal_ignore()  # it does the same twice
def test_only_places_that_are_offered_are_booked() -> None:
    for slug in (make_property(is_listed=False).slug, "no-such-place"):
        with pytest.raises(NotFound):
            book(make_user(), slug)
    assert not Booking.objects.exists()


def test_ones_own_place_is_not_booked() -> None:
    host = make_host()
    with pytest.raises(Forbidden):
        book(host, make_property(host=host).slug)
    assert not Booking.objects.exists()


def test_dates_that_are_taken_are_refused() -> None:
    place = make_property()
    make_booking(property=place, check_in=6)
    with pytest.raises(Conflict) as refused:
        book(make_user(), place.slug)
    assert refused.value.code == "dates_taken"
    assert Booking.objects.count() == 1


def test_a_broken_constraint_that_nobody_foresaw_is_no_refusal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(services, "MAX_NIGHTS", 1_000)
    place = make_property()
    with pytest.raises(IntegrityError), transaction.atomic():
        services.create_booking(
            actor=make_user(),
            property_slug=place.slug,
            check_in=day(1),
            check_out=day(200),
            guests=1,
        )


@pytest.mark.parametrize(
    ("zone", "moment", "today"),
    [
        ("Pacific/Auckland", "2030-06-01T13:00:00+00:00", "2030-06-02"),
        ("America/Los_Angeles", "2030-06-01T06:00:00+00:00", "2030-05-31"),
        ("UTC", "2030-06-01T23:59:59+00:00", "2030-06-01"),
    ],
)
@zeal_ignore()  # it does the same twice
def test_today_is_todays_date_at_the_place(zone: str, moment: str, today: str) -> None:
    place = make_property(city=make_city(timezone=zone))
    with time_machine.travel(moment, tick=False):
        now = services.local_today(place)
        assert now.isoformat() == today
        with pytest.raises(Invalid):
            services.create_booking(
                actor=make_user(),
                property_slug=place.slug,
                check_in=now - timedelta(days=1),
                check_out=now + timedelta(days=1),
                guests=1,
            )
        assert services.create_booking(
            actor=make_user(),
            property_slug=place.slug,
            check_in=now,
            check_out=now + timedelta(days=1),
            guests=1,
        )


@pytest.mark.django_db(transaction=True)
def test_of_twenty_guests_who_want_the_same_nights_one_gets_them() -> None:
    place = make_property()
    guests = [make_user() for _ in range(20)]

    def book_one(number: int) -> Booking:
        return services.create_booking(
            actor=guests[number],
            property_slug=place.slug,
            check_in=day(5 + number % 3),
            check_out=day(9 + number % 3),
            guests=1,
        )

    assert codes(race(book_one, 20)) == {"Booking": 1, "dates_taken": 19}
    assert Booking.objects.count() == 1


# -- confirming


@pytest.mark.parametrize("role", ["host", "admin"])
def test_a_paid_booking_is_confirmed_and_its_guest_told(role: str) -> None:
    booking = paid()
    actor = {"host": booking.property.host, "admin": make_admin()}[role]
    services.confirm_booking(actor=actor, booking_id=booking.id)
    booking.refresh_from_db()
    assert booking.status == Status.CONFIRMED
    assert booking.confirmed_at is not None
    assert messages() == [message("bookings.send_confirmation", booking)]


@pytest.mark.parametrize(
    ("who", "refusal"), [("guest", Forbidden), ("stranger", NotFound), ("other host", NotFound)]
)
def test_only_the_host_confirms(who: str, refusal: type[Refusal]) -> None:
    booking = paid()
    other = make_property().host
    actor = {"guest": booking.guest, "stranger": make_user(), "other host": other}[who]
    with pytest.raises(refusal):
        services.confirm_booking(actor=actor, booking_id=booking.id)
    booking.refresh_from_db()
    assert booking.status == Status.PENDING
    assert messages() == []


def test_what_is_not_paid_is_not_confirmed() -> None:
    booking = make_booking()
    with pytest.raises(Conflict) as refused:
        services.confirm_booking(actor=booking.property.host, booking_id=booking.id)
    assert refused.value.code == "not_paid"
    assert messages() == []


@pytest.mark.parametrize("nights_left", [1, 0, -1])
def test_a_host_who_is_late_confirms_no_stay_that_is_over(nights_left: int) -> None:
    place = make_property(city=make_city(timezone="UTC"))
    booking = paid(property=place, check_in=nights_left - 1, nights=1)
    if nights_left > 0:
        services.confirm_booking(actor=place.host, booking_id=booking.id)
        return
    with pytest.raises(Conflict) as refused:
        services.confirm_booking(actor=place.host, booking_id=booking.id)
    assert refused.value.code == "stay_over"
    booking.refresh_from_db()
    assert booking.status == Status.PENDING
    assert messages() == []


@pytest.mark.parametrize("status", [Status.CONFIRMED, Status.CANCELLED, Status.EXPIRED])
def test_only_a_pending_booking_is_confirmed(status: str) -> None:
    booking = make_booking(status=status)
    with pytest.raises(Conflict) as refused:
        services.confirm_booking(actor=booking.property.host, booking_id=booking.id)
    assert refused.value.code == "illegal_transition"
    assert messages() == []


@zeal_ignore()  # it does the same twice
def test_a_booking_that_is_not_there_is_not_found() -> None:
    for act in (services.confirm_booking, services.cancel_booking):
        with pytest.raises(NotFound):
            act(actor=make_admin(), booking_id=uuid.uuid4())
    with pytest.raises(NotFound):
        services.mark_paid(booking_id=uuid.uuid4())


# -- paying


def test_a_paid_booking_waits_for_its_host() -> None:
    booking = make_booking()
    services.mark_paid(booking_id=booking.id)
    booking.refresh_from_db()
    assert booking.status == Status.PENDING
    assert booking.paid_at is not None
    assert booking.expires_at == booking.paid_at + settings.HOST_WINDOW
    assert messages() == []


def test_a_paid_booking_of_an_instant_place_is_confirmed() -> None:
    booking = make_booking(property=make_property(instant_book=True))
    services.mark_paid(booking_id=booking.id)
    booking.refresh_from_db()
    assert booking.status == Status.CONFIRMED
    assert messages() == [message("bookings.send_confirmation", booking)]


@pytest.mark.parametrize("status", [Status.CONFIRMED, Status.CANCELLED, Status.EXPIRED])
def test_only_a_pending_booking_is_paid(status: str) -> None:
    booking = make_booking(status=status)
    with pytest.raises(Conflict) as refused:
        services.mark_paid(booking_id=booking.id)
    assert refused.value.code == "not_pending"


def test_a_booking_is_paid_once() -> None:
    booking = paid()
    with pytest.raises(Conflict) as refused:
        services.mark_paid(booking_id=booking.id)
    assert refused.value.code == "already_paid"
    before = booking.expires_at
    booking.refresh_from_db()
    assert booking.expires_at == before


# -- cancelling


@pytest.mark.parametrize("who", ["guest", "host", "admin"])
@pytest.mark.parametrize("status", [Status.PENDING, Status.CONFIRMED])
def test_a_booking_is_cancelled_and_its_dates_are_free(who: str, status: str) -> None:
    booking = make_booking(status=status)
    actor = {"guest": booking.guest, "host": booking.property.host, "admin": make_admin()}[who]
    services.cancel_booking(actor=actor, booking_id=booking.id, reason="Ill.")
    booking.refresh_from_db()
    assert (booking.status, booking.cancelled_by) == (Status.CANCELLED, actor)
    assert booking.cancelled_at is not None
    assert booking.cancellation_reason == "Ill."
    refund = [message("payments.refund", booking)]
    assert messages() == (refund if status == Status.CONFIRMED else [])
    assert make_booking(property=booking.property).pk


@pytest.mark.parametrize("status", [Status.CANCELLED, Status.EXPIRED])
def test_what_is_let_go_of_is_not_cancelled(status: str) -> None:
    booking = make_booking(status=status, paid_at=datetime.now(UTC))
    with pytest.raises(Conflict) as refused:
        services.cancel_booking(actor=booking.guest, booking_id=booking.id)
    assert refused.value.code == "illegal_transition"
    assert messages() == []


@pytest.mark.parametrize("begin", [0, -1, -10])
def test_a_stay_that_has_begun_is_not_cancelled(begin: int) -> None:
    place = make_property(city=make_city(timezone="UTC"))
    booking = make_booking(property=place, check_in=begin, status=Status.CONFIRMED)
    with pytest.raises(Conflict) as refused:
        services.cancel_booking(actor=booking.guest, booking_id=booking.id)
    assert refused.value.code == "stay_begun"
    booking.refresh_from_db()
    assert booking.status == Status.CONFIRMED
    assert messages() == []


@pytest.mark.parametrize("begin", [0, -1])
def test_what_its_host_has_not_confirmed_is_cancelled_on_the_day_of_arrival_too(begin: int) -> None:
    place = make_property(city=make_city(timezone="UTC"))
    booking = paid(property=place, check_in=begin)
    services.cancel_booking(actor=booking.guest, booking_id=booking.id)
    booking.refresh_from_db()
    assert booking.status == Status.CANCELLED
    assert messages() == [message("payments.refund", booking)]


def test_others_bookings_are_not_cancelled() -> None:
    booking = make_booking()
    with pytest.raises(NotFound):
        services.cancel_booking(actor=make_user(), booking_id=booking.id)
    booking.refresh_from_db()
    assert booking.status == Status.PENDING


# -- running out of time


@pytest.mark.parametrize("is_paid", [True, False])
@zeal_ignore()  # it does the same twice
def test_a_booking_whose_time_has_run_out_is_let_go_of(is_paid: bool) -> None:
    booking = paid() if is_paid else make_booking()
    later = booking.expires_at + timedelta(seconds=1)
    assert services.expire_booking(booking_id=booking.id, now=later)
    assert not services.expire_booking(booking_id=booking.id, now=later)
    booking.refresh_from_db()
    assert booking.status == Status.EXPIRED
    assert messages() == ([message("payments.refund", booking)] if is_paid else [])


def test_a_booking_that_has_time_is_kept() -> None:
    booking = make_booking()
    moment = booking.expires_at - timedelta(seconds=1)
    assert not services.expire_booking(booking_id=booking.id, now=moment)
    booking.refresh_from_db()
    assert booking.status == Status.PENDING


# -- two at once


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("_time", range(REPETITIONS))
def test_cancelling_against_confirming(_time: int) -> None:
    booking = paid()
    acts = (
        lambda: services.cancel_booking(actor=booking.guest, booking_id=booking.id),
        lambda: services.confirm_booking(actor=booking.property.host, booking_id=booking.id),
    )
    cancelled, confirmed = race(lambda number: acts[number](), 2)
    booking.refresh_from_db()
    assert isinstance(cancelled, Booking)  # before or after, the guest can cancel
    assert booking.status == Status.CANCELLED
    refund = message("payments.refund", booking)
    if isinstance(confirmed, Booking):
        assert booking.confirmed_at is not None
        assert messages() == [message("bookings.send_confirmation", booking), refund]
    else:
        assert codes([confirmed]) == {"illegal_transition": 1}
        assert booking.confirmed_at is None
        assert messages() == [refund]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("_time", range(REPETITIONS))
def test_of_two_who_cancel_one_does(_time: int) -> None:
    booking = paid()
    actors = (booking.guest, booking.property.host)
    outcomes = race(
        lambda number: services.cancel_booking(actor=actors[number], booking_id=booking.id), 2
    )
    assert codes(outcomes) == {"Booking": 1, "illegal_transition": 1}
    (winner,) = (
        actor for actor, got in zip(actors, outcomes, strict=True) if isinstance(got, Booking)
    )
    booking.refresh_from_db()
    assert booking.cancelled_by == winner
    assert messages() == [message("payments.refund", booking)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("_time", range(REPETITIONS))
def test_what_is_paid_and_cancelled_is_given_back(_time: int) -> None:
    booking = make_booking()
    acts = (
        lambda: services.cancel_booking(actor=booking.guest, booking_id=booking.id),
        lambda: services.mark_paid(booking_id=booking.id),
    )
    cancelled, was_paid = race(lambda number: acts[number](), 2)
    booking.refresh_from_db()
    assert isinstance(cancelled, Booking)
    assert booking.status == Status.CANCELLED
    if isinstance(was_paid, Booking):
        assert booking.paid_at is not None
        assert messages() == [message("payments.refund", booking)]
    else:  # who is told so gives the money back
        assert codes([was_paid]) == {"not_pending": 1}
        assert booking.paid_at is None
        assert messages() == []


# -- reading


def test_what_a_user_may_know_of() -> None:
    host, guest = make_host(), make_user()
    mine = make_booking(property=make_property(host=host))
    of_guest = make_booking(guest=guest)
    made_by_host = make_booking(guest=host)

    def seen(user: User, **chosen: Any) -> set[uuid.UUID]:
        return {booking.id for booking in selectors.listed(user=user, **chosen)}

    assert seen(host) == {mine.id, made_by_host.id}
    assert seen(host, role="host") == {mine.id}
    assert seen(host, role="guest") == {made_by_host.id}
    assert seen(guest) == {of_guest.id}
    assert seen(guest, role="host") == set()
    assert seen(guest, status=Status.CANCELLED) == set()
    assert seen(guest, status=Status.PENDING) == {of_guest.id}
    assert seen(make_user()) == set()
    assert seen(make_admin()) == {mine.id, of_guest.id, made_by_host.id}


# -- What a guest may keep from others


def ask_for(guest: User, ahead: int = 10, place: Property | None = None) -> Booking:
    return services.book(
        actor=guest,
        property_slug=(place or make_property()).slug,
        check_in=day(ahead),
        check_out=day(ahead + 2),
        guests=1,
    )


@pytest.mark.usefixtures("_two_unpaid")
def test_a_guest_has_only_so_many_bookings_to_pay() -> None:
    guest = make_user()
    with zeal_ignore():
        first, _ = ask_for(guest), ask_for(guest)
        with pytest.raises(Conflict) as refusal:
            ask_for(guest)
        assert refusal.value.code == "too_many_unpaid"
        ask_for(make_user())
        services.mark_paid(booking_id=first.id)
        ask_for(guest)


@pytest.mark.usefixtures("_two_unpaid")
@pytest.mark.django_db(transaction=True)
def test_ten_bookings_at_once_are_counted() -> None:
    guest, places = make_user(), [make_property() for _ in range(10)]
    outcomes = race(lambda number: ask_for(guest, place=places[number]), 10)
    assert codes(outcomes) == {"Booking": 2, "too_many_unpaid": 8}


@pytest.mark.usefixtures("_two_unpaid")
def test_both_apis_count(as_user: Any) -> None:
    guest, place = make_user(), make_property()
    with zeal_ignore():
        for ahead in (10, 20):
            ask_for(guest, ahead, place)
    rest = {
        "property": place.slug,
        "check_in": str(day(30)),
        "check_out": str(day(31)),
        "guests": 1,
    }
    answer = as_user(guest).post("/api/v1/bookings", rest)
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_unpaid")
    document = f"""mutation {{ createBooking(
        property: "{place.slug}", checkIn: "{day(30)}", checkOut: "{day(31)}", guests: 1
    ) {{ ... on Refusal {{ code }} }} }}"""
    told = as_user(guest).post("/graphql", {"query": document}).json()
    assert told["data"]["createBooking"]["code"] == "too_many_unpaid"


@pytest.fixture
def _two_unpaid(settings: Any) -> None:
    settings.MAX_UNPAID = 2


@pytest.mark.parametrize(("ahead", "is_taken"), [(549, True), (552, False), (2_900_000, False)])
def test_nobody_books_for_the_year_after_the_next(ahead: int, is_taken: bool) -> None:
    if is_taken:
        assert ask_for(make_user(), ahead)
        return
    with pytest.raises(Invalid) as refusal:
        ask_for(make_user(), ahead)
    assert (refusal.value.code, refusal.value.field) == ("too_far", "check_in")
