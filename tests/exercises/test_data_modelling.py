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
WITH_TABLE = """
    CREATE TABLE status (name text, paid boolean, PRIMARY KEY (name, paid));
    INSERT INTO status VALUES ('open', false), ('paid', true);
    ALTER TABLE payment
        ADD paid boolean GENERATED ALWAYS AS (paid_at IS NOT NULL) STORED,
        ADD FOREIGN KEY (status, paid) REFERENCES status,
        ALTER status SET NOT NULL, ALTER currency SET NOT NULL, ALTER amount_minor SET NOT NULL,
        ALTER currency TYPE char(3), ALTER amount_minor TYPE numeric,
        ADD CHECK (amount_minor >= 1), ADD CHECK (currency ~ '^[A-Z]{3}$');
"""
DEFERRED = BY_TRIGGER.replace("RETURN NEW", "RETURN NULL").replace(
    "CREATE TRIGGER look BEFORE INSERT OR UPDATE ON payment",
    "CREATE CONSTRAINT TRIGGER look AFTER INSERT OR UPDATE ON payment "
    "DEFERRABLE INITIALLY DEFERRED",
)
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
DEFERRED_LOOK = LOOKS_FIRST.replace(
    "CREATE TRIGGER look BEFORE INSERT OR UPDATE ON account",
    "CREATE CONSTRAINT TRIGGER look AFTER INSERT OR UPDATE ON account "
    "DEFERRABLE INITIALLY DEFERRED",
)
ONLY_INSERT = LOOKS_FIRST.replace("INSERT OR UPDATE", "INSERT")
IN_TURN_INSERT = LOOKS_FIRST.replace(
    "BEGIN\n",
    "BEGIN\n IF TG_OP = 'INSERT' THEN LOCK TABLE account IN EXCLUSIVE MODE; END IF;\n",
    1,
)
CITEXT = """
    CREATE EXTENSION citext;
    ALTER TABLE account ALTER email TYPE citext;
    CREATE UNIQUE INDEX ON account (email) WHERE deleted_at IS NULL;
"""
LOWERED = """
    UPDATE account SET email = lower(email);
    CREATE FUNCTION low() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN NEW.email := lower(NEW.email); RETURN NEW; END $$;
    CREATE TRIGGER low BEFORE INSERT OR UPDATE ON account FOR EACH ROW EXECUTE FUNCTION low();
    CREATE UNIQUE INDEX ON account (email) WHERE deleted_at IS NULL;
"""
ADDRESSES = """
    CREATE TABLE address (email text PRIMARY KEY);
    INSERT INTO address SELECT lower(email) FROM account WHERE deleted_at IS NULL;
    CREATE FUNCTION follow() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'UPDATE' AND OLD.deleted_at IS NULL THEN
            DELETE FROM address WHERE email = lower(OLD.email);
        END IF;
        IF NEW.deleted_at IS NULL THEN
            INSERT INTO address VALUES (lower(NEW.email));
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER follow AFTER INSERT OR UPDATE ON account
        FOR EACH ROW EXECUTE FUNCTION follow();
"""


