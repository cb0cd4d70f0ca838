from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from stays.accounts import services
from stays.accounts.models import Session, User
from tests.accounts.tokens import forgeries, log_in
from tests.factories import make_user

pytestmark = pytest.mark.django_db
ME = "/api/v1/me"
KINDS = sorted(forgeries("e30.eyJ0b2tlbl90eXBlIjoiYWNjZXNzIn0.e30"))


def bearer(token: str) -> dict[str, str]:
    return {"HTTP_AUTHORIZATION": f"Bearer {token}"}


def refused(response: Any) -> None:
    assert response.status_code == 401
    assert response["Content-Type"] == "application/problem+json"
    assert response["WWW-Authenticate"] == "Bearer"
    problem = response.json()
    assert (problem["title"], problem["code"]) == ("Unauthorized", "token_not_valid")
    assert problem["detail"] == "The access token is not valid."


def test_an_access_token_tells_who_asks_in_one_query(
    api: APIClient, django_assert_num_queries: Any
) -> None:
    user = make_user()
    access = log_in(user).access
    with django_assert_num_queries(1):
        response = api.get(ME, **bearer(access))
    assert response.status_code == 200
    assert response.json()["id"] == str(user.id)


@pytest.mark.parametrize("kind", KINDS)
def test_a_forged_access_token_is_refused(api: APIClient, kind: str) -> None:
    refused(api.get(ME, **bearer(forgeries(log_in(make_user()).access)[kind])))


@pytest.mark.parametrize("kind", ["expired", "signed with another key", "no algorithm", "nonsense"])
def test_a_forged_access_token_costs_no_query(
    api: APIClient, django_assert_num_queries: Any, kind: str
) -> None:
    forged = forgeries(log_in(make_user()).access)[kind]
    with django_assert_num_queries(0):
        refused(api.get(ME, **bearer(forged)))


def test_a_refresh_token_is_no_access_token(api: APIClient) -> None:
    refused(api.get(ME, **bearer(log_in(make_user()).refresh)))


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Bearer a b", "bearer x", "BEARER\tx"])
def test_a_header_that_is_none(api: APIClient, header: str) -> None:
    response = api.get(ME, HTTP_AUTHORIZATION=header)
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("header", [None, "", "Basic dTpw", "Bearerx y"])
def test_without_a_token_nobody_asks(api: APIClient, header: str | None) -> None:
    extra = {} if header is None else {"HTTP_AUTHORIZATION": header}
    response = api.get(ME, **extra)
    assert response.status_code == 401
    assert response.json()["code"] == "not_authenticated"
    assert response["WWW-Authenticate"] == "Bearer"


def test_the_name_of_the_scheme_is_not_case_sensitive(api: APIClient) -> None:
    access = log_in(make_user()).access
    assert api.get(ME, HTTP_AUTHORIZATION=f"bearer {access}").status_code == 200


ENDS = {
    "log-out": lambda _, refresh: services.log_out(refresh=refresh),
    "time": lambda *_: Session.objects.update(expires_at=timezone.now()),
    "deactivation": lambda *_: User.objects.update(is_active=False),
    "deletion": lambda user, _: user.delete(),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_tokens_end_with_their_session_and_their_user(api: APIClient, end: Any) -> None:
    user = make_user()
    tokens = log_in(user)
    end(user, tokens.refresh)
    refused(api.get(ME, **bearer(tokens.access)))
    response = api.post("/api/v1/auth/refresh", {"refresh": tokens.refresh})
    assert response.status_code == 401
    assert response.json()["code"] == "token_not_valid"


def test_a_log_out_ends_one_session_of_several(api: APIClient) -> None:
    user = make_user()
    here, there = log_in(user), log_in(user)
    services.log_out(refresh=here.refresh)
    refused(api.get(ME, **bearer(here.access)))
    assert api.get(ME, **bearer(there.access)).status_code == 200


def test_a_session_that_expires_in_a_moment_is_still_good(api: APIClient) -> None:
    access = log_in(make_user()).access
    Session.objects.update(expires_at=timezone.now() + timedelta(seconds=30))
    assert api.get(ME, **bearer(access)).status_code == 200
