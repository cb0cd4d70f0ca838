-- How large are the tables, and how much of that is indexes?
--
-- PostgreSQL 14 or newer. Any role may run it. It waits for a table that is locked exclusively, for
-- instance by ALTER TABLE. To wait no longer than a second, run SET lock_timeout = '1s' before it.
--
-- Watch out:
-- * table_size includes TOAST (long values, which are stored apart) and the free space and
--   visibility maps. index_size is the size of all indexes of the table.
-- * estimated_rows comes from the last VACUUM or ANALYZE. It is null if neither has run.
-- * Each partition is listed by itself. The partitioned table stores nothing, and is not listed.
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
