"""What mutations do and refuse. The services' own rules are tested with the services."""

import datetime
from typing import Any
from unittest import mock

import pytest
from strawberry.relay import to_base64
from zeal import zeal_ignore

from stays.bookings import services as booking_services
from stays.bookings.models import Booking, Status
from stays.listings.models import Amenity, Property
from stays.messaging.models import Message
from stays.payments.models import Payment
from stays.rest.models import StoredAnswer
from stays.reviews.models import Review
from tests.factories import (
    day,
    make_admin,
    make_booking,
    make_city,
    make_host,
    make_property,
    make_user,
)
from tests.graph.conftest import Ask

pytestmark = pytest.mark.django_db

REFUSAL = "... on Refusal { code detail field errors { field code } }"
BOOKED = "... on BookingSaved { booking { id status guests property { slug } guest { name } } }"
CREATE = (
    "mutation ($place: String!, $in: Date!, $out: Date!, $guests: Int!) {"
    " createBooking(property: $place, checkIn: $in, checkOut: $out, guests: $guests)"
    " { __typename " + BOOKED + REFUSAL + " } }"
)
CONFIRM = "mutation ($id: ID!) { confirmBooking(id: $id) { __typename " + BOOKED + REFUSAL + " } }"
CANCEL = (
    'mutation ($id: ID!, $reason: String! = "") { cancelBooking(id: $id, reason: $reason)'
    " { __typename " + BOOKED + REFUSAL + " } }"
)
PAY = (
    "mutation ($id: ID!, $method: String!) { startPayment(booking: $id, method: $method)"
    " { __typename ... on PaymentStarted { payment { status amountMinor } } " + REFUSAL + " } }"
)
REVIEW = (
    "mutation ($id: ID!, $rating: Int!) { writeReview(booking: $id, rating: $rating,"
    ' text: "Fine.") { __typename ... on ReviewWritten { review { rating text author } } '
    + REFUSAL
    + " } }"
)
TALKED = (
    " { __typename ... on ConversationSaved { conversation { id unread guest { name }"
    " messages(first: 5) { edges { node { text isMine } } } } } "
)
BEGIN = (
    "mutation ($place: String!, $text: String!) {"
    " startConversation(property: $place, text: $text)" + TALKED + REFUSAL + " } }"
)
SEND = (
    "mutation ($id: ID!, $text: String!) { sendMessage(conversation: $id, text: $text)"
    " { __typename ... on MessageSent { message { text isMine sender { name } } } "
    + REFUSAL
    + " } }"
)
READ = "mutation ($id: ID!) { markRead(conversation: $id)" + TALKED + REFUSAL + " } }"
SAVED = (
    " { __typename ... on PropertySaved { property {"
    " slug title version city { slug } amenities { slug } } } "
)
OFFER = "mutation ($input: NewProperty!) { createProperty(input: $input)" + SAVED + REFUSAL + " } }"
CHANGE = (
    "mutation ($slug: String!, $version: Int!, $changes: PropertyChanges!) {"
    " updateProperty(slug: $slug, expectedVersion: $version, changes: $changes)"
    + SAVED
    + REFUSAL
    + " } }"
)


def identifier(booking: Booking) -> str:
    return to_base64("Booking", str(booking.id))


def refusal(code: str, detail: str, field: str | None = None) -> dict[str, Any]:
    """A refusal as it is shown."""
    errors = [{"field": field, "code": code}] if field else []
    return {
        "__typename": "Refusal",
        "code": code,
        "detail": detail,
        "field": field,
        "errors": errors,
    }


def stay(place: Property | str, begin: int = 10, **more: Any) -> dict[str, Any]:
    slug = place if isinstance(place, str) else place.slug
    return {"place": slug, "in": str(day(begin)), "out": str(day(begin + 3)), "guests": 2} | more


def test_a_place_is_booked(ask: Ask) -> None:
    place, guest = make_property(), make_user(name="Ana")
    result = ask(CREATE, user=guest, **stay(place))["data"]["createBooking"]
    booking = Booking.objects.get()
    assert result == {
        "__typename": "BookingSaved",
        "booking": {
            "id": identifier(booking),
            "status": "PENDING",
            "guests": 2,
            "property": {"slug": place.slug},
            "guest": {"name": "Ana"},
        },
    }
    assert (booking.guest, booking.stay.lower, booking.stay.upper) == (guest, day(10), day(13))


