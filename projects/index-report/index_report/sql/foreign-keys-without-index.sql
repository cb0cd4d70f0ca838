-- Which foreign keys have no index on the side that refers?
--
-- PostgreSQL 14 or newer. Any role may run it.
--
-- Deleting a row of the table referred to, or changing its key, looks for rows that refer to it.
-- PostgreSQL indexes the key referred to, and leaves the referring columns to you: without an index
-- each such delete reads the whole table.
--
-- Watch out:
-- * An index counts if it begins with all columns of the key, in any order, and covers all rows or
--   all rows where a column of the key IS NOT NULL.
-- * Nothing is ever deleted from the table referred to, and nobody joins this way? Then the index
--   would only cost.
-- * On a table of a few pages PostgreSQL reads all of it anyway.
SELECT
    fk.conrelid::regclass::text AS "table",
    fk.conname::text AS foreign_key,
    (
        SELECT string_agg(quote_ident(attname), ', ' ORDER BY array_position(fk.conkey, attnum))
        FROM pg_attribute
        WHERE attrelid = fk.conrelid AND attnum = ANY (fk.conkey)
    ) AS columns,
    fk.confrelid::regclass::text AS refers_to,
    pg_size_pretty(size.bytes) AS table_size,
    size.bytes AS table_bytes
FROM pg_constraint AS fk
CROSS JOIN LATERAL (
    SELECT coalesce(sum(pg_table_size(relid)), pg_table_size(fk.conrelid)) AS bytes
    FROM pg_partition_tree(fk.conrelid)
    WHERE isleaf
) AS size
WHERE fk.contype = 'f'
  AND fk.conparentid = 0 -- not once more for each partition
  AND coalesce((to_jsonb(fk) ->> 'conenforced')::boolean, true) -- a column since PostgreSQL 18
  AND NOT EXISTS (
      SELECT
      FROM pg_index AS i
      JOIN pg_class AS c ON c.oid = i.indexrelid
      JOIN pg_am AS am ON am.oid = c.relam
      WHERE i.indrelid = fk.conrelid
        AND i.indisvalid
        AND am.amname IN ('btree', 'hash', 'gist')
        AND i.indnkeyatts >= cardinality(fk.conkey)
        AND (
            i.indpred IS NULL
            OR EXISTS (
                SELECT FROM pg_attribute
                WHERE attrelid = fk.conrelid AND attnum = ANY (fk.conkey)
                  AND pg_get_expr(i.indpred, i.indrelid) = format('(%I IS NOT NULL)', attname)
            )
        )
        AND NOT EXISTS (
            SELECT FROM pg_attribute
            WHERE attrelid = fk.conrelid AND attnum = ANY (fk.conkey)
              AND NOT EXISTS (
                  SELECT FROM generate_series(0, cardinality(fk.conkey) - 1) AS k
                  WHERE i.indkey[k] = attnum AND i.indcollation[k] IN (0, attcollation)
              )
        )
  )
ORDER BY size.bytes DESC, 1, 2;
