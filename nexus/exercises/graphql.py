"""Judges of "GraphQL": a loader, a leak, and what an answer may hold."""

import asyncio
import base64
import html
import inspect
import json
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, cast
from urllib.parse import unquote

import strawberry
from graphql import (
    DocumentNode,
    GraphQLField,
    GraphQLObjectType,
    SelectionNode,
    SelectionSetNode,
    Visitor,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
    is_required_argument,
    parse,
    visit,
)
from strawberry.types import ExecutionResult

from nexus.judging import NotYet, first_line, judge
from nexus.judging.limits import Guard, within

DEPTH = 6
"""How deep the judge looks for a leak."""
MOST = 10_000
"""The values that an answer may hold."""
LOOKS = 100_000
"""How often a function may go through the selections of the worst document: five times as often as
one that stops in time must, and not so often that what it keeps could fill the memory."""

Row = dict[str, Any]
Select = Callable[[Sequence[int]], list[Row]]
Load = Callable[[list[int], Select], object]


GIVEN_1 = """
def load(keys, select):
    return select(keys)
"""


@judge(
    "graphql.1",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a list of keys and a function select: it returns one row, or None, "
    "for each key",
    stub=GIVEN_1,
)
def loader(answer: Load) -> str:
    """One value for each key, in their order, with one statement."""
    people = {number: {"id": number, "name": name} for number, name in enumerate("ZABCDEFGH")}
    for what, keys in {
        "three keys": [2, 7, 4],
        "a key that nobody has": [3, 99, 1],
        "keys of which nobody has one": [98, 97],
        "a key that comes twice": [5, 1, 5],
        "a key that is zero": [3, 0, 1],
        "no key at all": [],
        "three keys, whose rows have changed since the first call": [2, 7, 4],
        "a key whose row has come since the second call": [3, 99, 1],
    }.items():
        if "has come" in what:
            people = people | {99: {"id": 99, "name": "I"}}
        if "changed" in what:
            people = {key: row | {"name": f"new {row['name']}"} for key, row in people.items()}
        asked: list[list[int]] = []

        def select(
            wanted: Sequence[int],
            asked: list[list[int]] = asked,
            people: dict[int, Row] = people,
        ) -> list[Row]:
            asked.append(list(wanted))
            return [dict(people[key]) for key in sorted(set(wanted)) if key in people][::-1]

        expected = [people.get(key) for key in keys]
        try:
            got = within(partial(_loaded, answer, list(keys), select, expected))
        except NotYet:
            raise
        except Exception as error:
            raised = f"{type(error).__name__}: {first_line(error)}"
            raise NotYet(f"for {what}, {keys}, the answer raised {raised}") from None
        if len(asked) > 1:
            raise NotYet(
                f"for {what} it asked the database {len(asked)} times. Give all keys to one select"
            )
        if more := sorted({key for wanted in asked for key in wanted} - set(keys)):
            raise NotYet(
                f"for {what}, {keys}, it also asked the database for {more[:3]}. Ask for no rows "
                "that nobody needs"
            )
        same, shown = cast(tuple[bool, str], got)
        if not same:
            raise NotYet(f"for {what}, {keys}, it should return {_rows(expected)}, not {shown}")
    for kind in (_UnreachableError, _UnknownKeyError):
        _failing(answer, kind)
    return (
        "one value for each key, in the order of the keys, with one statement; nothing is kept "
        "from call to call, and a failure is not taken for a row that is missing"
    )


class _UnreachableError(Exception):
    """What a database raises that cannot be asked."""


class _UnknownKeyError(LookupError):
    """The same, of a kind that answers catch for a key that nobody has."""


def _failing(answer: Load, kind: type[Exception]) -> None:
    """Looks whether an error of the database gets through."""
    asked: list[int] = []

    def select(_: Sequence[int]) -> list[Row]:
        asked.append(1)
        raise kind("the database cannot be reached")

    try:
        _, shown = cast(tuple[bool, str], within(partial(_loaded, answer, [2, 7], select, [])))
    except (NotYet, kind) as error:
        if isinstance(error, NotYet):
            raise
        if len(asked) > 1:
            raise NotYet(
                f"select failed, and the answer called it {len(asked)} times: call select once"
            ) from None
        return  # as it should
    except Exception as error:
        raise NotYet(
            f"select failed, and the caller got {type(error).__name__} instead of the exception of "
            "select: let that one through"
        ) from None
    raise NotYet(
        f"select failed, and the answer returned {shown}: an error that is swallowed looks like "
        "rows that do not exist. Let the exception of select through"
    )


