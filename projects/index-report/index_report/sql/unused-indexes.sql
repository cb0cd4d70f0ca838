-- Which indexes has no query used since the statistics were last reset?
--
-- PostgreSQL 14 or newer. Any role may run it.
--
-- Watch out:
-- * Look at counted_since first (null: never reset). A crash also resets the counters, without a
--   date. Be sure that the counters include the end of a month, when reports run.
-- * Each replica has its own counters: run this there too.
-- * Unique indexes, primary keys and exclusion constraints are not listed. They refuse rows, and
--   that does not count as a use.
-- * foreign_key names a constraint that the index serves. Without the index, deleting a row of the
--   other table would read this whole table.
-- * ANALYZE keeps statistics for an index on an expression, and plans may need them.
-- * A partitioned index counts as used if the index of one partition was used.
WITH usage AS (
    -- The index of a partition cannot be dropped alone: count for the partitioned index.
    SELECT
        coalesce(pg_partition_root(indexrelid), indexrelid) AS indexrelid,
        sum(idx_scan) AS scans,
        sum(pg_relation_size(indexrelid)) AS bytes
    FROM pg_stat_user_indexes
    GROUP BY 1
)
SELECT
    i.indrelid::regclass::text AS "table",
    i.indexrelid::regclass::text AS index,
    pg_size_pretty(usage.bytes) AS size,
    usage.bytes,
    (
        SELECT string_agg(fk.conname, ', ' ORDER BY fk.conname)
        FROM pg_constraint AS fk
        WHERE fk.contype = 'f'
          AND fk.conrelid = i.indrelid
          AND i.indnkeyatts >= cardinality(fk.conkey)
          AND (i.indkey::int2[])[0:cardinality(fk.conkey) - 1] <@ fk.conkey
    ) AS foreign_key,
    (
        SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()
    ) AS counted_since
FROM usage
JOIN pg_index AS i USING (indexrelid)
WHERE usage.scans = 0
  AND NOT i.indisunique
  AND NOT i.indisexclusion
  AND i.indisvalid
ORDER BY usage.bytes DESC, 1, 2;
