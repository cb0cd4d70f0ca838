"""The picture for a portfolio: true to the records, escaped, and never over another file."""

import errno
import json
import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

import nexus
from nexus.judging import portfolio as drawing
from nexus.judging.progress import Chapter, State
from nexus.judging.records import ProgressError

SVG = "{http://www.w3.org/2000/svg}"
SOLVED = {"tries": 1, "solved": "2026-11-02"}


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "progress.json"
    path.write_text(json.dumps({"caching.1": SOLVED, "caching.2": {"tries": 2, "solved": None}}))
    monkeypatch.setenv("NEXUS_PROGRESS", str(path))
    return path


@pytest.fixture
def target(kept: Path) -> Path:
    return kept.with_name("skills.svg")


def words(path: Path) -> str:
    return " ".join(
        text.text or "" for text in ElementTree.fromstring(path.read_text()).iter(f"{SVG}text")
    )


def test_it_shows_what_was_solved_and_says_who_says_so(target: Path) -> None:
    picture = nexus.portfolio(target, name="Ada", date="2026-12-01", version="1.2")
    said = words(target)
    assert "exercises solved by Ada" in said
    assert "1 of " in said
    assert "Caching 1 of 4" in picture.alt
    assert "Self-reported: " in said
    assert "Nobody else has checked them" in said
    assert "Made on 2026-12-01 with version 1.2 of the book." in said
    root = ElementTree.fromstring(target.read_text())
    looks = [box.get("class") for box in root.iter(f"{SVG}rect")]
    assert looks == ["card", "solved", "tried", "open", "open"]
    titles = [box.findtext(f"{SVG}title") for box in root.iter(f"{SVG}rect")]
    assert titles[1:3] == ["exercise 1: solved", "exercise 2: tried"]


def test_it_has_a_name_and_a_description_for_those_who_do_not_see_it(target: Path) -> None:
    picture = nexus.portfolio(target, date="2026-12-01", version="1.2")
    root = ElementTree.fromstring(target.read_text())
    assert root.get("role") == "img"
    labels = str(root.get("aria-labelledby")).split()
    found = {e.get("id"): e.text for e in root if e.get("id")}
    assert found[labels[0]].startswith("Project Nexus")
    assert found[labels[1]] == picture.alt
    assert picture._repr_mimebundle_()[1]["image/svg+xml"]["alt"] == picture.alt


@pytest.mark.parametrize("name", ["<script>&\"'", "A ]]> B", "tab\tnew\nline\0\x1b", "Ünï 字 🙂"])
def test_a_name_is_text_and_nothing_else(target: Path, name: str) -> None:
    nexus.portfolio(target, name=name)
    root = ElementTree.fromstring(target.read_text())
    assert {e.tag.removeprefix(SVG) for e in root.iter()} == {
        "svg", "title", "desc", "style", "rect", "text",
    }  # fmt: skip


def test_titles_are_escaped_too(target: Path) -> None:
    chapter = Chapter("A < B & C", "Part", "", {1: State.SOLVED})
    target.write_text(drawing.draw([chapter], "", drawing.datetime.date(2026, 12, 1), "1").svg)
    assert "A < B & C" in words(target)


def test_it_asks_nobody_for_anything_and_is_readable_in_the_dark(target: Path) -> None:
    svg = nexus.portfolio(target).svg
    assert svg.count("http") == 1  # the name of SVG itself
    assert "prefers-color-scheme: dark" in svg


def luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_its_colours_can_be_told_from_its_card() -> None:
    light, dark = drawing.STYLE.split("@media")
    for style in (light, dark):
        fills = {line.split(" {")[0]: line for line in style.splitlines() if line.count("#")}
        card = fills[".card"].split("fill: ")[1][:7]
        for look in ("text", ".small"):
            assert contrast(fills[look].split("fill: ")[1][:7], card) >= 4.5
        for look in (".solved", ".tried", ".open"):
            assert contrast(fills[look].split("stroke: ")[1][:7], card) >= 3


def test_the_same_records_and_day_give_the_same_bytes(target: Path) -> None:
    first = nexus.portfolio(target, date="2026-12-01").svg
    assert nexus.portfolio(target, date="2026-12-01").svg == first
    assert target.read_text() == first + "\n"


def test_somebody_who_has_solved_nothing_gets_a_true_picture(kept: Path, target: Path) -> None:
    kept.write_text("{}")
    assert "0 of " in nexus.portfolio(target).alt
    assert "none yet" in nexus.portfolio(target).alt


def test_another_file_is_not_overwritten(target: Path) -> None:
    other = target.with_name("README.md")
    other.write_text("# Mine\n")
    for path in (other, target.parent, Path(os.devnull)):
        with pytest.raises(ProgressError, match="is no SVG picture"):
            nexus.portfolio(path)
    assert other.read_text() == "# Mine\n"


def test_a_full_disk_leaves_the_older_picture(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nexus.portfolio(target, name="Ada")
    before = target.read_bytes()

    def fails(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(ProgressError, match=r"No space left on device\. Free some space"):
        nexus.portfolio(target, name="Bo")
    assert target.read_bytes() == before


def test_what_makes_no_sense_is_refused(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="at most 60"):
        nexus.portfolio(target, name="x" * 61)
    with pytest.raises(ValueError, match="isoformat"):
        nexus.portfolio(target, date="today")
    monkeypatch.setenv("NEXUS_PROGRESS", "off")
    with pytest.raises(ProgressError, match="NEXUS_PROGRESS is off"):
        nexus.portfolio(target)
    assert not target.exists()
