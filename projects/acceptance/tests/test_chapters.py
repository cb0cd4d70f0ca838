"""The chapters that checks name are there, if this project stands in its book."""

from pathlib import Path

import pytest

from acceptance.check import CHAPTERS
from acceptance.run import load, names

BOOK = Path(__file__).resolve().parents[3]


@pytest.mark.skipif(not (BOOK / "notebooks").is_dir(), reason="copied out of its book")
def test_every_chapter_is_there() -> None:
    assert [place for _, place in CHAPTERS.values() if not (BOOK / place).is_file()] == []


@pytest.mark.parametrize("suite", names())
def test_every_suite_has_a_check_for_each_criterion(suite: str) -> None:
    made = load(suite)
    assert made.title
    assert {check.criterion for check in made.checks} == {
        "functionality",
        "performance",
        "security",
        "documentation",
    }
    assert any(check.official for check in made.checks)
    assert all(not check.title.endswith(".") for check in made.checks)
