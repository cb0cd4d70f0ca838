"""The interview cards: each chapter has enough, each is proved, and the deck is always the same."""

import json
import re
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools import cards, chapters
from tools.chapters import Entry

ROOT = chapters.ROOT
WRITTEN = [entry for entry in chapters.planned() if (ROOT / entry.notebook).is_file()]
CARDS = cards.load()
SENTENCES = 3  # of an answer, at most


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project of one chapter."""
    for name in (chapters.TEMPLATE_ROOMS["chapter"], chapters.TEMPLATE_ROOMS["cards"]):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    parcels = {"name": "parcels", "title": "Parcels", "promise": "send them"}
    parts = [{"name": "async", "title": "Async", "chapters": [parcels]}]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "map.yml").write_text(yaml.safe_dump({"parts": parts}))
    (entry,) = chapters.planned(tmp_path)
    (tmp_path / entry.notebook).parent.mkdir(parents=True)
    template = ROOT / chapters.TEMPLATE_ROOMS["chapter"]
    (tmp_path / entry.notebook).write_bytes(template.read_bytes())
    return tmp_path


def good() -> dict[str, Any]:
    return {
        "question": "What does `NULL` mean?",
        "answer": "A value that is <not> known.",
        "proof": "one-null-makes-not-in-return-no-rows",
    }


def stored(root: Path, *entries: object) -> Path:
    (entry,) = chapters.planned(root)
    cards.path(entry, root).write_text(yaml.safe_dump(list(entries)))
    return root


@pytest.mark.parametrize("entry", WRITTEN, ids=lambda entry: entry.name)
def test_a_chapter_has_enough_cards_and_each_is_proved(entry: Entry) -> None:
    own = [card for card in CARDS if card.chapter == entry]  # a dead proof fails when it is read
    assert len(own) >= cards.LEAST


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.key)
def test_a_card_asks_and_answers_in_few_sentences(card: cards.Card) -> None:
    assert card.question[0].isupper() or card.question.startswith("`")
    assert re.search(r"[.?]$", card.question)
    plain = re.sub(r"`[^`]*`", "code", card.answer)
    assert len(re.findall(r"[.?!](?=\s|$)", plain)) <= SENTENCES
    assert plain.endswith(".")


WRONG: dict[str, Callable[[dict[str, Any]], object]] = {
    "nothing else": lambda card: card.update(hint="None."),
    "a card has question": lambda card: card.pop("answer"),
    "answer is empty": lambda card: card.update(answer=" "),
    "perhaps one-null-makes-not-in": lambda card: card.update(proof="one-null-makes-not"),
}


@pytest.mark.parametrize("complaint", WRONG)
def test_a_card_that_cannot_be_used_is_named(root: Path, complaint: str) -> None:
    card = good()
    WRONG[complaint](card)
    with pytest.raises(cards.CardError, match=f"parcels.yml, card 1: .*{complaint}"):
        cards.load(stored(root, card))


def test_two_cards_do_not_ask_the_same(root: Path) -> None:
    with pytest.raises(cards.CardError, match="two cards ask the same"):
        cards.load(stored(root, good(), good() | {"answer": "Another."}))


def test_a_chapter_without_cards_is_left_out_of_the_page(root: Path) -> None:
    assert cards.load(root) == []
    assert cards.markdown([], root) == ""


def test_a_card_is_written_with_the_link_that_proves_it(root: Path) -> None:
    page = cards.markdown(cards.load(stored(root, good())), root)
    assert page.splitlines()[:10] == [
        "## Async",
        "",
        "### Parcels",
        "",
        "::::{interview-card} What does `NULL` mean?",
        ":key: parcels/what-does-null-mean",
        ":part: async",
        "",
        "A value that is <not> known.",
        "",
    ]
    link = "../notebooks/async/parcels.ipynb#one-null-makes-not-in-return-no-rows"
    assert f"[Parcels: One NULL makes NOT IN return no rows]({link})" in page


def test_the_deck_is_the_same_byte_for_byte(tmp_path: Path) -> None:
    first, second = tmp_path / "first.apkg", tmp_path / "below" / "second.apkg"
    cards.deck(CARDS, first, 1_790_000_000)
    cards.deck(CARDS, second, 1_790_000_000)
    assert first.read_bytes() == second.read_bytes()


def test_the_deck_leaves_no_other_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    cards.deck(CARDS, tmp_path / "deck.apkg", 1_790_000_000)
    assert [path.name for path in tmp_path.iterdir()] == ["deck.apkg"]


def test_the_deck_has_every_card_with_its_tags(tmp_path: Path) -> None:
    file = tmp_path / "deck.apkg"
    cards.deck(CARDS, file, 1_790_000_000)
    with zipfile.ZipFile(file) as packed:
        packed.extract("collection.anki2", tmp_path)
    db = sqlite3.connect(tmp_path / "collection.anki2")
    found = db.execute("SELECT tags, flds, mod FROM notes ORDER BY id").fetchall()
    models, decks = db.execute("SELECT models, decks FROM col").fetchone()
    due = [row for (row,) in db.execute("SELECT due FROM cards ORDER BY id")]
    db.close()
    assert [tags.split() for tags, _, _ in found] == [
        sorted([card.chapter.part, card.chapter.name], key=tags.split().index)
        for card, (tags, _, _) in zip(CARDS, found, strict=True)
    ]
    assert {mod for _, _, mod in found} == {1_790_000_000}
    assert due == list(range(len(CARDS)))  # the order of the book
    assert str(cards.DECK_ID) in json.loads(decks)
    assert list(json.loads(models)) == [str(cards.MODEL_ID)]


def test_what_a_learner_knew_is_kept_when_an_answer_changes(root: Path) -> None:
    (before,) = cards.notes(cards.load(stored(root, good())), root)
    (after,) = cards.notes(cards.load(stored(root, good() | {"answer": "Not known."})), root)
    assert before.guid == after.guid
    assert before.fields[1] == "A value that is &lt;not&gt; known."
    assert before.fields[0] == "What does <code>NULL</code> mean?"


def test_the_ids_of_the_deck_never_change() -> None:
    """With other ids, Anki would make a second deck beside the learner's own."""
    assert (cards.DECK_ID, cards.MODEL_ID) == (1_806_420_137, 1_540_982_663)


def test_the_deck_has_the_time_of_the_last_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "42")
    assert cards.moment() == 42
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert cards.moment(tmp_path) == 0  # no repository
