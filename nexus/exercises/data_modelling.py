"""Judges of "Data modelling": rules for a table, one living account an address, a sheet split."""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import psycopg
from psycopg import sql

from nexus.judging import NotYet, first_line, judge
from nexus.judging.limits import Run, all_of
from nexus.judging.meeting import come_to_rest
from nexus.judging.sandbox import Connection, Sandbox, another, database, give

Row = tuple[object, ...]


def refusal(connection: Connection, statement: str, values: Sequence[object] = ()) -> str | None:
    """What PostgreSQL says when it refuses a statement; None if it accepts it.

    Raises:
        NotYet: if it does neither in time.
    """
    try:
        connection.execute(statement, values)  # type: ignore[arg-type]
    except psycopg.errors.QueryCanceled:
        raise NotYet(
            "a statement waited until it was stopped. Does the answer sleep, or leave a "
            "transaction open?"
        ) from None
    except psycopg.Error as error:
        return first_line(error)
    return None


PAYMENTS: list[Row] = [
    (900, "EUR", "paid", "2026-01-02 10:00Z"),
    (1, "NGN", "open", None),
]


def payments(connection: Connection) -> None:
    """Makes a table without rules, and two good rows."""
    connection.execute("""
        CREATE TABLE payment (
            id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            amount_minor bigint, currency text, status text, paid_at timestamptz
        )
    """)
    for row in PAYMENTS:
        connection.execute(PAY, row)  # type: ignore[arg-type]


PAY = (
    "INSERT INTO payment (amount_minor, currency, status, paid_at) "
    "VALUES (%s::bigint, %s, %s, %s::timestamptz)"
)
CHANGE = (
    "UPDATE payment SET amount_minor = %s::bigint, currency = %s, status = %s, "
    "paid_at = %s::timestamptz WHERE id = 1"
)
PAID = "2026-03-01 12:00Z"
GOOD: list[Row] = [
    (9_223_372_036_854_775_807, "JPY", "paid", PAID),
    (1, "AAA", "open", None),
    (8, "ZZZ", "paid", "1999-01-01 00:00Z"),
    (8, "EUR", "paid", "2099-01-01 00:00Z"),
    PAYMENTS[0],
]
MORE_GOOD: Row = (3, "NGN", "paid", PAID)
"""What the first payment may become."""
BAD: dict[str, Row] = {
    "without an amount": (None, "EUR", "open", None),
    "with an amount of 0": (0, "EUR", "open", None),
    "with an amount of -5": (-5, "EUR", "paid", PAID),
    "without a currency": (5, None, "open", None),
    "with the currency 'eur'": (5, "eur", "open", None),
    "with the currency 'EURO'": (5, "EURO", "open", None),
    "with the currency 'xEUR'": (5, "xEUR", "open", None),
    "with the currency 'EU'": (5, "EU", "open", None),
    "with the currency 'EU1'": (5, "EU1", "open", None),
    "with the currency '1UR'": (5, "1UR", "open", None),
    "whose currency ends with a line break": (5, "EUR\n", "open", None),
    "with the currency 'E'": (5, "E", "open", None),
    "with the currency 'E1R'": (5, "E1R", "open", None),
    "with the currency 'ÄÖÜ'": (5, "ÄÖÜ", "open", None),
    "with an empty currency": (5, "", "open", None),
    "without a status": (5, "EUR", None, None),
    "without a status, and with a paid_at": (5, "EUR", None, PAID),
    "with the status 'lost'": (5, "EUR", "lost", None),
    "with the status 'unpaid'": (5, "EUR", "unpaid", None),
    "with the status 'opened'": (5, "EUR", "opened", None),
    "with an empty status": (5, "EUR", "", None),
    "with the status 'PAID'": (5, "EUR", "PAID", PAID),
    "with the status 'PAID', without a paid_at": (5, "EUR", "PAID", None),
    "that is paid, without a paid_at": (5, "EUR", "paid", None),
    "that is open, with a paid_at": (5, "EUR", "open", PAID),
}
ALONE = {
    "with an amount of 0": "UPDATE payment SET amount_minor = 0 WHERE id = 1",
    "with the currency 'eur'": "UPDATE payment SET currency = 'eur' WHERE id = 1",
    "that is open, with a paid_at": "UPDATE payment SET status = 'open' WHERE id = 1",
    "that is paid, without a paid_at": "UPDATE payment SET paid_at = NULL WHERE id = 1",
    "that is open, with a new paid_at": "UPDATE payment SET paid_at = now() WHERE id = 2",
    "that becomes paid, without a paid_at": "UPDATE payment SET status = 'paid' WHERE id = 2",
}
"""Changes of one column."""


