"""What queries show, to whom, and with how many queries of the database."""

import json
from typing import Any

import pytest
from django.db.backends.postgresql.psycopg_any import DateRange
from pytest_django import DjangoAssertNumQueries
from strawberry.relay import to_base64

from stays.accounts.models import User
from stays.bookings.models import Booking, Status
from stays.graph.inputs import PropertyOrder
from stays.graph.queries import BY_RATING
from stays.listings.models import Amenity, Property
from stays.listings.serializers import SORTS
from stays.messaging.models import Conversation, Message
from stays.payments.models import Payment
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


def make_review(place: Property, rating: int, text: str = "Fine.", **fields: Any) -> Review:
    """A review of a stay that has been; each one's dates are its own."""
    number = place.bookings.count()
    stay = DateRange(day(-400 + 4 * number), day(-398 + 4 * number), "[)")
    total = 2 * place.nightly_minor + place.cleaning_minor
    booking = make_booking(
        property=place, stay=stay, total_minor=total, status=Status.CONFIRMED, **fields
    )
    return Review.objects.create(booking=booking, property=place, rating=rating, text=text)


def make_payment(booking: Booking, **fields: Any) -> Payment:
    defaults = {"amount_minor": booking.total_minor, "currency": "EUR", "method": "tok_secret"}
    return Payment.objects.create(booking=booking, **(defaults | fields))


def nodes(connection: dict[str, Any]) -> list[dict[str, Any]]:
    return [edge["node"] for edge in connection["edges"]]


def codes(answer: dict[str, Any]) -> list[str]:
    return [error["extensions"]["code"] for error in answer["errors"]]


def test_the_viewer_is_the_one_whose_token_was_sent(ask: Ask) -> None:
    user = make_host(name="Ana")
    answer = ask("{ me { name email role dateJoined } }", user=user)
    assert answer["data"]["me"] == {
        "name": "Ana",
        "email": user.email,
        "role": "HOST",
        "dateJoined": user.date_joined.isoformat(),
    }


@pytest.mark.parametrize(
    "field",
    [
        "me { email }",
        "bookings(first: 1) { totalCount }",
        'booking(id: "Qm9va2luZzox") { id }',
        "conversations(first: 1) { totalCount }",
        'node(id: "Qm9va2luZzox") { id }',
        'node(id: "UGF5bWVudDox") { id }',
        'node(id: "Q29udmVyc2F0aW9uOjE=") { id }',
        'node(id: "TWVzc2FnZTox") { id }',
    ],
)
def test_what_is_private_needs_a_token(ask: Ask, field: str) -> None:
    answer = ask("{ cities(first: 1) { totalCount } private: " + field + " }", status=294)
    (error,) = answer["errors"]
    assert error["extensions"] == {"code": "not_authenticated"}
    assert error["path"] == ["private"]
    assert error["message"] == "This needs an access token."


