-- How is a column renamed while programs write to it? First step: there are both, always in step.
--
-- PostgreSQL 12 or newer; tried on 15 and 18. As the table's owner:
--   psql --set ON_ERROR_STOP=1 --file expand.up.sql
-- Then run backfill.sql, deploy the new version of the program, and run contract.up.sql. Here
-- account.name, which is NOT NULL, becomes account.display_name: replace both names, and text by
-- the column's type.
--
-- Watch out:
-- * ALTER TABLE … RENAME COLUMN takes only a moment, but then the old version of the program fails.
-- * "canceling statement due to lock timeout" means that a transaction holds the table, and that
--   nothing was changed. Run the file again. Without a time-out, this statement would wait for that
--   transaction, and all other statements would queue behind this one.
-- * The new column has no default and no NOT NULL yet. So PostgreSQL rewrites and reads no row.
-- * If the old column has an index or a foreign key, give the new one the same before the new
--   version of the program runs. Use CREATE INDEX CONCURRENTLY.
BEGIN;
SET LOCAL lock_timeout = '2s'; -- until COMMIT only: later statements may wait longer for a row

ALTER TABLE account ADD COLUMN display_name text;

-- The old program writes name, and the new one display_name. The trigger copies the changed one.
CREATE FUNCTION account_names_in_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.display_name := coalesce(NEW.display_name, NEW.name);
        NEW.name := NEW.display_name;
    ELSIF NEW.display_name IS DISTINCT FROM OLD.display_name THEN
        NEW.name := NEW.display_name;
    ELSE -- name was changed; or neither was, and the row is not filled yet
        NEW.display_name := NEW.name;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER names_in_step BEFORE INSERT OR UPDATE ON account
FOR EACH ROW EXECUTE FUNCTION account_names_in_step();

-- The constraint holds for new writes. Old rows are checked later, without a lock that stops
-- writers.
ALTER TABLE account ADD CONSTRAINT account_display_name_there
    CHECK (display_name IS NOT NULL) NOT VALID;

COMMIT;
