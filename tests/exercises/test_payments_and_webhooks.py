"""The judges of "Payments and webhooks": stubs, right answers, wrong ones."""
# ruff: noqa: ARG001, ARG005 (an answer has the arguments that its exercise names)

import base64
import hashlib
import hmac
import json
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction
from typing import Any

import psycopg
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

import nexus
from nexus.exercises.payments_and_webhooks import Unclear
from nexus.judging.sandbox import Connection
from tests.exercises import tables

ONE, TWO, THREE = (f"payments-and-webhooks.{number}" for number in (1, 2, 3))
Charge = Callable[[str, int], str]


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with nexus.postgres(fsync="off"):  # databases come and go
        yield


# -- 1: pay

UPSERT = """
    INSERT INTO payment (booking, amount, key) VALUES (%s, %s, %s)
    ON CONFLICT (booking) WHERE status <> 'declined'
    DO UPDATE SET booking = EXCLUDED.booking RETURNING id, amount, key, status
"""
SETTLE = "UPDATE payment SET status = %s WHERE id = %s AND status = 'unclear'"


def begun(connection: Connection, booking: str, amount: int) -> tuple[int, int, str, str]:
    """The live payment of a booking, which may be new."""
    found = connection.execute(UPSERT, [booking, amount, str(uuid.uuid4())]).fetchone()
    assert found
    return found


def settled(connection: Connection, charge: Charge, number: int, key: str, amount: int) -> str:
    """Charges, and keeps what became of it; an unclear outcome stays unclear."""
    try:
        status = charge(key, amount)
    except Unclear:
        return "unclear"
    connection.execute(SETTLE, [status, number])
    return str(status)


def by_upsert(connection: Connection, charge: Charge, booking: str, amount: int) -> str:
    number, known, key, status = begun(connection, booking, amount)
    if known != amount:
        raise ValueError(booking)
    if status == "succeeded":
        return "succeeded"
    return settled(connection, charge, number, key, amount)


def by_lock(connection: Connection, charge: Charge, booking: str, amount: int) -> str:
    """Another form: reads and inserts under an advisory lock, which it lets go before it asks."""
    live = "SELECT id, amount, key, status FROM payment WHERE booking = %s AND status <> 'declined'"
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [booking])
        if (row := connection.execute(live, [booking]).fetchone()) is None:
            connection.execute(
                "INSERT INTO payment (booking, amount, key) VALUES (%s, %s, gen_random_uuid())",
                [booking, amount],
            )
            row = connection.execute(live, [booking]).fetchone()
    assert row
    number, known, key, status = row
    if known != amount:
        raise ValueError(booking)
    if status == "unclear":
        with suppress(Unclear):
            status = charge(key, amount)
            connection.execute(SETTLE, [status, number])
    return str(status)


def by_number(connection: Connection, charge: Charge, booking: str, amount: int) -> str:
    """Another form: the key is made of the booking and the number of the attempt."""
    for _ in range(5):
        rows = connection.execute(
            "SELECT id, amount, key, status FROM payment WHERE booking = %s ORDER BY id", [booking]
        ).fetchall()
        if rows and rows[-1][3] != "declined":
            break
        with suppress(psycopg.errors.UniqueViolation):
            connection.execute(
                "INSERT INTO payment (booking, amount, key) VALUES (%s, %s, %s)",
                [booking, amount, f"{booking}#{len(rows)}"],
            )
    number, known, key, status = rows[-1]
    if known != amount:
        raise ValueError(booking)
    if status == "succeeded":
        return "succeeded"
    return settled(connection, charge, number, key, amount)


def pay_stub(connection: Connection, charge: Charge, booking: str, amount: int) -> str:
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


def new_key_each_time(connection: Connection, charge: Charge, booking: str, amount: int) -> str:
    number, known, _, status = begun(connection, booking, amount)
    if known != amount:
        raise ValueError
    if status == "succeeded":
        return "succeeded"
    return settled(connection, charge, number, str(uuid.uuid4()), amount)


def booking_is_the_key(connection: Connection, charge: Charge, booking: str, amount: int) -> str:
    """The letter of "one key for one booking": a declined card stays declined for ever."""
    found = connection.execute(
        "SELECT amount, status FROM payment WHERE booking = %s", [booking]
    ).fetchone()
    if found and found[1] == "succeeded" and found[0] == amount:
        return "succeeded"
    if found and found[1] != "declined" and found[0] != amount:
        raise ValueError
    try:
        status = charge(booking, amount)
    except Unclear:
        status = "unclear"
    connection.execute(
        "INSERT INTO payment (booking, amount, key, status) VALUES (%s, %s, %s, %s) "
        "ON CONFLICT (key) DO UPDATE SET status = EXCLUDED.status, amount = EXCLUDED.amount",
        [booking, amount, booking, status],
    )
    return status


def notes_afterwards(connection: Connection, charge: Charge, booking: str, amount: int) -> str:
    """The row comes after the charge: a death in between loses the key."""
    rows = connection.execute(
        "SELECT id, amount, key, status FROM payment WHERE booking = %s AND status <> 'declined'",
        [booking],
    ).fetchall()
    _, known, key, status = rows[0] if rows else (None, amount, str(uuid.uuid4()), "unclear")
    if known != amount:
        raise ValueError
    if status == "succeeded":
        return "succeeded"
    try:
        status = charge(key, amount)
    except Unclear:
        status = "unclear"
    connection.execute(
        "INSERT INTO payment (booking, amount, key, status) VALUES (%s, %s, %s, %s) "
        "ON CONFLICT (key) DO UPDATE SET status = EXCLUDED.status",
        [booking, amount, key, status],
    )
    return status


def in_a_transaction(connection: Connection, charge: Charge, booking: str, amount: int) -> str:
    with connection.transaction():
        return by_upsert(connection, charge, booking, amount)


def unclear_is_failed(connection: Connection, charge: Charge, booking: str, amount: int) -> str:
    """Takes an unclear outcome for a refusal, so that the next call is a new attempt."""
    number, known, key, status = begun(connection, booking, amount)
    if known != amount:
        raise ValueError
    if status == "succeeded":
        return "succeeded"
    try:
        status = charge(key, amount)
    except Unclear:
        connection.execute(SETTLE, ["declined", number])
        return "unclear"
    connection.execute(SETTLE, [status, number])
    return str(status)


