"""Judges of "Payments and webhooks": a payment that is made once, a receiver, a reconciliation."""

import base64
import copy
import hashlib
import hmac
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any, cast

import psycopg

from nexus.judging import NotYet, judge
from nexus.judging.limits import Enough, Run, all_of, within
from nexus.judging.meeting import come_to_rest, holding
from nexus.judging.sandbox import Connection, Sandbox, another, database
from nexus.judging.verdict import first_line
from nexus.judging.watching import watched, watching
from nexus.judging.workers import OtherProcessError, Worker, worker
from nexus.services.process import wait_for

PATIENCE = 2.0
"""Seconds that a call is held back, if the other process does not get through without it."""

Charge = Callable[[str, int], str]
Pay = Callable[[Connection, Charge, str, int], object]
Receive = Callable[[Connection, Sequence[str], Mapping[str, str], bytes], object]
Work = Callable[[Connection], object]


class Unclear(Exception):  # noqa: N818 (it is an outcome)
    """The provider's answer did not come, or said nothing: the money may have moved or not."""


class KeyReused(Exception):  # noqa: N818 (it is an answer of the provider's)
    """The provider knows this key with another amount."""


def _payments(connection: Connection) -> None:
    """The table of the exercise, and the provider's own, which the answer cannot see."""
    connection.execute("""
        CREATE TABLE payment (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            booking text NOT NULL,
            amount bigint NOT NULL,
            key text NOT NULL UNIQUE,
            status text NOT NULL DEFAULT 'unclear'
                CHECK (status IN ('unclear', 'succeeded', 'declined'))
        );
        CREATE UNIQUE INDEX payment_one_live ON payment (booking) WHERE status <> 'declined';
        CREATE SCHEMA bank;
        CREATE TABLE bank.known (key text PRIMARY KEY, amount bigint, status text);
        CREATE TABLE bank.moved (booking text, amount bigint, key text);
        CREATE TABLE bank.busy (key text);
        CREATE TABLE bank.complaint (said text);
    """)


@dataclass
class Bank:
    """The provider, as one process sees it. What it knows is in the database.

    Attributes:
        box: where.
        db: its own connection; a forked process opens another one.
        asked: how often it was asked, in the current call.
    """

    box: Sandbox
    db: Connection
    asked: int = 0
    meet: Callable[[], None] = field(default=lambda: None)

    @classmethod
    def of(cls, box: Sandbox) -> "Bank":
        """One for this process."""
        return cls(box, box.server.connect(dbname=box.admin.info.dbname, autocommit=True))

    def charge(
        self, connection: Connection, booking: str, mode: str, key: object, amount: object
    ) -> str:
        """What the answer calls; `mode` says how it goes."""
        self.asked += 1
        key = str(key)
        state = self.db.execute(
            "SELECT state FROM pg_stat_activity WHERE pid = %s", [connection.info.backend_pid]
        ).fetchone()
        if state and str(state[0]).startswith("idle in transaction"):
            self.complain(
                "a transaction is open while the provider is asked: it holds its locks for as long "
                "as the provider takes, and a crash undoes what you have noted"
            )
        if mode == "error":
            raise Unclear("status 500")
        if mode == "bug":
            raise TypeError("Object of type Decimal is not JSON serializable")
        if mode == "die before":
            self.die(connection)
        if mode == "busy" and self.is_busy(key):
            with suppress(TimeoutError):
                wait_for(lambda: self.is_paid(booking), PATIENCE, "the other one to end")
            raise Unclear("a request with this key is running")
        if mode == "meet":
            self.db.execute("INSERT INTO bank.busy VALUES (%s)", [key])
            self.meet()
        status = self.answer(booking, key, amount, "declined" if "decline" in mode else "succeeded")
        if mode == "die after":
            self.die(connection)
        if mode.startswith("lost"):
            raise Unclear("the answer did not come")
        return status

    def answer(self, booking: str, key: str, amount: object, status: str) -> str:
        """Does what is asked, once for each key."""
        new = self.db.execute(
            "INSERT INTO bank.known VALUES (%s, %s, %s) ON CONFLICT DO NOTHING RETURNING key",
            [key, amount, status],
        ).fetchone()
        if new and status == "succeeded":
            self.db.execute("INSERT INTO bank.moved VALUES (%s, %s, %s)", [booking, amount, key])
        [(known, said)] = self.db.execute(
            "SELECT amount, status FROM bank.known WHERE key = %s", [key]
        ).fetchall()
        if known != amount:
            self.complain(
                f"the key {key!r} was used with {known} before, and now with {amount}: each "
                "attempt needs a key of its own, and another amount is another attempt"
            )
            raise KeyReused(key)
        return str(said)

    def complain(self, said: str) -> None:
        """Notes what is wrong: the answer may swallow what is raised."""
        self.db.execute("INSERT INTO bank.complaint VALUES (%s)", [said])

    def is_busy(self, key: str) -> bool:
        """Whether a request with this key is running; it tells the other one that it is here."""
        self.db.execute("INSERT INTO bank.busy VALUES ('arrived')")
        return bool(self.db.execute("SELECT 1 FROM bank.busy WHERE key = %s", [key]).fetchone())

    def is_paid(self, booking: str) -> bool:
        """Whether the answer's table says that a booking is paid."""
        return bool(
            self.db.execute(
                "SELECT 1 FROM payment WHERE booking = %s AND status = 'succeeded'", [booking]
            ).fetchone()
        )

    def die(self, connection: Connection) -> None:
        """The process is gone: nothing that it still does reaches the database."""
        self.box.stop(connection)
        raise Enough("its process is gone")


GIVEN_1 = """
def pay(connection, charge, booking, amount):
    key = f"{booking}-{uuid.uuid4()}"
    try:
        status = charge(key, amount)
    except Unclear:
        status = "unclear"
    connection.execute(
        "INSERT INTO payment (booking, amount, key, status) VALUES (%s, %s, %s, %s)",
        [booking, amount, key, status],
    )
    return status
"""


