"""Accounts and the life of tokens."""

import base64
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest
import redis
from django.conf import settings as django_settings
from django.contrib.auth.hashers import identify_hasher, make_password
from django.db import IntegrityError
from django.utils import timezone

from movies import accounts
from movies import api as description
from movies.models import RefreshToken, Session, User
from movies.problems import Refusal
from tests.conftest import PASSWORD, Api
from tests.racing import race

ADA = {"email": "ada@example.com", "password": PASSWORD}


def test_register_log_in_and_see_oneself(api: Api, db: None) -> None:
    made = api.post("auth/register", {"email": "Ada@Example.com", "password": PASSWORD})
    assert (made.status_code, made.json()["email"]) == (201, "ada@example.com")
    assert "password" not in made.json()
    tokens = api.post("auth/login", ADA).json()
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 600)
    assert Api(tokens["access"]).get("me").json()["email"] == "ada@example.com"


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("ada", PASSWORD), ("ada@", PASSWORD), ("a\x00@example.com", PASSWORD),
        (f"{'a' * 250}@example.com", PASSWORD), ("ada@example.com", "short"),
        ("ada@example.com", "password123"), ("ada@example.com", "1234567890"),
        ("lovelace@example.com", "lovelace1"), ("ada@example.com", "x" * 129),
    ],
)  # fmt: skip
def test_what_cannot_be_registered(api: Api, db: None, email: str, password: str) -> None:
    answer = api.post("auth/register", {"email": email, "password": password})
    assert (answer.status_code, User.objects.count()) == (422, 0)


@pytest.mark.parametrize("field", ["id", "is_active", "is_staff", "is_superuser", "created_at"])
def test_no_other_field_can_be_set(api: Api, db: None, field: str) -> None:
    answer = api.post("auth/register", ADA | {field: True})
    assert (answer.status_code, User.objects.count()) == (422, 0)


def test_an_address_has_one_account_whatever_its_case(api: Api, user: User) -> None:
    answer = api.post("auth/register", {"email": "ADA@example.com", "password": PASSWORD})
    assert (answer.status_code, User.objects.count()) == (409, 1)


@pytest.mark.django_db(transaction=True)
def test_of_many_who_register_an_address_one_does() -> None:
    results = race(lambda number: accounts.register("ada@example.com", PASSWORD), 8)
    assert sum(isinstance(result, User) for result in results) == 1
    assert sum(isinstance(result, Refusal) and result.status == 409 for result in results) == 7


@pytest.mark.parametrize(
    "credentials", [ADA | {"password": "another-one"}, ADA | {"email": "b@example.com"}]
)
def test_a_wrong_password_and_no_account_look_alike(
    api: Api, user: User, credentials: dict[str, str]
) -> None:
    answer = api.post("auth/login", credentials)
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.json()["detail"] == "No account has this address and password."


