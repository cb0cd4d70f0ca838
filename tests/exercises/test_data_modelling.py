"""The judges of "Data modelling": stubs, right answers, wrong ones."""

from collections.abc import Iterator

import pytest

import nexus
from tests.exercises import tables

ONE, TWO, THREE = (f"data-modelling.{number}" for number in (1, 2, 3))


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with nexus.postgres(fsync="off"):  # databases come and go
        yield


KNOWN = (
    "ALTER TABLE payment ALTER amount_minor SET NOT NULL, ALTER currency SET NOT NULL, "
    "ALTER status SET NOT NULL;"
)
AMOUNT = "ALTER TABLE payment ADD CHECK (amount_minor > 0);"
CURRENCY = "ALTER TABLE payment ADD CHECK (currency ~ '^[A-Z]{3}$');"
STATUS = "ALTER TABLE payment ADD CHECK (status IN ('open', 'paid'));"
PAID = "ALTER TABLE payment ADD CHECK ((status = 'paid') = (paid_at IS NOT NULL));"
ALL = KNOWN + AMOUNT + CURRENCY + STATUS + PAID


def without(part: str, instead: str = "") -> str:
    assert part in ALL
    return ALL.replace(part, instead)


IN_ONE = """
    ALTER TABLE payment ADD CHECK (
        (amount_minor > 0 AND currency SIMILAR TO '[A-Z][A-Z][A-Z]'
         AND (status = 'paid' AND paid_at IS NOT NULL OR status = 'open' AND paid_at IS NULL))
        IS TRUE
    )
"""
BY_TYPES = """
    CREATE TYPE state AS ENUM ('open', 'paid');
    CREATE DOMAIN money AS bigint NOT NULL CHECK (VALUE > 0);
    CREATE DOMAIN currency AS text NOT NULL CHECK (VALUE ~ '^[A-Z]{3}$');
    ALTER TABLE payment
        ALTER amount_minor TYPE public.money,
        ALTER currency TYPE currency,
        ALTER status TYPE text,
        ALTER status SET NOT NULL,
        ADD CHECK (status::state IS NOT NULL),
        ADD CHECK (num_nonnulls(paid_at) = CASE status WHEN 'paid' THEN 1 ELSE 0 END);
"""
BY_TRIGGER = """
    CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF (NEW.amount_minor > 0 AND NEW.currency ~ '^[A-Z]{3}$'
            AND NEW.status IN ('open', 'paid')
            AND (NEW.status = 'paid') = (NEW.paid_at IS NOT NULL)) IS NOT TRUE THEN
            RAISE EXCEPTION 'no such payment';
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER look BEFORE INSERT OR UPDATE ON payment FOR EACH ROW EXECUTE FUNCTION look();
"""
SILENT = BY_TRIGGER.replace("RAISE EXCEPTION 'no such payment'", "RETURN NULL")

PARTIAL = "CREATE UNIQUE INDEX ON account (lower(email)) WHERE deleted_at IS NULL"
GENERATED = """
    ALTER TABLE account ADD COLUMN living text
        GENERATED ALWAYS AS (CASE WHEN deleted_at IS NULL THEN lower(email) END) STORED;
    ALTER TABLE account ADD UNIQUE (living);
"""
EXCLUDED = """
    ALTER TABLE account ADD CONSTRAINT one_living
        EXCLUDE (lower(email) WITH =) WHERE (deleted_at IS NULL);
"""
LOOKS_FIRST = """
    CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.deleted_at IS NULL AND EXISTS (
            SELECT FROM account WHERE lower(email) = lower(NEW.email)
            AND deleted_at IS NULL AND id <> NEW.id
        ) THEN
            RAISE EXCEPTION 'this address is in use';
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER look BEFORE INSERT OR UPDATE ON account FOR EACH ROW EXECUTE FUNCTION look();
"""
IN_TURN = LOOKS_FIRST.replace("BEGIN\n", "BEGIN\n LOCK TABLE account IN EXCLUSIVE MODE;\n", 1)
ONLY_INSERT = LOOKS_FIRST.replace("INSERT OR UPDATE", "INSERT")
SILENT_TWO = IN_TURN.replace("RAISE EXCEPTION 'this address is in use'", "RETURN NULL")

