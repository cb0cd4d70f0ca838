import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.provider import METHODS, FakeProvider, provider, sign

KEY = "a key"
SECRET = "a secret"


class Listener:
    """A webhook that keeps what it gets, and answers with the statuses that it is given."""

    def __init__(self) -> None:
        self.heard: list[tuple[dict[str, Any], str, bytes]] = []
        self.statuses: list[int] = []
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                signature = self.headers["Provider-Signature"]
                listener.heard.append((json.loads(body), signature, body))
                self.send_response(listener.statuses.pop(0) if listener.statuses else 200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"

    def ids(self) -> list[str]:
        return [event["id"] for event, _, _ in self.heard]

    def kinds(self) -> list[str]:
        return [event["type"] for event, _, _ in self.heard]


@pytest.fixture
def listener() -> Iterator[Listener]:
    listening = Listener()
    thread = threading.Thread(target=lambda: listening.server.serve_forever(0.05), daemon=True)
    thread.start()
    yield listening
    listening.server.shutdown()
    listening.server.server_close()
    thread.join()


@pytest.fixture
def fake(listener: Listener) -> Iterator[FakeProvider]:
    options = {"key": KEY, "secret": SECRET, "webhook_url": listener.url}
    with provider(**options, slow_seconds=5, retry_seconds=0.01) as running:
        yield running


def charge(
    fake: FakeProvider, method: str, *, reference: str = "", key: str = KEY, **changes: Any
) -> httpx.Response:
    reference = reference or str(uuid.uuid4())
    body = {"reference": reference, "amount": 100, "currency": "EUR", "method": method}
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": reference}
    return httpx.post(f"{fake.url}/charges", json=body | changes, headers=headers, timeout=0.5)


def authorised(**headers: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {KEY}", **headers}


@pytest.mark.parametrize(
    ("method", "kinds"),
    [
        ("tok_ok", ["charge.succeeded"]),
        ("tok_declined_later", ["charge.failed"]),
        ("tok_twice", ["charge.succeeded", "charge.succeeded"]),
        ("tok_out_of_order", ["charge.succeeded", "charge.pending"]),
        ("tok_never", []),
        ("tok_never_decided", []),
    ],
)
def test_what_the_webhook_hears(
    fake: FakeProvider, listener: Listener, method: str, kinds: list[str]
) -> None:
    response = charge(fake, method)
    assert (response.status_code, response.json()["status"]) == (201, "pending")
    fake.wait()
    assert listener.kinds() == kinds
    assert len(set(listener.ids())) == (1 if method == "tok_twice" else len(kinds))


@pytest.mark.parametrize(
    ("method", "status"),
    [
        ("tok_declined", 402),
        ("tok_nobody_knows", 402),
        ("tok_error_500", 500),
        ("tok_error_503", 503),
    ],
)
def test_what_takes_no_money(
    fake: FakeProvider, listener: Listener, method: str, status: int
) -> None:
    assert charge(fake, method).status_code == status
    fake.wait()
    assert (fake.charges, listener.heard) == ({}, [])


@pytest.mark.parametrize(
    ("method", "error"),
    [("tok_slow", httpx.ReadTimeout), ("tok_lost_answer", httpx.RemoteProtocolError)],
)
def test_an_answer_that_does_not_come_does_not_mean_that_nothing_was_done(
    fake: FakeProvider, listener: Listener, method: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        charge(fake, method)
    fake.wait()
    assert listener.kinds() == ["charge.succeeded"]


def test_the_same_key_charges_once(fake: FakeProvider, listener: Listener) -> None:
    first = charge(fake, "tok_ok", reference="r")
    again = charge(fake, "tok_ok", reference="r")
    assert (again.status_code, again.json()) == (201, first.json())
    assert charge(fake, "tok_ok", reference="r", amount=200).status_code == 422
    fake.wait()
    assert len(listener.heard) == 1


def test_a_key_that_was_forgotten_charges_again(fake: FakeProvider) -> None:
    first = charge(fake, "tok_ok", reference="r").json()
    fake.forget_keys()
    assert charge(fake, "tok_ok", reference="r").json()["id"] != first["id"]


def test_a_charge_is_found_by_its_reference(fake: FakeProvider) -> None:
    charge(fake, "tok_ok", reference="r")
    found = httpx.get(f"{fake.url}/charges/r", headers=authorised())
    assert (found.status_code, found.json()["status"]) == (200, "succeeded")
    assert httpx.get(f"{fake.url}/charges/s", headers=authorised()).status_code == 404


def test_money_goes_back_once_and_in_full(fake: FakeProvider) -> None:
    made = charge(fake, "tok_ok").json()
    asked = {"charge": made["id"], "amount": 100, "currency": "EUR"}

    def refund(key: str, **changes: Any) -> int:
        body = asked | changes
        headers = authorised(**{"Idempotency-Key": key})
        return httpx.post(f"{fake.url}/refunds", json=body, headers=headers).status_code

    assert [refund("k"), refund("k")] == [201, 201]
    assert [refund("l", amount=99), refund("m", charge="ch_0")] == [422, 404]
    assert refund("s", charge="seed_1") == 201  # the seeded data's, which it has never seen
    assert list(fake.refunds) == ["k", "s"]


def test_it_signs_the_time_and_the_body(fake: FakeProvider, listener: Listener) -> None:
    charge(fake, "tok_ok")
    fake.wait()
    ((_, signature, body),) = listener.heard
    timestamp = int(signature.split(",")[0].removeprefix("t="))
    assert signature == sign(body, secret=SECRET, timestamp=timestamp)
    assert signature != sign(body + b" ", secret=SECRET, timestamp=timestamp)


def test_it_calls_again_until_the_webhook_takes_it(fake: FakeProvider, listener: Listener) -> None:
    listener.statuses = [500, 503, 200]
    charge(fake, "tok_ok")
    fake.wait()
    assert [status for _, status in fake.deliveries] == [500, 503, 200]
    assert len(set(listener.ids())) == 1


def test_it_gives_up_calling_where_nobody_listens(fake: FakeProvider) -> None:
    fake.webhook_url = "http://127.0.0.1:9/"
    charge(fake, "tok_ok")
    fake.wait()
    assert [status for _, status in fake.deliveries] == [0] * 6


def test_with_a_ledger_the_next_one_knows_all(listener: Listener, tmp_path: Path) -> None:
    options = {"key": KEY, "secret": SECRET, "ledger": tmp_path / "ledger", "retry_seconds": 0.01}
    told, untold, lost = (str(uuid.uuid4()) for _ in range(3))
    with provider(**options, webhook_url=listener.url) as fake:
        first = charge(fake, "tok_ok", reference=told).json()
        fake.wait()
        fake.webhook_url = "http://127.0.0.1:9/"
        charge(fake, "tok_ok", reference=untold)
        fake.wait()
        with pytest.raises(httpx.RemoteProtocolError):
            charge(fake, "tok_lost_answer", reference=lost)
        asked = {"charge": first["id"], "amount": 100, "currency": "EUR"}
        headers = authorised(**{"Idempotency-Key": "back"})
        refund = httpx.post(f"{fake.url}/refunds", json=asked, headers=headers).json()
    heard = listener.ids()
    with provider(**options, webhook_url=listener.url) as fake:
        assert charge(fake, "tok_ok", reference=told).json() == first
        assert fake.charges.keys() == {told, untold, lost}
        assert httpx.post(f"{fake.url}/refunds", json=asked, headers=headers).json() == refund
        fake.wait()
    references = {event["data"]["reference"] for event, _, _ in listener.heard[len(heard) :]}
    assert references == {untold, lost}
    with provider(**options, webhook_url=listener.url) as fake:
        fake.wait()
    assert len(listener.heard) == 3


def test_it_can_be_told_to_fail(fake: FakeProvider) -> None:
    told = httpx.post(f"{fake.url}/_behaviour", json={"next": [503, 500]})
    assert told.status_code == 200
    assert [charge(fake, "tok_ok", reference="r").status_code for _ in range(3)] == [503, 500, 201]


def test_what_it_refuses(fake: FakeProvider) -> None:
    def post(path: str, content: bytes, **headers: str) -> int:
        return httpx.post(f"{fake.url}{path}", content=content, headers=headers).status_code

    assert charge(fake, "tok_ok", key="wrong").status_code == 401
    assert post("/charges", b"{}", **authorised()) == 400  # no key
    assert post("/charges", b"{}", **authorised(**{"Idempotency-Key": "k"})) == 400
    assert post("/charges", b"[", **authorised()) == 400
    assert post("/nothing", b"{}", **authorised()) == 404
    assert post("/charges", b"x" * 70_000, **authorised()) == 413
    assert httpx.get(f"{fake.url}/refunds", headers=authorised()).status_code == 404
    assert fake.charges == {}


def test_every_method_is_described() -> None:
    assert all(name.startswith("tok_") and text for name, text in METHODS.items())


def test_it_runs_by_itself_and_shows_no_secret() -> None:
    environment = os.environ | {"PAYMENT_PROVIDER_KEY": KEY, "PAYMENT_WEBHOOK_SECRET": SECRET}
    command = [sys.executable, "-m", "local.provider", "--port", "0"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        url = line.removeprefix("Payment provider: ").strip()
        assert httpx.get(f"{url}/charges/r", headers=authorised()).status_code == 404
        assert httpx.get(f"{url}/charges/r").status_code == 401
        process.send_signal(signal.SIGTERM)
        rest, errors = process.communicate(timeout=30)
    assert (process.returncode, rest, errors) == (0, "", "")
    assert KEY not in line
    assert SECRET not in line
