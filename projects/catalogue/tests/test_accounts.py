"""Registering, logging in and out, and the life of tokens."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.test import RequestFactory
from rest_framework.request import Request
from rest_framework.test import APIClient
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

from catalogue import settings as production
from catalogue.accounts import client_address
from catalogue.models import Attempt, User
from tests.conftest import make_user, race

pytestmark = pytest.mark.django_db
AUTH = "/api/v1/auth"
PASSWORD = "a-long-password-1"


def login(api: APIClient, user: User, password: str = PASSWORD) -> Any:
    return api.post(f"{AUTH}/login", {"email": user.email, "password": password})


def me(api: APIClient, token: Any) -> int:
    return api.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"}).status_code


def test_the_life_of_tokens(api: APIClient) -> None:
    user = make_user()
    first = login(api, user).data
    assert me(api, first["access"]) == 200
    second = api.post(f"{AUTH}/refresh", {"refresh": first["refresh"]})
    assert me(api, second.data["access"]) == 200
    again = api.post(f"{AUTH}/refresh", {"refresh": first["refresh"]})
    assert (again.status_code, again.json()["code"]) == (401, "token_not_valid")
    assert api.post(f"{AUTH}/logout", {"refresh": second.data["refresh"]}).status_code == 204
    assert api.post(f"{AUTH}/refresh", {"refresh": second.data["refresh"]}).status_code == 401


def test_passwords_are_hashed_in_less_memory_than_a_container_has(settings: Any) -> None:
    settings.PASSWORD_HASHERS = production.PASSWORD_HASHERS
    assert "$argon2id$v=19$m=19456,t=2,p=1$" in make_password("a-long-password-1")


def test_only_tokens_that_were_given_out_are_stored(api: APIClient) -> None:
    refresh = login(api, make_user()).data["refresh"]
    refresh = api.post(f"{AUTH}/refresh", {"refresh": refresh}).data["refresh"]
    api.post(f"{AUTH}/logout", {"refresh": refresh})
    assert OutstandingToken.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_of_8_requests_with_one_refresh_token_1_gets_new_ones() -> None:
    refresh = str(RefreshToken.for_user(make_user()))
    answers = race(
        lambda _: APIClient().post(f"{AUTH}/refresh", {"refresh": refresh}).status_code, 8
    )
    assert sorted(map(str, answers)) == ["200"] + ["401"] * 7


def test_a_token_ends_with_its_password_and_its_user(api: APIClient) -> None:
    user = make_user()
    tokens = login(api, user).data
    user.set_password("another-password-2")
    user.save()
    assert me(api, tokens["access"]) == 401
    assert api.post(f"{AUTH}/refresh", {"refresh": tokens["refresh"]}).status_code == 401
    tokens = login(api, user, "another-password-2").data
    user.delete()
    assert me(api, tokens["access"]) == 401
    assert api.post(f"{AUTH}/refresh", {"refresh": tokens["refresh"]}).status_code == 401


def test_an_access_token_is_no_refresh_token_and_the_other_way_round(api: APIClient) -> None:
    tokens = login(api, make_user()).data
    assert api.post(f"{AUTH}/refresh", {"refresh": tokens["access"]}).status_code == 401
    assert me(api, tokens["refresh"]) == 401


def test_an_expired_or_forged_token_is_refused(api: APIClient) -> None:
    user = make_user()
    token = AccessToken.for_user(user)
    token.set_exp(from_time=datetime.now(UTC) - timedelta(hours=1))  # type: ignore[no-untyped-call]
    assert me(api, token) == 401
    head, body, _ = str(AccessToken.for_user(user)).split(".")
    assert me(api, f"{head}.{body}.forged") == 401
    assert me(api, f"eyJhbGciOiJub25lIn0.{body}.") == 401


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"role": "staff"}, "role", "unknown"),
        ({"is_active": True}, "is_active", "unknown"),
        ({"email": "nonsense"}, "email", "invalid"),
        ({"password": "short"}, "password", "weak"),
        ({"password": "password123"}, "password", "weak"),
        ({"name": "a\x00b"}, "name", "invalid"),
        ({"name": 5}, "name", "invalid"),
    ],
)
def test_what_cannot_register(api: APIClient, change: Any, field: str, code: str) -> None:
    body = {"email": "new@example.com", "name": "New", "password": PASSWORD} | change
    answer = api.post(f"{AUTH}/register", body)
    assert answer.status_code == 400
    assert (answer.json()["errors"][0]["field"], answer.json()["errors"][0]["code"]) == (
        field,
        code,
    )


def test_registering_makes_a_customer(api: APIClient) -> None:
    body = {"email": "New@Example.com", "name": "New", "password": PASSWORD}
    answer = api.post(f"{AUTH}/register", body)
    assert (answer.data["email"], answer.data["role"]) == ("new@example.com", "customer")
    taken = api.post(f"{AUTH}/register", body)
    assert (taken.status_code, taken.json()["code"]) == (409, "email_taken")


def test_a_wrong_password_and_an_unknown_account_are_answered_the_same(api: APIClient) -> None:
    wrong = login(api, make_user(), "wrong")
    unknown = api.post(f"{AUTH}/login", {"email": "nobody@example.com", "password": "wrong"})
    assert (wrong.status_code, wrong.json()) == (401, unknown.json())
    assert wrong.headers["WWW-Authenticate"] == "Bearer"


def test_log_ins_are_counted_for_the_account_and_then_forgotten(
    api: APIClient, settings: Any
) -> None:
    settings.ATTEMPTS_ACCOUNT = 3
    user, other = make_user(), make_user()
    assert [login(api, user, "wrong").status_code for _ in range(4)] == [401, 401, 401, 429]
    refused = login(api, user)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 900
    assert login(api, other).status_code == 200
    Attempt.objects.update(started=datetime.now(UTC) - timedelta(hours=1))
    assert login(api, user).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_of_20_log_ins_at_once_3_are_looked_at(settings: Any) -> None:
    settings.ATTEMPTS_ACCOUNT = 3
    user = make_user()
    codes = race(lambda _: login(APIClient(), user, "wrong").status_code, 20)
    assert sorted(map(str, codes)) == ["401"] * 3 + ["429"] * 17


@pytest.mark.parametrize(
    ("proxies", "remote", "forwarded", "counted"),
    [
        (0, "192.0.2.1", "203.0.113.9", "192.0.2.1"),
        (1, "10.0.0.1", "6.6.6.6, 203.0.113.9", "203.0.113.9"),
        (1, "10.0.0.1", "", "10.0.0.1"),
        (0, "2001:db8::1:2", "", "2001:db8::/64"),
        (0, "", "", "unknown"),
    ],
)
def test_whom_attempts_are_counted_for(
    settings: Any, proxies: int, remote: str, forwarded: str, counted: str
) -> None:
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"NUM_PROXIES": proxies}
    request = RequestFactory().get("/", REMOTE_ADDR=remote, HTTP_X_FORWARDED_FOR=forwarded)
    assert client_address(Request(request)) == counted
