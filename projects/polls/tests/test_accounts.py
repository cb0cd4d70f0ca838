"""Accounts, passwords, tokens, and how often they may be tried."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.test import Client
from django.utils import timezone

from polls.accounts import digest_of, take_attempt
from polls.errors import Refusal
from polls.models import Attempt, Token, User
from tests.factories import PASSWORD, client_of, make_user
from tests.racing import race

LOGIN, REGISTER = "/api/v1/auth/login", "/api/v1/auth/register"
pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("username", "password", "field"),
    [
        ("Ada", PASSWORD, "username"),
        ("ab", PASSWORD, "username"),
        ("a b c", PASSWORD, "username"),
        ("taken", PASSWORD, "username"),
        ("ada\n", PASSWORD, "username"),
        ("ada", "short", "password"),
        ("ada", "1234567890", "password"),
        ("ada-lovelace", "ada-lovelace", "password"),
    ],
)
def test_names_and_passwords_that_are_refused(username: str, password: str, field: str) -> None:
    make_user(username="taken")
    answer = client_of(None).post(REGISTER, {"username": username, "password": password})
    assert answer.status_code == 400
    assert {fault["field"] for fault in answer.json()["errors"]} == {field}
    answer = Client().post("/register", {"username": username, "password": password})
    expected = 302 if username == "ada\n" else 200  # a form trims it
    assert answer.status_code == expected


def test_nobody_makes_himself_staff() -> None:
    body = {"username": "ada", "password": PASSWORD, "is_staff": True}
    assert client_of(None).post(REGISTER, body).json()["errors"][0]["field"] == "is_staff"
    Client().post("/register", body)
    assert not User.objects.get(username="ada").is_staff


def test_passwords_are_kept_by_argon2_and_wrong_ones_refused() -> None:
    make_user(username="ada", password=make_password(PASSWORD))
    assert User.objects.get(username="ada").password.startswith("argon2$argon2id$")
    for name, password in (("ada", "wrong password"), ("nobody", PASSWORD)):
        answer = client_of(None).post(LOGIN, {"username": name, "password": password})
        assert (answer.status_code, answer.json()["code"]) == (401, "wrong_credentials")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_log_ins_are_throttled_by_account_and_by_address(settings: Any) -> None:
    settings.ATTEMPTS_ACCOUNT, settings.ATTEMPTS_ADDRESS = 2, 5
    api = client_of(None)
    attempt = {"username": "ada", "password": "wrong password"}
    assert [api.post(LOGIN, attempt).status_code for _ in range(3)] == [401, 401, 429]
    answer = api.post(LOGIN, attempt | {"username": "ADA"})
    assert 0 < int(answer.headers["Retry-After"]) <= settings.ATTEMPTS_SECONDS
    others = [api.post(LOGIN, attempt | {"username": f"u{n}"}).status_code for n in range(2)]
    assert others == [401, 429]
    page = Client().post("/login", attempt)
    assert page.status_code == 429
    assert "Too many attempts" in page.content.decode()


def test_registrations_are_throttled(settings: Any) -> None:
    settings.ATTEMPTS_REGISTER = 1
    api = client_of(None)
    answers = [api.post(REGISTER, {"username": n, "password": PASSWORD}) for n in ("ada", "bob")]
    assert [answer.status_code for answer in answers] == [201, 429]


def test_a_new_window_begins_and_old_ones_are_swept_away() -> None:
    take_attempt("account", "ada", 1)
    take_attempt("account", "bob", 1)
    Attempt.objects.update(until=timezone.now() - timedelta(seconds=1))
    take_attempt("account", "ada", 1)
    assert [attempt.count for attempt in Attempt.objects.all()] == [1]
    with pytest.raises(Refusal, match="Too many"):
        take_attempt("account", "ada", 1)


@pytest.mark.django_db(transaction=True)
def test_of_many_attempts_at_once_no_more_than_the_limit_are_made() -> None:
    outcomes = race(lambda _: take_attempt("account", "ada", 5), 20)
    assert outcomes.count(None) == 5


@pytest.mark.parametrize("fault", ["expired", "unknown", "inactive", "scheme"])
def test_tokens_that_are_no_good(fault: str) -> None:
    user = make_user(is_active=fault != "inactive")
    Token.objects.create(
        digest=digest_of("abc"),
        user=user,
        expires_at=timezone.now() + timedelta(days=-1 if fault == "expired" else 1),
    )
    api = client_of(None)
    token, scheme = (
        "xyz" if fault == "unknown" else "abc",
        "Basic" if fault == "scheme" else "Bearer",
    )
    api.credentials(HTTP_AUTHORIZATION=f"{scheme} {token}")
    answer = api.get("/api/v1/me")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_expired_tokens_go_when_a_new_one_is_issued() -> None:
    user = make_user(username="ada", password=make_password(PASSWORD))
    Token.objects.create(digest="old", user=user, expires_at=timezone.now() - timedelta(seconds=1))
    client_of(None).post(LOGIN, {"username": "ada", "password": PASSWORD})
    assert not Token.objects.filter(digest="old").exists()
    assert Token.objects.count() == 1


def test_who_logs_in_goes_on_where_he_wanted_to_be_but_not_elsewhere() -> None:
    make_user(username="ada", password=make_password(PASSWORD))
    for target, expected in (
        ("/polls/new", "/polls/new"),
        ("https://example.com/", "/"),
        ("//example.com", "/"),
        ("", "/"),
    ):
        form = {"username": "ada", "password": PASSWORD, "next": target}
        answer = Client().post("/login", form)
        assert (answer.status_code, answer.headers["Location"]) == (302, expected)
    page = Client().get("/login?next=/polls/new")
    assert 'name="next" value="/polls/new"' in page.content.decode()
