import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import override_settings
from rest_framework.test import APIClient
from zeal import zeal_ignore

from stays.accounts.models import User
from stays.bookings.models import Booking
from stays.common import cache
from stays.listings.models import Amenity, Property
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
AsUser = Callable[[User], APIClient]
SEARCH = "/api/v1/properties"
PUBLIC = {
    "slug",
    "title",
    "kind",
    "city",
    "latitude",
    "longitude",
    "max_guests",
    "bedrooms",
    "nightly_minor",
    "cleaning_minor",
    "currency",
    "instant_book",
    "amenities",
    "rating",
    "rating_count",
}
DETAIL = PUBLIC | {"description", "host", "address", "is_listed", "created_at", "updated_at"}


@pytest.fixture
def signed_in(as_user: AsUser) -> AsUser:
    """A client that is signed in, and shows it, as real ones do."""

    def sign_in(user: User) -> APIClient:
        client = as_user(user)
        client.credentials(HTTP_AUTHORIZATION="Bearer of.this.test")
        return client

    return sign_in


@pytest.fixture(autouse=True)
def _fresh_breaker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_breaker", cache._Breaker())


def faults(response: HttpResponse) -> dict[str, str]:
    """The fields at fault, of a problem."""
    assert response["Content-Type"] == "application/problem+json"
    body = json.loads(response.content)
    assert body["status"] == response.status_code
    return {error["field"]: error["code"] for error in body["errors"]}


def with_amenity(place: Property, slug: str) -> None:
    with zeal_ignore():
        place.amenities.add(Amenity.objects.create(slug=slug, name=slug))


def headers_of(response: HttpResponse) -> dict[str, str]:
    return {name: value for name, value in response.items() if name != "X-Request-ID"}


def titles(response: HttpResponse) -> list[str]:
    assert response.status_code == 200, response.content
    return [row["title"] for row in json.loads(response.content)["results"]]


def offer(**fields: Any) -> dict[str, Any]:
    defaults = {
        "title": "River flat",
        "description": "Over the river.",
        "city": "porto",
        "kind": "entire",
        "address": "Rua Augusta 1",
        "latitude": 38.71234,
        "longitude": -9.14321,
        "max_guests": 2,
        "bedrooms": 1,
        "nightly_minor": 9_000,
        "cleaning_minor": 0,
        "currency": "EUR",
        "instant_book": False,
        "amenities": [],
    }
    return {name: value for name, value in (defaults | fields).items() if value is not ...}


# -- Searching


def test_a_search_shows_what_everybody_may_know(api: APIClient) -> None:
    place = make_property(latitude=38.71234, longitude=-9.14321, rating_sum=9, rating_count=2)
    place.amenities.set(Amenity.objects.create(slug=slug, name=slug) for slug in ("wifi", "pool"))
    response = api.get(SEARCH)
    (row,) = response.json()["results"]
    assert row.keys() == PUBLIC
    assert (row["latitude"], row["longitude"]) == (38.71, -9.14)
    assert (row["rating"], row["amenities"]) == (4.5, ["pool", "wifi"])
    assert row["city"]["slug"] == place.city.slug
    for secret in (place.host.email, place.address, str(place.host_id), str(place.id)):
        assert secret not in response.content.decode()


def test_a_search_costs_two_queries_however_much_it_finds(
    api: APIClient, django_assert_num_queries: Any
) -> None:
    for number in range(12):
        with_amenity(make_property(), f"amenity-{number}")
    for limit in (1, 12):
        with django_assert_num_queries(2):
            api.get(SEARCH, {"limit": limit})
        with django_assert_num_queries(0):  # cached
            api.get(SEARCH, {"limit": limit})


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("newest", ["third", "second", "first"]),
        ("price", ["second", "third", "first"]),
        ("-price", ["first", "third", "second"]),
        ("-rating", ["third", "second", "first"]),
    ],
)
def test_a_search_is_sorted_and_paged(api: APIClient, sort: str, expected: list[str]) -> None:
    for title, price, rating in [("first", 9_000, 2), ("second", 1_000, 3), ("third", 5_000, 4)]:
        make_property(title=title, nightly_minor=price, rating_sum=rating, rating_count=1)
    address = f"{SEARCH}?sort={sort}&limit=1&currency=EUR"
    seen = []
    for _ in expected:
        response = api.get(address)
        seen += titles(response)
        address = response.json()["next"]
    assert seen == expected
    assert address is None


