"""What the API shows of listings, and what it takes."""

import re
from datetime import timedelta
from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from stays.listings.models import Amenity, City, Kind, Property
from stays.rest.fields import (
    Boolean,
    Day,
    Integer,
    Line,
    Number,
    OutputSerializer,
    Pattern,
    StrictSerializer,
    Text,
    Texts,
)
from stays.rest.pagination import PageQuery
from stays.rest.queries import WholeNumber

MAX_MINOR = 100_000_000
MAX_AMENITIES = 10
CURRENCY = r"\A[A-Z]{3}\Z"
SLUG = re.compile(r"[-a-zA-Z0-9_]{1,40}")
SORTS = {
    "newest": ("-id",),
    "price": ("nightly_minor", "id"),
    "-price": ("-nightly_minor", "-id"),
    "-rating": ("-rating", "-id"),
}
"""What a search can be sorted by. New places have greater ids: these are UUIDv7."""


class CitySerializer(OutputSerializer[City]):
    """A place that one searches by."""

    class Meta:
        model = City
        fields = ("slug", "name", "country", "timezone", "latitude", "longitude")


class AmenitySerializer(OutputSerializer[Amenity]):
    """Something that a place may have."""

    class Meta:
        model = Amenity
        fields = ("slug", "name")


class PropertySummarySerializer(OutputSerializer[Property]):
    """A place as lists show it.

    Latitude and longitude are rounded to two decimals, about a kilometre: the address is only for
    guests who have booked.
    """

    city = CitySerializer()
    rating = serializers.FloatField(help_text="0 if there are no reviews")
    latitude = serializers.SerializerMethodField()
    longitude = serializers.SerializerMethodField()
    amenities = serializers.SerializerMethodField(help_text="Slugs")

    class Meta:
        model = Property
        fields: tuple[str, ...] = (
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
        )

    def is_exact(self, place: Property) -> bool:  # noqa: ARG002
        """Tell whether the one who asks may know where the place is."""
        return False

    def get_latitude(self, place: Property) -> float:
        """Return it, as exactly as it may be known."""
        return place.latitude if self.is_exact(place) else round(place.latitude, 2)

    def get_longitude(self, place: Property) -> float:
        """Return it, as exactly as it may be known."""
        return place.longitude if self.is_exact(place) else round(place.longitude, 2)

    def get_amenities(self, place: Property) -> list[str]:
        """Return the slugs, sorted."""
        return sorted(amenity.slug for amenity in place.amenities.all())


class PropertySerializer(PropertySummarySerializer):
    """A place.

    Its host and admins see where it is; to all others `address` is null, and latitude and longitude
    are rounded to two decimals, about a kilometre.
    """

    host = serializers.CharField(source="host.name", help_text="The host's name")
    address = serializers.SerializerMethodField()

    class Meta(PropertySummarySerializer.Meta):
        fields = (
            *PropertySummarySerializer.Meta.fields,
            "description",
            "host",
            "address",
            "is_listed",
            "created_at",
            "updated_at",
        )

    def is_exact(self, place: Property) -> bool:
        """Tell whether the one who asks may know where the place is."""
        user = self.context["request"].user
        return bool(user.is_authenticated and (user.id == place.host_id or user.is_admin))

    def get_address(self, place: Property) -> str | None:
        """Return it to those who may know it."""
        return place.address if self.is_exact(place) else None


class PropertyChangeSerializer(StrictSerializer):
    """What a host can change."""

    title = Line(max_length=100)
    description = Text(max_length=5000, allow_blank=True, required=False)
    kind = serializers.ChoiceField(choices=Kind.choices)
    address = Line(max_length=200)
    latitude = Number(min_value=-90, max_value=90)
    longitude = Number(min_value=-180, max_value=180)
    max_guests = Integer(min_value=1, max_value=50)
    bedrooms = Integer(min_value=0, max_value=50)
    nightly_minor = Integer(min_value=1, max_value=MAX_MINOR)
    cleaning_minor = Integer(min_value=0, max_value=MAX_MINOR, required=False)
    currency = Pattern(CURRENCY)
    instant_book = Boolean(required=False)
    amenities = Texts(child=Text(max_length=40), max_length=50, required=False, help_text="Slugs")


class NewPropertySerializer(PropertyChangeSerializer):
    """A place to be offered."""

    city = Text(max_length=80, source="city_slug", help_text="A city's slug")


class Slugs(serializers.CharField):
    """Slugs in a query string, with commas between them."""

    def to_internal_value(self, data: Any) -> Any:
        """Return them, sorted and each once."""
        slugs = sorted(set(super().to_internal_value(data).split(",")))
        if len(slugs) > MAX_AMENITIES:
            raise serializers.ValidationError(f"At most {MAX_AMENITIES}.", "max_length")
        if not all(map(SLUG.fullmatch, slugs)):
            raise serializers.ValidationError("Slugs, with commas between them.", "invalid")
        return tuple(slugs)


class SearchQuery(PageQuery):
    """What can be searched for."""

    city = Text(required=False, max_length=80, help_text="A city's slug")
    text = Text(required=False, max_length=200, help_text="Words; quotes, `or` and minus work")
    check_in = Day(required=False, help_text="Only with check_out")
    check_out = Day(required=False, help_text="Only with check_in")
    guests = WholeNumber(required=False, min_value=1, max_value=50)
    min_price = WholeNumber(
        required=False, min_value=0, max_value=MAX_MINOR, help_text="In minor units, with currency"
    )
    max_price = WholeNumber(
        required=False, min_value=0, max_value=MAX_MINOR, help_text="In minor units, with currency"
    )
    currency = Pattern(CURRENCY, required=False)
    amenities = Slugs(required=False)
    kind = serializers.ChoiceField(required=False, choices=Kind.choices)
    sort = serializers.ChoiceField(
        default="newest", choices=list(SORTS), help_text="By price only with currency"
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse what makes no sense together."""
        faults = {}
        begin, end = attrs.get("check_in"), attrs.get("check_out")
        low, high = attrs.get("min_price"), attrs.get("max_price")
        by_price = low is not None or high is not None or attrs["sort"] in ("price", "-price")
        if (begin is None) != (end is None):
            missing = "check_in" if begin is None else "check_out"
            faults[missing] = ErrorDetail("The other day is needed, too.", "required")
        elif begin and end:
            # where the day ends last, it is twelve hours behind UTC
            if begin < (timezone.now() - timedelta(hours=12)).date():
                faults["check_in"] = ErrorDetail("This day has passed.", "past")
            if end <= begin:
                faults["check_out"] = ErrorDetail("This is not after the arrival.", "order")
        if by_price and "currency" not in attrs:
            faults["currency"] = ErrorDetail("Prices compare in one currency only.", "required")
        if low is not None and high is not None and high < low:
            faults["max_price"] = ErrorDetail("This is less than min_price.", "order")
        if faults:
            raise serializers.ValidationError({name: [fault] for name, fault in faults.items()})
        return attrs