def test_a_refusal_is_data_with_code_detail_and_field(ask: Ask) -> None:
    place, guest = make_property(max_guests=2), make_user()
    make_booking(property=place, check_in=20)
    for user, given, refused in (
        (guest, stay("nowhere"), refusal("not_found", "There is no such property.")),
        (
            place.host,
            stay(place),
            refusal("own_property", "Your own place cannot be booked by you."),
        ),
        (guest, stay(place, 20), refusal("dates_taken", "These dates are taken.")),
        (guest, stay(place, -9), refusal("past", "This day has passed.", "checkIn")),
        (
            guest,
            stay(place, out=str(day(10))),
            refusal("order", "This is not after the arrival.", "checkOut"),
        ),
        (
            guest,
            stay(place, guests=3),
            refusal("guests", "Between 1 and 2 guests can stay here.", "guests"),
        ),
    ):
        assert ask(CREATE, user=user, **given) == {"data": {"createBooking": refused}}
    assert Booking.objects.count() == 1


def test_without_a_token_every_mutation_is_refused(ask: Ask) -> None:
    booking = make_booking()
    offer = {"city": "x", "title": "x", "kind": "ENTIRE", "address": "x", "latitude": 0}
    offer |= {"longitude": 0, "maxGuests": 1, "bedrooms": 1, "nightlyMinor": 1, "currency": "EUR"}
    unknown = refusal("not_authenticated", "This needs an access token.")
    for query, variables in (
        (CREATE, stay(make_property())),
        (CONFIRM, {"id": identifier(booking)}),
        (CANCEL, {"id": identifier(booking)}),
        (PAY, {"id": identifier(booking), "method": "tok_ok"}),
        (REVIEW, {"id": identifier(booking), "rating": 5}),
        (BEGIN, {"place": booking.property.slug, "text": "Hello"}),
        (SEND, {"id": "Q29udmVyc2F0aW9uOjE=", "text": "Hello"}),
        (READ, {"id": "Q29udmVyc2F0aW9uOjE="}),
        (OFFER, {"input": offer}),
        (CHANGE, {"slug": booking.property.slug, "version": 1, "changes": {"title": "x"}}),
    ):
        (result,) = ask(query, **variables)["data"].values()
        assert result == unknown
    booking.refresh_from_db()
    assert booking.status == Status.PENDING
    assert (Booking.objects.count(), Property.objects.count(), Payment.objects.count()) == (1, 2, 0)


def test_a_host_confirms_and_a_guest_cancels(ask: Ask) -> None:
    booking = make_booking(paid_at=datetime.datetime.now(datetime.UTC))
    variables = {"id": identifier(booking)}
    host, guest = booking.property.host, booking.guest
    assert ask(CONFIRM, user=guest, **variables)["data"]["confirmBooking"] == refusal(
        "permission_denied", "Only the host confirms a booking."
    )
    done = ask(CONFIRM, user=host, **variables)["data"]["confirmBooking"]
    assert done["booking"]["status"] == "CONFIRMED"
    done = ask(CANCEL, user=guest, reason="Ill.", **variables)["data"]["cancelBooking"]
    assert done["booking"]["status"] == "CANCELLED"
    booking.refresh_from_db()
    assert (booking.cancelled_by, booking.cancellation_reason) == (guest, "Ill.")
    again = ask(CANCEL, user=guest, **variables)["data"]["cancelBooking"]
    assert again == refusal("illegal_transition", "A cancelled booking cannot become cancelled.")


@pytest.mark.parametrize("query", [CONFIRM, CANCEL])
def test_anothers_booking_is_not_there(ask: Ask, query: str) -> None:
    booking = make_booking()
    for user in (make_user(), make_host()):
        for value in (identifier(booking), to_base64("Property", str(booking.id)), "Qm9va2luZzox"):
            (result,) = ask(query, user=user, id=value)["data"].values()
            assert result == refusal("not_found", "There is no such booking.")
    booking.refresh_from_db()
    assert booking.status == Status.PENDING