def _loaded(
    answer: Load, keys: list[int], select: Select, expected: list[Row | None]
) -> tuple[bool, str]:
    """Whether a loader returns what it should, and what that is, in words.

    A coroutine function is as good: dataloaders take nothing else.
    """
    values: Any = answer(keys, select)
    if inspect.isawaitable(values):
        values = asyncio.run(_awaited(values))
    if isinstance(values, dict | str) or not isinstance(values, Iterable):
        return False, "None" if values is None else f"something of type {type(values).__name__}"
    got = [value for value, _ in zip(values, range(100), strict=False)]  # it may have no end
    return got == expected, _rows(got)


async def _awaited(values: Awaitable[object]) -> object:
    return await values


def _rows(values: list[Any]) -> str:
    """Rows by their names, as a reader can take them in."""
    shown = [
        f"row {value['name']}" if isinstance(value, dict) and "name" in value else repr(value)
        for value in values
    ]
    text = f"[{', '.join(shown)}]"
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


PEOPLE = [
    *(Person(name, f"{name.lower()}@example.org") for name in ("Amina", "Bode", "Chidi")),
    Person("Amina", "amina.keita@example.org"),  # a name is not who somebody is
]
HOUSES = [
    House("Sea house", PEOPLE[0]),
    House("Hill house", PEOPLE[1]),
    House("Mill", PEOPLE[0]),
    House("Loft", PEOPLE[2]),
    House("Barn", PEOPLE[3]),
]


GIVEN_2 = """
schema {
  query: Root
}

type Home {
  title: String!
  host: Resident!
}

type Resident {
  name: String!
  email: String!
  homes: [Home!]!
}

type Root {
  houses: [Home!]!
  me: Resident
}"""


@judge(
    "graphql.2",
    takes=strawberry.Schema,
    called="a strawberry.Schema",
    hint="give a strawberry.Schema with the fields houses and me",
    stub=GIVEN_2,
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
                raise NotYet(
                    f"{_called(viewer)} asks for {{ me {{ email }} }} and should read "
                    f"{viewer.email}: {said}"
                )
        for viewer in viewers:
            _hosts(_ask(answer, "{ houses { host { name email } } }", viewer), viewer)
        for document in _ways(answer):
            for viewer in viewers:
                _search(_ask(answer, document, viewer), document, viewer)
    return "everybody reads houses and hosts, and each person reads only their own e-mail address"


def _search(result: ExecutionResult, document: str, viewer: Person | None) -> None:
    """Looks for other people's addresses in all that a client is given."""
    text = json.dumps(
        [result.data, [error.formatted for error in result.errors or ()]], default=str
    )
    text = "\n".join([text, *_decoded(text)]).lower()
    for person in PEOPLE:
        name, _, host = map(re.escape, person.email.partition("@"))
        if person is not viewer and re.search(rf"(?<![\w.]){name}\W*(@|at)\W*{host}", text):
            raise NotYet(f"{_called(viewer)} reads {_called(person)}'s address by {document}")


def _decoded(text: str) -> Iterator[str]:
    """What is only written in another way, as in an address of the web, or in the ids of Relay."""
    yield html.unescape(unquote(text))
    yield text[::-1]
    for word in re.findall(r"(?:[0-9a-f]{2}){8,}", text, re.IGNORECASE):
        with suppress(ValueError):
            yield bytes.fromhex(word).decode()
    for word in re.findall(r"[A-Z2-7]{16,}", text):
        with suppress(ValueError):
            yield base64.b32decode(word + "=" * (-len(word) % 8)).decode()
    for word in re.findall(r"[\w+/-]{8,}={0,2}", text):
        padded = word.rstrip("=") + "=" * (-len(word.rstrip("=")) % 4)
        with suppress(ValueError):
            yield base64.b64decode(
                padded, altchars=b"-_" if "-" in word or "_" in word else None
            ).decode()


def _hosts(result: ExecutionResult, viewer: Person | None) -> None:
    """Looks whether the address at a host is the host's, where there is one."""
    for house, given in zip(HOUSES, (result.data or {}).get("houses") or (), strict=False):
        email = ((given or {}).get("host") or {}).get("email")
        if email and str(email).lower() != house.host.email:
            raise NotYet(
                f"{_called(viewer)} asks for the hosts' addresses, and {_called(house.host)} has "
                f"{email}. At another host there must be null or an error"
            )


def _called(person: Person | None) -> str:
    """A name to know somebody by; there are two Aminas."""
    if person is PEOPLE[3]:
        return "the second Amina, of the Barn,"
    return person.name if person else "a stranger"


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
    """Every way from a root to a value, short ones first; arguments are guessed."""
    yield from _ways_from("", schema, schema._schema.query_type)
    yield from _ways_from("mutation ", schema, schema._schema.mutation_type)


def _ways_from(
    operation: str, schema: strawberry.Schema, root: GraphQLObjectType | None
) -> Iterator[str]:
    level: list[tuple[tuple[str, ...], GraphQLObjectType]] = [((), root)] if root else []
    for _ in range(DEPTH):
        following = []
        for path, kind in level:
            for name, field in kind.fields.items():
                inner = get_named_type(field.type)
                for called in _calls(name, field):
                    if is_leaf_type(inner):
                        way = " { ".join((*path, called))
                        yield operation + "{ " + way + " }" * (len(path) + 1)
                    elif isinstance(inner, GraphQLObjectType):
                        following.append(((*path, called), inner))
                    elif is_abstract_type(inner):
                        following += [
                            ((*path, called, f"... on {possible.name}"), possible)
                            for possible in schema._schema.get_possible_types(inner)
                        ]
        level = following[:50]


GUESSES = {
    "Boolean": ["true", "false"],
    "Int": ["0", "1", "2", "3"],
    "ID": [f'"{number}"' for number in range(4)],
    "String": [f'"{text}"' for person in PEOPLE for text in (person.name, person.email)],
}
"""What somebody who looks for a leak would try, by the type of an argument."""


def _calls(name: str, field: GraphQLField) -> Iterator[str]:
    """How a field can be asked for: with what it needs, and with each other argument in turn."""
    required = {key for key, argument in field.args.items() if is_required_argument(argument)}
    guesses = {
        key: GUESSES.get(str(get_named_type(argument.type)), [])
        for key, argument in field.args.items()
    }
    if not required:
        yield name
    for key in required or guesses:
        if all(guesses[other] for other in required):
            for guess in guesses[key]:
                values = {other: guesses[other][0] for other in required} | {key: guess}
                yield f"{name}({', '.join(f'{n}: {value}' for n, value in values.items())})"


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
    ("{ houses(first: 0) { a } }", 1),
    ("{ a(first: 1000) { b(first: 1000) { c(first: 1000) { d } } } }", 10_001),
    ("{ a { b } a { b } }", 4),
    ("{ tags(first: 10) b }", 2),
    ("{ a(first: 3) { ...F } ...F } fragment F on House { b }", 5),
    ("{ ...F a(first: 3) { ...F } } fragment F on House { b { c } }", 9),
    ("{ __typename a { __typename } }", 3),
    ("{ a(first: 2) { ... on House { b(first: 3) { c } } } }", 9),
]


