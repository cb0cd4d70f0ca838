"""Draw which chapter needs which, from data/map.yml: one row a chapter, and rails beside them.

A chapter that others need has a rail of its own, from its row down to the last of those others.
The picture is as narrow as a phone, has no colours of its own, and its names are links.
"""

from collections.abc import Callable
from html import escape

from tools.chapters import Entry

ROW = 28  # pixels
RAIL = 12
EDGE = 8
GAP = 14  # from a node to its name
LETTER = 7.4  # of 14 pixels, on average


def ordered(entries: list[Entry]) -> list[Entry]:
    """Return the chapters so that each comes after those that it needs, else in their order.

    Raises:
        ValueError: If chapters need each other, or one that is not there.
    """
    done: list[Entry] = []
    names: set[str] = set()
    waiting = list(entries)
    while waiting:
        ready = next((one for one in waiting if names.issuperset(one.before)), None)
        if ready is None:
            raise ValueError(f"{waiting[0].name} needs what never comes: {waiting[0].before}")
        waiting.remove(ready)
        done.append(ready)
        names.add(ready.name)
    return done


def path(name: str, entries: list[Entry]) -> list[str]:
    """Return what to read before a chapter, and at last the chapter, in order."""
    needed = {name}
    for one in reversed(ordered(entries)):
        if one.name in needed:
            needed.update(one.before)
    return [one.name for one in ordered(entries) if one.name in needed]


def rails(entries: list[Entry]) -> dict[str, tuple[int, int, int]]:
    """Give each chapter that others need a rail: its number, its first and its last row."""
    rows = {one.name: row for row, one in enumerate(entries)}
    last: dict[str, int] = {}
    for one in entries:
        for name in one.before:
            last[name] = max(last.get(name, 0), rows[one.name])
    ends: list[int] = []  # the last row of each rail so far
    found = {}
    for name in sorted(last, key=rows.__getitem__):
        free = next((n for n, end in enumerate(ends) if end < rows[name]), len(ends))
        ends[free:] = [last[name], *ends[free + 1 :]]
        found[name] = (free, rows[name], last[name])
    return found


def svg(entries: list[Entry], address: Callable[[Entry], str]) -> str:
    """Draw the map.

    Args:
        entries: The chapters of the map.
        address: Returns where a chapter is; empty if it is not written yet.
    """
    entries = ordered(entries)
    rows = {one.name: row for row, one in enumerate(entries)}
    lanes = rails(entries)
    count = 1 + max((lane for lane, *_ in lanes.values()), default=0)
    node = EDGE + RAIL * count
    width = node + GAP + LETTER * max(len(one.title) for one in entries) + EDGE

    def across(name: str) -> float:
        return node - RAIL * (count - lanes[name][0])

    def down(row: int) -> float:
        return ROW * (row + 0.5)

    lines = []
    for name, (_, first, _) in lanes.items():
        for one in entries:
            if name not in one.before:
                continue
            end = down(rows[one.name])
            start = f"M{node} {down(first)} H{across(name) + 6} q-6 0 -6 6"
            lines.append(
                f'<path d="{start} V{end} H{node}" data-from="{name}" data-to="{one.name}"/>'
                f'<circle cx="{across(name)}" cy="{end}" r="2.5" '
                f'data-from="{name}" data-to="{one.name}"/>'
            )
    for one in entries:
        y = down(rows[one.name])
        there = address(one)
        text = f'<text x="{node + GAP}" y="{y + 5}">{escape(one.title)}</text>'
        if there:
            text = f'<a href="{escape(there)}">{text}</a>'
        lines.append(
            f'<g data-name="{one.name}" class="{"written" if there else "planned"}">'
            f'<circle cx="{node}" cy="{y}" r="4.5"/>{text}</g>'
        )
    size = f"{width:.0f} {ROW * len(entries)}"
    return (
        f'<svg viewBox="0 0 {size}" style="max-width: {width:.0f}px" role="group" '
        'aria-labelledby="reading-map-title reading-map-text">\n'
        '<title id="reading-map-title">Which chapter needs which</title>\n'
        f'<desc id="reading-map-text">{escape(told(entries))}</desc>\n'
        + "\n".join(lines)
        + "\n</svg>"
    )


def told(entries: list[Entry]) -> str:
    """Say what the picture shows, for those who cannot see it."""
    titles = {one.name: one.title for one in entries}
    return " ".join(
        f"{one.title} comes after {' and '.join(titles[name] for name in one.before)}."
        for one in entries
        if one.before
    )


def html(entries: list[Entry], address: Callable[[Entry], str]) -> str:
    """Return the map for a page, folded, with a field to choose where somebody wants to get."""
    entries = ordered(entries)
    options = "".join(f'<option value="{one.name}">{escape(one.title)}</option>' for one in entries)
    return (
        '<details class="reading-map">\n<summary>Show which chapter needs which</summary>\n'
        '<p class="pst-js-only"><label for="reading-map-goal">Light my way to</label> '
        f'<select id="reading-map-goal"><option value="">a chapter</option>{options}</select></p>\n'
        '<p role="status" class="way"></p>\n'
        f"{svg(entries, address)}\n</details>"
    )
