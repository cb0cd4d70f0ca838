import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone
from rest_framework.test import APIClient
from zeal import zeal_ignore

from stays.accounts import selectors, services
from stays.accounts.models import Session, User
from stays.accounts.services import GRACE, Tokens
from stays.common.errors import Unauthenticated
from tests.accounts.tokens import claims_of, forgeries, log_in
from tests.factories import make_user
from tests.racing import race

pytestmark = pytest.mark.django_db
REFRESH = "/api/v1/auth/refresh"
KINDS = sorted(forgeries("e30.eyJ0b2tlbl90eXBlIjoicmVmcmVzaCJ9.e30"))


def let_grace_pass() -> None:
    Session.objects.update(rotated_at=timezone.now() - GRACE - timedelta(seconds=1))


def test_new_tokens_for_a_refresh_token(api: APIClient) -> None:
    user = make_user()
    first = log_in(user)
    Session.objects.update(expires_at=timezone.now() + timedelta(hours=1))
    response = api.post(REFRESH, {"refresh": first.refresh})
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    second = response.json()
    assert second.keys() == {"access", "refresh", "expires_in"}
    assert second["expires_in"] == 600
    session = selectors.session_of(access=second["access"])
    assert session.user == user
    claims = claims_of(second["refresh"])
    assert claims["jti"] == session.refresh_jti
    assert claims["exp"] == session.expires_at.timestamp()  # it lives on from now
    with zeal_ignore():  # until it expires by itself
        assert selectors.session_of(access=first.access) == session
    assert Session.objects.count() == 1


def test_a_refresh_is_one_statement(django_assert_num_queries: Any) -> None:
    tokens = log_in(make_user())
    with django_assert_num_queries(1) as queries:
        services.rotate(refresh=tokens.refresh)
    assert queries[0]["sql"].startswith("UPDATE")
    assert '"accounts_session"."refresh_jti" =' in queries[0]["sql"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_forged_refresh_token_is_refused_and_changes_nothing(api: APIClient, kind: str) -> None:
    tokens = log_in(make_user())
    before = Session.objects.values().get()
    for address in (REFRESH, "/api/v1/auth/logout"):
        response = api.post(address, {"refresh": forgeries(tokens.refresh)[kind]})
        if kind == "no such session" and address != REFRESH:
            assert response.status_code == 204  # it does not tell which sessions there are
            continue
        assert response.status_code == 401
        assert response["Content-Type"] == "application/problem+json"
        assert response["WWW-Authenticate"] == "Bearer"
        assert response.json()["detail"] == "The refresh token is not valid."
    assert Session.objects.values().get() == before


def test_an_access_token_is_no_refresh_token(api: APIClient) -> None:
    tokens = log_in(make_user())
    assert api.post(REFRESH, {"refresh": tokens.access}).status_code == 401
    services.rotate(refresh=tokens.refresh)


def test_a_used_token_is_only_refused_within_the_grace(api: APIClient) -> None:
    first = log_in(make_user())
    second = services.rotate(refresh=first.refresh)
    assert api.post(REFRESH, {"refresh": first.refresh}).status_code == 401
    assert Session.objects.get().revoked_at is None
    services.rotate(refresh=second.refresh)


def test_a_used_token_ends_the_session_after_the_grace(api: APIClient) -> None:
    first = log_in(make_user())
    second = services.rotate(refresh=first.refresh)
    let_grace_pass()
    assert api.post(REFRESH, {"refresh": first.refresh}).status_code == 401
    assert Session.objects.get().revoked_at is not None
    with pytest.raises(Unauthenticated):
        services.rotate(refresh=second.refresh)
    with pytest.raises(Unauthenticated):
        selectors.session_of(access=second.access)


def test_the_newest_token_is_good_however_late_it_comes() -> None:
    tokens = services.rotate(refresh=log_in(make_user()).refresh)
    let_grace_pass()
    services.rotate(refresh=tokens.refresh)


def test_the_time_of_the_end_stays_when_a_used_token_comes_again() -> None:
    first = log_in(make_user())
    services.rotate(refresh=first.refresh)
    services.log_out(refresh=first.refresh)  # a used token is good for that
    ended = Session.objects.get().revoked_at
    assert ended is not None
    let_grace_pass()
    with pytest.raises(Unauthenticated):
        services.rotate(refresh=first.refresh)
    services.log_out(refresh=first.refresh)
    assert Session.objects.get().revoked_at == ended


def test_a_token_that_is_refused_for_its_user_is_not_taken_for_stolen() -> None:
    tokens = log_in(make_user())
    let_grace_pass()
    User.objects.update(is_active=False)
    with pytest.raises(Unauthenticated):
        services.rotate(refresh=tokens.refresh)
    User.objects.update(is_active=True)
    services.rotate(refresh=tokens.refresh)


@pytest.mark.django_db(transaction=True)
def test_of_twenty_refreshes_with_one_token_one_succeeds() -> None:
    user = make_user()
    first = log_in(user)
    got = race(lambda _: services.rotate(refresh=first.refresh), 20)
    assert Counter(type(one).__name__ for one in got) == {"Tokens": 1, "Unauthenticated": 19}
    (winner,) = [one for one in got if isinstance(one, Tokens)]
    assert Session.objects.get().revoked_at is None
    assert selectors.session_of(access=winner.access).user == user
    services.rotate(refresh=winner.refresh)


def wait_for_a_lock_that_is_waited_for() -> None:
    deadline = time.monotonic() + 10
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute(waiting)
            if cursor.fetchone() != (0,):
                return
        time.sleep(0.01)
    pytest.fail("nobody waits")


@pytest.mark.django_db(transaction=True)
def test_a_refresh_that_waited_for_another_looks_at_the_row_again() -> None:
    tokens = log_in(make_user())
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            first = services.rotate(refresh=tokens.refresh)
            second = pool.submit(race, lambda _: services.rotate(refresh=tokens.refresh), 1)
            wait_for_a_lock_that_is_waited_for()
        (got,) = second.result(10)
    assert isinstance(got, Unauthenticated)
    services.rotate(refresh=first.refresh)


@pytest.mark.django_db(transaction=True)
def test_a_refresh_and_a_log_out_at_once_leave_no_session() -> None:
    tokens = log_in(make_user())

    def act(number: int) -> Any:
        action = services.rotate if number % 2 else services.log_out
        return action(refresh=tokens.refresh)

    got = race(act, 10)
    assert sum(isinstance(one, Tokens) for one in got) <= 1
    assert Session.objects.get().revoked_at is not None
    for one in got:
        if isinstance(one, Tokens):
            with pytest.raises(Unauthenticated):
                services.rotate(refresh=one.refresh)