def test_a_password_is_hashed_even_if_there_is_no_account(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = []
    monkeypatch.setattr(accounts, "make_password", hashed.append)
    with pytest.raises(Refusal):
        accounts.log_in("nobody@example.com", PASSWORD)
    assert hashed == [PASSWORD]


def test_passwords_are_hashed_by_argon2_in_production(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["movies.hashers.Argon2Hasher"]
    hashed = make_password(PASSWORD)
    assert identify_hasher(hashed).algorithm == "argon2"
    assert "m=19456,t=2,p=1" in hashed


def test_a_token_of_no_more_use_is_refused(user: User, settings: Any) -> None:
    settings.ACCESS_LIFETIME = timedelta(seconds=-1)
    assert Api(accounts.log_in(user.email, PASSWORD).access).get("me").status_code == 401


def forged(**changes: Any) -> dict[str, Any]:
    now = timezone.now()
    claims = {"iss": "movies", "aud": "movies", "iat": now, "exp": now + timedelta(hours=1)}
    return {k: v for k, v in (claims | changes).items() if v is not None}


@pytest.mark.parametrize(
    "changes",
    [{"iss": "others"}, {"aud": "others"}, {"exp": None}, {"iat": None}, {"sid": None},
     {"sid": "no uuid"}, {"sid": 7}, {"sid": "00000000-0000-0000-0000-000000000000"}],
    ids=str,
)  # fmt: skip
def test_a_token_with_other_claims_is_refused(user: User, changes: dict[str, Any]) -> None:
    session = Session.objects.create(user=user)
    claims = forged(**{"sid": str(session.id)} | changes)
    token = jwt.encode(claims, django_settings.JWT_SIGNING_KEY, algorithm="HS256")
    assert Api(token).get("me").status_code == 401


def test_a_token_without_our_signature_is_refused(user: User) -> None:
    session = Session.objects.create(user=user)
    claims = forged(sid=str(session.id))
    part = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).decode().rstrip("=")
    good = jwt.encode(claims, django_settings.JWT_SIGNING_KEY, algorithm="HS256")
    assert Api(good).get("me").status_code == 200
    for token in (
        jwt.encode(claims, "another key, and long enough for its algorithm", algorithm="HS256"),
        f"{part}.{good.split('.')[1]}.",
        jwt.encode(claims, django_settings.JWT_SIGNING_KEY * 2, algorithm="HS512"),
        good[:-2],
        "",
        "x",
    ):
        assert Api(token).get("me").status_code == 401


def test_logging_out_takes_effect_at_once(api: Api, user: User) -> None:
    tokens, other = (accounts.log_in(user.email, PASSWORD) for _ in range(2))
    mine = Api(tokens.access)
    assert mine.post("auth/logout").status_code == 204
    assert mine.get("me").status_code == 401
    assert mine.post("auth/logout").status_code == 401
    assert api.post("auth/refresh", {"refresh": tokens.refresh}).status_code == 401
    assert Api(other.access).get("me").status_code == 200, "another session goes on"


def test_a_refresh_token_works_once(api: Api, user: User) -> None:
    old = accounts.log_in(user.email, PASSWORD)
    new = api.post("auth/refresh", {"refresh": old.refresh})
    assert new.status_code == 200
    assert Api(new.json()["access"]).get("me").status_code == 200
    assert api.post("auth/refresh", {"refresh": old.refresh}).status_code == 401
    assert api.post("auth/refresh", {"refresh": new.json()["refresh"]}).status_code == 200


def test_a_used_token_that_comes_later_ends_the_session(
    api: Api, user: User, settings: Any
) -> None:
    old = accounts.log_in(user.email, PASSWORD)
    new = accounts.refresh(old.refresh)
    settings.REUSE_GRACE = timedelta(0)
    assert api.post("auth/refresh", {"refresh": old.refresh}).status_code == 401
    assert api.post("auth/refresh", {"refresh": new.refresh}).status_code == 401
    assert Api(new.access).get("me").status_code == 401


def test_an_expired_or_unknown_refresh_token_is_refused(
    api: Api, user: User, settings: Any
) -> None:
    settings.REFRESH_LIFETIME = timedelta(seconds=-1)
    for token in (accounts.log_in(user.email, PASSWORD).refresh, "unknown", "\x00"):
        assert api.post("auth/refresh", {"refresh": token}).status_code == 401


def test_the_database_has_no_token(user: User) -> None:
    tokens = accounts.log_in(user.email, PASSWORD)
    [kept] = RefreshToken.objects.values_list("digest", flat=True)
    assert tokens.refresh not in kept
    assert len(kept) == 64
    assert str(RefreshToken.objects.get()) == f"of session {Session.objects.get()}"


@pytest.mark.django_db(transaction=True)
def test_of_many_who_use_a_refresh_token_one_gets_tokens() -> None:
    User.objects.create_user("ada@example.com", PASSWORD)
    token = accounts.log_in("ada@example.com", PASSWORD).refresh
    results = race(lambda number: accounts.refresh(token), 8)
    assert sum(isinstance(result, accounts.Tokens) for result in results) == 1
    assert sum(isinstance(result, Refusal) and result.status == 401 for result in results) == 7


def test_the_database_refuses_a_second_unused_token(user: User) -> None:
    session = Session.objects.create(user=user)
    soon = timezone.now() + timedelta(days=1)
    RefreshToken.objects.create(digest="a", session=session, expires_at=soon)
    with pytest.raises(IntegrityError, match="refresh_one_unused_a_session"):
        RefreshToken.objects.create(digest="b", session=session, expires_at=soon)


def test_prune_deletes_what_is_of_no_use(user: User, settings: Any) -> None:
    living = accounts.log_in(user.email, PASSWORD)
    ended = accounts.session_of(accounts.log_in(user.email, PASSWORD).access)
    assert ended is not None
    Session.objects.filter(pk=ended.pk).update(ended_at=timezone.now() - timedelta(days=2))
    settings.REFRESH_LIFETIME = timedelta(seconds=-1)
    accounts.log_in(user.email, PASSWORD)
    assert accounts.prune() == 2
    [left] = Session.objects.all()
    session = accounts.session_of(living.access)
    assert session == left


# -- Limits


def test_passwords_can_be_tried_only_so_often(api: Api, user: User, settings: Any) -> None:
    settings.LOGIN_LIMIT_ACCOUNT = 3
    wrong = ADA | {"password": "another-one"}
    assert [api.post("auth/login", wrong).status_code for _ in range(4)] == [401, 401, 401, 429]
    answer = api.post("auth/login", ADA)
    assert answer.status_code == 429
    assert 0 < int(answer["Retry-After"]) <= 900


def test_a_right_password_gives_the_account_its_attempts_back(
    api: Api, user: User, settings: Any
) -> None:
    settings.LOGIN_LIMIT_ACCOUNT = 2
    wrong = ADA | {"password": "another-one"}
    seen = [api.post("auth/login", body).status_code for body in (wrong, ADA, wrong, ADA, wrong)]
    assert seen == [401, 200, 401, 200, 401]


def test_an_address_may_try_only_so_often_whatever_the_account(
    api: Api, db: None, settings: Any
) -> None:
    settings.LOGIN_LIMIT_ADDRESS = 2
    seen = [
        api.post("auth/login", {"email": f"a{n}@example.com", "password": PASSWORD}).status_code
        for n in range(3)
    ]
    assert seen == [401, 401, 429]


def test_an_address_over_its_limit_uses_up_no_attempts_of_accounts(
    api: Api, user: User, settings: Any
) -> None:
    settings.LOGIN_LIMIT_ADDRESS, settings.LOGIN_LIMIT_ACCOUNT = 1, 2
    wrong = ADA | {"password": "another-one"}
    assert [api.post("auth/login", wrong).status_code for _ in range(4)] == [401, 429, 429, 429]
    settings.LOGIN_LIMIT_ADDRESS = 10
    assert api.post("auth/login", ADA).status_code == 200


def test_accounts_can_be_made_only_so_often(api: Api, db: None, settings: Any) -> None:
    settings.REGISTER_LIMIT = 1
    seen = [
        api.post("auth/register", {"email": f"a{n}@example.com", "password": PASSWORD}).status_code
        for n in range(2)
    ]
    assert seen == [201, 429]


def test_without_valkey_nobody_logs_in(api: Api, user: User, settings: Any) -> None:
    settings.VALKEY_URL = "redis://127.0.0.1:1/0"
    answer = api.post("auth/login", ADA)
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")


def test_valkey_that_goes_away_after_the_count_stops_no_log_in(
    api: Api, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(name: str) -> None:
        raise redis.ConnectionError

    monkeypatch.setattr(description, "forget", gone)
    assert api.post("auth/login", ADA).status_code == 200
