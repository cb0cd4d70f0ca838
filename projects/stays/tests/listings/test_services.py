from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from zeal import zeal_ignore

from stays.accounts.models import User
from stays.common.errors import Conflict, Forbidden, Invalid, NotFound, PreconditionFailed
from stays.listings import services
from stays.listings.models import Amenity, Property
from tests.factories import make_admin, make_city, make_host, make_property, make_user
from tests.racing import race

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _services_are_called_more_than_once() -> Iterator[None]:
    with zeal_ignore():
        yield


def offer(**fields: Any) -> dict[str, Any]:
    defaults = {
        "title": "Señor Hügel's flat",
        "kind": "entire",
        "address": "Rua Augusta 1",
        "latitude": 38.7,
        "longitude": -9.1,
        "max_guests": 2,
        "bedrooms": 1,
        "nightly_minor": 9_000,
        "currency": "EUR",
    }
    return defaults | fields


def test_a_host_offers_a_place() -> None:
    host, city = make_host(), make_city()
    wifi, pool = (Amenity.objects.create(slug=slug, name=slug) for slug in ("wifi", "pool"))
    place = services.create_property(
        actor=host, city_slug=city.slug, amenities=["wifi", "pool", "wifi"], **offer()
    )
    place = Property.objects.get(pk=place.pk)
    assert (place.slug, place.host, place.city) == ("senor-hugels-flat", host, city)
    assert (place.version, place.is_listed, place.cleaning_minor) == (1, True, 0)
    assert set(place.amenities.all()) == {wifi, pool}


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Flat", "flat"),
        ("民泊", "place"),
        ("!!!", "place"),
        ("_-_", "place"),
        ("x" * 100, "x" * 80),
    ],
)
def test_a_slug_is_made_of_the_title(title: str, slug: str) -> None:
    city = make_city()
    for expected in (slug, f"{slug}-"):
        place = services.create_property(
            actor=make_host(), city_slug=city.slug, **offer(title=title)
        )
        assert place.slug.startswith(expected)
    assert len(place.slug) == len(slug) + 9


def test_a_slug_that_stays_taken_is_a_conflict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_property(slug="flat")
    make_property(slug="flat-00")
    monkeypatch.setattr(services.secrets, "token_hex", lambda _: "00")
    with pytest.raises(Conflict):
        services.create_property(
            actor=make_host(), city_slug=make_city().slug, **offer(title="Flat")
        )


@pytest.mark.django_db(transaction=True)
def test_twenty_hosts_with_the_same_title_get_a_slug_each() -> None:
    city = make_city()
    hosts = [make_host() for _ in range(20)]
    places = race(
        lambda number: services.create_property(
            actor=hosts[number], city_slug=city.slug, **offer(title="Flat")
        ),
        20,
    )
    assert {type(place) for place in places} == {Property}
    slugs = set(Property.objects.values_list("slug", flat=True))
    assert len(slugs) == 20
    assert "flat" in slugs


def test_who_is_no_host_offers_nothing() -> None:
    with pytest.raises(Forbidden):
        services.create_property(actor=make_user(), city_slug=make_city().slug, **offer())
    assert not Property.objects.exists()


def test_an_amenity_must_be_known() -> None:
    place = make_property()
    with pytest.raises(Invalid) as refused:
        services.create_property(
            actor=make_host(), city_slug=place.city.slug, amenities=["moat"], **offer()
        )
    assert refused.value.field == "amenities"
    assert Property.objects.get() == place
    with pytest.raises(Invalid) as refused:
        services.update_property(actor=place.host, slug=place.slug, amenities=["moat"])
    assert refused.value.field == "amenities"


def test_a_city_must_be_known() -> None:
    with pytest.raises(Invalid) as refused:
        services.create_property(actor=make_host(), city_slug="nowhere", **offer())
    assert refused.value.field == "city"


@pytest.mark.parametrize(
    "field", ["slug", "host", "version", "is_listed", "rating_sum", "nonsense"]
)
def test_what_services_own_cannot_be_set(field: str) -> None:
    place = make_property()
    with pytest.raises(TypeError):
        services.update_property(actor=place.host, slug=place.slug, **{field: 1})


def test_a_change_keeps_the_rest_and_counts() -> None:
    place = make_property(rating_sum=9, rating_count=2)
    Amenity.objects.create(slug="wifi", name="Wi-Fi")
    services.update_property(actor=place.host, slug=place.slug, amenities=["wifi"])
    changed = services.update_property(actor=place.host, slug=place.slug, title="Another")
    now = Property.objects.get()
    assert (now.title, now.slug, now.version) == ("Another", place.slug, 3)
    assert (now.rating_sum, now.nightly_minor) == (9, place.nightly_minor)
    assert [amenity.slug for amenity in changed.amenities.all()] == ["wifi"]