@judge(
    "data-modelling.1",
    takes=str,
    called="SQL in quotes, one statement or more",
    hint="give statements, in quotes, after which the table refuses what breaks a rule",
)
def rules(answer: str) -> str:
    """Bad rows are refused by INSERT and UPDATE, good ones are stored, as they are."""
    with database("modelling_payments", payments) as box:
        box.run(answer)
        if _payments(box) != _in_order(PAYMENTS):
            raise NotYet("the two good rows that were there must stay as they are")
        for row in GOOD:
            if said := refusal(box.admin, PAY, row):
                raise NotYet(f"a good payment {_shown(row)} is refused: {said}")
        kept = _payments(box)
        if kept != _in_order([*PAYMENTS, *GOOD]):
            raise NotYet("a good payment was accepted, and is not stored as it was sent")
        for statement, said in ((PAY, "can be stored"), (CHANGE, "can come about by an UPDATE")):
            for what, row in BAD.items():
                if refusal(box.admin, statement, row):
                    continue
                if _payments(box) == kept:
                    raise NotYet(
                        f"a payment {what} is not stored, and the program that sent it gets no "
                        "error. It takes the payment for done"
                    )
                raise NotYet(f"a payment {what} {said}{_lenient(box)}")
            if _payments(box) != kept:
                raise NotYet("a refused payment has changed the table")
        for what, change in ALONE.items():
            if not refusal(box.admin, change):
                raise NotYet(f"a payment {what} can come about by an UPDATE of one column")
        if said := refusal(box.admin, CHANGE, MORE_GOOD):
            raise NotYet(f"a payment cannot become {_shown(MORE_GOOD)}, which is good: {said}")
        if _payments(box) != _in_order([MORE_GOOD, *PAYMENTS[1:], *GOOD]):
            raise NotYet("a good change was accepted, and is not stored as it was sent")
    return (
        f"{len(BAD)} kinds of bad payments are refused, by INSERT and by UPDATE, and "
        f"{len(GOOD)} good ones and a good change are stored"
    )


def _in_order(rows: Sequence[Row]) -> list[Row]:
    """Rows in an order that is the same for equal rows."""
    return sorted(rows, key=_shown)


def _shown(row: Row) -> str:
    return "(" + ", ".join("NULL" if value is None else str(value) for value in row) + ")"


def _payments(box: Sandbox) -> list[Row]:
    """All payments, as they were sent, in order."""
    rows = box.admin.execute(r"""
        SELECT amount_minor, currency::text, status::text,
               to_char(paid_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI"Z"')
        FROM payment
    """).fetchall()
    return _in_order(rows)


def _lenient(box: Sandbox) -> str:
    """Says which constraints are there and are not enforced, if any."""
    names = box.admin.execute(
        "SELECT conname FROM pg_constraint WHERE NOT conenforced ORDER BY conname"
    ).fetchall()
    return "".join(f". The constraint {name} is NOT ENFORCED" for (name,) in names)


ACCOUNTS: list[Row] = [
    ("amina@example.org", "2026-01-01"),
    ("amina@example.org", "2026-01-31"),
    ("Bode@example.org", None),
    ("chidi@example.org", None),
    ("Dalila@example.org", "2026-02-02"),
    ("dalila@example.org", None),
]


