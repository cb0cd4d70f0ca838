-- How large are the tables, and how much of that is indexes?
--
-- PostgreSQL 14 or newer. Any role may run it. It waits for a table that is locked exclusively,
-- for instance by ALTER TABLE; SET lock_timeout = '1s' before it keeps that short.
--
-- Watch out:
-- * table_size has TOAST (long values stored apart) and the free space and visibility maps in it.
--   index_size is all of its indexes.
-- * estimated_rows is what VACUUM or ANALYZE last saw; null if neither has run.
-- * A partition is listed for itself, and the partitioned table, which stores nothing, is not.
SELECT
    c.oid::regclass::text AS "table",
    nullif(c.reltuples, -1)::bigint AS estimated_rows,
    pg_size_pretty(pg_table_size(c.oid)) AS table_size,
    pg_size_pretty(pg_indexes_size(c.oid)) AS index_size,
    (SELECT count(*) FROM pg_index WHERE indrelid = c.oid) AS indexes,
    pg_total_relation_size(c.oid) AS bytes
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm')
  AND n.nspname !~ '^pg_'
  AND n.nspname <> 'information_schema'
ORDER BY bytes DESC, 1
LIMIT 30;