@judge(
    "payments-and-webhooks.1",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a connection, charge, a booking and an amount: it notes a key before "
    "it asks, and uses that key again after an unclear outcome",
    stub=GIVEN_1,
)
def pay_once(answer: Pay) -> str:
    """Each booking is charged once: after lost answers, after deaths, from two processes."""
    with (
        database("payments_pay", _payments) as box,
        # The other process is forked before the answer is called for the first time.
        worker(partial(_pay_there, answer, box, {})) as other,
    ):
        bank = Bank.of(box)
        try:
            till = Till(answer, box, bank)
            _in_turn(till)
            _other_amounts(till)
            _a_bug(till)
            _handed_over(till, other)
            _deaths(till)
            for number, before in enumerate((["ok"], ["decline", "ok"], ["error", "ok"])):
                _late_answer(till, other, f"late-{number}", before)
                _meeting(till, other, f"met-{number}", before)
            _failing_together(till, other)
            _two_amounts(till, other)
            _two_bookings(till, other)
            _keys(till)
        finally:
            bank.db.close()
    return (
        "each booking was charged once, also after lost answers, errors, declined cards and "
        "crashes, and when two processes paid at once"
    )


@dataclass
class Till:
    """Calls the answer, and looks at what has become of it."""

    answer: Pay
    box: Sandbox
    bank: Bank

    def run(self, connection: Connection, booking: str, amount: int, mode: str) -> object:
        """One call, in the thread of whoever calls this."""
        self.bank.asked = 0
        charge = partial(self.bank.charge, connection, booking, mode)
        return self.answer(connection, charge, booking, amount)

    def pay(self, what: str, booking: str, amount: int, mode: str, *wanted: str) -> None:
        """One call, of which the result is known."""
        try:
            found = within(partial(self.run, self.box.learner, booking, amount, mode))
        except psycopg.Error as error:
            raise NotYet(
                f"{what}: pay raised {type(error).__name__}: {first_line(error)}"
            ) from None
        except (Unclear, KeyReused) as error:
            self.check(what)
            raise NotYet(f"{what}: pay raised {type(error).__name__}") from None
        self.check(what)
        self.idle(what)
        if self.bank.asked > 1:
            raise NotYet(f"{what}: one call asked the provider {self.bank.asked} times")
        if found not in wanted:
            raise NotYet(f"{what}: pay should return {' or '.join(wanted)}, and returned {found!r}")

    def idle(self, what: str) -> None:
        """Whether it leaves the connection as it was."""
        if self.box.learner.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            raise NotYet(f"{what}: pay has returned, and its transaction is still open")

    def declined(self, what: str, booking: str, count: int) -> None:
        """How many attempts are noted as declined."""
        found = self.box.admin.execute(
            "SELECT FROM payment WHERE booking = %s AND status = 'declined'", [booking]
        ).rowcount
        if found != count:
            raise NotYet(
                f"{what}: the rows of payment that were declined should be {count}, and are "
                f"{found}: each declined attempt keeps its row"
            )

    def check(self, what: str) -> None:
        """What the bank has noted."""
        if said := self.box.admin.execute("SELECT said FROM bank.complaint").fetchone():
            raise NotYet(f"{what}: {said[0]}")

    def moved(self, what: str, booking: str, *amounts: int) -> None:
        """What was taken, and what the table says of it."""
        select = "SELECT amount FROM {} WHERE booking = %s {}"
        found = [
            amount
            for (amount,) in self.box.admin.execute(select.format("bank.moved", ""), [booking])
        ]
        if len(found) > len(amounts):
            raise NotYet(f"{what}: the booking was charged {len(found)} times: {found}")
        if found != list(amounts):
            raise NotYet(f"{what}: the booking should be charged {list(amounts)}, and was {found}")
        rows = [
            amount
            for (amount,) in self.box.admin.execute(
                select.format("payment", "AND status = 'succeeded'"), [booking]
            )
        ]
        if rows != found:
            raise NotYet(
                f"{what}: {found} was taken, and the rows of payment that succeeded are {rows}"
            )


WAYS: dict[str, list[tuple[str, str]]] = {
    "a plain payment": [("ok", "succeeded")],
    "the time ran out after the charge, and then pay was called again": [
        ("lost", "unclear"),
        ("ok", "succeeded"),
    ],
    "the provider had an error before the charge, and then pay was called again": [
        ("error", "unclear"),
        ("ok", "succeeded"),
    ],
    "errors and lost answers, four times": [
        ("error", "unclear"),
        ("lost", "unclear"),
        ("error", "unclear"),
        ("lost", "unclear"),
        ("ok", "succeeded"),
    ],
    "the card was declined, and the next one was good": [
        ("decline", "declined"),
        ("ok", "succeeded"),
    ],
    "two cards were declined, and the third one was good": [
        ("decline", "declined"),
        ("decline", "declined"),
        ("ok", "succeeded"),
    ],
    "the card was declined, the answer was lost, and pay was called twice more": [
        ("lost decline", "unclear"),
        ("ok", "declined"),
        ("ok", "succeeded"),
    ],
    "a declined card, and then a lost answer": [
        ("decline", "declined"),
        ("lost", "unclear"),
        ("ok", "succeeded"),
    ],
}


def _in_turn(till: Till) -> None:
    """One call after the other, for several bookings of the same price."""
    for number, (what, calls) in enumerate(WAYS.items()):
        booking, amount = f"Côte d'Or {number}", 150_00 + 1_00 * (number % 2)
        for mode, wanted in calls:
            till.pay(what, booking, amount, mode, wanted)
        till.moved(what, booking, amount)
        till.declined(what, booking, [wanted for _, wanted in calls].count("declined"))
        till.box.admin.execute("TRUNCATE bank.known")  # some days later
        what += ", and some days later pay was called again"
        till.pay(what, booking, amount, "ok", "succeeded")
        till.moved(what, booking, amount)
        if till.bank.asked:
            raise NotYet(f"{what}: it had succeeded, and the provider was asked again")


def _other_amounts(till: Till) -> None:
    """The same booking with another amount."""
    for number, (mode, wanted) in enumerate((("ok", "succeeded"), ("error", "unclear"))):
        booking = f"other-{number}"
        what = f"a payment of 9000 was {wanted}, and then pay was called with 9500"
        till.pay(what, booking, 90_00, mode, wanted)
        try:
            found = within(partial(till.run, till.box.learner, booking, 95_00, "ok"))
        except ValueError:
            found = ValueError
        except (psycopg.Error, KeyReused) as error:
            till.check(what)
            raise NotYet(
                f"{what}: it should raise ValueError, not {type(error).__name__}"
            ) from None
        if till.bank.asked:
            raise NotYet(f"{what}: the provider should not be asked")
        if found is not ValueError:
            raise NotYet(f"{what}: it should raise ValueError, and returned {found!r}")
        till.pay(what + ", and again with 9000", booking, 90_00, "ok", "succeeded")
        till.moved(what + ", and again with 9000", booking, 90_00)
    what = "a payment of 9000 was declined, and then pay was called with 9500"
    till.pay(what, "other-2", 90_00, "decline", "declined")
    till.pay(what, "other-2", 95_00, "ok", "succeeded")
    till.moved(what, "other-2", 95_00)