def test_a_search_finds_what_is_free(api: APIClient, commits: Any) -> None:
    place = make_property(title="It")
    query = {"check_in": day(10).isoformat(), "check_out": day(12).isoformat()}
    assert titles(api.get(SEARCH, query)) == ["It"]
    booking = make_booking(property=place, check_in=11)
    with commits():
        cache.invalidate("bookings")
    assert titles(api.get(SEARCH, query)) == []
    assert titles(api.get(SEARCH)) == ["It"]
    Booking.objects.filter(pk=booking.pk).update(status="expired")
    with commits():
        cache.invalidate("bookings")
    assert titles(api.get(SEARCH, query)) == ["It"]


def test_a_search_takes_everything_together(api: APIClient) -> None:
    place = make_property(title="River flat", city=make_city(slug="porto"))
    place.amenities.set(Amenity.objects.create(slug=slug, name=slug) for slug in ("wifi", "pool"))
    query = {
        "city": "porto",
        "text": "river",
        "check_in": day(3).isoformat(),
        "check_out": day(5).isoformat(),
        "guests": "2",
        "min_price": "9000",
        "max_price": "9000",
        "currency": "EUR",
        "amenities": "pool,wifi,pool",
        "kind": "entire",
        "sort": "price",
        "limit": "5",
    }
    assert titles(api.get(SEARCH, query)) == ["River flat"]
    assert titles(api.get(SEARCH, query | {"amenities": "pool,moat"})) == []


@pytest.mark.parametrize(
    ("query", "field", "code"),
    [
        ("city=", "city", "blank"),
        ("city=" + "x" * 81, "city", "max_length"),
        ("city=%00", "city", "control_characters"),
        ("text=" + "x" * 201, "text", "max_length"),
        ("text=a%00b", "text", "control_characters"),
        ("check_in=2100-01-01", "check_out", "required"),
        ("check_out=2100-01-01", "check_in", "required"),
        ("check_in=2100-01-02&check_out=2100-01-02", "check_out", "order"),
        ("check_in=2100-01-02&check_out=2100-01-01", "check_out", "order"),
        ("check_in=2000-01-01&check_out=2100-01-01", "check_in", "past"),
        ("check_in=2100-02-30&check_out=2100-03-01", "check_in", "invalid"),
        ("check_in=tomorrow&check_out=2100-03-01", "check_in", "invalid"),
        ("guests=0", "guests", "min_value"),
        ("guests=51", "guests", "max_value"),
        ("guests=two", "guests", "invalid"),
        ("min_price=-1&currency=EUR", "min_price", "min_value"),
        ("min_price=100000001&currency=EUR", "min_price", "max_value"),
        ("max_price=1.5&currency=EUR", "max_price", "invalid"),
        ("min_price=2&max_price=1&currency=EUR", "max_price", "order"),
        ("min_price=1", "currency", "required"),
        ("max_price=1", "currency", "required"),
        ("sort=price", "currency", "required"),
        ("sort=-price", "currency", "required"),
        ("currency=eur", "currency", "invalid"),
        ("currency=EURO", "currency", "invalid"),
        ("amenities=", "amenities", "blank"),
        ("amenities=wifi,", "amenities", "invalid"),
        ("amenities=wi fi", "amenities", "invalid"),
        ("amenities=" + ",".join("abcdefghijk"), "amenities", "max_length"),
        ("amenities=" + "x" * 41, "amenities", "invalid"),
        ("kind=castle", "kind", "invalid_choice"),
        ("sort=title", "sort", "invalid_choice"),
        ("sort=newest&sort=newest", "sort", "repeated"),
        ("limit=101", "limit", "max_value"),
        ("cursor=forged", "cursor", "cursor"),
        ("order=price", "order", "unknown"),
    ],
)
def test_a_search_with_faults_is_refused(api: APIClient, query: str, field: str, code: str) -> None:
    for _ in range(2):  # it is not cached, either
        response = api.get(f"{SEARCH}?{query}")
        assert response.status_code == 400
        assert faults(response)[field] == code


