"""Query plans as PostgreSQL reports them, in figures that repeat: rows, buffers, WAL; no times.

    plan = explain(connection, "SELECT … WHERE guest_id = %s", (42,))
    plan.buffers, plan.rows, plan.indexes

Written for PostgreSQL 18, whose EXPLAIN ANALYZE shows buffers by default and gives the average
number of rows in a loop with two decimals. What an older server does not report is None here.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import psycopg
from psycopg.rows import tuple_row
from psycopg.sql import Composable

CONDITIONS = (
    "Index Cond",
    "Recheck Cond",
    "Hash Cond",
    "Merge Cond",
    "Join Filter",
    "Filter",
    "One-Time Filter",
    "Order By",
)
"""The conditions of a node that EXPLAIN prints, in the order in which they are applied."""


@dataclass(frozen=True)
class Node:
    """One node of a plan. All counts are totals over all loops and parallel workers.

    EXPLAIN itself prints totals of buffers, but averages in a loop of rows, with two decimals; so
    with very many loops `rows` is close rather than exact.
    """

    kind: str
    """The node's type, such as `Seq Scan`, `Index Only Scan`, `Sort`, `ModifyTable`."""
    label: str
    """How EXPLAIN's text names it, such as `Parallel Seq Scan on booking b`."""
    relation: str | None
    """The table it reads or writes."""
    index: str | None
    """The index it reads."""
    estimated: int
    """Rows that the planner expected."""
    rows: int | None
    """Rows that came out; None if the statement was not run."""
    loops: int | None
    """How often it ran: 0 if it was never reached, None if the statement was not run."""
    buffers: int | None
    """Pages asked for, here and in the nodes below: hit and read together, of shared and of local
    (temporary table) buffers. How they split into hit and read depends on what is cached."""
    own: int | None
    """Pages asked for by this node alone."""
    removed: int
    """Rows it read and threw away: by a filter, a join filter or the recheck of an index."""
    heap_fetches: int | None
    """Visits to the table by an index-only scan, because the visibility map did not spare them."""
    misestimate: float | None
    """How many times more (above 1) or fewer (below 1) rows came than were estimated, in a loop.
    None where that says nothing: not run, fewer because a node above (a LIMIT, a merge join, an
    EXISTS) had enough, or a bitmap, which counts other things than rows."""
    conditions: Mapping[str, str]
    """The texts of its conditions by EXPLAIN's names, such as `{"Filter": "(nights = 14)"}`."""
    raw: Mapping[str, Any] = field(repr=False, compare=False)
    """The node as the server reported it (JSON), for what has no name here."""
    children: tuple["Node", ...] = ()

    def walk(self) -> Iterator["Node"]:
        """This node and all below it, in the order of EXPLAIN's lines."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True)
class Plan:
    """A plan, and what running it took. Its representation is one line that repeats."""

    root: Node

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes, in the order of EXPLAIN's lines."""
        return tuple(self.root.walk())

    @property
    def rows(self) -> int | None:
        """Rows that came out; 0 for an INSERT, UPDATE or DELETE without RETURNING."""
        return self.root.rows

    @property
    def estimated(self) -> int:
        """Rows that the planner expected to come out."""
        return self.root.estimated

    @property
    def buffers(self) -> int | None:
        """Pages the whole statement asked for; without planning and foreign-key checks."""
        return self.root.buffers

    @property
    def wal_records(self) -> int | None:
        """Records written to the write-ahead log."""
        return self.root.raw.get("WAL Records")

    @property
    def wal_bytes(self) -> int | None:
        """Bytes written to the write-ahead log.

        The first change of a page after a checkpoint logs the whole page (`WAL FPI` in `root.raw`
        counts them), so that bytes repeat only where checkpoints do.
        """
        return self.root.raw.get("WAL Bytes")

    @property
    def indexes(self) -> frozenset[str]:
        """The names of the indexes it reads."""
        return frozenset(node.index for node in self.nodes if node.index)

    @property
    def costliest(self) -> Node:
        """The node that itself asked for most pages; the first of equals."""
        return max(self.nodes, key=lambda node: node.own or 0)

    def find(self, kind: str) -> tuple[Node, ...]:
        """The nodes of a kind, such as `Sort`."""
        return tuple(node for node in self.nodes if node.kind == kind)

    def scans(self, relation: str) -> tuple[Node, ...]:
        """The nodes that read a table: its sequential, index and bitmap heap scans."""
        return tuple(n for n in self.nodes if n.relation == relation and n.kind != "ModifyTable")

    def __repr__(self) -> str:
        if self.rows is None:
            return f"{shape(self.root)}: {amount(self.estimated, 'row')} estimated, not run"
        counts = {"row": self.rows, "buffer": self.buffers, "WAL record": self.wal_records or None}
        figures = [amount(count, noun) for noun, count in counts.items() if count is not None]
        return f"{shape(self.root)}: {', '.join(figures)}"


