"""The state machine in the database.

Three trigger functions. The first refuses a new application that cannot be, and an illegal change of the
status. The second writes the history, in the statement's own transaction. The third keeps the
history as it was written.

The pairs are jobs.states.TRANSITIONS at the time of this migration. If that table changes, a new
migration replaces `application_guard`. A test compares the two.
"""

from django.db import migrations

PAIRS = (
    ("submitted", "in_review"),
    ("submitted", "rejected"),
    ("submitted", "withdrawn"),
    ("in_review", "interview"),
    ("in_review", "rejected"),
    ("in_review", "withdrawn"),
    ("interview", "offered"),
    ("interview", "rejected"),
    ("interview", "withdrawn"),
    ("offered", "hired"),
    ("offered", "rejected"),
    ("offered", "withdrawn"),
)
VALUES = ", ".join(f"('{source}', '{target}')" for source, target in PAIRS)

# A row that waited for another transaction's lock is read anew before the trigger sees it. So OLD is
# what the other transaction has committed, and the check holds in a race too.
GUARD = f"""
CREATE FUNCTION application_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status <> 'submitted' THEN
            RAISE check_violation USING
                CONSTRAINT = 'application_transition', TABLE = 'jobs_application',
                MESSAGE = format('an application begins as submitted, not as %s', NEW.status);
        END IF;
        -- FOR SHARE: who closes the job waits for us, and we wait for who closes it.
        PERFORM FROM jobs_job WHERE id = NEW.job_id AND closed_at IS NULL FOR SHARE;
        IF NOT FOUND THEN
            RAISE check_violation USING
                CONSTRAINT = 'application_job_open', TABLE = 'jobs_application',
                MESSAGE = format('job %s is closed', NEW.job_id);
        END IF;
        -- FOR KEY SHARE: the résumé is not deleted meanwhile.
        PERFORM FROM jobs_resume
        WHERE id = NEW.resume_id AND owner_id = NEW.applicant_id FOR KEY SHARE;
        IF NOT FOUND THEN
            RAISE check_violation USING
                CONSTRAINT = 'application_resume_own', TABLE = 'jobs_application',
                MESSAGE = 'the résumé is not the applicant''s';
        END IF;
    ELSIF (NEW.job_id, NEW.applicant_id, NEW.resume_id)
          IS DISTINCT FROM (OLD.job_id, OLD.applicant_id, OLD.resume_id) THEN
        RAISE check_violation USING
            CONSTRAINT = 'application_same', TABLE = 'jobs_application',
            MESSAGE = 'the job, the applicant and the résumé of an application do not change';
    ELSIF NEW.status <> OLD.status
          AND (OLD.status, NEW.status) NOT IN (VALUES {VALUES}) THEN
        RAISE check_violation USING
            CONSTRAINT = 'application_transition', TABLE = 'jobs_application',
            MESSAGE = format('%s does not become %s', OLD.status, NEW.status);
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER application_guard BEFORE INSERT OR UPDATE ON jobs_application
FOR EACH ROW EXECUTE FUNCTION application_guard();
"""
HISTORY = """
CREATE FUNCTION application_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO jobs_change (application_id, source, target, actor_id, at)
    VALUES (NEW.id, CASE TG_OP WHEN 'UPDATE' THEN OLD.status ELSE '' END,
            NEW.status, NEW.changed_by_id, clock_timestamp());
    RETURN NULL;
END
$$;
CREATE TRIGGER application_begins AFTER INSERT ON jobs_application
FOR EACH ROW EXECUTE FUNCTION application_history();
CREATE TRIGGER application_changes AFTER UPDATE ON jobs_application
FOR EACH ROW WHEN (NEW.status <> OLD.status) EXECUTE FUNCTION application_history();
"""
KEEP = """
CREATE FUNCTION change_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE check_violation USING
        CONSTRAINT = 'change_stays', TABLE = 'jobs_change', MESSAGE = 'history does not change';
END
$$;
CREATE TRIGGER change_stays BEFORE UPDATE OR DELETE ON jobs_change
FOR EACH ROW EXECUTE FUNCTION change_stays();
"""


class Migration(migrations.Migration):
    dependencies = [("jobs", "0001_initial")]

    operations = [
        migrations.RunSQL(
            GUARD,
            "DROP TRIGGER application_guard ON jobs_application; DROP FUNCTION application_guard()",
        ),
        migrations.RunSQL(
            HISTORY,
            "DROP TRIGGER application_begins ON jobs_application;"
            "DROP TRIGGER application_changes ON jobs_application;"
            "DROP FUNCTION application_history()",
        ),
        migrations.RunSQL(
            KEEP, "DROP TRIGGER change_stays ON jobs_change; DROP FUNCTION change_stays()"
        ),
    ]
