import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.signing import Signer
from django.db import connection
from django.db.models import F, QuerySet
from django.test.utils import CaptureQueriesContext
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from stays.accounts.models import User
from stays.listings.models import Property
from stays.rest import pagination
from stays.rest.pagination import PageQuery, paginate
from stays.rest.queries import read_query
from tests.factories import make_city, make_host, make_property, make_user

pytestmark = pytest.mark.django_db


class UserSerializer(serializers.ModelSerializer[User]):
    class Meta:
        model = User
        fields = ("name",)


def request_for(query: str) -> Request:
    return Request(APIRequestFactory().get(f"/users?{query}"))


def walk(queryset: QuerySet[Any], ordering: list[str], limit: int) -> list[Any]:
    """All rows, page by page."""
    rows: list[Any] = []
    cursor = None
    while True:
        page = paginate(queryset, ordering=ordering, cursor=cursor, limit=limit)
        assert page.cursor is None or len(page.rows) == limit
        rows += page.rows
        cursor = page.cursor
        if cursor is None:
            return rows


@pytest.fixture
def places() -> QuerySet[Property]:
    host, city = make_host(), make_city()
    for number in range(23):
        make_property(
            host=host,
            city=city,
            nightly_minor=1_000 + number % 3,
            rating_sum=(number % 5) * 2,
            rating_count=2 if number % 5 else 0,
        )
    return Property.objects.all()


@pytest.mark.parametrize(
    "ordering",
    [
        ["id"],
        ["-id"],
        ["nightly_minor", "id"],  # an integer
        ["-nightly_minor", "-id"],
        ["-rating", "-id"],  # a generated decimal
        ["-created_at", "-id"],  # a moment, in microseconds
        ["kind", "slug"],  # text, and another unique field
        ["-total", "-id"],  # an annotation
    ],
    ids=",".join,
)
@pytest.mark.parametrize("limit", [1, 4, 22, 23, 24])
def test_pages_show_every_row_once_and_in_order(
    places: QuerySet[Property], ordering: list[str], limit: int
) -> None:
    places = places.annotate(total=F("nightly_minor") + F("cleaning_minor"))
    assert walk(places, ordering, limit) == list(places.order_by(*ordering))


def test_a_page_costs_one_query(places: QuerySet[Property], django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        page = paginate(places, ordering=["nightly_minor", "id"], limit=5)
    with django_assert_num_queries(1):
        paginate(places, ordering=["nightly_minor", "id"], cursor=page.cursor, limit=5)


def test_rows_that_come_and_go_shift_nothing(places: QuerySet[Property]) -> None:
    everything = list(places.order_by("nightly_minor", "id"))
    page = paginate(places, ordering=["nightly_minor", "id"], limit=10)
    page.rows[-1].delete()
    make_property(nightly_minor=1, host=everything[0].host, city=everything[0].city)
    following = paginate(places, ordering=["nightly_minor", "id"], cursor=page.cursor, limit=100)
    assert following.rows == everything[10:]


def test_there_is_no_page_after_the_last_row(places: QuerySet[Property]) -> None:
    assert paginate(places, ordering=["id"], limit=23).cursor is None
    assert paginate(places.none(), ordering=["id"]) == ([], None)


@pytest.mark.parametrize("ordering", [("-nightly_minor", "-id"), ("nightly_minor", "id")])
def test_the_cursor_is_found_in_the_index(ordering: tuple[str, ...]) -> None:
    city, host = make_city(), make_host()
    Property.objects.bulk_create(
        Property(
            slug=f"many-{number}",
            host=host,
            city=city,
            title="One of many",
            kind="entire",
            latitude=0,
            longitude=0,
            max_guests=1,
            bedrooms=1,
            nightly_minor=1_000 + number,
            currency="EUR",
        )
        for number in range(2_000)
    )
    with connection.cursor() as sql:
        sql.execute("ANALYZE listings_property")
    places = Property.objects.filter(city=city, is_listed=True)
    cursor = paginate(places, ordering=ordering, limit=20).cursor
    with CaptureQueriesContext(connection) as captured:
        paginate(places, ordering=ordering, cursor=cursor, limit=20)
    with connection.cursor() as sql:
        sql.execute(f"EXPLAIN (COSTS OFF) {captured[0]['sql']}")
        plan = "\n".join(line for (line,) in sql.fetchall())
    assert "using property_price" in plan
    assert re.search(r"Index Cond: .*nightly_minor", plan), plan


def forged() -> list[str]:
    genuine = Signer(sep=".", salt="another").sign_object(["0", "1"])
    payload = genuine.split(".")[0]
    return ["x", ".", "a.b", payload, genuine, f"{payload}.", "é.ü", "..", "%00", "A" * 1000]


@pytest.mark.parametrize("cursor", forged())
def test_a_forged_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(ValidationError) as refused:
        paginate(User.objects.all(), ordering=["-date_joined", "-id"], cursor=cursor)
    assert refused.value.get_codes() == {"cursor": ["cursor"]}


def test_a_changed_cursor_is_refused() -> None:
    for _ in range(2):
        make_user()
    cursor = paginate(User.objects.all(), ordering=["id"], limit=1).cursor
    assert cursor
    payload, signature = cursor.split(".")
    changed = ("B" if payload[4] == "A" else "A").join([payload[:4], payload[5:]])
    with pytest.raises(ValidationError):
        paginate(User.objects.all(), ordering=["id"], cursor=f"{changed}.{signature}")


def test_a_cursor_belongs_to_one_ordering_of_one_model() -> None:
    for _ in range(2):
        make_user()
    cursor = paginate(User.objects.all(), ordering=["id"], limit=1).cursor
    for queryset, ordering in [
        (User.objects.all(), ["-id"]),
        (User.objects.all(), ["name", "id"]),
        (Property.objects.all(), ["id"]),
    ]:
        with pytest.raises(ValidationError):
            paginate(queryset, ordering=ordering, cursor=cursor)


def test_an_ordering_without_a_unique_end_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="does not tell two rows apart"):
        paginate(Property.objects.all(), ordering=["id", "nightly_minor"])
    with pytest.raises(ValueError, match="up and down"):
        paginate(Property.objects.all(), ordering=["-nightly_minor", "id"])


