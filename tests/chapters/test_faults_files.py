"""Every chapter has its file of seeded faults, and every entry still fits the chapter.

That the strict run notices each of them is checked by `make faults`, which takes much longer.
"""

from pathlib import Path

import pytest

from tools import faults

AT_LEAST = 6


@pytest.mark.parametrize("path", faults.seeded(), ids=lambda path: path.stem)
def test_a_chapter_has_faults_that_fit(path: Path) -> None:
    seeds = faults.seeds(path)
    assert len(seeds) >= AT_LEAST
    assert len({(seed.cell, seed.source) for seed in seeds}) == len(seeds), "two are the same"
    assert len([seed for seed in seeds if seed.known]) <= len(seeds) // 2, "too many are not seen"


def test_there_are_no_faults_of_a_chapter_that_is_gone() -> None:
    files = {file.stem for file in faults.FOLDER.glob("*.toml")}
    assert files == {path.stem for path in faults.seeded()}
