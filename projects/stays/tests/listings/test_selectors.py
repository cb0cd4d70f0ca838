import itertools
import random
import re
from datetime import date, timedelta
from typing import Any

import pytest
from django.contrib.postgres.constraints import ExclusionConstraint
from django.db import IntegrityError, connection, transaction
from django.db.backends.postgresql.psycopg_any import DateRange

from stays.bookings.models import HOLDING, Booking, Status
from stays.common.errors import NotFound
from stays.listings import selectors
from stays.listings.models import Amenity, Property
from stays.listings.selectors import Search
from stays.listings.serializers import SORTS
from stays.rest.pagination import paginate
from tests.factories import day, make_booking, make_city, make_host, make_property, make_user

pytestmark = pytest.mark.django_db


def found(**criteria: Any) -> set[str]:
    """The titles of what a search finds."""
    return {place.title for place in selectors.search(criteria=Search(**criteria))}


@pytest.fixture
def places() -> None:
    porto, oslo = make_city(slug="porto"), make_city(slug="oslo", country="NO")
    wifi, pool, sauna = (
        Amenity.objects.create(slug=slug, name=slug) for slug in ("wifi", "pool", "sauna")
    )
    make_property(
        title="River flat",
        description="A balcony over the river.",
        city=porto,
        nightly_minor=9_000,
        max_guests=2,
    ).amenities.set([wifi])
    make_property(
        title="Garden room",
        description="Quiet, with a garden; running water, no rivers.",
        city=porto,
        kind="private",
        nightly_minor=4_000,
        max_guests=1,
    ).amenities.set([wifi, pool])
    make_property(
        title="Fjord house",
        description="Wood and stone.",
        city=oslo,
        nightly_minor=150_000,
        currency="NOK",
        max_guests=8,
    ).amenities.set([wifi, pool, sauna])
    make_property(title="Closed house", city=oslo, is_listed=False)


@pytest.mark.parametrize(
    ("criteria", "titles"),
    [
        ({}, {"River flat", "Garden room", "Fjord house"}),
        ({"city": "porto"}, {"River flat", "Garden room"}),
        ({"city": "nowhere"}, set()),
        ({"kind": "private"}, {"Garden room"}),
        ({"guests": 2}, {"River flat", "Fjord house"}),
        ({"guests": 9}, set()),
        ({"currency": "EUR"}, {"River flat", "Garden room"}),
        ({"currency": "EUR", "min_price": 4_001}, {"River flat"}),
        ({"currency": "EUR", "min_price": 4_000, "max_price": 4_000}, {"Garden room"}),
        ({"currency": "EUR", "max_price": 8_999}, {"Garden room"}),
        ({"amenities": ("wifi",)}, {"River flat", "Garden room", "Fjord house"}),
        ({"amenities": ("pool", "wifi")}, {"Garden room", "Fjord house"}),
        ({"amenities": ("pool", "sauna", "wifi")}, {"Fjord house"}),
        ({"amenities": ("moat",)}, set()),
        ({"text": "river"}, {"River flat", "Garden room"}),  # also rivers
        ({"text": "river -garden"}, {"River flat"}),
        ({"text": "balconies or stones"}, {"River flat", "Fjord house"}),
        ({"text": '"running water"'}, {"Garden room"}),
        ({"text": '"water running"'}, set()),
        ({"text": "the"}, set()),
        ({"text": "'; DROP TABLE listings_property; --"}, set()),
        ({"text": "river", "city": "oslo"}, set()),
        ({"city": "porto", "amenities": ("wifi",), "guests": 2}, {"River flat"}),
    ],
)
@pytest.mark.usefixtures("places")
def test_everything_that_is_given_must_hold(criteria: dict[str, Any], titles: set[str]) -> None:
    assert found(**criteria) == titles


@pytest.mark.usefixtures("places")
def test_a_search_costs_two_queries(django_assert_num_queries: Any) -> None:
    criteria = Search(city="porto", text="river", amenities=("wifi",), check_in=day(1))
    with django_assert_num_queries(2):
        for place in selectors.search(criteria=criteria):
            assert place.city.name
            assert place.host.name
            assert list(place.amenities.all())


@pytest.mark.parametrize("status", Status.values)
@pytest.mark.parametrize(
    ("check_in", "check_out", "overlaps"),
    [
        (5, 10, False),  # out when the other comes in
        (13, 15, False),  # in when the other goes out
        (5, 11, True),
        (12, 15, True),
        (11, 12, True),
        (5, 20, True),
        (10, 13, True),
    ],
)
def test_dates_are_free_if_and_only_if_they_can_be_booked(
    status: str, check_in: int, check_out: int, overlaps: bool
) -> None:
    """The search says what the exclusion constraint says."""
    place = make_property(title="It")
    make_property(title="Another")
    make_booking(property=place, status=status, check_in=10, nights=3)
    free = {"check_in": day(check_in), "check_out": day(check_out)}
    try:
        with transaction.atomic():
            make_booking(property=place, check_in=check_in, nights=check_out - check_in)
            Booking.objects.latest("id").delete()
        can_be_booked = True
    except IntegrityError as error:
        assert "booking_no_overlap" in str(error)  # noqa: PT017
        can_be_booked = False
    assert can_be_booked is not (overlaps and status in HOLDING)
    assert found(**free) == ({"It", "Another"} if can_be_booked else {"Another"})


