"""The database refuses the transitions that the state machine does not have."""

from django.db import migrations

FORWARDS = """
CREATE FUNCTION payments_payment_check_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.status, NEW.status) NOT IN (
        ('created', 'failed'),
        ('created', 'processing'),
        ('created', 'timed_out'),
        ('processing', 'failed'),
        ('processing', 'succeeded'),
        ('processing', 'timed_out'),
        ('succeeded', 'refunding'),
        ('timed_out', 'refunding'),
        ('refunding', 'refunded')
    ) THEN
        RAISE EXCEPTION 'a % payment cannot become %', OLD.status, NEW.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payment_transition';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER payment_transition BEFORE UPDATE OF status ON payments_payment
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status)
    EXECUTE FUNCTION payments_payment_check_transition();
"""
BACKWARDS = """
DROP TRIGGER payment_transition ON payments_payment;
DROP FUNCTION payments_payment_check_transition();
"""


class Migration(migrations.Migration):
    dependencies = [("payments", "0001_initial")]

    operations = [migrations.RunSQL(FORWARDS, BACKWARDS)]
