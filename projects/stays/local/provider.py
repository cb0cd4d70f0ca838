"""A payment provider of one's own, which speaks real HTTP and can be told to misbehave.

    python -m local.provider --port 0 --webhook-url http://127.0.0.1:8000/api/v1/webhooks/payments

PAYMENT_PROVIDER_KEY and PAYMENT_WEBHOOK_SECRET come from the environment, where no list of
processes shows them. It answers

- `POST /charges`: `reference`, `amount`, `currency`, `method`, and an Idempotency-Key;
- `GET /charges/{reference}`;
- `POST /refunds`: `charge`, `amount`, `currency`, and an Idempotency-Key;
- `POST /_behaviour`: `{"next": [503, 500]}` for the statuses that it answers the next requests
  with, instead of doing what they ask.

A charge is answered before it is decided. How it ended is told by the webhook, which is called
again until it answers 2xx. The method decides what happens (see METHODS).
"""

import argparse
import hashlib
import hmac
import http.client
import json
import os
import signal
import socket
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SIGNATURE_HEADER = "Provider-Signature"
MAX_BODY = 64 * 1024  # bytes
ATTEMPTS = 6
METHODS = {
    "tok_ok": "The money is taken.",
    "tok_declined": "The card is refused at once, by 402.",
    "tok_declined_later": "The card is refused by the webhook.",
    "tok_slow": "The money is taken, but the answer comes late.",
    "tok_lost_answer": "The money is taken, but the connection ends without an answer.",
    "tok_garbled": "The money is taken, but the answer is not JSON.",
    "tok_twice": "The webhook is called twice with the same event.",
    "tok_out_of_order": "The webhook first hears of the end, then of the beginning.",
    "tok_never": "The money is taken, but the webhook is never called.",
    "tok_never_decided": "The charge stays pending, and the webhook is never called.",
    "tok_error_500": "Always 500; nothing is done.",
    "tok_error_503": "Always 503; nothing is done.",
}
Answer = tuple[int, dict[str, Any]]


def sign(body: bytes, *, secret: str, timestamp: int) -> str:
    """Return the signature of a message, as it stands in the header."""
    signed = str(timestamp).encode() + b"." + body
    return f"t={timestamp},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


