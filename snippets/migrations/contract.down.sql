-- How does the old column come back, when the old version of the program has to?
--
-- PostgreSQL 12 or newer; tried on 18. It ends where backfill.sql had ended: both columns are there
-- and in step. Run it before the old version starts: psql --file contract.down.sql
--
-- Watch out:
-- * Not within a transaction as a whole: the rows are filled in batches.
-- * The column comes back as the last one. SELECT * shows that, and so does COPY without a list.
-- * Its index and its constraints are for you to add.
SET lock_timeout = '2s';
BEGIN;

ALTER TABLE account ADD COLUMN name text;
ALTER TABLE account ADD CONSTRAINT account_name_there CHECK (name IS NOT NULL) NOT VALID;
ALTER TABLE account ADD CONSTRAINT account_display_name_there CHECK (display_name IS NOT NULL);

CREATE FUNCTION account_names_in_step() RETURNS trigger LANGUAGE plpgsql AS $$
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

ALTER TABLE account VALIDATE CONSTRAINT account_name_there;
BEGIN;
ALTER TABLE account ALTER COLUMN name SET NOT NULL; -- proved by the constraint
ALTER TABLE account DROP CONSTRAINT account_name_there;
COMMIT;
