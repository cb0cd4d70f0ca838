-- Which B-tree indexes can another B-tree index of the same table replace?
--
-- PostgreSQL 14 or newer. Any role may run it.
--
-- (guest_id) is superfluous beside (guest_id, check_in), because its columns are the first columns
-- of the other index. The columns must have the same expression, collation, operator class and
-- direction (or all directions reversed, because an index can be read backwards). Both indexes must
-- be valid and have the same WHERE, or none. The other index must also have all INCLUDE columns. Of
-- two indexes that can replace each other, the newer one is listed.
--
-- Watch out:
-- * Unique indexes, primary keys and exclusion constraints are not listed, because they refuse
--   rows.
-- * The longer index is larger. If its other columns are wide, or change much more often, the
--   shorter index may be worth its cost. Compare the plans and the writes before you drop it.
-- * Use DROP INDEX CONCURRENTLY, so that nobody waits.
WITH btree AS (
    SELECT
        i.*,
        c.relispartition,
        pg_get_expr(i.indpred, i.indrelid) AS predicate,
        ARRAY(
            SELECT pg_get_indexdef(i.indexrelid, k, false)
            FROM generate_series(1, i.indnkeyatts) AS k
            ORDER BY k
        ) AS keys,
        ARRAY(
            SELECT pg_get_indexdef(i.indexrelid, k, false)
            FROM generate_series(1, i.indnatts) AS k
        ) AS columns
    FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = i.indexrelid
    JOIN pg_am AS am ON am.oid = c.relam
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE am.amname = 'btree'
      AND i.indisvalid
      AND n.nspname !~ '^pg_'
      AND n.nspname <> 'information_schema'
),
covered AS (
    SELECT shorter.indrelid, shorter.indexrelid, longer.indexrelid AS by, (
        -- The other one could be dropped as well.
        longer.keys = shorter.keys
        AND longer.columns <@ shorter.columns
        AND NOT longer.indisunique
        AND NOT longer.indisexclusion
        AND NOT longer.relispartition
    ) AS mutual
    FROM btree AS shorter
    JOIN btree AS longer USING (indrelid)
    -- The vectors count from 0.
    CROSS JOIN LATERAL (SELECT shorter.indnkeyatts - 1 AS last) AS until
    WHERE shorter.indexrelid <> longer.indexrelid
      AND NOT shorter.indisunique
      AND NOT shorter.indisexclusion
      AND NOT shorter.relispartition -- the index of a partition cannot be dropped alone
      AND shorter.keys = longer.keys[1:shorter.indnkeyatts]
      AND shorter.columns <@ longer.columns
      AND shorter.predicate IS NOT DISTINCT FROM longer.predicate
      AND (shorter.indclass::oid[])[0:last] = (longer.indclass::oid[])[0:last]
      AND (shorter.indcollation::oid[])[0:last] = (longer.indcollation::oid[])[0:last]
      AND (
          (shorter.indoption::int2[])[0:last] = (longer.indoption::int2[])[0:last]
          OR NOT EXISTS (
              -- Read backwards, DESC (1) becomes ASC and NULLS FIRST (2) becomes NULLS LAST.
              SELECT FROM generate_series(0, last) AS k
              WHERE shorter.indoption[k]::int # 3 <> longer.indoption[k]
          )
      )
)
SELECT
    indrelid::regclass::text AS "table",
    indexrelid::regclass::text AS index,
    string_agg(by::regclass::text, ', ' ORDER BY by::regclass::text) AS covered_by,
    pg_size_pretty(pg_relation_size(indexrelid)) AS size,
    pg_relation_size(indexrelid) AS bytes
FROM covered
WHERE NOT mutual OR by < indexrelid
GROUP BY indrelid, indexrelid
ORDER BY bytes DESC, 1, 2;
