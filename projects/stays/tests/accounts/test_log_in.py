import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
import time_machine
from django.contrib.auth import authenticate
from django.db import OperationalError
from django.test import Client, RequestFactory
from rest_framework.test import APIClient
from zeal import zeal_ignore

from stays.accounts import attempts, services
from stays.accounts.models import Session, User
from stays.common.errors import Forbidden, TooMany, Unauthenticated, Unavailable
from tests.accounts.tokens import ADDRESS, log_in
from tests.factories import PASSWORD, make_admin, make_user
from tests.racing import race

pytestmark = pytest.mark.django_db
LOGIN = "/api/v1/auth/login"
NOWHERE = "redis://127.0.0.1:1/0"


def try_password(
    email: str, *, password: str = "wrong", address: str = ADDRESS
) -> services.Tokens | str:
    try:
        with zeal_ignore():
            return services.log_in(email=email, password=password, address=address)
    except (Unauthenticated, TooMany) as refusal:
        return refusal.code


def move_valkey_away(settings: Any) -> None:
    default = settings.CACHES["default"] | {"LOCATION": NOWHERE}
    settings.CACHES = settings.CACHES | {"default": default}


def test_a_log_in(api: APIClient) -> None:
    user = make_user(email="ana@example.com")
    response = api.post(LOGIN, {"email": "Ana@Example.COM", "password": PASSWORD})
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    tokens = response.json()
    assert tokens.keys() == {"access", "refresh", "expires_in"}
    assert Session.objects.get().user == user
    me = api.get("/api/v1/me", HTTP_AUTHORIZATION=f"Bearer {tokens['access']}")
    assert me.json()["email"] == "ana@example.com"


def test_an_unknown_address_and_a_wrong_password_get_the_same_answer(api: APIClient) -> None:
    user, left = make_user(), make_user(is_active=False)
    answers = [
        api.post(LOGIN, {"email": email, "password": password})
        for email, password in (
            (user.email, "wrong"),
            ("nobody@example.com", PASSWORD),
            (left.email, PASSWORD),
        )
    ]
    for answer in answers:
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"] == "Bearer"
    problems = [answer.json() | {"request_id": ""} for answer in answers]
    assert problems[0] == problems[1] == problems[2]
    assert problems[0]["detail"] == "The address or the password is wrong."
    assert not Session.objects.exists()


def test_a_hash_is_computed_for_unknown_addresses_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.contrib.auth import hashers

    hasher = type(hashers.get_hasher())
    computed: list[str] = []
    encode = hasher.encode

    def counting(self: Any, password: str, *args: Any, **options: Any) -> str:
        computed.append(password)
        return encode(self, password, *args, **options)

    users = [make_user().email, make_user(is_active=False).email, "nobody@example.com"]
    monkeypatch.setattr(hasher, "encode", counting)
    for email in users:
        try_password(email)
    assert len(computed) == len(users)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": "a@example.com"},
        {"password": "x"},
        {"email": 1, "password": "x"},
        {"email": "a@example.com", "password": ["x"]},
        {"email": "a" * 255, "password": "x"},
        {"email": "a@example.com", "password": "x" * 129},
        {"email": "a\x00@example.com", "password": "x"},
        {"email": "a@example.com", "password": "x", "more": 1},
        [],
        "text",
        None,
    ],
)
def test_what_is_no_log_in_is_refused(api: APIClient, valkey: redis.Redis, body: Any) -> None:
    response = api.post(LOGIN, body)
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"
    assert valkey.keys("attempts:*") == []


def test_too_many_attempts_at_an_account(api: APIClient, settings: Any) -> None:
    settings.LOGIN_RATE_ACCOUNT = "3/15m"
    user = make_user()
    assert [try_password(user.email) for _ in range(3)] == ["credentials"] * 3
    response = api.post(LOGIN, {"email": user.email.upper(), "password": PASSWORD})
    assert response.status_code == 429
    assert 890 < int(response["Retry-After"]) <= 900
    assert response.json()["code"] == "throttled"
    assert try_password(user.email, address="192.0.2.99") == "throttled"  # from anywhere
    assert isinstance(try_password(make_user().email, password=PASSWORD), services.Tokens)


def test_too_many_attempts_from_an_address(settings: Any) -> None:
    settings.LOGIN_RATE_ADDRESS = "3/15m"
    assert [try_password(f"{n}@example.com") for n in range(3)] == ["credentials"] * 3
    user = make_user()
    assert try_password(user.email, password=PASSWORD) == "throttled"
    assert isinstance(
        try_password(user.email, password=PASSWORD, address="192.0.2.99"), services.Tokens
    )


