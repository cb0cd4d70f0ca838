"""The short run of `make chaos`, and that what it counts can be wrong."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from chaos.count import OPEN, Count, count
from chaos.site import SHORT
from stays.accounts.models import DELETED
from stays.bookings.models import Booking
from stays.outbox.services import send
from stays.payments.models import Payment, Status
from tests.factories import make_booking, make_host, make_property, make_user
from tests.payments.events import make_payment
from tests.programs import DEADLINE, ROOT


@pytest.mark.xdist_group("whole project")
def test_nothing_is_lost_when_each_neighbour_and_the_worker_are_killed() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "chaos", "--seed", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=4 * DEADLINE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lost          nothing" in done.stdout


@dataclass
class Rest:
    """A site at rest: the tests' database, and files that the others have left."""

    ledger: Path
    mails: Path
    kills: list[tuple[str, float, float]] = field(default_factory=list)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    def write(self, path: Path, line: Any) -> None:
        with path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def charged(self, payment: Payment, reference: str = "") -> None:
        charge = {
            "id": payment.provider_reference,
            "reference": reference or str(payment.id),
            "amount": payment.amount_minor,
            "status": "succeeded",
        }
        self.write(
            self.ledger, [charge["reference"], ["/charges", {}], [201, {}], charge, None, []]
        )

    def refunded(self, payment: Payment, key: str = "refund") -> None:
        refund = {"amount": payment.amount_minor}
        self.write(
            self.ledger,
            [f"{payment.id}-{key}", ["/refunds", {}], [201, {}], None, refund, []],
        )

    def mailed(self, booking: Booking, at: float = 0.0) -> None:
        self.write(self.mails, {"at": at, "id": f"<confirmed.{booking.id}@example.com>"})

    def counted(self) -> Count:
        return count(self, {str(booking.id) for booking in Booking.objects.all()})  # type: ignore[arg-type]

    def lost(self) -> list[str]:
        return self.counted().lost


@pytest.fixture
def rest(tmp_path: Path) -> Rest:
    return Rest(tmp_path / "ledger", tmp_path / "mails")


def paid(rest: Rest) -> Payment:
    """A booking that is paid and confirmed, and whose guest was told."""
    now = timezone.now()
    booking = make_booking(status="confirmed", confirmation_sent_at=now)
    payment = make_payment(booking, status=Status.SUCCEEDED)
    rest.charged(payment)
    rest.mailed(booking)
    return payment


@pytest.mark.django_db
def test_where_all_is_well_nothing_is_lost(rest: Rest) -> None:
    paid(rest)
    given_back = make_payment(make_booking(status="cancelled"), status=Status.REFUNDED)
    rest.charged(given_back)
    rest.refunded(given_back)
    assert rest.lost() == []
    said = "\n".join(rest.counted().lines)
    assert "2, as clients were told: 1 cancelled, 1 confirmed" in said
    assert "1 confirmed and their guests told, 0 of 1 twice" in said
    assert "outbox        empty" in said


def untold(rest: Rest, payment: Payment) -> None:  # noqa: ARG001
    Booking.objects.update(confirmation_sent_at=None)


def unsent(rest: Rest, payment: Payment) -> None:  # noqa: ARG001
    rest.mails.write_text("")


def mailed_twice(rest: Rest, payment: Payment) -> None:
    rest.mailed(payment.booking, at=1.0)


def waiting(rest: Rest, payment: Payment) -> None:  # noqa: ARG001
    send(task="test.nothing", arguments={})


def unsettled(rest: Rest, payment: Payment) -> None:  # noqa: ARG001
    make_payment(status=Status.PROCESSING)


def owed(rest: Rest, payment: Payment) -> None:  # noqa: ARG001
    other = make_payment(make_booking(status="cancelled"), status=Status.SUCCEEDED)
    rest.charged(other)


def unknown(rest: Rest, payment: Payment) -> None:  # noqa: ARG001
    other = make_payment(make_booking(), status=Status.SUCCEEDED)
    rest.charged(other)


