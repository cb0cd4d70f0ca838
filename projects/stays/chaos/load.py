"""Guests who book, pay and cancel, and hosts who confirm, whatever is down.

A client asks again until it has an answer that says something, with the same Idempotency-Key, as a
good client does. So what it was told holds: it can be compared with what the database has.
"""

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

PASSWORD = "a long enough password"  # noqa: S105
PLACES = 3
"""Of each host."""
METHODS = (
    *("tok_ok",) * 4,
    *("tok_declined", "tok_declined_later", "tok_lost_answer", "tok_garbled"),
    *("tok_twice", "tok_out_of_order", "tok_never"),
)
LOOKS = 30
"""How often a guest looks what has become of a payment, before going on to another stay."""
PAUSE = 0.2


class GaveUp(Exception):
    """The load is to end, and a request has still no answer."""


@dataclass
class Load:
    """All clients.

    Attributes:
        web: The site's address.
        seed: What all choices follow from.
        answers: How many answers had which status; 0 for none.
        told: The bookings that clients were told of.
        faults: What should never be answered.
    """

    web: str
    seed: str
    answers: Counter[int] = field(default_factory=Counter)
    told: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _giving_up: threading.Event = field(default_factory=threading.Event)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _threads: list[threading.Thread] = field(default_factory=list)
    _hosts: "dict[str, Client]" = field(default_factory=dict)
    _slow: list[str] = field(default_factory=list)

    def prepare(self, guests: int, city: str) -> None:
        """Have hosts offer places, and guests register; one of each will delete the account."""
        for host in (Client(self, f"host{n}") for n in range(2)):
            host.ask("POST", "/me/hosting")
            for n in range(PLACES):
                instant = (n % 2) == 0
                place = PLACE | {"title": f"Place {n}", "city": city, "instant_book": instant}
                slug = host.ask("POST", "/properties", place)["slug"]
                self._hosts[slug] = host
                if not instant:
                    self._slow.append(slug)
        for guest in (Client(self, f"guest{n}") for n in range(guests)):
            self._threads.append(threading.Thread(target=self._live, args=(guest,)))

    def start(self) -> None:
        """Let them begin."""
        for thread in self._threads:
            thread.start()

    def stop(self, seconds: float = 60) -> None:
        """Let everybody end what was begun, and wait for that."""
        self._stopping.set()
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        self._giving_up.set()
        if any(thread.is_alive() for thread in self._threads):
            self.faults.append(f"a request has no answer after {seconds:g} s")
        for thread in self._threads:
            thread.join()

    def wait_for(self, attempts: int, seconds: float) -> None:
        """Wait until so many more requests were tried, but not for ever."""
        with self._changed:
            wanted = self.answers.total() + attempts
            self._changed.wait_for(lambda: self.answers.total() >= wanted, seconds)

    def note(self, status: int) -> None:
        """Count an answer."""
        with self._changed:
            self.answers[status] += 1
            self._changed.notify_all()

    def _live(self, guest: "Client") -> None:
        stays = 0
        try:
            while not self._stopping.is_set():
                stays += 1
                self._stay(guest, stays)
                if stays == 3 and guest.name == "guest0":  # and the bookings are let go of
                    guest.ask("DELETE", "/me", {"password": PASSWORD}, expected=(204, 401))
                    host = next(iter(self._hosts.values()))
                    host.ask("DELETE", "/me", {"password": PASSWORD}, expected=(204, 401))
                    return
        except GaveUp:
            pass
        except Exception as error:
            self.faults.append(f"{guest.name}: {error!r}")
            raise

    def _stay(self, guest: "Client", number: int) -> None:
        """Book a stay, pay it or not, have it confirmed or not, cancel it or not."""
        choice = guest.choice
        slug = choice.choice(list(self._hosts))
        begin = datetime.now(UTC).date() + timedelta(days=choice.randrange(3, 500))
        wish = {
            "property": slug,
            "check_in": begin.isoformat(),
            "check_out": (begin + timedelta(days=choice.randrange(1, 6))).isoformat(),
            "guests": 1,
        }
        key = f"{guest.name}-{number}"
        # The place is not offered any more (404) once its host is gone.
        booking = guest.ask("POST", "/bookings", wish, key=key, expected=(201, 404, 409))
        if "id" not in booking:
            return
        self.told.add(booking["id"])
        path = f"/bookings/{booking['id']}"
        if choice.random() < 0.1:
            return
        cancels = choice.choice(("at once", "later", "never", "never", "never"))
        for attempt, method in enumerate((choice.choice(METHODS), "tok_ok")):
            body = {"method": method}
            guest.ask("POST", f"{path}/payments", body, key=f"{key}-{attempt}", expected=(201, 409))
            if cancels == "at once":
                guest.ask("POST", f"{path}/cancel", {}, key=f"{key}-cancel", expected=(200, 409))
                return
            if self._comes_true(lambda: self._is_decided(guest, path)) != "failed":
                break
        if slug in self._slow and self._comes_true(lambda: self._is_paid(guest, path)):
            host, done = self._hosts[slug], (200, 409, 401)
            host.ask("POST", f"{path}/confirm", {}, key=f"{key}-confirm", expected=done)
        if cancels == "later":
            guest.ask("POST", f"{path}/cancel", {}, key=f"{key}-cancel", expected=(200, 409))

    def _comes_true(self, look: Callable[[], Any]) -> Any:
        """Look until there is something, but neither for ever nor when all is to end."""
        for _ in range(LOOKS):
            if (found := look()) or self._stopping.wait(PAUSE):
                return found
        return None

    def _is_paid(self, guest: "Client", path: str) -> bool:
        return bool(guest.ask("GET", path)["paid_at"])

    def _is_decided(self, guest: "Client", path: str) -> str | None:
        """What has become of the last payment, once that is known."""
        last = guest.ask("GET", f"{path}/payments")["results"][0]["status"]
        return None if last in ("created", "processing") else str(last)

    def pause(self, times: int) -> None:
        """Wait a moment before asking again, each time for longer, up to a second.

        Raises:
            GaveUp: if nobody is to ask again.
        """
        if self._giving_up.wait(min(PAUSE * 2**times, 1.0)):
            raise GaveUp


