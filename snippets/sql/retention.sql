-- How many of the guests of a month come back one, two or three months later?
--
-- PostgreSQL 14 or newer. Needs a table booking (guest_id, created_at timestamptz); replace the names
-- by yours.
--
-- Watch out:
-- * The months are those of one time zone, which the query names. Set yours.
-- * The last months are not over yet, so their percentages will still rise.
-- * A guest counts once a month, however many bookings there are. The first month is that of the
--   first booking in the table, so do not cut the table by a date.
WITH active AS (
    SELECT DISTINCT
        guest_id,
        date_trunc('month', created_at AT TIME ZONE 'Africa/Lagos') AS month
    FROM booking
    WHERE guest_id IS NOT NULL
),
counted AS (
    SELECT
        guest_id,
        min(month) OVER (PARTITION BY guest_id) AS first_month,
        month
    FROM active
)
SELECT
    first_month::date,
    count(DISTINCT guest_id) AS guests,
    round(100.0 * count(*) FILTER (WHERE month = first_month + interval '1 month')
        / count(DISTINCT guest_id), 1) AS percent_after_1,
    round(100.0 * count(*) FILTER (WHERE month = first_month + interval '2 months')
        / count(DISTINCT guest_id), 1) AS percent_after_2,
    round(100.0 * count(*) FILTER (WHERE month = first_month + interval '3 months')
        / count(DISTINCT guest_id), 1) AS percent_after_3
FROM counted
GROUP BY first_month
ORDER BY first_month;
