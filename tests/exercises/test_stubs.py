"""What the chapters give to begin with: each stub gets a hint, and is no try."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import nexus
from nexus.judging import check, judge_answer
from nexus.judging.registry import exercises, find
from nexus.judging.stubs import does_nothing, is_empty, is_same
from tests.exercises.stubs import CELLS, missing

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with nexus.postgres(fsync="off"):  # databases come and go
        yield


def test_each_exercise_has_a_stub() -> None:
    assert sorted(CELLS) == sorted(name for names in exercises().values() for name in names)


EARLIER = {"payments-and-webhooks.1": "import uuid",
"payments-and-webhooks.2": "import json; from standardwebhooks import Webhook",
"graphql.2": "import strawberry", "challenges-data.5": "import json",
"challenges-data.2": """
from django.db.migrations import AddField
from django.db.models import SlugField
""", "best-practices.1": "from nexus.exercises.best_practices import KIOSK",
"message-queues.2": "import json", "message-queues.3": "import pika",
"migrations.3": "from django.db.migrations import RemoveField",
"partitioning.3": "from datetime import timedelta",
"best-practices.3": "from nexus.exercises.best_practices import KIOSK",
"middleware-and-signals.2": "from django.core import mail", "containers.1": """
import io, tarfile

def read(layer):
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        return {entry.name: archive.extractfile(entry).read() for entry in archive}

def container(layers):
    return [name for layer in layers for name in read(layer) if "/.wh." not in name]
"""}  # fmt: skip
"""What earlier cells have defined, as far as a stub needs it."""


def stub_of(name: str) -> object:
    code, answer, _ = CELLS[name]
    cell = ModuleType("a_cell_with_a_stub")
    sys.modules[cell.__name__] = cell  # Strawberry looks there for the names of types
    try:
        exec(EARLIER.get(name, ""), vars(cell))  # apart: an import beside it changes the bytecode
        exec(code, vars(cell))
        return eval(answer, vars(cell))
    finally:
        del sys.modules[cell.__name__]


@pytest.mark.parametrize("name", sorted(CELLS))
def test_an_untouched_stub_gets_its_hint_and_is_not_recorded(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if why := missing(name):
        pytest.skip(why)
    kept = tmp_path / "progress.json"
    monkeypatch.setenv("NEXUS_PROGRESS", str(kept))
    check(name, stub_of(name))
    assert capsys.readouterr().out == CELLS[name][2]
    assert not kept.exists()


@pytest.mark.parametrize("name", sorted(name for name in CELLS if find(name).stub is not None))
def test_a_stub_that_was_touched_is_no_stub(name: str) -> None:
    stub = stub_of(name)
    assert is_same(stub, find(name).stub)
    assert not is_same(lambda *_: 7, find(name).stub)
    if isinstance(stub, str):
        assert not is_same(f"{stub} and more", find(name).stub)
    if isinstance(stub, dict):
        assert not is_same(stub | {"more": "1"}, find(name).stub)


def unwritten(connection: object) -> None:
    """To be written."""
    raise NotImplementedError


def unwritten_with_a_word() -> None:
    raise NotImplementedError("your turn")


def dots(connection: object) -> None:
    """To be written."""
    ...


def passes() -> None:
    pass


def returns_a_list() -> list[str]:
    return []


def calls(connection: object) -> None:
    str(connection)


@pytest.mark.parametrize(
    "answer",
    [None, ..., "", " \n", "-- CREATE INDEX …", "# a comment\n\n", "/* SELECT\n1 */", unwritten,
     unwritten_with_a_word, (unwritten, unwritten)],
)  # fmt: skip
def test_what_says_nothing_is_empty(answer: object) -> None:
    assert is_empty(answer)


@pytest.mark.parametrize("answer", [0, False, "SELECT 1 -- one", [], (), calls, returns_a_list])
def test_what_says_something_is_not(answer: object) -> None:
    assert not is_empty(answer)
    assert not does_nothing(answer)


@pytest.mark.parametrize("answer", [dots, passes, lambda *_: None])
def test_a_function_without_a_body_is_no_try(answer: object) -> None:
    assert does_nothing(answer)
    assert not judge_answer("template.3", answer).tried


def test_a_wrong_answer_is_a_try() -> None:
    assert judge_answer("template.3", calls).tried
    assert judge_answer("template.1", "SELECT 1").tried
