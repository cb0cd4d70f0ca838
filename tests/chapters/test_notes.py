"""The page of notes lists every note once: gotchas first, then field notes by technology."""

from collections import Counter
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from tools import chapters

ROOT = chapters.ROOT
FIELD = sorted((ROOT / "notes" / "field").glob("*.md"))
NOTES = [
    path.relative_to(ROOT).with_suffix("").as_posix()
    for folder in ("gotchas", "field")
    for path in sorted((ROOT / "notes" / folder).glob("*.md"))
]


def lists(toc: dict) -> list[tuple[str, list[str]]]:
    """Return the lists that _toc.yml has under notes/index: each one's caption and its notes."""
    (page,) = (
        entry
        for part in toc["parts"]
        for entry in part["chapters"]
        if entry["file"] == "notes/index"
    )
    return [
        (
            subtree["caption"],
            [
                note
                for item in subtree["sections"]
                for note in NOTES
                if fnmatch(note, item.get("file") or item["glob"])
            ],
        )
        for subtree in page["subtrees"]
    ]


LISTS = lists(yaml.safe_load((ROOT / "_toc.yml").read_text()))


def test_every_note_is_in_one_list() -> None:
    listed = Counter(note for _, notes in LISTS for note in notes)
    advice = "enter each field note once in _toc.yml, under its technology"
    assert {note: listed[note] for note in NOTES} == dict.fromkeys(NOTES, 1), advice


def test_gotchas_come_first_and_notes_about_this_book_last() -> None:
    captions = [caption for caption, _ in LISTS]
    assert captions[0] == "Gotchas by chapter"
    assert {note.split("/")[1] for note in LISTS[0][1]} == {"gotchas"}
    assert all(caption.startswith("Field notes: ") for caption in captions[1:])
    assert captions[-1] == "Field notes: About this book"
    assert len(set(captions)) == len(captions)


def test_a_note_about_our_own_tools_stands_under_about_this_book() -> None:
    titles = {path.stem: path.read_text().splitlines()[0] for path in FIELD}
    ours = {f"notes/field/{name}" for name, title in titles.items() if title.startswith("# nexus")}
    assert ours
    assert ours <= set(LISTS[-1][1])


@pytest.mark.parametrize("note", FIELD, ids=lambda path: path.stem)
def test_a_field_note_is_called_by_its_product_and_its_symptom(note: Path) -> None:
    title, *_ = note.read_text().splitlines()
    product, _, symptom = title.removeprefix("# ").partition(": ")
    assert product != "Field note", "the title begins with the product: # Valkey: a change …"
    assert symptom, "the title begins with the product: # Valkey: a change …"