def test_a_cursor_of_another_sorting_is_refused(api: APIClient) -> None:
    for _ in range(2):
        make_property()
    following = api.get(SEARCH, {"limit": 1}).json()["next"]
    assert titles(api.get(following))
    assert faults(api.get(f"{following}&sort=-rating")) == {"cursor": "cursor"}


# -- Cities and amenities


def test_cities_and_amenities_are_listed_by_name(
    api: APIClient, django_assert_num_queries: Any
) -> None:
    for name in ("Porto", "Oslo"):
        make_city(name=name, slug=name.lower())
        Amenity.objects.create(name=name, slug=name.lower())
    for kind in ("cities", "amenities"):
        with django_assert_num_queries(1):
            first = api.get(f"/api/v1/{kind}", {"limit": 1}).json()
        with django_assert_num_queries(0):
            assert api.get(f"/api/v1/{kind}", {"limit": 1}).json() == first
        second = api.get(first["next"]).json()
        assert [row["slug"] for row in first["results"] + second["results"]] == ["oslo", "porto"]
        assert second["next"] is None
        assert faults(api.get(f"/api/v1/{kind}?limit=0")) == {"limit": "min_value"}


# -- One place


def test_a_place_shows_what_everybody_may_know(
    api: APIClient, django_assert_num_queries: Any
) -> None:
    place = make_property(latitude=38.71234, longitude=-9.14321)
    with django_assert_num_queries(2):
        response = api.get(f"{SEARCH}/{place.slug}")
    shown = response.json()
    assert shown.keys() == DETAIL
    assert (shown["host"], shown["address"]) == (place.host.name, None)
    assert (shown["latitude"], shown["longitude"]) == (38.71, -9.14)
    for secret in (place.host.email, place.address, str(place.host_id), str(place.id)):
        assert secret not in response.content.decode()


def test_host_and_admins_see_the_address_and_nobody_else(api: APIClient, signed_in: AsUser) -> None:
    place = make_property(latitude=38.71234)
    address = f"{SEARCH}/{place.slug}"
    etags = set()
    for user, sees in [
        (place.host, True),
        (make_host(), False),
        (make_user(), False),
        (make_admin(), True),
    ]:
        response = signed_in(user).get(address)
        assert response["Cache-Control"] == "private, no-cache"
        assert response.json()["address"] == (place.address if sees else None)
        assert response.json()["latitude"] == (38.71234 if sees else 38.71)
        etags.add((sees, response["ETag"]))
    response = api.get(address)
    assert response.json()["address"] is None
    etags.add((False, response["ETag"]))
    assert len(etags) == 2  # one for each representation


@pytest.mark.parametrize("slug", ["none", "off-the-list", "x" * 3_000])
def test_a_place_that_is_not_offered_is_not_found(
    api: APIClient, signed_in: AsUser, slug: str
) -> None:
    place = make_property(slug="off-the-list", is_listed=False)
    for client in (api, signed_in(place.host)):
        response = client.get(f"{SEARCH}/{slug}")
        assert (response.status_code, response.json()["code"]) == (404, "not_found")
        assert slug not in response.json()["detail"]


@pytest.mark.parametrize("slug", ["%00", "a%20b", "..", "a.json"])
def test_what_is_no_slug_is_not_found(api: APIClient, slug: str) -> None:
    response = api.get(f"{SEARCH}/{slug}")
    assert (response.status_code, response["Content-Type"]) == (404, "application/problem+json")


def test_a_place_takes_no_parameters(api: APIClient) -> None:
    place = make_property()
    assert faults(api.get(f"{SEARCH}/{place.slug}?full=1")) == {"full": "unknown"}


