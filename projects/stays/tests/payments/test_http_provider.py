"""What we make of the provider's answers."""

import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.conf import settings
from django.test import override_settings
from django.utils import timezone

from local.provider import FakeProvider, sign
from stays.common.errors import Forbidden
from stays.payments import provider
from stays.payments.provider import (
    CardRefused,
    Charge,
    NotAnEvent,
    ProviderError,
    Temporary,
    UnknownOutcome,
)
from tests.payments.events import SECRET, signed

REFERENCE = uuid.UUID("01900000-0000-7000-8000-000000000001")


def charge(method: str = "tok_ok") -> Charge:
    return provider.configured().charge(
        reference=REFERENCE, amount_minor=30_000, currency="EUR", method=method
    )


def refund(charge_id: str) -> None:
    provider.configured().refund(
        reference=REFERENCE, charge_id=charge_id, amount_minor=30_000, currency="EUR"
    )


def test_a_charge_is_pending_and_found_again(fake: FakeProvider) -> None:
    made = charge()
    assert made == Charge(
        id=made.id, reference=REFERENCE, status="pending", amount_minor=30_000, currency="EUR"
    )
    found = provider.configured().find(reference=REFERENCE)
    assert found == Charge(**(vars(made) | {"status": "succeeded"}))
    assert provider.configured().find(reference=uuid.uuid4()) is None
    assert fake.requests[:2] == ["POST /charges", f"GET /charges/{REFERENCE}"]


def test_the_payment_is_the_key(fake: FakeProvider) -> None:
    assert charge() == charge()
    assert list(fake.charges) == [str(REFERENCE)]
    refund(charge().id)
    refund(charge().id)
    assert list(fake.refunds) == [f"{REFERENCE}-refund"]


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(
    ("method", "error"),
    [
        ("tok_declined", CardRefused),
        ("tok_error_503", Temporary),
        ("tok_error_500", UnknownOutcome),
        ("tok_slow", UnknownOutcome),
        ("tok_lost_answer", UnknownOutcome),
        ("tok_garbled", UnknownOutcome),
    ],
)
def test_what_went_wrong_is_told_apart(method: str, error: type[Exception]) -> None:
    with pytest.raises(ProviderError) as raised:
        charge(method)
    assert type(raised.value) is error
    assert settings.PAYMENT_PROVIDER_KEY not in str(raised.value)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (429, Temporary),
        (503, Temporary),
        (409, UnknownOutcome),
        (302, UnknownOutcome),
        (502, UnknownOutcome),
        (400, ProviderError),
        (401, ProviderError),
        (404, ProviderError),
    ],
)
def test_statuses(fake: FakeProvider, status: int, error: type[Exception]) -> None:
    for ask in (charge, lambda: refund("ch_1")):
        fake.misbehave(status)
        with pytest.raises(ProviderError) as raised:
            ask()
        assert type(raised.value) is error
    assert (fake.charges, fake.refunds) == ({}, {})


@pytest.mark.usefixtures("fake")
def test_a_wrong_key_is_our_fault() -> None:
    with override_settings(PAYMENT_PROVIDER_KEY="wrong"), pytest.raises(ProviderError) as raised:
        charge()
    assert type(raised.value) is ProviderError
    assert "wrong" not in str(raised.value)


@pytest.mark.usefixtures("fake")
@override_settings(PAYMENT_PROVIDER_URL="http://127.0.0.1:9")
def test_without_a_connection_nothing_was_done() -> None:
    with pytest.raises(Temporary):
        charge()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"error": {"code": "card_declined"}}, "card_declined"),
        ({"error": {"code": "x" * 101}}, "refused"),
        ({"error": {"code": 7}}, "refused"),
        ({"error": "no"}, "refused"),
        ([], "refused"),
    ],
)
def test_the_word_for_a_refusal(
    fake: FakeProvider, monkeypatch: pytest.MonkeyPatch, body: object, code: str
) -> None:
    monkeypatch.setattr(fake, "answer", lambda *_: (402, body))
    with pytest.raises(CardRefused) as refused:
        charge()
    assert refused.value.code == code


CHARGE = {
    "id": "ch_1",
    "reference": str(REFERENCE),
    "status": "failed",
    "amount": 30_000,
    "currency": "EUR",
    "failure": "stolen",
}
EVENT = {"id": "evt_1", "type": "charge.failed", "data": CHARGE, "created": 1}