def accounts(connection: Connection) -> None:
    """Makes accounts: living ones, and deleted ones with equal addresses."""
    connection.execute("""
        CREATE TABLE account (
            id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            email text NOT NULL,
            deleted_at timestamptz
        )
    """)
    for row in ACCOUNTS:
        connection.execute(OPEN, row)  # type: ignore[arg-type]


CASE = "UPDATE account SET email = 'ESI@example.org' WHERE lower(email) = 'esi@example.org'"
OPEN = "INSERT INTO account (email, deleted_at) VALUES (%s, %s::timestamptz)"
COUNT = "SELECT count(*) FROM account WHERE lower(email) = lower(%s) AND deleted_at IS NULL"


@judge(
    "data-modelling.2",
    takes=str,
    called="SQL in quotes, one statement or more",
    hint="give statements, in quotes, after which two living accounts never have one address",
)
def living(answer: str) -> str:
    """One living account an address, by INSERT, by UPDATE and in a race; deleted ones are free."""
    with database("modelling_accounts", accounts) as box:
        own = sql.Identifier(box.learner.info.dbname)
        role = sql.Identifier(box.learner.info.user)
        # An answer may bring a trusted extension, such as citext.
        box.admin.execute(sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(own, role))
        box.run(answer)
        kept = box.admin.execute(
            "SELECT lower(email), deleted_at IS NULL FROM account ORDER BY 1, 2"
        ).fetchall()
        if kept != sorted((str(email).lower(), gone is None) for email, gone in ACCOUNTS):
            raise NotYet("the accounts that were there, deleted ones too, must stay")
        for what, row in {
            "an account whose address only deleted accounts have": ("amina@example.org", None),
            "a new account with capital letters": ("Esi@Example.org", None),
            "an account with the same name at another host": ("chidi@example.com", None),
            "an account with a longer address": ("chidi+stays@example.org", None),
            "a deleted account with the address of a living one": ("BODE@example.org", PAID),
            "a deleted account": ("hope@example.org", PAID),
        }.items():
            if said := refusal(box.admin, OPEN, row):
                raise NotYet(f"{what} should be possible: {said}")
        for what, change in {
            "an account changes the case of its own address": CASE,
            "an account changes its address to a free one": "UPDATE account "
            "SET email = 'esi@new.example' WHERE lower(email) = 'esi@example.org'",
            "a deleted account comes back to a free address": "UPDATE account "
            "SET deleted_at = NULL WHERE lower(email) = 'hope@example.org'",
        }.items():
            if said := refusal(box.admin, change):
                raise NotYet(f"it should be possible that {what}: {said}")
        _stored(box, ["amina@example.org", "esi@new.example", "hope@example.org"])
        for what, email in {
            "the same address": "chidi@example.org",
            "the same address in capital letters": "CHIDI@EXAMPLE.ORG",
            "the small letters of an address in capital ones": "bode@example.org",
        }.items():
            _refused(box, OPEN, (email, None), f"a second living account with {what}", email)
        _refused(
            box,
            "UPDATE account SET deleted_at = NULL "
            "WHERE deleted_at IS NOT NULL AND lower(email) = %s",
            ("dalila@example.org",),
            "a deleted account, brought back while its address is in use,",
            "dalila@example.org",
        )
        _refused(
            box,
            "UPDATE account SET email = 'Chidi@example.org' WHERE lower(email) = %s",
            ("esi@new.example",),
            "an account that changes its address to one in use",
            "chidi@example.org",
        )
        if said := refusal(
            box.admin,
            "UPDATE account SET deleted_at = now() WHERE lower(email) = 'chidi@example.org'",
        ):
            raise NotYet(f"a living account should be possible to delete: {said}")
        if said := refusal(box.admin, OPEN, ("Chidi@example.org", None)):
            raise NotYet(f"after its account was deleted, the address should be free: {said}")
        if said := refusal(box.admin, OPEN, ("BODE@example.org", PAID)):
            raise NotYet(f"two accounts can be deleted at the same moment, and not here: {said}")
        _race(box)
    return (
        "a second living account is refused, in any case of letters, after a change and in a race; "
        "deleted accounts do not count"
    )


