import json
import subprocess
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient
from zeal import zeal_ignore

from stays.accounts import services, tasks
from stays.accounts.models import Role, Session, User
from stays.common.errors import Conflict, Forbidden, Invalid, Unauthenticated
from stays.listings.models import Property
from stays.listings.tasks import unlist_places
from stays.outbox.models import OutboxMessage
from tests.accounts.tokens import ADDRESS, log_in
from tests.factories import (
    PASSWORD,
    make_admin,
    make_booking,
    make_host,
    make_property,
    make_user,
)
from tests.racing import race

pytestmark = pytest.mark.django_db
REGISTER = "/api/v1/auth/register"
ME = "/api/v1/me"
HOSTING = "/api/v1/me/hosting"
NEW = {"email": "Ana@Example.com", "name": "Ana Silva", "password": "correct horse battery"}


def test_a_registration(api: APIClient) -> None:
    response = api.post(REGISTER, NEW)
    assert response.status_code == 201
    assert response["Cache-Control"] == "no-store"
    user = User.objects.get()
    assert response.json() == {
        "id": str(user.id),
        "email": "ana@example.com",
        "email_verified": False,
        "name": "Ana Silva",
        "role": "guest",
        "date_joined": user.date_joined.isoformat().replace("+00:00", "Z"),
    }
    assert (user.is_staff, user.is_superuser, user.is_active) == (False, False, True)
    assert user.check_password(NEW["password"])
    services.log_in(email=NEW["email"], password=NEW["password"], address=ADDRESS)


@pytest.mark.parametrize("fields", [{}, {"is_active": False}, {"role": "admin"}])
def test_a_taken_address_is_refused_in_the_same_words_whose_ever_it_is(
    api: APIClient, fields: dict[str, Any]
) -> None:
    before = make_user(email="ana@example.com", name="The first Ana", **fields)
    response = api.post(REGISTER, NEW)
    assert response.status_code == 409
    problem = response.json()
    assert problem["errors"] == [
        {
            "field": "email",
            "code": "email_taken",
            "detail": "There is an account with this address.",
        }
    ]
    assert "first" not in response.content.decode()
    assert User.objects.get() == before


def test_a_weak_password_is_told_before_the_address_is_looked_at(
    api: APIClient, django_assert_num_queries: Any
) -> None:
    make_user(email="ana@example.com")
    with django_assert_num_queries(0):
        response = api.post(REGISTER, NEW | {"password": "password"})
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "password"


@pytest.mark.parametrize(
    ("password", "status", "code"),
    [
        ("password", 422, "password_too_common"),
        ("8274619305", 422, "password_entirely_numeric"),
        ("ana silva", 422, "password_too_similar"),
        ("ana@example.com", 422, "password_too_similar"),
        ("short", 400, "min_length"),
        ("x" * 129, 400, "max_length"),
        (None, 400, "null"),
        (12345678901, 400, "invalid"),
        ("a good\x00password", 400, "control_characters"),
    ],
)
def test_a_password_that_is_refused(api: APIClient, password: Any, status: int, code: str) -> None:
    body = json.dumps(NEW | {"password": password})
    response = api.post(REGISTER, body, content_type="application/json")
    assert response.status_code == status
    (error,) = response.json()["errors"]
    assert (error["field"], error["code"]) == ("password", code)
    assert not User.objects.exists()


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("email", "nobody", "invalid"),
        ("email", "a@b", "invalid"),
        ("email", f"{'a' * 250}@example.com", "max_length"),
        ("email", 7, "invalid"),
        ("email", "", "blank"),
        ("name", "", "blank"),
        ("name", "   ", "blank"),
        ("name", "x" * 101, "max_length"),
        ("name", {"first": "Ana"}, "invalid"),
        ("name", "a\x00b", "control_characters"),
        ("role", "admin", "unknown"),
        ("is_staff", True, "unknown"),
    ],
)
def test_input_that_is_refused(api: APIClient, field: str, value: Any, code: str) -> None:
    response = api.post(REGISTER, NEW | {field: value})
    assert response.status_code == 400
    errors = {error["field"]: error["code"] for error in response.json()["errors"]}
    assert errors[field] == code
    assert not User.objects.exists()


