-- How is a column renamed while programs write to it? Last step: the old one goes.
--
-- PostgreSQL 12 or newer; tried on 15 and 18. After backfill.sql, and when no old version of the
-- program runs any more:
--   psql --set ON_ERROR_STOP=1 --file contract.up.sql
--
-- Watch out:
-- * "column … does not exist" in a log means that an old version still ran. What lists columns by
--   itself, as an ORM does, counts as using all of them.
-- * Nothing is lost, because both columns were in step; contract.down.sql fills the old one again.
-- * The old column's indexes and constraints go with it. A view that reads it makes this fail.
-- * A lock time-out changes nothing. Run the file again.
BEGIN;
SET LOCAL lock_timeout = '2s';

-- Reads no row: the valid constraint proves it. If backfill.sql has not ended well, it fails here.
DO $$
BEGIN
    IF (
        SELECT convalidated FROM pg_constraint
        WHERE conrelid = 'account'::regclass AND conname = 'account_display_name_there'
    ) IS NOT TRUE THEN -- nor if there is no such constraint
        RAISE EXCEPTION 'account.display_name is not filled: run backfill.sql first';
    END IF;
END
$$;
ALTER TABLE account ALTER COLUMN display_name SET NOT NULL;
ALTER TABLE account DROP CONSTRAINT account_display_name_there;

DROP TRIGGER names_in_step ON account;
DROP FUNCTION account_names_in_step();
ALTER TABLE account DROP COLUMN name; -- from the catalogue only; rows are not rewritten

COMMIT;