def unclear_is_paid(connection: Connection, charge: Charge, booking: str, amount: int) -> str:
    number, known, key, status = begun(connection, booking, amount)
    if known != amount:
        raise ValueError
    if status == "unclear":
        with suppress(Unclear):
            charge(key, amount)
        connection.execute(SETTLE, ["succeeded", number])
    return "succeeded"


def tries_again_at_once(connection: Connection, charge: Charge, booking: str, amount: int) -> str:
    number, known, key, status = begun(connection, booking, amount)
    if known != amount:
        raise ValueError
    for _ in range(3):
        if status == "unclear":
            with suppress(Unclear):
                status = charge(key, amount)
    connection.execute(SETTLE, [status, number])
    return str(status)


def overwrites(connection: Connection, charge: Charge, booking: str, amount: int) -> str:
    """Who hears later that it is unclear takes the success back."""
    number, known, key, status = begun(connection, booking, amount)
    if known != amount:
        raise ValueError
    if status == "succeeded":
        return "succeeded"
    try:
        status = charge(key, amount)
    except Unclear:
        status = "unclear"
    connection.execute("UPDATE payment SET status = %s WHERE id = %s", [status, number])
    return str(status)


def looks_and_inserts(connection: Connection, charge: Charge, booking: str, amount: int) -> str:
    """Looks whether there is a row, and inserts one: two that have both looked fail."""
    live = "SELECT id, amount, key, status FROM payment WHERE booking = %s AND status <> 'declined'"
    if connection.execute(live, [booking]).fetchone() is None:
        connection.execute(
            "INSERT INTO payment (booking, amount, key) VALUES (%s, %s, gen_random_uuid())",
            [booking, amount],
        )
    number, known, key, status = connection.execute(live, [booking]).fetchone() or ()
    if known != amount:
        raise ValueError
    if status == "succeeded":
        return "succeeded"
    return settled(connection, charge, number, key, amount)


KEYS: dict[str, str] = {}
PAID: set[str] = set()
LOCK = threading.Lock()


def in_this_process(connection: Connection, charge: Charge, booking: str, amount: int) -> str:
    """A dictionary and a lock, which another process does not have."""
    with LOCK:
        key = KEYS.setdefault(booking, str(uuid.uuid4()))
        if booking in PAID:
            return "succeeded"
        try:
            status = charge(key, amount)
        except Unclear:
            return "unclear"
        if status == "declined":
            del KEYS[booking]
            return status
        PAID.add(booking)
        connection.execute(
            "INSERT INTO payment (booking, amount, key, status) VALUES (%s, %s, %s, %s)",
            [booking, amount, key, status],
        )
        return status


def any_amount(connection: Connection, charge: Charge, booking: str, amount: int) -> str:
    number, known, key, status = begun(connection, booking, amount)
    if status == "succeeded":
        return "succeeded"
    return settled(connection, charge, number, key, known)


def amount_is_the_key(connection: Connection, charge: Charge, booking: str, amount: int) -> str:
    number, known, _, status = begun(connection, booking, amount)
    if known != amount:
        raise ValueError
    if status == "succeeded":
        return "succeeded"
    return settled(connection, charge, number, f"{amount}", amount)


def asks_for_what_is_paid(connection: Connection, charge: Charge, booking: str, amount: int) -> str:
    """Trusts the provider's memory of keys for ever."""
    number, known, key, _ = begun(connection, booking, amount)
    if known != amount:
        raise ValueError
    return settled(connection, charge, number, key, amount)


def swallows(connection: Connection, charge: Charge, booking: str, amount: int) -> str:
    try:
        return in_a_transaction(connection, charge, booking, amount)
    except Exception:
        return "unclear"


def never_asks(connection: Connection, charge: Charge, booking: str, amount: int) -> str:
    return "unclear"


def raises_unclear(connection: Connection, charge: Charge, booking: str, amount: int) -> str:
    number, known, key, status = begun(connection, booking, amount)
    if known != amount:
        raise ValueError
    if status == "unclear":
        status = charge(key, amount)
        connection.execute(SETTLE, [status, number])
    return str(status)


def any_error_is_unclear(connection: Connection, charge: Charge, booking: str, amount: int) -> str:
    """A bug is taken for an unclear outcome, and nobody hears of it."""

    def hides(key: str, cents: int) -> str:
        try:
            return charge(key, cents)
        except Exception:
            raise Unclear from None

    return by_upsert(connection, hides, booking, amount)


def any_error_is_a_refusal(
    connection: Connection, charge: Charge, booking: str, amount: int
) -> str:
    try:
        return by_upsert(connection, charge, booking, amount)
    except TypeError:
        return "declined"


LIVE = "SELECT id, amount, key, status FROM payment WHERE booking = %s AND status <> 'declined'"
LOCKED = "SELECT pg_advisory_lock(hashtext(%s))"
TRIED = "SELECT pg_try_advisory_lock(hashtext(%s))"
UNLOCKED = "SELECT pg_advisory_unlock(hashtext(%s))"
NEW = "INSERT INTO payment (booking, amount, key) VALUES (%s, %s, gen_random_uuid())"


def gone_on(
    connection: Connection, charge: Charge, row: tuple[int, int, str, str], amount: int
) -> str:
    number, known, key, status = row
    if known != amount:
        raise ValueError
    return status if status == "succeeded" else settled(connection, charge, number, key, amount)


def live(connection: Connection, booking: str) -> Any:  # noqa: ANN401 (a row, or None)
    return connection.execute(LIVE, [booking]).fetchone()


def by_session_lock(connection: Connection, charge: Charge, booking: str, amount: int) -> str:
    """Another form: a lock of the session, without a transaction."""
    connection.execute(LOCKED, [booking])
    try:
        return by_upsert(connection, charge, booking, amount)
    finally:
        connection.execute(UNLOCKED, [booking])


def by_try_lock(connection: Connection, charge: Charge, booking: str, amount: int) -> str:
    """Another form: who meets another one says that it is unclear."""
    if connection.execute(TRIED, [booking]).fetchone() == (False,):
        return "unclear"
    try:
        return by_upsert(connection, charge, booking, amount)
    finally:
        connection.execute(UNLOCKED, [booking])


def by_error(connection: Connection, charge: Charge, booking: str, amount: int) -> str:
    """Another form: inserts, and reads what the other one has inserted."""
    while (row := live(connection, booking)) is None:  # the other one may have been declined
        with suppress(psycopg.errors.UniqueViolation):
            connection.execute(NEW, [booking, amount])
    return gone_on(connection, charge, row, amount)