def test_unknown_addresses_are_limited_as_accounts_are(settings: Any) -> None:
    settings.LOGIN_RATE_ACCOUNT = "2/15m"
    got = [try_password("nobody@example.com") for _ in range(3)]
    assert got == ["credentials", "credentials", "throttled"]


def test_a_right_password_gives_the_account_its_attempts_back(settings: Any) -> None:
    settings.LOGIN_RATE_ACCOUNT = "3/15m"
    user = make_user()
    for _ in range(3):
        assert [try_password(user.email) for _ in range(2)] == ["credentials"] * 2
        assert isinstance(try_password(user.email, password=PASSWORD), services.Tokens)


def test_a_log_in_of_one_s_own_does_not_wipe_the_address_s_count(settings: Any) -> None:
    settings.LOGIN_RATE_ADDRESS = "3/15m"
    thief = make_user()
    got: list[str] = []
    for number in range(4):
        tried = try_password(f"{number}@example.com")
        got.append(tried if isinstance(tried, str) else "in")
        tried = try_password(thief.email, password=PASSWORD)
        got.append(tried if isinstance(tried, str) else "in")
    assert got == [
        *("credentials", "in", "credentials", "in", "credentials", "throttled"),
        *("throttled", "throttled"),
    ]


def test_a_window_that_ended_during_an_attempt_is_not_counted_below_zero(
    valkey: redis.Redis,
) -> None:
    with attempts.counted(email="a@example.com", address=ADDRESS):
        valkey.flushdb()
    assert valkey.keys("*") == []


def test_no_address_is_written_into_valkey(valkey: redis.Redis) -> None:
    try_password("ana@example.com")
    keys = valkey.keys("attempts:*")
    assert len(keys) == 2
    assert not [key for key in keys if b"ana" in key]
    assert all(0 < valkey.ttl(key) <= 900 for key in keys)


def test_with_valkey_down_nobody_comes_in(api: APIClient, settings: Any) -> None:
    user = make_user()
    move_valkey_away(settings)
    response = api.post(LOGIN, {"email": user.email, "password": PASSWORD})
    assert response.status_code == 503
    assert response["Content-Type"] == "application/problem+json"
    assert response["Retry-After"] == "5"
    assert response.json()["detail"] == "Passwords cannot be checked at the moment."
    assert not Session.objects.exists()
    with pytest.raises(Unavailable):
        services.delete_account(actor=user, password=PASSWORD, address=ADDRESS)
    assert User.objects.get() == user


def test_with_valkey_down_all_else_goes_on(api: APIClient, settings: Any) -> None:
    user = make_user()
    first = services.log_in(email=user.email, password=PASSWORD, address=ADDRESS)
    move_valkey_away(settings)
    new = {"email": "new@example.com", "name": "New", "password": "correct horse battery"}
    assert api.post("/api/v1/auth/register", new).status_code == 201
    second = api.post("/api/v1/auth/refresh", {"refresh": first.refresh}).json()
    assert api.get("/api/v1/me", HTTP_AUTHORIZATION=f"Bearer {second['access']}").status_code == 200
    assert api.post("/api/v1/auth/logout", {"refresh": second["refresh"]}).status_code == 204


def test_an_attempt_that_cannot_be_given_back_is_a_log_in_nevertheless(settings: Any) -> None:
    with attempts.counted(email="a@example.com", address=ADDRESS):
        move_valkey_away(settings)


