-- How does the old column come back, when the old version of the program has to?
--
-- PostgreSQL 12 or newer; tried on 15 and 18. It ends where backfill.sql had ended: both columns
-- are there and in step. Run it before the old version starts:
--   psql --set ON_ERROR_STOP=1 --file contract.down.sql
-- It can be stopped and run again at any time.
--
-- Watch out:
-- * Not within a transaction as a whole: the rows are filled in batches.
-- * The column comes back as the last one. SELECT * shows that, and so does COPY without a list.
-- * Its index and its constraints are for you to add.
BEGIN;
SET LOCAL lock_timeout = '2s';
SET LOCAL client_min_messages = warning; -- that something is not there yet is no news

ALTER TABLE account ADD COLUMN IF NOT EXISTS name text;
-- NOT VALID: they hold for what is written from now on, and no row is read under this lock.
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

DO $$
DECLARE
    done bigint := (SELECT min(id) - 1 FROM account);
    upto bigint;
BEGIN
    LOOP
        SELECT max(id) INTO upto
        FROM (SELECT id FROM account WHERE id > done ORDER BY id LIMIT 1000) AS batch;
        EXIT WHEN upto IS NULL;
        UPDATE account SET name = display_name WHERE id > done AND id <= upto AND name IS NULL;
        COMMIT;
        done := upto;
    END LOOP;
END
$$;

-- They read the whole table, and let everybody read and write meanwhile.
ALTER TABLE account VALIDATE CONSTRAINT account_name_there;
ALTER TABLE account VALIDATE CONSTRAINT account_display_name_there;
BEGIN;
SET LOCAL lock_timeout = '2s';
ALTER TABLE account ALTER COLUMN name SET NOT NULL; -- proved by the constraint
ALTER TABLE account DROP CONSTRAINT account_name_there;
COMMIT;
