"""How does a new column get its values in a table that programs write to? See 0002_expand.py."""

from pathlib import Path

import sqlparse
from django.db import migrations


class Migration(migrations.Migration):
    """Fills the rows in batches, each with its own transaction. The way back does nothing."""

    atomic = False
    dependencies = (("people", "0002_expand"),)
    operations = (
        migrations.RunSQL(
            sqlparse.split(Path(__file__).with_name("backfill.sql").read_text()),
            migrations.RunSQL.noop,
        ),
    )
