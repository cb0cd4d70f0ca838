"""How is a field renamed with Django while programs write to it? First step.

Django 4.2 or newer; tried with 5.2. Put the three migrations and the five files of SQL into your
application's migrations, and put its table's name into the SQL. Rename the field in your model.
Then migrate to 0003 and deploy the new version. When no old version runs any more, migrate to 0004.

Watch out:
* `migrate` without a number runs all migrations. Commit 0004 with a later version.
* `atomic = False`: each file has its own transactions.
* If your connections have a statement_timeout, lift it for `migrate`: a backfill is one statement.
* The old version does not know these files. It goes on with the old name, which is in its own code.
"""

from pathlib import Path

import sqlparse
from django.db import migrations


def sql(name: str) -> list[str]:
    """Return the statements of a file beside this one; Django brings sqlparse."""
    return sqlparse.split((Path(__file__).parent / name).read_text())


class Migration(migrations.Migration):
    """Adds the column and the trigger. Django's models have the new name."""

    atomic = False
    dependencies = (("people", "0001_initial"),)
    operations = (
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.RenameField("account", "name", "display_name")],
            database_operations=[migrations.RunSQL(sql("expand.up.sql"), sql("expand.down.sql"))],
        ),
    )
