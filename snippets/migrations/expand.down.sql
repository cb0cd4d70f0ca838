-- How is the new column taken away again, when the old version of the program stays?
--
-- PostgreSQL 12 or newer; tried on 15 and 18. Run it when no new version of the program runs any
-- more:
--   psql --set ON_ERROR_STOP=1 --file expand.down.sql
--
-- Watch out:
-- * No value is lost: the old column also has all that the new version wrote.
-- * A lock time-out changes nothing. Run the file again.
BEGIN;
SET LOCAL lock_timeout = '2s';

DROP TRIGGER names_in_step ON account;
DROP FUNCTION account_names_in_step();
ALTER TABLE account DROP COLUMN display_name; -- its constraint goes with it

COMMIT;
