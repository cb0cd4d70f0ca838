from typing import Any

import pytest
from django.test import Client
from zeal import zeal_ignore

from stays.accounts.models import Session, User
from tests.accounts.tokens import log_in
from tests.factories import make_admin, make_user

pytestmark = pytest.mark.django_db
USERS = "/admin/accounts/user/"
SESSIONS = "/admin/accounts/session/"


@pytest.fixture
def admin(client: Client) -> Any:
    with zeal_ignore():  # Django's own sessions are read with every request
        client.force_login(make_admin(email="admin@example.com", is_superuser=True))
        yield client


def test_users_are_listed_searched_and_shown(admin: Client) -> None:
    user = make_user(email="ana@example.com")
    assert b"ana@example.com" in admin.get(USERS, {"q": "ana@"}).content
    page = admin.get(f"{USERS}{user.id}/change/").content
    assert b"ana@example.com" in page
    assert user.password.encode() not in page


def test_a_user_is_added_with_the_address_in_lower_case(admin: Client) -> None:
    form = {
        "email": "Ana@Example.com",
        "name": "Ana",
        "usable_password": "true",
        "password1": "correct horse battery",
        "password2": "correct horse battery",
    }
    assert admin.post(f"{USERS}add/", form).status_code == 302
    assert User.objects.get(email="ana@example.com").check_password("correct horse battery")
    again = admin.post(f"{USERS}add/", form)
    assert b"already exists" in again.content


def test_a_user_is_changed(admin: Client) -> None:
    user = make_user()
    form = {"email": user.email, "name": "Ana", "role": "host", "is_active": "on"}
    assert admin.post(f"{USERS}{user.id}/change/", form).status_code == 302
    user.refresh_from_db()
    assert (user.name, user.role) == ("Ana", "host")


def test_sessions_are_listed_with_their_users_and_ended(
    admin: Client, django_assert_max_num_queries: Any
) -> None:
    for _ in range(3):
        log_in(make_user())
    with django_assert_max_num_queries(7):
        page = admin.get(SESSIONS)
    assert page.status_code == 200
    ids = list(Session.objects.values_list("id", flat=True))
    answer = admin.post(SESSIONS, {"action": "revoke", "_selected_action": ids[:2]}, follow=True)
    assert b"2 sessions ended." in answer.content
    assert Session.objects.filter(revoked_at=None).count() == 1


def test_a_session_is_not_made_or_edited_by_hand(admin: Client) -> None:
    log_in(make_user())
    session = Session.objects.get()
    assert admin.get(f"{SESSIONS}add/").status_code == 403
    page = admin.get(f"{SESSIONS}{session.id}/change/")
    assert page.status_code == 200
    assert session.refresh_jti.encode() not in page.content
    admin.post(f"{SESSIONS}{session.id}/change/", {"refresh_jti": "x"})
    assert Session.objects.get().refresh_jti == session.refresh_jti


@pytest.mark.parametrize(
    "form",
    [
        {"usable_password": "true", "password1": "another horse", "password2": "another horse"},
        {"usable_password": "false", "unset-password": "yes"},
    ],
)
def test_a_new_password_ends_the_sessions(admin: Client, form: dict[str, str]) -> None:
    user = make_user()
    log_in(user)
    log_in(make_user())
    assert admin.post(f"{USERS}{user.id}/password/", form).status_code == 302
    assert not user.sessions.filter(revoked_at=None).exists()
    assert Session.objects.filter(revoked_at=None).count() == 1
