"""What was promised, and what there is of it: counted from outside, in SQL and in the files."""

import json
from collections import Counter
from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import Any

from chaos.site import SHORT, Site

OUTBOX = "messages in the outbox"
OPEN = {
    OUTBOX: "SELECT count(*) FROM outbox_outboxmessage WHERE sent_at IS NULL",
    "payments that are not settled": """
        SELECT count(*) FROM payments_payment
        WHERE status IN ('created', 'processing', 'refunding')
           OR (status = 'timed_out' AND failure = '')""",
    "refunds that are owed": """
        SELECT count(*) FROM payments_payment p JOIN bookings_booking b ON b.id = p.booking_id
        WHERE p.status = 'succeeded' AND b.status IN ('cancelled', 'expired')""",
    "paid bookings that do not know it": """
        SELECT count(*) FROM payments_payment p JOIN bookings_booking b ON b.id = p.booking_id
        WHERE p.status = 'succeeded' AND b.paid_at IS NULL""",
    "guests who were not told": """
        SELECT count(*) FROM bookings_booking b JOIN accounts_user u ON u.id = b.guest_id
        WHERE b.status = 'confirmed' AND b.confirmation_sent_at IS NULL AND u.is_active""",
    "bookings whose time has run out": """
        SELECT count(*) FROM bookings_booking WHERE status = 'pending' AND expires_at < now()""",
    "bookings of deleted guests": """
        SELECT count(*) FROM bookings_booking b JOIN accounts_user u ON u.id = b.guest_id
        WHERE b.status IN ('pending', 'confirmed') AND u.email LIKE '%@deleted.invalid'""",
    "places of deleted hosts": """
        SELECT count(*) FROM listings_property p JOIN accounts_user u ON u.id = p.host_id
        WHERE p.is_listed AND u.email LIKE '%@deleted.invalid'""",
}
"""What is promised and not yet done. In the end there must be none of it."""


@dataclass(frozen=True)
class Count:
    """What was counted, and what does not hold.

    Attributes:
        lines: What to tell of it.
        lost: What was promised and is not so.
    """

    lines: list[str]
    lost: list[str]


def still_open(site: Site) -> dict[str, int]:
    """What is promised and not yet done."""
    counts = {name: int(site.query(statement)[0][0]) for name, statement in OPEN.items()}
    return {name: number for name, number in counts.items() if number}


def count(site: Site, told: Set[str], unkept: dict[str, int] | None = None) -> Count:
    """Compare what clients, the provider and the mail server know with the database.

    Args:
        site: The project, at rest.
        told: The bookings that clients were told of.
        unkept: What `still_open` has returned, if that was asked: a booking can expire meanwhile.
    """
    unkept = still_open(site) if unkept is None else unkept
    lost = [f"{number} {name}" for name, number in unkept.items()]

    def must(holds: bool, what: str) -> None:
        if not holds:
            lost.append(what)

    bookings = {
        str(id_): (status, sent)
        for id_, status, sent in site.query(
            "SELECT id, status, confirmation_sent_at FROM bookings_booking"
        )
    }
    alike = "as" if bookings.keys() == told else "not as"
    must(bookings.keys() == told, f"{len(bookings.keys() ^ told)} bookings not as clients know")
    ((overlaps,),) = site.query(
        """SELECT count(*) FROM bookings_booking a JOIN bookings_booking b
           ON a.property_id = b.property_id AND a.id < b.id AND a.stay && b.stay
           AND a.status IN ('pending', 'confirmed') AND b.status IN ('pending', 'confirmed')"""
    )
    must(not overlaps, f"{overlaps} bookings overlap")
    by_status = Counter(status for status, _ in bookings.values())

    mails = _mails(site)
    confirmed = {id_ for id_, (status, _) in bookings.items() if status == "confirmed"}
    noted = {id_ for id_, (_, sent) in bookings.items() if sent}
    must(noted <= mails.keys(), f"{len(noted - mails.keys())} e-mails noted and not sent")
    twice = {id_: times for id_, times in mails.items() if len(times) > 1}
    strange = [id_ for id_, times in twice.items() if not _crashed(site, times)]
    must(not strange, f"{len(strange)} e-mails sent twice, with no crash in between")

    charges, refunds = _ledger(site)
    payments = site.query("SELECT id, status, amount_minor FROM payments_payment")
    taken, given = dict(charges), dict(refunds)
    must(len(taken) == len(charges), "money taken twice")
    must(len(given) == len(refunds), "money given back twice")
    kept = {str(id_): amount for id_, status, amount in payments if status == "succeeded"}
    back = {str(id_): amount for id_, status, amount in payments if status == "refunded"}
    must(taken == kept | back, f"{len(taken.items() ^ (kept | back).items())} charges differ")
    must(given == back, f"{len(given.items() ^ back.items())} refunds differ")
    return Count(
        lines=[
            f"bookings      {len(bookings)}, {alike} clients were told: "
            + ", ".join(f"{number} {status}" for status, number in sorted(by_status.items())),
            f"e-mails       {len(confirmed & mails.keys())} confirmed and their guests told, "
            f"{len(twice)} of {len(mails)} twice (a crash between sending it and noting that)",
            f"money         EUR {_euro(taken)} taken by {len(taken)} charges, "
            f"{_euro(given)} given back by {len(given)} refunds, {_euro(kept)} kept",
            f"outbox        {unkept.get(OUTBOX, 'empty')}",
        ],
        lost=lost,
    )


def _euro(amounts: dict[str, int]) -> str:
    return f"{sum(amounts.values()) / 100:,.2f}"


def _lines(path: Any) -> Iterable[Any]:
    return map(json.loads, path.read_text().splitlines()) if path.exists() else ()


def _mails(site: Site) -> dict[str, list[float]]:
    """When which booking's confirmation was taken by the mail server."""
    found: dict[str, list[float]] = {}
    for mail in _lines(site.mails):
        kind, _, rest = mail["id"].strip("<>").partition(".")
        if kind == "confirmed":
            found.setdefault(rest.partition("@")[0], []).append(mail["at"])
    return found


def _crashed(site: Site, times: list[float]) -> bool:
    """Whether for each e-mail but the last something was killed so that it was not noted.

    That is a kill within the run of the task that sent it. A worker or mail server that is dead
    sends nothing; of a database that is dead the task learns only when it has sent the e-mail.
    """
    longest = float(SHORT["TASK_SECONDS"])

    def guilty(kill: tuple[str, float, float], sent: float) -> bool:
        name, began, done = kill
        late = longest if name == "postgres" else 0.0
        return name in ("postgres", "mail", "worker") and began - longest <= sent <= done + late

    return all(any(guilty(kill, sent) for kill in site.kills) for sent in sorted(times)[:-1])


def _ledger(site: Site) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """What the provider took, by payment, and what it gave back."""
    charges: list[tuple[str, int]] = []
    refunds: list[tuple[str, int]] = []
    for key, *entry in _lines(site.ledger):
        if not entry:
            continue
        _, _, charge, refund, _ = entry
        if charge and charge["status"] == "succeeded":
            charges.append((charge["reference"], charge["amount"]))
        if refund:
            refunds.append((key.removesuffix("-refund"), refund["amount"]))
    return charges, refunds