def overdue(rest: Rest, payment: Payment) -> None:  # noqa: ARG001
    make_booking(expires_at=timezone.now() - timedelta(seconds=1))


def of_a_deleted_guest(rest: Rest, payment: Payment) -> None:  # noqa: ARG001
    make_booking(guest=make_user(email=f"1{DELETED}"))


def of_a_deleted_host(rest: Rest, payment: Payment) -> None:  # noqa: ARG001
    make_property(host=make_host(email=f"1{DELETED}"))


def charged_twice(rest: Rest, payment: Payment) -> None:
    rest.charged(payment)


def charged_for_nothing(rest: Rest, payment: Payment) -> None:
    rest.charged(payment, reference="another")


def refunded_for_nothing(rest: Rest, payment: Payment) -> None:
    rest.refunded(payment)


def refunded_twice(rest: Rest, payment: Payment) -> None:
    rest.refunded(payment, "refund")
    rest.refunded(payment, "refund")


SPOILT: tuple[tuple[Callable[[Rest, Payment], None], str], ...] = (
    (untold, "1 guests who were not told"),
    (unsent, "1 e-mails noted and not sent"),
    (mailed_twice, "1 e-mails sent twice, with no crash in between"),
    (waiting, "1 messages in the outbox"),
    (unsettled, "1 payments that are not settled"),
    (owed, "1 refunds that are owed"),
    (unknown, "1 paid bookings that do not know it"),
    (overdue, "1 bookings whose time has run out"),
    (of_a_deleted_guest, "1 bookings of deleted guests"),
    (of_a_deleted_host, "1 places of deleted hosts"),
    (charged_twice, "money taken twice"),
    (charged_for_nothing, "1 charges differ"),
    (refunded_for_nothing, "1 refunds differ"),
    (refunded_twice, "money given back twice"),
)


@pytest.mark.django_db
@pytest.mark.parametrize(("spoil", "what"), SPOILT)
def test_what_is_lost_is_found(
    rest: Rest, spoil: Callable[[Rest, Payment], None], what: str
) -> None:
    spoil(rest, paid(rest))
    assert what in rest.lost()


def test_every_promise_is_shown_to_be_broken() -> None:
    assert {f"1 {name}" for name in OPEN} <= {what for _, what in SPOILT}


@pytest.mark.django_db
def test_what_is_told_is_only_what_holds(rest: Rest) -> None:
    payment = paid(rest)
    waiting(rest, payment)
    unsent(rest, payment)
    said = "\n".join(count(rest, set()).lines)  # type: ignore[arg-type]
    assert "1, not as clients were told: 1 confirmed" in said
    assert "0 confirmed and their guests told" in said
    assert "outbox        1" in said


@pytest.mark.django_db
def test_a_booking_that_no_client_knows_is_found(rest: Rest) -> None:
    paid(rest)
    assert count(rest, set()).lost == ["1 bookings not as clients know"]  # type: ignore[arg-type]


@pytest.mark.django_db
def test_an_email_may_come_twice_if_something_was_killed_meanwhile(rest: Rest) -> None:
    payment = paid(rest)
    rest.mailed(payment.booking, at=60.0)
    assert len(rest.lost()) == 1
    longest = float(SHORT["TASK_SECONDS"])
    for name, began, done in (
        ("worker", longest + 0.1, longest + 0.2),
        ("worker", -0.2, -0.1),
        ("postgres", -longest - 0.2, -longest - 0.1),
        ("valkey", 0.1, 0.2),
    ):
        rest.kills.append((name, began, done))
        assert len(rest.lost()) == 1
    for name, began, done in (
        ("worker", 0.1, 0.2),
        ("mail", -0.1, 0.1),
        ("postgres", -longest, 0.1 - longest),
    ):
        rest.kills[:] = [(name, began, done)]
        assert rest.lost() == []
