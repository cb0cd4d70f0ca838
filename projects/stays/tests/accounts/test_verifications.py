import re
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from django.conf import settings
from django.core import mail
from django.utils import timezone
from rest_framework.test import APIClient
from zeal import zeal_ignore

from stays.accounts import emails, resets, services, tasks, verifications
from stays.accounts.models import User
from stays.common.errors import Invalid
from stays.outbox.models import OutboxMessage
from tests.factories import PASSWORD, make_user
from tests.racing import race

pytestmark = pytest.mark.django_db
VERIFY = "/api/v1/auth/verify"
AGAIN = "/api/v1/me/verification"


def test_from_the_registration_to_a_verified_address(
    api: APIClient, as_user: Callable[[User], APIClient]
) -> None:
    body = {"email": "Ana@Example.com", "name": "Ana", "password": PASSWORD}
    assert api.post("/api/v1/auth/register", body).json()["email_verified"] is False
    message = OutboxMessage.objects.get()
    assert message.task == "accounts.send_verification"
    tasks.send_verification(**message.arguments)
    (sent,) = mail.outbox
    assert sent.to == ["ana@example.com"]
    assert "within 3 days" in sent.body
    (token,) = re.findall(r"^\S+:\S+:\S+$", sent.body, re.MULTILINE)
    assert api.post(VERIFY, {"token": token}).status_code == 204
    user = User.objects.get()
    assert as_user(user).get("/api/v1/me").json()["email_verified"] is True
    again = api.post(VERIFY, {"token": token})
    (error,) = again.json()["errors"]
    assert (again.status_code, error["code"], error["field"]) == (422, "token_not_valid", "token")
    assert not emails.send_verification(user_id=user.id)
    assert len(mail.outbox) == 1


def test_a_registration_that_is_refused_sends_nothing(api: APIClient) -> None:
    make_user(email="ana@example.com")
    body = {"email": "ana@example.com", "name": "Ana", "password": PASSWORD}
    assert api.post("/api/v1/auth/register", body).status_code == 409
    assert not OutboxMessage.objects.exists()


def test_another_email_can_be_asked_for(as_user: Callable[[User], APIClient]) -> None:
    user = make_user()
    client = as_user(user)
    assert client.post(AGAIN).status_code == 202
    assert OutboxMessage.objects.get().arguments == {"user_id": str(user.id)}
    services.verify_email(token=verifications.token_for(user))
    user.refresh_from_db()
    with zeal_ignore():
        assert client.post(AGAIN).status_code == 202
    assert OutboxMessage.objects.count() == 1


@pytest.mark.parametrize("what", ["email", "time", "closed", "forged", "text", "other use"])
def test_what_makes_a_token_worthless(what: str) -> None:
    user = make_user()
    token, moment = verifications.token_for(user), timezone.now()
    match what:
        case "email":
            User.objects.filter(id=user.id).update(email="moved@example.com")
        case "time":
            moment += settings.VERIFICATION_TIMEOUT + timedelta(seconds=2)
        case "closed":
            User.objects.filter(id=user.id).update(is_active=False)
        case "forged":
            token = token[:-1] + ("A" if token[-1] != "A" else "B")
        case "text":
            token = "no token"
        case "other use":
            token = resets.token_for(user)
    with time_machine.travel(moment, tick=False), pytest.raises(Invalid, match="not good"):
        services.verify_email(token=token)
    assert not User.objects.get(id=user.id).email_verified


def test_another_address_is_not_verified() -> None:
    user = make_user()
    services.verify_email(token=verifications.token_for(user))
    user.refresh_from_db()
    assert user.email_verified
    user.email = "moved@example.com"  # as an administrator does
    user.save()
    assert not User.objects.get().email_verified


def test_a_new_password_by_e_mail_verifies_the_address() -> None:
    user = make_user()
    services.reset_password(token=resets.token_for(user), new_password=f"another {PASSWORD}")
    assert User.objects.get().email_verified


def test_of_a_deleted_account_no_address_is_kept() -> None:
    user = make_user()
    services.verify_email(token=verifications.token_for(user))
    user.refresh_from_db()
    services._anonymise(user)
    assert User.objects.get().verified_email == ""


@pytest.mark.django_db(transaction=True)
def test_of_ten_who_come_with_one_token_one_is_let_through() -> None:
    token = verifications.token_for(make_user())
    outcomes = race(lambda _: services.verify_email(token=token), 10)
    assert Counter(type(got).__name__ for got in outcomes) == {"NoneType": 1, "Invalid": 9}