def never(event: str, when: str = "true") -> str:
    """A trigger that refuses more than the text asks for."""
    return f"""
    CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN IF {when} THEN RAISE EXCEPTION 'never'; END IF; RETURN NEW; END $$;
    CREATE TRIGGER never BEFORE {event} FOR EACH ROW EXECUTE FUNCTION never();
    """


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
AS_SELECT = """
    CREATE TABLE guest AS SELECT row_number() OVER (ORDER BY email) AS id, min(guest) AS name, email
        FROM sheet GROUP BY email;
    CREATE TABLE house AS SELECT row_number() OVER (ORDER BY house, city) AS id, house AS name, city
        FROM sheet GROUP BY house, city;
    CREATE TABLE booking AS SELECT ref, g.id AS guest_id, h.id AS house_id, arrival, nights
        FROM sheet s JOIN guest g USING (email)
        JOIN house h ON (h.name, h.city) = (s.house, s.city);
    ALTER TABLE guest ADD PRIMARY KEY (email), ADD UNIQUE (id),
        ALTER name SET NOT NULL, ALTER id SET NOT NULL, ALTER id ADD GENERATED ALWAYS AS IDENTITY;
    ALTER TABLE house ADD PRIMARY KEY (name, city), ADD UNIQUE (id),
        ALTER id SET NOT NULL, ALTER id ADD GENERATED ALWAYS AS IDENTITY;
    ALTER TABLE booking ADD PRIMARY KEY (ref),
        ALTER arrival SET NOT NULL, ALTER nights SET NOT NULL,
        ALTER guest_id SET NOT NULL, ADD FOREIGN KEY (guest_id) REFERENCES guest (id),
        ALTER house_id SET NOT NULL, ADD FOREIGN KEY (house_id) REFERENCES house (id);
    SELECT setval(pg_get_serial_sequence('guest', 'id'), 1 + count(*)) FROM guest;
    SELECT setval(pg_get_serial_sequence('house', 'id'), 1 + count(*)) FROM house;
"""
LOOP = (
    TABLES.replace("bigint GENERATED ALWAYS AS IDENTITY", "serial")
    + """
    DO $$
    DECLARE s sheet; g int; h int;
    BEGIN
        FOR s IN SELECT * FROM sheet LOOP
            INSERT INTO guest (name, email) VALUES (s.guest, s.email)
                ON CONFLICT (email) DO UPDATE SET name = guest.name RETURNING id INTO g;
            INSERT INTO house (name, city) VALUES (s.house, s.city)
                ON CONFLICT (name, city) DO UPDATE SET name = house.name RETURNING id INTO h;
            INSERT INTO booking VALUES (s.ref, g, h, s.arrival, s.nights);
        END LOOP;
    END $$
"""
)
ID_UNKNOWN = (
    TABLES.replace(
        "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "uuid DEFAULT uuidv7() UNIQUE"
    )
    .replace("_id bigint", "_id uuid")
    .replace("REFERENCES guest", "REFERENCES guest (id)")
    .replace("REFERENCES house", "REFERENCES house (id)")
    + MOVES
)
COPIES = instead("nights int NOT NULL", "nights int NOT NULL, email text, city text").replace(
    "h.id, arrival, nights", "h.id, arrival, nights, s.email, s.city"
)
TRIGGERS = (
    TABLES.replace(" REFERENCES guest", "").replace(" REFERENCES house", "")
    + MOVES
    + """
    CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NOT EXISTS (SELECT FROM guest WHERE id = NEW.guest_id)
            OR NOT EXISTS (SELECT FROM house WHERE id = NEW.house_id) THEN
            RAISE EXCEPTION 'no such guest or house';
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER look BEFORE INSERT ON booking FOR EACH ROW EXECUTE FUNCTION look();
"""
)
NO_SETVAL = SETVAL.partition("    SELECT setval")[0]
FAR_ENOUGH = SETVAL.replace("coalesce(max(id), 0) + 1", "500")
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
    (ONE, WITH_TABLE),
    (ONE, DEFERRED),
    (TWO, PARTIAL),
    (TWO, GENERATED),
    (TWO, EXCLUDED),
    (TWO, IN_TURN),
    (TWO, EXCLUDED.replace(");\n", ") DEFERRABLE INITIALLY DEFERRED;\n")),
    (TWO, CITEXT),
    (TWO, LOWERED),
    (TWO, ADDRESSES),
    (THREE, SPLIT),
    (THREE, BY_UUID),
    (THREE, SETVAL),
    (THREE, AS_SELECT),
    (THREE, LOOP),
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
    (ONE, ALL + "ALTER TABLE payment ALTER amount_minor TYPE int", "(9223372036854775807, JPY"),
    (ONE, BY_TRIGGER.replace("INSERT OR UPDATE", "INSERT"), "come about by an UPDATE"),
    (ONE, SILENT, "gets no error"),
    (ONE, ALL.replace("(amount_minor > 0)", "(amount_minor > 0) NOT ENFORCED"), "is NOT ENFORCED"),
    (ONE, "DROP TABLE payment", "does not exist"),
    (ONE, BY_TRIGGER.replace("RAISE EXCEPTION 'no such payment'", "PERFORM pg_sleep(60)"), "sleep"),
    (ONE, without("{3}", "{2,3}"), "currency 'EU' can be stored"),
    (ONE, without("^[A-Z]{3}$", "^[A-Z]{2}[A-Z0-9]$"), "currency 'EU1' can be stored"),
    (ONE, without("^[A-Z]{3}$", "^.[A-Z]{2}$"), "currency '1UR' can be stored"),
    (ONE, without("{3}$", r"{3}\s*$"), "ends with a line break can be stored"),
    (ONE, without("status IN ('open', 'paid')", "status ~ 'open|paid'"), "'unpaid' can be stored"),
    (ONE, without("status IN ('open', 'paid')", "status ~ '^(open|paid)'"), "'opened' can be"),
    (ONE, without("'paid'))", "'paid', ''))"), "an empty status can be stored"),
    (ONE, ALL + "ALTER TABLE payment ADD UNIQUE (currency)", "is refused: duplicate key"),
    (ONE, ALL + "ALTER TABLE payment ADD UNIQUE (amount_minor, currency)", "is refused: dupl"),
    (ONE, ALL + "ALTER TABLE payment ADD CHECK (amount_minor < 1e12)", "(9223372036854775807, JPY"),
    (ONE, ALL + never("INSERT ON payment", "NEW.paid_at > now()"), "2099-01-01 00:00Z) is refused"),
    (ONE, ALL + never("UPDATE ON payment"), "a payment cannot become (3, NGN, paid"),
    (ONE, BY_TRIGGER.replace("UPDATE ON", "UPDATE OF status ON"), "an UPDATE of one column"),
    (
        ONE,
        BY_TRIGGER.replace("UPDATE ON", "UPDATE OF amount_minor, currency, status ON"),
        "without a paid_at can come about by an UPDATE of one column",
    ),
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
    (TWO, PARTIAL.replace("lower(email)", "split_part(lower(email), '@', 1)"), "another host"),
    (
        TWO,
        PARTIAL.replace("lower(email)", r"regexp_replace(lower(email), '\+.*@', '@')"),
        "a longer address should be possible",
    ),
    (
        TWO,
        PARTIAL + ";" + never("UPDATE OF email ON account"),
        "changes the case of its own address",
    ),
    (
        TWO,
        PARTIAL
        + ";"
        + never("UPDATE ON account", "NEW.email <> OLD.email AND NEW.email LIKE 'e%'"),
        "changes its address to a free one",
    ),
    (
        TWO,
        PARTIAL
        + ";"
        + never("UPDATE ON account", "NEW.deleted_at IS NULL AND OLD.deleted_at < now()"),
        "comes back to a free address",
    ),
    (TWO, IN_TURN.replace(" AND id <> NEW.id", ""), "changes the case of its own address"),
    (TWO, IN_TURN_INSERT, "gave two accounts one address at the same moment, and 2 stayed"),
    (TWO, DEFERRED_LOOK, "opened an account with one address at the same moment, and 2 stayed"),
    (TWO, "BEGIN;" + PARTIAL, "leave a transaction open?"),
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
    (THREE, FAR_ENOUGH, "and a new guest got a lower one"),
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
    (THREE, ID_UNKNOWN, "a guest whose id is NULL was accepted"),
    (
        THREE,
        instead("ref int PRIMARY KEY", "ref int").replace(
            "nights int NOT NULL", "nights int NOT NULL, PRIMARY KEY (ref, guest_id)"
        ),
        "another guest and house with the same ref was accepted",
    ),
    (THREE, instead("nights int NOT NULL", "nights int CHECK (nights < 30) NOT NULL"), "long stay"),
    (
        THREE,
        instead("arrival date", "arrival date CHECK (arrival > '2026-01-01')"),
        "an old and long stay should be possible",
    ),
    (THREE, instead("name text NOT NULL, city", "name varchar(99) NOT NULL, city"), "a long name"),
    (
        THREE,
        instead("guest, email FROM", "guest, lower(email) FROM"),
        "for the table booking, which has 2",
    ),
    (
        THREE,
        instead("house, city FROM", "house, initcap(city) FROM"),
        "for the table booking, which has 3",
    ),
    (THREE, COPIES, "booking has columns that it should not have: email, city"),
    (THREE, TRIGGERS, "changes to a guest that does not exist was accepted"),
    (
        THREE,
        instead("arrival date", "arrival text"),
        "a booking that arrives on 30 February was accepted",
    ),
    (THREE, instead("NULL REFERENCES guest", "NULL REFERENCES guest NOT ENFORCED"), "a guest that"),
]

test_right, test_not_yet = tables.tests(RIGHT, NOT_YET)
