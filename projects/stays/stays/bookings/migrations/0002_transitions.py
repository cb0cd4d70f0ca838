"""The database refuses the transitions that the state machine does not have."""

from django.db import migrations

FORWARDS = """
CREATE FUNCTION bookings_booking_check_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.status, NEW.status) NOT IN (
        ('pending', 'cancelled'),
        ('pending', 'confirmed'),
        ('pending', 'expired'),
        ('confirmed', 'cancelled')
    ) THEN
        RAISE EXCEPTION 'a % booking cannot become %', OLD.status, NEW.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'booking_transition';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER booking_transition BEFORE UPDATE OF status ON bookings_booking
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status)
    EXECUTE FUNCTION bookings_booking_check_transition();
"""
BACKWARDS = """
DROP TRIGGER booking_transition ON bookings_booking;
DROP FUNCTION bookings_booking_check_transition();
"""


class Migration(migrations.Migration):
    dependencies = [("bookings", "0001_initial")]

    operations = [migrations.RunSQL(FORWARDS, BACKWARDS)]