def test_a_reason_that_is_too_long_is_refused(ask: Ask) -> None:
    booking = make_booking()
    for reason in ("x" * 501, "\0"):
        result = ask(CANCEL, user=booking.guest, id=identifier(booking), reason=reason)["data"]
        assert result["cancelBooking"]["__typename"] == "Refusal"
    booking.refresh_from_db()
    assert booking.status == Status.PENDING


def test_a_booking_is_paid_by_its_guest(ask: Ask) -> None:
    booking = make_booking()
    variables = {"id": identifier(booking), "method": "tok_ok"}
    host = booking.property.host
    denied = ask(PAY, user=host, **variables)["data"]["startPayment"]
    assert denied == refusal("permission_denied", "Only the guest pays.")
    card = ask(PAY, user=booking.guest, **(variables | {"method": "4242424242424242"}))["data"]
    assert card["startPayment"]["code"] == "invalid"
    assert card["startPayment"]["field"] == "method"
    assert not Payment.objects.exists()
    result = ask(PAY, user=booking.guest, **variables)["data"]["startPayment"]
    amount = booking.total_minor
    assert result["payment"] == {"status": "CREATED", "amountMinor": amount}
    again = ask(PAY, user=booking.guest, **variables)["data"]["startPayment"]
    assert again == refusal("payment_running", "The booking is being paid already.")


def offer(**more: Any) -> dict[str, Any]:
    """All that a new place needs."""
    return {
        "city": "lisboa",
        "title": "Tiled house",
        "kind": "PRIVATE",
        "address": "Rua Augusta 1",
        "latitude": 38.7,
        "longitude": -9,
        "maxGuests": 2,
        "bedrooms": 1,
        "nightlyMinor": 9_000,
        "currency": "EUR",
    } | more


def test_a_host_offers_and_changes_a_place(ask: Ask) -> None:
    make_city(slug="lisboa")
    Amenity.objects.create(slug="kitchen", name="Kitchen")
    host = make_host()
    saved = ask(OFFER, user=host, input=offer(amenities=["kitchen"]))["data"]["createProperty"]
    assert saved["property"] == {
        "slug": "tiled-house",
        "title": "Tiled house",
        "version": 1,
        "city": {"slug": "lisboa"},
        "amenities": [{"slug": "kitchen"}],
    }
    change = {"slug": "tiled-house", "version": 1, "changes": {"title": "Blue house"}}
    saved = ask(CHANGE, user=host, **change)["data"]["updateProperty"]["property"]
    assert (saved["title"], saved["version"]) == ("Blue house", 2)
    place = Property.objects.get()
    assert (place.nightly_minor, place.amenities.count()) == (9_000, 1)
    late = ask(CHANGE, user=host, **change)["data"]["updateProperty"]
    detail = "It has changed since it was read. Read it again."
    assert late == refusal("precondition_failed", detail)
    other = ask(CHANGE, user=make_host(), **(change | {"version": 2}))["data"]["updateProperty"]
    assert other["code"] == "permission_denied"
    place.refresh_from_db()
    assert (place.title, place.version) == ("Blue house", 2)


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        ({"city": "nowhere"}, [("city", "unknown")]),
        ({"amenities": ["nothing"]}, [("amenities", "unknown")]),
        ({"title": ""}, [("title", "blank")]),
        ({"title": None}, None),
        ({"title": "x" * 101}, [("title", "max_length")]),
        ({"description": "x" * 5_001}, [("description", "max_length")]),
        ({"description": None}, [("description", "null")]),
        ({"nightlyMinor": 0}, [("nightlyMinor", "min_value")]),
        ({"nightlyMinor": 10**15}, [("nightlyMinor", "max_value")]),
        ({"nightlyMinor": 2**53}, None),
        ({"nightlyMinor": 1.5}, None),
        ({"nightlyMinor": "9000"}, None),
        ({"currency": "eur"}, [("currency", "invalid")]),
        (
            {"latitude": 91, "longitude": 181},
            [("latitude", "max_value"), ("longitude", "max_value")],
        ),
        ({"latitude": "x"}, None),
        ({"kind": "CASTLE"}, None),
        ({"maxGuests": 2**31}, None),
        ({"maxGuests": 51}, [("maxGuests", "max_value")]),
        ({"rating": 5}, None),
        ({"amenities": ["x" * 41]}, [("amenities.0", "max_length")]),
    ],
)
def test_what_cannot_be_is_refused_with_the_field(
    ask: Ask, fields: dict[str, Any], faults: list[tuple[str, str]] | None
) -> None:
    make_city(slug="lisboa")
    host = make_host()
    answer = ask(OFFER, user=host, input=offer(**fields), status=200 if faults else 400)
    if faults:
        result = answer["data"]["createProperty"]
        assert [(e["field"], e["code"]) for e in result["errors"]] == faults
        assert result["field"] == (faults[0][0] if len(faults) == 1 else None)
    else:
        assert set(answer) == {"errors"}
        assert {e["extensions"]["code"] for e in answer["errors"]} == {"invalid"}
    assert not Property.objects.exists()


