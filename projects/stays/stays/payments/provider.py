"""The payment provider, seen from here: what it is asked, and what it says.

Everything that knows the provider's HTTP is in this module. `local/provider.py` is the other side,
for development and tests.
"""

import hashlib
import hmac
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, cast

import httpx
from django.conf import settings

from stays.common.errors import Forbidden, Refusal

TOLERANCE = timedelta(seconds=300)
"""How far a webhook's time stamp may be from our clock, before or after it."""
SIGNATURE = re.compile(r"t=(?P<time>[0-9]{1,12}),v1=(?P<digest>[0-9a-f]{64})", re.ASCII)
MAX_NAME = 100
"""The longest id, kind or code of the provider's that is taken; as long as the columns."""


@dataclass(frozen=True, kw_only=True)
class Charge:
    """What the provider knows of a payment.

    Attributes:
        id: The provider's name for it.
        reference: Our payment's id.
        status: Whether the money was taken; pending if that is not decided yet.
        amount_minor: How much, in the currency's smallest unit.
        currency: The currency's ISO 4217 code.
        failure: Why it failed, in the provider's word; empty if it did not.
    """

    id: str
    reference: uuid.UUID
    status: Literal["pending", "succeeded", "failed"]
    amount_minor: int
    currency: str
    failure: str = ""


@dataclass(frozen=True, kw_only=True)
class Event:
    """A message of the provider's, whose signature was right.

    Attributes:
        id: The provider's name for it; the same when it is sent again.
        kind: What happened.
        payload: All of it, as it came.
        charge: What it says of a charge; None if it is not about one.
    """

    id: str
    kind: str
    payload: dict[str, Any]
    charge: Charge | None


class NotAnEvent(Refusal):
    """What came is in no form that the provider's messages have, or is too old for one."""


class ProviderError(Exception):
    """The provider does not do what it is asked.

    Raised as it is, the request itself was refused: the key, or the form. To repeat it is in vain.
    """


