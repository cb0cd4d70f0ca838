"""Prints a report: as text for a terminal, as Markdown for an issue, as JSON for a program."""

import json
import textwrap
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal

from index_report.report import Report, Row, Section

HIDDEN = {"bytes", "table_bytes", "counted_since"}
"""Columns for programs: people see the sizes with their units, and the date once, at the top."""
WIDEST = 72
"""Characters of a cell in text and Markdown; JSON holds all."""


def text(report: Report) -> str:
    """The report for a terminal."""
    return _page(report, "{}", _aligned)


def markdown(report: Report) -> str:
    """The report as Markdown."""
    return _page(report, "## {}\n", _piped)


def as_json(report: Report) -> str:
    """The report as one JSON object. Times are in ISO 8601; sizes in bytes and with units."""
    sections = [vars(section) for section in report.sections]
    whole = vars(report) | {"findings": report.findings, "sections": sections}
    return json.dumps(whole, indent=2, ensure_ascii=False, default=_plain)


FORMATS: dict[str, Callable[[Report], str]] = {
    "text": text,
    "markdown": markdown,
    "json": as_json,
}


def _page(report: Report, heading: str, table: Callable[[Sequence[Row]], list[str]]) -> str:
    replica = " (a replica, which counts for itself)" if report.replica else ""
    since = report.counted_since
    counted = f"since {since:%Y-%m-%d %H:%M %Z}" if since else "from the start, never reset"
    lines = [
        f"Database {_cell(report.database)} on PostgreSQL {report.server}{replica}.",
        f"Use is counted {counted}.",
    ]
    for section in report.sections:
        count = "" if section.information else f": {len(section.rows) or 'none'}"
        lines += ["", heading.format(section.title + count), *_body(section, table)]
    found = report.findings
    return "\n".join([*lines, "", f"{found or 'No'} finding{'' if found == 1 else 's'}."])


def _body(section: Section, table: Callable[[Sequence[Row]], list[str]]) -> list[str]:
    if section.note:
        return [section.note]
    if not section.rows:
        return ["No statement yet."] if section.information else []
    return [*textwrap.wrap(section.advice, 100), "", *table(section.rows)]


def _cells(rows: Sequence[Row]) -> list[list[str]]:
    """The heads and the rows, without the columns for programs and those that are empty."""
    names = [
        name
        for name in rows[0]
        if name not in HIDDEN and any(row[name] is not None for row in rows)
    ]
    heads = [name.replace("_", " ") for name in names]
    return [heads, *([_cell(row[name]) for name in names] for row in rows)]


def _aligned(rows: Sequence[Row]) -> list[str]:
    cells = _cells(rows)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  " + "  ".join(map(str.ljust, line, widths)).rstrip()
        for line in [cells[0], ["-" * width for width in widths], *cells[1:]]
    ]


def _piped(rows: Sequence[Row]) -> list[str]:
    heads, *lines = [[_escaped(cell) for cell in line] for line in _cells(rows)]
    return ["| " + " | ".join(line) + " |" for line in [heads, ["---"] * len(heads), *lines]]


def _escaped(cell: str) -> str:
    return "".join(f"\\{letter}" if letter in r"\`*_|<>[]" else letter for letter in cell)


def _cell(value: object) -> str:
    """A value in one line. A name may hold anything, a terminal's control codes included."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | Decimal):
        return f"{value:,}"
    line = " ".join(str(value).split())
    line = "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line
    )
    return line if len(line) <= WIDEST else line[: WIDEST - 1] + "…"


def _plain(value: object) -> object:
    """What JSON has no type for."""
    if isinstance(value, Decimal):
        return int(value) if value == int(value) else float(value)
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} cannot be JSON")
