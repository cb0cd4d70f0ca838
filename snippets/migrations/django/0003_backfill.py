"""How does a new column get its values in a table that is written to? See 0002_expand.py."""

from pathlib import Path

import sqlparse
from django.db import migrations


class Migration(migrations.Migration):
    """Batches, each in a transaction of its own. On the way back there is nothing to do."""

    atomic = False
    dependencies = (("people", "0002_expand"),)
    operations = (
        migrations.RunSQL(
            sqlparse.split(Path(__file__).with_name("backfill.sql").read_text()),
            migrations.RunSQL.noop,
        ),
    )