# -- Conditional and cached


def test_a_hit_is_what_a_miss_is(api: APIClient, django_assert_num_queries: Any) -> None:
    place = make_property()
    for address in (f"{SEARCH}/{place.slug}", f"{SEARCH}?limit=3", "/api/v1/cities"):
        miss = api.get(address)
        with django_assert_num_queries(0):
            hit = api.get(address)
        with override_settings(CACHES={}):
            cache._breaker.failed(cache.RedisError())
            uncached = api.get(address)
            cache._breaker.succeeded()
        for response in (hit, uncached):
            assert response.content == miss.content
            assert response["X-Request-ID"] != miss["X-Request-ID"]
            assert headers_of(response) == headers_of(miss)
        assert miss["Cache-Control"] == "public, no-cache"
        assert miss["Vary"] == "Accept, Authorization"
        assert miss["Content-Type"] == "application/json"


def test_who_has_it_already_gets_304(
    api: APIClient, signed_in: AsUser, django_assert_num_queries: Any
) -> None:
    place = make_property()
    address = f"{SEARCH}/{place.slug}"
    for client, queries in ((api, 0), (signed_in(place.host), 2)):
        etag = client.get(address)["ETag"]
        assert etag.startswith('"')
        for header in (etag, f"W/{etag}", f'"other", {etag}', "*"):
            with django_assert_num_queries(queries):
                response = client.get(address, headers={"If-None-Match": header})
            assert (response.status_code, response.content) == (304, b"")
            assert response["ETag"] == etag
            assert {"Cache-Control", "Vary"} <= response.headers.keys()
            assert "Content-Type" not in response.headers
        for header in ('"other"', "nonsense", ""):
            response = client.get(address, headers={"If-None-Match": header})
            assert (response.status_code, response["ETag"]) == (200, etag)


def test_if_match_counts_for_reading_too(api: APIClient) -> None:
    place = make_property()
    address = f"{SEARCH}/{place.slug}"
    etag = api.get(address)["ETag"]
    for header in (etag, "*"):
        assert api.get(address, headers={"If-Match": header}).status_code == 200
    for header in ('"other"', f"W/{etag}", ""):
        response = api.get(address, headers={"If-Match": header})
        assert (response.status_code, response.json()["code"]) == (412, "precondition_failed")


def test_head_is_get_without_a_body(api: APIClient) -> None:
    place = make_property()
    address = f"{SEARCH}/{place.slug}"
    head = api.head(address)
    got = api.get(address)
    assert head.content == b""
    assert head["ETag"] == got["ETag"]
    assert got.json()["slug"] == place.slug


def test_the_order_of_parameters_does_not_matter(
    api: APIClient, django_assert_num_queries: Any
) -> None:
    for _ in range(3):
        make_property()
    one = api.get(f"{SEARCH}?limit=2&sort=newest")
    with django_assert_num_queries(0):
        other = api.get(f"{SEARCH}?sort=newest&limit=2")
    assert one.content == other.content
    assert other.json()["next"].startswith(f"{SEARCH}?cursor=")


def test_a_change_is_seen_at_once(api: APIClient, signed_in: AsUser, commits: Any) -> None:
    place = make_property()
    address = f"{SEARCH}/{place.slug}"
    before = api.get(address)
    assert titles(api.get(SEARCH)) == [place.title]
    host = signed_in(place.host)
    with commits():
        changed = host.patch(
            address, {"title": "New"}, headers={"If-Match": host.get(address)["ETag"]}
        )
    assert changed.status_code == 200
    after = api.get(address, headers={"If-None-Match": before["ETag"]})
    assert (after.status_code, after.json()["title"]) == (200, "New")
    assert titles(api.get(SEARCH)) == ["New"]
    with commits():
        assert host.delete(address).status_code == 204
    assert api.get(address).status_code == 404
    assert titles(api.get(SEARCH)) == []