class FakeProvider:
    """The provider. When it ends it forgets everything, unless it has a ledger.

    Attributes:
        url: Where it listens.
        webhook_url: Whom it tells. May be set later; empty for nobody.
        charges: All charges, by reference.
        refunds: All refunds, by Idempotency-Key.
        requests: What it was asked, as method and path, in order.
        deliveries: How the webhook answered: the event's id and the status (0: no answer).
    """

    def __init__(
        self,
        *,
        key: str,
        secret: str,
        webhook_url: str = "",
        host: str = "127.0.0.1",
        port: int = 0,
        slow_seconds: float = 15,
        retry_seconds: float = 0.2,
        ledger: Path | None = None,
    ) -> None:
        """Listen.

        Args:
            key: What its clients must show.
            secret: What it signs its messages with.
            webhook_url: Whom it tells.
            host: The address to listen on.
            port: Where; 0 for a free one.
            slow_seconds: How long `tok_slow` takes.
            retry_seconds: How long it waits before it calls the webhook again; each time twice as
                long.
            ledger: Where to keep what was done: killed and started again, it knows all.
        """
        self._key = key
        self._secret = secret
        self.webhook_url = webhook_url
        self.slow_seconds = slow_seconds
        self._retry_seconds = retry_seconds
        self.charges: dict[str, dict[str, Any]] = {}
        self.refunds: dict[str, dict[str, Any]] = {}
        self.requests: list[str] = []
        self.deliveries: list[tuple[str, int]] = []
        self._next: deque[int] = deque()
        self._answers: dict[str, tuple[Any, Answer]] = {}
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._callers: list[threading.Thread] = []
        self._ledger = ledger
        self._untold = self._read_ledger()
        self._server = _Server((host, port), _Handler)
        self._server.provider = self
        self.url = f"http://{host}:{self._server.server_port}"

    def serve(self) -> None:
        """Answer until `close`. First tell what an earlier one had no time to tell."""
        for event in self._untold:
            self._tell([event])
        self._server.serve_forever(poll_interval=0.05)

    def close(self) -> None:
        """Answer no more, and call no more webhooks."""
        self._ending.set()
        self._server.shutdown()
        self._server.server_close()
        self.wait()

    def wait(self, seconds: float = 30) -> None:
        """Wait until every webhook that is due was called.

        Raises:
            TimeoutError: if that takes too long.
        """
        deadline = time.monotonic() + seconds
        for caller in list(self._callers):
            caller.join(max(0, deadline - time.monotonic()))
            if caller.is_alive():
                raise TimeoutError("The webhook has not taken all events.")

    def misbehave(self, *statuses: int) -> None:
        """Answer the next requests with these statuses, and do nothing of what they ask."""
        with self._lock:
            self._next = deque(statuses)

    def forget_keys(self) -> None:
        """Forget every Idempotency-Key, as providers do after a while, and no charge or refund."""
        with self._lock:
            self._answers.clear()

    def answer(self, method: str, path: str, headers: Any, body: Any) -> Answer | None:
        """Return status and body for a request, or None to answer nothing."""
        if method == "POST" and path == "/_behaviour":
            self.misbehave(*body["next"])
            return 200, {}
        if not hmac.compare_digest(headers.get("Authorization", ""), f"Bearer {self._key}"):
            return 401, _error("unauthorized")
        with self._lock:
            self.requests.append(f"{method} {path}")
            if self._next:
                return self._next.popleft(), _error("told_to_fail")
            if method == "GET" and path.startswith("/charges/"):
                charge = self.charges.get(path.removeprefix("/charges/"))
                return (200, dict(charge)) if charge else (404, _error("not_found"))
        if method != "POST" or path not in ("/charges", "/refunds"):
            return 404, _error("not_found")
        return self._once(path, headers.get("Idempotency-Key"), body)

    def _once(self, path: str, key: str | None, body: Any) -> Answer | None:
        """Do what is asked if this key was not used yet; else answer as before."""
        if not key:
            return 400, _error("idempotency_key_missing")
        events: list[dict[str, Any]] = []
        with self._lock:
            asked = (path, body)
            if key in self._answers:
                before, answer = self._answers[key]
                if before != asked:
                    return 422, _error("idempotency_key_reused")
            else:
                answer = (
                    self._charge(body, events) if path == "/charges" else self._refund(body, key)
                )
                if answer[0] < 500:
                    self._answers[key] = asked, answer
                    charge = self.charges.get(body.get("reference", ""))
                    self._note(key, asked, answer, charge, self.refunds.get(key), events)
        if events:
            self._tell(events)
        return self._late_or_lost(body.get("method"), answer)

    def _note(self, *entry: Any) -> None:
        """Write a line into the ledger."""
        if self._ledger:
            with self._ledger.open("ab", buffering=0) as file:
                file.write(json.dumps(entry).encode() + b"\n")  # all at once

    def _read_ledger(self) -> list[dict[str, Any]]:
        """Know again what is in the ledger, and return the events that nobody has taken."""
        untold: dict[str, dict[str, Any]] = {}
        lines = self._ledger.read_text() if self._ledger and self._ledger.exists() else ""
        for key, *entry in map(json.loads, lines.splitlines()):
            if not entry:
                untold.pop(key, None)
                continue
            (path, body), (status, said), charge, refund, events = entry
            self._answers[key] = (path, body), (status, said)
            if charge:
                self.charges[charge["reference"]] = charge
            if refund:
                self.refunds[key] = refund
            untold |= {event["id"]: event for event in events}
        return list(untold.values())

    def _late_or_lost(self, method: str | None, answer: Answer) -> Answer | None:
        """Let the way back go wrong."""
        if method == "tok_slow":
            self._ending.wait(self.slow_seconds)
        if method == "tok_lost_answer":
            return None
        return (201, {"garbled": "yes"}) if method == "tok_garbled" else answer

    def _charge(self, body: Any, events: list[dict[str, Any]]) -> Answer:
        """Take money, and say whom to tell what."""
        method = body["method"]
        if method not in METHODS:
            return 402, _error("unknown_token")
        if method.startswith("tok_error_"):
            return int(method.removeprefix("tok_error_")), _error("told_to_fail")
        if method == "tok_declined":
            return 402, _error("card_declined")
        pending = {
            "id": f"ch_{uuid.uuid4().hex}",
            "reference": body["reference"],
            "amount": body["amount"],
            "currency": body["currency"],
            "status": "pending",
            "failure": None,
        }
        ended = pending | {"status": "succeeded"}
        if method == "tok_declined_later":
            ended |= {"status": "failed", "failure": "insufficient_funds"}
        if method == "tok_never_decided":
            ended = pending
        self.charges[body["reference"]] = ended
        last = _event(f"charge.{ended['status']}", ended)
        events += {
            "tok_never": [],
            "tok_never_decided": [],
            "tok_twice": [last, last],
            "tok_out_of_order": [last, _event("charge.pending", pending)],
        }.get(method, [last])
        return 201, pending

    def _refund(self, body: Any, key: str) -> Answer:
        """Give money back. What the seeded data say was paid is believed."""
        if not str(body["charge"]).startswith("seed_"):
            known = (one for one in self.charges.values() if one["id"] == body["charge"])
            charge = next(known, None)
            if charge is None or charge["status"] != "succeeded":
                return 404, _error("not_found")
            if (body["amount"], body["currency"]) != (charge["amount"], charge["currency"]):
                return 422, _error("amount")
        self.refunds[key] = {"id": f"re_{uuid.uuid4().hex}", "status": "succeeded", **body}
        return 201, self.refunds[key]

    def _tell(self, events: list[dict[str, Any]]) -> None:
        """Call the webhook, in a thread of its own."""
        if self.webhook_url:
            caller = threading.Thread(target=self._deliver, args=(events,), daemon=True)
            self._callers.append(caller)
            caller.start()

    def _deliver(self, events: list[dict[str, Any]]) -> None:
        """Call the webhook with one event after the other, each until it is taken."""
        for event in events:
            for attempt in range(ATTEMPTS):
                status = self._post(json.dumps(event).encode())
                self.deliveries.append((event["id"], status))
                if 200 <= status < 300:
                    self._note(event["id"])
                if 200 <= status < 300 or self._ending.wait(self._retry_seconds * 2**attempt):
                    break

    def _post(self, body: bytes) -> int:
        """Return how the webhook answers a message; 0 if it does not."""
        address = urlsplit(self.webhook_url)
        kind = (
            http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        )
        connection = kind(address.netloc, timeout=10)
        headers = {
            "Content-Type": "application/json",
            SIGNATURE_HEADER: sign(body, secret=self._secret, timestamp=int(time.time())),
        }
        try:
            connection.request("POST", address.path, body, headers)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()