TABLES = """
    CREATE TABLE guest (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text NOT NULL, email text NOT NULL UNIQUE);
    CREATE TABLE house (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text NOT NULL, city text NOT NULL, UNIQUE (name, city));
    CREATE TABLE booking (ref int PRIMARY KEY, guest_id bigint NOT NULL REFERENCES guest,
        house_id bigint NOT NULL REFERENCES house, arrival date NOT NULL, nights int NOT NULL);
"""
MOVES = """
    INSERT INTO guest (name, email) SELECT DISTINCT guest, email FROM sheet;
    INSERT INTO house (name, city) SELECT DISTINCT house, city FROM sheet;
    INSERT INTO booking SELECT ref, g.id, h.id, arrival, nights FROM sheet s
        JOIN guest g USING (email) JOIN house h ON (h.name, h.city) = (s.house, s.city);
"""
SPLIT = TABLES + MOVES


def instead(old: str, new: str) -> str:
    assert old in SPLIT
    return SPLIT.replace(old, new)


BY_UUID = (
    TABLES.replace(
        "bigint GENERATED ALWAYS AS IDENTITY", "uuid DEFAULT gen_random_uuid() UNIQUE"
    ).replace("_id bigint", "_id uuid")
    + MOVES
    + "DROP TABLE sheet"
)
SETVAL = (
    TABLES.replace("ALWAYS AS IDENTITY", "BY DEFAULT AS IDENTITY")
    + """
    INSERT INTO guest SELECT min(ref), min(guest), email FROM sheet GROUP BY email;
    INSERT INTO house SELECT min(ref), house, city FROM sheet GROUP BY house, city;
    INSERT INTO booking SELECT ref,
        (SELECT id FROM guest WHERE email = s.email),
        (SELECT id FROM house WHERE name = s.house AND city = s.city), arrival, nights
        FROM sheet s;
    SELECT setval(pg_get_serial_sequence('guest', 'id'), coalesce(max(id), 0) + 1) FROM guest;
    SELECT setval(pg_get_serial_sequence('house', 'id'), coalesce(max(id), 0) + 1) FROM house;
"""
)
NO_SETVAL = SETVAL.partition("    SELECT setval")[0]
VIEWS = """
    CREATE VIEW guest AS SELECT min(ref) AS id, min(guest) AS name, email FROM sheet GROUP BY email;
    CREATE VIEW house AS SELECT min(ref) AS id, house AS name, city FROM sheet GROUP BY house, city;
    CREATE VIEW booking AS SELECT ref, g.id AS guest_id, h.id AS house_id, arrival, nights
        FROM sheet s JOIN guest g USING (email)
        JOIN house h ON (h.name, h.city) = (s.house, s.city);
"""

RIGHT = [
    (ONE, ALL),
    (ONE, IN_ONE),
    (ONE, BY_TRIGGER),
    (ONE, BY_TYPES),
    (ONE, ALL.replace("3}$');", "3}$') NOT VALID;")),
    (TWO, PARTIAL),
    (TWO, GENERATED),
    (TWO, EXCLUDED),
    (TWO, IN_TURN),
    (THREE, SPLIT),
    (THREE, BY_UUID),
    (THREE, SETVAL),
]