GIVEN_3 = """
def values(document):
    operation, *_ = document.definitions
    return len(operation.selection_set.selections)
"""


@judge(
    "graphql.3",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a parsed document: it returns how many values the answer could hold",
    stub=GIVEN_3,
)
def counting(answer: Callable[[DocumentNode], int]) -> str:
    """It counts what is asked for, fragments too, and stops counting at the limit."""
    for document, expected in COUNTS:
        try:
            got = within(partial(answer, parse(document)))
        except NotYet:
            raise
        except Exception as error:
            raised = f"{type(error).__name__}: {first_line(error)}"
            raise NotYet(f"of {document} the answer raised {raised}") from None
        if got != expected or isinstance(got, bool):
            limit = f" (more than {MOST:,})" if expected > MOST else ""
            raise NotYet(f"of {document} it says {got!r:.60}; it is {expected:,}{limit}")
    guard = Guard(LOOKS, f"it had gone through selections {LOOKS:,} times and was not done")
    try:
        try:
            got = within(partial(answer, _guarded(parse(BOMB), guard)))
        finally:
            guard.check()  # whatever came of it: an answer may swallow what a guard raises
    except NotYet as hint:
        raise NotYet(
            f"forty fragments, each spreading the next one twice: {hint}. Stop counting once it is "
            "too much, and go deep before you go wide: the fields are in the last fragment"
        ) from None
    except RecursionError:
        raise NotYet("forty fragments that spread each other are too deep for it") from None
    if got != MOST + 1:
        raise NotYet(
            f"forty fragments, each spreading the next one twice, hold far more than {MOST:,} "
            f"fields, and it says {got!r:.60}"
        )
    return "it counts lists by their length and fragments by their spreads, and stops in time"


def _guarded(document: DocumentNode, guard: Guard) -> DocumentNode:
    """A document whose selections cannot be gone through without end."""

    class Guarded(tuple[SelectionNode, ...]):
        def __iter__(self) -> Iterator[SelectionNode]:
            guard.tick()
            return super().__iter__()

    class Watch(Visitor):
        def leave_selection_set(self, node: SelectionSetNode, *_: object) -> SelectionSetNode:
            return SelectionSetNode(selections=Guarded(node.selections), loc=node.loc)

    return cast(DocumentNode, visit(document, Watch()))
