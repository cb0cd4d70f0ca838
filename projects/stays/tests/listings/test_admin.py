from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from zeal import zeal_ignore

from stays.common.cache import cached
from stays.listings.models import Amenity, City, Property
from tests.factories import make_admin, make_city, make_property

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client: Client) -> Iterator[Client]:
    with zeal_ignore():  # the admin is looked up with each request
        client.force_login(make_admin(is_superuser=True))
        yield client


@pytest.fixture
def shown() -> Any:
    """Whether what depends on a tag is still shown from the cache."""

    def is_cached(tag: str) -> bool:
        fresh: list[str] = []
        cached(tag, tags=[tag], seconds=60, compute=lambda: fresh.append(tag) or b"page")
        return not fresh

    return is_cached


@pytest.mark.parametrize("model", ["city", "amenity", "property"])
def test_lists_cost_the_same_however_long_they_are(
    admin: Client, model: str, django_assert_max_num_queries: Any
) -> None:
    for number in range(10):
        make_property()
        Amenity.objects.create(slug=f"a{number}", name=f"Amenity {number}")
    with django_assert_max_num_queries(6):
        response = admin.get(f"/admin/listings/{model}/", {"q": "a"})
    assert response.status_code == 200


def test_a_change_by_hand_is_counted_and_seen(admin: Client, shown: Any, commits: Any) -> None:
    place = make_property()
    address = f"/admin/listings/property/{place.pk}/change/"
    form = admin.get(address).context["adminform"].form
    data = {name: value for name, value in form.initial.items() if value is not None}
    assert not shown(f"property:{place.slug}")
    assert shown(f"property:{place.slug}")
    with commits():
        response = admin.post(address, data | {"title": "By hand", "amenities": []})
    assert response.status_code == 302
    now = Property.objects.get()
    assert (now.title, now.version) == ("By hand", 2)
    assert not shown(f"property:{place.slug}")


def test_a_place_is_not_deleted_by_hand(admin: Client) -> None:
    place = make_property()
    assert admin.post(f"/admin/listings/property/{place.pk}/delete/").status_code == 403
    assert Property.objects.exists()


def test_lists_show_what_was_changed_by_hand(admin: Client, shown: Any, commits: Any) -> None:
    city = make_city()
    shown("listings")
    assert shown("listings")
    with commits():
        admin.post("/admin/listings/amenity/add/", {"slug": "wifi", "name": "Wi-Fi"})
    assert Amenity.objects.get().slug == "wifi"
    assert not shown("listings")
    with commits():
        admin.post(f"/admin/listings/city/{city.pk}/delete/", {"post": "yes"})
    assert not City.objects.exists()
    assert not shown("listings")
    with commits():
        admin.post(
            "/admin/listings/amenity/",
            {
                "action": "delete_selected",
                "_selected_action": [Amenity.objects.get().pk],
                "post": 1,
            },
        )
    assert not Amenity.objects.exists()
    assert not shown("listings")
