"""Judges of "Give clients one graph": a loader, a leak, and what an answer may hold."""

import asyncio
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import strawberry
from graphql import (
    DocumentNode,
    GraphQLObjectType,
    get_named_type,
    is_leaf_type,
    is_required_argument,
    parse,
)
from strawberry.types import ExecutionResult

from nexus.exercises.judging import NotYet, judge
from nexus.exercises.limits import within

DEPTH = 6
"""How deep the judge looks for a leak."""
MOST = 10_000
"""The values that an answer may hold."""

Row = dict[str, Any]
Select = Callable[[Sequence[int]], list[Row]]
Load = Callable[[list[int], Select], object]


@judge(
    "graphql.1",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a list of keys and a function select: it returns one row, or None, "
    "for each key",
)
def loader(answer: Load) -> str:
    """One value for each key, in their order, with one statement."""
    people = {number: {"id": number, "name": name} for number, name in enumerate("ABCDEFGH", 1)}
    for what, keys in {
        "three keys": [2, 7, 4],
        "a key that nobody has": [3, 99, 1],
        "a key that comes twice": [5, 1, 5],
        "no key at all": [],
    }.items():
        asked: list[list[int]] = []

        def select(wanted: Sequence[int], asked: list[list[int]] = asked) -> list[Row]:
            asked.append(list(wanted))
            return [dict(people[key]) for key in sorted(set(wanted)) if key in people][::-1]

        got = within(partial(_loaded, answer, list(keys), select))
        if len(asked) > 1:
            raise NotYet(f"for {what} it asked the database {len(asked)} times; once is enough")
        expected = [people.get(key) for key in keys]
        if got != expected:
            raise NotYet(f"for {what}, {keys}, it should return {_names(expected)}: {_names(got)}")
    return "one value for each key, in the order of the keys, with one statement"


def _loaded(answer: Load, keys: list[int], select: Select) -> object:
    """What a loader makes of what it is given; no more of it than could be right."""
    values: Any = answer(keys, select)
    if values is None or isinstance(values, dict | str):
        return values
    return [value for value, _ in zip(values, range(100), strict=False)]


def _names(values: object) -> str:
    """Rows by their names, as a reader can take them in."""
    if not isinstance(values, list):
        return f"it returned something of type {type(values).__name__}"
    shown = [row["name"] if isinstance(row, dict) and "name" in row else row for row in values]
    text = repr(shown)
    return text if len(text) < 120 else text[:119] + "…"


@dataclass(frozen=True, eq=False)
class Person:
    """Somebody with a secret."""

    name: str
    email: str


@dataclass(frozen=True, eq=False)
class House:
    """Where somebody is the host."""

    title: str
    host: Person


PEOPLE = [Person(name, f"{name.lower()}@example.org") for name in ("Amina", "Bode", "Chidi")]
HOUSES = [
    House("Sea house", PEOPLE[0]),
    House("Hill house", PEOPLE[1]),
    House("Mill", PEOPLE[0]),
    House("Loft", PEOPLE[2]),
]


@judge(
    "graphql.2",
    takes=strawberry.Schema,
    called="a strawberry.Schema",
    hint="give a strawberry.Schema with the fields houses and me",
)
def leak(answer: strawberry.Schema) -> str:
    """Everybody reads houses and hosts; nobody reads another one's address, on no way."""
    viewers: list[Person | None] = [None, *PEOPLE]
    with _quiet():
        for viewer in viewers:
            result = _ask(answer, "{ houses { title host { name } } }", viewer)
            expected = [{"title": h.title, "host": {"name": h.host.name}} for h in HOUSES]
            if result.errors or (result.data or {}).get("houses") != expected:
                said = result.errors[0].message if result.errors else "other data came"
                raise NotYet(f"{_called(viewer)} asks for houses, titles and hosts' names: {said}")
        for viewer in PEOPLE:
            result = _ask(answer, "{ me { email } }", viewer)
            if (result.data or {}).get("me") != {"email": viewer.email}:
                said = result.errors[0].message if result.errors else json.dumps(result.data)
                raise NotYet(f"{viewer.name} should read the own address by me {{ email }}: {said}")
        for document in _ways(answer):
            for viewer in viewers:
                _search(_ask(answer, document, viewer), document, viewer)
    return "everybody reads houses and hosts, and an e-mail address only who it belongs to"