def _a_bug(till: Till) -> None:
    """What charge raises besides Unclear is no outcome, and it comes through."""
    what = "charge raised TypeError, which is a bug and no unclear outcome"
    for booking, before in (("bug-0", ""), ("bug-1", "error")):
        if before:
            till.pay(what, booking, 30_00, before, "unclear")
        try:
            found = within(partial(till.run, till.box.learner, booking, 30_00, "bug"))
        except TypeError:
            pass
        except (psycopg.Error, ValueError, Unclear, KeyReused) as error:
            raise NotYet(f"{what}: pay raised {type(error).__name__}: let it through") from None
        else:
            till.check(what)
            raise NotYet(f"{what}: pay should raise it, and returned {found!r}: catch only Unclear")
        till.check(what)
        till.idle(what)
        till.pay(f"{what}, and then it was mended", booking, 30_00, "ok", "succeeded")
        till.moved(f"{what}, and then it was mended", booking, 30_00)


def _handed_over(till: Till, other: Worker) -> None:
    """This process has ended its call, and the other one goes on with the booking."""
    for number, (mode, wanted) in enumerate(
        (("ok", "succeeded"), ("error", "unclear"), ("lost", "unclear"), ("decline", "declined"))
    ):
        booking = f"over-{number}"
        what = f"pay returned {wanted!r}, and then another process paid the same booking"
        till.pay(what, booking, 50_00, mode, wanted)
        if (found := other.said(f"{what}: pay", booking, 50_00, "ok")) != "succeeded":
            raise NotYet(f"{what}: pay should return succeeded there, and returned {found!r}")
        till.check(what)
        till.moved(what, booking, 50_00)


def _keys(till: Till) -> None:
    """What was charged can be asked for later."""
    if lost := till.box.admin.execute(
        "SELECT moved.key, payment.key FROM bank.moved JOIN payment USING (booking) "
        "WHERE status = 'succeeded' AND moved.key <> payment.key ORDER BY payment.id"
    ).fetchone():
        raise NotYet(
            f"the key {lost[0]!r} was charged, and the row that succeeded has the key "
            f"{lost[1]!r}: a key that is made anew may be another one tomorrow"
        )


def _deaths(till: Till) -> None:
    """The process dies on both sides of the charge."""
    for number, first in enumerate(([], [("decline", "declined")])):
        for when in ("before", "after"):
            booking = f"dead-{when}-{number}"
            what = f"the process died just {when} the provider had taken the money"
            for mode, wanted in first:
                till.pay(what, booking, 70_00, mode, wanted)
            with another(till.box) as connection, suppress(NotYet, psycopg.Error):
                within(partial(till.run, connection, booking, 70_00, f"die {when}"))
            till.check(what)
            till.pay(f"{what}, and pay was called again", booking, 70_00, "ok", "succeeded")
            till.moved(f"{what}, and pay was called again", booking, 70_00)


def _pay_there(
    answer: Pay, box: Sandbox, state: dict[str, Any], booking: str, amount: int, mode: str
) -> object:
    """One call in the other process, with connections of its own."""
    if not state:
        info = box.learner.info
        state["db"] = box.server.connect(dbname=info.dbname, user=info.user, autocommit=True)
        state["bank"] = Bank.of(box)
    return Till(answer, box, state["bank"]).run(state["db"], booking, amount, mode)


def _late_answer(till: Till, other: Worker, booking: str, before: Sequence[str]) -> None:
    """The other process asks while this one is being answered, and hears of it afterwards."""
    what = "another process paid the same booking, while the provider was working on it"
    for mode in before[:-1]:
        till.pay(what, booking, 80_00, mode, "declined" if mode == "decline" else "unclear")
    till.box.admin.execute("TRUNCATE bank.busy")

    def meet() -> None:
        other.ask(booking, 80_00, "busy")
        with suppress(TimeoutError):  # it may wait for this one
            wait_for(
                lambda: (
                    other.is_done()
                    or till.box.admin.execute(
                        "SELECT 1 FROM bank.busy WHERE key = 'arrived'"
                    ).fetchone()
                ),
                PATIENCE,
                "the other process",
            )

    till.bank.meet = meet
    till.pay(what, booking, 80_00, "meet", "succeeded")
    _both(till, what, other.heard("pay in the other process"))
    till.moved(what, booking, 80_00)
    till.pay(f"{what}, and then again", booking, 80_00, "ok", "succeeded")
    till.moved(what, booking, 80_00)


def _meeting(till: Till, other: Worker, booking: str, before: Sequence[str]) -> None:
    """Two processes that have both read, and now write."""
    what = "two processes paid the same booking at once"
    for mode in before[:-1]:
        till.pay(what, booking, 60_00, mode, "declined" if mode == "decline" else "unclear")
    for found in _at_once(till, other, what, "ok", (booking, 60_00), (booking, 60_00)):
        _both(till, what, found)
    till.pay(f"{what}, and then again", booking, 60_00, "ok", "succeeded")
    till.moved(what, booking, 60_00)


def _at_once(
    till: Till, other: Worker, what: str, mode: str, here: tuple[str, int], there: tuple[str, int]
) -> list[object]:
    """What two calls return that have both read, and now write. A ValueError is returned."""
    with holding(till.box, "LOCK TABLE payment IN SHARE ROW EXCLUSIVE MODE") as holder:
        run = Run(partial(till.run, till.box.learner, *here, mode))
        other.ask(*there, mode)
        come_to_rest(till.box, [lambda: run.is_running, lambda: not other.is_done()])
        holder.commit()
        found = list[object]()
        try:
            found.append(all_of([run], "pay")[0].value())
        except ValueError:
            found.append(ValueError)
        except (psycopg.Error, Unclear, KeyReused, TypeError) as error:
            till.check(what)
            raise NotYet(
                f"{what}: pay raised {type(error).__name__}: {first_line(error)}"
            ) from None
    try:
        found.append(other.answer(f"{what}: pay"))
    except OtherProcessError as error:
        if "ValueError" not in error.kind:
            till.check(what)
            raise NotYet(f"{what}: pay raised {error.kind[0]}: {error}") from None
        found.append(ValueError)
    till.check(what)
    return found