def test_control_characters_are_refused(ask: Ask) -> None:
    make_city(slug="lisboa")
    answer = ask(OFFER, user=make_host(), input=offer(title="a\0b"))
    result = answer["data"]["createProperty"]
    assert (result["code"], result["field"]) == ("invalid", "title")
    assert not Property.objects.exists()


def test_a_slug_that_no_column_could_hold_is_refused(ask: Ask) -> None:
    change = {"slug": "\0", "version": 1, "changes": {"title": "x"}}
    result = ask(CHANGE, user=make_host(), **change)["data"]["updateProperty"]
    detail = "A value is of the right type, and is none that could be stored."
    assert result == refusal("invalid", detail)


def test_a_guest_offers_nothing(ask: Ask) -> None:
    make_city(slug="lisboa")
    result = ask(OFFER, user=make_user(), input=offer())["data"]["createProperty"]
    assert result == refusal("not_a_host", "Only hosts offer places.")


def test_a_request_that_comes_again_is_done_once(ask: Ask) -> None:
    place, guest = make_property(), make_user()
    headers = {"Idempotency-Key": "key-1"}
    first = ask(CREATE, user=guest, headers=headers, **stay(place))
    assert ask(CREATE, user=guest, headers=headers, **stay(place)) == first
    assert first["data"]["createBooking"]["__typename"] == "BookingSaved"
    assert Booking.objects.count() == 1


