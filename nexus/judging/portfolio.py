"""What a reader has solved as one picture, for a portfolio: honest about who says so."""

import datetime
import os
import textwrap
from importlib import metadata
from pathlib import Path
from xml.sax.saxutils import escape

from nexus.draw import FONTS, Picture
from nexus.judging import progress as shown
from nexus.judging import records as kept
from nexus.judging.moving import OFF, cannot_write
from nexus.judging.records import ProgressError

WIDTH, MARGIN, LINE = 640, 24, 30
LONGEST_NAME = 60
STYLE = f"""
text {{ font: 15px {FONTS}; fill: #1e293b }}
.card {{ fill: #ffffff; stroke: #cbd5e1 }}
.title {{ font-size: 20px; font-weight: 600 }}
.small {{ font-size: 13px; fill: #475569 }}
.solved {{ fill: #2b6cb0; stroke: #2b6cb0 }}
.tried {{ fill: none; stroke: #c2570c; stroke-dasharray: 3 2 }}
.open {{ fill: none; stroke: #808080 }}
@media (prefers-color-scheme: dark) {{
text {{ fill: #e2e8f0 }}
.card {{ fill: #0f172a; stroke: #475569 }}
.small {{ fill: #cbd5e1 }}
.solved {{ fill: #63b3ed; stroke: #63b3ed }}
.tried {{ stroke: #f6ad55 }}
.open {{ stroke: #94a3b8 }}
}}
"""
CLASSES = {shown.State.SOLVED: "solved", shown.State.TRIED: "tried", shown.State.OPEN: "open"}
HONEST = (
    "Each filled box is an exercise whose answer the book's own judge accepted: the judge ran the "
    "answer and looked at its effect.",
    "Self-reported: the records are a file on the computer of the person named here. Nobody else "
    "has checked them.",
)


def portfolio(
    path: str | os.PathLike[str],
    *,
    name: str = "",
    date: datetime.date | str | None = None,
    version: str | None = None,
) -> Picture:
    """Draws your skills by chapter as an SVG file: exercises solved, date, version, who says so.

    Args:
        path: the file; an older SVG there is replaced, any other file is refused.
        name: whose skills, if you want that.
        date: of the picture; today by default.
        version: of the book; that of the installed one by default.

    Returns:
        The picture, which shows itself in a notebook.

    Raises:
        ProgressError: if nothing is kept, or the file cannot be written.
        ValueError: if the name is too long, or the date is none.
    """
    target = Path(path).expanduser()
    if kept.place() is None:
        raise ProgressError(OFF)
    if target.is_dir() or (target.exists() and not is_picture(target)):
        raise ProgressError(f"{target} is there and is no SVG picture: name another file")
    if len(name) > LONGEST_NAME:
        raise ValueError(f"a name has at most {LONGEST_NAME} characters here")
    day = datetime.date.fromisoformat(date) if isinstance(date, str) else date
    picture = draw(
        list(shown.chapters(kept.own() or {}).values()),
        " ".join(printable(name).split()),
        day or datetime.date.today(),
        version or metadata.version("nexus"),
    )
    try:
        kept.write(target, picture.svg + "\n")
    except OSError as error:
        raise ProgressError(cannot_write(target, error)) from None
    return picture


def is_picture(path: Path) -> bool:
    """Whether a file may be replaced: it is empty, or an SVG."""
    try:
        begin = path.read_bytes()[:300] if path.is_file() else b"?"
    except OSError:
        return False
    return not begin or b"<svg" in begin


def printable(text: str) -> str:
    """A text without the characters that XML refuses."""
    return "".join(character if character.isprintable() else " " for character in text)


def draw(chapters: list[shown.Chapter], name: str, date: datetime.date, version: str) -> Picture:
    """Draws the chapters in which something is solved, and counts the others.

    Args:
        chapters: all of them, in order.
        name: whose skills; may be empty.
        date: of the picture.
        version: of the book.
    """
    begun = [chapter for chapter in chapters if chapter.solved]
    solved = sum(chapter.solved for chapter in chapters)
    count = sum(len(chapter.states) for chapter in chapters)
    title = "Project Nexus: backend exercises solved" + (f" by {name}" if name else "")
    summary = f"{solved} of {count} exercises, in {len(begun)} of {len(chapters)} chapters"
    versions = f"Made on {date.isoformat()} with version {version} of the book."
    y, body = MARGIN + 14, []

    def write(text: str, look: str, x: int = MARGIN, *, below: int = LINE) -> None:
        nonlocal y
        body.append(f'<text class="{look}" x="{x}" y="{y}">{escape(text)}</text>')
        y += below

    for line in textwrap.wrap(title, 54):
        write(line, "title", below=26)
    write(summary, "plain", below=36)
    for chapter in begun:
        for number, (exercise, state) in enumerate(chapter.states.items()):
            box = f'<rect class="{CLASSES[state]}" x="{330 + 24 * number}" y="{y - 15}"'
            said = f"exercise {exercise}: {state.value[0]}"
            body.append(f'{box} width="18" height="18" rx="4"><title>{said}</title></rect>')
        body.append(
            f'<text class="small" x="{WIDTH - MARGIN}" y="{y}" text-anchor="end">'
            f"{chapter.count}</text>"
        )
        write(chapter.title, "plain")
    y += 6
    for said in (*HONEST, versions):
        for line in textwrap.wrap(said, 88):
            write(line, "small", below=18)
    skills = "; ".join(f"{chapter.title} {chapter.count}" for chapter in begun) or "none yet"
    alt = f"{title}. {summary}. {skills}. {HONEST[1]} {versions}"
    height = y + MARGIN - 14
    return Picture(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img" aria-labelledby="nexus-title nexus-desc">'
        f'<title id="nexus-title">{escape(title)}</title>'
        f'<desc id="nexus-desc">{escape(alt)}</desc><style>{escape(STYLE)}</style>'
        f'<rect class="card" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="10"/>'
        + "".join(body)
        + "</svg>",
        alt,
    )
