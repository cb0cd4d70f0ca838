-- How is a column renamed while programs write to it? First step: there are both, always in step.
--
-- PostgreSQL 12 or newer; tried on 15 and 18. As the table's owner:
--   psql --set ON_ERROR_STOP=1 --file expand.up.sql
-- Then backfill.sql; then the new version of the program; then contract.up.sql. Here account.name,
-- which is NOT NULL, becomes account.display_name: replace both names, and text by the column's
-- type.
--
-- Watch out:
-- * ALTER TABLE … RENAME COLUMN takes a moment, and the program that runs in that moment breaks.
-- * "canceling statement due to lock timeout" is as it should be: some transaction holds the table.
--   Nothing was changed. Run the file again. Without a time-out, everybody else would queue behind
--   this statement, and it behind that transaction.
-- * The new column has no default and no NOT NULL yet: nothing is rewritten, and no row is read.
-- * What the old column has besides, an index or a foreign key, the new one needs before the new
--   version of the program runs: CREATE INDEX CONCURRENTLY.
BEGIN;
SET LOCAL lock_timeout = '2s'; -- until COMMIT: what comes after may wait for a row longer

ALTER TABLE account ADD COLUMN display_name text;

-- The old program writes name, the new one display_name. Whichever was changed goes to the other.
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

-- Holds for what is written from now on. What is there is looked at later, without a lock.
ALTER TABLE account ADD CONSTRAINT account_display_name_there
    CHECK (display_name IS NOT NULL) NOT VALID;

COMMIT;