def _both(till: Till, what: str, found: object, *wanted: str) -> None:
    till.check(what)
    if found not in (wanted or ("succeeded", "unclear")):
        raise NotYet(f"{what}: pay returned {'ValueError' if found is ValueError else repr(found)}")


def _failing_together(till: Till, other: Worker) -> None:
    """Two that meet, and neither of them is paid."""
    what = "two processes paid the same booking at once, and the provider had an error"
    for found in _at_once(till, other, what, "error", ("failed", 40_00), ("failed", 40_00)):
        _both(till, what, found, "unclear")
    till.moved(what, "failed")


def _two_amounts(till: Till, other: Worker) -> None:
    """Two that meet with different amounts: one of them is wrong."""
    what = "two processes paid the same booking at once, with 4000 and with 4500"
    found = _at_once(till, other, what, "ok", ("odd", 40_00), ("odd", 45_00))
    for one in found:
        if one is not ValueError:
            _both(till, what, one)
    if found == ["succeeded", "succeeded"]:
        raise NotYet(f"{what}: both returned 'succeeded', and one should raise ValueError")
    taken = till.box.admin.execute("SELECT amount FROM bank.moved WHERE booking = 'odd'").fetchall()
    if len(taken) != 1:
        raise NotYet(f"{what}: the booking should be charged once, and was {len(taken)} times")
    till.moved(what, "odd", taken[0][0])


def _two_bookings(till: Till, other: Worker) -> None:
    """Two that meet, and have nothing to do with each other."""
    what = "two processes paid two bookings at once"
    for found in _at_once(till, other, what, "ok", ("this", 40_00), ("that", 40_00)):
        _both(till, what, found)
    for booking in ("this", "that"):
        till.pay(f"{what}, and then again", booking, 40_00, "ok", "succeeded")
        till.moved(what, booking, 40_00)


# -- 2: a receiver

OLD, NEW, STRANGE = (base64.b64encode(bytes([n]) * 24).decode() for n in (17, 18, 19))
SECRETS = (f"whsec_{NEW}", f"whsec_{OLD}")
Headers = dict[str, str]


def _inbox(connection: Connection) -> None:
    connection.execute("""
        CREATE TABLE event (
            id text PRIMARY KEY, body text NOT NULL, done boolean NOT NULL DEFAULT false
        );
        CREATE TABLE booking (
            id text PRIMARY KEY, paid bigint NOT NULL DEFAULT 0,
            status text NOT NULL DEFAULT 'pending'
        );
    """)


