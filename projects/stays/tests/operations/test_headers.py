import pytest
from rest_framework.test import APIClient

from tests.factories import make_booking, make_property

pytestmark = pytest.mark.django_db


def test_an_answer_for_one_user_is_kept_by_nobody(api: APIClient) -> None:
    booking = make_booking()
    api.force_authenticate(booking.guest)
    for path in ("bookings", f"bookings/{booking.id}", "conversations", "me", "nothing"):
        answer = api.get(f"/api/v1/{path}")
        assert answer.headers["Cache-Control"] == "no-store", path


def test_what_is_for_everyone_still_says_so(api: APIClient) -> None:
    answer = api.get(f"/api/v1/properties/{make_property().slug}")
    assert answer.headers["Cache-Control"] == "public, no-cache"
