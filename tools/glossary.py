"""The glossary: read from data/glossary.yml, and made into its page and the links of the chapters.

The head of that file explains each key. `python -m tools.glossary FILE …` merges files of the same
form into it: an entry whose term is there already is left out, and said.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import yaml

from tools import chapters, headings

APOSTROPHE = "\N{RIGHT SINGLE QUOTATION MARK}"  # that of a page
ROOT = chapters.ROOT
FILE = Path("data") / "glossary.yml"
PAGE = "notes/glossary"  # its name in the book
REQUIRED = {"term", "text", "chapter", "anchor"}
LISTS = ("aliases", "within")


class GlossaryError(ValueError):
    """An entry that cannot be used; the text says which, and why."""


@dataclass(frozen=True)
class Term:
    """A term of the field; the head of the file says what each part is."""

    term: str
    text: str
    chapter: str
    anchor: str
    aliases: tuple[str, ...] = ()
    within: tuple[str, ...] = ()

    @property
    def order(self) -> str:
        """By what the glossary is ordered."""
        return self.term.casefold()

    @property
    def spellings(self) -> tuple[str, ...]:
        """All ways to write it."""
        return (self.term, *self.aliases)


def load(root: Path = ROOT, file: Path | None = None) -> list[Term]:
    """Read the glossary.

    Args:
        root: The project's folder.
        file: Another file of the same form.

    Raises:
        GlossaryError: At the first entry that cannot be used.
    """
    source = file or root / FILE
    entries = yaml.safe_load(source.read_text())
    if not isinstance(entries, list):
        raise GlossaryError(f"{source.name} must be a list of terms")
    terms = [term(entry, source.name) for entry in entries]
    seen: dict[str, str] = {}
    for one in terms:
        for spelling in one.spellings:
            if key(spelling) in seen:
                raise GlossaryError(f"{spelling!r} is there twice")
            seen[key(spelling)] = one.term
    return terms


def term(entry: Mapping[str, object], file: str) -> Term:
    """Check one entry."""
    if not isinstance(entry, dict) or not REQUIRED <= set(entry) <= REQUIRED | set(LISTS):
        name = entry.get("term") if isinstance(entry, dict) else entry
        raise GlossaryError(f"{file}, {name!r}: an entry has {', '.join(sorted(REQUIRED))}")
    parts = {name: " ".join(str(entry[name] or "").split()) for name in REQUIRED}
    if empty := sorted(name for name, text in parts.items() if not text):
        raise GlossaryError(f"{file}, {parts['term']!r}: {empty[0]} is empty")
    lists = {name: entry.get(name) or [] for name in LISTS}
    for name, texts in lists.items():
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise GlossaryError(f"{file}, {parts['term']!r}: {name} must be a list of texts")
    return Term(**parts, **{name: tuple(texts) for name, texts in lists.items()})


def wrong(terms: Iterable[Term], root: Path = ROOT) -> Iterator[str]:
    """Yield what is wrong with the order and the links of the glossary, one line each."""
    listed = list(terms)
    places = {entry.name: root / entry.notebook for entry in chapters.planned(root)}
    known: dict[str, dict[str, str]] = {}
    for before, after in pairwise(listed):
        if before.order > after.order:
            yield f"{after.term!r} must be before {before.term!r}"
    for one in listed:
        if not (place := places.get(one.chapter)) or not place.exists():
            yield f"{one.term!r}: there is no chapter {one.chapter!r}"
            continue
        if strangers := sorted(set(one.within) - set(places)):
            yield f"{one.term!r}: there is no chapter {strangers[0]!r}"
        if one.anchor not in known.setdefault(one.chapter, headings.of(place)):
            yield f"{one.term!r}: {one.chapter} has no heading {one.anchor!r}"


def markdown(terms: Iterable[Term], root: Path = ROOT) -> str:
    """Write the glossary as Markdown."""
    entries = {entry.name: entry for entry in chapters.planned(root)}
    lines = ["```{glossary}"]
    for one in terms:
        chapter = entries[one.chapter]
        link = f"[{chapter.title}](../{chapter.notebook}#{one.anchor})"
        lines += [one.term, f"  {one.text} See {link}.", ""]
    return "\n".join([*lines, "```", ""])


def pattern(terms: Iterable[Term]) -> tuple[re.Pattern[str], dict[str, Term]]:
    """Return what finds any spelling of any term in a text, and whose each spelling is.

    A term in capitals is found in capitals only, others in any case. A plural is found too.
    """
    by_spelling = {spelling: one for one in terms for spelling in one.spellings}
    parts = []
    for spelling in sorted(by_spelling, key=len, reverse=True):
        words = r"\s+".join(map(re.escape, spelling.split())).replace("'", f"['{APOSTROPHE}]")
        exact = any(letter.isupper() for letter in spelling)
        parts.append(words if exact else f"(?i:{words})")
    found = re.compile(rf"(?<![\w-])({'|'.join(parts)})(?:e?s)?(?![\w+-])")
    return found, {key(spelling): one for spelling, one in by_spelling.items()}


def key(text: str) -> str:
    """Return a spelling in the form in which spellings are compared.

    A page has another apostrophe than its source, and may break a line between two words.
    """
    return " ".join(text.split()).casefold().replace(APOSTROPHE, "'")


def used_in(terms: Iterable[Term], chapter: str) -> list[Term]:
    """Return the terms that have their meaning in a chapter."""
    return [one for one in terms if not one.within or chapter in {*one.within, one.chapter}]


def merged(terms: list[Term], more: Iterable[Term]) -> tuple[list[Term], list[Term]]:
    """Return the terms with more of them, in order, and those that were there already."""
    known = {key(spelling) for one in terms for spelling in one.spellings}
    all_of_them, left = list(terms), []
    for one in more:
        spellings = {key(spelling) for spelling in one.spellings}
        if spellings & known:
            left.append(one)
        else:
            known |= spellings
            all_of_them.append(one)
    return sorted(all_of_them, key=lambda one: one.order), left


def write(terms: Iterable[Term], file: Path) -> None:
    """Store the glossary below the head that the file has."""
    head = "".join(
        line for line in file.read_text().splitlines(keepends=True) if line.startswith("#")
    )
    entries = [
        {
            "term": one.term,
            "text": one.text,
            "chapter": one.chapter,
            "anchor": one.anchor,
            **{name: list(texts) for name in LISTS if (texts := getattr(one, name))},
        }
        for one in terms
    ]
    body = yaml.safe_dump(entries, sort_keys=False, allow_unicode=True, width=10_000)
    file.write_text(head + body)


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Run the command; see the module's own text."""
    parser = argparse.ArgumentParser(description="Merge terms into the glossary.")
    parser.add_argument("files", nargs="+", type=Path, help="of the form of data/glossary.yml")
    files = parser.parse_args(arguments).files
    try:
        terms = load(root)
        for file in files:
            before = len(terms)
            terms, left = merged(terms, load(root, file))
            print(f"{file.name}: {len(terms) - before} new terms")
            for one in left:
                print(f"  left out, since it is there already: {one.term} ({one.text})")
        complaints = list(wrong(terms, root))
    except (GlossaryError, OSError, yaml.YAMLError) as error:
        print(f"glossary: {error}", file=sys.stderr)
        return 1
    if complaints:
        print("glossary: nothing is stored:", *complaints, sep="\n  ", file=sys.stderr)
        return 1
    write(terms, root / FILE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