def _signed(body: bytes, name: str, secret: str = NEW, late: float = 0) -> Headers:
    """The headers of a message, made by hand, as the scheme describes them."""
    at = str(int(time.time() - late))
    signed = f"{name}.{at}.".encode() + body
    digest = hmac.new(base64.b64decode(secret), signed, hashlib.sha256).digest()
    return {
        "webhook-id": name,
        "webhook-timestamp": at,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def _event(kind: str, booking: str, amount: int) -> bytes:
    """A body, with blanks and a letter that a second dump would change."""
    data = {"booking": booking, "amount": amount, "guest": "Åsa"}
    return json.dumps({"type": kind, "data": data}, ensure_ascii=False, indent=1).encode()


GIVEN_2 = """
def receive(connection, secrets, headers, body):
    event = json.loads(body)
    Webhook(secrets[0]).verify(json.dumps(event), headers)
    connection.execute("INSERT INTO event VALUES (%s, %s)", [headers["webhook-id"], str(event)])
    return 202


def work(connection):
    for event_id, body in connection.execute("SELECT id, body FROM event WHERE NOT done"):
        data = json.loads(body)["data"]
        connection.execute(
            "UPDATE booking SET paid = paid + %s WHERE id = %s", [data["amount"], data["booking"]]
        )
        connection.execute("UPDATE event SET done = true WHERE id = %s", [event_id])
"""


@judge(
    "payments-and-webhooks.2",
    takes=tuple,
    called="two functions, (receive, work)",
    hint="give two functions, (receive, work): the first one verifies the body as it came and "
    "stores it, and the second one does the work",
    stub=GIVEN_2,
)
def receiver(answer: tuple[Receive, Work]) -> str:
    """It takes what is signed, once, and does the work of each event once."""
    if len(answer) != 2 or not all(map(callable, answer)):
        raise NotYet("give two functions: (receive, work)")
    with (
        database("payments_inbox", _inbox) as box,
        worker(partial(_there, answer, box, {})) as other,
    ):
        desk = Desk(answer[0], answer[1], box)
        _accepts(desk)
        _refuses(desk)
        _works(desk)
        _many(desk)
        _copies(desk, other)
        _unstored(desk)
        _breaks(desk)
        _two_workers(desk, other)
    return (
        "forged, changed and old messages are refused, two secrets are accepted, and each event "
        "has its effect once, also out of order, with copies, two workers and broken connections"
    )


def _there(
    answer: tuple[Receive, Work],
    box: Sandbox,
    state: dict[str, Any],
    body: bytes | None = None,
    name: str = "",
) -> object:
    """Receives a message in another process, or works there."""
    if not state:
        info = box.learner.info
        state["db"] = box.server.connect(dbname=info.dbname, user=info.user, autocommit=True)
    if body is None:
        answer[1](state["db"])
        return None
    return answer[0](state["db"], SECRETS, _signed(body, name), body)


@dataclass
class Desk:
    """Calls the two functions, and looks at the tables."""

    receive: Receive
    work: Work
    box: Sandbox
    count: int = 0
    bookings: set[str] = field(default_factory=set)
    compared: list[str] = field(default_factory=list)

    def fresh(self, *bookings: str) -> None:
        """Empty tables, and some bookings."""
        self.box.admin.execute("TRUNCATE event, booking")
        self.bookings = set(bookings)
        for booking in bookings:
            self.box.admin.execute("INSERT INTO booking (id) VALUES (%s)", [booking])

    def get(self, what: str, body: bytes, headers: Headers, status: int) -> None:
        """Gives one message to the answer."""
        before = self.events()
        headers = dict(headers)
        if signature := headers.get("webhook-signature"):
            headers["webhook-signature"] = watched(signature, self.compared)
        try:
            with watching(self.compared):
                found = within(
                    partial(self.receive, self.box.learner, list(SECRETS), headers, body)
                )
        except Exception as error:
            if isinstance(error, NotYet):
                raise
            raise NotYet(
                f"{what}: receive raised {type(error).__name__}: {first_line(error)}"
            ) from None
        self.idle(what)
        if found != status:
            raise NotYet(f"{what}: receive should return {status}, and returned {found!r}")
        stored = self.events() - before
        if status == 401 and stored:
            raise NotYet(f"{what}: it was refused, and yet it is stored")
        if status == 202 and headers["webhook-id"] not in self.events():
            raise NotYet(f"{what}: the answer was 202, and the event is not stored")

    def send(self, kind: str, booking: str, amount: int, name: str = "") -> None:
        """Gives it a good message."""
        self.count += 1
        body = _event(kind, booking, amount)
        self.get("a message that is signed", body, _signed(body, name or f"m{self.count}"), 202)

    def do(self, what: str, connection: Connection | None = None) -> None:
        """Lets it work."""
        try:
            within(partial(self.work, connection or self.box.learner))
        except psycopg.Error as error:
            raise NotYet(f"{what}: work failed: {first_line(error)}") from None
        except Exception as error:
            if isinstance(error, NotYet):
                raise
            raise NotYet(
                f"{what}: work raised {type(error).__name__}: {first_line(error)}"
            ) from None
        self.idle(what)

    def idle(self, what: str) -> None:
        """Whether it leaves the connection as it was."""
        info = self.box.learner.info
        if info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            raise NotYet(f"{what}: your function has returned, and its transaction is still open")

    def events(self) -> set[str]:
        """The ids that are stored."""
        return {name for (name,) in self.box.admin.execute("SELECT id FROM event")}

    def is_(self, what: str, **bookings: tuple[int, str]) -> None:
        """Compares the bookings, and all events must be done."""
        rows = self.box.admin.execute("SELECT id, paid, status FROM booking").fetchall()
        found = {name: (paid, status) for name, paid, status in rows}
        if new := sorted({*found} - self.bookings):
            raise NotYet(f"{what}: there is a new booking, {new[0]}: work makes none")
        for name, wanted in bookings.items():
            if found.get(name) != wanted:
                raise NotYet(f"{what}: {name} should have {wanted}, and has {found.get(name)}")
        if left := self.box.admin.execute("SELECT id FROM event WHERE NOT done").fetchone():
            raise NotYet(f"{what}: after work, the event {left[0]} is not done")


def _accepts(desk: Desk) -> None:
    body = _event("payment.succeeded", "b1", 150_00)
    good = _signed(body, "a1")
    spaced = _signed(body, "a4")
    spaced["webhook-signature"] = "v1a,AAAA v1,AAAA " + spaced["webhook-signature"]
    desk.fresh("b1")
    desk.get("a message signed with the first secret", body, good, 202)
    desk.get("the same message again", body, good, 202)
    desk.get("a message signed with the second secret", body, _signed(body, "a2", OLD), 202)
    desk.get("a message four minutes old", body, _signed(body, "a3", late=240), 202)
    desk.get("a message four minutes in the future", body, _signed(body, "a6", late=-240), 202)
    desk.get("two wrong signatures, and then the right one", body, spaced, 202)
    if desk.box.admin.execute(
        "SELECT 1 FROM booking WHERE paid <> 0 OR status <> 'pending'"
    ).fetchone():
        raise NotYet("receive has changed a booking: only work does that")
    body = b"no JSON at all"
    desk.get("a signed message that is no JSON", body, _signed(body, "a5"), 202)


def _refuses(desk: Desk) -> None:
    desk.fresh("b1")
    body = _event("payment.succeeded", "b1", 150_00)
    good = _signed(body, "r1")
    signature = good["webhook-signature"]
    forged: dict[str, tuple[bytes, Headers]] = {
        "a message signed by a stranger": (body, _signed(body, "r1", STRANGE)),
        "a body whose amount was changed": (body.replace(b"15000", b"95000"), good),
        "a body that was parsed and dumped again": (json.dumps(json.loads(body)).encode(), good),
        "a message under another id": (body, good | {"webhook-id": "r2"}),
        "a message under a newer time": (
            body,
            _signed(body, "r1", late=900) | {"webhook-timestamp": good["webhook-timestamp"]},
        ),
        "a message ten minutes old": (body, _signed(body, "r1", late=600)),
        "a message of an old key, ten minutes old": (body, _signed(body, "r1", OLD, late=600)),
        "a message ten minutes in the future": (body, _signed(body, "r1", late=-600)),
        "a time that is no number": (body, good | {"webhook-timestamp": "now"}),
        "an empty signature": (body, good | {"webhook-signature": ""}),
        "a signature without its version": (
            body,
            good | {"webhook-signature": signature.partition(",")[2]},
        ),
        "a signature of another version": (
            body,
            good | {"webhook-signature": signature.replace("v1,", "v2,")},
        ),
        "a signature that is no base64": (body, good | {"webhook-signature": "v1,a"}),
        "a signature that was cut": (body, good | {"webhook-signature": signature[:20]}),
        "no headers": (body, {}),
        "a body that is no UTF-8, and is forged": (b"\xff" + body, good),
        **{
            f"no {name}": (body, {key: value for key, value in good.items() if key != name})
            for name in good
        },
    }
    for what, (sent, headers) in forged.items():
        desk.get(what, sent, headers, 401)
    if desk.compared:
        raise NotYet(
            "the signature was compared by == or in, which may stop at the first wrong character, "
            "so that the time tells a stranger how much was right: use hmac.compare_digest"
        )


def _works(desk: Desk) -> None:
    rng = random.Random(11)  # noqa: S311 (no secret)
    for turn in range(2):
        first, second = rng.randint(100, 99_999), rng.randint(100, 99_999)
        desk.fresh("b1", "b2", "b3")
        desk.send("payment.succeeded", "b1", first)
        desk.send("payment.succeeded", "b2", second)
        what = "two bookings were paid"
        desk.do(what)
        desk.is_(what, b1=(first, "paid"), b2=(second, "paid"), b3=(0, "pending"))
        desk.do(what + ", and work ran again")
        desk.is_(what + ", and work ran again", b1=(first, "paid"), b2=(second, "paid"))
        desk.send("payment.refunded", "b1", 30)
        desk.send("payment.refunded", "b1", 30)
        what = "a part was given back twice, in two events"
        desk.do(what)
        desk.is_(what, b1=(first - 60, "refunded"), b2=(second, "paid"))
        for together in (False, True):
            for names in (("x1", "x2"), ("y2", "y1")):
                what = "the refund came before the payment" + (
                    ", and both were stored before work ran" if together else ""
                )
                desk.fresh("b1")
                desk.send("payment.refunded", "b1", first, names[0])
                if not together:
                    desk.do(what)
                    desk.is_("the refund came, and no payment yet", b1=(-first, "refunded"))
                desk.send("payment.succeeded", "b1", first, names[1])
                desk.do(what)
                desk.is_(what, b1=(0, "refunded"))
        what = "there were events of other types, for other bookings, and without a field"
        desk.fresh("b1")
        odd = [
            _event("payment.disputed", "b1", 500),
            _event("payment.succeeded", f"nobody-{turn}", 500),
            b"no JSON at all",
            b'["a list"]',
            b'{"type": "payment.succeeded"}',
            b'{"type": "payment.succeeded", "data": {"booking": "b1"}}',
            b'{"type": "payment.refunded", "data": {"amount": 500}}',
            b'{"type": "customer.created", "data": {"name": "b1"}}',
            b"17",
        ]
        for number, body in enumerate(odd):
            desk.get("a message that is signed", body, _signed(body, f"a-{number}"), 202)
        desk.send("payment.succeeded", "b1", first, "b-good")
        desk.do(what)
        desk.is_(what, b1=(first, "paid"))


def _many(desk: Desk) -> None:
    """More events than a small batch holds."""
    desk.fresh("b1")
    for _ in range(130):
        desk.send("payment.succeeded", "b1", 7_00)
    what = "130 events were stored, and work ran once"
    desk.do(what)
    desk.is_(what, b1=(910_00, "paid"))


def _copies(desk: Desk, other: Worker) -> None:
    desk.fresh("b1")
    body = _event("payment.succeeded", "b1", 150_00)
    what = "the same message came to two processes at once"
    with holding(desk.box, "LOCK TABLE event IN SHARE ROW EXCLUSIVE MODE") as holder:
        run = Run(
            partial(desk.receive, desk.box.learner, list(SECRETS), _signed(body, "twin"), body)
        )
        other.ask(body, "twin")
        come_to_rest(desk.box, [lambda: run.is_running, lambda: not other.is_done()])
        holder.commit()
        try:
            here = all_of([run], "receive")[0].value()
        except psycopg.Error as error:
            raise NotYet(f"{what}: receive raised {type(error).__name__}") from None
    if (here, other.heard(f"{what}: receive")) != (202, 202):
        raise NotYet(f"{what}: both should get 202")
    desk.do(what)
    desk.is_(what, b1=(150_00, "paid"))
    what = "a copy came after the work was done"
    desk.get(what, body, _signed(body, "twin"), 202)
    desk.do(what)
    desk.is_(what, b1=(150_00, "paid"))
    what = "another body came under a known id, before and after the work"
    desk.fresh("b1")
    for amount in (150_00, 990_00):
        desk.send("payment.succeeded", "b1", amount, "known")
    desk.do(what)
    desk.is_(what, b1=(150_00, "paid"))
    desk.send("payment.succeeded", "b1", 770_00, "known")
    desk.do(what)
    desk.is_(what, b1=(150_00, "paid"))


def _unstored(desk: Desk) -> None:
    """The connection breaks before an event is stored, and the sender must not think that it is."""
    desk.fresh("b1")
    body = _event("payment.succeeded", "b1", 150_00)
    with (
        another(desk.box) as connection,
        holding(desk.box, "LOCK TABLE event IN SHARE ROW EXCLUSIVE MODE"),
    ):
        run = Run(partial(desk.receive, connection, list(SECRETS), _signed(body, "gone"), body))
        come_to_rest(desk.box, [lambda: run.is_running])
        desk.box.stop(connection)
        found: object = None
        with suppress(Exception):
            found = all_of([run], "receive")[0].value()
    if found in (202, 401):
        raise NotYet(
            f"the connection broke before the event was stored, and receive returned {found}: "
            + (
                "the sender will not send it again"
                if found == 202
                else "the signature was right, so raise the error, or return 500"
            )
        )
    desk.get("the same message came again", body, _signed(body, "gone"), 202)
    desk.do("a message that could be stored at its second try")
    desk.is_("a message that could be stored at its second try", b1=(150_00, "paid"))


def _breaks(desk: Desk) -> None:
    """The connection breaks while work waits for one of the tables."""
    for table in ("booking", "event"):
        desk.fresh("b1", "b2")
        desk.send("payment.succeeded", "b1", 150_00)
        desk.send("payment.succeeded", "b2", 90_00)
        what = f"the connection broke before your change of {table}, and work ran again"
        with (
            another(desk.box) as connection,
            holding(desk.box, f"LOCK TABLE {table} IN SHARE MODE"),
        ):
            run = Run(partial(desk.work, connection))
            come_to_rest(desk.box, [lambda: run.is_running])  # noqa: B023 (called here only)
            desk.box.stop(connection)
            with suppress(Exception):
                all_of([run], "work")[0].value()
        desk.do(what)
        desk.is_(what, b1=(150_00, "paid"), b2=(90_00, "paid"))


def _two_workers(desk: Desk, other: Worker) -> None:
    for table in ("booking", "event"):
        desk.fresh("b1", "b2")
        for booking, amount in (("b1", 100_00), ("b1", 11_00), ("b2", 90_00)):
            desk.send("payment.succeeded", booking, amount)
        what = "two processes worked at once"
        with holding(desk.box, f"LOCK TABLE {table} IN SHARE MODE") as holder:
            run = Run(partial(desk.work, desk.box.learner))
            other.ask()
            come_to_rest(desk.box, [lambda: run.is_running, lambda: not other.is_done()])  # noqa: B023
            holder.commit()
            try:
                all_of([run], "work")[0].value()
            except psycopg.Error as error:
                raise NotYet(f"{what}: work failed: {first_line(error)}") from None
        other.heard(f"{what}: work")
        desk.do(what)
        desk.is_(what, b1=(111_00, "paid"), b2=(90_00, "paid"))
        what = "work had ended here, and then only the other process worked"
        desk.send("payment.succeeded", "b2", 5_00)
        other.said(f"{what}: work")
        desk.is_(what, b1=(111_00, "paid"), b2=(95_00, "paid"))


# -- 3: a reconciliation

Line = dict[str, Any]
Difference = tuple[str, str, int, int]
Reconcile = Callable[[list[Line], list[Line]], object]
DECIMALS = {"EUR": 2, "ETB": 2, "JPY": 0, "KWD": 3}
SIGNS = {"charge": 1, "refund": -1, "fee": -1}

GIVEN_3 = """
def reconcile(statement, rows):
    theirs = {line["reference"]: int(float(line["amount"]) * 100) for line in statement[:-1]}
    ours = {row["reference"]: row["amount"] for row in rows}
    return [
        (reference, "EUR", amount, theirs[reference])
        for reference, amount in ours.items()
        if amount != theirs[reference]
    ]
"""


def _line(name: str, kind: str, reference: str, currency: str, amount: str) -> Line:
    line = {"id": name, "kind": kind, "currency": currency, "amount": amount}
    return line | ({"reference": reference} if kind != "fee" else {})


def _row(
    reference: str,
    amount: int,
    currency: str = "EUR",
    kind: str = "charge",
    status: str = "succeeded",
) -> Line:
    return {
        "reference": reference,
        "kind": kind,
        "currency": currency,
        "amount": amount,
        "status": status,
    }


def _text(amount: int, currency: str) -> str:
    """An amount of minor units as a statement has it."""
    return f"{Decimal(amount).scaleb(-DECIMALS[currency]):.{DECIMALS[currency]}f}"


def _minor(line: Line) -> int:
    return int(Decimal(line["amount"]).scaleb(DECIMALS[line["currency"]]))


def _with_totals(lines: list[Line]) -> list[Line]:
    """A statement: its lines, and the totals after the last line of each currency."""
    sums: Counter[str] = Counter()
    for line in {line["id"]: line for line in lines}.values():
        sums[line["currency"]] += SIGNS[line["kind"]] * _minor(line)
    totals = [
        {"kind": "total", "currency": currency, "amount": _text(amount, currency)}
        for currency, amount in sums.items()
    ]
    return [*lines, *totals]


def _grouped(lines: list[Line]) -> list[Line]:
    """A statement, of which each currency has its lines and then its total."""
    names = [line["currency"] for line in lines]
    return sorted(_with_totals(lines), key=lambda line: names.index(line["currency"]))


def _right(statement: list[Line], rows: list[Line]) -> list[Difference]:
    """What the answer should return."""
    ours: Counter[tuple[str, str]] = Counter()
    theirs: Counter[tuple[str, str]] = Counter()
    for line in {line["id"]: line for line in statement if line["kind"] != "total"}.values():
        if line["kind"] != "fee":
            key = line["reference"], line["currency"]
            theirs[key] += SIGNS[line["kind"]] * _minor(line)
    for row in rows:
        if row["status"] == "succeeded":
            ours[row["reference"], row["currency"]] += SIGNS[row["kind"]] * row["amount"]
    both = sorted({*ours, *theirs})
    return [(*key, ours[key], theirs[key]) for key in both if ours[key] != theirs[key]]


def _charge(name: str, reference: str, amount: str, currency: str = "EUR") -> Line:
    return _line(name, "charge", reference, currency, amount)


DAYS: dict[str, tuple[list[Line], list[Line]]] = {
    "all is well": ([_charge("l1", "b1", "150.00")], [_row("b1", 150_00)]),
    "19.99, which a float does not hold": ([_charge("l1", "b1", "19.99")], [_row("b1", 19_99)]),
    "a cent is missing": ([_charge("l1", "b1", "149.99")], [_row("b1", 150_00)]),
    "the provider has not heard of a payment": (
        [_charge("l1", "b1", "150.00")],
        [_row("b1", 150_00), _row("b2", 90_00)],
    ),
    "the provider has a payment that you have not": (
        [_charge("l1", "b1", "150.00"), _charge("l2", "b2", "90.00")],
        [_row("b1", 150_00)],
    ),
    "a booking was charged twice": (
        [_charge("l1", "b1", "150.00"), _charge("l2", "b1", "150.00")],
        [_row("b1", 150_00)],
    ),
    "a line came twice, with the same id": (
        [_charge("l1", "b1", "150.00"), _charge("l2", "b2", "9.00"), _charge("l1", "b1", "150.00")],
        [_row("b1", 150_00), _row("b2", 9_00)],
    ),
    "a part was given back": (
        [_charge("l1", "b1", "150.00"), _line("l2", "refund", "b1", "EUR", "30.50")],
        [_row("b1", 150_00), _row("b1", 30_50, kind="refund")],
    ),
    "only the provider has given a part back": (
        [_charge("l1", "b1", "150.00"), _line("l2", "refund", "b1", "EUR", "30.50")],
        [_row("b1", 150_00)],
    ),
    "a refund of an older payment": (
        [_line("l1", "refund", "b1", "EUR", "30.50")],
        [_row("b1", 30_50, kind="refund")],
    ),
    "only you have a refund": (
        [_charge("l1", "b1", "150.00")],
        [_row("b1", 150_00), _row("b1", 30_50, kind="refund")],
    ),
    "a payment that failed and one that is unclear": (
        [_charge("l1", "b1", "150.00")],
        [
            _row("b1", 150_00, status="failed"),
            _row("b1", 150_00),
            _row("b2", 7_00, status="unclear"),
        ],
    ),
    "two rows for one booking": (
        [_charge("l1", "b1", "100.00"), _charge("l2", "b1", "50.00")],
        [_row("b1", 100_00), _row("b1", 50_00)],
    ),
    "fees": (
        [_charge("l1", "b1", "150.00"), _line("l2", "fee", "", "EUR", "1.50")],
        [_row("b1", 150_00)],
    ),
    "currencies with no, two and three decimals": (
        [
            _charge("l1", "b1", "1500", "JPY"),
            _charge("l2", "b2", "1.234", "KWD"),
            _charge("l3", "b3", "99.95", "ETB"),
            _charge("l4", "b4", "0.005", "KWD"),
        ],
        [
            _row("b1", 1500, "JPY"),
            _row("b2", 1234, "KWD"),
            _row("b3", 99_95, "ETB"),
            _row("b4", 5, "KWD"),
        ],
    ),
    "the right number in the wrong currency": (
        [_charge("l1", "b1", "150.00", "ETB")],
        [_row("b1", 150_00)],
    ),
    "one booking with two currencies": (
        [_charge("l1", "b1", "150.00"), _charge("l2", "b1", "20.00", "ETB")],
        [_row("b1", 150_00), _row("b1", 20_00, "ETB")],
    ),
    "two errors whose sum is zero": (
        [_charge("l1", "b1", "150.00"), _charge("l2", "b2", "90.00")],
        [_row("b1", 149_00), _row("b2", 91_00)],
    ),
    "nothing net was moved, and only the provider says so": (
        [
            _charge("l1", "b1", "150.00"),
            _line("l2", "refund", "b1", "EUR", "150.00"),
            _charge("l3", "b2", "1.00"),
        ],
        [_row("b2", 1_00)],
    ),
    "a large amount": (
        [_charge("l1", "b1", "90071992547409.93")],
        [_row("b1", 9_007_199_254_740_993)],
    ),
    "payments that are pending, and one that was reversed": (
        [_charge("l1", "b1", "150.00")],
        [
            _row("b1", 150_00),
            _row("b1", 9_00, status="pending"),
            _row("b2", 7_00, status="reversed"),
        ],
    ),
    "nothing happened": ([], []),
}


@judge(
    "payments-and-webhooks.3",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a statement and your rows: it returns a sorted list of differences, "
    "from both sides",
    stub=GIVEN_3,
)
def reconciled(answer: Reconcile) -> str:
    """It finds each difference, to the last minor unit, and no other."""
    for what, (lines, rows) in DAYS.items():
        _compare(answer, what, _with_totals(lines), rows)
    lines = [
        _charge("l1", "b1", "150.00"),
        _charge("l2", "b2", "1500", "JPY"),
        _charge("l3", "b3", "9.00"),
    ]
    rows = [_row("b1", 150_00), _row("b2", 1500, "JPY"), _row("b3", 8_00)]
    _compare(
        answer, "the total of a currency came before the lines of another", _grouped(lines), rows
    )
    nothing = [{"kind": "total", "currency": "EUR", "amount": "0.00"}]
    _compare(answer, "a total of 0.00, and no lines", nothing, [])
    for seed in range(20):
        rng = random.Random(seed)  # noqa: S311 (no secret)
        _compare(answer, "a day of many payments", *_busy_day(rng))
    _wrong_totals(answer)
    return (
        "it finds what differs on both sides, to the minor unit of each currency, counts a line "
        "once, and refuses a statement that does not add up"
    )


def _compare(answer: Reconcile, what: str, statement: list[Line], rows: list[Line]) -> None:
    given = statement, rows
    statement, rows = copy.deepcopy(given)  # the answer may change them, and they are used again
    try:
        found = within(partial(answer, statement, rows))
    except Exception as error:
        if isinstance(error, NotYet):
            raise
        raise NotYet(f"{what}: it raised {type(error).__name__}: {first_line(error)}") from None
    if (statement, rows) != given:
        raise NotYet(f"{what}: your function has changed its arguments")
    right = _right(statement, rows)
    if not isinstance(found, list):
        raise NotYet(f"{what}: it should return a list, and returned {found!r}")
    if found == right:
        if any(type(amount) is not int for row in found for amount in row[2:]):
            raise NotYet(f"{what}: amounts should be integers, and are {found!r}")
        return
    with suppress(TypeError):
        if missing := [row for row in right if row not in found]:
            raise NotYet(f"{what}: {missing[0]} should be a difference, and you found {found[:3]}")
        if more := [row for row in found if row not in right]:
            raise NotYet(f"{what}: {more[0]} is no difference, or a wrong one")
    raise NotYet(f"{what}: the list should be sorted, without copies: {right[:3]}")


def _busy_day(rng: random.Random) -> tuple[list[Line], list[Line]]:
    """Many payments in several currencies, with errors on both sides."""
    lines, rows = list[Line](), list[Line]()
    for number in range(40):
        currency = rng.choice(list(DECIMALS))
        reference, amount = f"b{rng.randint(1, 30)}", rng.randint(1, 10_000_000)
        kind = rng.choice(["charge", "charge", "charge", "refund"])
        error = rng.random()
        if error > 0.1:
            lines.append(_line(f"l{number}", kind, reference, currency, _text(amount, currency)))
        if error < 0.9:
            off = rng.choice([-1, 1]) if error > 0.8 else 0
            status = rng.choice(["succeeded"] * 5 + ["failed"])
            rows.append(_row(reference, amount + off + (amount + off <= 0), currency, kind, status))
        if rng.random() < 0.1:
            lines.append(dict(rng.choice(lines or [_charge("l0", "b1", "1.00")])))
        if rng.random() < 0.2:
            lines.append(
                _line(f"f{number}", "fee", "", currency, _text(amount // 99 + 1, currency))
            )
    rng.shuffle(lines)
    rng.shuffle(rows)
    return rng.choice((_with_totals, _grouped))(lines), rows


def _wrong_totals(answer: Reconcile) -> None:
    """Statements that do not add up."""
    good = _with_totals(
        [
            _charge("l1", "b1", "150.00"),
            _line("l2", "fee", "", "EUR", "1.50"),
            _charge("l3", "b2", "1500", "JPY"),
        ]
    )
    rows = [_row("b1", 150_00), _row("b2", 1500, "JPY")]
    euros = {"kind": "total", "currency": "EUR", "amount": "148.50"}
    at = good.index(euros)
    wrong = {
        "the total is a cent too high": [*good[:at], euros | {"amount": "148.51"}, *good[at + 1 :]],
        "the total leaves out the fee": [*good[:at], euros | {"amount": "150.00"}, *good[at + 1 :]],
        "a currency has no total": [*good[:at], *good[at + 1 :]],
        "a line is missing": good[1:],
        "the only line of a currency is missing": [line for line in good if line.get("id") != "l3"],
        "all lines are there, and no total": [line for line in good if line["kind"] != "total"],
    }
    _compare(answer, "the totals are right", good, rows)
    for what, statement in wrong.items():
        try:
            found = within(partial(answer, cast(list[Line], copy.deepcopy(statement)), rows))
        except ValueError:
            continue
        except Exception as error:
            if isinstance(error, NotYet):
                raise
            raise NotYet(
                f"{what}: it should raise ValueError, and raised {type(error).__name__}"
            ) from None
        raise NotYet(f"{what}: it should raise ValueError, and returned {found!r}")
