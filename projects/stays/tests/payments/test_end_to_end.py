"""The whole way, with real processes: a client, the web server, the broker, a worker, the provider.

A guest registers, books, pays; the provider calls the webhook; the booking is confirmed; the e-mail
is written.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from django.db import connection
from pytest_django.live_server_helper import LiveServer

from local.provider import FakeProvider
from stays.payments.models import Payment, ProviderEvent
from tests.factories import PASSWORD, day, make_property
from tests.payments.events import KEY, SECRET, WEBHOOK

pytestmark = pytest.mark.django_db(transaction=True)
DEADLINE = 120  # seconds
PROJECT = Path(__file__).resolve().parents[2]


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait until something is so, and return it."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.2)
    raise AssertionError(f"not within {DEADLINE} s: {what}")


@pytest.fixture
def worker(fake: FakeProvider, live_server: LiveServer, tmp_path: Path) -> Iterator[Path]:
    """A Celery worker on the test's database. It writes e-mails into the directory."""
    fake.webhook_url = live_server.url + WEBHOOK
    mails = tmp_path / "mails"
    mails.mkdir()
    database = urlsplit(os.environ["DATABASE_URL"])
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "stays.settings",
        "DATABASE_URL": database._replace(path=f"/{connection.settings_dict['NAME']}").geturl(),
        "EMAIL_URL": f"filemail:///{mails}",  # django-environ takes one slash off
        "PAYMENT_PROVIDER_URL": fake.url,
        "PAYMENT_PROVIDER_KEY": KEY,
        "PAYMENT_WEBHOOK_SECRET": SECRET,
        "PAYMENT_PROVIDER_SECONDS": "1",
    }
    command = [sys.executable, "-m", "celery", "--app", "stays", "worker", "--pool", "solo"]
    log = tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, "--without-gossip", "--without-mingle", "--without-heartbeat"],
            cwd=PROJECT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield mails
        finally:
            process.terminate()
            process.wait(DEADLINE)
    text = log.read_text()
    assert KEY not in text
    assert SECRET not in text


@pytest.fixture
def guest(live_server: LiveServer) -> Iterator[httpx.Client]:
    """A client that has registered and signed in."""
    with httpx.Client(base_url=f"{live_server.url}/api/v1", timeout=DEADLINE) as client:
        account = {"email": "ana@example.com", "name": "Ana", "password": PASSWORD}
        assert client.post("/auth/register", json=account).status_code == 201
        tokens = client.post(
            "/auth/login", json={"email": account["email"], "password": PASSWORD}
        ).json()
        client.headers["Authorization"] = f"Bearer {tokens['access']}"
        yield client


def book(guest: httpx.Client) -> str:
    place = make_property(instant_book=True)
    wish = {
        "property": place.slug,
        "check_in": day(5).isoformat(),
        "check_out": day(8).isoformat(),
        "guests": 2,
    }
    made = guest.post("/bookings", json=wish, headers={"Idempotency-Key": "book"})
    assert made.status_code == 201, made.text
    booking_id: str = made.json()["id"]
    return booking_id


def pay(guest: httpx.Client, booking_id: str, method: str) -> None:
    paid = guest.post(f"/bookings/{booking_id}/payments", json={"method": method})
    assert (paid.status_code, paid.json()["status"]) == (201, "created")


def statuses(guest: httpx.Client, booking_id: str) -> tuple[str, list[str]]:
    booking = guest.get(f"/bookings/{booking_id}").json()
    payments = guest.get(f"/bookings/{booking_id}/payments").json()["results"]
    return booking["status"], [payment["status"] for payment in payments]


def mails_in(directory: Path) -> list[EmailMessage]:
    """The e-mails about bookings that are written; Django ends each with a line."""
    files = sorted(directory.glob("*.log"))
    found = [
        message_from_bytes(part.strip(), policy=policy.default)  # type: ignore[misc]
        for file in files
        for part in file.read_bytes().split(b"-" * 79)[:-1]  # what has its end
    ]
    return [mail for mail in found if mail["Subject"] != "Your address at Stays"]


def test_from_registration_to_the_confirmation(
    fake: FakeProvider, guest: httpx.Client, worker: Path
) -> None:
    booking_id = book(guest)
    pay(guest, booking_id, "tok_declined")
    until(lambda: statuses(guest, booking_id) == ("pending", ["failed"]), "the card to be refused")
    pay(guest, booking_id, "tok_twice")
    until(
        lambda: statuses(guest, booking_id) == ("confirmed", ["succeeded", "failed"]),
        "the booking to be confirmed",
    )
    message = until(lambda: mails_in(worker), "the e-mail")[0]
    assert message["To"] == "ana@example.com"
    assert message["Message-ID"] == f"<confirmed.{booking_id}@example.com>"
    body = message.get_body(("plain",))
    assert body is not None
    assert "your stay is confirmed" in body.get_content()
    fake.wait()
    assert [status for _, status in fake.deliveries] == [200, 200]
    assert ProviderEvent.objects.count() == 1

    cancelled = guest.post(f"/bookings/{booking_id}/cancel", json={})
    assert cancelled.status_code == 200, cancelled.text
    until(
        lambda: statuses(guest, booking_id) == ("cancelled", ["refunded", "failed"]),
        "the money to be given back",
    )
    assert len(fake.refunds) == 1
    assert len(mails_in(worker)) == 1


def test_an_answer_that_is_lost_on_the_way(
    fake: FakeProvider, guest: httpx.Client, worker: Path
) -> None:
    booking_id = book(guest)
    pay(guest, booking_id, "tok_lost_answer")
    until(
        lambda: statuses(guest, booking_id) == ("confirmed", ["succeeded"]),
        "the booking to be confirmed",
    )
    assert len(until(lambda: mails_in(worker), "the e-mail")) == 1
    assert list(fake.charges) == [str(Payment.objects.get().id)]