def test_a_fault_of_ours_says_nothing_and_can_be_sent_again(
    ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    place, guest = make_property(), make_user()
    headers = {"Idempotency-Key": "key-1", "X-Request-ID": "request-0001"}
    create = booking_services.create_booking

    def fail(**given: Any) -> Booking:
        create(**given)
        raise RuntimeError("the password is 1234")

    with mock.patch.object(booking_services, "create_booking", fail):
        answer = ask(CREATE, user=guest, headers=headers, status=500, **stay(place))
    assert answer["data"] is None
    (error,) = answer["errors"]
    assert error["message"] == "Something went wrong here."
    assert error["extensions"] == {"code": "error", "request_id": "request-0001"}
    assert "1234" not in str(answer)
    assert "the password is 1234" in caplog.text  # that is where to look
    assert not Booking.objects.exists()
    assert not StoredAnswer.objects.exists()
    answer = ask(CREATE, user=guest, headers=headers, **stay(place))
    assert answer["data"]["createBooking"]["__typename"] == "BookingSaved"


def test_an_error_of_one_field_leaves_the_others(ask: Ask) -> None:
    with mock.patch("stays.listings.selectors.search", side_effect=RuntimeError("secret")):
        answer = ask('{ me: __typename property(slug: "x") { slug } }', status=294)
    assert answer["data"] == {"me": "Query", "property": None}
    assert "secret" not in str(answer)


def test_an_error_outside_of_all_fields_is_a_500(ask: Ask) -> None:
    with mock.patch("stays.graph.limits._check", side_effect=RuntimeError("secret")):
        answer = ask("{ __typename }", status=500)
    assert set(answer) == {"errors"}
    assert "secret" not in str(answer)


def test_mutations_run_one_after_the_other(ask: Ask) -> None:
    place, guest = make_property(), make_user()
    dates = f'checkIn: "{day(10)}", checkOut: "{day(12)}", guests: 1'
    one = f'createBooking(property: "{place.slug}", {dates}) {{ __typename }}'
    with zeal_ignore():  # each asks for the place, as it should
        answer = ask("mutation { a: " + one + " b: " + one + " }", user=guest)
    assert answer["data"] == {"a": {"__typename": "BookingSaved"}, "b": {"__typename": "Refusal"}}


def test_an_admin_may_confirm(ask: Ask) -> None:
    booking = make_booking(paid_at=datetime.datetime.now(datetime.UTC))
    result = ask(CONFIRM, user=make_admin(), id=identifier(booking))["data"]["confirmBooking"]
    assert result["booking"]["status"] == "CONFIRMED"


def test_a_guest_reviews_a_stay_once(ask: Ask) -> None:
    guest = make_user(name="Ana Silva")
    booking = make_booking(check_in=-9, guest=guest, status=Status.CONFIRMED)
    variables = {"id": identifier(booking), "rating": 4}
    denied = ask(REVIEW, user=booking.property.host, **variables)["data"]["writeReview"]
    assert denied == refusal("permission_denied", "Only the guest writes a review.")
    wrong = ask(REVIEW, user=guest, **(variables | {"rating": 6}))["data"]["writeReview"]
    assert wrong["errors"] == [{"field": "rating", "code": "max_value"}]
    done = ask(REVIEW, user=guest, **variables)["data"]["writeReview"]
    assert done["review"] == {"rating": 4, "text": "Fine.", "author": "Ana"}
    again = ask(REVIEW, user=guest, **variables)["data"]["writeReview"]
    assert again == refusal("reviewed", "There is a review of this stay.")
    assert Review.objects.count() == 1


def test_guest_and_host_write_to_each_other(ask: Ask) -> None:
    place, guest = make_property(), make_user(name="Ana")
    begun = ask(BEGIN, user=guest, place=place.slug, text="Hello")["data"]["startConversation"]
    assert begun["conversation"]["messages"] == {
        "edges": [{"node": {"text": "Hello", "isMine": True}}]
    }
    variables = {"id": begun["conversation"]["id"]}
    sent = ask(SEND, user=place.host, text="Welcome", **variables)["data"]["sendMessage"]
    host = {"name": place.host.name}
    assert sent["message"] == {"text": "Welcome", "isMine": True, "sender": host}
    seen = ask(BEGIN, user=guest, place=place.slug, text="Thanks")["data"]["startConversation"]
    assert (seen["conversation"]["id"], seen["conversation"]["unread"]) == (variables["id"], 1)
    read = ask(READ, user=guest, **variables)["data"]["markRead"]["conversation"]
    assert read["unread"] == 0
    assert [edge["node"]["isMine"] for edge in read["messages"]["edges"]] == [True, False, True]


def test_nobody_else_writes_or_reads_there(ask: Ask) -> None:
    place = make_property()
    own = ask(BEGIN, user=place.host, place=place.slug, text="Hello")["data"]["startConversation"]
    assert own == refusal("own_property", "This place is your own.")
    begun = ask(BEGIN, user=make_user(), place=place.slug, text="Hello")["data"]
    variables = {"id": begun["startConversation"]["conversation"]["id"]}
    for user in (make_user(), make_host(), make_admin()):
        for query, more in ((SEND, {"text": "Hello"}), (READ, {})):
            (result,) = ask(query, user=user, **variables, **more)["data"].values()
            assert result == refusal("not_found", "There is no such conversation.")
    for text in ("", "x" * 2_001, "\0"):
        (result,) = ask(SEND, user=place.host, text=text, **variables)["data"].values()
        assert (result["__typename"], result["field"]) == ("Refusal", "text")
    assert Message.objects.count() == 1