def by_commits(connection: Connection, charge: Charge, booking: str, amount: int) -> str:
    """Another form: without autocommit, and with commits by hand."""
    connection.autocommit = False
    try:
        row = begun(connection, booking, amount)
        connection.commit()
        found = gone_on(connection, charge, row, amount)
        connection.commit()
        return found
    finally:
        connection.rollback()
        connection.autocommit = True


def keeps_lock(connection: Connection, charge: Charge, booking: str, amount: int) -> str:
    connection.execute(LOCKED, [booking])
    return by_upsert(connection, charge, booking, amount)


def keeps_tried_lock(connection: Connection, charge: Charge, booking: str, amount: int) -> str:
    if connection.execute(TRIED, [booking]).fetchone() == (False,):
        return "unclear"
    return by_upsert(connection, charge, booking, amount)


def unlocks_if_fine(connection: Connection, charge: Charge, booking: str, amount: int) -> str:
    connection.execute(LOCKED, [booking])
    found = by_upsert(connection, charge, booking, amount)
    if found != "unclear":
        connection.execute(UNLOCKED, [booking])
    return found


def conflict_is_success(connection: Connection, charge: Charge, booking: str, amount: int) -> str:
    """Takes the other one's row for the other one's success."""
    if live(connection, booking) is None:
        try:
            connection.execute(NEW, [booking, amount])
        except psycopg.errors.UniqueViolation:
            return "succeeded"
    return gone_on(connection, charge, live(connection, booking), amount)


def amount_looked_at_before(
    connection: Connection, charge: Charge, booking: str, amount: int
) -> str:
    """Compares the amount before it inserts, and not after."""
    if (row := live(connection, booking)) and row[1] != amount:
        raise ValueError
    connection.execute(NEW + " ON CONFLICT DO NOTHING", [booking, amount])
    number, _, key, status = live(connection, booking)
    return status if status == "succeeded" else settled(connection, charge, number, key, amount)


def deletes_declined(connection: Connection, charge: Charge, booking: str, amount: int) -> str:
    connection.execute("DELETE FROM payment WHERE booking = %s AND status = 'declined'", [booking])
    return by_upsert(connection, charge, booking, amount)


def row_used_again(connection: Connection, charge: Charge, booking: str, amount: int) -> str:
    connection.execute(
        "UPDATE payment SET key = gen_random_uuid(), status = 'unclear', amount = %s "
        "WHERE booking = %s AND status = 'declined'",
        [amount, booking],
    )
    return by_upsert(connection, charge, booking, amount)


def begins_only(connection: Connection, charge: Charge, booking: str, amount: int) -> str:
    """Leaves its transaction open where it has nothing to write."""
    connection.execute("BEGIN")
    row = begun(connection, booking, amount)
    if row[1] == amount and row[3] == "succeeded":
        return "succeeded"
    connection.execute("COMMIT")
    return gone_on(connection, charge, row, amount)


def text_in_sql(connection: Connection, charge: Charge, booking: str, amount: int) -> str:
    connection.execute(
        "INSERT INTO payment (booking, amount, key) "  # type: ignore[arg-type]
        f"VALUES ('{booking}', {amount}, gen_random_uuid()) ON CONFLICT DO NOTHING"
    )
    return gone_on(connection, charge, live(connection, booking), amount)


def key_of_the_loser(connection: Connection, charge: Charge, booking: str, amount: int) -> str:
    """Inserts or not, and asks with the key that it has made itself."""
    if row := live(connection, booking):
        return gone_on(connection, charge, row, amount)
    key = str(uuid.uuid4())
    connection.execute(
        "INSERT INTO payment (booking, amount, key) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        [booking, amount, key],
    )
    return settled(connection, charge, live(connection, booking)[0], key, amount)


def key_of_the_day(connection: Connection, charge: Charge, booking: str, amount: int) -> str:
    """Makes the key anew for each call."""
    number, known, _, status = begun(connection, booking, amount)
    if known != amount:
        raise ValueError
    if status == "succeeded":
        return status
    key = f"{booking}-{number}-{time.strftime('%Y-%m-%d')}"
    return settled(connection, charge, number, key, amount)


def key_is_a_count(connection: Connection, charge: Charge, booking: str, amount: int) -> str:
    """Two bookings that are paid at once get the same number."""
    if live(connection, booking) is None:
        [(count,)] = connection.execute("SELECT count(*) FROM payment").fetchall()
        with suppress(psycopg.errors.UniqueViolation):
            connection.execute(
                "INSERT INTO payment (booking, amount, key) VALUES (%s, %s, %s)",
                [booking, amount, f"pay-{count}"],
            )
    return gone_on(connection, charge, live(connection, booking), amount)


# -- 2: receive and work

EFFECT = """
    UPDATE booking SET paid = paid + %s, status = CASE WHEN %s OR status = 'refunded'
    THEN 'refunded' ELSE 'paid' END WHERE id = %s
"""
STORE = "INSERT INTO event VALUES (%s, %s) ON CONFLICT DO NOTHING"
Headers = Mapping[str, str]


def fine(secrets: Sequence[str], headers: Headers, body: bytes) -> bool:
    for secret in secrets:
        with suppress(WebhookVerificationError, ValueError):
            Webhook(secret).verify(body, dict(headers), json_parse=False)
            return True
    return False


def receive(connection: Connection, secrets: Sequence[str], headers: Headers, body: bytes) -> int:
    if not fine(secrets, headers, body):
        return 401
    connection.execute(STORE, [headers["webhook-id"], body.decode()])
    return 202


def by_hand(connection: Connection, secrets: Sequence[str], headers: Headers, body: bytes) -> int:
    """Another form: without the package."""
    try:
        name, at = headers["webhook-id"], headers["webhook-timestamp"]
        given = [one[3:] for one in headers["webhook-signature"].split() if one.startswith("v1,")]
        if abs(time.time() - int(at)) > 300:
            return 401
    except (KeyError, ValueError):
        return 401
    signed = f"{name}.{at}.".encode() + body
    for secret in secrets:
        key = base64.b64decode(secret.removeprefix("whsec_"))
        digest = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
        if any(hmac.compare_digest(digest.encode(), one.encode()) for one in given):
            break
    else:
        return 401
    with connection.transaction():
        connection.execute("LOCK TABLE event IN SHARE ROW EXCLUSIVE MODE")
        if not connection.execute("SELECT 1 FROM event WHERE id = %s", [name]).fetchone():
            connection.execute("INSERT INTO event VALUES (%s, %s)", [name, body.decode()])
    return 202


