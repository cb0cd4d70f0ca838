-- How does the old column come back, when the old version of the program has to?
--
-- PostgreSQL 12 or newer; tried on 15 and 18. It leads back to where backfill.sql ended: both
-- columns are there and in step. Run it before the old version starts:
--   psql --set ON_ERROR_STOP=1 --file contract.down.sql
-- You can stop it and run it again at any time.
--
-- Watch out:
-- * Do not run it within a transaction: it fills the rows in batches.
-- * The column comes back as the last one. SELECT * shows that, and so does COPY without a list.
-- * You must add the column's indexes and other constraints yourself.
BEGIN;
SET LOCAL lock_timeout = '2s';
SET LOCAL client_min_messages = warning; -- no notices of what IF EXISTS did not find

ALTER TABLE account ADD COLUMN IF NOT EXISTS name text;
-- NOT VALID: the constraints hold for new writes, and no row is read under this lock.
ALTER TABLE account DROP CONSTRAINT IF EXISTS account_name_there;
ALTER TABLE account ADD CONSTRAINT account_name_there CHECK (name IS NOT NULL) NOT VALID;
ALTER TABLE account DROP CONSTRAINT IF EXISTS account_display_name_there;
ALTER TABLE account ADD CONSTRAINT account_display_name_there
    CHECK (display_name IS NOT NULL) NOT VALID;

CREATE OR REPLACE FUNCTION account_names_in_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.display_name := coalesce(NEW.display_name, NEW.name);
        NEW.name := NEW.display_name;
    ELSIF NEW.name IS DISTINCT FROM OLD.name AND OLD.name IS NOT NULL THEN
        NEW.display_name := NEW.name;
    ELSE -- display_name was changed; or neither was, and the row is not filled yet
        NEW.name := NEW.display_name;
    END IF;
    RETURN NEW;
END
$$;
DROP TRIGGER IF EXISTS names_in_step ON account;
CREATE TRIGGER names_in_step BEFORE INSERT OR UPDATE ON account
FOR EACH ROW EXECUTE FUNCTION account_names_in_step();
ALTER TABLE account ALTER COLUMN display_name DROP NOT NULL;

COMMIT;

-- As in backfill.sql: batches skip locked rows, and the last loop waits for one row at a time.
DO $$
DECLARE
    done bigint := (SELECT min(id) - 1 FROM account);
    upto bigint;
BEGIN
    LOOP
        SELECT max(id) INTO upto
        FROM (SELECT id FROM account WHERE id > done ORDER BY id LIMIT 1000) AS batch;
        EXIT WHEN upto IS NULL;
        UPDATE account SET name = display_name
        WHERE id IN (
            SELECT id FROM account WHERE id > done AND id <= upto AND name IS NULL
            FOR NO KEY UPDATE SKIP LOCKED
        );
        COMMIT;
        done := upto;
    END LOOP;
    -- The rows that were skipped, one by one: a transaction with one row cannot deadlock.
    done := (SELECT min(id) - 1 FROM account);
    LOOP
        SELECT min(id) INTO upto FROM account WHERE id > done AND name IS NULL;
        EXIT WHEN upto IS NULL;
        UPDATE account SET name = display_name WHERE id = upto AND name IS NULL;
        COMMIT;
        done := upto;
    END LOOP;
END
$$;

-- Both read the whole table. Programs can read and write meanwhile.
ALTER TABLE account VALIDATE CONSTRAINT account_name_there;
ALTER TABLE account VALIDATE CONSTRAINT account_display_name_there;
BEGIN;
SET LOCAL lock_timeout = '2s';
ALTER TABLE account ALTER COLUMN name SET NOT NULL; -- reads no row: the constraint proves it
ALTER TABLE account DROP CONSTRAINT account_name_there;
COMMIT;
