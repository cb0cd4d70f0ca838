-- How does a new column get its values in a table that programs write to?
--
-- PostgreSQL 12 or newer; tried on 15 and 18. After expand.up.sql:
--   psql --set ON_ERROR_STOP=1 --file backfill.sql
-- You can stop it and run it again at any time.
--
-- Watch out:
-- * Do not run it within a transaction: each batch is its own transaction. One UPDATE of all
--   rows would lock them until its end, and nobody could change an account.
-- * A batch skips the rows that a program has locked. If it waited for them, it could deadlock with
--   a program that has one row and wants another one. The last loop waits for one row at a time. A
--   program's transaction that stays open holds up only this loop.
-- * PostgreSQL writes each row anew. On a large table, run this at a quiet hour, and let vacuum
--   follow. The table's other triggers see each row too: a trigger that sets updated_at will do so.
-- * id is a number here. For a table with another key, walk along that key.
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
        WHERE id IN (
            SELECT id FROM account WHERE id > done AND id <= upto AND display_name IS NULL
            FOR NO KEY UPDATE SKIP LOCKED
        );
        COMMIT;
        done := upto;
    END LOOP;
    -- The rows that were skipped, one by one: a transaction with one row cannot deadlock.
    done := (SELECT min(id) - 1 FROM account);
    LOOP
        SELECT min(id) INTO upto FROM account WHERE id > done AND display_name IS NULL;
        EXIT WHEN upto IS NULL;
        UPDATE account SET display_name = name WHERE id = upto AND display_name IS NULL;
        COMMIT;
        done := upto;
    END LOOP;
END
$$;

-- This reads the whole table. Nobody who reads or writes waits for it, not even while it waits for
-- its own lock, so it needs no lock_timeout.
ALTER TABLE account VALIDATE CONSTRAINT account_display_name_there;
