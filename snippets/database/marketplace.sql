-- How do people, listings and bookings look in a schema that refuses wrong data?
--
-- PostgreSQL 18; with an older one, write gen_random_uuid() for uuidv7(). Run it once, as the owner
-- of the database:
--   psql --set ON_ERROR_STOP=1 --single-transaction --file marketplace.sql
--
-- Watch out:
-- * Money is an integer of the currency's smallest unit. Divide it only to show it, and not always
--   by 100: the yen has no smaller unit, and the Kuwaiti dinar has one of a thousandth.
-- * A stay is a range of days that includes the day of arrival and excludes the day of departure.
--   So one guest can arrive on the day another guest leaves.
-- * A pending booking holds its dates, so a guest could block a listing without paying. After
--   expires_at, expire_bookings() cancels it. Call this function every minute. A payment that comes
--   later must find the booking cancelled: confirm with WHERE status = 'pending', and refund if no
--   row was changed.
-- * The exclusion constraint holds for the statuses that it names. If you add a status that holds
--   dates, add it there, too.
-- * A CHECK sees one row. The program must check that a booking has no more guests than its listing
--   takes, and that both have the same currency.
-- * Two transactions that book overlapping dates at once can end in `deadlock detected`. Nothing is
--   booked twice. Lock the listing first (SELECT … FOR NO KEY UPDATE), or try again.
-- * now() is the time at which a transaction began, so all rows of one transaction have the same.
-- * status is a text with a CHECK, and no ENUM: you can change a CHECK in a transaction, and you
--   can remove a value from it again.
CREATE EXTENSION IF NOT EXISTS btree_gist; -- for = beside && in one constraint

CREATE TABLE account (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    email text NOT NULL
        CONSTRAINT account_email CHECK (length(email) <= 254 AND email ~ '^[^@\s]+@[^@\s]+$'),
    name text NOT NULL
        CONSTRAINT account_name CHECK (length(name) <= 100 AND name ~ '^\S(.*\S)?$'),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
-- Ada@example.com and ada@example.com are one person.
CREATE UNIQUE INDEX account_email_once ON account (lower(email));

CREATE TABLE listing (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    host_id uuid NOT NULL REFERENCES account ON DELETE RESTRICT,
    slug text NOT NULL
        CONSTRAINT listing_slug_once UNIQUE
        CONSTRAINT listing_slug CHECK (length(slug) <= 80 AND slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
    title text NOT NULL
        CONSTRAINT listing_title CHECK (length(title) <= 100 AND title ~ '^\S(.*\S)?$'),
    guests smallint NOT NULL CONSTRAINT listing_guests CHECK (guests BETWEEN 1 AND 50),
    nightly_minor bigint NOT NULL CONSTRAINT listing_price CHECK (nightly_minor > 0),
    currency text NOT NULL CONSTRAINT listing_currency CHECK (currency ~ '^[A-Z]{3}$'),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
-- A foreign key has no index by itself. Without one, deleting an account reads every listing.
CREATE INDEX listing_of_host ON listing (host_id);

CREATE TABLE booking (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    listing_id uuid NOT NULL REFERENCES listing ON DELETE RESTRICT,
    guest_id uuid NOT NULL REFERENCES account ON DELETE RESTRICT,
    stay daterange NOT NULL
        CONSTRAINT booking_stay_bounded
        CHECK (NOT isempty(stay) AND NOT lower_inf(stay) AND NOT upper_inf(stay)),
    nights integer GENERATED ALWAYS AS (upper(stay) - lower(stay)) STORED
        CONSTRAINT booking_nights CHECK (nights BETWEEN 1 AND 90),
    guests smallint NOT NULL CONSTRAINT booking_guests CHECK (guests >= 1),
    status text NOT NULL DEFAULT 'pending'
        CONSTRAINT booking_status CHECK (status IN ('pending', 'confirmed', 'cancelled')),
    -- The price that was agreed on. A new price of the listing changes no booking.
    nightly_minor bigint NOT NULL CONSTRAINT booking_price CHECK (nightly_minor > 0),
    total_minor bigint NOT NULL,
    currency text NOT NULL CONSTRAINT booking_currency CHECK (currency ~ '^[A-Z]{3}$'),
    expires_at timestamptz NOT NULL DEFAULT now() + interval '15 minutes', -- while it is pending
    paid_at timestamptz,
    cancelled_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT booking_total CHECK (total_minor = nightly_minor * nights),
    CONSTRAINT booking_confirmed_is_paid CHECK (status <> 'confirmed' OR paid_at IS NOT NULL),
    CONSTRAINT booking_cancelled_when CHECK ((status = 'cancelled') = (cancelled_at IS NOT NULL)),
    CONSTRAINT booking_no_overlap EXCLUDE USING gist (listing_id WITH =, stay WITH &&)
        WHERE (status IN ('pending', 'confirmed'))
);
CREATE INDEX booking_of_guest ON booking (guest_id);
CREATE INDEX booking_of_listing ON booking (listing_id); -- the constraint's index has not all rows
CREATE INDEX booking_to_expire ON booking (expires_at) WHERE status = 'pending';

-- Gives the dates of unpaid bookings free again. It skips a booking that is being paid right now.
CREATE FUNCTION expire_bookings() RETURNS bigint LANGUAGE sql AS $$
    WITH expired AS (
        UPDATE booking SET status = 'cancelled', cancelled_at = now()
        WHERE id = ANY (ARRAY(
            SELECT id FROM booking
            WHERE status = 'pending' AND expires_at <= now() AND paid_at IS NULL
            ORDER BY expires_at
            LIMIT 1000
            FOR NO KEY UPDATE SKIP LOCKED
        ))
        RETURNING 1
    )
    SELECT count(*) FROM expired
$$;

CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$$;
CREATE TRIGGER touch BEFORE UPDATE ON account FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER touch BEFORE UPDATE ON listing FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER touch BEFORE UPDATE ON booking FOR EACH ROW EXECUTE FUNCTION touch();