def compared(how: Callable[[str, str], bool]) -> Callable[..., int]:
    """By hand, with a comparison of the digest and one of the signatures."""

    def receive_comparing(
        connection: Connection, secrets: Sequence[str], headers: Headers, body: bytes
    ) -> int:
        try:
            name, at = headers["webhook-id"], headers["webhook-timestamp"]
            given = [one[3:] for one in headers["webhook-signature"].split(" ") if one[:3] == "v1,"]
            if abs(time.time() - int(at)) > 300:
                return 401
            signed = f"{name}.{at}.".encode() + body
            for secret in secrets:
                key = base64.b64decode(secret.removeprefix("whsec_"))
                digest = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
                if any(how(digest, one) for one in given):
                    connection.execute(STORE, [name, body.decode()])
                    return 202
        except (KeyError, ValueError):
            pass
        return 401

    return receive_comparing


def meaning(body: str) -> list[Any] | None:
    """What an event does to which booking."""
    try:
        event = json.loads(body)
        data = event["data"]
        sign = {"payment.succeeded": 1, "payment.refunded": -1}[event["type"]]
        return [sign * data["amount"], sign < 0, data["booking"]]
    except (ValueError, KeyError, TypeError):
        return None


def work(connection: Connection) -> None:
    while True:
        with connection.transaction():
            found = connection.execute(
                "UPDATE event SET done = true WHERE id = (SELECT id FROM event WHERE NOT done "
                "ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING body"
            ).fetchone()
            if found is None:
                return
            if values := meaning(found[0]):
                connection.execute(EFFECT, values)


def work_all_at_once(connection: Connection) -> None:
    """Another form: one transaction for all, under a lock."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(4711)")
        for (body,) in connection.execute(
            "UPDATE event SET done = true WHERE NOT done RETURNING body"
        ).fetchall():
            if values := meaning(body):
                connection.execute(EFFECT, values)


def unverified(
    connection: Connection, secrets: Sequence[str], headers: Headers, body: bytes
) -> int:
    connection.execute(STORE, [headers["webhook-id"], body.decode()])
    return 202


def dumped(connection: Connection, secrets: Sequence[str], headers: Headers, body: bytes) -> int:
    return receive(connection, secrets, headers, json.dumps(json.loads(body)).encode())


def first_secret(
    connection: Connection, secrets: Sequence[str], headers: Headers, body: bytes
) -> int:
    return receive(connection, secrets[:1], headers, body)


def last_secret(
    connection: Connection, secrets: Sequence[str], headers: Headers, body: bytes
) -> int:
    return receive(connection, secrets[-1:], headers, body)


def package_errors(
    connection: Connection, secrets: Sequence[str], headers: Headers, body: bytes
) -> int:
    """Expects only the package's own error, and a bad header is a ValueError."""
    for secret in secrets:
        with suppress(WebhookVerificationError):
            Webhook(secret).verify(body, dict(headers), json_parse=False)
            connection.execute(STORE, [headers["webhook-id"], body.decode()])
            return 202
    return 401


def any_age(connection: Connection, secrets: Sequence[str], headers: Headers, body: bytes) -> int:
    """Signs anew and compares, and forgets the time."""
    with suppress(KeyError):
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        for secret in secrets:
            key = base64.b64decode(secret.removeprefix("whsec_"))
            digest = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
            if f"v1,{digest}" in headers["webhook-signature"].split():
                connection.execute(STORE, [headers["webhook-id"], body.decode()])
                return 202
    return 401


def whole_header(
    connection: Connection, secrets: Sequence[str], headers: Headers, body: bytes
) -> int:
    """Compares the whole header with one signature."""
    if len(headers.get("webhook-signature", "").split()) > 1:
        return 401
    return receive(connection, secrets, headers, body)


def copies_fail(
    connection: Connection, secrets: Sequence[str], headers: Headers, body: bytes
) -> int:
    if not fine(secrets, headers, body):
        return 401
    connection.execute(STORE.partition(" ON")[0], [headers["webhook-id"], body.decode()])
    return 202


def copies_conflict(
    connection: Connection, secrets: Sequence[str], headers: Headers, body: bytes
) -> int:
    if not fine(secrets, headers, body):
        return 401
    found = connection.execute(STORE + " RETURNING id", [headers["webhook-id"], body.decode()])
    return 202 if found.fetchone() else 409


def looks_first(
    connection: Connection, secrets: Sequence[str], headers: Headers, body: bytes
) -> int:
    if not fine(secrets, headers, body):
        return 401
    name = headers["webhook-id"]
    if not connection.execute("SELECT 1 FROM event WHERE id = %s", [name]).fetchone():
        connection.execute("INSERT INTO event VALUES (%s, %s)", [name, body.decode()])
    return 202


SEEN: set[str] = set()


def seen_here(connection: Connection, secrets: Sequence[str], headers: Headers, body: bytes) -> int:
    """Remembers copies in a set of this process, and stores the others under a new id."""
    if not fine(secrets, headers, body):
        return 401
    if headers["webhook-id"] not in SEEN:
        SEEN.add(headers["webhook-id"])
        connection.execute(
            "INSERT INTO event VALUES (%s, %s)", [headers["webhook-id"], body.decode()]
        )
    return 202


def stores_again(
    connection: Connection, secrets: Sequence[str], headers: Headers, body: bytes
) -> int:
    if not fine(secrets, headers, body):
        return 401
    connection.execute(
        "INSERT INTO event VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET done = false",
        [headers["webhook-id"], body.decode()],
    )
    return 202


def works_at_once(
    connection: Connection, secrets: Sequence[str], headers: Headers, body: bytes
) -> int:
    status = receive(connection, secrets, headers, body)
    work(connection)
    return status


def stores_forged(
    connection: Connection, secrets: Sequence[str], headers: Headers, body: bytes
) -> int:
    connection.execute(STORE, [headers.get("webhook-id", "?"), body.decode(errors="replace")])
    return 202 if fine(secrets, headers, body) else 401


