"""Messages that people meet: read from data/messages/, and made into the pages that explain them.

Each file there is a group, with the keys `title`, `where` (a sentence: where a person sees these)
and `rows`. A row has:

- `id`: small letters, digits and hyphens; the row's address on its page. It never changes.
- `message`: the fixed words of the message, with `…` where names stand.
- `program`: which program says it, with its version where that matters.
- `code`: an SQLSTATE, an HTTP or exit status, a number of a protocol; only if there is one.
- `causes`: the usual ones, the likeliest first, each with `cause`, `test` (what tells it from the
  others) and `cure`.
- `see`: links into this project that show or explain it, from the project's folder, as text: path.
- `read`: the address of an official page; needed where `see` is empty.
- `shown`: `ci` if a chapter or a test produces this message in CI, else `told`.
"""

import re
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tools import chapters

ROOT = chapters.ROOT
FOLDER = ROOT / "data" / "messages"
PAGE = "messages"  # the page with the box; each group has a page in the folder of this name

# The groups in the order of their pages: as a request travels, and at last what says nothing.
GROUPS = (
    "browser",
    "http",
    "python",
    "django",
    "postgresql",
    "mariadb",
    "valkey",
    "workers",
    "servers",
    "containers",
    "exit-status",
    "shell",
    "git",
    "workflows",
    "silent",
)
SHOWN = ("ci", "told")
BOX = f"[What does it say?](../{PAGE}.md) finds a row by a pasted line."
# The one in C takes a tenth of the seconds of the other, and the build reads the rows three times.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
REQUIRED = {"id", "message", "program", "causes", "shown"}
KNOWN = REQUIRED | {"code", "see", "read"}
# With these a quoted text begins that is a command for the reader, and no part of a message.
COMMANDS = re.compile(
    r"(cat|curl|df|dig|docker|du|echo|getent|git|grep|head|id|kubectl|ls|openssl|pip|ps|psql|python"
    r"|rabbitmqctl|ss|systemctl|valkey-cli|EXPLAIN|SELECT|SHOW)\b"
)
LONGEST_CAUSE = 100  # characters of a cause that the search shows; the row has all of it
IDENTIFIER = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class MessageError(ValueError):
    """A row or a group that cannot be used; the text says which, and why."""


@dataclass(frozen=True)
class Cause:
    """One reason for a message.

    Attributes:
        cause: What has happened.
        test: How to see that it is this one.
        cure: What to do.
    """

    cause: str
    test: str
    cure: str


@dataclass(frozen=True)
class Message:
    """A row; the module's text says what each part is."""

    id: str
    message: str
    program: str
    causes: tuple[Cause, ...]
    shown: str
    code: str = ""
    see: Mapping[str, str] | None = None
    read: str = ""


@dataclass(frozen=True)
class Group:
    """The rows of one place where a person may stand, which have a page of their own."""

    name: str
    title: str
    where: str
    rows: tuple[Message, ...]

    @property
    def page(self) -> str:
        """The name of its page in the book."""
        return f"{PAGE}/{self.name}"


def load(folder: Path = FOLDER) -> list[Group]:
    """Read all groups, in the order of their pages; one that has no file yet is left out.

    Raises:
        MessageError: At the first row that cannot be used.
    """
    files = {path.stem: path for path in sorted(folder.glob("*.yml"))}
    if strangers := sorted(set(files) - set(GROUPS)):
        raise MessageError(f"{strangers[0]}.yml is no group; there are {', '.join(GROUPS)}")
    groups = [group(files[name]) for name in GROUPS if name in files]
    counts = Counter(row.id for each in groups for row in each.rows)
    if twice := [name for name, count in counts.items() if count > 1]:
        raise MessageError(f"two rows have the id {twice[0]!r}")
    return groups


def group(path: Path) -> Group:
    """Read one file."""
    content = yaml.load(path.read_text(), LOADER)  # both are safe
    if not isinstance(content, dict) or set(content) != {"title", "where", "rows"}:
        raise MessageError(f"{path.name} must have the keys title, where and rows")
    rows = tuple(row(entry, path.name) for entry in content["rows"])
    return Group(path.stem, content["title"], content["where"], rows)