@pytest.mark.parametrize("field", ["email", "name", "password"])
def test_a_field_that_is_missing(api: APIClient, field: str) -> None:
    response = api.post(REGISTER, {name: NEW[name] for name in NEW if name != field})
    assert response.json()["errors"] == [
        {"field": field, "code": "required", "detail": "This field is required."}
    ]


def test_a_registration_that_is_sent_again_has_the_same_answer(api: APIClient) -> None:
    answers = [api.post(REGISTER, NEW, HTTP_IDEMPOTENCY_KEY="one") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].content == answers[1].content
    assert User.objects.count() == 1


def test_an_address_that_python_and_postgresql_lower_differently_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(User, "normalize_username", lambda username: username)
    with pytest.raises(Invalid) as refused:
        services.register(email="Ana@example.com", name="Ana", password=NEW["password"])
    assert (refused.value.field, refused.value.code) == ("email", "email_case")
    assert not User.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_ten_registrations_of_one_address_one_succeeds() -> None:
    spellings = ["ana@example.com", "Ana@example.com", "ANA@EXAMPLE.COM"]

    def register(number: int) -> User:
        return services.register(
            email=spellings[number % 3], name=f"Ana {number}", password=NEW["password"]
        )

    got = race(register, 10)
    assert Counter(type(one).__name__ for one in got) == {"User": 1, "Conflict": 9}
    assert {one.code for one in got if isinstance(one, Conflict)} == {"email_taken"}
    assert User.objects.get().email == "ana@example.com"