def test_what_is_not_found_is_found_once_it_is_there(
    api: APIClient, signed_in: AsUser, commits: Any
) -> None:
    make_city(slug="porto")
    assert api.get(f"{SEARCH}/river-flat").status_code == 404
    with commits():
        assert signed_in(make_host()).post(SEARCH, offer()).status_code == 201
    assert api.get(f"{SEARCH}/river-flat").status_code == 200


def test_what_one_user_sees_is_never_shown_to_another(
    api: APIClient, signed_in: AsUser, as_user: AsUser
) -> None:
    place = make_property()
    address = f"{SEARCH}/{place.slug}"
    for client in (signed_in(place.host), as_user(place.host)):
        assert client.get(address).json()["address"] == place.address
    assert api.get(address).json()["address"] is None
    assert signed_in(place.host).get(address).json()["address"] == place.address


def test_a_token_that_is_not_good_gets_no_cached_answer(api: APIClient) -> None:
    place = make_property()
    address = f"{SEARCH}/{place.slug}"
    assert api.get(address).status_code == 200
    response = api.get(address, headers={"Authorization": "Bearer forged"})
    assert response.status_code == 401


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/json", 200),
        ("text/html, */*;q=0.8", 200),
        ("application/*", 200),
        ("application/json; indent=4", 200),
        ("text/html", 406),
        ("application/xml;q=0.9", 406),
    ],
)
def test_a_hit_negotiates_as_a_miss_does(api: APIClient, accept: str, status: int) -> None:
    address = f"{SEARCH}/{make_property().slug}"
    content = api.get(address).content
    response = api.get(address, headers={"Accept": accept})
    assert response.status_code == status
    if status == 200:
        assert response.content == content


# -- Offering


def test_a_host_offers_a_place(signed_in: AsUser) -> None:
    make_city(slug="porto")
    Amenity.objects.create(slug="wifi", name="Wi-Fi")
    host = signed_in(make_host())
    response = host.post(SEARCH, offer(amenities=["wifi"]))
    assert response.status_code == 201, response.content
    assert response["Location"] == f"{SEARCH}/river-flat"
    shown = host.get(response["Location"])
    assert shown.json() == response.json()
    assert shown["ETag"] == response["ETag"]
    assert response.json() == response.json() | offer(city=shown.json()["city"], amenities=["wifi"])


def test_the_same_request_offers_one_place(signed_in: AsUser) -> None:
    make_city(slug="porto")
    host = signed_in(make_host())
    first, second = (
        host.post(SEARCH, offer(), headers={"Idempotency-Key": "one"}) for _ in range(2)
    )
    assert (first.status_code, first.content) == (second.status_code, second.content)
    assert first["ETag"] == second["ETag"]
    assert Property.objects.count() == 1


WRONG = [
    ("title", "", "blank"),
    ("title", "   ", "blank"),
    ("title", "x" * 101, "max_length"),
    ("title", "a\0b", "control_characters"),
    ("title", 1, "invalid"),
    ("title", None, "null"),
    ("description", "x" * 5_001, "max_length"),
    ("description", ["a"], "invalid"),
    ("kind", "castle", "invalid_choice"),
    ("kind", [], "invalid_choice"),
    ("address", "", "blank"),
    ("address", "x" * 201, "max_length"),
    ("latitude", 90.1, "max_value"),
    ("latitude", "38.7", "invalid"),
    ("longitude", -180.1, "min_value"),
    ("longitude", True, "invalid"),
    ("max_guests", 0, "min_value"),
    ("max_guests", 51, "max_value"),
    ("max_guests", 1.5, "invalid"),
    ("max_guests", "2", "invalid"),
    ("bedrooms", -1, "min_value"),
    ("bedrooms", 51, "max_value"),
    ("nightly_minor", 0, "min_value"),
    ("nightly_minor", 100_000_001, "max_value"),
    ("nightly_minor", 10**30, "max_value"),
    ("cleaning_minor", -1, "min_value"),
    ("currency", "eur", "invalid"),
    ("currency", "EURO", "invalid"),
    ("instant_book", "true", "invalid"),
    ("amenities", "wifi", "not_a_list"),
    ("amenities", ["a"] * 51, "max_length"),
    ("slug", "mine", "unknown"),
    ("host", "me", "unknown"),
    ("rating_sum", 5, "unknown"),
    ("is_listed", False, "unknown"),
    ("version", 1, "unknown"),
]


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        *WRONG,
        ("city", "", "blank"),
        ("city", 1, "invalid"),
        *(
            (field, ..., "required")
            for field in offer()
            if field not in ("description", "cleaning_minor", "instant_book", "amenities")
        ),
    ],
)
def test_an_offer_with_faults_is_refused(
    signed_in: AsUser, field: str, value: Any, code: str
) -> None:
    make_city(slug="porto")
    response = signed_in(make_host()).post(SEARCH, offer(**{field: value}))
    assert response.status_code == 400
    assert faults(response) == {field: code}
    assert not Property.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"), [("city", "nowhere"), ("amenities", ["moat"]), ("amenities", ["wifi", "x"])]
)
def test_what_is_not_known_cannot_be(signed_in: AsUser, field: str, value: Any) -> None:
    make_city(slug="porto")
    Amenity.objects.create(slug="wifi", name="Wi-Fi")
    response = signed_in(make_host()).post(SEARCH, offer(**{field: value}))
    assert response.status_code == 422
    assert faults(response) == {field: "unknown"}
    assert not Property.objects.exists()