def explain(
    connection: psycopg.Connection[Any],
    query: str | Composable,
    params: Sequence[Any] | Mapping[str, Any] | None = None,
    *,
    analyze: bool = True,
    keep: bool = False,
    warm_up: bool = True,
    **options: bool | str,
) -> Plan:
    """Runs a statement under EXPLAIN and returns its plan, with what it really took.

    EXPLAIN ANALYZE runs the statement. Unless `keep` is set, a savepoint or a transaction of its
    own is rolled back around it, so that an INSERT leaves no row. (As after any rollback there
    remain what is not transactional: advanced sequences, and dead row versions until VACUUM.)

    Args:
        connection: a psycopg 3 connection, in autocommit or inside a transaction.
        query: one statement; `%s` or `%(name)s` stand for parameters.
        params: their values.
        analyze: whether to run the statement; otherwise the plan holds estimates only.
        keep: whether what the statement writes stays (and is committed, in autocommit).
        warm_up: whether to run it once before, rolled back (never with `keep`): the first run on a
            connection also reads the system catalogues, and the first change of a page after a
            checkpoint logs all of it.
        options: further options of EXPLAIN under its own names, such as `verbose=True`; what they
            add to a node is in its `raw`.

    Returns:
        The plan.

    Raises:
        ValueError: for an option or a value that is not one word, and for `format` and `costs`,
            which a plan is read from.
        psycopg.Error: whatever the statement fails with.
    """
    chosen: dict[str, bool | str] = {"analyze": analyze, "summary": False}
    if analyze:
        chosen |= {"buffers": True, "wal": True, "timing": False}
    for name, value in (chosen | options).items():
        if name in ("format", "costs") or not re.fullmatch(r"[a-z_]+", name):
            raise ValueError(f"{name!r} cannot be given to EXPLAIN here")
        if isinstance(value, str) and not re.fullmatch(r"\w+", value):
            raise ValueError(f"{name}={value!r}: a value of EXPLAIN's options is one word")
        chosen[name] = value
    given = ", ".join(f"{name} {word(value)}" for name, value in chosen.items())
    text = query.as_string(connection) if isinstance(query, Composable) else query
    statement = f"EXPLAIN ({given}, format json) {text}"
    # Results in binary format go by the protocol that takes one statement only, so that what comes
    # after a semicolon is refused instead of run.
    with psycopg.Cursor(connection, row_factory=tuple_row) as cursor:
        if keep:
            cursor.execute(statement, params, prepare=False, binary=True)
        else:
            for _ in range(2 if analyze and warm_up else 1):
                with connection.transaction(force_rollback=True):
                    cursor.execute(statement, params, prepare=False, binary=True)
        (report,) = cursor.fetchone() or (None,)
    root = report[0]["Plan"]
    return Plan(_node(root, _own_buffers(root) if "Shared Hit Blocks" in root else {}))


def word(value: bool | str) -> str:
    """A value of an option as EXPLAIN reads it."""
    return value if isinstance(value, str) else ("on" if value else "off")


def amount(count: int, noun: str) -> str:
    """A number with its noun, such as `1 row` or `12,900 buffers`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def shape(node: Node) -> str:
    """The tree in one line, such as `Limit over Sort over Seq Scan on booking`."""
    if not node.children:
        return node.label
    below = [shape(child) for child in node.children]
    return f"{node.label} over " + (below[0] if len(below) == 1 else f"({'; '.join(below)})")


def _node(raw: Mapping[str, Any], own: Mapping[int, int], *, cut_short: bool = False) -> Node:
    """Makes a node of EXPLAIN's JSON, and all below it.

    Args:
        raw: the node's object.
        own: what each node alone asked for; empty if that was not measured.
        cut_short: whether a node above may end it before it has given all its rows.
    """
    loops = raw.get("Actual Loops")

    def total(name: str) -> int:
        return round(raw.get(name, 0) * (loops or 0))

    return Node(
        kind=raw["Node Type"],
        label=_label(raw),
        relation=raw.get("Relation Name"),
        index=raw.get("Index Name"),
        estimated=raw["Plan Rows"] * max(loops or 0, 1),
        rows=None if loops is None else total("Actual Rows"),
        loops=loops,
        buffers=_buffers(raw) if own else None,
        own=own.get(id(raw)),
        removed=sum(total(name) for name in raw if name.startswith("Rows Removed by ")),
        heap_fetches=raw.get("Heap Fetches"),
        misestimate=_misestimate(raw, cut_short),
        conditions={name: _text(raw[name]) for name in CONDITIONS if name in raw},
        raw=raw,
        children=tuple(
            _node(plan, own, cut_short=_cuts_short(raw, plan, cut_short))
            for plan in raw.get("Plans", [])
        ),
    )


def _cuts_short(raw: Mapping[str, Any], plan: Mapping[str, Any], cut_short: bool) -> bool:
    """Whether a node may end its child before the child has given all its rows."""
    kind = raw["Node Type"]
    if plan["Parent Relationship"] in ("InitPlan", "SubPlan"):
        return not plan.get("Subplan Name", "").startswith("CTE ")  # an EXISTS needs one row
    if kind in ("Limit", "Merge Join") or (
        kind == "Nested Loop" and raw["Join Type"] in ("Semi", "Anti")
    ):
        return True
    takes_all = kind in ("Sort", "Hash") or (kind == "Aggregate" and raw["Strategy"] != "Sorted")
    return cut_short and not takes_all


def _text(value: str | list[str]) -> str:
    return value if isinstance(value, str) else ", ".join(map(str, value))


def _buffers(raw: Mapping[str, Any]) -> int:
    """Pages a node and those below it asked for."""
    return sum(
        raw[f"{where} {how} Blocks"] for where in ("Shared", "Local") for how in ("Hit", "Read")
    )


def _strings(raw: Mapping[str, Any]) -> str:
    """A node's own texts together: its conditions, keys and names."""
    values = (value for name, value in raw.items() if name != "Plans")
    return " ".join(_text(value) for value in values if isinstance(value, str | list))


