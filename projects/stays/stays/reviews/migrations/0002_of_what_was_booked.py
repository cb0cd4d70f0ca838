"""A review is of the property that was booked: a foreign key on both columns."""

from django.db import migrations

FORWARDS = """
ALTER TABLE reviews_review ADD CONSTRAINT review_of_booked_property
    FOREIGN KEY (booking_id, property_id) REFERENCES bookings_booking (id, property_id);
"""
BACKWARDS = """
ALTER TABLE reviews_review DROP CONSTRAINT review_of_booked_property;
"""


class Migration(migrations.Migration):
    dependencies = [("reviews", "0001_initial")]

    operations = [migrations.RunSQL(FORWARDS, BACKWARDS)]