def left_open(connection: Connection, secrets: Sequence[str], headers: Headers, body: bytes) -> int:
    connection.execute("BEGIN")
    return receive(connection, secrets, headers, body)


def pending(connection: Connection) -> list[tuple[str, str]]:
    return connection.execute("SELECT id, body FROM event WHERE NOT done ORDER BY id").fetchall()


MARK = "UPDATE event SET done = true WHERE id = %s"


def effect_first(connection: Connection) -> None:
    for name, body in pending(connection):
        if values := meaning(body):
            connection.execute(EFFECT, values)
        connection.execute(MARK, [name])


def mark_first(connection: Connection) -> None:
    for name, body in pending(connection):
        connection.execute(MARK, [name])
        if values := meaning(body):
            connection.execute(EFFECT, values)


def in_one_transaction(connection: Connection) -> None:
    """A transaction, but two workers read the same events."""
    for name, body in pending(connection):
        with connection.transaction():
            if values := meaning(body):
                connection.execute(EFFECT, values)
            connection.execute(MARK, [name])


def locks_in_process(connection: Connection) -> None:
    with LOCK:
        in_one_transaction(connection)


def strict(connection: Connection) -> None:
    """Stops at the first event that it does not understand."""
    with connection.transaction():
        for (body,) in connection.execute(
            "UPDATE event SET done = true WHERE NOT done RETURNING body"
        ).fetchall():
            event = json.loads(body)
            sign = {"payment.succeeded": 1, "payment.refunded": -1}.get(event["type"], 0)
            data = event["data"]
            connection.execute(EFFECT, [sign * data["amount"], sign < 0, data["booking"]])


def leaves_unknown(connection: Connection) -> None:
    for name, body in pending(connection):
        if values := meaning(body):
            with connection.transaction():
                if connection.execute(MARK + " AND NOT done", [name]).rowcount:
                    connection.execute(EFFECT, values)


def with_effect(effect: str) -> Callable[[Connection], None]:
    """A worker with another effect."""

    def work(connection: Connection) -> None:
        with connection.transaction():
            for (body,) in connection.execute(
                "UPDATE event SET done = true WHERE NOT done RETURNING body"
            ).fetchall():
                if values := meaning(body):
                    amount, is_refund, booking = values
                    connection.execute(
                        effect,
                        {
                            "amount": amount,
                            "status": "refunded" if is_refund else "paid",
                            "booking": booking,
                        },
                    )

    return work


last_status_wins = with_effect(
    "UPDATE booking SET paid = paid + %(amount)s, status = %(status)s WHERE id = %(booking)s"
)
sets_the_amount = with_effect(
    "UPDATE booking SET paid = greatest(%(amount)s, 0), status = %(status)s WHERE id = %(booking)s"
)
only_legal = with_effect(
    "UPDATE booking SET paid = paid + %(amount)s, status = %(status)s WHERE id = %(booking)s "
    "AND (status, %(status)s::text) IN (('pending', 'paid'), ('paid', 'refunded'))"
)
makes_bookings = with_effect(
    "INSERT INTO booking (id, paid, status) VALUES (%(booking)s, %(amount)s, %(status)s) "
    "ON CONFLICT (id) DO UPDATE SET paid = booking.paid + EXCLUDED.paid, "
    "status = CASE booking.status WHEN 'refunded' THEN 'refunded' ELSE EXCLUDED.status END"
)


def swallowing(connection: Connection) -> None:
    with suppress(Exception):
        strict(connection)


def nothing(connection: Connection) -> None:
    """Looks as if it worked."""
    connection.execute("UPDATE event SET done = true")


def by_violation(
    connection: Connection, secrets: Sequence[str], headers: Headers, body: bytes
) -> int:
    """Another form: a copy is an error of the database."""
    if not fine(secrets, headers, body):
        return 401
    with suppress(psycopg.errors.UniqueViolation):
        connection.execute(STORE.partition(" ON")[0], [headers["webhook-id"], body.decode()])
    return 202


def errors_are_copies(
    connection: Connection, secrets: Sequence[str], headers: Headers, body: bytes
) -> int:
    """Whatever goes wrong is taken for a copy."""
    if not fine(secrets, headers, body):
        return 401
    with suppress(psycopg.Error):
        connection.execute(STORE.partition(" ON")[0], [headers["webhook-id"], body.decode()])
    return 202


def errors_are_401(
    connection: Connection, secrets: Sequence[str], headers: Headers, body: bytes
) -> int:
    try:
        return receive(connection, secrets, headers, body)
    except Exception:
        return 401


def no_future(connection: Connection, secrets: Sequence[str], headers: Headers, body: bytes) -> int:
    with suppress(KeyError, ValueError):
        if time.time() + 5 < int(headers["webhook-timestamp"]):
            return 401
    return receive(connection, secrets, headers, body)


def last_body(connection: Connection, secrets: Sequence[str], headers: Headers, body: bytes) -> int:
    if not fine(secrets, headers, body):
        return 401
    connection.execute(
        "INSERT INTO event VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET body = EXCLUDED.body",
        [headers["webhook-id"], body.decode()],
    )
    return 202


def in_header(connection: Connection, secrets: Sequence[str], headers: Headers, body: bytes) -> int:
    """Looks whether the signature is somewhere in the header."""
    with suppress(KeyError, ValueError):
        if abs(time.time() - int(headers["webhook-timestamp"])) > 300:
            return 401
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        for secret in secrets:
            key = base64.b64decode(secret.removeprefix("whsec_"))
            digest = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
            if digest in headers["webhook-signature"]:
                connection.execute(STORE, [headers["webhook-id"], body.decode()])
                return 202
    return 401


def json_only(connection: Connection, secrets: Sequence[str], headers: Headers, body: bytes) -> int:
    if fine(secrets, headers, body):
        with suppress(ValueError):
            json.loads(body)
            return receive(connection, secrets, headers, body)
        return 202
    return 401


def work_claiming(connection: Connection) -> None:
    """Another form: claims each event in a transaction with its effect."""
    for name, body in pending(connection):
        with connection.transaction():
            if connection.execute(MARK + " AND NOT done", [name]).rowcount and (
                values := meaning(body)
            ):
                connection.execute(EFFECT, values)


