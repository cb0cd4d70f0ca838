import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from rest_framework.test import APIClient
from zeal import zeal_ignore

from stays.accounts.models import User
from stays.bookings.models import Booking, Status
from stays.outbox.models import OutboxMessage
from tests.factories import day, make_admin, make_booking, make_host, make_property, make_user

pytestmark = pytest.mark.django_db
AsUser = Callable[[User], APIClient]
BOOKINGS = "/api/v1/bookings"


def order(slug: str, **fields: Any) -> dict[str, Any]:
    body = {
        "property": slug,
        "check_in": day(5).isoformat(),
        "check_out": day(8).isoformat(),
        "guests": 2,
    }
    return body | fields


def test_booking_a_place(as_user: AsUser) -> None:
    guest, place = make_user(name="Ada Byron"), make_property(title="Loft")
    answer = as_user(guest).post(BOOKINGS, order(place.slug))
    assert answer.status_code == 201
    booking = Booking.objects.get()
    assert answer["Location"] == f"{BOOKINGS}/{booking.id}"
    data = dict(answer.json())
    assert data.pop("expires_at")
    assert data.pop("created_at")
    assert data == {
        "id": str(booking.id),
        "property": {"slug": place.slug, "title": "Loft", "city": place.city.name},
        "address": None,
        "guest": "Ada Byron",
        "check_in": day(5).isoformat(),
        "check_out": day(8).isoformat(),
        "nights": 3,
        "guests": 2,
        "status": "pending",
        "nightly_minor": 9_000,
        "cleaning_minor": 3_000,
        "total_minor": 30_000,
        "currency": "EUR",
        "paid_at": None,
        "confirmed_at": None,
        "cancelled_at": None,
        "cancellation_reason": "",
    }
    again = as_user(guest).get(answer["Location"])
    assert again.status_code == 200
    assert again.json() == answer.json()


def test_booking_twice_with_one_key_is_booking_once(as_user: AsUser) -> None:
    client, place = as_user(make_user()), make_property()
    answers = [
        client.post(BOOKINGS, order(place.slug), headers={"Idempotency-Key": "k"}) for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert answers[1]["Location"] == answers[0]["Location"]
    assert Booking.objects.count() == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("property", None),
        ("property", ""),
        ("property", "no slug"),
        ("property", "x" * 101),
        ("property", 1),
        ("check_in", "tomorrow"),
        ("check_in", "2030-02-30"),
        ("check_in", 20300101),
        ("check_in", "2030-01-01".translate({48: 0x660})),  # a digit, but none of ASCII
        ("check_in", None),
        ("check_out", ""),
        ("guests", 0),
        ("guests", 51),
        ("guests", "2"),
        ("guests", 1.5),
        ("guests", True),
        ("total_minor", 1),
    ],
)
def test_a_body_with_a_fault_is_refused(as_user: AsUser, field: str, value: Any) -> None:
    body = order(make_property().slug, **{field: value})
    answer = as_user(make_user()).post(BOOKINGS, body)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert not Booking.objects.exists()


@pytest.mark.parametrize("field", ["property", "check_in", "check_out", "guests"])
def test_every_field_is_needed(as_user: AsUser, field: str) -> None:
    body = order(make_property().slug)
    del body[field]
    answer = as_user(make_user()).post(BOOKINGS, body)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("body", [[], "text", 1, None])
def test_a_body_that_is_no_object_is_refused(as_user: AsUser, body: Any) -> None:
    client = as_user(make_user())
    assert client.post(BOOKINGS, body, format="json").status_code == 400


def test_what_cannot_be_is_refused(as_user: AsUser) -> None:
    place = make_property()
    make_booking(property=place, check_in=6)
    client = as_user(make_user())
    past = client.post(BOOKINGS, order(place.slug, check_in=day(-3).isoformat()))
    taken = client.post(BOOKINGS, order(place.slug))
    unknown = client.post(BOOKINGS, order("nowhere"))
    assert (past.status_code, past.json()["errors"][0]["field"]) == (422, "check_in")
    assert (taken.status_code, taken.json()["code"]) == (409, "dates_taken")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
    assert Booking.objects.count() == 1


