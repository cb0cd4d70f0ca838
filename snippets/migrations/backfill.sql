-- How does a new column get its values in a table that is written to?
--
-- PostgreSQL 12 or newer; tried on 15 and 18. After expand.up.sql:
--   psql --set ON_ERROR_STOP=1 --file backfill.sql
-- It can be stopped and run again at any time.
--
-- Watch out:
-- * Not within a transaction: each batch is one of its own. One UPDATE of all rows would lock them
--   until its end, and nobody could change an account.
-- * Each row is written anew. On a large table, do it at a quiet hour, and let vacuum follow.
--   The table's other triggers see each row too: one that sets updated_at will do so.
-- * id is a number here. A table with another key walks along that one.
DO $$
DECLARE
    done bigint := (SELECT min(id) - 1 FROM account);
    upto bigint;
BEGIN
    LOOP
        SELECT max(id) INTO upto
        FROM (SELECT id FROM account WHERE id > done ORDER BY id LIMIT 1000) AS batch;
        EXIT WHEN upto IS NULL;
        UPDATE account SET display_name = name
        WHERE id > done AND id <= upto AND display_name IS NULL;
        COMMIT;
        done := upto;
    END LOOP;
END
$$;

-- Reads the whole table, and lets everybody read and write meanwhile.
ALTER TABLE account VALIDATE CONSTRAINT account_display_name_there;