def test_the_database_refuses_an_address_in_capitals_and_an_unknown_role() -> None:
    for fields in ({"email": "Ana@example.com"}, {"email": "a@example.com", "role": "boss"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            User.objects.create(name="Ana", **fields)


def test_one_s_own_account(as_user: Any, django_assert_num_queries: Any) -> None:
    user = make_user(name="Ana")
    with django_assert_num_queries(0):
        response = as_user(user).get(ME)
    assert response.json()["name"] == "Ana"
    assert response["Cache-Control"] == "no-store"


def test_a_new_name(as_user: Any) -> None:
    user = make_user(name="Ana")
    response = as_user(user).patch(ME, {"name": " Ana Maria "})
    assert response.status_code == 200
    assert response.json()["name"] == "Ana Maria"
    user.refresh_from_db()
    assert user.name == "Ana Maria"


def test_a_change_of_nothing(as_user: Any) -> None:
    user = make_user(name="Ana")
    response = as_user(user).patch(ME, {})
    assert (response.status_code, response.json()["name"]) == (200, "Ana")


@pytest.mark.parametrize(
    "change",
    [
        {"email": "b@example.com"},
        {"role": "admin"},
        {"id": "1"},
        {"name": None},
        {"name": " "},
        {"name": ["Ana"]},
        [],
        "Ana",
    ],
)
def test_what_cannot_be_changed(as_user: Any, change: Any) -> None:
    user = make_user()
    before = User.objects.values().get()
    assert as_user(user).patch(ME, change).status_code == 400
    assert User.objects.values().get() == before


@pytest.mark.parametrize(
    ("role", "then"), [("guest", "host"), ("host", "host"), ("admin", "admin")]
)
def test_becoming_a_host(as_user: Any, role: str, then: str) -> None:
    user = make_user(role=role)
    for _ in range(2):
        response = as_user(user).post(HOSTING)
        assert (response.status_code, response.json()["role"]) == (200, then)
    user.refresh_from_db()
    assert user.role == then


def test_nobody_changes_an_account_that_is_gone() -> None:
    user = make_user()
    User.objects.filter(id=user.id).delete()
    for act in (
        lambda: services.become_host(actor=user),
        lambda: services.update_profile(actor=user, name="Ana"),
        lambda: services.delete_account(actor=user, password=PASSWORD, address=ADDRESS),
        lambda: services.change_password(
            actor=user, password=PASSWORD, new_password=NEW_PASSWORD, address=ADDRESS
        ),
    ):
        with pytest.raises(Unauthenticated):
            act()


def test_the_places_of_a_host_who_left_are_off_the_list(as_user: Any) -> None:
    user = make_host()
    places = [make_property(host=user) for _ in range(2)]
    other, old = make_property(), make_property(host=user, is_listed=False)
    assert as_user(user).delete(ME, {"password": PASSWORD}).status_code == 204
    with zeal_ignore():
        for _ in range(2):
            unlist_places.apply(kwargs=OutboxMessage.objects.get().arguments).get()
    listed = dict(Property.objects.values_list("id", "is_listed"))
    assert listed == {places[0].id: False, places[1].id: False, other.id: True, old.id: False}
    versions = Property.objects.filter(host=user).order_by("id").values_list("version", flat=True)
    assert list(versions) == [place.version + 1 for place in places] + [old.version]


def test_an_account_without_a_history_is_deleted(as_user: Any) -> None:
    user = make_user()
    log_in(user)
    assert as_user(user).delete(ME, {"password": PASSWORD}).status_code == 204
    assert not User.objects.exists()
    assert not Session.objects.exists()
    assert not OutboxMessage.objects.exists()


def test_a_deletion_needs_the_password(as_user: Any) -> None:
    user = make_user()
    response = as_user(user).delete(ME, {"password": "wrong"})
    assert (response.status_code, response.json()["code"]) == (403, "credentials")
    for body in ({}, {"password": 1}, {"password": PASSWORD, "more": 1}, None):
        assert as_user(user).delete(ME, body).status_code == 400
    with pytest.raises(Forbidden):
        services.delete_account(actor=user, password="wrong", address=ADDRESS)
    assert User.objects.get() == user


def history_of_a_guest(user: User) -> None:
    make_booking(guest=user)


def history_of_a_host(user: User) -> None:
    make_property(host=user)


@pytest.mark.parametrize("history", [history_of_a_guest, history_of_a_host])
def test_an_account_with_a_history_is_made_anonymous(api: APIClient, history: Any) -> None:
    user = make_admin(email="ana@example.com", name="Ana Silva", is_superuser=True)
    user.groups.add(Group.objects.create(name="Support"))
    history(user)
    tokens = log_in(user)
    bearer = {"HTTP_AUTHORIZATION": f"Bearer {tokens.access}"}
    assert api.delete(ME, {"password": PASSWORD}, **bearer).status_code == 204

    left = User.objects.get(id=user.id)
    assert (left.email, left.name) == (f"{user.id.hex}@deleted.invalid", "Deleted user")
    assert (left.is_active, left.is_staff, left.is_superuser) == (False, False, False)
    assert (left.role, left.last_login, left.groups.count()) == (Role.GUEST, None, 0)
    assert not left.has_usable_password()
    assert not Session.objects.exists()
    assert api.get(ME, **bearer).status_code == 401
    assert api.post("/api/v1/auth/refresh", {"refresh": tokens.refresh}).status_code == 401
    for email in ("ana@example.com", left.email):
        with pytest.raises(Unauthenticated):
            services.check_credentials(email=email, password=PASSWORD, address=ADDRESS)
    assert api.post(REGISTER, NEW).status_code == 201  # the address is free
    message = OutboxMessage.objects.get(task=unlist_places.name)
    unlist_places.apply(kwargs=message.arguments).get()
    assert not user.properties.filter(is_listed=True).exists()


@pytest.mark.django_db(transaction=True)
def test_an_account_is_deleted_once() -> None:
    user = make_host()
    got = race(lambda _: services.delete_account(actor=user, password=PASSWORD, address=ADDRESS), 8)
    assert Counter(type(one).__name__ for one in got) == {"NoneType": 1, "Unauthenticated": 7}
    assert not User.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_no_log_in_comes_through_a_deletion() -> None:
    user = make_user()

    def act(number: int) -> Any:
        if number == 0:
            services.delete_account(actor=user, password=PASSWORD, address=ADDRESS)
            return None
        return log_in(user)

    for one in race(act, 6):
        assert one is None or isinstance(one, services.Tokens | Unauthenticated), one
    assert not User.objects.exists()
    assert not Session.objects.exists()


def test_expired_sessions_are_deleted() -> None:
    user = make_user()
    now = timezone.now()
    ends = {"now": now, "long ago": now - timedelta(days=9), "later": now + timedelta(hours=1)}
    for jti, end in ends.items():
        Session.objects.create(user=user, refresh_jti=jti, expires_at=end)
    Session.objects.create(
        user=user, refresh_jti="revoked", expires_at=now + timedelta(hours=1), revoked_at=now
    )
    assert tasks.clear_sessions() == 2
    assert set(Session.objects.values_list("refresh_jti", flat=True)) == {"later", "revoked"}
    Session.objects.update(expires_at=now)
    tasks.clear_sessions.apply()
    assert not Session.objects.exists()


def test_accounts_know_nothing_of_what_is_above_them() -> None:
    above = "bookings|listings|payments|reviews|messaging|statistics|graph"
    found = subprocess.run(
        ["grep", "-rnE", f"stays\\.({above})", "stays/accounts"], capture_output=True, text=True
    )
    assert found.stdout == ""


def test_sessions_and_users_have_names_in_the_admin() -> None:
    user = make_user(email="ana@example.com")
    log_in(user)
    assert str(user) == "ana@example.com"
    assert str(Session.objects.get()).startswith(f"{user.id} since 2")


def test_a_superuser_may_do_everything() -> None:
    user = User.objects.create_superuser("Root@example.com", PASSWORD, name="Root")
    assert (user.email, user.role) == ("root@example.com", Role.ADMIN)
    assert (user.is_staff, user.is_superuser, user.is_host) == (True, True, True)


def test_the_description_knows_the_tokens_and_the_password_of_a_deletion() -> None:
    schema = SchemaGenerator().get_schema(request=None, public=True)
    assert schema["components"]["securitySchemes"] == {
        "bearerAuth": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    }
    me = schema["paths"]["/api/v1/me"]
    assert me["get"]["security"] == [{"bearerAuth": []}]
    body = me["delete"]["requestBody"]
    assert body["required"] is True
    assert body["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/DeletionRequest"
    }
    assert "requestBody" not in me["get"]
    for name in ("register", "login", "refresh", "logout"):
        operation = schema["paths"][f"/api/v1/auth/{name}"]["post"]
        assert "security" not in operation
        assert "429" in operation["responses"]


# -- A new password

CHANGE = "/api/v1/me/password"
NEW_PASSWORD = "another long enough password"


def test_a_password_is_changed_and_all_sessions_end(api: APIClient) -> None:
    user = make_user()
    bearers = [{"Authorization": f"Bearer {log_in(user).access}"} for _ in range(2)]
    body = {"password": PASSWORD, "new_password": NEW_PASSWORD}
    assert api.post(CHANGE, body, headers=bearers[0]).status_code == 204
    assert [api.get(ME, headers=bearer).status_code for bearer in bearers] == [401, 401]
    user.refresh_from_db()
    assert user.check_password(NEW_PASSWORD)
    assert not user.check_password(PASSWORD)


@pytest.mark.parametrize(
    ("password", "new", "status", "code"),
    [
        ("wrong", NEW_PASSWORD, 403, "credentials"),
        (PASSWORD, "password", 422, "invalid"),
        (PASSWORD, "short", 400, "invalid"),
    ],
)
def test_what_changes_no_password(
    as_user: Any, password: str, new: str, status: int, code: str
) -> None:
    user = make_user()
    log_in(user)
    answer = as_user(user).post(CHANGE, {"password": password, "new_password": new})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    user.refresh_from_db()
    assert user.check_password(PASSWORD)
    assert Session.objects.filter(revoked_at=None).count() == 1


def test_guesses_at_a_password_are_counted(as_user: Any, settings: Any) -> None:
    settings.LOGIN_RATE_ACCOUNT = "2/15m"
    client = as_user(make_user())
    body = {"password": "wrong", "new_password": NEW_PASSWORD}
    assert [client.post(CHANGE, body).status_code for _ in range(3)] == [403, 403, 429]