def work_reading(connection: Connection) -> None:
    """Another form: reads the booking under a lock, and computes in Python."""
    with connection.transaction():
        connection.execute("LOCK TABLE event IN EXCLUSIVE MODE")
        for name, body in pending(connection):
            connection.execute(MARK, [name])
            if values := meaning(body):
                compute(connection, values, "FOR UPDATE")


def work_if_free(connection: Connection) -> None:
    """Another form: one worker at a time, and the others go."""
    if connection.execute("SELECT pg_try_advisory_lock(4711)").fetchone() == (True,):
        try:
            in_one_transaction(connection)
        finally:
            connection.execute("SELECT pg_advisory_unlock(4711)")


def compute(connection: Connection, values: Sequence[Any], lock: str = "") -> None:
    amount, is_refund, booking = values
    if row := connection.execute(
        f"SELECT paid, status FROM booking WHERE id = %s {lock}",  # type: ignore[arg-type]
        [booking],
    ).fetchone():
        status = "refunded" if is_refund or row[1] == "refunded" else "paid"
        connection.execute(
            "UPDATE booking SET paid = %s, status = %s WHERE id = %s",
            [row[0] + amount, status, booking],
        )


def never_unlocks(connection: Connection) -> None:
    if connection.execute("SELECT pg_try_advisory_lock(4711)").fetchone() == (True,):
        in_one_transaction(connection)


def ten(connection: Connection) -> None:
    with connection.transaction():
        for name, body in connection.execute(
            "SELECT id, body FROM event WHERE NOT done ORDER BY id LIMIT 10 FOR UPDATE"
        ).fetchall():
            if values := meaning(body):
                connection.execute(EFFECT, values)
            connection.execute(MARK, [name])


def refunds_wait(connection: Connection) -> None:
    """A refund waits until there is enough to refund."""
    with connection.transaction():
        found = connection.execute("SELECT id, body FROM event WHERE NOT done FOR UPDATE")
        events = [(name, meaning(body)) for name, body in found.fetchall()]
        for name, values in sorted(events, key=lambda event: bool(event[1] and event[1][1])):
            if values and values[1]:
                row = connection.execute("SELECT paid FROM booking WHERE id = %s", [values[2]])
                if any(paid < -values[0] for (paid,) in row):
                    continue
            if values:
                connection.execute(EFFECT, values)
            connection.execute(MARK, [name])


def deletes_events(connection: Connection) -> None:
    with connection.transaction():
        for (body,) in connection.execute(
            "DELETE FROM event WHERE NOT done RETURNING body"
        ).fetchall():
            if values := meaning(body):
                connection.execute(EFFECT, values)


def trusts_fields(connection: Connection) -> None:
    """Knows other types and no JSON, and not that a field may be missing."""
    with connection.transaction():
        for (body,) in connection.execute(
            "UPDATE event SET done = true WHERE NOT done RETURNING body"
        ).fetchall():
            with suppress(ValueError, AttributeError):
                event = json.loads(body)
                sign = {"payment.succeeded": 1, "payment.refunded": -1}.get(event.get("type"))
                data = event.get("data", {})
                if sign and data.get("booking"):
                    amount = data.get("amount")
                    connection.execute(
                        EFFECT, [amount and sign * amount, sign < 0, data["booking"]]
                    )


def claims_before(connection: Connection) -> None:
    """Claims in one transaction, and has its effects in another one."""
    rows = connection.execute("UPDATE event SET done = true WHERE NOT done RETURNING body")
    bodies = rows.fetchall()
    with connection.transaction():
        for (body,) in bodies:
            if values := meaning(body):
                connection.execute(EFFECT, values)


def locks_for_a_moment(connection: Connection) -> None:
    """In autocommit mode, FOR UPDATE lets go at the end of its statement."""
    for name, body in connection.execute(
        "SELECT id, body FROM event WHERE NOT done FOR UPDATE SKIP LOCKED"
    ).fetchall():
        with connection.transaction():
            if values := meaning(body):
                connection.execute(EFFECT, values)
            connection.execute(MARK, [name])


def reads_without_lock(connection: Connection) -> None:
    """Each event is claimed, and yet two workers compute from the same sum."""
    found = True
    while found:
        with connection.transaction():
            rows = connection.execute(
                "UPDATE event SET done = true WHERE id = (SELECT id FROM event WHERE NOT done "
                "ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING body"
            ).fetchall()
            found = bool(rows)
            for (body,) in rows:
                if values := meaning(body):
                    compute(connection, values)


# -- 3: reconcile

Line = dict[str, Any]
DECIMALS = {"EUR": 2, "ETB": 2, "JPY": 0, "KWD": 3}
SIGNS = {"charge": 1, "refund": -1, "fee": -1}


def reconciler(
    *,
    minor: Callable[[str, str], int] = lambda text, c: int(Decimal(text).scaleb(DECIMALS[c])),
    by_currency: bool = True,
    once: Callable[[Line], object] = lambda line: line["id"],
    only: frozenset[str] = frozenset({"succeeded"}),
    total: bool = True,
    fees: bool = True,
    signs: Mapping[str, int] = SIGNS,
    keys: Callable[[Any, Any], Any] = lambda ours, theirs: {*ours, *theirs},
    ordered: bool = True,
    missing_total: bool = True,
) -> Callable[[list[Line], list[Line]], object]:
    """An answer; each argument can spoil it in one place."""

    def reconcile(statement: list[Line], rows: list[Line]) -> object:
        ours, theirs, sums = Counter[Any](), Counter[Any](), Counter[str]()
        totals: dict[str, int] = {}
        seen = set()
        for line in statement:
            currency = line["currency"]
            amount = minor(line["amount"], currency)
            if line["kind"] == "total":
                totals[currency] = amount
                continue
            if once(line) in seen:
                continue
            seen.add(once(line))
            if line["kind"] != "fee" or fees:
                sums[currency] += SIGNS[line["kind"]] * amount
            if line["kind"] != "fee":
                key = line["reference"], currency if by_currency else "EUR"
                theirs[key] += signs[line["kind"]] * amount
        checked = {*totals, *sums} if missing_total else totals
        if total and any(totals.get(currency) != sums[currency] for currency in checked):
            raise ValueError("the statement does not add up")
        for row in rows:
            if row["status"] in only:
                key = row["reference"], row["currency"] if by_currency else "EUR"
                ours[key] += signs[row["kind"]] * row["amount"]
        both = sorted(keys(ours, theirs), reverse=not ordered)
        return [(*key, ours[key], theirs[key]) for key in both if ours[key] != theirs[key]]

    return reconcile