def _living(box: Sandbox, email: str) -> int:
    (number,) = box.admin.execute(COUNT, [email]).fetchone() or (0,)
    return int(number)


def _stored(box: Sandbox, emails: Sequence[str]) -> None:
    for email in emails:
        if not _living(box, email):
            raise NotYet(f"{email} was accepted, and there is no living account with that address")


def _refused(box: Sandbox, statement: str, values: Row, what: str, email: str) -> None:
    """Raises NotYet unless a statement is refused, and says so."""
    if refusal(box.admin, statement, values):
        return
    if _living(box, email) > 1:
        raise NotYet(f"{what} was accepted. {email} now has {_living(box, email)} living accounts")
    raise NotYet(f"{what} is not stored, and the program that sent it gets no error")


MOVE = "UPDATE account SET email = %s WHERE lower(email) = %s"


def _race(box: Sandbox) -> None:
    """Two programs take one free address, and neither sees the other's account."""
    for statement, first_values, second_values, what in (
        (OPEN, ("fola@example.org", None), ("Fola@example.org", None), "opened an account with"),
        (
            MOVE,
            ("gina@example.org", "hope@example.org"),
            ("Gina@example.org", "esi@new.example"),
            "gave two accounts",
        ),
    ):
        with another(box) as first, another(box) as second:
            first.execute("BEGIN")
            first.execute(statement, first_values)
            first.execute("SET CONSTRAINTS ALL IMMEDIATE")  # a check at the commit is over, too
            run = Run(partial(refusal, second, statement, second_values))
            come_to_rest(box, [lambda run=run: run.is_running])  # type: ignore[misc]
            with suppress(psycopg.Error):
                first.execute("COMMIT")
            all_of([run], "a second account")
        if (number := _living(box, first_values[0])) != 1:
            raise NotYet(
                f"two programs {what} one address at the same moment, and {number} "
                "stayed. A query cannot see what another transaction has not committed"
            )


Booked = tuple[int, str, str, str, str, str, int]

SHEET: list[Booked] = [
    (1, "Amina", "amina@example.org", "Lagoon", "Lagos", "2026-12-01", 3),
    (2, "Bode", "bode@example.org", "Lagoon", "Lagos", "2026-12-04", 2),
    (3, "Amina", "amina@example.org", "Cabin", "Abuja", "2026-12-24", 2),
]
NAMESAKES: list[Booked] = [
    (10, "Amina", "amina@example.org", "Lagoon", "Lagos", "2026-12-01", 3),
    (12, "Esi", "Esi@Example.org", "Lagoon", "Dar es Salaam", "2026-12-01", 3),
    (13, "Esi", "Esi@Example.org", "Lagoon", "Dar es Salaam", "2026-12-01", 3),
    (900_000, "Amina", "amina@other.example", "Lagoon", "Lagos", "2026-12-04", 3),
    (900_001, "Esi", "Esi@Example.org", "Attic", "Lagos", "2026-12-09", 1),
]


SHEETS: list[tuple[list[Booked], str]] = [
    (SHEET, "the sheet"),
    (NAMESAKES, "a sheet with two guests called Amina and a Lagoon in two cities"),
    ([], "an empty sheet"),
]


def _lay(box: Sandbox, rows: Sequence[Booked]) -> None:
    """Leaves one table in the database, a sheet with some rows, for the answer's role."""
    box.admin.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    box.admin.execute("""
        CREATE TABLE sheet (
            ref int NOT NULL, guest text NOT NULL, email text NOT NULL, house text NOT NULL,
            city text NOT NULL, arrival date NOT NULL, nights int NOT NULL
        )
    """)
    for row in rows:
        box.admin.execute("INSERT INTO sheet VALUES (%s, %s, %s, %s, %s, %s, %s)", row)
    give(box.admin, sql.Identifier(box.learner.info.user))