@pytest.mark.parametrize("body", ["[]", "1", "null", "{", '{"title": NaN}', ""])
def test_what_is_no_object_is_refused(signed_in: AsUser, body: str) -> None:
    response = signed_in(make_host()).post(SEARCH, body, content_type="application/json")
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"


def test_guests_and_strangers_offer_nothing(api: APIClient, signed_in: AsUser) -> None:
    make_city(slug="porto")
    assert api.post(SEARCH, offer()).status_code == 401
    response = signed_in(make_user()).post(SEARCH, offer())
    assert (response.status_code, response.json()["code"]) == (403, "not_a_host")
    assert not Property.objects.exists()


# -- Changing


def test_a_change_needs_the_etag_of_what_was_read(signed_in: AsUser) -> None:
    place = make_property()
    host, address = signed_in(place.host), f"{SEARCH}/{place.slug}"
    etag = host.get(address)["ETag"]
    response = host.patch(address, {"title": "New"})
    assert (response.status_code, response.json()["code"]) == (428, "precondition_required")
    for header in ('"other"', f"W/{etag}", "nonsense", ""):
        response = host.patch(address, {"title": "New"}, headers={"If-Match": header})
        assert (response.status_code, response.json()["code"]) == (412, "precondition_failed")
    assert Property.objects.get().version == 1
    response = host.patch(address, {"title": "New"}, headers={"If-Match": f'"other", {etag}'})
    assert (response.status_code, response.json()["title"]) == (200, "New")
    assert response["ETag"] == host.get(address)["ETag"] != etag
    response = host.patch(address, {"title": "Newer"}, headers={"If-Match": etag})
    assert response.status_code == 412
    assert host.patch(address, {}, headers={"If-Match": "*"}).status_code == 200
    assert Property.objects.get().title == "New"


@pytest.mark.parametrize("change", ["rating", "amenities", "host", "address"])
def test_whatever_is_shown_changes_the_etag(signed_in: AsUser, change: str) -> None:
    place = make_property()
    host, address = signed_in(place.host), f"{SEARCH}/{place.slug}"
    before = host.get(address)["ETag"]
    if change == "rating":
        Property.objects.update(rating_sum=5, rating_count=1)
    elif change == "amenities":
        place.amenities.add(Amenity.objects.create(slug="wifi", name="Wi-Fi"))
    elif change == "host":
        User.objects.filter(pk=place.host_id).update(name="Another")
    else:
        Property.objects.update(version=2)
    assert host.get(address)["ETag"] != before


