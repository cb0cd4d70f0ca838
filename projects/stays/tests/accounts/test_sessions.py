"""One's own sessions, and the key that their tokens are signed with."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.checks import run_checks
from django.utils import timezone
from rest_framework.test import APIClient
from zeal import zeal_ignore

from stays.accounts import services
from stays.accounts.models import Session
from stays.accounts.tokens import BACKEND
from tests.accounts.tokens import forgeries, log_in
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db
SESSIONS = "/api/v1/me/sessions"
ME = "/api/v1/me"
REFRESH = "/api/v1/auth/refresh"


def bearer(access: str) -> dict[str, Any]:
    return {"headers": {"Authorization": f"Bearer {access}"}}


@pytest.fixture(autouse=True)
def _several_requests() -> Any:
    with zeal_ignore():  # each reads its session
        yield


def test_one_sees_ones_own_sessions_and_which_is_this_one(api: APIClient) -> None:
    user = make_user()
    body = {"email": user.email, "password": PASSWORD}
    agent = "Browser\x07 (of my machine)" + "!" * 300
    first = api.post("/api/v1/auth/login", body, headers={"User-Agent": agent}).json()["access"]
    second = log_in(user).access
    log_in(make_user())
    services.log_out(refresh=log_in(user).refresh)
    log_in(user)
    newest = Session.objects.order_by("-id")[0]
    Session.objects.filter(id=newest.id).update(expires_at=timezone.now() - timedelta(seconds=1))
    answer = api.get(SESSIONS, **bearer(second))
    assert answer["Cache-Control"] == "no-store"
    shown = answer.json()["results"]
    assert [(each["client"][:26], each["current"]) for each in shown] == [
        ("", True),
        ("Browser (of my machine)!!!", False),
    ]
    assert len(shown[1]["client"]) == 200
    assert shown[0].keys() == {"id", "client", "created_at", "rotated_at", "expires_at", "current"}
    shown = api.get(f"{SESSIONS}?limit=1", **bearer(first)).json()
    assert [each["current"] for each in shown["results"]] == [False]
    assert shown["next"]


def test_a_session_that_is_ended_lets_nobody_in(api: APIClient) -> None:
    user = make_user()
    here, there = log_in(user), log_in(user)
    there_id = api.get(SESSIONS, **bearer(here.access)).json()["results"][0]["id"]
    assert api.delete(f"{SESSIONS}/{there_id}", **bearer(here.access)).status_code == 204
    assert api.get(ME, **bearer(there.access)).status_code == 401
    assert api.post(REFRESH, {"refresh": there.refresh}).status_code == 401
    assert api.get(ME, **bearer(here.access)).status_code == 200
    assert api.delete(f"{SESSIONS}/{there_id}", **bearer(here.access)).status_code == 404


def test_nobody_ends_the_session_of_another(api: APIClient) -> None:
    mine, others = log_in(make_user()), log_in(make_user())
    for session in Session.objects.exclude(user=Session.objects.earliest("id").user):
        address = f"{SESSIONS}/{session.id}"
        assert api.delete(address, **bearer(mine.access)).status_code == 404
    assert api.get(ME, **bearer(others.access)).status_code == 200


# -- The exchange of the key


def test_tokens_of_the_old_key_are_good_while_it_is_exchanged_and_then_not(
    api: APIClient, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    old_key, new_key = BACKEND.signing_key, "the key of tomorrow " * 3
    before = log_in(make_user())

    def sign_with(key: str) -> None:
        """As after a restart with this JWT_SIGNING_KEY."""
        monkeypatch.setattr(BACKEND, "signing_key", key)
        vars(BACKEND).pop("prepared_signing_key", None)

    sign_with(new_key)
    settings.JWT_OLD_KEYS = [old_key]
    assert api.get(ME, **bearer(before.access)).status_code == 200
    during = api.post(REFRESH, {"refresh": before.refresh}).json()
    assert api.get(ME, **bearer(during["access"])).status_code == 200

    settings.JWT_OLD_KEYS = []
    assert api.get(ME, **bearer(before.access)).status_code == 401
    assert api.post(REFRESH, {"refresh": before.refresh}).status_code == 401
    assert api.get(ME, **bearer(during["access"])).status_code == 200
    assert api.post(REFRESH, {"refresh": during["refresh"]}).status_code == 200
    sign_with(str(old_key))


@pytest.mark.parametrize("kind", ["expired", "changed payload", "no algorithm", "not for us"])
def test_an_old_key_makes_no_forged_token_good(api: APIClient, settings: Any, kind: str) -> None:
    settings.JWT_OLD_KEYS = [str(BACKEND.signing_key), "a key of the day before " * 2]
    forged = forgeries(log_in(make_user()).access)[kind]
    assert api.get(ME, **bearer(forged)).status_code == 401


def test_old_keys_are_checked_as_the_key_is(settings: Any) -> None:
    settings.JWT_OLD_KEYS = ["short", settings.METRICS_TOKEN * 2, settings.SECRET_KEY]
    found = [(each.id, each.msg) for each in run_checks(tags=["security"])]
    assert ("stays.E001", "JWT_OLD_KEYS[0] has less than 32 bytes.") in found
    assert ("stays.E004", "Two secrets are the same.") in found