@judge(
    "data-modelling.3",
    takes=str,
    called="SQL in quotes, one statement or more",
    hint="give statements, in quotes, that create guest, house and booking, and fill them from the "
    "sheet",
)
def split(answer: str) -> str:
    """Three sheets are split without a loss, and the three tables keep the rules."""
    with database("modelling_sheets", lambda _: None) as box:
        for rows, what in SHEETS:
            _lay(box, rows)
            box.run(answer)
            _same(box, rows, what)
            _keeps(box, what)
    return "three sheets were split without a loss, and the tables refuse what breaks a rule"


COLUMNS = {
    "guest": {"id", "name", "email"},
    "house": {"id", "name", "city"},
    "booking": {"ref", "guest_id", "house_id", "arrival", "nights"},
}
JOINED = """
    SELECT b.ref, g.name, g.email, h.name, h.city, b.arrival::text, b.nights
    FROM booking b JOIN guest g ON g.id = b.guest_id JOIN house h ON h.id = b.house_id
    ORDER BY b.ref, g.id, h.id
"""


def _same(box: Sandbox, rows: Sequence[Booked], what: str) -> None:
    """Joined again, the three tables are the sheet; and each guest and house is there once."""
    for table, asked in COLUMNS.items():
        columns = box.admin.execute(
            "SELECT attname FROM pg_attribute "
            "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            [table],
        ).fetchall()
        if more := [name for (name,) in columns if name not in asked]:
            raise NotYet(
                f"the table {table} has columns that it should not have: {', '.join(more)}"
            )
    for table, number in {
        "guest": len({row[2] for row in rows}),
        "house": len({row[3:5] for row in rows}),
        "booking": len(rows),
    }.items():
        count = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
        (found,) = box.admin.execute(count).fetchone() or (0,)
        if found != number:
            raise NotYet(
                f"{what} has {number} different rows for the table {table}, which has {found}"
            )
    joined = box.admin.execute(JOINED).fetchall()
    if joined != list(rows):
        other = next((row for row in rows if row not in joined), None)
        raise NotYet(
            f"with {what}, the three tables joined again give other rows than the sheet: "
            + (f"{other} is missing" if other else f"{len(joined)} rows and not {len(rows)}")
        )


GUEST = "INSERT INTO guest (name, email) VALUES (%s, %s)"
HOUSE = "INSERT INTO house (name, city) VALUES (%s, %s)"
BOOKING = """
    INSERT INTO booking (ref, guest_id, house_id, arrival, nights)
    SELECT %s, (SELECT id FROM guest WHERE email = %s),
           (SELECT id FROM house WHERE name = %s AND city = %s), %s, %s
"""
MOVED = "UPDATE booking SET {}_id = 987654 WHERE ref = 900"
SAME_ADDRESS = "UPDATE guest SET email = 'new@fresh.test' WHERE email = 'newer@example.org'"
OTHER = ("newer@example.org", "Treehouse", "Porto", "2027-02-01", 3)
NEW = ("new@fresh.test", "Treehouse", "Jos", "2027-01-01", 2)


def _highest(box: Sandbox) -> dict[str, int | None]:
    """The highest id of guest and of house; None where ids are no numbers."""
    found = {}
    for table in ("guest", "house"):
        ids = box.admin.execute(sql.SQL("SELECT id FROM {}").format(sql.Identifier(table)))
        found[table] = max((id_ for (id_,) in ids if isinstance(id_, int)), default=None)
    return found