by_counters = reconciler()


def by_fractions(statement: list[Line], rows: list[Line]) -> list[tuple[str, str, int, int]]:
    """Another form: groups of exact fractions, in a dictionary of pairs."""
    lines = {line["id"]: line for line in statement if line["kind"] != "total"}.values()
    given = {line["currency"]: Fraction(line["amount"]) for line in statement if "id" not in line}
    sums: dict[str, Fraction] = defaultdict(Fraction)
    pairs: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for line in lines:
        amount = Fraction(line["amount"]) * (1 if line["kind"] == "charge" else -1)
        sums[line["currency"]] += amount
        if line["kind"] != "fee":
            scaled = amount * 10 ** DECIMALS[line["currency"]]
            pairs[line["reference"], line["currency"]][1] += int(scaled)
    if {key: amount for key, amount in sums.items() if amount or key in given} != {
        key: amount for key, amount in given.items() if amount or key in sums
    }:
        raise ValueError(sums)
    for row in rows:
        sign = (row["kind"] == "charge") - (row["kind"] == "refund")
        pairs[row["reference"], row["currency"]][0] += (
            sign * row["amount"] * (row["status"] == "succeeded")
        )
    return [(*key, *pair) for key, pair in sorted(pairs.items()) if pair[0] != pair[1]]


def takes_totals_out(statement: list[Line], rows: list[Line]) -> object:
    found = by_counters(statement, rows)
    statement[:] = [line for line in statement if line["kind"] != "total"]
    return found


def as_decimals(statement: list[Line], rows: list[Line]) -> object:
    found: Any = by_counters(statement, rows)
    return [(name, currency, Decimal(a), Decimal(b)) for name, currency, a, b in found]


def swallows_all(statement: list[Line], rows: list[Line]) -> object:
    try:
        return by_counters(statement, rows)
    except Exception:
        return []


def reconcile_stub(statement: list[Line], rows: list[Line]) -> object:
    theirs = {line["reference"]: int(float(line["amount"]) * 100) for line in statement[:-1]}
    ours = {row["reference"]: row["amount"] for row in rows}
    return [
        (reference, "EUR", amount, theirs[reference])
        for reference, amount in ours.items()
        if amount != theirs[reference]
    ]


def rounded(text: str, currency: str) -> int:
    return round(float(text) * 10 ** DECIMALS[currency])


def hundred(text: str, currency: str) -> int:
    return int(Decimal(text) * 100)


def without_dot(text: str, currency: str) -> int:
    return int(text.replace(".", ""))


def last_are_totals(statement: list[Line], rows: list[Line]) -> object:
    """The totals are the last lines of the file, and not of their currencies."""
    count = len({line["currency"] for line in statement})
    if any(line["kind"] != "total" for line in statement[len(statement) - count :]):
        raise ValueError
    return by_counters(statement, rows)


def not_failed(statement: list[Line], rows: list[Line]) -> object:
    """All rows count that have not failed."""
    return by_counters(
        statement,
        [row | {"status": "succeeded"} for row in rows if row["status"] not in FAILED],
    )


FAILED = {"failed", "unclear"}


def same_currencies(statement: list[Line], rows: list[Line]) -> object:
    """A total of a currency without lines is an error, also if it is zero."""
    if {line["currency"] for line in statement} != {
        line["currency"] for line in statement if line["kind"] != "total"
    }:
        raise ValueError
    return by_counters(statement, rows)


def by_amount(statement: list[Line], rows: list[Line]) -> object:
    found: Any = by_counters(statement, rows)
    return sorted(found, key=lambda row: abs(row[3] - row[2]))


def copies_side_by_side(statement: list[Line], rows: list[Line]) -> object:
    lines = [line for n, line in enumerate(statement) if n == 0 or line != statement[n - 1]]
    return reconciler(once=id)(lines, rows)


REMEMBERED: set[str] = set()


def remembers(statement: list[Line], rows: list[Line]) -> object:
    """What it has seen is kept for the next day."""
    lines = [line for line in statement if line.get("id") not in REMEMBERED]
    REMEMBERED.update(line["id"] for line in statement if "id" in line)
    return by_counters(lines, rows)


def by_assertion(statement: list[Line], rows: list[Line]) -> object:
    try:
        return by_counters(statement, rows)
    except ValueError as error:
        raise AssertionError from error


RIGHT = [
    (ONE, by_upsert),
    (ONE, by_lock),
    (ONE, by_number),
    (ONE, by_session_lock),
    (ONE, by_try_lock),
    (ONE, by_error),
    (ONE, by_commits),
    (TWO, (receive, work)),
    (TWO, (by_hand, work_all_at_once)),
    (TWO, (by_hand, work)),
    (TWO, (by_violation, work_claiming)),
    (TWO, (receive, work_reading)),
    (TWO, (receive, work_if_free)),
    (TWO, (compared(hmac.compare_digest), work)),
    (THREE, by_counters),
    (THREE, by_fractions),
    (THREE, reconciler(minor=without_dot)),
]

