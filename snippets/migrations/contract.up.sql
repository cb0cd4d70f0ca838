-- How is a column renamed while programs write to it? Last step: the old one goes.
--
-- PostgreSQL 12 or newer; tried on 15 and 18. Run it after backfill.sql, when no old version of the
-- program runs any more:
--   psql --set ON_ERROR_STOP=1 --file contract.up.sql
--
-- Watch out:
-- * "column … does not exist" in a log means that an old version still ran. An ORM lists all
--   columns of a model, so it uses the old column even if your code does not.
-- * No value is lost, because both columns were in step. contract.down.sql fills the old one again.
-- * PostgreSQL drops the old column's indexes and constraints with it. If a view reads the column,
--   this fails.
-- * A lock time-out changes nothing. Run the file again.
BEGIN;
SET LOCAL lock_timeout = '2s';

-- If backfill.sql did not end well, fail here. A valid constraint proves that the column is filled,
-- so SET NOT NULL below reads no row.
DO $$
BEGIN
    IF (
        SELECT convalidated FROM pg_constraint
        WHERE conrelid = 'account'::regclass AND conname = 'account_display_name_there'
    ) IS NOT TRUE THEN -- NULL if there is no such constraint
        RAISE EXCEPTION 'account.display_name is not filled: run backfill.sql first';
    END IF;
END
$$;
ALTER TABLE account ALTER COLUMN display_name SET NOT NULL;
ALTER TABLE account DROP CONSTRAINT account_display_name_there;

DROP TRIGGER names_in_step ON account;
DROP FUNCTION account_names_in_step();
ALTER TABLE account DROP COLUMN name; -- only in the catalogue; no row is rewritten

COMMIT;
