"""In Django's admin what services own is to be looked at only."""

from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.test import Client

from stays.payments.models import ProviderEvent, Status
from stays.statistics.models import DailyFigures
from stays.statistics.services import FIGURES
from tests.factories import day, make_user
from tests.payments.events import make_payment

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("one_row_at_a_time")]


def make_event() -> ProviderEvent:
    return ProviderEvent.objects.create(id="evt_1", kind="charge.succeeded", payload={})


def make_figures() -> DailyFigures:
    return DailyFigures.objects.create(day=day(0), currency="EUR", **dict.fromkeys(FIGURES, 1))


@pytest.mark.parametrize(
    ("path", "make"),
    [
        ("payments/payment", lambda: make_payment(status=Status.SUCCEEDED)),
        ("payments/providerevent", make_event),
        ("statistics/dailyfigures", make_figures),
    ],
)
def test_what_services_own(path: str, make: Any) -> None:
    thing = make()
    key = quote(thing.pk)
    client = Client()
    client.force_login(make_user(role="admin", is_staff=True, is_superuser=True))
    listed = client.get(f"/admin/{path}/")
    assert (listed.status_code, f"/{key}/change/" in listed.content.decode()) == (200, True)
    shown = client.get(f"/admin/{path}/{key}/change/")
    assert (shown.status_code, str(thing) in shown.content.decode()) == (200, True)
    assert client.get(f"/admin/{path}/add/").status_code == 403
    assert client.post(f"/admin/{path}/{key}/change/", {}).status_code == 403
    assert client.post(f"/admin/{path}/{key}/delete/", {"post": "yes"}).status_code == 403
    thing.refresh_from_db()