def _error(code: str) -> dict[str, Any]:
    """The body of an answer that is none of 2xx."""
    return {"error": {"code": code}}


def _event(kind: str, charge: dict[str, Any]) -> dict[str, Any]:
    """A message for the webhook."""
    return {
        "id": f"evt_{uuid.uuid4().hex}",
        "type": kind,
        "created": int(time.time()),
        "data": dict(charge),
    }


class _Server(ThreadingHTTPServer):
    """Keeps quiet about clients that do not wait for their answer."""

    provider: FakeProvider

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a request may carry the key."""


class _Handler(BaseHTTPRequestHandler):
    """Reads a request, and writes what the provider answers."""

    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 30  # seconds, for a client that sends nothing

    def do_GET(self) -> None:
        """Answer a GET."""
        self._answer(None)

    def do_POST(self) -> None:
        """Answer a POST."""
        length = int(self.headers.get("Content-Length", 0))
        if length > MAX_BODY:
            self.close_connection = True
            self._send(413, _error("too_large"))
            return
        try:
            self._answer(json.loads(self.rfile.read(length)))
        except (ValueError, KeyError, TypeError, AttributeError):
            self._send(400, _error("invalid"))

    def _answer(self, body: Any) -> None:
        """Ask the provider."""
        answer = self.server.provider.answer(self.command, self.path, self.headers, body)
        if answer is None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            self._send(*answer)

    def _send(self, status: int, body: dict[str, Any]) -> None:
        """Write an answer."""
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a request may carry the key."""


@contextmanager
def provider(**options: Any) -> Iterator[FakeProvider]:
    """A provider that answers in a thread of its own while the block runs.

    Args:
        **options: Those of FakeProvider.
    """
    fake = FakeProvider(**options)
    thread = threading.Thread(target=fake.serve, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        fake.close()
        thread.join()


def main() -> None:
    """Run a provider until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description="A payment provider that takes no money.")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=int, default=0, help="0 for a free one")
    parser.add_argument("--webhook-url", default="", help="whom to tell how a charge ended")
    parser.add_argument("--ledger", type=Path, help="a file to keep what was done in")
    arguments = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with provider(
        key=os.environ["PAYMENT_PROVIDER_KEY"],
        secret=os.environ["PAYMENT_WEBHOOK_SECRET"],
        webhook_url=arguments.webhook_url,
        host=arguments.host,
        port=arguments.port,
        ledger=arguments.ledger,
    ) as fake:
        print(f"Payment provider: {fake.url}", flush=True)  # noqa: T201
        ended.wait()


if __name__ == "__main__":
    main()