@pytest.mark.usefixtures("fake")
def test_an_event_is_read() -> None:
    read = provider.configured().read_event(**signed(EVENT), now=timezone.now())
    assert (read.id, read.kind, read.payload) == ("evt_1", "charge.failed", EVENT)
    assert read.charge == Charge(
        id="ch_1",
        reference=REFERENCE,
        status="failed",
        amount_minor=30_000,
        currency="EUR",
        failure="stolen",
    )


@pytest.mark.usefixtures("fake")
def test_an_event_about_something_else_is_read_too() -> None:
    message = signed({"id": "evt_1", "type": "payout.paid"})
    assert provider.configured().read_event(**message, now=timezone.now()).charge is None


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"{",
        b"\xff",
        b"[" * 60_000,
        [],
        None,
        {"type": "charge.failed", "data": CHARGE},
        EVENT | {"id": ""},
        EVENT | {"id": 7},
        EVENT | {"id": "x" * 101},
        EVENT | {"id": "evt 1"},
        EVENT | {"type": "x" * 51},
        EVENT | {"type": None},
        EVENT | {"data": None},
        EVENT | {"data": CHARGE | {"status": "unheard of"}},
        EVENT | {"data": CHARGE | {"amount": 1.5}},
        EVENT | {"data": CHARGE | {"amount": True}},
        EVENT | {"data": CHARGE | {"amount": "30000"}},
        EVENT | {"data": CHARGE | {"reference": "no-uuid"}},
        EVENT | {"data": CHARGE | {"currency": None}},
        EVENT | {"data": CHARGE | {"failure": "x" * 101}},
        EVENT | {"data": CHARGE, "created": float("nan")},
        EVENT | {"data": CHARGE, "created": float("inf")},
    ],
)
def test_what_is_no_event_is_refused(message: object) -> None:
    with pytest.raises(NotAnEvent) as refused:
        provider.configured().read_event(**signed(message), now=timezone.now())
    assert (refused.value.status, refused.value.code) == (400, "event")


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(
    "change",
    [
        lambda _: "",
        lambda _: "t=,v1=",
        lambda signature: signature.upper(),
        lambda signature: signature + "0",
        lambda signature: signature[:-1],
        lambda signature: " " + signature,
        lambda signature: signature.split(",")[1] + "," + signature.split(",")[0],
        lambda signature: "t=1²," + signature.split(",")[1],
        lambda signature: "t=" + "9" * 400 + "," + signature.split(",")[1],
    ],
)
def test_a_signature_in_another_form_is_refused(change: Callable[[str], str]) -> None:
    message = signed(EVENT)
    with pytest.raises(NotAnEvent) as refused:
        provider.configured().read_event(
            body=message["body"], signature=change(message["signature"]), now=timezone.now()
        )
    assert refused.value.code == "signature_form"


@pytest.mark.usefixtures("fake")
def test_only_these_bytes_with_this_time_and_secret_are_signed() -> None:
    message = signed(EVENT)
    now = timezone.now()
    timestamp = int(message["signature"].split(",")[0].removeprefix("t="))
    later = message["signature"].replace(f"t={timestamp}", f"t={timestamp + 1}")
    forged = sign(message["body"], secret="another", timestamp=timestamp)
    for body, signature in (
        (message["body"] + b" ", message["signature"]),
        (message["body"].replace(b"30000", b"30001"), message["signature"]),
        (message["body"], later),
        (message["body"], forged),
    ):
        with pytest.raises(Forbidden) as refused:
            provider.configured().read_event(body=body, signature=signature, now=now)
        assert refused.value.code == "signature"
        assert SECRET not in refused.value.detail


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("seconds", [-302, 302])
def test_a_time_stamp_of_another_time_is_refused(seconds: int) -> None:
    message = signed(EVENT)
    with pytest.raises(NotAnEvent) as refused:
        provider.configured().read_event(**message, now=timezone.now() + timedelta(seconds=seconds))
    assert (refused.value.status, refused.value.code) == (400, "timestamp")


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("seconds", [-295, 295])
def test_clocks_may_differ(seconds: int) -> None:
    moment = timezone.now() + timedelta(seconds=seconds)
    assert provider.configured().read_event(**signed(EVENT), now=moment).id == "evt_1"