def test_an_admin_changes_a_place_and_another_host_does_not() -> None:
    place = make_property()
    services.update_property(actor=make_admin(), slug=place.slug, title="Better")
    with pytest.raises(Forbidden):
        services.update_property(actor=make_host(), slug=place.slug, title="Worse")
    with pytest.raises(Forbidden):
        services.unlist_property(actor=make_host(), slug=place.slug)
    now = Property.objects.get()
    assert (now.title, now.is_listed) == ("Better", True)


def test_a_place_off_the_list_is_gone() -> None:
    place = make_property()
    services.unlist_property(actor=place.host, slug=place.slug)
    now = Property.objects.get()
    assert (now.is_listed, now.version) == (False, 2)
    with pytest.raises(NotFound):
        services.unlist_property(actor=place.host, slug=place.slug)


def test_a_place_is_put_back_on_the_list_once() -> None:
    place = make_property(is_listed=False)
    for _ in range(2):
        services.list_property_again(actor=place.host, slug=place.slug)
    now = Property.objects.get()
    assert (now.is_listed, now.version) == (True, 2)
    services.update_property(actor=place.host, slug=place.slug, title="New")


def test_only_the_host_and_admins_put_a_place_back() -> None:
    place = make_property(is_listed=False)
    with pytest.raises(NotFound):
        services.list_property_again(actor=make_host(), slug=place.slug)
    services.list_property_again(actor=make_admin(), slug=place.slug)
    with pytest.raises(Forbidden):
        services.list_property_again(actor=make_host(), slug=place.slug)


def test_a_place_of_a_deleted_host_stays_off_the_list() -> None:
    place = make_property(is_listed=False)
    User.objects.filter(id=place.host_id).update(is_active=False)
    with pytest.raises(NotFound):
        services.list_property_again(actor=make_admin(), slug=place.slug)
    assert not Property.objects.get().is_listed


@pytest.mark.parametrize("slug", ["off-the-list", "none"])
def test_what_is_not_there_cannot_be_changed(slug: str) -> None:
    place = make_property(slug="off-the-list", is_listed=False)
    with pytest.raises(NotFound):
        services.update_property(actor=place.host, slug=slug, title="New")


def test_a_precondition_is_asked_first() -> None:
    place = make_property()

    def refuse(now: Property) -> None:
        assert now == place
        raise PreconditionFailed("Changed.")

    with pytest.raises(PreconditionFailed):
        services.update_property(
            actor=place.host, slug=place.slug, precondition=refuse, title="New"
        )
    with pytest.raises(PreconditionFailed):
        services.unlist_property(actor=place.host, slug=place.slug, precondition=refuse)
    now = Property.objects.get()
    assert (now.title, now.is_listed, now.version) == (place.title, True, 1)


@pytest.mark.django_db(transaction=True)
def test_of_twenty_who_change_the_same_version_one_wins() -> None:
    place = make_property()

    def change(number: int) -> Property:
        def unchanged(now: Property) -> None:
            if now.version != 1:
                raise PreconditionFailed("Changed.")

        return services.update_property(
            actor=place.host, slug=place.slug, precondition=unchanged, title=f"Title {number}"
        )

    outcomes = Counter(type(got).__name__ for got in race(change, 20))
    assert outcomes == {"Property": 1, "PreconditionFailed": 19}
    assert Property.objects.get().version == 2


@pytest.mark.parametrize("change", ["create", "update", "unlist", "relist"])
def test_a_change_invalidates_what_shows_it(valkey: redis.Redis, commits: Any, change: str) -> None:
    place = make_property(is_listed=change != "relist")
    with commits():
        if change == "create":
            place = services.create_property(actor=place.host, city_slug=place.city.slug, **offer())
        elif change == "update":
            services.update_property(actor=place.host, slug=place.slug, title="New")
        elif change == "relist":
            services.list_property_again(actor=place.host, slug=place.slug)
        else:
            services.unlist_property(actor=place.host, slug=place.slug)
        assert not list(valkey.scan_iter("cache:tag:*"))
    assert set(valkey.scan_iter("cache:tag:*")) == {
        b"cache:tag:listings",
        f"cache:tag:property:{place.slug}".encode(),
    }


def test_the_places_of_a_host_who_left_are_taken_off_the_list(
    valkey: redis.Redis, commits: Any
) -> None:
    host = make_host()
    places = [make_property(host=host) for _ in range(2)]
    make_property(host=host, is_listed=False)
    another = make_property()
    with commits():
        assert services.unlist_places_of(host_id=host.id) == 2
    assert services.unlist_places_of(host_id=host.id) == 0
    assert Property.objects.get(is_listed=True) == another
    assert {
        b"cache:tag:listings",
        *(f"cache:tag:property:{place.slug}".encode() for place in places),
    } == set(valkey.scan_iter("cache:tag:*"))