def _raw_walk(raw: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield raw
    for plan in raw.get("Plans", []):
        yield from _raw_walk(plan)


def _own_buffers(root: Mapping[str, Any]) -> dict[int, int]:
    """What each node alone asked for, by the identity of its JSON object.

    A node's count includes its children's. But an InitPlan or a CTE runs when a node first needs
    its result: EXPLAIN lists it under the node at the top, and counts it in the node that asked.
    """
    own = {
        id(raw): _buffers(raw) - sum(map(_buffers, raw.get("Plans", []))) for raw in _raw_walk(root)
    }
    for raw in _raw_walk(root):
        for plan in raw.get("Plans", []):
            if plan["Parent Relationship"] == "InitPlan":
                left = _buffers(plan)
                for asked in _asking(raw, plan):
                    part = min(own[id(asked)], left)
                    own[id(asked)] -= part
                    own[id(raw)] += part
                    left -= part
    return {key: max(0, count) for key, count in own.items()}


def _asking(top: Mapping[str, Any], plan: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The nodes that name the result of an InitPlan or CTE; none if the one it hangs on does."""
    name = plan["Subplan Name"]
    cte = name.removeprefix("CTE ")
    found = [
        raw
        for raw in _raw_walk(top)
        if raw is not plan and (raw.get("CTE Name") == cte or f"({name})" in _strings(raw))
    ]
    return [] if any(raw is top for raw in found) else found


def _misestimate(raw: Mapping[str, Any], cut_short: bool) -> float | None:
    """See `Node.misestimate`."""
    if not raw.get("Actual Loops") or raw["Node Type"] in (
        "ModifyTable",
        "Bitmap Index Scan",
        "BitmapAnd",
        "BitmapOr",
    ):
        return None
    # The planner never expects fewer than one row in a loop.
    factor = max(raw["Actual Rows"], 1) / max(raw["Plan Rows"], 1)
    return None if cut_short and factor < 1 else factor


def _label(raw: Mapping[str, Any]) -> str:
    """Names a node as EXPLAIN's text format does."""
    kind, on = raw["Node Type"], ""
    if kind == "ModifyTable":
        kind = raw["Operation"]
    elif kind == "Aggregate":
        prefix = {"Sorted": "Group", "Hashed": "Hash", "Mixed": "Mixed"}.get(raw["Strategy"], "")
        kind = f"{prefix}Aggregate"
        if raw["Partial Mode"] != "Simple":
            kind = f"{raw['Partial Mode']} {kind}"
    elif kind == "SetOp":
        kind = ("Hash" if raw["Strategy"] == "Hashed" else "") + f"SetOp {raw['Command']}"
    elif (join := raw.get("Join Type", "Inner")) != "Inner":
        kind = f"{kind.removesuffix(' Join')} {join} Join"
    if raw["Parallel Aware"]:
        kind = f"Parallel {kind}"
    if raw.get("Scan Direction") == "Backward":
        kind += " Backward"
    if index := raw.get("Index Name"):
        over = "on" if raw["Node Type"] == "Bitmap Index Scan" else "using"
        on = f" {over} {_name(index)}"
    alias = raw.get("Alias")
    kinds = ("Relation Name", "CTE Name", "Function Name", "Table Function Name")
    if name := next((raw[kind] for kind in kinds if kind in raw), alias):
        on += f" on {_name(name)}" + (f" {_name(alias)}" if alias not in (None, name) else "")
    return kind + on


def _name(name: str) -> str:
    """A name as it is written in SQL, except that a key word is not put in quotes."""
    if re.fullmatch(r"[a-z_][a-z0-9_]*", name):
        return name
    return '"' + name.replace('"', '""') + '"'
