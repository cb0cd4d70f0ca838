"""The glossary: in order, linked to the chapters, and found in their prose."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools import chapters, glossary

TERMS = glossary.load()
LEAST = 120  # terms; may only grow


def good() -> dict[str, Any]:
    return {
        "term": "lost update",
        "text": "Two write, one wins.",
        "chapter": "transactions-and-locks",
        "anchor": "three-cures-for-a-lost-update",
    }


def stored(folder: Path, *entries: object, name: str = "glossary.yml") -> Path:
    file = folder / name
    file.write_text("# A head.\n" + yaml.safe_dump(list(entries)))
    return file


def test_it_is_in_order_and_its_links_are_alive() -> None:
    assert list(glossary.wrong(TERMS)) == []


def test_there_are_enough() -> None:
    assert len(TERMS) >= LEAST


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.term)
def test_a_term_is_explained_in_one_sentence_or_two(term: glossary.Term) -> None:
    sentences = term.text.replace("Short form, ", "").count(". ") + 1
    assert term.text[0].isupper()
    assert term.text.endswith(".")
    assert sentences <= 3


WRONG: dict[str, Callable[[dict[str, Any]], object]] = {
    "an entry has anchor": lambda entry: entry.pop("text"),
    "an entry has": lambda entry: entry.update(see="x"),
    "text is empty": lambda entry: entry.update(text=""),
    "aliases must be": lambda entry: entry.update(aliases="x"),
    "within must be": lambda entry: entry.update(within=[1]),
}


@pytest.mark.parametrize("complaint", WRONG)
def test_an_entry_that_cannot_be_used_is_named(tmp_path: Path, complaint: str) -> None:
    entry = good()
    WRONG[complaint](entry)
    with pytest.raises(glossary.GlossaryError, match=complaint):
        glossary.load(file=stored(tmp_path, entry))


def test_no_term_is_there_twice(tmp_path: Path) -> None:
    twice = stored(tmp_path, good(), good() | {"term": "overwriting", "aliases": ["Lost Update"]})
    with pytest.raises(glossary.GlossaryError, match="'Lost Update' is there twice"):
        glossary.load(file=twice)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"anchor": "three-cures"}, "'lost update': transactions-and-locks has no heading"),
        ({"chapter": "cooking"}, "'lost update': there is no chapter 'cooking'"),
        ({"within": ["cooking"]}, "'lost update': there is no chapter 'cooking'"),
        ({"term": "a b"}, "'a b' must be before 'm'"),
    ],
)
def test_a_dead_link_and_a_wrong_order_are_named(
    tmp_path: Path, change: dict[str, Any], complaint: str
) -> None:
    entries = good() | {"term": "m"}, good() | change
    said = "\n".join(glossary.wrong(glossary.load(file=stored(tmp_path, *entries))))
    assert complaint in said


def found(text: str, *terms: glossary.Term) -> list[str]:
    pattern, known = glossary.pattern(terms)
    return [known[glossary.key(f[1])].term for f in pattern.finditer(text)]


def term(name: str, *aliases: str, within: tuple[str, ...] = ()) -> glossary.Term:
    return glossary.Term(name, "A thing.", "caching", "x", aliases, within)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Two deadlocks, and a Deadlock.", ["deadlock", "deadlock"]),
        ("A write-ahead log, the WAL.", ["write-ahead log", "write-ahead log"]),
        ("A write-ahead\nlog", ["write-ahead log"]),
        ("Such walls are no wal.", []),
        ("The N+1 queries, N+10 others.", ["N+1"]),
        ("An undeadlocked thing, a deadlock-free one.", []),
        ("An index-only scan", ["index-only scan"]),
        ("Two indexes, one index", ["index", "index"]),
    ],
)
def test_a_term_is_found_as_people_write_it(text: str, expected: list[str]) -> None:
    terms = [term("deadlock"), term("write-ahead log", "WAL"), term("N+1")]
    assert found(text, *terms, term("index"), term("index-only scan")) == expected


def test_a_word_with_two_meanings_is_linked_where_it_has_this_one() -> None:
    layer = term("layer", within=("containers",))
    assert glossary.used_in([layer], "containers") == [layer]
    assert glossary.used_in([layer], "caching") == [layer]  # where it is explained
    assert glossary.used_in([layer], "django-project") == []


def test_terms_of_a_new_chapter_are_merged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    file = stored(tmp_path / "data", good())
    monkeypatch.setattr(glossary, "wrong", lambda terms, _: (t.term for t in terms if t.term > "z"))
    first, known = good() | {"term": "ACID", "within": ["caching"]}, good() | {"text": "No."}
    more = stored(tmp_path, first, known, name="caching.yml")
    assert glossary.main([str(more)], tmp_path) == 0
    said = capsys.readouterr().out
    assert "caching.yml: 1 new terms" in said
    assert "left out, since it is there already: lost update (No.)" in said
    stored_now = glossary.load(file=file)
    assert [(one.term, one.text, one.within) for one in stored_now] == [
        ("ACID", "Two write, one wins.", ("caching",)),
        ("lost update", "Two write, one wins.", ()),
    ]
    assert file.read_text().startswith("# A head.\n- term: ACID\n")
    dead = stored(tmp_path, good() | {"term": "zebra"}, name="dead.yml")
    before = file.read_text()
    assert glossary.main([str(dead)], tmp_path) == 1
    assert "nothing is stored:\n  zebra" in capsys.readouterr().err
    assert file.read_text() == before


def test_each_chapter_of_a_term_is_there() -> None:
    planned = {entry.name for entry in chapters.planned()}
    assert {name for one in TERMS for name in (one.chapter, *one.within)} <= planned


def test_an_apostrophe_of_the_page_is_that_of_the_source() -> None:
    page = "By Little\N{RIGHT SINGLE QUOTATION MARK}s law, four are in use."
    assert found(page, term("Little's law")) == ["Little's law"]