def _keeps(box: Sandbox, what: str) -> None:
    """The rules of the exercise, tried one by one after the split."""
    values: Row
    there, old = NEW[:3], _highest(box)
    for thing, statement, values in (
        ("a new guest, without an id,", GUEST, ("New", "new@fresh.test")),
        ("a new guest with the name of another one", GUEST, ("New", "newer@example.org")),
        ("a new house, without an id,", HOUSE, ("Treehouse", "Jos")),
        ("a house with the name of one in another city", HOUSE, ("Treehouse", "Porto")),
        ("a booking", BOOKING, (900, *NEW)),
        ("a second booking of the same guest and house", BOOKING, (901, *NEW)),
        ("a booking of an old and long stay", BOOKING, (902, *there, "1999-12-31", 365)),
        ("a guest with a long name and address", GUEST, ("N" * 300, f"{'n' * 300}@example.org")),
        ("a house with a long name in a city with a long name", HOUSE, ("H" * 300, "C" * 300)),
    ):
        if said := refusal(box.admin, statement, values):
            raise NotYet(f"after {what} was split, {thing} should be possible: {said}")
    for table, highest in _highest(box).items():
        # A new id that is not above the old ones comes, one day, to one that is taken.
        if highest is not None and highest == old[table]:
            raise NotYet(
                f"after {what} was split, the ids of {table} go up to {highest:,}, and a new "
                f"{table} got a lower one. Later ones will get ids that are taken"
            )
    day: tuple[object, object] = ("2027-01-01", 2)
    nobody = "INSERT INTO booking (ref, guest_id, house_id, arrival, nights) SELECT 903, {}, {}, "
    nobody += "'2027-01-01', 2 FROM guest, house LIMIT 1"
    for thing, statement, values in (
        ("a second guest with the same address", GUEST, ("Other", "new@fresh.test")),
        ("a second house with the same name and city", HOUSE, ("Treehouse", "Jos")),
        ("a second booking with the same ref", BOOKING, (900, *NEW)),
        ("a booking of another guest and house with the same ref", BOOKING, (900, *OTHER)),
        ("a booking of a guest that does not exist", nobody.format("987654", "house.id"), ()),
        ("a booking of a house that does not exist", nobody.format("guest.id", "987654"), ()),
        ("a guest without a name", GUEST, (None, "none@example.org")),
        ("a guest without an address", GUEST, ("None", None)),
        ("a house without a name", HOUSE, (None, "Jos")),
        ("a house without a city", HOUSE, ("Treehouse", None)),
        ("a booking without a ref", BOOKING, (None, *NEW)),
        ("a booking without a guest", BOOKING, (904, None, *there[1:], *day)),
        ("a booking without a house", BOOKING, (905, there[0], None, None, *day)),
        ("a booking without an arrival", BOOKING, (906, *there, None, 2)),
        ("a booking without nights", BOOKING, (907, *there, "2027-01-01", None)),
        ("a booking that arrives on 30 February", BOOKING, (908, *there, "2027-02-30", 2)),
        ("a booking that changes to a guest that does not exist", MOVED.format("guest"), ()),
        ("a booking that changes to a house that does not exist", MOVED.format("house"), ()),
        ("a guest that changes to the address of another one", SAME_ADDRESS, ()),
    ):
        if not refusal(box.admin, statement, values):
            raise NotYet(f"{thing} was accepted")
    for table, column in (("guest", "email"), ("house", "city")):
        no_id = sql.SQL("INSERT INTO {} (id, name, {}) VALUES (NULL, 'Nameless', 'nowhere')")
        with suppress(psycopg.Error):
            box.admin.execute(no_id.format(sql.Identifier(table), sql.Identifier(column)))
        count = sql.SQL("SELECT count(*) FROM {} WHERE id IS NULL").format(sql.Identifier(table))
        if box.admin.execute(count).fetchone() != (0,):
            raise NotYet(f"a {table} whose id is NULL was accepted")
        delete = sql.SQL("DELETE FROM {} WHERE id = (SELECT {} FROM booking LIMIT 1)")
        with suppress(psycopg.Error):
            box.admin.execute(delete.format(sql.Identifier(table), sql.Identifier(f"{table}_id")))
    (orphans,) = box.admin.execute("""
        SELECT count(*) FROM booking
        WHERE guest_id NOT IN (SELECT id FROM guest) OR house_id NOT IN (SELECT id FROM house)
    """).fetchone() or (0,)
    if orphans:
        raise NotYet(f"a guest or house was deleted, and {orphans} bookings refer to nothing")
