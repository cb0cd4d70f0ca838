"""Interview cards: read from notes/cards/, and made into their page and an Anki deck.

Each chapter has a file there, `notes/cards/<chapter>.yml`. It is a list of cards, and a card has:

- `question`: what an interviewer asks, in Markdown.
- `answer`: one to three plain sentences, in Markdown.
- `proof`: the anchor of the chapter's heading that shows it, without `#`.

The key of a card is made from its chapter and its question. A reader's browser and Anki remember by
this key what the reader knew, so a changed question is a new card.
"""

import difflib
import os
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from unittest import mock

import genanki
import yaml
from markdown_it import MarkdownIt

from tools import chapters, headings
from tools.chapters import Entry

ROOT = chapters.ROOT
PAGE = "notes/cards"  # its name in the book
DECK = "downloads/project-nexus.apkg"  # in the built book
LEAST = 8  # cards of a chapter
PARTS = {"question", "answer", "proof"}

# Anki tells decks and note types apart by these numbers. They must never change.
DECK_ID = 1_806_420_137
MODEL_ID = 1_540_982_663
ZIP_MOMENT = (2026, 1, 1, 0, 0, 0)

STYLE = """\
.card { font: 1.15rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 0 auto; padding: 1rem; }
.chapter { font-size: .85rem; opacity: .75; }
code { font-family: ui-monospace, monospace; font-size: .95em; }
"""


class CardError(ValueError):
    """A card that cannot be used; the text says which, and why."""


@dataclass(frozen=True)
class Card:
    """A question that an interviewer asks.

    Attributes:
        chapter: The chapter that answers it.
        question: In Markdown.
        answer: In Markdown.
        proof: The anchor of the chapter's heading that shows it.
    """

    chapter: Entry
    question: str
    answer: str
    proof: str

    @property
    def key(self) -> str:
        """Its name for browsers and Anki."""
        return f"{self.chapter.name}/{headings.slug(self.question)}"


def path(chapter: Entry, root: Path = ROOT) -> Path:
    """Return where a chapter's cards are."""
    return root / chapter.rooms["cards"]


def load(root: Path = ROOT) -> list[Card]:
    """Read all cards, in the order of the map. A chapter without a file is left out.

    Raises:
        CardError: At the first card that cannot be used.
    """
    cards = [card for chapter in chapters.planned(root) for card in of(chapter, root)]
    keys = [card.key for card in cards]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise CardError(f"two cards ask the same: {twice[0]}")
    return cards


def of(chapter: Entry, root: Path = ROOT) -> Iterator[Card]:
    """Yield the cards of a chapter, in the order of its file.

    Raises:
        CardError: At the first card that cannot be used.
    """
    file = path(chapter, root)
    if not file.exists():
        return
    known = headings.of(root / chapter.notebook)
    entries = yaml.safe_load(file.read_text())
    if not isinstance(entries, list):
        raise CardError(f"{file.name} must be a list of cards")
    for number, entry in enumerate(entries, start=1):
        place = f"{file.name}, card {number}"
        if not isinstance(entry, dict) or set(entry) != PARTS:
            raise CardError(f"{place}: a card has question, answer and proof, and nothing else")
        texts = {name: " ".join(str(text or "").split()) for name, text in entry.items()}
        if empty := [name for name, text in texts.items() if not text]:
            raise CardError(f"{place}: {empty[0]} is empty")
        if texts["proof"] not in known:
            near = difflib.get_close_matches(texts["proof"], known, n=1)
            hint = f", perhaps {near[0]}" if near else ""
            raise CardError(f"{place}: the chapter has no heading {texts['proof']!r}{hint}")
        yield Card(chapter, **texts)


def markdown(cards: list[Card], root: Path = ROOT) -> str:
    """Write the cards as Markdown: a section for each part, and in it the chapters."""
    titles = {
        part["name"]: part["title"]
        for part in yaml.safe_load((root / "data" / "map.yml").read_text())["parts"]
    }
    lines: list[str] = []
    part = chapter = ""
    for card in cards:
        if card.chapter.part != part:
            part = card.chapter.part
            lines += [f"## {titles[part]}", ""]
        if card.chapter.name != chapter:
            chapter = card.chapter.name
            shown = headings.of(root / card.chapter.notebook)
            lines += [f"### {card.chapter.title}", ""]
        lines += [
            f"::::{{interview-card}} {card.question}",
            f":key: {card.key}",
            f":part: {part}",
            "",
            card.answer,
            "",
            f"[{card.chapter.title}: {shown[card.proof]}](../{card.chapter.notebook}#{card.proof})",
            "::::",
            "",
        ]
    return "\n".join(lines)


def moment(root: Path = ROOT) -> int:
    """Return the second of the last commit that changed a card: Anki takes what is newer."""
    if "SOURCE_DATE_EPOCH" in os.environ:
        return int(os.environ["SOURCE_DATE_EPOCH"])
    command = ["git", "log", "-1", "--format=%ct", "--", "notes/cards"]
    try:
        said = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        said = ""
    return int(said.strip() or 0)


def notes(cards: list[Card], root: Path = ROOT) -> Iterator[genanki.Note]:
    """Yield the cards as notes of Anki, which shows new ones in this order."""
    fields = [{"name": name} for name in ("Question", "Answer", "Where")]
    template = {
        "name": "Card",
        "qfmt": "{{Question}}",
        "afmt": '{{FrontSide}}<hr id="answer">{{Answer}}<p class="chapter">{{Where}}</p>',
    }
    model = genanki.Model(MODEL_ID, "Project Nexus", fields=fields, templates=[template], css=STYLE)
    to_html = MarkdownIt("commonmark", {"html": False}).renderInline
    shown = {card.chapter: headings.of(root / card.chapter.notebook) for card in cards}
    for number, card in enumerate(cards):
        where = f"{card.chapter.title}: {shown[card.chapter][card.proof]}"
        yield genanki.Note(
            model=model,
            fields=[to_html(card.question), to_html(card.answer), escape(where)],
            tags=[card.chapter.part, card.chapter.name],
            guid=genanki.guid_for("project-nexus", card.key),
            due=number,
        )


def deck(cards: list[Card], file: Path, timestamp: int, root: Path = ROOT) -> None:
    """Write the cards as a deck for Anki, whose bytes depend on nothing but the arguments.

    Args:
        cards: Which.
        file: Where to; its folder is made.
        timestamp: The second since 1970 at which the cards were changed last.
        root: The project's folder.
    """
    made = genanki.Deck(DECK_ID, "Project Nexus")
    for one in notes(cards, root):
        made.add_note(one)
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        plain = Path(scratch) / "deck.apkg"
        with mock.patch.object(tempfile, "tempdir", scratch):  # it leaves a file there
            genanki.Package(made).write_to_file(plain, timestamp=timestamp)
        # The archive has the times of its files: pack it again, with a fixed one.
        with zipfile.ZipFile(plain) as packed, zipfile.ZipFile(file, "w") as fixed:
            for name in sorted(packed.namelist()):
                entry = zipfile.ZipInfo(name, ZIP_MOMENT)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16
                fixed.writestr(entry, packed.read(name), compresslevel=9)