@pytest.mark.django_db(transaction=True)
def test_of_two_who_change_what_they_have_read_one_wins(signed_in: AsUser) -> None:
    place = make_property()
    address = f"{SEARCH}/{place.slug}"
    etag = signed_in(place.host).get(address)["ETag"]
    clients = [signed_in(place.host) for _ in range(10)]

    def change(number: int) -> int:
        response = clients[number].patch(
            address, {"title": f"Title {number}"}, headers={"If-Match": etag}
        )
        return int(response.status_code)

    assert Counter(race(change, 10)) == {200: 1, 412: 9}
    assert Property.objects.get().version == 2


@pytest.mark.parametrize(("field", "value", "code"), [*WRONG, ("city", "porto", "unknown")])
def test_a_change_with_faults_is_refused(
    signed_in: AsUser, field: str, value: Any, code: str
) -> None:
    place = make_property()
    response = signed_in(place.host).patch(
        f"{SEARCH}/{place.slug}", {field: value}, headers={"If-Match": "*"}
    )
    assert response.status_code == 400
    assert faults(response) == {field: code}
    assert Property.objects.get().version == 1


def test_another_ones_place_is_not_changed(api: APIClient, signed_in: AsUser) -> None:
    place = make_property()
    address = f"{SEARCH}/{place.slug}"
    for client, status in [
        (api, 401),
        (signed_in(make_host()), 403),
        (signed_in(make_user()), 403),
    ]:
        response = client.patch(address, {"title": "Mine"}, headers={"If-Match": "*"})
        assert response.status_code == status
        assert client.delete(address).status_code == status
    now = Property.objects.get()
    assert (now.title, now.is_listed, now.version) == (place.title, True, 1)


def test_a_place_is_taken_off_the_list_and_its_bookings_stay(signed_in: AsUser) -> None:
    place = make_property()
    booking = make_booking(property=place, status="confirmed")
    host, address = signed_in(place.host), f"{SEARCH}/{place.slug}"
    response = host.delete(address)
    assert (response.status_code, response.content) == (204, b"")
    assert host.delete(address).status_code == 404
    assert Booking.objects.get() == booking
    (row,) = host.get("/api/v1/me/properties").json()["results"]
    assert (row["slug"], row["is_listed"]) == (place.slug, False)


def test_the_page_of_a_place_shows_a_hosts_new_name_at_once(
    api: APIClient, signed_in: AsUser, commits: Callable[..., Any]
) -> None:
    place = make_property(host=make_host(name="Ana"))
    assert api.get(f"{SEARCH}/{place.slug}").json()["host"] == "Ana"
    with commits():
        assert signed_in(place.host).patch("/api/v1/me", {"name": "Eva"}).status_code == 200
    assert api.get(f"{SEARCH}/{place.slug}").json()["host"] == "Eva"


def test_a_place_is_not_taken_off_the_list_unseen(signed_in: AsUser) -> None:
    place = make_property()
    host, address = signed_in(place.host), f"{SEARCH}/{place.slug}"
    read = host.get(address)["ETag"]
    changed = host.patch(address, {"title": "New"}, headers={"If-Match": read})["ETag"]
    response = host.delete(address, headers={"If-Match": read})
    assert (response.status_code, response.json()["code"]) == (412, "precondition_failed")
    place.refresh_from_db()
    assert place.is_listed
    assert host.delete(address, headers={"If-Match": changed}).status_code == 204


# -- One's own


def test_a_host_sees_own_places_newest_first(
    api: APIClient, signed_in: AsUser, django_assert_num_queries: Any
) -> None:
    host = make_host()
    for number in range(3):
        place = make_property(host=host, title=f"Mine {number}")
        with_amenity(place, f"amenity-{number}")
    make_property()
    client = signed_in(host)
    with django_assert_num_queries(2):
        response = client.get("/api/v1/me/properties?limit=2")
    assert titles(response) == ["Mine 2", "Mine 1"]
    assert titles(client.get(response.json()["next"])) == ["Mine 0"]
    assert response.json()["results"][0].keys() == DETAIL
    assert response.json()["results"][0]["address"] == place.address
    assert titles(signed_in(make_host()).get("/api/v1/me/properties")) == []
    assert api.get("/api/v1/me/properties").status_code == 401
