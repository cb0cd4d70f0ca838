"""Offering places, changing them, and taking them off the list."""

import secrets
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from django.db import transaction
from django.utils.text import slugify

from stays.accounts.models import DELETED, User
from stays.common.cache import invalidate
from stays.common.constraints import refusing
from stays.common.errors import Conflict, Forbidden, Invalid, NotFound
from stays.common.finding import get_or_refuse
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
        Invalid: if the city or an amenity is not known.
    """
    if not actor.is_host:
        raise Forbidden("Only hosts offer places.", code="not_a_host")
    city = City.objects.filter(slug=city_slug).first()
    if city is None:
        raise Invalid("There is no such city.", code="unknown", field="city")
    place = Property(host=actor, city=city)
    _set(place, fields)
    _insert(place)
    place.amenities.set(_known(amenities))
    _publish(place)
    return place


def _insert(place: Property) -> None:
    """Save a new place under a slug made of its title.

    The first one with a title has it alone; others have random digits added. Two who try the same
    slug at the same moment are told apart by the unique index.
    """
    base = slugify(place.title)[:80].strip("-_") or "place"
    taken = {"listings_property_slug_key": Conflict("Try it again.")}
    place.slug = base
    try:
        with refusing(taken):
            place.save()
    except Conflict:
        place.slug = f"{base}-{secrets.token_hex(4)}"
        with refusing(taken):
            place.save()


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
        Invalid: if an amenity is not known.
    """
    place = _locked(actor, slug)
    precondition(place)
    _set(place, fields)
    if amenities is not None:
        place.amenities.set(_known(amenities))
    place.version += 1
    _save_change(place)
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
    _save_change(place)


@transaction.atomic
def list_property_again(*, actor: User, slug: str) -> Property:
    """Put a place back on the list. A place that is on the list stays there, unchanged.

    Args:
        actor: Its host, or an admin.
        slug: The place.

    Returns:
        The place, which can be found and booked again.

    Raises:
        NotFound: if there is no such place, or its host has deleted the account.
        Forbidden: if it is another's.
    """
    place = _locked(actor, slug, listed_only=False)
    if not place.host.is_active:
        raise NotFound("There is no such property.")
    if not place.is_listed:
        place.is_listed = True
        place.version += 1
        _save_change(place)
    return place


@transaction.atomic
def unlist_places_of(*, host_id: uuid.UUID) -> int:
    """Take all places of a host off the list, because the host's account is gone.

    As with `unlist_property`, bookings stay as they are. It may be done twice.

    Args:
        host_id: The host.

    Returns:
        How many were on the list.
    """
    places = list(
        Property.objects.select_for_update(of=("self",), no_key=True)
        .filter(host_id=host_id, is_listed=True)
        .order_by("pk")  # two that do this at once take turns
    )
    for place in places:
        place.is_listed = False
        place.version += 1
        _save_change(place)
    return len(places)


def unlist_places_of_deleted_hosts() -> int:
    """Take off the list what a lost task has left there, and return how many places it was."""
    hosts = User.objects.filter(
        is_active=False, email__endswith=DELETED, properties__is_listed=True
    ).distinct()
    return sum(unlist_places_of(host_id=host_id) for host_id in hosts.values_list("id", flat=True))


def _locked(actor: User, slug: str, *, listed_only: bool = True) -> Property:
    """Return a place that the actor may change, its row locked.

    To anybody but its host and admins, a place that is not on the list does not exist.
    """
    places = Property.objects.select_for_update(of=("self",), no_key=True)
    place = get_or_refuse(places.select_related("city", "host"), slug=slug)
    is_theirs = place.host_id == actor.id or actor.is_admin
    if not place.is_listed and (listed_only or not is_theirs):
        raise NotFound("There is no such property.")
    if not is_theirs:
        raise Forbidden("Only the host changes a place.")
    return place


def _set(place: Property, fields: dict[str, Any]) -> None:
    """Give a place new values. Both APIs have checked them; services keep what is their own."""
    if unknown := fields.keys() - CHANGEABLE:
        raise TypeError(f"cannot be set: {', '.join(sorted(unknown))}")
    for name, value in fields.items():
        setattr(place, name, value)


def _known(slugs: Iterable[str]) -> list[Amenity]:
    """Return amenities by their slugs."""
    wanted = set(slugs)
    found = list(Amenity.objects.filter(slug__in=wanted))
    if len(found) < len(wanted):
        raise Invalid("One of them is not known.", code="unknown", field="amenities")
    return found


def _save_change(place: Property) -> None:
    """Save a place that was changed, and let everybody see it."""
    place.save()
    _publish(place)


def _publish(place: Property) -> None:
    """Let everybody see the change."""
    invalidate(f"property:{place.slug}", "listings")
