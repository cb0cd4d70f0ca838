-- Which indexes take more room than the table that they index?
--
-- PostgreSQL 14 or newer. Any role may run it.
--
-- Watch out:
-- * The table counts with its TOAST (long values stored apart).
-- * Two causes: the index holds wide columns or expressions, or it has grown by deleted rows.
--   REINDEX INDEX CONCURRENTLY tells which: only a bloated index gets smaller.
-- * GIN over long texts may be this large and worth it.
-- * Indexes up to 1 MB are left out: on a small table the comparison says nothing.
SELECT
    i.indrelid::regclass::text AS "table",
    i.indexrelid::regclass::text AS index,
    pg_size_pretty(pg_relation_size(i.indexrelid)) AS size,
    pg_size_pretty(pg_table_size(i.indrelid)) AS table_size,
    pg_relation_size(i.indexrelid) AS bytes,
    pg_table_size(i.indrelid) AS table_bytes
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname !~ '^pg_'
  AND n.nspname <> 'information_schema'
  AND pg_relation_size(i.indexrelid) > greatest(pg_table_size(i.indrelid), 1024 * 1024)
ORDER BY bytes DESC, 1, 2;
