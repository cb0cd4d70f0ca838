"""The rows of data/messages/: each can be used, leads somewhere, and says what to do."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml

from tests.chapters import honesty
from tests.tools import (
    test_messages_git,
    test_messages_rabbitmq,
    test_messages_realtime,
    test_messages_servers,
)
from tools import chapters, messages

GROUPS = messages.load()
ROWS = [(group, row) for group in GROUPS for row in group.rows]
LEAST = 2700  # rows; may only grow
PROGRAMS = ("buildah", "git", "gunicorn", "kombu", "nginx", "pip", "psql", "psycopg", "redis-py")
SMALL = ("`", "*", "[", "uvicorn", "systemd", *PROGRAMS)
# Groups whose messages a test of their own provokes, and some rows of two other groups.
PROVOKED = {
    "postgresql",
    "mariadb",
    "valkey",
    "python",
    "django",
    *test_messages_git.PROVOKED,
    *test_messages_servers.PROVOKED,
    *test_messages_rabbitmq.PROVOKED,
    *test_messages_realtime.PROVOKED,
}


def good() -> dict[str, Any]:
    cause = {"cause": "The disk is full.", "test": "Run `df`.", "cure": "Make room."}
    return {
        "id": "disk-full",
        "message": "No space left on device: …",
        "program": "Linux",
        "causes": [cause],
        "see": {"Caching": "notebooks/async/caching.ipynb"},
        "shown": "told",
    }


def stored(folder: Path, *rows: dict[str, Any], name: str = "python") -> Path:
    content = {"title": "Python", "where": "In a traceback.", "rows": list(rows)}
    (folder / f"{name}.yml").write_text(yaml.safe_dump(content))
    return folder


WRONG: dict[str, Callable[[dict[str, Any]], object]] = {
    "lacks message": lambda row: row.pop("message"),
    "message must be a text": lambda row: row.update(message=""),
    "code must be a text": lambda row: row.update(code=502),
    "unknown cure": lambda row: row.update(cure="None."),
    "an id has": lambda row: row.update(id="Disk full"),
    "shown must be": lambda row: row.update(shown="often"),
    "one cause or more": lambda row: row.update(causes=[]),
    "a cause has": lambda row: row["causes"][0].pop("test"),
    "none of them empty": lambda row: row["causes"][0].update(cure=""),
    "must name an official page": lambda row: row.pop("see"),
    "see must be links": lambda row: row.update(see=["notebooks/async/caching.ipynb"]),
}


@pytest.mark.parametrize("complaint", WRONG)
def test_a_row_that_cannot_be_used_is_named(tmp_path: Path, complaint: str) -> None:
    row = good()
    WRONG[complaint](row)
    with pytest.raises(messages.MessageError, match=complaint):
        messages.load(stored(tmp_path, row))


def test_two_rows_have_two_addresses(tmp_path: Path) -> None:
    with pytest.raises(messages.MessageError, match="two rows have the id 'disk-full'"):
        messages.load(stored(tmp_path, good(), good()))


def test_a_file_is_a_group_of_the_page(tmp_path: Path) -> None:
    with pytest.raises(messages.MessageError, match=r"cobol\.yml is no group"):
        messages.load(stored(tmp_path, good(), name="cobol"))
    (tmp_path / "cobol.yml").unlink()
    (tmp_path / "http.yml").write_text("rows: []")
    with pytest.raises(messages.MessageError, match=r"http\.yml must have the keys"):
        messages.load(tmp_path)


def test_a_row_is_written_under_its_address(tmp_path: Path) -> None:
    row = good() | {"message": "no `…` here", "code": "28", "read": "https://example.org/"}
    (group,) = messages.load(stored(tmp_path, row))
    assert messages.markdown(group).splitlines() == [
        "# Python",
        "",
        "In a traceback. [What does it say?](../messages.md) finds a row by a pasted line.",
        "",
        "(m-disk-full)=",
        "## `` no `…` here ``",
        "",
        "Linux, code `28` · see [Caching](../notebooks/async/caching.ipynb) · "
        "[official page](https://example.org/)",
        "",
        "1. The disk is full. *Test:* Run `df`. *Cure:* Make room.",
    ]


def test_every_group_has_a_page() -> None:
    folder = chapters.ROOT / messages.PAGE
    pages = {path.stem: path.read_text() for path in folder.glob("*.md")}
    said = "% The build writes this page from data/messages/{}.yml.\n"
    assert pages == {group.name: said.format(group.name) for group in GROUPS}
    listed = [name for name in chapters.entries() if name.startswith(messages.PAGE)]
    assert listed == [messages.PAGE, *(group.page for group in GROUPS)]


def test_the_groups_are_listed_with_their_size(tmp_path: Path) -> None:
    assert messages.contents(messages.load(stored(tmp_path, good()))) == (
        "- **[Python](messages/python.md)** (1): In a traceback."
    )


def test_a_row_without_a_place_in_the_book_says_so(tmp_path: Path) -> None:
    row = good() | {"see": {}, "read": "https://example.org/"}
    (group,) = messages.load(stored(tmp_path, row))
    page = messages.markdown(group)
    assert "Linux · not in a chapter yet · [official page](https://example.org/)" in page


def test_the_search_gets_addresses_of_the_book(tmp_path: Path) -> None:
    ((row,),) = (group.rows for group in messages.load(stored(tmp_path, good())))
    assert messages.links(row) == [("Caching", "notebooks/async/caching.html")]
    assert messages.html("notes/gotchas/caching.md#a-page") == "notes/gotchas/caching.html#a-page"


def test_the_search_gets_what_a_test_quotes_but_no_command() -> None:
    test = "`df -h` shows it, or the log has `disk quota exceeded`."
    assert messages.quoted(test) == "disk quota exceeded"
    cause = messages.Cause("Full.", test, "Make room.")
    row = messages.Message("disk", "No space on disk: …", "Linux", (cause, cause), "told")
    assert messages.pasted(row) == "quota exceeded"


def test_the_search_gets_the_first_sentence_of_a_cause() -> None:
    assert messages.short("`df` is full at 5.5 GB. Nobody looked.") == "df is full at 5.5 GB."


@pytest.mark.parametrize(
    ("said", "fits"),
    [
        ('FATAL:  role "ada" does not exist', True),
        ('x: FATAL: role "ada"\n does  not exist', True),
        ('FATAL: database "ada" does not exist', False),
    ],
)
def test_names_and_blanks_of_a_message_may_differ(said: str, fits: bool) -> None:
    found = messages.pattern('FATAL: role "…" does not exist').search(said)
    assert bool(found) == fits


def test_there_are_enough() -> None:
    assert len(ROWS) >= LEAST


@pytest.mark.parametrize(("group", "row"), ROWS, ids=[row.id for _, row in ROWS])
def test_its_links_are_alive_and_its_sentences_whole(
    group: messages.Group, row: messages.Message
) -> None:
    page = messages.markdown(messages.Group(group.name, group.title, group.where, (row,)))
    assert honesty.dead_links(page, chapters.ROOT / f"{group.page}.md") == []
    for cause in row.causes:
        for part in (cause.cause, cause.test, cause.cure):
            assert part[0].isupper() or part.startswith(SMALL), part
            assert part[-1] in ".?", part
    # Names differ from reader to reader: what is fixed must be enough to find it by.
    assert len([word for word in row.message.replace("…", " ").split() if word.isascii()]) >= 1


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z_]{3,}|\b\d{3,5}\b", text.lower()))


def test_a_link_to_a_gotcha_leads_to_its_heading() -> None:
    loose = []
    for _, row in ROWS:
        for path in (row.see or {}).values():
            if not path.startswith("notes/gotchas/") or "#" in path:
                continue
            text = (chapters.ROOT / path).read_text()
            for heading in re.findall(r"^## (.+)$", text, re.MULTILINE):
                shared = words(heading) & words(row.message)
                if len(shared) >= 3 and len(shared) >= 0.6 * len(words(row.message)):
                    loose.append(f"{row.id}: {path} has {heading!r}")
    assert loose == []


def test_a_pattern_asks_for_nothing_at_its_ends() -> None:
    # Otherwise a search tries each rest of the text from each place in it: minutes for a megabyte.
    assert messages.pattern("… not be  resolved …").pattern == r"not\s+be\s+resolved"
    ends = {messages.pattern(row.message).pattern for _, row in ROWS}
    assert not [each for each in ends if each.startswith(r"\s*.") or each.endswith(r"\s*")]


def shown_somewhere() -> list[str]:
    """Each text that a chapter prints, and the tests of snippets with what they look for."""
    outputs = [
        text
        for path in chapters.in_book()
        for _, cell in honesty.code(nbformat.read(path, as_version=4))
        for output in cell.outputs
        for text in honesty.texts(output)
    ]
    tests = [path.read_text() for path in (chapters.ROOT / "tests" / "snippets").glob("*.py")]
    return outputs + tests


def test_what_is_said_to_be_reproduced_is_reproduced() -> None:
    shown = shown_somewhere()
    missing = [
        row.id
        for group, row in ROWS
        if row.shown == "ci"
        if not ({group.name, row.id} & PROVOKED)
        if not any(map(messages.pattern(row.message).search, shown))
    ]
    assert missing == []


def test_the_search_shows_the_beginning_of_a_long_cause() -> None:
    shown = messages.short("It ends " + "and ends " * 20)
    assert shown.endswith("ends …")
    assert 85 < len(shown) <= messages.LONGEST_CAUSE