def test_the_condition_is_the_constraints() -> None:
    (constraint,) = (
        constraint
        for constraint in Booking._meta.constraints
        if isinstance(constraint, ExclusionConstraint)
    )
    assert constraint.name == "booking_no_overlap"
    sql = str(selectors.search(criteria=Search(check_in=day(1), check_out=day(2))).query)
    for status in Status.values:
        assert (status in sql) is (status in HOLDING)


@pytest.fixture
def _many_places() -> None:
    """4 cities, 200 places."""
    host = make_host()
    cities = [make_city(slug=f"many-{number}") for number in range(4)]
    Property.objects.bulk_create(
        Property(
            slug=f"place-of-many-{number}",
            host=host,
            city=cities[number % 4],
            title="One of many",
            kind="entire",
            latitude=0,
            longitude=0,
            max_guests=1,
            bedrooms=1,
            nightly_minor=1_000 + number,
            currency="EUR",
        )
        for number in range(200)
    )


@pytest.fixture
def _many_bookings(_many_places: None) -> None:
    """20,000 bookings of them."""
    guest = make_user()
    begin, now = date(2030, 1, 1), "2029-12-01T00:00:00+00:00"
    dice = random.Random(1)
    Booking.objects.bulk_create(
        Booking(
            property=place,
            guest=guest,
            stay=DateRange(
                begin + timedelta(days=4 * number),
                begin + timedelta(days=4 * number + nights),
                "[)",
            ),
            guests=1,
            nightly_minor=1,
            cleaning_minor=0,
            total_minor=nights,
            currency="EUR",
            expires_at=now,
            status=status,
            cancelled_at=now if status == Status.CANCELLED else None,
        )
        for place in Property.objects.all()
        for number in range(100)
        for status in [dice.choice([Status.PENDING, Status.CANCELLED])]
        for nights in [dice.randint(1, 4)]
    )


@pytest.mark.usefixtures("_many_bookings")
def test_bookings_are_found_in_the_constraints_index() -> None:
    with connection.cursor() as sql:
        sql.execute("ANALYZE listings_property, bookings_booking, listings_city")
    dates = {"check_in": date(2030, 3, 1), "check_out": date(2030, 3, 8)}
    for criteria, ordering in itertools.product(
        [Search(city="many-1", **dates), Search(**dates)], [("nightly_minor", "id"), ("-id",)]
    ):
        with connection.execute_wrapper(explained := Explained()):
            paginate(selectors.search(criteria=criteria), ordering=ordering)
        plan = explained.plans[0]
        assert "booking_no_overlap" in plan
        assert not re.search(r"Seq Scan on bookings_booking", plan), plan


@pytest.mark.usefixtures("_many_places")
def test_every_search_is_read_in_the_order_of_an_index() -> None:
    with connection.cursor() as sql:
        sql.execute("ANALYZE listings_property, listings_city")
    for city, sort in itertools.product(["many-1", None], SORTS):
        criteria = Search(city=city, currency="EUR" if "price" in sort else None)
        with connection.execute_wrapper(explained := Explained()):
            paginate(selectors.search(criteria=criteria), ordering=SORTS[sort], limit=1)
        plan = explained.plans[0]
        assert re.search(r"Index Scan.* on listings_property", plan), (city, sort, plan)
        assert "Sort" not in plan, (city, sort, plan)


def test_a_place_is_found_by_its_slug(django_assert_num_queries: Any) -> None:
    place = make_property()
    with django_assert_num_queries(2):
        got = selectors.get(slug=place.slug)
        assert (got, got.city, got.host, list(got.amenities.all())) == (
            place,
            place.city,
            place.host,
            [],
        )


@pytest.mark.parametrize("slug", ["off-the-list", "none", "", "a" * 10_000])
def test_a_place_off_the_list_is_not_found(slug: str) -> None:
    make_property(slug="off-the-list", is_listed=False)
    with pytest.raises(NotFound):
        selectors.get(slug=slug)


def test_a_host_has_own_places_only() -> None:
    host = make_host()
    mine = {make_property(host=host), make_property(host=host, is_listed=False)}
    make_property()
    assert set(selectors.owned_by(user=host)) == mine
    assert not selectors.owned_by(user=make_user())


class Explained:
    """Keeps the plan of each query that is run."""

    def __init__(self) -> None:
        self.plans: list[str] = []

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("SELECT"):
            execute(f"EXPLAIN (COSTS OFF) {sql}", params, many, context)
            self.plans.append("\n".join(line for (line,) in context["cursor"].fetchall()))
        return execute(sql, params, many, context)


def test_ten_amenities_are_planned_as_fast_as_one() -> None:
    """A join for each took half a second to plan, and a moment to run."""
    slugs = tuple(f"amenity-{number}" for number in range(10))
    amenities = [Amenity.objects.create(slug=slug, name=slug) for slug in slugs]
    place = make_property()
    place.amenities.set(amenities)
    make_property().amenities.set(amenities[:9])
    found = selectors.search(criteria=Search(amenities=slugs))
    assert list(found) == [place]
    assert str(found.query).count("JOIN") < 6