def test_cities_and_amenities_are_sorted_by_name(
    ask: Ask, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for name in ("Porto", "Faro", "Lisboa"):
        make_city(name=name, slug=name.lower())
    for name in ("Wi-Fi", "Kitchen"):
        Amenity.objects.create(name=name, slug=name.lower())
    with django_assert_num_queries(3):  # a page, a count, the amenities
        data = ask(
            "{ cities(first: 2) { totalCount pageInfo { hasNextPage } edges { node {"
            " slug name country timezone latitude longitude } } } amenities { slug name } }"
        )["data"]
    assert [city["slug"] for city in nodes(data["cities"])] == ["faro", "lisboa"]
    assert data["cities"]["totalCount"] == 3
    assert data["cities"]["pageInfo"] == {"hasNextPage": True}
    assert [amenity["slug"] for amenity in data["amenities"]] == ["kitchen", "wi-fi"]


PLACES = """query ($after: String, $first: Int, $order: PropertyOrder, $search: PropertySearch) {
  properties(first: $first, after: $after, order: $order, search: $search) {
    pageInfo { hasNextPage endCursor } edges { node { slug } } } }"""


def test_pages_follow_each_other_whatever_comes_and_goes(ask: Ask) -> None:
    prices = [5_000, 5_000, 4_000, 5_000, 6_000]
    places = [make_property(nightly_minor=price) for price in prices]
    places.sort(key=lambda place: (place.nightly_minor, place.id))
    seen: list[str] = []
    after = None
    for page in range(3):
        search = {"currency": "EUR"}
        connection = ask(PLACES, first=2, after=after, order="PRICE", search=search)["data"][
            "properties"
        ]
        seen += [node["slug"] for node in nodes(connection)]
        assert connection["pageInfo"]["hasNextPage"] is (page < 2)
        after = connection["pageInfo"]["endCursor"]
        if page == 0:  # an offset would now show a place twice
            make_property(nightly_minor=1)
    assert seen == [place.slug for place in places]


def test_a_page_can_be_read_backwards(ask: Ask) -> None:
    slugs = [make_property().slug for _ in range(4)]
    query = """query ($before: String) { properties(last: 2, before: $before) {
      pageInfo { hasPreviousPage startCursor } edges { node { slug } } } }"""
    last = ask(query)["data"]["properties"]
    assert [node["slug"] for node in nodes(last)] == [slugs[1], slugs[0]]
    assert last["pageInfo"]["hasPreviousPage"] is True
    first = ask(query, before=last["pageInfo"]["startCursor"])["data"]["properties"]
    assert [node["slug"] for node in nodes(first)] == [slugs[3], slugs[2]]
    assert first["pageInfo"]["hasPreviousPage"] is False


@pytest.mark.parametrize("cursor", ["nonsense", "=", "é", to_base64("offset", "1"), 7, ["x"]])
@pytest.mark.parametrize("argument", ["after", "before"])
def test_what_is_no_cursor_is_refused(ask: Ask, argument: str, cursor: Any) -> None:
    arguments = f"first: 1, {argument}: {json.dumps(cursor)}"
    query = "{ properties(" + arguments + ") { totalCount } }"
    (error,) = ask(query, status=400)["errors"]
    assert error["message"] == f"What {argument} says is not a cursor."


@pytest.mark.parametrize(
    ("values", "status", "code"),
    [
        ("nonsense", 400, "invalid"),
        ("{}", 400, "invalid"),
        ("[" * 700, 400, "invalid"),
        ('["' + "x" * 1_000 + '"]', 400, "invalid"),
        ("[]", 294, "bad_cursor"),
        ('["x"]', 294, "bad_cursor"),
        ("[1]", 294, "bad_cursor"),
        ('["\\u0000"]', 294, "bad_cursor"),
        ('["a", "b"]', 294, "bad_cursor"),
    ],
)
def test_a_cursor_that_was_not_made_here_is_refused(
    ask: Ask, values: str, status: int, code: str
) -> None:
    cursor = to_base64("orderedcursor", values)
    assert codes(ask(PLACES, first=1, after=cursor, status=status)) == [code]


def test_a_cursor_of_another_ordering_finds_another_place_or_is_refused(ask: Ask) -> None:
    make_property()
    search = {"currency": "EUR"}
    page = ask(PLACES, first=1, search=search, order="PRICE")["data"]["properties"]
    cursor = page["pageInfo"]["endCursor"]
    assert codes(ask(PLACES, first=1, after=cursor, status=294)) == ["bad_cursor"]


def test_an_empty_cursor_is_none(ask: Ask) -> None:
    place = make_property()
    answer = ask(PLACES, first=1, after="")
    assert nodes(answer["data"]["properties"]) == [{"slug": place.slug}]


@pytest.mark.parametrize("values", ['["99999999999999999999", "%s"]', '["nan", "%s"]'])
def test_a_cursor_with_a_value_that_no_column_could_hold_is_no_fault_of_ours(
    ask: Ask, values: str
) -> None:
    cursor = to_base64("orderedcursor", values % make_property().id)
    answer = ask(PLACES, first=1, after=cursor, search={"currency": "EUR"}, order="PRICE", status=0)
    assert "errors" not in answer or codes(answer) == ["bad_cursor"]


def test_a_search_finds_what_meets_all_criteria(ask: Ask) -> None:
    lisbon = make_city(slug="lisboa")
    kitchen = Amenity.objects.create(slug="kitchen", name="Kitchen")
    found = make_property(
        city=lisbon, title="Tiled house", kind="private", max_guests=3, nightly_minor=7_000
    )
    found.amenities.add(kitchen)
    for other in (
        {"city": make_city()},
        {"kind": "entire"},
        {"max_guests": 2},
        {"nightly_minor": 9_000},
        {"nightly_minor": 5_000},
        {"title": "Plain"},
        {"is_listed": False},
        {"currency": "USD"},
    ):
        fields = {
            "city": lisbon,
            "title": "Tiled house",
            "kind": "private",
            "max_guests": 3,
            "nightly_minor": 7_000,
        }
        make_property(**(fields | other)).amenities.add(kitchen)
    taken = make_property(
        city=lisbon, title="Tiled house", kind="private", max_guests=3, nightly_minor=7_000
    )
    taken.amenities.add(kitchen)
    make_booking(property=taken, check_in=10, nights=3)
    search = {
        "city": "lisboa",
        "text": "tiles",
        "checkIn": str(day(12)),
        "checkOut": str(day(14)),
        "guests": 3,
        "minPrice": 6_000,
        "maxPrice": 8_000,
        "currency": "EUR",
        "amenities": ["kitchen"],
        "kind": "PRIVATE",
    }
    data = ask(PLACES, first=10, search=search)["data"]
    assert nodes(data["properties"]) == [{"slug": found.slug}]


@pytest.mark.parametrize(
    ("search", "order", "field", "code"),
    [
        ({"checkIn": str(day(3))}, None, "checkOut", "required"),
        ({"checkIn": str(day(3)), "checkOut": str(day(3))}, None, "checkOut", "order"),
        ({"checkIn": str(day(-9)), "checkOut": str(day(3))}, None, "checkIn", "past"),
        ({"minPrice": 1}, None, "currency", "required"),
        ({"minPrice": 2, "maxPrice": 1, "currency": "EUR"}, None, "maxPrice", "order"),
        ({"minPrice": -1, "currency": "EUR"}, None, "minPrice", "min_value"),
        ({"guests": 51}, None, "guests", "max_value"),
        ({"currency": "euro"}, None, "currency", "invalid"),
        ({"text": "x" * 201}, None, "text", "max_length"),
        ({"text": "\0"}, None, "text", "control_characters"),
        ({"city": "\0"}, None, "city", "control_characters"),
        ({}, "PRICE", "currency", "required"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused(
    ask: Ask, search: dict[str, Any], order: str | None, field: str, code: str
) -> None:
    variables = {"search": search} | ({"order": order} if order else {})
    answer = ask(PLACES, first=1, status=294, **variables)
    assert answer["data"] is None
    (error,) = answer["errors"]
    assert error["message"] == "The input has faults; see errors."
    assert error["extensions"]["code"] == "invalid"
    faults = {(f["field"], f["code"]) for f in error["extensions"]["errors"]}
    assert (field, code) in faults


DEEP = """{ properties(first: 10) { totalCount edges { cursor node {
  id slug title address latitude longitude rating host { name } city { name timezone }
  amenities { slug } reviews(first: 2) { totalCount pageInfo { hasNextPage } edges { node {
    rating text author createdAt } } } } } } }"""


@pytest.mark.parametrize("count", [1, 4])
def test_places_with_all_that_belongs_to_them_cost_a_fixed_number_of_queries(
    ask: Ask, django_assert_num_queries: DjangoAssertNumQueries, count: int
) -> None:
    kitchen = Amenity.objects.create(slug="kitchen", name="Kitchen")
    for _ in range(count):
        place = make_property()
        place.amenities.add(kitchen)
        for rating in (3, 4, 5):
            make_review(place, rating, guest=make_user(name=f"Guest{rating} Surname"))
    # places with city and host, their amenities, their reviews with authors, the count of places
    with django_assert_num_queries(4):
        data = ask(DEEP)["data"]["properties"]
    assert data["totalCount"] == count
    for node in nodes(data):
        assert node["amenities"] == [{"slug": "kitchen"}]
        assert node["reviews"]["totalCount"] == 3
        assert node["reviews"]["pageInfo"] == {"hasNextPage": True}
        reviews = nodes(node["reviews"])
        assert [(r["rating"], r["author"]) for r in reviews] == [(5, "Guest5"), (4, "Guest4")]


def test_only_the_host_and_admins_see_where_a_place_is(ask: Ask) -> None:
    place = make_property(address="Rua Augusta 1", latitude=38.71234, longitude=-9.14321)
    query = """query ($slug: String!) { property(slug: $slug) {
      address latitude longitude host { name } } }"""
    guest = make_booking(property=place, status=Status.CONFIRMED).guest
    for user in (None, make_user(), make_host(), guest):
        shown = ask(query, user=user, slug=place.slug)["data"]["property"]
        assert (shown["address"], shown["latitude"], shown["longitude"]) == (None, 38.71, -9.14)
    for user in (place.host, make_admin()):
        shown = ask(query, user=user, slug=place.slug)["data"]["property"]
        exact = (shown["address"], shown["latitude"], shown["longitude"])
        assert exact == ("Rua Augusta 1", 38.71234, -9.14321)


def test_a_place_that_is_not_offered_is_not_there(ask: Ask) -> None:
    place = make_property(is_listed=False)
    query = "query ($slug: String!) { property(slug: $slug) { slug } }"
    for slug in (place.slug, "nowhere"):
        assert ask(query, user=place.host, slug=slug) == {"data": {"property": None}}
    answer = ask(query, status=294, slug="\0")
    assert (answer["data"], codes(answer)) == ({"property": None}, ["invalid"])


@pytest.mark.parametrize("field", ["email", "password", "role", "bookings", "id", "isStaff"])
def test_of_another_user_there_is_no_more_than_the_name(ask: Ask, field: str) -> None:
    query = "{ properties(first: 1) { edges { node { host { " + field + " } } } } }"
    (error,) = ask(query, status=400)["errors"]
    assert error["message"] == f"Cannot query field '{field}' on type 'User'."


BOOKINGS = """{ bookings(first: 10) { edges { node { id status checkIn checkOut nights guests
  totalMinor currency address guest { name } payments { amountMinor status failure }
  property { title address host { name } city { name } amenities { slug }
    reviews(first: 1) { edges { node { author } } } } review { rating author } } } } }"""


@pytest.mark.parametrize("count", [1, 3])
def test_bookings_with_all_that_belongs_to_them_cost_a_fixed_number_of_queries(
    ask: Ask, django_assert_num_queries: DjangoAssertNumQueries, count: int
) -> None:
    user = make_user(name="Ana")
    for _ in range(count):
        review = make_review(make_property(), 5, guest=user)
        make_payment(review.booking)
    # the viewer's places; bookings with place, city and host; payments; amenities; reviews of the
    # place; the review
    with django_assert_num_queries(6):
        data = ask(BOOKINGS, user=user)["data"]["bookings"]
    assert len(nodes(data)) == count
    for node in nodes(data):
        assert node["review"] == {"rating": 5, "author": "Ana"}
        assert node["payments"][0]["status"] == "CREATED"
        assert nodes(node["property"]["reviews"]) == [{"author": "Ana"}]


def booking_id(booking: Booking) -> str:
    return to_base64("Booking", str(booking.id))


def test_bookings_are_seen_by_guest_host_and_admins_only(ask: Ask) -> None:
    booking = make_booking()
    one = "query ($id: ID!) { booking(id: $id) { id status } }"
    for user in (booking.guest, booking.property.host, make_admin()):
        shown = ask(one, user=user, id=booking_id(booking))["data"]["booking"]
        assert shown == {"id": booking_id(booking), "status": "PENDING"}
        assert len(nodes(ask(BOOKINGS, user=user)["data"]["bookings"])) == 1
    for user in (make_user(), make_host(), make_booking().guest):
        assert ask(one, user=user, id=booking_id(booking)) == {"data": {"booking": None}}
        listed = nodes(ask(BOOKINGS, user=user)["data"]["bookings"])
        assert booking_id(booking) not in [node["id"] for node in listed]


@pytest.mark.parametrize("text", ["x", "Booking", "Booking:", "Booking:1", "Nothing:1", "\0:\0"])
def test_an_id_of_nothing_finds_nothing(ask: Ask, text: str) -> None:
    one = "query ($id: ID!) { booking(id: $id) { id } }"
    for identifier in (text, to_base64(*text.split(":")) if ":" in text else text):
        answer = ask(one, user=make_admin(), id=identifier, status=0)
        assert answer.get("data", {}).get("booking") is None
        assert codes(answer) == ["bad_id"] if "errors" in answer else True


def test_the_host_sees_no_payments_and_nobody_the_address_before_it_is_confirmed(
    ask: Ask,
) -> None:
    pending = make_booking()
    confirmed = make_booking(status=Status.CONFIRMED)
    query = "query ($id: ID!) { booking(id: $id) { address payments { status } } }"
    for booking, address in ((pending, None), (confirmed, "Rua Augusta 1")):
        make_payment(booking)
        paid = [{"status": "CREATED"}]
        for user, shown in (
            (booking.guest, {"address": address, "payments": paid}),
            (booking.property.host, {"address": address, "payments": None}),
            (make_admin(), {"address": address, "payments": paid}),
        ):
            answer = ask(query, user=user, id=booking_id(booking))
            assert answer == {"data": {"booking": shown}}


def test_the_token_for_a_card_is_not_shown(ask: Ask) -> None:
    booking = make_booking()
    make_payment(booking)
    query = "query ($id: ID!) { booking(id: $id) { payments { method } } }"
    (error,) = ask(query, user=booking.guest, id=booking_id(booking), status=400)["errors"]
    assert error["message"] == "Cannot query field 'method' on type 'Payment'."


def test_an_amount_may_be_greater_than_32_bits(ask: Ask) -> None:
    place = make_property(nightly_minor=100_000_000)
    booking = make_booking(property=place, nights=80)
    query = "query ($id: ID!) { booking(id: $id) { totalMinor } }"
    answer = ask(query, user=booking.guest, id=booking_id(booking))
    assert answer == {"data": {"booking": {"totalMinor": 8_000_003_000}}}


def test_bookings_can_be_listed_by_role_and_status(ask: Ask) -> None:
    user = make_host()
    own = make_booking(guest=user)
    offered = make_booking(property=make_property(host=user), status=Status.CONFIRMED)
    query = """query ($role: BookingRole, $state: BookingStatus) {
      bookings(first: 9, role: $role, status: $state) { edges { node { id } } } }"""
    for variables, listed in (
        ({}, [offered, own]),
        ({"role": "GUEST"}, [own]),
        ({"role": "HOST"}, [offered]),
        ({"state": "PENDING"}, [own]),
        ({"role": "HOST", "state": "PENDING"}, []),
    ):
        found = nodes(ask(query, user=user, **variables)["data"]["bookings"])
        assert found == [{"id": booking_id(booking)} for booking in listed]


def make_conversation(guest: User, place: Property, *texts: str) -> Conversation:
    """A conversation that the guest has begun; then the two take turns."""
    conversation = Conversation.objects.create(property=place, guest=guest)
    for number, text in enumerate(texts):
        sender = place.host if number % 2 else guest
        Message.objects.create(conversation=conversation, sender=sender, text=text)
    return conversation


CONVERSATIONS = """query ($after: String) { conversations(first: 2, after: $after) { totalCount
  pageInfo { endCursor } edges { node { id unread property { title host { name } }
  guest { name } messages(first: 2) { totalCount edges { node {
    text isMine readAt sender { name } } } } } } } }"""


@pytest.mark.parametrize("count", [1, 2])
def test_conversations_with_their_messages_cost_a_fixed_number_of_queries(
    ask: Ask, django_assert_num_queries: DjangoAssertNumQueries, count: int
) -> None:
    guest, host = make_user(name="Ana"), make_host(name="Rui")
    for _ in range(count):
        make_conversation(guest, make_property(host=host), "Hello", "Welcome", "Thanks")
    # conversations with place, host and guest; messages with senders; the count
    with django_assert_num_queries(3):
        data = ask(CONVERSATIONS, user=guest)["data"]["conversations"]
    assert data["totalCount"] == count
    for node in nodes(data):
        assert (node["guest"], node["property"]["host"]) == ({"name": "Ana"}, {"name": "Rui"})
        assert node["unread"] == 1
        assert node["messages"]["totalCount"] == 3
        assert nodes(node["messages"]) == [
            {"text": "Thanks", "isMine": True, "readAt": None, "sender": {"name": "Ana"}},
            {"text": "Welcome", "isMine": False, "readAt": None, "sender": {"name": "Rui"}},
        ]


def test_the_conversation_with_the_newest_message_is_first_on_every_page(ask: Ask) -> None:
    guest = make_user()
    old, new, middle = (make_conversation(guest, make_property(), "Hello") for _ in range(3))
    Message.objects.create(conversation=new, sender=guest, text="Again")
    first = ask(CONVERSATIONS, user=guest)["data"]["conversations"]
    after = first["pageInfo"]["endCursor"]
    second = ask(CONVERSATIONS, user=guest, after=after)["data"]["conversations"]
    listed = [node["id"] for node in nodes(first) + nodes(second)]
    assert listed == [to_base64("Conversation", str(c.id)) for c in (new, middle, old)]


NODE = "query ($id: ID!) { node(id: $id) { __typename id } }"


def test_every_object_is_found_by_its_id_by_those_who_may_see_it(ask: Ask) -> None:
    guest, host, admin, other = make_user(), make_host(), make_admin(), make_host()
    place = make_property(host=host)
    booking = make_booking(property=place, guest=guest)
    review = make_review(place, 5)
    conversation = make_conversation(guest, place, "Hello")
    everyone = (None, guest, host, admin, other)
    for kind, row, may_see in (
        ("Property", place, everyone),
        ("Review", review, everyone),
        ("Booking", booking, (guest, host, admin)),
        ("Payment", make_payment(booking), (guest, admin)),
        ("Conversation", conversation, (guest, host)),
        ("Message", conversation.messages.get(), (guest, host)),
    ):
        identifier = to_base64(kind, str(row.pk))
        for user in everyone:
            answer = ask(NODE, user=user, id=identifier, status=0)
            shown = {"__typename": kind, "id": identifier} if user in may_see else None
            assert answer["data"] == {"node": shown}


def test_what_belongs_to_a_node_comes_with_it(
    ask: Ask, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    place = make_property()
    make_review(place, 5)
    query = """query ($id: ID!) { node(id: $id) { ... on Property { host { name } city { name }
      amenities { slug } reviews(first: 1) { edges { node { author } } } } } }"""
    with django_assert_num_queries(3):
        shown = ask(query, id=to_base64("Property", str(place.id)))["data"]["node"]
    assert shown["host"] == {"name": place.host.name}


def test_of_a_place_that_is_not_offered_any_more_no_node_is_shown(ask: Ask) -> None:
    place = make_property(is_listed=False)
    review = make_review(place, 5)
    for kind, row in (("Property", place), ("Review", review), ("User", place.host)):
        assert ask(NODE, id=to_base64(kind, str(row.pk))) == {"data": {"node": None}}


def _rated(ratings: list[tuple[int, int]]) -> None:
    for total, count in ratings:
        make_property(rating_sum=total, rating_count=count, nightly_minor=5_000 + total)


@pytest.mark.parametrize("order", PropertyOrder)
def test_every_order_can_be_read_page_by_page(ask: Ask, order: PropertyOrder) -> None:
    _rated([(5, 1), (9, 2), (4, 1), (9, 2), (0, 0)])
    expected = Property.objects.order_by(*SORTS[order.value]).values_list("slug", flat=True)
    seen: list[str] = []
    after = None
    for page in range(3):
        answer = ask(PLACES, first=2, after=after, order=order.name, search={"currency": "EUR"})
        connection = answer["data"]["properties"]
        seen += [node["slug"] for node in nodes(connection)]
        assert connection["pageInfo"]["hasNextPage"] is (page < 2)
        after = connection["pageInfo"]["endCursor"]
    assert seen == list(expected)


def test_the_order_by_rating_is_the_indexs() -> None:
    query = Property.objects.order_by(BY_RATING, "-id").query
    assert 'ORDER BY "listings_property"."rating" DESC' in str(query)