class Client:
    """One user, who is registered and logged in."""

    def __init__(self, load: Load, name: str) -> None:
        self.load = load
        self.name = name
        self.choice = random.Random(f"{load.seed} {name}")  # noqa: S311
        self._http = httpx.Client(base_url=f"{load.web}/api/v1", timeout=20)
        account = {"email": f"{name}@example.com", "password": PASSWORD}
        self.ask("POST", "/auth/register", account | {"name": name}, key=f"{name}-register")
        self._account = account
        self._log_in()

    def _log_in(self) -> bool:
        tokens = self.ask("POST", "/auth/login", self._account, expected=(200, 401))
        if "access" in tokens:
            self._http.headers["Authorization"] = f"Bearer {tokens['access']}"
        return "access" in tokens

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str = "",
        expected: tuple[int, ...] = (200, 201),
    ) -> Any:
        """Ask until there is an answer, and return its JSON.

        503 says that something is down, and `request_running` that the same request is still
        running. All that is neither this nor expected is a fault.
        """
        headers = {"Idempotency-Key": key} if key else {}
        for times in itertools.count():
            try:
                answer = self._http.request(method, path, json=body, headers=headers)
            except httpx.TransportError:
                self.load.note(0)
                self.load.pause(times)
                continue
            status = answer.status_code
            self.load.note(status)
            said = answer.json() if answer.content else {}
            if status == 401 and path != "/auth/login" and self._log_in():  # ten minutes are over
                continue
            if status in expected and said.get("code") != "request_running":
                return said
            if status != 503 and said.get("code") != "request_running":
                self.load.faults.append(f"{method} {path}: {status} {answer.text[:200]}")
                if status != 500:
                    return said
            self.load.pause(times)
        return None


PLACE: dict[str, Any] = {
    "kind": "entire",
    "address": "Rua Augusta 1",
    "latitude": 38.71,
    "longitude": -9.14,
    "max_guests": 4,
    "bedrooms": 2,
    "nightly_minor": 9_000,
    "cleaning_minor": 3_000,
    "currency": "EUR",
}
