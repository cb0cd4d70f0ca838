-- Twenty thousand places to stay, two hundred thousand guests and a million bookings, made by
-- PostgreSQL in some seconds. Names and addresses are invented; example.com and its like are
-- reserved by RFC 2606. Needs PostgreSQL 17 or newer, for random(least, greatest).
--
-- What is realistic about it: a few properties are booked far more than most, bookings lie in the
-- table in the order in which they were made, one in ten is cancelled, and very few are pending.
-- Foreign keys are left out: their checks would add to every figure that a chapter measures.

CREATE TABLE property (id int PRIMARY KEY, city text NOT NULL);

CREATE TABLE guest (id int PRIMARY KEY, name text NOT NULL, email text NOT NULL);

CREATE TABLE booking (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    property_id int NOT NULL,
    guest_id    int NOT NULL,
    status      text NOT NULL,
    check_in    date NOT NULL,
    check_out   date NOT NULL,
    total_cents int NOT NULL,
    created_at  timestamptz NOT NULL
);

-- The same rows in every run.
DO $$ BEGIN PERFORM setseed(0.18); END $$;

INSERT INTO property
SELECT i, (ARRAY['Accra', 'Cairo', 'Dakar', 'Kampala', 'Kigali', 'Lagos', 'Nairobi', 'Tunis'])[random(1, 8)]
FROM generate_series(1, 20000) AS i;

-- "WHERE i > 0" ties each draw to its row; without it PostgreSQL would draw once for all.
INSERT INTO guest
SELECT i, first || ' ' || last,
       first || '.' || last || i || '@example.' || (ARRAY['com', 'net', 'org'])[random(1, 3)]
FROM generate_series(1, 200000) AS i,
     LATERAL (
         SELECT (ARRAY['Amina', 'Bode', 'Chidi', 'Dalila', 'Esi', 'Farouk', 'Grace', 'Hawa'])[random(1, 8)] AS first,
                (ARRAY['Abebe', 'Banda', 'Diallo', 'Kamau', 'Mensah', 'Nkosi', 'Okafor', 'Toure'])[random(1, 8)] AS last
         WHERE i > 0
     ) AS draw;

-- One booking a minute since the start of 2024; arrival within four months.
INSERT INTO booking (property_id, guest_id, status, check_in, check_out, total_cents, created_at)
SELECT 1 + floor(20000 * random() * random()),
       random(1, 200000),
       CASE WHEN dice <= 2 THEN 'pending' WHEN dice <= 100 THEN 'cancelled' ELSE 'confirmed' END,
       arrival, arrival + nights, nights * random(3000, 25000), at
FROM generate_series(1, 1000000) AS i,
     LATERAL (SELECT timestamptz '2024-01-01' + i * interval '1 minute' AS at) AS clock,
     LATERAL (
         SELECT random(1, 1000) AS dice, random(1, 10) AS nights, at::date + random(0, 120) AS arrival
         WHERE i > 0
     ) AS draw;

VACUUM (ANALYZE) property, guest, booking;