NOT_YET = [
    (ONE, 7, "this is of type int"),
    (ONE, pay_stub, "days later"),
    (ONE, new_key_each_time, "charged 2 times"),
    (ONE, any_error_is_unclear, "returned 'unclear': catch only Unclear"),
    (ONE, booking_is_the_key, "the next one was good"),
    (ONE, notes_afterwards, "the process died just after"),
    (ONE, in_a_transaction, "a transaction is open"),
    (ONE, unclear_is_failed, "charged 2 times"),
    (ONE, unclear_is_paid, "should return unclear"),
    (ONE, tries_again_at_once, "asked the provider 3 times"),
    (ONE, overwrites, "the rows of payment that succeeded are []"),
    (ONE, looks_and_inserts, "two processes paid the same booking at once"),
    (ONE, in_this_process, "each declined attempt keeps its row"),
    (ONE, any_amount, "it should raise ValueError, and returned"),
    (ONE, amount_is_the_key, "and returned 'declined'"),
    (ONE, asks_for_what_is_paid, "charged 2 times"),
    (ONE, swallows, "a transaction is open"),
    (ONE, any_error_is_a_refusal, "returned 'declined': catch only Unclear"),
    (ONE, never_asks, "should return succeeded"),
    (ONE, raises_unclear, "pay raised Unclear"),
    (ONE, keeps_lock, "then another process paid the same booking: pay had not come"),
    (ONE, keeps_tried_lock, "should return succeeded there, and returned 'unclear'"),
    (ONE, unlocks_if_fine, "pay returned 'unclear', and then another process"),
    (ONE, conflict_is_success, "the provider had an error: pay returned 'succeeded'"),
    (ONE, amount_looked_at_before, "with 4000 and with 4500"),
    (ONE, deletes_declined, "each declined attempt keeps its row"),
    (ONE, row_used_again, "each declined attempt keeps its row"),
    (ONE, begins_only, "its transaction is still open"),
    (ONE, text_in_sql, "a plain payment: pay raised SyntaxError"),
    (ONE, key_of_the_loser, "charged 2 times"),
    (ONE, key_of_the_day, "may be another one tomorrow"),
    (ONE, key_is_a_count, "two processes paid two bookings at once"),
    (TWO, (receive,), "give two functions"),
    (TWO, (unverified, work), "should return 401"),
    (TWO, (compared(lambda digest, one: digest == one), work), "use hmac.compare_digest"),
    (TWO, (dumped, work), "should return 202"),
    (TWO, (first_secret, work), "the second secret"),
    (TWO, (last_secret, work), "the first secret"),
    (TWO, (package_errors, work), "receive raised"),
    (TWO, (any_age, work), "ten minutes old"),
    (TWO, (whole_header, work), "two wrong signatures"),
    (TWO, (copies_fail, work), "UniqueViolation"),
    (TWO, (copies_conflict, work), "the same message again"),
    (TWO, (looks_first, work), "two processes at once"),
    (TWO, (seen_here, work), "the event is not stored"),
    (TWO, (stores_again, work), "a copy came after"),
    (TWO, (works_at_once, work), "receive has changed a booking"),
    (TWO, (stores_forged, work), "yet it is stored"),
    (TWO, (left_open, work), "still open"),
    (TWO, (receive, effect_first), "the connection broke before your change of event"),
    (TWO, (receive, mark_first), "the connection broke before your change of booking"),
    (TWO, (receive, in_one_transaction), "two processes worked at once"),
    (TWO, (receive, locks_in_process), "two processes worked at once"),
    (TWO, (receive, strict), "other types"),
    (TWO, (receive, leaves_unknown), "is not done"),
    (TWO, (receive, last_status_wins), "the refund came before"),
    (TWO, (receive, sets_the_amount), "in two events"),
    (TWO, (receive, only_legal), "in two events"),
    (TWO, (receive, swallowing), "other types"),
    (TWO, (receive, nothing), "two bookings were paid"),
    (TWO, (errors_are_copies, work), "the sender will not send it again"),
    (TWO, (errors_are_401, work), "the signature was right"),
    (TWO, (no_future, work), "four minutes in the future"),
    (TWO, (last_body, work), "another body came under a known id"),
    (TWO, (in_header, work), "without its version"),
    (TWO, (json_only, work), "the event is not stored"),
    (TWO, (receive, never_unlocks), "only the other process worked"),
    (TWO, (receive, ten), "130 events"),
    (TWO, (receive, refunds_wait), "the refund came, and no payment yet"),
    (TWO, (receive, deletes_events), "a copy came after"),
    (TWO, (receive, trusts_fields), "without a field"),
    (TWO, (receive, claims_before), "the connection broke before your change of booking"),
    (TWO, (receive, locks_for_a_moment), "two processes worked at once"),
    (TWO, (receive, reads_without_lock), "two processes worked at once"),
    (TWO, (receive, makes_bookings), "work makes none"),
    (TWO, (compared(lambda digest, one: one in [digest]), work), "use hmac.compare_digest"),
    (TWO, (compared(lambda digest, one: one.endswith(digest)), work), "use hmac.compare_digest"),
    (
        TWO,
        (compared(lambda d, one: base64.b64decode(d) == base64.b64decode(one)), work),
        "use hmac.compare_digest",
    ),
    (
        TWO,
        (compared(lambda digest, one: digest.encode() == one.encode()), work),
        "use hmac.compare_digest",
    ),
    (THREE, reconcile_stub, "19.99"),
    (THREE, reconciler(minor=lambda text, c: int(float(text) * 10 ** DECIMALS[c])), "19.99"),
    (THREE, reconciler(minor=rounded), "a large amount"),
    (THREE, reconciler(minor=hundred), "with no, two and three decimals"),
    (THREE, reconciler(by_currency=False), "wrong currency"),
    (THREE, reconciler(once=lambda line: id(line)), "with the same id"),
    (
        THREE,
        reconciler(once=lambda line: (line.get("reference"), line["amount"], line["kind"])),
        "charged twice",
    ),
    (THREE, reconciler(only=frozenset({"succeeded", "failed"})), "that failed"),
    (THREE, reconciler(only=frozenset({"succeeded", "unclear"})), "unclear"),
    (THREE, reconciler(total=False), "too high"),
    (THREE, reconciler(fees=False), "fees"),
    (THREE, reconciler(missing_total=False), "has no total"),
    (THREE, reconciler(signs={"charge": 1, "refund": 1}), "given a part back"),
    (THREE, reconciler(signs={"charge": 1, "refund": 0}), "given a part back"),
    (THREE, reconciler(keys=lambda ours, theirs: {*ours} & {*theirs}), "has not heard"),
    (THREE, reconciler(keys=lambda ours, theirs: {*ours}), "that you have not"),
    (THREE, reconciler(keys=lambda ours, theirs: {*theirs}), "has not heard"),
    (THREE, reconciler(ordered=False), "sorted"),
    (THREE, takes_totals_out, "has changed its arguments"),
    (THREE, as_decimals, "should be integers"),
    (THREE, swallows_all, "it should raise ValueError"),
    (THREE, last_are_totals, "before the lines of another"),
    (THREE, not_failed, "pending"),
    (THREE, same_currencies, "a total of 0.00"),
    (THREE, by_amount, "sorted"),
    (THREE, copies_side_by_side, "with the same id"),
    (THREE, remembers, "it raised ValueError"),
    (THREE, by_assertion, "and raised AssertionError"),
    (THREE, lambda statement, rows: [], "a cent is missing"),
    (THREE, lambda statement, rows: None, "should return a list"),
]

test_right, test_not_yet = tables.tests(RIGHT, NOT_YET)