def test_an_answer_leads_to_the_next_one() -> None:
    users = [make_user(name=f"Name {number}") for number in range(5)]
    seen: list[str] = []
    query = "limit=2"
    for _ in range(3):
        answer = pagination.respond(
            request_for(query), User.objects.all(), ordering=["id"], serializer=UserSerializer
        )
        seen += [row["name"] for row in answer.data["results"]]
        if answer.data["next"] is None:
            break
        address = urlsplit(answer.data["next"])
        assert (address.scheme, address.netloc, address.path) == ("", "", "/users")
        assert parse_qs(address.query)["limit"] == ["2"]
        query = address.query
    assert seen == [user.name for user in users]
    assert answer.data["next"] is None


def test_a_moment_keeps_its_microseconds() -> None:
    now = datetime.now(UTC).replace(microsecond=1)
    for number in range(3):
        make_user(date_joined=now + timedelta(microseconds=number))
    users = User.objects.all()
    assert walk(users, ["-date_joined", "-id"], 1) == list(users.order_by("-date_joined"))


@pytest.mark.parametrize(
    ("query", "field", "code"),
    [
        ("limit=0", "limit", "min_value"),
        ("limit=101", "limit", "max_value"),
        ("limit=-1", "limit", "min_value"),
        ("limit=", "limit", "invalid"),
        ("limit=1.0", "limit", "invalid"),
        ("limit=1_0", "limit", "invalid"),
        ("limit=%201", "limit", "invalid"),
        ("limit=%D9%A1", "limit", "invalid"),  # an Arabic one
        ("limit=" + "9" * 5000, "limit", "invalid"),
        ("limit=1&limit=2", "limit", "repeated"),
        ("cursor=", "cursor", "blank"),
        ("cursor=%01", "cursor", "control_characters"),
        ("cursor=" + "a" * 1001, "cursor", "max_length"),
        ("page=2", "page", "unknown"),
    ],
)
def test_a_query_with_faults_is_refused(query: str, field: str, code: str) -> None:
    with pytest.raises(ValidationError) as refused:
        read_query(request_for(query), PageQuery)
    assert refused.value.get_codes() == {field: [code]}


def test_the_query_has_defaults() -> None:
    assert read_query(request_for(""), PageQuery) == {"limit": 20}


def test_a_page_is_described_by_its_rows() -> None:
    described = pagination.page_of(UserSerializer)
    assert described is pagination.page_of(UserSerializer)
    assert described.__name__ == "UserPageSerializer"
    assert list(described().fields) == ["results", "next"]