NOT_YET = [
    (ONE, None, "give statements"),
    (ONE, 7, "this is of type int"),
    (ONE, "SELECT 1", "without an amount can be stored"),
    (ONE, without(KNOWN), "without an amount can be stored"),
    (ONE, without("ALTER currency SET NOT NULL, "), "without a currency can be stored"),
    (ONE, without(", ALTER status SET NOT NULL"), "without a status can be stored"),
    (ONE, without("> 0", ">= 0"), "an amount of 0 can be stored"),
    (ONE, without("~ '^[A-Z]{3}$'", "= upper(currency)"), "currency 'EURO' can be stored"),
    (ONE, without("currency ~ '^[A-Z]{3}$'", "length(currency) = 3"), "'eur' can be stored"),
    (ONE, without("^[A-Z]{3}$", "[A-Z]{3}"), "currency 'EURO' can be stored"),
    (ONE, without("^[A-Z]{3}$", "[A-Z]{3}$"), "currency 'EURO' can be stored"),
    (ONE, without("~ '^[A-Z]{3}$'", "~* '^[A-Z]{3}$'"), "currency 'eur' can be stored"),
    (ONE, without("~ '^[A-Z]{3}$'", "IN ('EUR', 'NGN')"), "JPY, paid, 2026-03-01 12:00Z) is ref"),
    (ONE, without(STATUS), "status 'lost' can be stored"),
    (ONE, without("IN ('open', 'paid')", "IN ('open', 'paid', 'PAID')"), "'PAID', without a"),
    (
        ONE,
        without(
            "(status = 'paid') = (paid_at IS NOT NULL)", "status <> 'paid' OR paid_at IS NOT NULL"
        ),
        "that is open, with a paid_at",
    ),
    (
        ONE,
        without(
            "(status = 'paid') = (paid_at IS NOT NULL)",
            "status <> 'paid' OR paid_at > '2000-01-01'",
        ),
        "is refused",
    ),
    (ONE, ALL + "ALTER TABLE payment ALTER paid_at SET NOT NULL", "contains null values"),
    (ONE, ALL + "UPDATE payment SET currency = 'USD'", "must stay as they are"),
    (ONE, "DELETE FROM payment;" + ALL, "must stay as they are"),
    (ONE, ALL + "ALTER TABLE payment ALTER amount_minor TYPE int", "(5000000000, JPY"),
    (ONE, BY_TRIGGER.replace("INSERT OR UPDATE", "INSERT"), "come about by an UPDATE"),
    (ONE, SILENT, "gets no error"),
    (ONE, ALL.replace("(amount_minor > 0)", "(amount_minor > 0) NOT ENFORCED"), "is NOT ENFORCED"),
    (ONE, "DROP TABLE payment", "does not exist"),
    (TWO, None, "give statements"),
    (TWO, "SELECT 1", "with the same address was accepted"),
    (TWO, "ALTER TABLE account ADD UNIQUE (email)", "could not create unique index"),
    (
        TWO,
        "DELETE FROM account WHERE deleted_at IS NOT NULL; ALTER TABLE account ADD UNIQUE (email)",
        "must stay",
    ),
    (TWO, "ALTER TABLE account ADD UNIQUE (email, deleted_at)", "the same address was accepted"),
    (
        TWO,
        "ALTER TABLE account ADD UNIQUE NULLS NOT DISTINCT (email, deleted_at)",
        "in capital letters was accepted",
    ),
    (
        TWO,
        "CREATE UNIQUE INDEX ON account (lower(email), deleted_at) NULLS NOT DISTINCT",
        "deleted at the same moment, and not here",
    ),
    (TWO, PARTIAL.replace("lower(email)", "email"), "in capital letters was accepted"),
    (TWO, PARTIAL.replace("UNIQUE ", ""), "the same address was accepted"),
    (TWO, PARTIAL.replace("IS NULL", "IS NOT NULL"), "could not create unique index"),
    (TWO, PARTIAL.replace("(lower(email))", "(id, lower(email))"), "the same address was accepted"),
    (
        TWO,
        "UPDATE account SET email = lower(email);"
        "ALTER TABLE account ADD CHECK (email = lower(email));"
        "CREATE UNIQUE INDEX ON account (email) WHERE deleted_at IS NULL",
        "with capital letters should be possible",
    ),
    (
        TWO,
        "UPDATE account SET email = lower(email);"
        "CREATE UNIQUE INDEX ON account (email) WHERE deleted_at IS NULL",
        "in capital letters was accepted",
    ),
    (TWO, LOOKS_FIRST, "at the same moment, and 2 stayed"),
    (TWO, ONLY_INSERT, "brought back while its address is in use"),
    (TWO, SILENT_TWO, "gets no error"),
    (THREE, None, "give statements"),
    (THREE, "SELECT 1", 'relation "guest" does not exist'),
    (THREE, TABLES, "2 different rows for the table guest, which has 0"),
    (THREE, instead("SELECT DISTINCT guest, email", "SELECT guest, email"), "duplicate key"),
    (
        THREE,
        instead("SELECT DISTINCT guest, email", "SELECT guest, email").replace(
            "NULL UNIQUE", "NULL"
        ),
        'violates unique constraint "booking_pkey"',
    ),
    (THREE, instead("email text NOT NULL UNIQUE", "email text NOT NULL"), "a second guest with"),
    (THREE, instead(", UNIQUE (name, city)", ""), "a second house with the same name and city"),
    (THREE, instead(", UNIQUE (name, city)", ", UNIQUE (name)"), "duplicate key"),
    (THREE, instead("name text NOT NULL, email", "name text NOT NULL UNIQUE, email"), "duplicate"),
    (
        THREE,
        instead("h ON (h.name, h.city) = (s.house, s.city)", "h ON h.name = s.house"),
        "duplica",
    ),
    (
        THREE,
        instead("JOIN guest g USING (email)", "JOIN guest g ON g.name = s.guest"),
        "duplicate key",
    ),
    (
        THREE,
        instead("SELECT DISTINCT guest, email", "SELECT guest, min(email)").replace(
            "FROM sheet;\n    INSERT INTO house",
            "FROM sheet GROUP BY guest;\n    INSERT INTO house",
        ),
        "3 different rows for the table guest, which has 2",
    ),
    (THREE, instead("ref int PRIMARY KEY", "ref int NOT NULL"), "second booking with the same ref"),
    (THREE, instead(" REFERENCES guest", ""), "a guest that does not exist was accepted"),
    (THREE, instead(" REFERENCES house", ""), "a house that does not exist was accepted"),
    (THREE, instead(" NOT NULL REFERENCES guest", " REFERENCES guest"), "without a guest was"),
    (THREE, instead("name text NOT NULL, email", "name text, email"), "a guest without a name was"),
    (THREE, instead("nights int NOT NULL", "nights int"), "without nights was accepted"),
    (
        THREE,
        instead("house_id bigint NOT NULL", "house_id bigint NOT NULL UNIQUE"),
        "duplicate key",
    ),
    (THREE, NO_SETVAL, "a new guest, without an id, should be possible: duplicate key"),
    (THREE, VIEWS, "a new guest, without an id, should be possible"),
    (
        THREE,
        TABLES + "INSERT INTO guest (name, email) VALUES ('Amina', 'amina@example.org'), "
        "('Bode', 'bode@example.org');"
        "INSERT INTO house (name, city) VALUES ('Lagoon', 'Lagos'), ('Cabin', 'Abuja');"
        "INSERT INTO booking VALUES (1, 1, 1, '2026-12-01', 3), (2, 2, 1, '2026-12-04', 2), "
        "(3, 1, 2, '2026-12-24', 2)",
        "two guests called Amina",
    ),
    (
        THREE,
        instead("FROM sheet s", "FROM (SELECT DISTINCT ON (email, house, arrival) * FROM sheet) s"),
        "5 different rows for the table booking, which has 4",
    ),
]

test_right, test_not_yet = tables.tests(RIGHT, NOT_YET, often=9)
