-- Which indexes did a failed CREATE INDEX CONCURRENTLY or REINDEX CONCURRENTLY leave behind?
--
-- PostgreSQL 14 or newer. Any role may run it.
--
-- Watch out:
-- * No query uses an invalid index. If it is "maintained", each write must still update it, and a
--   unique index can even refuse rows.
-- * An index that is being built right now is not listed. Run this as a superuser or as a member of
--   pg_read_all_stats. For other roles, an index that somebody else builds looks like a leftover.
-- * The build of a unique index fails if rows exist twice. Remove them before you build it again.
SELECT
    i.indrelid::regclass::text AS "table",
    i.indexrelid::regclass::text AS index,
    i.indisready AS maintained,
    CASE
        WHEN c.relkind = 'I'
            THEN 'attach an index of each partition: ALTER INDEX … ATTACH PARTITION …'
        WHEN c.relname ~ '_cc(new|old)\d*$' -- a copy made by REINDEX CONCURRENTLY
            THEN format('DROP INDEX CONCURRENTLY %s', i.indexrelid::regclass)
        ELSE format('REINDEX INDEX CONCURRENTLY %s', i.indexrelid::regclass)
    END AS cure
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE NOT i.indisvalid
  AND NOT EXISTS (
      SELECT FROM pg_stat_progress_create_index AS build WHERE build.index_relid = i.indexrelid
  )
ORDER BY 1, 2;