def row(entry: Mapping[str, Any], file: str) -> Message:
    """Check one row.

    Raises:
        MessageError: If a part is missing, empty, unknown or of a wrong kind.
    """
    place = f"{file}, {entry.get('id', 'a row without id')}"
    if missing := REQUIRED - set(entry):
        raise MessageError(f"{place}: lacks {', '.join(sorted(missing))}")
    if unknown := set(entry) - KNOWN:
        raise MessageError(f"{place}: unknown {', '.join(sorted(unknown))}")
    if not IDENTIFIER.fullmatch(str(entry["id"])):
        raise MessageError(f"{place}: an id has small letters, digits and hyphens")
    for name in ("message", "program", "code", "read"):
        if not isinstance(entry.get(name, ""), str) or (name in REQUIRED and not entry[name]):
            raise MessageError(f"{place}: {name} must be a text; put it in quotes")
    if entry["shown"] not in SHOWN:
        raise MessageError(f"{place}: shown must be ci or told")
    see = entry.get("see") or {}
    if not isinstance(see, dict):
        raise MessageError(f"{place}: see must be links, each as text: path")
    if not see and not entry.get("read"):
        raise MessageError(f"{place}: without see, read must name an official page")
    return Message(**{**entry, "causes": tuple(causes(entry["causes"], place)), "see": see})


def causes(entries: object, place: str) -> Iterator[Cause]:
    """Check the causes of a row."""
    if not isinstance(entries, list) or not entries:
        raise MessageError(f"{place}: give one cause or more")
    for entry in entries:
        parts = {"cause", "test", "cure"}
        if not isinstance(entry, dict) or set(entry) != parts or not all(entry.values()):
            raise MessageError(f"{place}: a cause has cause, test and cure, none of them empty")
        yield Cause(**{name: " ".join(str(entry[name]).split()) for name in parts})


def pattern(message: str) -> re.Pattern[str]:
    """Return what a message of a program has to match: `…` is any text, blanks are all alike.

    A message may stand anywhere, so `…` at its ends asks for nothing. To look for it would try
    each rest of the text from each place in it.
    """
    parts = (r"\s+".join(map(re.escape, part.split())) for part in message.strip("… ").split("…"))
    return re.compile(r"\s*.*?\s*".join(parts), re.DOTALL)


def code(text: str) -> str:
    """Write a text as code in Markdown, whatever backticks it has."""
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    space = " " if "`" in text else ""
    return f"{fence}{space}{text}{space}{fence}"


def contents(groups: list[Group]) -> str:
    """Write the list of the groups as Markdown."""
    return "\n".join(
        f"- **[{each.title}]({each.page}.md)** ({len(each.rows)}): {each.where}" for each in groups
    )


def markdown(group: Group) -> str:
    """Write a group's page as Markdown: its rows, each under a heading with an address."""
    lines = [f"# {group.title}", "", f"{group.where} {BOX}", ""]
    for one in group.rows:
        lines += [f"({anchor(one)})=", f"## {code(one.message)}", "", said_by(one), ""]
        lines += [f"1. {c.cause} *Test:* {c.test} *Cure:* {c.cure}" for c in one.causes]
        lines.append("")
    return "\n".join(lines)


def anchor(one: Message) -> str:
    """Return a row's address on its page."""
    return f"m-{one.id}"


def said_by(one: Message) -> str:
    """Return the line under a message: who says it, and where to read on."""
    parts = [one.program + (f", code {code(one.code)}" if one.code else "")]
    links = ", ".join(f"[{text}](../{path})" for text, path in (one.see or {}).items())
    if one.shown == "ci":
        parts.append("reproduced in CI")
    parts.append(f"see {links}" if links else "not in a chapter yet")
    if one.read:
        parts.append(f"[official page]({one.read})")
    return " · ".join(parts)


def links(one: Message) -> list[tuple[str, str]]:
    """Return where in the book to read on: text and address."""
    return [(text, html(path)) for text, path in (one.see or {}).items()]


def plain(text: str) -> str:
    """Return Markdown as text."""
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text).replace("`", "").replace("*", "")


def short(cause: str) -> str:
    """Return the first sentence of a cause, or its beginning: the search shows no more of it."""
    sentence = re.split(r"(?<=[.?])\s", plain(cause), maxsplit=1)[0]
    return textwrap.shorten(sentence, LONGEST_CAUSE, placeholder=" …")


def quoted(text: str) -> str:
    """Return what a text quotes of logs and of other programs, which people may paste too."""
    parts = re.findall(r"`([^`]+)`", text)
    return " ".join(part for part in parts if not COMMANDS.match(part))


def pasted(one: Message) -> str:
    """Return the words that the tests of a row quote and that its message has not, each once."""
    text = quoted(" ".join(cause.test for cause in one.causes))
    said = one.message.lower()
    found = re.findall(r"[A-Za-z_][\w.]*|\d{1,5}", text)
    return " ".join(word for word in dict.fromkeys(found) if word.lower() not in said)


def html(path: str) -> str:
    """Return the address in the book of a page of the project."""
    return re.sub(r"\.(md|ipynb)(?=#|$)", ".html", path)
