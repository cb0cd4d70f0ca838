import json
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from stays.accounts.models import User
from stays.bookings.models import Booking
from stays.outbox.models import OutboxMessage
from stays.payments.models import Payment, ProviderEvent, Status
from tests.factories import make_admin, make_booking, make_user
from tests.payments.events import WEBHOOK, event, make_payment, signed

pytestmark = pytest.mark.django_db
PROBLEM = "application/problem+json"
As = Callable[[User], APIClient]


def url(booking: Booking) -> str:
    return f"/api/v1/bookings/{booking.id}/payments"


def assert_problem(response: Any, status: int, code: str) -> None:
    assert (response.status_code, response["Content-Type"]) == (status, PROBLEM)
    assert response.json()["code"] == code
    assert set(response.json()) == {
        "type",
        "title",
        "status",
        "code",
        "detail",
        "errors",
        "request_id",
    }


# -- The payments of a booking


def test_a_guest_pays(as_user: As) -> None:
    booking = make_booking()
    response = as_user(booking.guest).post(url(booking), {"method": "tok_ok"})
    payment = Payment.objects.get()
    assert response.status_code == 201
    assert response.json() == {
        "id": str(payment.id),
        "amount_minor": booking.total_minor,
        "currency": "EUR",
        "status": "created",
        "failure": "",
        "created_at": payment.created_at.isoformat().replace("+00:00", "Z"),
    }
    assert OutboxMessage.objects.get().arguments == {"payment_id": str(payment.id)}


def test_a_guest_who_sends_it_again_pays_once(as_user: As) -> None:
    booking = make_booking()
    client = as_user(booking.guest)
    key = {"HTTP_IDEMPOTENCY_KEY": "k"}
    first = client.post(url(booking), {"method": "tok_ok"}, **key)
    again = client.post(url(booking), {"method": "tok_ok"}, **key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert_problem(
        client.post(url(booking), {"method": "tok_else"}, **key), 422, "idempotency_key_reused"
    )
    assert_problem(client.post(url(booking), {"method": "tok_ok"}), 409, "payment_running")
    assert Payment.objects.count() == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        None,
        "tok_ok",
        {"method": None},
        {"method": 7},
        {"method": ""},
        {"method": "4242424242424242"},
        {"method": "tok_"},
        {"method": "tok_ok\n"},
        {"method": " tok_ok"},
        {"method": "tok_ok; DROP TABLE"},
        {"method": "tok_é"},
        {"method": "tok_" + "x" * 97},
        {"method": "tok_ok", "amount_minor": 1},
    ],
)
def test_a_wrong_body_pays_nothing(as_user: As, body: Any) -> None:
    booking = make_booking()
    response = as_user(booking.guest).post(
        url(booking), json.dumps(body), content_type="application/json"
    )
    assert_problem(response, 400, "invalid")
    assert not Payment.objects.exists()
    assert not OutboxMessage.objects.exists()


def test_the_guest_and_admins_see_the_payments(
    as_user: As, django_assert_num_queries: Callable[..., Any]
) -> None:
    booking = make_booking()
    payments = [make_payment(booking, status=Status.FAILED) for _ in range(5)]
    make_payment()
    for user in (booking.guest, make_admin()):
        client = as_user(user)
        with django_assert_num_queries(2):  # the booking, the page
            page = client.get(url(booking), {"limit": 3}).json()
        ids = [row["id"] for row in page["results"]]
        page = client.get(page["next"]).json()
        ids += [row["id"] for row in page["results"]]
        assert ids == [str(payment.id) for payment in reversed(payments)]
        assert page["next"] is None
        assert "tok_ok" not in json.dumps(page)


@pytest.mark.parametrize(
    ("who", "status", "code"),
    [
        ("nobody", 401, "not_authenticated"),
        ("stranger", 404, "not_found"),
        ("host", 403, "permission_denied"),
    ],
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_who_is_kept_out(
    as_user: As, api: APIClient, who: str, status: int, code: str, method: str
) -> None:
    booking = make_booking()
    user = {"nobody": None, "stranger": make_user(), "host": booking.property.host}[who]
    client = as_user(user) if user else api
    body = {"method": "tok_ok"} if method == "post" else {}
    assert_problem(getattr(client, method)(url(booking), body), status, code)
    assert not Payment.objects.exists()


# -- The webhook


def tell(api: APIClient, body: bytes, signature: str | None, **headers: Any) -> Any:
    if signature is not None:
        headers["HTTP_PROVIDER_SIGNATURE"] = signature
    return api.post(WEBHOOK, body, content_type="application/json", **headers)


@pytest.mark.usefixtures("fake")
def test_an_event_is_taken_and_taken_again(api: APIClient) -> None:
    message = signed(event(make_payment()))
    for _ in range(2):
        response = tell(api, **message)
        assert (response.status_code, response.json()) == (200, {"received": True})
    assert ProviderEvent.objects.count() == 1
    assert Payment.objects.get().status == Status.SUCCEEDED


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        (lambda body, _: (body, None), 400, "signature_form"),
        (lambda body, _: (body, "t=1,v1=00"), 400, "signature_form"),
        (lambda body, signature: (body, signature[:-1] + "g"), 400, "signature_form"),
        (lambda body, signature: (body + b" ", signature), 403, "signature"),
        (lambda _, signature: (b"", signature), 403, "signature"),
        (lambda body, signature: (body + b" " * 130_000, signature), 413, "too_large"),
        (lambda body, _: tuple(signed(body, seconds_ago=302).values()), 400, "timestamp"),
        (lambda body, _: tuple(signed(body, seconds_ago=-302).values()), 400, "timestamp"),
        (lambda *_: tuple(signed(b"{").values()), 400, "event"),
        (lambda *_: tuple(signed(b"\xff\xfe").values()), 400, "event"),
        (lambda *_: tuple(signed([1, 2]).values()), 400, "event"),
        (lambda *_: tuple(signed({"id": "e", "type": "x", "a": "\0"}).values()), 400, "event"),
    ],
)
def test_what_is_not_the_providers_is_refused(
    api: APIClient, change: Callable[..., Any], status: int, code: str
) -> None:
    body, signature = change(*signed(event(make_payment())).values())
    response = tell(api, body, signature)
    assert_problem(response, status, code)
    assert not ProviderEvent.objects.exists()
    assert Payment.objects.get().status == Status.PROCESSING


@pytest.mark.usefixtures("fake")
def test_the_webhook_needs_neither_user_nor_csrf_token() -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.credentials(HTTP_AUTHORIZATION="Bearer nonsense")
    assert tell(client, **signed(event(make_payment()))).status_code == 200


def test_the_webhook_is_only_posted_to(api: APIClient) -> None:
    assert_problem(api.get(WEBHOOK), 405, "method_not_allowed")
