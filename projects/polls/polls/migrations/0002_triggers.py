"""What the tables' constraints cannot say: votes in time, counts, and polls that do not change.

A vote takes a shared advisory lock on the poll, and holds it until the vote is committed. Closing
or editing takes the same lock exclusively: it waits for the votes under way, and later votes wait
for it.

Why not `SELECT … FOR SHARE`? There are two reasons. A row lock writes to the poll's row with each
vote. And PostgreSQL lets new shared row locks pass a transaction that waits for an exclusive one,
so under many votes nobody could close a poll. Advisory locks have a queue.
"""

from django.db import migrations

FUNCTIONS = """
CREATE FUNCTION polls_lock_key(poll uuid) RETURNS bigint
LANGUAGE sql IMMUTABLE RETURN hashtextextended(poll::text, 0);

CREATE FUNCTION polls_refuse(name text, reason text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '%', reason USING ERRCODE = 'check_violation', CONSTRAINT = name;
END $$;

CREATE FUNCTION polls_vote_in_time() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  poll record;
BEGIN
  PERFORM pg_advisory_xact_lock_shared(polls_lock_key(NEW.poll_id));
  -- Under READ COMMITTED, PostgreSQL's default, each statement has its own snapshot. So this SELECT
  -- sees what was committed while the line above waited for the lock.
  SELECT closes_at, closed_at INTO poll FROM polls_poll WHERE id = NEW.poll_id;
  IF NOT FOUND THEN
    PERFORM polls_refuse('vote_poll', 'there is no such poll');
  END IF;
  NEW.cast_at := clock_timestamp();
  IF poll.closed_at IS NOT NULL OR NEW.cast_at >= poll.closes_at THEN
    PERFORM polls_refuse('vote_in_time', 'the poll is closed');
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION polls_vote_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM polls_refuse('vote_stays', 'a vote cannot be changed');
  RETURN NULL;
END $$;

CREATE FUNCTION polls_count_votes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE polls_option o SET votes = o.votes + n.votes
  FROM (SELECT option_id, count(*) AS votes FROM new_votes GROUP BY option_id) n
  WHERE o.id = n.option_id;
  RETURN NULL;
END $$;

CREATE FUNCTION polls_uncount_votes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE polls_option o SET votes = o.votes - n.votes
  FROM (SELECT option_id, count(*) AS votes FROM old_votes GROUP BY option_id) n
  WHERE o.id = n.option_id;
  RETURN NULL;
END $$;

CREATE FUNCTION polls_option_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  poll uuid := CASE TG_OP WHEN 'INSERT' THEN NEW.poll_id ELSE OLD.poll_id END;
BEGIN
  IF TG_OP = 'UPDATE' AND NEW.poll_id <> OLD.poll_id THEN
    PERFORM polls_refuse('option_stays', 'an option cannot move to another poll');
  END IF;
  PERFORM pg_advisory_xact_lock(polls_lock_key(poll));
  IF EXISTS (SELECT FROM polls_vote WHERE poll_id = poll) THEN
    PERFORM polls_refuse('poll_frozen', 'the poll has votes');
  END IF;
  RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;

CREATE FUNCTION polls_poll_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(polls_lock_key(OLD.id));
  IF OLD.closed_at IS NOT NULL THEN
    PERFORM polls_refuse('poll_closed', 'the poll is closed');
  ELSIF ROW (NEW.id, NEW.owner_id, NEW.question, NEW.private_results, NEW.created_at, NEW.closes_at)
    IS DISTINCT FROM
    ROW (OLD.id, OLD.owner_id, OLD.question, OLD.private_results, OLD.created_at, OLD.closes_at)
  THEN
    IF OLD.closes_at <= clock_timestamp() THEN
      PERFORM polls_refuse('poll_closed', 'the poll is closed');
    ELSIF EXISTS (SELECT FROM polls_vote WHERE poll_id = OLD.id) THEN
      PERFORM polls_refuse('poll_frozen', 'the poll has votes');
    ELSIF NEW.closes_at <= clock_timestamp() THEN
      PERFORM polls_refuse('poll_closes_after_start', 'the new deadline is in the past');
    END IF;
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION polls_two_options() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  poll uuid := CASE TG_OP WHEN 'INSERT' THEN to_jsonb(NEW) ->> 'id' ELSE to_jsonb(OLD) ->> 'poll_id' END;
BEGIN
  IF EXISTS (SELECT FROM polls_poll WHERE id = poll)
    AND (SELECT count(*) FROM polls_option WHERE poll_id = poll) < 2 THEN
    PERFORM polls_refuse('poll_two_options', 'a poll has two options at least');
  END IF;
  RETURN NULL;
END $$;
"""

TRIGGERS = """
-- It also lets the database look up, by the primary key alone, whether an option has votes.
ALTER TABLE polls_vote ADD CONSTRAINT vote_option_of_poll
  FOREIGN KEY (poll_id, option_id) REFERENCES polls_option (poll_id, id);

CREATE TRIGGER vote_in_time BEFORE INSERT ON polls_vote
  FOR EACH ROW EXECUTE FUNCTION polls_vote_in_time();
CREATE TRIGGER vote_stays BEFORE UPDATE ON polls_vote
  FOR EACH ROW EXECUTE FUNCTION polls_vote_stays();
CREATE TRIGGER vote_counted AFTER INSERT ON polls_vote REFERENCING NEW TABLE AS new_votes
  FOR EACH STATEMENT EXECUTE FUNCTION polls_count_votes();
CREATE TRIGGER vote_uncounted AFTER DELETE ON polls_vote REFERENCING OLD TABLE AS old_votes
  FOR EACH STATEMENT EXECUTE FUNCTION polls_uncount_votes();
CREATE TRIGGER option_frozen BEFORE INSERT OR DELETE OR UPDATE OF id, poll_id, position, text
  ON polls_option FOR EACH ROW EXECUTE FUNCTION polls_option_frozen();
CREATE TRIGGER poll_frozen BEFORE UPDATE ON polls_poll
  FOR EACH ROW EXECUTE FUNCTION polls_poll_frozen();
CREATE CONSTRAINT TRIGGER poll_two_options AFTER INSERT ON polls_poll
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION polls_two_options();
CREATE CONSTRAINT TRIGGER poll_two_options AFTER DELETE ON polls_option
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION polls_two_options();
"""

REMOVE = """
DROP TRIGGER poll_two_options ON polls_option;
DROP TRIGGER poll_two_options ON polls_poll;
DROP TRIGGER poll_frozen ON polls_poll;
DROP TRIGGER option_frozen ON polls_option;
DROP TRIGGER vote_uncounted ON polls_vote;
DROP TRIGGER vote_counted ON polls_vote;
DROP TRIGGER vote_stays ON polls_vote;
DROP TRIGGER vote_in_time ON polls_vote;
ALTER TABLE polls_vote DROP CONSTRAINT vote_option_of_poll;
DROP FUNCTION polls_two_options, polls_poll_frozen, polls_option_frozen, polls_uncount_votes,
  polls_count_votes, polls_vote_stays, polls_vote_in_time;
DROP FUNCTION polls_refuse;
DROP FUNCTION polls_lock_key;
"""


class Migration(migrations.Migration):
    """Functions, triggers, and the foreign key of two columns."""

    dependencies = [("polls", "0001_tables")]
    operations = [migrations.RunSQL(FUNCTIONS + TRIGGERS, REMOVE)]
