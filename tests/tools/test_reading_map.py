"""The drawn map: a chapter below what it needs, rails apart, and as narrow as a phone."""

import re
from itertools import combinations
from xml.etree import ElementTree

import pytest

from tools import chapters, reading_map
from tools.chapters import Entry

PLANNED = chapters.planned()
PHONE = 350  # pixels of text on a phone that is 390 pixels wide


def entry(name: str, *before: str) -> Entry:
    return Entry(name, "data", name.title(), "do it", before)


def test_a_chapter_comes_after_what_it_needs() -> None:
    found = reading_map.ordered([entry("c", "b"), entry("b", "a"), entry("a")])
    assert [one.name for one in found] == ["a", "b", "c"]
    names = [one.name for one in reading_map.ordered(PLANNED)]
    assert sorted(names) == sorted(one.name for one in PLANNED)


@pytest.mark.parametrize("before", ["b", "nowhere"])
def test_what_never_comes_is_named(before: str) -> None:
    with pytest.raises(ValueError, match=f"needs what never comes.*{before}"):
        reading_map.ordered([entry("a", before), entry("b", "a")])


def test_the_way_to_a_chapter_has_all_that_it_needs_and_nothing_else() -> None:
    entries = [entry("a"), entry("x"), entry("b", "a"), entry("c", "b", "a")]
    assert reading_map.path("c", entries) == ["a", "b", "c"]


def test_no_two_rails_lie_on_one_another() -> None:
    lanes = reading_map.rails(reading_map.ordered(PLANNED))
    for (one, first, last), (other, begin, end) in combinations(lanes.values(), 2):
        assert one != other or last < begin or end < first


def test_the_picture_is_narrow_and_says_what_it_shows() -> None:
    drawn = reading_map.svg(PLANNED, lambda one: f"{one.name}.html" if one.before else "")
    svg = ElementTree.fromstring(drawn)
    width = float(svg.attrib["viewBox"].split()[2])
    assert width <= PHONE
    told = svg.findtext("desc") or ""
    assert "Transactions and locks comes after Indexes and plans." in told
    assert len(svg.findall("a") + svg.findall("g/a")) == sum(bool(one.before) for one in PLANNED)
    assert not re.search(r"(fill|stroke)=", drawn), "colours are those of the reader's theme"
