-- A small shop of bookings in which everything that the report looks for has gone wrong.
CREATE EXTENSION pg_stat_statements;
CREATE TABLE guest (id bigint PRIMARY KEY, name text NOT NULL, email text NOT NULL);
CREATE TABLE property (id bigint PRIMARY KEY, city text NOT NULL);
CREATE TABLE booking (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    guest_id bigint NOT NULL REFERENCES guest,
    property_id bigint NOT NULL REFERENCES property,
    check_in date NOT NULL,
    note text NOT NULL DEFAULT ''
);
INSERT INTO guest SELECT n, 'Guest ' || n, 'guest' || n % 4999 || '@example.org' FROM generate_series(1, 5000) AS n;
INSERT INTO property SELECT n, 'City ' || n % 50 FROM generate_series(1, 500) AS n;
INSERT INTO booking (guest_id, property_id, check_in)
SELECT n % 5000 + 1, n % 500 + 1, date '2025-01-01' + n % 365 FROM generate_series(1, 20000) AS n;

-- One index is the beginning of another.
CREATE INDEX booking_guest ON booking (guest_id);
CREATE INDEX booking_guest_check_in ON booking (guest_id, check_in);
-- One index holds more than its table.
CREATE INDEX guest_search ON guest (repeat(name, 20));
-- The foreign key on property_id has no index.
VACUUM (ANALYZE);
SELECT pg_stat_statements_reset();