def _search(result: ExecutionResult, document: str, viewer: Person | None) -> None:
    """Looks for other people's addresses in all that a client is given."""
    text = json.dumps(
        [result.data, [error.formatted for error in result.errors or ()]], default=str
    )
    for person in PEOPLE:
        if person is not viewer and person.email in text:
            raise NotYet(f"{_called(viewer)} reads {person.name}'s address by {document}")


def _called(viewer: Person | None) -> str:
    return viewer.name if viewer else "a stranger"


def _ask(schema: strawberry.Schema, document: str, viewer: Person | None) -> ExecutionResult:
    """What a schema answers, whether its resolvers are asynchronous or not."""

    def run() -> object:
        return asyncio.run(schema.execute(document, context_value={"viewer": viewer}))

    return cast(ExecutionResult, within(run))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps Strawberry from logging what the judge expects."""
    logger = logging.getLogger("strawberry.execution")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _ways(schema: strawberry.Schema) -> Iterator[str]:
    """Every way from the root to a value by fields that need no argument, short ones first."""
    root = schema._schema.query_type
    level: list[tuple[tuple[str, ...], GraphQLObjectType]] = [((), root)] if root else []
    for _ in range(DEPTH):
        following = []
        for path, kind in level:
            for name, field in kind.fields.items():
                if any(map(is_required_argument, field.args.values())):
                    continue
                inner = get_named_type(field.type)
                if is_leaf_type(inner):
                    yield "{ " + " { ".join((*path, name)) + " }" * (len(path) + 1)
                elif isinstance(inner, GraphQLObjectType):
                    following.append(((*path, name), inner))
        level = following[:50]


BOMB = "\n".join(
    [
        "{ ...F0 }",
        *(f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(40)),
        "fragment F40 on Query { name }",
    ]
)
"""Two kilobytes that hold 2^40 fields."""

COUNTS = [
    ("{ houses(first: 10) { title reviews(first: 5) { text } } }", 71),
    ("query Named { a { b } c }", 3),
    ("{ x: a y: a z: a }", 3),
    ("{ a { ... on House { b c } ... { d } } }", 4),
    ("{ houses(first: 3) { ...F } } fragment F on House { a b(first: 2) { c } }", 13),
    ("fragment F on Query { a b } { ...F ...F x: c { ...F } }", 7),
    ("{ houses(offset: 7, first: 2) { a } }", 3),
    ("{ houses(first: 100) { a b: reviews(first: 98) { c } } }", 10_001),
    ("{ houses(first: 9999) { a } }", 10_000),
    ("{ a(first: 1000) { b(first: 1000) { c(first: 1000) { d } } } }", 10_001),
]


@judge(
    "graphql.3",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a parsed document: it returns how many values the answer could hold",
)
def counting(answer: Callable[[DocumentNode], int]) -> str:
    """It counts what is asked for, fragments too, and stops counting at the limit."""
    for document, expected in COUNTS:
        got = within(partial(answer, parse(document)))
        if got != expected or isinstance(got, bool):
            limit = f" (more than {MOST:,})" if expected > MOST else ""
            raise NotYet(f"of {document} it says {got!r:.60}; it is {expected:,}{limit}")
    try:
        got = within(partial(answer, parse(BOMB)))
    except NotYet as hint:
        raise NotYet(
            f"forty fragments, each spreading the next one twice: {hint}. Stop counting once it is "
            "too much, and go deep before you go wide"
        ) from None
    except RecursionError:
        raise NotYet("forty fragments that spread each other are too deep for it") from None
    if got != MOST + 1:
        raise NotYet(
            f"forty fragments, each spreading the next one twice, hold far more than {MOST:,} "
            f"fields, and it says {got!r:.60}"
        )
    return "it counts lists by their length and fragments by their spreads, and stops in time"
