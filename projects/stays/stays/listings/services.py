"""Offering places, changing them, and taking them off the list."""

import secrets
from collections.abc import Callable, Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.text import slugify

from stays.accounts.models import User
from stays.common.cache import invalidate
from stays.common.constraints import constraint_of, refusing
from stays.common.errors import Forbidden, Invalid, NotFound
from stays.listings.models import Amenity, City, Property

CHANGEABLE = frozenset(
    {
        "title",
        "description",
        "kind",
        "address",
        "latitude",
        "longitude",
        "max_guests",
        "bedrooms",
        "nightly_minor",
        "cleaning_minor",
        "currency",
        "instant_book",
    }
)
REFUSALS = {
    f"property_{constraint}": Invalid("This cannot be.", field=field)
    for constraint, field in {
        "nightly": "nightly_minor",
        "cleaning": "cleaning_minor",
        "currency": "currency",
        "max_guests": "max_guests",
        "bedrooms": "bedrooms",
        "latitude": "latitude",
        "longitude": "longitude",
    }.items()
}
SLUG_TAKEN = "listings_property_slug_key"
ATTEMPTS = 5


@transaction.atomic
def create_property(
    *, actor: User, city_slug: str, amenities: Iterable[str] = (), **fields: Any
) -> Property:
    """Offer a place.

    Args:
        actor: The host.
        city_slug: Where it is.
        amenities: Slugs of what it has.
        fields: Any of `CHANGEABLE`; those without a default must be there.

    Raises:
        Forbidden: if the actor is no host.
        Invalid: if a value cannot be, or the city or an amenity is not known.
    """
    if not actor.is_host:
        raise Forbidden("Only hosts offer places.", code="not_a_host")
    try:
        city = City.objects.get(slug=city_slug)
    except City.DoesNotExist:
        raise Invalid("There is no such city.", code="unknown", field="city") from None
    place = Property(host=actor, city=city)
    _set(place, fields)
    _insert(place)
    place.amenities.set(_known(amenities))
    _publish(place)
    return place


def _insert(place: Property) -> None:
    """Save a new place under a slug made of its title.

    The first one with a title has it alone. All others have some random letters added; two who try
    the same slug at the same moment are told apart by the unique index.
    """
    base = slugify(place.title)[:80].strip("-_") or "place"
    place.slug = base
    for attempt in range(ATTEMPTS):
        try:
            with refusing(REFUSALS):
                place.save(force_insert=True)
                return
        except IntegrityError as error:
            if constraint_of(error) != SLUG_TAKEN or attempt == ATTEMPTS - 1:
                raise
        place.slug = f"{base}-{secrets.token_hex(4)}"


@transaction.atomic
def update_property(
    *,
    actor: User,
    slug: str,
    precondition: Callable[[Property], None] = lambda _: None,
    amenities: Iterable[str] | None = None,
    **fields: Any,
) -> Property:
    """Change a place.

    Args:
        actor: Its host, or an admin.
        slug: The place.
        precondition: Is given the place when its row is locked, and raises if the change is not
            wanted for what it has become.
        amenities: Slugs of all that it has from now on.
        fields: What changes; any of `CHANGEABLE`.

    Raises:
        NotFound: if there is no such place on the list.
        Forbidden: if it is another's.
        Invalid: if a value cannot be, or an amenity is not known.
    """
    place = _locked(actor, slug)
    precondition(place)
    _set(place, fields)
    place.version += 1
    with refusing(REFUSALS):
        place.save()
    if amenities is not None:
        place.amenities.set(_known(amenities))
    _publish(place)
    return place


@transaction.atomic
def unlist_property(
    *, actor: User, slug: str, precondition: Callable[[Property], None] = lambda _: None
) -> None:
    """Take a place off the list. It cannot be found or booked any more.

    Its bookings stay as they are: what host and guest have agreed on holds. A host who cannot keep
    to it cancels them, which gives the guest's money back.

    Args:
        actor: Its host, or an admin.
        slug: The place.
        precondition: As for `update_property`.

    Raises:
        NotFound: if there is no such place on the list.
        Forbidden: if it is another's.
    """
    place = _locked(actor, slug)
    precondition(place)
    place.is_listed = False
    place.version += 1
    place.save()
    _publish(place)


def _locked(actor: User, slug: str) -> Property:
    """Return a place that the actor may change, its row locked."""
    try:
        place = (
            Property.objects.select_for_update(of=("self",), no_key=True)
            .select_related("city", "host")
            .get(slug=slug, is_listed=True)
        )
    except Property.DoesNotExist:
        raise NotFound("There is no such property.") from None
    if place.host_id != actor.id and not actor.is_admin:
        raise Forbidden("Only the host changes a place.")
    return place


def _set(place: Property, fields: dict[str, Any]) -> None:
    """Give a place new values, and refuse those that the model or PostgreSQL cannot take."""
    if unknown := fields.keys() - CHANGEABLE:
        raise TypeError(f"cannot be set: {', '.join(sorted(unknown))}")
    for name, value in fields.items():
        # clean_fields passes over both: PostgreSQL knows no NUL, and a text of any length
        if isinstance(value, str) and ("\0" in value or len(value) > _max_length(name)):
            raise Invalid("This is too long, or holds a NUL.", field=name)
        setattr(place, name, value)
    try:
        place.clean_fields(exclude={"slug", "host", "city"})
    except ValidationError as error:
        raise Invalid("This cannot be.", field=min(error.error_dict)) from None


def _max_length(name: str) -> int:
    """Return how long the text of a field may be."""
    return Property._meta.get_field(name).max_length or 0


def _known(slugs: Iterable[str]) -> list[Amenity]:
    """Return amenities by their slugs."""
    wanted = set(slugs)
    found = list(Amenity.objects.filter(slug__in=wanted))
    if len(found) < len(wanted):
        raise Invalid("One of them is not known.", code="unknown", field="amenities")
    return found


def _publish(place: Property) -> None:
    """Let everybody see the change."""
    invalidate(f"property:{place.slug}", "listings")
