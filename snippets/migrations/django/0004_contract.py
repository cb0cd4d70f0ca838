"""How is a field renamed with Django while programs write to it? Last step. See 0002_expand.py."""

from pathlib import Path

import sqlparse
from django.db import migrations


def sql(name: str) -> list[str]:
    """Return the statements of a file beside this one."""
    return sqlparse.split((Path(__file__).parent / name).read_text())


class Migration(migrations.Migration):
    """Drops the old column, which Django's models have not had since 0002."""

    atomic = False
    dependencies = (("people", "0003_backfill"),)
    operations = (migrations.RunSQL(sql("contract.up.sql"), sql("contract.down.sql")),)