def test_bookings_are_listed_with_the_newest_first(
    as_user: AsUser, django_assert_num_queries: Any
) -> None:
    guest = make_user()
    made = [str(make_booking(guest=guest).id) for _ in range(7)]
    make_booking()
    client = as_user(guest)
    with django_assert_num_queries(2):  # one's places, a page of bookings
        answer = client.get(BOOKINGS, {"limit": 4})
    page = answer.json()
    assert [booking["id"] for booking in page["results"]] == made[:2:-1]
    with django_assert_num_queries(2), zeal_ignore():
        rest = client.get(page["next"]).json()
    assert [booking["id"] for booking in rest["results"]] == made[2::-1]
    assert rest["next"] is None


def test_a_list_is_filtered(as_user: AsUser, django_assert_num_queries: Any) -> None:
    host = make_host()
    place = make_property(host=host)
    waiting = make_booking(property=place)
    cancelled = make_booking(property=place, status="cancelled")
    own = make_booking(guest=host)
    client = as_user(host)

    def listed(**query: str) -> set[str]:
        with django_assert_num_queries(1 if query.get("role") == "guest" else 2), zeal_ignore():
            answer = client.get(BOOKINGS, query)
        assert answer.status_code == 200
        return {booking["id"] for booking in answer.json()["results"]}

    assert listed() == {str(waiting.id), str(cancelled.id), str(own.id)}
    assert listed(role="host") == {str(waiting.id), str(cancelled.id)}
    assert listed(role="guest") == {str(own.id)}
    assert listed(status="cancelled") == {str(cancelled.id)}
    assert listed(role="host", status="pending") == {str(waiting.id)}
    assert listed(status="expired") == set()


@pytest.mark.parametrize(
    "query", ["status=odd", "role=admin", "page=2", "limit=0", "cursor=x", "status=", "role="]
)
def test_a_query_with_a_fault_is_refused(as_user: AsUser, query: str) -> None:
    answer = as_user(make_user()).get(f"{BOOKINGS}?{query}")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == query.split("=")[0]


def test_a_booking_takes_one_query(as_user: AsUser, django_assert_num_queries: Any) -> None:
    booking = make_booking(status=Status.CONFIRMED)
    client = as_user(booking.guest)
    with django_assert_num_queries(1):
        answer = client.get(f"{BOOKINGS}/{booking.id}")
    assert answer.json()["address"] == booking.property.address
    assert client.get(f"{BOOKINGS}/{booking.id}?x=1").status_code == 400


def test_others_bookings_do_not_exist(as_user: AsUser) -> None:
    booking = make_booking()
    client = as_user(make_user())
    for path in (f"/{booking.id}", f"/{uuid.uuid4()}"):
        answer = client.get(BOOKINGS + path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert booking.property.title not in answer.content.decode()


def test_confirming(as_user: AsUser) -> None:
    booking = make_booking(paid_at=datetime.now(UTC))
    client = as_user(booking.property.host)
    address = f"{BOOKINGS}/{booking.id}/confirm"
    assert client.post(address, {"now": True}).status_code == 400
    answer = client.post(address)
    assert (answer.status_code, answer.json()["status"]) == (200, "confirmed")
    again = client.post(address)
    assert (again.status_code, again.json()["code"]) == (409, "illegal_transition")


def test_cancelling(as_user: AsUser) -> None:
    booking = make_booking()
    client = as_user(booking.guest)
    address = f"{BOOKINGS}/{booking.id}/cancel"
    reasons: list[Any] = [1, "x" * 501, "a\0b", None]
    for body in [{"why": ""}, *({"reason": reason} for reason in reasons)]:
        assert client.post(address, body).status_code == 400
    answer = client.post(address, {"reason": "  Ill.  "})
    assert answer.status_code == 200
    assert answer.json()["status"] == "cancelled"
    assert answer.json()["cancellation_reason"] == "Ill."
    assert answer.json()["cancelled_at"]
    again = client.post(address)
    assert (again.status_code, again.json()["code"]) == (409, "illegal_transition")
    assert not OutboxMessage.objects.exists()


@pytest.mark.parametrize(
    ("path", "status"), [("", 200), ("{id}/change/", 200), ("{id}/delete/", 403), ("add/", 403)]
)
def test_the_admin_shows_bookings(client: Any, path: str, status: int) -> None:
    booking, *_ = (make_booking() for _ in range(3))
    with zeal_ignore():  # to log in reads the session twice
        client.force_login(make_admin(is_superuser=True))
    address = "/admin/bookings/booking/" + path.format(id=booking.id)
    assert client.get(address).status_code == status
    if "change" in path:
        with zeal_ignore():
            assert client.post(address, {"status": "confirmed"}).status_code == 403
