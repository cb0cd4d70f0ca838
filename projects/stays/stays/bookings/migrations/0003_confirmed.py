from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # CREATE INDEX CONCURRENTLY

    dependencies = [("bookings", "0002_transitions")]

    operations = [
        AddIndexConcurrently(
            model_name="booking",
            index=models.Index(
                fields=["confirmed_at"],
                condition=models.Q(status="confirmed"),
                name="booking_confirmed",
            ),
        ),
    ]