class CardRefused(ProviderError):
    """The card is not charged, and will not be. `code` is the provider's word for why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Temporary(ProviderError):
    """Nothing was done this time; the same request may succeed later."""


class UnknownOutcome(ProviderError):
    """It may or may not have been done. The same request, with the same key, tells."""


@dataclass(frozen=True, kw_only=True)
class HttpPaymentProvider:
    """A provider that is asked in JSON over HTTP, and that signs its webhooks by HMAC-SHA256.

    Attributes:
        url: The provider's address.
        key: What we show it to be let in.
        webhook_secret: What it signs its messages with.
        seconds: How long it may take to accept a connection, and to answer.
    """

    url: str
    key: str = field(repr=False)
    webhook_secret: str = field(repr=False)
    seconds: float

    def charge(
        self, *, reference: uuid.UUID, amount_minor: int, currency: str, method: str
    ) -> Charge:
        """Take money. The same reference again takes none again.

        Raises:
            CardRefused: if it will never be taken.
            Temporary: if nothing was done.
            UnknownOutcome: if that is not known.
            ProviderError: if the request is at fault.
        """
        asked = {
            "reference": str(reference),
            "amount": amount_minor,
            "currency": currency,
            "method": method,
        }
        return self._charge_in(self._ask("POST", "/charges", key=str(reference), body=asked))

    def refund(
        self, *, reference: uuid.UUID, charge_id: str, amount_minor: int, currency: str
    ) -> None:
        """Give money back. The same reference again gives none again.

        Raises:
            ProviderError: or one of its kinds, as for a charge.
        """
        asked = {"charge": charge_id, "amount": amount_minor, "currency": currency}
        self._ask("POST", "/refunds", key=f"{reference}-refund", body=asked)

    def find(self, *, reference: uuid.UUID) -> Charge | None:
        """Return what became of a charge, or None if the provider never got it.

        Raises:
            ProviderError: or one of its kinds, if there is no answer.
        """
        response = self._ask("GET", f"/charges/{reference}")
        return None if response.status_code == httpx.codes.NOT_FOUND else self._charge_in(response)

    def read_event(self, *, body: bytes, signature: str, now: datetime) -> Event:
        """Return the message of a webhook, which is signed with its time stamp.

        Raises:
            Forbidden: if the signature is not the provider's, or not for these bytes.
            NotAnEvent: if it is not of now, or cannot be read.
        """
        parts = SIGNATURE.fullmatch(signature)
        if parts is None:
            raise NotAnEvent("There is no signature in the right form.", code="signature_form")
        signed = parts["time"].encode() + b"." + body
        expected = hmac.new(self.webhook_secret.encode(), signed, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, parts["digest"]):
            raise Forbidden("The signature is wrong.", code="signature")
        if abs(now.timestamp() - int(parts["time"])) > TOLERANCE.total_seconds():
            raise NotAnEvent("The time stamp is not of now.", code="timestamp")
        try:
            return _event(json.loads(body, parse_constant=_no_number))
        except (ValueError, RecursionError) as error:
            raise NotAnEvent("This is not an event.", code="event") from error

    def _ask(
        self, method: str, path: str, *, key: str | None = None, body: Any = None
    ) -> httpx.Response:
        """Return the answer to a request, if it is one that says something of its subject.

        Raises:
            CardRefused: on 402.
            Temporary: on 429 and 503, or if there is no connection.
            UnknownOutcome: on 409 (the same request is running), on any other answer that is
                neither 2xx nor 4xx, or if there is none.
            ProviderError: on any other 4xx, but for a 404 to a GET.
        """
        headers = {"Authorization": f"Bearer {self.key}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        try:
            response = httpx.request(
                method,
                f"{self.url}{path}",
                json=body,
                headers=headers,
                timeout=httpx.Timeout(self.seconds),
            )
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Temporary("no connection") from error
        except httpx.HTTPError as error:
            raise UnknownOutcome(type(error).__name__) from error
        status = response.status_code
        if response.is_success or (method == "GET" and status == httpx.codes.NOT_FOUND):
            return response
        if status == httpx.codes.PAYMENT_REQUIRED:
            raise CardRefused(_code(response))
        if status in (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE):
            raise Temporary(f"status {status}")
        if status == httpx.codes.CONFLICT or not response.is_client_error:
            raise UnknownOutcome(f"status {status}")
        raise ProviderError(f"status {status}")

    @staticmethod
    def _charge_in(response: httpx.Response) -> Charge:
        """Return the charge that an answer holds.

        Raises:
            UnknownOutcome: if it holds none.
        """
        try:
            return _charge(response.json())
        except ValueError as error:
            raise UnknownOutcome("unreadable answer") from error


def configured() -> HttpPaymentProvider:
    """Return the provider that the settings name."""
    return HttpPaymentProvider(
        url=settings.PAYMENT_PROVIDER_URL,
        key=settings.PAYMENT_PROVIDER_KEY,
        webhook_secret=settings.PAYMENT_WEBHOOK_SECRET,
        seconds=settings.PAYMENT_PROVIDER_SECONDS,
    )


def _code(response: httpx.Response) -> str:
    """Return the provider's word for a refusal."""
    try:
        return _name(_object(_object(response.json()), "error"), "code")
    except ValueError:
        return "refused"


def _event(data: Any) -> Event:
    """Read an event. What is not known is passed over: providers add fields."""
    event = _object(data)
    kind = _name(event, "type", longest=50)
    about_charge = kind.startswith("charge.")
    return Event(
        id=_name(event, "id"),
        kind=kind,
        payload=event,
        charge=_charge(_object(event, "data")) if about_charge else None,
    )


def _charge(data: Any) -> Charge:
    """Read a charge."""
    charge = _object(data)
    status, amount = charge.get("status"), charge.get("amount")
    if status not in ("pending", "succeeded", "failed"):
        raise ValueError("status")
    if not isinstance(amount, int) or isinstance(amount, bool):
        raise ValueError("amount")
    return Charge(
        id=_name(charge, "id"),
        reference=uuid.UUID(_name(charge, "reference")),
        status=cast(Literal["pending", "succeeded", "failed"], status),
        amount_minor=amount,
        currency=_name(charge, "currency"),
        failure=_name(charge, "failure") if charge.get("failure") else "",
    )


def _object(data: Any, name: str | None = None) -> dict[str, Any]:
    """Return a JSON object, or the one that is a member of it."""
    found = data.get(name) if name is not None else data
    if not isinstance(found, dict):
        raise ValueError(name or "not an object")
    return found


def _name(data: Mapping[str, Any], name: str, *, longest: int = MAX_NAME) -> str:
    """Return a member that is a short text of visible ASCII characters."""
    text = data.get(name)
    if not isinstance(text, str) or not re.fullmatch(f"[!-~]{{1,{longest}}}", text):
        raise ValueError(name)
    return text


def _no_number(text: str) -> None:
    """Refuse NaN and the infinities, which Python reads and JSON does not have."""
    raise ValueError(text)
