"""Reading cities, amenities and properties."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.search import SearchQuery
from django.db.backends.postgresql.psycopg_any import DateRange
from django.db.models import Count, Exists, F, OuterRef, QuerySet
from django.db.models.lookups import Exact

from stays.accounts.models import User
from stays.common.finding import get_or_refuse
from stays.listings.models import City, Property


@dataclass(frozen=True, kw_only=True)
class Search:
    """What is looked for. Everything that is given must hold.

    Attributes:
        city: A city's slug.
        text: Words, as a search engine takes them: quotes, `or`, a minus.
        check_in: The day of arrival; only with `check_out`.
        check_out: The day of departure, later.
        guests: How many people must find room.
        min_price: The least for a night, in minor units; only with `currency`.
        max_price: The most for a night, in minor units; only with `currency`.
        currency: The currency of the prices.
        amenities: Slugs of amenities; all of them must be there.
        kind: One of `Kind`.
    """

    city: str | None = None
    text: str | None = None
    check_in: date | None = None
    check_out: date | None = None
    guests: int | None = None
    min_price: int | None = None
    max_price: int | None = None
    currency: str | None = None
    amenities: tuple[str, ...] = ()
    kind: str | None = None

    @classmethod
    def of(cls, query: Mapping[str, Any]) -> "Search":
        """Take it from the parameters of a query, which may hold more."""
        return cls(**{each.name: query[each.name] for each in fields(cls) if each.name in query})


def search(*, criteria: Search) -> QuerySet[Property]:
    """Return the places that are offered and meet the criteria, in no order.

    What every list shows of a place comes with it, in two queries.
    """
    places = _shown().filter(is_listed=True)
    equal = {
        "kind": criteria.kind,
        "currency": criteria.currency,
        "max_guests__gte": criteria.guests,
        "nightly_minor__gte": criteria.min_price,
        "nightly_minor__lte": criteria.max_price,
    }
    places = places.filter(**{name: value for name, value in equal.items() if value is not None})
    if criteria.city is not None:
        # One value, and not a join: of a join PostgreSQL does not know that it finds one city at
        # most, and could not read the places of a city from an index in the order of the search.
        places = places.filter(city=City.objects.filter(slug=criteria.city).values("id")[:1])
    if criteria.text is not None:
        query = SearchQuery(criteria.text, search_type="websearch", config="english")
        places = places.filter(document=query)
    if criteria.amenities:
        # Counted in one subquery: to plan a join for each takes a hundred times as long as to run.
        having = Property.amenities.through.objects.filter(amenity__slug__in=criteria.amenities)
        counted = having.values("property").annotate(number=Count("amenity"))
        having_all = counted.filter(Exact(F("number"), len(set(criteria.amenities))))
        places = places.filter(id__in=having_all.values("property"))
    if criteria.check_in and criteria.check_out:
        places = places.filter(~_taken(criteria.check_in, criteria.check_out))
    return places


def _taken(check_in: date, check_out: date) -> Exists:
    """Return the condition that a booking holds some of the nights.

    Which bookings hold their dates is read from the exclusion constraint that refuses double
    bookings. So a search offers exactly what can be booked, and the constraint's index serves it.
    Bookings are above listings, and know them; they are reached by the relation that Django adds.
    """
    bookings: type[Any] = Property.bookings.rel.related_model
    (constraint,) = (
        constraint
        for constraint in bookings._meta.constraints
        if isinstance(constraint, ExclusionConstraint)
    )
    return Exists(
        bookings.objects.filter(
            constraint.condition,
            property=OuterRef("pk"),
            stay__overlap=DateRange(check_in, check_out, "[)"),
        )
    )


def get(*, slug: str) -> Property:
    """Return a place that is offered.

    Raises:
        NotFound: if there is none.
    """
    return get_or_refuse(_shown(), slug=slug, is_listed=True)


def owned_by(*, user: User) -> QuerySet[Property]:
    """Return the places of a host, also those that are not offered any more, in no order."""
    return _shown().filter(host=user)


def _shown() -> QuerySet[Property]:
    """Return places with what is shown of them. Their search documents stay in the database."""
    return (
        Property.objects.select_related("city", "host")
        .prefetch_related("amenities")
        .defer("document")
    )
