"""The picture of the tables shows what the models say."""

from pathlib import Path

from docs.draw import drawing, source

DOCS = Path(__file__).resolve().parent.parent / "docs"


def test_the_picture_is_that_of_the_models() -> None:
    assert (DOCS / "erd.d2").read_text() == source(), "make pictures"
    assert (DOCS / "erd.svg").read_bytes() == drawing(source()), "make pictures"
