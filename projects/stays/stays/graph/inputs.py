"""What comes in. REST's serializers check it: there is one set of rules."""

import datetime
import enum
import uuid
from typing import Any

import strawberry
from strawberry import UNSET, relay

import stays.graph.types  # noqa: F401 (it names the enums, before they are used here)
from stays.graph.scalars import MinorUnits
from stays.listings.models import Kind
from stays.listings.selectors import Search
from stays.listings.serializers import SORTS, SearchQuery
from stays.rest.bodies import body_of
from stays.rest.fields import StrictSerializer

NOTHING = uuid.UUID(int=0)


def read(
    serializer: type[StrictSerializer], *, partial: bool = False, **given: Any
) -> dict[str, Any]:
    """Return input that a serializer has validated.

    Args:
        serializer: What knows the rules.
        partial: Whether required fields may be missing.
        given: The input; what is UNSET was not given.

    Raises:
        ValidationError: if it has faults.
    """
    data = {name: _as_json(value) for name, value in given.items() if value is not UNSET}
    return body_of(serializer, data, partial=partial)


def _as_json(value: Any) -> Any:
    """Return a value as it would have come by REST."""
    if isinstance(value, enum.Enum):
        return value.value
    return value.isoformat() if isinstance(value, datetime.date) else value


def key(global_id: relay.GlobalID, kind: type[relay.Node]) -> uuid.UUID:
    """Return the primary key in a global id; one that nothing has, if it is of another type."""
    try:
        return uuid.UUID(global_id.node_id) if global_id.type_name == kind.__name__ else NOTHING
    except ValueError:
        return NOTHING


@strawberry.enum
class PropertyOrder(enum.Enum):
    """What a search can be sorted by."""

    NEWEST = "newest"
    PRICE = strawberry.enum_value("price", description="Needs a currency to search by.")
    PRICE_DESCENDING = strawberry.enum_value("-price", description="Needs a currency to search by.")
    RATING_DESCENDING = "-rating"


@strawberry.enum
class BookingRole(enum.Enum):
    """What one is in a booking."""

    GUEST = "guest"
    HOST = "host"


@strawberry.input(description="What is looked for. Everything that is given must hold.")
class PropertySearch:
    """What is looked for."""

    city: str | None = strawberry.field(default=None, description="A city's slug.")
    text: str | None = strawberry.field(
        default=None, description="Words; quotes, `or` and minus work."
    )
    check_in: datetime.date | None = None
    check_out: datetime.date | None = None
    guests: int | None = None
    min_price: int | None = strawberry.field(
        default=None, description="For a night, in minor units; needs a currency."
    )
    max_price: int | None = strawberry.field(
        default=None, description="For a night, in minor units; needs a currency."
    )
    currency: str | None = None
    amenities: list[str] = strawberry.field(
        default_factory=list, description="Slugs; all of these must be there."
    )
    kind: Kind | None = None


def criteria(search: PropertySearch | None, order: PropertyOrder) -> tuple[Search, tuple[str, ...]]:
    """Return what is looked for, and the fields to sort by.

    Raises:
        ValidationError: if it makes no sense.
    """
    asked = vars(search or PropertySearch())
    given = {name: value for name, value in asked.items() if value not in (None, [])}
    if "amenities" in given:
        given["amenities"] = ",".join(given["amenities"])
    query = read(SearchQuery, sort=order, **given)
    return Search.of(query), SORTS[query["sort"]]


@strawberry.input
class NewProperty:
    """A place to be offered."""

    city: str = strawberry.field(description="A city's slug.")
    title: str
    kind: Kind
    address: str
    latitude: float
    longitude: float
    max_guests: int
    bedrooms: int
    nightly_minor: MinorUnits
    currency: str
    description: str | None = UNSET
    cleaning_minor: MinorUnits | None = UNSET
    instant_book: bool | None = UNSET
    amenities: list[str] | None = strawberry.field(default=UNSET, description="Slugs.")


@strawberry.input(description="What changes. What is not given stays as it is.")
class PropertyChanges:
    """What changes."""

    title: str | None = UNSET
    kind: Kind | None = UNSET
    address: str | None = UNSET
    latitude: float | None = UNSET
    longitude: float | None = UNSET
    max_guests: int | None = UNSET
    bedrooms: int | None = UNSET
    nightly_minor: MinorUnits | None = UNSET
    currency: str | None = UNSET
    description: str | None = UNSET
    cleaning_minor: MinorUnits | None = UNSET
    instant_book: bool | None = UNSET
    amenities: list[str] | None = strawberry.field(default=UNSET, description="Slugs.")
