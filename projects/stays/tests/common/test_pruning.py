from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session as AdminSession
from django.utils import timezone

from stays.accounts.models import Session
from stays.accounts.tasks import clear_sessions
from stays.common import pruning
from stays.payments.models import ProviderEvent
from stays.payments.tasks import forget_events
from tests.factories import make_user

pytestmark = pytest.mark.django_db


def test_what_is_old_is_deleted_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "BATCH", 2)
    user, now = make_user(), timezone.now()
    for number in range(5):
        Session.objects.create(user=user, refresh_jti=str(number), expires_at=now)
    later = now + timedelta(hours=1)
    kept = Session.objects.create(user=user, refresh_jti="later", expires_at=later)
    AdminSession.objects.create(session_key="old", session_data="", expire_date=now)
    AdminSession.objects.create(session_key="new", session_data="", expire_date=later)
    assert clear_sessions() == 5
    assert Session.objects.get() == kept
    assert AdminSession.objects.get().session_key == "new"


def test_events_of_long_ago_are_forgotten() -> None:
    for name, days in {"old": 91, "new": 89}.items():
        ProviderEvent.objects.create(id=name, kind="x", payload={})
        long_ago = timezone.now() - timedelta(days=days)
        ProviderEvent.objects.filter(id=name).update(received_at=long_ago)
    assert forget_events() == 1
    assert ProviderEvent.objects.get().id == "new"