@pytest.mark.django_db(transaction=True)
def test_of_fifty_passwords_at_once_five_are_looked_at(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.LOGIN_RATE_ACCOUNT = "5/15m"
    settings.LOGIN_RATE_ADDRESS = "1000/15m"
    user = make_user()
    looked_at: list[str] = []
    lock = threading.Lock()
    check = services._password_is_right

    def counting(user: User | None, password: str) -> bool:
        with lock:
            looked_at.append(password)
        return check(user, password)

    monkeypatch.setattr(services, "_password_is_right", counting)
    got = race(lambda n: try_password(user.email, password=f"guess {n}"), 50)
    assert Counter(map(str, got)) == {"credentials": 5, "throttled": 45}
    assert len(looked_at) == 5


def test_an_account_that_goes_while_its_password_is_looked_at_gets_no_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    user = make_user()
    check = services._password_is_right

    def check_and_delete(found: User | None, password: str) -> bool:
        right = check(found, password)
        User.objects.filter(id=user.id).delete()
        return right

    monkeypatch.setattr(services, "_password_is_right", check_and_delete)
    assert try_password(user.email, password=PASSWORD) == "credentials"
    assert not Session.objects.exists()


@zeal_ignore()  # Django's own sessions
def test_the_admin_s_log_in_is_limited_too(client: Client, settings: Any) -> None:
    settings.LOGIN_RATE_ACCOUNT = "2/15m"
    admin = make_admin(is_superuser=True)
    assert client.login(username=admin.email, password=PASSWORD)
    client.logout()
    for password in ("wrong", "wrong", PASSWORD):
        answer = client.post("/admin/login/", {"username": admin.email, "password": password})
        assert b"Please enter the correct" in answer.content
    assert "_auth_user_id" not in client.session
    assert try_password(admin.email, password=PASSWORD) == "throttled"


def test_the_backend_takes_an_address_as_email_too() -> None:
    user = make_user()
    request = RequestFactory().get("/")
    assert authenticate(request, email=user.email, password=PASSWORD) == user
    assert authenticate(request, password=PASSWORD) is None
    assert authenticate(request, username=user.email) is None


def test_guesses_at_a_password_by_a_deletion_are_counted(settings: Any) -> None:
    settings.LOGIN_RATE_ACCOUNT = "2/15m"
    user = make_user()
    for _ in range(2):
        with pytest.raises(Forbidden):
            services.delete_account(actor=user, password="wrong", address=ADDRESS)
    with pytest.raises(TooMany):
        services.delete_account(actor=user, password=PASSWORD, address=ADDRESS)
    assert User.objects.get() == user


# -- What is no failed log-in


def test_a_log_in_while_the_database_is_away_is_not_counted(
    api: APIClient, settings: Any, monkeypatch: pytest.MonkeyPatch, valkey: redis.Redis
) -> None:
    settings.LOGIN_RATE_ACCOUNT = settings.LOGIN_RATE_ADDRESS = "3/15m"
    user = make_user()
    right, wrong = ({"email": user.email, "password": word} for word in (PASSWORD, "wrong"))
    assert api.post(LOGIN, wrong).status_code == 401

    def away(*_: Any, **__: Any) -> None:
        raise OperationalError("connection refused")

    with monkeypatch.context() as patched:
        patched.setattr(User.objects, "filter", away)
        assert [api.post(LOGIN, right).status_code for _ in range(5)] == [503] * 5
    assert {valkey.get(key) for key in valkey.keys("attempts:*")} == {b"1"}  # the wrong one
    assert api.post(LOGIN, right).status_code == 200


# -- What ends sessions


def test_a_new_password_ends_the_sessions(api: APIClient) -> None:
    user, other = make_user(), make_user()
    access = {"Authorization": f"Bearer {log_in(user).access}"}
    others = {"Authorization": f"Bearer {log_in(other).access}"}
    user.name = "New name"
    user.save()
    assert api.get("/api/v1/me", headers=access).status_code == 200
    user.set_password("another long password")
    user.save()
    assert api.get("/api/v1/me", headers=access).status_code == 401
    assert api.get("/api/v1/me", headers=others).status_code == 200
    assert Session.objects.filter(revoked_at=None).count() == 1


def test_no_password_ends_them_too(api: APIClient) -> None:
    user = make_user()
    access = {"Authorization": f"Bearer {log_in(user).access}"}
    user.set_unusable_password()
    user.save()
    assert api.get("/api/v1/me", headers=access).status_code == 401


def test_the_same_password_hashed_anew_ends_none(api: APIClient, settings: Any) -> None:
    user = make_user()
    first = {"Authorization": f"Bearer {log_in(user).access}"}
    hasher = "django.contrib.auth.hashers.PBKDF2PasswordHasher"
    settings.PASSWORD_HASHERS = [hasher, *settings.PASSWORD_HASHERS]
    log_in(user)
    user.refresh_from_db()
    assert user.password.startswith("pbkdf2_")
    assert api.get("/api/v1/me", headers=first).status_code == 200


@pytest.mark.parametrize(("seconds", "status"), [(5, 200), (60, 401)])
def test_clocks_may_differ_by_some_seconds(api: APIClient, seconds: int, status: int) -> None:
    """The machine that signed the token is ahead of the one that reads it."""
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=seconds), tick=True):
        access = log_in(make_user()).access
    answer = api.get("/api/v1/me", headers={"Authorization": f"Bearer {access}"})
    assert answer.status_code == status
