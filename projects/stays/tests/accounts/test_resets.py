import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.core import mail
from django.utils import timezone
from rest_framework.test import APIClient
from zeal import zeal_ignore

from stays.accounts import emails, resets, services
from stays.accounts.models import Session, User
from stays.common.errors import Invalid
from stays.outbox.models import OutboxMessage
from tests.factories import PASSWORD, make_user
from tests.racing import race

pytestmark = pytest.mark.django_db

ASK = "/api/v1/auth/reset"
CONFIRM = f"{ASK}/confirm"
NEW = f"another {PASSWORD}"


def test_the_whole_way(api: APIClient, commits: Callable[..., Any]) -> None:
    user = make_user()
    services.log_in(email=user.email, password=PASSWORD, address="127.0.0.1")
    with commits(), zeal_ignore():
        assert api.post(ASK, {"email": user.email.upper()}).status_code == 202
    (message,) = mail.outbox or [sent_by_task()]
    assert message.to == [user.email]
    (token,) = re.findall(r"^[0-9a-f]{32}-\S+$", message.body, re.MULTILINE)
    assert api.post(CONFIRM, {"token": token, "new_password": NEW}).status_code == 204
    user.refresh_from_db()
    assert user.check_password(NEW)
    assert not Session.objects.filter(user=user, revoked_at=None).exists()
    again = api.post(CONFIRM, {"token": token, "new_password": PASSWORD})
    (error,) = again.json()["errors"]
    assert (again.status_code, error["code"]) == (422, "token_not_valid")


def test_one_mailbox_is_not_filled(api: APIClient) -> None:
    user, other = make_user(), make_user()
    with zeal_ignore():
        for number in range(8):
            answer = api.post(ASK, {"email": user.email}, REMOTE_ADDR=f"192.0.2.{number}")
            assert answer.status_code == 202
        assert OutboxMessage.objects.count() == 5
        api.post(ASK, {"email": other.email})
    assert OutboxMessage.objects.count() == 6


def sent_by_task() -> Any:
    """Do what the worker would do with the one message of the outbox."""
    message = OutboxMessage.objects.get(task="accounts.send_reset")
    assert emails.send_reset(**message.arguments)
    return mail.outbox[0]


def test_nobody_is_told_whether_there_is_an_account(
    api: APIClient, django_assert_num_queries: Callable[..., Any]
) -> None:
    user, closed = make_user(), make_user(is_active=False)
    answers = []
    for email in (user.email, closed.email, "nobody@example.com", "no address"):
        with django_assert_num_queries(3):
            answers.append(api.post(ASK, {"email": email}))
    assert {(answer.status_code, answer.content) for answer in answers} == {(202, b"")}
    sent = [emails.send_reset(**m.arguments) for m in OutboxMessage.objects.order_by("id")]
    assert sent == [True, False, False, False]
    assert [message.to for message in mail.outbox] == [[user.email]]


@pytest.mark.parametrize("what", ["password", "email", "time", "closed", "other", "text"])
def test_what_makes_a_token_worthless(what: str) -> None:
    user = make_user()
    token, moment = resets.token_for(user), timezone.now()
    match what:
        case "password":
            user.set_password("yet another one")
            user.save()
        case "email":
            User.objects.filter(id=user.id).update(email="moved@example.com")
        case "time":
            moment += timezone.timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT + 1)
        case "closed":
            User.objects.filter(id=user.id).update(is_active=False)
        case "other":
            token = make_user().id.hex + token[32:]
        case "text":
            token = "no token"
    with time_machine.travel(moment, tick=False), pytest.raises(Invalid, match="not good"):
        services.reset_password(token=token, new_password=NEW)
    assert not User.objects.get(id=user.id).check_password(NEW)


def test_a_weak_password_leaves_the_token_good() -> None:
    user = make_user()
    token = resets.token_for(user)
    with pytest.raises(Invalid) as refusal:
        services.reset_password(token=token, new_password="12345678")
    assert refusal.value.field == "new_password"
    services.reset_password(token=token, new_password=NEW)


@pytest.mark.django_db(transaction=True)
def test_of_ten_who_come_with_one_token_one_sets_the_password() -> None:
    token = resets.token_for(make_user())

    def reset(number: int) -> None:
        services.reset_password(token=token, new_password=f"{NEW} {number}")

    outcomes = Counter(type(got).__name__ for got in race(reset, 10))
    assert outcomes == {"NoneType": 1, "Invalid": 9}


def test_there_is_a_limit_for_each_address(api: APIClient, settings: Any) -> None:
    rates = settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"] | {"reset": "2/h"}
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"DEFAULT_THROTTLE_RATES": rates}
    statuses = [api.post(ASK, {"email": "a@example.com"}).status_code for _ in range(3)]
    assert statuses == [202, 202, 429]
